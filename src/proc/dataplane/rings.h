/*
 * What workers give to each other: trains, and notes of a few octets. Two rings (base/ring.h) for each ordered pair
 * of them, one of trains and one of notes, with one writer and one reader. A record of a train is the train as the pipeline knows it, its octets, and
 * room around them: the reader's pipeline works on it in place, and the ring is released behind the burst. Trains are
 * read in the order in which they were put, and notes too.
 *
 * Before the pipeline gets trains, all notes are read that were put before these trains came: a note is put before the packet
 * leaves that it is about, so no answer is in front of it, whichever worker the answer comes through.
 *
 * Trains name interfaces, zones and tunnels by their numbers: rings_drop() takes them out of all rings before these
 * change.
 */
#ifndef DATAPLANE_RINGS_H
#define DATAPLANE_RINGS_H

#include "proc/dataplane/limits.h"
#include "proc/dataplane/pipeline.h"

struct ring;

/* What a note is about; only its reader knows what its octets mean. */
enum ring_note {
	RING_NOTE_FIREWALL, /* struct fw_note: what a firewall tells another one */
	RING_NOTE_SOLICIT,  /* to the main thread: what only it can send to other processes */
	RING_NOTE_ACQUIRE,
	RING_NOTE_TRACE,
	RING_NOTE_LOG,
	RING_NOTE_PATH, /* the path MTU towards an address is smaller than was thought */
	RING_NOTE_KINDS
};

struct rings {
	uint32_t workers;
	size_t octets;				     /* of each ring */
	struct ring *ring[WORKERS_MAX][WORKERS_MAX]; /* from, to */
	struct ring *notes[WORKERS_MAX][WORKERS_MAX];
};

/* Who reads them. */
struct rings_reader {
	struct pipeline *p; /* that of the worker */
	void (*note)(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n);
	/* What is of HANDOVER_SEALED. NULL: nobody gives such. */
	void (*sealed)(void *context, const struct train *trains, uint32_t n, mono_ns now);
	void *context;
};

/* False: out of memory. */
bool rings_init(struct rings *r, uint32_t workers);
void rings_done(struct rings *r);
/* By worker `from`. False: no room. */
bool rings_put(struct rings *r, uint32_t from, uint32_t to, enum handover_kind kind, const struct train *t);
/* The same for a note of at most RING_NOTE_BYTES_MAX octets. */
bool rings_put_note(
	struct rings *r, uint32_t from, uint32_t to, enum ring_note kind, const void *bytes, uint32_t n);
/* By worker `to`: reads all notes to it; returns how many. */
uint32_t rings_notes_run(struct rings *r, uint32_t to, const struct rings_reader *reader);
/* The same, and runs at most TRAIN_BURST_MAX trains of each other worker; returns how many records there were. */
uint32_t rings_run(struct rings *r, uint32_t to, const struct rings_reader *reader, mono_ns now);
/* By worker `to`. */
bool rings_are_empty(struct rings *r, uint32_t to);
/* While nobody else uses them (pause.h): notes are read, and trains on their way to this worker are dropped by its
 * pipeline. */
void rings_drop(struct rings *r, uint32_t to, const struct rings_reader *reader);

#endif
