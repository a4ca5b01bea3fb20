/*
 * Does this bag of certificates lead from an end entity to one of our trust anchors, and whose key and which identity is that? Two
 * engines answer the same question, one over libcrypto (libcrypto.c) and one over GnuTLS (gnutls.c), each in a program that does not
 * link the other's library. certify_agree() makes one verdict of two: who is let in is let in by both, with the same public key and
 * the same identity, so an error in one X.509 library admits nobody.
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

#define CERTIFY_BAG_MAX	      16 /* certificates that a peer sends: eight on the way and as many that do not help */
#define CERTIFY_BAG_BYTES_MAX (64 << 10) /* of all of them; RSA 8192 with long names takes 4 KB */
#define CERTIFY_DEPTH_MAX     8		 /* certificates on a path, from the end entity's to the anchor's */
#define CERTIFY_ANCHORS_MAX   64	 /* of one peer; they come from the configuration */
#define CERTIFY_CRLS_MAX      64
#define CERTIFY_CRL_BYTES_MAX (4u << 20) /* one CRL */
#define CERTIFY_PATHS_MAX     32	 /* paths that are tried */
#define CERTIFY_STEPS_MAX     512 /* certificates put on paths: a bag in which each issues each has 15! orders */
#define CERTIFY_SPKI_MAX      1088 /* RSA 8192 takes 1062 */
#define CERTIFY_IDENTITY_MAX  512  /* octets of a name */
#define CERTIFY_RSA_BITS_MIN  2048 /* below that it can be factored before long (SP 800-131A) */
#define CERTIFY_RSA_BITS_MAX  8192 /* above that a check takes too long */

/* clang-format off */
#define CERTIFY_REASONS(R)	/* id, text */									\
	R(OK,          "the chain is valid")									\
	R(LIMIT,       "too many certificates, too many octets, or a chain that is too long")			\
	R(MALFORMED,   "a certificate or a CRL cannot be read")							\
	R(NO_PATH,     "no chain leads to a configured authority")						\
	R(TIME,        "a certificate of the chain is not valid at this time")					\
	R(SIGNATURE,   "a signature of the chain is wrong")							\
	R(WEAK,        "a key or a signature algorithm of the chain is not accepted")				\
	R(AUTHORITY,   "a certificate of the chain may not sign certificates")					\
	R(USAGE,       "keyUsage or extendedKeyUsage does not permit IKE")					\
	R(CRITICAL,    "a critical extension of the chain is not known")					\
	R(CONSTRAINED, "a name constraint of the chain forbids a name")						\
	R(REVOKED,     "a certificate of the chain is revoked")							\
	R(NO_CRL,      "no valid CRL of an authority of the chain is there")					\
	R(IDENTITY,    "the certificate does not have the identity that is expected")				\
	R(INVALID,     "the chain is invalid")									\
	R(DISAGREE,    "the two certifiers do not agree about key or identity")					\
	R(INTERNAL,    "out of memory, or the library failed")
/* clang-format on */

enum certify_reason {
#define E(id, text) CERTIFY_##id,
	CERTIFY_REASONS(E) CERTIFY_REASON_COUNT
#undef E
};

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

struct certify_verdict {
	uint32_t reason; /* enum certify_reason; all else is zero unless it is CERTIFY_OK */
	uint32_t spki_n, identity_n;
	uint8_t spki[CERTIFY_SPKI_MAX];		/* SubjectPublicKeyInfo, DER */
	uint8_t identity[CERTIFY_IDENTITY_MAX]; /* the name as the certificate has it; of a DN its DER */
};

/* The text of any other number is that of INTERNAL. Until a process asks, for tests. */
const char *certify_reason_text(uint32_t reason);

/* The engines; until processes run them, for tests. *ret_verdict is written as a whole; equal questions have equal verdicts. */
uint32_t certify_libcrypto(struct certify_verdict *ret_verdict, const struct certify_question *q);
/* As above, for tests. */
uint32_t certify_gnutls(struct certify_verdict *ret_verdict, const struct certify_question *q);

/* The first refusal of the two; CERTIFY_OK only if both accept with equal key and identity, which then are *ret_verdict's. Until the keeper asks,
 * for tests. */
uint32_t certify_agree(struct certify_verdict *ret_verdict, const struct certify_verdict *a,
	const struct certify_verdict *b);

#endif
