/*
 * Feeds of addresses, CRLs, and the database of countries: the resolver has no file but its own and no network. Files that the
 * configuration names are opened here, those in the directory of feeds and no other, and connections to the servers of feeds with
 * a URL are begun here. What is in them the supervisor does not read.
 */
#include "base/log.h"
#include "base/url.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct snap_dynamic *feed_named(const struct supervisor *s, uint32_t kind, const char *name)
{
	for (uint32_t i = 0; s->snapshot && i < s->snapshot->dynamics.count; i++) {
		const struct snap_dynamic *d = &snap_dynamics(s->snapshot)[i];
		if (d->kind == kind && strcmp(d->name, name) == 0)
			return d;
	}
	return NULL;
}

/* A regular file: a FIFO or a device would hold the resolver up. Of one with a URL the list of authorities. */
static int file_open(const struct supervisor *s, const struct snap_dynamic *d, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (d->file[0])
		snprintf(path, sizeof path, "%s/feeds/%s", s->options.config, d->file);
	else if (d->authorities[0])
		snprintf(path, sizeof path, "%s/trust/%s.pem", s->options.config, d->authorities);
	else
		snprintf(path, sizeof path, "%s", SYSTEM_AUTHORITIES);
	int fd = open(path, O_RDONLY | (d->file[0] ? O_NOFOLLOW : 0) | O_NONBLOCK | O_CLOEXEC);
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

/* To the port of its URL, and to no address that a name may not lead to. */
static int feed_socket(const struct snap_dynamic *d, const struct endpoint *to, struct err *e)
{
	char at[ENDPOINT_TEXT_MAX];
	struct url url;

	if (!d->url[0] || url_parse(&url, d->url, e) != RC_OK || url.port != to->port || to->scope != 0 ||
		!(url.address.family == ADDR_NONE ? address_is_elsewhere(&to->addr)
						  : addr_equal(&url.address, &to->addr))) {
		err_add(e, RC_DENIED, "%s is not a server of %s '%s'", endpoint_text(at, to),
			d->kind == DYNAMIC_CRL || d->kind == DYNAMIC_OCSP ? "ca-profile" : "feed", d->name);
		return -1;
	}
	return connect_begin(to, SOCK_STREAM, e);
}

void feed_open(struct supervisor *s, struct child_process *from, const struct ipc_frame *f)
{
	bool connects = f->head.id == IPC_FEED_CONNECT;
	struct msg_feed m = connects ? f->u.FEED_CONNECT : f->u.FEED_OPEN;
	struct msg_result refused = { 0 };
	struct err e = { 0 };
	int fd = -1;

	m.name[sizeof m.name - 1] = '\0';
	if (connects_limit(from, &e) == RC_OK) {
		const struct snap_dynamic *d = feed_named(s, m.kind, m.name);
		/* No file belongs to an OCSP responder. */
		if (d && d->kind != DYNAMIC_FQDN && (connects || d->kind != DYNAMIC_OCSP))
			fd = connects ? feed_socket(d, &m.to, &e) : file_open(s, d, &e);
		else
			/* A commit reaches the resolver first: it is asked for again when it is applied here. */
			err_add(&e, RC_AGAIN,
				"the configuration that is applied has no %s '%.60s'; it is asked for again",
				m.kind == DYNAMIC_COUNTRY			  ? "country"
				: m.kind == DYNAMIC_CRL || m.kind == DYNAMIC_OCSP ? "ca-profile"
										  : "feed",
				m.name);
	}
	if (fd >= 0) {
		if (connects)
			ipc_send_FEED_SOCKET(&from->port.link, f->head.tag, &m, fd);
		else
			ipc_send_FEED_FILE(&from->port.link, f->head.tag, &m, fd);
		close(fd);
		return;
	}
	refused.rc = e.rc;
	snprintf(refused.text, sizeof refused.text, "%s", e.text);
	ipc_send_FEED_REFUSED(&from->port.link, f->head.tag, &refused);
}
