/*
 * Evidence bundles: the part of a ledger that is about some time, in one file, with all that a third person
 * needs to check it. The file is a tar archive (verify/tar.h) of a ledger's own files, with less of them:
 *
 *   README.txt            what to do with it
 *   range                 which entries it is about: canonical JSON
 *                         {"end":N,"first":N,"from":"<UTC>","made":"<UTC>","to":"<UTC>","version":"…"}, LF
 *   log.vkey checkpoint   as in the ledger (ledger/log.h); the checkpoint with its cosignatures; `cosigned`
 *   journal               when there is one
 *   tile/entries/…        bundles of entries that the range touches, the entry before it and the one behind
 *                         it; and those that say what was in force: configuration and one-time keys
 *   tile/<L>/…            tiles from these up to the root: the proofs of inclusion
 *   seal/…                one-time keys and seals of the epochs that are announced in those entries
 *   config/<sha256>.conf  configurations that the entries name, as far as they were at hand
 *   timeline.html         the entries for people (verify/timeline.h)
 *
 * The entry before `first` and the one at `end` are there as well: the one is dated before the time, the
 * other behind it. So where the clock was not set, every entry of the time is there; where it was, entries
 * that are not here may be dated within it.
 *
 * Pure. Callers: src/verify, src/cli, tests. One thread.
 */
#ifndef VERIFY_EVIDENCE_H
#define VERIFY_EVIDENCE_H

#include "verify/verify.h"

#define EVIDENCE_PATH_RANGE    "range"
#define EVIDENCE_PATH_TIMELINE "timeline.html"
#define EVIDENCE_PATH_README   "README.txt"
#define EVIDENCE_PATH_MAX      96
#define EVIDENCE_CONFIG_MAX    (4u << 20)
#define EVIDENCE_TIMELINE_MAX  (256u << 20) /* of one that is read from a directory or an address */

/* Strict. RC_OK, RC_MALFORMED, RC_RANGE: it ends before it begins. */
enum rc evidence_range_parse(struct verify_range *ret_range, const char *text, size_t n, struct err *e);
/* Returns the length, 0: does not fit. */
size_t evidence_range_text(const struct verify_range *r, char *ret_text, size_t max);

/* What a bundle of this range tells its reader; the reader's own program compares it. Returns the length, 0:
 * does not fit. EVIDENCE_README_MAX is enough. */
#define EVIDENCE_README_MAX 1024
size_t evidence_readme_text(const struct verify_range *r, char *ret_text, size_t max);

/* "config/<64 digits>.conf", and the hash that it is named after. */
void evidence_config_path(char ret_path[EVIDENCE_PATH_MAX], const uint8_t sha256[32]);
bool evidence_config_path_parse(const char *path, uint8_t ret_sha256[32]);

/*
 * Chooses what goes into a bundle. Two walks: with evidence_begin(), evidence_entry() and evidence_sealed()
 * as the hooks of a verification of the whole ledger; then evidence_choose() and evidence_files().
 */
struct evidence;

/* from, to: UTC as in entries, both counted in. NULL: no memory. */
struct evidence *evidence_new(const char *from, const char *to);
void evidence_free(struct evidence *v);
void evidence_begin(void *context);
void evidence_entry(void *context, const struct ledger_entry *entry, uint64_t index);
void evidence_sealed(void *context, uint64_t begins, uint64_t size);

/*
 * size: of the checkpoint. cosigned: of the file
 * `cosigned`, 0: there is none. ret_range: but for `made` and `version`. RC_LIMIT: no memory.
 */
enum rc evidence_choose(struct evidence *v, uint64_t size, uint64_t cosigned, struct verify_range *ret_range);
/* Is the journal needed: does the range reach into it, or is there nothing else yet? */
bool evidence_needs_journal(const struct evidence *v);
/* Calls each() with the path of each tile and each file of seals; tiles as they stand at the size. */
void evidence_files(const struct evidence *v, void (*each)(void *to, const char *path), void *to);
/* A tile or bundle of entries as it stands at the size: the file itself, or the beginning of the full one
 * that replaced it. To be freed. */
enum rc evidence_file_read(
	const struct verify_source *source, const char *path, uint8_t **ret_bytes, size_t *ret_n);
/* Does the range name a configuration with this text? ret_path: under which path it belongs. */
bool evidence_config(const struct evidence *v, const void *text, size_t n, char ret_path[EVIDENCE_PATH_MAX]);

#endif
