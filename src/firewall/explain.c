/* One line for `trace`: what the stages have decided about a train, read from the train and its session. */
#include "firewall/internal.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
	char *at;
	size_t left;
};

static void add(struct text *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *x, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(x->at, x->left, fmt, args);
	va_end(args);
	size_t used = n < 0 ? 0 : MIN_OF((size_t)n, x->left - 1);
	x->at += used;
	x->left -= used;
}

static const char *zone_name(const struct firewall *fw, uint32_t zone)
{
	const struct snapshot *s = fw_policy(fw);

	return zone == FW_ZONE_HOST	    ? "the gateway"
	       : s && zone < s->zones.count ? snap_zones(s)[zone].name
					    : "no zone";
}

static void add_rule(struct text *x, const struct firewall *fw, uint32_t rule)
{
	const struct snapshot *s = fw_policy(fw);

	if (!s || rule >= s->rules.count)
		return;
	const struct snap_rule *r = &snap_rules(s)[rule];
	add(x, "; rule %s (%s to %s) %s", r->name, snap_rule_zone(s, r->from_zone),
		snap_rule_zone(s, r->to_zone),
		r->action == RULE_PERMIT   ? "permits"
		: r->action == RULE_REJECT ? "rejects"
					   : "denies");
}

/* The policy permits what source NAT has no address and port for. */
static void add_nat_rule(struct text *x, const struct firewall *fw)
{
	const struct snapshot *s = fw_policy(fw);

	if (s && fw->nat_exhausted < s->nat_rules.count)
		add(x, "; source NAT rule %s has no free address and port",
			snap_nat_rules(s)[fw->nat_exhausted].name);
}

/* "10.1.0.2 port 443", "10.1.0.2 id 7" of an ICMP query; of other protocols the address alone. */
static void add_end(struct text *x, const struct ip_addr *a, uint16_t port, uint8_t proto)
{
	char text[ADDR_TEXT_MAX];

	add(x, "%s", addr_text(text, a));
	if (ip_has_ports(proto))
		add(x, " port %u", port);
	else if (proto == IP_ICMP || proto == IP_ICMPV6)
		add(x, " id %u", port);
}

/* The rules by whose names a session is translated; "" where there is none. A client on the same interface as its server is translated
 * without a rule of source NAT. */
struct nat_names {
	const char *src, *dst;
};

static struct nat_names nat_names_of(const struct firewall *fw, const struct fw_session *s)
{
	const struct snapshot *policy = fw_policy(fw);
	const char *dnat = policy && s->dnat_rule < policy->dnat_rules.count
				   ? snap_dnat_rules(policy)[s->dnat_rule].name
				   : "";
	const char *snat = policy && s->nat_rule < policy->nat_rules.count
				   ? snap_nat_rules(policy)[s->nat_rule].name
			   : fw_destination_translated(s) ? ""
							  : dnat; /* static NAT, from the real host */

	/* the rule of source NAT whose binding it is */
	return s->flags & FW_SESSION_INWARD ? (struct nat_names){ "", snat }
					    : (struct nat_names){ snat, dnat };
}

static void add_translations(struct text *x, const struct firewall *fw, const struct fw_session *s)
{
	const struct nat_names names = nat_names_of(fw, s);
	const struct fw_key *k = s->key;
	struct ip_addr asked = fw_key_dst(&k[0]), server = fw_key_src(&k[1]), inside = fw_key_src(&k[0]),
		       outside = fw_key_dst(&k[1]);

	if (fw_destination_translated(s)) {
		add(x, ", destination ");
		add_end(x, &asked, k[0].dst_port, k[0].proto);
		add(x, " translated to ");
		add_end(x, &server, k[1].src_port, k[1].proto);
		if (names.dst[0])
			add(x, " by rule %s", names.dst);
	}
	if (fw_source_translated(s)) {
		add(x, ", source ");
		add_end(x, &inside, k[0].src_port, k[0].proto);
		add(x, " translated to ");
		add_end(x, &outside, k[1].dst_port, k[1].proto);
		if (names.src[0])
			add(x, " by rule %s", names.src);
	}
}

static void add_session(struct text *x, const struct firewall *fw, const struct fw_session *s, bool reply)
{
	add(x, "session %u, %s, %s to %s", s->id, reply ? "reply" : "forward",
		zone_name(fw, s->zones.zone[0]), zone_name(fw, s->zones.zone[1]));
	if (s->state != FW_STATELESS)
		add(x, ", %s%s", fw_protocol_state_name(s->state),
			s->flags & FW_SESSION_LOOSE ? " (tcp-loose: numbers are not checked)" : "");
	add_translations(x, fw, s);
}

char *fw_explain(const struct firewall *fw, const struct train *t, char ret_text[FW_EXPLAIN_MAX])
{
	struct text x = { ret_text, FW_EXPLAIN_MAX };
	const struct fw_session *s = fw_session(fw, t->session);

	ret_text[0] = '\0';
	if (s)
		add_session(&x, fw, s, t->flags & TRAIN_REPLY);
	else
		add(&x, "no session, %s to %s", zone_name(fw, fw_zone_in(t)), zone_name(fw, t->out_zone));
	add_rule(&x, fw, t->rule);
	if (t->drop == DROP_NAT_EXHAUSTED)
		add_nat_rule(&x, fw);
	if (t->drop)
		add(&x, "; dropped: %s (%s)", drop_name(t->drop), drop_text(t->drop));
	return ret_text;
}

static void name_copy(char ret_name[NAME_MAX_BYTES], const char *name)
{
	snprintf(ret_name, NAME_MAX_BYTES, "%s", name);
}

static void session_facts(const struct firewall *fw, const struct fw_session *s, struct packet_facts *f)
{
	const struct nat_names names = nat_names_of(fw, s);
	const struct fw_key *k = s->key;

	f->session = s->id;
	name_copy(f->from_zone, fw_zone_name(fw, s->zones.zone[0]));
	name_copy(f->to_zone, fw_zone_name(fw, s->zones.zone[1]));
	name_copy(f->rule, fw_session_rule_name(fw, s));
	if (fw_source_translated(s)) {
		f->nat_src = (struct endpoint){ fw_key_dst(&k[1]), k[1].dst_port, 0 };
		name_copy(f->nat_src_rule, names.src);
	}
	if (fw_destination_translated(s)) {
		f->nat_dst = (struct endpoint){ fw_key_src(&k[1]), k[1].src_port, 0 };
		name_copy(f->nat_dst_rule, names.dst);
	}
}

void fw_explain_facts(const struct firewall *fw, const struct train *t, struct packet_facts *ret_facts)
{
	const struct fw_session *s = fw_session(fw, t->session);
	const struct snapshot *policy = fw_policy(fw);
	struct packet_facts *f = ret_facts;

	f->reply = (t->flags & TRAIN_REPLY) != 0;
	if (s) {
		session_facts(fw, s, f);
	} else {
		name_copy(f->from_zone, fw_zone_name(fw, fw_zone_in(t)));
		name_copy(f->to_zone, fw_zone_name(fw, t->out_zone));
	}
	if (policy && t->rule < policy->rules.count)
		name_copy(f->rule, snap_rules(policy)[t->rule].name);
	if (t->drop != DROP_NONE)
		snprintf(f->drop, sizeof f->drop, "%s", drop_name(t->drop));
}
