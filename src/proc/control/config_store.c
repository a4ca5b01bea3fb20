/*
 * running.conf, rollback.1 … rollback.50 and the generation's counter, in the directory that the supervisor
 * handed over. Writes go to a new file, fsync, rename, fsync of the directory: a crash leaves the old text or
 * the new one, whole.
 *
 * The certificates of a text are in a file beside it, each set under the SHA-256 of its text. While a commit is written, `certificates` has two:
 * first those that run, then the next ones, so that the rename of running.conf changes both; where the text is the same, the last rename of
 * `certificates` does.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNNING	      "running.conf"
#define GENERATION    "generation"
#define UNCONFIRMED   "unconfirmed" /* "# DEADLINE MINUTES", LF, and the text */
#define CERTIFICATES  "certificates"
#define HISTORY	      "rollback."
#define OF_NAME	      "%s." CERTIFICATES /* of that text; of running.conf alone without a name in front */
#define PROPOSAL      "proposal."	 /* of a slot: control's proposals.c */
#define PROPOSAL_LAST "proposals"	 /* the number of the last one */
#define KEPT                                                                                                 \
	"history." /* and the SHA-256 of a text that needs no number any more, and is needed by `verify config` */
#define SSH_USERS "ssh.users"
#define COMMIT	  "commit" /* what is said of the commit of a text: beside it as its certificates */

static enum rc read_fd(int fd, size_t max, char **ret_text, size_t *ret_n, struct err *e)
{
	struct stat st;
	size_t n = 0, size;
	char *text;

	*ret_text = NULL;
	/* Anything but a regular file could make us wait for its writer. */
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_add(e, RC_MALFORMED, "the configuration is not in a regular file");
	if (st.st_size > (off_t)max)
		return err_add(e, RC_LIMIT, "the configuration has %lld bytes, at most %u are allowed",
			(long long)st.st_size, CONFIG_TEXT_MAX);
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return err_add(e, RC_INTERNAL, "out of memory");
	while (n < size) {
		ssize_t part = pread(fd, text + n, size - n, (off_t)n);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0) {
			free(text);
			return part < 0 ? err_errno(e, RC_IO, "read the configuration")
					: err_add(e, RC_IO, "the configuration shrank while it was read");
		}
		n += (size_t)part;
	}
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	return RC_OK;
}

static enum rc read_file(int dir, const char *name, size_t max, char **ret_text, size_t *ret_n, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum rc rc;

	*ret_text = NULL;
	if (fd < 0)
		return err_errno(e, errno == ENOENT ? RC_NOT_FOUND : RC_IO, "open '%s'", name);
	rc = read_fd(fd, max, ret_text, ret_n, e);
	close(fd);
	return rc;
}

enum rc config_store_read(int dir, char **ret_text, size_t *ret_n, struct err *e)
{
	return read_file(dir, RUNNING, CONFIG_TEXT_MAX, ret_text, ret_n, e);
}

enum rc config_store_history_read(int dir, uint32_t n, char **ret_text, size_t *ret_n, struct err *e)
{
	char name[32];

	snprintf(name, sizeof name, HISTORY "%u", n);
	return read_file(dir, name, CONFIG_TEXT_MAX, ret_text, ret_n, e);
}

bool config_store_has_history(int dir, uint32_t n)
{
	char name[32];

	snprintf(name, sizeof name, HISTORY "%u", n);
	return faccessat(dir, n ? name : RUNNING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum rc config_store_commit_read(int dir, uint32_t n, char **ret_text, size_t *ret_n, struct err *e)
{
	char name[48];

	snprintf(name, sizeof name, HISTORY "%u." COMMIT, n);
	return read_file(dir, n ? name : COMMIT, COMMIT_BYTES_MAX, ret_text, ret_n, e);
}

/* `name`.new with that content, on the disk. On an error there is none. */
static enum rc prepare_file(int dir, const char *name, const char *text, size_t n, struct err *e)
{
	char fresh[64];
	size_t written = 0;
	enum rc rc = RC_OK;
	int fd;

	snprintf(fresh, sizeof fresh, "%s.new", name);
	fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", fresh);
	while (written < n && !rc) {
		ssize_t part = write(fd, text + written, n - written);
		if (part > 0)
			written += (size_t)part;
		else if (part == 0 || errno != EINTR)
			rc = err_errno(e, RC_IO, "write '%s'", fresh);
	}
	if (!rc && fsync(fd) != 0)
		rc = err_errno(e, RC_IO, "fsync '%s'", fresh);
	close(fd);
	if (rc)
		unlinkat(dir, fresh, 0);
	return rc;
}

/* `name`.new takes the place of `name`. */
static enum rc exchange_file(int dir, const char *name, struct err *e)
{
	char fresh[64];

	snprintf(fresh, sizeof fresh, "%s.new", name);
	if (renameat(dir, fresh, dir, name) == 0)
		return RC_OK;
	err_errno(e, RC_IO, "rename '%s'", fresh);
	unlinkat(dir, fresh, 0);
	return RC_IO;
}

static enum rc write_file(int dir, const char *name, const char *text, size_t n, struct err *e)
{
	enum rc rc = prepare_file(dir, name, text, n, e);

	return rc ? rc : exchange_file(dir, name, e);
}

void config_store_commit_write(int dir, const char *text, size_t n)
{
	struct err e = { 0 };

	if (write_file(dir, COMMIT, text, n, &e) == RC_OK)
		return;
	unlinkat(dir, COMMIT, 0); /* that of the text before */
	log_warn("%s; who committed this configuration is in the ledger alone", e.text);
}

enum rc config_store_proposal_read(int dir, unsigned slot, char **ret_text, size_t *ret_n, struct err *e)
{
	char name[32];

	snprintf(name, sizeof name, PROPOSAL "%u", slot);
	return read_file(dir, name, PROPOSAL_HEAD_MAX + CONFIG_TEXT_MAX, ret_text, ret_n, e);
}

enum rc config_store_proposal_write(int dir, unsigned slot, const char *text, size_t n, struct err *e)
{
	char name[32];
	enum rc rc;

	snprintf(name, sizeof name, PROPOSAL "%u", slot);
	rc = write_file(dir, name, text, n, e);
	if (!rc && fsync(dir) != 0)
		rc = err_errno(e, RC_IO, "fsync the configuration's directory");
	return rc;
}

uint64_t config_store_proposal_last(int dir)
{
	char *text = NULL;
	size_t n;
	uint64_t last =
		read_file(dir, PROPOSAL_LAST, 32, &text, &n, NULL) == RC_OK ? strtoull(text, NULL, 10) : 0;

	free(text);
	return last;
}

enum rc config_store_proposal_last_write(int dir, uint64_t last, struct err *e)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)last);

	return write_file(dir, PROPOSAL_LAST, text, (size_t)n, e);
}

void config_store_proposal_remove(int dir, unsigned slot)
{
	char name[32];

	snprintf(name, sizeof name, PROPOSAL "%u", slot);
	unlinkat(dir, name, 0);
}

void config_store_ssh_uids_write(int dir, const char *text, size_t n)
{
	struct err e = { 0 };

	if (write_file(dir, SSH_USERS, text, n, &e) != RC_OK)
		log_warn("%s; users of administrators who come by ssh may be others after a restart", e.text);
}

enum rc config_store_ssh_uids_read(int dir, char **ret_text, size_t *ret_n, struct err *e)
{
	return read_file(dir, SSH_USERS, SSH_UIDS_TEXT_MAX, ret_text, ret_n, e);
}

bool config_store_is_history(const char *name)
{
	size_t n = strlen(HISTORY);

	return strncmp(name, HISTORY, n) == 0 && name[n] &&
	       strspn(name + n, "0123456789") == strlen(name + n);
}

enum rc config_store_certificates_read(int dir, const char *of, char **ret_text, size_t *ret_n, struct err *e)
{
	char name[NAME_MAX_BYTES + 16];

	snprintf(name, sizeof name, *of ? OF_NAME : CERTIFICATES, of);
	return read_file(dir, name, STORED_CERTIFICATES_BYTES, ret_text, ret_n, e);
}

/* A text that would be the 51st: where commits are signed, whoever verifies them needs it. */
static void oldest_keep(int dir)
{
	char name[32], kept[16 + 65], digits[65], *text = NULL;
	uint8_t sha[crypto_hash_sha256_BYTES];
	size_t n;

	snprintf(name, sizeof name, HISTORY "%d", ROLLBACKS_MAX);
	if (read_file(dir, name, CONFIG_TEXT_MAX, &text, &n, NULL))
		return;
	crypto_hash_sha256(sha, (const unsigned char *)text, n);
	free(text);
	snprintf(kept, sizeof kept, KEPT "%s", hex_from_bytes(digits, sha, sizeof sha));
	if (renameat(dir, name, dir, kept) != 0)
		log_warn("'%s' cannot be kept as '%s': %m", name, kept);
}

/* rollback.49 becomes rollback.50 and so on; one that is missing is not an error. */
static void rotate(int dir)
{
	char from[48], to[48];

	for (int i = ROLLBACKS_MAX - 1; i >= 1; i--) {
		snprintf(from, sizeof from, HISTORY "%d", i);
		snprintf(to, sizeof to, HISTORY "%d", i + 1);
		renameat(dir, from, dir, to);
		snprintf(from, sizeof from, HISTORY "%d." CERTIFICATES, i);
		snprintf(to, sizeof to, HISTORY "%d." CERTIFICATES, i + 1);
		/* Those of another text must not stay beside one that has none. */
		if (renameat(dir, from, dir, to) != 0)
			unlinkat(dir, to, 0);
		snprintf(from, sizeof from, HISTORY "%d." COMMIT, i);
		snprintf(to, sizeof to, HISTORY "%d." COMMIT, i + 1);
		if (renameat(dir, from, dir, to) != 0)
			unlinkat(dir, to, 0);
	}
}

/* "GENERATION SHA256\n" */
static bool generation_read(int dir, uint64_t *ret_generation, uint8_t ret_sha256[32])
{
	char text[128] = "", digits[65];
	unsigned long long generation;
	int fd = openat(dir, GENERATION, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0 || sscanf(text, "%llu %64[0-9a-f]", &generation, digits) != 2)
		return false;
	*ret_generation = generation;
	return hex_to_bytes(ret_sha256, 32, digits);
}

uint64_t config_store_generation(int dir, const uint8_t sha256[32])
{
	uint64_t generation = 0;
	uint8_t of[32];

	if (!generation_read(dir, &generation, of))
		return 1;
	/* The file was changed by another program: what runs now is not what that number meant. */
	return memcmp(of, sha256, sizeof of) == 0 ? generation : generation + 1;
}

/*
 * Written after the text: when a crash or a full disk prevents it, the next start finds another text than the
 * number's, and counts on by one, which is right.
 */
static void generation_write(int dir, const struct running *r)
{
	char line[128], digits[65];
	struct err e = { 0 };
	int n = snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)r->generation,
		hex_from_bytes(digits, r->sha256, sizeof r->sha256));

	if (write_file(dir, GENERATION, line, (size_t)n, &e))
		log_warn("%s", e.text);
}

/* A file of a commit; text NULL: there is none. */
struct part {
	const char *name, *text;
	size_t n;
};

static void parts_drop(int dir, const struct part *p, size_t n)
{
	char fresh[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(fresh, sizeof fresh, "%s.new", p[i].name);
		if (p[i].text)
			unlinkat(dir, fresh, 0);
	}
}

/* All under their second names, or none. */
static enum rc parts_prepare(int dir, const struct part *p, size_t n, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n && !rc; i++) {
		rc = p[i].text ? prepare_file(dir, p[i].name, p[i].text, p[i].n, e) : RC_OK;
		if (rc)
			parts_drop(dir, p, i);
	}
	return rc;
}

/* `certificates` of a and then of b, either of which may have none, or be none. */
static enum rc certificates_write(int dir, const struct running *a, const struct running *b, struct err *e)
{
	size_t a_n = a && a->certificates ? a->certificates_n : 0,
	       b_n = b && b->certificates ? b->certificates_n : 0;
	char *text = a_n + b_n ? malloc(a_n + b_n) : NULL;
	enum rc rc;

	if (a_n + b_n == 0) {
		unlinkat(dir, CERTIFICATES, 0);
		return RC_OK;
	}
	if (!text)
		return err_add(e, RC_INTERNAL, "out of memory");
	if (a_n)
		memcpy(text, a->certificates, a_n);
	if (b_n)
		memcpy(text + a_n, b->certificates, b_n);
	rc = write_file(dir, CERTIFICATES, text, a_n + b_n, e);
	free(text);
	/* Before the rename that makes them count. */
	if (!rc && fsync(dir) != 0)
		rc = err_errno(e, RC_IO, "fsync the configuration's directory");
	return rc;
}

/* running.conf is the new text. Where that is also the old one, only this makes the new certificates count. */
static enum rc certificates_settle(
	int dir, const struct running *next, const struct running *old, struct err *e)
{
	struct err why = { 0 };

	if (certificates_write(dir, next, NULL, &why) == RC_OK)
		return RC_OK;
	if (next->certificates && old && old->text &&
		memcmp(old->sha256, next->sha256, sizeof old->sha256) == 0)
		return err_add(e, why.rc, "%s", why.text);
	log_warn("%s; the certificates of the text before are kept beside those of this one", why.text);
	return RC_OK;
}

static enum rc history_push(
	int dir, const struct part *text, const struct part *certificates, bool keeps_all, struct err *e)
{
	enum rc rc;

	if (keeps_all)
		oldest_keep(dir);
	rotate(dir);
	if (certificates->text && (rc = exchange_file(dir, certificates->name, e)))
		return rc;
	if (!certificates->text)
		unlinkat(dir, certificates->name, 0);
	if (renameat(dir, COMMIT, dir, HISTORY "1." COMMIT) != 0)
		unlinkat(dir, HISTORY "1." COMMIT, 0);
	return exchange_file(dir, text->name, e);
}

enum rc config_store_write(int dir, const struct running *next, const struct running *old, struct err *e)
{
	const bool history = old && old->text;
	const struct part parts[] = {
		{ RUNNING, next->text, next->n },
		/* A commit for which the disk has no room changes nothing of the history either: it may be tried again
		 * and again. */
		{ HISTORY "1", history ? old->text : NULL, history ? old->n : 0 },
		{ HISTORY "1." CERTIFICATES, history ? old->certificates : NULL,
			history ? old->certificates_n : 0 },
	};
	enum rc rc;

	if (dir < 0)
		return err_add(e, RC_IO, "the configuration directory was not handed over");
	if ((rc = parts_prepare(dir, parts, COUNT_OF(parts), e)))
		return rc;
	rc = certificates_write(dir, old, next, e);
	if (!rc && history)
		rc = history_push(dir, &parts[1], &parts[2],
			signed_demands(old->administrators) || signed_demands(next->administrators), e);
	if (!rc)
		rc = exchange_file(dir, RUNNING, e);
	if (rc) {
		parts_drop(dir, parts, COUNT_OF(parts));
		certificates_write(
			dir, old, NULL, NULL); /* those of old are the first ones there in any case */
		return rc;
	}
	if ((rc = certificates_settle(dir, next, old, e)))
		return rc;
	generation_write(dir, next);
	if (fsync(dir) != 0)
		log_warn("the configuration's directory: fsync failed; a power cut now could bring the old "
			 "text back");
	return RC_OK;
}

enum rc config_store_unconfirmed_write(
	int dir, utc_us deadline, uint32_t minutes, const char *text, size_t n, struct err *e)
{
	char head[UNCONFIRMED_HEAD_MAX];
	size_t head_n =
		(size_t)snprintf(head, sizeof head, "# %llu %u\n", (unsigned long long)deadline, minutes);
	char *all = malloc(head_n + n);
	enum rc rc;

	if (!all)
		return err_add(e, RC_INTERNAL, "out of memory");
	memcpy(all, head, head_n);
	memcpy(all + head_n, text, n);
	rc = write_file(dir, UNCONFIRMED, all, head_n + n, e);
	free(all);
	if (!rc && fsync(dir) != 0)
		rc = err_errno(e, RC_IO, "fsync the configuration's directory");
	return rc;
}

enum rc config_store_unconfirmed_begin(
	int dir, utc_us deadline, uint32_t minutes, const struct running *before, struct err *e)
{
	enum rc rc = RC_OK;

	if (before->certificates)
		rc = write_file(
			dir, UNCONFIRMED "." CERTIFICATES, before->certificates, before->certificates_n, e);
	else
		unlinkat(dir, UNCONFIRMED "." CERTIFICATES, 0);
	return rc ? rc : config_store_unconfirmed_write(dir, deadline, minutes, before->text, before->n, e);
}

enum rc config_store_unconfirmed_read(
	int dir, utc_us *ret_deadline, uint32_t *ret_minutes, char **ret_text, size_t *ret_n, struct err *e)
{
	enum rc rc = read_file(dir, UNCONFIRMED, UNCONFIRMED_HEAD_MAX + CONFIG_TEXT_MAX, ret_text, ret_n, e);
	unsigned long long deadline;
	char *line_end;

	if (rc)
		return rc;
	line_end = memchr(*ret_text, '\n', *ret_n);
	if (!line_end || sscanf(*ret_text, "# %llu %u", &deadline, ret_minutes) != 2) {
		free(*ret_text);
		*ret_text = NULL;
		return err_add(e, RC_MALFORMED, "'%s': malformed first line: expected '# DEADLINE MINUTES'",
			UNCONFIRMED);
	}
	*ret_deadline = deadline;
	*ret_n -= (size_t)(line_end + 1 - *ret_text);
	memmove(*ret_text, line_end + 1, *ret_n);
	(*ret_text)[*ret_n] = '\0';
	return RC_OK;
}

enum rc config_store_unconfirmed_remove(int dir, struct err *e)
{
	if (unlinkat(dir, UNCONFIRMED, 0) != 0 && errno != ENOENT)
		return err_errno(e, RC_IO, "remove '%s'", UNCONFIRMED);
	unlinkat(dir, UNCONFIRMED "." CERTIFICATES, 0); /* without that text they are nobody's */
	return fsync(dir) == 0 ? RC_OK : err_errno(e, RC_IO, "fsync the configuration's directory");
}
