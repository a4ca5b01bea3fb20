/*
 * HMAC as a pseudorandom function and prf+: RFC 4231, RFC 5869, NIST's IKEv2 key derivation samples;
 * limits.
 */
#include "crypto/prf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define A20  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A131 A20 A20 A20 A20 A20 A20 "aaaaaaaaaaaaaaaaaaaaaa"
#define D50                                                                                                  \
	"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd" \
	"dd"

static const struct {
	const char *source;
	uint16_t prf;
	const char *key, *data, *want;
} hmac_rows[] = {
	{ "RFC 4231 case 1", 5, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "RFC 4231 case 1", 6, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		"afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa"
		"9cb6" },
	{ "RFC 4231 case 2", 5, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "RFC 4231 case 2", 6, "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab2"
		"1649" },
	{ "RFC 4231 case 3", 5, A20, D50,
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "RFC 4231 case 3", 6, A20, D50,
		"88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a3"
		"4f27" },
	{ "RFC 4231 case 6: key longer than a block", 5, A131,
		"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b"
		"657920"
		"4669727374",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	{ "RFC 4231 case 6: key longer than a block", 6, A131,
		"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b"
		"657920"
		"4669727374",
		"4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f4"
		"4952" },
};

static size_t octets(uint8_t *ret, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(hex_to_bytes(ret, n, hex));
	return n;
}

/* The input in one part and octet by octet. */
static void hmac_vectors(void **state)
{
	for (size_t i = 0; i < COUNT_OF(hmac_rows); i++) {
		uint8_t key[256], data[256], want[48], got[48];
		size_t key_n = octets(key, hmac_rows[i].key), n = octets(data, hmac_rows[i].data);
		struct prf_part whole = { data, n }, single[256];

		print_message("%s, prf %u\n", hmac_rows[i].source, hmac_rows[i].prf);
		assert_int_equal(octets(want, hmac_rows[i].want), prf_size(hmac_rows[i].prf));
		assert_int_equal(prf_run(hmac_rows[i].prf, key, key_n, &whole, 1, got), RC_OK);
		assert_memory_equal(got, want, prf_size(hmac_rows[i].prf));
		for (size_t k = 0; k < n; k++)
			single[k] = (struct prf_part){ data + k, 1 };
		assert_int_equal(prf_run(hmac_rows[i].prf, key, key_n, single, n, got), RC_OK);
		assert_memory_equal(got, want, prf_size(hmac_rows[i].prf));
	}
}

/* HKDF (RFC 5869) is these two: extract is the function itself, T(i) = HMAC(PRK, T(i-1) | info | i) is prf+.
 */
static void hkdf_vectors(void **state)
{
	static const struct {
		const char *input, *salt, *info, *prk, *okm;
	} rows[] = {
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
			"f0f1f2f3f4f5f6f7f8f9",
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b88718586"
			"5" },
		{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		  "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		  "404142434445464748494a4b4c4d4e4f",
			"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
			"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
			"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
			"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
			"d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
			"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
			"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
			"59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
			"cc30c58179ec3e87c14c01d5c1f3434f1d87" },
		{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c"
			"8" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t input[96], salt[96], info[96], prk[32], okm[96], got[96];
		size_t input_n = octets(input, rows[i].input), salt_n = octets(salt, rows[i].salt);
		size_t info_n = octets(info, rows[i].info), okm_n = octets(okm, rows[i].okm);

		const struct prf_part input_part = { input, input_n }, info_part = { info, info_n };

		octets(prk, rows[i].prk);
		assert_int_equal(prf_run(PRF_HMAC_SHA2_256, salt, salt_n, &input_part, 1, got), RC_OK);
		assert_memory_equal(got, prk, 32);
		assert_int_equal(prf_plus(PRF_HMAC_SHA2_256, prk, 32, &info_part, 1, got, okm_n), RC_OK);
		assert_memory_equal(got, okm, okm_n);
	}
}

/* The 255 blocks of the one-octet counter, and not one octet more. */
static void prf_plus_limit(void **state)
{
	static uint8_t out[255 * 48 + 1], shorter[255 * 48];
	const struct prf_part seed = { "seed", 4 };

	for (uint16_t prf = 5; prf <= 6; prf++) {
		size_t n = 255 * prf_size(prf);

		assert_int_equal(prf_plus(prf, "key", 3, &seed, 1, out, n), RC_OK);
		assert_int_equal(prf_plus(prf, "key", 3, &seed, 1, shorter, n - 17), RC_OK);
		assert_memory_equal(out, shorter, n - 17);
		assert_memory_not_equal(out + n - 2 * prf_size(prf), out + n - prf_size(prf), prf_size(prf));
		assert_int_equal(prf_plus(prf, "key", 3, &seed, 1, out, n + 1), RC_LIMIT);
		assert_int_equal(prf_plus(prf, "key", 3, &seed, 1, out, 0), RC_OK);
	}
}

static void unknown_function(void **state)
{
	uint8_t out[64];

	assert_int_equal(prf_size(2), 0);
	assert_int_equal(prf_run(2, "k", 1, NULL, 0, out), RC_UNSUPPORTED);
	assert_int_equal(prf_plus(7, "k", 1, NULL, 0, out, 10), RC_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(hkdf_vectors),
		cmocka_unit_test(prf_plus_limit),
		cmocka_unit_test(unknown_function),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
