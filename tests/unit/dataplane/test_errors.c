/*
 * ICMP errors about sessions: they go by the session's way or not at all, come in as its packets do, and
 * change nothing of it. Both families, with NAT and without, the tunnel in a zone of its own or in the WAN's,
 * before and after the tables have changed, from inside, from outside and out of the tunnel.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }";

/* Who is where, by family. */
static const struct {
	const char *host, *host_router, *internet, *internet_router, *far, *far_router, *wan;
} at[2] = { { "10.1.0.2", "10.1.99.1", "192.0.2.80", "203.0.113.5", "10.2.0.9", "192.168.7.1",
		    "198.51.100.2" },
	{ "2001:db8:1::2", "2001:db8:77::1", "2001:db8:99::9", "2001:db8:88::1", "2001:db8:2::9",
		"2001:db8:78::1", "2001:db8:ff::2" } };

static struct gate g, other;
static struct packet packet, quoted;
static uint8_t inner[70000];

struct setting {
	bool v6, translated, shared, stale;
};

static void begin(const struct setting *c)
{
	static char text[8192];
	const char *zone = strstr(gate_text, "zone vpn; local");

	snprintf(text, sizeof text, "%.*szone %s; local%s", (int)(zone - gate_text), gate_text,
		c->shared ? "untrust" : "vpn", zone + strlen("zone vpn; local"));
	gate_init(&g, text, c->translated ? nat : "", 64);
	gate_init(&other, gate_text, "", 64);
	gate_sa(&g, false);
	gate_sa(&other, true);
}

static void end(void)
{
	gate_done(&g);
	gate_done(&other);
}

#define EACH_SETTING(c)                                                                                      \
	struct setting c;                                                                                    \
	for (int k = 0; k < 16 && (c = (struct setting){ k & 1, k & 2, k & 4, k & 8 }, begin(&c), true);     \
		k++, end())

static struct packet_spec udp(const char *src, const char *dst, uint16_t src_port, uint16_t dst_port)
{
	return (struct packet_spec){ .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = src_port,
		.dst_port = dst_port,
		.payload_n = 30 };
}

/* An error of `router` to `to` about the packet `of`, which it sent. */
static struct train error(
	const struct setting *c, const char *router, const char *to, const struct packet_spec *of)
{
	struct train q = packet_make(&quoted, of);
	struct packet_spec e = { .src = router,
		.dst = to,
		.proto = c->v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = c->v6 ? ICMP6_TOO_BIG : ICMP4_UNREACHABLE,
		.icmp_code = c->v6 ? 0 : 4,
		.payload = q.ip,
		.payload_n = q.len };

	return packet_make(&packet, &e);
}

static void is_drop(enum drop_reason want, enum drop_reason got)
{
	assert_string_equal(drop_name(got), drop_name(want));
}

static void nothing_left(void)
{
	assert_int_equal(g.out_n, 0);
}

static void left_by(uint32_t link)
{
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	assert_true(packet_sound(g.out[0].bytes, g.out[0].n));
}

static struct ip_addr source_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? addr_v4(ip + 12) : addr_v6(ip + 8);
}

static void source_is(const uint8_t *ip, const char *want)
{
	char text[ADDR_TEXT_MAX];
	struct ip_addr a = source_of(ip);

	assert_string_equal(addr_text(text, &a), want);
}

/* The other end's SA reads what left, and takes it. */
static void left_sealed(const char *src)
{
	struct esp_opened opened;

	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
	esp_open(other.esp, g.out[0].bytes, g.out[0].n, 0, inner, other.now, &opened);
	is_drop(DROP_NONE, opened.drop);
	assert_true(packet_sound(inner, opened.n));
	source_is(inner, src);
}

static enum drop_reason from_link(uint32_t link, struct train t)
{
	gate_clear(&g);
	return gate_from_link(&g, link, t);
}

static enum drop_reason from_tunnel(struct train t)
{
	gate_clear(&g);
	return gate_from_tunnel(&g, t);
}

static const struct fw_session *session(void)
{
	uint32_t cursor = 0;
	const struct fw_session *s = fw_session_next(g.fw, &cursor);

	assert_non_null(s);
	return s;
}

/* Whatever is done in here leaves the one session as it was. */
#define UNCHANGED(...)                                                                                       \
	do {                                                                                                 \
		const struct fw_session before = *session();                                                 \
		__VA_ARGS__;                                                                                 \
		assert_memory_equal(&before, session(), sizeof before);                                      \
	} while (0)

static void changed(const struct setting *c)
{
	if (c->stale)
		pipeline_changed(&g.p);
}

/* HOST and FAR, through the tunnel. */
static void tunnelled(const struct setting *c, struct packet_spec *there, struct packet_spec *back)
{
	*there = udp(at[c->v6].host, at[c->v6].far, 1000, 9);
	*back = udp(at[c->v6].far, at[c->v6].host, 9, 1000);
	is_drop(DROP_NONE, from_link(GATE_LAN, packet_make(&packet, there)));
	is_drop(DROP_NONE, from_tunnel(packet_make(&packet, back)));
}

static void test_from_inside_about_a_tunnel(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back;
		const char *const routers[] = { at[c.v6].host_router, at[c.v6].internet_router,
			at[c.v6].host };

		tunnelled(&c, &there, &back);
		changed(&c);
		for (size_t i = 0; i < COUNT_OF(routers); i++) {
			UNCHANGED(is_drop(
				DROP_NONE, from_link(GATE_LAN, error(&c, routers[i], at[c.v6].far, &back))));
			left_sealed(routers[i]);
		}
		/* and the session is where it was: its own packets pass, clear ones in their name do not */
		assert_int_not_equal(DROP_NONE, from_link(GATE_WAN, packet_make(&packet, &back)));
		nothing_left();
		is_drop(DROP_NONE, from_tunnel(packet_make(&packet, &back)));
		left_by(GATE_LAN);
		is_drop(DROP_NONE, from_link(GATE_LAN, packet_make(&packet, &there)));
		left_sealed(at[c.v6].host);
	}
}

static void test_out_of_the_tunnel(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back;
		const char *const routers[] = { at[c.v6].far_router, at[c.v6].far };

		tunnelled(&c, &there, &back);
		changed(&c);
		for (size_t i = 0; i < COUNT_OF(routers); i++) {
			UNCHANGED(is_drop(
				DROP_NONE, from_tunnel(error(&c, routers[i], at[c.v6].host, &there))));
			left_by(GATE_LAN);
			source_is(g.out[0].bytes, routers[i]);
		}
	}
}

/* Also of who says that it is behind the tunnel, or the far host itself. */
static void test_in_clear_about_a_tunnel(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back;
		const char *const strangers[] = { at[c.v6].internet_router, at[c.v6].far_router,
			at[c.v6].far };

		tunnelled(&c, &there, &back);
		changed(&c);
		for (size_t i = 0; i < COUNT_OF(strangers); i++) {
			UNCHANGED(assert_int_not_equal(DROP_NONE,
				from_link(GATE_WAN, error(&c, strangers[i], at[c.v6].host, &there))));
			nothing_left();
			UNCHANGED(assert_int_not_equal(DROP_NONE,
				from_link(GATE_WAN, error(&c, strangers[i], at[c.v6].far, &back))));
			nothing_left();
			UNCHANGED(assert_int_not_equal(DROP_NONE,
				from_link(GATE_LAN, error(&c, strangers[i], at[c.v6].host, &there))));
			nothing_left();
		}
	}
}

/* HOST and INTERNET, in clear; `seen`: the flow as it is outside. */
static void in_clear(const struct setting *c, struct packet_spec *there, struct packet_spec *back,
	struct packet_spec *seen)
{
	*there = udp(at[c->v6].host, at[c->v6].internet, 1000, 9);
	*back = udp(at[c->v6].internet, at[c->v6].host, 9, 1000);
	is_drop(DROP_NONE, from_link(GATE_LAN, packet_make(&packet, there)));
	left_by(GATE_WAN);
	struct ip_addr src = source_of(g.out[0].bytes);
	static char text[ADDR_TEXT_MAX];
	*seen = udp(
		addr_text(text, &src), at[c->v6].internet, load_be16(g.out[0].bytes + (c->v6 ? 40 : 20)), 9);
}

static void test_about_a_session_in_clear(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back, seen;

		in_clear(&c, &there, &back, &seen);
		changed(&c);
		UNCHANGED(is_drop(DROP_NONE,
			from_link(GATE_WAN, error(&c, at[c.v6].internet_router, seen.src, &seen))));
		left_by(GATE_LAN);
		source_is(g.out[0].bytes, at[c.v6].internet_router);
		UNCHANGED(is_drop(DROP_NONE,
			from_link(GATE_LAN, error(&c, at[c.v6].host_router, at[c.v6].internet, &back))));
		left_by(GATE_WAN);
		source_is(g.out[0].bytes, strcmp(seen.src, at[c.v6].host) ? seen.src : at[c.v6].host_router);
		/* the tunnel's other side has no say in it, nor who takes its name */
		UNCHANGED(assert_int_not_equal(
			DROP_NONE, from_tunnel(error(&c, at[c.v6].far, seen.src, &seen))));
		nothing_left();
		UNCHANGED(is_drop(
			DROP_TUNNEL_REQUIRED, from_link(GATE_WAN, error(&c, at[c.v6].far, seen.src, &seen))));
		nothing_left();
	}
}

/* The tunnel is down, or its routes lead elsewhere: the error is dropped, never in clear. */
static void test_tunnel_down(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back;

		tunnelled(&c, &there, &back);
		assert_int_equal(esp_remove(g.esp, GATE_SPI_IN), RC_OK);
		changed(&c);
		UNCHANGED(is_drop(DROP_TUNNEL_DOWN,
			from_link(GATE_LAN, error(&c, at[c.v6].host_router, at[c.v6].far, &back))));
		nothing_left();
	}
}

/* The gateway is a router on the way as well: it has no address in the selectors, and still says what is too
 * big. */
static void test_own_answer(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back;
		struct route_local l = { .link = GATE_LAN, .bits = c.v6 ? 64 : 16 };
		struct ip_addr was;

		tunnelled(&c, &there, &back);
		assert_int_equal(addr_parse(&was, c.v6 ? "2001:db8:1::1" : "10.1.0.1"), RC_OK);
		assert_int_equal(addr_parse(&l.addr, at[c.v6].host_router), RC_OK);
		route_local_gone(g.routes, GATE_LAN, &was);
		assert_int_equal(route_local_set(g.routes, &l), RC_OK);
		changed(&c);
		back.hops = 1;
		is_drop(DROP_TTL, from_tunnel(packet_make(&packet, &back)));
		left_sealed(at[c.v6].host_router);
	}
}

/* What the SA's own check takes: an error of another's address only if it quotes what the SA carries. */
static void test_selectors_of_an_sa(void **state)
{
	(void)state;
	EACH_SETTING(c)
	{
		struct packet_spec there, back, seen = udp(at[c.v6].host, at[c.v6].internet, 1000, 9);
		const struct {
			const char *src, *dst;
			const struct packet_spec *of;
			enum drop_reason want;
		} cases[] = { { at[c.v6].far_router, at[c.v6].far, &back, DROP_NONE },
			{ at[c.v6].far_router, at[c.v6].far, &seen, DROP_ESP_SELECTOR },
			{ at[c.v6].far_router, at[c.v6].far, &there, DROP_ESP_SELECTOR },
			{ at[c.v6].far_router, at[c.v6].internet, &back, DROP_ESP_SELECTOR },
			{ at[c.v6].host, at[c.v6].far, &seen, DROP_NONE } };
		uint32_t pair = esp_outbound(g.esp, 0);

		tunnelled(&c, &there, &back);
		for (size_t i = 0; i < COUNT_OF(cases); i++) {
			struct train t = error(&c, cases[i].src, cases[i].dst, cases[i].of);
			t.flags = 0;
			is_drop(DROP_NONE, train_parse(&t));
			assert_int_equal(esp_outbound_for(g.esp, 0, 0, &t),
				cases[i].want == DROP_NONE ? pair : ESP_PAIR_NONE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_inside_about_a_tunnel),
		cmocka_unit_test(test_out_of_the_tunnel),
		cmocka_unit_test(test_in_clear_about_a_tunnel),
		cmocka_unit_test(test_about_a_session_in_clear),
		cmocka_unit_test(test_tunnel_down),
		cmocka_unit_test(test_own_answer),
		cmocka_unit_test(test_selectors_of_an_sa),
	};
	return cmocka_run_group_tests_name("dataplane/errors", tests, NULL, NULL);
}
