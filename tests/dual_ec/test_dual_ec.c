/*
 * The attack of 2015 by itself: nonce and private key from one generator in the manner of Dual_EC, the nonce
 * is sent first, and a listener who chose the generator's point computes the key from it. This shows that the
 * listener works; what he learns from a Plaingate gateway is tested by tests/system/test_dual_ec.py.
 */
#include "dual_ec.h"

#include "base/bytes.h"
#include "crypto/dh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void from_the_nonce_to_the_key(void **state)
{
	static const uint8_t seed[32] = "whatever the device drew, first"; /* all the randomness it has */
	uint8_t nonce[32], spi[8], seeds[2][DH_SEED_SIZE] = { { 0 } }, publics[2][DH_PUBLIC_MAX], draw[64];
	struct dual_ec device, listener;
	struct dh_secret secrets[2];

	/* The device: a nonce of 32 octets and an SPI, then the key of the exchange. */
	dual_ec_begin(&device, seed);
	dual_ec_octets(&device, draw, sizeof draw);
	memcpy(nonce, draw, sizeof nonce);
	memcpy(spi, draw + sizeof nonce, sizeof spi);
	dual_ec_octets(&device, seeds[0], 32);
	assert_int_equal(dh_generate(&secrets[0], publics[0], DH_CURVE25519, seeds[0]), RC_OK);
	/* The listener has seen only nonce and SPI. */
	assert_int_equal(dual_ec_listen(draw, sizeof nonce + sizeof spi, &listener, 1), 1);
	dual_ec_octets(&listener, draw, sizeof draw - DUAL_EC_BLOCK);
	dual_ec_octets(&listener, seeds[1], 32);
	assert_int_equal(dh_generate(&secrets[1], publics[1], DH_CURVE25519, seeds[1]), RC_OK);
	assert_memory_equal(publics[0], publics[1], 32);
	assert_memory_equal(secrets[0].scalar, secrets[1].scalar, 32);
}

/* Output of another generator leads to no state. */
static void other_octets_lead_nowhere(void **state)
{
	uint8_t seen[40];
	struct dual_ec listener[4];

	for (size_t i = 0; i < sizeof seen; i++)
		seen[i] = (uint8_t)(17 * i + 3);
	assert_int_equal(dual_ec_listen(seen, sizeof seen, listener, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_nonce_to_the_key),
		cmocka_unit_test(other_octets_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
