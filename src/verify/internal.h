/*
 * The walk over a ledger's files, shared by the files of src/verify. Private.
 *
 *   ledger.c           the walk: the order of the steps, the verdict
 *   finding.c          the first finding of each kind
 *   files.c            reading files from the source
 *   heads.c            the key, signed heads
 *   cosignatures.c     the policy's quorum over them
 *   bundles.c          the entries in the tiles
 *   entries.c          one entry by itself, and in the order of counters and time
 *   tree.c, tiles.c    the tree over the entries; the tiles on the disk
 *   journal.c          the journal's records and their heads
 *   journal_entries.c  its entries that are not in the tiles yet
 *   seals.c            one-time keys
 *   session_log.c      the session log; on its own, verify/session_log.h
 *   signed_commits.c   signed commits; on its own, verify/signed_commits.h
 *   recovery.c         how the log began, and the one before it
 *   since.c            --since and --keep
 *   partials.c         older partial tiles, files that are no part of a ledger
 *   bundled.c          what an evidence bundle holds beside the log
 *   timeline.c         its page
 *   range.c, tar.c     the formats of an evidence bundle
 *   report.c           the report as text and as JSON
 *   checks.c           what is proved, and what is not
 *   verdict.c          class, exit status, what was seen
 *
 * Fed by the walk's hooks:
 *
 *   evidence.c            chooses what goes into a bundle
 *   retention.c           chooses what goes into an archive
 *   randomness.c          public values: proofs, SPIs, nonces
 *   leaf_batches.c        ephemeral keys: batches up to their challenge
 *   leaves.c              ephemeral keys: what was opened and used
 *   order.c               the order in which values and leaves were used
 *   capture.c             packets of the wire
 *   digests.c             a table by hashes
 *   randomness_report.c   what they found, as text and as JSON
 */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include "ledger/counters.h"
#include "ledger/log.h"
#include "ledger/seal.h"
#include "verify/digests.h"
#include "verify/timeline.h"
#include "verify/verify.h"

/* The first finding of its kind; later ones are dropped. */
struct finding {
	enum verify_class class;
	bool at_entry;
	uint64_t entry;
	char text[ERR_TEXT_MAX];
};

/* The one-time keys of the current epoch, and how far their seals have been checked. */
struct seals {
	bool any;
	uint64_t begins; /* index of the epoch's entry */
	struct merkle_hash root;
	uint8_t *keys, *records;
	size_t records_n;
	struct rd left;
	struct seal next; /* not checked yet, when more */
	bool more;
	uint32_t expected; /* index of the next seal */
	uint64_t sealed;   /* size under the last seal that was checked, or skipped in a hole */
	bool hole;	   /* entries after its announcement were not seen: another epoch may have followed */
};

/* A signed head: the tree must have its root at its size. */
enum { HEAD_CHECKPOINT, HEAD_COSIGNED, HEAD_KEPT, HEAD_SINCE, HEADS };
struct signed_head {
	bool any, confirmed; /* confirmed: the tree had its root at its size */
	struct checkpoint c;
	struct note note; /* views into bytes */
	uint8_t *bytes;
	size_t bytes_n;
};

/* The journal's records, each with its signed head: read before the tree grows, checked as it reaches
 * them. */
struct signed_record {
	size_t at; /* in the file */
	struct journal_record j;
	struct checkpoint c;
};
struct journal {
	uint8_t *bytes;
	size_t n;
	struct signed_record *record;
	size_t records_n, records_room;
	struct signed_record **by_first, **by_size; /* sorted */
	size_t firsts_passed, sizes_passed;
	struct finding bad; /* after the last of these */
	enum rc end;	    /* of journal_next() after them, at `end_at` */
	size_t end_at;
};

/* What ledger_recovery says. */
struct verify_recovery {
	bool any, whole; /* the entry was read, and is one of this log */
	uint64_t index;
	char origin[NOTE_NAME_MAX], archive[64];
	uint64_t disk_size, seen_size, seen_time_s;
	struct merkle_hash disk_root, seen_root;
	uint8_t *note; /* the witness's, from the entry or from the file beside the ended log */
	size_t note_n;
	uint8_t *text; /* the entry */
	size_t text_n;
};

/* What an evidence bundle is about, collected during the walk. */
struct gathered {
	struct timeline *timeline;
	uint8_t (*config)[SHA256_SIZE]; /* hashes of configurations that entries name, each once */
	size_t config_n, config_room;
	struct digests configs;	   /* their places */
	struct merkle_hash *epoch; /* roots of one-time keys that entries announce */
	size_t epochs_n, epochs_room;
	bool out_of_memory;
};

struct walk {
	const struct verify_source *source;
	const struct verify_options *options;
	struct verify_report *report;
	struct note_key key;
	struct finding stop;  /* the walk cannot continue */
	struct finding entry; /* an invalid entry */
	struct finding tile;  /* a tile that does not match the entries below it */
	unsigned tile_level;  /* its level */
	struct finding seal;
	struct finding copy;	/* an older partial tile that is not a copy */
	struct finding head;	/* a head whose root the tree does not have */
	struct finding bundled; /* what an evidence bundle holds beside the log */
	struct finding cosignature;
	struct finding recovered; /* an invalid recovery */
	struct finding file;	  /* a link, device or folder in the place of a ledger's file */
	struct finding unread;	  /* a part that could not be read */
	struct finding newer;	  /* an entry of a newer version than this program */
	struct journal journal;
	struct verify_recovery recovery;
	struct merkle_edge edge;			  /* of all entries so far */
	struct merkle_hash open[TILE_LEVELS][TILE_WIDTH]; /* the unfinished tile of each level, recomputed */
	uint64_t hashes[TILE_LEVELS];
	bool leaves_given; /* the last leaves came from the tile itself: comparing them with it says nothing */
	bool hole;	   /* the entry before the next one was not seen */
	bool resuming;	   /* the counters of this boot are unknown: they were in a hole */
	struct ledger_counters counters;
	uint8_t boot[LEDGER_BOOT_SIZE];
	uint64_t last_mono;
	utc_us last_utc;
	int64_t clock_offset; /* UTC - monotonic since the clock was last set, in this boot */
	struct seals seals;
	bool start_open; /* after ledger_start: seal_epoch must follow */
	struct signed_head heads[HEADS];
	struct gathered gathered;
};

/* finding.c. Each keeps the first finding and returns RC_AUTH. */
enum rc report_finding(struct finding *f, enum verify_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum rc report_finding_at(struct finding *f, enum verify_class class, uint64_t entry, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Keeps the first part that could not be read. Returns RC_IO. */
enum rc report_unread(struct walk *w, const char *path);

/* files.c */
/* The result of reading a file: RC_OK, RC_NOT_FOUND, or RC_IO, which is reported. */
enum rc report_read_result(struct walk *w, const char *path, enum rc rc);
/* The whole file, to be freed. RC_NOT_FOUND; RC_IO: it could not be read, and that is reported. */
enum rc walk_file_read(struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n);

/* tiles.c */
/* A tile or bundle, or the beginning of the full one when it has replaced the partial one. *ret_path:
 * which. */
enum rc tile_source_read(const struct verify_source *source, uint32_t level, uint64_t tile, uint32_t width,
	char ret_path[TILE_PATH_MAX], uint8_t **ret_bytes, size_t *ret_n);
/* The same in a walk: what could not be read is reported. */
enum rc tile_read(struct walk *w, uint32_t level, uint64_t tile, uint32_t width, char ret_path[TILE_PATH_MAX],
	uint8_t **ret_bytes, size_t *ret_n);

/* heads.c: the key and signed heads. */
enum rc log_key_choose(struct walk *w, struct err *e);
const char *head_name(int which); /* HEAD_…, for findings */
/* A signed head of this ledger; with `others`, signatures by other keys may follow the ledger's own. */
enum rc head_check(struct walk *w, struct finding *f, const char *where, const void *bytes, size_t n,
	bool others, struct note *ret_note, struct checkpoint *ret);
/* The same for a head from the options, into heads[which]. RC_MALFORMED: it is none of this ledger. */
enum rc head_load_given(struct walk *w, int which, const void *bytes, size_t n, struct err *e);
/* The heads beside the checkpoint. RC_MALFORMED: the head of the options is none of this ledger. */
enum rc heads_load(struct walk *w, struct err *e);
/* When all are loaded: two of one size must have one root, whatever the entries are. */
void heads_compare(struct walk *w);
void heads_check_at_size(struct walk *w); /* the tree has grown to w->edge.size */
void heads_end(struct walk *w);
void heads_free(struct walk *w);

/* cosignatures.c */
void cosignatures_check(struct walk *w);

/* since.c: the walk begins where an earlier one ended, and saves where it ends itself. */
enum rc since_load(struct walk *w, struct err *e); /* RC_MALFORMED, RC_UNSUPPORTED: the file of --since */
void since_keep(struct walk *w);		   /* the tree is the checkpoint's */
/* Does the head of --since continue this older one, of one entry or more? False: it is reported why not. */
bool since_check_consistency(struct walk *w, const struct checkpoint *c, const char *name);
/* The heads that are older than the one of --since. RC_AUTH: the checkpoint is. */
enum rc since_check_older_heads(struct walk *w);

/* seals.c */
bool seal_epoch_root(const struct ledger_entry *entry, struct merkle_hash *ret_root);
/* Called for each entry in order: has each start announced its one-time keys? */
void seals_check_announced(struct walk *w, const struct ledger_entry *entry, uint64_t index);
void seals_epoch_begin(struct walk *w, const struct ledger_entry *entry, uint64_t index);
/* The files of the epoch that w->seals names, from the seal that is expected next. */
void seals_load(struct walk *w);
void seals_check_at_size(struct walk *w); /* the tree has grown to w->edge.size */
void seals_end(struct walk *w);
void seals_free(struct seals *s);

/* journal.c: the journal's records. */
enum rc journal_load(struct walk *w, struct err *e); /* RC_LIMIT: out of memory */
/* Do its entries, on the tree before them, have the root that its head signs? */
bool journal_record_good(const struct walk *w, const struct signed_record *r);
/* Does the checkpoint cover its entries? Then they were published while the journal was read. */
bool journal_record_published(const struct walk *w, const struct signed_record *r);
void journal_check_at_size(struct walk *w); /* the tree has grown to w->edge.size */
void journal_free(struct walk *w);

/* tree.c */
/* The tree has grown to w->edge.size: seals, heads and records of that size. */
void tree_check_at_size(struct walk *w);
/* Grows the tree by one leaf, or by the root of 256^level leaves that were not read. Tiles that are filled
 * are compared with those on the disk. RC_AUTH: see w->stop. */
enum rc tree_subtree_add(struct walk *w, unsigned level, const struct merkle_hash *hash);
enum rc tile_compare(struct walk *w, unsigned level, uint64_t tile, uint32_t width);
/* The bundle of the last leaves does not have the expected entries: the first whose hash is not in the
 * tile. */
uint64_t bundle_first_mismatch(struct walk *w, uint32_t width);

/* bundles.c */
/* The entries from the tree's size up to `size`; holes where they are permitted. */
enum rc bundles_check(struct walk *w, uint64_t size);
/* All that the checkpoint covers, and its root. */
enum rc tiles_check(struct walk *w, const struct checkpoint *c);

/* entries.c: one entry by itself and in its order. Findings go to w->entry; the walk continues. */
void entry_check(struct walk *w, const uint8_t *bytes, size_t n);

/* journal_entries.c: the entries after the tiles. */
enum rc journal_check(struct walk *w);

/* recovery.c: how this log began, and the one before it. */
/* One walk over a ledger that is not being written to: verify_pass() of ledger.c, for the log that ended. */
typedef enum rc verify_pass_fn(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e);
void recovery_entry(
	struct walk *w, const struct ledger_entry *entry, uint64_t index, const uint8_t *text, size_t n);
enum rc recovery_end(struct walk *w, verify_pass_fn *pass, struct err *e); /* RC_LIMIT: out of memory */
void recovery_free(struct walk *w);

/* partials.c: copies of older checkpoints' partial tiles, and files that do not belong to a ledger. */
enum rc partials_check(struct walk *w, uint64_t size);

/* bundled.c: what an evidence bundle holds beside the log. */
enum rc scope_load(struct walk *w); /* which parts are elsewhere, by the files of the source */
/* May this bundle of entries be elsewhere? */
bool scope_excludes(const struct walk *w, uint64_t bundle);
void bundled_entry(struct walk *w, const struct ledger_entry *entry, uint64_t index);
bool bundled_path(const struct walk *w, const char *path); /* a file that belongs to an evidence bundle */
enum rc bundled_end(struct walk *w);
void bundled_free(struct walk *w);

#endif
