/*
 * What the attacks of attacks.h work on: the ledger of ../unit/verify/verify_fixture.h, its entries one by
 * one, the keys that a forger may have, and what an auditor kept. Pure, single thread.
 */
#ifndef TESTS_TAMPER_WORLD_H
#define TESTS_TAMPER_WORLD_H

#include "../unit/verify/verify_fixture.h"
#include "attacks.h"

#include "ledger/seal.h"
#include "merkle/policy.h"

#define ENTRIES	  (PUBLISHED + JOURNALED)
#define KEPT	  450u /* entries under the checkpoint that was kept elsewhere */
#define WITNESSES 3u
#define ANY_ENTRY UINT64_MAX

/* One tampering: an attack changes what is in here. It begins as everything really was. */
struct attempt {
	struct memory files;
	char witnessed[NOTE_BYTES_MAX]; /* the checkpoint that came from the witnesses themselves */
	size_t witnessed_n;
	uint64_t entry; /* that must be named; ANY_ENTRY */
};

/* Makes tampering number i. False: there are no more, and nothing was changed. */
typedef bool attack_fn(struct attempt *a, uint32_t i);
#define E(id, at_least, from, by, text) attack_fn attack_##id;
ATTACKS(E)
#undef E

/* Everything as it really was; a->files ends with memory_done(). */
void attempt_begin(struct attempt *a);

/* A line of the log, borrowed. */
struct line {
	const char *text;
	size_t n;
	struct ledger_entry entry;
};
extern struct line lines[ENTRIES];
/* Sizes of the published checkpoints, each with a seal, in order. */
extern const uint32_t sealed_sizes[];
extern const size_t sealed_sizes_n, sealed_epoch_1_n; /* the first of them are of epoch 1 */

void world_make(void);
void world_done(void);

/* A number that depends on these two alone, spread over 64 bits. */
uint64_t mixed(uint64_t a, uint64_t b);
/* A file's bytes, to be freed; one byte more is allocated than *ret_n. */
uint8_t *bytes_of(const struct memory *m, const char *path, size_t *ret_n);
/* With `take` bytes at `at` replaced. */
void splice(struct memory *m, const char *path, size_t at, size_t take, const void *with, size_t with_n);
void flip(struct memory *m, const char *path, size_t bit);
const char *bundle_path(uint64_t index);
size_t entry_size(uint64_t index); /* in its bundle, with its length; of those below PUBLISHED */
/* The file of seals of epoch 1 or 2. */
const char *seals_path(int epoch);
/* Is it the newest form of a tile or bundle, no older partial copy? *ret_level, *ret_tile: of which. */
enum tile_kind { NO_TILE, OLDER_COPY, NEWEST };
enum tile_kind tile_kind(const char *path, uint32_t *ret_level, uint64_t *ret_tile);

/* A log of these lines by a key and its seed: the first `published` of them in tiles, the rest in the
 * journal. Without seals. */
void log_write(struct memory *ret_to, const struct note_key *by, const uint8_t seed[ED25519_SEED_SIZE],
	const struct line *l, size_t n, size_t published);
/* The seals of both epochs, those that cover more than `size` entries left out. Keys are always there. */
void seals_up_to(struct memory *to, uint64_t size);
/* Root of the first n lines. */
struct merkle_hash root_of_lines(const struct line *l, size_t n);
/*
 * The note of a checkpoint of the first n lines: signed by the ledger's key, cosigned by the witnesses, but for
 * those in `missing` (a bit each); those in `strangers` by keys of somebody else. Returns its length.
 */
size_t head_make(
	char ret_note[NOTE_BYTES_MAX], const struct line *l, size_t n, unsigned missing, unsigned strangers);
/* Where the witnesses' lines begin in it. */
size_t cosignatures_at(const char *note, size_t n);
/* The file `cosigned`: the newest checkpoint of at most `size` entries that the witnesses did cosign. Who tampers may
 * have kept them all. */
void cosigned_up_to(struct memory *to, uint64_t size);

/* Verification with this at hand. 0: nothing found; else its class as a bit. *ret_finding: static text. */
uint32_t audit(
	struct attempt *a, enum material m, struct verify_report *ret_report, const char **ret_finding);

#endif
