/*
 * Another process takes over the sessions of one that was killed: processes are killed for real, at any instruction, and
 * their memory is taken over twice, by one that adopts all sessions at once and by one that adopts each at its first
 * packet and the others in pieces. Both must do the same with every packet and have the same sessions in the end. And
 * memory in which anything is damaged.
 */
#include "firewall/internal.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS 4096
#define HOSTS	 40
#define PORTS	 30

static struct world lazy, reference;
static struct policy p;
static uint64_t seed;

static uint32_t pick(uint32_t n)
{
	return next_random(&seed) % n;
}

static void policy_make(uint32_t kind)
{
	policy_done(&p);
	policy_init(&p);
	if (kind & 1) {
		strcpy(p.zones[1].name, "dmz"); /* other numbers */
		strcpy(p.zones[2].name, "untrust");
	}
	int untrust = kind & 1 ? 2 : 1;
	if (kind & 2)
		policy_rule(&p, "some", TRUST, untrust, "any", "any", "udp/1-3", RULE_DENY);
	policy_rule(&p, "out", TRUST, untrust, "any", "any", "any", RULE_PERMIT);
	struct snap_nat_rule *nat =
		policy_nat(&p, "bound", TRUST, untrust, "10.0.0.1-10.0.0.9", "any", NAT_INTERFACE, NULL);
	nat->filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	nat->binding_timeout_s = 120;
	nat->bindings_max = 1000;
	nat = policy_nat(
		&p, "bound64", TRUST, untrust, "2001:db8:1::1-2001:db8:1::9", "any", NAT_INTERFACE, NULL);
	nat->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat->binding_timeout_s = 120;
	nat->bindings_max = 1000;
	policy_nat(&p, "all", TRUST, untrust, "any", "any", NAT_INTERFACE, NULL);
	policy_dnat(&p, "four", TRUST, "any", "2001:db8:64::/96", "any", "2001:db8:64::/96", 0, 0)->action =
		DNAT_NAT64;
}

static struct packet_spec outward(char room[2][64])
{
	uint32_t from = 1 + pick(HOSTS), what = pick(10);
	bool nat64 = pick(3) == 0;

	snprintf(room[0], 64, nat64 ? "2001:db8:1::%x" : "10.0.0.%u", from);
	snprintf(room[1], 64, nat64 ? "2001:db8:64::c633:640%u" : "198.51.100.%u", 1 + pick(4));
	return (struct packet_spec){ .src = room[0],
		.dst = room[1],
		.proto = what < 5   ? IP_UDP
			 : what < 9 ? IP_TCP
			 : nat64    ? IP_ICMPV6
				    : IP_ICMP,
		.src_port = (uint16_t)(20000 + pick(PORTS)),
		.dst_port = (uint16_t)(1 + pick(8)),
		.icmp_type = nat64 ? ICMP6_ECHO : ICMP4_ECHO,
		.flags = pick(2) ? TCP_SYN : TCP_ACK,
		.seq = pick(2),
		.ack = 1 };
}

/* What the other end of this session would send. */
static struct packet_spec answer(const struct fw_session *s, char room[2][64])
{
	struct ip_addr src = fw_key_src(&s->key[1]), dst = fw_key_dst(&s->key[1]);

	addr_text(room[0], &src);
	addr_text(room[1], &dst);
	return (struct packet_spec){ .src = room[0],
		.dst = room[1],
		.proto = s->key[1].proto,
		.src_port = s->key[1].src_port,
		.dst_port = s->key[1].dst_port,
		.icmp_type = ICMP4_ECHO_REPLY,
		.flags = (uint8_t)(pick(4) ? TCP_SYN | TCP_ACK : TCP_RST | TCP_ACK),
		.ack = 1 };
}

static const struct fw_session *any_session(const struct world *w)
{
	uint32_t used = fw_sessions_used(w->fw);

	return used ? fw_session(w->fw, pick(used)) : NULL;
}

/* ---- a process that is killed ---- */

static void one_step(struct world *w)
{
	const struct fw_session *s = any_session(w);
	char room[2][64];
	uint32_t what = pick(100);
	struct packet_spec spec = what < 60 || !s ? outward(room) : answer(s, room);

	if (what < 90) {
		world_send(w, &spec);
	} else if (what < 97) {
		w->now += pick(3) * NS_PER_S;
		fw_expire(w->fw, w->now, 1 + pick(20));
	} else if (what < 98) {
		policy_make(pick(4));
		world_commit(w, &p);
	} else if (s) {
		fw_session_end(w->fw, (uint32_t)(s - w->fw->sessions), w->now);
	}
	fw_sweep(w->fw, w->now, pick(40));
}

static struct world shared_world(size_t *ret_bytes)
{
	struct world w = {
		.limits = { .sessions_max = SESSIONS, .reassembly_max = 8, .hash_key = "sixteen octets" },
		.now = 1000 * NS_PER_S,
		.bytes = fw_state_bytes(SESSIONS)
	};

	*ret_bytes = w.bytes;
	w.memory = mmap(NULL, w.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w.memory != MAP_FAILED);
	assert_int_equal(addr_parse(&w.nat4, "203.0.113.1"), RC_OK);
	assert_int_equal(addr_parse(&w.nat6, "2001:db8:3::1"), RC_OK);
	w.fw = fw_attach(w.memory, w.bytes, true, &w.limits, w.now, NULL);
	assert_non_null(w.fw);
	policy_make(0);
	world_load(&w, &p);
	return w;
}

/* Its memory, which the caller unmaps. */
static struct world killed(uint32_t before, uint32_t microseconds)
{
	size_t bytes;
	struct world w = shared_world(&bytes);
	pid_t child;

	for (uint32_t i = 0; i < before; i++)
		one_step(&w);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		for (;;)
			one_step(&w);
	usleep(microseconds);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	fw_detach(w.fw); /* writes nothing */
	return w;
}

/* ---- two that take over ---- */

static void survivor(struct world *w, const struct world *dead)
{
	w->limits = dead->limits;
	w->bytes = dead->bytes;
	w->now = dead->now;
	w->nat4 = dead->nat4;
	w->nat6 = dead->nat6;
	w->memory = aligned_alloc(64, w->bytes);
	assert_non_null(w->memory);
	memcpy(w->memory, dead->memory, w->bytes);
	w->limits.hash_key[0]++;
	w->fw = fw_attach(w->memory, w->bytes, false, &w->limits, w->now, NULL);
	assert_non_null(w->fw);
}

static void both_load(uint32_t kind)
{
	policy_make(kind);
	world_commit(&lazy, &p);
	world_load(&reference, &p);
}

static void same_packet(void)
{
	const struct fw_session *s = any_session(&reference);
	char room[2][64];
	struct packet_spec spec = pick(3) == 0 || !s ? outward(room) : answer(s, room);

	if (s && pick(2)) { /* as its first side sends it */
		struct ip_addr src = fw_key_src(&s->key[0]), dst = fw_key_dst(&s->key[0]);
		spec = outward(room);
		addr_text(room[0], &src);
		addr_text(room[1], &dst);
		spec.proto = s->key[0].proto;
		spec.src_port = s->key[0].src_port;
		spec.dst_port = s->key[0].dst_port;
	}
	enum drop_reason a = world_send(&lazy, &spec), b = world_send(&reference, &spec);
	if (a != b)
		fail_msg("proto %u from %s %u to %s %u: %s, not %s", spec.proto, spec.src, spec.src_port,
			spec.dst, spec.dst_port, drop_name(a), drop_name(b));
	if (a)
		return;
	assert_int_equal(lazy.t.len, reference.t.len);
	assert_memory_equal(lazy.t.ip + 12, reference.t.ip + 12, 12); /* addresses and ports */
	assert_true(packet_sound(lazy.t.ip, lazy.t.len));
}

static uint32_t found(const struct world *w, const struct fw_key *k)
{
	uint32_t direction;

	return fw_index_find(w->fw, k, fw_key_hash(w->fw, k), &direction);
}

static void same_tables(void)
{
	const struct fw_counters *a = fw_counters(lazy.fw), *b = fw_counters(reference.fw);
	uint32_t n = 0;

	assert_int_equal(a->adoption_left, 0);
	for (uint32_t i = 0; i < fw_sessions_used(reference.fw); i++) {
		const struct fw_session *s = &reference.fw->sessions[i];
		if (!s->live)
			continue;
		uint32_t k = found(&lazy, &s->key[0]);
		assert_int_not_equal(k, FW_NONE);
		assert_int_equal(k, found(&lazy, &s->key[1]));
		const struct fw_session *m = &lazy.fw->sessions[k];
		assert_int_equal(m->live, FW_SESSION_LIVE);
		assert_memory_equal(m->key, s->key, sizeof s->key);
		assert_memory_equal(m->tcp, s->tcp, sizeof s->tcp);
		assert_memory_equal(m->packets, s->packets, sizeof s->packets);
		assert_int_equal(m->expires, s->expires);
		assert_int_equal(m->flags, s->flags);
		assert_int_equal(m->rule, s->rule);
		assert_int_equal(m->nat_rule, s->nat_rule);
		assert_int_equal(m->state, s->state);
		assert_memory_equal(m->zones.zone, s->zones.zone, sizeof s->zones.zone);
		assert_int_equal(lazy.fw->place[k].uses, reference.fw->place[i].uses);
		assert_int_equal(lazy.fw->place[k].evict_class, reference.fw->place[i].evict_class);
		assert_int_equal(
			lazy.fw->place[k].binding == FW_NONE, reference.fw->place[i].binding == FW_NONE);
		n++;
	}
	assert_int_equal(a->sessions_now, n);
	assert_int_equal(b->sessions_now, n);
	assert_int_equal(a->bindings_now, b->bindings_now);
	assert_int_equal(a->half_open_now, b->half_open_now);
	assert_int_equal(lazy.fw->protected_n, reference.fw->protected_n);
	assert_memory_equal(
		lazy.fw->bindings_by_source, reference.fw->bindings_by_source, FW_SOURCES * sizeof(uint32_t));
	assert_memory_equal(lazy.fw->policy->zone_sessions, reference.fw->policy->zone_sessions,
		sizeof lazy.fw->policy->zone_sessions);
}

static void all_end(struct world *w)
{
	w->now += 8000 * NS_PER_S;
	while (fw_expire(w->fw, w->now, 1000) <= w->now)
		;
	w->now += 8000 * NS_PER_S; /* bindings, of which the last sessions ended just now */
	while (fw_expire(w->fw, w->now, 1000) <= w->now)
		;
	assert_int_equal(fw_counters(w->fw)->sessions_now, 0);
	assert_int_equal(w->fw->protected_n, 0);
}

/* deaths: of the one that adopts in pieces, before it has adopted all. packets: some meanwhile. */
static void takeover(uint32_t before, uint32_t deaths, bool packets)
{
	struct world dead = killed(before, pick(3000));
	uint32_t kind = pick(4);

	survivor(&lazy, &dead);
	survivor(&reference, &dead);
	munmap(dead.memory, dead.bytes);
	both_load(kind & 1); /* nothing is denied: the log would say when */
	for (bool done = false; !done;) {
		for (uint32_t i = pick(4); packets && i > 0; i--)
			same_packet();
		if (packets && pick(10) == 0)
			fw_session_current(lazy.fw, pick(SESSIONS), lazy.now);
		done = fw_sweep(lazy.fw, lazy.now, pick(60));
		if (deaths > 0 && pick(4) == 0) {
			deaths--;
			world_dies(&lazy);
			world_restart(&reference);
			both_load(kind & 1);
			done = false;
		}
	}
	same_tables();
	all_end(&lazy);
	all_end(&reference);
	world_done(&lazy);
	world_done(&reference);
}

/* More of them with SEEDS in the environment. */
static uint32_t rounds(uint32_t n)
{
	const char *text = getenv("SEEDS");

	return text ? (uint32_t)strtoul(text, NULL, 10) : n;
}

static void same_as_at_once(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < rounds(60); k++) {
		seed = k;
		takeover(pick(3000), 0, true);
	}
}

/* Each leaves an index by which what it did not adopt is found. */
static void dies_again(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < rounds(60); k++) {
		seed = 1000 + k;
		takeover(pick(3000), 1 + k % (FW_INDEXES - 2), true);
	}
}

/* More indexes than there is room for: what none names is adopted in its turn. */
static void dies_often(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < rounds(30); k++) {
		seed = 2000 + k;
		takeover(pick(3000), FW_INDEXES - 1 + k % 4, false);
	}
}

/* ---- a full table, and what is asked for while adoption goes on ---- */

static enum drop_reason udp(uint32_t port)
{
	return world_send(&lazy, &(struct packet_spec){ .src = "10.0.0.20",
					 .dst = "198.51.100.1",
					 .proto = IP_UDP,
					 .src_port = (uint16_t)port,
					 .dst_port = 53 });
}

static void filled(uint32_t n)
{
	world_init(&lazy, WORLD_SESSIONS);
	policy_make(0);
	world_load(&lazy, &p);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(udp(1000 + i), DROP_NONE);
}

/* All places were used and some are free: new sessions find them, and evict where there are none. */
static void full_table(void **state)
{
	(void)state;
	filled(WORLD_SESSIONS);
	for (uint32_t i = 0; i < 10; i++)
		fw_session_end(lazy.fw, 40 + i, lazy.now);
	world_dies(&lazy);
	world_commit(&lazy, &p);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(udp(2000 + i), DROP_NONE);
	assert_int_equal(udp(1000), DROP_NONE); /* stood */
	while (!fw_sweep(lazy.fw, lazy.now, 5))
		;
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, WORLD_SESSIONS);
	assert_int_equal(udp(3000), DROP_NONE);
	assert_int_equal(fw_counters(lazy.fw)->unanswered_evicted, 1);
	world_done(&lazy);
}

/* Sessions are counted as they are adopted; those asked for by their place, or by a packet, at once. Numbers go on. */
static void in_pieces(void **state)
{
	(void)state;
	filled(40);
	uint32_t id = fw_session(lazy.fw, 39)->id;
	world_dies(&lazy);
	world_commit(&lazy, &p);
	assert_int_equal(fw_counters(lazy.fw)->adoption_left, 40);
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, 0);
	assert_null(fw_session(lazy.fw, 7));
	assert_int_equal(udp(1030), DROP_NONE);
	assert_int_equal(lazy.t.session, 30);
	assert_int_equal(udp(5000), DROP_NONE);
	assert_int_equal(fw_session(lazy.fw, lazy.t.session)->id, id + 1);
	assert_non_null(fw_session_current(lazy.fw, 7, lazy.now));
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, 3);
	assert_false(fw_sweep(lazy.fw, lazy.now, 10));
	assert_int_equal(fw_counters(lazy.fw)->adoption_left, 30);
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, 12);
	for (uint32_t i = 0; i < FW_EPOCHS; i++) /* more than may stand: all are adopted and evaluated */
		world_commit(&lazy, &p);
	assert_int_equal(fw_counters(lazy.fw)->adoption_left, 0);
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, 41);
	world_done(&lazy);
}

/* What a policy forbids does not pass, adopted or not. */
static void forbidden(void **state)
{
	(void)state;
	world_init(&lazy, WORLD_SESSIONS);
	policy_make(0);
	world_load(&lazy, &p);
	for (uint16_t i = 0; i < 20; i++)
		assert_int_equal(world_send(&lazy, &(struct packet_spec){ .src = "10.0.0.20",
							   .dst = "198.51.100.1",
							   .proto = IP_UDP,
							   .src_port = (uint16_t)(1000 + i),
							   .dst_port = (uint16_t)(1 + i % 2 * 10) }),
			DROP_NONE);
	world_dies(&lazy);
	policy_make(2);
	world_commit(&lazy, &p);
	for (uint16_t i = 0; i < 20; i++)
		assert_int_equal(world_send(&lazy, &(struct packet_spec){ .src = "10.0.0.20",
							   .dst = "198.51.100.1",
							   .proto = IP_UDP,
							   .src_port = (uint16_t)(1000 + i),
							   .dst_port = (uint16_t)(1 + i % 2 * 10) }),
			i % 2 ? DROP_NONE : DROP_POLICY_DENY);
	while (!fw_sweep(lazy.fw, lazy.now, 3))
		;
	assert_int_equal(fw_counters(lazy.fw)->sessions_now, 10);
	world_done(&lazy);
}

/* ---- damage ---- */

static void damage(uint8_t *bytes, const struct fw_state *st)
{
	uint32_t used = MAX_OF(MIN_OF(st->used, (uint32_t)SESSIONS), 1u);

	for (uint32_t n = 1 + pick(200); n > 0; n--) {
		size_t index = fw_index_at(SESSIONS, pick(FW_INDEXES)), at;
		uint32_t link = (pick(256) << FW_LINK_BITS) | (1 + pick(2 * used)); /* circles */
		switch (pick(6)) {
		case 0: /* which indexes there are, and their keys */
			at = offsetof(struct fw_state, used) + pick(8 + sizeof st->index);
			bytes[at] = (uint8_t)next_random(&seed);
			break;
		case 1:
			at = FW_STATE_BYTES + pick(used * (uint32_t)sizeof(struct fw_session));
			bytes[at] = (uint8_t)next_random(&seed);
			break;
		case 2: /* a record twice */
			memcpy(bytes + FW_STATE_BYTES + pick(used) * sizeof(struct fw_session),
				bytes + FW_STATE_BYTES + pick(used) * sizeof(struct fw_session),
				sizeof(struct fw_session));
			break;
		case 3:
			at = index + pick((uint32_t)fw_index_bytes(SESSIONS));
			bytes[at] = (uint8_t)next_random(&seed);
			break;
		default:
			at = index + pick((uint32_t)fw_index_bytes(SESSIONS) / 4) * 4;
			memcpy(bytes + at, &link, sizeof link);
			break;
		}
	}
}

static void anything_damaged(void **state)
{
	uint64_t adopted = 0;

	(void)state;
	for (uint32_t k = 0; k < rounds(150); k++) {
		seed = 3000 + k;
		struct world dead = killed(pick(1500), pick(500));
		damage(dead.memory, dead.memory);
		survivor(&lazy, &dead);
		munmap(dead.memory, dead.bytes);
		policy_make(0);
		world_commit(&lazy, &p);
		for (bool done = false; !done;) {
			for (uint32_t i = 0; i < 5; i++)
				one_step(&lazy);
			if (pick(10) == 0)
				fw_session_current(lazy.fw, pick(SESSIONS), lazy.now);
			done = fw_sweep(lazy.fw, lazy.now, pick(60));
		}
		adopted += fw_counters(lazy.fw)->sessions_now;
		lazy.now += 8000 * NS_PER_S; /* most of them end: some have been told to live for long */
		while (fw_expire(lazy.fw, lazy.now, 1000) <= lazy.now)
			;
		world_done(&lazy);
	}
	assert_true(adopted > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_at_once),
		cmocka_unit_test(dies_again),
		cmocka_unit_test(dies_often),
		cmocka_unit_test(full_table),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(forbidden),
		cmocka_unit_test(anything_damaged),
	};
	policy_init(&p);
	int failed = cmocka_run_group_tests_name("firewall/takeover", tests, NULL, NULL);
	policy_done(&p);
	return failed;
}
