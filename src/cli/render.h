/*
 * Rows to text: a table with aligned columns, or a JSON array. Rows are JSON objects from other processes and
 * hold what strangers chose (identities, names of interfaces): everything that could steer a terminal is
 * shown as \xNN.
 */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include <stdio.h>

#include "cli/commands.h"

struct rows {
	char **texts;
	size_t n, room;
	size_t bytes;
};

#define ROWS_BYTES_MAX (1u << 30)

/* Copies one row. RC_LIMIT when there are too many. */
enum rc rows_add(struct rows *r, const char *json, size_t n, struct err *e);
void rows_done(struct rows *r);

/* Columns as the table says; see tables.c. Rows that share no key with those before them begin a table of
 * their own. A row that is no JSON object is RC_MALFORMED. */
enum rc render_table(FILE *out, const struct cli_table *table, const struct rows *r, struct err *e);

/* "[", objects one a line, "]"; non-ASCII and control characters as \uNNNN. */
enum rc render_json(FILE *out, const struct rows *r, struct err *e);

/* One row at once: as compact JSON, or as a line: a trace's packet, stage and text, else
 * "key value  key value". */
enum rc render_object_json(FILE *out, const char *json, struct err *e);
enum rc render_object_line(FILE *out, const char *json, struct err *e);

/* Printable ASCII as it is, tabs if asked for, every other byte as \xNN. */
void render_safe(FILE *out, const char *text, size_t n, bool tabs);

#endif
