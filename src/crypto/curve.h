/*
 * The NIST curves of libcrypto, by its number of them (NID_…), each made once: to set up a group takes longer than some of the
 * arithmetic in it. What is handed out is constant. Private to src/crypto: dh.c, ecdsa.c.
 */
#ifndef CRYPTO_CURVE_H
#define CRYPTO_CURVE_H

#include <openssl/ec.h>

/* NULL: not P-256, P-384 or P-521, or out of memory. Borrowed for the life of the process. */
const EC_GROUP *curve_group(int nid);

#endif
