/* Certificates and CRLs for tests, by libcrypto, with a new key each. What fails ends the program. */
#ifndef TESTS_CERTIFY_MAKE_H
#define TESTS_CERTIFY_MAKE_H

#include "certify/certify.h"

#include <openssl/x509v3.h>

#define MADE_NOW 1796000000

struct made {
	X509 *c;
	EVP_PKEY *key;
	struct certify_der der;
};

struct make {
	const char *subject;	 /* its CN; C=CH and O=Example stand before it */
	const struct made *from; /* NULL: self-signed */
	const char *key;	 /* "P-256", "ED25519", "RSA2048"; NULL: P-256 */
	const EVP_MD *digest;	 /* NULL: SHA-256 */
	const char *constraints, *usage, *purposes, *names,
		*limits;      /* extensions as libcrypto's texts; NULL: absent */
	int64_t from_s, to_s; /* 0: MADE_NOW and an hour to both sides */
	bool unknown_critical;
};

struct made make_certificate(struct make m);
/* An authority: cA and keyCertSign, cRLSign. */
struct made make_authority(const char *subject, const struct made *from);
/* Of from, which lists `revoked` (NULL: nothing). */
struct certify_der make_crl(
	const struct made *from, const struct made *revoked, int64_t this_s, int64_t next_s);
void made_free(struct made *m);

#endif
