/*
 * The service manager's protocol, sd_notify(3): one datagram with lines of NAME=value to the socket that the
 * environment names. Ready means that the filter stands, not that every process runs: the network comes up
 * after this moment, and the ledger may wait for witnesses that only the network reaches.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void service_ready(void)
{
	static const char text[] = "READY=1\nSTATUS=The ingress filter stands.";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;

	if (n == 0)
		return;
	if (n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
		log_warn("NOTIFY_SOCKET '%s' is not a path: the service manager is not notified", path);
		return;
	}
	memcpy(to.sun_path, path, n);
	if (path[0] == '@') /* Linux's abstract names begin with a zero */
		to.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (fd < 0 || sendto(fd, text, sizeof text - 1, MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0)
		log_warn("tell the service manager at '%s': %m", path);
	if (fd >= 0)
		close(fd);
	unsetenv("NOTIFY_SOCKET"); /* not for the other processes */
}
