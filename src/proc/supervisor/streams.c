/*
 * Collectors of session records: export has no network, so connections to them are opened here, to those of the
 * configuration and to no other host. With the list it is given the authorities that each TLS collector must have its
 * certificate from, as open files. What the configuration says of measurements is told here as well.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static void authorities_give(struct supervisor *s, struct child_process *to, uint32_t i)
{
	const struct snap_log_stream *x = &s->snapshot->log.stream[i];
	struct msg_resource m = { .kind = RESOURCE_STREAM_AUTHORITIES, .index = i };
	char path[PATH_MAX] = SYSTEM_AUTHORITIES;

	if (x->authorities[0])
		snprintf(path, sizeof path, "%s/trust/%s.pem", s->options.config, x->authorities);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		log_error("the authorities of log stream '%s' cannot be read: open '%s': %m", x->name, path);
		return;
	}
	snprintf(m.name, sizeof m.name, "%s", x->name);
	if (ipc_send_RESOURCE(&to->port.link, 0, &m, fd) != RC_OK)
		log_warn("the authorities of log stream '%s' were not handed over to export", x->name);
	close(fd);
}

void streams_give(struct supervisor *s)
{
	static const uint8_t any[sizeof((struct snap_log_stream *)0)->server_key];
	struct child_process *to = child_of(s, PROC_EXPORT);
	struct msg_log_streams m = { 0 };

	if (!s->snapshot || !ipc_link_up(&to->port.link))
		return;
	m.log = s->snapshot->log;
	memcpy(m.host_name, s->snapshot->host_name, sizeof m.host_name);
	if (ipc_send_LOG_STREAMS(&to->port.link, 0, &m) != RC_OK)
		log_warn("the list of log streams was not handed over to export");
	for (uint32_t i = 0; i < m.log.count; i++)
		if (m.log.stream[i].transport == STREAM_TLS &&
			memcmp(m.log.stream[i].server_key, any, sizeof any) == 0)
			authorities_give(s, to, i);
}

void metrics_give(struct supervisor *s)
{
	struct child_process *to = child_of(s, PROC_EXPORT);

	if (s->snapshot && ipc_link_up(&to->port.link) &&
		ipc_send_METRICS(&to->port.link, 0, &s->snapshot->metrics) != RC_OK)
		log_warn("what the configuration says of measurements was not handed over to export");
}

static int journal_connect(struct err *e)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	err_errno(e, RC_IO, "connect to '%s'", JOURNAL_SOCKET);
	if (fd >= 0)
		close(fd);
	return -1;
}

void stream_connect(struct supervisor *s, struct child_process *from, const struct ipc_frame *f)
{
	const struct msg_stream *m = &f->u.STREAM_CONNECT;
	struct err e = { 0 };
	int fd = -1;

	if (connects_limit(from, &e) == RC_OK) {
		if (s->snapshot && m->stream < s->snapshot->log.count) {
			const struct snap_log_stream *x = &s->snapshot->log.stream[m->stream];
			fd = x->transport == STREAM_JOURNAL
				     ? journal_connect(&e)
				     : connect_begin(&x->to,
					       x->transport == STREAM_UDP ? SOCK_DGRAM : SOCK_STREAM, &e);
		} else {
			err_add(&e, RC_DENIED, "log stream %u is not one of the configuration", m->stream);
		}
	}
	if (fd >= 0) {
		ipc_send_STREAM_SOCKET(&from->port.link, f->head.tag, m, fd);
		close(fd);
		return;
	}
	const struct msg_result refused = connect_refused(&e);
	ipc_send_STREAM_REFUSED(&from->port.link, f->head.tag, &refused);
}
