/*
 * Signatures: RFC 8032, RFC 6979; keys from PEM and DER; every flipped bit; pairs of key and hash that do not
 * exist.
 */
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* clang-format off */
static const struct {
	const char *source;
	enum sign_kind kind;
	uint16_t hash;
	const char *secret, *public_part, *message, *signature; /* message: text, or hexadecimal after "0x" */
} rows[] = {
	{ "RFC 8032 section 7.1, test 1", SIGN_ED25519, HASH_IDENTITY,
		"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
		"d25bf5f0595bbe24655141438e7a100b" },
	{ "RFC 8032 section 7.1, test 2", SIGN_ED25519, HASH_IDENTITY,
		"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "0x72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
		"387b2eaeb4302aeeb00d291612bb0c00" },
	{ "RFC 6979 A.2.5, SHA-256", SIGN_ECDSA_P256, HASH_SHA2_256,
		"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
		"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "sample",
		"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
		"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8" },
	{ "RFC 6979 A.2.5, SHA-256", SIGN_ECDSA_P256, HASH_SHA2_256,
		"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
		"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "test",
		"f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
		"019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083" },
	{ "RFC 6979 A.2.5, SHA-384", SIGN_ECDSA_P256, HASH_SHA2_384,
		"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
		"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "sample",
		"0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719"
		"4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954" },
	{ "RFC 6979 A.2.5, SHA-512", SIGN_ECDSA_P256, HASH_SHA2_512,
		"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
		"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299", "sample",
		"8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00"
		"2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe" },
	{ "RFC 6979 A.2.6, SHA-384", SIGN_ECDSA_P384, HASH_SHA2_384,
		"6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
		"ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13"
		"8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
		"sample",
		"94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46"
		"99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8" },
	{ "RFC 6979 A.2.6, SHA-256", SIGN_ECDSA_P384, HASH_SHA2_256,
		"6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
		"ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13"
		"8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
		"sample",
		"21b13d1e013c7fa1392d03c5f99af8b30c570c6f98d4ea8e354b63a21d3daa33bde1e888e63355d92fa2b3c36d8fb2cd"
		"f3aa443fb107745bf4bd77cb3891674632068a10ca67e3d45db2266fa7d1feebefdc63eccd1ac42ec0cb8668a4fa0ab0" },
	{ "RFC 6979 A.2.7, SHA-256", SIGN_ECDSA_P521, HASH_SHA2_256,
		"00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
		"01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a4"
		"00493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f746a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bfdfcf5",
		"sample",
		"01511bb4d675114fe266fc4372b87682baecc01d3cc62cf2303c92b3526012659d16876e25c7c1e57648f23b73564d67f61c6f14d527d54972810421e7d87589e1a7"
		"004a171143a83163d6df460aaf61522695f207a58b95c0644d87e52aa1a347916e4f7a72930b1bc06dbe22ce3f58264afd23704cbb63b29b931f7de6c9d949a7ecfc" },
};
/* clang-format on */

static size_t octets(uint8_t *ret, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(hex_to_bytes(ret, n, hex));
	return n;
}

static size_t message_of(uint8_t *ret, const char *text)
{
	if (strncmp(text, "0x", 2) == 0)
		return octets(ret, text + 2);
	memcpy(ret, text, strlen(text));
	return strlen(text);
}

static struct sign_key key_of_row(size_t i)
{
	uint8_t secret[SIGN_SECRET_MAX];
	size_t n = octets(secret, rows[i].secret);
	struct sign_key key;

	assert_int_equal(sign_key_from_secret(&key, rows[i].kind, secret, n), RC_OK);
	return key;
}

static void printed_vectors(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint8_t want[SIGN_PUBLIC_MAX], message[64], signature[SIGN_SIGNATURE_MAX];
		size_t n = message_of(message, rows[i].message), got;
		struct sign_key key = key_of_row(i);

		print_message("%s\n", rows[i].source);
		assert_int_equal(octets(want, rows[i].public_part), key.public_part.n);
		assert_memory_equal(key.public_part.bytes, want, key.public_part.n);
		assert_int_equal(
			sign_message(&key, rows[i].hash, SIGN_PLAIN, message, n, signature, &got), RC_OK);
		assert_int_equal(octets(want, rows[i].signature), got);
		assert_memory_equal(signature, want, got);
		assert_int_equal(
			sign_check(&key.public_part, rows[i].hash, SIGN_PLAIN, message, n, signature, got),
			RC_OK);
	}
}

/* Both formats; any flipped bit, any shorter prefix, any octet too many is refused. */
static void tampering(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sign_key key = key_of_row(i);

		for (int format = SIGN_PLAIN; format <= SIGN_DER; format++) {
			uint8_t signature[SIGN_SIGNATURE_MAX + 1] = { 0 }, message[] = "any message",
							       other[SIGN_SECRET_MAX] = { 0, 7 };
			struct sign_key wrong;
			size_t n;

#define CHECK(key_, length)                                                                                  \
	sign_check(&(key_).public_part, rows[i].hash, (enum sign_format)format, message, sizeof message,     \
		signature, length)
			assert_int_equal(sign_message(&key, rows[i].hash, (enum sign_format)format, message,
						 sizeof message, signature, &n),
				RC_OK);
			assert_int_equal(CHECK(key, n), RC_OK);
			for (size_t bit = 0; bit < 8 * n; bit += 5) {
				signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
				assert_int_equal(CHECK(key, n), RC_AUTH);
				signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
			for (size_t shorter = 0; shorter < n; shorter++)
				assert_int_equal(CHECK(key, shorter), RC_AUTH);
			assert_int_equal(CHECK(key, n + 1), RC_AUTH);
			message[3] ^= 1;
			assert_int_equal(CHECK(key, n), RC_AUTH);
			message[3] ^= 1;
			assert_int_equal(sign_key_from_secret(&wrong, rows[i].kind, other, key.n), RC_OK);
			assert_int_equal(CHECK(wrong, n), RC_AUTH);
		}
	}
}

/* Keys made by openssl genpkey and ecparam -genkey, for these tests alone. */
static const struct pem_row {
	enum sign_kind kind;
	const char *secret_pem, *public_pem;
} pems[] = {
	{ SIGN_ED25519,
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIHFjOziM0c+8fYKgUCYgxvFA6wbfirmMd3BTUkYKSV29\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAaePW5ApMdZdVyf0ihTFqN5oWYvcEOfxo1UZGg6Wwsv4=\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P256,
		"-----BEGIN PRIVATE KEY-----\n"
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjvtBsTdFTHGbBECN\n"
		"T0Cl3Xp+Pm1sGXHA3H+VxzzHePShRANCAARcdQgBV9a8tS652KFe5Ub52R3M4uO2\n"
		"hscOHCyvHTPFbZTdQucj+dx/WBZzOXQTdpfTUV1YK00TNileDm1BjllV\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXHUIAVfWvLUuudihXuVG+dkdzOLj\n"
		"tobHDhwsrx0zxW2U3ULnI/ncf1gWczl0E3aX01FdWCtNEzYpXg5tQY5ZVQ==\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P256,
		"-----BEGIN EC PRIVATE KEY-----\n"
		"MHcCAQEEINGyIlNItmMBQn4cLfgbPGWHviHaH7hKDTha1X5+vOdKoAoGCCqGSM49\n"
		"AwEHoUQDQgAEaAbHhDJ25YjDxTWZYsxVPIL+9j1SQyrWLQYEV8NDuH5ZBRSg9BK0\n"
		"fv8adysL6gcYHx3eRLJuzcd3NPJ9Q0ohbg==\n"
		"-----END EC PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaAbHhDJ25YjDxTWZYsxVPIL+9j1S\n"
		"QyrWLQYEV8NDuH5ZBRSg9BK0fv8adysL6gcYHx3eRLJuzcd3NPJ9Q0ohbg==\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P256,
		"-----BEGIN EC PARAMETERS-----\n"
		"BggqhkjOPQMBBw==\n"
		"-----END EC PARAMETERS-----\n"
		"-----BEGIN EC PRIVATE KEY-----\n"
		"MHcCAQEEIFO5cTMe6VVI7+mqB3QrDyC5Xgt+9543ReyGbRfNoVnAoAoGCCqGSM49\n"
		"AwEHoUQDQgAEWVXVLLmgulcWl5shyQxh1rgV4QN7qhfWT4bBCtHM98cRNk/JA8LN\n"
		"r5fGmYTUdp0ygQp6O8GwvSNMz/jQyIXkxw==\n"
		"-----END EC PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWVXVLLmgulcWl5shyQxh1rgV4QN7\n"
		"qhfWT4bBCtHM98cRNk/JA8LNr5fGmYTUdp0ygQp6O8GwvSNMz/jQyIXkxw==\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P384,
		"-----BEGIN PRIVATE KEY-----\n"
		"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAxNxvh2plQPraqjJ3j\n"
		"XUYAusptFG1Df9/5ho4qqjaR2fkGTFomo5fM1cI67DA249ChZANiAATdJHLOMdJ5\n"
		"SW8M6BQEf/j3ce6DDzl+ySBWlIi5ZdBFmQcxZlCTevHRw+0onRxlypiqNnR0Mxtz\n"
		"toNvXNwZbOuUvYY4V7pY7yRHQ6F5r8xVFIw6EzuBB0Vp2hWTnmvJBMM=\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE3SRyzjHSeUlvDOgUBH/493Hugw85fskg\n"
		"VpSIuWXQRZkHMWZQk3rx0cPtKJ0cZcqYqjZ0dDMbc7aDb1zcGWzrlL2GOFe6WO8k\n"
		"R0Ohea/MVRSMOhM7gQdFadoVk55ryQTD\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P384,
		"-----BEGIN EC PRIVATE KEY-----\n"
		"MIGkAgEBBDCI4ZFqD37+PiFr2+opKAXDAUZ/4x0KxgktAZ4cXXNaQzzBlrNmPpfo\n"
		"e+JGBDOhptegBwYFK4EEACKhZANiAATrpiKsiraePvoMnmIRVk+0trnARC99D0CI\n"
		"lERaU9WaKKG9FtTeddkA7FoFnydxgpJCaQANGmOBy9VmvQaKnCfQp30WkLfgcHMs\n"
		"1F22LLTv+3shAKYd5qitwMaU95UYEYo=\n"
		"-----END EC PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE66YirIq2nj76DJ5iEVZPtLa5wEQvfQ9A\n"
		"iJREWlPVmiihvRbU3nXZAOxaBZ8ncYKSQmkADRpjgcvVZr0Gipwn0Kd9FpC34HBz\n"
		"LNRdtiy07/t7IQCmHeaorcDGlPeVGBGK\n"
		"-----END PUBLIC KEY-----\n" },
	{ SIGN_ECDSA_P521,
		"-----BEGIN PRIVATE KEY-----\n"
		"MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAAAqubqUxI5FrFi1B\n"
		"aNR4AEA3bWF/IsFJPZGx7R4ABjwlYc1WQ+5F5k/VBeQQn4SvzlBFG8hrqCaT+c0T\n"
		"TJWi8u+hgYkDgYYABAEQgMYvX3LEJkz66P9VIsbSfY+HyrjlWT7rmWK4O/Vi2SfP\n"
		"eMtuA3QfEEj2T1D0pVU8BN+zCt1s9mrMQr9fqsxS9wBCcpBvBCV11ZNIRmEVSZ/w\n"
		"mn3Wu5WIWRwvnHlZmNEzkH4JA4IzXilmbNkl62eJ7p4YDU6AgjiOgEwGa/OdxznH\n"
		"Vg==\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBEIDGL19yxCZM+uj/VSLG0n2Ph8q4\n"
		"5Vk+65liuDv1Ytknz3jLbgN0HxBI9k9Q9KVVPATfswrdbPZqzEK/X6rMUvcAQnKQ\n"
		"bwQlddWTSEZhFUmf8Jp91ruViFkcL5x5WZjRM5B+CQOCM14pZmzZJetnie6eGA1O\n"
		"gII4joBMBmvzncc5x1Y=\n"
		"-----END PUBLIC KEY-----\n" },
};

static void keys_from_pem(void **state)
{
	for (size_t i = 0; i < COUNT_OF(pems); i++) {
		uint8_t signature[SIGN_SIGNATURE_MAX], der[SIGN_SPKI_MAX];
		uint16_t hash = pems[i].kind == SIGN_ED25519 ? HASH_IDENTITY : HASH_SHA2_256;
		struct verify_key pub, again;
		struct sign_key key;
		struct err e = { 0 };
		size_t n;

		assert_int_equal(
			sign_key_from_pem(&key, pems[i].secret_pem, strlen(pems[i].secret_pem), &e), RC_OK);
		assert_int_equal(
			verify_key_from_pem(&pub, pems[i].public_pem, strlen(pems[i].public_pem), &e), RC_OK);
		assert_int_equal(key.kind, pems[i].kind);
		assert_memory_equal(&key.public_part, &pub, sizeof pub);
		assert_int_equal(sign_message(&key, hash, SIGN_DER, "text", 4, signature, &n), RC_OK);
		assert_int_equal(sign_check(&pub, hash, SIGN_DER, "text", 4, signature, n), RC_OK);
		n = verify_key_spki(&pub, der);
		assert_int_equal(verify_key_from_spki(&again, der, n, NULL), RC_OK);
		assert_memory_equal(&again, &pub, sizeof pub);
		/* Every truncation, a trailing octet, and every flipped bit of the head. */
		for (size_t shorter = 0; shorter < n; shorter++)
			assert_int_equal(verify_key_from_spki(&again, der, shorter, NULL), RC_UNSUPPORTED);
		assert_int_equal(verify_key_from_spki(&again, der, n + 1, NULL), RC_UNSUPPORTED);
		for (size_t bit = 0; bit < 8 * (n - pub.n); bit++) {
			der[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(verify_key_from_spki(&again, der, n, NULL), RC_UNSUPPORTED);
			der[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		if (pems[i].kind != SIGN_ED25519) {
			der[n - 1] ^= 1;
			assert_int_equal(verify_key_from_spki(&again, der, n, NULL), RC_MALFORMED);
		}
		sign_key_done(&key);
		assert_int_equal(
			sign_message(&key, hash, SIGN_DER, "text", 4, signature, &n), RC_UNSUPPORTED);
	}
}

static const char encrypted_pem[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
				    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg4t0U1EAqosQICCAAw\n"
				    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMFKMIMlJJyVx0djDKIvnDwEQBwg\n"
				    "iDTe7r/FqYkxytvBwvnzhg8385axwHHoKnJmPleoDUKWVSSvaHRiomI2TGzf95tc\n"
				    "7vpVJHHZMUl9kYqvhxA=\n"
				    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char p224_pem[] = "-----BEGIN PRIVATE KEY-----\n"
			       "MHgCAQAwEAYHKoZIzj0CAQYFK4EEACEEYTBfAgEBBByOzAskBgoSbNefd99KBPeE\n"
			       "KgUDJeE3z+r4lxn8oTwDOgAEuvm1VuFXR8Ae8JHUh+HURnH/+yI4e9KJwWCe92tD\n"
			       "7tQ029cdI4oj6IwVOV2O8hSKz0jdidz6v8M=\n"
			       "-----END PRIVATE KEY-----\n";

static void keys_refused(void **state)
{
	static const char text[] = "not a key", begin[] = "-----BEGIN PRIVATE KEY-----\n";
	struct verify_key pub;
	struct sign_key key;

	assert_int_equal(sign_key_from_pem(&key, text, strlen(text), NULL), RC_MALFORMED);
	assert_int_equal(sign_key_from_pem(&key, begin, strlen(begin), NULL), RC_MALFORMED);
	assert_int_equal(sign_key_from_pem(&key, "", 0, NULL), RC_MALFORMED);
	assert_int_equal(sign_key_from_pem(&key, encrypted_pem, strlen(encrypted_pem), NULL), RC_MALFORMED);
	assert_int_equal(sign_key_from_pem(&key, p224_pem, strlen(p224_pem), NULL), RC_UNSUPPORTED);
	assert_int_equal(key.kind, SIGN_NONE);
	assert_int_equal(verify_key_from_pem(&pub, pems[0].secret_pem, strlen(pems[0].secret_pem), NULL),
		RC_MALFORMED);
	for (size_t i = 0; i < COUNT_OF(pems); i++) /* every truncation */
		for (size_t n = 0; n + 2 < strlen(pems[i].secret_pem); n++)
			assert_int_not_equal(sign_key_from_pem(&key, pems[i].secret_pem, n, NULL), RC_OK);
}

static void secrets_refused(void **state)
{
	uint8_t zero[48] = { 0 }, full[48];
	struct sign_key key;

	memset(full, 0xff, sizeof full);
	assert_int_equal(sign_key_from_secret(&key, SIGN_ECDSA_P256, zero, 32), RC_RANGE);
	assert_int_equal(sign_key_from_secret(&key, SIGN_ECDSA_P256, full, 32), RC_RANGE);
	assert_int_equal(sign_key_from_secret(&key, SIGN_ECDSA_P384, full, 48), RC_RANGE);
	assert_int_equal(sign_key_from_secret(&key, SIGN_ECDSA_P384, full, 32), RC_RANGE);
	assert_int_equal(sign_key_from_secret(&key, SIGN_NONE, full, 32), RC_UNSUPPORTED);
}

static void algorithms(void **state)
{
	static const uint16_t hashes[] = { HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512, HASH_IDENTITY, 1, 0 };
	static const enum sign_kind kinds[] = { SIGN_ED25519, SIGN_ECDSA_P256, SIGN_ECDSA_P384,
		SIGN_ECDSA_P521 };

	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		for (size_t h = 0; h < COUNT_OF(hashes); h++) {
			bool is = kinds[k] == SIGN_ED25519
					  ? hashes[h] == HASH_IDENTITY
					  : hashes[h] >= HASH_SHA2_256 && hashes[h] <= HASH_SHA2_512;
			uint8_t secret[SIGN_SECRET_MAX] = { 1 }, signature[SIGN_SIGNATURE_MAX];
			struct sign_key key;
			const uint8_t *der;
			size_t n;

			der = sign_algorithm(kinds[k], hashes[h], &n);
			assert_int_equal(der != NULL, is);
			if (is) {
				assert_int_equal(sign_algorithm_find(kinds[k], der, n), hashes[h]);
				for (size_t shorter = 0; shorter < n; shorter++)
					assert_int_equal(sign_algorithm_find(kinds[k], der, shorter), 0);
			}
			assert_int_equal(sign_key_from_secret(&key, kinds[k], secret,
						 kinds[k] == SIGN_ECDSA_P521   ? 66
						 : kinds[k] == SIGN_ECDSA_P384 ? 48
									       : 32),
				RC_OK);
			assert_int_equal(sign_message(&key, hashes[h], SIGN_PLAIN, "m", 1, signature, &n),
				is ? RC_OK : RC_UNSUPPORTED);
			if (!is)
				assert_int_equal(sign_check(&key.public_part, hashes[h], SIGN_PLAIN, "m", 1,
							 signature, 64),
					RC_UNSUPPORTED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printed_vectors),
		cmocka_unit_test(tampering),
		cmocka_unit_test(keys_from_pem),
		cmocka_unit_test(keys_refused),
		cmocka_unit_test(secrets_refused),
		cmocka_unit_test(algorithms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
