/*
 * Rows to text, one by one; tables are printer.c's.
 */
#include "cli/render.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

json_t *render_row(const char *text, struct err *e)
{
	json_error_t fault;
	json_t *row = json_loads(text, JSON_REJECT_DUPLICATES, &fault);

	if (json_is_object(row))
		return row;
	json_decref(row);
	err_add(e, RC_MALFORMED, "malformed row from the gateway: expected a JSON object");
	return NULL;
}

/* Bytes of `text` as a terminal may see them; returns how many would be written to a large enough buffer. */
size_t render_safe_text(char *ret_text, size_t size, const char *text, size_t n, bool tabs)
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
		render_safe_text(part, sizeof part, text, take, tabs);
		fputs(part, out);
		text += take;
		n -= take;
	}
}

void render_cell(char *cell, const json_t *value)
{
	size_t used = strlen(cell);
	char *left = cell + used;
	size_t size = RENDER_CELL_MAX - used;

	if (json_is_string(value)) {
		render_safe_text(left, size, json_string_value(value), json_string_length(value), false);
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
			if (i > 0 && n + 1 < RENDER_CELL_MAX)
				snprintf(cell + n, RENDER_CELL_MAX - n, " ");
			render_cell(cell, member);
		}
	} else {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
		snprintf(left, size, "%s", text ? text : "");
		free(text);
	}
}

enum rc render_object_json(FILE *out, const char *json, struct err *e)
{
	json_t *row = render_row(json, e);
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
	char name[RENDER_CELL_MAX] = "";

	if (!json_is_string(stage) || !json_is_string(text) || !json_is_integer(packet))
		return false;
	render_cell(name, stage);
	fprintf(out, "%4lld  %-10s  ", (long long)json_integer_value(packet), name);
	render_safe(out, json_string_value(text), json_string_length(text), false);
	fputc('\n', out);
	return true;
}

enum rc render_object_line(FILE *out, const char *json, struct err *e)
{
	json_t *row = render_row(json, e), *value;
	const char *key, *between = "";

	if (!row)
		return RC_MALFORMED;
	if (put_trace_line(out, row)) {
		json_decref(row);
		return RC_OK;
	}
	json_object_foreach(row, key, value)
	{
		char cell[RENDER_CELL_MAX] = "";
		render_cell(cell, value);
		fputs(between, out);
		render_safe(out, key, strlen(key), false);
		fprintf(out, " %s", cell);
		between = "  ";
	}
	fputc('\n', out);
	json_decref(row);
	return RC_OK;
}
