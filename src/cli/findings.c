#include "cli/findings.h"

#include "cli/render.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_json(struct findings *f, const char *kind, uint32_t line, uint32_t column, const char *text)
{
	char safe[4 * ERR_TEXT_MAX];
	json_t *row;
	char *made;

	render_safe_text(safe, sizeof safe, text, strlen(text), false);
	row = json_pack("{s:s, s:s}", "kind", kind, "text", safe);
	if (line > 0) {
		json_object_set_new(row, "line", json_integer(line));
		json_object_set_new(row, "column", json_integer(column));
	}
	made = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
	printf("%s%s", f->printed++ ? ",\n" : "[\n", made ? made : "{}");
	free(made);
	json_decref(row);
}

static void print_line(const char *before, const char *name, uint32_t line, uint32_t column, const char *text)
{
	fprintf(stderr, "plaingate: %s", before);
	if (name)
		render_safe(stderr, name, strlen(name), false);
	if (line > 0)
		fprintf(stderr, ":%u:%u", line, column);
	fputs(name ? ": " : "", stderr);
	render_safe(stderr, text, strlen(text), false);
	fputc('\n', stderr);
}

static void fault_print(struct findings *f, uint32_t line, uint32_t column, const char *text)
{
	f->errors++;
	if (f->json)
		print_json(f, "error", line, column, text);
	else
		print_line("", line > 0 ? f->name : NULL, line, column, text);
}

void findings_faults(struct findings *f, const struct faults *faults)
{
	char more[FAULTS_MORE_MAX];

	for (unsigned i = 0; i < faults->n; i++)
		fault_print(f, faults->at[i].line, faults->at[i].column, faults->at[i].text);
	if (faults->more)
		findings_error(f, faults_more_text(more, faults, faults->more));
}

void findings_error(struct findings *f, const char *text)
{
	char line[ERR_TEXT_MAX];

	do {
		size_t n = strcspn(text, "\n");
		snprintf(line, sizeof line, "%.*s", (int)n, text);
		fault_print(f, 0, 0, line);
		text += n + (text[n] == '\n');
	} while (*text);
}

void findings_warning(struct findings *f, const char *text)
{
	if (f->json)
		print_json(f, "warning", 0, 0, text);
	else
		print_line("warning: ", f->name, 0, 0, text);
}

void findings_result(struct findings *f, const char *text)
{
	if (f->json) {
		print_json(f, "result", 0, 0, text);
		return;
	}
	render_safe(stdout, text, strlen(text), false);
	fputc('\n', stdout);
}

enum rc findings_row(void *findings, const char *json, size_t n, struct err *e)
{
	char *copy = strndup(json, n);
	json_t *row = copy ? render_row(copy, e) : NULL;
	const char *text = json_string_value(json_object_get(row, "text"));

	const char *kind = json_string_value(json_object_get(row, "kind"));

	if (text && kind && strcmp(kind, "warning") == 0)
		findings_warning(findings, text);
	else if (text)
		fault_print(findings, (uint32_t)json_integer_value(json_object_get(row, "line")),
			(uint32_t)json_integer_value(json_object_get(row, "column")), text);
	json_decref(row);
	free(copy);
	return RC_OK;
}

void findings_end(struct findings *f)
{
	if (f->json)
		fputs(f->printed ? "\n]\n" : "[]\n", stdout);
}
