/* Servers of destination NAT that fail their health checks: who gets another, who stays, and whose sessions end. */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENTS 400
#define SERVERS 4
#define TALKERS 50 /* fewer than the table has places */

static void commit(bool ends, const char *servers)
{
	policy_init(&p);
	policy_rule(&p, "web", UNTRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	struct snap_dnat_rule *r =
		policy_dnat(&p, "web", UNTRUST, "any", "203.0.113.10", "tcp/80", servers, 8080, 8080);
	r->check_port = 8080;
	r->check_interval_s = r->check_timeout_s = r->check_rise = r->check_fall = 1;
	r->check_flags = ends ? HEALTH_END_SESSIONS : 0;
	world_load(&w, &p);
	policy_done(&p);
}

static int setup(void **state)
{
	(void)state;
	world_init(&w, WORLD_SESSIONS);
	commit(false, "192.168.0.10-192.168.0.13");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_done(&w);
	return 0;
}

static void becomes(uint32_t server, bool up)
{
	struct endpoint e = { .port = 8080 };
	char text[32];

	snprintf(text, sizeof text, "192.168.0.%u", 10 + server);
	assert_int_equal(addr_parse(&e.addr, text), RC_OK);
	fw_server_set(w.fw, &e, up);
}

/* The server that the client's connection goes to, by the last octet; -1: none. */
static int server_of(uint32_t client)
{
	struct train t = { .proto = IP_TCP, .src_port = 1000, .dst_port = 80 };
	static const uint8_t published[] = { 203, 0, 113, 10 };
	uint8_t src[4];

	store_be32(src, 0xc6336400u + client);
	t.src = addr_v4(src);
	t.dst = addr_v4(published);
	t.in_zone = UNTRUST;
	struct fw_dnat d = fw_dnat(w.fw, &t, 0);
	assert_true(fw_dnat_translates(&d));
	return d.no_server ? -1 : d.dst.b[3] - 10;
}

static void clients_of_others_stay(void **state)
{
	int before[CLIENTS];
	uint32_t now_at[SERVERS] = { 0 }, moved = 0;

	(void)state;
	for (uint32_t i = 0; i < CLIENTS; i++)
		before[i] = server_of(i);
	becomes(2, false);
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 1);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		int s = server_of(i);
		assert_int_not_equal(s, 2);
		if (before[i] != 2)
			assert_int_equal(s, before[i]);
		else
			now_at[s]++, moved++;
		assert_int_equal(server_of(i), s);
	}
	/* shared by those that are left */
	assert_true(moved > CLIENTS / 8);
	for (int s = 0; s < SERVERS; s++)
		assert_true(s == 2 || now_at[s] > moved / 6);
	becomes(2, true);
	for (uint32_t i = 0; i < CLIENTS; i++)
		assert_int_equal(server_of(i), before[i]);
}

static void every_set_of_servers(void **state)
{
	(void)state;
	for (uint32_t set = 0; set < 1u << SERVERS; set++) {
		for (uint32_t s = 0; s < SERVERS; s++)
			becomes(s, set >> s & 1);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			int s = server_of(i);
			assert_true(set == 0 ? s == -1 : s >= 0 && set >> s & 1);
		}
	}
}

/* A new policy has the state that was told before; a server of another range, or port, is none of the rule's. */
static void over_commits(void **state)
{
	struct endpoint other = { .port = 8081 };

	(void)state;
	becomes(1, false);
	becomes(1, false);
	commit(false, "192.168.0.10-192.168.0.13");
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 1);
	commit(false, "192.168.0.12-192.168.0.13");
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 0);
	commit(false, "192.168.0.11-192.168.0.13");
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 1);
	becomes(1, true);
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 0);
	assert_int_equal(addr_parse(&other.addr, "192.168.0.12"), RC_OK);
	fw_server_set(w.fw, &other, false);
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 0);
	/* as many as can be told, and more */
	for (uint32_t i = 0; i < HEALTH_SERVERS_MAX + 10; i++) {
		other.port = (uint16_t)(10000 + i);
		fw_server_set(w.fw, &other, false);
	}
	for (uint32_t i = 0; i < HEALTH_SERVERS_MAX + 10; i++) {
		other.port = (uint16_t)(10000 + i);
		fw_server_set(w.fw, &other, true);
	}
	becomes(1, false);
	assert_int_equal(fw_dnat_rule_down(w.fw, 0), 1);
}

static void sweep(void)
{
	uint32_t rounds = 0;

	while (!fw_sweep(w.fw, w.now, 7))
		assert_true(++rounds < 10000);
}

static uint32_t sessions(void)
{
	return (uint32_t)fw_counters(w.fw)->sessions_now;
}

static uint32_t talk(void)
{
	uint32_t of_two = 0;

	for (uint32_t i = 0; i < TALKERS; i++) {
		char src[32];
		snprintf(src, sizeof src, "198.51.100.%u", i);
		struct packet_spec s = { .src = src,
			.dst = "203.0.113.10",
			.proto = IP_TCP,
			.src_port = 1000,
			.dst_port = 80,
			.flags = TCP_SYN };
		assert_int_equal(world_send(&w, &s), DROP_NONE);
		of_two += server_of(i) == 2;
	}
	assert_int_equal(sessions(), TALKERS);
	return of_two;
}

static void old_sessions_stay(void **state)
{
	(void)state;
	talk();
	becomes(2, false);
	sweep();
	assert_int_equal(sessions(), TALKERS);
	/* a commit neither */
	commit(false, "192.168.0.10-192.168.0.13");
	for (uint32_t i = 0; i < SERVERS; i++)
		becomes(i, false);
	sweep();
	assert_int_equal(sessions(), TALKERS);
}

static void old_sessions_end(void **state)
{
	(void)state;
	commit(true, "192.168.0.10-192.168.0.13");
	sweep();
	uint32_t of_two = talk();
	assert_true(of_two > 5);
	becomes(2, false);
	assert_int_equal(sessions(), TALKERS);
	sweep();
	assert_int_equal(sessions(), TALKERS - of_two);
	becomes(2, true);
	becomes(2, false);
	sweep();
	assert_int_equal(sessions(), TALKERS - of_two);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT(clients_of_others_stay),
		UNIT(every_set_of_servers),
		UNIT(over_commits),
		UNIT(old_sessions_stay),
		UNIT(old_sessions_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
