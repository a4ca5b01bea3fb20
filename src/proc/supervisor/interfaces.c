/* The zones' interfaces as they appear and go. The filter is set on a new one before it is opened for the data
 * plane. */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool interfaces_look(struct supervisor *s)
{
	const struct snap_interface *in = snap_interfaces(s->snapshot);
	struct zone_interface now[INTERFACES_MAX] = { 0 };
	size_t n = 0;

	for (uint32_t i = 0; i < s->snapshot->interfaces.count && n < INTERFACES_MAX; i++) {
		if (!interface_name_ok(in[i].name))
			continue;
		snprintf(now[n].name, sizeof now[n].name, "%s", in[i].name);
		now[n++].index = if_nametoindex(in[i].name);
	}
	links_describe(s, now, n);
	bool changed = n != s->interfaces_n || memcmp(now, s->interfaces, n * sizeof now[0]) != 0;
	memcpy(s->interfaces, now, sizeof now);
	s->interfaces_n = n;
	return changed;
}

static bool wanted(const struct supervisor *s, const struct open_resource *r)
{
	if (s->workers != s->snapshot->workers) /* for another number of workers than before: all anew */
		return false;
	for (size_t i = 0; i < s->interfaces_n; i++)
		if (s->interfaces[i].index == r->m.index && strcmp(s->interfaces[i].name, r->m.name) == 0)
			return true;
	return false;
}

/* One of its sockets, which is handed over. */
static void socket_keep(struct supervisor *s, const struct zone_interface *z, uint32_t worker, int fd,
	const uint8_t mac[6], uint16_t mtu)
{
	int i = resource_add(s, PROC_DATAPLANE, RESOURCE_INTERFACE, z->index, z->name, fd);

	if (i < 0) {
		log_error("interface %s is not used by worker %u: too many resources", z->name, worker);
		return;
	}
	s->resources[i].m.worker = worker;
	memcpy(s->resources[i].m.mac, mac, 6);
	s->resources[i].m.mtu = mtu;
	resource_give(s, &s->resources[i]);
}

static void open_one(struct supervisor *s, const struct zone_interface *z)
{
	uint32_t n = s->snapshot->workers;
	struct err e = { 0 };
	int fds[WORKERS_MAX];
	uint8_t mac[6];
	uint16_t mtu;

	enum rc rc = packet_sockets(z->name, z->index, n, fds, mac, &mtu, &e);
	if (rc != RC_OK && n > 1) {
		log_warn("interface %s is read by the first worker alone: %s", z->name, e.text);
		n = 1;
		e = (struct err){ 0 };
		rc = packet_sockets(z->name, z->index, n, fds, mac, &mtu, &e);
	}
	if (rc != RC_OK) {
		log_warn("interface %s is not used: %s", z->name, e.text);
		return;
	}
	log_info("interface %s is opened: index %u, MTU %u", z->name, z->index, mtu);
	for (uint32_t i = 0; i < n; i++)
		socket_keep(s, z, i, fds[i], mac, mtu);
}

static bool has_proxy_ndp(const struct snapshot *snap, const char *name)
{
	for (uint32_t i = 0; i < snap->proxies.count; i++) {
		const struct snap_proxy *p = &snap_proxies(snap)[i];
		if (p->addrs.first.family == ADDR_V6 &&
			strcmp(snap_interfaces(snap)[p->interface].name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Solicitations for an address go to one of 2^24 multicast groups, which a NIC delivers only if somebody is a member: of
 * all, where the data plane answers. The socket receives nothing itself; the memberships are its own, so that a new one
 * in its place has those of now.
 */
static void multicast_join(struct supervisor *s)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		log_error("make a socket for multicast memberships: %m");
	for (size_t i = 0; fd >= 0 && i < s->interfaces_n; i++) {
		const struct zone_interface *z = &s->interfaces[i];
		struct packet_mreq all = { .mr_ifindex = (int)z->index, .mr_type = PACKET_MR_ALLMULTI };
		if (z->index && has_proxy_ndp(s->snapshot, z->name) &&
			setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0)
			log_error("receive all multicast on %s, for proxy-ndp: %m", z->name);
	}
	if (s->multicast_fd >= 0)
		close(s->multicast_fd);
	s->multicast_fd = fd;
}

void interfaces_open(struct supervisor *s)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++) {
		struct open_resource *r = &s->resources[i];
		if (r->fd >= 0 && r->m.kind == RESOURCE_INTERFACE && !wanted(s, r)) {
			if (r->m.worker == 0 && s->workers == s->snapshot->workers)
				log_info("interface %s is gone", r->m.name);
			resource_remove(s, r);
		}
	}
	s->workers = s->snapshot->workers;
	sockets_for_workers(s, s->workers);
	for (size_t i = 0; i < s->interfaces_n; i++)
		if (s->interfaces[i].is_vrf)
			log_warn(
				"interface %s is not used: it is the device of a VRF, which has each packet of its links once more; put those into zones",
				s->interfaces[i].name);
		else if (s->interfaces[i].index &&
			 !resource_find(s, RESOURCE_INTERFACE, s->interfaces[i].index))
			open_one(s, &s->interfaces[i]);
	multicast_join(s);
	carry_follow(s);
}

void interfaces_follow(struct supervisor *s)
{
	struct err e = { 0 };

	if (!s->snapshot || !interfaces_look(s))
		return;
	if (filter_apply(s, &e) != RC_OK) {
		log_error("%s", e.text);
		s->interfaces_n = 0; /* again in a second */
		return;
	}
	kernel_settings(s);
	interfaces_open(s);
}

/* The news itself does not matter: all interfaces are looked up again. */
static void link_news(struct loop *l, struct watch *w, short revents)
{
	struct supervisor *s = (struct supervisor *)w->context;
	_Alignas(struct nlmsghdr) char news[8192];
	ssize_t n;

	while ((n = recv(w->fd, news, sizeof news, MSG_DONTWAIT)) > 0) {
		int left = (int)n;
		for (const struct nlmsghdr *h = (const void *)news; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left))
			s->addresses_changed |= h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR;
	}
	s->addresses_changed |= n < 0 && errno != EAGAIN; /* some were lost */
	interfaces_follow(s);
}

enum rc interfaces_watch(struct supervisor *s, struct err *e)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		err_errno(e, RC_IO, "watch interfaces");
		if (fd >= 0)
			close(fd);
		return RC_IO;
	}
	s->links = (struct watch){ .fd = fd, .events = POLLIN, .fn = link_news, .context = s };
	loop_add(&s->loop, &s->links);
	return RC_OK;
}
