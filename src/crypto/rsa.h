/*
 * RSA as IKEv2 authenticates with it (RFC 7427, RFC 8017): RSASSA-PSS, and PKCS#1 v1.5 to check alone. Keys are plain values; a struct rsa_key
 * holds a secret and ends with rsa_key_done().
 *
 * The salt of a signature is derived from key and message, so that no bit of it is free to carry a generator's state; that signatures of one
 * message are equal is harmless (RFC 8017 section 9.1: the salt is not what security rests on). The private operation is libcrypto's, blinded
 * and in constant time; each signature is checked before it leaves, because a faulty one would give the key away.
 * Callers: src/keys. Any thread.
 */
#ifndef CRYPTO_RSA_H
#define CRYPTO_RSA_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

#define RSA_OWN_BITS_MIN      2048
#define RSA_OWN_BITS_MAX      4096 /* longer ones take long, and their signatures would not fit */
#define RSA_BITS_MAX	      8192 /* of a peer, as the certifiers have it */
#define RSA_PRIVATE_MAX	      2400 /* RSAPrivateKey of 4096 bits in DER */
#define RSA_OWN_SPKI_MAX      552
#define RSA_OWN_SIGNATURE_MAX 512
#define RSA_ALGORITHM_MAX     67
#define RSA_SPKI_MAX	      1068 /* SubjectPublicKeyInfo of 8192 bits with an exponent of 8 octets */

struct rsa_key {
	uint32_t bits, der_n, spki_n;
	uint8_t der[RSA_PRIVATE_MAX];	/* RSAPrivateKey (RFC 8017 appendix A.1.2) */
	uint8_t spki[RSA_OWN_SPKI_MAX]; /* SubjectPublicKeyInfo */
};

/* Of a file that has another kind of key: RC_NOT_FOUND, and *e is as it was. */
enum rc rsa_key_from_pem(struct rsa_key *ret_key, const void *pem, size_t n, struct err *e);
void rsa_key_done(struct rsa_key *key);

enum rsa_padding { RSA_PSS, RSA_PKCS1 };

/* hash: SHA2_256, _384 or _512, whose size the salt has. ret_signature holds RSA_OWN_SIGNATURE_MAX. */
enum rc rsa_sign(const struct rsa_key *key, uint16_t hash, const void *message, size_t n,
	uint8_t *ret_signature, size_t *ret_n);
/* RC_AUTH: not this key's signature; RC_UNSUPPORTED or RC_MALFORMED: the key or the hash. */
enum rc rsa_check(const void *spki, size_t spki_n, enum rsa_padding padding, uint16_t hash,
	const void *message, size_t n, const void *signature, size_t signature_n, struct err *e);
/*
 * Of a modulus and an exponent, big-endian without octets of zero in front: RC_UNSUPPORTED unless the modulus is odd and of bits_min to RSA_BITS_MAX
 * bits and the exponent odd and from 65537; and its SubjectPublicKeyInfo, whose octets are returned (0: too large for RSA_SPKI_MAX, or empty).
 */
enum rc rsa_public_check(const uint8_t *modulus, size_t modulus_n, const uint8_t *exponent, size_t exponent_n,
	uint32_t bits_min, struct err *e);
size_t rsa_spki(const uint8_t *modulus, size_t modulus_n, const uint8_t *exponent, size_t exponent_n,
	uint8_t ret_spki[RSA_SPKI_MAX]);
/* It begins as the SubjectPublicKeyInfo of RSA does. */
bool rsa_is_spki(const void *spki, size_t n);

/* RFC 7427's AlgorithmIdentifier of PSS with this hash. Returns its octets, 0: none. */
size_t rsa_algorithm(uint16_t hash, uint8_t ret_der[RSA_ALGORITHM_MAX]);
/* The hash and the padding of a received one; 0: it is none of ours. NULL in place of parameters of a hash, or nothing, is both taken. */
uint16_t rsa_algorithm_find(const void *der, size_t n, enum rsa_padding *ret_padding);

#endif
