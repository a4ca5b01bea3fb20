/*
 * The counters that show when an entry is missing. Each source numbers its entries from 1 in each run
 * (start of the process), and a number that no entry has is stated by a counter_gap of the ledger before
 * anything later of that source. The ledger uses this to accept entries, verification to check them: the
 * same rules on both sides. All of it belongs to one boot. Pure.
 */
#ifndef LEDGER_COUNTERS_H
#define LEDGER_COUNTERS_H

#include "ledger/entry.h"
#include "merkle/tree.h"

#define LEDGER_SOURCES_MAX 16

struct ledger_source {
	char name[LEDGER_SOURCE_MAX];
	bool any; /* it has an entry, or a gap */
	uint32_t run;
	uint64_t last; /* number of the last entry, or of the last missing one that was stated */
};

struct ledger_counters {
	size_t n;
	struct ledger_source source[LEDGER_SOURCES_MAX];
};

/*
 * The ledger states all counters in an entry (LEDGER_COUNTERS) when LEDGER_COUNTERS_EVERY entries have
 * followed the last one in this boot. A start reads from one that is at least LEDGER_COUNTERS_BEHIND
 * entries before the end, so that the content of each source's last entries is known as well; verification
 * compares each statement with what it counted; an archive may take what is before.
 */
#define LEDGER_COUNTERS_EVERY	 16384
#define LEDGER_COUNTERS_BEHIND	 8192
#define LEDGER_COUNTERS_TEXT_MAX (LEDGER_SOURCES_MAX * (LEDGER_SOURCE_MAX + 34))

/* "control 0 17, keeper 2 65536": source, run, last number; without sources that have no entry. */
void ledger_counters_text(const struct ledger_counters *c, char ret_text[LEDGER_COUNTERS_TEXT_MAX]);
/* The reverse. False: malformed. */
bool ledger_counters_read(const char *text, size_t n, struct ledger_counters *ret_c);
/* What a LEDGER_COUNTERS entry states, of the moment before itself. False: malformed. */
bool ledger_counters_stated(const struct ledger_entry *entry, struct ledger_counters *ret_c);

/* The number that must come next in that run; 0: the run is over, a later one has begun, or there are too
 * many sources. */
uint64_t ledger_counters_due(struct ledger_counters *c, const char *source, uint32_t run);

/* An entry has the number n. False, and no change: n is not the number that is due. */
bool ledger_counters_take(struct ledger_counters *c, const char *source, uint32_t run, uint64_t n);

/* No entry has the numbers first to last. False, and no change: `first` is not the number that is due, or last <
 * first. Only for tests: others use ledger_counters_follow(). */
bool ledger_counters_gap(
	struct ledger_counters *c, const char *source, uint32_t run, uint64_t first, uint64_t last);

/* A new entry of the log, with its gap when it is a counter_gap, and its statement when it is a counters.
 * False: it does not follow; *ret_due says what was due. */
bool ledger_counters_follow(struct ledger_counters *c, const struct ledger_entry *entry, uint64_t *ret_due);

/*
 * The last entries of one source, to recognize one that is sent again because its receipt was lost.
 */
#define LEDGER_RECENT_MAX 1024 /* as many as a source keeps waiting */

struct ledger_recent {
	struct {
		uint64_t n, index;
		uint32_t run;
		uint8_t said[SHA256_SIZE]; /* of type and body */
		struct merkle_hash leaf;
	} entry[LEDGER_RECENT_MAX]; /* by n */
};

/* What an entry says, whenever it is entered: type and body. */
void ledger_said(enum ledger_type type, const char *body, size_t body_n, uint8_t ret_hash[SHA256_SIZE]);

void ledger_recent_put(struct ledger_recent *r, uint32_t run, uint64_t n, const uint8_t said[SHA256_SIZE],
	uint64_t index, const struct merkle_hash *leaf);
/* False: unknown, or another entry has that number. */
bool ledger_recent_find(const struct ledger_recent *r, uint32_t run, uint64_t n,
	const uint8_t said[SHA256_SIZE], uint64_t *ret_index, struct merkle_hash *ret_leaf);

#endif
