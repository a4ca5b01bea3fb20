/*
 * AES-GCM-16, ChaCha20-Poly1305 and AES-CBC with HMAC-SHA-2: printed vectors, every truncation, every flipped octet, refusals.
 */
#include "crypto/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/*
 * key: followed by its salt, as KEYMAT delivers them; the nonce of the source is salt || iv. Of CBC the integrity key follows, and
 * the ICV behind the printed ciphertext is another implementation's: tests/vectors/esp/make.py has the same.
 */
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
	{ "RFC 3602 section 4, case 1", 12 | 12 << 8, 128,
		"06a9214036b8a15b512e03d534120006"
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		"3dafba429d9eb430b422da802c9fac41", "686561646572206f6620746865206d657373616765",
		"53696e676c6520626c6f636b206d7367",
		"e353779c1079aeb82708942dbe77181a"
		"1c8eeb232880b3d8d0c693c6de08472b" },
	{ "RFC 3602 section 4, case 2", 12 | 13 << 8, 128,
		"c286696d887c9aa0611bbb3e2025a45a"
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
		"2122232425262728292a2b2c2d2e2f30",
		"562e17996d093d28ddb3ba695a2e6f58", "686561646572206f6620746865206d657373616765",
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1"
		"41b583dd15e9854e03ff1e01f2bf0a69215f607575a57d42" },
	{ "SP 800-38A F.2.5", 12 | 14 << 8, 256,
		"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
		"2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40",
		"000102030405060708090a0b0c0d0e0f", "686561646572206f6620746865206d657373616765",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
		"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
		"eabe7c0779f91ef6e6e3cd59d3ad2ed82a934ed7fd31ec732c18f1dec4bf8c4c" },
	{ "SP 800-38A F.2.1", 12 | 12 << 8, 128,
		"2b7e151628aed2a6abf7158809cf4f3c"
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
		"000102030405060708090a0b0c0d0e0f", "686561646572206f6620746865206d657373616765",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
		"7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
		"73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
		"b3730d7261e31f4f0c32a31cf5b6d41a" },
};

struct parsed {
	struct aead_key key;
	uint8_t iv[CBC_BLOCK_SIZE], aad[64], plain[256], sealed[256];
	size_t aad_n, plain_n, sealed_n;
};

static struct parsed parse(const struct aead_row *row)
{
	struct parsed p = { .aad_n = strlen(row->aad) / 2,
		.plain_n = strlen(row->plain) / 2,
		.sealed_n = strlen(row->sealed) / 2 };
	uint8_t material[KEYMAT_MAX];
	size_t n = strlen(row->key) / 2;

	assert_true(hex_to_bytes(material, n, row->key));
	assert_int_equal(n, aead_material_size(row->encr, row->bits));
	assert_int_equal(aead_key_init(&p.key, row->encr, row->bits, material, n), RC_OK);
	assert_int_equal(strlen(row->iv) / 2, encr_iv_size(row->encr));
	assert_true(hex_to_bytes(p.iv, encr_iv_size(row->encr), row->iv));
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
			assert_int_equal(rc, n < encr_icv_size(rows[i].encr) ? RC_TRUNCATED : RC_AUTH);
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
		if (integ_transform(rows[i].encr)) {
			other.integ_key[integ_key_size(integ_transform(rows[i].encr)) - 1] ^= 1;
			assert_int_equal(
				aead_open(&other, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
			continue;
		}
		other.salt[0] ^= 1;
		assert_int_equal(aead_open(&other, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
		other = p.key;
		other.key[other.key_n - 1] ^= 1;
		assert_int_equal(aead_open(&other, p.iv, p.aad, p.aad_n, p.sealed, p.sealed_n, out), RC_AUTH);
	}
}

static void refusals(void **state)
{
	uint8_t material[KEYMAT_MAX + 1] = { 1, 2, 3 }, iv[8] = { 0 }, out[32],
				      zero[sizeof(struct aead_key)] = { 0 };
	struct aead_key k;

	assert_int_equal(aead_material_size(20, 128), 20);
	assert_int_equal(aead_material_size(20, 256), 36);
	assert_int_equal(aead_material_size(28, 256), 36);
	assert_int_equal(aead_material_size(20, 192), 0);
	assert_int_equal(aead_material_size(28, 0), 0);
	assert_int_equal(aead_material_size(12, 256), 0); /* CBC alone is nothing */
	assert_int_equal(aead_material_size(12 | 12 << 8, 128), 16 + 32);
	assert_int_equal(aead_material_size(12 | 14 << 8, 256), 32 + 64);
	assert_int_equal(aead_material_size(12 | 12 << 8, 192), 0);
	assert_int_equal(aead_material_size(12 | 2 << 8, 128), 0); /* SHA-1 */
	assert_int_equal(aead_material_size(20 | 12 << 8, 128), 0);
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

/* RFC 3602 section 3: unpredictable; SP 800-38A appendix C: the number, encrypted under the same key. Of AEADs it is the number. */
static void ivs(void **state)
{
	struct parsed gcm = parse(&rows[0]), cbc = parse(&rows[COUNT_OF(rows) - 1]);
	uint8_t iv[CBC_BLOCK_SIZE], block[CBC_BLOCK_SIZE] = { 0 }, zero[CBC_BLOCK_SIZE] = { 0 }, out[64];

	assert_true(aead_iv_make(&gcm.key, 0x0102030405060708, iv));
	assert_memory_equal(iv, "\1\2\3\4\5\6\7\10", 8);
	store_be64(block + 8, 0x0102030405060708);
	assert_true(aead_iv_make(&cbc.key, 0x0102030405060708, iv));
	assert_int_equal(aead_seal(&cbc.key, zero, NULL, 0, block, sizeof block, out), RC_OK);
	assert_memory_equal(iv, out, sizeof iv);
	/* Only whole blocks. */
	for (size_t n = 0; n < 2 * CBC_BLOCK_SIZE; n++)
		assert_int_equal(aead_seal(&cbc.key, iv, NULL, 0, cbc.plain, n, out),
			n == CBC_BLOCK_SIZE ? RC_OK : RC_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printed_vectors),
		cmocka_unit_test(in_place),
		cmocka_unit_test(tampering),
		cmocka_unit_test(refusals),
		cmocka_unit_test(ivs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
