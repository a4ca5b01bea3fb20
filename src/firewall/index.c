/*
 * The index of the session table by the keys of both directions: chained hashing. A link names a record and a
 * direction in its low bits, and has in its high ones a part of the key's hash, which the buckets do not use. So a
 * lookup reads of all records hardly any but its own: a record that is not in the cache costs as much as all the rest.
 *
 * It stands in the memory that outlives the process, which has room for FW_INDEXES of them: a new process begins an
 * empty one of its own, and finds by those of former ones what it has not adopted yet (adopt.c). It believes only its own.
 *
 * Where former processes have left something in its room, a page of buckets counts as empty until it is cleared: before
 * the first link stands in it, and the others in pieces (fw_index_clear()). So the beginning costs the same however many
 * sessions there are. A process that dies before all pages are clear leaves some that are no part of its index: as nothing
 * in it is believed, that costs its successor a few steps.
 *
 * Called on the worker's thread only, but for fw_index_hint().
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

#define PAGE	     4096u /* each begins on a page of its own, so that its memory can be given back */
#define PAGE_BUCKETS (PAGE / sizeof(uint32_t))

static size_t buckets_of(uint32_t sessions_max)
{
	size_t buckets = PAGE / sizeof(uint32_t);

	while (buckets < sessions_max)
		buckets *= 2;
	return buckets;
}

size_t fw_index_bytes(uint32_t sessions_max)
{
	size_t bytes = sizeof(uint32_t) * (buckets_of(sessions_max) + 2 * (size_t)sessions_max);

	return (bytes + PAGE - 1) / PAGE * PAGE;
}

size_t fw_index_at(uint32_t sessions_max, uint32_t k)
{
	size_t records = FW_STATE_BYTES + (size_t)sessions_max * sizeof(struct fw_session);

	return (records + PAGE - 1) / PAGE * PAGE + k * fw_index_bytes(sessions_max);
}

static uint32_t *index_in_memory(const struct firewall *fw, uint32_t k)
{
	return (uint32_t *)(void *)((uint8_t *)fw->state + fw_index_at(fw->limits.sessions_max, k));
}

/* Pages of the memory: they may be given back to the kernel, and are zero when they are read again. */
static void zero(const struct firewall *fw, void *at, size_t n)
{
	if (fw->limits.zero)
		fw->limits.zero(at, n);
	else
		memset(at, 0, n);
}

static uint32_t page_of(const struct firewall *fw, uint64_t hash)
{
	return (uint32_t)((hash & fw->bucket_mask) / PAGE_BUCKETS);
}

static bool is_stale(const struct firewall *fw, uint32_t page)
{
	return fw->adopt.stale[page / 64] >> page % 64 & 1;
}

static void page_clear(struct firewall *fw, uint32_t page)
{
	if (!is_stale(fw, page))
		return;
	memset(fw->bucket + page * PAGE_BUCKETS, 0, PAGE);
	fw->adopt.stale[page / 64] &= ~(1ull << page % 64);
	fw->adopt.stale_n--;
}

static uint32_t *bucket_of(struct firewall *fw, uint64_t hash)
{
	if (fw->adopt.stale_n > 0)
		page_clear(fw, page_of(fw, hash));
	return &fw->bucket[hash & fw->bucket_mask];
}

/* Of its chain; 0: it is empty. */
static uint32_t first_link(const struct firewall *fw, uint64_t hash)
{
	if (fw->adopt.stale_n > 0 && is_stale(fw, page_of(fw, hash)))
		return 0;
	return fw->bucket[hash & fw->bucket_mask];
}

uint32_t fw_index_find(
	const struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction)
{
	for (uint32_t link = first_link(fw, hash); link != 0; link = fw->chain[fw_link_entry(link)]) {
		uint32_t e = fw_link_entry(link);
		if (fw_link_fits(link, hash) && fw_key_equal(&fw->sessions[e >> 1].key[e & 1], k)) {
			*ret_direction = e & 1;
			return e >> 1;
		}
	}
	return FW_NONE;
}

void fw_session_prefetch(const struct firewall *fw, uint64_t hash)
{
	uint32_t link = first_link(fw, hash);

	while (link != 0 && !fw_link_fits(link, hash))
		link = fw->chain[fw_link_entry(link)];
	if (link == 0)
		return;
	const uint8_t *s = (const uint8_t *)&fw->sessions[fw_link_entry(link) >> 1];
	for (size_t line = 0; line < sizeof(struct fw_session); line += 64)
		__builtin_prefetch(s + line, 1);
}

void fw_index_prefetch(const struct firewall *fw, uint32_t index)
{
	__builtin_prefetch(&fw->chain[2 * index], 1);
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = fw_key_hash(fw, &fw->sessions[index].key[d]);
		__builtin_prefetch(&fw->bucket[hash & fw->bucket_mask], 1);
	}
}

void fw_index_add(struct firewall *fw, uint32_t index)
{
	assert(index < fw->state->used);
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = fw_key_hash(fw, &fw->sessions[index].key[d]);
		uint32_t *head = bucket_of(fw, hash);
		fw->chain[2 * index + d] = *head;
		__atomic_store_n(head, fw_link(2 * index + d, hash), __ATOMIC_RELEASE);
	}
}

void fw_index_remove(struct firewall *fw, uint32_t index)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t hash = fw_key_hash(fw, &fw->sessions[index].key[d]);
		uint32_t *at = bucket_of(fw, hash), link = fw_link(2 * index + d, hash);
		while (*at != 0 && *at != link)
			at = &fw->chain[fw_link_entry(*at)];
		assert(*at != 0);
		*at = fw->chain[2 * index + d];
	}
}

/* ---- the own one, and those of former processes ---- */

void *fw_table_new(const struct firewall *fw, size_t n)
{
	return fw->limits.table_new ? fw->limits.table_new(n) : calloc(1, n);
}

void fw_table_free(const struct firewall *fw, void *table, size_t n)
{
	if (fw->limits.table_free)
		fw->limits.table_free(table, n);
	else
		free(table);
}

/* Room that no former process has used; else that of the last one: where each has died soon, the first ones name most. */
static uint32_t place_choose(const struct fw_state *st)
{
	uint32_t last = 0;

	for (uint32_t k = 0; k < FW_INDEXES; k++) {
		if (!st->index[k].used)
			return k;
		if ((int32_t)(st->index[k].used - st->index[last].used) > 0)
			last = k;
	}
	return last;
}

bool fw_index_clear(struct firewall *fw, uint32_t *budget)
{
	struct fw_adopt *a = &fw->adopt;
	uint32_t pages = page_of(fw, UINT64_MAX) + 1, looked = 0, from;

	while (a->stale_n > 0 && looked < FW_CLEAN_BYTES / PAGE && *budget > 0) {
		assert(a->stale_next < pages);
		for (from = a->stale_next; a->stale_next < pages && looked < FW_CLEAN_BYTES / PAGE &&
					   is_stale(fw, a->stale_next);
			looked++) {
			a->stale[a->stale_next / 64] &= ~(1ull << a->stale_next % 64);
			a->stale_next++;
			a->stale_n--;
		}
		if (a->stale_next > from)
			zero(fw, fw->bucket + from * PAGE_BUCKETS, (a->stale_next - from) * (size_t)PAGE);
		else { /* one that was cleared before */
			a->stale_next++;
			looked++;
		}
	}
	/* Two cost about as much as a record that is looked at. */
	*budget -= MIN_OF(*budget, looked / 2);
	return a->stale_n == 0;
}

/* Its size does not follow the sessions: a larger one would have to be filled with all of them at once. What is
 * not used is not touched and costs nothing. */
bool fw_index_begin(struct firewall *fw, bool is_zero)
{
	uint32_t n = fw->limits.sessions_max, mine, number = 0;
	size_t buckets = buckets_of(n);
	struct fw_state *st = fw->state;
	struct fw_adopt *a = &fw->adopt;

	assert(n <= FW_RECORDS_MAX && a->olds_n == 0);
	for (uint32_t k = 0; k < FW_INDEXES && st->sessions_max != n; k++)
		st->index[k].used = 0; /* they stand elsewhere, or nowhere */
	for (uint32_t k = 0; k < FW_INDEXES; k++)
		number = MAX_OF(number, st->index[k].used);
	mine = place_choose(st);
	a->gaps = st->used > 0 && (st->index[mine].used || st->sessions_max != n);
	__atomic_store_n(&st->index[mine].used, 0, __ATOMIC_RELEASE);
	for (uint32_t k = 0; k < FW_INDEXES; k++) {
		if (!st->index[k].used)
			continue;
		struct fw_old *o = &a->old[a->olds_n++];
		o->place = k;
		o->bucket = index_in_memory(fw, k);
		o->chain = o->bucket + buckets;
		memcpy(o->hash_key, st->index[k].hash_key, sizeof o->hash_key);
	}
	fw->bucket = index_in_memory(fw, mine);
	fw->chain = fw->bucket + buckets;
	fw->bucket_mask = (uint32_t)buckets - 1;
	uint32_t pages = page_of(fw, UINT64_MAX) + 1;
	a->stale = calloc(pages / 64 + 1, sizeof *a->stale);
	if (!a->stale)
		return false;
	for (; !is_zero && a->stale_n < pages; a->stale_n++)
		a->stale[a->stale_n / 64] |= 1ull << a->stale_n % 64;
	memcpy(st->index[mine].hash_key, fw->limits.hash_key, sizeof st->index[mine].hash_key);
	__atomic_store_n(&st->index[mine].used, number < UINT32_MAX ? number + 1 : 1, __ATOMIC_RELEASE);
	return true;
}

/* One link of an index that is not believed: a number within its room, or 0. */
static uint32_t old_link(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* The next entry behind *link whose hash fits: below `end`; FW_NONE: no more. A chain that a damaged index has made
 * longer, or a circle, is left after FW_OLD_STEPS. */
static uint32_t old_next(const struct fw_old *o, uint64_t hash, uint32_t end, uint32_t *link, uint32_t *steps)
{
	while (*link != 0 && (*steps)++ < FW_OLD_STEPS) {
		uint32_t e = fw_link_entry(*link);
		bool fits = fw_link_fits(*link, hash);
		if (e >= 2 * end)
			return FW_NONE;
		*link = old_link(&o->chain[e]);
		if (fits)
			return e;
	}
	return FW_NONE;
}

uint32_t fw_index_find_old(const struct firewall *fw, const struct fw_key *k)
{
	const struct fw_adopt *a = &fw->adopt;

	for (uint32_t i = 0; i < a->olds_n; i++) {
		const struct fw_old *o = &a->old[i];
		uint64_t hash = siphash13(o->hash_key, k, sizeof *k);
		uint32_t link = old_link(&o->bucket[hash & fw->bucket_mask]), steps = 0, e;
		while ((e = old_next(o, hash, a->end, &link, &steps)) != FW_NONE)
			if (!fw_is_known(fw, e >> 1) && fw_key_equal(&fw->sessions[e >> 1].key[e & 1], k))
				return e >> 1;
	}
	return FW_NONE;
}

bool fw_index_hint(const struct firewall *fw, const struct fw_key *k)
{
	const struct fw_adopt *a = &fw->adopt;
	uint32_t end = __atomic_load_n(&a->hinted, __ATOMIC_RELAXED);

	for (uint32_t i = 0; end > 0 && i < a->olds_n; i++) {
		const struct fw_old *o = &a->old[i];
		uint64_t hash = siphash13(o->hash_key, k, sizeof *k);
		uint32_t link = old_link(&o->bucket[hash & fw->bucket_mask]), steps = 0;
		if (old_next(o, hash, end, &link, &steps) != FW_NONE)
			return true;
	}
	return false;
}

bool fw_index_clean(struct firewall *fw)
{
	struct fw_adopt *a = &fw->adopt;
	size_t bytes = fw_index_bytes(fw->limits.sessions_max),
	       n = MIN_OF(bytes - a->cleaned, (size_t)FW_CLEAN_BYTES);

	assert(a->end == 0);
	if (a->cleaned_n == a->olds_n)
		return true;
	const struct fw_old *o = &a->old[a->cleaned_n];
	__atomic_store_n(&fw->state->index[o->place].used, 0, __ATOMIC_RELEASE);
	zero(fw, (uint8_t *)index_in_memory(fw, o->place) + a->cleaned, n);
	a->cleaned += n;
	if (a->cleaned == bytes) {
		a->cleaned = 0;
		a->cleaned_n++;
	}
	return a->cleaned_n == a->olds_n;
}
