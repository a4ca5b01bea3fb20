/*
 * A table of `show` as it is received: rows are printed in parts, so that a table of any length needs little
 * memory and starts at once. As a table with aligned columns, as one JSON array, or vertically, a line for
 * each value: if the table is wider than the terminal, or if one NAME's rows are asked for.
 *
 *	printer_begin(&p, stdout, &table);  p.name = …;		then printer_row() for each row, printer_end()
 */
#ifndef CLI_PRINTER_H
#define CLI_PRINTER_H

#include "cli/commands.h"
#include "cli/render.h"

#define PRINTER_PART	    256 /* rows whose widths are measured before they are printed */
#define PRINTER_COLUMNS_MAX 64

struct printer {
	FILE *out;
	const struct cli_table *table;
	bool json;
	const char *name;    /* only rows that have this as a value or in a list of words; NULL: all */
	size_t width;	     /* of the terminal, in columns; 0: none, a table may be as wide as it is */
	uint32_t limit;	     /* rows at the most; 0: all */
	const char *counted; /* only rows in which the number of this key is not 0; NULL: all */

	uint32_t printed;
	struct {
		char key[80], header[80];
		bool right, used;
		size_t width;
	} columns[PRINTER_COLUMNS_MAX];
	size_t columns_n, headers_n; /* columns used when the header was printed, 0: not yet */
	bool upright;		     /* always vertical */
	bool vertical;
	json_t *first; /* of the block; NULL: no block yet */
	json_t *part[PRINTER_PART];
	size_t part_n;
};

void printer_begin(struct printer *p, FILE *out, const struct cli_table *table);

/* A client_row_fn; context is the printer. RC_MALFORMED: not a JSON object. */
enum rc printer_row(void *context, const char *json, size_t n, struct err *e);

/* Prints what is left. whole: these are all rows; then "none", or an empty array, where there was none. */
void printer_end(struct printer *p, bool whole);

#endif
