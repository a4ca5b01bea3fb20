/*
 * The journal's records:
 *   "PGJ1" | u32 octets after this field | u64 first | u32 count | u32 note_n | entries as a bundle | note |
 *   SHA-256 of all octets before it
 * The hash tells a torn write from a complete one. It proves nothing; the note does.
 */
#ifndef LEDGER_JOURNAL_H
#define LEDGER_JOURNAL_H

#include "base/wr.h"
#include "ledger/log.h"

#define JOURNAL_MAGIC 0x50474a31u
#define JOURNAL_HEAD  24
#define JOURNAL_RECORD_MAX                                                                                   \
	(JOURNAL_HEAD + LEDGER_BATCH_MAX * (LEDGER_ENTRY_MAX + 2) + NOTE_BYTES_MAX + SHA256_SIZE)

/* Records that wait for tiles which cannot be written: more are refused, so that a start can read them, and
 * that memory, which holds their entries as well, has an end. */
#define JOURNAL_BYTES_MAX (64u << 20)

/* Returns the record's length; w is bad when it does not fit. The bundle may stand where the record has it,
 * JOURNAL_HEAD after the beginning of w. */
size_t journal_write(struct wr *w, uint64_t first, uint32_t count, const void *bundle, size_t bundle_n,
	const char *note, size_t note_n);

#endif
