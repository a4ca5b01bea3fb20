/*
 * What a witness remembers, in SQLite: for each origin the tree that was cosigned last, with its note, and
 * the refused requests by a log's own key, which are evidence against the log or whoever holds its
 * key.
 *
 * A request is decided inside one transaction: database_begin(), witness_add_checkpoint() with
 * database_interface(), then database_end(), whose commit is synced (journal WAL, synchronous FULL) before the
 * answer is sent. The file belongs to one process (an exclusive lock that lasts) and to one key. One thread.
 */
#ifndef PROC_WITNESS_DATABASE_H
#define PROC_WITNESS_DATABASE_H

#include "witness/witness.h"

#define DATABASE_REFUSED_MAX 100 /* requests kept for each log, of forks and of others */

struct database;

/*
 * Opens the file, or begins one with *ret_new set: then this witness remembers nothing, which whoever runs it
 * must know. RC_EXISTS: another process has it. RC_DENIED: it is of another key. RC_IO, RC_UNSUPPORTED:
 * damaged, or no witness's file.
 */
enum rc database_open(struct database **ret_store, const char *path, const struct note_key *key,
	bool *ret_new, struct err *e);
void database_close(struct database *s);

enum rc database_begin(struct database *s, struct err *e);
/* keep: durable when RC_OK. Otherwise nothing of the transaction is left. */
enum rc database_end(struct database *s, bool keep, struct err *e);

/* get() and put() of the open transaction. */
struct witness_store database_interface(struct database *s);

/* The note that was cosigned last, by SHA-256 of its origin; ret_note holds NOTE_BYTES_MAX. RC_NOT_FOUND,
 * RC_IO. */
enum rc database_note(struct database *s, const uint8_t origin_hash[SHA256_SIZE], char *ret_note,
	size_t *ret_n, struct err *e);

/*
 * Keeps a refused request by the log's own key, in a transaction of its own. The first ones of each log stay
 * and later ones are not kept, so that nobody can push one out; forks count apart, so that nobody can fill
 * the place before one comes. A checkpoint is kept once, whatever proofs come with it, and not at all when it
 * is the one that was cosigned last: anybody can send those again. RC_OK; RC_EXISTS: not kept for that
 * reason; RC_LIMIT: there is no room. `of`: the request's checkpoint.
 */
enum rc database_refused_add(struct database *s, const struct checkpoint *of, bool forked, uint64_t time_s,
	const void *body, size_t n, struct err *e);
/* This checkpoint is cosigned after all: what was kept of it was no evidence. Within the open transaction. */
enum rc database_refused_clear(struct database *s, const struct checkpoint *of, struct err *e);

/* The first fork of an origin, by its hash, else the first other one; ret_body holds WITNESS_BODY_MAX.
 * RC_NOT_FOUND, RC_IO. */
enum rc database_refused(struct database *s, const uint8_t origin_hash[SHA256_SIZE], char *ret_body,
	size_t *ret_n, struct err *e);

/* Origins with a head; refused requests. */
enum rc database_counts(struct database *s, uint64_t *ret_logs, uint64_t *ret_refused, struct err *e);

#endif
