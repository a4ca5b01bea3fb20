/*
 * Evidence bundles: the entries of a time in one file, with all that a third person needs to verify them. The
 * file is a tar archive (verify/tar.h) of a part of the ledger's own files, and some more:
 *
 *   README.txt            how to verify it
 *   range                 which entries it is about: canonical JSON
 *                         {"end":N,"first":N,"from":"<UTC>","made":"<UTC>","to":"<UTC>","version":"…"}, LF
 *   log.vkey checkpoint   as in the ledger (ledger/log.h); the checkpoint with its cosignatures; `cosigned`
 *   journal               when there is one
 *   tile/entries/…        entry bundles of the range, of the entry before it and of the entry after it; and
 *                         those with the configuration and the one-time keys that were in use
 *   tile/<L>/…            tiles from these up to the root: the proofs of inclusion
 *   seal/…                one-time keys and seals of the epochs that these entries announce
 *   config/<sha256>.conf  configurations that the entries name, if they were found
 *   timeline.html         the entries for people (verify/timeline.h)
 *
 * The entry before `first` and the one at `end` are included as well: the former is dated before the time,
 * the latter after it. So if the clock was not set, every entry of the time is included; if it was, entries
 * that are not included may be dated within it.
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

/* README.txt of a bundle of this range; the reader's own program compares it. Returns the length, 0: does not
 * fit. EVIDENCE_README_MAX is enough. */
#define EVIDENCE_README_MAX 1024
size_t evidence_readme_text(const struct verify_range *r, char *ret_text, size_t max);

/* "config/<64 digits>.conf", and the hash that it is named after. */
void evidence_config_path(char ret_path[EVIDENCE_PATH_MAX], const uint8_t sha256[32]);
bool evidence_config_path_parse(const char *path, uint8_t ret_sha256[32]);

/*
 * Chooses the contents of a bundle. First evidence_begin(), evidence_entry() and evidence_sealed() as the
 * hooks of a verification of the whole ledger; then evidence_choose() and evidence_files().
 */
struct evidence;

/* from, to: UTC as in entries, both included. NULL: out of memory. */
struct evidence *evidence_new(const char *from, const char *to);
void evidence_free(struct evidence *v);
void evidence_begin(void *context);
void evidence_entry(void *context, const struct ledger_entry *entry, uint64_t index);
void evidence_sealed(void *context, uint64_t begins, uint64_t size);

/*
 * size: of the checkpoint. cosigned: of the file `cosigned`, 0: there is none. ret_range: all but `made` and
 * `version`. RC_LIMIT: out of memory.
 */
enum rc evidence_choose(struct evidence *v, uint64_t size, uint64_t cosigned, struct verify_range *ret_range);
/* Is the journal needed: does the range extend into it, or is nothing published yet? */
bool evidence_needs_journal(const struct evidence *v);
/* Calls each() with the path of each tile and each file of seals; tiles as they stand at the size. */
void evidence_files(const struct evidence *v, void (*each)(void *to, const char *path), void *to);
/* A tile or bundle of entries as it stands at the size: the file itself, or the beginning of the full one
 * that replaced it. To be freed. */
enum rc evidence_file_read(
	const struct verify_source *source, const char *path, uint8_t **ret_bytes, size_t *ret_n);
/* Does an entry of the range name a configuration with this text? ret_path: its path in the bundle. */
bool evidence_config(const struct evidence *v, const void *text, size_t n, char ret_path[EVIDENCE_PATH_MAX]);

#endif
