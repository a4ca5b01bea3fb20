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

void ed25519_public(uint8_t ret_public[ED25519_PUBLIC_SIZE], const uint8_t seed[ED25519_SEED_SIZE]);
void ed25519_sign(uint8_t ret_signature[ED25519_SIGNATURE_SIZE], const uint8_t seed[ED25519_SEED_SIZE],
	const void *message, size_t n);
/* Strict: low-order points and non-canonical encodings are refused. */
bool ed25519_verify(const uint8_t public_key[ED25519_PUBLIC_SIZE], const void *message, size_t n,
	const uint8_t signature[ED25519_SIGNATURE_SIZE]);

#endif
