#include "cli/verify.h"

#include "cli/directory.h"
#include "cli/render.h"
#include "verify/randomness.h"
#include "verify/verify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

/* What verify_ledger() says, as an exit status: 1 is for what was found wrong. */
static int status_of(enum rc rc)
{
	return rc == RC_OK ? STATUS_OK : rc == RC_AUTH ? STATUS_FAILED : STATUS_USAGE;
}

static int directory_open(const struct cli_line *line)
{
	struct err e = { 0 };
	int fd = open(line->argument, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err_errno(&e, RC_IO, "open the ledger's directory '%s'", line->argument);
		complain(&e, STATUS_USAGE);
	}
	return fd;
}

/* A finding may quote what somebody put into a file: nothing of it reaches the terminal as it is. */
static void print_lines(const char *text)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		render_safe(stdout, text, (size_t)(end - text), false);
		putchar('\n');
	}
}

int run_verify_ledger(const struct cli_line *line)
{
	struct verify_options o = { .vkey = line->key };
	static struct verify_report report;
	static char text[VERIFY_TEXT_MAX];
	struct err e = { 0 };
	int fd = directory_open(line);

	if (fd < 0)
		return STATUS_USAGE;
	struct verify_source source = directory_source(&fd);
	enum rc rc = verify_ledger(&source, &o, &report, &e);
	close(fd);
	if (rc != RC_OK && rc != RC_AUTH)
		return complain(&e, STATUS_USAGE);
	if (line->given & OPT(JSON)) {
		if (verify_ledger_json(&report, text, sizeof text) > 0)
			printf("[\n%s\n]\n", text);
	} else if (verify_ledger_text(&report, text, sizeof text) > 0) {
		print_lines(text);
	}
	return status_of(rc);
}

/* ---- randomness: the entries that the same walk finds good ---- */

struct collect {
	struct randomness *checker;
	struct randomness_report report;
	bool no_memory;
};

static void collect_begin(void *context)
{
	struct collect *c = context;

	randomness_free(c->checker);
	c->checker = randomness_new(&c->report);
	c->no_memory = !c->checker;
}

static void collect_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct collect *c = context;

	if (c->checker && randomness_entry(c->checker, entry, index) == RC_LIMIT)
		c->no_memory = true;
}

static void randomness_text(const struct randomness_report *r)
{
	if (r->failures > 0) {
		printf("The public values are NOT all forced: ");
		render_safe(stdout, r->finding, strlen(r->finding), false);
		printf(".\n  failures     %" PRIu64 "\n", r->failures);
	} else {
		printf("Every public value that the ledger names was forced: %" PRIu64 " proofs hold.\n",
			r->proofs_checked);
	}
	printf("  keys         %" PRIu64 " epochs, %" PRIu64 " of them laid open: %" PRIu64
	       " values can be recomputed\n",
		r->epochs, r->epochs_open, r->values_open);
	printf("  passed over  %" PRIu64 " candidates of SPIs, which the keeper says were in use\n",
		r->passed_over);
	puts("This proves that SPIs and nonces of these exchanges were not chosen. It does not prove how "
	     "the\n"
	     "key of an epoch was drawn, nor how secrets were: docs/threat-model.md.");
}

static void randomness_json(const struct randomness_report *r)
{
	char text[1024];
	struct jw w = jw_over(text, sizeof text, true);

	jw_object(&w, NULL);
	jw_u64(&w, "epochs", r->epochs);
	jw_u64(&w, "epochs_open", r->epochs_open);
	jw_u64(&w, "failures", r->failures);
	jw_str(&w, "finding", r->finding);
	jw_u64(&w, "passed_over", r->passed_over);
	jw_u64(&w, "proofs_checked", r->proofs_checked);
	jw_u64(&w, "unproved", r->unproved);
	jw_u64(&w, "values_open", r->values_open);
	jw_end(&w);
	if (jw_done(&w) > 0)
		printf("[\n%s\n]\n", text);
}

int run_verify_randomness(const struct cli_line *line)
{
	static struct verify_report ledger;
	struct collect c = { 0 };
	struct verify_options o = {
		.vkey = line->key, .begin = collect_begin, .entry = collect_entry, .context = &c
	};
	struct err e = { 0 };
	int fd = directory_open(line);

	if (fd < 0)
		return STATUS_USAGE;
	struct verify_source source = directory_source(&fd);
	enum rc rc = verify_ledger(&source, &o, &ledger, &e);
	close(fd);
	randomness_free(c.checker);
	if (rc == RC_OK && c.no_memory)
		rc = err_add(&e, RC_LIMIT, "memory is short");
	/* Of a ledger that does not verify nothing is proved. */
	if (rc != RC_OK)
		return complain(&e, status_of(rc));
	if (line->given & OPT(JSON))
		randomness_json(&c.report);
	else
		randomness_text(&c.report);
	return c.report.failures ? STATUS_FAILED : STATUS_OK;
}
