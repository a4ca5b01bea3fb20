#include "crypto/hmac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

static EVP_MAC_CTX *unkeyed_new(const char *digest)
{
	OSSL_PARAM params[2] = {
		/* The library reads the name only; its parameter type has no const. */
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac); /* the context holds its own reference */
	if (ctx && EVP_MAC_CTX_set_params(ctx, params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

/*
 * A context without a key for each digest, made once: to find HMAC and its digest by their names takes longer than the HMAC
 * of a short message. Each HMAC gets a copy, so that no key outlives its use.
 */
static const EVP_MAC_CTX *unkeyed(const char *digest)
{
	static struct {
		const char *digest;
		EVP_MAC_CTX *context;
	} known[] = { { "SHA256", NULL }, { "SHA384", NULL }, { "SHA512", NULL } };
	size_t i = 0;

	while (i < COUNT_OF(known) && strcmp(known[i].digest, digest) != 0)
		i++;
	if (i == COUNT_OF(known))
		return NULL;
	if (!known[i].context)
		known[i].context = unkeyed_new(digest);
	return known[i].context;
}

EVP_MAC_CTX *hmac_start(const char *digest, const void *key, size_t key_n)
{
	const EVP_MAC_CTX *from = unkeyed(digest);
	EVP_MAC_CTX *ctx = from ? EVP_MAC_CTX_dup(from) : NULL;

	/* An empty key must not be a null pointer: libcrypto takes that for "keep the old one". */
	if (ctx && EVP_MAC_init(ctx, key_n ? key : (const void *)"", key_n, NULL) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

bool hmac_feed(EVP_MAC_CTX *ctx, const struct prf_part *parts, size_t parts_n)
{
	for (size_t i = 0; i < parts_n; i++)
		if (parts[i].n > 0 && EVP_MAC_update(ctx, parts[i].bytes, parts[i].n) != 1)
			return false;
	return true;
}

enum rc hmac_run(const char *digest, const void *key, size_t key_n, const struct prf_part *parts,
	size_t parts_n, uint8_t *ret_out, size_t size)
{
	EVP_MAC_CTX *ctx = hmac_start(digest, key, key_n);
	size_t got = 0;
	bool ok = ctx && hmac_feed(ctx, parts, parts_n) && EVP_MAC_final(ctx, ret_out, &got, size) == 1 &&
		  got == size;

	EVP_MAC_CTX_free(ctx);
	if (!ok)
		bytes_wipe(ret_out, size);
	return ok ? RC_OK : RC_INTERNAL;
}
