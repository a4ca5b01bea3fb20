/*
 * What a witness remembers, in SQLite: for each origin the tree that was cosigned last, with its note, and
 * the requests by a log's own key that contradict it, which are evidence against the log or whoever holds its
 * key.
 *
 * A request is decided inside one transaction: store_begin(), witness_add_checkpoint() with
 * store_interface(), then store_end(), whose commit is synced (journal WAL, synchronous FULL) before the
 * answer is sent. The file belongs to one process (an exclusive lock that lasts) and to one key. One thread.
 */
#ifndef PROC_WITNESS_STORE_H
#define PROC_WITNESS_STORE_H

#include "witness/witness.h"

#define STORE_EVIDENCE_MAX 100 /* requests kept for each log, the oldest go first */

struct store;

/*
 * Opens the file, or begins one with *ret_new set: then this witness remembers nothing, which whoever runs it
 * must know. RC_EXISTS: another process has it. RC_DENIED: it is of another key. RC_IO, RC_UNSUPPORTED:
 * damaged, or no witness's file.
 */
enum rc store_open(
	struct store **ret_store, const char *path, const struct note_key *key, bool *ret_new, struct err *e);
void store_close(struct store *s);

enum rc store_begin(struct store *s, struct err *e);
/* keep: durable when RC_OK. Otherwise nothing of the transaction is left. */
enum rc store_end(struct store *s, bool keep, struct err *e);

/* get() and put() of the open transaction. */
struct witness_store store_interface(struct store *s);

/* The note that was cosigned last, by SHA-256 of its origin; ret_note holds NOTE_BYTES_MAX. RC_NOT_FOUND,
 * RC_IO. */
enum rc store_note(struct store *s, const uint8_t origin_hash[SHA256_SIZE], char *ret_note, size_t *ret_n,
	struct err *e);

/* Keeps a request that contradicts what was cosigned; in a transaction of its own. */
enum rc store_evidence(
	struct store *s, const char *origin, uint64_t time_s, const void *body, size_t n, struct err *e);

/* Origins with a head; requests kept as evidence. */
enum rc store_counts(struct store *s, uint64_t *ret_logs, uint64_t *ret_evidence, struct err *e);

#endif
