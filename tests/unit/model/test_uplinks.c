/* What the compiler makes of uplinks and their probes, and what it and the check of a snapshot refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"

#define ZONE	   "zones { zone z { interfaces [ e0 e1 ]; } } "
#define UPLINK(in) ZONE "uplinks { uplink u { " in " } }"

static void records(void **state)
{
	struct snapshot *s = compiled(ZONE
		"uplinks { uplink one { interface e1; next-hop 198.51.100.1; probe 192.0.2.1; "
		"probe 192.0.2.2 { tcp-port 443; } down-when any-fails; interval 200; fall 2; rise 7; } "
		"uplink two { interface e0; probe 2001:db8::53 { dns example.org.; } probe fe80::1 { dns .; } } }");
	const struct snap_uplink *u = snap_uplinks(s);
	const struct snap_probe *p = snap_probes(s);

	assert_int_equal(s->uplinks.count, 2);
	assert_int_equal(s->probes.count, 4);
	assert_string_equal(u[0].name, "one");
	assert_int_equal(u[0].interface, 1);
	assert_int_equal(u[0].next_hop.family, ADDR_V4);
	assert_int_equal(u[0].flags, UPLINK_DOWN_WHEN_ANY);
	assert_int_equal(u[0].interval_ms, 200);
	assert_int_equal(u[0].fall, 2);
	assert_int_equal(u[0].rise, 7);
	assert_int_equal(p[0].kind, PROBE_PING);
	assert_int_equal(p[1].kind, PROBE_TCP);
	assert_int_equal(p[1].port, 443);
	assert_int_equal(u[1].probes.first, 2);
	assert_int_equal(u[1].next_hop.family, ADDR_NONE);
	assert_int_equal(u[1].flags, 0);
	assert_int_equal(u[1].interval_ms, 500);
	assert_int_equal(u[1].fall, 3);
	assert_int_equal(u[1].rise, 5);
	assert_string_equal(p[2].name, "example.org");
	assert_string_equal(p[3].name, ".");
	free(s);
}

static const char *const refused_texts[] = {
	UPLINK("interface e0;"),
	UPLINK("probe 192.0.2.1;"),
	UPLINK("interface e2; probe 192.0.2.1;"),
	UPLINK("interface e0; probe 192.0.2.1; probe 2001:db8::1;"),
	UPLINK("interface e0; next-hop 2001:db8::1; probe 192.0.2.1;"),
	UPLINK("interface e0; next-hop 224.0.0.1; probe 192.0.2.1;"),
	UPLINK("interface e0; probe 255.255.255.255;"),
	UPLINK("interface e0; probe ff02::1;"),
	UPLINK("interface e0; probe 127.0.0.1;"),
	UPLINK("interface e0; probe 192.0.2.1 { tcp-port 0; }"),
	UPLINK("interface e0; probe 192.0.2.1 { tcp-port 80; dns a; }"),
	UPLINK("interface e0; probe 192.0.2.1 { dns a..b; }"),
	UPLINK("interface e0; probe 192.0.2.1; interval 99;"),
	UPLINK("interface e0; probe 192.0.2.1; fall 0;"),
	UPLINK("interface e0; probe 192.0.2.1; rise 101;"),
};

static void refusals(void **state)
{
	for (size_t i = 0; i < COUNT_OF(refused_texts); i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };
		if (compile(refused_texts[i], 1, &block, &n, &e) == RC_OK)
			fail_msg("accepted: %s", refused_texts[i]);
		if (strncmp(e.text, "t:", 2) != 0)
			fail_msg("%s: it does not say where: %s", refused_texts[i], e.text);
	}
}

/* Snapshots that no compiler makes. */
static void forged(void **state)
{
	struct snapshot *s = compiled(UPLINK("interface e0; probe 192.0.2.1; probe 192.0.2.2 { dns a.b; }"));
	struct snap_uplink *u = (struct snap_uplink *)(uintptr_t)snap_uplinks(s), was = *u;
	struct snap_probe *p = (struct snap_probe *)(uintptr_t)snap_probes(s), probe_was = p[1];
	struct err e = { 0 };

#define BAD(change)                                                                                          \
	do {                                                                                                 \
		change;                                                                                      \
		assert_int_equal(snapshot_check(s, s->bytes, &e), RC_MALFORMED);                             \
		*u = was;                                                                                    \
		p[1] = probe_was;                                                                            \
		assert_int_equal(snapshot_check(s, s->bytes, &e), RC_OK);                                    \
	} while (0)
	BAD(u->interface = 2);
	BAD(u->flags = 2);
	BAD(u->probes.count = 0);
	BAD(u->probes.count = 3);
	BAD(u->probes.first = UINT32_MAX);
	BAD(u->interval_ms = 0);
	BAD(u->fall = 0);
	BAD(u->rise = UINT16_MAX);
	BAD(u->zero = 1);
	BAD(u->name[0] = '\0');
	BAD(memset(u->name, 'x', sizeof u->name));
	BAD(u->next_hop.family = ADDR_V6);
	BAD(p[1].kind = 3);
	BAD(p[1].kind = PROBE_PING);
	BAD(p[1].port = 1);
	BAD(p[1].target.family = ADDR_NONE);
	BAD(memset(p[1].name, 'x', sizeof p[1].name));
	BAD(memset(p[1].name, 'x', 64)); /* a label of more than 63 octets */
	BAD(memcpy(p[1].name, "a..b", 5));
	BAD(memcpy(p[1].name, "a\nb", 4));
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(refusals),
		cmocka_unit_test(forged),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
