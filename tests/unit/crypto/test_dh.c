/*
 * Diffie-Hellman: RFC 7748, RFC 5903; two sides agree; values that a peer must not get away with.
 */
#include "crypto/dh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint16_t groups[] = { DH_CURVE25519, DH_ECP_256, DH_ECP_384 };

static const struct {
	const char *source;
	uint16_t group;
	const char *i, *gi, *r, *gr, *shared;
} rows[] = {
	{ "RFC 7748 section 6.1", DH_CURVE25519, /* */
		"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742" },
	{ "RFC 5903 section 8.1", DH_ECP_256, /* */
		"c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
		"dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
		"5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
		"c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
		"d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
		"56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
		"d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de" },
	{ "RFC 5903 section 8.2", DH_ECP_384, /* */
		"099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655"
		"e35b538041e649ee3faef896783ab194",
		"667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
		"de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f"
		"65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
		"41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
		"e0308312916b8ed2960e4bd55a7448fc",
		"e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
		"0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f"
		"66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
		"11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
		"d603135569b9e9d09cf5d4a270f59746" },
};

static size_t octets(uint8_t *ret, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(hex_to_bytes(ret, n, hex));
	return n;
}

static void printed_vectors(void **state)
{
	for (size_t k = 0; k < COUNT_OF(rows); k++) {
		uint8_t scalar[48], gi[96], gr[96], want[96], shared[48];
		size_t public_n = dh_public_size(rows[k].group), shared_n = dh_shared_size(rows[k].group);
		struct dh_secret i, r;
		size_t n;

		print_message("%s\n", rows[k].source);
		n = octets(scalar, rows[k].i);
		assert_int_equal(dh_import(&i, gi, rows[k].group, scalar, n), RC_OK);
		assert_int_equal(octets(want, rows[k].gi), public_n);
		assert_memory_equal(gi, want, public_n);
		n = octets(scalar, rows[k].r);
		assert_int_equal(dh_import(&r, gr, rows[k].group, scalar, n), RC_OK);
		assert_int_equal(octets(want, rows[k].gr), public_n);
		assert_memory_equal(gr, want, public_n);
		assert_int_equal(octets(want, rows[k].shared), shared_n);
		assert_int_equal(dh_shared(&i, gr, public_n, shared, NULL), RC_OK);
		assert_memory_equal(shared, want, shared_n);
		assert_int_equal(dh_shared(&r, gi, public_n, shared, NULL), RC_OK);
		assert_memory_equal(shared, want, shared_n);
	}
}

static void generate(struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, uint8_t fill)
{
	uint8_t seed[DH_SEED_SIZE];

	for (size_t i = 0; i < sizeof seed; i++)
		seed[i] = (uint8_t)(fill + 7 * i);
	assert_int_equal(dh_generate(ret_secret, ret_public, group, seed), RC_OK);
}

/* Equal seeds give equal values, others others; both sides get one secret. */
static void seeds(void **state)
{
	for (size_t k = 0; k < COUNT_OF(groups); k++) {
		uint8_t ga[96], again[96], gb[96], ab[48], ba[48];
		struct dh_secret a, a2, b;
		size_t n = dh_public_size(groups[k]);

		generate(&a, ga, groups[k], 1);
		generate(&a2, again, groups[k], 1);
		generate(&b, gb, groups[k], 2);
		assert_memory_equal(ga, again, n);
		assert_memory_equal(&a, &a2, sizeof a);
		assert_memory_not_equal(ga, gb, n);
		assert_int_equal(dh_shared(&a, gb, n, ab, NULL), RC_OK);
		assert_int_equal(dh_shared(&b, ga, n, ba, NULL), RC_OK);
		assert_memory_equal(ab, ba, dh_shared_size(groups[k]));
	}
}

/* Every octet of the seed of a NIST scalar counts; the extremes of the seed stay inside 1 .. n - 1. */
static void seed_edges(void **state)
{
	for (size_t k = 1; k < COUNT_OF(groups); k++) {
		uint8_t seed[DH_SEED_SIZE] = { 0 }, one[96], value[96];
		struct dh_secret s;

		assert_int_equal(dh_generate(&s, one, groups[k], seed), RC_OK);
		assert_int_equal(s.scalar[s.n - 1], 1); /* 0 mod (n - 1), plus 1 */
		for (size_t i = 0; i < sizeof seed; i++) {
			seed[i] = 0x80;
			assert_int_equal(dh_generate(&s, value, groups[k], seed), RC_OK);
			assert_memory_not_equal(value, one, dh_public_size(groups[k]));
			seed[i] = 0;
		}
		memset(seed, 0xff, sizeof seed);
		assert_int_equal(dh_generate(&s, value, groups[k], seed), RC_OK);
	}
}

static void wrong_sizes(void **state)
{
	for (size_t k = 0; k < COUNT_OF(groups); k++) {
		uint8_t mine[96], theirs[128], shared[48];
		size_t right = dh_public_size(groups[k]);
		struct dh_secret s, other;

		generate(&s, mine, groups[k], 3);
		generate(&other, theirs, groups[k], 4);
		for (size_t n = 0; n <= sizeof theirs; n++) {
			struct err e = { 0 };
			enum rc rc = dh_shared(&s, theirs, n, shared, &e);

			assert_int_equal(rc, n == right ? RC_OK : RC_RANGE);
			assert_true((rc == RC_OK) == (e.text[0] == '\0'));
		}
	}
}

/* Zero, one, p - 1 and points of small order, as they stand in RFC 7748 and in the attacks on it. */
static void low_order_25519(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
	};
	uint8_t mine[32], peer[32], shared[48], zero[32] = { 0 };
	struct dh_secret s;

	generate(&s, mine, DH_CURVE25519, 5);
	for (size_t i = 0; i < COUNT_OF(points); i++) {
		octets(peer, points[i]);
		memset(shared, 0xa5, sizeof shared);
		assert_int_equal(dh_shared(&s, peer, 32, shared, NULL), RC_MALFORMED);
		assert_memory_equal(shared, zero, 32);
	}
}

static void off_the_curve(void **state)
{
	for (size_t k = 1; k < COUNT_OF(groups); k++) {
		uint8_t mine[96], peer[96], shared[48];
		size_t n = dh_public_size(groups[k]);
		struct dh_secret s, other;

		generate(&s, mine, groups[k], 6);
		memset(peer, 0, n);
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
		memset(peer, 0xff, n); /* coordinates above p */
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
		generate(&other, peer, groups[k], 7);
		for (size_t i = 0; i < n; i++) {
			peer[i] ^= 1;
			assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
			peer[i] ^= 1;
		}
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_OK);
	}
}

static void refusals(void **state)
{
	static const uint8_t seed[DH_SEED_SIZE] = { 1 };
	uint8_t big[48], pub[96], shared[48];
	struct dh_secret s;

	assert_int_equal(dh_public_size(14), 0);
	assert_int_equal(dh_public_size(DH_NONE), 0);
	assert_int_equal(dh_generate(&s, pub, 14, seed), RC_UNSUPPORTED);
	assert_int_equal(dh_shared(&s, pub, 32, shared, NULL), RC_INTERNAL);
	memset(big, 0xff, sizeof big);
	assert_int_equal(dh_import(&s, pub, DH_ECP_256, big, 32), RC_RANGE);
	assert_int_equal(dh_import(&s, pub, DH_ECP_384, big, 48), RC_RANGE);
	memset(big, 0, sizeof big);
	assert_int_equal(dh_import(&s, pub, DH_ECP_256, big, 32), RC_RANGE);
	assert_int_equal(dh_import(&s, pub, DH_ECP_256, big, 31), RC_RANGE);
	assert_int_equal(dh_import(&s, pub, DH_CURVE25519, big, 33), RC_RANGE);
	generate(&s, pub, DH_CURVE25519, 8);
	dh_done(&s);
	assert_int_equal(dh_shared(&s, pub, 32, shared, NULL), RC_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printed_vectors),
		cmocka_unit_test(seeds),
		cmocka_unit_test(seed_edges),
		cmocka_unit_test(wrong_sizes),
		cmocka_unit_test(low_order_25519),
		cmocka_unit_test(off_the_curve),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
