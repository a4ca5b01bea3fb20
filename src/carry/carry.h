/*
 * Sessions carried by the kernel, the data plane's side: records and buckets of layout.h. Pure: the maps are the caller's
 * memory, times come in.
 *
 * One struct carry is one worker's. The records are divided among the workers; each writes only its own, and places in
 * the shared buckets by compare-and-exchange. A link is 1 + the record's number; the caller keeps it with its session
 * (it may outlive the process, as the maps do) and nothing is believed of it before carry_is_of().
 *
 * Programs count and advance numbers while this runs; what they add to a record that is being taken back may be lost.
 */
#ifndef CARRY_CARRY_H
#define CARRY_CARRY_H

#include "base/clock.h"
#include "carry/layout.h"

#include <stdbool.h>

struct carry_tables {
	struct carry_head *head;
	struct carry_bucket *buckets; /* CARRY_BUCKETS */
	struct carry_record *records; /* CARRY_RECORDS_MAX */
};

/* Of all workers, before any of them: with what a process before this one left, nothing is carried before it is placed
 * again. hash_key: random; used if the maps have none yet. divided: its sessions are divided among the workers as before;
 * otherwise they have ended, and all records and buckets are cleared. */
void carry_tables_begin(const struct carry_tables *m, const uint8_t hash_key[16], bool divided);
/* What was decided until now is not carried any more. Any thread. */
void carry_epoch_next(const struct carry_tables *m);

/* The process that wrote them is dead: a beat that is to come carries nothing when its time is there, either. */
void carry_beats_end(struct carry_head *head, mono_ns now);

struct carry;
struct carry *carry_new(
	const struct carry_tables *m, uint32_t worker, uint32_t workers); /* NULL: out of memory */
void carry_free(struct carry *c); /* what is placed stays, and is not carried when the beats end */
void carry_beat(struct carry *c, mono_ns now);

/* What is placed: its packets of each direction as they come and as they leave. */
struct carry_entry {
	struct carry_key key[2];
	struct carry_way way[2];
	struct carry_side side[2];
	uint8_t family, proto;
	enum carry_tcp tcp; /* CARRY_TCP_NONE: it is not TCP */
	uint16_t mss;	    /* of one that is not answered: what the answer may announce */
	uint32_t session, id;
};

/*
 * Places it, in the record of its link if it has one, else (0) in a new one. Returns the link; 0: no record or no place in a
 * bucket is free, and nothing is placed.
 */
uint32_t carry_place(struct carry *c, uint32_t link, const struct carry_entry *e, mono_ns now);
/* Does the link name a record of this worker that has this session? */
bool carry_is_of(const struct carry *c, uint32_t link, uint32_t session, uint32_t id);
/* The four below: of such a link. Is it placed under the present epoch? */
bool carry_is_fresh(const struct carry *c, uint32_t link);

struct carry_passed {
	uint64_t packets[2], octets[2]; /* since the last call */
	mono_ns last;			/* of both directions; 0: none since it was placed */
	struct carry_side side[2];
	enum carry_tcp tcp; /* CARRY_TCP_SYN_SENT: the sides are as they were placed */
};
void carry_take(struct carry *c, uint32_t link, struct carry_passed *ret_passed);
/* These numbers and this state, where they are further than the record's; nothing of one that is not answered. */
void carry_put(struct carry *c, uint32_t link, const struct carry_side side[2], enum carry_tcp tcp);
/* Are these the numbers that were made known last, by carry_place() or carry_put()? Then the record's are further, by however much. */
bool carry_is_put(const struct carry *c, uint32_t link, const struct carry_side side[2]);
/* By which interfaces its direction d comes and leaves. */
void carry_interfaces(const struct carry *c, uint32_t link, uint32_t d, uint32_t *ret_in, uint32_t *ret_out);
/* It is not carried any more; carry_take() comes after this, and carry_give() ends it: the record is free. */
void carry_stop(struct carry *c, uint32_t link);
void carry_give(struct carry *c, uint32_t link, mono_ns now);

/* The next record at or after *cursor that has a session, which is advanced past it, looking at no more than *budget; 0:
 * none. *cursor begins at 0 and is carry_records() at the end. */
uint32_t carry_next(
	struct carry *c, uint32_t *cursor, uint32_t *budget, uint32_t *ret_session, uint32_t *ret_id);
/* A link that the programs have left a note of, with its session, as carry_next(); 0: no more. More notes than CARRY_NOTES are
 * lost: *ret_lost. */
uint32_t carry_noted(struct carry *c, uint32_t *ret_session, uint32_t *ret_id, bool *ret_lost);
/* What the next calls of carry_noted() read of so many records at most is fetched all at once. */
void carry_notes_fetch(const struct carry *c, uint32_t max);
/* Sessions that were not established when they were placed or looked at, and records that rest after one: what a flood of SYNs
 * may use up is limited by this. */
uint32_t carry_opening(struct carry *c, mono_ns now);
uint32_t carry_records(const struct carry *c); /* of this worker */
uint32_t carry_used(const struct carry *c);    /* by sessions that this process has placed or found */

#endif
