/*
 * What bounds the messages that strangers' packets cause is one for all workers: the same packets spread over one, two or
 * four of them cause as many ICMP errors, requests for link addresses, answers of proxy-arp, requests for SAs and
 * records of rules. So are the thresholds of screens.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKERS 4
static const char text[] =
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } zone vpn; }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any; "
	"application any; } then { permit; } } }\n"
	"from trust to vpn { rule there { match { source any; destination any; "
	"application any; } then { permit; } } }\n"
	"from untrust to trust { rule no { match { source any; destination any; "
	"application any; } then { deny; log { session-init; } } } } }\n"
	"nat { proxy-arp wan0 { address 198.51.100.77; } }\n"
	"ike { proposal p { encryption aes256gcm16; dh-group x25519; }\n"
	"peer branch { local-address 198.51.100.2; remote-address 198.51.100.3; "
	"local-id gate.example.net; remote-id branch.example.net; "
	"pre-shared-key branch; proposals p; start never; } }\n"
	"ipsec { proposal p { encryption aes256gcm16; }\n"
	"tunnel branch { peer branch; zone vpn; local 10.1.0.0/24; remote 10.2.0.0/24; "
	"proposals p; } }\n%s";

static struct gate team[WORKERS];
static uint32_t workers;
static mono_ns begun;
static struct packet packet;

static uint32_t own_home(void *context, const struct train *t)
{
	(void)t;
	return ((struct gate *)context)->p.worker; /* the test chooses who has a packet */
}

/* It is at home with the one that has it, as far as the others know. */
static bool no_note(void *context, uint32_t worker, const struct fw_note *note)
{
	(void)context, (void)worker, (void)note;
	return true;
}

static int team_begin(void **state, const char *with)
{
	workers = *(const uint32_t *)*state;
	for (uint32_t i = 0; i < workers; i++)
		team[i] = (struct gate){ 0 };
	gate_init_team(team, workers, with, "", 4096);
	for (uint32_t i = 0; i < workers; i++) {
		team[i].p.io.home = own_home;
		team[i].p.io.note = no_note;
		team[i].counts_only = true;
	}
	begun = team[0].now;
	return 0;
}

static int setup(void **state)
{
	return team_begin(state, text);
}

static int setup_screens(void **state)
{
	static char with[sizeof text + 200];
	const char *zone = strstr(text, "zone trust { ") + strlen("zone trust { ");

	snprintf(with, sizeof with, "screens { screen s { %s } }\n%.*sscreen s; %s",
		"udp { flood { threshold 100; } port-scan { } udp-sweep { } }", (int)(zone - text), text,
		zone);
	return team_begin(state, with);
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = workers; i-- > 0;)
		gate_done(&team[i]);
	return 0;
}

/* Packet i of so many in a second is at one of them. */
static struct gate *at(uint32_t i, uint32_t per_second)
{
	struct gate *g = &team[i / 7 % workers];

	g->now = begun + i * (NS_PER_S / per_second);
	return g;
}

static void send(struct gate *g, const char *src, const char *dst, uint16_t port, uint8_t hops)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = port,
		.dst_port = 9,
		.payload_n = 10,
		.hops = hops };

	gate_from_link(g, strncmp(src, "10.", 3) == 0 ? GATE_LAN : GATE_WAN, packet_make(&packet, &s));
}

static void errors(void **state)
{
	uint64_t sent = 0, all = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) /* two seconds, of one host */
		send(at(i, 10000), "10.1.0.2", "192.0.2.80", (uint16_t)(i + 1), 1);
	for (uint32_t i = 0; i < workers; i++) {
		sent += team[i].p.error_replies_sent;
		all += team[i].p.error_replies_sent + team[i].p.error_replies_suppressed;
	}
	assert_in_range(sent, 2 * ERROR_HOST_PER_SECOND - 1, 2 * ERROR_HOST_PER_SECOND + ERROR_HOST_BURST);
	assert_int_equal(all, 20000);
}

static void errors_of_a_zone(void **state)
{
	uint64_t all = 0;
	char src[ADDR_TEXT_MAX];

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(src, sizeof src, "10.1.%u.%u", 1 + i / 250 % 250, 1 + i % 250);
		send(at(i, 10000), src, "192.0.2.80", (uint16_t)(i + 1), 1);
	}
	for (uint32_t i = 0; i < workers; i++)
		all += team[i].p.error_replies_sent;
	assert_in_range(all, 2 * ERROR_ZONE_PER_SECOND - 1, 2 * ERROR_ZONE_PER_SECOND + ERROR_ZONE_BURST);
}

static uint32_t asked(void)
{
	uint32_t all = 0;

	for (uint32_t i = 0; i < workers; i++)
		all += team[i].asked;
	return all;
}

static void solicitations(void **state)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(src, sizeof src, "10.1.0.%u", 3 + i % 250);
		snprintf(dst, sizeof dst, "198.51.100.%u", 100 + i % 150);
		send(at(i, 5000), src, dst, (uint16_t)(i + 1), 64);
	}
	assert_in_range(
		asked(), 4 * SOLICIT_ZONE_PER_SECOND - 1, 4 * SOLICIT_ZONE_PER_SECOND + SOLICIT_ZONE_BURST);
}

static void one_neighbour(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20000; i++) /* four seconds */
		send(at(i, 5000), "10.1.0.2", "198.51.100.78", (uint16_t)(i + 1), 64);
	assert_in_range(asked(), 4, 5);
}

static void proxy_answers(void **state)
{
	uint64_t answered = 0;
	uint8_t frame[RESOLUTION_FRAME_MAX];
	struct ip_addr a;

	(void)state;
	assert_int_equal(addr_parse(&a, "198.51.100.77"), RC_OK);
	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t mac[6] = { 2, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };
		struct gate *g = at(i, 10000);
		size_t n = resolution_probe(frame, &a, mac);
		pipeline_proxies(&g->p, gate_interface(g, GATE_WAN), frame, (uint32_t)n, g->now);
		pipeline_proxies_flush(&g->p);
	}
	for (uint32_t i = 0; i < workers; i++)
		answered += team[i].p.proxies.answers - team[i].p.proxies.suppressed;
	assert_in_range(answered, 3 * PROXY_LINK_PER_SECOND - 1, 3 * PROXY_LINK_PER_SECOND + 1);
}

static void requests_for_sas(void **state)
{
	uint32_t acquired = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) /* four seconds */
		send(at(i, 5000), "10.1.0.2", "10.2.0.2", (uint16_t)(i + 1), 64);
	for (uint32_t i = 0; i < workers; i++)
		acquired += team[i].acquired;
	assert_int_equal(acquired, 2);
}

static void log_records(void **state)
{
	uint64_t records = 0, told = 0;
	struct fw_log l;

	(void)state;
	for (uint32_t i = 0; i < 40000; i++) { /* four seconds */
		struct gate *g = at(i, 10000);
		send(g, "192.0.2.80", "10.1.0.2", (uint16_t)(i + 1), 64);
		while (fw_log_next(g->fw, &l))
			records += l.kind == FW_LOG_DENY;
	}
	/* 1024 at once, FW_LOG_BURST of firewall/limits.h, and 100 a second. */
	assert_in_range(records, 1024 + 390, 1024 + 410);
	for (uint32_t i = 0; i < workers; i++) {
		fw_expire(team[i].fw, begun + 60 * NS_PER_S, UINT32_MAX);
		while (fw_log_next(team[i].fw, &l))
			told += l.kind == FW_LOG_SUPPRESSED ? l.suppressed : 0;
	}
	assert_int_equal(records + told, 40000); /* each worker tells of what it left out */
}

static enum drop_reason probe(uint32_t i, uint32_t source, uint32_t host, uint16_t port)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = (uint16_t)(1 + i),
		.dst_port = port,
		.payload_n = 10 };

	snprintf(src, sizeof src, "10.1.0.%u", source);
	snprintf(dst, sizeof dst, "192.0.2.%u", host);
	return gate_from_link(&team[i % workers], GATE_LAN, packet_make(&packet, &s));
}

/* Of a flood as many pass in a second, and a scan is one at its tenth port or address, wherever its packets are at home. */
static void screens(void **state)
{
	uint32_t passed = 0;

	for (uint32_t i = 0; i < 400; i++)
		passed += probe(i, 2 + i % 100, 80, 9) == DROP_NONE;
	assert_int_equal(passed, 100);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(probe(i, 200, 81, (uint16_t)(1 + i)) == DROP_SCREEN_UDP_PORT_SCAN,
			i >= SCAN_COUNT - 1);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(probe(i, 201, 100 + i, 9) == DROP_SCREEN_UDP_SWEEP, i >= SCAN_COUNT - 1);
}

int main(void)
{
	static uint32_t numbers[] = { 1, 2, 4 };
#define ONE(f, n) { #f " " #n, f, setup, teardown, &numbers[n] }
#define T(f)	  ONE(f, 0), ONE(f, 1), ONE(f, 2)
#define S(n)	  { "screens " #n, screens, setup_screens, teardown, &numbers[n] }
	const struct CMUnitTest tests[] = { T(errors), T(errors_of_a_zone), T(solicitations),
		T(one_neighbour), T(proxy_answers), T(requests_for_sas), T(log_records), S(0), S(1), S(2) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
