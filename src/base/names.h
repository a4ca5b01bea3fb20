/*
 * Places in an array by the names that its elements begin with: a table that is made once for an array that does not change, so
 * that ten thousand names are not each compared with ten thousand others. Names are the administrator's: nobody else chooses
 * those that collide.
 */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define NAMES_NONE	UINT32_MAX
#define NAMES_BYTES_MAX 64 /* of a name, with its end */

struct names {
	uint32_t *slot; /* the owner's: place + 1, linear probing */
	uint32_t slots_n;
	const char
		*first; /* the array; its elements begin with the name, of at most NAMES_BYTES_MAX octets */
	size_t each;
};

/* How many slots an array of n elements needs: a power of two, of which half stay free. */
uint32_t names_slots(uint32_t n);
/* Over an array of n elements of `each` octets, which is borrowed. slot: names_slots(n) of them, or any power of two above. */
void names_make(
	struct names *t, uint32_t *slot, uint32_t slots_n, const void *array, size_t each, uint32_t n);
/* The first element of that name; NAMES_NONE: there is none. */
uint32_t names_find(const struct names *t, const char *name);

#endif
