/*
 * The courier looks names up and has no network: the sockets to the machine's name servers are opened here, a
 * new set for each question, so that each goes out from another port and what has changed in resolv.conf
 * counts. What comes over them the supervisor does not read.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define SERVERS_MAX 3 /* as the C library's resolver: MAXNS */
#define NAMES_PORT  53

/* "nameserver ADDRESS", the address perhaps with "%link" behind it. False: another line. */
static bool server_read(char *line, struct endpoint *ret_server)
{
	static const char word[] = "nameserver";
	size_t word_n = sizeof word - 1;

	if (strncmp(line, word, word_n) != 0 || (line[word_n] != ' ' && line[word_n] != '\t'))
		return false;
	char *address = line + word_n + strspn(line + word_n, " \t");
	address[strcspn(address, " \t\r\n#;")] = '\0';
	char *link = strchr(address, '%');
	*ret_server = (struct endpoint){ .port = NAMES_PORT };
	if (link) {
		*link++ = '\0';
		unsigned index = if_nametoindex(link);
		if (index == 0 || index > UINT16_MAX)
			return false;
		ret_server->scope = (uint16_t)index;
	}
	return addr_parse(&ret_server->addr, address) == RC_OK;
}

static size_t servers_read(struct endpoint ret_servers[SERVERS_MAX])
{
	FILE *f = fopen(RESOLV_CONF, "re");
	char line[512];
	size_t n = 0;

	while (f && n < SERVERS_MAX && fgets(line, sizeof line, f))
		n += server_read(line, &ret_servers[n]);
	if (f)
		fclose(f);
	if (n == 0) /* resolv.conf(5): the machine itself */
		ret_servers[n++] = (struct endpoint){ .addr = addr_v4("\x7f\0\0\1"), .port = NAMES_PORT };
	return n;
}

static int socket_to(const struct endpoint *to)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(to->port), .sin6_scope_id = to->scope
	};
	bool v4 = to->addr.family == ADDR_V4;
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&a4.sin_addr, to->addr.b, sizeof a4.sin_addr);
	memcpy(&a6.sin6_addr, to->addr.b, sizeof a6.sin6_addr);
	if (fd >= 0 && (v4 ? connect(fd, (struct sockaddr *)&a4, sizeof a4)
			   : connect(fd, (struct sockaddr *)&a6, sizeof a6)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void names_ask(struct supervisor *s, struct child_process *from, uint64_t tag)
{
	struct endpoint servers[SERVERS_MAX];
	struct msg_result end = { 0 };
	struct err e = { 0 };

	if (connects_limit(from, &e) == RC_OK) {
		size_t n = servers_read(servers);
		for (size_t i = 0; i < n; i++) {
			int fd = socket_to(&servers[i]);
			if (fd < 0) {
				char at[ENDPOINT_TEXT_MAX];
				err_errno(&e, RC_IO, "name server %s", endpoint_text(at, &servers[i]));
				continue;
			}
			end.count += ipc_send_NAMES_SOCKET(&from->port.link, tag, &servers[i], fd) == RC_OK;
			close(fd);
		}
	}
	if (end.count == 0) {
		end.rc = e.rc ? e.rc : RC_IO;
		snprintf(end.text, sizeof end.text, "%s", e.text[0] ? e.text : "no name server");
	}
	ipc_send_NAMES_END(&from->port.link, tag, &end);
}
