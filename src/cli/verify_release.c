#include "cli/verify_release.h"

#include "base/json.h"
#include "cli/directory.h"
#include "cli/limits.h"
#include "cli/render.h"
#include "cli/source.h"
#include "release/release.h"
#include "verify/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const role_directories[RELEASE_ROLE_COUNT] = { "signatures", "rebuilds" };
static const char *const role_words[RELEASE_ROLE_COUNT] = { "maintainers", "rebuilders" };

/* Everything that is read of a release; texts are the caller's to free by given_done(). */
struct given {
	int dir;
	uint8_t *text, *proof;
	size_t text_n, proof_n, signatures_n;
	struct release_signature signature[CLI_SIGNATURES_MAX];
	char name[CLI_SIGNATURES_MAX][CLI_PATH_BYTES_MAX];
};

static void given_done(struct given *g)
{
	for (size_t i = 0; i < g->signatures_n; i++)
		free((void *)(uintptr_t)g->signature[i].armor);
	free(g->text);
	free(g->proof);
	if (g->dir >= 0)
		close(g->dir);
}

/* A regular file below the release's directory; RC_NOT_FOUND: it is not there. */
static enum rc file_read(
	int dir, const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	struct stat st;
	size_t n = 0;
	ssize_t part = 1;
	int fd = directory_open(dir, path, O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return err_errno(e, errno == ENOENT ? RC_NOT_FOUND : RC_IO, "read '%s' of the release", path);
	uint8_t *bytes = malloc(max + 1);
	if (!bytes || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		free(bytes);
		close(fd);
		return err_add(e, RC_IO,
			"'%s' of the release could not be read: it is not a regular file, or memory ran out",
			path);
	}
	while (part > 0 && n <= max) {
		part = read(fd, bytes + n, max + 1 - n);
		n += part > 0 ? (size_t)part : 0;
	}
	close(fd);
	if (part < 0 || n > max) {
		free(bytes);
		return part < 0 ? err_add(e, RC_IO, "'%s' of the release could not be read", path)
				: err_add(e, RC_LIMIT, "'%s' of the release has more than %zu octets", path,
					  max);
	}
	*ret_bytes = bytes;
	*ret_n = n;
	return RC_OK;
}

static enum rc signature_take(struct given *g, enum release_role role, const char *name, struct err *e)
{
	uint8_t *bytes = NULL;
	size_t n = 0;
	char *path = g->name[g->signatures_n];

	if (g->signatures_n == CLI_SIGNATURES_MAX)
		return err_add(e, RC_LIMIT, "more than %d signatures", CLI_SIGNATURES_MAX);
	if (snprintf(path, CLI_PATH_BYTES_MAX, "%s/%s", role_directories[role], name) >= CLI_PATH_BYTES_MAX)
		return err_add(e, RC_LIMIT, "the name of a signature is too long: '%.60s'", name);
	enum rc rc = file_read(g->dir, path, CLI_SIGNATURE_BYTES_MAX, &bytes, &n, e);
	if (rc == RC_OK)
		g->signature[g->signatures_n++] = (struct release_signature){
			.role = role, .name = path, .armor = (const char *)bytes, .n = n
		};
	return rc;
}

/* Files that end in .sig; a directory that is not there has none. */
static enum rc signatures_take(struct given *g, enum release_role role, struct err *e)
{
	int fd = directory_open(g->dir, role_directories[role], O_RDONLY | O_DIRECTORY);
	enum rc rc = RC_OK;

	if (fd < 0)
		return errno == ENOENT
			       ? RC_OK
			       : err_errno(e, RC_IO, "read '%s' of the release", role_directories[role]);
	DIR *list = fdopendir(fd);
	if (!list) {
		close(fd);
		return err_add(e, RC_LIMIT, "out of memory");
	}
	for (struct dirent *f; rc == RC_OK && (f = readdir(list)) != NULL;) {
		size_t n = strlen(f->d_name);
		if (n > 4 && f->d_name[0] != '.' && strcmp(f->d_name + n - 4, ".sig") == 0)
			rc = signature_take(g, role, f->d_name, e);
	}
	closedir(list);
	return rc;
}

static enum rc given_take(struct given *g, const char *where, struct err *e)
{
	enum rc rc = RC_OK;

	g->dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0)
		return err_errno(e, RC_IO, "open the directory '%s' of a release", where);
	rc = file_read(g->dir, "release.json", RELEASE_TEXT_MAX, &g->text, &g->text_n, e);
	if (rc == RC_OK)
		rc = file_read(g->dir, "release.tlog-proof", TLOG_PROOF_BYTES_MAX, &g->proof, &g->proof_n, e);
	for (unsigned role = 0; rc == RC_OK && role < RELEASE_ROLE_COUNT; role++)
		rc = signatures_take(g, role, e);
	return rc == RC_NOT_FOUND ? RC_IO : rc;
}

/* RC_AUTH: it is another file than the one that the release names. */
static enum rc file_compare(int dir, const struct release_file *f, struct err *e)
{
	uint8_t piece[CLI_PIECE_BYTES], digest[SHA256_SIZE];
	struct sha256_state state;
	struct stat st;
	uint64_t bytes = 0;
	ssize_t n;
	int fd = directory_open(dir, f->name, O_RDONLY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		enum rc rc =
			err_add(e, RC_AUTH, "the file '%s' is missing, or is not a regular file", f->name);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	state = sha256_begin();
	while ((n = read(fd, piece, sizeof piece)) > 0) {
		sha256_more(&state, piece, (size_t)n);
		bytes += (uint64_t)n;
	}
	sha256_done(&state, digest);
	close(fd);
	if (n < 0)
		return err_add(e, RC_IO, "the file '%s' could not be read", f->name);
	if (bytes != f->bytes || memcmp(digest, f->sha256, sizeof digest) != 0)
		return err_add(e, RC_AUTH,
			"the file '%s' is not the one that was released: its SHA-256 or its length differs",
			f->name);
	return RC_OK;
}

/* A file of the user's: the policy, the signers. */
static enum rc trusted_load(
	struct policy *policy, struct release_signers *signers, const struct cli_line *line, struct err *e)
{
	uint8_t *text = NULL;
	size_t n;

	if (!line->policy || !line->signers)
		return err_add(e, RC_MALFORMED,
			"whom you trust has to be said: --policy FILE for the log and its witnesses, --signers FILE for maintainers and rebuilders");
	enum rc rc = source_file(line->policy, POLICY_BYTES_MAX, &text, &n, e);
	if (rc == RC_OK && (rc = policy_parse(policy, (const char *)text, n, e)) != RC_OK)
		err_add(e, rc, "in the policy '%s'", line->policy);
	free(text);
	text = NULL;
	if (rc == RC_OK)
		rc = source_file(line->signers, RELEASE_SIGNERS_BYTES_MAX, &text, &n, e);
	if (rc == RC_OK && (rc = release_signers_parse(signers, (const char *)text, n, e)) != RC_OK)
		err_add(e, rc, "in the signers '%s'", line->signers);
	free(text);
	return rc;
}

struct result {
	struct release release;
	struct release_verdict verdict;
	struct policy policy;
	struct release_signers signers;
	size_t files;		/* that are the released ones */
	char why[ERR_TEXT_MAX]; /* the first thing that is wrong; "": nothing */
};

static void print_names(struct jw *w, const struct result *r, enum release_role role)
{
	jw_array(w, role_words[role]);
	for (size_t i = 0; i < r->signers.n; i++)
		if (r->verdict.signed_by & 1ull << i && r->signers.signer[i].role == role)
			jw_str(w, NULL, r->signers.signer[i].name);
	jw_end(w);
}

static void print_json(const struct result *r)
{
	static char text[CLI_REPORT_BYTES_MAX];
	struct jw w = jw_over(text, sizeof text, false);

	jw_object(&w, NULL);
	jw_u64(&w, "number", r->release.number);
	jw_str(&w, "version", r->release.version);
	jw_str(&w, "commit", r->release.commit);
	jw_hex(&w, "source", r->release.source, SHA256_SIZE);
	jw_u64(&w, "down_to", r->release.down_to);
	jw_u64(&w, "log_size", r->verdict.log.checkpoint.size);
	jw_str(&w, "origin", r->verdict.log.checkpoint.origin);
	print_names(&w, r, RELEASE_MAINTAINER);
	print_names(&w, r, RELEASE_REBUILDER);
	jw_u64(&w, "strangers", r->verdict.strangers);
	jw_u64(&w, "files", r->files);
	jw_str(&w, "class", release_class_name(r->verdict.class));
	jw_str(&w, "finding", r->why);
	jw_end(&w);
	if (jw_done(&w) > 0) {
		puts("[");
		render_object_json(stdout, text, NULL);
		puts("\n]");
	}
}

static void print_text(const struct result *r)
{
	const struct release_verdict *v = &r->verdict;

	if (r->release.number > 0)
		printf("release %llu, version %s, commit %s\n", (unsigned long long)r->release.number,
			r->release.version, r->release.commit);
	if (v->class == RELEASE_NONE || v->class > RELEASE_PROOF) {
		unsigned witnesses = 0;
		for (size_t i = 0; i < r->policy.witnesses_n; i++)
			witnesses += (v->log.policy.signed_mask >> i) & 1;
		printf("log        it is in '%s' of %llu entries; %u witnesses of your policy cosigned%s\n",
			v->log.checkpoint.origin, (unsigned long long)v->log.checkpoint.size, witnesses,
			r->policy.quorum.kind == POLICY_NONE ? " (your policy asks for none)" : "");
	}
	for (unsigned role = 0;
		role < RELEASE_ROLE_COUNT && (v->class == RELEASE_NONE || v->class > RELEASE_SIGNATURE);
		role++) {
		printf("%-10s %u signed, %u needed:", role_words[role], v->have[role],
			r->signers.needed[role]);
		for (size_t i = 0; i < r->signers.n; i++)
			if (v->signed_by & 1ull << i && r->signers.signer[i].role == role)
				printf(" %s", r->signers.signer[i].name);
		putchar('\n');
	}
	if (v->strangers)
		printf("strangers  %u right signatures by keys that your signers do not have: they count for nothing\n",
			v->strangers);
	if (r->files > 0)
		printf("files      %zu of %zu are the released ones\n", r->files, r->release.files_n);
	fputs(r->why[0] ? "REFUSED    " : "nothing is wrong\n", stdout);
	if (r->why[0]) {
		printf("%s: ", release_class_name(v->class));
		render_safe(stdout, r->why, strlen(r->why), false);
		putchar('\n');
	}
}

int run_verify_release(const struct cli_line *line)
{
	static struct result r;
	static struct given g = { .dir = -1 };
	struct err e = { 0 };

	enum rc rc = trusted_load(&r.policy, &r.signers, line, &e);
	if (rc == RC_OK)
		rc = given_take(&g, line->argument, &e);
	if (rc != RC_OK) {
		given_done(&g);
		fputs("plaingate: ", stderr);
		render_safe(stderr, e.text, strlen(e.text), false);
		fputc('\n', stderr);
		return STATUS_USAGE;
	}
	rc = release_judge(&r.release, (const char *)g.text, g.text_n, g.proof, g.proof_n, g.signature,
		g.signatures_n, &r.policy, &r.signers, line->above, &r.verdict, &e);
	for (size_t i = 0; rc == RC_OK && i < r.release.files_n; i++) {
		rc = file_compare(g.dir, &r.release.file[i], &e);
		r.files += rc == RC_OK;
		r.verdict.class = rc == RC_OK ? RELEASE_NONE : RELEASE_FILES;
	}
	snprintf(r.why, sizeof r.why, "%s", rc == RC_OK ? "" : e.text);
	given_done(&g);
	if (line->given & OPT(JSON))
		print_json(&r);
	else
		print_text(&r);
	return rc == RC_OK ? STATUS_OK : rc == RC_IO ? STATUS_USAGE : STATUS_FAILED;
}
