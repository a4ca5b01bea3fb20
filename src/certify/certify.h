/*
 * Does this bag of certificates lead from an end entity to one of our trust anchors, and whose key and which identity is that? Two
 * engines answer the same question, one over libcrypto (libcrypto.c) and one over GnuTLS (gnutls.c), each in a program that does not
 * link the other's library. certify_agree() (model/certify_api.h) makes one verdict of two: who is let in is let in by both, with the
 * same public key and the same identity, so an error in one X.509 library admits nobody.
 *
 * What both share is what reads no DER: the bounds, the texts, the comparison of names (match.c). An error there is not caught by
 * the other engine. Rules: RFC 5280 with the profile of RFC 4945; where an engine's library is laxer, the engine asks itself.
 *
 * Nothing is fetched: what a certificate names as its CRL, its issuer or its OCSP responder is not looked at. What OCSP has said is in a
 * table (ocsp.h) that the caller fills by asking the responders that the configuration names.
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
	CERTIFY_CRL_HARD, /* each certificate below the anchor needs a CRL, or a good OCSP answer, that is valid now */
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

#define CERTIFY_OCSP_SINGLES_MAX                                                                             \
	128		      /* certificates that an answer is about; OCSP_ANSWER_MAX octets hold no more */
#define CERTIFY_SERIAL_MAX 20 /* octets (RFC 5280 4.1.2.2); what is longer is cut off */
#define CERTIFY_ISSUER_MAX                                                                                   \
	4096 /* octets of the certificate of an issuer about whose certificates OCSP is asked */

/* A certificate whose authority has an OCSP responder. */
struct certify_want {
	const char *authority; /* of the configuration */
	bool known;	       /* the table has an answer that is valid now */
	uint32_t request_n, issuer_n, serial_n;
	uint8_t serial[CERTIFY_SERIAL_MAX]; /* for people */
	uint8_t request
		[OCSP_REQUEST_MAX]; /* OCSPRequest (RFC 6960 4.1.1), DER, by SHA-1 (RFC 5019 2.1.1), without nonce */
	uint8_t issuer[CERTIFY_ISSUER_MAX]; /* DER: who may sign the answer, or certify who does */
};

struct ocsp_table;

#define CERTIFY_WANTS_MAX (2 * (CERTIFY_DEPTH_MAX - 1)) /* of two paths */

/*
 * What a question has of OCSP, and what the engine writes while it judges: the certificates of the path that it accepts; of none, those of the
 * first path that lacks nothing but answers, and of the last one.
 */
struct certify_ocsp {
	const struct ocsp_table *table;
	const char *const *authority; /* by anchor; NULL: no responder belongs to it */
	uint32_t n, kept_n;	      /* kept_n of them are of an earlier path */
	struct certify_want want[CERTIFY_WANTS_MAX];
};

struct certify_question {
	const struct certify_der *anchors, *crls,
		*bag; /* bag[0]: the end entity's; the others in any order */
	size_t anchors_n, crls_n, bag_n;
	int64_t now_s; /* since 1970 */
	enum certify_id_kind id_kind;
	enum certify_role role;
	enum certify_revocation revocation;
	struct certify_der id;	   /* the name as text, the address, or DER */
	struct certify_ocsp *ocsp; /* NULL: no authority has a responder */
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

/* clang-format off */
#define CERTIFY_OCSP_FAULTS(R)	/* id, text */									\
	R(OK,        "the answer counts")									\
	R(MALFORMED, "it is no OCSP response in DER")								\
	R(STATUS,    "the responder answered that it cannot say (tryLater, unauthorized or another error)")	\
	R(CRITICAL,  "it has a critical extension that is not supported")					\
	R(WEAK,      "it is signed by an algorithm or a key that is not accepted")				\
	R(SIGNER,    "neither the issuer has signed it, nor a responder that the issuer has certified for OCSP and whose certificate is valid") \
	R(OTHER,     "it is about another certificate")								\
	R(EARLY,     "its time has not begun yet: are the clocks right?")					\
	R(LATE,      "its time is over: is the responder's copy an old one, and are the clocks right?")		\
	R(OLDER,     "it is older than the one that is here")							\
	R(UNKNOWN,   "the responder does not know the certificate")						\
	R(INTERNAL,  "out of memory, or the library failed")
/* clang-format on */

enum certify_ocsp_fault {
#define E(id, text) CERTIFY_OCSP_##id,
	CERTIFY_OCSP_FAULTS(E) CERTIFY_OCSP_FAULT_COUNT
#undef E
};

/* Of a certificate. */
enum ocsp_state { OCSP_NONE, OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct certify_ocsp_said {
	enum ocsp_state state;
	int64_t this_s, next_s; /* thisUpdate and nextUpdate, since 1970; next_s 0: the latter is absent */
};

/*
 * What an answer (OCSPResponse, RFC 6960 4.2.1) says of the one certificate that `request` asks about: CERTIFY_OCSP_OK, _MALFORMED, _STATUS,
 * _CRITICAL, _WEAK, _SIGNER (4.2.2.2), _OTHER or _INTERNAL. Its times are the caller's to judge (ocsp_take()).
 */
uint32_t certify_libcrypto_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s);
uint32_t certify_gnutls_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s);

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
