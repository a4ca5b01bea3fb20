/*
 * Applications: what becomes of several ports, of types and of codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"

#define ZONE	    "zones { zone a; } "
#define RULE(match) "policy { from a to a { rule r { match { " match " } then { permit; } } } } "

/* Every range of source ports with every one of destination ports; several ICMP types. */
static void several_ports(void **state)
{
	struct snapshot *s = compiled(ZONE
		"applications { application many { protocol tcp; source-port [ 1-9 20 ]; destination-port [ 80 443 8000-8010 ]; } "
		"application asks { protocol icmp; icmp-type [ 8 13 ]; } }" RULE(
			"source any; destination any; application [ many asks ];"));
	const struct snap_service *v = &snap_services(s)[snap_rules(s)->services.first];
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(snap_rules(s)->services.count, 8);
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t bit = v[i].proto == 1 ? (v[i].dst_first == 8 ? 6u : 7u)
					       : (v[i].src_last == 9 ? 0u : 3u) +
							 (v[i].dst_first == 80		 ? 0u
								 : v[i].dst_first == 443 ? 1u
											 : 2u);
		seen |= 1u << bit;
	}
	assert_int_equal(seen, 255);
	free(s);
}

/* A code stands in place of the source port; without one any. */
static void icmp_codes(void **state)
{
	struct snapshot *s = compiled(ZONE
		"applications { application a { protocol icmp6; icmp-type [ 128 139 ]; icmp-code 0; } "
		"application b { protocol icmp6; icmp-type 139; icmp-code [ 1 2 ]; } application c { protocol icmp; icmp-type 8; } }" RULE(
			"source any; destination any; application [ a b c ];"));
	const struct snap_service *v = &snap_services(s)[snap_rules(s)->services.first];
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(snap_rules(s)->services.count, 5);
	for (uint32_t i = 0; i < 5; i++) {
		if (v[i].proto == 1)
			assert_true(v[i].src_first == 0 && v[i].src_last == UINT16_MAX);
		else
			assert_int_equal(v[i].src_first, v[i].src_last);
		seen |= v[i].proto == 1 ? 1u : 2u << (v[i].src_first + (v[i].dst_first == 128 ? 3 : 0));
	}
	assert_int_equal(seen, 31);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_ports),
		cmocka_unit_test(icmp_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
