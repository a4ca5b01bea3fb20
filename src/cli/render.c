/*
 * Table and JSON output. Two passes over the rows: widths, then lines. Rows are parsed in each pass rather
 * than kept parsed: a session table has many.
 */
#include "cli/render.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64
#define CELL_MAX    512

enum rc rows_add(struct rows *r, const char *json, size_t n, struct err *e)
{
	if (r->bytes + n > ROWS_BYTES_MAX)
		return err_add(e, RC_LIMIT, "more than %u bytes of rows", ROWS_BYTES_MAX);
	if (r->n == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		char **texts = reallocarray(r->texts, room, sizeof *texts);
		if (!texts)
			return err_add(e, RC_INTERNAL, "memory is short");
		r->texts = texts;
		r->room = room;
	}
	r->texts[r->n] = strndup(json, n);
	if (!r->texts[r->n])
		return err_add(e, RC_INTERNAL, "memory is short");
	r->n++;
	r->bytes += n;
	return RC_OK;
}

void rows_done(struct rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->texts[i]);
	free(r->texts);
	*r = (struct rows){ 0 };
}

static json_t *row_object(const char *text, struct err *e)
{
	json_error_t fault;
	json_t *row = json_loads(text, JSON_REJECT_DUPLICATES, &fault);

	if (json_is_object(row))
		return row;
	json_decref(row);
	err_add(e, RC_MALFORMED, "a row is no JSON object");
	return NULL;
}

/* Bytes of `text` as a terminal may see them; returns how many would be written to a large enough buffer. */
static size_t safe_text(char *ret_text, size_t size, const char *text, size_t n, bool tabs)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain = (c >= ' ' && c <= '~') || (tabs && c == '\t');
		size_t need = plain ? 1 : 4;
		if (used + need >= size)
			break;
		if (plain)
			ret_text[used] = (char)c;
		else
			snprintf(ret_text + used, 5, "\\x%02x", c);
		used += need;
	}
	if (size)
		ret_text[used] = '\0';
	return used;
}

void render_safe(FILE *out, const char *text, size_t n, bool tabs)
{
	char part[1024];

	while (n > 0) {
		size_t take = MIN_OF(n, sizeof part / 4 - 1);
		safe_text(part, sizeof part, text, take, tabs);
		fputs(part, out);
		text += take;
		n -= take;
	}
}

/* A value as a cell: strings bare, lists joined by blanks, yes and no, numbers; groups as compact JSON. */
static void cell_append(char *cell, const json_t *value)
{
	size_t used = strlen(cell);
	char *left = cell + used;
	size_t size = CELL_MAX - used;

	if (json_is_string(value)) {
		safe_text(left, size, json_string_value(value), json_string_length(value), false);
	} else if (json_is_integer(value)) {
		snprintf(left, size, "%lld", (long long)json_integer_value(value));
	} else if (json_is_boolean(value)) {
		snprintf(left, size, "%s", json_is_true(value) ? "yes" : "no");
	} else if (json_is_array(value)) {
		size_t i;
		json_t *member;
		json_array_foreach(value, i, member)
		{
			size_t n = strlen(cell);
			if (i > 0 && n + 1 < CELL_MAX)
				snprintf(cell + n, CELL_MAX - n, " ");
			cell_append(cell, member);
		}
	} else {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
		snprintf(left, size, "%s", text ? text : "");
		free(text);
	}
}

struct layout {
	struct {
		char key[80], header[80];
		bool right, used;
		size_t width;
	} columns[COLUMNS_MAX];
	size_t n;
};

static size_t column_of(struct layout *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->columns[i].key, key) == 0)
			return i;
	}
	return l->n;
}

static void measure_row(struct layout *l, json_t *row)
{
	const char *key;
	json_t *value;

	json_object_foreach(row, key, value)
	{
		char cell[CELL_MAX] = "";
		size_t i = column_of(l, key);
		if (i == COLUMNS_MAX)
			continue;
		if (i == l->n) {
			safe_text(l->columns[i].key, sizeof l->columns[i].key, key, strlen(key), false);
			memcpy(l->columns[i].header, l->columns[i].key, sizeof l->columns[i].header);
			l->columns[i].right = json_is_integer(value);
			l->n++;
		}
		l->columns[i].used = true;
		cell_append(cell, value);
		l->columns[i].width = MAX_OF(l->columns[i].width, strlen(cell));
	}
}

static void put_cell(FILE *out, const struct layout *l, size_t i, const char *cell, bool last)
{
	int width = (int)MAX_OF(l->columns[i].width, strlen(l->columns[i].header));

	if (l->columns[i].right)
		fprintf(out, "%*s", width, cell);
	else if (last)
		fputs(cell, out);
	else
		fprintf(out, "%-*s", width, cell);
	fputs(last ? "\n" : "  ", out);
}

static size_t last_used(const struct layout *l)
{
	size_t last = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (l->columns[i].used)
			last = i;
	}
	return last;
}

static void put_row(FILE *out, const struct layout *l, json_t *row)
{
	size_t last = last_used(l);

	for (size_t i = 0; i < l->n; i++) {
		char cell[CELL_MAX] = "";
		const json_t *value = row ? json_object_get(row, l->columns[i].key) : NULL;
		if (!l->columns[i].used)
			continue;
		if (value)
			cell_append(cell, value);
		put_cell(out, l, i, row ? cell : l->columns[i].header, i == last);
	}
}

static bool shares_key(json_t *row, const json_t *other)
{
	const char *key;
	json_t *value;

	json_object_foreach(row, key, value)
	{
		if (json_object_get(other, key))
			return true;
	}
	return false;
}

/* How many rows from the first on belong together: each has a key of the first one's. */
static enum rc block_end(const struct rows *r, size_t first, size_t *ret_end, struct err *e)
{
	json_t *head = row_object(r->texts[first], e);
	bool together = head != NULL, sound = together;

	*ret_end = first + 1;
	while (together && *ret_end < r->n) {
		json_t *row = row_object(r->texts[*ret_end], e);
		sound = row != NULL;
		together = sound && (shares_key(head, row) || json_object_size(row) == 0);
		json_decref(row);
		*ret_end += together;
	}
	json_decref(head);
	return sound ? RC_OK : RC_MALFORMED;
}

static enum rc block_put(FILE *out, const struct cli_table *table, const struct rows *r, size_t first,
	size_t end, struct err *e)
{
	struct layout l = { 0 };

	for (size_t i = 0; i < table->n; i++, l.n++) {
		snprintf(l.columns[i].key, sizeof l.columns[i].key, "%s", table->columns[i].key);
		snprintf(l.columns[i].header, sizeof l.columns[i].header, "%s", table->columns[i].header);
		l.columns[i].right = table->columns[i].right;
	}
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = first; i < end; i++) {
			json_t *row = row_object(r->texts[i], e);
			if (!row)
				return RC_MALFORMED;
			if (pass == 0)
				measure_row(&l, row);
			else
				put_row(out, &l, row);
			json_decref(row);
		}
		if (pass == 0)
			put_row(out, &l, NULL);
	}
	return RC_OK;
}

enum rc render_table(FILE *out, const struct cli_table *table, const struct rows *r, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t first = 0, end; first < r->n && rc == RC_OK; first = end) {
		rc = block_end(r, first, &end, e);
		if (rc == RC_OK && first > 0)
			fputc('\n', out);
		rc = rc ? rc : block_put(out, table, r, first, end, e);
	}
	return rc;
}

enum rc render_object_json(FILE *out, const char *json, struct err *e)
{
	json_t *row = row_object(json, e);
	char *text = row ? json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(row);
	if (!text)
		return RC_MALFORMED;
	fputs(text, out);
	free(text);
	return RC_OK;
}

/* {"packet":1,"stage":"policy","text":"…"} as "1  policy      …"; false for a row of another kind. */
static bool put_trace_line(FILE *out, const json_t *row)
{
	const json_t *stage = json_object_get(row, "stage"), *text = json_object_get(row, "text");
	const json_t *packet = json_object_get(row, "packet");
	char name[CELL_MAX] = "";

	if (!json_is_string(stage) || !json_is_string(text) || !json_is_integer(packet))
		return false;
	cell_append(name, stage);
	fprintf(out, "%4lld  %-10s  ", (long long)json_integer_value(packet), name);
	render_safe(out, json_string_value(text), json_string_length(text), false);
	fputc('\n', out);
	return true;
}

enum rc render_object_line(FILE *out, const char *json, struct err *e)
{
	json_t *row = row_object(json, e), *value;
	const char *key, *between = "";

	if (!row)
		return RC_MALFORMED;
	if (put_trace_line(out, row)) {
		json_decref(row);
		return RC_OK;
	}
	json_object_foreach(row, key, value)
	{
		char cell[CELL_MAX] = "";
		cell_append(cell, value);
		fputs(between, out);
		render_safe(out, key, strlen(key), false);
		fprintf(out, " %s", cell);
		between = "  ";
	}
	fputc('\n', out);
	json_decref(row);
	return RC_OK;
}

enum rc render_json(FILE *out, const struct rows *r, struct err *e)
{
	fputs("[", out);
	for (size_t i = 0; i < r->n; i++) {
		enum rc rc;
		fputs(i ? ",\n" : "\n", out);
		if ((rc = render_object_json(out, r->texts[i], e)))
			return rc;
	}
	fputs(r->n ? "\n]\n" : "]\n", out);
	return RC_OK;
}
