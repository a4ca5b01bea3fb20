#include "crypto/hkdf.h"

enum rc hkdf_extract(const void *salt, size_t salt_n, const struct prf_part *material, size_t material_n,
	uint8_t ret_key[HKDF_KEY_SIZE])
{
	_Static_assert(HKDF_KEY_SIZE == 32, "the output of HMAC-SHA-256");
	return prf_run(PRF_HMAC_SHA2_256, salt, salt_n, material, material_n, ret_key);
}

/* RFC 5869 2.3: T(i) = HMAC(PRK, T(i-1) | info | i), which is prf+ (RFC 7296 2.13). */
enum rc hkdf_expand(
	const uint8_t key[HKDF_KEY_SIZE], const void *info, size_t info_n, uint8_t *ret_out, size_t n)
{
	const struct prf_part part = { info, info_n };

	return prf_plus(PRF_HMAC_SHA2_256, key, HKDF_KEY_SIZE, &part, 1, ret_out, n);
}
