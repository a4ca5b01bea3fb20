/*
 * Rules that never match, against a search through every packet of a small world: what is named is covered, and what is
 * covered is named, as no rule is left undecided there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/shadow.h"

/* Addresses 0 to 3 and the rest, of IPv4; two and the rest of IPv6. */
static const char book[] =
	"zones { zone a { interfaces e0; } zone b { interfaces e1; } }\n"
	"address-book { address h0 { prefix 0.0.0.0/32; } address h1 { prefix 0.0.0.1/32; } address lower { prefix 0.0.0.0/31; }\n"
	"  address upper { range 0.0.0.2-255.255.255.255; } address h2 { prefix 0.0.0.2/32; } address all4 { prefix 0.0.0.0/0; }\n"
	"  address s0 { prefix ::/128; } address s-rest { range ::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff; } address all6 { prefix ::/0; }\n"
	"  address mixed { prefix [ 0.0.0.1/32 ::/0 ]; } }\n"
	"applications { application t { protocol tcp; } application t-low { protocol tcp; destination-port 0-99; }\n"
	"  application t-high { protocol tcp; destination-port 100-65535; } application t-from { protocol tcp; source-port 0-9; }\n"
	"  application t-rest { protocol tcp; source-port 10-65535; } application u { protocol udp; } application g { protocol 47; } }\n";

static const char *const addresses[] = { "any", "h0", "h1", "lower", "upper", "h2", "all4", "s0", "s-rest",
	"all6", "mixed", "[ lower upper ]", "[ all4 all6 ]" };
static const char *const services[] = { "any", "t", "t-low", "t-high", "t-from", "t-rest", "u", "g",
	"[ t u ]", "[ t-low g ]" };

static uint32_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static bool holds(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < span.count; i++)
		if (range_holds(&snap_ranges(s)[span.first + i], a))
			return true;
	return span.count == 0;
}

struct sample {
	struct ip_addr src, dst;
	uint8_t proto;
	uint16_t sport, dport;
};

static bool matches(const struct snapshot *s, const struct snap_rule *r, const struct sample *p)
{
	bool service = r->services.count == 0;

	for (uint32_t i = 0; i < r->services.count; i++) {
		const struct snap_service *v = &snap_services(s)[r->services.first + i];
		bool ports = p->proto == 6 || p->proto == 17;
		service |= v->proto == 0 ||
			   (v->proto == p->proto &&
				   (!ports || (v->src_first <= p->sport && p->sport <= v->src_last &&
						      v->dst_first <= p->dport && p->dport <= v->dst_last)));
	}
	return service && holds(s, r->src, &p->src) && holds(s, r->dst, &p->dst);
}

/* Which rules some packet reaches first. */
static void reached(const struct snapshot *s, bool *ret_reached)
{
	static const char *const ends[] = { "0.0.0.0", "0.0.0.1", "0.0.0.2", "9.9.9.9", "::", "::9" };
	static const uint8_t protos[] = { 6, 17, 47, 99 };
	static const uint16_t ports[][2] = { { 0, 0 }, { 0, 500 }, { 500, 0 }, { 500, 500 } };
	struct sample p;

	for (size_t a = 0; a < COUNT_OF(ends); a++)
		for (size_t b = 0; b < COUNT_OF(ends); b++)
			for (size_t v = 0; v < COUNT_OF(protos) * COUNT_OF(ports); v++) {
				addr_parse(&p.src, ends[a]);
				addr_parse(&p.dst, ends[b]);
				if (p.src.family == ADDR_V4 && p.dst.family == ADDR_V6)
					continue;
				p.proto = protos[v % COUNT_OF(protos)];
				p.sport = ports[v / COUNT_OF(protos)][0];
				p.dport = ports[v / COUNT_OF(protos)][1];
				for (uint32_t i = 0; i < s->rules.count; i++) {
					if (!matches(s, &snap_rules(s)[i], &p))
						continue;
					ret_reached[i] = true;
					break;
				}
			}
}

static bool named[64];

static void note(void *context, const struct snapshot *s, const struct shadow *x)
{
	char text[SHADOW_TEXT_MAX];

	assert_int_equal(*(uint32_t *)context, 0);
	named[x->rule] = true;
	for (uint32_t i = 0; i < x->by_n && i < SHADOW_BY_MAX; i++)
		assert_true(x->by[i] < x->rule);
	assert_ptr_equal(shadow_text(text, s, x), text);
}

static void against_every_packet(void **state)
{
	static char text[16384];
	uint64_t seed = 7;
	uint32_t dead = 0, alive = 0, none = 0;

	(void)state;
	for (int round = 0; round < 400; round++) {
		size_t n = (size_t)snprintf(text, sizeof text, "%spolicy { from a to b {\n", book);
		uint32_t rules = 2 + next(&seed) % 12;
		bool live[64] = { false };
		for (uint32_t i = 0; i < rules; i++)
			n += (size_t)snprintf(text + n, sizeof text - n,
				"rule r%u { match { source %s; destination %s; application %s; } then { permit; } }\n",
				i, addresses[next(&seed) % COUNT_OF(addresses)],
				addresses[next(&seed) % COUNT_OF(addresses)],
				services[next(&seed) % COUNT_OF(services)]);
		snprintf(text + n, sizeof text - n, "} }\n");
		struct snapshot *s = compiled(text);
		memset(named, 0, sizeof named);
		assert_int_equal(snapshot_shadowed(s, note, &none), 0);
		reached(s, live);
		for (uint32_t i = 0; i < rules; i++) {
			if (named[i] == live[i])
				fail_msg("rule r%u is %s:\n%s", i, live[i] ? "reached" : "never reached",
					text);
			dead += !live[i];
			alive += live[i];
		}
		free(s);
	}
	assert_true(dead > 500 && alive > 500);
}

static char said[4096];

static void say(void *context, const struct snapshot *s, const struct shadow *x)
{
	char text[SHADOW_TEXT_MAX];
	size_t n = strlen(said);

	(void)context;
	snprintf(said + n, sizeof said - n, "%s\n", shadow_text(text, s, x));
}

static void texts(void **state)
{
	static const char rules[] =
		"policy { from a to b {\n"
		"rule one { match { source lower; destination any; application t; } then { permit; } }\n"
		"rule two { match { source upper; destination any; application any; } then { permit; } }\n"
		"rule both { match { source all4; destination h1; application t-low; } then { deny; } }\n"
		"rule single { match { source h1; destination h1; application [ t-low t-from ]; } then { deny; } }\n"
		"rule other { match { source h1; destination h1; application u; } then { deny; } }\n"
		"rule families { match { source h1; destination s0; application u; } then { deny; } }\n"
		"} global { rule g { match { source h1; destination h1; application t; } then { deny; } } } }\n";
	char text[8192];

	(void)state;
	snprintf(text, sizeof text, "%s%s", book, rules);
	struct snapshot *s = compiled(text);
	said[0] = '\0';
	assert_int_equal(snapshot_shadowed(s, say, NULL), 0);
	assert_string_equal(said,
		"rule 'both' from a to b is never reached: rules 'one', 'two' before it together match all that it could\n"
		"rule 'single' from a to b is never reached: rule 'one' before it matches all that it could\n"
		"rule 'families' from a to b is never reached: no packet has a source of one family and a destination of the other\n");
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(against_every_packet), cmocka_unit_test(texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
