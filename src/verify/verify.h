/*
 * Offline checks of evidence. verify_ledger() needs a ledger's directory (C2SP tlog-tiles) and nothing else:
 * it recomputes every leaf hash, every tile and the root, checks the checkpoint's signature, and reads every
 * entry strictly: canonical JSON, known type, exactly its fields, counters of each source without gaps, time
 * in order; and that what was sealed with one-time keys has not changed since. With a policy it checks the
 * witnesses' cosignatures and whether they are a quorum; with a head that was kept elsewhere, that the
 * ledger still has all that the head covered. It names the first thing that is wrong, and counts what it
 * checked: verify_explain_text() claims nothing else.
 *
 * Parts of a ledger may be elsewhere, and the report states it: entries in an archive (file `archived`), and
 * what an evidence bundle leaves out (file `range`, verify/evidence.h). Their hashes are in the tiles, so the
 * rest is proved without them.
 *
 * What it proves: nothing that the checkpoint covers was altered, removed or inserted by anyone who does not
 * have the ledger's private key. Its limits, without a witness who saw a later checkpoint:
 *
 * - a directory that is set back as a whole to an older checkpoint verifies as that older ledger;
 * - whoever has the private key can write another history and sign it, from the last seal on that was made
 *   before the key was stolen: the one-time keys of the seals before are erased. To do so without a gap in
 *   the seals the ledger must be truncated to before its current epoch began, or the last seals be removed;
 * - with the verifier key from the directory itself (log.vkey) a ledger that is forged as a whole, with a key
 *   of its own, is not found: give the key that was noted elsewhere. The report says which one was used;
 * - partial tiles of older checkpoints are copies: a missing one is not found (C2SP permits their removal),
 *   an
 *   altered one is.
 *
 * A ledger that is being written to may be verified: what its newest checkpoint covered at the start is. So
 * may a copy that was made meanwhile, if the checkpoint was copied first, then tile/ and seal/, and the
 * journal last: what lies between the two is covered by the heads in the journal.
 *
 * Pure: files come from a struct verify_source. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/clock.h"
#include "base/err.h"
#include "ledger/log.h"
#include "merkle/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_entry;

/*
 * How far the quorum's cosignatures may lag behind, by default. A gateway asks its witnesses at least every
 * half minute and offers new entries within a second: an hour allows for a copy that was made a while ago, or
 * a network outage. What is not cosigned yet can be rewritten by whoever has the key: 256 entries are a burst
 * of some seconds.
 */
#define VERIFY_ANY	      UINT64_MAX
#define VERIFY_DEFAULT	      (UINT64_MAX - 1) /* the limits below; of a bundle: any age, and all of its range */
#define VERIFY_MAX_AGE_S      3600
#define VERIFY_MAX_UNCOSIGNED 256
#define VERIFY_CLOCK_ERROR_S  300 /* between a witness and who verifies */

struct verify_options {
	/* Verifier key "name+id+key" known from elsewhere; NULL: one of the policy's logs, or log.vkey. */
	const char *vkey;
	/* Whose cosignatures suffice; NULL: not checked. With log lines the ledger must be one of them. */
	const struct policy *policy;
	/* A signed head that was kept elsewhere, or NULL: the ledger must hold all that it covers. */
	const void *kept;
	size_t kept_n;
	/*
	 * The state of an earlier walk (`keep` gave it), or NULL: what is before it was verified then, and is
	 * not read. keep: the state of this walk at the log's checkpoint, for `since` of a later one; called
	 * for each reading, and valid only when the whole is good (VERIFY_STATUS_GOOD).
	 */
	const void *since;
	size_t since_n;
	void (*keep)(void *context, const void *bytes, size_t n);
	const char *program; /* its version, for keep */
	/*
	 * With a policy: what a quorum must have cosigned, and when. now_s: the clock of whoever verifies, in
	 * seconds since 1970; 0: times are not checked, and cosignatures from the future count.
	 */
	uint64_t now_s;
	uint64_t max_age_s, max_uncosigned; /* VERIFY_ANY: no limit; VERIFY_DEFAULT */
	/* Each start must announce one-time keys, as a gateway's does before anything else. false: for
	 * tests, with logs that have none. */
	bool sealed_starts;
	/* Private to src/verify: this is a log that ended in a recovery, the n-th before the one to be
	 * verified. The kept head is the note that ended it. */
	unsigned ended;
	/* The evidence bundle is being made: it has no timeline yet. */
	bool making;
	/*
	 * Hooks for callers that process entries: each entry that is valid by itself, in order. A ledger that
	 * was written to meanwhile may be read again from its beginning: `begin` is called before each
	 * reading.
	 */
	void (*begin)(void *context);
	void (*entry)(void *context, const struct ledger_entry *entry, uint64_t index);
	/* The tree has grown: by one entry, or by entries that were skipped in one step. */
	void (*grown)(void *context, const struct merkle_edge *edge);
	/* A seal of the epoch that was announced by entry `begins` holds at this size. */
	void (*sealed)(void *context, uint64_t begins, uint64_t size);
	/* The timeline of an evidence bundle, as its entries make it. */
	void (*timeline)(void *context, const char *page, size_t n);
	void *context;
};

/* clang-format off */
/* Exit statuses of `plaingate verify ledger`: for scripts, which read no sentences. */
#define VERIFY_STATUSES(S)	/* id, number, text */										\
	S(GOOD,    0, "nothing is wrong: what the report states as proved holds, for the log of the key that you gave "		\
	  "(`vkey_given`); without one, for the log of whoever made it. With `--policy` its quorum (none, where it says `quorum none`) "	\
	  "cosigned the ledger within the last hour, except for at most its last 256 entries; for a bundle, all of its range, at any time. "	\
	  "`--max-age` and `--max-uncosigned` set other limits; `verify randomness` has none. With `--since` all this holds for "	\
	  "the entries after that head: those before it were not read again")							\
	S(FOUND,   1, "something is wrong: `finding` says what, `class` of which kind, `entry` where. This stands even if "	\
	  "something else could not be read")											\
	S(UNKNOWN, 2, "no statement is possible: a part could not be read, a server failed or was too slow, entries are of a "	\
	  "newer version of Plaingate than this program, an option or a file of yours is invalid")				\
	S(PART,    3, "what is there is good, but entries are in an archive that was not given: `holes` says which; of "		\
	  "`verify randomness` this is 2")											\
	S(STALE,   4, "nothing is wrong, but the cosignatures of the quorum of `--policy` are older than the limit, dated in the future, "	\
	  "or cover too little: `staleness` says which. What is not cosigned may have been rewritten by whoever has the key")	\
	S(WEAK,    5, "of `verify randomness`: nothing is wrong, but less is proved than was asked for: `weak` says what")
/* clang-format on */

enum verify_status {
#define E(id, number, text) VERIFY_STATUS_##id = (number),
	VERIFY_STATUSES(E)
#undef E
};

/* What was found wrong, by the kind of thing; the text says which. */
/* clang-format off */
#define VERIFY_CLASSES(C)	/* id, name */		\
	C(NONE,       "none")				\
	C(KEY,        "key")				\
	C(CHECKPOINT, "checkpoint")			\
	C(SIGNATURE,  "signature")			\
	C(ENTRY_BUNDLE, "entry_bundle")			\
	C(TILE,       "tile")				\
	C(ENTRY,      "entry")				\
	C(ROOT,       "root")				\
	C(COUNTER,    "counter")			\
	C(TIME,       "time")				\
	C(JOURNAL,    "journal")			\
	C(SEAL,       "seal")				\
	C(FILE,       "file")				\
	C(HEAD,       "head")				\
	C(RECOVERY,   "recovery")			\
	C(COSIGNATURE, "cosignature")			\
	C(EVIDENCE_BUNDLE, "evidence_bundle")

/*
 * What can be checked. `unit`: what is counted. `proves`: what holds when all of them passed, if any was
 * made. `else`: what is therefore not proved when none was made.
 */
#define VERIFY_CHECKS(C)	/* id, name, unit, proves, else */							\
	C(KEY, "key", "keys",											\
	  "the log is the one whose key you gave, and not another one in its place",				\
	  "that this is the log you mean: its key came with it. Give the key that you noted elsewhere")		\
	C(SIGNATURES, "signatures", "signed heads",								\
	  "the heads of the log are signed by that key",							\
	  "that anybody signed this log")									\
	C(ENTRIES, "entries", "entries",									\
	  "each entry that was read is, octet for octet, the one that was signed at this position",		\
	  "anything about a single entry: none was read")							\
	C(TILES, "tiles", "tiles",										\
	  "the hashes that other readers of the log use are those of its entries",				\
	  "that other readers of the log see the same hashes")							\
	C(FORM, "format", "entries",										\
	  "each entry that was read is of a known type with exactly its fields, written by a process that may write it",	\
	  "that entries have the documented format")								\
	C(COUNTERS, "counters", "entries",									\
	  "no entry was lost between a process and the log, unless another entry states it",			\
	  "that no entry was lost between a process and the log")						\
	C(TIME, "time", "entries",										\
	  "within each boot entries are in the order of the machine's monotonic clock",				\
	  "that entries are in the order of time")								\
	C(JOURNAL, "journal", "records",									\
	  "what follows the checkpoint, in the journal, is signed too",						\
	  "anything after the checkpoint: the journal has no record, or was not read")				\
	C(SEALS, "seals", "seals",										\
	  "what a one-time key sealed existed when it was sealed: whoever compromised the machine later could not "	\
	  "sign it again",											\
	  "that the past was not signed again by somebody who compromised the machine: no seal was checked")	\
	C(COSIGNATURES, "cosignatures", "cosignatures",								\
	  "witnesses that your policy names saw this history; an honest one cosigns no other",			\
	  "that others saw the same history, and that nothing was truncated: no cosignature was checked. "	\
	  "Give a policy that names witnesses")									\
	C(KEPT, "kept_head", "heads",										\
	  "the log that is signed now has all that it had at the head which you kept",				\
	  "that it was not truncated or rewritten since an earlier day: no head was given that you kept")		\
	C(RECOVERY, "recovery", "notes",									\
	  "this log began in a recovery, for which it shows a head that its key had signed and that, according to its entry, "	\
	  "the disk did not continue",										\
	  NULL)													\
	C(COPIES, "old_partial_tiles", "partial tiles",								\
	  "the older partial tiles are prefixes of the present ones",						\
	  "anything about older partial tiles: there are none, or they were not listed")			\
	C(LISTED, "stray_files", "listings",									\
	  "all files were listed: those that do not belong to the log are counted",				\
	  "that no other files lie beside the log: its files were not listed")					\
	C(RANGE, "range", "ends",										\
	  "where the clock was not set, the bundle contains every entry of its time up to its head: the entry before "	\
	  "is dated earlier, the one after it later, and none of the others in the bundle is dated within",	\
	  NULL)													\
	C(CONFIGURATIONS, "configurations", "texts",								\
	  "the configurations in the bundle have the hashes that the entries name",				\
	  NULL)													\
	C(TIMELINE, "timeline", "pages",									\
	  "the timeline shows these entries and nothing else",							\
	  NULL)
/* clang-format on */

enum verify_check {
#define E(id, name, unit, proves, else_) VERIFY_CHECK_##id,
	VERIFY_CHECKS(E) VERIFY_CHECK_COUNT
#undef E
};

enum verify_class {
#define E(id, name) VERIFY_##id,
	VERIFY_CLASSES(E) VERIFY_CLASS_COUNT
#undef E
};

#define VERIFY_NAME_MAX	 256
#define VERIFY_TIME_MAX	 UTC_TEXT_MAX
#define VERIFY_HOLES_MAX 16
#define VERIFY_STEPS_MAX 16

#define VERIFY_SINCE_MAX (1u << 20)

/* May be missing. */
#define VERIFY_PATH_COSIGNED LEDGER_PATH_COSIGNED
#define VERIFY_PATH_ARCHIVED LEDGER_PATH_ARCHIVED

/* What an evidence bundle is about (verify/evidence.h). */
struct verify_range {
	uint64_t first, end;				 /* indices of its entries */
	char from[VERIFY_TIME_MAX], to[VERIFY_TIME_MAX]; /* UTC, both counted in */
	char made[VERIFY_TIME_MAX];			 /* when, as its maker says */
	char version[32];				 /* of the program that made it */
};

struct verify_witness {
	char name[NOTE_NAME_MAX]; /* in the policy */
	bool counts;		  /* its cosignatures can be verified here: they are not ML-DSA-44 */
	bool cosigned, future;	  /* future: only at a time that has not come yet, which counts for nothing */
	uint64_t size, time_s;	  /* what and when, of the largest head that it cosigned */
};

struct verify_report {
	bool good;		    /* nothing was found, and all of it could be read */
	enum verify_class found;    /* VERIFY_NONE when good */
	char finding[ERR_TEXT_MAX]; /* a sentence, "" when good */
	bool at_entry;		    /* `entry` tells which entry it is about */
	uint64_t entry;

	char origin[VERIFY_NAME_MAX];
	char vkey[VERIFY_NAME_MAX + 80]; /* the verifier key that was used */
	bool vkey_given;		 /* it came from the options, not from the directory */
	bool vkey_by_policy;		 /* and there from the policy's log lines */
	uint64_t size;			 /* of the newest signed head: checkpoint and journal */
	uint64_t published;		 /* of the checkpoint; the rest is in the journal */
	uint8_t root[32];		 /* of the newest signed head */
	uint64_t entries;		 /* read and found good, from the first one on */
	uint64_t entry_bundles, tiles, old_partial_tiles;
	uint64_t seal_epochs, seals; /* one-time keys (ledger/seal.h): announced epochs, seals checked */
	uint64_t sealed;	     /* size under the last seal */
	uint64_t boots;
	uint64_t gaps;	      /* entries that state a gap: recorded, so no finding by themselves */
	uint64_t clock_steps; /* the clock (UTC) was set: how often; the first VERIFY_STEPS_MAX of them: */
	struct verify_step {
		uint64_t entry, us; /* before which entry, and how far; between boots at least so far */
		bool back;
	} clock_step[VERIFY_STEPS_MAX];
	uint64_t stray_files;	      /* files that are not part of a ledger: not read */
	uint64_t ended_logs;	      /* logs that ended in a recovery and lie in the folder `before` */
	uint64_t ended_logs_verified; /* of these, verified as well: this log's own, and the ones before it */
	uint64_t recoveries;	      /* entries that say so */
	bool recovery_expected;	      /* by the log's name */
	bool recovery_witnessed;      /* its note is cosigned by a witness of the policy */
	uint64_t recovery_seen_size;  /* how many entries the ended log had, says the note */
	char first_utc[VERIFY_TIME_MAX], last_utc[VERIFY_TIME_MAX]; /* "" when there is no entry */

	uint64_t made[VERIFY_CHECK_COUNT]; /* how many of each check were made */

	uint64_t entries_unseen; /* entries that are elsewhere: only their hashes were there */
	size_t holes_n;		 /* where: the first VERIFY_HOLES_MAX of them */
	struct {
		uint64_t first, end;
	} hole[VERIFY_HOLES_MAX];
	uint64_t seals_unseen; /* seals over sizes that lie within holes */
	uint64_t heads_unseen; /* heads of the journal likewise */
	uint64_t archived;     /* entries below are in an archive, says the directory */
	bool bundle;	       /* an evidence bundle, about `range` */
	struct verify_range range;

	bool policy_given, quorum;
	bool stale;	     /* nothing is wrong, and the quorum is not what the limits ask for: */
	char staleness[256]; /* why */
	uint64_t uncosigned; /* entries that no quorum stands behind; of a bundle, in its range */
	char quorum_name[NOTE_NAME_MAX]; /* "none": the policy asks for none */
	uint64_t cosigned;		 /* size of the largest head that a quorum cosigned */
	uint64_t cosigned_time_s;	 /* by when all of the quorum had; 0 for "none" */
	size_t witnesses_n;
	struct verify_witness witness[POLICY_WITNESSES_MAX];
	uint64_t cosigned_head; /* size of the file `cosigned`; 0: there is none */
	uint64_t kept_size;	/* of the head that was kept, when one was given */
	/* entries before were not read: they were verified earlier; 0: from the first */
	uint64_t since;
	char since_version[65]; /* by that version of the program */
};

/* All of the log was seen; or all that the bundle is about. */
bool verify_complete(const struct verify_report *r);

/*
 * Where a ledger's files come from: a directory, an address or a bundle (cli/source.h). Paths are
 * relative to the ledger's directory, as in C2SP tlog-tiles.
 */
struct verify_source {
	void *context;
	/* The whole file, allocated with malloc(). RC_NOT_FOUND, RC_IO, RC_LIMIT; RC_MALFORMED: what has that
	 * name is no plain file below the ledger's directory. */
	enum rc (*read)(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n);
	/* Calls each() with the path of every file. RC_IO. NULL: cannot be listed; then stray files are not
	 * seen. */
	enum rc (*list)(void *context, void (*each)(void *to, const char *path), void *to);
	/* Waits a moment before the ledger is read again, because it was written to meanwhile. */
	void (*pause)(void *context);
};

/*
 * RC_OK: all is as it should be. RC_AUTH: something is wrong; report->finding and *e say what. RC_IO: nothing
 * was found wrong, and a part could not be read. RC_UNSUPPORTED: the same, and entries are of a newer version
 * than this program. RC_MALFORMED: options->vkey is no verifier key. ret_report is filled as far as it went,
 * whatever is returned. options may be NULL.
 */
enum rc verify_ledger(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e);

/* How many octets a file of this path has at the most, with room for a journal that could not be published.
 */
size_t verify_file_max(const char *path);

/* rc: of verify_ledger(). */
enum verify_status verify_status(enum rc rc, const struct verify_report *r);

const char *verify_class_name(enum verify_class c);

/* The report for people (several lines, each with a line feed) and as one JSON object. Return the length, 0:
 * does not fit. VERIFY_TEXT_MAX is enough. */
#define VERIFY_TEXT_MAX 65536
size_t verify_ledger_text(const struct verify_report *r, char *ret_text, size_t size);
size_t verify_ledger_json(const struct verify_report *r, char *ret_text, size_t size);
/* What is proved and what is not, in plain words: from report->made alone, and nothing when something is
 * wrong. */
size_t verify_explain_text(const struct verify_report *r, char *ret_text, size_t size);

#endif
