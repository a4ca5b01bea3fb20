/*
 * The walk over a ledger's files, shared by the files of src/verify. Private.
 */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include "ledger/counters.h"
#include "ledger/log.h"
#include "ledger/seal.h"
#include "verify/digests.h"
#include "verify/timeline.h"
#include "verify/verify.h"

/* The first thing that is wrong of its kind; later ones are not kept. */
struct finding {
	enum verify_class class;
	bool at_entry;
	uint64_t entry;
	char text[ERR_TEXT_MAX];
};

/* The one-time keys in force, and how far their seals have been met. */
struct seals {
	bool any;
	uint64_t begins; /* index of the epoch's entry */
	struct merkle_hash root;
	uint8_t *keys, *records;
	size_t records_n;
	struct rd left;
	struct seal next; /* not met yet, when more */
	bool more;
	uint32_t expected; /* index of the next seal */
	uint64_t sealed;   /* size under the last seal that was met, or passed over in a hole */
	bool hole;	   /* entries behind its announcement were not seen: another may have followed */
};

/* A signed head that the tree must have at its size, and who cosigned it. */
enum { HEAD_CHECKPOINT, HEAD_COSIGNED, HEAD_KEPT, HEAD_SINCE, HEADS };
struct signed_head {
	bool any, confirmed; /* confirmed: the tree had its root at its size */
	struct checkpoint c;
	struct note note; /* views into bytes */
	uint8_t *bytes;
	size_t bytes_n;
};

/* The journal's records, each with its signed head: read before the tree grows, which meets them on its way.
 */
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
	struct finding bad; /* behind the last one of these */
	enum rc end;	    /* of journal_next() behind them, at `end_at` */
	size_t end_at;
};

/* What recovery_epoch says. */
struct verify_recovery {
	bool any, whole; /* the entry was read, and is one of this log */
	uint64_t index;
	char origin[NOTE_NAME_MAX], archive[64];
	uint64_t disk_size, seen_size, seen_time_s;
	struct merkle_hash disk_root, seen_root;
	uint8_t *note; /* the witness's, from the entry or from beside the ended log */
	size_t note_n;
	uint8_t *text; /* the entry */
	size_t text_n;
};

/* What an evidence bundle is about, gathered on the way. */
struct gathered {
	struct timeline *timeline;
	uint8_t (*config)[SHA256_SIZE]; /* hashes of configurations that entries name, each once */
	size_t config_n, config_room;
	struct digests configs;	   /* their places */
	struct merkle_hash *epoch; /* roots of one-time keys that entries announce */
	size_t epochs_n, epochs_room;
	bool no_memory;
};

struct walk {
	const struct verify_source *source;
	const struct verify_options *options;
	struct verify_report *report;
	struct note_key key;
	struct finding stop;  /* the walk cannot go on */
	struct finding entry; /* an entry that is not as it should be */
	struct finding tile;  /* a tile that does not fit the entries below it */
	unsigned tile_level;  /* its level */
	struct finding seal;
	struct finding copy;	/* an older partial tile that is no copy */
	struct finding head;	/* a head that the tree has not */
	struct finding bundled; /* what an evidence bundle holds beside the log */
	struct finding cosignature;
	struct finding recovered; /* a recovery that was none */
	struct finding file;	  /* something that is no file of a ledger, in the place of one */
	struct finding unread;	  /* a part that could not be read: of it nothing can be said */
	struct finding newer;	  /* an entry that this program is too old for */
	struct journal journal;
	struct verify_recovery recovery;
	struct merkle_edge edge;			  /* of all entries so far */
	struct merkle_hash open[TILE_LEVELS][TILE_WIDTH]; /* the unfinished tile of each level, recomputed */
	uint64_t hashes[TILE_LEVELS];
	bool leaves_given; /* the last leaves came from the tile itself */
	bool hole;	   /* the entry before the next one was not seen */
	bool resuming;	   /* a hole hides how the counters of this boot stood */
	struct ledger_counters counters;
	uint8_t boot[LEDGER_BOOT_SIZE];
	uint64_t last_mono;
	utc_us last_utc;
	int64_t clock_offset; /* UTC - monotonic since the clock was last set, in this boot */
	struct seals seals;
	bool start_open; /* ledger_start was read, and seal_epoch is due */
	struct signed_head heads[HEADS];
	struct gathered gathered;
};

/* Keeps the first finding. Returns RC_AUTH. */
enum rc report_finding(struct finding *f, enum verify_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum rc report_finding_at(struct finding *f, enum verify_class class, uint64_t entry, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Keeps the first part that could not be read. Returns RC_IO. */
enum rc report_unread(struct walk *w, const char *path);
/* What came of reading a file: RC_OK, RC_NOT_FOUND, or RC_IO, and then it is noted. */
enum rc report_read_result(struct walk *w, const char *path, enum rc rc);
/*
 * The whole file, to be freed. RC_NOT_FOUND; RC_IO: it could not be read, and that is noted. What else is
 * found wrong stands all the same.
 */
enum rc walk_file_read(struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n);

/* heads.c: the key, signed heads, cosignatures. */
enum rc log_key_choose(struct walk *w, struct err *e);
/* A signed head of this ledger; with `others` lines of other keys may stand behind the ledger's own. */
enum rc head_check(struct walk *w, struct finding *f, const char *where, const void *bytes, size_t n,
	bool others, struct note *ret_note, struct checkpoint *ret);
/* The same of one that the caller gave, into heads[which]. RC_MALFORMED. */
enum rc head_load_given(struct walk *w, int which, const void *bytes, size_t n, struct err *e);
/* The heads beside the checkpoint. RC_MALFORMED: the one that was kept is none. */
enum rc heads_load(struct walk *w, struct err *e);
/* All are loaded: two of one size must have one root, whatever the entries are. */
void heads_compare(struct walk *w);
/* Those that are older than the tree's beginning, where it begins with --since. RC_AUTH: the checkpoint is.
 */
enum rc heads_before_since(struct walk *w);
void heads_check_at_size(struct walk *w); /* the tree has grown to w->edge.size */
/* A copy that was made while the ledger was written to may have heads that are newer than its checkpoint: as
 * far as the tree can be grown to them from what is there. */
void tree_grow_to_heads(struct walk *w);
void heads_end(struct walk *w);
void cosignatures_check(struct walk *w);
void heads_free(struct walk *w);

/* journal.c: what is committed and not in the tiles yet. */
enum rc journal_load(struct walk *w, struct err *e); /* RC_LIMIT: no memory */
void journal_check_at_size(struct walk *w);	     /* the tree has grown to w->edge.size */
enum rc journal_check(struct walk *w);
void journal_free(struct walk *w);

/* bundles.c: the entries, from where the tree is up to the size; holes where they may be. */
enum rc bundles_check(struct walk *w, uint64_t size);
/* What is in the tiles, against the checkpoint. */
enum rc tiles_check(struct walk *w, const struct checkpoint *c);

/* entries.c: one entry by itself and in its order. Findings go to w->entry; the walk goes on. */
void entry_check(struct walk *w, const uint8_t *bytes, size_t n);

/* tiles.c */
/* The tree has grown by one leaf, or by the root of 256^level leaves that nobody looked into. Tiles that are
 * filled are compared with those on the disk. RC_AUTH: see w->stop. */
enum rc tree_subtree_add(struct walk *w, unsigned level, const struct merkle_hash *hash);
enum rc tile_compare(struct walk *w, unsigned level, uint64_t tile, uint32_t width);
/* A tile or bundle, or the beginning of the full one when the partial one was replaced by it. *ret_path:
 * which. */
enum rc tile_source_read(const struct verify_source *source, uint32_t level, uint64_t tile, uint32_t width,
	char ret_path[TILE_PATH_MAX], uint8_t **ret_bytes, size_t *ret_n);
enum rc tile_read(struct walk *w, uint32_t level, uint64_t tile, uint32_t width, char ret_path[TILE_PATH_MAX],
	uint8_t **ret_bytes, size_t *ret_n);
/* The bundle that the last leaves came from has not the entries it should: the first whose hash is not in the
 * tile. */
uint64_t bundle_first_mismatch(struct walk *w, uint32_t width);

/* recovery.c: how this log began, and the one before it. */
void recovery_entry(
	struct walk *w, const struct ledger_entry *entry, uint64_t index, const uint8_t *text, size_t n);
enum rc recovery_end(struct walk *w, struct err *e); /* RC_LIMIT: no memory */
void recovery_free(struct walk *w);
/* ledger.c: one walk over a ledger that nobody writes to. */
enum rc verify_pass(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e);

/* seals.c */
bool seal_epoch_root(const struct ledger_entry *entry, struct merkle_hash *ret_root);
/* Has each start announced its one-time keys? Called for each entry in order. */
void seals_check_announced(struct walk *w, const struct ledger_entry *entry, uint64_t index);
void seals_epoch_begin(struct walk *w, const struct ledger_entry *entry, uint64_t index);
/* The files of the epoch that w->seals names, from the seal that is expected next. */
void seals_load(struct walk *w);
void seals_check_at_size(struct walk *w); /* the tree has grown to w->edge.size */
void seals_end(struct walk *w);
void seals_free(struct seals *s);

/* since.c: the walk begins where an earlier one stood, and tells where it stood itself. */
enum rc since_load(struct walk *w, struct err *e); /* RC_MALFORMED, RC_UNSUPPORTED: the file that was given */
void since_keep(struct walk *w);		   /* the tree is the checkpoint's */
/* Does the head of --since continue this older one, of more than no entries? False: it is noted why. */
bool since_check_consistency(struct walk *w, const struct checkpoint *c, const char *name);

/* partials.c: copies of older checkpoints' partial tiles, and what does not belong to a ledger. */
enum rc partials_check(struct walk *w, uint64_t size);

/* bundled.c: what an evidence bundle holds beside the log. */
enum rc scope_load(struct walk *w); /* which parts are elsewhere, says the source */
/* May this bundle of entries be elsewhere? */
bool scope_excludes(const struct walk *w, uint64_t bundle);
void bundled_entry(struct walk *w, const struct ledger_entry *entry, uint64_t index);
bool bundled_path(const struct walk *w, const char *path); /* a file that belongs to an evidence bundle */
enum rc bundled_end(struct walk *w);
void bundled_free(struct walk *w);

#endif
