/* The log's own: what log.c keeps and read.c looks into. */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include "ledger/log.h"

#define LEDGER_PROGRESS_EVERY  64  /* bundles between two reports of progress */
#define LEDGER_SEALED_TEXT_MAX 512 /* octets of what a one-time key signs */

/* Hashes of one level from the beginning of its last tile that is not written as a full one. */
struct level {
	uint64_t first_tile;
	size_t n, room;
	struct merkle_hash *hash;
};

struct ledger_log {
	struct ledger_store store;
	struct note_key key;
	uint8_t secret[ED25519_SECRET_SIZE];
	uint64_t published;
	struct merkle_edge edge; /* committed */
	struct level level[TILE_LEVELS];
	/* entries since the beginning of the last bundle that is not written as a full one, in bundle form */
	uint8_t *bundle;
	size_t bundle_n, bundle_room, bundle_count;
	/* the open batch: where its record of the journal will have it */
	uint8_t *batch;
	size_t batch_n, batch_count;
	uint8_t *record; /* JOURNAL_RECORD_MAX */
	size_t journal_n;
	bool journal_torn;  /* a failed append may have left bytes after journal_n */
	bool journal_stale; /* emptying it failed: all of it is in the tiles, but it may be empty or not */
	char note[NOTE_BYTES_MAX];
	size_t note_n; /* of the last commit */
	char head[NOTE_BYTES_MAX];
	size_t head_n; /* of the last publication */
};

/* Of TILE_WIDTH hashes. */
struct merkle_hash ledger_tile_root(const struct merkle_hash *hash);

#endif
