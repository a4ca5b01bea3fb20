/*
 * Probes of uplinks through the pipeline: they leave by the uplink's interface to its next hop whatever the routes say, and
 * whichever worker receives the answer knows it; answers of others, forged or late ones do nothing, however many.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define TARGETS 3

static const char uplinks[] =
	"uplinks { uplink four { interface wan0; probe 192.0.2.80; probe 192.0.2.81 { tcp-port 443; } "
	"probe 192.0.2.82 { dns example.net; } }\n"
	"uplink six { interface wan0; next-hop 2001:db8:ff::1; probe 2001:db8:80::80; "
	"probe 2001:db8:80::81 { tcp-port 443; } probe 2001:db8:80::82 { dns .; } } }";

static struct gate team[WORKERS];
static struct uplinks_health health;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static struct ip_addr next_hop(uint32_t uplink)
{
	return addr(uplink == 1 ? "2001:db8:ff::1" : "198.51.100.1");
}

static int setup(void **state)
{
	gate_init_team(team, WORKERS, gate_text, uplinks, 64);
	health = (struct uplinks_health){ .key = { 1, 2, 3 } };
	health_load(&health, team[0].p.snapshot, 0);
	for (uint32_t i = 0; i < WORKERS; i++)
		team[i].p.health = &health;
	return 0;
}

static int teardown(void **state)
{
	for (uint32_t i = WORKERS; i-- > 0;)
		gate_done(&team[i]);
	return 0;
}

/* Sends the probes of the uplink's next round. */
static void round_send(uint32_t uplink, mono_ns now)
{
	struct ip_addr hop = next_hop(uplink);
	bool changed;

	gate_clear(&team[0]);
	while (health_round(&health, now, &changed) != ROUTE_NONE)
		;
	assert_null(pipeline_probe_send(&team[0].p, &health.list[uplink], &hop, team[0].now));
}

/* The answer to the packet that has left. */
static uint32_t answer_to(const struct gate_out *out, bool v6, uint8_t *ret_ip)
{
	uint32_t head = v6 ? IP6_HEADER_SIZE : IP4_HEADER_SIZE, at = v6 ? IP6_SRC : IP4_SRC, n = v6 ? 16 : 4;
	uint8_t proto = out->bytes[v6 ? 6 : 9], *l4 = ret_ip + head;

	memcpy(ret_ip, out->bytes, out->n);
	memcpy(ret_ip + at, out->bytes + at + n, n);
	memcpy(ret_ip + at + n, out->bytes + at, n);
	if (proto == IP_ICMP || proto == IP_ICMPV6) {
		l4[0] = proto == IP_ICMP ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY;
		return out->n;
	}
	memcpy(l4, out->bytes + head + 2, 2);
	memcpy(l4 + 2, out->bytes + head, 2);
	if (proto == IP_TCP) {
		store_be32(l4 + 8, load_be32(out->bytes + head + 4) + 1);
		l4[13] = TCP_SYN | TCP_ACK;
	} else {
		l4[10] |= 0x80;
	}
	return out->n;
}

static bool arrives(struct gate *g, uint32_t link, uint8_t *ip, uint32_t n)
{
	struct train t = { .ip = ip, .len = n };

	pipeline_train_from_link(&g->p, &t, gate_interface(g, link));
	return pipeline_probe_answer(&g->p, &t, g->now);
}

static bool answered(uint32_t uplink, uint32_t target)
{
	const struct health_target *t = &health.list[uplink].target[target];

	return t->answered == t->round;
}

static void every_kind_at_every_worker(void **state)
{
	for (uint32_t i = 0; i < 2 * WORKERS; i++) {
		uint32_t uplink = i & 1;
		uint8_t ip[256];
		round_send(uplink, i * NS_PER_S);
		assert_int_equal(team[0].out_n, TARGETS);
		uint32_t target = 0;
		for (uint32_t k = 0; k < team[0].out_n; k++) {
			const struct gate_out *out = &team[0].out[k];
			assert_int_equal(out->interface, gate_interface(&team[0], GATE_WAN));
			uint32_t n = answer_to(out, uplink, ip);
			assert_false(answered(uplink, target));
			assert_false(arrives(&team[i / 2], GATE_LAN, ip, n)); /* by another interface */
			assert_true(arrives(&team[i / 2], GATE_WAN, ip, n));
			assert_true(answered(uplink, target));
			assert_false(arrives(&team[i / 2], GATE_WAN, ip, n)); /* once */
			target++;
		}
		assert_int_equal(target, TARGETS);
	}
	/* The connection that stood is reset before the next one is asked for. */
	round_send(1, 2 * WORKERS * NS_PER_S);
	assert_int_equal(team[0].out_n, TARGETS + 1);
	assert_int_equal(team[0].out[1].bytes[IP6_HEADER_SIZE + 13], TCP_RST);
	assert_int_equal(team[0].out[2].bytes[IP6_HEADER_SIZE + 13], TCP_SYN);
}

/* Late answers, and each single bit of the nonce. */
static void forged_and_late(void **state)
{
	uint8_t ip[TARGETS][256];
	uint32_t n[TARGETS];

	round_send(0, 0);
	for (uint32_t k = 0; k < TARGETS; k++)
		n[k] = answer_to(&team[0].out[k], false, ip[k]);
	for (uint32_t bit = 0; bit < 64; bit++) { /* of an echo's data */
		ip[0][IP4_HEADER_SIZE + 8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(arrives(&team[bit & 1], GATE_WAN, ip[0], n[0]));
		ip[0][IP4_HEADER_SIZE + 8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (uint32_t i = 0; i < 100000; i++) { /* a flood of guesses */
		store_be16(ip[2] + IP4_HEADER_SIZE + 8,
			(uint16_t)(load_be16(ip[2] + IP4_HEADER_SIZE + 8) + 1 + (i % 65535 == 65534)));
		store_be16(ip[2] + IP4_HEADER_SIZE + 2, (uint16_t)(i * 31 % 100)); /* no port of source NAT */
		assert_false(arrives(&team[0], GATE_WAN, ip[2], n[2]));
	}
	assert_false(answered(0, 0) || answered(0, 2));
	round_send(0, NS_PER_S);
	assert_false(arrives(&team[0], GATE_WAN, ip[0], n[0])); /* of the round before */
	assert_false(arrives(&team[0], GATE_WAN, ip[1], n[1]));
	/* Nobody else's key gives the same numbers. */
	health.key[0] ^= 1;
	n[0] = answer_to(&team[0].out[0], false, ip[0]);
	assert_false(arrives(&team[0], GATE_WAN, ip[0], n[0]));
	health.key[0] ^= 1;
	assert_true(arrives(&team[0], GATE_WAN, ip[0], n[0]));
}

/* A dead next hop is asked all the same: by nothing else it would ever be seen to come back. */
static void whatever_the_routes_say(void **state)
{
	struct route_dead dead = { GATE_WAN, next_hop(0) };
	struct ip_addr none = { .family = ADDR_NONE }, hop = next_hop(0);

	route_dead_set(team[0].routes, &dead, 1);
	round_send(0, 0);
	assert_int_equal(team[0].out_n, TARGETS);
	for (uint32_t k = 0; k < TARGETS; k++)
		assert_int_equal(team[0].out[k].mac[5], 1); /* the router's */
	assert_string_equal(pipeline_probe_send(&team[0].p, &health.list[0], &none, 0),
		"no default route by the interface has a next hop");
	pipeline_unbind(&team[0].p, GATE_WAN);
	assert_string_equal(
		pipeline_probe_send(&team[0].p, &health.list[0], &hop, 0), "the interface is absent");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_kind_at_every_worker),
		T(forged_and_late),
		T(whatever_the_routes_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
