/*
 * The mirror of the kernel's tables: rtnetlink parsed into the events of the routing core. A mirror is filled by dumps (links,
 * addresses, routes, neighbours) and then updated by events. When events are lost (ENOBUFS), or a link goes down or an address
 * is removed, which removes routes without an event, a second table is filled by new dumps and takes over when it is complete.
 *
 * Also asks the kernel for the MTU of paths to tunnel peers, where it has learned a smaller one than the link's.
 */
#include "base/log.h"
#include "model/host_access.h"
#include "proc/dataplane/dataplane.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <linux/if_arp.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_AGAIN     (60 * NS_PER_S)
#define WITHHELD_AGAIN (60 * NS_PER_S) /* between two mirrors that are made because there may be room again */

static const uint16_t dumps[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE };

struct attributes {
	const struct nlattr *at[RTA_MAX + 1]; /* RTA_MAX, IFA_MAX and NDA_MAX are smaller than 64 all */
	uint16_t max;
};
_Static_assert(IFA_MAX <= RTA_MAX && NDA_MAX <= RTA_MAX && IFLA_LINKINFO <= RTA_MAX, "one table for all");

static int attribute_put(const struct nlattr *a, void *data)
{
	struct attributes *list = data;

	if (mnl_attr_get_type(a) <= list->max)
		list->at[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct attributes attributes_read(const struct nlmsghdr *h, size_t offset, uint16_t max)
{
	struct attributes list = { .max = max };

	mnl_attr_parse(h, (unsigned)offset, attribute_put, &list);
	return list;
}

static bool addr_read(const struct nlattr *a, uint8_t family, struct ip_addr *ret_addr)
{
	if (a && family == AF_INET && mnl_attr_get_payload_len(a) == 4)
		*ret_addr = addr_v4(mnl_attr_get_payload(a));
	else if (a && family == AF_INET6 && mnl_attr_get_payload_len(a) == 16)
		*ret_addr = addr_v6(mnl_attr_get_payload(a));
	else
		return false;
	return true;
}

static uint32_t u32_read(const struct nlattr *a, uint32_t otherwise)
{
	return a && mnl_attr_get_payload_len(a) >= sizeof(uint32_t) ? mnl_attr_get_u32(a) : otherwise;
}

static bool room_for(const struct nlmsghdr *h, size_t n)
{
	return mnl_nlmsg_get_payload_len(h) >= n;
}

/* Point-to-point and plain IP links, whose packets have no link header and need no link address. */
static bool link_is_bare(uint16_t type)
{
	static const uint16_t bare[] = { ARPHRD_PPP, ARPHRD_NONE, ARPHRD_RAWIP, ARPHRD_TUNNEL, ARPHRD_TUNNEL6,
		ARPHRD_SIT, ARPHRD_IPGRE, ARPHRD_IP6GRE };

	for (size_t i = 0; i < COUNT_OF(bare); i++)
		if (type == bare[i])
			return true;
	return false;
}

/* The table in a VRF device's data; 0: it is none. */
static uint32_t vrf_read(const struct nlattr *data)
{
	struct nlattr *a; /* not const: the macros of netlink's headers */

	mnl_attr_for_each_nested(a, data) if (mnl_attr_get_type(a) == IFLA_VRF_TABLE) return u32_read(a, 0);
	return 0;
}

static uint32_t vrf_of(const struct nlattr *info)
{
	const struct nlattr *data = NULL;
	struct nlattr *a; /* not const: the macros of netlink's headers */
	bool vrf = false;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			vrf = strcmp(mnl_attr_get_str(a), "vrf") == 0;
		else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	return vrf && data ? vrf_read(data) : 0;
}

static void link_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct route_link link = { 0 };

	/* A bridge tells of its ports in a family of its own: one that leaves is no link that is gone. */
	if (!room_for(h, sizeof *m) || m->ifi_index <= 0 || m->ifi_family != AF_UNSPEC)
		return;
	if (h->nlmsg_type == RTM_DELLINK) {
		route_link_gone(t, (uint32_t)m->ifi_index);
		workers_changed(d);
		return;
	}
	struct attributes a = attributes_read(h, sizeof *m, IFLA_LINKINFO);
	link.index = (uint32_t)m->ifi_index;
	link.up = (m->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	link.mtu = u32_read(a.at[IFLA_MTU], 1500);
	link.has_mac = a.at[IFLA_ADDRESS] && mnl_attr_get_payload_len(a.at[IFLA_ADDRESS]) == 6 &&
		       m->ifi_type == ARPHRD_ETHER;
	link.bare = link_is_bare(m->ifi_type);
	link.master = u32_read(a.at[IFLA_MASTER], 0);
	link.vrf = a.at[IFLA_LINKINFO] ? vrf_of(a.at[IFLA_LINKINFO]) : 0;
	if (link.has_mac)
		memcpy(link.mac, mnl_attr_get_payload(a.at[IFLA_ADDRESS]), 6);
	if (a.at[IFLA_IFNAME])
		strncpy(link.name, mnl_attr_get_str(a.at[IFLA_IFNAME]), sizeof link.name - 1);
	const struct route_link *before = route_link_find(t, link.index);
	/* Its routes are those of another table then, and not all of that is announced. */
	bool moved = before && (before->master != link.master || before->vrf != link.vrf);
	if (before && ((before->up && !link.up) || moved) && t == d->routes)
		d->dump_wanted = true;
	uint64_t generation = route_generation(t);
	if (route_link_set(t, &link) != RC_OK)
		log_warn("link %s is not mirrored: more than %d links", link.name, ROUTE_LINKS_MAX);
	if (route_generation(t) != generation && t == d->routes)
		workers_changed(d);
}

/* Kernels before 6.7 do not announce the routes that go with an address which was their source. */
static void local_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct route_local local = { 0 };

	if (!room_for(h, sizeof *m))
		return;
	struct attributes a = attributes_read(h, sizeof *m, IFA_MAX);
	/* On a point-to-point link IFA_ADDRESS is the far end; ours is IFA_LOCAL, which IPv6 often leaves
	 * out. */
	if (!addr_read(a.at[IFA_LOCAL] ? a.at[IFA_LOCAL] : a.at[IFA_ADDRESS], m->ifa_family, &local.addr))
		return;
	uint32_t flags = u32_read(a.at[IFA_FLAGS], m->ifa_flags);
	local.link = m->ifa_index;
	local.bits = m->ifa_prefixlen;
	local.temporary = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED);
	if (h->nlmsg_type == RTM_DELADDR) {
		route_local_gone(t, local.link, &local.addr);
		d->dump_wanted |= t == d->routes;
	} else if (route_local_set(t, &local) != RC_OK)
		log_warn("an address of this host is not mirrored: more than %d addresses", ROUTE_LOCALS_MAX);
}

static uint32_t metrics_mtu(const struct nlattr *metrics)
{
	struct nlattr *a; /* not const: the macros of netlink's headers */

	if (metrics)
		mnl_attr_for_each_nested(a, metrics) if (mnl_attr_get_type(a) == RTAX_MTU) return u32_read(
			a, 0);
	return 0;
}

/* The answer to a request for the path to a tunnel's peer: mtu 0 when it is the link's again. */
static void path_read(struct dataplane *d, const struct nlmsghdr *h, uint32_t mtu)
{
	struct path *path = NULL;

	for (uint32_t i = 0; i < PATHS_MAX && !path; i++)
		if (d->paths[i].sequence != 0 && d->paths[i].sequence == h->nlmsg_seq)
			path = &d->paths[i];
	if (!path)
		return;
	path->sequence = 0;
	for (uint32_t k = 0; k < esp_pairs(d->esp); k++) {
		struct esp_view v;
		esp_view(d->esp, esp_pair_at(d->esp, k), &v);
		if (v.tunnel != INDEX_NONE && addr_equal(&v.remote->addr, &path->remote))
			workers_path_mtu(d, v.tunnel, mtu);
	}
	if (mtu == 0)
		*path = (struct path){ 0 }; /* no smaller than the link's: the place is free */
}

/* RTA_VIA: IPv4 by an IPv6 gateway (RFC 8950), as routing daemons set it on links without IPv4 addresses. */
static void via_read(const uint8_t *via, size_t n, struct ip_addr *ret_gateway)
{
	uint16_t family;

	if (n != sizeof family + 16)
		return;
	memcpy(&family, via, sizeof family);
	if (family == AF_INET6)
		*ret_gateway = addr_v6(via + sizeof family);
}

/* A route's next hops, each a copy of *e with its link, gateway and weight; returns how many. RTNH_F_DEAD and
 * RTNH_F_LINKDOWN are not read: nobody would tell us of their end, and the link's own state is known. */
static uint32_t multipath_read(const struct nlattr *multipath, const struct route_entry *e, uint8_t family,
	struct route_entry *ret_paths)
{
	struct rtnexthop *next = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);
	uint32_t n = 0;

	for (; RTNH_OK(next, left); left -= NLMSG_ALIGN(next->rtnh_len), next = RTNH_NEXT(next)) {
		struct rtattr *r = RTNH_DATA(next);
		int r_left = (int)(next->rtnh_len - sizeof *next);
		if (n == ROUTE_PATHS_MAX) {
			log_warn("a route has more than %d next hops; the first ones are used",
				ROUTE_PATHS_MAX);
			break;
		}
		struct route_entry *one = &ret_paths[n++];
		*one = *e;
		one->link = (uint32_t)next->rtnh_ifindex;
		one->weight = next->rtnh_hops + 1u;
		for (; RTA_OK(r, r_left); r = RTA_NEXT(r, r_left)) {
			if (r->rta_type == RTA_VIA)
				via_read(RTA_DATA(r), RTA_PAYLOAD(r), &one->gateway);
			if (r->rta_type != RTA_GATEWAY)
				continue;
			if (family == AF_INET && RTA_PAYLOAD(r) == 4)
				one->gateway = addr_v4(RTA_DATA(r));
			else if (family == AF_INET6 && RTA_PAYLOAD(r) == 16)
				one->gateway = addr_v6(RTA_DATA(r));
		}
	}
	return n;
}

/*
 * Where the kernel has put a route among those of its destination and metric, as its notification says: the
 * flags of a dump are none, and a dump has the kernel's order. IPv4 puts it first unless it was appended.
 */
static enum route_place place_of(const struct nlmsghdr *h, uint8_t family)
{
	if (h->nlmsg_flags & NLM_F_MULTI)
		return ROUTE_APPEND;
	if (h->nlmsg_flags & NLM_F_REPLACE)
		return ROUTE_REPLACE;
	return family == AF_INET && !(h->nlmsg_flags & NLM_F_APPEND) ? ROUTE_PREPEND : ROUTE_APPEND;
}

/*
 * The mirror took no route. Its destination goes by a less specific one from now on; but what would enter a tunnel, or be dropped by a
 * route to nowhere, which guards such a one, does not leave in clear for that.
 */
static void route_refused(
	struct dataplane *d, struct route_table *t, const struct route_entry *paths, uint32_t n)
{
	char to[PREFIX_TEXT_MAX];
	/* One to nowhere for everything, of a table that is not the main one, is that table's end, and guards no tunnel. */
	bool withheld = paths->kind == ROUTE_UNREACHABLE && d->devices_n > 0 &&
			(paths->dst.bits > 0 || paths->table == ROUTE_TABLE_MAIN);

	for (uint32_t i = 0; i < n; i++)
		withheld |= paths[i].kind == ROUTE_UNICAST && device_fd(d, paths[i].link) >= 0;
	if (withheld)
		route_withhold(t, &paths->dst);
	log_warn(
		"the route to %s in table %u is not mirrored: out of memory, more than %u routes, or more than %d tables; %s. Let fewer routes into the kernel (filters of the routing daemon), or raise ROUTE_ROUTES_MAX or ROUTE_TABLES_MAX and build anew",
		prefix_text(to, &paths->dst), paths->table, ROUTE_ROUTES_MAX, ROUTE_TABLES_MAX,
		withheld ? "what it would have is dropped as route-limit"
			 : "its destination goes by a less specific route");
}

/* IPv6 tells each next hop of a route as a route too: by a gateway, and not from a router's advertisement
 * (rt6_qualify_for_ecmp() of the kernel). */
static void route_enter(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h,
	struct route_entry *e, const struct attributes *a, const struct rtmsg *m)
{
	struct route_entry paths[ROUTE_PATHS_MAX];
	uint32_t n = 1;

	if (a->at[RTA_MULTIPATH]) {
		n = multipath_read(a->at[RTA_MULTIPATH], e, m->rtm_family, paths);
		if (n == 0)
			return;
	} else {
		if (a->at[RTA_GATEWAY])
			addr_read(a->at[RTA_GATEWAY], m->rtm_family, &e->gateway);
		if (a->at[RTA_VIA])
			via_read(mnl_attr_get_payload(a->at[RTA_VIA]),
				mnl_attr_get_payload_len(a->at[RTA_VIA]), &e->gateway);
		e->link = u32_read(a->at[RTA_OIF], ROUTE_NONE);
		e->weight = m->rtm_family == AF_INET6 && a->at[RTA_GATEWAY] && !a->at[RTA_NH_ID] &&
			    m->rtm_protocol != RTPROT_RA;
		paths[0] = *e;
	}
	if (h->nlmsg_type == RTM_DELROUTE)
		route_paths_gone(t, paths, n);
	else if (route_paths_set(t, paths, n, place_of(h, m->rtm_family)) != RC_OK)
		route_refused(d, t, paths, n);
	if (h->nlmsg_type == RTM_DELROUTE)
		d->withheld_again |= route_withheld(t) > 0; /* there may be room now */
	/* By a tunnel that is down it alters no answer of the mirror, but what it would have must not go on in clear. */
	for (uint32_t i = 0; t == d->routes && i < n; i++)
		if (devices_hold(d, &paths[i])) {
			workers_changed(d);
			return;
		}
}

static void route_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct route_entry e = { .link = ROUTE_NONE };

	if (!room_for(h, sizeof *m) || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return;
	struct attributes a = attributes_read(h, sizeof *m, RTA_MAX);
	e.mtu = metrics_mtu(a.at[RTA_METRICS]);
	if (m->rtm_flags & RTM_F_CLONED) { /* the answer to a path request, or a cache entry: not a route */
		path_read(d, h, e.mtu);
		return;
	}
	e.table = u32_read(a.at[RTA_TABLE], m->rtm_table);
	if (e.table == TUNNEL_TABLE || e.table == DETOUR_TABLE) /* the host's own */
		return;
	/* One for packets of this TOS only; the kernel sends the others by the route beside it. */
	if (m->rtm_tos != 0)
		return;
	e.dst.addr.family = m->rtm_family == AF_INET ? ADDR_V4 : ADDR_V6;
	e.dst.bits = m->rtm_dst_len;
	if (a.at[RTA_DST] && !addr_read(a.at[RTA_DST], m->rtm_family, &e.dst.addr))
		return;
	e.metric = u32_read(a.at[RTA_PRIORITY], 0);
	switch (m->rtm_type) {
	case RTN_UNICAST:
		e.kind = ROUTE_UNICAST;
		break;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		e.kind = ROUTE_LOCAL;
		break;
	case RTN_BROADCAST:
		e.kind = ROUTE_BROADCAST;
		break;
	case RTN_MULTICAST:
		e.kind = ROUTE_MULTICAST;
		break;
	case RTN_UNREACHABLE:
	case RTN_BLACKHOLE:
	case RTN_PROHIBIT:
		e.kind = ROUTE_UNREACHABLE;
		break;
	case RTN_THROW:
		if (e.table == ROUTE_TABLE_LOCAL) /* main is next, and has these routes */
			return;
		e.kind = ROUTE_THROW;
		break;
	default:
		return;
	}
	route_enter(d, t, h, &e, &a, m);
}

static uint8_t neighbour_state(uint16_t state)
{
	if (state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP))
		return ROUTE_NEIGHBOUR_VALID;
	if (state & (NUD_DELAY | NUD_PROBE)) /* usable, and the kernel is confirming it */
		return ROUTE_NEIGHBOUR_VALID;
	if (state & NUD_STALE)
		return ROUTE_NEIGHBOUR_STALE;
	if (state & NUD_FAILED)
		return ROUTE_NEIGHBOUR_FAILED;
	return ROUTE_NEIGHBOUR_WAITING;
}

static void neighbour_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct route_neighbour n = { 0 };

	if (!room_for(h, sizeof *m))
		return;
	struct attributes a = attributes_read(h, sizeof *m, NDA_MAX);
	if (!addr_read(a.at[NDA_DST], m->ndm_family, &n.addr))
		return;
	n.link = (uint32_t)m->ndm_ifindex;
	n.state = neighbour_state(m->ndm_state);
	if (a.at[NDA_LLADDR] && mnl_attr_get_payload_len(a.at[NDA_LLADDR]) == 6)
		memcpy(n.mac, mnl_attr_get_payload(a.at[NDA_LLADDR]), 6);
	else if (n.state == ROUTE_NEIGHBOUR_VALID || n.state == ROUTE_NEIGHBOUR_STALE)
		n.state = ROUTE_NEIGHBOUR_WAITING;
	if (h->nlmsg_type == RTM_DELNEIGH) {
		route_neighbour_gone(t, n.link, &n.addr);
		if (t == d->routes)
			workers_neighbour(d, n.link, &n.addr, clock_mono());
		return;
	}
	if (route_neighbour_set(t, &n) != RC_OK)
		return; /* full: no new ones until the kernel has deleted some */
	if (t == d->routes)
		workers_neighbour(d, n.link, &n.addr, clock_mono());
}

static void event(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_read(d, t, h);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		local_read(d, t, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route_read(d, t, h);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_read(d, t, h);
		break;
	default:
		break;
	}
}

/* --- dumps --- */

static void dump_ask(struct dataplane *d)
{
	_Alignas(struct nlmsghdr) char buffer[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	static const size_t sizes[] = { sizeof(struct ifinfomsg), sizeof(struct ifaddrmsg),
		sizeof(struct rtmsg), sizeof(struct ndmsg), sizeof(struct fib_rule_hdr) };

	h->nlmsg_type = dumps[d->dump_step];
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++d->sequence;
	mnl_nlmsg_put_extra_header(h, sizes[d->dump_step]); /* zero: all entries of both families */
	if (send(d->route_fd, h, h->nlmsg_len, MSG_DONTWAIT) < 0) {
		log_warn("request the kernel's tables by rtnetlink: %m");
		d->dump_wanted = true;
	}
}

/* A full table is some tens of MB that lookups read everywhere. */
static void large_pages(void *bytes, size_t n)
{
	madvise(bytes, n, MADV_HUGEPAGE);
}

/* Nobody looks into it any more. The one before is gone already, unless one dump has followed another at once. */
static void mirror_discard(struct dataplane *d, struct route_table *t)
{
	if (!t)
		return;
	route_free(d->routes_gone);
	d->routes_gone = t;
}

void routes_ahead(struct dataplane *d)
{
	if (d->routes)
		route_prepare(d->routes);
	if (d->routes_next)
		route_prepare(d->routes_next);
}

bool routes_free_some(struct dataplane *d)
{
	if (d->routes_gone && route_free_piece(d->routes_gone))
		d->routes_gone = NULL;
	return d->routes_gone == NULL;
}

static void dump_begin(struct dataplane *d)
{
	struct route_table *fresh = route_new();

	d->dump_wanted = false;
	if (!fresh) {
		log_warn("out of memory for a new mirror of the kernel's routes; the old one stays in use");
		return;
	}
	route_advise(fresh, large_pages);
	uplinks_mirror(d, fresh);
	mirror_discard(d, d->routes_next);
	d->routes_next = fresh;
	d->dump_step = 0;
	ip_rules_begin(d);
	d->dumped = clock_mono();
	dump_ask(d);
}

static void dump_next(struct dataplane *d)
{
	if (++d->dump_step < COUNT_OF(dumps)) {
		dump_ask(d);
		return;
	}
	struct route_table *old = d->routes;
	d->routes = d->routes_next;
	d->routes_next = NULL;
	ip_rules_end(d);
	workers_routes(d);
	mirror_discard(d, old);
}

/* Events go into both tables while a dump is under way; the dump's own answers only into the new one. */
static void message(struct dataplane *d, const struct nlmsghdr *h)
{
	bool of_dump = d->routes_next && h->nlmsg_seq == d->sequence && h->nlmsg_flags & NLM_F_MULTI;

	if (of_dump && h->nlmsg_flags & NLM_F_DUMP_INTR) {
		d->dump_wanted = true; /* the table changed during the dump: repeat it */
	}
	if (h->nlmsg_type == NLMSG_DONE && of_dump) {
		dump_next(d);
	} else if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(h);
		if (room_for(h, sizeof *error) && d->routes_next && h->nlmsg_seq == d->sequence) {
			log_warn("the kernel refused to dump table %u by rtnetlink: error %d", d->dump_step,
				error->error);
			dump_next(d);
		}
	} else if (h->nlmsg_type == RTM_NEWRULE || h->nlmsg_type == RTM_DELRULE) {
		if (of_dump)
			ip_rule_read(d, d->routes_next, h);
		else
			d->dump_wanted = true;
	} else if (of_dump) {
		event(d, d->routes_next, h);
	} else {
		if (d->routes_next)
			event(d, d->routes_next, h);
		if (d->routes)
			event(d, d->routes, h);
	}
}

enum rc routes_open(struct dataplane *d, int fd, struct err *e)
{
	if (d->route_fd >= 0)
		close(d->route_fd);
	d->route_fd = fd;
	/* An empty table to begin with: nothing is routed until the dumps are complete. */
	if (!d->routes)
		d->routes = route_new();
	if (!d->routes)
		return err_add(e, RC_LIMIT, "out of memory for the mirror of the kernel's routes");
	dump_begin(d);
	return RC_OK;
}

uint32_t routes_receive(struct dataplane *d)
{
	static _Alignas(struct nlmsghdr) char buffer[ROUTES_READ];
	mono_ns until = clock_mono() + ROUTES_PAUSE_NS;
	uint32_t n = 0;

	for (; n == 0 || clock_mono() < until; n++) {
		ssize_t got = recv(d->route_fd, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
		if (got < 0 && errno == ENOBUFS) {
			d->dump_wanted = true; /* events were lost */
			continue;
		}
		if (got < 0)
			break;
		if ((size_t)got > sizeof buffer) {
			d->dump_wanted = true;
			continue;
		}
		int left = (int)got;
		for (const struct nlmsghdr *h = (const void *)buffer; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left))
			message(d, h);
	}
	if (d->dump_wanted && !d->routes_next)
		dump_begin(d);
	return n;
}

/* --- path MTUs --- */

static void path_ask(struct dataplane *d, struct path *path, mono_ns now)
{
	_Alignas(struct nlmsghdr) char buffer[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

	/* A dump's answers are recognised by its sequence number: path requests wait until it is complete. */
	if (d->routes_next)
		return;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++d->sequence;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->rtm_family = path->remote.family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = path->remote.family == ADDR_V4 ? 32 : 128;
	mnl_attr_put(h, RTA_DST, addr_size(&path->remote), path->remote.b);
	path->sequence = h->nlmsg_seq;
	path->asked = now;
	if (send(d->route_fd, h, h->nlmsg_len, MSG_DONTWAIT) < 0)
		path->sequence = 0;
}

/* A free place, or else that of the path requested longest ago: peers come, go and move. */
void routes_ask_path(struct dataplane *d, const struct ip_addr *remote)
{
	struct path *slot = &d->paths[0];
	mono_ns now = clock_mono();

	for (uint32_t i = 0; i < PATHS_MAX; i++) {
		struct path *path = &d->paths[i];
		if (addr_equal(&path->remote, remote)) {
			if (now - path->asked > NS_PER_S / 10)
				path_ask(d, path, now);
			return;
		}
		bool better = path->remote.family == ADDR_NONE || path->asked < slot->asked;
		if (slot->remote.family != ADDR_NONE && better)
			slot = path;
	}
	*slot = (struct path){ .remote = *remote };
	path_ask(d, slot, now);
}

static bool is_endpoint(const struct dataplane *d, const struct ip_addr *remote)
{
	for (uint32_t i = 0; i < esp_pairs(d->esp); i++) {
		struct esp_view v;
		esp_view(d->esp, esp_pair_at(d->esp, i), &v);
		if (v.tunnel != INDEX_NONE && addr_equal(&v.remote->addr, remote))
			return true;
	}
	return false;
}

void routes_second(struct dataplane *d)
{
	mono_ns now = clock_mono();

	if (d->withheld_again && now - d->dumped > WITHHELD_AGAIN) {
		d->withheld_again = false;
		d->dump_wanted = true;
	}
	/* The kernel forgets a learned MTU after some minutes (mtu_expires): ask again. */
	for (uint32_t i = 0; i < PATHS_MAX; i++) {
		struct path *path = &d->paths[i];
		if (path->remote.family == ADDR_NONE || now - path->asked <= PATH_AGAIN)
			continue;
		if (is_endpoint(d, &path->remote))
			path_ask(d, path, now);
		else
			*path = (struct path){ 0 };
	}
	if (d->dump_wanted && !d->routes_next)
		dump_begin(d);
}
