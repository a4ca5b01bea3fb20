#include "verify/leaves_internal.h"

#include "base/bytes.h"
#include "verify/limits.h"
#include "verify/order.h"

#include <assert.h>
#include <stdlib.h>

struct leaves_check *leaves_check_new(void)
{
	return calloc(1, sizeof(struct leaves_check));
}

void leaves_check_free(struct leaves_check *c)
{
	for (size_t i = 0; c && i < c->n; i++) {
		free(c->batch[i]->hash);
		free(c->batch[i]);
	}
	if (c) {
		free(c->batch);
		free(c->trees);
		digests_free(&c->roots_seen);
		digests_free(&c->parts);
	}
	free(c);
}

void leaves_check_witnesses(struct leaves_check *c, const struct policy *policy, const char *origin)
{
	c->policy = policy;
	c->origin = origin;
}

void leaves_check_grown(struct leaves_check *c, const struct merkle_edge *edge)
{
	if (!c->trees || edge->size > c->trees_until)
		return;
	c->trees[edge->size % VERIFY_TREES_MAX] = *edge;
}

/*
 * What a leaf is made of was never opened before, and never served: an opened share is known to everybody, so
 * with one that is in two leaves, or two that were opened separately, a key in use would be known as
 * well.
 */
static enum rc parts_take(struct leaves_check *c, const struct batch *b, const uint8_t *data, struct err *e)
{
	static const uint16_t groups[] = {
#define E(id, number, bytes, word) number,
		DH_GROUPS(E)
#undef E
#define E(id, number, key_n, ciphertext_n, name, word) number,
			MLKEM_SETS(E)
#undef E
	};
	const uint8_t *part[2 + COUNT_OF(groups)] = { data, data + SHA256_SIZE };
	size_t n = 2;

	for (size_t i = 0; i < COUNT_OF(groups); i++)
		if ((part[n] = leaf_public(data, b->groups, groups[i])))
			n++;
	for (size_t i = 0; i < n; i++) {
		if (digests_get(&c->parts, part[i], NULL))
			return err_add(e, RC_AUTH,
				"a share or public value of this leaf of ephemeral keys occurs in another "
				"leaf that was opened or used");
		if (!digests_put(&c->parts, part[i], 0))
			return RC_LIMIT;
	}
	return RC_OK;
}

static enum rc open_one(struct leaves_check *c, struct batch *b, uint32_t place,
	const uint8_t shares[2 * LEAF_SHARE_SIZE], struct err *e)
{
	uint32_t index = b->picked[place];
	uint8_t data[LEAF_DATA_MAX];
	struct merkle_hash hash;

	enum rc rc = leaf_data(shares, shares + LEAF_SHARE_SIZE, b->groups, data);
	if (rc ==
		RC_UNSUPPORTED) { /* ML-KEM, and this libcrypto lacks it: taken as it is said, and reported */
		c->report.uncomputed += !(b->seen[index] & OPENED);
		b->opened_n += !(b->seen[index] & OPENED);
		b->seen[index] |= OPENED;
		return RC_OK;
	}
	if (rc != RC_OK)
		return RC_LIMIT;
	hash = merkle_leaf(data, leaf_data_size(b->groups));
	if (!merkle_equal(&hash, &b->hash[index]))
		return err_add(e, RC_AUTH,
			"leaf %u of a batch of ephemeral keys is not derived from the shares that are "
			"disclosed for it",
			index);
	if (b->seen[index] & OPENED)
		return RC_OK; /* said again */
	b->seen[index] |= OPENED;
	b->opened_n++;
	c->report.opened++;
	return parts_take(c, b, data, e);
}

/* The lowest proportion of opened leaves holds for all. */
static void batch_opened(struct leaves_check *c, struct batch *b)
{
	struct leaves_report *r = &c->report;

	assert(b->challenged && b->opened_n == b->opens);
	free(b->hash);
	b->hash = NULL;
	r->weak += b->strength == WEAK;
	r->cosigned += b->strength == COSIGNED;
	r->unchecked += b->strength == UNCHECKED;
	if (r->leaves == 0 || (uint64_t)b->opens * r->leaves < (uint64_t)r->opens * b->leaves) {
		r->leaves = b->leaves;
		r->opens = b->opens;
	}
}

static enum rc opened(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	static const char *const keys[FIELDS] = { "shares_0", "shares_1", "shares_2", "shares_3" };
	struct batch *b = leaf_batch_of(c, entry, "batch", e);
	uint64_t first = ledger_entry_number(entry, "first");
	uint8_t octets[FIELDS * FIELD_OCTETS];
	const size_t each = 2 * LEAF_SHARE_SIZE;
	enum rc rc = RC_OK;
	size_t n;

	if (!b)
		return RC_AUTH;
	if (!b->challenged)
		return err_add(e, RC_AUTH, "leaves are opened before the batch is challenged");
	if (!leaf_entry_fields(entry, keys, octets, &n) || n % each != 0 || first >= b->opens ||
		n / each > b->opens - first)
		return err_add(e, RC_AUTH,
			"malformed leaves_opened: expected both shares of each leaf in base64, within the "
			"challenged leaves");
	for (size_t i = 0; i < n / each && rc == RC_OK && b->hash; i++)
		rc = open_one(c, b, (uint32_t)(first + i), octets + i * each, e);
	if (rc == RC_OK && b->hash && b->opened_n == b->opens)
		batch_opened(c, b);
	return rc;
}

static enum rc batch_end(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	struct batch *b = leaf_batch_of(c, entry, "batch", e);
	uint64_t used = ledger_entry_number(entry, "used");

	if (!b)
		return RC_AUTH;
	if (b->over || b->named_n + b->failed_n > used ||
		used + ledger_entry_number(entry, "unused") != b->leaves - b->opens)
		return err_add(e, RC_AUTH,
			"the end of a batch of ephemeral keys does not match the leaves that were used");
	b->over = true;
	b->over_s = leaf_entry_seconds(entry);
	b->used = used;
	return RC_OK;
}

static enum rc named(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	struct batch *b = leaf_batch_of(c, entry, "leaf_batch", e);
	uint8_t data[LEAF_DATA_MAX], path[PATH_MAX_N * SHA256_SIZE];
	uint64_t index = ledger_entry_number(entry, "leaf_index");
	struct merkle_proof proof = { 0 };
	struct merkle_hash leaf, root;
	size_t data_n, path_n;

	if (!b)
		return RC_AUTH;
	if (!leaf_entry_base64(entry, "leaf", data, sizeof data, &data_n) ||
		data_n != leaf_data_size(b->groups) ||
		!leaf_entry_base64(entry, "leaf_path", path, sizeof path, &path_n) ||
		path_n % SHA256_SIZE != 0 || index >= b->leaves)
		return err_add(e, RC_AUTH,
			"malformed leaf: expected its data, its inclusion path and an index within the batch");
	proof.n = path_n / SHA256_SIZE;
	memcpy(proof.hash, path, path_n);
	leaf = merkle_leaf(data, data_n);
	memcpy(root.b, b->root, sizeof root.b);
	if (merkle_check_inclusion(&proof, index, b->leaves, &leaf, &root) != RC_OK)
		return err_add(e, RC_AUTH, "the leaf is not in the batch: its inclusion proof does not hold");
	if (b->opened_n < b->opens)
		return err_add(
			e, RC_AUTH, "it uses a leaf of a batch before the challenged leaves were opened");
	if (b->seen[index] & PICKED)
		return err_add(e, RC_AUTH, "it uses leaf %u, which is one of the challenged leaves",
			(unsigned)index);
	if (b->seen[index] & NAMED)
		return err_add(
			e, RC_AUTH, "it uses leaf %u, which an earlier exchange used", (unsigned)index);
	if (b->seen[index] & FAILED)
		return err_add(e, RC_AUTH, "it uses leaf %u, whose exchange failed, by an earlier entry",
			(unsigned)index);
	if (b->over && b->named_n + b->failed_n >= b->used)
		return err_add(e, RC_AUTH, "it uses a leaf of a batch that had ended with fewer leaves used");
	b->seen[index] |= NAMED;
	b->named_n++;
	c->report.named++;
	return parts_take(c, b, data, e);
}

static enum rc failed(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	struct order_ranges r = { 0 };
	size_t batch_n;
	struct batch *b;

	r.text = ledger_entry_field(entry, "leaves", &r.n);
	if (!r.text || !ledger_entry_field(entry, "batch", &batch_n))
		return err_add(e, RC_AUTH, "the fields batch and leaves are missing");
	if (r.n == 0 && batch_n == 0)
		return RC_OK;
	if (!(b = leaf_batch_of(c, entry, "batch", e)))
		return RC_AUTH;
	if (b->opened_n < b->opens)
		return err_add(
			e, RC_AUTH, "leaves are reported as failed before the challenged leaves were opened");
	r.most = b->leaves - 1;
	while (order_range_next(&r)) {
		for (uint32_t i = r.first; i <= r.last; i++) {
			if (b->seen[i] & PICKED)
				return err_add(e, RC_AUTH,
					"leaf %u is reported as failed in an exchange, but is one of the "
					"challenged leaves",
					(unsigned)i);
			b->failed_n += !(b->seen[i] & (FAILED | NAMED));
			b->seen[i] |= FAILED;
		}
	}
	if (r.at != r.n)
		return err_add(e, RC_AUTH,
			"malformed leaves \"%.*s\": expected numbers and ranges in rising order",
			(int)MIN_OF(r.n, (size_t)80), r.text);
	if (b->over && b->named_n + b->failed_n > b->used)
		return err_add(e, RC_AUTH, "more leaves are reported as failed than the batch had used");
	return RC_OK;
}

uint64_t leaves_check_place(const struct leaves_check *c, const struct ledger_entry *entry)
{
	uint8_t root[SHA256_SIZE];
	uint64_t at, index = ledger_entry_number(entry, "leaf_index");

	if (!ledger_entry_hex(entry, "leaf_batch", root, sizeof root) ||
		!digests_get(&c->roots_seen, root, &at) || index >= LEAF_COUNT_MAX)
		return 0;
	return at * LEAF_COUNT_MAX + index + 1;
}

enum rc leaves_check_public(const struct leaves_check *c, const struct ledger_entry *entry, uint16_t group,
	const void *value, size_t value_n)
{
	struct err e = { 0 };
	const struct batch *b = leaf_batch_of(c, entry, "leaf_batch", &e);
	uint8_t data[LEAF_DATA_MAX];
	size_t data_n;

	if (!b || !leaf_entry_base64(entry, "leaf", data, sizeof data, &data_n) ||
		data_n != leaf_data_size(b->groups))
		return RC_NOT_FOUND;
	return leaf_has_public(data, b->groups, group, value, value_n) ? RC_OK : RC_AUTH;
}

/* Every IKE SA has an exchange of its own; a child has when its proposal ends with a group. */
static bool has_exchange(const struct ledger_entry *entry)
{
	size_t n;
	const char *text = ledger_entry_field(entry, "proposal", &n);

	if (entry->type != LEDGER_SA_INSTALL || !text)
		return true;
	/* "<encryption>-<group or none>[-esn][ in UDP][ (legacy)]" */
	const char *group = memchr(text, '-', n);
	return !group || (size_t)(text + n - group) < 5 || memcmp(group, "-none", 5) != 0;
}

static enum rc exchange(struct leaves_check *c, const struct ledger_entry *entry, struct err *e)
{
	size_t leaf_n = 0, batch_n = 0, path_n = 0;

	if (!ledger_entry_field(entry, "leaf", &leaf_n) ||
		!ledger_entry_field(entry, "leaf_batch", &batch_n) ||
		!ledger_entry_field(entry, "leaf_path", &path_n))
		return err_add(e, RC_AUTH, "the fields leaf, leaf_batch and leaf_path are missing");
	if (leaf_n > 0 || batch_n > 0 || path_n > 0)
		return named(c, entry, e);
	c->report.unnamed += has_exchange(entry);
	return RC_OK;
}

enum rc leaves_check_entry(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e)
{
	c->last_s = MAX_OF(c->last_s, leaf_entry_seconds(entry));
	switch (entry->type) {
	case LEDGER_LEAF_BATCH:
		return leaf_batch_commitment(c, entry, index, e);
	case LEDGER_LEAF_HASHES:
		return leaf_batch_hashes(c, entry, e);
	case LEDGER_LEAF_CHALLENGE:
		return leaf_batch_challenge(c, entry, index, e);
	case LEDGER_LEAVES_OPENED:
		return opened(c, entry, e);
	case LEDGER_LEAF_BATCH_END:
		return batch_end(c, entry, e);
	case LEDGER_EXCHANGE_FAILED:
		return failed(c, entry, e);
	case LEDGER_IKE_SA_UP:
	case LEDGER_IKE_SA_REKEYED:
	case LEDGER_SA_INSTALL:
		return exchange(c, entry, e);
	default:
		return RC_OK;
	}
}

/* Leaves up to the last that was used which no exchange names: room for a choice. */
static uint32_t skipped_of(const struct batch *b)
{
	uint32_t skipped = 0, since = 0;

	for (uint32_t i = 0; i < b->leaves; i++) {
		if (b->seen[i] & PICKED)
			continue;
		since += !(b->seen[i] & NAMED);
		if (b->seen[i] & (NAMED | FAILED)) {
			skipped += since;
			since = 0;
		}
	}
	return skipped;
}

void leaves_check_state(const struct leaves_check *c, struct leaves_report *ret_report)
{
	*ret_report = c->report;
	for (size_t i = 0; i < c->n; i++) {
		ret_report->abandoned += !c->batch[i]->challenged;
		ret_report->unopened += c->batch[i]->challenged && c->batch[i]->hash;
		ret_report->failed += c->batch[i]->failed_n;
		ret_report->skipped += skipped_of(c->batch[i]);
		if (c->batch[i]->over && c->last_s >= c->batch[i]->over_s + ORDER_SETTLED_S &&
			c->batch[i]->used > c->batch[i]->named_n + c->batch[i]->failed_n)
			ret_report->unaccounted +=
				c->batch[i]->used - c->batch[i]->named_n - c->batch[i]->failed_n;
	}
}

double leaves_escape(uint32_t leaves, uint32_t opens, uint32_t bad)
{
	double chance = 1;

	for (uint32_t i = 0; i < bad; i++)
		chance = leaves > opens + i ? chance * (leaves - opens - i) / (leaves - i) : 0;
	return chance;
}
