/*
 * The pseudorandom functions of IKEv2 and their expansion prf+ (RFC 7296 sections 2.13, 2.14; RFC 4868), by
 * the IANA number of the transform. Inputs that the RFC writes as a | b | c come as parts, so that no caller
 * concatenates secrets into a buffer of its own. Callers: src/keys, ike/nat.c, crypto/sign.c,
 * proc/keeper. Any thread.
 */
#ifndef CRYPTO_PRF_H
#define CRYPTO_PRF_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

#define PRF_SIZE_MAX	    48
#define PRF_PLUS_BLOCKS_MAX 255 /* RFC 7296 2.13: the block counter is one octet */

struct prf_part {
	const void *bytes;
	size_t n;
};

/* Octets of output, which is also the preferred key size: 32, 48; 0 when there is no such function here. */
size_t prf_size(uint16_t prf);

/* HMAC over the parts; any key length (RFC 7296 2.13: HMACs take keys of any size). ret_out gets
 * prf_size(prf). */
enum rc prf_run(uint16_t prf, const void *key, size_t key_n, const struct prf_part *parts, size_t parts_n,
	uint8_t *ret_out);

/* prf+(key, parts): n octets into ret_out; RC_LIMIT above 255 blocks. On failure ret_out is wiped. */
enum rc prf_plus(uint16_t prf, const void *key, size_t key_n, const struct prf_part *parts, size_t parts_n,
	uint8_t *ret_out, size_t n);

#endif
