/*
 * Signatures that IKEv2 authenticates with: Ed25519 (RFC 8032, RFC 8420) and ECDSA on P-256, P-384 and P-521
 * (RFC 4754, RFC 7427); RSA is crypto/rsa.h's. Keys are plain values without pointers, made from PEM or DER once; a struct sign_key holds
 * a secret and ends with sign_key_done().
 *
 * ECDSA is deterministic (RFC 6979): no bit of a signature is free, so none can carry a generator's state.
 * Every signature is checked before it leaves, because a faulty deterministic one would give the key away.
 * Callers: src/keys, proc/keeper (loading), src/model (pinned keys). Any thread.
 */
#ifndef CRYPTO_SIGN_H
#define CRYPTO_SIGN_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

/* clang-format off */
#define SIGN_KINDS(S)	/* id, octets of the secret, octets of the public key, octets of a plain signature, text */	\
	S(ED25519,    32, 32, 64, "ed25519")										\
	S(ECDSA_P256, 32, 64, 64, "ecdsa-p256")	/* public: x and y */							\
	S(ECDSA_P384, 48, 96, 96, "ecdsa-p384")						\
	S(ECDSA_P521, 66, 132, 132, "ecdsa-p521")
/* clang-format on */

enum sign_kind {
	SIGN_NONE,
#define E(id, secret_n, public_n, signature_n, text) SIGN_##id,
	SIGN_KINDS(E)
#undef E
};

enum sign_format {
	SIGN_PLAIN, /* Ed25519: RFC 8032; ECDSA: r || s at fixed size (RFC 4754) */
	SIGN_DER,   /* ECDSA-Sig-Value (RFC 3279), which RFC 7427 takes over; Ed25519: as plain */
};

#define SIGN_SECRET_MAX	   66
#define SIGN_PUBLIC_MAX	   132
#define SIGN_SIGNATURE_MAX 139 /* P-521 in DER: 3 + 2 * (2 + 66) */
#define SIGN_SPKI_MAX	   158 /* P-521's SubjectPublicKeyInfo in DER */

struct verify_key {
	uint32_t kind; /* enum sign_kind */
	uint32_t n;
	uint8_t bytes[SIGN_PUBLIC_MAX];
};

struct sign_key {
	uint32_t kind;
	uint32_t n;
	uint8_t secret[SIGN_SECRET_MAX]; /* seed, or scalar big-endian */
	struct verify_key public_part;
};

const char *sign_kind_text(uint32_t kind);
/* Octets of the kind's public key; 0: no kind. */
size_t sign_public_size(uint32_t kind);

/* Strict DER of exactly these kinds, points uncompressed; RC_UNSUPPORTED or RC_MALFORMED otherwise. */
enum rc verify_key_from_spki(struct verify_key *ret_key, const void *der, size_t n, struct err *e);
/* for tests: "-----BEGIN PUBLIC KEY-----". */
enum rc verify_key_from_pem(struct verify_key *ret_key, const void *pem, size_t n, struct err *e);
/* ret_der holds SIGN_SPKI_MAX; returns the length, 0 for no key. */
size_t verify_key_spki(const struct verify_key *key, uint8_t *ret_der);

/* "-----BEGIN PRIVATE KEY-----" (PKCS#8) or "-----BEGIN EC PRIVATE KEY-----" (SEC 1), not encrypted. */
enum rc sign_key_from_pem(struct sign_key *ret_key, const void *pem, size_t n, struct err *e);
/*
 * for tests: of the raw secret, Ed25519's seed or a scalar; its public part is computed. RC_RANGE: wrong
 * size, 0 or above n.
 */
enum rc sign_key_from_secret(struct sign_key *ret_key, enum sign_kind kind, const void *secret, size_t n);
void sign_key_done(struct sign_key *key);

/*
 * Signs message. hash: one of enum signature_hash; Ed25519 takes HASH_IDENTITY alone, ECDSA any of the
 * others. ret_signature holds SIGN_SIGNATURE_MAX. RC_UNSUPPORTED for a pair that does not exist, RC_INTERNAL.
 */
enum rc sign_message(const struct sign_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, uint8_t *ret_signature, size_t *ret_n);

/* RC_OK, RC_AUTH when the signature is not this key's over this message, RC_UNSUPPORTED as above. */
enum rc sign_check(const struct verify_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, const void *signature, size_t signature_n);

/*
 * RFC 7427's AlgorithmIdentifiers, DER. sign_algorithm: for a key's kind and a hash, NULL when there is none.
 * sign_algorithm_find: the hash of a received identifier that fits the kind; 0 when it is none of ours.
 */
const uint8_t *sign_algorithm(uint32_t kind, uint16_t hash, size_t *ret_n);
uint16_t sign_algorithm_find(uint32_t kind, const void *der, size_t n);

#endif
