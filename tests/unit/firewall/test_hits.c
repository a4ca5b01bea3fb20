/*
 * Hit counts through commits that come before the sweep after the last one has ended, with rules that come, go, move and get other
 * names, zones that do, and counts that are cleared; for two workers, whose sum is compared with a plain table. Whether anybody looks
 * in between, and how far each sweep has come, must not matter.
 */
#include "firewall/internal.h"
#include "scene.h"

#include <stdio.h>

#define RULES	48 /* by their number: with an identifier, or known by their names */
#define WORKERS 2
#define SOURCES 3

static struct world team[WORKERS];
static uint64_t seed;

/* What a rule should have; of NAT rules hits alone. */
struct want {
	bool stands;
	uint64_t hits, packets, bytes;
	mono_ns last, since;
};
static struct want rules[RULES], nats[SOURCES];
static uint32_t order[RULES], order_n;
static bool renamed;

static uint32_t some(uint32_t n)
{
	return (uint32_t)(next_random(&seed) % n);
}

static bool has_id(uint32_t k)
{
	return k % 2 == 0;
}

static bool refuses(uint32_t k)
{
	return k % 5 == 0;
}

static void want_begin(struct want *x, bool stands)
{
	if (!stands)
		*x = (struct want){ 0 };
	else if (!x->stands)
		*x = (struct want){ .stands = true, .since = team[0].now };
}

static void policy_some(void)
{
	char name[NAME_MAX_BYTES], text[32];

	policy_init(&p);
	p.sessions_max = p.half_open_max = 4096;
	renamed ^= some(3) == 0;
	if (renamed)
		strcpy(p.zones[TRUST].name, "lan");
	for (uint32_t k = 0; k < RULES; k++)
		order[k] = k;
	for (uint32_t k = RULES; k > 1; k--) {
		uint32_t other = some(k), was = order[other];
		order[other] = order[k - 1];
		order[k - 1] = was;
	}
	order_n = RULES - some(8);
	for (uint32_t i = 0; i < RULES; i++) {
		uint32_t k = order[i];
		want_begin(&rules[k], i < order_n);
		if (i >= order_n)
			continue;
		snprintf(name, sizeof name, has_id(k) && some(2) ? "other-%u" : "r%u", k);
		snprintf(text, sizeof text, "udp/%u", 1000 + k);
		struct snap_rule *r = policy_rule(
			&p, name, TRUST, UNTRUST, "any", "any", text, refuses(k) ? RULE_DENY : RULE_PERMIT);
		r->flags = RULE_COUNT;
		r->id = has_id(k) ? 100 + k : 0;
	}
	for (uint32_t i = 0, first = some(SOURCES); i < SOURCES; i++) {
		uint32_t k = (first + i) % SOURCES;
		snprintf(name, sizeof name, "n%u", k);
		snprintf(text, sizeof text, "10.0.0.%u", 2 + k);
		want_begin(&nats[k], true);
		policy_nat(&p, name, TRUST, UNTRUST, text, "any", NAT_INTERFACE, NULL);
	}
}

static void commit_some(void)
{
	policy_some();
	for (uint32_t i = 0; i < WORKERS; i++) {
		if (!fw_load_has_room(team[i].fw) && some(2)) /* else it is done in fw_load_prepared() */
			while (!fw_sweep(team[i].fw, team[i].now, 1 + some(50)))
				;
		world_commit(&team[i], &p);
	}
	policy_done(&p);
}

static void packet_some(void)
{
	struct world *x = &team[some(WORKERS)];
	uint32_t k = some(RULES), source = some(SOURCES);
	char src[32];

	snprintf(src, sizeof src, "10.0.0.%u", 2 + source);
	uint64_t created = fw_counters(x->fw)->sessions_created;
	enum drop_reason drop = world_send(x, &(struct packet_spec){ .src = src,
						      .dst = "198.51.100.9",
						      .proto = IP_UDP,
						      .src_port = (uint16_t)(2000 + some(4)),
						      .dst_port = (uint16_t)(1000 + k),
						      .payload_n = 10 });
	bool begins = fw_counters(x->fw)->sessions_created != created;
	if (!rules[k].stands) {
		assert_int_equal(drop, DROP_DEFAULT_DENY);
		return;
	}
	assert_int_equal(drop, refuses(k) ? DROP_POLICY_DENY : DROP_NONE);
	if (begins || refuses(k)) {
		rules[k].hits++;
		rules[k].last = x->now;
	}
	nats[source].hits += begins;
	if (!refuses(k)) {
		rules[k].packets++;
		rules[k].bytes += 38;
		const struct fw_session *s = fw_session(x->fw, x->t.session);
		assert_int_equal(order[s->rule], k);
	}
}

static void look(void)
{
	for (uint32_t i = 0; i < order_n; i++) {
		const struct want *want = &rules[order[i]];
		struct fw_rule_hits sum = { .since = UINT64_MAX };
		for (uint32_t k = 0; k < WORKERS; k++) {
			const struct fw_rule_hits *h = fw_rule_hits(team[k].fw, i);
			sum.hits += h->hits;
			sum.packets += h->packets;
			sum.bytes += h->bytes;
			sum.last = MAX_OF(sum.last, h->last);
			sum.since = MIN_OF(sum.since, h->since);
		}
		assert_int_equal(sum.hits, want->hits);
		assert_int_equal(sum.packets, want->packets);
		assert_int_equal(sum.bytes, want->bytes);
		assert_int_equal(sum.last, want->last);
		assert_int_equal(sum.since, want->since);
	}
	for (uint32_t i = 0; i < SOURCES; i++) {
		uint32_t k = fw_policy(team[0].fw)->nat_rules.count == SOURCES
				     ? (uint32_t)(snap_nat_rules(fw_policy(team[0].fw))[i].name[1] - '0')
				     : SOURCES;
		uint64_t hits = 0;
		for (uint32_t t = 0; t < WORKERS; t++)
			hits += fw_nat_rule_hits(team[t].fw, i)->hits;
		assert_true(k < SOURCES);
		assert_int_equal(hits, nats[k].hits);
	}
}

static void clear(void)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		fw_rule_hits_clear(team[i].fw, team[i].now);
	for (uint32_t k = 0; k < RULES; k++)
		rules[k] = (struct want){ .stands = rules[k].stands,
			.since = rules[k].stands ? team[0].now : 0 };
}

/* Another process has the sessions, and counts begin again. */
static void take_over(void)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		world_restart(&team[i]);
	memset(rules, 0, sizeof rules);
	memset(nats, 0, sizeof nats);
	renamed = false; /* nobody knows the former policy, by which a zone of another name is the same */
	commit_some();
}

static void as_a_plain_table_counts(void **state)
{
	(void)state;
	for (seed = 1; seed <= 8; seed++) {
		uint64_t first = seed;
		memset(rules, 0, sizeof rules);
		memset(nats, 0, sizeof nats);
		renamed = false;
		for (uint32_t i = 0; i < WORKERS; i++)
			world_init(&team[i], 4096);
		commit_some();
		for (uint32_t step = 0; step < 4000; step++) {
			uint32_t what = some(200);
			if (what < 4)
				commit_some();
			else if (what < 20)
				fw_sweep(team[what % WORKERS].fw, team[0].now, 1 + some(6));
			else if (what < 22)
				clear();
			else if (what < 26)
				look();
			else if (what == 26 && some(4) == 0)
				take_over();
			else if (what == 27)
				for (uint32_t i = 0; i < WORKERS; i++)
					team[i].now += NS_PER_MS;
			else
				packet_some();
		}
		look();
		for (uint32_t i = 0; i < WORKERS; i++)
			world_done(&team[i]);
		seed = first;
	}
}

/* Of rules that nobody hits counts are still there when the policies that they were counted in have gone. */
static void nothing_is_lost_by_the_sweep(void **state)
{
	(void)state;
	seed = 99;
	memset(rules, 0, sizeof rules);
	memset(nats, 0, sizeof nats);
	renamed = false;
	for (uint32_t i = 0; i < WORKERS; i++)
		world_init(&team[i], 4096);
	commit_some();
	for (uint32_t i = 0; i < 2000; i++)
		packet_some();
	look();
	for (uint32_t round = 0; round < 12; round++) {
		commit_some();
		for (uint32_t i = 0; i < WORKERS && round % 3 == 2; i++)
			while (!fw_sweep(team[i].fw, team[i].now, 1))
				;
	}
	look();
	for (uint32_t i = 0; i < WORKERS; i++)
		world_done(&team[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_a_plain_table_counts),
		cmocka_unit_test(nothing_is_lost_by_the_sweep),
	};
	return cmocka_run_group_tests_name("firewall/hits", tests, NULL, NULL);
}
