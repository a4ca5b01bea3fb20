/* Translated addresses that no interface has: which neighbours are answered, how often, and what is announced when. */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define PROXIES                                                                                              \
	"nat { proxy-arp wan0 { address [ 198.51.100.77 198.51.100.80-198.51.100.89 ]; } "                   \
	"proxy-ndp wan0 { address 2001:db8:ff::70/124; } proxy-arp lan0 { address 10.1.0.200; } }"

static struct gate g;
static const uint8_t neighbour[6] = { 2, 0, 0, 0, 0, 0x77 };

static int setup(void **state)
{
	gate_init(&g, gate_text, PROXIES, 64);
	return 0;
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static const uint8_t *mac_of(uint32_t link)
{
	return g.p.interfaces[gate_interface(&g, link)].mac;
}

/* A neighbour's probe for the address; true: it is answered, with the interface's link address. */
static bool asked_by(uint32_t link, const char *text, const uint8_t mac[6])
{
	uint8_t frame[RESOLUTION_FRAME_MAX];
	struct ip_addr a = addr(text);
	size_t n = resolution_probe(frame, &a, mac);

	gate_clear(&g);
	pipeline_proxies(&g.p, gate_interface(&g, link), frame, (uint32_t)n, g.now);
	pipeline_proxies_flush(&g.p);
	if (g.out_n == 0)
		return false;
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	if (a.family == ADDR_V4) {
		assert_memory_equal(g.out[0].mac, mac, 6);
		assert_int_equal(g.out[0].bytes[7], 2);
		assert_memory_equal(g.out[0].bytes + 8, mac_of(link), 6);
		assert_memory_equal(g.out[0].bytes + 14, a.b, 4);
	} else {
		assert_memory_equal(g.out[0].bytes + g.out[0].n - 6, mac_of(link), 6);
		assert_memory_equal(g.out[0].bytes + 48, a.b, 16);
	}
	return true;
}

static bool asked(uint32_t link, const char *text)
{
	return asked_by(link, text, neighbour);
}

static void who_is_answered(void **state)
{
	assert_true(asked(GATE_WAN, "198.51.100.77"));
	assert_true(asked(GATE_WAN, "198.51.100.80"));
	assert_true(asked(GATE_WAN, "198.51.100.89"));
	assert_true(asked(GATE_WAN, "2001:db8:ff::70"));
	assert_true(asked(GATE_WAN, "2001:db8:ff::7f"));
	assert_true(asked(GATE_LAN, "10.1.0.200"));
	/* not theirs */
	assert_false(asked(GATE_WAN, "198.51.100.76"));
	assert_false(asked(GATE_WAN, "198.51.100.78"));
	assert_false(asked(GATE_WAN, "198.51.100.90"));
	assert_false(asked(GATE_WAN, "2001:db8:ff::80"));
	assert_false(asked(GATE_WAN, "10.1.0.200"));
	assert_false(asked(GATE_LAN, "198.51.100.77"));
	/* for the gateway's own address the kernel answers */
	assert_false(asked(GATE_WAN, "198.51.100.2"));
	/* the gateway's own frames */
	assert_false(asked_by(GATE_WAN, "198.51.100.77", mac_of(GATE_WAN)));
	assert_int_equal(g.p.proxies.answers, 6);
	assert_int_equal(g.p.proxies.conflicts, 0);
}

/* An address that becomes the gateway's own is left to the kernel. */
static void own_address(void **state)
{
	struct route_local local = { .link = GATE_WAN, .addr = addr("198.51.100.77"), .bits = 24 };
	struct route_entry own = { .dst = { local.addr, 32 }, .link = GATE_WAN, .kind = ROUTE_LOCAL };

	assert_int_equal(route_local_set(g.routes, &local), RC_OK);
	assert_int_equal(route_set(g.routes, &own, false), RC_OK);
	assert_false(asked(GATE_WAN, "198.51.100.77"));
	assert_true(asked(GATE_WAN, "198.51.100.80"));
}

static void not_for_us(void **state)
{
	uint8_t frame[RESOLUTION_FRAME_MAX];
	struct ip_addr a = addr("198.51.100.77");
	size_t n = resolution_probe(frame, &a, neighbour);
	uint32_t wan = gate_interface(&g, GATE_WAN);

	memset(frame, 2, 6); /* to another host's link address */
	assert_false(pipeline_proxies(&g.p, wan, frame, (uint32_t)n, g.now));
	memcpy(frame, mac_of(GATE_WAN), 6); /* as neighbours confirm what they know */
	assert_true(pipeline_proxies(&g.p, wan, frame, (uint32_t)n, g.now));
	for (uint32_t k = 0; k < n; k++)
		assert_false(pipeline_proxies(&g.p, wan, frame, k, g.now));
	pipeline_proxies_flush(&g.p);
}

static void conflicts(void **state)
{
	static const char *const texts[] = { "198.51.100.85", "2001:db8:ff::75" };
	uint8_t frame[RESOLUTION_FRAME_MAX];

	for (uint32_t i = 0; i < 2; i++) {
		struct ip_addr a = addr(texts[i]);
		size_t n = resolution_announcement(frame, &a, neighbour);
		assert_true(pipeline_proxies(&g.p, gate_interface(&g, GATE_WAN), frame, (uint32_t)n, g.now));
		assert_int_equal(g.p.proxies.conflicts, i + 1);
		assert_int_equal(g.out_n, 0);
		assert_true(asked(GATE_WAN, texts[i])); /* still ours */
		gate_clear(&g);
	}
}

/* So many a second to one, so many to all; the others are answered meanwhile. */
static void a_flood_is_bounded(void **state)
{
	uint32_t answered = 0;

	for (uint32_t i = 0; i < 10000; i++, g.now += NS_PER_S / 10000)
		answered += asked(GATE_WAN, "198.51.100.77");
	assert_in_range(answered, 190, 210);
	const uint8_t other[6] = { 2, 0, 0, 0, 1, 0 };
	assert_true(asked_by(GATE_WAN, "198.51.100.77", other));
	g.now += 10 * NS_PER_S;
	answered = 0;
	for (uint32_t i = 0; i < 20000; i++, g.now += NS_PER_S / 20000) {
		uint8_t mac[6] = { 2, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };
		answered += asked_by(GATE_WAN, "198.51.100.77", mac);
	}
	assert_in_range(answered, 1900, 2100);
	assert_true(asked(GATE_LAN, "10.1.0.200")); /* another link */
	assert_true(g.p.proxies.suppressed > 27000);
}

/* ---- announcements ---- */

/* What a second brings: probes and announcements for the address. */
static void second(const char *text, uint32_t *ret_probes, uint32_t *ret_announcements, uint32_t *ret_all)
{
	struct ip_addr a = addr(text);

	gate_clear(&g);
	g.now += NS_PER_S;
	pipeline_announce(&g.p, g.now);
	*ret_probes = *ret_announcements = 0;
	*ret_all = g.out_n;
	for (uint32_t i = 0; i < g.out_n; i++) {
		const uint8_t *b = g.out[i].bytes;
		if (a.family == ADDR_V4 && g.out[i].n == 28 && memcmp(b + 24, a.b, 4) == 0)
			*(memcmp(b + 14, a.b, 4) == 0 ? ret_announcements : ret_probes) += 1;
		if (a.family == ADDR_V6 && g.out[i].n > 28 && memcmp(b + 48, a.b, 16) == 0)
			*(b[40] == 136 ? ret_announcements : ret_probes) += 1;
	}
}

static void announced(const char *text, uint32_t seconds, uint32_t probes, uint32_t announcements)
{
	uint32_t p, a, all, p_all = 0, a_all = 0;

	for (uint32_t i = 0; i < seconds; i++) {
		second(text, &p, &a, &all);
		assert_true(p == 0 || a_all == 0); /* probed first */
		p_all += p;
		a_all += a;
	}
	assert_int_equal(p_all, probes);
	assert_int_equal(a_all, announcements);
}

static void announcements(void **state)
{
	struct route_link link = *route_link_find(g.routes, GATE_WAN);

	announced("198.51.100.77", 20, 1, 2);
	/* the same again tells nothing new; another list does */
	gate_load(&g, gate_text, PROXIES);
	announced("198.51.100.77", 20, 0, 0);
	gate_load(&g, gate_text,
		"nat { proxy-arp wan0 { address 198.51.100.77; } proxy-ndp wan0 { address 2001:db8:ff::77; } }");
	announced("2001:db8:ff::77", 20, 1, 2);
	/* a commit in the middle of it */
	gate_load(&g, gate_text, PROXIES);
	announced("2001:db8:ff::7f", 1, 1, 0);
	gate_load(&g, gate_text, PROXIES);
	announced("2001:db8:ff::7f", 20, 1, 2);
	/* the link */
	link.up = false;
	assert_int_equal(route_link_set(g.routes, &link), RC_OK);
	pipeline_changed(&g.p);
	announced("198.51.100.80", 20, 0, 0);
	link.up = true;
	assert_int_equal(route_link_set(g.routes, &link), RC_OK);
	pipeline_changed(&g.p);
	announced("198.51.100.80", 20, 1, 2);
	link.mac[5]++;
	assert_int_equal(route_link_set(g.routes, &link), RC_OK);
	pipeline_changed(&g.p);
	announced("198.51.100.80", 20, 1, 2);
	gate_load(&g, gate_text, "");
	announced("198.51.100.80", 20, 0, 0);
}

static void large_ranges(void **state)
{
	uint32_t probes, said, all, total = 0;

	gate_load(&g, gate_text,
		"nat { proxy-arp wan0 { address 172.16.0.0/16; } proxy-ndp wan0 { address 2001:db8:ff:0:1::/80; } }");
	for (uint32_t i = 0; i < 100; i++) {
		second("172.16.3.1", &probes, &said, &all);
		assert_true(all <= PROXY_ANNOUNCE_PER_SECOND);
		total += all;
	}
	assert_int_equal(total, PROXY_ANNOUNCE_ROUNDS * PROXY_ANNOUNCE_MAX);
	assert_true(asked(GATE_WAN, "2001:db8:ff:0:1:ffff::1"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(own_address, setup, teardown),
		cmocka_unit_test_setup_teardown(not_for_us, setup, teardown),
		cmocka_unit_test_setup_teardown(conflicts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(announcements, setup, teardown),
		cmocka_unit_test_setup_teardown(large_ranges, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
