/*
 * How public values are derived by the verifiable random function (crypto/vrf.h): nonce and SPI of an
 * exchange are parts of its 64 octets of output. The keeper makes them, src/verify computes them again: one
 * fact, here.
 *
 * alpha = label || public key of the epoch || counter, big-endian. The counter starts at 1 in each epoch
 * (each key) and has no gaps: an exchange takes the next count when it begins, so the keeper cannot choose
 * another order. Each count is in an entry: that of the exchange's success, or exchange_failed.
 *
 * octets  0..31   the nonce that is sent
 * octets 32..39   IKE SA: our SPI; if it is all zero, the exchange is refused and the count is used up
 * octets 32..63   child SA: eight candidates for the inbound SPI; the first that is neither reserved (below
 *                 256) nor in use
 */
#ifndef MODEL_PUBLIC_VALUES_H
#define MODEL_PUBLIC_VALUES_H

#include "base/bytes.h"

#define PUBLIC_KEY_SIZE	    32
#define PUBLIC_PROOF_SIZE   80
#define PUBLIC_SIZE	    64 /* octets of one output */
#define PUBLIC_NONCE_AT	    0
#define PUBLIC_SPI_AT	    32
#define PUBLIC_LABEL	    "plaingate/public-values/v1"
/*
 * An exchange is named in an entry before this many more have begun, or it is ended: so far may entries be
 * out of order.
 */
#define PUBLIC_ORDER_WINDOW 4096
#define PUBLIC_ALPHA_SIZE   (sizeof PUBLIC_LABEL - 1 + PUBLIC_KEY_SIZE + 8)

/* What an entry states about the public values of an exchange. */
struct public_proof {
	uint32_t count; /* 0: none */
	uint32_t epoch; /* which epoch of this keeper process, from 1; not in entries */
	uint8_t proof[PUBLIC_PROOF_SIZE];
};

static inline void public_alpha(
	uint8_t ret_alpha[PUBLIC_ALPHA_SIZE], const uint8_t key[PUBLIC_KEY_SIZE], uint64_t count)
{
	size_t n = sizeof PUBLIC_LABEL - 1;

	memcpy(ret_alpha, PUBLIC_LABEL, n);
	memcpy(ret_alpha + n, key, PUBLIC_KEY_SIZE);
	store_be64(ret_alpha + n + PUBLIC_KEY_SIZE, count);
}

#endif
