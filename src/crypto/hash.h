/*
 * SHA-256 over libcrypto, which uses the processor's instructions where it has them. Used by merkle, ledger,
 * verify and the supervisor.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

void sha256(uint8_t ret_hash[SHA256_SIZE], const void *bytes, size_t n);

/* Several ranges one after the other, as if they stood together. */
struct sha256_part {
	const void *bytes;
	size_t n;
};
void sha256_parts(uint8_t ret_hash[SHA256_SIZE], const struct sha256_part *parts, size_t parts_n);

/* For input in pieces. The state belongs to the caller, who ends it with sha256_done(). */
struct sha256_state {
	void *context;
};
struct sha256_state sha256_begin(void);
void sha256_more(struct sha256_state *s, const void *bytes, size_t n);
void sha256_done(struct sha256_state *s, uint8_t ret_hash[SHA256_SIZE]);

#endif
