/* Batches of ephemeral keys, shared by leaf_batches.c (up to the challenge) and leaves.c (what was opened
 * and used). */
#ifndef VERIFY_LEAVES_INTERNAL_H
#define VERIFY_LEAVES_INTERNAL_H

#include "merkle/tree.h"
#include "verify/digests.h"
#include "verify/leaves.h"

#define FIELD_OCTETS 512
#define FIELDS	     4
#define PATH_MAX_N   8

struct batch {
	uint8_t root[SHA256_SIZE];
	uint32_t groups, leaves, opens;
	uint32_t hashes_n, opened_n, named_n, failed_n;
	uint64_t used, over_s;			     /* at its end, and when that was */
	bool whole;				     /* the hashes are all there and make the root */
	uint64_t index, time_s;			     /* of the commitment's entry */
	enum { WEAK, COSIGNED, UNCHECKED } strength; /* of the challenge */
	bool challenged, over;
	uint8_t later_hash[SHA256_SIZE]; /* of what the challenge came from, to know it again */
	uint32_t picked[LEAF_COUNT_MAX]; /* in the challenge's order */
	uint8_t seen[LEAF_COUNT_MAX];	 /* bits, as below */
	struct merkle_hash *hash;	 /* by leaf; NULL when all that are picked are opened */
};

enum { HASH_KNOWN = 1, PICKED = 2, OPENED = 4, NAMED = 8, FAILED = 16 };

struct leaves_check {
	struct leaves_report report;
	const struct policy *policy; /* NULL: none was given */
	const char *origin;
	uint64_t last_s;	   /* of the entries so far */
	uint64_t trees_until;	   /* sizes up to here are kept: a commitment waits for its challenge */
	struct merkle_edge *trees; /* by size modulo VERIFY_TREES_MAX; NULL without a policy */
	size_t n, room;
	struct batch **batch;
	struct digests roots_seen; /* places in `batch` */
	struct digests parts;	   /* of leaves that were opened or served: each stands there once */
};

/* The octets of a field in base64. */
bool leaf_entry_base64(
	const struct ledger_entry *entry, const char *name, uint8_t *ret_octets, size_t max, size_t *ret_n);
/* All four fields one after the other; those after the last octet are empty. */
bool leaf_entry_fields(const struct ledger_entry *entry, const char *const keys[FIELDS],
	uint8_t ret_octets[FIELDS * FIELD_OCTETS], size_t *ret_n);
/* When the entry was made, in seconds since 1970. */
uint64_t leaf_entry_seconds(const struct ledger_entry *entry);

/* The batch that the field `name` of the entry names; NULL, and *e says why. */
struct batch *leaf_batch_of(
	const struct leaves_check *c, const struct ledger_entry *entry, const char *name, struct err *e);
/* One entry each, as leaves_check_entry(). */
enum rc leaf_batch_commitment(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e);
enum rc leaf_batch_hashes(struct leaves_check *c, const struct ledger_entry *entry, struct err *e);
enum rc leaf_batch_challenge(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e);

#endif
