/*
 * Known answers: values that the keeper's functions must give, in a file outside of its executable. In 2012 a
 * constant of a generator was changed together with the test for it, in the same binary; here the file is
 * measured and entered beside the executable, and the keeper checks itself by a sealed copy of exactly that.
 * Read once, as the executables are (launch.c); entered at each start of the keeper.
 */
#include "ledger/types.h"
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWERS_FILE "known-answers.json"

static enum rc read_all(const char *path, char *ret_text, size_t *ret_n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum rc rc = RC_OK;
	ssize_t n;

	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ANSWERS_BYTES_MAX) {
		close(fd);
		return err_add(e, RC_MALFORMED, "'%s' is not a regular file of at most %d octets", path,
			ANSWERS_BYTES_MAX);
	}
	*ret_n = 0;
	while ((n = read(fd, ret_text + *ret_n, ANSWERS_BYTES_MAX - *ret_n)) > 0)
		*ret_n += (size_t)n;
	if (n < 0)
		rc = err_errno(e, RC_IO, "read '%s'", path);
	close(fd);
	return rc;
}

static int sealed(const char *text, size_t n, struct err *e)
{
	int fd = memfd_create("known-answers", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && write(fd, text, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	err_errno(e, RC_IO, "copy the known answers");
	if (fd >= 0)
		close(fd);
	return -1;
}

static void enter_answers(struct supervisor *s, const uint8_t hash[SHA256_SIZE])
{
	static struct ledger_body b;
	char hex[2 * SHA256_SIZE + 1];

	ledger_body_begin(&b, LEDGER_KNOWN_ANSWERS);
	ledger_body_str(&b, "file", ANSWERS_FILE);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, hash, SHA256_SIZE));
	/* The start of the keeper is entered after it: its receipt stands for both. */
	ledger_append(&s->ledger, LEDGER_ASYNC, LEDGER_KNOWN_ANSWERS, b.text, ledger_body_done(&b), NULL,
		NULL, 0, s->loop.now);
}

static enum rc read_once(struct supervisor *s, struct err *e)
{
	static char text[ANSWERS_BYTES_MAX];
	char path[PATH_MAX];
	size_t n = 0;

	snprintf(path, sizeof path, "%s/" ANSWERS_FILE, s->options.share);
	enum rc rc = read_all(path, text, &n, e);
	if (rc != RC_OK)
		return rc;
	int fd = sealed(text, n, e);
	if (fd < 0)
		return RC_IO;
	sha256(s->answers_sha256, text, n);
	return resource_add(s, PROC_KEEPER, RESOURCE_KNOWN_ANSWERS, 0, ANSWERS_FILE, fd) >= 0
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "too many resources");
}

enum rc answers_give(struct supervisor *s, struct err *e)
{
	enum rc rc = resource_find(s, RESOURCE_KNOWN_ANSWERS, 0) ? RC_OK : read_once(s, e);

	if (rc == RC_OK)
		enter_answers(s, s->answers_sha256);
	return rc;
}
