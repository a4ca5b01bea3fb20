/*
 * The algorithms that Plaingate negotiates, by their IANA numbers ("Internet Key Exchange Version 2 Parameters"):
 * one table per transform type. The configuration's keywords, the wire's numbers and the documentation come from here.
 */
#ifndef MODEL_ALGORITHMS_H
#define MODEL_ALGORITHMS_H

#include <stdint.h>

/* clang-format off */
#define ENCR_ALGORITHMS(E)	/* id, IANA number, key bits, keyword; AEAD all, salt in KEYMAT, ICV 16 */	\
	E(AES128_GCM16,      20, 128, "aes128gcm16")		/* RFC 4106, RFC 5282 */			\
	E(AES256_GCM16,      20, 256, "aes256gcm16")								\
	E(CHACHA20_POLY1305, 28, 256, "chacha20poly1305")	/* RFC 7634; no key length attribute */

#define PRF_ALGORITHMS(P)	/* id, IANA number, output bytes, keyword */	\
	P(HMAC_SHA2_256, 5, 32, "prfsha256")	/* RFC 4868 */			\
	P(HMAC_SHA2_384, 6, 48, "prfsha384")

#define DH_GROUPS(D)		/* id, IANA number, bytes in the KE payload, keyword */	\
	D(ECP_256,    19, 64, "ecp256")		/* RFC 5903 */				\
	D(ECP_384,    20, 96, "ecp384")							\
	D(CURVE25519, 31, 32, "x25519")		/* RFC 8031 */

#define AUTH_METHODS(A)		/* id, IANA number, text */				\
	A(SHARED_KEY,        2, "pre-shared key")	/* RFC 7296 2.15 */		\
	A(ECDSA_SHA256_P256, 9, "ECDSA P-256")		/* RFC 4754 */			\
	A(ECDSA_SHA384_P384, 10, "ECDSA P-384")						\
	A(DIGITAL_SIGNATURE, 14, "digital signature")	/* RFC 7427, RFC 8420 */

#define SIGNATURE_HASHES(H)	/* id, IANA number (RFC 7427 7, RFC 8420 2), text */	\
	H(SHA2_256, 2, "SHA2-256")							\
	H(SHA2_384, 3, "SHA2-384")							\
	H(SHA2_512, 4, "SHA2-512")							\
	H(IDENTITY, 5, "Identity")	/* Ed25519 */
/* clang-format on */

enum encr_number { ENCR_AES_GCM_16 = 20, ENCR_CHACHA20_POLY1305 = 28 };

enum prf_number {
#define E(id, number, bytes, word) PRF_##id = number,
	PRF_ALGORITHMS(E)
#undef E
};

enum dh_number {
	DH_NONE = 0,
#define E(id, number, bytes, word) DH_##id = number,
	DH_GROUPS(E)
#undef E
};

enum auth_method {
#define E(id, number, text) AUTH_##id = number,
	AUTH_METHODS(E)
#undef E
};

enum signature_hash {
#define E(id, number, text) HASH_##id = number,
	SIGNATURE_HASHES(E)
#undef E
};

/* The configuration's words, which entries and `show` use as well. "none" for what is not a number of
 * the table. */
static inline const char *encr_word(uint16_t number, uint16_t bits)
{
#define E(id, of, key_bits, word)                                                                            \
	if (number == (of) && bits == (key_bits))                                                            \
		return word;
	ENCR_ALGORITHMS(E)
#undef E
	return "none";
}

static inline const char *prf_word(uint16_t number)
{
#define E(id, of, bytes, word)                                                                               \
	if (number == (of))                                                                                  \
		return word;
	PRF_ALGORITHMS(E)
#undef E
	return "none";
}

static inline const char *dh_word(uint16_t number)
{
#define E(id, of, bytes, word)                                                                               \
	if (number == (of))                                                                                  \
		return word;
	DH_GROUPS(E)
#undef E
	return "none";
}

#define AEAD_SALT_SIZE_GCM 4  /* RFC 4106 section 8.1, RFC 7634 section 2 */
#define AEAD_KEY_MAX	   36 /* 32 of key and 4 of salt */
#define AEAD_IV_SIZE	   8
#define AEAD_ICV_SIZE	   16

#endif
