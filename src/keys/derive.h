/*
 * Key derivation of IKEv2 (RFC 7296 sections 2.14, 2.17, 2.18) as pure functions over octets. Outputs are
 * secrets: the caller wipes them. Callers: src/keys, its known-answer tests.
 */
#ifndef KEYS_DERIVE_H
#define KEYS_DERIVE_H

#include "base/rd.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "model/keeper_api.h"

struct octets {
	const uint8_t *b;
	size_t n;
};

/* SK_d and SK_p of an IKE SA: what the keeper keeps. */
struct ike_keys {
	uint16_t prf_n;
	uint8_t sk_d[PRF_SIZE_MAX], sk_pi[PRF_SIZE_MAX], sk_pr[PRF_SIZE_MAX];
};

/* With SK_e, which is ike's, and behind it SK_a, which an AEAD has not. */
struct ike_keys_all {
	struct ike_keys sk;
	uint16_t sk_e_n;			      /* octets of both */
	uint8_t sk_ei[KEYMAT_MAX], sk_er[KEYMAT_MAX]; /* with an AEAD key and salt, RFC 5282 section 7.1 */
};

/*
 * Our secret of a group and its public value, of a seed. known: that value, where it was computed before (n is then
 * dh_public_size() of the group); of another length it is computed.
 */
enum rc derive_dh(uint16_t group, const uint8_t seed[DH_SEED_SIZE], struct octets known,
	struct dh_secret *ret_secret, uint8_t *ret_public);

/* 2.14: SKEYSEED = prf(Ni | Nr, g^ir). */
enum rc derive_skeyseed(
	uint16_t prf, struct octets ni, struct octets nr, struct octets shared, uint8_t *ret_skeyseed);

/*
 * 2.18: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), with the old SA's prf. RFC 9370 section 2.2.2: the same with
 * the result of an additional key exchange, SK_d as it was before it and the nonces of IKE_SA_INIT.
 */
enum rc derive_skeyseed_rekey(uint16_t old_prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, uint8_t *ret_skeyseed);

/* RFC 9370 section 2.2.4: SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | ... | SK(n)); shared: SK(0), followed: the others. */
enum rc derive_skeyseed_followed(uint16_t old_prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, struct octets followed, uint8_t *ret_skeyseed);

/*
 * RFC 9242 section 3.3.2: IntAuth of a direction after one more message: prf(SK_p, IntAuth before it | message), where the
 * message is its header, the header of its SK payload and what that holds. before.n is 0 for the first one.
 */
enum rc derive_int_auth(uint16_t prf, const uint8_t *sk_p, struct octets before, struct octets message,
	uint8_t *ret_int_auth);

/*
 * 2.14: {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr). sk_n: octets of SK_e and SK_a,
 * of which SK_a has sk_a_n.
 */
enum rc derive_ike_keys(uint16_t prf, struct octets skeyseed, struct octets ni, struct octets nr,
	const uint8_t spi_i[8], const uint8_t spi_r[8], size_t sk_n, size_t sk_a_n,
	struct ike_keys_all *ret_keys);

/* RFC 8784 section 3: SK_d, SK_pi and SK_pr each become prf+(PPK, what they were). SK_e stays. */
enum rc derive_with_ppk(uint16_t prf, struct octets ppk, struct ike_keys *keys);

/*
 * 2.17: KEYMAT = prf+(SK_d, Ni | Nr), or prf+(SK_d, g^ir (new) | Ni | Nr) when shared.n is not 0; RFC 9370 section 2.2.4: behind
 * the nonces `followed`, what the additional key exchanges gave. The first key_n of its 2 * key_n octets protect what the initiator of this
 * exchange sends.
 */
enum rc derive_keymat(uint16_t prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, struct octets followed, uint8_t *ret_initiator, uint8_t *ret_responder,
	size_t key_n);

#endif
