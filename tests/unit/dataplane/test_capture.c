/*
 * Packets for `capture`: what came and what leaves, each with its verdict; by stage and filter; what finds no room is lost and counted, and a
 * reader that lies harms nothing.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

static struct gate g;
static struct capture_ring *ring;
static uint64_t tail;

static int begin(void **state)
{
	(void)state;
	gate_init(&g, gate_text,
		"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }", 64);
	gate_sa(&g, false);
	ring = aligned_alloc(64, sizeof *ring);
	memset(ring, 0, sizeof *ring);
	tail = 0;
	return ring ? 0 : 1;
}

static int end(void **state)
{
	(void)state;
	gate_done(&g);
	free(ring);
	return 0;
}

static void want(uint32_t stages, const char *dport)
{
	struct msg_capture what = { .stages = stages };
	struct session_filter f = { 0 };

	if (dport) {
		assert_int_equal(session_filter_set(&f, SESSION_FILTER_DPORT, dport, NULL), RC_OK);
		what.packets.list[what.packets.n++] = packet_filter_from(&f);
	}
	pipeline_capture(&g.p, ring, &what);
}

static void send(const char *src, const char *dst, uint16_t dst_port)
{
	static struct packet room;
	const struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_TCP,
		.src_port = 40000,
		.dst_port = dst_port,
		.flags = TCP_SYN,
		.hops = 64 };

	gate_from_link(&g, GATE_LAN, packet_make(&room, &s));
}

static const uint8_t *bytes;

static struct capture_record next(void)
{
	struct capture_record r;
	bool bad;

	assert_true(capture_ring_next(ring, &tail, &r, &bytes, &bad));
	return r;
}

static void nothing_more(void)
{
	struct capture_record r;
	bool bad;

	assert_false(capture_ring_next(ring, &tail, &r, &bytes, &bad));
	assert_false(bad);
	capture_release(ring, tail);
}

static void both_ends_with_verdicts(void **state)
{
	(void)state;
	want(1u << CAPTURE_RECEIVED | 1u << CAPTURE_SENT, NULL);
	send("10.1.0.2", "192.0.2.80", 80);
	send("10.1.0.2", "192.0.2.80", 25);
	struct capture_record r = next();
	assert_int_equal(r.stage, CAPTURE_RECEIVED);
	assert_int_equal(r.n, 40);
	assert_memory_equal(bytes + IP4_SRC, ((uint8_t[]){ 10, 1, 0, 2 }), 4);
	assert_int_equal(r.facts.verdict, PACKET_PASS);
	assert_string_equal(r.facts.rule, "out");
	assert_string_equal(r.facts.in_interface, "lan0");
	r = next();
	assert_int_equal(r.stage, CAPTURE_SENT);
	assert_true(r.out && r.n == 40);
	assert_memory_equal(bytes + IP4_SRC, ((uint8_t[]){ 198, 51, 100, 2 }), 4); /* translated */
	assert_int_equal(bytes[8], 63);
	r = next();
	assert_int_equal(r.stage, CAPTURE_RECEIVED);
	assert_int_equal(r.facts.verdict, PACKET_DROP);
	assert_string_equal(r.facts.drop, "default-deny");
	nothing_more();
}

static void stages_and_filters(void **state)
{
	(void)state;
	want(1u << CAPTURE_SENT, "80");
	send("10.1.0.2", "192.0.2.80", 80);
	send("10.1.0.2", "192.0.2.80", 25);
	assert_int_equal(next().stage, CAPTURE_SENT);
	nothing_more();
	/* What goes into a tunnel is no packet of a link, and is captured only where that is asked for. */
	send("10.1.0.2", "10.2.0.9", 80);
	nothing_more();
	want(1u << CAPTURE_DECRYPTED, NULL);
	tail = 0;
	memset(ring, 0, sizeof *ring);
	send("10.1.0.2", "10.2.0.9", 80);
	struct capture_record r = next();
	assert_int_equal(r.stage, CAPTURE_DECRYPTED);
	assert_string_equal(r.facts.out_tunnel, "branch");
	assert_memory_equal(bytes + IP4_DST, ((uint8_t[]){ 10, 2, 0, 9 }), 4);
	nothing_more();
	pipeline_capture(&g.p, NULL, NULL);
	send("10.1.0.2", "10.2.0.9", 80);
	nothing_more();
}

static void full_and_lying(void **state)
{
	uint64_t packets = 0;

	(void)state;
	want(1u << CAPTURE_RECEIVED, NULL);
	while (ring->lost == 0) {
		send("10.1.0.2", "192.0.2.80", 80);
		packets++;
	}
	assert_in_range(packets, CAPTURE_RING_BYTES / 1024, CAPTURE_RING_BYTES / 512);
	for (uint64_t i = 0; i + 1 < packets; i++)
		assert_int_equal(next().n, 40);
	nothing_more();
	send("10.1.0.2", "192.0.2.80", 80); /* over the ring's end */
	assert_int_equal(next().n, 40);
	nothing_more();
	ring->tail = tail + 1000000; /* what it cannot have read */
	send("10.1.0.2", "192.0.2.80", 80);
	nothing_more();
	assert_int_equal(ring->lost, 2);
	/* A writer that lies. */
	struct capture_record r;
	bool bad;
	ring->head = tail + 128;
	((struct capture_record *)(void *)(ring->bytes + (tail & (CAPTURE_RING_BYTES - 1))))->size = 7;
	assert_false(capture_ring_next(ring, &tail, &r, &bytes, &bad));
	assert_true(bad);
	/* Nothing but ends of rings, of which a reader would see more than there are seconds in the life of the sun. */
	for (uint32_t i = 0; i < CAPTURE_RING_BYTES; i += 64)
		((struct capture_record *)(void *)(ring->bytes + i))->stage = CAPTURE_STAGES_N;
	ring->head = tail - 64;
	assert_false(capture_ring_next(ring, &tail, &r, &bytes, &bad));
	assert_true(bad);
	ring->head = tail + 64;
	assert_false(capture_ring_next(ring, &tail, &r, &bytes, &bad));
	assert_true(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_ends_with_verdicts, begin, end),
		cmocka_unit_test_setup_teardown(stages_and_filters, begin, end),
		cmocka_unit_test_setup_teardown(full_and_lying, begin, end),
	};
	return cmocka_run_group_tests_name("dataplane/capture", tests, NULL, NULL);
}
