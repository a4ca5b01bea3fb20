#include "cli/verify_log.h"

#include "cli/directory.h"
#include "cli/ledger_entries.h"
#include "cli/limits.h"
#include "cli/render.h"
#include "cli/source.h"
#include "verify/session_log.h"
#include "verify/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

/* ---- the ledger ---- */

struct reading {
	struct session_log_check *check;
	bool out_of_memory;
};

static void on_begin(void *context)
{
	struct reading *r = context;

	session_log_check_restart(r->check);
}

static void on_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct reading *r = context;

	r->out_of_memory |= session_log_check_entry(r->check, entry, index) == RC_LIMIT;
}

/* ---- the log ---- */

static int is_log(const struct dirent *f)
{
	size_t n = strlen(f->d_name), prefix = sizeof SESSION_FILE_PREFIX - 1,
	       ending = sizeof SESSION_FILE_ENDING - 1;

	return n == prefix + SESSION_FILE_DIGITS + ending &&
	       strncmp(f->d_name, SESSION_FILE_PREFIX, prefix) == 0 &&
	       strspn(f->d_name + prefix, "0123456789") == SESSION_FILE_DIGITS &&
	       strcmp(f->d_name + n - ending, SESSION_FILE_ENDING) == 0;
}

/* Lines that are longer than one of ours come in pieces, of which none is a line. */
static enum rc file_read(struct session_log_check *c, int dir, const char *name, struct err *e)
{
	char text[SESSION_LINE_MAX + 1];
	struct stat st;
	int fd = directory_open(dir, name, O_RDONLY);
	FILE *f = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return err_add(e, RC_IO, "'%s' cannot be read, or is not a regular file", name);
	}
	session_log_check_file(c, name);
	size_t n = 0;
	for (int octet; (octet = getc_unlocked(f)) != EOF;) {
		if (octet == '\n' || n == sizeof text - 1) {
			session_log_check_line(c, text, n, true);
			n = 0;
		}
		if (octet != '\n')
			text[n++] = (char)octet;
	}
	if (n > 0)
		session_log_check_line(c, text, n, false);
	enum rc rc = ferror(f) ? err_errno(e, RC_IO, "read '%s'", name) : RC_OK;
	fclose(f);
	return rc;
}

static enum rc log_read(struct session_log_check *c, const char *where, struct err *e)
{
	int dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	enum rc rc = RC_OK;

	if (dir < 0)
		return err_errno(e, RC_IO, "open '%s'", where);
	int n = scandirat(dir, ".", &names, is_log, alphasort);
	if (n < 0)
		rc = err_errno(e, RC_IO, "list '%s'", where);
	else if (n == 0)
		rc = err_add(e, RC_NOT_FOUND, "'%s' has no file of a session log: expected %s*%s", where,
			SESSION_FILE_PREFIX, SESSION_FILE_ENDING);
	for (int i = 0; i < n; i++) {
		if (rc == RC_OK)
			rc = file_read(c, dir, names[i]->d_name, e);
		free(names[i]);
	}
	free(names);
	close(dir);
	return rc;
}

static void report_print(const struct session_log_report *r, bool json)
{
	char text[SESSION_LOG_TEXT_MAX];

	if (json && session_log_report_json(r, text, sizeof text) > 0) {
		puts("[");
		render_object_json(stdout, text, NULL);
		puts("\n]");
		return;
	}
	if (json || session_log_report_text(r, text, sizeof text) == 0)
		return;
	for (const char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		render_safe(stdout, at, (size_t)(end - at), false);
		putchar('\n');
	}
}

int run_verify_log(const struct cli_line *line)
{
	struct reading r = { .check = session_log_check_new() };
	static struct verify_report ledger;
	struct session_log_report report;
	struct err e = { 0 };
	char beside[4096];

	if (!r.check) {
		err_add(&e, RC_LIMIT, "out of memory");
		return complain(&e, STATUS_USAGE);
	}
	snprintf(beside, sizeof beside, "%s/../ledger", line->argument);
	const struct verify_options hooks = { .begin = on_begin, .entry = on_entry, .context = &r };
	enum rc rc = ledger_entries_read(line, line->ledger ? line->ledger : beside, &hooks, &ledger, &e);
	if (rc == RC_OK && r.out_of_memory)
		rc = err_add(&e, RC_LIMIT, "out of memory");
	/* A ledger that is not good says nothing about the log. */
	if (rc != RC_OK) {
		session_log_check_free(r.check);
		err_add(&e, rc, "while verifying the ledger");
		return complain(&e, rc == RC_AUTH ? STATUS_FAILED : STATUS_USAGE);
	}
	rc = log_read(r.check, line->argument, &e);
	session_log_check_end(r.check, &report);
	session_log_check_free(r.check);
	if (rc != RC_OK)
		return complain(&e, STATUS_USAGE);
	if (ledger.stale)
		snprintf(report.staleness, sizeof report.staleness, "%s", ledger.staleness);
	report_print(&report, line->given & OPT(JSON));
	if (!report.good)
		return STATUS_FAILED;
	return ledger.stale ? (int)VERIFY_STATUS_STALE : STATUS_OK;
}
