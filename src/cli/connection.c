/*
 * Found among the sockets of this process and of those it descends from, the nearest first: a shell's
 * ancestor sshd holds the connection, whatever sudo or `env -i` did to the environment in between. Where none
 * of them holds one (a terminal multiplexer has gone its own way), SSH_CONNECTION says it. Only for the
 * administrator's own protection, so what cannot be found out is left out.
 */
#include "cli/connection.h"
#include "cli/limits.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_STATE_ESTABLISHED 1u
#define TCP_STATE_LISTEN      10u

/* The kernel's table: addresses as hexadecimal words in the host's byte order. */
static bool address_of_hex(struct ip_addr *ret_addr, const char *hex)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	size_t words = strlen(hex) / 8;
	uint8_t b[16];

	if (words != 1 && words != 4)
		return false;
	for (size_t i = 0; i < words; i++) {
		char word[9] = "";
		memcpy(word, hex + 8 * i, 8);
		uint32_t value = (uint32_t)strtoul(word, NULL, 16);
		memcpy(b + 4 * i, &value, sizeof value);
	}
	bool v4_in_v6 = words == 4 && memcmp(b, mapped, sizeof mapped) == 0;
	*ret_addr = words == 1 ? addr_v4(b) : v4_in_v6 ? addr_v4(b + 12) : addr_v6(b);
	return true;
}

/* The established connection whose socket has that number. */
static bool connection_of_socket(struct host_connection *ret, const char *table, unsigned long long socket)
{
	FILE *f = fopen(table, "re");
	char line[512], local[33], remote[33];
	unsigned long long inode;
	unsigned port, state;
	bool found = false;

	while (f && !found && fgets(line, sizeof line, f))
		found = sscanf(line, " %*[^:]: %32[0-9A-F]:%x %32[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %llu",
				local, &port, remote, &state, &inode) == 5 &&
			state == TCP_STATE_ESTABLISHED && inode == socket &&
			address_of_hex(&ret->local, local) && address_of_hex(&ret->remote, remote);
	if (found)
		ret->local_port = (uint16_t)port;
	if (f)
		fclose(f);
	return found;
}

/* Does a program wait for connections to that port? */
static bool listens(const char *table, unsigned wanted)
{
	FILE *f = fopen(table, "re");
	unsigned port, state;
	bool found = false;
	char line[512];

	while (f && !found && fgets(line, sizeof line, f))
		found = sscanf(line, " %*[^:]: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &port, &state) == 2 &&
			state == TCP_STATE_LISTEN && port == wanted;
	if (f)
		fclose(f);
	return found;
}

static bool connection_of_process(struct host_connection *ret, int pid)
{
	char path[64], target[64];
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	while (d && !found && (entry = readdir(d))) {
		unsigned long long socket;
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		if (sscanf(target, "socket:[%llu]", &socket) == 1)
			found = connection_of_socket(ret, "/proc/net/tcp", socket) ||
				connection_of_socket(ret, "/proc/net/tcp6", socket);
	}
	if (d)
		closedir(d);
	return found;
}

/* Is it an address of this host? SSH_CONNECTION may be from somewhere else, or from before an address
 * changed. */
static bool address_is_ours(const struct ip_addr *a)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	bool is_v4 = a->family == ADDR_V4;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&v4.sin_addr, a->b, sizeof v4.sin_addr);
	memcpy(&v6.sin6_addr, a->b, sizeof v6.sin6_addr);
	bool ours = fd >= 0 && bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
				       is_v4 ? sizeof v4 : sizeof v6) == 0;
	if (fd >= 0)
		close(fd);
	return ours;
}

/* "CLIENT PORT SERVER PORT" */
static bool connection_of_text(struct host_connection *ret, const char *text)
{
	char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX];
	unsigned port;

	if (sscanf(text, "%47s %*u %47s %u", client, server, &port) != 3 || port > UINT16_MAX ||
		addr_parse(&ret->remote, client) || addr_parse(&ret->local, server))
		return false;
	ret->local_port = (uint16_t)port;
	return address_is_ours(&ret->local);
}

static bool connection_of_environment(struct host_connection *ret, int pid)
{
	static const char name[] = "SSH_CONNECTION=";
	char path[64], *variable = NULL;
	size_t room = 0;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	FILE *f = fopen(path, "re");
	while (f && !found && getdelim(&variable, &room, '\0', f) > 0)
		found = strncmp(variable, name, sizeof name - 1) == 0 &&
			connection_of_text(ret, variable + sizeof name - 1);
	free(variable);
	if (f)
		fclose(f);
	return found;
}

static int parent_of(int pid)
{
	char path[64], line[128];
	int parent = 0;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	if (f)
		fclose(f);
	return parent;
}

static bool find(struct host_connection *ret, bool (*of)(struct host_connection *, int))
{
	int pid = (int)getpid();

	for (int i = 0; i < CLI_ANCESTORS_MAX && pid > 0; i++, pid = parent_of(pid))
		if (of(ret, pid))
			return true;
	return false;
}

/* By which interface the kernel answers the other end; 0: it does not say. */
static unsigned interface_towards(const struct ip_addr *remote)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t address[16];
	} ask = { .head = { .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = remote->family == ADDR_V4 ? AF_INET : AF_INET6,
			.rtm_dst_len = (uint8_t)(8 * addr_size(remote)) },
		.attribute = { .rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(addr_size(remote)) } };
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned index = 0;

	memcpy(ask.address, remote->b, addr_size(remote));
	ask.head.nlmsg_len = (uint32_t)NLMSG_SPACE(sizeof ask.route) + ask.attribute.rta_len;
	ssize_t n = fd >= 0 && send(fd, &ask, ask.head.nlmsg_len, 0) > 0 ? recv(fd, &answer, sizeof answer, 0)
									 : -1;
	if (n > 0 && NLMSG_OK(&answer.head, (size_t)n) && answer.head.nlmsg_type == RTM_NEWROUTE) {
		struct rtattr *a = RTM_RTA(NLMSG_DATA(&answer.head));
		for (size_t left = RTM_PAYLOAD(&answer.head); RTA_OK(a, left); a = RTA_NEXT(a, left))
			if (a->rta_type == RTA_OIF)
				memcpy(&index, RTA_DATA(a), sizeof index);
	}
	if (fd >= 0)
		close(fd);
	return index;
}

void connection_find(struct host_connection *ret_connection)
{
	struct host_connection c = { 0 };
	char name[IF_NAMESIZE] = "";

	*ret_connection = (struct host_connection){ 0 };
	if (find(&c, connection_of_process))
		c.accepted =
			listens("/proc/net/tcp", c.local_port) || listens("/proc/net/tcp6", c.local_port);
	else if (find(&c, connection_of_environment))
		c.accepted = true;
	else
		return;
	if (if_indextoname(interface_towards(&c.remote), name))
		snprintf(c.interface, sizeof c.interface, "%s", name);
	*ret_connection = c;
}
