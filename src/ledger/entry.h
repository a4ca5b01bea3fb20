/*
 * One entry as a line of canonical JSON, and the counters that show when one is missing. ledger/types.h has the shape.
 */
#ifndef LEDGER_ENTRY_H
#define LEDGER_ENTRY_H

#include "base/clock.h"
#include "ledger/types.h"

#define LEDGER_BOOT_SIZE 16
#define LEDGER_SOURCE_MAX 24

struct ledger_entry {
	enum ledger_type type;
	char source[LEDGER_SOURCE_MAX];
	uint64_t n;	  /* the source's counter */
	uint64_t mono_us; /* CLOCK_MONOTONIC */
	uint8_t boot[LEDGER_BOOT_SIZE];
	char utc[UTC_TEXT_MAX];
	const char *body; /* borrowed */
	size_t body_n;
};

/* Writes the line, without LF. Returns its length, 0: does not fit LEDGER_ENTRY_MAX. */
size_t ledger_entry_text(char ret_text[LEDGER_ENTRY_MAX], const struct ledger_entry *entry);

/* Strict: canonical, known type, a source that may write it, exactly its fields. */
enum rc ledger_entry_parse(struct ledger_entry *ret_entry, const char *text, size_t n, struct err *e);

/* A field of the body: its text between the quotes or its digits, as it stands. NULL: no such field. */
const char *ledger_entry_field(const struct ledger_entry *entry, const char *key, size_t *ret_n);
/* A NUMBER field; 0 when there is none. */
uint64_t ledger_entry_number(const struct ledger_entry *entry, const char *key);

/*
 * Which numbers of one source have been seen: the largest, and a window below it for those that come late, after
 * the link to the ledger was lost. Used by the ledger for what it accepts and by verification for what must be there.
 */
#define LEDGER_COUNTER_WINDOW 2048

struct ledger_counter {
	uint64_t max;
	uint64_t missing; /* numbers below max that were not seen */
	uint64_t seen[LEDGER_COUNTER_WINDOW / 64];
};

/* RC_OK: new. RC_EXISTS: seen already, or too old to know. RC_RANGE: 0, or farther ahead than the window. */
enum rc ledger_counter_take(struct ledger_counter *c, uint64_t n);

#endif
