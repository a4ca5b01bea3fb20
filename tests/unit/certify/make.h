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
	bool unknown_critical, no_key_ids;
	const char *policy_constraints, *inhibit_any;
	const char *limit_kind,
		*limit_dn;	     /* nameConstraints: "permitted" or "excluded", below C=CH, O=limit_dn */
	GENERAL_NAMES *alternatives; /* subjectAltName that no text can say */
};

struct made make_certificate(struct make m);
/* An authority: cA and keyCertSign, cRLSign. */
struct made make_authority(const char *subject, const struct made *from);
struct make_list {
	const struct made *from, *revoked; /* NULL: nothing */
	int64_t this_s, next_s;		   /* next_s 0: absent */
	const EVP_MD *digest;		   /* NULL: SHA-256 */
	const char *scope;		   /* issuingDistributionPoint as libcrypto's text; NULL: absent */
	bool delta;			   /* deltaCRLIndicator, not critical */
	int reason;			   /* of the entry; 0: absent */
	const char *number;		   /* cRLNumber in hexadecimal digits; NULL: absent */
	bool entry_critical;		   /* an entry of nobody's with an unknown critical extension */
};

struct certify_der make_list(struct make_list m);
/* Of from, which lists `revoked` (NULL: nothing). */
struct certify_der make_crl(
	const struct made *from, const struct made *revoked, int64_t this_s, int64_t next_s);
void made_free(struct made *m);

#endif
