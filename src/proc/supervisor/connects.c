/*
 * Connections that the supervisor begins for processes without a network, to whom the configuration allows (witnesses.c,
 * streams.c, names.c, health.c): how many, how, and what is said when there is none.
 */
#include "proc/supervisor/limits.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A compromised process must not keep the supervisor busy, nor use up the share of another one. */
enum rc connects_limit(struct child_process *from, struct err *e)
{
	mono_ns now = from->supervisor->loop.now;

	if (now - from->connects_since >= NS_PER_S) {
		from->connects_since = now;
		from->connects = 0;
	}
	return ++from->connects <= CONNECTS_EACH_SECOND
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "more than %d connections in a second", CONNECTS_EACH_SECOND);
}

/* A collector may hear nothing for hours: that it died is found before there is something to send, and lose. */
static void keep_alive(int fd)
{
	int one = 1, idle_s = 60, interval_s = 15, probes = 4;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

int connect_begin(const struct endpoint *to, int type, struct err *e)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(to->port), .sin6_scope_id = to->scope
	};
	bool v4 = to->addr.family == ADDR_V4;
	int one = 1, fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		err_errno(e, RC_IO, "make a socket");
		return -1;
	}
	memcpy(&a4.sin_addr, to->addr.b, sizeof a4.sin_addr);
	memcpy(&a6.sin6_addr, to->addr.b, sizeof a6.sin6_addr);
	if (type == SOCK_STREAM) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		keep_alive(fd);
	}
	int rc = v4 ? connect(fd, (struct sockaddr *)&a4, sizeof a4)
		    : connect(fd, (struct sockaddr *)&a6, sizeof a6);
	if (rc == 0 || errno == EINPROGRESS)
		return fd;
	err_errno(e, RC_IO, "connect");
	close(fd);
	return -1;
}

struct msg_result connect_refused(const struct err *e)
{
	struct msg_result refused = { .rc = e->rc };

	snprintf(refused.text, sizeof refused.text, "%s", e->text);
	return refused;
}
