/*
 * `test policy`: the answer of pipeline_ask() as one row. The question is a filter of sessions that names one packet; control
 * passes it on as it was typed, so all of it is checked here.
 */
#include "base/json.h"
#include "base/nearest.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"
#include "wire/ip.h"

#include <stdio.h>

#define SPORT_DEFAULT 49152 /* the first dynamic port (RFC 6335 section 6) */

/* ---- the question ---- */

typedef const char *name_fn(const struct snapshot *s, uint32_t i);

static const char *zone_at(const struct snapshot *s, uint32_t i)
{
	return snap_zones(s)[i].name;
}

static const char *interface_at(const struct snapshot *s, uint32_t i)
{
	return snap_interfaces(s)[i].name;
}

static const char *tunnel_at(const struct snapshot *s, uint32_t i)
{
	return snap_tunnels(s)[i].name;
}

/* TRAIN_NONE: no name is given. */
static enum rc named(uint32_t *ret_index, const char *name, const struct snapshot *s, uint32_t n,
	name_fn *name_of, const char *kind, struct err *e)
{
	struct nearest near = nearest_to(name, strlen(name));
	char hint[NEAREST_HINT_MAX];

	*ret_index = TRAIN_NONE;
	if (!name[0])
		return RC_OK;
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(name_of(s, i), name) == 0) {
			*ret_index = i;
			return RC_OK;
		}
		nearest_offer(&near, name_of(s, i), strlen(name_of(s, i)));
	}
	return err_add(
		e, RC_NOT_FOUND, "the configuration has no %s '%s'%s", kind, name, nearest_hint(hint, &near));
}

static bool is_one(const struct ip_range *r)
{
	return r->first.family != ADDR_NONE && addr_equal(&r->first, &r->last);
}

static enum rc question_of(struct policy_question *ret_question, const struct msg_show *show,
	const struct snapshot *s, struct err *e)
{
	const struct session_filter *f = &show->filter;
	struct policy_question *q = ret_question;
	enum rc rc = session_filter_check(f, e);

	if (rc)
		return rc;
	if (!is_one(&f->src) || !is_one(&f->dst) || f->src.first.family != f->dst.first.family)
		return err_add(e, RC_MALFORMED,
			"a packet has one source and one destination, both of IPv4 or both of IPv6");
	if (f->proto == 0 || f->sport.first != f->sport.last || f->dport.first != f->dport.last ||
		show->icmp_type > UINT8_MAX || show->icmp_code > UINT8_MAX)
		return err_add(e, RC_MALFORMED, "a packet has one protocol and one port at each end");
	if (f->proto == (f->src.first.family == ADDR_V4 ? IP_ICMPV6 : IP_ICMP))
		return err_add(e, RC_MALFORMED, "ICMP is for IPv4, and ICMPv6 (icmp6) for IPv6");
	*q = (struct policy_question){ .src = f->src.first,
		.dst = f->dst.first,
		.src_port = f->sport.first ? f->sport.first : SPORT_DEFAULT,
		.dst_port = f->dport.first,
		.proto = (uint8_t)f->proto,
		.icmp_type = (uint8_t)show->icmp_type,
		.icmp_code = (uint8_t)show->icmp_code };
	if ((rc = named(&q->zone, f->from_zone, s, s->zones.count, zone_at, "zone", e)) ||
		(rc = named(&q->interface, f->interface, s, s->interfaces.count, interface_at, "interface",
			 e)) ||
		(rc = named(&q->tunnel, f->tunnel, s, s->tunnels.count, tunnel_at, "tunnel", e)))
		return rc;
	if ((q->zone != TRAIN_NONE) + (q->interface != TRAIN_NONE) + (q->tunnel != TRAIN_NONE) > 1)
		return err_add(e, RC_MALFORMED,
			"where the packet comes in is said by one of --from-zone, --interface and --tunnel");
	return RC_OK;
}

/* Of several workers the one that would decide. */
static enum rc ask(struct dataplane *d, struct policy_question *q, struct policy_answer *ret_answer,
	struct pipeline **ret_pipeline, struct err *e)
{
	mono_ns now = clock_mono();
	enum rc rc = RC_OK;

	*ret_pipeline = &d->workers[0]->pipeline;
	for (int steps = 0; steps < 4; steps++) { /* its home, who has its session or its binding */
		struct pipeline *p = *ret_pipeline;
		rc = pipeline_ask(p, q, now, ret_answer, e);
		pipeline_notes(p); /* of sessions that a commit has ended */
		if (rc != RC_OK || ret_answer->worker == p->worker || ret_answer->worker >= d->workers_n)
			break;
		q->redirected = ret_answer->redirected;
		*ret_pipeline = &d->workers[ret_answer->worker]->pipeline;
	}
	return rc;
}

/* ---- the answer ---- */

static const char *verdict_word(enum drop_reason d)
{
	return d == DROP_NONE					 ? "permit"
	       : d == DROP_POLICY_REJECT			 ? "reject"
	       : d == DROP_POLICY_DENY || d == DROP_DEFAULT_DENY ? "deny"
								 : "drop";
}

/* "10.1.0.2:80", "[2001:db8::1]:80"; without a port where the protocol has none. */
static void end_put(struct jw *w, const char *key, const struct ip_addr *a, uint16_t port, bool ports)
{
	struct endpoint at = { *a, port, 0 };
	char text[ENDPOINT_TEXT_MAX];

	jw_str(w, key, ports ? endpoint_text(text, &at) : addr_text(text, a));
}

static void rule_put(struct jw *w, const struct snapshot *s, uint32_t rule)
{
	if (rule >= s->rules.count)
		return;
	const struct snap_rule *r = &snap_rules(s)[rule];
	jw_str(w, "rule", r->name);
	jw_str(w, "rule_from", snap_rule_zone(s, r->from_zone));
	jw_str(w, "rule_to", snap_rule_zone(s, r->to_zone));
	if (r->flags & RULE_DSCP)
		jw_u64(w, "dscp", (r->flags & RULE_DSCP_MASK) >> RULE_DSCP_SHIFT);
}

static const char *nat_rule_name(const struct snapshot *s, uint32_t rule)
{
	return rule < s->nat_rules.count ? snap_nat_rules(s)[rule].name : NULL;
}

static const char *dnat_rule_name(const struct snapshot *s, uint32_t rule)
{
	return rule < s->dnat_rules.count ? snap_dnat_rules(s)[rule].name : NULL;
}

/* Destination NAT is known before policy, and told of what that refuses, too. */
static void destination_put(struct jw *w, const struct snapshot *s, const struct policy_answer *a)
{
	const struct fw_dnat *n = &a->dnat;
	const char *rule = n->expected	   ? NULL
			   : n->by_binding ? nat_rule_name(s, n->rule)
					   : dnat_rule_name(s, n->rule);

	if (!fw_dnat_translates(n))
		return;
	if (!n->no_server)
		end_put(w, "nat_dst", &n->dst, n->port, a->train.proto == IP_TCP || a->train.proto == IP_UDP);
	if (rule)
		jw_str(w, "nat_dst_rule", rule);
}

static void source_put(struct jw *w, const struct snapshot *s, const struct policy_answer *a)
{
	const struct fw_verdict *v = &a->verdict;
	const struct fw_key *k = v->key;
	struct ip_addr as = fw_key_dst(&k[1]), src = fw_key_src(&k[0]);
	const char *rule = v->inward ? NULL : nat_rule_name(s, v->nat_rule);

	if (a->decided && v->drop && v->exhausted_rule < s->nat_rules.count)
		jw_str(w, "nat_src_rule", snap_nat_rules(s)[v->exhausted_rule].name);
	if (!a->decided || !v->begins)
		return;
	if (!rule && !fw_dnat_translates(&a->dnat))
		rule = dnat_rule_name(s, v->dnat_rule); /* static NAT, from the real host */
	if (!addr_equal(&as, &src) || k[0].src_port != k[1].dst_port)
		end_put(w, "nat_src", &as, k[1].dst_port, ip_has_ports(k[1].proto));
	if (rule)
		jw_str(w, "nat_src_rule", rule);
}

static void way_put(struct jw *w, const struct pipeline *p, const struct policy_answer *a)
{
	const struct snapshot *s = p->snapshot;
	const struct train *t = &a->train;
	char text[ADDR_TEXT_MAX];

	if (a->to_host)
		jw_str(w, "to", FW_HOST_NAME);
	else if (t->out_zone < s->zones.count)
		jw_str(w, "to", snap_zones(s)[t->out_zone].name);
	if (t->tunnel < s->tunnels.count)
		jw_str(w, "tunnel", snap_tunnels(s)[t->tunnel].name);
	if (t->out_interface >= s->interfaces.count)
		return;
	jw_str(w, "egress", snap_interfaces(s)[t->out_interface].name);
	if (t->next_hop.family != ADDR_NONE)
		jw_str(w, "next_hop", addr_text(text, &t->next_hop));
}

/* Of what a link brings for the gateway itself the packet has it. */
static uint32_t rule_of(const struct policy_answer *a)
{
	return a->decided ? a->verdict.rule : a->to_host ? a->train.rule : TRAIN_NONE;
}

static const char *log_words(const struct snapshot *s, const struct policy_answer *a)
{
	const struct train *t = &a->train;
	uint32_t log = a->decided ? a->verdict.log : 0, rule = rule_of(a);
	uint32_t logs =
		rule < s->rules.count ? snap_rules(s)[rule].flags & (RULE_LOG_INIT | RULE_LOG_CLOSE) : 0;

	if (!a->decided && rule < s->rules.count) /* the kernel has the connection: fw_log_host_begin() */
		log = t->drop ? logs : t->proto == IP_TCP ? logs & RULE_LOG_INIT : 0;

	if (t->drop == DROP_NAT_EXHAUSTED || t->drop == DROP_NAT_BLOCK_LIMIT)
		return log ? "denied, exhausted" : "exhausted";
	if (t->drop == DROP_HOST_INBOUND && t->in_zone < s->zones.count)
		log = snap_zones(s)[t->in_zone].flags & ZONE_LOG_HOST_INBOUND;
	if (t->drop)
		return log ? "denied" : "nothing";
	return log == (RULE_LOG_INIT | RULE_LOG_CLOSE) ? "session-init, session-close"
	       : log & RULE_LOG_INIT		       ? "session-init"
	       : log & RULE_LOG_CLOSE		       ? "session-close"
						       : "nothing";
}

static void arrival_put(struct jw *w, const struct snapshot *s, const struct policy_answer *a)
{
	const struct train *t = &a->train;
	bool ports = ip_has_ports(t->proto);

	jw_str(w, "verdict", verdict_word(t->drop));
	if (t->drop) {
		jw_str(w, "drop", drop_name(t->drop));
		jw_str(w, "reason", drop_text(t->drop));
	}
	jw_strf(w, "proto", "%s",
		t->proto == IP_TCP	? "tcp"
		: t->proto == IP_UDP	? "udp"
		: t->proto == IP_SCTP	? "sctp"
		: t->proto == IP_ICMP	? "icmp"
		: t->proto == IP_ICMPV6 ? "icmp6"
					: "other");
	jw_u64(w, "protocol", t->proto);
	end_put(w, "src", &t->src, t->src_port, ports);
	end_put(w, "dst", &t->dst, t->dst_port, ports);
	if (t->proto == IP_ICMP || t->proto == IP_ICMPV6)
		jw_u64(w, "icmp_type", t->icmp_type);
	if ((t->proto == IP_ICMP || t->proto == IP_ICMPV6) && t->icmp_code)
		jw_u64(w, "icmp_code", t->icmp_code);
	if (t->in_zone < s->zones.count)
		jw_str(w, "from", snap_zones(s)[t->in_zone].name);
	if (t->in_interface < s->interfaces.count)
		jw_str(w, "interface", snap_interfaces(s)[t->in_interface].name);
	if (a->in_tunnel < s->tunnels.count)
		jw_str(w, "from_tunnel", snap_tunnels(s)[a->in_tunnel].name);
}

static void answer_put(struct jw *w, const struct pipeline *p, const struct policy_answer *a)
{
	const struct snapshot *s = p->snapshot;
	const struct fw_verdict *v = &a->verdict;
	const struct fw_session *known = fw_session(p->fw, a->session);

	arrival_put(w, s, a);
	way_put(w, p, a);
	if (a->decided || a->to_host)
		rule_put(w, s, rule_of(a));
	destination_put(w, s, a);
	source_put(w, s, a);
	jw_str(w, "log", log_words(s, a));
	if (a->decided && v->begins && v->timeout_s)
		jw_u64(w, "timeout_s", v->timeout_s);
	if (a->decided && v->expected)
		jw_bool(w, "expected", true);
	if (known)
		jw_u64(w, "session", known->id);
}

void show_question(struct dataplane *d, struct rows_piece *piece, uint64_t tag, const struct msg_show *show)
{
	struct policy_question q;
	struct policy_answer a;
	struct pipeline *p;
	struct err e = { 0 };

	if (question_of(&q, show, d->workers[0]->pipeline.snapshot, &e) != RC_OK ||
		ask(d, &q, &a, &p, &e) != RC_OK) {
		rows_refuse(child_link(&d->child, PROC_CONTROL), tag, e.rc, e.text);
		return;
	}
	answer_put(rows_row(piece), p, &a);
	rows_add(piece);
	rows_end(piece);
}
