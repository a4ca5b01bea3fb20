/*
 * How often a client may ask: a bucket of tokens for each address, in a table of fixed size whose oldest
 * place is given away. An IPv6 client is its /64, since it can choose the rest. Pure: the time comes from the
 * caller.
 */
#ifndef PROC_WITNESS_LIMIT_H
#define PROC_WITNESS_LIMIT_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

#define LIMIT_SETS 1024u /* a power of two */
#define LIMIT_WAYS 4u

#define LIMIT_CLIENT_SIZE 8

struct limit_slot {
	uint8_t client[LIMIT_CLIENT_SIZE];
	mono_ns at; /* of the last request; 0: free */
	uint64_t credit_ns;
};

struct limit {
	uint8_t key[16];      /* random, so that nobody can aim at another's place */
	uint64_t interval_ns; /* between requests in the long run; 0: no limit */
	uint64_t burst_ns;    /* credit at most: interval times requests at once */
	struct limit_slot slot[LIMIT_SETS][LIMIT_WAYS];
};

/* Who counts as one: IPv4: 4 octets and a mark; IPv6: the first 8. False: another family. */
bool limit_client(uint8_t ret[LIMIT_CLIENT_SIZE], const struct sockaddr *address);

/* per_s: requests a second, 0: no limit; burst: at once after a silence, at least 1. */
void limit_init(struct limit *l, const uint8_t key[16], unsigned per_s, unsigned burst);

/* May this client ask now? A request that may not costs nothing. Other families than IP always may. */
bool limit_allows(struct limit *l, const struct sockaddr *client, mono_ns now);

#endif
