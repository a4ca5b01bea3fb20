/*
 * Offline checks of evidence. verify_ledger() needs a ledger's directory (C2SP tlog-tiles) and nothing else:
 * it recomputes every leaf hash, every tile and the root, checks the checkpoint's signature, and reads every
 * entry strictly: canonical JSON, known type, exactly its fields, counters of each source without gaps, time
 * in order; and that what was sealed with one-time keys is what stands there today. It names the first thing
 * that is wrong.
 *
 * What it proves: nothing that the checkpoint covers was altered, taken out or put in by anyone who does not
 * hold the ledger's private key. Where it ends, without a witness who saw a later checkpoint:
 * - a directory cut back as a whole to an older checkpoint that was kept verifies as that older ledger;
 * - who holds the private key can write another history and sign it, from the last seal on that was made
 * before the key was taken: the one-time keys of the seals before are erased. To do so without a gap in the
 * seals the ledger must be cut back to before its current epoch began, or the last seals be taken away;
 * - with the verifier key from the directory itself (log.vkey) a whole forged ledger with its own key is not
 * found: give the key that was noted elsewhere. The report says which one was used;
 * - partial tiles of older checkpoints are copies; that one is missing is not found (C2SP lets them be
 * removed), that one is altered is.
 *
 * A ledger that is being written may be checked: what its newest checkpoint covered at the start is. So may a
 * copy that was made meanwhile, if the checkpoint was copied first, then tile/ and seal/, and the journal
 * last: what lies between the two is covered by the heads in the journal. Pure: files come from a struct
 * verify_source. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_entry;

struct verify_options {
	const char
		*vkey; /* verifier key "name+id+key" known from elsewhere; NULL: log.vkey of the directory */
	/*
	 * For who looks at entries as well: each one that is good by itself, in order. A ledger that was
	 * written to meanwhile may be read again from its beginning: then `begin` is called first, and before
	 * the first time too.
	 */
	void (*begin)(void *context);
	void (*entry)(void *context, const struct ledger_entry *entry, uint64_t index);
	void *context;
};

/* What was found wrong, by the kind of thing; the text says which. */
/* clang-format off */
#define VERIFY_CLASSES(C)	/* id, name */		\
	C(NONE,       "none")				\
	C(KEY,        "key")				\
	C(CHECKPOINT, "checkpoint")			\
	C(SIGNATURE,  "signature")			\
	C(BUNDLE,     "bundle")				\
	C(TILE,       "tile")				\
	C(ENTRY,      "entry")				\
	C(ROOT,       "root")				\
	C(COUNTER,    "counter")			\
	C(TIME,       "time")				\
	C(JOURNAL,    "journal")			\
	C(SEAL,       "seal")				\
	C(FILE,       "file")
/* clang-format on */

enum verify_class {
#define E(id, name) VERIFY_##id,
	VERIFY_CLASSES(E)
#undef E
		VERIFY_CLASS_COUNT
};

#define VERIFY_NAME_MAX 256
#define VERIFY_TIME_MAX UTC_TEXT_MAX

struct verify_report {
	bool good;
	enum verify_class found;    /* VERIFY_NONE when good */
	char finding[ERR_TEXT_MAX]; /* plain sentence, "" when good */
	bool at_entry;		    /* `entry` tells which entry it is about */
	uint64_t entry;

	char origin[VERIFY_NAME_MAX];
	char vkey[VERIFY_NAME_MAX + 80]; /* the verifier key that was used */
	bool vkey_given;		 /* it came from the options, not from the directory */
	uint64_t size;			 /* of the newest signed head: checkpoint and journal */
	uint64_t published;		 /* of the checkpoint; the rest stands in the journal */
	uint8_t root[32];		 /* of the newest signed head */
	uint64_t entries;		 /* read and found good, from the first one on */
	uint64_t bundles, tiles, old_partials;
	uint64_t seal_epochs, seals; /* one-time keys (ledger/seal.h): announced epochs, seals checked */
	uint64_t sealed;	     /* size under the last seal */
	uint64_t boots;
	uint64_t gaps;	      /* entries that state a gap: recorded, so not wrong by themselves */
	uint64_t clock_steps; /* UTC went back from one entry to the next (the monotonic clock did not) */
	uint64_t strays;      /* files that are no part of a ledger: not read */
	char first_utc[VERIFY_TIME_MAX], last_utc[VERIFY_TIME_MAX]; /* "" when there is no entry */
};

/*
 * Where a ledger's files come from: a directory (cli/directory.h), later an address or a bundle. Paths are
 * relative to the ledger's directory, as in C2SP tlog-tiles.
 */
struct verify_source {
	void *context;
	/* The whole file, allocated with malloc(). RC_NOT_FOUND, RC_IO, RC_LIMIT. */
	enum rc (*read)(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n);
	/* Calls each() with the path of every file. RC_IO. NULL: cannot be listed; then stray files are not
	 * seen. */
	enum rc (*list)(void *context, void (*each)(void *to, const char *path), void *to);
	/* Waits a moment before the ledger is read again, because it was written to meanwhile. */
	void (*pause)(void *context);
};

/*
 * RC_OK: all is as it should be. RC_AUTH: something is wrong; report->finding and *e say what. RC_IO: it
 * could not be read. RC_MALFORMED: options->vkey is no verifier key. ret_report is filled as far as it went,
 * whatever is returned. options may be NULL.
 */
enum rc verify_ledger(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e);

const char *verify_class_name(enum verify_class c);

/* The report for people (several lines, each with a line feed) and as one JSON object. Return the length, 0:
 * does not fit. VERIFY_TEXT_MAX is enough. */
#define VERIFY_TEXT_MAX 4096
size_t verify_ledger_text(const struct verify_report *r, char *ret_text, size_t size);
size_t verify_ledger_json(const struct verify_report *r, char *ret_text, size_t size);

#endif
