/*
 * The walk over a ledger's directory, shared by the files of src/verify. Private.
 */
#ifndef VERIFY_INTERNAL_H
#define VERIFY_INTERNAL_H

#include "ledger/counters.h"
#include "ledger/log.h"
#include "ledger/seal.h"
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
	uint64_t sealed;   /* size under the last seal that was met */
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
	struct finding copy;				  /* an older partial tile that is no copy */
	struct merkle_edge edge;			  /* of all entries so far */
	struct merkle_hash open[TILE_LEVELS][TILE_WIDTH]; /* the unfinished tile of each level, recomputed */
	uint64_t hashes[TILE_LEVELS];
	struct ledger_counters counters;
	uint8_t boot[LEDGER_BOOT_SIZE];
	uint64_t last_mono;
	char last_utc[UTC_TEXT_MAX];
	struct seals seals;
};

/* Keeps the first finding. Returns RC_AUTH. */
enum rc found(struct finding *f, enum verify_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum rc found_at(struct finding *f, enum verify_class class, uint64_t entry, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The whole file, to be freed. RC_NOT_FOUND, RC_IO, RC_LIMIT. */
enum rc file_read(const struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n);

/* entries.c: one entry by itself and in its order. Findings go to w->entry; the walk goes on. */
void entry_check(struct walk *w, const uint8_t *bytes, size_t n);
/* A leaf is added to the tree; tiles that it fills are compared with those on the disk. RC_AUTH: see w->stop.
 */
enum rc leaf_add(struct walk *w, const struct merkle_hash *leaf);
enum rc tile_compare(struct walk *w, unsigned level, uint64_t tile, uint32_t width);
/* A tile or bundle, or the beginning of the full one when the partial one was replaced by it. *ret_path:
 * which. */
enum rc tile_read(const struct walk *w, uint32_t level, uint64_t tile, uint32_t width,
	char ret_path[TILE_PATH_MAX], uint8_t **ret_bytes, size_t *ret_n);
/* The bundle that the last leaves came from has not the entries it should: the first whose hash is not in the
 * tile. */
uint64_t bundle_departs(struct walk *w, uint32_t width);

/* seals.c */
void seals_begin(struct walk *w, const struct ledger_entry *entry, uint64_t index);
void seals_meet(struct walk *w); /* the tree has grown to w->edge.size */
void seals_end(struct walk *w);
void seals_free(struct seals *s);

/* partials.c: copies of older checkpoints' partial tiles, and what does not belong to a ledger. */
enum rc partials_check(struct walk *w, uint64_t size);

#endif
