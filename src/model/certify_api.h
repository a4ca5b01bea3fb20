/*
 * What is said about certificates between processes: ike asks both certifiers the same question, octet for octet, and each tells the
 * keeper its verdict. Neither ike nor a certifier alone can let anybody in: the keeper needs two verdicts that agree about key and
 * identity, and then checks the signature over AUTH with that key itself.
 *
 * What the question does not have comes from the snapshot that it names: anchors, CRLs, revocation, and which identity the peer must have.
 * Bodies have no pointers and no padding. Used by src/ike (asks), src/certify and proc/certifier (answer), src/keys (decides) and ipc/messages.h.
 */
#ifndef MODEL_CERTIFY_API_H
#define MODEL_CERTIFY_API_H

#include "base/bytes.h"
#include "model/keeper_api.h"
#include "model/snapshot.h"

#define CERTIFY_SPKI_MAX     1088 /* RSA 8192 takes 1062 */
#define CERTIFY_IDENTITY_MAX 512  /* octets of a name */
#define CERTIFY_ASK_MAX	     8192 /* an IKE message has no more (IKE_MESSAGE_MAX) */
#define CERTIFY_DIGEST_SIZE  32	  /* SHA-256 */
#define OCSP_REQUEST_MAX     128  /* octets: SHA-1 of two things and a serial number of 20 octets take 106 */
#define OCSP_ANSWER_MAX	     8192 /* octets; with RSA 4096 and a certificate of the responder some 3,000 */
#define CRL_FILE_MAX	     (6u << 20) /* octets of a file: the longest CRL in PEM */

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
	R(NO_OCSP,     "no valid OCSP answer calls a certificate of the chain good, and no valid CRL of its authority is there")	\
	R(IDENTITY,    "the certificate does not have the identity that is expected")				\
	R(INVALID,     "the chain is invalid")									\
	R(CRL_FILE,    "a CRL of an authority, or its file, cannot be used")					\
	R(ANCHOR,      "a certificate of a configured authority cannot be read")				\
	R(BUSY,        "too many certificates wait to be verified")						\
	R(DISAGREE,    "the two certifiers do not agree about key or identity")					\
	R(INTERNAL,    "out of memory, or the library failed")
/* clang-format on */

enum certify_reason {
#define E(id, text) CERTIFY_##id,
	CERTIFY_REASONS(E) CERTIFY_REASON_COUNT
#undef E
};

struct certify_verdict {
	uint32_t reason; /* enum certify_reason; all else is zero unless it is CERTIFY_OK */
	uint32_t spki_n, identity_n;
	uint8_t spki[CERTIFY_SPKI_MAX];		/* SubjectPublicKeyInfo, DER */
	uint8_t identity[CERTIFY_IDENTITY_MAX]; /* the name as the certificate has it; of a DN its DER */
};

/* ike to both certifiers. The lengths are those in use; what stands behind them is zero. */
struct certify_ask {
	uint64_t generation; /* of the snapshot that `peer` is of */
	uint32_t ike_sa;     /* the keeper's handle */
	uint32_t peer;	     /* index in the snapshot's peers */
	uint16_t id_n;
	uint16_t bag_n; /* octets of `bag` */
	uint32_t
		source; /* equal for questions of one source (addr_source()): it does not take all places of its peer */
	uint8_t id[KEEPER_ID_MAX]; /* the peer's identification payload body, as in keeper_auth_verify */
	uint8_t bag
		[CERTIFY_ASK_MAX]; /* for each certificate 32 bits of length, in network order, and its DER; the end entity's first */
};

/* A certifier to the keeper. A question that a certifier cannot read has a verdict as well: CERTIFY_MALFORMED. */
struct certify_told {
	uint64_t generation; /* as asked, the three */
	uint32_t ike_sa;
	uint32_t peer;
	uint16_t id_n, zero;
	uint32_t zero2;
	uint8_t question[CERTIFY_DIGEST_SIZE]; /* SHA-256 of the whole struct certify_ask */
	uint8_t id[KEEPER_ID_MAX];
	struct certify_verdict verdict;
	uint32_t zero3;
};

/* A certifier to the keeper, without a question: a chain that it has accepted has a revoked certificate now. */
struct certify_revoked {
	uint8_t key[CERTIFY_DIGEST_SIZE]; /* SHA-256 of the SubjectPublicKeyInfo that its verdict had */
	/* Whose chain that was, filled with NUL: an authority of another peer may have certified the same key, whoever holds it. */
	char peer[NAME_MAX_BYTES];
};

/* The text of any other number is that of INTERNAL. */
const char *certify_reason_text(uint32_t reason);

/* The first refusal of the two; CERTIFY_OK only if both accept with equal key and identity, which then are *ret_verdict's. */
uint32_t certify_agree(struct certify_verdict *ret_verdict, const struct certify_verdict *a,
	const struct certify_verdict *b);

#endif
