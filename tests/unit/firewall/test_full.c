/*
 * A full session table: what nobody answered gives way, and what one source or one zone holds beyond its
 * share, whatever else stands in the table; and the limit is the configured one.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

static void load(uint32_t sessions_max)
{
	p.sessions_max = sessions_max;
	world_load(&w, &p);
}

static void begin(uint32_t records)
{
	scene_begin(records);
	p.half_open_max = 100000;
	policy_rule(&p, "in", UNTRUST, DMZ, "any", "any", "udp/53 tcp/80", RULE_PERMIT);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	load(SESSIONS_MAX);
}

static int setup(void **state)
{
	begin(WORLD_SESSIONS);
	return 0;
}

static enum drop_reason udp(const char *src, const char *dst, uint16_t port)
{
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = IP_UDP,
				      .src_port = port,
				      .dst_port = 53,
				      .payload_n = 20 });
}

static enum drop_reason udp_answer(const char *src, const char *dst, uint16_t port)
{
	return world_send(&w, &(struct packet_spec){ .src = dst,
				      .dst = src,
				      .proto = IP_UDP,
				      .src_port = 53,
				      .dst_port = port,
				      .payload_n = 20 });
}

static enum drop_reason tcp(const char *src, const char *dst, uint16_t port, uint8_t flags, bool answer)
{
	return world_send(&w, &(struct packet_spec){ .src = answer ? dst : src,
				      .dst = answer ? src : dst,
				      .proto = IP_TCP,
				      .src_port = answer ? 80 : port,
				      .dst_port = answer ? port : 80,
				      .flags = flags,
				      .seq = answer ? 500 : (flags & TCP_SYN ? 100 : 101),
				      .ack = answer ? 101 : (flags & TCP_SYN ? 0 : 501) });
}

/* A handshake that comes to its end; false: it did not. */
static bool tcp_whole(const char *src, const char *dst, uint16_t port)
{
	return tcp(src, dst, port, TCP_SYN, false) == DROP_NONE &&
	       tcp(src, dst, port, TCP_SYN | TCP_ACK, true) == DROP_NONE &&
	       tcp(src, dst, port, TCP_ACK, false) == DROP_NONE;
}

static bool tcp_alive(const char *src, const char *dst, uint16_t port)
{
	return tcp(src, dst, port, TCP_ACK, false) == DROP_NONE;
}

static bool udp_whole(const char *src, const char *dst, uint16_t port)
{
	return udp(src, dst, port) == DROP_NONE && udp_answer(src, dst, port) == DROP_NONE;
}

static void unanswered_gives_way(void **state)
{
	for (uint16_t i = 0; i < WORLD_SESSIONS; i++)
		assert_int_equal(udp("198.51.100.66", "192.168.0.53", 1024 + i), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, WORLD_SESSIONS);
	assert_int_equal(tcp("10.0.0.7", "203.0.113.80", 4000, TCP_SYN, false), DROP_NONE);
	/* The flood goes on before the answer comes: the handshake is not what gives way. */
	for (uint16_t i = 0; i < 3 * WORLD_SESSIONS; i++)
		assert_int_equal(udp("198.51.100.66", "192.168.0.53", 5000 + i), DROP_NONE);
	assert_int_equal(tcp("10.0.0.7", "203.0.113.80", 4000, TCP_SYN | TCP_ACK, true), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, WORLD_SESSIONS);
	assert_int_equal(fw_counters(w.fw)->half_open_evicted, 0);
	assert_int_equal(fw_counters(w.fw)->unanswered_evicted, 3 * WORLD_SESSIONS + 1);
}

/*
 * Thousands of established connections that end at all times stand between now and the flood's sessions. Each
 * kind of flood: datagrams, handshakes, both in IPv6.
 */
static void whatever_else_stands_there(void **state)
{
	char src[64];

	scene_end(NULL);
	for (uint32_t k = 0; k < 4; k++) {
		bool v6 = k & 1, by_tcp = k & 2;
		const char *dst = v6 ? "2001:db8:2::53" : "192.168.0.53";
		begin(8000);
		for (uint32_t i = 0; i < 4000; i++) {
			snprintf(src, sizeof src, "10.1.%u.%u", i >> 8, i & 255);
			assert_true(tcp_whole(src, "203.0.113.80", 2000));
			if (i % 8 == 0) {
				w.now += NS_PER_S;
				fw_expire(w.fw, w.now, UINT32_MAX);
			}
		}
		for (uint32_t i = 0; i < 10000; i++) {
			if (v6)
				snprintf(src, sizeof src, "2001:db8:66:%x::1", i & 127);
			else
				snprintf(src, sizeof src, "198.51.100.%u", i & 127);
			uint16_t port = (uint16_t)(1024 + (i >> 7));
			assert_int_equal(by_tcp ? tcp(src, dst, port, TCP_SYN, false) : udp(src, dst, port),
				DROP_NONE);
		}
		assert_int_equal(fw_counters(w.fw)->sessions_now, 8000);
		for (uint32_t i = 0; i < 1000; i++) {
			snprintf(src, sizeof src, "10.2.%u.%u", i >> 8, i & 255);
			assert_true(tcp_whole(src, "203.0.113.80", 3000));
		}
		for (uint32_t i = 0; i < 4000; i++) {
			snprintf(src, sizeof src, "10.1.%u.%u", i >> 8, i & 255);
			assert_true(tcp_alive(src, "203.0.113.80", 2000));
		}
		scene_end(NULL);
	}
	begin(WORLD_SESSIONS);
}

/* Connections that their own sender resets at once, from everywhere: over, but not yet gone. */
static void what_is_over_gives_way(void **state)
{
	char src[64];

	scene_end(NULL);
	begin(1000);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(src, sizeof src, "198.51.%u.%u", 100 + (i >> 8), i & 255);
		assert_int_equal(tcp(src, "192.168.0.53", 3000, TCP_SYN, false), DROP_NONE);
		tcp(src, "192.168.0.53", 3000, TCP_RST, false);
	}
	for (uint32_t i = 0; i < 500; i++) {
		snprintf(src, sizeof src, "198.52.%u.%u", i >> 8, i & 255);
		assert_true(tcp_whole(src, "192.168.0.53", 3000));
		tcp(src, "192.168.0.53", 3000, TCP_RST, false);
	}
	for (uint32_t i = 0; i < 500; i++) {
		snprintf(src, sizeof src, "10.3.%u.%u", i >> 8, i & 255);
		assert_true(tcp_whole(src, "203.0.113.80", 3000));
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1000);
}

/* One host with a server that answers all of it, at once or in the end, leaves half of the table to others.
 */
static void one_source(bool at_once)
{
	char src[64];
	uint32_t alive = 0;

	scene_end(NULL);
	begin(1000);
	for (uint16_t i = 0; i < 1000; i++)
		assert_int_equal(at_once ? !udp_whole("10.0.0.66", "203.0.113.66", 1024 + i)
					 : (int)udp("10.0.0.66", "203.0.113.66", 1024 + i),
			0);
	for (uint16_t i = 0; !at_once && i < 1000; i++)
		assert_int_equal(udp_answer("10.0.0.66", "203.0.113.66", 1024 + i), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1000);
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_whole(src, "203.0.113.80", 3000));
		assert_true(udp_whole(src, "203.0.113.80", 3000));
		udp_whole("10.0.0.66", "203.0.113.66", (uint16_t)(9000 + i)); /* it goes on meanwhile */
	}
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_alive(src, "203.0.113.80", 3000));
	}
	/* And its own half stays. */
	uint32_t cursor = 0;
	for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor));)
		alive += s->key[0].src[3] == 66;
	assert_true(alive >= 500);
	assert_true(fw_counters(w.fw)->over_share_evicted >= 250);
}

static void one_source_leaves_room(void **state)
{
	one_source(true);
	one_source(false);
}

static uint32_t index_of(uint16_t port)
{
	uint32_t cursor = 0;

	for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor));)
		if (s->key[0].src_port == port)
			return cursor - 1;
	fail_msg("no session from port %u", port);
	return 0;
}

/* Sessions beyond a share that has room again are protected by their next packet, also by one that passed in the kernel. */
static void what_the_kernel_carries_has_its_share(void **state)
{
	struct fw_passed passed = { .packets = { 1, 1 }, .bytes = { 100, 100 } };
	char src[64];

	scene_end(NULL);
	begin(1000);
	for (uint16_t i = 0; i < 1000; i++)
		assert_true(udp_whole("10.0.0.66", "203.0.113.66", 1024 + i));
	for (uint16_t i = 0; i < 400; i++)
		fw_session_end(w.fw, index_of(1024 + i), w.now);
	w.now += NS_PER_MS;
	passed.last = w.now;
	fw_session_passed(w.fw, index_of(1600), &passed);
	assert_int_equal(udp("10.0.0.66", "203.0.113.66", 1601), DROP_NONE);
	for (uint32_t i = 0; i < 600; i++) {
		snprintf(src, sizeof src, "10.3.%u.%u", i >> 8, i & 255);
		assert_true(tcp_whole(src, "203.0.113.80", 3000));
	}
	assert_true(fw_counters(w.fw)->over_share_evicted >= 150);
	index_of(1600);
	index_of(1601);
}

/* It begins many more while somebody's handshake, or first datagram, waits for its answer: they are not what
 * gives way. */
static void one_source_takes_no_handshake(void **state)
{
	uint16_t port = 1024;

	scene_end(NULL);
	begin(1000);
	for (uint32_t i = 0; i < 1000; i++)
		udp_whole("10.0.0.66", "203.0.113.66", port++);
	for (uint32_t i = 0; i < 100; i++) {
		uint16_t own = (uint16_t)(2000 + i);
		assert_int_equal(tcp("10.0.0.7", "203.0.113.80", own, TCP_SYN, false), DROP_NONE);
		assert_int_equal(udp("10.0.0.7", "203.0.113.80", own), DROP_NONE);
		for (uint32_t k = 0; k < 50; k++)
			udp_whole("10.0.0.66", "203.0.113.66", port++);
		assert_int_equal(tcp("10.0.0.7", "203.0.113.80", own, TCP_SYN | TCP_ACK, true), DROP_NONE);
		assert_int_equal(tcp("10.0.0.7", "203.0.113.80", own, TCP_ACK, false), DROP_NONE);
		assert_int_equal(udp_answer("10.0.0.7", "203.0.113.80", own), DROP_NONE);
	}
	for (uint16_t own = 2000; own < 2100; own++)
		assert_true(tcp_alive("10.0.0.7", "203.0.113.80", own));
}

/* The addresses of one /64 are one source; those of different ones are not. */
static uint32_t answered; /* the session of which the kernel has seen the answer */

static void synced(void *context, uint32_t index)
{
	const struct fw_passed passed = { .packets = { 1, 1 },
		.bytes = { 40, 40 },
		.last = w.now,
		.state = FW_TCP_ESTABLISHED,
		.tcp = { { .end = 10, .max_end = 20, .max_window = 5, .ack = 8 },
			{ .end = 8, .max_end = 20, .max_window = 5, .ack = 10 } } };

	if (index == answered)
		fw_session_passed(w.fw, index, &passed);
}

static void ended(void *context, uint32_t index)
{
}

/* One that the kernel has seen answered is not evicted as one that waits, though nobody has said so. */
static void what_the_kernel_has_answered_stays(void **state)
{
	const struct fw_carrier carrier = { NULL, synced, ended };
	char src[64];

	scene_end(NULL);
	begin(1000);
	fw_set_carrier(w.fw, &carrier);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(src, sizeof src, "10.3.%u.%u", i >> 8, i & 255);
		assert_int_equal(tcp(src, "203.0.113.80", (uint16_t)(2000 + i), TCP_SYN, false), DROP_NONE);
	}
	answered = index_of(2000);
	for (uint16_t i = 0; i < 3; i++)
		fw_session_link(w.fw, index_of(2000 + i), 1u + i);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(
			tcp("10.9.0.1", "203.0.113.80", (uint16_t)(4000 + i), TCP_SYN, false), DROP_NONE);
	assert_int_equal(fw_session(w.fw, index_of(2000))->state, FW_TCP_ESTABLISHED);
	assert_int_equal(fw_counters(w.fw)->half_open_evicted, 5);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1000);
}

static void a_64_is_one_source(void **state)
{
	char src[64];

	for (uint32_t i = 0; i < 2 * WORLD_SESSIONS; i++) {
		snprintf(src, sizeof src, "2001:db8:1:66::%x", i + 1);
		udp_whole(src, "2001:db8:3::80", 1024);
	}
	for (uint32_t i = 0; i < WORLD_SESSIONS / 4; i++) {
		snprintf(src, sizeof src, "2001:db8:1:%x::1", i + 0x100);
		assert_true(tcp_whole(src, "2001:db8:3::80", 1024));
	}
	for (uint32_t i = 0; i < WORLD_SESSIONS; i++)
		udp_whole("2001:db8:1:66::1", "2001:db8:3::80", (uint16_t)(5000 + i));
	for (uint32_t i = 0; i < WORLD_SESSIONS / 4; i++) {
		snprintf(src, sizeof src, "2001:db8:1:%x::1", i + 0x100);
		assert_true(tcp_alive(src, "2001:db8:3::80", 1024));
	}
}

/* A botnet: each source of the Internet holds little, all together no more than eight ninths. */
static void one_zone_leaves_room(void **state)
{
	char src[64];

	scene_end(NULL);
	begin(1000);
	for (uint32_t i = 0; i < 3000; i++) {
		snprintf(src, sizeof src, "198.51.%u.%u", 100 + (i >> 8), i & 255);
		tcp_whole(src, "192.168.0.53", 3000);
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1000);
	for (uint32_t i = 0; i < 90; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_whole(src, "203.0.113.80", 3000));
	}
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(src, sizeof src, "198.51.%u.%u", 120 + (i >> 8), i & 255);
		tcp_whole(src, "192.168.0.53", 3000);
	}
	for (uint32_t i = 0; i < 90; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_alive(src, "203.0.113.80", 3000));
	}
}

/* Who takes over finds the same order of things. */
static void over_a_restart(void **state)
{
	char src[64];

	for (uint32_t i = 0; i < WORLD_SESSIONS / 2; i++) {
		snprintf(src, sizeof src, "10.1.0.%u", i + 1);
		assert_true(tcp_whole(src, "203.0.113.80", 2000));
	}
	for (uint32_t i = 0; i < WORLD_SESSIONS; i++)
		assert_int_equal(udp("198.51.100.66", "192.168.0.53", (uint16_t)(1024 + i)), DROP_NONE);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, WORLD_SESSIONS);
	for (uint32_t i = 0; i < WORLD_SESSIONS / 4; i++) {
		snprintf(src, sizeof src, "10.2.0.%u", i + 1);
		assert_true(tcp_whole(src, "203.0.113.80", 2000));
	}
	for (uint32_t i = 0; i < WORLD_SESSIONS / 2; i++) {
		snprintf(src, sizeof src, "10.1.0.%u", i + 1);
		assert_true(tcp_alive(src, "203.0.113.80", 2000));
	}
}

/* Who takes over knows no limit before the policy comes; then one source holds its share again, and no more.
 */
static void over_a_restart_with_a_limit(void **state)
{
	char src[64];

	scene_end(NULL);
	begin(4000);
	load(1000);
	for (uint16_t i = 0; i < 1000; i++)
		assert_true(udp_whole("10.0.0.66", "203.0.113.66", 1024 + i));
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1000);
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_whole(src, "203.0.113.80", 3000));
		udp_whole("10.0.0.66", "203.0.113.66", (uint16_t)(9000 + i));
	}
	for (uint32_t i = 0; i < 150; i++) {
		snprintf(src, sizeof src, "10.3.0.%u", i + 1);
		assert_true(tcp_alive(src, "203.0.113.80", 3000));
	}
}

/* ---- session-limit ---- */

static void the_limit_is_the_configured_one(void **state)
{
	char src[64];

	scene_end(NULL);
	begin(4000);
	load(1024);
	assert_int_equal(fw_sessions_limit(w.fw), 1024);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(udp("10.0.0.66", "203.0.113.66", (uint16_t)(1024 + i)), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
	/* All held, each by another: nothing gives way. */
	for (uint32_t i = 0; i < 1024; i++) {
		snprintf(src, sizeof src, "%s.%u.%u", i % 2 ? "10.4" : "198.51", 100 + (i >> 8), i & 255);
		assert_true(tcp_whole(src, i % 2 ? "203.0.113.80" : "192.168.0.53", 2000));
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
	/* Raised: all stay, and there is more room. */
	load(2048);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(udp("10.0.0.66", "203.0.113.66", (uint16_t)(9000 + i)), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2048);
	/* Lowered: the unanswered are enough. */
	load(1024);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
	assert_int_equal(fw_counters(w.fw)->limit_evicted, 0);
	/* More than the memory has room for. */
	load(SESSIONS_MAX);
	assert_int_equal(fw_sessions_limit(w.fw), 4000);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
}

/* Of answered ones those end that were silent longest, and no more than must. */
static void a_lower_limit_ends_the_silent(void **state)
{
	char src[64];

	scene_end(NULL);
	begin(4000);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(src, sizeof src, "10.4.%u.%u", i >> 8, i & 255);
		assert_true(tcp_whole(src, "203.0.113.80", 2000));
		w.now += NS_PER_MS;
	}
	for (uint32_t i = 0; i < 500; i++) { /* the oldest speak again */
		snprintf(src, sizeof src, "10.4.%u.%u", i >> 8, i & 255);
		assert_true(tcp_alive(src, "203.0.113.80", 2000));
	}
	load(1024);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
	assert_int_equal(fw_counters(w.fw)->limit_evicted + fw_counters(w.fw)->over_share_evicted, 976);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(src, sizeof src, "10.4.%u.%u", i >> 8, i & 255);
		assert_int_equal(tcp_alive(src, "203.0.113.80", 2000), i < 500 || i >= 1476);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)
	const struct CMUnitTest tests[] = {
		T(unanswered_gives_way),
		T(whatever_else_stands_there),
		T(what_is_over_gives_way),
		T(one_source_leaves_room),
		T(one_source_takes_no_handshake),
		T(what_the_kernel_carries_has_its_share),
		T(what_the_kernel_has_answered_stays),
		T(a_64_is_one_source),
		T(one_zone_leaves_room),
		T(over_a_restart),
		T(over_a_restart_with_a_limit),
		T(the_limit_is_the_configured_one),
		T(a_lower_limit_ends_the_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
