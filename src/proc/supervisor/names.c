/*
 * The courier looks names up and has no network: the sockets to the machine's name servers are opened here, a
 * new set for each question, so that each goes out from another port and what has changed in resolv.conf
 * counts. What comes over them the supervisor does not read.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define NAMES_PORT  53

/* "nameserver ADDRESS", the address perhaps with "%link" after it. False: another line. */
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

static size_t servers_read(struct endpoint ret_servers[NAME_SERVERS_MAX])
{
	FILE *f = fopen(RESOLV_CONF, "re");
	char line[512];
	size_t n = 0;

	while (f && n < NAME_SERVERS_MAX && fgets(line, sizeof line, f))
		n += server_read(line, &ret_servers[n]);
	if (f)
		fclose(f);
	if (n == 0) /* resolv.conf(5): the machine itself */
		ret_servers[n++] = (struct endpoint){ .addr = addr_v4("\x7f\0\0\1"), .port = NAMES_PORT };
	return n;
}

void names_ask(struct supervisor *s, struct child_process *from, uint64_t tag)
{
	struct endpoint servers[NAME_SERVERS_MAX];
	struct msg_result end = { 0 };
	struct err e = { 0 };

	if (connects_limit(from, &e) == RC_OK) {
		size_t n = servers_read(servers);
		for (size_t i = 0; i < n; i++) {
			int fd = connect_begin(&servers[i], SOCK_DGRAM, &e);
			if (fd < 0) {
				char at[ENDPOINT_TEXT_MAX];
				err_add(&e, RC_IO, "name server %s", endpoint_text(at, &servers[i]));
				continue;
			}
			end.count += ipc_send_NAMES_SOCKET(&from->port.link, tag, &servers[i], fd) == RC_OK;
			close(fd);
		}
	}
	if (end.count == 0) {
		end.rc = e.rc ? e.rc : RC_IO;
		snprintf(end.text, sizeof end.text, "%s",
			e.text[0] ? e.text : "no name server could be handed over");
	}
	ipc_send_NAMES_END(&from->port.link, tag, &end);
}
