/*
 * running.conf, rollback.1 … rollback.50 and the generation's counter, in the directory that the supervisor
 * handed over. Writes go to a new file, fsync, rename, fsync of the directory: a crash leaves the old text or
 * the new one, whole.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNNING	    "running.conf"
#define GENERATION  "generation"
#define UNCONFIRMED "unconfirmed" /* "# DEADLINE MINUTES", LF, and the text */

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

enum rc config_store_read_file(int fd, char **ret_text, size_t *ret_n, struct err *e)
{
	return read_fd(fd, CONFIG_TEXT_MAX, ret_text, ret_n, e);
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

/* rollback.49 becomes rollback.50 and so on; one that is missing is not an error. */
static void rotate(int dir)
{
	char from[32], to[32];

	for (int i = ROLLBACKS_MAX - 1; i >= 1; i--) {
		snprintf(from, sizeof from, "rollback.%d", i);
		snprintf(to, sizeof to, "rollback.%d", i + 1);
		renameat(dir, from, dir, to);
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

enum rc config_store_write(int dir, const struct running *next, const struct running *old, struct err *e)
{
	enum rc rc;

	if (dir < 0)
		return err_add(e, RC_IO, "the configuration directory was not handed over");
	if ((rc = prepare_file(dir, RUNNING, next->text, next->n, e)))
		return rc;
	/* A commit for which the disk has no room changes nothing of the history either: it may be tried again and
	 * again. */
	if (old && old->text && (rc = prepare_file(dir, "rollback.1", old->text, old->n, e))) {
		unlinkat(dir, RUNNING ".new", 0);
		return rc;
	}
	if (old && old->text) {
		rotate(dir);
		if ((rc = exchange_file(dir, "rollback.1", e))) {
			unlinkat(dir, RUNNING ".new", 0);
			return rc;
		}
	}
	if ((rc = exchange_file(dir, RUNNING, e)))
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
	return fsync(dir) == 0 ? RC_OK : err_errno(e, RC_IO, "fsync the configuration's directory");
}
