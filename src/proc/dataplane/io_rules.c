/*
 * Rules by which the kernel chooses a routing table (`ip rule`). The mirror has only the tables local and
 * main, so with an additional rule, or a VRF, the kernel and the gateway would route differently: the log and
 * `show routes` report it, and nothing else follows from it.
 */
#include "base/log.h"
#include "base/tw.h"
#include "model/host_access.h"
#include "proc/dataplane/dataplane.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

struct rule {
	uint32_t priority, table, mark;
	const struct nlattr *from, *to, *in, *out;
	bool vrf;
};

/* The kernel's own three, and the one that brings the host's own packets into tunnels
 * (proc/supervisor/routes.c). */
static bool rule_is_known(const struct fib_rule_hdr *m, const struct rule *r)
{
	static const struct {
		uint32_t priority, table;
	} known[] = { { 0, RT_TABLE_LOCAL }, { 32766, RT_TABLE_MAIN }, { 32767, RT_TABLE_DEFAULT },
		{ TUNNEL_RULE, TUNNEL_TABLE } };

	if (m->action != FR_ACT_TO_TBL || r->from || r->to || r->in || r->out)
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

static void rule_say(char *ret_text, size_t size, const struct fib_rule_hdr *m, const struct rule *r)
{
	struct tw t = tw_over(ret_text, size);

	tw_say(&t, "%s", m->family == AF_INET ? "IPv4" : "IPv6");
	prefix_say(&t, "from", m->family, r->from, m->src_len);
	prefix_say(&t, "to", m->family, r->to, m->dst_len);
	name_say(&t, "iif", r->in);
	name_say(&t, "oif", r->out);
	if (r->mark)
		tw_say(&t, " fwmark 0x%x", r->mark);
	if (r->vrf)
		tw_say(&t, " VRF");
	else if (m->action == FR_ACT_TO_TBL)
		tw_say(&t, " table %u", r->table);
	else
		tw_say(&t, " action %u", m->action);
	tw_done(&t);
}

void ip_rules_begin(struct dataplane *d)
{
	d->rules_n = 0;
}

void ip_rule_read(struct dataplane *d, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	struct rule r = { 0 };
	struct nlattr *a; /* not const: the macros of netlink's headers */

	if (h->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(h) < sizeof *m ||
		(m->family != AF_INET && m->family != AF_INET6))
		return;
	r.table = m->table;
	mnl_attr_for_each(a, h, sizeof *m)
	{
		uint16_t n = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case FRA_PRIORITY:
			r.priority = n == 4 ? mnl_attr_get_u32(a) : 0;
			break;
		case FRA_TABLE:
			r.table = n == 4 ? mnl_attr_get_u32(a) : r.table;
			break;
		case FRA_FWMARK:
			r.mark = n == 4 ? mnl_attr_get_u32(a) : 0;
			break;
		case FRA_L3MDEV:
			r.vrf = n == 1 && mnl_attr_get_u8(a);
			break;
		case FRA_SRC:
			r.from = a;
			break;
		case FRA_DST:
			r.to = a;
			break;
		case FRA_IIFNAME:
			r.in = a;
			break;
		case FRA_OIFNAME:
			r.out = a;
			break;
		default:
			break;
		}
	}
	if (rule_is_known(m, &r) || d->rules_n == RULES_SHOWN_MAX)
		return;
	struct ip_rule *kept = &d->rules[d->rules_n++];
	kept->priority = r.priority;
	rule_say(kept->text, sizeof kept->text, m, &r);
}

/* Logged when their number changes. */
void ip_rules_end(struct dataplane *d)
{
	if (d->rules_n > 0 && d->rules_n != d->rules_logged)
		log_warn(
			"the kernel has %u additional routing rules (ip rule), which are not followed; the first: %s. "
			"Packets are forwarded by the tables local and main",
			d->rules_n, d->rules[0].text);
	d->rules_logged = d->rules_n;
}
