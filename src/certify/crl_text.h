/* The CRLs of a file: one in DER, or any in PEM. What they say is the engines' to read. Pure. Callers: proc/certifier. */
#ifndef CERTIFY_CRL_TEXT_H
#define CERTIFY_CRL_TEXT_H

#include "certify/certify.h"

/*
 * ret_octets has room for n octets; ret_crls, for max, point into it. RC_MALFORMED: neither, or something else stands there as well. RC_LIMIT:
 * more than max, or one longer than CERTIFY_CRL_BYTES_MAX. RC_INTERNAL: out of memory.
 */
enum rc crls_read(const uint8_t *file, size_t n, uint8_t *ret_octets, struct certify_der *ret_crls,
	size_t max, size_t *ret_n, struct err *e);

#endif
