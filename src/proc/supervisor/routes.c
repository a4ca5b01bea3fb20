/*
 * The host's own traffic into tunnels, and neighbours.
 *
 * The remote prefixes of all tunnels are routes to pg0 in a table of their own, which a rule asks before the
 * main table for everything but packets of IKE and ESP themselves (they carry OWN_MARK). So a tunnel's
 * network never leaves in clear by a more specific route of the main table, a tunnel to everywhere does not
 * swallow its own outside, and the data plane's mirror of the main table stays free of them. When pg0 goes,
 * the kernel takes the routes away; behind each stands an unreachable one that stays, so that the host's own
 * traffic does not leave in clear while nobody is there to seal it.
 *
 * Where a tunnel's local side lies inside its remote side, the local prefixes are "throw" routes there: for
 * these the kernel asks the main table (route/selectors.h says the same of all other packets).
 */
#include "base/log.h"
#include "proc/supervisor/netlink.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUTES_MAX	   65536
#define UNREACHABLE_METRIC 0x7fffffffu /* behind any route to pg0 */

struct host_route {
	struct ip_prefix to;
	bool stays;	     /* not into the tunnel: a throw route */
	struct ip_addr from; /* the host's address to use, ADDR_NONE: the kernel chooses */
};

struct host_routes {
	struct host_route *list;
	size_t n;
};

/* In force; as the kernel has them as long as pg0 is there. */
static struct host_routes current;

static unsigned trailing_zeros(const struct ip_addr *a)
{
	unsigned n = 0;

	for (size_t i = addr_size(a); i-- > 0; n += 8)
		if (a->b[i] != 0)
			return n + (unsigned)__builtin_ctz(a->b[i]);
	return n;
}

/* The last address of the prefix that begins at `first` with `bits` bits. */
static struct ip_addr prefix_last(const struct ip_addr *first, unsigned bits)
{
	struct ip_addr a = *first;

	for (unsigned bit = bits; bit < 8 * addr_size(&a); bit++)
		a.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return a;
}

static bool addr_next(struct ip_addr *a)
{
	for (size_t i = addr_size(a); i-- > 0;)
		if (++a->b[i] != 0)
			return true;
	return false; /* it was the last of all */
}

/* First prefix of the range first..last that begins at first; advances first; false: the range is used up. */
static bool range_next_prefix(struct ip_range *r, struct ip_prefix *ret_prefix)
{
	if (r->first.family == ADDR_NONE || addr_compare(&r->first, &r->last) > 0)
		return false;
	unsigned width = 8 * (unsigned)addr_size(&r->first), bits = width - trailing_zeros(&r->first);
	struct ip_addr last = prefix_last(&r->first, bits);
	while (addr_compare(&last, &r->last) > 0)
		last = prefix_last(&r->first, ++bits);
	*ret_prefix = (struct ip_prefix){ r->first, bits };
	r->first = last;
	if (!addr_next(&r->first))
		r->first.family = ADDR_NONE;
	return true;
}

/* An address that means something beyond its link. */
static bool travels(const struct ifaddrs *i)
{
	const struct sockaddr_in6 *six = (const void *)i->ifa_addr;

	return !(i->ifa_flags & IFF_LOOPBACK) &&
	       !(i->ifa_addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr));
}

static void host_address(const struct ifaddrs *all, const struct selector *local, uint32_t n, uint8_t family,
	struct ip_addr *ret_addr)
{
	*ret_addr = (struct ip_addr){ .family = ADDR_NONE };
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct ip_addr a;
		if (!i->ifa_addr || !travels(i))
			continue;
		if (i->ifa_addr->sa_family == AF_INET && family == ADDR_V4)
			a = addr_v4(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
		else if (i->ifa_addr->sa_family == AF_INET6 && family == ADDR_V6)
			a = addr_v6(&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr);
		else
			continue;
		for (uint32_t k = 0; k < n; k++)
			if (range_holds(&local[k].addrs, &a)) {
				*ret_addr = a;
				return;
			}
	}
}

static bool listed(const struct host_routes *r, const struct host_route *route)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].stays == route->stays &&
			memcmp(&r->list[i].to, &route->to, sizeof route->to) == 0)
			return true;
	return false;
}

static void collect_remote(const struct snapshot *snap, const struct snap_tunnel *t,
	const struct ifaddrs *all, struct host_routes *r)
{
	const struct selector *local = &snap_selectors(snap)[t->local.first];

	for (uint32_t i = 0; i < t->remote.count; i++) {
		struct ip_range range = snap_selectors(snap)[t->remote.first + i].addrs;
		struct host_route route = { 0 };
		host_address(all, local, t->local.count, range.first.family, &route.from);
		while (r->n < ROUTES_MAX && range_next_prefix(&range, &route.to))
			r->list[r->n++] = route;
	}
}

/*
 * Of a part of a tunnel's local side: some remote side holds it, and each tunnel whose remote side does keeps
 * it here. What one tunnel keeps and another one takes goes to the other: never in clear.
 */
static bool all_keep(const struct snapshot *snap, const struct ip_range *local)
{
	bool held = false;

	for (uint32_t t = 0; t < snap->tunnels.count; t++) {
		const struct snap_tunnel *tunnel = &snap_tunnels(snap)[t];
		for (uint32_t i = 0; i < tunnel->remote.count; i++) {
			const struct ip_range *remote = &snap_selectors(snap)[tunnel->remote.first + i].addrs;
			if (!range_holds(remote, &local->first) || !range_holds(remote, &local->last))
				continue;
			if (!snap_tunnel_keeps(snap, tunnel, remote, local))
				return false;
			held = true;
		}
	}
	return held;
}

static void collect_local(const struct snapshot *snap, const struct snap_tunnel *t, struct host_routes *r)
{
	for (uint32_t i = 0; i < t->local.count; i++) {
		struct ip_range range = snap_selectors(snap)[t->local.first + i].addrs;
		struct host_route stays = { .stays = true };
		if (!all_keep(snap, &range))
			continue;
		while (r->n < ROUTES_MAX && range_next_prefix(&range, &stays.to))
			if (!listed(r, &stays))
				r->list[r->n++] = stays;
	}
}

static enum rc collect(const struct snapshot *snap, struct host_routes *ret_routes, struct err *e)
{
	struct ifaddrs *all = NULL;
	struct host_routes r = { malloc(ROUTES_MAX * sizeof(struct host_route)), 0 };
	enum rc rc = RC_OK;

	if (!r.list || getifaddrs(&all) < 0) {
		free(r.list);
		return err_errno(e, RC_IO, "the host's addresses");
	}
	for (uint32_t t = 0; t < snap->tunnels.count; t++)
		collect_remote(snap, &snap_tunnels(snap)[t], all, &r);
	for (uint32_t t = 0; t < snap->tunnels.count; t++)
		collect_local(snap, &snap_tunnels(snap)[t], &r);
	if (r.n == ROUTES_MAX)
		rc = err_add(e, RC_LIMIT, "more than %d routes into tunnels", ROUTES_MAX);
	freeifaddrs(all);
	if (rc != RC_OK)
		free(r.list);
	else
		*ret_routes = r;
	return rc;
}

/* tun 0: the unreachable route behind it; what stays is a route that sends on to the main table. */
static int change_route(int fd, const struct host_route *r, bool add, uint32_t tun)
{
	char room[512];
	struct nlmsghdr *h = netlink_begin(
		room, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = r->to.addr.family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (unsigned char)r->to.bits;
	m->rtm_protocol = TUNNEL_PROTOCOL;
	m->rtm_scope = add ? RT_SCOPE_LINK : RT_SCOPE_NOWHERE;
	m->rtm_type = r->stays ? RTN_THROW : tun ? RTN_UNICAST : RTN_UNREACHABLE;
	if (add && (!tun || r->stays))
		m->rtm_scope = RT_SCOPE_UNIVERSE;
	netlink_put_addr(h, RTA_DST, &r->to.addr);
	mnl_attr_put_u32(h, RTA_TABLE, TUNNEL_TABLE);
	if (tun && !r->stays)
		mnl_attr_put_u32(h, RTA_OIF, tun);
	else if (!r->stays)
		mnl_attr_put_u32(h, RTA_PRIORITY, UNREACHABLE_METRIC);
	if (add && tun && !r->stays && r->from.family != ADDR_NONE)
		netlink_put_addr(h, RTA_PREFSRC, &r->from);
	return netlink_ask(fd, h);
}

static int change_rule(int fd, int family, bool add)
{
	char room[512];
	struct nlmsghdr *h =
		netlink_begin(room, add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->family = (uint8_t)family;
	m->action = FR_ACT_TO_TBL;
	m->flags = FIB_RULE_INVERT;
	mnl_attr_put_u32(h, FRA_PRIORITY, TUNNEL_RULE);
	mnl_attr_put_u32(h, FRA_TABLE, TUNNEL_TABLE);
	mnl_attr_put_u32(h, FRA_FWMARK, OWN_MARK);
	mnl_attr_put_u32(h, FRA_FWMASK, UINT32_MAX);
	return netlink_ask(fd, h);
}

/* Unreachable and throw routes of ours that are in the kernel, also those of a supervisor before. */
struct kept {
	const struct host_routes *wanted; /* NULL: none */
	struct host_routes stale;
};

static void kept_route(void *context, const struct nlmsghdr *h)
{
	struct kept *k = context;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct host_route r = { .to.bits = m->rtm_dst_len };
	uint32_t table = m->rtm_table;
	struct nlattr *a; /* not const: the macros of netlink's headers */

	if (h->nlmsg_type != RTM_NEWROUTE || (m->rtm_type != RTN_UNREACHABLE && m->rtm_type != RTN_THROW) ||
		m->rtm_protocol != TUNNEL_PROTOCOL || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return;
	r.stays = m->rtm_type == RTN_THROW;
	r.to.addr.family = m->rtm_family == AF_INET ? ADDR_V4 : ADDR_V6;
	mnl_attr_for_each(a, h, sizeof *m)
	{
		if (mnl_attr_get_type(a) == RTA_TABLE)
			table = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == RTA_DST)
			memcpy(r.to.addr.b, mnl_attr_get_payload(a),
				MIN_OF(mnl_attr_get_payload_len(a), addr_size(&r.to.addr)));
	}
	if (table == TUNNEL_TABLE && !(k->wanted && listed(k->wanted, &r)) && k->stale.n < ROUTES_MAX)
		k->stale.list[k->stale.n++] = r;
}

static enum rc unreachable_prune(int fd, const struct host_routes *wanted, struct err *e)
{
	struct kept k = { .wanted = wanted, .stale.list = malloc(ROUTES_MAX * sizeof(struct host_route)) };
	char room[512];
	struct nlmsghdr *h = netlink_begin(room, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	if (!k.stale.list)
		return err_errno(e, RC_LIMIT, "memory for routes");
	m->rtm_family = AF_UNSPEC;
	errno = netlink_dump(fd, h, kept_route, &k);
	enum rc rc = errno ? err_errno(e, RC_IO, "routes into tunnels") : RC_OK;
	for (size_t i = 0; i < k.stale.n; i++)
		change_route(fd, &k.stale.list[i], false, 0);
	free(k.stale.list);
	return rc;
}

static void drop_stale(int fd, const struct host_routes *next, bool stays, uint32_t tun)
{
	for (size_t i = 0; i < current.n; i++)
		if (current.list[i].stays == stays && !listed(next, &current.list[i]))
			change_route(fd, &current.list[i], false, tun);
}

static enum rc install(int fd, const struct host_routes *next, uint32_t tun, struct err *e)
{
	char text[PREFIX_TEXT_MAX];

	for (int family = 4; family <= 6; family += 2) {
		errno = change_rule(fd, family == 4 ? AF_INET : AF_INET6, true);
		/* Without IPv6 there is no table for it either. */
		if (errno && errno != EEXIST && !(family == 6 && errno == EAFNOSUPPORT))
			return err_errno(e, RC_IO, "rule for routes into tunnels");
	}
	drop_stale(fd, next, true, tun); /* first: what takes its place may look like it to the kernel */
	for (size_t i = 0; i < next->n; i++) {
		errno = change_route(fd, &next->list[i], true, 0);
		if (errno == 0 && !next->list[i].stays)
			errno = change_route(fd, &next->list[i], true, tun);
		if (errno)
			return err_errno(
				e, RC_IO, "route %s to " TUN_NAME, prefix_text(text, &next->list[i].to));
	}
	drop_stale(fd, next, false, tun);
	return unreachable_prune(fd, next, e);
}

enum rc routes_apply(struct supervisor *s, struct err *e)
{
	struct host_routes next = { 0 };
	enum rc rc = collect(s->snapshot, &next, e);

	if (rc != RC_OK)
		return rc;
	int fd = netlink_open();
	rc = fd >= 0 ? install(fd, &next, if_nametoindex(TUN_NAME), e) : err_errno(e, RC_IO, "rtnetlink");
	if (fd >= 0)
		close(fd);
	if (rc != RC_OK) {
		free(next.list);
		return rc;
	}
	free(current.list);
	current = next;
	return RC_OK;
}

enum rc routes_flush(struct err *e)
{
	int fd = netlink_open();

	if (fd < 0)
		return err_errno(e, RC_IO, "rtnetlink");
	change_rule(fd, AF_INET, false); /* the routes to pg0 went with it */
	change_rule(fd, AF_INET6, false);
	enum rc rc = unreachable_prune(fd, NULL, e);
	close(fd);
	return rc;
}

enum rc neighbour_open(struct supervisor *s, struct err *e)
{
	s->neighbour_fd = netlink_open();
	return s->neighbour_fd >= 0 ? RC_OK : err_errno(e, RC_IO, "rtnetlink");
}

/* NTF_USE: the kernel behaves as if it had to send there itself: it resolves or confirms, by ARP or ND. */
void neighbour_ask(struct supervisor *s, const struct msg_neighbour *m)
{
	char room[256];
	struct nlmsghdr *h = netlink_begin(room, RTM_NEWNEIGH, NLM_F_CREATE);
	struct ndmsg *n = mnl_nlmsg_put_extra_header(h, sizeof *n);

	if (m->addr.family != ADDR_V4 && m->addr.family != ADDR_V6)
		return;
	if (!resource_find(s, RESOURCE_INTERFACE, m->interface)) /* only where the data plane is */
		return;
	n->ndm_family = m->addr.family == ADDR_V4 ? AF_INET : AF_INET6;
	n->ndm_ifindex = (int)m->interface;
	n->ndm_state = NUD_NONE;
	n->ndm_flags = NTF_USE;
	netlink_put_addr(h, NDA_DST, &m->addr);
	int error = netlink_ask(s->neighbour_fd, h);
	if (error && error != ENETDOWN && error != ENODEV) {
		char text[ADDR_TEXT_MAX];
		errno = error;
		log_warn("neighbour %s: %m", addr_text(text, &m->addr));
	}
}
