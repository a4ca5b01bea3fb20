/*
 * Which of the zones' links stand on another one: VLANs and macvlans, and which are devices of VRFs. The kernel gives a frame first to the
 * ingress filter of the link that it came by, and only then to the sub-interface that it is for; the filter
 * of the parent must know what to leave to it (filter_text.c).
 */
#include "base/log.h"
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
