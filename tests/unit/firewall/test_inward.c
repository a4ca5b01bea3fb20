/*
 * Sessions that others begin by a binding of persistent NAT: the filtering of its rule, policy, what strangers cannot keep
 * alive, hairpin, commits and restarts; random packets against a reference that knows only lists; corrupted memory.
 */
#include "scene.h"

#include <stdio.h>

#define TIMEOUT_S 125 /* of bindings */
#define UDP_S	  60  /* world.c */
#define OUTSIDE	  "203.0.113.1"

static struct snap_nat_rule *nat;
static uint32_t out;

static void setup_with(uint32_t filtering, uint32_t sessions)
{
	nat = scene_persistent(sessions, filtering, 1000, TIMEOUT_S);
	out = 0;
}

static int anybody(void **state)
{
	(void)state;
	setup_with(NAT_FILTER_ENDPOINT_INDEPENDENT, WORLD_SESSIONS);
	return 0;
}

static int with_room(void **state)
{
	(void)state;
	setup_with(NAT_FILTER_ENDPOINT_INDEPENDENT, 4096);
	return 0;
}

static int by_address(void **state)
{
	(void)state;
	setup_with(NAT_FILTER_ADDRESS_DEPENDENT, WORLD_SESSIONS);
	return 0;
}

static enum drop_reason udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return scene_send(IP_UDP, src, src_port, dst, dst_port, 0);
}

static void arrived_at(const char *addr, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(text, &w.t.dst), addr);
	assert_int_equal(w.t.dst_port, port);
	assert_true(packet_sound(w.t.ip, w.t.len));
}

static const struct fw_session *session_of(const struct train *t)
{
	return fw_session(w.fw, t->session);
}

/* RFC 4787 section 5: whoever sends to the mapped address and port reaches the inside host. */
static void endpoint_independent(void **state)
{
	char line[FW_EXPLAIN_MAX];

	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
	arrived_at("10.0.0.2", 1000);
	const struct fw_session *s = session_of(&w.t);
	assert_true(s->flags & FW_SESSION_INWARD);
	assert_int_equal(s->rule, out);
	assert_int_equal(s->nat_rule, 0);
	fw_explain(w.fw, &w.t, line);
	assert_non_null(strstr(line, "translated to 10.0.0.2 port 1000 by rule all"));
	assert_non_null(strstr(line, "rule out (trust to untrust) permits"));
	/* its answer comes from there */
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.9", 7), port);
	assert_true(w.t.flags & TRAIN_REPLY);
	/* not at another port, nor from a zone that the rule does not lead to */
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, (uint16_t)(port ^ 1)), DROP_HOST_INBOUND);
	assert_int_equal(udp("192.168.0.9", 7, OUTSIDE, port), DROP_NAT_FILTERED);
	assert_int_equal(scene_send(IP_TCP, "198.51.100.9", 7, OUTSIDE, port, TCP_SYN), DROP_HOST_INBOUND);
	assert_int_equal(fw_nat_rule_bindings(w.fw, 0), 1);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 0), 2);
}

/* RFC 5382 REQ-3: a connection from outside. */
static void connections(void **state)
{
	(void)state;
	assert_int_equal(scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.1", 80, TCP_SYN), DROP_NONE);
	uint16_t port = w.t.src_port;
	assert_int_equal(scene_send(IP_TCP, "198.51.100.9", 7, OUTSIDE, port, TCP_ACK), DROP_NO_SESSION);
	assert_int_equal(scene_send(IP_TCP, "198.51.100.9", 7, OUTSIDE, port, TCP_SYN), DROP_NONE);
	arrived_at("10.0.0.2", 1000);
	assert_int_equal(
		scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.9", 7, TCP_SYN | TCP_ACK), DROP_NONE);
	assert_int_equal(w.t.src_port, port);
	uint32_t binding = 0;
	assert_non_null(fw_binding_next(w.fw, &binding));
	assert_int_equal(fw_binding_sessions(w.fw, binding - 1), 2);
}

static void address_dependent(void **state)
{
	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.1", 99, OUTSIDE, port), DROP_NONE);
	arrived_at("10.0.0.2", 1000);
	assert_int_equal(udp("198.51.100.2", 53, OUTSIDE, port), DROP_NAT_FILTERED);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.2", 54), port);
	assert_int_equal(udp("198.51.100.2", 53, OUTSIDE, port), DROP_NONE);
	assert_int_equal(w.t.dst_port, 1000);
	/* an address that another inside port has talked to is a stranger to this one */
	uint16_t other = scene_mapped("10.0.0.2", 1001, "198.51.100.3", 53);
	assert_int_equal(udp("198.51.100.3", 54, OUTSIDE, port), DROP_NAT_FILTERED);
	assert_int_equal(udp("198.51.100.3", 54, OUTSIDE, other), DROP_NONE);
	/* as long as the session, which may have come in itself if it was answered */
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 99), port);
	scene_seconds(30);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 99), port);
	scene_seconds(UDP_S - 25);
	assert_int_equal(udp("198.51.100.2", 1, OUTSIDE, port), DROP_NAT_FILTERED);
	assert_int_equal(udp("198.51.100.1", 2, OUTSIDE, port), DROP_NONE);
	scene_seconds(UDP_S + 3);
	assert_int_equal(udp("198.51.100.1", 3, OUTSIDE, port), DROP_NAT_FILTERED);
}

/* Nothing that a rule denies, nobody whom the inside host may not talk to. */
static void policy_decides(void **state)
{
	(void)state;
	policy_done(&p);
	policy_init(&p);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "bad", UNTRUST, TRUST, "198.51.100.66", "any", "any", RULE_DENY);
	policy_rule(&p, "good", UNTRUST, TRUST, "198.51.100.77", "10.0.0.2", "udp/1000", RULE_PERMIT);
	p.nat_port_first = 50000;
	p.nat_port_last = 50999;
	nat = policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	nat->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat->binding_timeout_s = TIMEOUT_S;
	nat->bindings_max = 1000;
	world_load(&w, &p);
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.9", 53, OUTSIDE, port), DROP_NONE);
	assert_int_equal(session_of(&w.t)->rule, 0);
	assert_int_equal(udp("198.51.100.9", 54, OUTSIDE, port), DROP_DEFAULT_DENY);
	assert_int_equal(udp("198.51.100.66", 53, OUTSIDE, port), DROP_POLICY_DENY);
	assert_int_equal(udp("198.51.100.77", 54, OUTSIDE, port), DROP_NONE);
	assert_int_equal(session_of(&w.t)->rule, 2);
}

static uint32_t bindings(void)
{
	return (uint32_t)fw_counters(w.fw)->bindings_now;
}

/* RFC 4787 section 4.3: neither a session nor the binding lives by what strangers send. */
static void strangers_keep_nothing_alive(void **state)
{
	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	for (uint32_t i = 0; i < (UDP_S + TIMEOUT_S) / 5; i++) {
		assert_int_equal(bindings(), 1);
		assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
		assert_int_equal(udp("198.51.100.9", (uint16_t)(1000 + i), OUTSIDE, port), DROP_NONE);
		scene_seconds(5);
	}
	scene_seconds(3);
	assert_int_equal(bindings(), 0);
	/* of one that it began while the binding lived a last answer finds none */
	assert_int_equal(udp("10.0.0.2", 1000, "198.51.100.9", (uint16_t)(1000 + 35)), DROP_NO_SESSION);
	assert_int_equal(udp("198.51.100.9", 9999, OUTSIDE, port), DROP_HOST_INBOUND);
	/* one that the inside host answers keeps it */
	port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.9", 7), port);
		scene_seconds(UDP_S - 5);
	}
	assert_int_equal(bindings(), 1);
}

/* A reset is no answer, and an unanswered connection ends as any. */
static void unanswered_connections(void **state)
{
	(void)state;
	assert_int_equal(scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.1", 80, TCP_SYN), DROP_NONE);
	uint16_t port = w.t.src_port;
	for (uint32_t i = 0; i < 60; i++) {
		enum drop_reason d =
			scene_send(IP_TCP, "198.51.100.9", (uint16_t)(7 + i), OUTSIDE, port, TCP_SYN);
		assert_int_equal(d, bindings() ? DROP_NONE : DROP_HOST_INBOUND);
		if (d == DROP_NONE)
			assert_int_equal(scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.9",
						 (uint16_t)(7 + i), TCP_RST | TCP_ACK),
				DROP_NONE);
		scene_seconds(5);
	}
	assert_int_equal(bindings(), 0);
}

static void commits(void **state)
{
	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.8", 7, OUTSIDE, port), DROP_NONE);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.8", 7), port);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 4);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 4);
	nat->filtering = NAT_FILTER_ADDRESS_DEPENDENT; /* who was never answered goes */
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 3);
	assert_int_equal(udp("198.51.100.8", 7, OUTSIDE, port), DROP_NONE);
	assert_int_equal(session_of(&w.t)->nat_rule, 0);
	nat->filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	assert_int_equal(udp("198.51.100.8", 7, OUTSIDE, port), DROP_HOST_INBOUND);
	/* and a rule of policy that denies it now */
	nat->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	world_load(&w, &p);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
	policy_rule(&p, "rest", UNTRUST, TRUST, "any", "any", "any", RULE_DENY); /* the default in words */
	world_load(&w, &p);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_NONE);
	p.rules_n--;
	policy_rule(&p, "no", UNTRUST, TRUST, "any", "any", "udp/1-65535", RULE_DENY);
	world_load(&w, &p);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, port), DROP_POLICY_DENY);
}

static void restarts(void **state)
{
	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.1", 7, OUTSIDE, port), DROP_NONE);
	assert_int_equal(udp("198.51.100.1", 8, OUTSIDE, port), DROP_NONE);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 8), port);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	uint32_t cursor = 0;
	assert_non_null(fw_binding_next(w.fw, &cursor));
	assert_int_equal(fw_binding_sessions(w.fw, cursor - 1), 2); /* the one without an answer does not */
	assert_int_equal(udp("198.51.100.1", 7, OUTSIDE, port), DROP_NONE);
	assert_true(session_of(&w.t)->flags & FW_SESSION_INWARD);
	assert_int_equal(udp("198.51.100.1", 9, OUTSIDE, port), DROP_NONE);
	assert_int_equal(udp("198.51.100.2", 9, OUTSIDE, port), DROP_NAT_FILTERED);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* What the administrator has published stays published, whatever inside hosts bind; so do services of the gateway. */
static void destination_nat_wins(void **state)
{
	(void)state;
	assert_int_equal(scene_mapped("10.0.0.2", 50443, "198.51.100.1", 53), 50443);
	assert_int_equal(scene_mapped("10.0.0.2", 50444, "198.51.100.1", 53), 50444);
	policy_dnat(&p, "web", UNTRUST, "any", OUTSIDE, "udp/50443", "10.0.0.80", 443, 443);
	policy_rule(&p, "web", UNTRUST, TRUST, "any", "10.0.0.80", "udp/443", RULE_PERMIT);
	policy_opens(&p, UNTRUST, "udp/50444", "any");
	world_load(&w, &p);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, 50443), DROP_NONE);
	arrived_at("10.0.0.80", 443);
	assert_int_equal(udp("198.51.100.9", 7, OUTSIDE, 50444), DROP_NONE);
	arrived_at(OUTSIDE, 50444);
	/* answers still find their session */
	assert_int_equal(udp("198.51.100.1", 53, OUTSIDE, 50443), DROP_NONE);
	arrived_at("10.0.0.2", 50443);
}

/* RFC 4787 REQ-9: between inside hosts, with the translated address and port as source. */
static void hairpin(void **state)
{
	char text[ADDR_TEXT_MAX];

	(void)state;
	uint16_t a = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53),
		 b = scene_mapped("10.0.0.3", 2000, "198.51.100.1", 53);
	assert_int_equal(udp("10.0.0.3", 2000, OUTSIDE, a), DROP_DEFAULT_DENY); /* policy of trust to trust */
	policy_rule(&p, "among", TRUST, TRUST, "any", "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	assert_int_equal(udp("10.0.0.3", 2000, OUTSIDE, a), DROP_NONE);
	arrived_at("10.0.0.2", 1000);
	assert_string_equal(addr_text(text, &w.t.src), OUTSIDE);
	assert_int_equal(w.t.src_port, b);
	assert_int_equal(udp("10.0.0.2", 1000, OUTSIDE, b), DROP_NONE); /* the answer */
	arrived_at("10.0.0.3", 2000);
	assert_int_equal(w.t.src_port, a);
	/* one without a mapping has one port or another */
	assert_int_equal(udp("10.0.0.4", 3000, OUTSIDE, a), DROP_NONE);
	assert_string_equal(addr_text(text, &w.t.src), OUTSIDE);
	assert_true(w.t.src_port != a && w.t.src_port != b);
	nat->filtering = NAT_FILTER_ADDRESS_DEPENDENT;
	world_load(&w, &p);
	assert_int_equal(udp("10.0.0.5", 3000, OUTSIDE, a), DROP_NAT_FILTERED);
}

/* A flood of strangers evicts nothing but its own, and ends with the binding. */
static void floods(void **state)
{
	(void)state;
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	assert_int_equal(udp("198.51.100.1", 53, OUTSIDE, port), DROP_NONE);
	p.zones[UNTRUST].source_sessions_max = 10;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 12; i++)
		assert_int_equal(udp("198.51.100.200", (uint16_t)(1 + i), OUTSIDE, port),
			i < 10 ? DROP_NONE : DROP_SOURCE_SESSION_LIMIT);
	p.zones[UNTRUST].source_sessions_max = 0;
	world_load(&w, &p);
	for (uint32_t i = 0; i < 5000; i++) {
		char src[16];
		snprintf(src, sizeof src, "198.18.%u.%u", i / 250, 1 + i % 250);
		udp(src, 7, OUTSIDE, port);
		assert_true(fw_counters(w.fw)->sessions_now <= WORLD_SESSIONS);
	}
	assert_int_equal(udp("198.51.100.1", 53, OUTSIDE, port), DROP_NONE); /* the answered one */
	assert_true(w.t.flags & TRAIN_REPLY);
	assert_int_equal(bindings(), 1);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* ---- the reference ---- */

#define HOSTS	 4
#define PORTS	 3
#define REMOTES	 4
#define SESSIONS 512
#define STEP_S	 8 /* no timeout ends at a multiple of it, give or take two seconds */

struct binding_ref {
	uint16_t port;
	mono_ns released; /* end of the last session that held it */
	bool exists;
};

struct session_ref {
	bool lives, inward, holds;
	uint32_t host, inside, remote, remote_port;
	uint16_t mapped;
	mono_ns last;
};

static struct binding_ref binding_ref[HOSTS][PORTS];
static struct session_ref session_ref[SESSIONS];
static char ref_host[HOSTS][16], ref_remote[REMOTES][16];

static bool holds(const struct session_ref *s, uint32_t host, uint32_t inside)
{
	return s->lives && s->holds && s->host == host && s->inside == inside;
}

static void ref_end(struct session_ref *s, mono_ns at)
{
	struct binding_ref *b = &binding_ref[s->host][s->inside];

	s->lives = false;
	if (s->holds)
		b->released = MAX_OF(b->released, at);
}

static void ref_time(void)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (session_ref[i].lives && w.now > session_ref[i].last + UDP_S * NS_PER_S)
			ref_end(&session_ref[i], session_ref[i].last + (UDP_S + 1) * NS_PER_S);
	for (uint32_t h = 0; h < HOSTS; h++)
		for (uint32_t q = 0; q < PORTS; q++) {
			struct binding_ref *b = &binding_ref[h][q];
			bool held = false;
			for (uint32_t i = 0; i < SESSIONS; i++)
				held |= holds(&session_ref[i], h, q);
			if (!held && w.now > b->released + TIMEOUT_S * NS_PER_S)
				b->exists = false;
		}
}

/* The session that has the mapped port and the remote end. */
static struct session_ref *ref_session(uint16_t port, uint32_t remote, uint32_t remote_port)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (session_ref[i].lives && session_ref[i].mapped == port &&
			session_ref[i].remote == remote && session_ref[i].remote_port == remote_port)
			return &session_ref[i];
	return NULL;
}

static struct session_ref *ref_inside(uint32_t h, uint32_t q, uint32_t remote, uint32_t remote_port)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (session_ref[i].lives && session_ref[i].host == h && session_ref[i].inside == q &&
			session_ref[i].remote == remote && session_ref[i].remote_port == remote_port)
			return &session_ref[i];
	return NULL;
}

static void ref_begin(struct session_ref s)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (!session_ref[i].lives) {
			s.lives = true;
			session_ref[i] = s;
			return;
		}
	fail_msg("the reference has no room");
}

static bool ref_talks_to(uint32_t h, uint32_t q, uint32_t remote)
{
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (holds(&session_ref[i], h, q) && session_ref[i].remote == remote)
			return true;
	return false;
}

static void outward(uint32_t h, uint32_t q, uint32_t r, uint32_t rp)
{
	struct session_ref *s = ref_inside(h, q, r, rp);
	struct binding_ref *b = &binding_ref[h][q];
	enum drop_reason want = DROP_NONE;

	if (s && s->inward && !s->holds && (!b->exists || b->port != s->mapped))
		want = DROP_NO_SESSION;
	else if (!s && b->exists && ref_session(b->port, r, rp))
		want = DROP_SESSION_COLLISION;
	enum drop_reason got = udp(ref_host[h], (uint16_t)(1000 + q), ref_remote[r], (uint16_t)(10 + rp));
	if (got != want)
		fail_msg("outward: %s, not %s", drop_name(got), drop_name(want));
	if (want == DROP_NO_SESSION)
		s->lives = false;
	if (want)
		return;
	if (b->exists)
		assert_int_equal(w.t.src_port, b->port);
	for (uint32_t i = 0; i < HOSTS * PORTS; i++) {
		const struct binding_ref *other = &binding_ref[i / PORTS][i % PORTS];
		assert_true(other == b || !other->exists || other->port != w.t.src_port);
	}
	b->exists = true;
	b->port = w.t.src_port;
	if (!s) {
		ref_begin((struct session_ref){ .holds = true,
			.host = h,
			.inside = q,
			.remote = r,
			.remote_port = rp,
			.mapped = b->port,
			.last = w.now });
		return;
	}
	s->last = w.now;
	s->holds = true;
}

static void inward(uint16_t port, uint32_t r, uint32_t rp)
{
	struct session_ref *s = ref_session(port, r, rp);
	enum drop_reason want = s ? DROP_NONE : DROP_HOST_INBOUND;
	uint32_t h = s ? s->host : 0, q = s ? s->inside : 0;

	for (uint32_t i = 0; !s && i < HOSTS * PORTS; i++) {
		const struct binding_ref *b = &binding_ref[i / PORTS][i % PORTS];
		if (!b->exists || b->port != port)
			continue;
		h = i / PORTS;
		q = i % PORTS;
		if (nat->filtering == NAT_FILTER_ENDPOINT_INDEPENDENT)
			want = DROP_NONE;
		else if (nat->filtering == NAT_FILTER_ADDRESS_DEPENDENT)
			want = ref_talks_to(h, q, r) ? DROP_NONE : DROP_NAT_FILTERED;
	}
	/* Of an earlier binding, and not answered: its replies would have the same key. */
	if (!s && want == DROP_NONE && ref_inside(h, q, r, rp))
		want = DROP_SESSION_COLLISION;
	enum drop_reason got = udp(ref_remote[r], (uint16_t)(10 + rp), OUTSIDE, port);
	if (got != want)
		fail_msg("inward: %s, not %s", drop_name(got), drop_name(want));
	if (want)
		return;
	arrived_at(ref_host[h], (uint16_t)(1000 + q));
	if (s && !s->inward)
		s->last = w.now;
	if (!s)
		ref_begin((struct session_ref){ .inward = true,
			.host = h,
			.inside = q,
			.remote = r,
			.remote_port = rp,
			.mapped = port,
			.last = w.now });
}

static void commit(uint32_t filtering)
{
	bool stays[SESSIONS];

	nat->filtering = filtering;
	world_load(&w, &p);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		const struct session_ref *s = &session_ref[i];
		stays[i] =
			!s->inward || (binding_ref[s->host][s->inside].exists &&
					      (filtering == NAT_FILTER_ENDPOINT_INDEPENDENT ||
						      (filtering == NAT_FILTER_ADDRESS_DEPENDENT &&
							      ref_talks_to(s->host, s->inside, s->remote))));
	}
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (session_ref[i].lives && !stays[i])
			ref_end(&session_ref[i], w.now);
}

static void random_step(uint32_t r)
{
	uint32_t h = r % HOSTS, q = r / 4 % PORTS, remote = r / 16 % REMOTES, rp = r / 64 % 3;

	switch (r >> 16 & 7) {
	case 0:
	case 1:
		outward(h, q, remote, rp);
		break;
	default: /* to a mapped port, which may be over, or to any */
		inward(r >> 20 & 15 && binding_ref[h][q].port ? binding_ref[h][q].port
							      : (uint16_t)(50000 + (r >> 8) % 1000),
			remote, rp);
	}
}

static void random_packets(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	memset(binding_ref, 0, sizeof binding_ref);
	memset(session_ref, 0, sizeof session_ref);
	for (uint32_t i = 0; i < HOSTS; i++)
		snprintf(ref_host[i], sizeof ref_host[i], "10.0.%u.2", i);
	for (uint32_t i = 0; i < REMOTES; i++)
		snprintf(ref_remote[i], sizeof ref_remote[i], "198.51.100.%u", 1 + i);
	for (uint32_t i = 0; i < 300000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		random_step((uint32_t)(x >> 16));
		if (x % 16 == 0 || x % 512 == 1) {
			scene_seconds(STEP_S * (x % 16 ? 1 + (uint32_t)(x >> 40) % 30 : 1));
			ref_time();
		}
		if (x % 4096 == 2)
			world_restart(&w);
		if (x % 4096 == 2 || x % 1024 == 3)
			commit(NAT_FILTER_ENDPOINT_INDEPENDENT + (uint32_t)(x >> 50) % 3);
	}
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* Whatever octets a killed process leaves: they are discarded or harmless. */
static void corrupted_memory(void **state)
{
	uint64_t x = 4101842887655102017ull;

	(void)state;
	for (uint32_t round = 0; round < 300; round++) {
		for (uint16_t i = 0; i < 20; i++) {
			uint16_t port = 0;
			if (udp("10.0.0.2", (uint16_t)(1000 + i), "198.51.100.1", 53) == DROP_NONE)
				port = w.t.src_port;
			udp("198.51.100.9", 7, OUTSIDE, port);
			udp("10.0.0.2", (uint16_t)(1000 + i), "198.51.100.9", 7);
			udp("198.51.100.8", i, OUTSIDE, port);
		}
		uint32_t used = fw_sessions_used(w.fw);
		for (uint32_t k = 0; k < 40; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			uint32_t at = (uint32_t)(x >> 32) % used;
			struct fw_session *s = (struct fw_session *)(uintptr_t)fw_session(w.fw, at);
			if (!s)
				s = (struct fw_session *)(uintptr_t)fw_binding_next(w.fw, &at);
			if (s) /* not zones and live: others are damaged at once by them, and what is left proves less */
				((uint8_t *)s)[8 + x % (sizeof *s - 8)] ^= (uint8_t)(1u << (x >> 24) % 8);
		}
		world_restart(&w);
		world_load(&w, &p);
		for (uint16_t port = 50000; port < 51000; port += 7)
			udp("198.51.100.9", 7, OUTSIDE, port);
		scene_seconds(1 + round % 90);
	}
	scene_seconds(UDP_S + TIMEOUT_S + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(endpoint_independent, anybody, scene_end),
		cmocka_unit_test_setup_teardown(connections, anybody, scene_end),
		cmocka_unit_test_setup_teardown(address_dependent, by_address, scene_end),
		cmocka_unit_test_setup_teardown(policy_decides, anybody, scene_end),
		cmocka_unit_test_setup_teardown(strangers_keep_nothing_alive, anybody, scene_end),
		cmocka_unit_test_setup_teardown(unanswered_connections, anybody, scene_end),
		cmocka_unit_test_setup_teardown(commits, anybody, scene_end),
		cmocka_unit_test_setup_teardown(restarts, by_address, scene_end),
		cmocka_unit_test_setup_teardown(destination_nat_wins, anybody, scene_end),
		cmocka_unit_test_setup_teardown(hairpin, anybody, scene_end),
		cmocka_unit_test_setup_teardown(floods, anybody, scene_end),
		cmocka_unit_test_setup_teardown(random_packets, with_room, scene_end),
		cmocka_unit_test_setup_teardown(corrupted_memory, anybody, scene_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
