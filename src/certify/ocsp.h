/*
 * What OCSP has said of certificates, until its time is over: a bounded table, filled by the answers that an engine has called good, and
 * read by the engines. What is said of a certificate is found by the request that asks for it, which names issuer and serial number, and
 * the authority whose responder was asked. Reads no DER. Pure. Callers: src/certify, proc/certifier.
 *
 *	none --ask--> asked --good, revoked, unknown--> known until its time is over --ask--> asked ...
 *	                    --no answer that counts---> as before; asked again after 1, 2, 4 ... 64 seconds
 *
 * An answer never replaces one that is newer, and nothing but a newer answer takes back that a certificate is revoked.
 */
#ifndef CERTIFY_OCSP_H
#define CERTIFY_OCSP_H

#include "certify/certify.h"

#define OCSP_ENTRIES_MAX 16384 /* as accepted chains (accepted.h) */
#define OCSP_ISSUERS_MAX 256   /* 1 MB */
#define OCSP_SKEW_S	 60    /* of the clocks: an answer is valid so much earlier and longer */
#define OCSP_NO_NEXT_S                                                                                       \
	300 /* how long one without nextUpdate counts (RFC 6960 4.2.2.1: newer ones may be there at any time) */
#define OCSP_LEAST_S                                                                                         \
	5 /* between two questions about a chain that was accepted, however short the time of answers is */
#define OCSP_UNKNOWN_S                                                                                       \
	60 /* at the most, until a certificate that the responder does not know is asked about again */
#define OCSP_AGAIN_MAX_S 64 /* between two questions without an answer that counts */
#define OCSP_WHY_BYTES	 160

struct ocsp_entry {
	char authority[NAME_MAX_BYTES];
	uint32_t request_n, issuer; /* its place in issuers */
	uint8_t request[OCSP_REQUEST_MAX];
	uint32_t serial_n;
	uint8_t serial[CERTIFY_SERIAL_MAX];
	struct certify_ocsp_said said;
	int64_t until_s; /* said counts before it; 0: nothing was said */
	int64_t again_s; /* after an answer that did not count: not asked about before */
	int64_t asked_s; /* when it was asked about last */
	uint32_t failures;
	bool asked;		  /* an answer is awaited */
	bool kept;		  /* a chain that was accepted has it: to be asked about again */
	uint64_t used;		  /* number of its last use */
	char why[OCSP_WHY_BYTES]; /* why the last answer did not count; empty: it did */
};

struct ocsp_issuer {
	uint32_t n; /* 0: free */
	uint8_t der[CERTIFY_ISSUER_MAX];
};

/* All zero: empty. */
struct ocsp_table {
	uint64_t last;			/* number of a use */
	uint64_t evicted, unkept;	/* that made room; and those of them that an accepted chain has */
	uint32_t n;			/* places that were ever in use */
	uint64_t key[OCSP_ENTRIES_MAX]; /* of each, to find it by */
	struct ocsp_entry at[OCSP_ENTRIES_MAX];
	struct ocsp_issuer issuers[OCSP_ISSUERS_MAX];
};

/* for tests: what is known of it. NULL: nothing, and nothing was asked. */
const struct ocsp_entry *ocsp_find(const struct ocsp_table *t, const struct certify_want *w);

/* It has a request and an issuer: they are not longer than the limits of certify.h. */
static inline bool ocsp_is_askable(const struct certify_want *w)
{
	return w->request_n > 0 && w->issuer_n > 0;
}

/*
 * The entry, a new one if need be: the one that was used longest ago goes for it, and where the issuer is a new one all those of the issuer that
 * was. NULL: it is not askable, or all entries, or all issuers, are being asked about.
 */
struct ocsp_entry *ocsp_enter(struct ocsp_table *t, const struct certify_want *w);

/* What an answer says, by an engine: CERTIFY_OCSP_OK, and it is the entry's; or which of _EARLY, _LATE, _OLDER it is. */
uint32_t ocsp_take(struct ocsp_entry *e, const struct certify_ocsp_said *said, int64_t now_s);

/* There is none that counts; another question after a while. */
void ocsp_fail(struct ocsp_entry *e, const char *why, int64_t now_s);

/* May it be asked about now: its answer is over or was none, and the last question is long enough ago? */
bool ocsp_is_due(const struct ocsp_entry *e, int64_t now_s);

static inline bool ocsp_is_current(const struct ocsp_entry *e, int64_t now_s)
{
	return e->said.state != OCSP_NONE && now_s < e->until_s;
}

const char *certify_ocsp_fault_text(uint32_t fault);

/*
 * For the engines, of each path: ocsp_path_begin() before its n certificates below the anchor are judged, CERTIFY_LIMIT: there are too many; then
 * of each ocsp_want_next(), room for what asks about it, whose request and issuer the engine writes (NULL: the anchor has no responder), and
 * ocsp_judge(): by the CRLs' reason and the table what is to be said of it (w NULL: no OCSP); and ocsp_path_end().
 */
uint32_t ocsp_path_begin(const struct certify_question *q, size_t n);
void ocsp_path_end(const struct certify_question *q, uint32_t reason);
struct certify_want *ocsp_want_next(const struct certify_question *q, size_t anchor);
uint32_t ocsp_judge(const struct certify_question *q, struct certify_want *w, uint32_t by_lists);

#endif
