/*
 * The ring of base/ring.h. Each record has a cache line of its own in front that says how long it is; where
 * the rest of the buffer is too short for the next record, one without contents fills it.
 *
 * The producer publishes by a store of `tail` with release, the consumer gives back by one of `head`; each
 * reads the other's with acquire. Nothing else is shared.
 */
#include "base/ring.h"

#include "base/lines.h"

#include <assert.h>
#include <stdlib.h>

struct head {
	uint32_t octets; /* with this line, padded to whole lines */
	uint32_t n;
	uint32_t filler; /* 1: to the end of the buffer, without contents */
};

struct ring {
	/* the producer's */
	_Alignas(LINE_PAIR) _Atomic uint64_t tail; /* committed so far */
	uint64_t head_seen;
	uint64_t reserved_at; /* of the record that is being written */
	uint32_t reserved;    /* its octets; 0: none */
	/* the consumer's */
	_Alignas(LINE_PAIR) _Atomic uint64_t head; /* released so far */
	uint64_t tail_seen, taken;
	/* both read */
	_Alignas(LINE_PAIR) uint8_t *bytes;
	uint64_t octets;
};

static uint64_t record_octets(uint32_t n)
{
	return RING_LINE + ((uint64_t)n + RING_LINE - 1) / RING_LINE * RING_LINE;
}

static struct head *head_at(const struct ring *r, uint64_t index)
{
	return (struct head *)(void *)(r->bytes + (index & (r->octets - 1)));
}

uint64_t ring_waiting(const struct ring *r)
{
	uint64_t head =
		atomic_load_explicit(&r->head, memory_order_acquire); /* first: it never passes tail */

	return atomic_load_explicit(&r->tail, memory_order_acquire) - head;
}

struct ring *ring_new(size_t octets)
{
	assert(octets >= RING_OCTETS_MIN && octets <= RING_OCTETS_MAX && (octets & (octets - 1)) == 0);
	struct ring *r = lines_new(1, sizeof *r);
	uint8_t *bytes = aligned_alloc(RING_LINE, octets);

	if (!r || !bytes) {
		free(r);
		free(bytes);
		return NULL;
	}
	r->bytes = bytes;
	r->octets = octets;
	return r;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	free(r->bytes);
	free(r);
}

uint32_t ring_record_max(const struct ring *r)
{
	/* Twice that: a filler is shorter than the record that did not fit. */
	return (uint32_t)(r->octets / 2 - RING_LINE);
}

static bool is_room(struct ring *r, uint64_t end)
{
	if (end - r->head_seen > r->octets)
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
	return end - r->head_seen <= r->octets;
}

void *ring_reserve(struct ring *r, uint32_t n)
{
	assert(n <= ring_record_max(r));
	uint64_t at = atomic_load_explicit(&r->tail, memory_order_relaxed), need = record_octets(n);
	uint64_t rest = r->octets - (at & (r->octets - 1)), filler = rest < need ? rest : 0;

	r->reserved = 0;
	if (!is_room(r, at + filler + need))
		return NULL;
	if (filler)
		*head_at(r, at) = (struct head){ .octets = (uint32_t)filler, .filler = 1 };
	r->reserved_at = at + filler;
	r->reserved = (uint32_t)need;
	return (uint8_t *)head_at(r, r->reserved_at) + RING_LINE;
}

void ring_commit(struct ring *r, uint32_t n)
{
	uint64_t octets = record_octets(n);

	assert(r->reserved > 0 && octets <= r->reserved);
	*head_at(r, r->reserved_at) = (struct head){ .octets = (uint32_t)octets, .n = n };
	r->reserved = 0;
	atomic_store_explicit(&r->tail, r->reserved_at + octets, memory_order_release);
}

bool ring_is_empty(struct ring *r)
{
	if (r->taken == r->tail_seen)
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	return r->taken == r->tail_seen;
}

size_t ring_take(struct ring *r, struct ring_record *ret_records, size_t k)
{
	size_t n = 0;

	/* A filler is published together with the record that follows it. */
	while (n < k && !ring_is_empty(r)) {
		struct head *h = head_at(r, r->taken);
		assert(h->octets > 0 && h->octets <= r->tail_seen - r->taken);
		r->taken += h->octets;
		if (!h->filler)
			ret_records[n++] = (struct ring_record){ (uint8_t *)h + RING_LINE, h->n };
	}
	return n;
}

void ring_release(struct ring *r)
{
	atomic_store_explicit(&r->head, r->taken, memory_order_release);
}
