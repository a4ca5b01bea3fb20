/*
 * Feeds of addresses: the resolver has no file but its own and no network, so files that feeds of the configuration name are opened
 * here, those in the directory of feeds and no other. What is in them the supervisor does not read.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct snap_dynamic *feed_named(const struct supervisor *s, const char *name)
{
	for (uint32_t i = 0; s->snapshot && i < s->snapshot->dynamics.count; i++) {
		const struct snap_dynamic *d = &snap_dynamics(s->snapshot)[i];
		if (d->kind == DYNAMIC_FEED && strcmp(d->name, name) == 0)
			return d;
	}
	return NULL;
}

/* A regular file: a FIFO or a device would hold the resolver up. */
static int file_open(const struct supervisor *s, const struct snap_dynamic *d, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s/feeds/%s", s->options.config, d->file);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		err_errno(e, RC_IO, "open '%s'", path);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	err_add(e, RC_DENIED, "'%s' is not a file", path);
	close(fd);
	return -1;
}

void feed_open(struct supervisor *s, struct child_process *from, const struct ipc_frame *f)
{
	struct msg_feed m = f->u.FEED_OPEN;
	struct msg_result refused = { 0 };
	struct err e = { 0 };
	int fd = -1;

	m.name[sizeof m.name - 1] = '\0';
	if (connects_limit(from, &e) == RC_OK) {
		const struct snap_dynamic *d = feed_named(s, m.name);
		if (d)
			fd = file_open(s, d, &e);
		else
			err_add(&e, RC_DENIED, "'%.60s' is not a feed of the configuration", m.name);
	}
	if (fd >= 0) {
		ipc_send_FEED_FILE(&from->port.link, f->head.tag, &m, fd);
		close(fd);
		return;
	}
	refused.rc = e.rc;
	snprintf(refused.text, sizeof refused.text, "%s", e.text);
	ipc_send_FEED_REFUSED(&from->port.link, f->head.tag, &refused);
}
