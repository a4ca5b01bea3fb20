#include "cli/ledger_entries.h"

#include "cli/limits.h"
#include "cli/source.h"

#include <stdlib.h>

static enum rc policy_load(struct policy *ret, const char *path, struct err *e)
{
	uint8_t *text = NULL;
	size_t n;
	enum rc rc = source_file(path, POLICY_BYTES_MAX, &text, &n, e);

	if (rc == RC_OK && (rc = policy_parse(ret, (const char *)text, n, e)) != RC_OK)
		err_add(e, rc, "in the policy '%s'", path);
	free(text);
	return rc;
}

enum rc ledger_entries_read(const struct cli_line *line, const char *where,
	const struct verify_options *hooks, struct verify_report *ret_report, struct err *e)
{
	static struct policy policy;
	struct verify_options o = *hooks;
	struct source *from = NULL;
	enum rc rc = RC_OK;

	o.vkey = line->key;
	o.now_s = clock_utc() / 1000000;
	o.max_age_s = line->max_age_s;
	o.max_uncosigned = line->max_uncosigned;
	o.sealed_starts = true;
	if (line->policy) {
		rc = policy_load(&policy, line->policy, e);
		o.policy = &policy;
	}
	if (rc == RC_OK)
		rc = source_open(&from, where, line->archive, e);
	if (rc != RC_OK)
		return rc;
	struct verify_source source = source_of(from);
	rc = verify_ledger(&source, &o, ret_report, e);
	if (rc == RC_OK && (ret_report->bundle || ret_report->entries_unseen))
		rc = err_add(e, RC_RANGE, "not all entries of the ledger are there: %s",
			ret_report->bundle ? "give the ledger instead of the bundle"
					   : "give the archive with --archive");
	else if (rc == RC_IO && source_trouble(from)[0])
		err_add(e, rc, "%s", source_trouble(from));
	source_close(from);
	return rc;
}
