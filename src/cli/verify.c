#include "cli/verify.h"

#include "cli/limits.h"
#include "cli/part.h"
#include "cli/render.h"
#include "cli/source.h"
#include "verify/randomness.h"
#include "verify/verify.h"
#include "cli/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

/* The exit status for a result of verify_ledger(): 1 for a finding, 2 for what could not be read. */
static int status_of(enum rc rc)
{
	return rc == RC_OK ? STATUS_OK : rc == RC_AUTH ? STATUS_FAILED : STATUS_USAGE;
}

/* A finding may quote octets of an untrusted file: they are escaped for the terminal. */
static void print_lines(const char *text)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		render_safe(stdout, text, (size_t)(end - text), false);
		putchar('\n');
	}
}

/* In ASCII: other characters can control a terminal as well. */
static void print_json(const char *object)
{
	puts("[");
	render_object_json(stdout, object, NULL);
	puts("\n]");
}

/* What the command line names beside the ledger itself. */
struct asked {
	struct policy policy;
	uint8_t *kept, *since;
};

static void asked_done(struct asked *a)
{
	free(a->kept);
	free(a->since);
}

static enum rc asked_load(
	struct asked *a, const struct cli_line *line, struct verify_options *o, struct err *e)
{
	uint8_t *text = NULL;
	size_t n;
	enum rc rc = RC_OK;

	if (line->policy) {
		rc = source_file(line->policy, POLICY_BYTES_MAX, &text, &n, e);
		if (rc == RC_OK && (rc = policy_parse(&a->policy, (const char *)text, n, e)) != RC_OK)
			err_add(e, rc, "in the policy '%s'", line->policy);
		free(text);
		o->policy = &a->policy;
	}
	if (rc == RC_OK && line->checkpoint) {
		rc = source_file(line->checkpoint, NOTE_FOREIGN_BYTES_MAX, &a->kept, &o->kept_n, e);
		o->kept = a->kept;
	}
	if (rc == RC_OK && line->since) {
		rc = source_file(line->since, VERIFY_SINCE_MAX, &a->since, &o->since_n, e);
		o->since = a->since;
		if (rc && access(line->since, F_OK) != 0 && errno == ENOENT)
			err_add(e, rc,
				"the file does not exist yet: verify once with --keep and without --since");
	}
	return rc;
}

static void report_print(const struct verify_report *r, const struct cli_line *line)
{
	static char text[VERIFY_TEXT_MAX];

	if (line->given & OPT(JSON)) {
		if (verify_ledger_json(r, text, sizeof text) > 0)
			print_json(text);
		return;
	}
	if (verify_ledger_text(r, text, sizeof text) > 0)
		print_lines(text);
	if (line->given & OPT(EXPLAIN) && verify_explain_text(r, text, sizeof text) > 0) {
		putchar('\n');
		print_lines(text);
	}
}

/* What --keep writes when all is good: the state of the last reading. */
struct kept_state {
	uint8_t *bytes;
	size_t n;
};

static void kept_take(void *context, const void *bytes, size_t n)
{
	struct kept_state *k = context;

	free(k->bytes);
	k->bytes = malloc(n);
	k->n = k->bytes ? n : 0;
	if (k->bytes)
		memcpy(k->bytes, bytes, n);
}

/* Replaces an older file only when the new one is complete and on the disk. */
static enum rc kept_write(const struct kept_state *k, const char *path, struct err *e)
{
	if (k->n == 0)
		return err_add(
			e, RC_RANGE, "'%s' was not written: the log has no published checkpoint yet", path);
	char part[PART_PATH_MAX];
	enum rc rc = part_write(part, path, k->bytes, k->n, e);
	if (rc == RC_OK && rename(part, path) < 0) {
		rc = err_errno(e, RC_IO, "name the file '%s'", path);
		unlink(part);
	}
	return rc;
}

int run_verify_ledger(const struct cli_line *line)
{
	struct kept_state kept = { 0 };
	struct verify_options o = { .vkey = line->key,
		.now_s = clock_utc() / 1000000,
		.sealed_starts = true,
		.keep = line->keep ? kept_take : NULL,
		.program = PLAINGATE_VERSION,
		.context = &kept,
		.max_age_s = line->max_age_s,
		.max_uncosigned = line->max_uncosigned };
	static struct verify_report report;
	static struct asked asked;
	struct source *from = NULL;
	struct err e = { 0 };
	enum rc rc = asked_load(&asked, line, &o, &e);

	if (rc == RC_OK)
		rc = source_open(&from, line->argument, line->archive, &e);
	if (rc != RC_OK) {
		asked_done(&asked);
		return complain(&e, STATUS_USAGE);
	}
	struct verify_source source = source_of(from);
	rc = verify_ledger(&source, &o, &report, &e);
	asked_done(&asked);
	if (rc == RC_IO && source_trouble(from)[0])
		err_add(&e, rc, "%s", source_trouble(from));
	source_close(from);
	if (rc != RC_OK && rc != RC_AUTH) {
		free(kept.bytes);
		return complain(&e, STATUS_USAGE);
	}
	report_print(&report, line);
	enum verify_status status = verify_status(rc, &report);
	if (line->keep && status == VERIFY_STATUS_GOOD)
		rc = kept_write(&kept, line->keep, &e);
	free(kept.bytes);
	return rc == RC_OK || rc == RC_AUTH ? (int)status : complain(&e, STATUS_USAGE);
}

/* ---- randomness: the entries that the same walk finds good ---- */

struct collect {
	struct randomness *checker;
	struct randomness_report report;
	const struct cli_line *line;
	struct capture *capture;     /* NULL: none was given */
	const struct policy *policy; /* likewise */
	const struct verify_report *ledger;
	bool out_of_memory;
};

static void collect_begin(void *context)
{
	struct collect *c = context;

	randomness_free(c->checker);
	c->checker = randomness_new(&c->report);
	c->out_of_memory = !c->checker;
	if (c->checker && c->capture)
		randomness_compare(c->checker, c->capture, c->line->ours, c->line->ours_n);
	if (c->checker && c->policy)
		randomness_witnesses(c->checker, c->policy, c->ledger->origin);
}

static void collect_grown(void *context, const struct merkle_edge *edge)
{
	struct collect *c = context;

	if (c->checker)
		randomness_grown(c->checker, edge);
}

static void collect_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct collect *c = context;

	if (c->checker && randomness_entry(c->checker, entry, index) == RC_LIMIT)
		c->out_of_memory = true;
}

static void randomness_print(const struct randomness_report *r, struct randomness_asked asked, bool json)
{
	char text[RANDOMNESS_TEXT_MAX];

	if (!json && randomness_report_text(r, asked, text, sizeof text) > 0)
		print_lines(text);
	if (json && randomness_report_json(r, asked, text, sizeof text) > 0)
		print_json(text);
}

static enum rc capture_load(struct capture *ret, const struct cli_line *line, struct err *e)
{
	uint8_t *bytes = NULL;
	size_t n;
	enum rc rc = source_file(line->capture, CLI_CAPTURE_BYTES_MAX, &bytes, &n, e);

	if (rc == RC_OK && (rc = capture_read(ret, bytes, n, e)) != RC_OK)
		err_add(e, rc, "in the capture '%s'", line->capture);
	free(bytes);
	return rc;
}

/* After the walk, which returned `rc`. Values that are not derived are in the report. RC_LIMIT: out of
 * memory. */
static enum rc collect_end(struct collect *c, enum rc rc, struct err *e)
{
	if (rc == RC_OK && c->out_of_memory)
		rc = err_add(e, RC_LIMIT, "out of memory");
	if (rc == RC_OK)
		randomness_end(c->checker);
	randomness_free(c->checker);
	return rc;
}

int run_verify_randomness(const struct cli_line *line)
{
	static struct verify_report ledger;
	struct capture capture = { 0 };
	static struct asked asked;
	struct collect c = { .line = line, .capture = line->capture ? &capture : NULL, .ledger = &ledger };
	struct verify_options o = { .vkey = line->key,
		.sealed_starts = true,
		.begin = collect_begin,
		.entry = collect_entry,
		.context = &c };
	struct source *from = NULL;
	struct err e = { 0 };

	enum rc rc = asked_load(&asked, line, &o, &e);
	if (rc == RC_OK && line->ours_n > 0 && !line->capture)
		rc = err_add(
			&e, RC_MALFORMED, "--ours needs the packets to compare: give them with --capture");
	c.policy = o.policy;
	if (c.policy)
		o.grown = collect_grown;
	rc = rc == RC_OK && line->capture ? capture_load(&capture, line, &e) : rc;
	if (rc == RC_OK)
		rc = source_open(&from, line->argument, line->archive, &e);
	if (rc != RC_OK) {
		capture_done(&capture);
		return complain(&e, STATUS_USAGE);
	}
	struct verify_source source = source_of(from);
	rc = verify_ledger(&source, &o, &ledger, &e);
	if (rc == RC_OK && (ledger.bundle || ledger.entries_unseen))
		rc = err_add(&e, RC_RANGE,
			"not all entries are there, and proofs may need the missing ones: %s",
			ledger.bundle ? "give the ledger instead of the bundle"
				      : "give the archive with --archive");
	else if (rc == RC_IO && source_trouble(from)[0])
		err_add(&e, rc, "%s", source_trouble(from));
	source_close(from);
	rc = collect_end(&c, rc, &e);
	capture_done(&capture);
	/* If the ledger does not verify, nothing is proved. */
	if (rc != RC_OK)
		return complain(&e, status_of(rc));
	const struct randomness_asked what = { .capture = line->capture, .policy = line->policy };
	randomness_print(&c.report, what, line->given & OPT(JSON));
	if (c.report.failures)
		return STATUS_FAILED;
	return randomness_weak(&c.report, what.policy) ? (int)VERIFY_STATUS_WEAK : STATUS_OK;
}
