/*
 * The addresses of one domain name, by the answers that came: those of the last good answer, however old it is, and for hold_s
 * those that an answer before it had (of an IKE peer's name for the answer's time to live). When it is asked for again follows
 * from the answer's time to live, or from how often it has failed. An answer is for one family; without one for the other family
 * that one stays as it is.
 *
 * Pure: time comes in. Callers: proc/resolver/names.c, tests.
 */
#ifndef RESOLVE_NAME_H
#define RESOLVE_NAME_H

#include "base/clock.h"
#include "model/dynamic.h"

#define NAME_ADDRESSES_MAX 256 /* of one name; those that no answer has any more make room first */
#define NAME_RETRY_MIN_S   1
#define NAME_RETRY_MAX_S   60
#define NAME_WHY_BYTES	   160

struct name_address {
	struct ip_addr addr;
	mono_ns until; /* 0: the last good answer has it */
};

struct name {
	struct name_address at[NAME_ADDRESSES_MAX];
	uint32_t n;
	mono_ns answered;	  /* the last good answer; 0: there was none yet */
	mono_ns next;		  /* when it is asked for again */
	uint32_t failures;	  /* since then */
	uint32_t refused;	  /* addresses of the last good answer that are not used */
	uint32_t left_out;	  /* that found no room, or were not in it any more when it was cut */
	char why[NAME_WHY_BYTES]; /* what was wrong last; empty: nothing */
};

/* Of both families, [0] is IPv6. answered false: nothing came for it. */
struct name_answer {
	bool answered[2];
	const struct ip_addr *addr[2];
	size_t n[2];
	uint32_t ttl_s; /* the least of both */
	bool cut;
};

/* Why an address of an answer is not used; NULL: it is (for tests: each kind of address). */
const char *name_address_fault(const struct snap_dynamic *d, const struct ip_addr *a);

/* True: the set of addresses is another one. An answer without any address that can be used is none: what was good stays. */
bool name_answer_take(struct name *x, const struct snap_dynamic *d, const struct name_answer *a, mono_ns now);
void name_failed(struct name *x, const char *why, mono_ns now);
/* Forgets what was held for long enough. True: the set is another one. */
bool name_expire(struct name *x, mono_ns now);

/* Sorted and joined, NAME_ADDRESSES_MAX at most. */
uint32_t name_ranges(const struct name *x, struct ip_range ret[NAME_ADDRESSES_MAX]);

#endif
