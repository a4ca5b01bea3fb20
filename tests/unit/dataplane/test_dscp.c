/*
 * Code points of rules: on every packet of a session, in both directions and families, on trains as on single packets; the
 * congestion mark and both checksums stay right; a commit changes them for sessions that are there.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST	  "10.1.0.2"
#define HOST6	  "2001:db8:1::2"
#define INTERNET  "192.0.2.80"
#define INTERNET6 "2001:db8:80::80"

static struct gate g;
static struct packet packet;

/* gate_text with this after the permit of rules between trust and untrust. */
static void begin(const char *then, bool again)
{
	static char text[8192];
	const char *pair = strstr(gate_text, "from trust to untrust"), *rule = strstr(pair, "rule out"),
		   *permit = strstr(rule, "permit;");

	assert_non_null(permit);
	permit += strlen("permit;");
	snprintf(text, sizeof text, "%.*s %s%s", (int)(permit - gate_text), gate_text, then, permit);
	if (again)
		gate_load(&g, text, "");
	else
		gate_init(&g, text, "", 64);
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

/* The traffic class of what came out; its checksums are right. */
static uint8_t class_out(bool v6)
{
	assert_int_equal(g.out_n, 1);
	struct train t = {
		.ip = g.out[0].bytes, .len = g.out[0].n, .segment_size = g.out[0].offload.gso_size
	};

	t.csum = g.out[0].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? TRAIN_CSUM_PARTIAL
								      : TRAIN_CSUM_UNKNOWN;
	assert_int_equal(train_parse(&t), DROP_NONE);
	if (t.csum == TRAIN_CSUM_UNKNOWN)
		assert_int_equal(train_verify_l4(&t), DROP_NONE);
	assert_int_equal(t.src.family, v6 ? ADDR_V6 : ADDR_V4);
	return t.traffic_class;
}

static void class_set(struct train *t, bool v6, uint8_t class)
{
	if (v6) {
		store_be32(t->ip, 6u << 28 | (uint32_t)class << 20 | 0x12345);
		return;
	}
	t->ip[1] = class;
	store_be16(t->ip + IP4_CSUM, 0);
	store_be16(t->ip + IP4_CSUM, plain_checksum(0, t->ip, IP4_HEADER_SIZE));
}

static void send(bool v6, bool back, bool train, uint8_t class)
{
	const char *host = v6 ? HOST6 : HOST, *internet = v6 ? INTERNET6 : INTERNET;
	struct packet_spec s = { .src = back ? internet : host,
		.dst = back ? host : internet,
		.proto = IP_UDP,
		.src_port = back ? 9 : 1000,
		.dst_port = back ? 1000 : 9,
		.payload_n = train ? 3000 : 100,
		.partial = train };
	struct train t = packet_make(&packet, &s);

	t.segment_size = train ? 1000 : 0;
	class_set(&t, v6, class);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, back ? GATE_WAN : GATE_LAN, t), DROP_NONE);
	if (v6)
		assert_int_equal(load_be32(g.out[0].bytes) & 0xfffff, 0x12345); /* the flow label stays */
}

static void both_directions(void **state)
{
	begin("dscp ef;", false);
	for (uint32_t i = 0; i < 32; i++) {
		bool v6 = i & 1, back = i & 2, train = i & 4;
		uint8_t congestion = (uint8_t)(i >> 3);
		if (back && i < 8)
			send(v6, false, false, 0);
		send(v6, back, train, (uint8_t)(26 << 2 | congestion));
		assert_int_equal(class_out(v6), 46 << 2 | congestion);
	}
}

static void without_one_they_keep_theirs(void **state)
{
	begin("", false);
	for (uint32_t i = 0; i < 256; i++) {
		send(i & 1, false, i & 2, (uint8_t)i);
		assert_int_equal(class_out(i & 1), i);
	}
}

/* Every value by its number, on a session that is there. */
static void commits(void **state)
{
	char then[32];

	begin("", false);
	send(false, false, false, 1);
	for (uint32_t i = 0; i < 64; i += 7) {
		snprintf(then, sizeof then, "dscp %u;", i);
		begin(then, true);
		send(false, true, false, 0x5b);
		assert_int_equal(class_out(false), i << 2 | 3);
	}
	begin("", true);
	send(false, true, false, 0x5b);
	assert_int_equal(class_out(false), 0x5b);
}

static void names(void **state)
{
	static const struct {
		const char *name;
		uint32_t number;
	} some[] = { { "cs0", 0 }, { "le", 1 }, { "cs1", 8 }, { "af11", 10 }, { "af23", 22 }, { "af41", 34 },
		{ "va", 44 }, { "ef", 46 }, { "cs7", 56 } };
	char then[32];

	begin("", false);
	for (uint32_t i = 0; i < COUNT_OF(some); i++) {
		snprintf(then, sizeof then, "dscp %s;", some[i].name);
		begin(then, true);
		send(true, false, false, 0);
		assert_int_equal(class_out(true), some[i].number << 2);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(both_directions),
		T(without_one_they_keep_theirs),
		T(commits),
		T(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
