#include "keys/derive.h"

#define PART(o) { (o).b, (o).n }

enum rc derive_dh(uint16_t group, const uint8_t seed[DH_SEED_SIZE], struct octets known,
	struct dh_secret *ret_secret, uint8_t *ret_public)
{
	if (known.n == 0 || known.n != dh_public_size(group))
		return dh_generate(ret_secret, ret_public, group, seed);
	memcpy(ret_public, known.b, known.n);
	return dh_generate(ret_secret, NULL, group, seed);
}

enum rc derive_skeyseed(
	uint16_t prf, struct octets ni, struct octets nr, struct octets shared, uint8_t *ret_skeyseed)
{
	uint8_t key[2 * KEEPER_NONCE_MAX];
	const struct prf_part part = PART(shared);

	if (ni.n > KEEPER_NONCE_MAX || nr.n > KEEPER_NONCE_MAX)
		return RC_RANGE;
	memcpy(key, ni.b, ni.n);
	memcpy(key + ni.n, nr.b, nr.n);
	return prf_run(prf, key, ni.n + nr.n, &part, 1, ret_skeyseed);
}

enum rc derive_skeyseed_rekey(uint16_t old_prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, uint8_t *ret_skeyseed)
{
	const struct prf_part parts[] = { PART(shared), PART(ni), PART(nr) };

	return prf_run(old_prf, sk_d.b, sk_d.n, parts, COUNT_OF(parts), ret_skeyseed);
}

enum rc derive_skeyseed_followed(uint16_t old_prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, struct octets followed, uint8_t *ret_skeyseed)
{
	const struct prf_part parts[] = { PART(shared), PART(ni), PART(nr), PART(followed) };

	return prf_run(old_prf, sk_d.b, sk_d.n, parts, COUNT_OF(parts), ret_skeyseed);
}

enum rc derive_ike_keys(uint16_t prf, struct octets skeyseed, struct octets ni, struct octets nr,
	const uint8_t spi_i[8], const uint8_t spi_r[8], size_t sk_n, size_t sk_a_n,
	struct ike_keys_all *ret_keys)
{
	const struct prf_part parts[] = { PART(ni), PART(nr), { spi_i, 8 }, { spi_r, 8 } };
	uint8_t stream[3 * PRF_SIZE_MAX + 2 * KEYMAT_MAX];
	size_t n = prf_size(prf), all = 3 * n + 2 * sk_n, sk_e_n = sk_n - sk_a_n;
	struct rd r;
	enum rc rc;

	memset(ret_keys, 0, sizeof *ret_keys);
	if (n == 0 || sk_n > KEYMAT_MAX || sk_a_n > sk_n)
		return RC_UNSUPPORTED;
	rc = prf_plus(prf, skeyseed.b, skeyseed.n, parts, COUNT_OF(parts), stream, all);
	if (rc == RC_OK) {
		r = rd_over(stream, all);
		ret_keys->sk.prf_n = (uint16_t)n;
		ret_keys->sk_e_n = (uint16_t)sk_n;
		rd_copy(&r, ret_keys->sk.sk_d, n);
		rd_copy(&r, ret_keys->sk_ei + sk_e_n, sk_a_n);
		rd_copy(&r, ret_keys->sk_er + sk_e_n, sk_a_n);
		rd_copy(&r, ret_keys->sk_ei, sk_e_n);
		rd_copy(&r, ret_keys->sk_er, sk_e_n);
		rd_copy(&r, ret_keys->sk.sk_pi, n);
		rd_copy(&r, ret_keys->sk.sk_pr, n);
	}
	bytes_wipe(stream, sizeof stream);
	return rc;
}

enum rc derive_int_auth(
	uint16_t prf, const uint8_t *sk_p, struct octets before, struct octets message, uint8_t *ret_int_auth)
{
	const struct prf_part parts[] = { PART(before), PART(message) };

	return prf_run(prf, sk_p, prf_size(prf), parts, COUNT_OF(parts), ret_int_auth);
}

enum rc derive_with_ppk(uint16_t prf, struct octets ppk, struct ike_keys *keys)
{
	uint8_t *const all[] = { keys->sk_d, keys->sk_pi, keys->sk_pr };
	uint8_t old[PRF_SIZE_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(all); i++) {
		const struct prf_part part = { old, keys->prf_n };

		memcpy(old, all[i], keys->prf_n);
		rc = prf_plus(prf, ppk.b, ppk.n, &part, 1, all[i], keys->prf_n);
	}
	bytes_wipe(old, sizeof old);
	return rc;
}

enum rc derive_keymat(uint16_t prf, struct octets sk_d, struct octets ni, struct octets nr,
	struct octets shared, struct octets followed, uint8_t *ret_initiator, uint8_t *ret_responder,
	size_t key_n)
{
	const struct prf_part parts[] = { PART(shared), PART(ni), PART(nr), PART(followed) };
	uint8_t stream[2 * KEYMAT_MAX];
	enum rc rc;

	if (key_n == 0 || key_n > KEYMAT_MAX)
		return RC_UNSUPPORTED;
	rc = prf_plus(prf, sk_d.b, sk_d.n, parts, COUNT_OF(parts), stream, 2 * key_n);
	if (rc == RC_OK) {
		memcpy(ret_initiator, stream, key_n);
		memcpy(ret_responder, stream + key_n, key_n);
	}
	bytes_wipe(stream, sizeof stream);
	return rc;
}
