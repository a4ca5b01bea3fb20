/*
 * Key derivation of IKEv2 (RFC 7296 sections 2.14, 2.17, 2.18) as pure functions over octets. Outputs are
 * secrets: the caller wipes them. Callers: src/keys, its known-answer tests.
 */
#ifndef KEYS_DERIVE_H
#define KEYS_DERIVE_H

#include "base/rd.h"
#include "crypto/prf.h"
#include "model/keeper_api.h"

struct octets {
	const uint8_t *b;
	size_t n;
};

/* SK_d, SK_p and SK_e of an IKE SA with an AEAD: there is no SK_a. */
struct ike_keys {
	uint16_t prf_n, sk_e_n;
	uint8_t sk_d[PRF_SIZE_MAX], sk_pi[PRF_SIZE_MAX], sk_pr[PRF_SIZE_MAX];
	uint8_t sk_ei[AEAD_KEY_MAX], sk_er[AEAD_KEY_MAX]; /* key and salt, RFC 5282 section 7.1 */
};

/* 2.14: SKEYSEED = prf(Ni | Nr, g^ir). */
enum rc derive_skeyseed(
	uint16_t prf, struct octets ni, struct octets nr, struct octets shared, uint8_t *ret_skeyseed);

/* 2.18: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), with the old SA's prf. */
enum rc derive_skeyseed_rekey(uint16_t old_prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, uint8_t *ret_skeyseed);

/* 2.14: {SK_d | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr). */
enum rc derive_ike_keys(uint16_t prf, struct octets skeyseed, struct octets ni, struct octets nr,
	const uint8_t spi_i[8], const uint8_t spi_r[8], size_t sk_e_n, struct ike_keys *ret_keys);

/* RFC 8784 section 3: SK_d, SK_pi and SK_pr each become prf+(PPK, what they were). SK_e stays. */
enum rc derive_with_ppk(uint16_t prf, struct octets ppk, struct ike_keys *keys);

/*
 * 2.17: KEYMAT = prf+(SK_d, Ni | Nr), or prf+(SK_d, g^ir (new) | Ni | Nr) when shared.n is not 0. The first
 * key_n of its 2 * key_n octets protect what the initiator of this exchange sends.
 */
enum rc derive_keymat(uint16_t prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, uint8_t *ret_initiator, uint8_t *ret_responder, size_t key_n);

#endif
