/* SHA-1 for NAT detection; see sha1.h. */
#include "crypto/sha1.h"

#include <openssl/evp.h>

enum rc sha1_run(const struct prf_part *parts, size_t parts_n, uint8_t ret_digest[SHA1_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1;
	unsigned n = 0;

	for (size_t i = 0; good && i < parts_n; i++)
		good = EVP_DigestUpdate(ctx, parts[i].bytes, parts[i].n) == 1;
	good = good && EVP_DigestFinal_ex(ctx, ret_digest, &n) == 1 && n == SHA1_SIZE;
	EVP_MD_CTX_free(ctx);
	if (!good)
		memset(ret_digest, 0, SHA1_SIZE);
	return good ? RC_OK : RC_INTERNAL;
}
