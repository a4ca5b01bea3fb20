/*
 * Logs that were cosigned and then are no more, because they do not ask or are refused: a gateway asks at
 * least every heartbeat, so that its silence is worth a line in the witness's log. By monotonic time; the
 * caller says what it hears and writes the lines. One thread.
 */
#ifndef PROC_WITNESS_SILENCE_H
#define PROC_WITNESS_SILENCE_H

#include "base/clock.h"
#include "merkle/note.h"

#include <stdbool.h>
#include <stddef.h>

struct silence {
	mono_ns after; /* 0: nobody's silence is looked at */
	const struct note_key *log;
	size_t n;
	struct silence_log {
		mono_ns heard; /* 0: never cosigned */
		bool told;
	} *at; /* by the index of the log's first key */
};

/* logs are borrowed. False: out of memory. */
bool silence_init(struct silence *s, const struct note_key *logs, size_t n, unsigned after_s);
void silence_done(struct silence *s);
/* The log of this name was cosigned. True, with the time since it was last: it had been told as silent. */
bool silence_heard(struct silence *s, const char *origin, mono_ns now, mono_ns *ret_silent);
/* The next log whose silence is new: told once. NULL: there is none. */
const char *silence_next(struct silence *s, mono_ns now, mono_ns *ret_silent);

#endif
