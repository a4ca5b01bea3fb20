/*
 * Known answers of IKEv2's key derivation: the SHA-256 set of NIST's IKEv2 component test (as OpenSSL's
 * evpkdf_ikev2.txt states it), and the order in which the keys of an IKE SA and of a child are cut from the
 * stream.
 */
#include "keys/derive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NI	 "3651fef5c9c35e93"
#define NR	 "c09a8b90a3f04d59"
#define SPI_I	 "8e5c3ae507221684"
#define SPI_R	 "b1f201bb155c3acd"
#define SKEYSEED "efaa7ab0eaa85a3d0be2100cd4b6fe00ff5025a9eafddb3ef518e9f0d3fe60e6"
#define SK_D	 "462b9dd525d4fd71169174272779e704baf62c6231779ae9efe8c58b21916b42"
#define SHARED                                                                                               \
	"d084a30166a50fb7325c3960874a839449ef9741c2f4f947d0201dd8c1269273d79509f37e3ca3eb4fa2fe2a28254e289c" \
	"d3f34d"                                                                                             \
	"ad4eb4df1a07685a4b8a94fa61e2491f7598b3ce65547ff133b3f63d1ac4175eaa695033f3cedb026a6873a36455172a85" \
	"40b8a5"                                                                                             \
	"d23a0143bed0390ee49b168269d75fffee9fb62be965993c"
#define SHARED_NEW                                                                                           \
	"52f00ab174c25d5b7139ae5ff4e8e9eddee5992d2e36adf8a559ffd90dab1442e4fbe429d320c0f33552a17d1557fa41ea" \
	"70e8fb"                                                                                             \
	"916c4fa27ed52b5f8ebd8461afa78f1159159a64055ac5f6319e29c28eae58cbc6847770f32c3fed1d04750484f854790f" \
	"95e9ec"                                                                                             \
	"01bc5bc461f24966462e359511329305038e94deb6dd42c2"

static struct octets octets(const char *hex)
{
	static uint8_t kept[16][256];
	static size_t at;
	uint8_t *b = kept[at++ % 16];

	assert_true(strlen(hex) / 2 <= sizeof kept[0]);
	assert_true(hex_to_bytes(b, strlen(hex) / 2, hex));
	return (struct octets){ b, strlen(hex) / 2 };
}

static void skeyseed(void **state)
{
	uint8_t got[PRF_SIZE_MAX];

	assert_int_equal(
		derive_skeyseed(PRF_HMAC_SHA2_256, octets(NI), octets(NR), octets(SHARED), got), RC_OK);
	assert_memory_equal(got, octets(SKEYSEED).b, 32);
	assert_int_equal(derive_skeyseed_rekey(PRF_HMAC_SHA2_256, octets(SK_D), octets(NI), octets(NR),
				 octets(SHARED_NEW), got),
		RC_OK);
	assert_memory_equal(
		got, octets("90722c42bd849e9b72d240fc254174270fa8295de6f0338dafc303a9ec104f12").b, 32);
}

/* The first 168 octets of the stream, cut for AES-GCM-256: SK_d, SK_ei, SK_er, SK_pi, SK_pr. */
static void ike_keys(void **state)
{
	struct octets stream = octets("462b9dd525d4fd71169174272779e704baf62c6231779ae9efe8c58b21916b42"
				      "010164af2111ebd762f6916ca9a6f0ee05c8b320e4ee27705521de2589adea18"
				      "78f1a551738af7c88dc4f0bb0c096a3f7d1f1a670fc79f49f678d60d665bb371"
				      "0c8657f03ba9f62b9a818d7a228968c506e237ae9502aa6db395c61ea6a3e795"
				      "04f86b7368bfb5423df79e48809bbccd49fd826d024f63d7c2a5566400a12e73"
				      "6aa034510428f5ea");
	struct ike_keys_all k;

	assert_int_equal(derive_ike_keys(PRF_HMAC_SHA2_256, octets(SKEYSEED), octets(NI), octets(NR),
				 octets(SPI_I).b, octets(SPI_R).b, 36, 0, &k),
		RC_OK);
	assert_int_equal(k.sk.prf_n, 32);
	assert_int_equal(k.sk_e_n, 36);
	assert_memory_equal(k.sk.sk_d, stream.b, 32);
	assert_memory_equal(k.sk_ei, stream.b + 32, 36);
	assert_memory_equal(k.sk_er, stream.b + 68, 36);
	assert_memory_equal(k.sk.sk_pi, stream.b + 104, 32);
	assert_memory_equal(k.sk.sk_pr, stream.b + 136, 32);
	/* RFC 7296 2.14: with an integrity algorithm SK_ai and SK_ar stand before SK_ei and SK_er; here behind each. */
	assert_int_equal(derive_ike_keys(PRF_HMAC_SHA2_256, octets(SKEYSEED), octets(NI), octets(NR),
				 octets(SPI_I).b, octets(SPI_R).b, 36, 20, &k),
		RC_OK);
	assert_int_equal(k.sk_e_n, 36);
	assert_memory_equal(k.sk.sk_d, stream.b, 32);
	assert_memory_equal(k.sk_ei + 16, stream.b + 32, 20);
	assert_memory_equal(k.sk_er + 16, stream.b + 52, 20);
	assert_memory_equal(k.sk_ei, stream.b + 72, 16);
	assert_memory_equal(k.sk_er, stream.b + 88, 16);
	assert_memory_equal(k.sk.sk_pi, stream.b + 104, 32);
	assert_memory_equal(k.sk.sk_pr, stream.b + 136, 32);
}

static void keymat(void **state)
{
	static const struct octets none;
	struct octets plain =
		octets("23647677e7d403fa1e3006f19840aee18ad9fecc4215814c4131bdeba98433d8b0e31bfb"
		       "bddf822abcce5e06486aa388022b75e27e1e68aa5983028b65282c730c5d49ef76067703");
	struct octets pfs =
		octets("6a919387a5fa2835fe8a8237e4a14845bd2b9930db87eff7adf268f62186004902dba9aa"
		       "942d0259a0edc4120b932a503865b57ba8fb88117ef5df7b26799cd8ba37aa5438108cb1");
	uint8_t i[36], r[36];

	assert_int_equal(
		derive_keymat(PRF_HMAC_SHA2_256, octets(SK_D), octets(NI), octets(NR), none, none, i, r, 36),
		RC_OK);
	assert_memory_equal(i, plain.b, 36);
	assert_memory_equal(r, plain.b + 36, 36);
	assert_int_equal(derive_keymat(PRF_HMAC_SHA2_256, octets(SK_D), octets(NI), octets(NR),
				 octets(SHARED_NEW), none, i, r, 36),
		RC_OK);
	assert_memory_equal(i, pfs.b, 36);
	assert_memory_equal(r, pfs.b + 36, 36);
}

/* A public value that is known is taken as it is, and the secret beside it is the same. */
static void public_value_known(void **state)
{
	static const uint16_t groups[] = { DH_CURVE25519, DH_ECP_256, DH_ECP_384 };
	uint8_t seed[DH_SEED_SIZE] = { 1, 2, 3 }, computed[DH_PUBLIC_MAX], taken[DH_PUBLIC_MAX];
	struct dh_secret one, other;

	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		struct octets known = { computed, dh_public_size(groups[i]) }, none = { computed, 0 },
			      of_another = { seed, 33 };

		assert_int_equal(derive_dh(groups[i], seed, none, &one, computed), RC_OK);
		memset(taken, 0, sizeof taken);
		assert_int_equal(derive_dh(groups[i], seed, known, &other, taken), RC_OK);
		assert_memory_equal(taken, computed, known.n);
		assert_memory_equal(&other, &one, sizeof one);
		memset(taken, 0, sizeof taken);
		assert_int_equal(derive_dh(groups[i], seed, of_another, &other, taken), RC_OK);
		assert_memory_equal(taken, computed, known.n);
	}
	assert_int_equal(derive_dh(2, seed, (struct octets){ 0 }, &one, computed), RC_UNSUPPORTED);
}

static void refusals(void **state)
{
	static const uint8_t long_nonce[KEEPER_NONCE_MAX + 1];
	struct octets too_long = { long_nonce, sizeof long_nonce };
	struct ike_keys_all k;
	uint8_t out[64];

	assert_int_equal(derive_skeyseed(5, too_long, octets(NR), octets(SHARED), out), RC_RANGE);
	assert_int_equal(derive_skeyseed(5, octets(NI), too_long, octets(SHARED), out), RC_RANGE);
	assert_int_equal(derive_skeyseed(4, octets(NI), octets(NR), octets(SHARED), out), RC_UNSUPPORTED);
	assert_int_equal(derive_ike_keys(4, octets(SKEYSEED), octets(NI), octets(NR), octets(SPI_I).b,
				 octets(SPI_R).b, 36, 0, &k),
		RC_UNSUPPORTED);
	assert_int_equal(derive_ike_keys(5, octets(SKEYSEED), octets(NI), octets(NR), octets(SPI_I).b,
				 octets(SPI_R).b, KEYMAT_MAX + 1, 0, &k),
		RC_UNSUPPORTED);
	assert_int_equal(derive_ike_keys(5, octets(SKEYSEED), octets(NI), octets(NR), octets(SPI_I).b,
				 octets(SPI_R).b, 36, 37, &k),
		RC_UNSUPPORTED);
	assert_int_equal(
		derive_keymat(5, octets(SK_D), octets(NI), octets(NR), octets(""), octets(""), out, out, 0),
		RC_UNSUPPORTED);
	assert_int_equal(derive_keymat(5, octets(SK_D), octets(NI), octets(NR), octets(""), octets(""), out,
				 out, KEYMAT_MAX + 1),
		RC_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skeyseed),
		cmocka_unit_test(ike_keys),
		cmocka_unit_test(keymat),
		cmocka_unit_test(public_value_known),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
