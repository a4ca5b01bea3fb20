/*
 * When a log asks each of its witnesses, and what their answers mean for it. One struct witness_poll for each
 * witness; the caller holds the connections, tells the time (monotonic) and keeps what was cosigned.
 *
 * - A witness is asked as soon as there is a checkpoint that it has not cosigned, and once in a heartbeat
 * otherwise: the same checkpoint again, with a new time. One request at a time; after a failure there is a
 * growing pause. Between two requests there is the configured interval, if any: what came meanwhile goes
 * into one. An act that waits hurries it, unless the interval is so long that no act may wait for it.
 * - What it has seen before is not assumed: the first question offers our own checkpoint as one that it
 * knows, and its answer says where to prove from.
 * - A witness that says it has seen more than we have, or something else, is asked for the note that proves
 * it. Only a note that the log itself has signed proves anything: then the caller must not continue this
 * log.
 *
 * Pure. Caller: proc/ledger. One thread.
 */
#ifndef WITNESS_POLL_H
#define WITNESS_POLL_H

#include "base/clock.h"
#include "witness/client.h"

#define WITNESS_POLL_WAIT_NS	       (3 * NS_PER_S) /* for one answer, from the connection's beginning */
#define WITNESS_POLL_PAUSE_MIN_NS      (250 * NS_PER_MS) /* after the first failure; doubled by each further one */
#define WITNESS_POLL_PAUSE_MAX_NS      (15 * NS_PER_S)	 /* or the heartbeat, whichever is less */
#define WITNESS_POLL_REST_NS	       (100 * NS_PER_MS) /* between questions of a log that grows fast */
#define WITNESS_POLL_URGENT_NS	       (500 * NS_PER_MS) /* the pause while an act waits for the answer */
#define WITNESS_POLL_HOLD_MAX_NS       (3600 * NS_PER_S) /* of Retry-After: a liar silences it no longer */
#define WITNESS_POLL_HEARTBEATS_SILENT 3
#define WITNESS_POLL_ERROR_MAX	       160
#define WITNESS_POLL_NEVER	       UINT64_MAX

enum witness_poll_question {
	WITNESS_POLL_NONE,
	WITNESS_POLL_ADD,  /* add-checkpoint: cosign this */
	WITNESS_POLL_SEEN, /* the monitoring path: show what you cosigned last */
};

struct witness_poll {
	struct note_key key;
	enum witness_poll_question under_way;
	bool wants_note; /* it claims what its note must prove */
	bool old_known;	 /* `old` is what it said or what it cosigned */
	bool resized;	 /* its last answer was another old size than the one that was offered */
	bool settled;	/* since the beginning it has said what there was to say, or does not know this log */
	bool missing;	/* told by witness_poll_silent() */
	uint64_t old;	/* size that the next proof leads from */
	uint64_t asked; /* size of the checkpoint in the question under way */
	uint64_t asked_old; /* and the old size in it */
	uint64_t cosigned;  /* the largest size that it has cosigned */
	uint64_t time_s;    /* of its last cosignature, by its own clock */
	mono_ns interval;   /* between questions, at least; set by the caller after witness_poll_begin() */
	mono_ns heard;	    /* when that came; at first: the beginning */
	mono_ns next;	    /* not before */
	mono_ns hold;	    /* nor before this, which nothing hurries: its own Retry-After */
	mono_ns failed;	    /* the last failure */
	unsigned failures;  /* in a row */
	char error
		[WITNESS_POLL_ERROR_MAX]; /* of the last failure; "": there was none since the last cosignature */
};

void witness_poll_begin(struct witness_poll *a, const struct note_key *witness, mono_ns now);

/* What to ask now, if anything. size: of the log's published checkpoint. */
enum witness_poll_question witness_poll_due(
	const struct witness_poll *a, uint64_t size, mono_ns heartbeat, mono_ns now);
/* When witness_poll_due() or witness_poll_silent() may have something next; WITNESS_POLL_NEVER while a question is under way
 * and the silence has been told. */
mono_ns witness_poll_at(const struct witness_poll *a, uint64_t size, mono_ns heartbeat);

/* The question is put. The old size to send is a->asked_old. */
void witness_poll_put(struct witness_poll *a, enum witness_poll_question q, uint64_t size);

/* An act waits for this witness: there is no rest, and a failure's pause is cut short. */
void witness_poll_urge(struct witness_poll *a);

enum witness_poll_news {
	WITNESS_POLL_NO_NEWS,
	WITNESS_POLL_COSIGNED, /* a->asked is cosigned */
	WITNESS_POLL_RETURNED, /* the same, by one that was missing */
};

/* The answer to WITNESS_POLL_ADD. why: the reason beside an outcome that is not GOOD. */
enum witness_poll_news witness_poll_answered(struct witness_poll *a, const struct witness_reply *r,
	const char *why, mono_ns heartbeat, mono_ns now);

/*
 * The answer to WITNESS_POLL_SEEN, a note that is the log's own and that the witness cosigned. ours: the
 * log that we have is a continuation of it. True: it is not, this witness has proved that the log had
 * another history: do not sign over it.
 */
bool witness_poll_seen(struct witness_poll *a, uint64_t seen, bool ours, mono_ns heartbeat, mono_ns now);

/* There was no answer, or none that could be used. */
void witness_poll_failed(struct witness_poll *a, const char *why, mono_ns heartbeat, mono_ns now);

/* After one of these: the witness asks for no request for this time. At most WITNESS_POLL_HOLD_MAX_NS. */
void witness_poll_hold(struct witness_poll *a, uint64_t seconds, mono_ns now);

/* True once when it has not cosigned for WITNESS_POLL_HEARTBEATS_SILENT heartbeats. */
bool witness_poll_silent(struct witness_poll *a, mono_ns heartbeat, mono_ns now);

/* How many have cosigned at least `size` entries. */
unsigned witness_poll_count(const struct witness_poll *const all[], size_t n, uint64_t size);

#endif
