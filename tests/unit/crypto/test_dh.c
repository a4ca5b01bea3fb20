/*
 * Diffie-Hellman: RFC 7748, RFC 5903; MODP against libcrypto's own implementation; two sides agree; values that a
 * peer must not get away with.
 */
#include "crypto/dh.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
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

	assert_int_equal(dh_public_size(2), 0); /* MODP with 1024 bits */
	assert_int_equal(dh_public_size(DH_NONE), 0);
	assert_int_equal(dh_generate(&s, pub, 2, seed), RC_UNSUPPORTED);
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

/* ---- MODP ---- */

static const struct {
	uint16_t group;
	const char *name; /* libcrypto's */
} modp[] = { { DH_MODP_2048, "modp_2048" }, { DH_MODP_3072, "modp_3072" }, { DH_MODP_4096, "modp_4096" } };

/* priv: big-endian, or NULL: only the public value. */
static EVP_PKEY *modp_key(
	const char *name, const uint8_t *priv, size_t priv_n, const uint8_t *pub, size_t pub_n)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *x = priv ? BN_bin2bn(priv, (int)priv_n, NULL) : NULL, *y = BN_bin2bn(pub, (int)pub_n, NULL);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;

	assert_int_equal(OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, name, 0), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PUB_KEY, y), 1);
	if (x)
		assert_int_equal(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, x), 1);
	params = OSSL_PARAM_BLD_to_param(b);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(
		EVP_PKEY_fromdata(ctx, &key, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	EVP_PKEY_CTX_free(ctx);
	BN_free(x);
	BN_free(y);
	return key;
}

/* g^ir of our secret and the peer's value by libcrypto's DH, with its zeros in front. */
static void modp_other(const char *name, const struct dh_secret *s, const uint8_t *mine,
	const uint8_t *theirs, size_t n, uint8_t *ret_shared)
{
	EVP_PKEY *own = modp_key(name, s->scalar, s->n, mine, n), *peer = modp_key(name, NULL, 0, theirs, n);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	unsigned pad = 1;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_uint(OSSL_EXCHANGE_PARAM_PAD, &pad), OSSL_PARAM_END };
	size_t got = n;

	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, ret_shared, &got), 1);
	assert_int_equal(got, n);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
}

static void modp_is_libcryptos(void **state)
{
	for (size_t k = 0; k < COUNT_OF(modp); k++) {
		uint8_t ga[DH_PUBLIC_MAX], gb[DH_PUBLIC_MAX], ab[DH_SHARED_MAX], ba[DH_SHARED_MAX],
			want[DH_SHARED_MAX];
		size_t n = dh_public_size(modp[k].group);
		struct dh_secret a, b;

		assert_int_equal(dh_shared_size(modp[k].group), n);
		generate(&a, ga, modp[k].group, 1);
		generate(&b, gb, modp[k].group, 2);
		assert_int_equal(dh_shared(&a, gb, n, ab, NULL), RC_OK);
		assert_int_equal(dh_shared(&b, ga, n, ba, NULL), RC_OK);
		assert_memory_equal(ab, ba, n);
		modp_other(modp[k].name, &a, ga, gb, n, want);
		assert_memory_equal(ab, want, n);
	}
}

/* RFC 7296 2.14: 2 ^ 1 has nothing but zeros in front. */
static void modp_is_padded(void **state)
{
	uint8_t one[48] = { [47] = 1 }, two[DH_PUBLIC_MAX], shared[DH_SHARED_MAX], four[256] = { [255] = 4 };
	struct dh_secret s;

	assert_int_equal(dh_import(&s, two, DH_MODP_2048, one, sizeof one), RC_OK);
	assert_int_equal(two[255], 2);
	for (size_t i = 0; i < 255; i++)
		assert_int_equal(two[i], 0);
	assert_int_equal(dh_shared(&s, four, sizeof four, shared, NULL), RC_OK);
	assert_memory_equal(shared, four, sizeof four);
}

/* RFC 6989 2.1: 0, 1, p - 1, p, above p, and other sizes. */
static void modp_values_refused(void **state)
{
	for (size_t k = 0; k < COUNT_OF(modp); k++) {
		uint8_t mine[DH_PUBLIC_MAX], peer[DH_PUBLIC_MAX] = { 0 }, shared[DH_SHARED_MAX];
		size_t n = dh_public_size(modp[k].group);
		BIGNUM *p = k == 0   ? BN_get_rfc3526_prime_2048(NULL)
			    : k == 1 ? BN_get_rfc3526_prime_3072(NULL)
				     : BN_get_rfc3526_prime_4096(NULL);
		static const int below[] = { -1, 0, 1, 2 }; /* p - this */
		struct dh_secret s;

		generate(&s, mine, modp[k].group, 6);
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
		peer[n - 1] = 1;
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
		peer[n - 1] = 2;
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_OK);
		assert_int_equal(dh_peer_check(modp[k].group, peer, n - 1, NULL), RC_RANGE);
		BN_add_word(p, 1);
		for (size_t i = 0; i < COUNT_OF(below); i++) {
			struct err e = { 0 };

			assert_int_equal(BN_bn2binpad(p, peer, (int)n), n);
			assert_int_equal(
				dh_shared(&s, peer, n, shared, &e), below[i] < 2 ? RC_MALFORMED : RC_OK);
			assert_true((below[i] == 2) == (e.text[0] == '\0'));
			BN_sub_word(p, 1);
		}
		memset(peer, 0xff, n);
		assert_int_equal(dh_shared(&s, peer, n, shared, NULL), RC_MALFORMED);
		BN_free(p);
	}
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
		cmocka_unit_test(modp_is_libcryptos),
		cmocka_unit_test(modp_is_padded),
		cmocka_unit_test(modp_values_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
