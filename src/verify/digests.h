/*
 * A table from hashes, or other octets that look random, to numbers: what was seen before, in a ledger that
 * may have millions of entries. The first 16 octets are the key. Pure. Private to src/verify. One thread.
 */
#ifndef VERIFY_DIGESTS_H
#define VERIFY_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_KEY_SIZE 16

struct digests {
	struct digest_slot *slot; /* NULL: nothing yet */
	size_t n, room;		  /* room: a power of two */
};

/* A key that is already there gets the new number. False: out of memory, or so many keys collide that they
 * must have been chosen to. */
bool digests_put(struct digests *d, const uint8_t key[DIGEST_KEY_SIZE], uint64_t number);
/* False: it is not there. ret_number may be NULL. */
bool digests_get(const struct digests *d, const uint8_t key[DIGEST_KEY_SIZE], uint64_t *ret_number);
void digests_free(struct digests *d);

#endif
