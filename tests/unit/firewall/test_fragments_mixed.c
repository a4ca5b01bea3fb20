/*
 * Fragments of one datagram that came in different ways: one out of a tunnel, the other in clear through a
 * link of the tunnel's zone, from a stranger who writes the same addresses and identification. They are two
 * datagrams.
 */
#include "wire/fragment.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct world w;
static struct packet pieces[2];

/* Piece i of a datagram of two, as train_parse() leaves it. */
static struct train piece(uint32_t i, uint32_t flags)
{
	static const struct packet_spec spec = { .src = "10.2.0.9",
		.dst = "10.1.0.9",
		.proto = IP_UDP,
		.src_port = 53,
		.dst_port = 53,
		.payload_n = 1500 };
	struct train whole = packet_make(&w.packet, &spec), t;

	whole.in_zone = UNTRUST;
	assert_int_equal(train_parse(&whole), DROP_NONE);
	t = whole;
	t.ip = pieces[i].room + TRAIN_HEAD_ROOM;
	t.len = (uint32_t)fragment_cut(t.ip, &whole, 1000, i, 4711);
	assert_true(t.len > 0);
	t.flags = flags;
	t.csum = TRAIN_CSUM_UNKNOWN;
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_true(t.flags & TRAIN_FRAGMENT);
	return t;
}

static void sealed_and_clear(void **state)
{
	const uint32_t ways[2] = { 0, TRAIN_FROM_TUNNEL };

	for (int first = 0; first < 2; first++) {
		struct train a = piece(0, ways[first]), b = piece(1, ways[!first]), c = piece(1, ways[first]);

		assert_false(fw_reassemble(w.fw, &a, TRAIN_NONE, w.now));
		assert_int_equal(a.drop, DROP_NONE);
		assert_false(fw_reassemble(w.fw, &b, TRAIN_NONE, w.now));
		assert_int_equal(b.drop, DROP_NONE);
		/* The right one still makes it whole. */
		assert_true(fw_reassemble(w.fw, &c, TRAIN_NONE, w.now));
		assert_int_equal(c.len, 20 + 8 + 1500);
		fw_reassemble_done(w.fw);
		fw_expire(w.fw, w.now + 3600 * NS_PER_S, 1000);
		w.now += 3600 * NS_PER_S;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sealed_and_clear) };

	world_init(&w, WORLD_SESSIONS);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	world_done(&w);
	return failed;
}
