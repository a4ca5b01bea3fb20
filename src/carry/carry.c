#include "carry/carry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct carry {
	struct carry_tables tables;
	uint32_t worker, first, n; /* its records */
	uint32_t used, opening;
	uint32_t noted; /* notes that were read */
	uint32_t
		high; /* of its records those below may have a session; all of them until they were walked once */
	bool walked;
	/* Free records, by the time since they are: a queue. Those from `fresh` on have not been looked at. */
	uint32_t *next, *freed_ms;
	uint32_t free_first, free_last, fresh;
	struct carry_side (*put)[2]; /* numbers that the record got from the session last */
	uint32_t ripe;		     /* the first in the queue that rests; NONE: none does */
	/* a bit for each record that rests after a session that was never established: it counts in `opening` */
	uint64_t *unripe;
	uint64_t *
		seen; /* a bit for each record that has a session of this process, or had one, or is in the queue */
};

#define NONE UINT32_MAX

static uint32_t ms_of(mono_ns now)
{
	return (uint32_t)(now / NS_PER_MS);
}

/* ---- all of them ---- */

void carry_tables_begin(const struct carry_tables *m, const uint8_t hash_key[16], bool divided)
{
	bool blank = m->head->epoch == 0; /* tables that nobody has used */

	carry_epoch_next(m);
	if (!divided && !blank) {
		/* States first: what a program has found in a bucket is free then. */
		for (uint32_t i = 0; i < CARRY_RECORDS_MAX; i++)
			if (m->records[i].state != CARRY_FREE)
				__atomic_store_n(&m->records[i].state, CARRY_FREE, __ATOMIC_RELEASE);
		memset(m->buckets, 0, CARRY_BUCKETS * sizeof *m->buckets);
	}
	for (uint32_t i = 0; i < CARRY_WORKERS; i++)
		__atomic_store_n(&m->head->beat[i], 0, __ATOMIC_RELAXED);
	if ((m->head->hash_key[0] | m->head->hash_key[1]) == 0)
		memcpy(m->head->hash_key, hash_key, sizeof m->head->hash_key);
}

void carry_epoch_next(const struct carry_tables *m)
{
	__atomic_fetch_add(&m->head->epoch, 1, __ATOMIC_SEQ_CST);
}

void carry_beats_end(struct carry_head *head, mono_ns now)
{
	for (uint32_t i = 0; i < CARRY_WORKERS; i++)
		if (__atomic_load_n(&head->beat[i], __ATOMIC_RELAXED) > now)
			__atomic_store_n(&head->beat[i], 0, __ATOMIC_RELAXED);
}

/* ---- one worker's ---- */

struct carry *carry_new(const struct carry_tables *m, uint32_t worker, uint32_t workers)
{
	struct carry *c = calloc(1, sizeof *c);

	assert(worker < workers && workers <= CARRY_WORKERS);
	if (!c)
		return NULL;
	*c = (struct carry){ .tables = *m, .worker = worker, .n = CARRY_RECORDS_MAX / workers };
	c->first = worker * c->n;
	c->noted = __atomic_load_n(&m->head->notes[worker].written, __ATOMIC_ACQUIRE);
	c->free_first = c->free_last = c->ripe = NONE;
	c->next = calloc(c->n, sizeof *c->next);
	c->freed_ms = calloc(c->n, sizeof *c->freed_ms);
	c->put = calloc(c->n, sizeof *c->put);
	c->seen = calloc(c->n / 64 + 1, sizeof *c->seen);
	c->unripe = calloc(c->n / 64 + 1, sizeof *c->unripe);
	if (c->next && c->freed_ms && c->put && c->seen && c->unripe)
		return c;
	carry_free(c);
	return NULL;
}

void carry_free(struct carry *c)
{
	if (!c)
		return;
	free(c->next);
	free(c->freed_ms);
	free(c->put);
	free(c->seen);
	free(c->unripe);
	free(c);
}

void carry_beat(struct carry *c, mono_ns now)
{
	__atomic_store_n(&c->tables.head->beat[c->worker], now, __ATOMIC_RELEASE);
}

uint32_t carry_records(const struct carry *c)
{
	return c->n;
}

uint32_t carry_used(const struct carry *c)
{
	return c->used;
}

static struct carry_record *record_of(const struct carry *c, uint32_t link)
{
	assert(link > c->first && link <= c->first + c->n);
	return &c->tables.records[link - 1];
}

static bool is_seen(const struct carry *c, uint32_t i)
{
	return c->seen[i / 64] >> i % 64 & 1;
}

static void seen_set(struct carry *c, uint32_t i)
{
	c->high = i < c->high ? c->high : i + 1;
	c->seen[i / 64] |= 1ull << i % 64;
}

/* It has a session that a process before this one has placed. */
static void found(struct carry *c, uint32_t i)
{
	if (is_seen(c, i))
		return;
	c->used++;
	c->opening += c->tables.records[c->first + i].opening == 1;
	seen_set(c, i);
}

static void opening_set(struct carry *c, struct carry_record *r, bool opening)
{
	c->opening = c->opening + opening - (r->opening == 1);
	r->opening = opening;
}

static bool is_opening(enum carry_tcp tcp)
{
	return tcp != CARRY_TCP_NONE && tcp < CARRY_TCP_ESTABLISHED;
}

/* Those in the queue that have rested by now. */
static void ripen(struct carry *c, mono_ns now)
{
	const int32_t rest_ms = CARRY_REST_NS / NS_PER_MS;

	for (uint32_t i; (i = c->ripe) != NONE && (int32_t)(ms_of(now) - c->freed_ms[i]) >= rest_ms;) {
		c->opening -= c->unripe[i / 64] >> i % 64 & 1;
		c->unripe[i / 64] &= ~(1ull << i % 64);
		c->ripe = c->next[i];
	}
}

/* Other processors have written its lines last, or it was written long ago. */
static void record_fetch(const struct carry *c, uint32_t i)
{
	const uint8_t *at = (const uint8_t *)&c->tables.records[c->first + i];

	for (size_t line = 0; line < sizeof(struct carry_record); line += 64)
		__builtin_prefetch(at + line, 1);
}

/* A record that nobody has: the one that is free for longest, or one that was never looked at. The next one is fetched
 * meanwhile. */
static uint32_t record_new(struct carry *c, mono_ns now)
{
	ripen(c, now);
	uint32_t i = c->free_first;

	if (i != c->ripe) {
		c->free_first = c->next[i];
		if (c->free_first == NONE)
			c->free_last = NONE;
		else
			record_fetch(c, c->free_first);
		return i;
	}
	for (; c->fresh < c->n; c->fresh++)
		if (c->tables.records[c->first + c->fresh].state == CARRY_FREE && !is_seen(c, c->fresh))
			return c->fresh++;
	return NONE;
}

static void record_give(struct carry *c, uint32_t i, mono_ns now)
{
	c->next[i] = NONE;
	c->freed_ms[i] = ms_of(now);
	if (c->free_last == NONE)
		c->free_first = i;
	else
		c->next[c->free_last] = i;
	c->free_last = i;
	c->ripe = c->ripe == NONE ? i : c->ripe;
	seen_set(c, i);
}

/* Odd: programs leave it alone. One that had begun before finds another generation at its end. */
static void write_begin(struct carry_record *r)
{
	__atomic_store_n(&r->generation, r->generation | 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void write_end(struct carry_record *r)
{
	__atomic_store_n(&r->generation, (r->generation | 1) + 1, __ATOMIC_SEQ_CST);
}

/* ---- buckets: a place is one atomic word ---- */

static uint64_t place_word(uint32_t at, uint32_t tag)
{
	const struct carry_place p = { at, tag };
	uint64_t word;

	_Static_assert(sizeof p == sizeof word, "stored as one word");
	memcpy(&word, &p, sizeof word);
	return word;
}

static bool place_exchange(const struct carry *c, uint64_t hash, uint64_t from, uint64_t to)
{
	struct carry_bucket *b = &c->tables.buckets[carry_bucket_of(hash)];

	for (uint32_t i = 0; i < CARRY_PLACES; i++) {
		uint64_t *place = (uint64_t *)(void *)&b->place[i], expected = from;
		if (__atomic_load_n(place, __ATOMIC_RELAXED) == from &&
			__atomic_compare_exchange_n(
				place, &expected, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static uint64_t hash_of(const struct carry *c, const struct carry_record *r, uint32_t d)
{
	return carry_hash(c->tables.head->hash_key, &r->key[d], r->family, r->proto);
}

static uint32_t at_of(const struct carry *c, const struct carry_record *r, uint32_t d)
{
	return 1 + 2 * (uint32_t)(r - c->tables.records) + d;
}

static bool places_enter(const struct carry *c, const struct carry_record *r)
{
	uint64_t hash[2] = { hash_of(c, r, 0), hash_of(c, r, 1) };
	uint64_t first = place_word(at_of(c, r, 0), carry_tag(hash[0]));

	if (!place_exchange(c, hash[0], 0, first))
		return false;
	if (place_exchange(c, hash[1], 0, place_word(at_of(c, r, 1), carry_tag(hash[1]))))
		return true;
	place_exchange(c, hash[0], first, 0);
	return false;
}

static void places_leave(const struct carry *c, const struct carry_record *r)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = hash_of(c, r, d);
		place_exchange(c, hash, place_word(at_of(c, r, d), carry_tag(hash)), 0);
	}
}

/* ---- records ---- */

/* Whoever had it before may have died before carry_give(). */
static void counts_begin(struct carry_record *r)
{
	memset(r->count, 0, sizeof r->count);
	memset(r->taken_packets, 0, sizeof r->taken_packets);
	memset(r->taken_octets, 0, sizeof r->taken_octets);
	r->opening = 0;
}

uint32_t carry_place(struct carry *c, uint32_t link, const struct carry_entry *e, mono_ns now)
{
	uint32_t i = link ? link - 1 - c->first : record_new(c, now);

	if (i == NONE)
		return 0;
	struct carry_record *r = &c->tables.records[c->first + i];
	if (link)
		found(c, i);
	bool same = link && r->family == e->family && r->proto == e->proto &&
		    memcmp(r->key, e->key, sizeof r->key) == 0;
	write_begin(r);
	if (link && !same)
		places_leave(c, r);
	if (!link)
		counts_begin(r);
	r->epoch = c->tables.head->epoch;
	r->worker = (uint8_t)c->worker;
	r->family = e->family;
	r->proto = e->proto;
	r->session = e->session;
	r->id = e->id;
	memcpy(r->key, e->key, sizeof r->key);
	memcpy(r->way, e->way, sizeof r->way);
	memcpy(r->side, e->side, sizeof r->side);
	memcpy(c->put[i], e->side, sizeof r->side);
	r->mss = e->mss;
	__atomic_store_n(&r->tcp, e->tcp, __ATOMIC_SEQ_CST);
	bool entered = same || places_enter(c, r);
	r->state = entered ? CARRY_PLACED : CARRY_FREE;
	write_end(r);
	if (!entered) {
		c->used -= link != 0;
		opening_set(c, r, false);
		record_give(c, i, now);
		return 0;
	}
	c->used += !link;
	seen_set(c, i);
	opening_set(c, r, is_opening(e->tcp));
	return c->first + i + 1;
}

bool carry_is_of(const struct carry *c, uint32_t link, uint32_t session, uint32_t id)
{
	if (link <= c->first || link > c->first + c->n)
		return false;
	const struct carry_record *r = record_of(c, link);
	return r->state == CARRY_PLACED && r->session == session && r->id == id && r->worker == c->worker;
}

bool carry_is_fresh(const struct carry *c, uint32_t link)
{
	return record_of(c, link)->epoch == __atomic_load_n(&c->tables.head->epoch, __ATOMIC_RELAXED);
}

static struct carry_side side_read(const struct carry_side *s)
{
	return (struct carry_side){ .end = __atomic_load_n(&s->end, __ATOMIC_RELAXED),
		.max_end = __atomic_load_n(&s->max_end, __ATOMIC_RELAXED),
		.max_window = __atomic_load_n(&s->max_window, __ATOMIC_RELAXED),
		.ack = __atomic_load_n(&s->ack, __ATOMIC_RELAXED),
		.scale = __atomic_load_n(&s->scale, __ATOMIC_RELAXED),
		.scales = __atomic_load_n(&s->scales, __ATOMIC_RELAXED) };
}

void carry_take(struct carry *c, uint32_t link, struct carry_passed *ret_passed)
{
	struct carry_record *r = record_of(c, link);

	found(c, link - 1 - c->first);
	/* The state first: what it says of the sides is there then. */
	uint32_t tcp = __atomic_load_n(&r->tcp, __ATOMIC_SEQ_CST);
	*ret_passed = (struct carry_passed){ .tcp = tcp == CARRY_TCP_ANSWERING ? CARRY_TCP_SYN_SENT
									       : (enum carry_tcp)tcp };
	if (r->opening)
		opening_set(c, r, is_opening(ret_passed->tcp));
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t packets = __atomic_load_n(&r->count[d].packets, __ATOMIC_RELAXED);
		uint64_t octets = __atomic_load_n(&r->count[d].octets, __ATOMIC_RELAXED);
		mono_ns last = __atomic_load_n(&r->count[d].last, __ATOMIC_RELAXED);
		ret_passed->packets[d] = (uint32_t)packets - r->taken_packets[d];
		ret_passed->octets[d] = octets - r->taken_octets[d];
		r->taken_packets[d] = (uint32_t)packets;
		r->taken_octets[d] = octets;
		ret_passed->last = last > ret_passed->last ? last : ret_passed->last;
		ret_passed->side[d] = side_read(&r->side[d]);
	}
}

/* In serial arithmetic, as TCP's numbers; a window is never half of them. */
static void advance(uint32_t *number, uint32_t to)
{
	uint32_t is = __atomic_load_n(number, __ATOMIC_RELAXED);

	while ((int32_t)(to - is) > 0)
		if (__atomic_compare_exchange_n(number, &is, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			break;
}

/* Each side may have learned of another FIN. */
static uint32_t further(uint32_t is, uint32_t to)
{
	if (is < CARRY_TCP_ESTABLISHED || to < CARRY_TCP_ESTABLISHED)
		return is > to ? is : to;
	return ((is > to ? is : to) & ~CARRY_FINS) | carry_fins(is | to);
}

void carry_put(struct carry *c, uint32_t link, const struct carry_side side[2], enum carry_tcp tcp)
{
	struct carry_record *r = record_of(c, link);
	uint32_t is = __atomic_load_n(&r->tcp, __ATOMIC_RELAXED);

	if (is < CARRY_TCP_SYN_RECEIVED)
		return; /* the answer brings the numbers */
	while (further(is, tcp) != is && !__atomic_compare_exchange_n(&r->tcp, &is, further(is, tcp), false,
						 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
	}
	if (r->opening)
		opening_set(c, r, is_opening(tcp));

	memcpy(c->put[link - 1 - c->first], side, sizeof c->put[0]);
	for (uint32_t d = 0; d < 2; d++) {
		advance(&r->side[d].end, side[d].end);
		advance(&r->side[d].max_end, side[d].max_end);
		advance(&r->side[d].max_window, side[d].max_window);
		advance(&r->side[d].ack, side[d].ack);
	}
}

bool carry_is_put(const struct carry *c, uint32_t link, const struct carry_side side[2])
{
	const struct carry_side *put = c->put[record_of(c, link) - &c->tables.records[c->first]];

	for (uint32_t d = 0; d < 2; d++)
		if (put[d].end != side[d].end || put[d].max_end != side[d].max_end ||
			put[d].ack != side[d].ack)
			return false;
	return true;
}

void carry_interfaces(const struct carry *c, uint32_t link, uint32_t d, uint32_t *ret_in, uint32_t *ret_out)
{
	const struct carry_record *r = record_of(c, link);

	*ret_in = r->key[d].interface;
	*ret_out = r->way[d].interface;
}

void carry_stop(struct carry *c, uint32_t link)
{
	struct carry_record *r = record_of(c, link);

	found(c, link - 1 - c->first);
	write_begin(r);
	places_leave(c, r);
	__atomic_store_n(&r->state, CARRY_FREE, __ATOMIC_RELEASE);
	write_end(r);
}

void carry_give(struct carry *c, uint32_t link, mono_ns now)
{
	uint32_t i = link - 1 - c->first;
	struct carry_record *r = record_of(c, link);

	c->used -= is_seen(c, i);
	if (r->opening == 1)
		c->unripe[i / 64] |= 1ull << i % 64;
	r->opening = 0;
	record_give(c, i, now);
}

uint32_t carry_opening(struct carry *c, mono_ns now)
{
	ripen(c, now);
	return c->opening;
}

void carry_notes_fetch(const struct carry *c, uint32_t max)
{
	const struct carry_notes *n = &c->tables.head->notes[c->worker];
	uint32_t written = __atomic_load_n(&n->written, __ATOMIC_ACQUIRE);

	for (uint32_t i = c->noted; i != written && max > 0; i++, max--) {
		uint32_t link = (__atomic_load_n(&n->at[i % CARRY_NOTES], __ATOMIC_RELAXED) - 1) / 2 +
				1; /* 0: more than any */
		if (link > c->first && link <= c->first + c->n)
			record_fetch(c, link - 1 - c->first);
	}
}

uint32_t carry_noted(struct carry *c, uint32_t *ret_session, uint32_t *ret_id, bool *ret_lost)
{
	struct carry_notes *n = &c->tables.head->notes[c->worker];
	uint32_t written = __atomic_load_n(&n->written, __ATOMIC_ACQUIRE);

	*ret_lost = written - c->noted > CARRY_NOTES;
	if (*ret_lost)
		c->noted = written;
	while (c->noted != written) {
		uint32_t at = __atomic_exchange_n(&n->at[c->noted % CARRY_NOTES], 0, __ATOMIC_ACQUIRE);
		if (at == 0 && written - c->noted < CARRY_NOTES_WRITING)
			return 0; /* it is being written */
		c->noted++;
		/* Another one had its place, and was read for it: the walk over all records finds what it told. */
		if (at == 0)
			continue;
		uint32_t link = (at - 1) / 2 + 1;
		if (link <= c->first || link > c->first + c->n)
			continue;
		const struct carry_record *r = record_of(c, link);
		if (r->state != CARRY_PLACED)
			continue;
		*ret_session = r->session;
		*ret_id = (uint32_t)r->id;
		return link;
	}
	return 0;
}

uint32_t carry_next(
	struct carry *c, uint32_t *cursor, uint32_t *budget, uint32_t *ret_session, uint32_t *ret_id)
{
	for (; *cursor < (c->walked ? c->high : c->n) && *budget > 0; --*budget) {
		uint32_t i = (*cursor)++;
		const struct carry_record *r = &c->tables.records[c->first + i];
		if (r->state != CARRY_PLACED)
			continue;
		c->high = i < c->high ? c->high : i + 1;
		*ret_session = r->session;
		*ret_id = (uint32_t)r->id;
		return c->first + i + 1;
	}
	if (*cursor >= (c->walked ? c->high : c->n)) {
		c->walked = true;
		*cursor = c->n;
	}
	return 0;
}
