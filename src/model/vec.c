#include "model/vec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void *vec_add(struct vec *v)
{
	void *record;

	assert(v->record > 0 && v->n <= v->room);

	if (v->n == v->room) {
		size_t room = v->room ? v->room * 2 : 16;
		uint8_t *at = reallocarray(v->at, room, v->record);
		if (!at)
			return NULL;
		v->at = at;
		v->room = room;
	}
	record = v->at + v->n++ * v->record;
	memset(record, 0, v->record);
	return record;
}

void vec_done(struct vec *v)
{
	free(v->at);
	*v = (struct vec){ .record = v->record };
}
