/*
 * Does this bag of certificates lead from an end entity to one of our trust anchors, and whose key and which identity is that? Two
 * engines answer the same question, one over libcrypto (libcrypto.c) and one over GnuTLS (gnutls.c), each in a program that does not
 * link the other's library. certify_agree() (model/certify_api.h) makes one verdict of two: who is let in is let in by both, with the
 * same public key and the same identity, so an error in one X.509 library admits nobody.
 *
 * What both share is what reads no DER: the bounds, the texts, the comparison of names (match.c). An error there is not caught by
 * the other engine. Rules: RFC 5280 with the profile of RFC 4945; where an engine's library is laxer, the engine asks itself.
 *
 * Nothing is fetched: what a certificate names as its CRL, its issuer or its OCSP responder is not looked at.
 * The engine over GnuTLS has the time in a static variable, because that library takes it from there alone: one thread.
 */
#ifndef CERTIFY_CERTIFY_H
#define CERTIFY_CERTIFY_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/certify_api.h"

#define CERTIFY_BAG_MAX	      16 /* certificates that a peer sends: eight on the way and as many that do not help */
#define CERTIFY_BAG_BYTES_MAX (64 << 10) /* of all of them; RSA 8192 with long names takes 4 KB */
#define CERTIFY_DEPTH_MAX     8		 /* certificates on a path, from the end entity's to the anchor's */
#define CERTIFY_ANCHORS_MAX   64	 /* of one peer; they come from the configuration */
#define CERTIFY_CRLS_MAX      64
#define CERTIFY_CRL_BYTES_MAX (4u << 20) /* one CRL */
#define CERTIFY_PATHS_MAX     32	 /* paths that are tried */
#define CERTIFY_STEPS_MAX     512 /* certificates put on paths: a bag in which each issues each has 15! orders */
#define CERTIFY_RSA_BITS_MIN  2048 /* below that it can be factored before long (SP 800-131A) */
#define CERTIFY_RSA_BITS_MAX  8192 /* above that a check takes too long */

/*
 * What extendedKeyUsage may say, where it is there: ipsecIKE and anyExtendedKeyUsage always (RFC 4945 5.1.3.12, which has no
 * others), and, because authorities in use issue nothing else, TLS's:
 */
enum certify_role {
	CERTIFY_ROLE_ANY,    /* serverAuth or clientAuth: between gateways */
	CERTIFY_ROLE_SERVER, /* serverAuth */
	CERTIFY_ROLE_CLIENT, /* clientAuth */
};

enum certify_revocation {
	CERTIFY_CRL_SOFT, /* what a CRL of the issuer's own key lists is refused, however old it is; where there is none, nothing is */
	CERTIFY_CRL_HARD, /* each certificate below the anchor needs a CRL that is valid now */
};

enum certify_id_kind {
	CERTIFY_ID_DNS,	    /* dNSName, exactly, letters of either case; no wildcards (RFC 4945 3.1.2) */
	CERTIFY_ID_RFC822,  /* rfc822Name: what follows the last @ in either case, what precedes it exactly */
	CERTIFY_ID_IP,	    /* iPAddress, 4 or 16 octets */
	CERTIFY_ID_DN,	    /* the subject in DER, exactly */
	CERTIFY_ID_DN_TEXT, /* the subject by a pattern like "C=CH, O=Example, CN=*" (struct dn_pattern) */
};

struct certify_der {
	const uint8_t *b;
	size_t n;
};

struct certify_question {
	const struct certify_der *anchors, *crls,
		*bag; /* bag[0]: the end entity's; the others in any order */
	size_t anchors_n, crls_n, bag_n;
	int64_t now_s; /* since 1970 */
	enum certify_id_kind id_kind;
	enum certify_role role;
	enum certify_revocation revocation;
	struct certify_der id; /* the name as text, the address, or DER */
};

/* What the configuration gives to each question. */
enum certify_input { CERTIFY_INPUT_ANCHOR, CERTIFY_INPUT_CRL };

/*
 * CERTIFY_OK; else no question with it can have a good answer: CERTIFY_ANCHOR, _WEAK (its key) or _CRITICAL of an anchor, CERTIFY_CRL_FILE of a
 * CRL that cannot be read, is not complete, or is signed by an algorithm that is not accepted. Whether it is valid now is not looked at.
 */
uint32_t certify_libcrypto_input(enum certify_input what, struct certify_der der);
uint32_t certify_gnutls_input(enum certify_input what, struct certify_der der);

#define CERTIFY_CRL_NUMBER_MAX 20 /* octets (RFC 5280 5.2.3) */

/* By what an authority's CRLs say of themselves which is the newer one. */
struct certify_crl_age {
	int64_t this_s; /* thisUpdate, since 1970 */
	bool numbered;
	uint8_t number[CERTIFY_CRL_NUMBER_MAX]; /* in network order, zeros before it */
};

/*
 * Has one of the anchors issued it? CERTIFY_OK; _CRL_FILE: as above, or its number or time is none; _SIGNATURE: none of them has signed it;
 * _AUTHORITY: who has may not (keyUsage).
 */
uint32_t certify_libcrypto_crl(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n);
uint32_t certify_gnutls_crl(struct certify_crl_age *ret_age, struct certify_der crl,
	const struct certify_der *anchors, size_t anchors_n);

/* Is a older than b? A lower number says so, or an earlier time. */
bool certify_crl_is_older(const struct certify_crl_age *a, const struct certify_crl_age *b);
/* A DER INTEGER's octets; false: negative, or too long. (match.c) */
bool certify_crl_number(struct certify_crl_age *age, const uint8_t *octets, size_t n);

/* For people. */
struct certify_about {
	char subject[256];    /* of a CRL its issuer */
	int64_t from_s, to_s; /* since 1970; to_s 0: a CRL without nextUpdate */
};

/* False: it cannot be read. */
bool certify_libcrypto_about(
	struct certify_about *ret_about, enum certify_input what, struct certify_der der);

/* The engines. *ret_verdict is written as a whole; equal questions have equal verdicts. */
uint32_t certify_libcrypto(struct certify_verdict *ret_verdict, const struct certify_question *q);
uint32_t certify_gnutls(struct certify_verdict *ret_verdict, const struct certify_question *q);

#endif
