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
			if (from != to && (!(r->ring[from][to] = ring_new(r->octets)) ||
						  !(r->notes[from][to] = ring_new(RING_NOTES_BYTES)))) {
				rings_done(r);
				return false;
			}
	return true;
}

void rings_done(struct rings *r)
{
	for (uint32_t from = 0; from < r->workers; from++)
		for (uint32_t to = 0; to < r->workers; to++) {
			ring_free(r->ring[from][to]);
			ring_free(r->notes[from][to]);
		}
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
	uint8_t *at = ring_reserve(r->notes[from][to], NOTE_AT + n);
	if (!at)
		return false;
	const uint32_t words[] = { HANDOVER_KINDS + kind, n };
	memcpy(at, words, sizeof words);
	memcpy(at + NOTE_AT, bytes, n);
	ring_commit(r->notes[from][to], NOTE_AT + n);
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

static uint32_t notes_read(struct ring *ring, uint32_t from, const struct rings_reader *reader)
{
	struct ring_record record;
	uint32_t n = 0;

	for (; ring_take(ring, &record, 1) == 1; n++) {
		uint32_t kind = record_kind(&record);
		assert(kind >= HANDOVER_KINDS);
		reader->note(reader->context, from, (enum ring_note)(kind - HANDOVER_KINDS),
			record.bytes + NOTE_AT, record.n - NOTE_AT);
		ring_release(ring);
	}
	return n;
}

uint32_t rings_notes_run(struct rings *r, uint32_t to, const struct rings_reader *reader)
{
	uint32_t n = 0;

	for (uint32_t from = 0; from < r->workers; from++)
		if (from != to)
			n += notes_read(r->notes[from][to], from, reader);
	return n;
}

static void trains_run(
	const struct rings_reader *reader, uint32_t kind, struct train *trains, uint32_t n, mono_ns now)
{
	if (n > 0 && kind == HANDOVER_TUNNEL)
		pipeline_burst_tunnel(reader->p, trains, n, now);
	else if (n > 0 && kind == HANDOVER_SEALED)
		reader->sealed(reader->context, trains, n, now);
	else if (n > 0)
		pipeline_burst(reader->p, trains, n, now);
}

/* Taken first, then the notes: what is noted about these trains was there before them. */
static uint32_t ring_run(
	struct rings *r, uint32_t from, uint32_t to, const struct rings_reader *reader, mono_ns now)
{
	struct ring_record records[TRAIN_BURST_MAX];
	struct train trains[TRAIN_BURST_MAX];
	uint32_t kind = HANDOVER_ARRIVED, n = 0;
	size_t taken = ring_take(r->ring[from][to], records, TRAIN_BURST_MAX);

	if (taken == 0)
		return 0;
	uint32_t notes = rings_notes_run(r, to, reader);
	for (size_t i = 0; i < taken; i++) {
		uint32_t next = record_kind(&records[i]);
		assert(next < HANDOVER_KINDS);
		if (next != kind) {
			trains_run(reader, kind, trains, n, now);
			n = 0;
		}
		kind = next;
		trains[n++] = train_read(&records[i]);
	}
	trains_run(reader, kind, trains, n, now);
	ring_release(r->ring[from][to]);
	return (uint32_t)taken + notes;
}

uint32_t rings_run(struct rings *r, uint32_t to, const struct rings_reader *reader, mono_ns now)
{
	uint32_t n = rings_notes_run(r, to, reader);

	for (uint32_t from = 0; from < r->workers; from++)
		if (from != to)
			n += ring_run(r, from, to, reader, now);
	return n;
}

bool rings_are_empty(struct rings *r, uint32_t to)
{
	for (uint32_t from = 0; from < r->workers; from++)
		if (from != to && (!ring_is_empty(r->ring[from][to]) || !ring_is_empty(r->notes[from][to])))
			return false;
	return true;
}

void rings_drop(struct rings *r, uint32_t to, const struct rings_reader *reader)
{
	struct ring_record record;

	rings_notes_run(r, to, reader);
	for (uint32_t from = 0; from < r->workers; from++) {
		if (from == to)
			continue;
		while (ring_take(r->ring[from][to], &record, 1) == 1) {
			struct train t = train_read(&record);
			pipeline_count_drop(reader->p, DROP_WORKER_QUEUE_FULL, train_packets(&t));
		}
		ring_release(r->ring[from][to]);
	}
}
