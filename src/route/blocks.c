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

static uint8_t *slab_new(const struct blocks *b, size_t size)
{
	bool large = size == BLOCKS_SLAB_SIZE_MAX;
	uint8_t *slab = aligned_alloc(large ? BLOCKS_SLAB_SIZE_MAX : SLAB_HEAD, size);

	assert(size <= BLOCKS_SLAB_SIZE_MAX && size % BLOCKS_SLAB_SIZE_MIN == 0);
	if (slab && large && b->advise)
		b->advise(slab, size);
	return slab;
}

static bool slab_add(struct blocks *b)
{
	size_t quarter = b->bytes / 4 / BLOCKS_SLAB_SIZE_MIN * BLOCKS_SLAB_SIZE_MIN;
	size_t size = b->bytes >= BLOCKS_SMALL_BYTES ? BLOCKS_SLAB_SIZE_MAX
						     : MAX_OF(quarter, (size_t)BLOCKS_SLAB_SIZE_MIN);
	uint8_t *slab = size == BLOCKS_SLAB_SIZE_MAX && b->spare ? b->spare : slab_new(b, size);

	if (!slab)
		return false;
	if (slab == b->spare)
		b->spare = NULL;
	memcpy(slab, &b->slabs, sizeof b->slabs);
	b->slabs = slab;
	b->at = slab + SLAB_HEAD;
	b->end = slab + size;
	b->bytes += size;
	return true;
}

void blocks_prepare(struct blocks *b)
{
	bool ends = (size_t)(b->end - b->at) < BLOCKS_SLAB_SIZE_MAX / 4;

	if (b->bytes >= BLOCKS_SMALL_BYTES && ends && !b->spare) {
		b->spare = slab_new(b, BLOCKS_SLAB_SIZE_MAX);
		b->spare_touched = 0;
	}
	/* In one large page all but the first come at once. */
	for (uint32_t n = 0; b->spare && n < BLOCKS_TOUCHES && b->spare_touched < BLOCKS_SLAB_SIZE_MAX; n++) {
		b->spare[b->spare_touched] = 0;
		b->spare_touched += BLOCKS_SLAB_SIZE_MIN;
	}
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

bool blocks_release(struct blocks *b)
{
	uint8_t *slab = b->slabs;

	if (b->spare) {
		free(b->spare);
		b->spare = NULL;
	} else if (slab) {
		memcpy(&b->slabs, slab, sizeof b->slabs);
		free(slab);
	}
	return b->slabs == NULL;
}

void blocks_done(struct blocks *b)
{
	while (!blocks_release(b))
		;
	*b = (struct blocks){ .advise = b->advise };
}
