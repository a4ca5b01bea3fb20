/*
 * What `check` and `commit` report about a configuration: faults with their places, and warnings. One line
 * each on standard error, or with --json one array of objects on standard output:
 *	{"kind":"error"|"warning"|"result", "line":N, "column":N, "text":"…"}	line and column of errors that have a place
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/faults.h"

struct findings {
	const char *name; /* of the configuration */
	bool json;
	size_t printed, errors;
};

void findings_faults(struct findings *f, const struct faults *faults);
/* Of no place; several lines are several errors. */
void findings_error(struct findings *f, const char *text);
void findings_warning(struct findings *f, const char *text);
void findings_result(struct findings *f, const char *text); /* on standard output */
/* A row of control: an object with text, and line and column when it has a place. */
enum rc findings_row(void *findings, const char *json, size_t n, struct err *e);
/* The end of the array. */
void findings_end(struct findings *f);

#endif
