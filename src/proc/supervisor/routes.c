/*
 * The host's own traffic into tunnels, and neighbours.
 *
 * The remote prefixes of all tunnels are routes to pg0 in a table of their own, which a rule asks before the
 * main table for everything but packets of IKE and ESP themselves (they carry OWN_MARK). So a tunnel's
 * network never leaves in clear by a more specific route of the main table, a tunnel to everywhere does not
 * swallow its own outside, and the data plane's mirror of the main table stays free of them. When pg0 goes,
 * the kernel removes the routes; each has an unreachable one of lower preference that stays, so that the host's
 * own traffic does not leave in clear while no data plane is there to encrypt it.
 * What stays on this side (host_routes.h) are "throw" routes there: for these the kernel asks the main table.
 *
 * A route to pg0 names the host's address on the tunnel's own side, which comes later than the configuration
 * at a boot, and may be replaced: pg0 itself has none, and by any other the peer's selectors would not be
 * met.
 */
#include "base/log.h"
#include "proc/supervisor/host_routes.h"
#include "proc/supervisor/netlink.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNREACHABLE_METRIC 0x7fffffffu /* less preferred than any route to pg0 */

/* In force; as the kernel has them as long as pg0 is there. */
static struct host_routes current;
/* An address that a route should name could not be used yet, as the kernel sees it (RFC 4862
 * section 5.4). */
static bool unsettled;

static enum rc collect(const struct snapshot *snap, struct host_routes *ret_routes, struct err *e)
{
	struct ifaddrs *addresses = NULL;

	if (getifaddrs(&addresses) < 0)
		return err_errno(e, RC_IO, "read the host's addresses");
	enum rc rc = host_routes_collect(ret_routes, snap, addresses, e);
	freeifaddrs(addresses);
	return rc;
}

/* tun 0: the unreachable route of lower preference; what stays is a throw route. */
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

/* Into pg0, by the host's address if that can be used already. */
static int set_route(int fd, const struct host_route *r, uint32_t tun)
{
	struct host_route any = *r;
	int error = change_route(fd, r, true, tun);

	if (error != EINVAL || r->from.family == ADDR_NONE)
		return error;
	unsettled = true;
	any.from = (struct ip_addr){ .family = ADDR_NONE };
	return change_route(fd, &any, true, tun);
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
	struct host_route *stale;
	size_t stale_n;
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
	if (table == TUNNEL_TABLE && !(k->wanted && host_routes_hold(k->wanted, &r)) &&
		k->stale_n < HOST_ROUTES_MAX)
		k->stale[k->stale_n++] = r;
}

static enum rc unreachable_prune(int fd, const struct host_routes *wanted, struct err *e)
{
	struct kept k = { .wanted = wanted, .stale = malloc(HOST_ROUTES_MAX * sizeof *k.stale) };
	char room[512];
	struct nlmsghdr *h = netlink_begin(room, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	if (!k.stale)
		return err_errno(e, RC_LIMIT, "out of memory for routes");
	m->rtm_family = AF_UNSPEC;
	errno = netlink_dump(fd, h, kept_route, &k);
	enum rc rc = errno ? err_errno(e, RC_IO, "read the routes into tunnels") : RC_OK;
	for (size_t i = 0; i < k.stale_n; i++)
		change_route(fd, &k.stale[i], false, 0);
	free(k.stale);
	return rc;
}

static void drop_stale(int fd, const struct host_routes *next, bool stays, uint32_t tun)
{
	for (size_t i = 0; i < current.n; i++)
		if (current.list[i].stays == stays && !host_routes_hold(next, &current.list[i]))
			change_route(fd, &current.list[i], false, tun);
}

static enum rc install(int fd, const struct host_routes *next, uint32_t tun, struct err *e)
{
	char text[PREFIX_TEXT_MAX];

	for (int family = 4; family <= 6; family += 2) {
		errno = change_rule(fd, family == 4 ? AF_INET : AF_INET6, true);
		/* Without IPv6 there is no table for it either. */
		if (errno && errno != EEXIST && !(family == 6 && errno == EAFNOSUPPORT))
			return err_errno(e, RC_IO, "add the rule for routes into tunnels");
	}
	drop_stale(fd, next, true, tun); /* first: what takes its place may look like it to the kernel */
	for (size_t i = 0; i < next->n; i++) {
		errno = change_route(fd, &next->list[i], true, 0);
		if (errno == 0 && !next->list[i].stays)
			errno = set_route(fd, &next->list[i], tun);
		if (errno)
			return err_errno(
				e, RC_IO, "add route %s to " TUN_NAME, prefix_text(text, &next->list[i].to));
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
	rc = fd >= 0 ? install(fd, &next, if_nametoindex(TUN_NAME), e)
		     : err_errno(e, RC_IO, "open an rtnetlink socket");
	if (fd >= 0)
		close(fd);
	if (rc != RC_OK) {
		host_routes_done(&next);
		return rc;
	}
	host_routes_done(&current);
	current = next;
	return RC_OK;
}

/* The kernel removes a lost address from the routes that name it, so one that is back at once is set again. */
static enum rc set_addresses(int fd, const struct host_routes *next, uint32_t tun, struct err *e)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < next->n; i++) {
		const struct host_route *r = &next->list[i], *was = host_routes_find(&current, r);
		if (r->stays || (r->from.family == ADDR_NONE && was && was->from.family == ADDR_NONE))
			continue;
		errno = set_route(fd, r, tun);
		if (errno)
			return err_errno(e, RC_IO, "add route %s to " TUN_NAME, prefix_text(text, &r->to));
	}
	return RC_OK;
}

void routes_follow(struct supervisor *s)
{
	struct host_routes next = { 0 };
	struct err e = { 0 };

	if (!s->snapshot || current.n == 0 || (!s->addresses_changed && !unsettled))
		return;
	s->addresses_changed = unsettled = false;
	enum rc rc = collect(s->snapshot, &next, &e);
	int fd = rc == RC_OK ? netlink_open() : -1;
	if (rc == RC_OK)
		rc = fd >= 0 ? set_addresses(fd, &next, if_nametoindex(TUN_NAME), &e)
			     : err_errno(&e, RC_IO, "open an rtnetlink socket");
	if (fd >= 0)
		close(fd);
	if (rc != RC_OK) {
		log_warn("%s", e.text);
		unsettled = true; /* again in a second */
		host_routes_done(&next);
		return;
	}
	host_routes_done(&current);
	current = next;
}

enum rc routes_flush(struct err *e)
{
	int fd = netlink_open();

	detours_flush();
	if (fd < 0)
		return err_errno(e, RC_IO, "open an rtnetlink socket");
	change_rule(fd, AF_INET, false); /* the routes to pg0 went with it */
	change_rule(fd, AF_INET6, false);
	enum rc rc = unreachable_prune(fd, NULL, e);
	close(fd);
	return rc;
}

enum rc neighbour_open(struct supervisor *s, struct err *e)
{
	s->neighbour_fd = netlink_open();
	return s->neighbour_fd >= 0 ? RC_OK : err_errno(e, RC_IO, "open an rtnetlink socket");
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
		log_warn("resolve neighbour %s: %m", addr_text(text, &m->addr));
	}
}
