/*
 * The algorithms that Plaingate negotiates, by their IANA numbers ("Internet Key Exchange Version 2 Parameters"):
 * one table per transform type. The configuration's keywords, the wire's numbers and the documentation come from here.
 */
#ifndef MODEL_ALGORITHMS_H
#define MODEL_ALGORITHMS_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define INTEG_ALGORITHMS(I)	/* id, IANA number, octets of the key, of the ICV, digest of libcrypto */	\
	I(HMAC_SHA2_256, 12, 32, 16, "SHA256")	/* RFC 4868; for peers that have no AEAD, with AES-CBC */	\
	I(HMAC_SHA2_384, 13, 48, 24, "SHA384")								\
	I(HMAC_SHA2_512, 14, 64, 32, "SHA512")

/*
 * Each row protects messages and packets by itself: the AEADs (salt in KEYMAT, ICV of 16), and AES-CBC (RFC 3602) with an integrity
 * algorithm, which are one thing here though the wire names two: neither is anything without the other.
 */
#define ENCR_ALGORITHMS(E)	/* id, number, key bits, keyword */						\
	E(AES128_GCM16,      20, 128, "aes128gcm16")		/* RFC 4106, RFC 5282 */			\
	E(AES256_GCM16,      20, 256, "aes256gcm16")								\
	E(CHACHA20_POLY1305, 28, 256, "chacha20poly1305")	/* RFC 7634; no key length attribute */	\
	E(AES128_CBC_SHA256, ENCR_AES_CBC_SHA256, 128, "aes128cbcsha256")					\
	E(AES256_CBC_SHA256, ENCR_AES_CBC_SHA256, 256, "aes256cbcsha256")					\
	E(AES128_CBC_SHA384, ENCR_AES_CBC_SHA384, 128, "aes128cbcsha384")					\
	E(AES256_CBC_SHA384, ENCR_AES_CBC_SHA384, 256, "aes256cbcsha384")					\
	E(AES128_CBC_SHA512, ENCR_AES_CBC_SHA512, 128, "aes128cbcsha512")					\
	E(AES256_CBC_SHA512, ENCR_AES_CBC_SHA512, 256, "aes256cbcsha512")

#define PRF_ALGORITHMS(P)	/* id, IANA number, output bytes, keyword */	\
	P(HMAC_SHA2_256, 5, 32, "prfsha256")	/* RFC 4868 */			\
	P(HMAC_SHA2_384, 6, 48, "prfsha384")

#define DH_GROUPS(D)		/* id, IANA number, bytes in the KE payload, keyword */	\
	D(MODP_2048,  14, 256, "modp2048")	/* RFC 3526; for peers that have no others */	\
	D(MODP_3072,  15, 384, "modp3072")						\
	D(MODP_4096,  16, 512, "modp4096")						\
	D(ECP_256,    19, 64, "ecp256")		/* RFC 5903 */				\
	D(ECP_384,    20, 96, "ecp384")							\
	D(CURVE25519, 31, 32, "x25519")		/* RFC 8031 */

#define MLKEM_SETS(M)		/* id, IANA number (of the DH groups), octets of the encapsulation key, of the ciphertext, name, keyword */	\
	M(768,  36, 1184, 1088, "ML-KEM-768",  "ml-kem-768")	/* FIPS 203, by RFC 9370 in an additional key exchange */		\
	M(1024, 37, 1568, 1568, "ML-KEM-1024", "ml-kem-1024")

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

enum integ_number {
#define E(id, number, key_n, icv_n, digest) INTEG_##id = number,
	INTEG_ALGORITHMS(E)
#undef E
};

/* The IANA number of the encryption algorithm, and above its octet that of the integrity algorithm, 0 for an AEAD. */
enum encr_number {
	ENCR_AES_CBC = 12,
	ENCR_AES_GCM_16 = 20,
	ENCR_CHACHA20_POLY1305 = 28,
	ENCR_AES_CBC_SHA256 = ENCR_AES_CBC | INTEG_HMAC_SHA2_256 << 8,
	ENCR_AES_CBC_SHA384 = ENCR_AES_CBC | INTEG_HMAC_SHA2_384 << 8,
	ENCR_AES_CBC_SHA512 = ENCR_AES_CBC | INTEG_HMAC_SHA2_512 << 8,
};

/* The two numbers of the wire. */
static inline uint16_t encr_transform(uint16_t encr)
{
	return encr & 0xff;
}

static inline uint16_t integ_transform(uint16_t encr)
{
	return encr >> 8;
}

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

enum mlkem_number {
#define E(id, number, key_n, ciphertext_n, name, word) MLKEM_##id = number,
	MLKEM_SETS(E)
#undef E
};

/* Additional key exchanges of one IKE SA: each of MLKEM_SETS once; RFC 9370 has numbers for seven. */
#define ADDITIONAL_MAX 2

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

/* For peers that have no better one: used only where a proposal says legacy-algorithms, and marked wherever it is named. */
static inline bool dh_is_legacy(uint16_t number)
{
	return number == DH_MODP_2048 || number == DH_MODP_3072 || number == DH_MODP_4096;
}

static inline bool encr_is_legacy(uint16_t encr)
{
	return encr_transform(encr) == ENCR_AES_CBC;
}

/* At the end of a list of algorithms: the mark, or nothing. */
static inline const char *legacy_mark(uint16_t encr, uint16_t dh)
{
	return encr_is_legacy(encr) || dh_is_legacy(dh) ? " (legacy)" : "";
}

/* Of a Diffie-Hellman group or of an additional key exchange. */
static inline const char *kem_word(uint16_t number)
{
#define E(id, of, key_n, ciphertext_n, name, word)                                                           \
	if (number == (of))                                                                                  \
		return word;
	MLKEM_SETS(E)
#undef E
	return "none";
}

#define AEAD_SALT_SIZE_GCM 4  /* RFC 4106 section 8.1, RFC 7634 section 2 */
#define AEAD_KEY_MAX	   36 /* 32 of key and 4 of salt */
#define AEAD_IV_SIZE	   8
#define AEAD_ICV_SIZE	   16

#define CBC_BLOCK_SIZE 16 /* the IV's size as well: RFC 3602 section 3 */
#define INTEG_KEY_MAX  64
#define INTEG_ICV_MAX  32

/* Keying material of one direction: key and salt, or the key of the encryption and that of the integrity algorithm (RFC 7296 section 2.17). */
#define KEYMAT_MAX (32 + INTEG_KEY_MAX)

/* Octets of one of them; 0: no such integrity algorithm. */
static inline uint16_t integ_key_size(uint16_t integ)
{
#define E(id, of, key_n, icv_n, digest)                                                                      \
	if (integ == (of))                                                                                   \
		return key_n;
	INTEG_ALGORITHMS(E)
#undef E
	return 0;
}

static inline uint16_t integ_icv_size(uint16_t integ)
{
#define E(id, of, key_n, icv_n, digest)                                                                      \
	if (integ == (of))                                                                                   \
		return icv_n;
	INTEG_ALGORITHMS(E)
#undef E
	return 0;
}

/* What a message or packet has around its ciphertext, and of what its length is a multiple. */
static inline uint16_t encr_iv_size(uint16_t encr)
{
	return encr_transform(encr) == ENCR_AES_CBC ? CBC_BLOCK_SIZE : AEAD_IV_SIZE;
}

static inline uint16_t encr_icv_size(uint16_t encr)
{
	return integ_transform(encr) ? integ_icv_size(integ_transform(encr)) : AEAD_ICV_SIZE;
}

static inline uint16_t encr_block_size(uint16_t encr)
{
	return encr_transform(encr) == ENCR_AES_CBC ? CBC_BLOCK_SIZE : 1;
}

#endif
