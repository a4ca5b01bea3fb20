/*
 * The append-only log: batches of entries become durable with one write, and are then laid out as C2SP tiles.
 *
 * On the disk, in one directory:
 *   log.vkey        the verifier key
 *   journal         batches that are not in the tiles yet: entries, and the signed checkpoint that covers them
 *   tile/...        entry bundles and hash tiles (merkle/tile.h)
 *   checkpoint      the signed head of the tiles, with the witnesses' cosignatures
 *   cosigned        the last checkpoint that a quorum of witnesses has cosigned
 *   peers/          notes of peers' ledgers that this gateway has cosigned (proc/ledger/peer_witness.h)
 *   archived        how many entries were moved to an archive (plaingate archive)
 *   before/         logs that ended in a recovery (proc/ledger/recovery.h)
 *   seal/           one-time keys and seals of checkpoints (ledger/seal.h)
 *
 * ledger_commit() appends one record to the journal and syncs it: then every entry of the batch is durable
 * and covered by a signature, and receipts may be given. ledger_publish() writes tiles, then the
 * checkpoint, then empties the journal, each durable before the next. So a crash at any point leaves a
 * prefix that ledger_open() finds intact: the checkpoint with its tiles, then the complete records of the
 * journal; a torn last record was never answered.
 *
 * Pure: the files are reached by a struct ledger_store that the shell or a test supplies. There is no
 * function that changes or removes an entry.
 */
#ifndef LEDGER_LOG_H
#define LEDGER_LOG_H

#include "ledger/entry.h"
#include "merkle/note.h"
#include "merkle/tile.h"

#define LEDGER_BATCH_MAX       1024 /* entries */
#define LEDGER_PATH_VKEY       "log.vkey"
#define LEDGER_PATH_JOURNAL    "journal"
#define LEDGER_PATH_CHECKPOINT "checkpoint"
#define LEDGER_PATH_COSIGNED   "cosigned"
#define LEDGER_PATH_PEERS      "peers"	  /* directory: notes of peers' ledgers that this gateway cosigns */
#define LEDGER_PATH_ARCHIVED   "archived" /* decimal, LF: entries below were moved to an archive */
#define LEDGER_PATH_BEFORE     "before"	  /* folders of logs that ended in a recovery */

/* Paths are relative to the ledger's directory. RC_OK means durable: file, name and directories synced. */
struct ledger_store {
	void *context;
	/* The whole file, allocated with malloc(); RC_NOT_FOUND. */
	enum rc (*read)(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct err *e);
	/* A file of this name has these octets from now on, or still its old ones: never anything in between. */
	enum rc (*replace)(void *context, const char *path, const void *bytes, size_t n, struct err *e);
	/* Appends to the journal. After a failure the file may end in some of the bytes. */
	enum rc (*append)(void *context, const char *path, const void *bytes, size_t n, struct err *e);
	enum rc (*truncate)(void *context, const char *path, size_t n, struct err *e);
	/* Removes the folder of partial tiles of this name ("tile/0/000.p"); it may be missing. */
	void (*remove_partials)(void *context, const char *path);
	/* Called now and then while much is read: `done` of `all`, of whatever it is. May be NULL. */
	void (*progress)(void *context, uint64_t done, uint64_t all);
};

struct ledger_log;

struct ledger_opened {
	uint64_t published; /* entries under the checkpoint */
	uint64_t journaled; /* after these, in the journal */
	size_t torn_bytes;  /* cut off the journal's end: a batch that nobody got a receipt for */
};

/*
 * Opens or begins the log of key->name. RC_AUTH: what is on the disk is not signed by this key or does not
 * fit its signature: nothing is changed, and somebody must look.
 */
enum rc ledger_open(struct ledger_log **ret_log, const struct ledger_store *store, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE], struct ledger_opened *ret_opened, struct err *e);
void ledger_close(struct ledger_log *l);

/* Adds to the open batch. RC_LIMIT: the batch is full, commit first; RC_RANGE: larger than LEDGER_ENTRY_MAX
 * or empty. */
enum rc ledger_add(struct ledger_log *l, const void *entry, size_t n, uint64_t *ret_index);
/* Makes the batch durable. On failure none of it is in the log, and the next commit starts from there. */
enum rc ledger_commit(struct ledger_log *l, struct err *e);
/* Lays out what is committed as tiles. On failure everything is still in the journal. */
enum rc ledger_publish(struct ledger_log *l, struct err *e);

uint64_t ledger_size(const struct ledger_log *l); /* committed */
uint64_t ledger_published(const struct ledger_log *l);
size_t ledger_batch_n(const struct ledger_log *l);
struct merkle_hash ledger_root(const struct ledger_log *l); /* of what is committed */
struct merkle_hash ledger_leaf(
	const struct ledger_log *l, uint64_t index); /* of an entry not yet published */

/*
 * The checkpoint of what is published, as text with the log's own signature alone: what witnesses are asked
 * with. Of an empty log it is the empty tree's, which stands in no file. Valid until the next publication.
 */
const char *ledger_head(const struct ledger_log *l, size_t *ret_n);
/*
 * The published checkpoint gets these signature lines of witnesses after its own, in place of those it
 * had; the caller has verified them. quorum: they suffice, so that it is kept as LEDGER_PATH_COSIGNED
 * until another one has them. Durable. RC_LIMIT: too many; RC_RANGE: nothing is published.
 */
enum rc ledger_cosigned(struct ledger_log *l, const char *lines, size_t n, bool quorum, struct err *e);
/* Root of the first `size` entries, and the proof that the published tree continues it; 0 < size <=
 * published. The proof may be NULL; then any committed size will do. RC_RANGE, RC_IO, RC_NOT_FOUND: a tile
 * that is missing. */
enum rc ledger_prove(const struct ledger_log *l, uint64_t size, struct merkle_hash *ret_root,
	struct merkle_proof *ret_proof);

/*
 * For rebuilding counters after a start: gives committed entries of the boot to `each`, oldest first, with
 * their index and leaf's hash. The first is a LEDGER_COUNTERS that stands at least LEDGER_COUNTERS_BEHIND
 * entries before the end, so that a start reads no more than about LEDGER_COUNTERS_EVERY and these, however
 * long the boot has lasted; or the boot's own first entry, when there is none yet. Entries that are not of
 * the boot are left out. The log must not be changed meanwhile. RC_IO, RC_MALFORMED: a bundle on the disk;
 * RC_AUTH: one is not what the checkpoint signs.
 */
typedef void ledger_replay_fn(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf);
enum rc ledger_replay(const struct ledger_log *l, const uint8_t boot[LEDGER_BOOT_SIZE],
	ledger_replay_fn *each, void *context, struct err *e);

/*
 * One record of the journal, as read back by ledger_open() and by verification. Views into the bytes.
 */
struct journal_record {
	uint64_t first; /* index of its first entry */
	uint32_t count;
	struct rd entries;
	const char *note;
	size_t note_n;
};

/* Takes the record at r. RC_OK; RC_NOT_FOUND: the end; RC_TRUNCATED, RC_MALFORMED: torn or altered from here
 * on. */
enum rc journal_next(struct rd *r, struct journal_record *ret_record);
/* After a record that journal_next() did not take: is there a complete one somewhere in these octets? Then the
 * first was altered, not torn. */
bool journal_goes_on(const uint8_t *bytes, size_t n);

#endif
