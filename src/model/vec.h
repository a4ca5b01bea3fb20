/*
 * A growing array of records of one size. Private to the room.
 */
#ifndef MODEL_VEC_H
#define MODEL_VEC_H

#include <stddef.h>
#include <stdint.h>

struct vec {
	uint8_t *at;
	size_t n, room, record; /* record: bytes of one, set before the first is added */
};

/* Room for one more, zeroed; NULL when out of memory. */
void *vec_add(struct vec *v);
void vec_done(struct vec *v);

#endif
