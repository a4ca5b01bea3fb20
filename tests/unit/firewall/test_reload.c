/*
 * What outlives a commit and what outlives the process: sessions under a new policy, sessions in memory that
 * another process takes over, memory that cannot be believed.
 */
#include "firewall/internal.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define INSIDE	"10.0.0.2"
#define OUTSIDE "198.51.100.9"
#define GATE	"203.0.113.1"

static void base_policy(void)
{
	policy_init(&p);
	policy_rule(&p, "web", TRUST, UNTRUST, "any", "any", "tcp/80", RULE_PERMIT)->flags =
		RULE_LOG_CLOSE | RULE_COUNT;
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "dmz", TRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
}

static int setup(void **state)
{
	(void)state;
	world_init(&w, WORLD_SESSIONS);
	base_policy();
	world_load(&w, &p);
	return 0;
}

static enum drop_reason udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = IP_UDP,
				      .src_port = src_port,
				      .dst_port = dst_port });
}

static enum drop_reason tcp(
	bool back, uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t nat_port)
{
	return world_send(&w, &(struct packet_spec){ .src = back ? OUTSIDE : INSIDE,
				      .dst = back ? GATE : OUTSIDE,
				      .proto = IP_TCP,
				      .src_port = back ? 80 : port,
				      .dst_port = back ? nat_port : 80,
				      .flags = flags,
				      .seq = seq,
				      .ack = ack });
}

/* An established connection from `port`; returns the translated port. */
static uint16_t connection(uint16_t port)
{
	assert_int_equal(tcp(false, port, TCP_SYN, 0, 0, 0), DROP_NONE);
	uint16_t nat = w.t.src_port;
	assert_int_equal(tcp(true, port, TCP_SYN | TCP_ACK, 0, 1, nat), DROP_NONE);
	assert_int_equal(tcp(false, port, TCP_ACK, 1, 1, 0), DROP_NONE);
	return nat;
}

static uint64_t sessions(void)
{
	uint32_t cursor = 0;
	uint64_t n = 0;

	while (fw_session_next(w.fw, &cursor))
		n++;
	assert_int_equal(n, fw_counters(w.fw)->sessions_now);
	return n;
}

static void new_policy(void)
{
	policy_done(&p);
	base_policy();
}

/* ---- a commit ---- */

static void test_rule_goes(void **state)
{
	struct fw_log l;

	(void)state;
	uint16_t nat = connection(1000);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	uint32_t id = fw_session(w.fw, w.t.session)->id;
	new_policy();
	p.rules[0].action = RULE_DENY;
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NO_SESSION);
	assert_int_equal(tcp(false, 1000, TCP_ACK, 1, 1, 0), DROP_NO_SESSION);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	assert_int_equal(fw_session(w.fw, w.t.session)->id, id);
	assert_true(fw_log_next(w.fw, &l)); /* its end was logged, by the rule that made it */
	assert_int_equal(l.kind, FW_LOG_CLOSE);
	assert_int_equal(l.packets[0], 2);
	assert_false(fw_log_next(w.fw, &l));
	/* a deny in front of the rule that made it */
	new_policy();
	p.rules[0] = p.rules[1];
	p.rules[0].action = RULE_DENY;
	world_load(&w, &p);
	assert_int_equal(sessions(), 0);
}

static void test_rule_stays(void **state)
{
	(void)state;
	uint16_t nat = connection(1000);
	fw_session_forwarding(w.fw, &w.t)->generation = 7;
	/* the same rules in another order, with another in front: counts go with the names */
	policy_done(&p);
	policy_init(&p);
	policy_rule(&p, "new", TRUST, UNTRUST, "any", "any", "tcp/22", RULE_DENY);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "web", TRUST, UNTRUST, "any", "any", "tcp/80", RULE_PERMIT)->flags = RULE_COUNT;
	policy_rule(&p, "web", TRUST, DMZ, "any", "any", "tcp/80", RULE_PERMIT);
	policy_nat(&p, "first", TRUST, DMZ, "any", "any", NAT_OFF, NULL);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	uint32_t cursor = 0;
	const struct fw_session *s = fw_session_next(w.fw, &cursor);
	assert_int_equal(s->rule, 2);
	assert_int_equal(s->nat_rule, 1);
	assert_int_equal(s->forwarding[0].generation, 0); /* ways are looked up anew */
	assert_int_equal(fw_rule_hits(w.fw, 2)->hits, 1);
	assert_int_equal(fw_rule_hits(w.fw, 2)->packets, 3);
	assert_int_equal(fw_rule_hits(w.fw, 3)->hits, 0);
	assert_int_equal(fw_nat_rule_hits(w.fw, 1)->hits, 1);
	assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NONE);
	assert_int_equal(fw_rule_hits(w.fw, 2)->packets, 4);
}

/* Zones are found again by name when their numbers change; the sessions of one that is gone end. */
static void test_zones(void **state)
{
	(void)state;
	uint16_t nat = connection(1000);
	assert_int_equal(udp(INSIDE, 1000, "192.168.1.1", 53), DROP_NONE);
	assert_int_equal(sessions(), 2);
	for (int round = 0; round < 5; round++) { /* both tables of names are used in turn */
		new_policy();
		snprintf(p.zones[ZONES].name, NAME_MAX_BYTES, "zone-%d", round);
		p.zones_n++;
		world_load(&w, &p);
		assert_int_equal(sessions(), 2);
		assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NONE);
	}
	new_policy();
	strcpy(p.zones[DMZ].name, "elsewhere");
	strcpy(p.interfaces[DMZ].name, "if-other"); /* otherwise it would be the same one, renamed */
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	/* trust and untrust change places: what a session's zones are called decides, not their numbers */
	policy_done(&p);
	policy_init(&p);
	strcpy(p.zones[0].name, "untrust");
	strcpy(p.zones[1].name, "trust");
	policy_rule(&p, "web", 1, 0, "any", "any", "tcp/80", RULE_PERMIT);
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	uint32_t cursor = 0;
	const struct fw_session *s = fw_session_next(w.fw, &cursor);
	assert_int_equal(s->zones.zone[0], 1);
	assert_int_equal(s->zones.zone[1], 0);
	assert_int_equal(tcp(false, 1000, TCP_ACK, 1, 1, 0),
		DROP_SESSION_ZONE_MISMATCH); /* the test's links have not moved */
}

static void rename_zone(uint32_t zone, const char *name)
{
	snprintf(p.zones[zone].name, NAME_MAX_BYTES, "%s", name);
}

/* A zone with another name and the same interfaces is the same one: its sessions go on, and its rules count on. */
static void test_zone_is_renamed(void **state)
{
	(void)state;
	uint16_t nat = connection(1000);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	new_policy();
	rename_zone(TRUST, "lan");
	world_load(&w, &p);
	assert_int_equal(sessions(), 2);
	assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NONE);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 1);
	assert_int_equal(fw_rule_hits(w.fw, 0)->packets, 4);
	/* twice before anybody looks at the session, with other numbers in between */
	new_policy();
	rename_zone(TRUST, "office");
	world_commit(&w, &p);
	new_policy();
	rename_zone(TRUST, "house");
	rename_zone(UNTRUST, "world");
	world_commit(&w, &p);
	assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NONE);
	while (!fw_sweep(w.fw, w.now, 100))
		;
	assert_int_equal(sessions(), 2);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 1);
	/* what the new policy does not permit ends all the same */
	new_policy();
	rename_zone(TRUST, "hall");
	p.rules[1].action = RULE_DENY;
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	/* one interface less, or one more: another zone */
	new_policy();
	rename_zone(TRUST, "trust");
	p.interfaces[p.interfaces_n] = (struct snap_interface){ "if-more", TRUST, 0 };
	p.interfaces_n++;
	world_load(&w, &p);
	assert_int_equal(sessions(), 0);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 0);
}

/* Its counts follow an identifier wherever the rule goes; without one they follow its names. */
static void test_rule_identifiers(void **state)
{
	(void)state;
	connection(1000);
	new_policy();
	p.rules[0].id = 7; /* the first time that it has one: it is the rule of these names */
	world_load(&w, &p);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 1);
	assert_int_equal(fw_session_rule_id(w.fw, fw_session(w.fw, w.t.session)), 7);
	new_policy();
	struct snap_rule web = p.rules[0];
	p.rules[0] = p.rules[1]; /* moved, and renamed; its name is another one's */
	p.rules[1] = web;
	strcpy(p.rules[1].name, "renamed");
	p.rules[1].id = 7;
	strcpy(p.rules[0].name, "web");
	world_load(&w, &p);
	assert_int_equal(fw_rule_hits(w.fw, 1)->hits, 1);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 0); /* that was rule 7 */
	assert_int_equal(fw_session_rule_id(w.fw, fw_session(w.fw, w.t.session)), 7);
	/* to another pair of zones */
	new_policy();
	p.rules[2].id = 7;
	world_load(&w, &p);
	assert_int_equal(fw_rule_hits(w.fw, 2)->hits, 1);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 0);
	/* another number is another rule */
	new_policy();
	p.rules[2].id = 8;
	world_load(&w, &p);
	assert_int_equal(fw_rule_hits(w.fw, 2)->hits, 0);
}

/* The same policy again, by the clock: the sessions of a rule that is not in force any more end, and it counts on. */
static void test_schedules(void **state)
{
	(void)state;
	strcpy(p.schedules[0].name, "day");
	p.schedules_n = 1;
	p.rules[0].schedule = 0;
	world_load(&w, &p);
	connection(1000);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	w.now += 5 * NS_PER_S;
	fw_schedules_set(w.fw, 1);
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
	assert_int_equal(tcp(false, 1001, TCP_SYN, 0, 0, 0), DROP_DEFAULT_DENY);
	fw_schedules_set(w.fw, 0);
	world_load(&w, &p);
	connection(1002);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 2);
	assert_int_equal(fw_rule_hits(w.fw, 0)->since, w.now - 5 * NS_PER_S);
}

/* Half-open ones that a commit ends are not counted any more; timeouts are the new policy's. */
static void test_limits(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(tcp(false, (uint16_t)(1000 + i), TCP_SYN, 0, 0, 0), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 10);
	new_policy();
	p.rules[0].action = RULE_DENY;
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 0);
	assert_int_equal(sessions(), 0);
	new_policy();
	p.services[1].timeout_s = 5;
	world_load(&w, &p);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	w.now += 7 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(sessions(), 0);
}

/* Many commits under many sessions: those permitted live, the others do not, whatever order. */
static void test_random_commits(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (int round = 0; round < 300; round++) {
		bool web = next_random(&seed) % 2, dns = next_random(&seed) % 2;
		for (int i = 0; i < 20; i++) {
			uint16_t port = (uint16_t)(1000 + next_random(&seed) % 30);
			if (next_random(&seed) % 2)
				udp(INSIDE, port, OUTSIDE, 53);
			else
				tcp(false, port, TCP_SYN, 0, 0, 0);
			w.now += NS_PER_S / 10;
			fw_expire(w.fw, w.now, 10);
		}
		new_policy();
		p.rules[0].action = web ? RULE_PERMIT : RULE_DENY;
		p.rules[1].action = dns ? RULE_PERMIT : RULE_REJECT;
		world_load(&w, &p);
		uint32_t cursor = 0;
		for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor));)
			assert_true(s->key[0].proto == IP_TCP ? web : dns);
		sessions();
		if (round % 10 == 0)
			world_restart(&w), world_load(&w, &p);
	}
}

/* ---- another process ---- */

static void test_restart(void **state)
{
	(void)state;
	uint16_t nat = connection(1000);
	assert_int_equal(tcp(false, 1001, TCP_SYN, 0, 0, 0), DROP_NONE);
	uint16_t half = w.t.src_port;
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	uint16_t nat_udp = w.t.src_port;
	uint32_t id = fw_session(w.fw, w.t.session)->id;
	world_restart(&w);
	assert_int_equal(sessions(), 3);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 1);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	/* before the configuration came: established traffic goes on */
	assert_int_equal(tcp(true, 1000, TCP_ACK, 1, 1, nat), DROP_NONE);
	assert_int_equal(tcp(false, 1000, TCP_ACK, 1, 1, 0), DROP_NONE);
	assert_int_equal(w.t.src_port, nat);
	assert_int_equal(tcp(false, 5000, TCP_SYN, 0, 0, 0), DROP_DEFAULT_DENY);
	world_load(&w, &p);
	assert_int_equal(sessions(), 3);
	assert_int_equal(tcp(true, 1001, TCP_SYN | TCP_ACK, 0, 1, half), DROP_NONE);
	assert_int_equal(udp(OUTSIDE, 53, GATE, nat_udp), DROP_NONE);
	/* a port that is bound is not given again; numbers go on */
	assert_int_equal(udp("10.0.0.3", nat_udp, OUTSIDE, 53), DROP_NONE);
	assert_int_not_equal(w.t.src_port, nat_udp);
	assert_true(fw_session(w.fw, w.t.session)->id > id);
	/* windows are remembered */
	assert_int_equal(tcp(true, 1000, TCP_RST, 900000, 0, nat), DROP_TCP_STATE);
	/* and timers: all end in their time */
	w.now += 7441 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_int_equal(sessions(), 0);
}

static struct fw_session *record(uint32_t i)
{
	return (struct fw_session *)(void *)((uint8_t *)w.memory + FW_STATE_BYTES) + i;
}

enum { DAMAGES = 19 };

/* Changes a record of a living session of UDP in the k-th way. */
static void damage(struct fw_session *s, int k)
{
	static const struct fw_session zero;

	switch (k) {
	case 0:
		s->live = 1;
		break;
	case 1:
		s->state = FW_PROTOCOL_STATE_COUNT;
		break;
	case 2:
		s->state = FW_TCP_ESTABLISHED;
		break;
	case 3:
		s->zones.epoch += 2;
		break;
	case 4:
		s->zones.zone[0] = 3;
		break;
	case 5:
		s->zones.zone[1] = ZONES_MAX;
		break;
	case 6:
		s->key[0].family = 5;
		break;
	case 7:
		s->key[1].family = ADDR_V6;
		break;
	case 8:
		s->key[0].kind = 9;
		break;
	case 9:
		s->key[0].kind = (FW_KEY_QUERY | ICMP4_ECHO);
		break;
	case 10:
		s->key[0].src[7] = 1;
		break;
	case 11:
		s->key[1].proto = IP_TCP;
		break;
	case 12:
		s->tcp[1].scale = 15;
		break;
	case 13:
		s->flags &= (uint8_t)~FW_SESSION_TRANSLATED;
		break;
	case 14:
		s->key[1].src[9] = 1;
		break;
	case 15:
		s->key[1].kind = FW_KEY_ANSWER;
		break;
	case 16:
		*s = zero, s->live = FW_SESSION_LIVE;
		break;
	case 17:
		s->key[1] = s->key[0], s->key[1].dst[8] = 1;
		break;
	case 18:
		s->noted.scale = 15;
		break;
	}
}

/* One record of a living session changed in one way, then taken over: it must be gone, the other one not. */
static void test_unsound_records(void **state)
{
	(void)state;
	for (int k = 0; k < DAMAGES; k++) {
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
		world_load(&w, &p);
		assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
		uint32_t index = w.t.session;
		connection(2000);
		struct fw_session *s = record(index);
		assert_int_equal(s->live, FW_SESSION_LIVE);
		damage(s, k);
		world_restart(&w);
		if (sessions() != 1)
			fail_msg("case %d: %u sessions", k, (unsigned)sessions());
		assert_int_equal(fw_counters(w.fw)->records_discarded, 1);
		world_load(&w, &p);
		assert_int_equal(tcp(false, 2000, TCP_ACK, 1, 1, 0), DROP_NONE);
		assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
		assert_int_equal(sessions(), 2);
	}
}

/* Two records of the same keys; a time far ahead. */
static void test_twice(void **state)
{
	(void)state;
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	uint32_t first = w.t.session;
	assert_int_equal(udp(INSIDE, 1001, OUTSIDE, 53), DROP_NONE);
	memcpy(record(w.t.session), record(first), sizeof(struct fw_session));
	world_restart(&w);
	assert_int_equal(sessions(), 1);
	world_load(&w, &p);
	uint32_t cursor = 0;
	fw_session_next(w.fw, &cursor);
	record(cursor - 1)->expires = UINT64_MAX;
	world_restart(&w);
	world_load(&w, &p);
	fw_expire(w.fw, w.now + NS_PER_S, 100);
	assert_int_equal(sessions(), 0);
}

/* Memory of another version, or with an impossible header, is begun anew as a whole. */
static void test_unsound_header(void **state)
{
	(void)state;
	for (int k = 0; k < 5; k++) {
		struct fw_state *st = w.memory;
		world_load(&w, &p);
		connection(2000);
		switch (k) {
		case 0:
			st->magic ^= 1;
			break; /* magic */
		case 1:
			st->record_bytes += 64;
			break; /* bytes of a record */
		case 2:
			st->zones_n[0] = ZONES_MAX + 1;
			break; /* zones */
		case 3:
			st->zones_n[1] = UINT32_MAX;
			break;
		case 4:
			memset(st->zone_names[1][0], 'x', NAME_MAX_BYTES);
			break; /* a name without end */
		}
		world_restart(&w);
		if (sessions() != 0)
			fail_msg("case %d", k);
		world_load(&w, &p);
		connection(2000);
		world_restart(&w);
		assert_int_equal(sessions(), 1);
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
	}
}

/* Fewer or more sessions than the memory was made for; memory that is too small or lies badly. */
static void test_limits_change(void **state)
{
	struct fw_limits limits = w.limits;
	struct err e = { 0 };

	(void)state;
	connection(2000);
	assert_null(fw_attach(w.memory, w.bytes - 64, false, &limits, w.now, &e));
	assert_int_equal(e.rc, RC_RANGE);
	assert_null(fw_attach((uint8_t *)w.memory + 8, w.bytes - 64, false, &limits, w.now, NULL));
	limits.sessions_max = 0;
	assert_null(fw_attach(w.memory, w.bytes, false, &limits, w.now, NULL));
	limits.sessions_max = UINT32_MAX;
	assert_null(fw_attach(w.memory, w.bytes, false, &limits, w.now, NULL));
	w.limits.sessions_max = 8;
	world_restart(&w);
	assert_int_equal(sessions(), 1);
	w.limits.sessions_max = WORLD_SESSIONS;
	world_restart(&w);
	assert_int_equal(sessions(), 1);
}

/* A kill while sessions move from one epoch to the next: some have moved, some have not. */
static void test_killed_while_moving(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 20; i++)
		connection((uint16_t)(2000 + i));
	for (uint32_t moved = 0; moved <= 20; moved++) {
		bool exchanged = moved % 2 == 0;
		new_policy();
		strcpy(p.zones[2].name, exchanged ? "untrust" : "dmz"); /* other numbers in the next epoch */
		strcpy(p.zones[1].name, exchanged ? "dmz" : "untrust");
		for (uint32_t i = 0; exchanged && i < p.rules_n; i++)
			p.rules[i].to_zone = p.rules[i].to_zone == DMZ ? UNTRUST : DMZ;
		world_commit(&w, &p);
		fw_sweep(w.fw, w.now, moved);
		world_restart(&w);
		assert_int_equal(sessions(), 20);
		assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
		for (uint32_t cursor = 0, n = 0; n < 20; n++) {
			const struct fw_session *s = fw_session_next(w.fw, &cursor);
			assert_int_equal(s->zones.zone[0], TRUST);
			assert_int_equal(s->zones.zone[1], exchanged ? 2 : 1);
		}
	}
}

/*
 * Octets changed at random, in few or many places: whatever is adopted works: packets pass through it,
 * commits, timers (the sanitizers watch).
 */
static void test_random_damage(void **state)
{
	uint64_t seed = 8, adopted = 0;
	uint8_t *saved = malloc(w.bytes);

	(void)state;
	for (uint16_t i = 0; i < 30; i++) {
		connection((uint16_t)(2000 + i));
		udp(INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53);
	}
	memcpy(saved, w.memory, w.bytes);
	mono_ns now = w.now;
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t places = 1 + next_random(&seed) % 400;
		uint8_t *bytes = w.memory;
		memcpy(bytes, saved, w.bytes);
		w.now = now;
		for (uint32_t i = 0; i < places; i++) {
			/* in the head's first fields or in the records that are used */
			uint32_t where = next_random(&seed) % 40, at;
			if (where == 0)
				at = (uint32_t)offsetof(struct fw_state, used) + next_random(&seed) % 4;
			else if (where < 3)
				at = next_random(&seed) % 300;
			else
				at = FW_STATE_BYTES + next_random(&seed) % (60u * sizeof(struct fw_session));
			bytes[at] = (uint8_t)next_random(&seed);
		}
		world_restart(&w);
		adopted += sessions();
		for (uint16_t i = 0; i < 30; i++) {
			tcp(false, (uint16_t)(2000 + i), TCP_ACK, 1, 1, 0);
			udp(INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53);
		}
		world_load(&w, &p);
		uint32_t cursor = 0;
		for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor));) {
			struct train t = { .session = cursor - 1, .rule = s->rule };
			char text[FW_EXPLAIN_MAX];
			fw_explain(w.fw, &t, text);
			assert_true(s->zones.zone[0] == FW_ZONE_HOST || s->zones.zone[0] < ZONES);
		}
		w.now += 20 * NS_PER_S;
		fw_expire(w.fw, w.now, 1000);
		sessions();
	}
	assert_true(adopted > 3000 && adopted < 60 * 3000);
	free(saved);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rule_goes),
		T(test_rule_stays),
		T(test_zones),
		T(test_zone_is_renamed),
		T(test_schedules),
		T(test_rule_identifiers),
		T(test_limits),
		T(test_random_commits),
		T(test_restart),
		T(test_unsound_records),
		T(test_twice),
		T(test_unsound_header),
		T(test_limits_change),
		T(test_killed_while_moving),
		T(test_random_damage),
	};
	return cmocka_run_group_tests_name("firewall/reload", tests, NULL, NULL);
}
