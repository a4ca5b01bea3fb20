#include "crypto/prf.h"

#include "crypto/hmac.h"

#include <assert.h>

#define E(id, number, bytes, word) _Static_assert((bytes) <= PRF_SIZE_MAX, word);
PRF_ALGORITHMS(E)
#undef E

static const char *digest_name(uint16_t prf)
{
	switch (prf) {
	case PRF_HMAC_SHA2_256:
		return "SHA256";
	case PRF_HMAC_SHA2_384:
		return "SHA384";
	}
	return NULL;
}

size_t prf_size(uint16_t prf)
{
	switch (prf) {
#define E(id, number, bytes, word)                                                                           \
	case number:                                                                                         \
		return bytes;
		PRF_ALGORITHMS(E)
#undef E
	}
	return 0;
}

enum rc prf_run(uint16_t prf, const void *key, size_t key_n, const struct prf_part *parts, size_t parts_n,
	uint8_t *ret_out)
{
	const char *digest = digest_name(prf);

	return digest ? hmac_run(digest, key, key_n, parts, parts_n, ret_out, prf_size(prf)) : RC_UNSUPPORTED;
}

/* RFC 7296 2.13: prf+ (K,S) = T1 | T2 | …, T1 = prf (K, S | 0x01), Ti = prf (K, Ti-1 | S | i). */
enum rc prf_plus(uint16_t prf, const void *key, size_t key_n, const struct prf_part *parts, size_t parts_n,
	uint8_t *ret_out, size_t n)
{
	const char *digest = digest_name(prf);
	size_t size = prf_size(prf), done = 0;
	uint8_t block[PRF_SIZE_MAX];
	EVP_MAC_CTX *keyed;
	bool ok;

	if (!digest)
		return RC_UNSUPPORTED;
	if (n > PRF_PLUS_BLOCKS_MAX * size)
		return RC_LIMIT;
	assert(size > 0 && size <= sizeof block);
	keyed = hmac_start(digest, key, key_n);
	ok = keyed != NULL;
	for (uint8_t i = 1; ok && done < n; i++) {
		EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(keyed);
		size_t got = 0, take = MIN_OF(n - done, size);

		ok = ctx && (i == 1 || EVP_MAC_update(ctx, block, size) == 1) &&
		     hmac_feed(ctx, parts, parts_n) && EVP_MAC_update(ctx, &i, 1) == 1 &&
		     EVP_MAC_final(ctx, block, &got, sizeof block) == 1 && got == size;
		EVP_MAC_CTX_free(ctx);
		if (ok)
			memcpy(ret_out + done, block, take);
		done += take;
	}
	EVP_MAC_CTX_free(keyed);
	bytes_wipe(block, sizeof block);
	if (!ok)
		bytes_wipe(ret_out, n);
	return ok ? RC_OK : RC_INTERNAL;
}
