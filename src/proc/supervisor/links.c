/*
 * Which of the zones' links stand on another one: VLANs and macvlans, and which are devices of VRFs. The kernel gives a frame first to the
 * ingress filter of the link that it came by, and only then to the sub-interface that it is for; the filter
 * of the parent must know what to leave to it (filter_text.c). Also what the kernel counts of each: errors and drops (`show links`).
 */
#include "base/log.h"
#include "ipc/rows.h"
#include "proc/supervisor/netlink.h"
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

struct described {
	struct zone_interface *list;
	size_t n;
};

/* A VLAN's number in the link's data, 0: none. */
static uint16_t vlan_of(const struct nlattr *data)
{
	struct nlattr *a; /* not const: the macros of netlink's headers */

	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == IFLA_VLAN_ID && mnl_attr_get_payload_len(a) == 2)
			return mnl_attr_get_u16(a);
	}
	return 0;
}

static void kind_read(struct zone_interface *z, uint32_t parent, const struct nlattr *info)
{
	const struct nlattr *data = NULL;
	struct nlattr *a; /* not const: the macros of netlink's headers */
	const char *kind = "";

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			kind = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (strcmp(kind, "vlan") == 0 && data)
		z->vlan = vlan_of(data);
	if (z->vlan || strcmp(kind, "macvlan") == 0)
		z->parent = parent;
	z->is_vrf = strcmp(kind, "vrf") == 0;
}

static void described_link(void *context, const struct nlmsghdr *h)
{
	struct described *d = context;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *info = NULL;
	struct nlattr *a; /* not const: the macros of netlink's headers */
	uint32_t parent = 0;
	size_t i = 0;

	while (i < d->n && d->list[i].index != (uint32_t)m->ifi_index)
		i++;
	if (h->nlmsg_type != RTM_NEWLINK || i == d->n || m->ifi_index == 0)
		return;
	mnl_attr_for_each(a, h, sizeof *m)
	{
		if (mnl_attr_get_type(a) == IFLA_LINK && mnl_attr_get_payload_len(a) == 4)
			parent = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == 6)
			memcpy(d->list[i].mac, mnl_attr_get_payload(a), 6);
		else if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			info = a;
	}
	if (info)
		kind_read(&d->list[i], parent, info);
}

void links_describe(struct supervisor *s, struct zone_interface *list, size_t n)
{
	struct described d = { list, n };
	char room[128];
	struct nlmsghdr *h = netlink_begin(room, RTM_GETLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->ifi_family = AF_UNSPEC;
	errno = netlink_dump(s->neighbour_fd, h, described_link, &d);
	if (errno)
		log_warn(
			"read the kernel's links: %m; sub-interfaces whose parents are in zones may not be reachable");
}

/* ---- show links ---- */

struct counted {
	const struct snap_interface *list;
	uint32_t n;
	struct link_counts {
		bool known;
		uint32_t carrier_changes;
		struct rtnl_link_stats64 stats;
	} of[INTERFACES_MAX];
};

static void counted_link(void *context, const struct nlmsghdr *h)
{
	struct counted *c = context;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct link_counts found = { 0 };
	const char *name = "";
	struct nlattr *a; /* not const: the macros of netlink's headers */

	if (h->nlmsg_type != RTM_NEWLINK || m->ifi_family != AF_UNSPEC)
		return;
	mnl_attr_for_each(a, h, sizeof *m)
	{
		uint16_t type = mnl_attr_get_type(a), n = mnl_attr_get_payload_len(a);
		if (type == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			name = mnl_attr_get_str(a);
		else if (type == IFLA_CARRIER_CHANGES && n == sizeof found.carrier_changes)
			found.carrier_changes = mnl_attr_get_u32(a);
		else if (type ==
			 IFLA_STATS64) { /* newer kernels have more fields in the end, older ones fewer */
			memcpy(&found.stats, mnl_attr_get_payload(a), MIN_OF(n, sizeof found.stats));
			found.known = true;
		}
	}
	for (uint32_t i = 0; i < c->n && found.known; i++)
		if (strcmp(c->list[i].name, name) == 0)
			c->of[i] = found;
}

static void link_row(struct jw *w, const struct snapshot *s, uint32_t i, const struct link_counts *c)
{
	const struct snap_interface *in = &snap_interfaces(s)[i];

	jw_str(w, "interface", in->name);
	jw_str(w, "zone", snap_zones(s)[in->zone].name);
	jw_u64(w, "rx_packets", c->stats.rx_packets);
	jw_u64(w, "rx_errors", c->stats.rx_errors);
	jw_u64(w, "rx_dropped", c->stats.rx_dropped);
	jw_u64(w, "rx_missed", c->stats.rx_missed_errors);
	jw_u64(w, "tx_packets", c->stats.tx_packets);
	jw_u64(w, "tx_errors", c->stats.tx_errors);
	jw_u64(w, "tx_dropped", c->stats.tx_dropped);
	jw_u64(w, "carrier_changes", c->carrier_changes);
}

void links_show(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m)
{
	static struct rows_piece piece;
	static struct counted c;
	char room[128];
	struct nlmsghdr *h = netlink_begin(room, RTM_GETLINK, 0);
	struct ifinfomsg *all = mnl_nlmsg_put_extra_header(h, sizeof *all);

	if (!s->snapshot) {
		rows_refuse(&to->port.link, tag, RC_AGAIN, "the supervisor has no configuration yet");
		return;
	}
	c = (struct counted){ .list = snap_interfaces(s->snapshot), .n = s->snapshot->interfaces.count };
	all->ifi_family = AF_UNSPEC;
	if (netlink_dump(s->neighbour_fd, h, counted_link, &c) != 0) {
		rows_refuse(&to->port.link, tag, RC_IO, "the kernel does not tell of its links");
		return;
	}
	rows_begin(&piece, &to->port.link, tag, m);
	for (uint32_t i = rows_first(&piece, 0); i < c.n && rows_look(&piece, 0, i); i++) {
		if (!c.of[i].known) /* there is no such link now */
			continue;
		link_row(rows_row(&piece), s->snapshot, i, &c.of[i]);
		rows_add(&piece);
	}
	rows_end(&piece);
}
