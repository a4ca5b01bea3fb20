/*
 * Rows to text. They are JSON objects from other processes and hold what strangers chose (identities, names
 * of interfaces): everything that could steer a terminal is shown as \xNN.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

#define RENDER_CELL_MAX 512

/* The row as an object, to be released by json_decref(); NULL and an error when it is none. */
json_t *render_row(const char *json, struct err *e);

/* Appends a value to a text of RENDER_CELL_MAX: strings bare, lists joined by blanks, yes and no, numbers;
 * groups as compact JSON. */
void render_cell(char *cell, const json_t *value);

/* One row at once: as compact JSON with everything that is not ASCII as \uNNNN, or as a line: a trace's
 * packet, stage and text, else "key value  key value". */
enum rc render_object_json(FILE *out, const char *json, struct err *e);
enum rc render_object_line(FILE *out, const char *json, struct err *e);

/* Printable ASCII as it is, tabs if asked for, every other byte as \xNN. */
void render_safe(FILE *out, const char *text, size_t n, bool tabs);
/* The same into a buffer; returns how much of it is used. */
size_t render_safe_text(char *ret_text, size_t size, const char *text, size_t n, bool tabs);

#endif
