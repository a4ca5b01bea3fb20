/*
 * Which files of a ledger can be moved to an archive: bundles whose entries are all from before a time, and
 * the seals of the epochs that these entries announce. They never change again. What the ledger may read when
 * it is restarted within the running boot stays: from its last `counters` entry on that is far enough back,
 * or, in a young boot, from one whole bundle before the one in which it begins. So does the current epoch of
 * seals. Hash tiles stay: with them the rest is proved without the archive.
 *
 * Pure. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_RETENTION_H
#define VERIFY_RETENTION_H

#include "verify/verify.h"

struct retention;

/* before: UTC as in entries. NULL: out of memory. */
struct retention *retention_new(const char *before);
void retention_free(struct retention *p);
/* Hooks of a verification of the whole ledger. */
void retention_begin(void *context);
void retention_entry(void *context, const struct ledger_entry *entry, uint64_t index);

/* archived: what is in an archive already, by the ledger's directory. False: nothing can be moved, or out of
 * memory. */
bool retention_choose(struct retention *p, uint64_t archived);
/* Entries below this index are moved. */
uint64_t retention_end(const struct retention *p);
/* Calls each() with the path of each file that is moved. */
void retention_files(const struct retention *p, void (*each)(void *to, const char *path), void *to);
bool retention_moves(const struct retention *p, const char *path);

#endif
