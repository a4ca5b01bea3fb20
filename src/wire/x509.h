/*
 * Where the SubjectPublicKeyInfo stands in a certificate (RFC 5280 section 4.1), and nothing else of it: CERTREQ names an authority by the hash of
 * its key (RFC 7296 section 3.7). Whether the certificate is any good is for the certifiers.
 */
#ifndef WIRE_X509_H
#define WIRE_X509_H

#include "base/rd.h"

/* False: it has not the form of a certificate. */
bool x509_public_key(const void *der, size_t n, const uint8_t **ret_spki, size_t *ret_n);

#endif
