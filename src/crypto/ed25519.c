#include "crypto/ed25519.h"
#include "base/bytes.h"

#include <sodium/crypto_sign_ed25519.h>

void ed25519_public(uint8_t ret_public[ED25519_PUBLIC_SIZE], const uint8_t seed[ED25519_SEED_SIZE])
{
	uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];

	crypto_sign_ed25519_seed_keypair(ret_public, secret, seed);
	bytes_wipe(secret, sizeof secret);
}

void ed25519_secret(uint8_t ret_secret[ED25519_SECRET_SIZE], const uint8_t seed[ED25519_SEED_SIZE])
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];

	_Static_assert(ED25519_SECRET_SIZE == crypto_sign_ed25519_SECRETKEYBYTES, "libsodium's secret key");
	crypto_sign_ed25519_seed_keypair(public_key, ret_secret, seed);
}

void ed25519_secret_sign(uint8_t ret_signature[ED25519_SIGNATURE_SIZE],
	const uint8_t secret[ED25519_SECRET_SIZE], const void *message, size_t n)
{
	crypto_sign_ed25519_detached(ret_signature, NULL, message, n, secret);
}

void ed25519_sign(uint8_t ret_signature[ED25519_SIGNATURE_SIZE], const uint8_t seed[ED25519_SEED_SIZE],
	const void *message, size_t n)
{
	uint8_t secret[ED25519_SECRET_SIZE];

	ed25519_secret(secret, seed);
	ed25519_secret_sign(ret_signature, secret, message, n);
	bytes_wipe(secret, sizeof secret);
}

bool ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_SIZE], const void *message, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	return crypto_sign_ed25519_verify_detached(signature, message, n, public_key) == 0;
}
