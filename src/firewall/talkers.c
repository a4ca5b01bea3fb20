/*
 * Who talks most: the largest sums over sessions by source, destination or both, in bounded memory (Metwally, Agrawal
 * and El Abbadi's space-saving, with weights). FW_TALKERS_MAX talkers are counted; another one takes the place of the
 * smallest and inherits its sum, by which its own may be too large. So no sum is too small; none is too large by
 * more than the total over FW_TALKERS_MAX; who has more than that is in the list; and with no more talkers than places all
 * is exact. Found by a keyed hash, because strangers choose addresses. Not on a packet's way.
 */
#include "base/siphash.h"
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

#define NOBODY UINT32_MAX

void fw_talkers_begin(
	struct fw_talkers *t, const struct firewall *fw, enum talker_by by, enum talker_order order)
{
	assert(by < TALKER_BY_COUNT && order < TALKER_ORDER_COUNT);
	memset(t, 0, sizeof *t);
	memset(t->bucket, 0xff, sizeof t->bucket);
	memcpy(t->hash_key, fw->limits.hash_key, sizeof t->hash_key);
	t->by = by;
	t->order = order;
}

/* ---- the heap: the smallest sum first; places in it follow the talkers ---- */

static void heap_set(struct fw_talkers *t, uint32_t at, uint32_t index)
{
	t->heap[at] = index;
	t->place[index] = at;
}

static void heap_down(struct fw_talkers *t, uint32_t at)
{
	uint32_t moved = t->heap[at];

	for (uint32_t child; (child = 2 * at + 1) < t->n; at = child) {
		if (child + 1 < t->n && t->talker[t->heap[child + 1]].sum < t->talker[t->heap[child]].sum)
			child++;
		if (t->talker[t->heap[child]].sum >= t->talker[moved].sum)
			break;
		heap_set(t, at, t->heap[child]);
	}
	heap_set(t, at, moved);
}

static void heap_up(struct fw_talkers *t, uint32_t at)
{
	uint32_t moved = t->heap[at];

	for (; at > 0 && t->talker[t->heap[(at - 1) / 2]].sum > t->talker[moved].sum; at = (at - 1) / 2)
		heap_set(t, at, t->heap[(at - 1) / 2]);
	heap_set(t, at, moved);
}

/* ---- the index ---- */

static uint32_t *bucket_of(struct fw_talkers *t, const struct ip_addr ends[2])
{
	return &t->bucket[siphash13(t->hash_key, ends, 2 * sizeof ends[0]) % COUNT_OF(t->bucket)];
}

static uint32_t find(struct fw_talkers *t, const struct ip_addr ends[2])
{
	uint32_t i = *bucket_of(t, ends);

	while (i != NOBODY && memcmp(t->talker[i].ends, ends, sizeof t->talker[i].ends) != 0)
		i = t->chain[i];
	return i;
}

static void unlink_from(struct fw_talkers *t, uint32_t index)
{
	uint32_t *at = bucket_of(t, t->talker[index].ends);

	while (*at != index) {
		assert(*at != NOBODY);
		at = &t->chain[*at];
	}
	*at = t->chain[index];
}

/* The place for somebody new: a free one, or that of the smallest. */
static uint32_t place_take(struct fw_talkers *t, const struct ip_addr ends[2])
{
	uint32_t index = t->n < FW_TALKERS_MAX ? t->n : t->heap[0];
	uint64_t inherited = 0;

	if (t->n < FW_TALKERS_MAX) {
		t->n++;
		heap_set(t, index, index);
	} else {
		inherited = t->talker[index].sum;
		unlink_from(t, index);
	}
	t->talker[index] = (struct fw_talker){ .sum = inherited, .over = inherited };
	memcpy(t->talker[index].ends, ends, sizeof t->talker[index].ends);
	t->chain[index] = *bucket_of(t, ends);
	*bucket_of(t, ends) = index;
	if (inherited == 0)
		heap_up(t, t->place[index]);
	return index;
}

void fw_talkers_add(struct fw_talkers *t, const struct fw_session *s)
{
	uint64_t packets = s->packets[0] + s->packets[1], bytes = s->bytes[0] + s->bytes[1];
	uint64_t weight = t->order == TALKER_ORDER_BYTES     ? bytes
			  : t->order == TALKER_ORDER_PACKETS ? packets
							     : 1;
	struct ip_addr ends[2] = { { .family = ADDR_NONE }, { .family = ADDR_NONE } };

	if (t->by != TALKER_BY_DESTINATION)
		ends[0] = fw_key_src(&s->key[0]);
	if (t->by != TALKER_BY_SOURCE)
		ends[1] = fw_key_dst(&s->key[0]);
	uint32_t index = find(t, ends);
	if (index == NOBODY)
		index = place_take(t, ends);
	struct fw_talker *one = &t->talker[index];
	one->sum += weight;
	one->counted.sessions++;
	one->counted.packets += packets;
	one->counted.bytes += bytes;
	heap_down(t, t->place[index]);
}

static int larger_first(const void *a, const void *b)
{
	const struct fw_talker *x = a, *y = b;

	if (x->sum != y->sum)
		return x->sum < y->sum ? 1 : -1;
	return memcmp(x->ends, y->ends, sizeof x->ends);
}

void fw_talkers_end(struct fw_talkers *t)
{
	qsort(t->talker, t->n, sizeof t->talker[0], larger_first);
}
