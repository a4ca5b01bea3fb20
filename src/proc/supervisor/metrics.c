/*
 * Where measurements are served: export has no network, so the listening socket is opened here, at the address of the configuration,
 * which the gateway may get later (IP_FREEBIND). Who reaches it is up to the filter.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

static bool set(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

static int listen_at(const struct endpoint *at)
{
	bool v4 = at->addr.family == ADDR_V4;
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(at->port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(at->port) };
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&a4.sin_addr, at->addr.b, sizeof a4.sin_addr);
	memcpy(&a6.sin6_addr, at->addr.b, sizeof a6.sin6_addr);
	if (fd >= 0 && set(fd, SOL_SOCKET, SO_REUSEADDR) &&
		set(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_FREEBIND : IPV6_FREEBIND) &&
		set(fd, IPPROTO_TCP, TCP_NODELAY) && /* those that are accepted inherit it */
		bind(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6, v4 ? sizeof a4 : sizeof a6) ==
			0 &&
		listen(fd, BACKLOG) == 0)
		return fd;
	char text[ENDPOINT_TEXT_MAX];
	log_error("measurements are not served: listen at %s: %m", endpoint_text(text, at));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Export is told first: where nothing is served any more it closes what it has of the socket. */
void metrics_apply(struct supervisor *s)
{
	const struct snap_metrics *m = &s->snapshot->metrics;
	struct open_resource *old = resource_find(s, RESOURCE_METRICS_SOCKET, 0);
	char name[ENDPOINT_TEXT_MAX];

	metrics_give(s);
	endpoint_text(name, &m->listen);
	if (old && m->on && strcmp(old->m.name, name) == 0)
		return;
	if (old)
		resource_remove(s, old);
	int fd = m->on ? listen_at(&m->listen) : -1;
	if (fd < 0)
		return;
	int i = resource_add(s, PROC_EXPORT, RESOURCE_METRICS_SOCKET, 0, name, fd);
	if (i >= 0)
		resource_give(s, &s->resources[i]);
}
