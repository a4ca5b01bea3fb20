/*
 * Link addresses that are not known yet: what strangers can make the gateway ask for, and that who is there
 * is reached meanwhile.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST	"10.1.0.2"
#define SCANNED "2001:db8:ff::"

static struct gate g;
static struct packet packet;

static int setup(void **state)
{
	gate_init(&g, gate_text, "", 100000);
	g.counts_only = true;
	return 0;
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static enum drop_reason send(uint32_t link, const char *src, const char *dst, uint16_t port)
{
	struct packet_spec s = {
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = port, .dst_port = 9, .payload_n = 10
	};

	return gate_from_link(&g, link, packet_make(&packet, &s));
}

static void becomes(uint32_t link, const char *text, enum route_neighbour_state neighbour_state)
{
	struct route_neighbour n = {
		.link = link, .mac = { 2, 0, 0, 0, 9, 9 }, .state = (uint8_t)neighbour_state
	};

	assert_int_equal(addr_parse(&n.addr, text), RC_OK);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	pipeline_neighbour(&g.p, link, &n.addr, g.now);
}

static void is_there(uint32_t link, const char *text)
{
	becomes(link, text, ROUTE_NEIGHBOUR_VALID);
}

static void is_forgotten(uint32_t link, const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	route_neighbour_gone(g.routes, link, &a);
}

/* Packets to so many addresses of the link, each from one of so many sources, within `ms`. */
static void scan(bool v6, uint32_t addresses, uint32_t sources, uint32_t ms)
{
	char src[64], dst[64];

	for (uint32_t i = 0; i < addresses; i++) {
		if (v6)
			snprintf(src, sizeof src, "2001:db8:1::%x:1", 3 + i % sources);
		else
			snprintf(src, sizeof src, "10.1.0.%u", 3 + i % sources);
		if (v6)
			snprintf(dst, sizeof dst, SCANNED "%x:1", 100 + i % 60000);
		else
			snprintf(dst, sizeof dst, "198.51.100.%u", 100 + i % 150);
		send(GATE_LAN, src, dst, (uint16_t)(1000 + i / 60000));
		g.now += (uint64_t)ms * NS_PER_MS / addresses;
	}
}

/* One question for a neighbour, however many packets there are to it. */
static void one_question_each(void **state)
{
	for (uint32_t i = 0; i < 20000; i++) {
		send(GATE_LAN, HOST, "198.51.100.77", (uint16_t)(i % 60000 + 1));
		g.now += NS_PER_S / 10000;
	}
	assert_true(g.asked >= 2 && g.asked <= 3);
	assert_true(g.p.neighbour_queue_n <= NEIGHBOUR_QUEUE_EACH_MAX);
}

/* A stale link address is used, and confirmed once in five seconds until the kernel says what became of it. */
static void a_stale_one_is_confirmed(void **state)
{
	becomes(GATE_WAN, "198.51.100.77", ROUTE_NEIGHBOUR_STALE);
	for (uint32_t i = 0; i < 12000; i++) {
		assert_int_equal(send(GATE_LAN, HOST, "198.51.100.77", 1000), DROP_NONE);
		g.now += NS_PER_MS;
	}
	assert_int_equal(g.asked, 3);
	assert_int_equal(g.sent_link, 12000);
	is_there(GATE_WAN, "198.51.100.77");
	g.now += 10 * NS_PER_S;
	send(GATE_LAN, HOST, "198.51.100.77", 1000);
	assert_int_equal(g.asked, 3);
}

static void a_scan_is_bounded(void **state)
{
	scan(true, 50000, 1, 1000);
	assert_true(g.asked >= 60 && g.asked <= 64 + 32 + 1); /* one source */
	uint32_t before = g.asked;
	scan(true, 50000, 200, 3000); /* 200 addresses of one /64 are one source */
	assert_true(g.asked - before <= 32 * 3 + 1);
	/* Nobody was told that a host is not there before the kernel said so. */
	assert_int_equal(g.p.error_replies_sent, 0);
	assert_true(g.p.drops[DROP_NEIGHBOUR_LIMIT] > 90000);
	assert_int_equal(g.p.drops[DROP_NEIGHBOUR], 0);
}

/* By a whole zone, each packet from another source. */
static void a_zone_is_bounded(void **state)
{
	scan(false, 20000, 250, 1000);
	uint32_t first = g.asked;
	assert_true(first >= 100 && first <= 300 + 1);
	scan(false, 60000, 250, 10000);
	assert_true(g.asked - first <= 1000 + 1);
}

/* 32 and more packets wait for absent neighbours: the next one to somebody who is there waits as well. */
static void who_is_there_is_reached(void **state)
{
	scan(true, 1000, 1, 100);
	assert_int_equal(send(GATE_LAN, HOST, "198.51.100.50", 40000), DROP_NONE);
	uint64_t sent = g.sent_link;
	g.now += NS_PER_MS;
	is_there(GATE_WAN, "198.51.100.50");
	assert_int_equal(g.sent_link, sent + 1);
	assert_int_equal(g.p.error_replies_sent, 0);
}

/* The room is full and a flood from everywhere goes on: who was there before is asked for and reached. */
static void who_was_there_is_asked_for(void **state)
{
	is_there(GATE_WAN, "198.51.100.50");
	is_forgotten(GATE_WAN, "198.51.100.50");
	scan(false, 20000, 250, 5000);
	scan(true, 1000, 1, 10);
	uint32_t asked = g.asked;
	assert_int_equal(g.p.neighbour_queue_n, NEIGHBOUR_QUEUE_MAX);
	send(GATE_LAN, "10.1.0.40", "198.51.100.50", 40000); /* the oldest that waits gives way */
	assert_int_equal(g.p.neighbour_queue_n, NEIGHBOUR_QUEUE_MAX);
	assert_int_equal(g.asked, asked + 1);
	uint64_t sent = g.sent_link;
	scan(false, 1000, 250, 10); /* an answer takes some milliseconds */
	is_there(GATE_WAN, "198.51.100.50");
	assert_true(g.sent_link >= sent + 1);
}

/* What is held names interfaces by the numbers of its configuration. */
static void a_commit_drops_what_is_held(void **state)
{
	assert_int_equal(send(GATE_LAN, HOST, "198.51.100.77", 1), DROP_NONE);
	assert_int_equal(g.p.neighbour_queue_n, 1);
	gate_load(&g, gate_text, "");
	assert_int_equal(g.p.neighbour_queue_n, 0);
	assert_int_equal(g.p.drops[DROP_NEIGHBOUR_LIMIT], 1);
	uint64_t sent = g.sent_link;
	is_there(GATE_WAN, "198.51.100.77");
	assert_int_equal(g.sent_link, sent);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(one_question_each),
		T(a_stale_one_is_confirmed),
		T(a_scan_is_bounded),
		T(a_zone_is_bounded),
		T(who_is_there_is_reached),
		T(who_was_there_is_asked_for),
		T(a_commit_drops_what_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
