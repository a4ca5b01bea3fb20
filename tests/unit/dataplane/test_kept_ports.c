/*
 * Pools of source NAT that keep ports, with several workers: none can see what another one has given away, but who was
 * refused does not try the same again.
 */
#include "sides.h"

#include <stdio.h>

/* Of two addresses each of two hosts has one after a repetition or two, whichever workers decide about them; for a third
 * host they are exhausted, by that name. */
static void each_has_an_address(void **state)
{
	struct side *s = &sides[1];
	uint32_t refused = 0;
	char host[20];

	(void)state;
	for (uint32_t seed = 1; seed <= 200; seed++) {
		sides_begin(seed, 4, gate_text,
			"nat { source { rule all { from trust; to untrust; then { source-nat 203.0.113.16/31;\n"
			"    port-no-translation; } } } }",
			64);
		for (uint32_t i = 0; i < 9; i++) {
			snprintf(host, sizeof host, "10.1.0.%u", seed + 1 + i / 3);
			struct packet_spec packet = { .src = host,
				.dst = "192.0.2.80",
				.proto = IP_UDP,
				.src_port = 31001,
				.dst_port = 9,
				.payload_n = 20 };
			enum drop_reason d = side_arrives(s, GATE_LAN, &packet);
			assert_true(d == DROP_NONE || (i >= 6 && d == DROP_NAT_EXHAUSTED));
			refused += i == 3 && side_sessions(s) == 1;
			if (i % 3 == 2)
				assert_int_equal(side_sessions(s), i < 6 ? i / 3 + 1 : 2);
		}
		assert_int_equal(s->drop, DROP_NAT_EXHAUSTED);
		sides_end();
	}
	assert_true(refused > 0); /* else nothing collided */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_has_an_address) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
