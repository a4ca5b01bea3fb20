#include "cli/explain.h"

#include "base/json.h"
#include "cli/client.h"
#include "cli/printer.h"
#include "cli/render.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

static const char *const states[] = {
	[EXPLAIN_GOOD] = "ok", [EXPLAIN_NOTE] = "note", [EXPLAIN_FAULT] = "FAULT"
};

static const struct cli_column columns[] = { { "step", "step", false }, { "state", "state", false },
	{ "text", "what was found", false }, { "mend", "what to change or look at", false } };

/* A client_row_fn. RC_LIMIT: there are more than are looked at. */
static enum rc keep_row(void *context, const char *json, size_t n, struct err *e)
{
	json_t *rows = context, *row;
	char *text;

	if (json_array_size(rows) >= EXPLAIN_ROWS_MAX)
		return RC_LIMIT;
	text = strndup(json, n);
	row = text ? render_row(text, e) : NULL;
	free(text);
	if (!row)
		return RC_MALFORMED;
	json_array_append_new(rows, row);
	return RC_OK;
}

static enum rc ask_table(const char *socket, enum show_table table, json_t **ret_rows, struct err *e)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show = { .table = table } };
	struct msg_result result = { 0 };
	enum rc rc;

	*ret_rows = json_array();
	rc = client_request(socket, &q, NULL, keep_row, *ret_rows, &result, e);
	if (rc == RC_LIMIT) {
		*e = (struct err){ 0 };
		return RC_OK;
	}
	if (rc == RC_OK && result.rc)
		rc = err_add(e, (enum rc)result.rc, "%s", result.text);
	return rc;
}

static void put_line(void *context, const struct explain_step *step)
{
	printf("%-5s  %-13s  ", states[step->state], step->step);
	render_safe(stdout, step->text, strlen(step->text), false);
	if (step->state != EXPLAIN_GOOD && step->mend[0]) {
		fputs("\n                      -> ", stdout);
		render_safe(stdout, step->mend, strlen(step->mend), false);
	}
	fputc('\n', stdout);
}

static void put_row(void *context, const struct explain_step *step)
{
	char text[ROW_MAX];
	struct jw w = jw_over(text, sizeof text, false);
	struct err e = { 0 };

	jw_object(&w, NULL);
	jw_str(&w, "step", step->step);
	jw_str(&w, "state", states[step->state]);
	jw_str(&w, "text", step->text);
	jw_str(&w, "mend", step->state == EXPLAIN_GOOD ? "" : step->mend);
	jw_end(&w);
	printer_row(context, text, jw_done(&w), &e);
}

enum rc explain_print(const char *socket, const char *text, size_t n, const char *name, bool json,
	uint32_t *ret_faults, struct err *e)
{
	static struct printer p;
	const struct cli_table table = { "vpn explain", "", columns, COUNT_OF(columns) };
	struct explain_tables tables = { 0 };
	struct faults faults;
	void *block = NULL;
	size_t bytes = 0;
	enum rc rc = model_read(text, n, "running.conf", 0, NULL, &block, &bytes, &faults, e);

#define E(member, table_id)                                                                                  \
	if (rc == RC_OK)                                                                                     \
		rc = ask_table(socket, table_id, &tables.member, e);
	EXPLAIN_TABLES(E)
#undef E
	if (rc == RC_OK && !json) {
		rc = explain_peer(block, name, &tables, put_line, NULL, ret_faults, e);
	} else if (rc == RC_OK) {
		printer_begin(&p, stdout, &table);
		p.json = true;
		rc = explain_peer(block, name, &tables, put_row, &p, ret_faults, e);
		printer_end(&p, rc == RC_OK);
	}
#define E(member, table_id) json_decref(tables.member);
	EXPLAIN_TABLES(E)
#undef E
	free(block);
	model_done();
	return rc;
}
