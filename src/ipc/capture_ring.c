#include "ipc/capture_ring.h"

#define LINE 64u
_Static_assert(
	offsetof(struct capture_record, facts) <= LINE, "what a reader looks at first is in the first line");

static uint32_t whole(uint32_t n)
{
	return (uint32_t)((sizeof(struct capture_record) + n + LINE - 1) & ~(size_t)(LINE - 1));
}

static struct capture_record *record_at(struct capture_ring *r, uint64_t place)
{
	return (struct capture_record *)(void *)(r->bytes + (place & (CAPTURE_RING_BYTES - 1)));
}

struct capture_record *capture_reserve(struct capture_ring *r, uint64_t *head, uint32_t n)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire), used = *head - tail;
	uint32_t size = whole(n), to_end = CAPTURE_RING_BYTES - (uint32_t)(*head & (CAPTURE_RING_BYTES - 1));
	uint64_t needs = size <= to_end ? size : (uint64_t)to_end + size;

	if (n > CAPTURE_RING_BYTES / 4 || used > CAPTURE_RING_BYTES || CAPTURE_RING_BYTES - used < needs) {
		atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
		return NULL;
	}
	if (size > to_end) { /* to_end is a multiple of a line: there is room for the part that says so */
		record_at(r, *head)->stage =
			CAPTURE_STAGES_N; /* no more of it: the record may be longer than the rest */
		*head += to_end;
	}
	struct capture_record *c = record_at(r, *head);
	*head += size;
	*c = (struct capture_record){ .size = size, .n = n };
	return c;
}

void capture_publish(struct capture_ring *r, uint64_t head)
{
	atomic_store_explicit(&r->head, head, memory_order_release);
}

bool capture_ring_next(struct capture_ring *r, uint64_t *tail, struct capture_record *ret_record,
	const uint8_t **ret_bytes, bool *ret_bad)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	*ret_bad = false;
	while (*tail != head) {
		uint32_t at = (uint32_t)(*tail & (CAPTURE_RING_BYTES - 1)), to_end = CAPTURE_RING_BYTES - at;
		*ret_bad = head - *tail >
			   CAPTURE_RING_BYTES; /* each round: parts without a record would lead past it */
		if (*ret_bad)
			return false;
		memcpy(ret_record, record_at(r, *tail), MIN_OF((size_t)to_end, sizeof *ret_record));
		if (ret_record->stage == CAPTURE_STAGES_N) {
			*tail += to_end;
			continue;
		}
		*ret_bad = ret_record->size > to_end || ret_record->n > CAPTURE_RING_BYTES ||
			   ret_record->size != whole(ret_record->n) || ret_record->stage > CAPTURE_STAGES_N;
		if (*ret_bad)
			return false;
		*ret_bytes = r->bytes + at + sizeof *ret_record;
		*tail += ret_record->size;
		return true;
	}
	return false;
}

void capture_release(struct capture_ring *r, uint64_t tail)
{
	atomic_store_explicit(&r->tail, tail, memory_order_release);
}
