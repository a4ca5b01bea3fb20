/*
 * Executables whose start is in the ledger, kept for the next start of the machine. A ledger that is full or
 * broken then must not stop the traffic: what was entered before, octet for octet, is started, and its start is
 * entered when there is room. Another executable waits for its receipt. Root can change the file; root can
 * change this program.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_MAGIC 0x31454750u /* "PGE1" */

struct file {
	uint32_t magic, count;
	uint8_t sha256[PROC_COUNT][SHA256_SIZE]; /* by enum proc; all zero: none */
};

static char *path_of(const struct supervisor *s, char ret_path[PATH_MAX], const char *ending)
{
	snprintf(ret_path, PATH_MAX, "%s/entered%s", s->options.state, ending);
	return ret_path;
}

void entered_load(struct supervisor *s)
{
	char path[PATH_MAX];
	struct file f;
	int fd = open(path_of(s, path, ""), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, &f, sizeof f) == sizeof f && f.magic == FILE_MAGIC && f.count == PROC_COUNT)
		memcpy(s->entered_before, f.sha256, sizeof s->entered_before);
	close(fd);
}

bool entered_before(const struct child_process *c)
{
	static const uint8_t none[SHA256_SIZE];
	const uint8_t *before = c->supervisor->entered_before[c->id];

	return memcmp(before, none, sizeof none) != 0 && memcmp(before, c->measured.sha256, SHA256_SIZE) == 0;
}

void entered_keep(struct child_process *c)
{
	struct supervisor *s = c->supervisor;
	char path[PATH_MAX], made[PATH_MAX];
	struct file f = { .magic = FILE_MAGIC, .count = PROC_COUNT };

	if (entered_before(c))
		return;
	memcpy(s->entered_before[c->id], c->measured.sha256, SHA256_SIZE);
	memcpy(f.sha256, s->entered_before, sizeof f.sha256);
	int fd = open(path_of(s, made, ".new"), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, &f, sizeof f) == sizeof f && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	if (!good || rename(made, path_of(s, path, "")) < 0)
		log_warn("write '%s': %m; with a full ledger the next start of this machine will wait for "
			 "room",
			made);
}
