/*
 * What the tests of src/witness share: a store in memory that can fail and be raced, a log with two histories
 * that part at one entry, and requests about them.
 */
#ifndef WITNESS_FIXTURE_H
#define WITNESS_FIXTURE_H

#include "merkle/proof.h"
#include "witness/client.h"

#define FIXTURE_ORIGIN "log.example/one"
#define FIXTURE_OTHER  "log.example/other"
#define FIXTURE_LEAVES 40
#define FIXTURE_FORK   9 /* the first leaf that differs between the histories */

struct kept {
	char origin[NOTE_NAME_MAX];
	struct witness_head head;
	size_t note_n;
	char note[NOTE_BYTES_MAX];
};

struct fixture {
	struct witness witness;
	struct note_key log[3]; /* FIXTURE_ORIGIN, again with another key, FIXTURE_OTHER */
	uint8_t seed[3][ED25519_SEED_SIZE];
	struct merkle_hash leaf[2][FIXTURE_LEAVES];
	size_t kept_n;
	struct kept kept[2];
	unsigned puts;
	/* what goes wrong */
	enum rc get_fails, put_fails;
	unsigned races; /* so many puts find that somebody was first: */
	void (*race)(struct fixture *f, unsigned number);
};

void fixture_init(struct fixture *f);
struct kept *fixture_kept(struct fixture *f, const char *origin); /* NULL: none */
void fixture_keep(struct fixture *f, const char *origin, uint64_t size, const struct merkle_hash *root,
	uint64_t time_s);

struct merkle_hash fixture_root(const struct fixture *f, unsigned history, uint64_t size);
struct merkle_proof fixture_proof(const struct fixture *f, unsigned history, uint64_t old, uint64_t size);

/* A checkpoint with one signature of log `key`; origin NULL: the key's. Returns the length. */
size_t fixture_note(const struct fixture *f, char *ret, size_t max, unsigned key, const char *origin,
	uint64_t size, const struct merkle_hash *root);
/* The body of an honest request of log 0. */
size_t fixture_request(
	const struct fixture *f, char *ret, size_t max, unsigned history, uint64_t old, uint64_t size);

#endif
