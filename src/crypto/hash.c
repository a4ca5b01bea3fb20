#include "crypto/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* Fetched once: the lookup by name costs more than the hash of a ledger entry. */
static const EVP_MD *md_sha256(void)
{
	static EVP_MD *md;

	if (!md && !(md = EVP_MD_fetch(NULL, "SHA256", NULL)))
		abort(); /* a libcrypto without SHA-256 is no libcrypto */
	return md;
}

static EVP_MD_CTX *scratch(void)
{
	static _Thread_local EVP_MD_CTX *c;

	if (!c && !(c = EVP_MD_CTX_new()))
		abort();
	return c;
}

void sha256_parts(uint8_t ret_hash[SHA256_SIZE], const struct sha256_part *parts, size_t parts_n)
{
	EVP_MD_CTX *c = scratch();
	int good = EVP_DigestInit_ex2(c, md_sha256(), NULL);

	for (size_t i = 0; i < parts_n; i++)
		good &= EVP_DigestUpdate(c, parts[i].bytes, parts[i].n);
	good &= EVP_DigestFinal_ex(c, ret_hash, NULL);
	if (!good)
		abort(); /* a wrong hash would be worse than no process */
}

void sha256(uint8_t ret_hash[SHA256_SIZE], const void *bytes, size_t n)
{
	sha256_parts(ret_hash, &(struct sha256_part){ bytes, n }, 1);
}

struct sha256_state sha256_begin(void)
{
	struct sha256_state s = { EVP_MD_CTX_new() };

	if (!s.context || !EVP_DigestInit_ex2(s.context, md_sha256(), NULL))
		abort();
	return s;
}

void sha256_more(struct sha256_state *s, const void *bytes, size_t n)
{
	if (!EVP_DigestUpdate(s->context, bytes, n))
		abort();
}

void sha256_done(struct sha256_state *s, uint8_t ret_hash[SHA256_SIZE])
{
	if (!EVP_DigestFinal_ex(s->context, ret_hash, NULL))
		abort();
	EVP_MD_CTX_free(s->context);
	s->context = NULL;
}
