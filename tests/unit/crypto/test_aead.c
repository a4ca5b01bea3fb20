/*
 * AES-GCM-16 and ChaCha20-Poly1305: printed vectors, every truncation, every flipped octet, refusals.
 */
#include "crypto/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* key: followed by its salt, as KEYMAT delivers them; the nonce of the source is salt || iv. */
static const struct aead_row {
	const char *source;
	uint16_t encr, bits;
	const char *key, *iv, *aad, *plain, *sealed;
} rows[] = {
	{ "McGrew and Viega, GCM, test case 1", 20, 128,
		"00000000000000000000000000000000"
		"00000000",
		"0000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a" },
	{ "McGrew and Viega, GCM, test case 2", 20, 128,
		"00000000000000000000000000000000"
		"00000000",
		"0000000000000000", "", "00000000000000000000000000000000",
		"0388dace60b6a392f328c2b971b2fe78"
		"ab6e47d42cec13bdf53a67b21257bddf" },
	{ "McGrew and Viega, GCM, test case 4", 20, 128,
		"feffe9928665731c6d6a8f9467308308"
		"cafebabe",
		"facedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
		"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
		"5bc94fbc3221a5db94fae95ae7121a47" },
	{ "McGrew and Viega, GCM, test case 16", 20, 256,
		"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
		"cafebabe",
		"facedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		"8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
		"76fc6ece0f4e1768cddf8853bb2d551b" },
	{ "RFC 8439 section 2.8.2", 28, 256,
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
		"07000000",
		"4041424344454647", "50515253c0c1c2c3c4c5c6c7",
		"4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
		"73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
		"6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
		"637265656e20776f756c642062652069742e",
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
		"3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
		"92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
		"3ff4def08e4b7a9de576d26586cec64b6116"
		"1ae10b594f09e26a7e902ecbd0600691" },
	{ "RFC 7634 appendix A", 28, 256,
		"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
		"a0a1a2a3",
		"1011121314151617", "0102030400000005",
		"45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
		"0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
		"2425262728292a2b2c2d2e2f303132333435363701020204",
		"24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
		"14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
		"cbec163fac469b502773f6fb94e664da9165b82829f641e0"
		"76aaa8266b7fb0f7b11b369907e1ad43" },
};

struct parsed {
	struct aead_key key;
	uint8_t iv[8], aad[64], plain[256], sealed[256];
	size_t aad_n, plain_n, sealed_n;
};

static struct parsed parse(const struct aead_row *row)
{
	struct parsed p = { .aad_n = strlen(row->aad) / 2,
		.plain_n = strlen(row->plain) / 2,
		.sealed_n = strlen(row->sealed) / 2 };
	uint8_t material[AEAD_KEY_MAX];
	size_t n = strlen(row->key) / 2;

	assert_true(hex_to_bytes(material, n, row->key));
	assert_int_equal(n, aead_material_size(row->encr, row->bits));
	assert_int_equal(aead_key_init(&p.key, row->encr, row->bits, material, n), RC_OK);
	assert_true(hex_to_bytes(p.iv, 8, row->iv));
	assert_true(hex_to_bytes(p.aad, p.aad_n, row->aad));
	assert_true(hex_to_bytes(p.plain, p.plain_n, row->plain));
	assert_true(hex_to_bytes(p.sealed, p.sealed_n, row->sealed));
	return p;
}

static void printed_vectors(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct parsed p = parse(&rows[i]);
		uint8_t out[256];

		print_message("%s\n", rows[i].source);
		assert_int_equal(aead_seal(&p.key, p.iv, p.aad, p.aad_n, p.plain, p.plain_n, out), RC_OK);
		assert_memory_equal(out, p.sealed, p.sealed_n);
		memset(out, 0, sizeof out);
		assert_int_equal(aead_open(&p.key, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_OK);
		assert_memory_equal(out, p.plain, p.plain_n);
	}
}

static void in_place(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct parsed p = parse(&rows[i]);
		uint8_t buffer[256];

		memcpy(buffer, p.plain, p.plain_n);
		assert_int_equal(aead_seal(&p.key, p.iv, p.aad, p.aad_n, buffer, p.plain_n, buffer), RC_OK);
		assert_memory_equal(buffer, p.sealed, p.sealed_n);
		assert_int_equal(aead_open(&p.key, p.iv, p.aad, p.aad_n, buffer, p.sealed_n, buffer), RC_OK);
		assert_memory_equal(buffer, p.plain, p.plain_n);
	}
}

/* Whatever is changed or cut off, it does not open, and no plaintext is left. */
static void tampering(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct parsed p = parse(&rows[i]);
		uint8_t out[256], zero[256] = { 0 };
		struct aead_key other;

		for (size_t n = 0; n < p.sealed_n; n++) {
			enum rc rc = aead_open(&p.key, p.iv, p.aad, p.aad_n, p.sealed, n, out);
			assert_int_equal(rc, n < AEAD_ICV_SIZE ? RC_TRUNCATED : RC_AUTH);
		}
		for (size_t k = 0; k < p.sealed_n; k++) {
			p.sealed[k] ^= 0x40;
			memset(out, 0xa5, sizeof out);
			assert_int_equal(
				aead_open(&p.key, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
			assert_memory_equal(out, zero, p.plain_n);
			p.sealed[k] ^= 0x40;
		}
		for (size_t k = 0; k < p.aad_n; k++) {
			p.aad[k] ^= 1;
			assert_int_equal(
				aead_open(&p.key, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
			p.aad[k] ^= 1;
		}
		p.iv[7] ^= 1;
		assert_int_equal(aead_open(&p.key, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
		p.iv[7] ^= 1;
		other = p.key;
		other.salt[0] ^= 1;
		assert_int_equal(aead_open(&other, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
		other = p.key;
		other.key[other.key_n - 1] ^= 1;
		assert_int_equal(aead_open(&other, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
	}
}

static void refusals(void **state)
{
	uint8_t material[AEAD_KEY_MAX + 1] = { 1, 2, 3 }, iv[8] = { 0 }, out[32],
					zero[sizeof(struct aead_key)] = { 0 };
	struct aead_key k;

	assert_int_equal(aead_material_size(20, 128), 20);
	assert_int_equal(aead_material_size(20, 256), 36);
	assert_int_equal(aead_material_size(28, 256), 36);
	assert_int_equal(aead_material_size(20, 192), 0);
	assert_int_equal(aead_material_size(28, 0), 0);
	assert_int_equal(aead_material_size(12, 256), 0);
	assert_int_equal(aead_key_init(&k, 20, 192, material, 28), RC_UNSUPPORTED);
	assert_int_equal(aead_key_init(&k, 12, 256, material, 32), RC_UNSUPPORTED);
	assert_int_equal(aead_key_init(&k, 20, 256, material, 32), RC_RANGE);
	assert_int_equal(aead_key_init(&k, 20, 256, material, 37), RC_RANGE);
	/* A key that was refused or forgotten seals nothing. */
	assert_int_equal(aead_seal(&k, iv, NULL, 0, material, 3, out), RC_INTERNAL);
	assert_int_equal(aead_key_init(&k, 20, 256, material, 36), RC_OK);
	aead_key_done(&k);
	assert_memory_equal(&k, zero, sizeof k);
	assert_int_equal(aead_seal(&k, iv, NULL, 0, material, 3, out), RC_INTERNAL);
	assert_int_equal(aead_open(&k, iv, NULL, 0, material, 20, out), RC_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printed_vectors),
		cmocka_unit_test(in_place),
		cmocka_unit_test(tampering),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
