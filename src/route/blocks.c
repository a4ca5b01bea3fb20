#include "route/blocks.h"

#include <assert.h>
#include <stdlib.h>

#define SLAB_HEAD 64u /* the link to the next slab, and the alignment of a cache line */

_Static_assert((BLOCKS_SIZE_MAX + sizeof(void *) + BLOCKS_GRAIN - 1) / BLOCKS_GRAIN < BLOCKS_CLASSES,
	"a class for every size");

_Static_assert(SLAB_HEAD + BLOCKS_CLASSES * BLOCKS_GRAIN <= BLOCKS_SLAB_SIZE_MIN,
	"a new slab has room for any block");

static uint32_t class_of(size_t size)
{
	assert(size > 0 && size <= BLOCKS_SIZE_MAX);
	return (uint32_t)((size + sizeof(void *) + BLOCKS_GRAIN - 1) / BLOCKS_GRAIN);
}

/* The link of a block's list is in its last octets. */
static uint8_t *link_get(const uint8_t *block, uint32_t class)
{
	uint8_t *next;

	memcpy(&next, block + (size_t)class * BLOCKS_GRAIN - sizeof next, sizeof next);
	return next;
}

static void link_set(uint8_t *block, uint32_t class, uint8_t *next)
{
	memcpy(block + (size_t)class * BLOCKS_GRAIN - sizeof next, &next, sizeof next);
}

static bool slab_add(struct blocks *b)
{
	size_t quarter = b->bytes / 4 / BLOCKS_SLAB_SIZE_MIN * BLOCKS_SLAB_SIZE_MIN;
	size_t size = b->bytes >= BLOCKS_SLAB_SIZE_MAX ? BLOCKS_SLAB_SIZE_MAX
						       : MAX_OF(quarter, (size_t)BLOCKS_SLAB_SIZE_MIN);
	bool large = size == BLOCKS_SLAB_SIZE_MAX;
	uint8_t *slab = aligned_alloc(large ? BLOCKS_SLAB_SIZE_MAX : SLAB_HEAD, size);

	assert(size <= BLOCKS_SLAB_SIZE_MAX && size % BLOCKS_SLAB_SIZE_MIN == 0);
	if (!slab)
		return false;
	if (large && b->advise)
		b->advise(slab, size);
	memcpy(slab, &b->slabs, sizeof b->slabs);
	b->slabs = slab;
	b->at = slab + SLAB_HEAD;
	b->end = slab + size;
	b->bytes += size;
	return true;
}

void *blocks_get(struct blocks *b, size_t size)
{
	uint32_t class = class_of(size);
	uint8_t *block = b->free[class];

	if (block) {
		b->free[class] = link_get(block, class);
	} else {
		if ((size_t)(b->end - b->at) < (size_t)class * BLOCKS_GRAIN && !slab_add(b))
			return NULL;
		block = b->at;
		b->at += (size_t)class * BLOCKS_GRAIN;
	}
	assert((uintptr_t)block % BLOCKS_GRAIN == 0);
	b->used += (size_t)class * BLOCKS_GRAIN;
	return block;
}

void blocks_put(struct blocks *b, void *block, size_t size)
{
	uint32_t class = class_of(size);

	assert(b->used >= (size_t)class * BLOCKS_GRAIN);
	link_set(block, class, b->free[class]);
	b->free[class] = block;
	b->used -= (size_t)class * BLOCKS_GRAIN;
}

void blocks_retire(struct blocks *b, void *block, size_t size)
{
	uint32_t class = class_of(size);

	assert(b->used >= (size_t)class * BLOCKS_GRAIN);
	assert(!b->retired[class].first == !(b->retired_classes[class / 64] >> class % 64 & 1));
	link_set(block, class, b->retired[class].first);
	if (!b->retired[class].first)
		b->retired[class].last = block;
	b->retired[class].first = block;
	b->retired_classes[class / 64] |= 1ull << class % 64;
	b->used -= (size_t)class * BLOCKS_GRAIN;
}

void blocks_reclaim(struct blocks *b)
{
	for (uint32_t word = 0; word < COUNT_OF(b->retired_classes); word++)
		for (; b->retired_classes[word] != 0;
			b->retired_classes[word] &= b->retired_classes[word] - 1) {
			uint32_t class = word * 64 + (uint32_t)__builtin_ctzll(b->retired_classes[word]);
			assert(b->retired[class].first && b->retired[class].last);
			link_set(b->retired[class].last, class, b->free[class]);
			b->free[class] = b->retired[class].first;
			b->retired[class].first = b->retired[class].last = NULL;
		}
}

void blocks_done(struct blocks *b)
{
	while (b->slabs) {
		uint8_t *next;
		memcpy(&next, b->slabs, sizeof next);
		free(b->slabs);
		b->slabs = next;
	}
	*b = (struct blocks){ .advise = b->advise };
}
