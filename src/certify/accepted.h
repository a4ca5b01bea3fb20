/*
 * Chains that were accepted, so that they can be judged again when other CRLs are there: of each peer's key the last one. Nobody says
 * whether who showed them has proved to hold the key, or whether its IKE SA stands; the keeper knows that. Pure. Callers: proc/certifier.
 */
#ifndef CERTIFY_ACCEPTED_H
#define CERTIFY_ACCEPTED_H

#include "certify/certify.h"
#include "model/snapshot.h"

#define ACCEPTED_MAX	   16384 /* 10,240 IKE SAs, and more; of bags above 2 KB the octets are the bound */
#define ACCEPTED_BYTES_MAX (32u << 20)

struct accepted_chain {
	uint8_t key[CERTIFY_DIGEST_SIZE]; /* SHA-256 of the key that was found */
	char peer[NAME_MAX_BYTES];
	uint64_t number; /* of its last acceptance */
	uint16_t id_n, bag_n;
	uint8_t octets[]; /* identification payload and bag, as in struct certify_ask */
};

/* All zero: empty. */
struct accepted {
	uint32_t n;
	uint64_t last;	  /* number */
	uint64_t evicted; /* that made room */
	size_t octets_n;  /* of all chains */
	struct accepted_chain *at[ACCEPTED_MAX];
};

/* Keeps what *a shows. Where there is no room the one goes that was accepted longest ago. False: out of memory, or *a is none. */
bool accepted_add(struct accepted *t, const char *peer, const uint8_t key[CERTIFY_DIGEST_SIZE],
	const struct certify_ask *a);

/* As a question, but for the numbers of peer, IKE SA and generation, which are zero. */
void accepted_ask(struct certify_ask *ret_ask, const struct accepted_chain *c);

/* Places after it move: whoever goes through all of them begins at the last one. */
void accepted_remove(struct accepted *t, uint32_t place);
void accepted_done(struct accepted *t);

#endif
