/*
 * A block is a run of rows that belong together: each shares a key with the block's first. Its columns are
 * those of the table in their order, followed by other keys of the rows, so that nothing an owner sends is
 * hidden; a column without values is left out. When a later part of a block has a column that was left out,
 * the headers are printed again.
 */
#include "cli/printer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void printer_begin(struct printer *p, FILE *out, const struct cli_table *table)
{
	memset(p, 0, sizeof *p);
	p->out = out;
	p->table = table;
}

/* ---- which rows ---- */

static bool holds_word(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = text; (at = strstr(at, name)); at++)
		if ((at == text || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
			return true;
	return false;
}

static bool value_is_named(const json_t *value, const char *name)
{
	size_t i;
	json_t *member;

	if (json_is_string(value))
		return holds_word(json_string_value(value), name);
	json_array_foreach(value, i, member)
	{
		if (value_is_named(member, name))
			return true;
	}
	return false;
}

static bool row_is_named(json_t *row, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach(row, key, value)
	{
		if (value_is_named(value, name))
			return true;
	}
	return false;
}

/* ---- columns ---- */

static void columns_begin(struct printer *p)
{
	memset(p->columns, 0, sizeof p->columns);
	p->headers_n = 0;
	p->columns_n = MIN_OF(p->table->n, (size_t)PRINTER_COLUMNS_MAX);
	for (size_t i = 0; i < p->columns_n; i++) {
		snprintf(p->columns[i].key, sizeof p->columns[i].key, "%s", p->table->columns[i].key);
		snprintf(
			p->columns[i].header, sizeof p->columns[i].header, "%s", p->table->columns[i].header);
		p->columns[i].right = p->table->columns[i].right;
	}
}

static size_t column_of(const struct printer *p, const char *key)
{
	size_t i = 0;

	while (i < p->columns_n && strcmp(p->columns[i].key, key) != 0)
		i++;
	return i;
}

static void row_measure(struct printer *p, json_t *row)
{
	const char *key;
	json_t *value;

	json_object_foreach(row, key, value)
	{
		char cell[RENDER_CELL_MAX] = "";
		size_t i = column_of(p, key);
		if (i == PRINTER_COLUMNS_MAX)
			continue;
		if (i == p->columns_n) {
			render_safe_text(
				p->columns[i].key, sizeof p->columns[i].key, key, strlen(key), false);
			memcpy(p->columns[i].header, p->columns[i].key, sizeof p->columns[i].header);
			p->columns[i].right = json_is_integer(value);
			p->columns_n++;
		}
		p->columns[i].used = true;
		render_cell(cell, value);
		p->columns[i].width = MAX_OF(p->columns[i].width, strlen(cell));
	}
}

static size_t column_width(const struct printer *p, size_t i)
{
	return MAX_OF(p->columns[i].width, strlen(p->columns[i].header));
}

/* How many columns have values; *ret_last: the last of them, *ret_width: of them all with what stands
 * between. */
static size_t columns_used(const struct printer *p, size_t *ret_last, size_t *ret_width)
{
	size_t n = 0;

	*ret_last = *ret_width = 0;
	for (size_t i = 0; i < p->columns_n; i++) {
		if (!p->columns[i].used)
			continue;
		*ret_width += column_width(p, i) + (n > 0 ? 2 : 0);
		*ret_last = i;
		n++;
	}
	return n;
}

/* ---- lines ---- */

/* row NULL: the headers. */
static void line_print(const struct printer *p, const json_t *row, size_t last)
{
	for (size_t i = 0; i <= last; i++) {
		char cell[RENDER_CELL_MAX] = "";
		const json_t *value = row ? json_object_get(row, p->columns[i].key) : NULL;
		const char *text = row ? cell : p->columns[i].header;
		if (!p->columns[i].used)
			continue;
		if (value)
			render_cell(cell, value);
		if (p->columns[i].right)
			fprintf(p->out, "%*s", (int)column_width(p, i), text);
		else if (i == last)
			fputs(text, p->out);
		else
			fprintf(p->out, "%-*s", (int)column_width(p, i), text);
		fputs(i == last ? "\n" : "  ", p->out);
	}
}

/* A line for each value that the row has. */
static void row_print_vertically(const struct printer *p, const json_t *row)
{
	size_t headers = 0;

	for (size_t i = 0; i < p->columns_n; i++)
		if (p->columns[i].used)
			headers = MAX_OF(headers, strlen(p->columns[i].header));
	for (size_t i = 0; i < p->columns_n; i++) {
		char cell[RENDER_CELL_MAX] = "";
		const json_t *value = json_object_get(row, p->columns[i].key);
		if (!value)
			continue;
		render_cell(cell, value);
		fprintf(p->out, "%-*s  %s\n", (int)headers, p->columns[i].header, cell);
	}
}

/* ---- parts and blocks ---- */

/* A run of rows of one block. */
static void run_print(struct printer *p, json_t *const *rows, size_t n)
{
	size_t last, width, used;

	for (size_t i = 0; i < n; i++)
		row_measure(p, rows[i]);
	used = columns_used(p, &last, &width);
	if (used == 0)
		return;
	if (used != p->headers_n) {
		p->vertical = p->upright || p->name || (p->width && width > p->width);
		if (p->printed > 0 && !p->vertical)
			fputc('\n', p->out);
		if (!p->vertical)
			line_print(p, NULL, last);
		p->headers_n = used;
	}
	for (size_t i = 0; i < n; i++, p->printed++) {
		if (p->vertical && p->printed > 0)
			fputc('\n', p->out);
		if (p->vertical)
			row_print_vertically(p, rows[i]);
		else
			line_print(p, rows[i], last);
	}
}

/* Does the row belong to the block that this one began? */
static bool shares_key(json_t *first, json_t *row)
{
	const char *key;
	json_t *value;

	json_object_foreach(row, key, value)
	{
		if (json_object_get(first, key))
			return true;
	}
	return json_object_size(row) == 0;
}

static void part_print(struct printer *p)
{
	size_t from = 0;

	for (size_t i = 0; i < p->part_n; i++) {
		if (p->first && shares_key(p->first, p->part[i]))
			continue;
		run_print(p, p->part + from, i - from);
		from = i;
		json_decref(p->first);
		p->first = json_incref(p->part[i]);
		columns_begin(p);
	}
	run_print(p, p->part + from, p->part_n - from);
	for (size_t i = 0; i < p->part_n; i++)
		json_decref(p->part[i]);
	p->part_n = 0;
	fflush(p->out);
}

static void object_print(struct printer *p, json_t *row)
{
	char *text = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);

	fputs(p->printed ? ",\n" : "[\n", p->out);
	fputs(text ? text : "{}", p->out);
	free(text);
	p->printed++;
	json_decref(row);
}

static bool row_has_counted(const json_t *row, const char *key)
{
	const json_t *n = json_object_get(row, key);

	return !json_is_integer(n) || json_integer_value(n) != 0;
}

enum rc printer_row(void *context, const char *json, size_t n, struct err *e)
{
	struct printer *p = context;
	char *text = strndup(json, n);
	json_t *row = text ? render_row(text, e) : NULL;

	free(text);
	if (!row)
		return RC_MALFORMED;
	if ((p->name && !row_is_named(row, p->name)) || (p->counted && !row_has_counted(row, p->counted)) ||
		(p->limit && p->printed + p->part_n >= p->limit)) {
		json_decref(row);
	} else if (p->json) {
		object_print(p, row);
	} else {
		assert(p->part_n < PRINTER_PART);
		p->part[p->part_n++] = row;
		if (p->part_n == PRINTER_PART)
			part_print(p);
	}
	return RC_OK;
}

void printer_end(struct printer *p, bool whole)
{
	part_print(p);
	json_decref(p->first);
	p->first = NULL;
	if (p->json && (whole || p->printed))
		fputs(p->printed ? "\n]\n" : "[]\n", p->out);
	else if (whole && p->printed == 0 && !p->name)
		fputs("none\n", p->out);
}
