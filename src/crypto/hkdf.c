#include "crypto/hkdf.h"

enum rc hkdf_extract(
	uint16_t prf, const void *salt, size_t salt_n, const void *input, size_t input_n, uint8_t *ret_key)
{
	const struct prf_part part = { input, input_n };

	return prf_run(prf, salt, salt_n, &part, 1, ret_key);
}

/* RFC 5869's T(i) = HMAC(PRK, T(i-1) | info | i) is RFC 7296's prf+ letter by letter. */
enum rc hkdf_expand(uint16_t prf, const void *key, size_t key_n, const void *info, size_t info_n,
	uint8_t *ret_out, size_t n)
{
	const struct prf_part part = { info, info_n };

	return prf_plus(prf, key, key_n, &part, 1, ret_out, n);
}
