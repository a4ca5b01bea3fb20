/*
 * What the engines share, and which reads no DER: bounds of a question and comparison of names. Callers: libcrypto.c, gnutls.c,
 * model (patterns of the configuration). Pure.
 */
#ifndef CERTIFY_MATCH_H
#define CERTIFY_MATCH_H

#include "certify/certify.h"

#define DN_RDNS_MAX  16
#define DN_VALUE_MAX 128 /* octets; X.520 has at most 64 characters for nearly all */
#define DN_OID_MAX   40

/* A relative distinguished name of one attribute. */
struct dn_rdn {
	char oid[DN_OID_MAX]; /* "2.5.4.3" */
	uint32_t n;
	uint8_t value[DN_VALUE_MAX]; /* UTF-8 */
	bool any;		     /* patterns: "*" */
};

struct dn {
	uint32_t n;
	struct dn_rdn rdn[DN_RDNS_MAX]; /* in the order of the certificate */
};

/* CERTIFY_OK, _LIMIT, or _IDENTITY for an identity that cannot be one. */
uint32_t certify_bounds(const struct certify_question *q);

/*
 * "C=CH, O=Example Ltd, CN=*": the attributes in the certificate's order, by comma or slash; a value of * stands for any one value, and
 * a backslash takes the next character as it is. Types: C, O, OU, CN, L, ST, S, SN, G, T, serialNumber, DC, UID, E, emailAddress, or
 * an OID in numbers.
 */
enum rc dn_pattern_read(struct dn *ret_pattern, const char *text, size_t n, struct err *e);

/* Equally many RDNs, each with the pattern's type, and its value unless that is "*"; ASCII letters of either case. */
bool dn_matches(const struct dn *pattern, const struct dn *subject);

/* DNS, RFC822 and IP: the name of a certificate against the one that is wanted. */
bool certify_name_matches(enum certify_id_kind kind, struct certify_der wanted, struct certify_der name);

#endif
