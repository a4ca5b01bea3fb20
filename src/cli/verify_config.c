#include "cli/verify_config.h"

#include "cli/ledger_entries.h"
#include "cli/limits.h"
#include "cli/render.h"
#include "cli/source.h"
#include "crypto/hash.h"
#include "model/model.h"
#include "verify/signed_commits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The texts of a directory, found by their digest whatever their files are called. */
struct texts {
	const char *folder;
	size_t n;
	struct known {
		uint8_t sha256[SHA256_SIZE];
		char name[256];
	} *at;
};

struct reading {
	struct signed_commits_check *check;
	bool out_of_memory;
};

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

static void on_begin(void *context)
{
	struct reading *r = context;

	signed_commits_check_restart(r->check);
}

static void on_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct reading *r = context;

	r->out_of_memory |= signed_commits_check_entry(r->check, entry, index) == RC_INTERNAL;
}

static enum rc text_read(const struct texts *t, const char *name, uint8_t **ret_bytes, size_t *ret_n)
{
	char path[4096];

	return snprintf(path, sizeof path, "%s/%s", t->folder, name) < (int)sizeof path
		       ? source_file(path, CONFIG_TEXT_MAX, ret_bytes, ret_n, NULL)
		       : RC_LIMIT;
}

static enum rc text_find(void *context, const uint8_t sha256[SHA256_SIZE], char **ret_text, size_t *ret_n)
{
	const struct texts *t = context;
	uint8_t *bytes = NULL;
	enum rc rc;

	*ret_text = NULL;
	for (size_t i = 0; i < t->n; i++) {
		if (memcmp(t->at[i].sha256, sha256, SHA256_SIZE) != 0)
			continue;
		if ((rc = text_read(t, t->at[i].name, &bytes, ret_n)) != RC_OK)
			return rc;
		/* Terminated, as texts are. */
		if (!(*ret_text = realloc(bytes, *ret_n + 1))) {
			free(bytes);
			return RC_INTERNAL;
		}
		(*ret_text)[*ret_n] = '\0';
		return RC_OK;
	}
	return RC_NOT_FOUND;
}

static enum rc text_add(struct texts *t, const char *name)
{
	struct known *more;
	uint8_t *bytes = NULL;
	size_t n;

	if (name[0] == '.' || strlen(name) >= sizeof t->at->name || text_read(t, name, &bytes, &n) != RC_OK)
		return RC_OK;
	if (!(more = reallocarray(t->at, t->n + 1, sizeof *more))) {
		free(bytes);
		return RC_INTERNAL;
	}
	t->at = more;
	sha256(t->at[t->n].sha256, bytes, n);
	snprintf(t->at[t->n++].name, sizeof t->at->name, "%s", name);
	free(bytes);
	return RC_OK;
}

static enum rc texts_open(struct texts *t, const char *folder, struct err *e)
{
	DIR *d = opendir(folder);
	enum rc rc = RC_OK;

	t->folder = folder;
	if (!d)
		return err_errno(e, RC_IO, "open '%s'", folder);
	for (struct dirent *f; rc == RC_OK && (f = readdir(d)) != NULL;)
		rc = text_add(t, f->d_name);
	closedir(d);
	return rc ? err_add(e, rc, "out of memory") : RC_OK;
}

static void report_print(const struct signed_commits_report *r, bool json)
{
	char text[SIGNED_COMMITS_TEXT_MAX];

	if (json && signed_commits_report_json(r, text, sizeof text) > 0) {
		puts("[");
		render_object_json(stdout, text, NULL);
		puts("\n]");
		return;
	}
	if (json || signed_commits_report_text(r, text, sizeof text) == 0)
		return;
	for (const char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		render_safe(stdout, at, (size_t)(end - at), false);
		putchar('\n');
	}
}

static enum rc walk(
	struct reading *r, const struct cli_line *line, struct verify_report *ledger, struct err *e)
{
	const struct verify_options hooks = { .begin = on_begin, .entry = on_entry, .context = r };
	char beside[4096];

	snprintf(beside, sizeof beside, "%s/../ledger", line->argument);
	enum rc rc = ledger_entries_read(line, line->ledger ? line->ledger : beside, &hooks, ledger, e);
	if (rc == RC_OK && r->out_of_memory)
		rc = err_add(e, RC_INTERNAL, "out of memory");
	/* A ledger that is not good says nothing about configurations. */
	return rc ? err_add(e, rc, "while verifying the ledger") : RC_OK;
}

int run_verify_config(const struct cli_line *line)
{
	static struct verify_report ledger;
	struct signed_commits_report report;
	struct texts texts = { 0 };
	struct reading r = { .check = signed_commits_check_new(text_find, &texts) };
	struct err e = { 0 };
	enum rc rc =
		r.check ? texts_open(&texts, line->argument, &e) : err_add(&e, RC_INTERNAL, "out of memory");

	if (rc == RC_OK)
		rc = walk(&r, line, &ledger, &e);
	if (rc == RC_OK)
		signed_commits_check_end(r.check, &report);
	signed_commits_check_free(r.check);
	free(texts.at);
	if (rc != RC_OK)
		return complain(&e, rc == RC_AUTH ? STATUS_FAILED : STATUS_USAGE);
	if (ledger.stale)
		snprintf(report.staleness, sizeof report.staleness, "%s", ledger.staleness);
	report_print(&report, line->given & OPT(JSON));
	if (!report.good)
		return report.unknown ? (int)VERIFY_STATUS_UNKNOWN : STATUS_FAILED;
	return ledger.stale ? (int)VERIFY_STATUS_STALE : STATUS_OK;
}
