#include "proc/dataplane/rings.h"

#include "base/ring.h"

#include <assert.h>

struct record {
	uint32_t kind;	    /* enum handover_kind, or HANDOVER_KINDS + enum ring_note */
	uint32_t n;	    /* octets of a note */
	struct train train; /* its ip is set by the reader */
};

#define NOTE_AT 64
#define IP_AT	((uint32_t)(sizeof(struct record) + TRAIN_HEAD_ROOM + 63) & ~63u)
_Static_assert(offsetof(struct record, train) <= NOTE_AT, "notes have the first words of the record");
_Static_assert(RING_BYTES_MIN / 2 > IP_AT + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM + RING_LINE,
	"any train fits an empty ring");
_Static_assert(RING_BYTES_MIN / 2 > NOTE_AT + RING_NOTE_BYTES_MAX + RING_LINE, "so does any note");

/* All together have RING_BYTES_ALL, as far as each has what it needs. */
static size_t ring_octets(uint32_t workers)
{
	size_t octets = RING_BYTES_MAX;

	while (octets > RING_BYTES_MIN && octets * workers * (workers - 1) > RING_BYTES_ALL)
		octets /= 2;
	return octets;
}

bool rings_init(struct rings *r, uint32_t workers)
{
	assert(workers > 0 && workers <= WORKERS_MAX);
	*r = (struct rings){ .workers = workers, .octets = ring_octets(workers) };
	for (uint32_t from = 0; from < workers; from++)
		for (uint32_t to = 0; to < workers; to++)
			if (from != to && !(r->ring[from][to] = ring_new(r->octets))) {
				rings_done(r);
				return false;
			}
	return true;
}

void rings_done(struct rings *r)
{
	for (uint32_t from = 0; from < r->workers; from++)
		for (uint32_t to = 0; to < r->workers; to++)
			ring_free(r->ring[from][to]);
	*r = (struct rings){ 0 };
}

bool rings_put(struct rings *r, uint32_t from, uint32_t to, enum handover_kind kind, const struct train *t)
{
	assert(from != to && to < r->workers && t->len <= TRAIN_BYTES_MAX);
	uint32_t n = IP_AT + t->len + TRAIN_TAIL_ROOM;
	uint8_t *at = ring_reserve(r->ring[from][to], n);
	if (!at)
		return false;
	struct record head = { .kind = kind, .train = *t };
	memcpy(at, &head, sizeof head);
	memcpy(at + IP_AT, t->ip, t->len);
	ring_commit(r->ring[from][to], n);
	return true;
}

bool rings_put_note(
	struct rings *r, uint32_t from, uint32_t to, enum ring_note kind, const void *bytes, uint32_t n)
{
	assert(from != to && to < r->workers && n <= RING_NOTE_BYTES_MAX);
	uint8_t *at = ring_reserve(r->ring[from][to], NOTE_AT + n);
	if (!at)
		return false;
	const uint32_t words[] = { HANDOVER_KINDS + kind, n };
	memcpy(at, words, sizeof words);
	memcpy(at + NOTE_AT, bytes, n);
	ring_commit(r->ring[from][to], NOTE_AT + n);
	return true;
}

static uint32_t record_kind(const struct ring_record *r)
{
	uint32_t kind;

	assert(r->n >= NOTE_AT);
	memcpy(&kind, r->bytes, sizeof kind);
	assert(kind < HANDOVER_KINDS + (uint32_t)RING_NOTE_KINDS);
	return kind;
}

static struct train train_read(const struct ring_record *r)
{
	struct record head;

	assert(r->n >= IP_AT + TRAIN_TAIL_ROOM);
	memcpy(&head, r->bytes, sizeof head);
	assert(head.train.len == r->n - IP_AT - TRAIN_TAIL_ROOM);
	head.train.ip = r->bytes + IP_AT;
	return head.train;
}

static void note_read(
	const struct rings_reader *reader, uint32_t from, uint32_t kind, const struct ring_record *r)
{
	reader->note(reader->context, from, (enum ring_note)(kind - HANDOVER_KINDS), r->bytes + NOTE_AT,
		r->n - NOTE_AT);
}

static void trains_run(struct pipeline *p, uint32_t kind, struct train *trains, uint32_t n, mono_ns now)
{
	if (n > 0 && kind == HANDOVER_TUNNEL)
		pipeline_burst_tunnel(p, trains, n, now);
	else if (n > 0)
		pipeline_burst(p, trains, n, now);
}

static uint32_t ring_run(struct ring *ring, uint32_t from, const struct rings_reader *reader, mono_ns now)
{
	struct ring_record records[TRAIN_BURST_MAX];
	struct train trains[TRAIN_BURST_MAX];
	uint32_t kind = HANDOVER_ARRIVED, n = 0;
	size_t taken = ring_take(ring, records, TRAIN_BURST_MAX);

	for (size_t i = 0; i < taken; i++) {
		uint32_t next = record_kind(&records[i]);
		if (next != kind) {
			trains_run(reader->p, kind, trains, n, now);
			n = 0;
		}
		kind = next;
		if (kind < HANDOVER_KINDS)
			trains[n++] = train_read(&records[i]);
		else
			note_read(reader, from, kind, &records[i]);
	}
	trains_run(reader->p, kind, trains, n, now);
	if (taken > 0)
		ring_release(ring);
	return (uint32_t)taken;
}

uint32_t rings_run(struct rings *r, uint32_t to, const struct rings_reader *reader, mono_ns now)
{
	uint32_t n = 0;

	for (uint32_t from = 0; from < r->workers; from++)
		if (from != to)
			n += ring_run(r->ring[from][to], from, reader, now);
	return n;
}

bool rings_are_empty(struct rings *r, uint32_t to)
{
	for (uint32_t from = 0; from < r->workers; from++)
		if (from != to && !ring_is_empty(r->ring[from][to]))
			return false;
	return true;
}

void rings_drop(struct rings *r, uint32_t to, const struct rings_reader *reader)
{
	struct ring_record record;

	for (uint32_t from = 0; from < r->workers; from++) {
		if (from == to)
			continue;
		while (ring_take(r->ring[from][to], &record, 1) == 1) {
			uint32_t kind = record_kind(&record);
			if (kind < HANDOVER_KINDS) {
				struct train t = train_read(&record);
				pipeline_count_drop(reader->p, DROP_WORKER_QUEUE_FULL, train_packets(&t));
			} else {
				note_read(reader, from, kind, &record);
			}
		}
		ring_release(r->ring[from][to]);
	}
}
