/*
 * Large blocks of malloc() given back in pieces: the kernel takes milliseconds to free a hundred megabytes at once. What is shed is
 * made shorter from its end, and freed when it is small.
 */
#ifndef BASE_SHED_H
#define BASE_SHED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define SHED_PIECE (1u << 20)
#define SHED_UNIT  4096u /* octets that cost one of the budget */

struct shed {
	struct shed_block {
		void *at;
		size_t bytes;
	} *block;
	uint32_t n, room;
};

/* From now on it is nobody's. A small one is freed at once, and each where there is no memory to remember it. */
static inline void shed_add(struct shed *s, void *at, size_t bytes)
{
	if (at && bytes > SHED_PIECE && s->n == s->room) {
		uint32_t room = s->room ? 2 * s->room : 16;
		struct shed_block *more = reallocarray(s->block, room, sizeof *more);
		s->block = more ? more : s->block;
		s->room = more ? room : s->room;
	}
	if (at && bytes > SHED_PIECE && s->n < s->room)
		s->block[s->n++] = (struct shed_block){ at, bytes };
	else
		free(at);
}

/* False: the budget is used up. True: there is nothing more. */
static inline bool shed_some(struct shed *s, uint32_t *budget)
{
	while (s->n > 0) {
		struct shed_block *b = &s->block[s->n - 1];
		if (*budget == 0)
			return false;
		*budget -= *budget < SHED_PIECE / SHED_UNIT ? *budget : SHED_PIECE / SHED_UNIT;
		void *shorter = b->bytes > SHED_PIECE ? realloc(b->at, b->bytes - SHED_PIECE) : NULL;
		if (shorter) {
			*b = (struct shed_block){ shorter, b->bytes - SHED_PIECE };
		} else {
			free(b->at);
			s->n--;
		}
	}
	free(s->block);
	*s = (struct shed){ 0 };
	return true;
}

#endif
