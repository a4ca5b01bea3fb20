/*
 * A bounded ring of records between one thread that writes and one that reads: how a worker of the data plane
 * hands a train to the worker that owns it. No lock, no system call, no allocation after ring_new().
 *
 * The producer reserves room, writes into it and commits; the consumer takes records in place, may change
 * them, and releases all that it has taken at once. A record is contiguous and begins on a cache line. What
 * does not fit is refused: the ring never waits. Both indices count octets since the beginning, each on a
 * pair of cache lines (lines.h) that one side alone writes, beside that side's copy of the other's index, so that the sides read
 * each other's lines only when the ring looks full, or empty.
 *
 * A consumer that may sleep has one struct ring_sleeper for all the rings that it reads:
 *
 *	consumer                                producer
 *	ring_sleep_begin(s)                     ring_commit(), of a whole burst
 *	if every ring_is_empty(): poll()        if (ring_sleep_ends(s)): write the eventfd
 *	ring_sleep_end(s)
 *
 * Each side writes one word and then reads the other's, with a sequentially consistent fence between (Dekker):
 * at least one of them sees what the other wrote, so no wake-up is lost.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include "base/bytes.h"

#include <stdatomic.h>

#define RING_LINE	64
#define RING_OCTETS_MIN 1024u	   /* a few small records */
#define RING_OCTETS_MAX (1u << 30) /* the length of a record has 32 bits */

struct ring;

struct ring_record {
	uint8_t *bytes; /* aligned to RING_LINE */
	uint32_t n;
};

/* octets: a power of two, from RING_OCTETS_MIN to RING_OCTETS_MAX. NULL: out of memory. */
struct ring *ring_new(size_t octets);
void ring_free(struct ring *r);
/* for tests: a record of so many octets fits an empty ring wherever its indices stand. */
uint32_t ring_record_max(const struct ring *r);

/* Octets that were committed and not released, as one who is neither side sees it. */
uint64_t ring_waiting(const struct ring *r);

/* ---- the producer's thread ---- */
/* Room for n contiguous octets, aligned to RING_LINE; NULL: full. A second reservation before the commit
 * replaces the first. */
void *ring_reserve(struct ring *r, uint32_t n);
/* The consumer may see the record now: the first n octets of what was reserved. */
void ring_commit(struct ring *r, uint32_t n);

/* ---- the consumer's thread ---- */
/* Up to k records that have not been taken yet; they are the consumer's until ring_release(). */
size_t ring_take(struct ring *r, struct ring_record *ret_records, size_t k);
void ring_release(struct ring *r);  /* all that were taken */
bool ring_is_empty(struct ring *r); /* nothing that could be taken */

/* ---- sleeping ---- */

struct ring_sleeper {
	_Alignas(RING_LINE) _Atomic uint32_t asleep;
};

/* GCC's thread sanitizer does not model fences, and says so. What orders the records are the indices. */
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif

static inline void ring_sleep_begin(struct ring_sleeper *s)
{
	atomic_store_explicit(&s->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static inline void ring_sleep_end(struct ring_sleeper *s)
{
	atomic_store_explicit(&s->asleep, 0, memory_order_relaxed);
}

/* After what was committed: true for the one producer that has to wake the consumer. */
static inline bool ring_sleep_ends(struct ring_sleeper *s)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&s->asleep, memory_order_relaxed) &&
	       atomic_exchange_explicit(&s->asleep, 0, memory_order_relaxed);
}

#endif
