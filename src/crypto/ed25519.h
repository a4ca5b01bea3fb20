/*
 * Ed25519 (RFC 8032) over libsodium, from and to bytes: for the ledger's notes. IKE's signatures are in
 * crypto/sign.h.
 */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ED25519_SEED_SIZE      32
#define ED25519_PUBLIC_SIZE    32
#define ED25519_SIGNATURE_SIZE 64
#define ED25519_SECRET_SIZE    64 /* a seed and its public key */

void ed25519_public(uint8_t ret_public[ED25519_PUBLIC_SIZE], const uint8_t seed[ED25519_SEED_SIZE]);
/* For more than one signature: with it, each takes half of what it takes with the seed alone. */
void ed25519_secret(uint8_t ret_secret[ED25519_SECRET_SIZE], const uint8_t seed[ED25519_SEED_SIZE]);
void ed25519_secret_sign(uint8_t ret_signature[ED25519_SIGNATURE_SIZE],
	const uint8_t secret[ED25519_SECRET_SIZE], const void *message, size_t n);
void ed25519_sign(uint8_t ret_signature[ED25519_SIGNATURE_SIZE], const uint8_t seed[ED25519_SEED_SIZE],
	const void *message, size_t n);
/* Strict: low-order points and non-canonical encodings are refused. */
bool ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_SIZE], const void *message, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE]);

#endif
