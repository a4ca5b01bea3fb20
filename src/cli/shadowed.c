/*
 * The rules are compared here and not by the gateway: it is a matter of the text alone, and may take a second.
 */
#include "cli/shadowed.h"

#include "base/json.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "model/model.h"
#include "model/shadow.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_column columns[] = { { "from", "from", false }, { "to", "to", false },
	{ "rule", "rule", false }, { "by", "rules before it", false }, { "more", "and more", true } };

struct rows {
	struct printer *printer;
	enum rc rc;
	struct err *e;
};

static void row(void *context, const struct snapshot *s, const struct shadow *x)
{
	const struct snap_rule *r = &snap_rules(s)[x->rule];
	struct rows *rows = context;
	char text[ROW_MAX];
	struct jw w = jw_over(text, sizeof text, false);

	jw_object(&w, NULL);
	jw_str(&w, "from", snap_rule_zone(s, r->from_zone));
	jw_str(&w, "to", snap_rule_zone(s, r->to_zone));
	jw_str(&w, "rule", r->name);
	jw_array(&w, "by");
	for (uint32_t i = 0; i < MIN_OF(x->by_n, (uint32_t)SHADOW_BY_MAX); i++)
		jw_str(&w, NULL, snap_rules(s)[x->by[i]].name);
	jw_end(&w);
	if (x->by_n > SHADOW_BY_MAX)
		jw_u64(&w, "more", x->by_n - SHADOW_BY_MAX);
	jw_end(&w);
	size_t n = jw_done(&w);
	if (rows->rc == RC_OK)
		rows->rc = printer_row(rows->printer, text, n, rows->e);
}

enum rc shadowed_print(const char *text, size_t n, bool json, struct err *e)
{
	static struct printer p;
	const struct cli_table table = { "policy shadowed", "", columns, COUNT_OF(columns) };
	struct rows rows = { .printer = &p, .e = e };
	struct faults faults;
	void *block = NULL;
	size_t bytes = 0;
	uint32_t undecided = 0;

	rows.rc = model_read(text, n, "running.conf", 0, NULL, &block, &bytes, &faults, e);
	printer_begin(&p, stdout, &table);
	p.json = json;
	if (rows.rc == RC_OK)
		undecided = snapshot_shadowed(block, row, &rows);
	printer_end(&p, rows.rc == RC_OK);
	if (undecided > 0)
		fprintf(stderr,
			"plaingate: %u rules have not been compared with all rules before them, which would take too long\n",
			undecided);
	free(block);
	model_done();
	return rows.rc;
}
