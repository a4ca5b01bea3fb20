#include "cli/investigate.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "cli/limits.h"
#include "cli/part.h"
#include "cli/render.h"
#include "cli/source.h"
#include "cli/times.h"
#include "verify/evidence.h"
#include "verify/tar.h"
#include "cli/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- heads that stay as they were read, over a ledger that goes on ---- */

enum { FROZEN_JOURNAL, FROZEN_COSIGNED, FROZEN_CHECKPOINT, FROZEN };
static const char *const frozen_paths[FROZEN] = { "journal", VERIFY_PATH_COSIGNED, "checkpoint" };

struct frozen {
	struct verify_source under;
	enum rc rc[FROZEN];
	uint8_t *bytes[FROZEN];
	size_t n[FROZEN];
};

static void frozen_free(struct frozen *f)
{
	for (int i = 0; i < FROZEN; i++) {
		free(f->bytes[i]);
		f->bytes[i] = NULL;
	}
}

/* In the order in which verification reads them. */
static void frozen_take(struct frozen *f)
{
	frozen_free(f);
	for (int i = 0; i < FROZEN; i++)
		f->rc[i] = f->under.read(f->under.context, frozen_paths[i], &f->bytes[i], &f->n[i]);
}

static enum rc copy_out(const uint8_t *bytes, size_t n, uint8_t **ret_bytes, size_t *ret_n)
{
	*ret_bytes = malloc(n + 1);
	*ret_n = *ret_bytes ? n : 0;
	if (*ret_bytes && n > 0)
		memcpy(*ret_bytes, bytes, n);
	return *ret_bytes ? RC_OK : RC_LIMIT;
}

static enum rc frozen_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct frozen *f = context;

	*ret_bytes = NULL;
	*ret_n = 0;
	for (int i = 0; i < FROZEN; i++)
		if (strcmp(path, frozen_paths[i]) == 0)
			return f->rc[i] == RC_OK ? copy_out(f->bytes[i], f->n[i], ret_bytes, ret_n)
						 : f->rc[i];
	return f->under.read(f->under.context, path, ret_bytes, ret_n);
}

static void frozen_pause(void *context)
{
}

static struct verify_source frozen_source(struct frozen *f)
{
	/* Not listed: other files change, and do not go into the bundle. */
	return (struct verify_source){ .context = f, .read = frozen_read, .pause = frozen_pause };
}

/* ---- the file that is made ---- */

struct bundle_out {
	const struct verify_source *from;
	uint8_t *bytes;
	size_t n, room;
	uint64_t mtime;
	uint64_t configs;
	char *page;
	size_t page_n;
	enum rc rc; /* the first failure */
	struct err *e;
};

static uint8_t *out_room(struct bundle_out *o, size_t n)
{
	if (o->rc != RC_OK)
		return NULL;
	if (o->room - o->n < n) {
		size_t room = MAX_OF(o->n + n, MAX_OF(2 * o->room, (size_t)(1u << 20)));
		uint8_t *more = room > CLI_BUNDLE_BYTES_MAX ? NULL : realloc(o->bytes, room);
		if (!more) {
			o->rc = err_add(o->e, RC_LIMIT,
				"the bundle exceeds its limit of 2 GiB: choose a shorter time");
			return NULL;
		}
		o->bytes = more;
		o->room = room;
	}
	o->n += n;
	return o->bytes + o->n - n;
}

static void out_add(struct bundle_out *o, const char *name, const void *bytes, size_t n)
{
	uint8_t *at = out_room(o, TAR_BLOCK + n + tar_padding(n));

	if (!at)
		return;
	if (!tar_header(at, name, n, o->mtime)) {
		o->rc = err_add(o->e, RC_INTERNAL, "'%s' is not a valid file name in a bundle", name);
		return;
	}
	if (n > 0)
		memcpy(at + TAR_BLOCK, bytes, n);
	memset(at + TAR_BLOCK + n, 0, tar_padding(n));
}

static void out_end(struct bundle_out *o)
{
	uint8_t *at = out_room(o, 2 * TAR_BLOCK);

	if (at)
		memset(at, 0, 2 * TAR_BLOCK);
}

/* A file of the ledger; optional: it may be missing. */
static void out_copy(struct bundle_out *o, const char *path, bool optional)
{
	uint8_t *bytes;
	size_t n;

	if (o->rc != RC_OK)
		return;
	enum rc rc = evidence_file_read(o->from, path, &bytes, &n);
	if (rc == RC_OK)
		out_add(o, path, bytes, n);
	else if (rc != RC_NOT_FOUND || !optional)
		o->rc = err_add(o->e, rc, "read '%s' of the ledger: %s", path, rc_text(rc));
	free(bytes);
}

static void out_ledger_file(void *to, const char *path)
{
	out_copy(to, path, false);
}

static void readme_add(struct bundle_out *o, const struct verify_range *r)
{
	char text[EVIDENCE_README_MAX];

	out_add(o, EVIDENCE_PATH_README, text, evidence_readme_text(r, text, sizeof text));
}

/* Texts of configurations that the entries name, from the directory where control keeps them. */
static void configs_add(struct bundle_out *o, const struct evidence *v, const char *folder)
{
	DIR *d = opendir(folder);

	if (!d)
		return;
	for (struct dirent *f; o->rc == RC_OK && (f = readdir(d)) != NULL;) {
		char path[4096], name[EVIDENCE_PATH_MAX];
		uint8_t *bytes;
		size_t n;
		if (f->d_name[0] == '.' ||
			snprintf(path, sizeof path, "%s/%s", folder, f->d_name) >= (int)sizeof path ||
			source_file(path, EVIDENCE_CONFIG_MAX, &bytes, &n, NULL) != RC_OK)
			continue;
		struct tar seen = { 0 };
		if (evidence_config(v, bytes, n, name)) {
			/* The same text may have been committed twice. */
			size_t had = o->n;
			out_end(o);
			bool there = o->rc == RC_OK && tar_parse(&seen, o->bytes, o->n, NULL) == RC_OK &&
				     tar_find(&seen, name);
			tar_done(&seen);
			o->n = had;
			if (!there) {
				out_add(o, name, bytes, n);
				o->configs++;
			}
		}
		free(bytes);
	}
	closedir(d);
}

/* ---- verification of what is made ---- */

static enum rc bundle_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct tar_file *f = tar_find(context, path);

	*ret_bytes = NULL;
	*ret_n = 0;
	return f ? copy_out(f->bytes, f->n, ret_bytes, ret_n) : RC_NOT_FOUND;
}

static enum rc bundle_list(void *context, void (*each)(void *to, const char *path), void *to)
{
	const struct tar *t = context;

	for (size_t i = 0; i < t->n; i++)
		each(to, t->file[i].name);
	return RC_OK;
}

static void page_take(void *context, const char *page, size_t n)
{
	struct bundle_out *o = context;
	size_t copy_n;

	free(o->page);
	if (copy_out((const uint8_t *)page, n, (uint8_t **)&o->page, &copy_n) == RC_OK)
		o->page_n = n;
}

/* As a reader will: the bundle alone. making: before its timeline is there. */
static enum rc out_verify(
	struct bundle_out *o, const char *vkey, bool making, struct verify_report *ret_report)
{
	struct verify_options options = {
		.vkey = vkey, .sealed_starts = true, .making = making, .timeline = page_take, .context = o
	};
	struct verify_source source = { .read = bundle_read, .list = bundle_list, .pause = frozen_pause };
	struct tar t = { 0 };
	size_t had = o->n;

	if (making)
		out_end(o);
	if (o->rc != RC_OK)
		return o->rc;
	enum rc rc = tar_parse(&t, o->bytes, o->n, o->e);
	source.context = &t;
	if (rc == RC_OK)
		rc = verify_ledger(&source, &options, ret_report, o->e);
	if (rc != RC_OK)
		err_add(o->e, rc, "while checking the bundle that was made");
	tar_done(&t);
	if (making)
		o->n = had;
	return rc;
}

/* Under its name only when it is whole and on the disk; one that is there already stays. */
static enum rc out_write(const struct bundle_out *o, const char *path, struct err *e)
{
	char part[PART_PATH_MAX];
	enum rc rc = part_write(part, path, o->bytes, o->n, e);

	if (rc != RC_OK)
		return rc;
	/* Some file systems (NFS) cannot rename without replacing, others (FAT) have no links. */
	bool named = renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0;
	if (!named && (errno != EINVAL || link(part, path) < 0))
		rc = errno == EEXIST ? err_add(e, RC_IO, "'%s' exists and is kept: name another file", path)
				     : err_errno(e, RC_IO, "rename the bundle to '%s'", path);
	if (!named)
		unlink(part);
	return rc;
}

/* ---- the command ---- */

struct inquiry {
	struct source *from;
	struct frozen frozen;
	struct evidence *chosen;
	struct verify_report report, made; /* of the ledger; of the bundle */
	struct verify_range range;
	struct bundle_out out;
};

/* The whole ledger, found good; what belongs to the bundle is chosen on the way. */
static enum rc ledger_walk(struct inquiry *q, const char *vkey, struct err *e)
{
	struct verify_source under = source_of(q->from), source = frozen_source(&q->frozen);
	struct verify_options o = { .vkey = vkey,
		.sealed_starts = true,
		.begin = evidence_begin,
		.entry = evidence_entry,
		.sealed = evidence_sealed,
		.context = q->chosen };
	enum rc rc = RC_AGAIN;

	q->frozen.under = under;
	for (int i = 0; i < CLI_TRIES_MAX && rc != RC_OK; i++) {
		struct err why = { 0 };
		if (i > 0)
			under.pause(under.context);
		frozen_take(&q->frozen);
		rc = verify_ledger(&source, &o, &q->report, &why);
		if (source_trouble(q->from)[0])
			return err_add(e, RC_IO, "%s", source_trouble(q->from));
		if (rc == RC_MALFORMED || (rc != RC_OK && i + 1 == CLI_TRIES_MAX))
			return err_add(e, rc, "%s%s",
				rc == RC_AUTH ? "the ledger is not good, keep all of it: " : "", why.text);
	}
	if (q->report.bundle)
		return err_add(e, RC_RANGE, "this is already an evidence bundle: expected a ledger");
	if (q->report.entries_unseen)
		return err_add(e, RC_RANGE, "%llu entries are in an archive: name it with --archive",
			(unsigned long long)q->report.entries_unseen);
	return RC_OK;
}

static enum rc bundle_make(struct inquiry *q, const char *configs, struct err *e)
{
	struct verify_source source = frozen_source(&q->frozen);
	utc_us now = clock_utc();
	char range[512];

	q->out = (struct bundle_out){ .from = &source, .mtime = now / 1000000, .e = e };
	if (evidence_choose(q->chosen, q->report.published, q->report.cosigned_head, &q->range) != RC_OK)
		return err_add(e, RC_LIMIT, "out of memory");
	utc_text(q->range.made, now);
	snprintf(q->range.version, sizeof q->range.version, "%s", PLAINGATE_VERSION);
	readme_add(&q->out, &q->range);
	out_add(&q->out, EVIDENCE_PATH_RANGE, range, evidence_range_text(&q->range, range, sizeof range));
	out_copy(&q->out, "log.vkey", false);
	out_copy(&q->out, "checkpoint", true);
	out_copy(&q->out, VERIFY_PATH_COSIGNED, true);
	if (evidence_needs_journal(q->chosen))
		out_copy(&q->out, "journal", false);
	evidence_files(q->chosen, out_ledger_file, &q->out);
	configs_add(&q->out, q->chosen, configs);
	enum rc rc = out_verify(&q->out, q->report.vkey, true, &q->made);
	if (rc != RC_OK)
		return rc;
	out_add(&q->out, EVIDENCE_PATH_TIMELINE, q->out.page, q->out.page_n);
	out_end(&q->out);
	return out_verify(&q->out, q->report.vkey, false, &q->made);
}

static void inquiry_done(struct inquiry *q)
{
	frozen_free(&q->frozen);
	evidence_free(q->chosen);
	source_close(q->from);
	free(q->out.bytes);
	free(q->out.page);
}

/* Who asks for an hour means the true one: where the clock was set, entries of it may have other dates. */
static void steps_print(const struct verify_report *r)
{
	for (size_t i = 0; i < MIN_OF(r->clock_steps, (uint64_t)VERIFY_STEPS_MAX); i++) {
		const struct verify_step *s = &r->clock_step[i];
		printf("the clock was set %s by %llu s before entry %llu: entries of that time may have "
		       "other dates\n",
			s->back ? "back" : "ahead", (unsigned long long)(s->us / 1000000),
			(unsigned long long)s->entry);
	}
	if (r->clock_steps > VERIFY_STEPS_MAX)
		printf("and %llu more times\n", (unsigned long long)r->clock_steps - VERIFY_STEPS_MAX);
}

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

int run_investigate(const struct cli_line *line)
{
	static struct inquiry q;
	char from[UTC_TEXT_MAX], to[UTC_TEXT_MAX], beside[4096];
	struct err e = { 0 };

	if (!line->from || !line->to || !line->output) {
		err_add(&e, RC_MALFORMED, "investigate needs --from, --to and -o");
		return complain(&e, STATUS_USAGE);
	}
	if (time_parse(from, line->from, false, &e) != RC_OK || time_parse(to, line->to, true, &e) != RC_OK)
		return complain(&e, STATUS_USAGE);
	if (strcmp(from, to) > 0) {
		err_add(&e, RC_RANGE, "--to is before --from");
		return complain(&e, STATUS_USAGE);
	}
	snprintf(beside, sizeof beside, "%s/../config", line->argument);
	q.chosen = evidence_new(from, to);
	enum rc rc = q.chosen ? source_open(&q.from, line->argument, line->archive, &e)
			      : err_add(&e, RC_LIMIT, "out of memory");
	if (rc == RC_OK)
		rc = ledger_walk(&q, line->key, &e);
	bool read = rc == RC_OK || rc == RC_AUTH;
	if (rc == RC_OK)
		rc = bundle_make(&q, line->config ? line->config : beside, &e);
	if (rc == RC_OK)
		rc = out_write(&q.out, line->output, &e);
	if (rc == RC_OK) {
		if (q.range.end > q.range.first)
			printf("entries %llu to %llu, %llu in total, with %llu configurations, were written "
			       "to ",
				(unsigned long long)q.range.first, (unsigned long long)q.range.end - 1,
				(unsigned long long)(q.range.end - q.range.first),
				(unsigned long long)q.out.configs);
		else
			printf("the ledger has no entry of that time; the proof of that was written to ");
		render_safe(stdout, line->output, strlen(line->output), false);
		printf(" (%zu bytes)\n", q.out.n);
		steps_print(&q.report);
	}
	inquiry_done(&q);
	return rc == RC_OK ? STATUS_OK : complain(&e, read ? STATUS_FAILED : STATUS_USAGE);
}
