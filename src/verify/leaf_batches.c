/* Batches of ephemeral keys up to their challenge: the commitment, the hashes of all leaves, which ones are
 * picked. */
#include "base/bytes.h"
#include "base/clock.h"
#include "merkle/attest.h"
#include "verify/leaves_internal.h"
#include "verify/limits.h"

#include <assert.h>
#include <stdlib.h>

bool leaf_entry_base64(
	const struct ledger_entry *entry, const char *name, uint8_t *ret_octets, size_t max, size_t *ret_n)
{
	size_t n;
	const char *text = ledger_entry_field(entry, name, &n);

	*ret_n = 0;
	return text && base64_to_bytes(ret_octets, max, ret_n, text, n);
}

/* All four fields one after the other; those after the last octet are empty. */
bool leaf_entry_fields(const struct ledger_entry *entry, const char *const keys[FIELDS],
	uint8_t ret_octets[FIELDS * FIELD_OCTETS], size_t *ret_n)
{
	*ret_n = 0;
	for (size_t i = 0; i < FIELDS; i++) {
		size_t n;

		if (!leaf_entry_base64(entry, keys[i], ret_octets + *ret_n, FIELD_OCTETS, &n) ||
			(n > 0 && *ret_n != i * FIELD_OCTETS))
			return false;
		*ret_n += n;
	}
	return *ret_n > 0;
}

static struct batch *batch_find(const struct leaves_check *c, const uint8_t root[SHA256_SIZE])
{
	uint64_t at;

	if (!digests_get(&c->roots_seen, root, &at) || memcmp(c->batch[at]->root, root, SHA256_SIZE) != 0)
		return NULL;
	return c->batch[at];
}

struct batch *leaf_batch_of(
	const struct leaves_check *c, const struct ledger_entry *entry, const char *name, struct err *e)
{
	uint8_t root[SHA256_SIZE];
	struct batch *b = ledger_entry_hex(entry, name, root, sizeof root) ? batch_find(c, root) : NULL;

	if (!b)
		err_add(e, RC_AUTH, "it names a batch of ephemeral keys without a commitment before it");
	return b;
}

static enum rc batch_add(struct leaves_check *c, const struct batch *made)
{
	struct batch *b = malloc(sizeof *b);

	assert(made->leaves > 0 && made->leaves <= LEAF_COUNT_MAX && made->opens < made->leaves);
	if (b && c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct batch **more = realloc(c->batch, room * sizeof *more);
		if (more) {
			c->batch = more;
			c->room = room;
		}
	}
	if (!b || c->n == c->room || !digests_put(&c->roots_seen, made->root, c->n)) {
		free(b);
		return RC_LIMIT;
	}
	*b = *made;
	b->hash = calloc(b->leaves, sizeof *b->hash);
	if (!b->hash) {
		free(b);
		return RC_LIMIT;
	}
	c->batch[c->n++] = b;
	c->report.batches++;
	return RC_OK;
}

/* When the entry was made, in seconds since 1970; its form was checked when it was read. */
uint64_t leaf_entry_seconds(const struct ledger_entry *entry)
{
	utc_us t;

	return utc_read(&t, entry->utc) ? t / 1000000 : 0;
}

enum rc leaf_batch_commitment(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e)
{
	uint64_t leaves = ledger_entry_number(entry, "leaves"), opens = ledger_entry_number(entry, "opens");
	struct batch made = { .leaves = (uint32_t)leaves,
		.opens = (uint32_t)opens,
		.index = index,
		.time_s = leaf_entry_seconds(entry) };
	size_t n;
	const char *groups = ledger_entry_field(entry, "groups", &n);

	if (!ledger_entry_hex(entry, "root", made.root, sizeof made.root) || leaves == 0 ||
		leaves > LEAF_COUNT_MAX || opens == 0 || opens >= leaves || !groups ||
		!leaf_groups_parse(groups, n, &made.groups))
		return err_add(e, RC_AUTH,
			"malformed leaf_batch: expected a root, groups, and fewer leaves to open than there "
			"are");
	if (c->policy && !c->trees && !(c->trees = calloc(VERIFY_TREES_MAX, sizeof *c->trees)))
		return RC_LIMIT;
	c->trees_until = index + VERIFY_TREES_MAX;
	const struct batch *b = batch_find(c, made.root);
	if (!b)
		return batch_add(c, &made);
	/* A keeper that got no receipt says the same again. */
	if (b->leaves != made.leaves || b->opens != made.opens || b->groups != made.groups || b->challenged)
		return err_add(e, RC_AUTH,
			"a batch of ephemeral keys is committed to a second time, with other parameters or "
			"after its challenge");
	return RC_OK;
}

static bool root_is_made(const struct batch *b)
{
	struct merkle_edge edge = { 0 };
	struct merkle_hash root;

	for (uint32_t i = 0; i < b->leaves; i++)
		merkle_edge_add(&edge, &b->hash[i]);
	root = merkle_edge_root(&edge);
	return memcmp(root.b, b->root, sizeof root.b) == 0;
}

enum rc leaf_batch_hashes(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	static const char *const keys[FIELDS] = { "hashes_0", "hashes_1", "hashes_2", "hashes_3" };
	struct batch *b = leaf_batch_of(c, entry, "batch", e);
	uint64_t first = ledger_entry_number(entry, "first");
	uint8_t octets[FIELDS * FIELD_OCTETS];
	size_t n;

	if (!b)
		return RC_AUTH;
	if (!leaf_entry_fields(entry, keys, octets, &n) || n % SHA256_SIZE != 0 || first >= b->leaves ||
		n / SHA256_SIZE > b->leaves - first)
		return err_add(e, RC_AUTH,
			"malformed leaf_hashes: expected whole hashes in base64, within the batch");
	for (size_t i = 0; i < n / SHA256_SIZE && b->hash; i++) {
		uint8_t *seen = &b->seen[first + i];
		uint8_t *hash = b->hash[first + i].b;

		if (*seen & HASH_KNOWN && memcmp(hash, octets + i * SHA256_SIZE, SHA256_SIZE) != 0)
			return err_add(e, RC_AUTH,
				"the hash of an ephemeral key differs from the one in an earlier entry");
		memcpy(hash, octets + i * SHA256_SIZE, SHA256_SIZE);
		b->hashes_n += !(*seen & HASH_KNOWN);
		*seen |= HASH_KNOWN;
	}
	if (!b->whole && b->hashes_n == b->leaves) {
		b->whole = root_is_made(b);
		if (!b->whole)
			return err_add(
				e, RC_AUTH, "the hashes of ephemeral keys do not have the batch's root");
	}
	return RC_OK;
}

static void wait_note(struct leaves_report *r, const struct batch *b, uint64_t size, const struct policy *p,
	const struct policy_verdict *v)
{
	r->wait_entries = MAX_OF(r->wait_entries, size - b->index - 1);
	for (size_t i = 0; i < p->witnesses_n; i++)
		if (v->signed_mask >> i & 1 && v->time_s[i] > b->time_s)
			r->wait_s = MAX_OF(r->wait_s, v->time_s[i] - b->time_s);
}

/* What the challenge comes from: cosignatures of a checkpoint between the commitment and the challenge? */
static enum rc strength_of(
	struct leaves_check *c, struct batch *b, const char *later, size_t n, uint64_t index, struct err *e)
{
	struct checkpoint of = { 0 };
	const struct merkle_edge *at;
	struct policy_verdict verdict;
	size_t lines;

	b->strength = WEAK;
	if (n == 0)
		return RC_OK;
	if (!attest_read(later, n, &of.size, &lines) || of.size <= b->index || of.size > index)
		return err_add(e, RC_AUTH,
			"the challenge of ephemeral keys is not derived from cosignatures of a checkpoint "
			"between the batch and itself");
	b->strength = UNCHECKED;
	if (!c->policy)
		return RC_OK;
	b->strength = WEAK;
	assert(c->trees); /* since the commitment */
	at = &c->trees[of.size % VERIFY_TREES_MAX];
	if (at->size != of.size || strlen(c->origin) >= sizeof of.origin)
		return RC_OK; /* the challenge came too long after the batch */
	of.root = merkle_edge_root(at);
	memcpy(of.origin, c->origin, strlen(c->origin));
	enum rc rc = attest_judge(later, n, &of, c->policy, &verdict, e);
	if (rc == RC_OK) {
		b->strength = COSIGNED;
		wait_note(&c->report, b, of.size, c->policy, &verdict);
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc leaf_batch_challenge(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e)
{
	struct batch *b = leaf_batch_of(c, entry, "batch", e);
	uint8_t later_hash[SHA256_SIZE];
	size_t n;
	const char *later = ledger_entry_field(entry, "attestation", &n);

	if (!b)
		return RC_AUTH;
	if (!later || !b->whole)
		return err_add(e, RC_AUTH,
			"a batch of ephemeral keys is challenged before all of its hashes are committed to");
	sha256(later_hash, later, n);
	if (b->challenged)
		return memcmp(later_hash, b->later_hash, sizeof later_hash) == 0
			       ? RC_OK
			       : err_add(e, RC_AUTH, "a batch of ephemeral keys has a second challenge");
	memcpy(b->later_hash, later_hash, sizeof later_hash);
	leaf_challenge(b->root, later, n, b->leaves, b->opens, b->picked);
	for (uint32_t i = 0; i < b->opens; i++) {
		assert(b->picked[i] < b->leaves);
		b->seen[b->picked[i]] |= PICKED;
	}
	b->challenged = true;
	return strength_of(c, b, later, n, index, e);
}
