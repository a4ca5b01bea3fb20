/*
 * Rules by which the kernel chooses a routing table (`ip rule`), read into the routing core's (route/rules.h). What a
 * forwarded packet cannot have here (a mark of nftables, a user) or the core does not look at (TOS, tunnel keys) is
 * not followed: the log and `show routes` name such a rule, and it is as if it were not there.
 */
#include "base/log.h"
#include "base/tw.h"
#include "model/host_access.h"
#include "proc/dataplane/dataplane.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

/* Of kernels since 6.15, which have ports by mask; one port has all bits. */
#define RULE_SPORT_MASK 28
#define RULE_DPORT_MASK 29

struct rule {
	uint32_t priority, table, mark, mask, target;
	int32_t suppress_bits;
	const struct nlattr *from, *to, *in, *out;
	struct route_port_range src_ports, dst_ports;
	uint8_t proto;
	bool vrf;
	bool unknown; /* has a condition that the core does not know */
};

/* The kernel's own three. */
static bool rule_is_known(const struct fib_rule_hdr *m, const struct rule *r)
{
	static const struct {
		uint32_t priority, table;
	} known[] = { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT } };

	if (m->action != FR_ACT_TO_TBL || r->from || r->to || r->in || r->out || r->mark || r->mask ||
		r->vrf || r->unknown || r->proto || r->suppress_bits >= 0)
		return false;
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (r->priority == known[i].priority && r->table == known[i].table)
			return true;
	return false;
}

static void prefix_say(struct tw *t, const char *word, uint8_t family, const struct nlattr *a, uint8_t bits)
{
	struct ip_prefix prefix = { { .family = family == AF_INET ? ADDR_V4 : ADDR_V6 }, bits };
	char text[PREFIX_TEXT_MAX];

	if (!a || mnl_attr_get_payload_len(a) != addr_size(&prefix.addr))
		return;
	memcpy(prefix.addr.b, mnl_attr_get_payload(a), addr_size(&prefix.addr));
	tw_say(t, " %s %s", word, prefix_text(text, &prefix));
}

static void name_say(struct tw *t, const char *word, const struct nlattr *a)
{
	if (a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		tw_say(t, " %s %s", word, mnl_attr_get_str(a));
}

static void ports_say(struct tw *t, const char *word, const struct route_port_range *ports)
{
	if (ports->last != 0)
		tw_say(t, " %s %u-%u", word, ports->first, ports->last);
}

static void rule_say(char *ret_text, size_t size, const struct fib_rule_hdr *m, const struct rule *r)
{
	struct tw t = tw_over(ret_text, size);

	tw_say(&t, "%s%s", m->family == AF_INET ? "IPv4" : "IPv6", m->flags & FIB_RULE_INVERT ? " not" : "");
	prefix_say(&t, "from", m->family, r->from, m->src_len);
	prefix_say(&t, "to", m->family, r->to, m->dst_len);
	name_say(&t, "iif", r->in);
	name_say(&t, "oif", r->out);
	if (r->mark)
		tw_say(&t, " fwmark 0x%x", r->mark);
	if (r->proto)
		tw_say(&t, " ipproto %u", r->proto);
	ports_say(&t, "sport", &r->src_ports);
	ports_say(&t, "dport", &r->dst_ports);
	if (m->tos)
		tw_say(&t, " tos 0x%x", m->tos);
	if (r->vrf)
		tw_say(&t, " VRF");
	else if (m->action == FR_ACT_TO_TBL)
		tw_say(&t, " table %u", r->table);
	else if (m->action == FR_ACT_GOTO)
		tw_say(&t, " goto %u", r->target);
	else
		tw_say(&t, " action %u", m->action);
	if (r->suppress_bits >= 0)
		tw_say(&t, " suppress_prefixlength %d", r->suppress_bits);
	tw_done(&t);
}

void ip_rules_begin(struct dataplane *d)
{
	d->rules_n = d->rules_unfollowed = 0;
}

static uint32_t u32_of(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) == 4 ? mnl_attr_get_u32(a) : 0;
}

static struct route_port_range ports_of(const struct nlattr *a)
{
	struct fib_rule_port_range range = { 0 };

	if (mnl_attr_get_payload_len(a) == sizeof range)
		memcpy(&range, mnl_attr_get_payload(a), sizeof range);
	return (struct route_port_range){ range.start, range.end };
}

/* One condition or value of a rule. */
static void attribute_read(struct rule *r, const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case FRA_PRIORITY:
		r->priority = u32_of(a);
		break;
	case FRA_TABLE:
		r->table = u32_of(a);
		break;
	case FRA_FWMARK:
		r->mark = u32_of(a);
		break;
	case FRA_FWMASK:
		r->mask = u32_of(a);
		break;
	case FRA_GOTO:
		r->target = u32_of(a);
		break;
	case FRA_SUPPRESS_PREFIXLEN: /* all ones: not set */
		r->suppress_bits = (int32_t)u32_of(a);
		break;
	case FRA_L3MDEV:
		r->vrf = mnl_attr_get_payload_len(a) == 1 && mnl_attr_get_u8(a);
		break;
	case FRA_IP_PROTO:
		r->proto = mnl_attr_get_payload_len(a) == 1 ? mnl_attr_get_u8(a) : 0;
		break;
	case FRA_SPORT_RANGE:
		r->src_ports = ports_of(a);
		break;
	case FRA_DPORT_RANGE:
		r->dst_ports = ports_of(a);
		break;
	case FRA_SRC:
		r->from = a;
		break;
	case FRA_DST:
		r->to = a;
		break;
	case FRA_IIFNAME:
		r->in = a;
		break;
	case FRA_OIFNAME:
		r->out = a;
		break;
	case FRA_SUPPRESS_IFGROUP: /* all ones: not set */
		r->unknown |= u32_of(a) != UINT32_MAX;
		break;
	case RULE_SPORT_MASK:
	case RULE_DPORT_MASK:
		r->unknown |= mnl_attr_get_payload_len(a) != 2 || mnl_attr_get_u16(a) != UINT16_MAX;
		break;
	case FRA_FLOW: /* says what a route's packets count to */
	case FRA_PROTOCOL:
	case FRA_PAD:
		break;
	default: /* users, tunnel keys, DSCP, flow labels */
		r->unknown = true;
		break;
	}
}

static bool prefix_of(uint8_t family, const struct nlattr *a, uint8_t bits, struct ip_prefix *ret_prefix)
{
	*ret_prefix = (struct ip_prefix){ { .family = family == AF_INET ? ADDR_V4 : ADDR_V6 }, a ? bits : 0 };
	if (a && mnl_attr_get_payload_len(a) != addr_size(&ret_prefix->addr))
		return false;
	if (a)
		memcpy(ret_prefix->addr.b, mnl_attr_get_payload(a), addr_size(&ret_prefix->addr));
	return bits <= 8 * addr_size(&ret_prefix->addr);
}

/* As the core has it; false: it cannot be followed. */
static bool rule_convert(const struct fib_rule_hdr *m, const struct rule *r, struct route_rule *ret_rule)
{
	bool invert = m->flags & FIB_RULE_INVERT, marked = r->mark != 0;

	*ret_rule = (struct route_rule){ .priority = r->priority,
		.family = m->family == AF_INET ? ADDR_V4 : ADDR_V6,
		.table = r->table,
		.target = r->target,
		.suppress_bits = r->suppress_bits,
		.src_ports = r->src_ports,
		.dst_ports = r->dst_ports,
		.proto = r->proto,
		.vrf = r->vrf,
		.invert = invert,
		.never = marked || r->out };
	if (r->in && (mnl_attr_validate(r->in, MNL_TYPE_NUL_STRING) != 0 ||
			     strlen(mnl_attr_get_str(r->in)) >= sizeof ret_rule->in))
		return false;
	if (r->in)
		strncpy(ret_rule->in, mnl_attr_get_str(r->in), sizeof ret_rule->in - 1);
	switch (m->action) {
	case FR_ACT_TO_TBL:
		ret_rule->action = ROUTE_RULE_LOOKUP;
		break;
	case FR_ACT_GOTO:
		ret_rule->action = ROUTE_RULE_GOTO;
		break;
	case FR_ACT_NOP:
		ret_rule->action = ROUTE_RULE_NOTHING;
		break;
	case FR_ACT_BLACKHOLE:
	case FR_ACT_UNREACHABLE:
	case FR_ACT_PROHIBIT:
		ret_rule->action = ROUTE_RULE_UNREACHABLE;
		break;
	default:
		return false;
	}
	return prefix_of(m->family, r->from, m->src_len, &ret_rule->src) &&
	       prefix_of(m->family, r->to, m->dst_len, &ret_rule->dst) && !r->unknown && m->tos == 0 &&
	       (!marked || invert); /* nothing marks what is forwarded */
}

/* For `show`: those that are not followed first, if there are too many. */
static void rule_keep(struct dataplane *d, const struct fib_rule_hdr *m, const struct rule *r, bool followed)
{
	uint32_t at = 0;

	d->rules_unfollowed += !followed;
	if (d->rules_n < RULES_SHOWN_MAX) {
		at = d->rules_n++;
	} else {
		while (at < RULES_SHOWN_MAX && (followed || !d->rules[at].followed))
			at++;
		if (at == RULES_SHOWN_MAX)
			return;
	}
	d->rules[at].priority = r->priority;
	d->rules[at].followed = followed;
	rule_say(d->rules[at].text, sizeof d->rules[at].text, m, r);
}

/* The rules for the host's own packets (routes.c and uplinks.c of the supervisor) are not for forwarded ones. */
void ip_rule_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	struct rule r = { .suppress_bits = -1 };
	struct route_rule rule;
	struct nlattr *a; /* not const: the macros of netlink's headers */

	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof *m ||
		(m->family != AF_INET && m->family != AF_INET6))
		return;
	r.table = m->table;
	mnl_attr_for_each(a, h, sizeof *m) attribute_read(&r, a);
	if ((r.priority == TUNNEL_RULE && r.table == TUNNEL_TABLE) || r.priority == DETOUR_RULE)
		return;
	bool known = rule_is_known(m, &r);
	bool followed = rule_convert(m, &r, &rule) && route_rule_add(t, &rule) == RC_OK;
	if (!known || !followed)
		rule_keep(d, m, &r, followed);
}

static const char *first_unfollowed(const struct dataplane *d)
{
	for (uint32_t i = 0; i < d->rules_n; i++)
		if (!d->rules[i].followed)
			return d->rules[i].text;
	return "";
}

/* Logged when their number changes. */
void ip_rules_end(struct dataplane *d)
{
	if (d->rules_unfollowed > 0 && d->rules_unfollowed != d->rules_logged)
		log_warn("the kernel has %u routing rules (ip rule) that are not followed; the first: %s. "
			 "Packets are forwarded as if these were not there",
			d->rules_unfollowed, first_unfollowed(d));
	d->rules_logged = d->rules_unfollowed;
}
