/* Policy: what rules mean, and that the compiled form says the same as walking the list, over random
 * policies. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct world w;

static struct train tuple(
	const char *src, const char *dst, uint8_t proto, uint16_t src_port, uint16_t dst_port)
{
	struct train t = { .proto = proto, .src_port = src_port, .dst_port = dst_port };

	assert_int_equal(addr_parse(&t.src, src), RC_OK);
	assert_int_equal(addr_parse(&t.dst, dst), RC_OK);
	if (proto == IP_ICMP || proto == IP_ICMPV6)
		t.icmp_type = (uint8_t)dst_port;
	return t;
}

static void expect(const char *rule, enum rule_action action, int from, int to, const char *src,
	const char *dst, uint8_t proto, uint16_t src_port, uint16_t dst_port)
{
	struct train t = tuple(src, dst, proto, src_port, dst_port);
	uint32_t index;
	enum rule_action is = fw_policy_match(w.fw, (uint32_t)from, (uint32_t)to, &t, &index);
	const char *name = index == TRAIN_NONE ? "default" : snap_rules(fw_policy(w.fw))[index].name;

	if (strcmp(name, rule) != 0 || is != action)
		fail_msg("%s:%u to %s:%u proto %u: rule %s, not %s", src, src_port, dst, dst_port, proto,
			name, rule);
}

static void test_rules(void **state)
{
	struct policy p;

	(void)state;
	world_init(&w, WORLD_SESSIONS);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.0.0.2", "1.2.3.4", IP_TCP, 1,
		80); /* nothing is loaded */
	policy_init(&p);
	policy_rule(&p, "no-telnet", TRUST, UNTRUST, "any", "any", "tcp/23", RULE_REJECT);
	policy_rule(&p, "servers", TRUST, UNTRUST, "10.0.1.0/24 10.0.2.5-10.0.2.9", "any",
		"tcp/80 tcp/443 udp/53", RULE_PERMIT);
	policy_rule(&p, "low-ports", TRUST, UNTRUST, "any", "any", "udp/123<123-123", RULE_PERMIT);
	policy_rule(&p, "gre", TRUST, UNTRUST, "any", "any", "proto/47", RULE_PERMIT);
	policy_rule(&p, "v6", TRUST, UNTRUST, "2001:db8:1::/64", "any", "any", RULE_PERMIT);
	policy_rule(&p, "in", UNTRUST, DMZ, "any", "192.168.1.1/32", "tcp/25", RULE_PERMIT);
	policy_rule(&p, "ping", -1, -1, "any", "any", "icmp/8 icmp6/128", RULE_PERMIT);
	world_load(&w, &p);
	expect("no-telnet", RULE_REJECT, TRUST, UNTRUST, "10.0.1.2", "1.2.3.4", IP_TCP, 1, 23);
	expect("servers", RULE_PERMIT, TRUST, UNTRUST, "10.0.1.2", "1.2.3.4", IP_TCP, 1, 443);
	expect("servers", RULE_PERMIT, TRUST, UNTRUST, "10.0.2.9", "1.2.3.4", IP_UDP, 1, 53);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.0.2.10", "1.2.3.4", IP_UDP, 1, 53);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.0.1.2", "1.2.3.4", IP_TCP, 1, 53);
	expect("low-ports", RULE_PERMIT, TRUST, UNTRUST, "10.9.1.2", "1.2.3.4", IP_UDP, 123, 123);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.9.1.2", "1.2.3.4", IP_UDP, 124, 123);
	expect("gre", RULE_PERMIT, TRUST, UNTRUST, "10.9.1.2", "1.2.3.4", 47, 0, 0);
	expect("v6", RULE_PERMIT, TRUST, UNTRUST, "2001:db8:1::7", "2001:db8:9::1", IP_TCP, 1, 1);
	expect("default", RULE_DENY, TRUST, UNTRUST, "2001:db8:1:1::7", "2001:db8:9::1", IP_TCP, 1, 1);
	expect("in", RULE_PERMIT, UNTRUST, DMZ, "1.2.3.4", "192.168.1.1", IP_TCP, 1, 25);
	expect("default", RULE_DENY, DMZ, UNTRUST, "192.168.1.1", "1.2.3.4", IP_TCP, 1, 25);
	expect("ping", RULE_PERMIT, DMZ, TRUST, "192.168.1.1", "10.0.0.1", IP_ICMP, 7, 8);
	expect("ping", RULE_PERMIT, TRUST, UNTRUST, "2001:db8:1:1::7", "2001:db8:9::1", IP_ICMPV6, 7, 128);
	expect("default", RULE_DENY, DMZ, TRUST, "192.168.1.1", "10.0.0.1", IP_ICMP, 7, 13);
	policy_done(&p);
	world_done(&w);
}

/* Behind so many ranges that they are searched and not walked. */
static void test_wildcards_behind_ranges(void **state)
{
	char text[4000];
	struct policy p;
	size_t n = 0;

	(void)state;
	world_init(&w, 1);
	policy_init(&p);
	for (unsigned i = 0; i < 100; i++)
		n += (size_t)sprintf(text + n, "10.0.%u.%u/32 ", i / 50, 2 * (i % 50) + 1);
	sprintf(text + n, "10.0.0.6/255.0.0.255 10.7.0.8/255.255.1.255");
	policy_rule(&p, "these", TRUST, UNTRUST, text, "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	expect("these", RULE_PERMIT, TRUST, UNTRUST, "10.0.1.99", "1.2.3.4", IP_TCP, 1, 1);
	expect("these", RULE_PERMIT, TRUST, UNTRUST, "10.200.1.6", "1.2.3.4", IP_TCP, 1, 1);
	expect("these", RULE_PERMIT, TRUST, UNTRUST, "10.7.254.8", "1.2.3.4", IP_TCP, 1, 1);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.7.255.8", "1.2.3.4", IP_TCP, 1, 1);
	expect("default", RULE_DENY, TRUST, UNTRUST, "10.0.1.98", "1.2.3.4", IP_TCP, 1, 1);
	expect("default", RULE_DENY, TRUST, UNTRUST, "2001:db8:1::6", "1.2.3.4", IP_TCP, 1, 1);
	policy_done(&p);
	world_done(&w);
}

/* ---- against a naive matcher ---- */

#define SCHEDULES 4

static uint64_t schedules_off;

/* Under a mask: the bits in which the least and the greatest agree. */
static bool naive_wildcard(const struct ip_range *r, const struct ip_addr *a)
{
	uint32_t first = load_be32(r->first.b), last = load_be32(r->last.b), is = load_be32(a->b);

	for (int bit = 0; bit < 32; bit++)
		if ((first >> bit & 1) == (last >> bit & 1) && (first >> bit & 1) != (is >> bit & 1))
			return false;
	return a->family == ADDR_V4;
}

static bool naive_in(const struct policy *p, struct span s, const struct ip_addr *a)
{
	for (uint32_t i = s.first; i < s.first + s.count; i++)
		if (range_is_wildcard(&p->ranges[i])) {
			if (naive_wildcard(&p->ranges[i], a))
				return true;
		} else if (p->ranges[i].first.family == a->family &&
			   memcmp(p->ranges[i].first.b, a->b, 16) <= 0 &&
			   memcmp(a->b, p->ranges[i].last.b, 16) <= 0)
			return true;
	return s.count == 0;
}

static bool naive_service(const struct policy *p, struct span s, const struct train *t)
{
	bool icmp = t->proto == IP_ICMP || t->proto == IP_ICMPV6,
	     ports = t->proto == IP_TCP || t->proto == IP_UDP;
	uint16_t port = icmp ? t->icmp_type : t->dst_port, source = icmp ? t->icmp_code : t->src_port;

	for (uint32_t i = s.first; i < s.first + s.count; i++) {
		const struct snap_service *v = &p->services[i];
		if (v->proto == 0)
			return true;
		if (v->proto != t->proto)
			continue;
		if (!icmp && !ports)
			return true;
		if (port >= v->dst_first && port <= v->dst_last && source >= v->src_first &&
			source <= v->src_last)
			return true;
	}
	return s.count == 0;
}

static uint32_t naive_match(const struct policy *p, uint32_t from, uint32_t to, const struct train *t)
{
	for (int global = 0; global < 2; global++)
		for (uint32_t i = 0; i < p->rules_n; i++) {
			const struct snap_rule *r = &p->rules[i];
			bool zones =
				global ? r->from_zone == ZONE_ANY : r->from_zone == from && r->to_zone == to;
			bool on = r->schedule == INDEX_NONE || !(schedules_off >> r->schedule & 1);
			if (zones && on && naive_in(p, r->src, &t->src) && naive_in(p, r->dst, &t->dst) &&
				naive_service(p, r->services, t))
				return i;
		}
	return TRAIN_NONE;
}

/* Addresses from a small world, so that rules overlap and packets hit edges. */
static void random_addr(uint64_t *seed, bool v4, char *ret_text)
{
	uint32_t a = next_random(seed) % 4, b = next_random(seed) % 32;

	snprintf(ret_text, ADDR_TEXT_MAX, v4 ? "10.0.%u.%u" : "2001:db8:%u::%x", a, b);
}

static void random_ranges(uint64_t *seed, bool wildcards, char *ret_text)
{
	size_t n = next_random(seed) % 4, used = 0;

	strcpy(ret_text, "any");
	for (size_t i = 0; i < n; i++) {
		char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
		struct ip_addr x, y;
		bool v4 = next_random(seed) % 3;
		if (wildcards && v4 &&
			next_random(seed) % 4 == 0) { /* 10.0.a.b under a mask of a's and b's bits */
			uint32_t mask = next_random(seed) & 0xffff, a = next_random(seed) & 0x031f & mask;
			used += (size_t)sprintf(ret_text + used, "%s10.0.%u.%u/255.255.%u.%u", i ? " " : "",
				a >> 8, a & 255, mask >> 8, mask & 255);
			continue;
		}
		random_addr(seed, v4, first);
		random_addr(seed, v4, last);
		addr_parse(&x, first);
		addr_parse(&y, last);
		bool ordered = addr_compare(&x, &y) <= 0;
		used += (size_t)sprintf(ret_text + used, "%s%s-%s", i ? " " : "", ordered ? first : last,
			ordered ? last : first);
	}
}

static void random_services(uint64_t *seed, char *ret_text)
{
	static const char *const words[] = { "tcp", "udp", "icmp", "icmp6" };
	size_t n = next_random(seed) % 4, used = 0;

	strcpy(ret_text, "any");
	for (size_t i = 0; i < n; i++) {
		uint32_t first = next_random(seed) % 20, more = next_random(seed) % 20,
			 kind = next_random(seed) % 12;
		if (kind == 11)
			used += (size_t)sprintf(
				ret_text + used, "%sproto/%u", i ? " " : "", next_random(seed) % 3 * 47);
		else
			used += (size_t)sprintf(ret_text + used, "%s%s/%u-%u%s", i ? " " : "",
				words[kind % 4], first, first + more, kind == 10 ? "<5-10" : "");
	}
}

static void random_policy(struct policy *p, uint64_t *seed, uint32_t rules)
{
	char src[512], dst[512], services[512], name[NAME_MAX_BYTES];

	policy_init(p);
	for (p->schedules_n = 0; p->schedules_n < SCHEDULES; p->schedules_n++)
		snprintf(p->schedules[p->schedules_n].name, NAME_MAX_BYTES, "s%u", p->schedules_n);
	schedules_off = next_random(seed) % (1 << SCHEDULES);
	for (int pair = 0; pair < 10; pair++) /* pairs stand together, global rules last */
		for (uint32_t i = 0; i < rules / 10; i++) {
			random_ranges(seed, true, src);
			random_ranges(seed, true, dst);
			random_services(seed, services);
			snprintf(name, sizeof name, "rule-%d-%u", pair, i);
			bool global = pair == 9;
			policy_rule(p, name, global ? -1 : pair / 3, global ? -1 : pair % 3, src, dst,
				services, (enum rule_action)(next_random(seed) % 3))
				->schedule =
				next_random(seed) % 3 ? INDEX_NONE : next_random(seed) % SCHEDULES;
		}
}

static void random_train(uint64_t *seed, struct train *t)
{
	static const uint8_t protos[] = { IP_TCP, IP_UDP, IP_ICMP, IP_ICMPV6, 47, 94 };
	char text[ADDR_TEXT_MAX];
	bool v4 = next_random(seed) % 3;

	*t = (struct train){ .proto = protos[next_random(seed) % COUNT_OF(protos)] };
	random_addr(seed, v4, text);
	addr_parse(&t->src, text);
	random_addr(seed, v4, text);
	addr_parse(&t->dst, text);
	if (t->proto == IP_TCP || t->proto == IP_UDP) {
		t->src_port = (uint16_t)(next_random(seed) % 20);
		t->dst_port = (uint16_t)(next_random(seed) % 42);
	}
	t->icmp_type = (uint8_t)(next_random(seed) % 42);
	t->icmp_code = (uint8_t)(next_random(seed) % 12);
}

static void test_random_policies(void **state)
{
	static const uint32_t sizes[] = { 10, 40, 130, 200, 700, 1300 };
	uint32_t hits = 0, total = 0;

	(void)state;
	for (uint64_t round = 0; round < 60; round++) {
		uint64_t seed = round;
		struct policy p;
		world_init(&w, 1);
		random_policy(&p, &seed, sizes[round % COUNT_OF(sizes)]);
		fw_schedules_set(w.fw, schedules_off);
		world_load(&w, &p);
		for (int k = 0; k < 2000; k++) {
			struct train t;
			uint32_t from = next_random(&seed) % ZONES, to = next_random(&seed) % ZONES, is, want;
			random_train(&seed, &t);
			want = naive_match(&p, from, to, &t);
			enum rule_action action = fw_policy_match(w.fw, from, to, &t, &is);
			if (is != want)
				fail_msg(
					"round %u, packet %d: rule %u, not %u", (unsigned)round, k, is, want);
			assert_int_equal(action, want == TRAIN_NONE ? RULE_DENY : p.rules[want].action);
			hits += want != TRAIN_NONE;
			total++;
		}
		policy_done(&p);
		world_done(&w);
	}
	/* Else the test would be about nothing. */
	assert_true(hits > total / 5 && hits < total);
}

/* Ranges of one family from the whole of it, in order, and wildcard masks behind them; more of them than are searched one by one. */
static struct span object_everywhere(struct policy *p, uint64_t *seed)
{
	static char text[64 * 48];
	uint32_t n = 1 + next_random(seed) % 40, at = next_random(seed) % 1000;
	size_t used = 0;
	bool v6 = next_random(seed) % 4 == 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = at,
			 last = first + next_random(seed) % (next_random(seed) % 3 ? 3 : 1u << 24);
		char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
		if (last < first)
			break;
		snprintf(a, sizeof a, v6 ? "2001:db8:%x:%x::" : "%u.%u.%u.%u", v6 ? first >> 16 : first >> 24,
			v6 ? first & 0xffff : first >> 16 & 255, first >> 8 & 255, first & 255);
		snprintf(b, sizeof b, v6 ? "2001:db8:%x:%x::" : "%u.%u.%u.%u", v6 ? last >> 16 : last >> 24,
			v6 ? last & 0xffff : last >> 16 & 255, last >> 8 & 255, last & 255);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s-%s", i ? " " : "", a, b);
		at = last + 2 + next_random(seed) % (1u << 27);
		if (at < last)
			break;
	}
	for (uint32_t i = next_random(seed) % 2; !v6 && i > 0; i--) {
		uint32_t mask = next_random(seed) | 1u << 31, a = next_random(seed) & mask;
		used += (size_t)snprintf(text + used, sizeof text - used, " %u.%u.%u.%u/%u.%u.%u.%u", a >> 24,
			a >> 16 & 255, a >> 8 & 255, a & 255, mask >> 24, mask >> 16 & 255, mask >> 8 & 255,
			mask & 255);
	}
	return policy_ranges(p, text);
}

/* An address at an edge of some range of the policy, or beside it. */
static struct ip_addr addr_at_edge(const struct policy *p, uint64_t *seed, uint8_t family)
{
	struct ip_addr a = { .family = family };

	for (uint32_t i = 0; i < 50; i++) {
		const struct ip_range *r = &p->ranges[next_random(seed) % p->ranges_n];
		if (r->first.family != family)
			continue;
		a = next_random(seed) % 2 ? r->first : r->last;
		a.zero[0] = 0;
		a.b[family == ADDR_V4 ? 3 : 15] ^= (uint8_t)(next_random(seed) % 3 ? 0 : 1);
		break;
	}
	return a;
}

/* Objects that many rules share, of addresses from everywhere, among rules with addresses of their own; deep in a long list. */
static void test_objects_everywhere(void **state)
{
	enum { RULES = 3000, OBJECTS = 300 };
	struct span object[OBJECTS];
	char name[NAME_MAX_BYTES], services[512];
	uint32_t is, deep = 0;

	(void)state;
	for (uint64_t round = 0; round < 2; round++) {
		uint64_t seed = 100 + round;
		struct policy p;
		world_init(&w, 1);
		policy_init(&p);
		for (uint32_t i = 0; i < OBJECTS; i++)
			object[i] = object_everywhere(&p, &seed);
		for (uint32_t i = 0; i < RULES; i++) {
			random_services(&seed, services);
			snprintf(name, sizeof name, "rule-%u", i);
			struct snap_rule *r =
				policy_rule(&p, name, 0, 1, "any", "any", services, RULE_PERMIT);
			r->src = next_random(&seed) % 2 ? object[next_random(&seed) % OBJECTS]
							: object_everywhere(&p, &seed);
			r->dst = next_random(&seed) % 50 ? object[next_random(&seed) % OBJECTS]
							 : (struct span){ 0 };
		}
		world_load(&w, &p);
		for (int k = 0; k < 700; k++) {
			struct train t;
			random_train(&seed, &t);
			t.src = addr_at_edge(&p, &seed, t.src.family);
			t.dst = addr_at_edge(&p, &seed, t.src.family);
			uint32_t want = naive_match(&p, 0, 1, &t);
			fw_policy_match(w.fw, 0, 1, &t, &is);
			if (is != want)
				fail_msg(
					"round %u, packet %d: rule %u, not %u", (unsigned)round, k, is, want);
			deep += want != TRAIN_NONE && want > RULES / 4;
		}
		policy_done(&p);
		world_done(&w);
	}
	assert_true(deep > 100);
}

/* So many rules of one pair that sets of them would take too much, and intervals are joined: half of them from a whole network,
 * to different servers and ports; the others from one host each, inside of it. */
static void test_joined_intervals(void **state)
{
	enum { HALF = 17000 };
	struct policy p;
	char name[NAME_MAX_BYTES], src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX], service[32];
	uint64_t seed = 3;
	uint32_t is, deep = 0;

	(void)state;
	world_init(&w, 1);
	policy_init(&p);
	for (uint32_t i = 0; i < 2 * HALF; i++) {
		uint32_t k = i % HALF;
		snprintf(name, sizeof name, "rule-%u", i);
		snprintf(src, sizeof src, i < HALF ? "10.0.0.0/8" : "10.%u.%u.7", k >> 8, k & 255);
		snprintf(dst, sizeof dst, i < HALF ? "192.0.2.%u" : "192.0.2.0/24", k % 251);
		snprintf(service, sizeof service, "tcp/%u", i < HALF ? 1 + k % 1009 : 2000 + k % 4001);
		policy_rule(&p, name, 0, 1, src, dst, service, RULE_PERMIT);
	}
	world_load(&w, &p);
	for (int n = 0; n < 1000; n++) {
		uint32_t i = next_random(&seed) % (2 * HALF), k = i % HALF, other = next_random(&seed) % 4;
		struct train t = { .proto = IP_TCP, .src_port = 1 };
		snprintf(src, sizeof src, "10.%u.%u.%u", k >> 8, k & 255, other == 0 ? 8 : 7);
		snprintf(dst, sizeof dst, "192.0.2.%u", (k + (other == 1)) % 251);
		addr_parse(&t.src, src);
		addr_parse(&t.dst, dst);
		t.dst_port = (uint16_t)((i < HALF ? 1 + k % 1009 : 2000 + k % 4001) + (other == 2));
		uint32_t want = naive_match(&p, 0, 1, &t);
		fw_policy_match(w.fw, 0, 1, &t, &is);
		assert_int_equal(is, want);
		deep += want != TRAIN_NONE && want >= HALF;
	}
	assert_true(deep > 100);
	policy_done(&p);
	world_done(&w);
}

/* An address at an edge of a range of some rule, or beside it. */
static struct ip_addr edge(const struct policy *p, uint64_t *seed, struct span span)
{
	const struct ip_range *r = &p->ranges[span.first + next_random(seed) % span.count];
	struct ip_addr a = next_random(seed) % 2 ? r->first : r->last;

	a.b[addr_size(&a) - 1] += (uint8_t)(next_random(seed) % 3 - 1);
	return a;
}

/* So many addresses that their intervals have levels, and what is read of them is fetched for a burst. */
static void test_many_addresses(void **state)
{
	enum { RULES = 1500, EACH = 8 };
	char text[EACH * 32], name[NAME_MAX_BYTES], service[32];
	uint64_t seed = 5;
	uint32_t is, hits = 0;
	struct policy p;

	world_init(&w, 1);
	policy_init(&p);
	for (uint32_t i = 0; i < RULES; i++) {
		size_t n = 0;
		for (uint32_t k = 0; k < EACH; k++)
			n += (size_t)snprintf(text + n, sizeof text - n,
				i % 3 ? "10.%u.%u.%u " : "2001:db8:%x::%x:%x ",
				(unsigned)(next_random(&seed) % 4), (unsigned)(next_random(&seed) % 256),
				(unsigned)(next_random(&seed) % 256));
		snprintf(name, sizeof name, "rule-%u", i);
		snprintf(service, sizeof service, "tcp/%u", 1 + i % 7);
		text[n - 1] = '\0'; /* without the last space */
		policy_rule(&p, name, TRUST, UNTRUST, i % 2 ? "any" : text, i % 2 ? text : "any", service,
			RULE_PERMIT);
	}
	policy_rule(&p, "last", TRUST, UNTRUST, "any", "any", "tcp/3", RULE_PERMIT);
	world_load(&w, &p);
	for (uint32_t burst = 0; burst < 100; burst++) {
		struct train t[TRAIN_BURST_MAX], *at[TRAIN_BURST_MAX];
		for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++) {
			uint32_t rule = next_random(&seed) % RULES;
			const struct snap_rule *r = &p.rules[rule];
			bool src = r->src.count > 0;
			struct ip_addr a = edge(&p, &seed, src ? r->src : r->dst),
				       other = { .family = a.family };
			t[i] = (struct train){ .proto = IP_TCP,
				.src = src ? a : other,
				.dst = src ? other : a,
				.dst_port = (uint16_t)(1 + (rule + next_random(&seed) % 2) % 7),
				.in_zone = TRUST,
				.session = TRAIN_NONE };
			at[i] = &t[i];
		}
		fw_policy_fetch(w.fw, at, TRAIN_BURST_MAX);
		for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++) {
			const struct train *other = &t[next_random(&seed) % TRAIN_BURST_MAX];
			assert_int_not_equal(t[i].fetched, 0);
			if (i % 4 == 0) /* as destination NAT does, and what another packet's place says */
				t[i].dst = other->dst;
			else if (i % 4 == 1)
				t[i].dst_port = other->dst_port;
			else if (i % 16 == 2)
				t[i].fetched = other->fetched;
			fw_policy_match(w.fw, TRUST, UNTRUST, &t[i], &is);
			assert_int_equal(is, naive_match(&p, TRUST, UNTRUST, &t[i]));
			hits += is < RULES;
		}
	}
	assert_in_range(hits, 500, 6000);
	policy_done(&p);
	world_done(&w);
}

/* What was found for a burst says nothing under another policy, whose rules have other numbers. */
static void test_fetched_before_a_commit(void **state)
{
	enum { RULES = 1100 };
	char name[NAME_MAX_BYTES], dst[ADDR_TEXT_MAX];

	(void)state;
	world_init(&w, 1);
	struct train t[2], *at[2] = { &t[0], &t[1] };
	for (uint32_t first = 0; first < 3; first++) {
		struct policy p;
		uint32_t is;
		policy_init(&p);
		for (uint32_t i = 0; i < RULES; i++) {
			snprintf(name, sizeof name, "rule-%u", i);
			uint32_t k = (i + first) % RULES;
			snprintf(dst, sizeof dst, "192.0.%u.%u", k / 250, k % 250);
			policy_rule(&p, name, TRUST, UNTRUST, "any", dst, "any", RULE_PERMIT);
		}
		world_load(&w, &p);
		for (uint32_t i = 0; i < 2; i++) {
			if (first == 0)
				t[i] = tuple("10.0.0.1", i ? "192.0.2.7" : "192.0.1.9", IP_UDP, 1, 53);
			t[i].in_zone = TRUST;
			t[i].session = TRAIN_NONE;
			fw_policy_match(w.fw, TRUST, UNTRUST, &t[i], &is);
			assert_int_equal(is, (i ? 507 : 259) - first);
		}
		fw_policy_fetch(w.fw, at, 2);
		policy_done(&p);
	}
	world_done(&w);
}

static enum drop_reason to_host(struct train *t)
{
	fw_host_packet(w.fw, t, true, w.now);
	return t->drop;
}

static void test_host_inbound(void **state)
{
	struct policy p;

	(void)state;
	world_init(&w, WORLD_SESSIONS);
	policy_init(&p);
	policy_opens(&p, UNTRUST, "udp/500 udp/4500 proto/50", "any");
	policy_opens(&p, TRUST, "tcp/22 icmp/8 icmp6/128", "any");
	policy_opens(&p, DMZ, "tcp/22 tcp/9100-9200 proto/112 icmp/8",
		"10.0.0.1 10.0.1.0/24 10.0.3.5-10.0.3.9 fd00::/64");
	world_load(&w, &p);
	static const struct {
		uint32_t zone;
		uint8_t proto, flags;
		uint16_t port;
		enum drop_reason want;
	} cases[] = {
		{ UNTRUST, IP_UDP, 0, 500, DROP_NONE },
		{ UNTRUST, IP_UDP, 0, 4500, DROP_NONE },
		{ UNTRUST, IP_ESP, 0, 0, DROP_NONE },
		{ UNTRUST, IP_UDP, 0, 501, DROP_HOST_INBOUND },
		{ UNTRUST, IP_TCP, TCP_SYN, 22, DROP_HOST_INBOUND },
		{ UNTRUST, IP_ICMP, 0, ICMP4_ECHO, DROP_HOST_INBOUND },
		{ UNTRUST, IP_ICMP, 0, ICMP4_UNREACHABLE, DROP_NONE },
		{ UNTRUST, IP_ICMPV6, 0, 135, DROP_NONE }, /* neighbour solicitation */
		{ TRUST, IP_TCP, TCP_SYN, 22, DROP_NONE },
		{ TRUST, IP_ICMP, 0, ICMP4_ECHO, DROP_NONE },
		{ TRUST, IP_ICMPV6, 0, ICMP6_ECHO, DROP_NONE },
		{ TRUST, IP_UDP, 0, 500, DROP_HOST_INBOUND },
		{ TRUST, IP_ESP, 0, 0, DROP_HOST_INBOUND },
		{ TRUST, 89, 0, 0, DROP_HOST_INBOUND },
		/* ports of the gateway's own connections are no services: the kernel tells answers */
		{ UNTRUST, IP_TCP, TCP_SYN | TCP_ACK, 33000, DROP_HOST_INBOUND },
		{ UNTRUST, IP_TCP, TCP_SYN, 33000, DROP_HOST_INBOUND },
		{ UNTRUST, IP_UDP, 0, 33000, DROP_HOST_INBOUND },
		{ UNTRUST, IP_UDP, 0, 41000, DROP_HOST_INBOUND },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool icmp = cases[i].proto == IP_ICMP || cases[i].proto == IP_ICMPV6;
		struct train t = { .in_zone = cases[i].zone,
			.proto = cases[i].proto,
			.tcp_flags = cases[i].flags,
			.dst_port = icmp ? 0 : cases[i].port,
			.icmp_type = (uint8_t)(icmp ? cases[i].port : 0) };
		if (to_host(&t) != cases[i].want)
			fail_msg("case %zu: %s", i, drop_name(to_host(&t)));
	}
	static const struct {
		const char *from;
		bool open;
	} sources[] = { { "10.0.0.1", true }, { "10.0.0.2", false }, { "10.0.1.255", true },
		{ "10.0.2.0", false }, { "10.0.3.5", true }, { "10.0.3.10", false }, { "fd00::7", true },
		{ "fd00:0:0:1::7", false }, { "::ffff:10.0.0.1", false } };
	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		struct train t = { .in_zone = DMZ, .proto = IP_TCP, .tcp_flags = TCP_SYN, .dst_port = 9200 };
		assert_int_equal(addr_parse(&t.src, sources[i].from), RC_OK);
		assert_int_equal(to_host(&t), sources[i].open ? DROP_NONE : DROP_HOST_INBOUND);
		t.dst_port = 9201;
		assert_int_equal(to_host(&t), DROP_HOST_INBOUND);
		t.dst_port = 0;
		t.proto = 112;
		assert_int_equal(to_host(&t), sources[i].open ? DROP_NONE : DROP_HOST_INBOUND);
	}
	policy_done(&p);
	world_done(&w);
}

/* ---- rules to and from the gateway itself, against the list ---- */

static const struct {
	int from, to;
} self_pairs[] = { { TRUST, ZONE_SELF }, { TRUST, UNTRUST }, { ZONE_SELF, UNTRUST }, { DMZ, ZONE_SELF } };

static void random_self_policy(struct policy *p, uint64_t *seed, uint32_t rules)
{
	char src[512], dst[512], services[512], name[NAME_MAX_BYTES];

	policy_init(p);
	for (p->schedules_n = 0; p->schedules_n < SCHEDULES; p->schedules_n++)
		snprintf(p->schedules[p->schedules_n].name, NAME_MAX_BYTES, "s%u", p->schedules_n);
	schedules_off = next_random(seed) % (1 << SCHEDULES);
	for (uint32_t i = 0; i <= rules * COUNT_OF(self_pairs); i++) {
		uint32_t pair = i / rules;
		bool global = pair == COUNT_OF(self_pairs); /* one, which applies to neither */
		random_ranges(seed, false, src);
		random_ranges(seed, false, dst);
		random_services(seed, services);
		snprintf(name, sizeof name, "rule-%u", i);
		policy_rule(p, name, global ? -1 : self_pairs[pair].from, global ? -1 : self_pairs[pair].to,
			global ? "any" : src, global ? "any" : dst, global ? "any" : services,
			global ? RULE_PERMIT : (enum rule_action)(next_random(seed) % 3))
			->schedule = next_random(seed) % 3 ? INDEX_NONE : next_random(seed) % SCHEDULES;
	}
	policy_opens(p, TRUST, "tcp/1-12 icmp/8", "10.0.1.0-10.0.2.255");
	policy_opens(p, UNTRUST, "udp/5-30 proto/47", "any");
}

static uint32_t naive_self(const struct policy *p, uint32_t from, uint32_t to, const struct train *t)
{
	uint32_t rule = naive_match(p, from, to, t);

	return rule != TRAIN_NONE && p->rules[rule].from_zone == ZONE_ANY ? TRAIN_NONE : rule;
}

static bool naive_opens(const struct train *t)
{
	struct ip_addr first, last;

	addr_parse(&first, "10.0.1.0");
	addr_parse(&last, "10.0.2.255");
	if (t->in_zone == UNTRUST)
		return (t->proto == IP_UDP && t->dst_port >= 5 && t->dst_port <= 30) || t->proto == 47;
	return t->in_zone == TRUST && t->src.family == ADDR_V4 && addr_compare(&first, &t->src) <= 0 &&
	       addr_compare(&t->src, &last) <= 0 &&
	       ((t->proto == IP_TCP && t->dst_port >= 1 && t->dst_port <= 12) ||
		       (t->proto == IP_ICMP && t->icmp_type == 8));
}

static enum drop_reason naive_host(const struct policy *p, const struct train *t, uint32_t *ret_rule)
{
	static const enum drop_reason refusals[] = { DROP_POLICY_DENY, DROP_NONE, DROP_POLICY_REJECT };
	static const uint8_t queries4[] = { 8, 13, 15, 17 }, queries6[] = { 128 };
	const uint8_t *queries = t->proto == IP_ICMP ? queries4 : queries6;
	bool query = t->proto != IP_ICMP && t->proto != IP_ICMPV6;

	*ret_rule = TRAIN_NONE;
	for (size_t i = 0; i < (t->proto == IP_ICMP ? COUNT_OF(queries4) : COUNT_OF(queries6)); i++)
		query |= t->icmp_type == queries[i];
	if (!query)
		return DROP_NONE;
	*ret_rule = naive_self(p, t->in_zone, ZONE_SELF, t);
	return *ret_rule != TRAIN_NONE ? refusals[p->rules[*ret_rule].action]
	       : naive_opens(t)	       ? DROP_NONE
				       : DROP_HOST_INBOUND;
}

static void test_random_self_policies(void **state)
{
	static const uint32_t sizes[] = { 1, 3, 20, 90 };
	uint32_t by_rule = 0, open = 0, total = 0;

	(void)state;
	for (uint64_t round = 0; round < 40; round++) {
		uint64_t seed = round;
		struct policy p;
		world_init(&w, 1);
		random_self_policy(&p, &seed, sizes[round % COUNT_OF(sizes)]);
		fw_schedules_set(w.fw, schedules_off);
		world_load(&w, &p);
		for (int k = 0; k < 1000; k++) {
			struct train t;
			uint32_t rule;
			random_train(&seed, &t);
			t.in_zone = next_random(&seed) % ZONES;
			enum drop_reason want = naive_host(&p, &t, &rule);
			if (to_host(&t) != want || t.rule != rule)
				fail_msg("round %u, packet %d: %s by %u, not %s by %u", (unsigned)round, k,
					drop_name(t.drop), t.rule, drop_name(want), rule);
			/* What may be asked without a destination agrees where it is certain. */
			bool typed = t.proto == IP_ICMP || t.proto == IP_ICMPV6;
			enum self_access a = snap_self_access(fw_policy(w.fw), t.in_zone, t.proto,
				typed ? t.icmp_type : t.dst_port, &t.src);
			if (schedules_off == 0 || a != SELF_MAYBE)
				assert_true(rule == TRAIN_NONE || a == SELF_MAYBE ||
					    (a == SELF_OPEN) == (want == DROP_NONE));
			by_rule += rule != TRAIN_NONE;
			open += want == DROP_NONE;
			total++;
		}
		policy_done(&p);
		world_done(&w);
	}
	assert_true(by_rule > total / 5 && open > total / 5 && open < total);
}

/* Hits, and the log of denied packets and of connections that begin; the gateway's own connections, and old policies. */
static void test_self_rules_count_and_log(void **state)
{
	struct fw_log l;
	struct policy p;

	(void)state;
	world_init(&w, WORLD_SESSIONS);
	policy_init(&p);
	policy_rule(&p, "admins", TRUST, ZONE_SELF, "10.0.0.1/32", "any", "tcp/22", RULE_PERMIT)->flags =
		RULE_LOG_INIT | RULE_LOG_CLOSE;
	policy_rule(&p, "others", TRUST, ZONE_SELF, "any", "any", "tcp/22", RULE_DENY)->flags = RULE_LOG_INIT;
	world_load(&w, &p);
	struct train t = tuple("10.0.0.1", "10.0.0.254", IP_TCP, 1000, 22);
	t.in_zone = TRUST;
	fw_host_packet(w.fw, &t, false, w.now);
	assert_int_equal(t.drop, DROP_NONE);
	assert_true(fw_log_next(w.fw, &l));
	assert_int_equal(l.kind, FW_LOG_INIT);
	assert_string_equal(l.rule_name, "admins");
	assert_string_equal(l.zone_name[1], "host");
	assert_int_equal(l.session_id, 0);
	t.src.b[3] = 2;
	fw_host_packet(w.fw, &t, false, w.now);
	assert_int_equal(t.drop, DROP_POLICY_DENY);
	assert_true(fw_log_next(w.fw, &l));
	assert_int_equal(l.kind, FW_LOG_DENY);
	assert_string_equal(l.rule_name, "others");
	fw_host_packet(w.fw, &t, true, w.now); /* a question */
	assert_false(fw_log_next(w.fw, &l));
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(fw_rule_hits(w.fw, i)->hits, 1);
	fw_rule_hits_clear(w.fw, w.now);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 0);
	assert_true(fw_rule_hits(w.fw, 0)->since == w.now && fw_rule_hits(w.fw, 0)->last == 0);
	t.dst_port = 40960; /* of source NAT */
	assert_int_equal(to_host(&t), DROP_HOST_INBOUND);
	policy_done(&p);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_wildcards_behind_ranges),
		cmocka_unit_test(test_random_policies),
		cmocka_unit_test(test_objects_everywhere),
		cmocka_unit_test(test_joined_intervals),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_fetched_before_a_commit),
		cmocka_unit_test(test_host_inbound),
		cmocka_unit_test(test_random_self_policies),
		cmocka_unit_test(test_self_rules_count_and_log),
	};
	return cmocka_run_group_tests_name("firewall/policy", tests, NULL, NULL);
}
