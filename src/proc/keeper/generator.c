#include "proc/keeper/generator.h"

#include "crypto/prf.h"

#include <errno.h>
#include <sodium/crypto_stream_chacha20.h>
#include <sys/random.h>

void generator_init(struct generator *g, const char *label)
{
	*g = (struct generator){ .label = label };
}

bool generator_draw(struct generator *g, const uint8_t seed[GENERATOR_SEED_SIZE], void *ret_bytes, size_t n)
{
	static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
	const struct prf_part parts[] = { { g->label, strlen(g->label) }, { seed, GENERATOR_SEED_SIZE } };
	uint8_t stream[sizeof g->key + GENERATOR_OUTPUT_MAX];
	bool ok =
		n <= GENERATOR_OUTPUT_MAX &&
		prf_run(PRF_HMAC_SHA2_256, g->key, sizeof g->key, parts, COUNT_OF(parts), g->key) == RC_OK &&
		crypto_stream_chacha20_ietf(stream, sizeof g->key + n, nonce, g->key) == 0;

	if (ok) {
		memcpy(g->key, stream, sizeof g->key);
		memcpy(ret_bytes, stream + sizeof g->key, n);
	}
	bytes_wipe(stream, sizeof stream);
	return ok;
}

enum rc generator_fresh(struct generator *g, void *ret_bytes, size_t n, struct err *e)
{
	uint8_t seed[GENERATOR_SEED_SIZE];
	ssize_t got;
	bool ok;

	do
		got = getrandom(seed, sizeof seed, 0);
	while (got < 0 && errno == EINTR);
	if (got != sizeof seed)
		return err_errno(e, RC_IO, "getrandom");
	ok = generator_draw(g, seed, ret_bytes, n);
	bytes_wipe(seed, sizeof seed);
	return ok ? RC_OK
		  : err_add(e, RC_INTERNAL,
			    "the generator '%s' failed: libcrypto or libsodium reported an error", g->label);
}

void generator_done(struct generator *g)
{
	bytes_wipe(g->key, sizeof g->key);
}
