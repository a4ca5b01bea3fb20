/*
 * snapshot_check(): a good block passes; every change of it is refused or leaves a block that can be walked
 * without a read outside of it. Run with sanitizers, the walk is what finds a hole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/model.h"
#include "model/snapshot.h"
#include "sample.h"
#include "walk.h"

static void *good_block(size_t *ret_n)
{
	char *text = sample_from_docs(0);
	struct model *m = NULL;
	struct err e = { 0 };
	void *block = NULL;

	assert_int_equal(model_load_text(text, strlen(text), "t", &m, &e), RC_OK);
	assert_int_equal(model_compile(m, 1, NULL, &block, ret_n, &e), RC_OK);
	model_free(m);
	free(text);
	return block;
}

static void good_passes(void **state)
{
	size_t n = 0;
	void *block = good_block(&n);

	assert_int_equal(snapshot_check(block, n, NULL), RC_OK);
	assert_true(snapshot_walk(block) != 0);
	free(block);
}

static void every_truncation_fails(void **state)
{
	size_t n = 0;
	void *block = good_block(&n);

	for (size_t i = 0; i < n; i++) {
		void *part = malloc(i ? i : 1);
		assert_non_null(part);
		memcpy(part, block, i);
		assert_int_not_equal(snapshot_check(part, i, NULL), RC_OK);
		free(part);
	}
	free(block);
}

/* A row at a time says the same as all at once. */
static enum rc check_in_pieces(const void *block, size_t n)
{
	struct snapshot_checking c;
	struct err whole = { 0 }, pieces = { 0 };
	bool ready = false;
	enum rc want = snapshot_check(block, n, &whole), rc = snapshot_check_begin(&c, block, n, &pieces);

	while (rc == RC_OK && !ready)
		rc = snapshot_check_some(&c, 1, &ready, &pieces);
	assert_int_equal(rc, want);
	assert_string_equal(pieces.text, whole.text);
	return rc;
}

static void every_changed_word(void **state)
{
	size_t n = 0, refused = 0, harmless = 0;
	uint8_t *block = good_block(&n);

	for (size_t at = 0; at + 4 <= n; at += 4) {
		uint32_t was, now[8];
		memcpy(&was, block + at, 4);
		memcpy(now,
			(uint32_t[]){ 0, 1, was + 1, was - 1, was ^ 0x80000000u, UINT32_MAX, was ^ 0xff00u,
				0x7fffffff },
			sizeof now);
		for (size_t i = 0; i < sizeof now / sizeof now[0]; i++) {
			memcpy(block + at, &now[i], 4);
			if (check_in_pieces(block, n) == RC_OK) {
				snapshot_walk((const struct snapshot *)(const void *)block);
				harmless++;
			} else {
				refused++;
			}
		}
		memcpy(block + at, &was, 4);
	}
	assert_int_equal(snapshot_check(block, n, NULL), RC_OK);
	/* most of a block is names, whose bytes are free */
	assert_true(refused > n / 4 && harmless > 0);
	free(block);
}

static void first_two_swap(struct snap_dnat_rule *r)
{
	struct snap_dnat_rule first = r[0];

	r[0] = r[1];
	r[1] = first;
}

/* Each row breaks one promise of the header file. */
static void broken_promises(void **state)
{
	size_t n = 0;
	uint8_t *block = good_block(&n), *copy = malloc(n);
	struct snapshot *s = (struct snapshot *)(void *)copy;

	assert_non_null(copy);
#define BREAKS(change)                                                                                       \
	do {                                                                                                 \
		memcpy(copy, block, n);                                                                      \
		assert_int_equal(snapshot_check(copy, n, NULL), RC_OK);                                      \
		change;                                                                                      \
		if (snapshot_check(copy, n, NULL) == RC_OK)                                                  \
			fail_msg("accepted: %s", #change);                                                   \
	} while (0)
#define AT(field, type) ((type *)(void *)(copy + s->field.first))
	BREAKS(s->magic++);
	BREAKS(s->bytes--);
	BREAKS(s->zones.first += 4);
	BREAKS(s->zones.count = ZONES_MAX + 1);
	BREAKS(s->ranges.first = 8);
	BREAKS(s->tunnels.count = 1000);
	BREAKS(memset(s->host_name, 'x', sizeof s->host_name));
	BREAKS(s->host_port_last = s->nat_port_first);
	BREAKS(s->sessions_max = 0);
	BREAKS(s->aging = ((struct snap_aging){ 101, 50, 20 }));
	BREAKS(s->aging = ((struct snap_aging){ 80, 80, 20 }));
	BREAKS(s->aging = ((struct snap_aging){ 90, 0, 20 }));
	BREAKS(s->aging = ((struct snap_aging){ 90, 80, 0 }));
	BREAKS(s->algs = 8);
	BREAKS(s->sessions_max = SESSIONS_MAX + 1);
	BREAKS(memset(AT(zones, struct snap_zone)->name, 'x', NAME_MAX_BYTES));
	BREAKS(AT(zones, struct snap_zone)->host_services.count = s->host_services.count + 1);
	BREAKS(AT(host_services, struct snap_host_service)->proto = 0);
	BREAKS(AT(host_services, struct snap_host_service)->zero2 = 1);
	BREAKS(AT(host_services, struct snap_host_service)->first = UINT16_MAX);
	BREAKS(AT(host_services, struct snap_host_service)->from.count = s->ranges.count + 1);
	BREAKS(AT(interfaces, struct snap_interface)->zone = s->zones.count);
	BREAKS(AT(ranges, struct ip_range)->first.family = ADDR_V6);
	BREAKS(AT(ranges, struct ip_range)->first.b[7] = 1);
	BREAKS(AT(ranges, struct ip_range)->first.b[0] = 255);
	BREAKS(AT(services, struct snap_service)->dst_last = 0);
	BREAKS(AT(rules, struct snap_rule)->id = 0);
	BREAKS(AT(rules, struct snap_rule)->description.count = UINT32_MAX);
	BREAKS(AT(rules, struct snap_rule)->from_zone = 64);
	BREAKS(AT(rules, struct snap_rule)->from_zone = ZONE_ANY);
	BREAKS(AT(rules, struct snap_rule)->action = 3);
	BREAKS(s->timeout_s[TIMEOUT_COUNT - 1] = 0);
	BREAKS(AT(rules, struct snap_rule)->src.first = UINT32_MAX);
	BREAKS(AT(rules, struct snap_rule)->services.count = s->services.count + 1);
	BREAKS(AT(rules, struct snap_rule)[2].to_zone = 2); /* the pair of rule 0, behind rule 1 */
	BREAKS(AT(rules, struct snap_rule)[0].from_zone = AT(rules, struct snap_rule)[0].to_zone = ZONE_ANY);
	BREAKS(AT(ike_proposals, struct snap_ike_proposal)->encr_bits = 192);
	BREAKS(AT(ike_proposals, struct snap_ike_proposal)->dh = DH_NONE);
	BREAKS(AT(esp_proposals, struct snap_esp_proposal)->esn = 3);
	BREAKS(AT(peers, struct snap_peer)->remote.family = 0);
	BREAKS(AT(peers, struct snap_peer)->remote_id.len = 129);
	BREAKS(AT(peers, struct snap_peer)->auth = PEER_AUTH_PUBLIC_KEY);
	BREAKS(AT(peers, struct snap_peer)->public_key_n = 161);
	BREAKS(AT(peers, struct snap_peer)->proposals.count = 0);
	BREAKS(AT(selectors, struct selector)->port_last = 0; AT(selectors, struct selector)->port_first = 1);
	BREAKS(AT(tunnels, struct snap_tunnel)->peer = 1);
	BREAKS(AT(tunnels, struct snap_tunnel)->zone = 3);
	BREAKS(AT(tunnels, struct snap_tunnel)->local.count = SELECTORS_MAX + 1);
	BREAKS(AT(tunnels, struct snap_tunnel)->replay_window = REPLAY_WINDOW_MAX + 1);
	free(copy);
	free(block);
}

#define HEALTHY(r, interval, timeout, rise, fall, flags)                                                     \
	((r).check_port = 80, (r).check_interval_s = (interval), (r).check_timeout_s = (timeout),            \
		(r).check_rise = (rise), (r).check_fall = (fall), (r).check_flags = (flags))

static void broken_promises_of_nat(void **state)
{
	size_t n = 0;
	uint8_t *block = good_block(&n), *copy = malloc(n);
	struct snapshot *s = (struct snapshot *)(void *)copy;

	assert_non_null(copy);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->action = NAT_POOL);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->flags = NAT_KEEP_PORT);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->flags = 8);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->base.first.family = ADDR_V4);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->binding_timeout_s = 120);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->port_first = 1);
	BREAKS(AT(nat_rules, struct snap_nat_rule)->port_last = 0);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)->from_zone = s->zones.count);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)->action = DNAT_STATIC + 1);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)->check_port =
			80); /* static rules have no servers to check */
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].check_port = 80); /* without interval */
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].check_rise = 1);  /* without port */
	memcpy(copy, block, n);
	HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 2, 2, 3, 1);
	assert_int_equal(snapshot_check(copy, n, NULL), RC_OK);
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 0, 2, 2, 3, 1));
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 61, 2, 3, 1));
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 2, 101, 3, 1));
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 2, 2, 0, 1));
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 2, 2, 3, 2));
	BREAKS(HEALTHY(AT(dnat_rules, struct snap_dnat_rule)[1], 5, 2, 2, 3, 1);
		AT(dnat_rules, struct snap_dnat_rule)[1].to.last.b[2]++); /* more than HEALTH_RANGE_MAX */
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)->to.last.b[3]++);	  /* static: another size */
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)->interfaces = 1);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].action = DNAT_OFF);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].action = DNAT_STATIC);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].interfaces = 1ull << 63);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].port_first = 0);
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].port_last++); /* not as many as the service has */
	BREAKS(AT(dnat_rules, struct snap_dnat_rule)[1].dst.count = 0);
	BREAKS(first_two_swap(AT(dnat_rules, struct snap_dnat_rule))); /* the static one comes last */
	free(copy);
	free(block);
}

/* The supervisor, the ledger and the courier are given this part by itself: where each witness is asked. */
static void witnesses(void **state)
{
	struct snap_evidence good = { .count = 3, .quorum = 3, .heartbeat_s = 30 }, v;
	static const char *const no_urls[] = { "w.example", "ftp://w.example", "https://w.example/?a",
		"https://u@w.example", "https://w.example:0", "https://w..example" };

	for (size_t i = 0; i < good.count; i++) {
		snprintf(good.witness[i].name, sizeof good.witness[i].name, "w%zu", i);
		snprintf(good.witness[i].key, sizeof good.witness[i].key, "key");
	}
	good.witness[0].at = (struct endpoint){ .addr = addr_v4("\xc0\0\2\1"), .port = 7380 };
	snprintf(good.witness[1].peer, sizeof good.witness[1].peer, "p");
	snprintf(good.witness[2].url, sizeof good.witness[2].url, "https://w.example:8443/x");
	assert_int_equal(snapshot_evidence_check(&good, NULL), RC_OK);
	good.witness[2].server_key[31] = 1;
	assert_int_equal(snapshot_evidence_check(&good, NULL), RC_OK);
#define REFUSED(change)                                                                                      \
	do {                                                                                                 \
		v = good;                                                                                    \
		change;                                                                                      \
		if (snapshot_evidence_check(&v, NULL) == RC_OK)                                              \
			fail_msg("taken: %s", #change);                                                      \
	} while (0)
	REFUSED(v.witness[2].url[0] = '\0');
	REFUSED(memset(v.witness[2].url, 'a', sizeof v.witness[2].url));
	REFUSED(memcpy(
		v.witness[2].url, "http://w.example", sizeof "http://w.example")); /* and a key of TLS */
	REFUSED(v.witness[2].at = good.witness[0].at);
	REFUSED(memcpy(v.witness[2].peer, "p", 2));
	REFUSED(memcpy(v.witness[1].url, good.witness[2].url, sizeof v.witness[1].url));
	REFUSED(v.witness[0].server_key[0] = 1);
	REFUSED(v.witness[1].server_key[0] = 1);
	REFUSED(v.witness[1].peer[0] = '\0');
	REFUSED(v.witness[0].at.port = 0);
	REFUSED(v.witness[0].at.scope = 1);
	REFUSED(v.count = 2); /* what stands behind it is none */
	for (size_t i = 0; i < sizeof no_urls / sizeof no_urls[0]; i++)
		REFUSED(memset(v.witness[2].url, 0, sizeof v.witness[2].url);
			snprintf(v.witness[2].url, sizeof v.witness[2].url, "%s", no_urls[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_passes),
		cmocka_unit_test(every_truncation_fails),
		cmocka_unit_test(every_changed_word),
		cmocka_unit_test(broken_promises),
		cmocka_unit_test(broken_promises_of_nat),
		cmocka_unit_test(witnesses),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
