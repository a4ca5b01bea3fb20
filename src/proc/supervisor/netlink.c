#include "proc/supervisor/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct nlmsghdr *netlink_begin(void *room, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	return h;
}

void netlink_put_addr(struct nlmsghdr *h, uint16_t type, const struct ip_addr *a)
{
	mnl_attr_put(h, type, addr_size(a), a->b);
}

static uint32_t sequence;

int netlink_ask(int fd, struct nlmsghdr *h)
{
	char answer[8192];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	h->nlmsg_seq = ++sequence;
	h->nlmsg_flags |= NLM_F_ACK;
	if (sendto(fd, h, h->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return errno;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof answer, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		int left = (int)n;
		for (const struct nlmsghdr *r = (const void *)answer; mnl_nlmsg_ok(r, left);
			r = mnl_nlmsg_next(r, &left)) {
			if (r->nlmsg_seq != h->nlmsg_seq || r->nlmsg_type != NLMSG_ERROR)
				continue;
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(r);
			return -e->error;
		}
	}
}

int netlink_dump(
	int fd, struct nlmsghdr *h, void (*fn)(void *context, const struct nlmsghdr *m), void *context)
{
	static char part[32768];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	h->nlmsg_seq = ++sequence;
	h->nlmsg_flags |= NLM_F_DUMP;
	if (sendto(fd, h, h->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return errno;
	for (;;) {
		ssize_t n = recv(fd, part, sizeof part, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		int left = (int)n;
		for (const struct nlmsghdr *r = (const void *)part; mnl_nlmsg_ok(r, left);
			r = mnl_nlmsg_next(r, &left)) {
			if (r->nlmsg_seq != h->nlmsg_seq)
				continue;
			if (r->nlmsg_type == NLMSG_DONE)
				return 0;
			if (r->nlmsg_type == NLMSG_ERROR)
				return -((const struct nlmsgerr *)mnl_nlmsg_get_payload(r))->error;
			fn(context, r);
		}
	}
}
