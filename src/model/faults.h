/*
 * What is wrong with a configuration's text, in order of place: all of it as far as it can be seen in one
 * reading, bounded. Filled by parser, checks and compiler; read by control and `check`.
 */
#ifndef MODEL_FAULTS_H
#define MODEL_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define FAULTS_KEPT    20  /* those that come first in the text */
#define FAULTS_COUNTED 200 /* then parser and checks end */

struct fault {
	uint32_t line, column;
	char text[ERR_TEXT_MAX];
};

struct lost;

struct faults {
	const struct lost
		*lost; /* while names are checked: those of which nothing is said (lost.h); else NULL */
	unsigned n;    /* kept */
	unsigned more; /* than these */
	struct fault at[FAULTS_KEPT];
};

/* Kept in its place. The same text at the same place is one fault. */
void faults_note(struct faults *f, uint32_t line, uint32_t column, const char *text);
bool faults_enough(const struct faults *f);

/* "6 more", or "180 more at the least". ret_text holds FAULTS_MORE_MAX. */
#define FAULTS_MORE_MAX 40
char *faults_more_text(char *ret_text, const struct faults *f, unsigned more);

/* Sets e to "NAME:LINE:COLUMN: text", a line for each as far as there is room, then how many more. */
void faults_to_err(const struct faults *f, const char *name, struct err *e);

#endif
