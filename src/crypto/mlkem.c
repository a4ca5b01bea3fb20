#include "crypto/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/*
 * Names of parameters as libcrypto 3.5 has them. The headers of 3.0 lack the first two, and the binary must
 * be the same whichever it was built with.
 */
#define PARAM_SEED   "seed"
#define PARAM_RANDOM "ikme"
#define PARAM_KEY    "pub"

#define E(id, number, key_n, ciphertext_n, name, word)                                                       \
	_Static_assert((key_n) <= MLKEM_KEY_MAX && (ciphertext_n) <= MLKEM_CIPHERTEXT_MAX, name);
MLKEM_SETS(E)
#undef E

static const char *set_name(uint16_t set)
{
	switch (set) {
#define E(id, number, key_n, ciphertext_n, name, word)                                                       \
	case number:                                                                                         \
		return name;
		MLKEM_SETS(E)
#undef E
	}
	return NULL;
}

size_t mlkem_key_size(uint16_t set)
{
	switch (set) {
#define E(id, number, key_n, ciphertext_n, name, word)                                                       \
	case number:                                                                                         \
		return key_n;
		MLKEM_SETS(E)
#undef E
	}
	return 0;
}

size_t mlkem_ciphertext_size(uint16_t set)
{
	switch (set) {
#define E(id, number, key_n, ciphertext_n, name, word)                                                       \
	case number:                                                                                         \
		return ciphertext_n;
		MLKEM_SETS(E)
#undef E
	}
	return 0;
}

/* NULL: this libcrypto does not have it. What it says about that stays out of the thread's error queue. */
static EVP_PKEY_CTX *set_new(uint16_t set)
{
	const char *name = set_name(set);
	EVP_PKEY_CTX *ctx;

	if (!name)
		return NULL;
	ERR_set_mark();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, name, NULL);
	if (ctx && EVP_PKEY_keygen_init(ctx) != 1) {
		EVP_PKEY_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_pop_to_mark();
	return ctx;
}

bool mlkem_available(uint16_t set)
{
	EVP_PKEY_CTX *ctx = set_new(set);

	EVP_PKEY_CTX_free(ctx);
	return ctx != NULL;
}

static enum rc unsupported(uint16_t set, struct err *e)
{
	const char *name = set_name(set);

	if (!name)
		return err_add(
			e, RC_UNSUPPORTED, "key exchange method %u is not ML-KEM-768 or ML-KEM-1024", set);
	return err_add(e, RC_UNSUPPORTED, "%s needs libcrypto 3.5 or later; this one is %s", name,
		OpenSSL_version(OPENSSL_VERSION_STRING));
}

/* The key pair of a seed; NULL with *ret_rc. */
static EVP_PKEY *pair_new(uint16_t set, const uint8_t *seed, enum rc *ret_rc, struct err *e)
{
	uint8_t copy[MLKEM_SEED_SIZE]; /* OSSL_PARAM wants octets that are not const */
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(PARAM_SEED, copy, sizeof copy),
		OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *ctx = set_new(set);
	EVP_PKEY *pair = NULL;

	if (!ctx) {
		*ret_rc = unsupported(set, e);
		return NULL;
	}
	memcpy(copy, seed, sizeof copy);
	if (EVP_PKEY_CTX_set_params(ctx, params) != 1 || EVP_PKEY_generate(ctx, &pair) != 1) {
		EVP_PKEY_free(pair);
		pair = NULL;
		*ret_rc = err_add(e, RC_INTERNAL, "libcrypto made no %s key of a seed", set_name(set));
	}
	bytes_wipe(copy, sizeof copy);
	EVP_PKEY_CTX_free(ctx);
	return pair;
}

enum rc mlkem_generate(struct mlkem_secret *ret_secret, uint8_t *ret_key, uint16_t set,
	const uint8_t seed[MLKEM_SEED_SIZE], struct err *e)
{
	size_t want = mlkem_key_size(set), n = 0;
	enum rc rc = RC_OK;
	EVP_PKEY *pair;

	memset(ret_secret, 0, sizeof *ret_secret);
	pair = pair_new(set, seed, &rc, e);
	if (!pair)
		return rc;
	if (EVP_PKEY_get_octet_string_param(pair, PARAM_KEY, ret_key, want, &n) == 1 && n == want) {
		ret_secret->set = set;
		memcpy(ret_secret->seed, seed, MLKEM_SEED_SIZE);
	} else {
		rc = err_add(e, RC_INTERNAL, "libcrypto gave no %s encapsulation key", set_name(set));
	}
	EVP_PKEY_free(pair);
	return rc;
}

/* The peer's encapsulation key; NULL: refused. */
static EVP_PKEY *public_new(uint16_t set, const void *key, size_t key_n)
{
	uint8_t copy[MLKEM_KEY_MAX];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(PARAM_KEY, copy, key_n),
		OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, set_name(set), NULL);
	EVP_PKEY *theirs = NULL;

	memcpy(copy, key, key_n);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &theirs, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		EVP_PKEY_free(theirs);
		theirs = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	return theirs;
}

static bool encapsulate(EVP_PKEY *theirs, const uint8_t *random, uint8_t *ret_ciphertext, size_t ciphertext_n,
	uint8_t *ret_shared)
{
	uint8_t m[MLKEM_RANDOM_SIZE];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(PARAM_RANDOM, m, sizeof m),
		OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, theirs, NULL);
	size_t n = ciphertext_n, shared_n = MLKEM_SHARED_SIZE;
	bool ok;

	memcpy(m, random, sizeof m);
	ok = ctx && EVP_PKEY_encapsulate_init(ctx, params) == 1 &&
	     EVP_PKEY_encapsulate(ctx, ret_ciphertext, &n, ret_shared, &shared_n) == 1 && n == ciphertext_n &&
	     shared_n == MLKEM_SHARED_SIZE;
	bytes_wipe(m, sizeof m);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

enum rc mlkem_encapsulate(uint16_t set, const void *key, size_t key_n,
	const uint8_t random[MLKEM_RANDOM_SIZE], uint8_t *ret_ciphertext,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e)
{
	size_t want = mlkem_key_size(set);
	enum rc rc = RC_OK;
	EVP_PKEY *theirs;

	bytes_wipe(ret_shared, MLKEM_SHARED_SIZE);
	if (!mlkem_available(set))
		return unsupported(set, e);
	if (key_n != want)
		return err_add(e, RC_RANGE, "the peer's key has %zu octets; %s needs %zu", key_n,
			set_name(set), want);
	ERR_set_mark();
	theirs = public_new(set, key, key_n);
	if (!theirs)
		rc = err_add(e, RC_MALFORMED, "the peer's %s key is not reduced modulo 3329 (FIPS 203 7.2)",
			set_name(set));
	else if (!encapsulate(theirs, random, ret_ciphertext, mlkem_ciphertext_size(set), ret_shared))
		rc = err_add(e, RC_INTERNAL, "libcrypto did not encapsulate to a %s key", set_name(set));
	ERR_pop_to_mark();
	if (rc != RC_OK)
		bytes_wipe(ret_shared, MLKEM_SHARED_SIZE);
	EVP_PKEY_free(theirs);
	return rc;
}

enum rc mlkem_decapsulate(const struct mlkem_secret *secret, const void *ciphertext, size_t ciphertext_n,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e)
{
	size_t want = mlkem_ciphertext_size(secret->set), n = MLKEM_SHARED_SIZE;
	EVP_PKEY_CTX *ctx = NULL;
	enum rc rc = RC_OK;
	EVP_PKEY *pair;

	bytes_wipe(ret_shared, MLKEM_SHARED_SIZE);
	if (want == 0)
		return err_add(e, RC_INTERNAL, "there is no ML-KEM secret to decapsulate with");
	if (ciphertext_n != want)
		return err_add(e, RC_RANGE, "the peer's ciphertext has %zu octets; %s needs %zu",
			ciphertext_n, set_name(secret->set), want);
	pair = pair_new(secret->set, secret->seed, &rc, e);
	if (!pair)
		return rc;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
	if (!ctx || EVP_PKEY_decapsulate_init(ctx, NULL) != 1 ||
		EVP_PKEY_decapsulate(ctx, ret_shared, &n, ciphertext, ciphertext_n) != 1 ||
		n != MLKEM_SHARED_SIZE) {
		bytes_wipe(ret_shared, MLKEM_SHARED_SIZE);
		rc = err_add(
			e, RC_INTERNAL, "libcrypto did not decapsulate with a %s key", set_name(secret->set));
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pair);
	return rc;
}

void mlkem_done(struct mlkem_secret *secret)
{
	bytes_wipe(secret, sizeof *secret);
}
