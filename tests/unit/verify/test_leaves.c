/*
 * Ephemeral keys recomputed from entries: a batch as promised is found good; every other root, hash,
 * challenge, half, index, path and order is found. And the biased generator: leaves whose keys somebody else
 * knows are exposed as often as the reckoning says.
 */
#include "base/bytes.h"
#include "merkle/attest.h"
#include "merkle/tree.h"
#include "verify/randomness.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUPS 32u /* x25519: the last row of the table */

static struct randomness_report report;
static struct randomness *checker;
static uint64_t next_index;
static struct merkle_edge tree; /* for cosignatures */

/* A batch as a keeper makes it: of n leaves, k opened. */
static struct {
	uint32_t n, k;
	uint8_t shares[LEAF_COUNT_MAX][2 * LEAF_SHARE_SIZE];
	uint8_t data[LEAF_COUNT_MAX][LEAF_DATA_MAX];
	struct merkle_hash hash[LEAF_COUNT_MAX], root;
	uint32_t picked[LEAF_COUNT_MAX];
	bool opened[LEAF_COUNT_MAX];
} batch;

static int begin(void **state)
{
	next_index = 0;
	checker = randomness_new(&report);
	return checker ? 0 : -1;
}

static int end(void **state)
{
	randomness_free(checker);
	return 0;
}

static struct leaves_report report_now(void)
{
	randomness_end(checker);
	return report.leaves;
}

static void batch_finish(const char *later)
{
	struct merkle_edge edge = { 0 };

	for (uint32_t i = 0; i < batch.n; i++) {
		batch.hash[i] = merkle_leaf(batch.data[i], leaf_data_size(GROUPS));
		merkle_edge_add(&edge, &batch.hash[i]);
	}
	batch.root = merkle_edge_root(&edge);
	leaf_challenge(batch.root.b, later, strlen(later), batch.n, batch.k, batch.picked);
	memset(batch.opened, 0, sizeof batch.opened);
	for (uint32_t i = 0; i < batch.k; i++)
		batch.opened[batch.picked[i]] = true;
}

static void batch_make(uint32_t n, uint32_t k, uint32_t seed)
{
	batch.n = n;
	batch.k = k;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t of[2][3] = { { seed, i, 1 }, { seed, i, 2 } };

		sha256(batch.shares[i], of[0], sizeof of[0]);
		sha256(batch.shares[i] + LEAF_SHARE_SIZE, of[1], sizeof of[1]);
		assert_int_equal(
			leaf_data(batch.shares[i], batch.shares[i] + LEAF_SHARE_SIZE, GROUPS, batch.data[i]),
			RC_OK);
	}
	batch_finish("");
}

struct field {
	const char *key, *text;
	uint64_t number;
};

/* An entry of the type with these fields; the others are empty. The last field's key is NULL. */
static enum rc enter(enum ledger_type type, const struct field *fields)
{
	static struct ledger_body b;
	size_t n;
	const struct ledger_field *f = ledger_type_fields(type, &n);

	ledger_body_begin(&b, type);
	for (size_t i = 0; i < n; i++) {
		const struct field *found = fields;
		while (found->key && strcmp(found->key, f[i].key) != 0)
			found++;
		if (f[i].kind != LEDGER_NUMBER)
			ledger_body_str(&b, f[i].key, found->key && found->text ? found->text : "");
		else
			ledger_body_u64(&b, f[i].key, found->key ? found->number : 0);
	}
	struct ledger_entry entry = { .type = type,
		.utc = "1970-01-01T00:00:02.000000Z",
		.body = b.text,
		.body_n = ledger_body_done(&b) };
	assert_true(entry.body_n > 0);
	return randomness_entry(checker, &entry, next_index++);
}

static const char *root_text(void)
{
	static char text[65];

	return hex_from_bytes(text, batch.root.b, 32);
}

static enum rc commit(uint32_t n, uint32_t k, const char *groups)
{
	const struct field fields[] = { { "root", root_text(), 0 }, { "leaves", NULL, n },
		{ "opens", NULL, k }, { "groups", groups, 0 }, { NULL, NULL, 0 } };

	return enter(LEDGER_LEAF_BATCH, fields);
}

/* Octets `at` to `end` of a list, four fields in an entry. */
static enum rc four(enum ledger_type type, const char *name, uint64_t first, const uint8_t *octets, size_t n)
{
	char keys[4][16], text[4][BASE64_SIZE(512)];
	struct field fields[7] = { { "batch", root_text(), 0 }, { "first", NULL, first } };

	for (size_t i = 0; i < 4; i++) {
		size_t part = MIN_OF((size_t)512, n - MIN_OF(n, i * 512));

		base64_from_bytes(text[i], octets + i * 512, part);
		snprintf(keys[i], sizeof keys[i], "%s_%zu", name, i);
		fields[2 + i] = (struct field){ keys[i], text[i], 0 };
	}
	return enter(type, fields);
}

static enum rc list(void)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < batch.n && rc == RC_OK; i += 64)
		rc = four(LEDGER_LEAF_HASHES, "hashes", i, batch.hash[i].b, 32 * MIN_OF(64u, batch.n - i));
	return rc;
}

static enum rc challenge(const char *later)
{
	const struct field fields[] = { { "attestation", later, 0 }, { "batch", root_text(), 0 },
		{ NULL, NULL, 0 } };

	return enter(LEDGER_LEAF_CHALLENGE, fields);
}

static enum rc open_some(uint32_t first, uint32_t count)
{
	static uint8_t octets[LEAF_COUNT_MAX * 2 * LEAF_SHARE_SIZE];

	for (uint32_t i = 0; i < count; i++)
		memcpy(octets + i * 2 * LEAF_SHARE_SIZE, batch.shares[batch.picked[first + i]],
			2 * LEAF_SHARE_SIZE);
	return four(LEDGER_LEAVES_OPENED, "shares", first, octets, count * 2 * LEAF_SHARE_SIZE);
}

static enum rc open_all(void)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < batch.k && rc == RC_OK; i += 32)
		rc = open_some(i, MIN_OF(32u, batch.k - i));
	return rc;
}

static enum rc whole(void)
{
	enum rc rc = commit(batch.n, batch.k, "x25519");

	rc = rc == RC_OK ? list() : rc;
	rc = rc == RC_OK ? challenge("") : rc;
	return rc == RC_OK ? open_all() : rc;
}

static bool subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	struct merkle_edge edge = { 0 };

	if ((index + 1) << level > batch.n)
		return false;
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		merkle_edge_add(&edge, &batch.hash[i]);
	*ret_hash = merkle_edge_root(&edge);
	return true;
}

/* An exchange with leaf `index`; `wrong`: an octet of leaf (1) or path (2) is another one. spi_r: ours. */
static enum rc use_under(enum ledger_type type, const char *spi_r, uint32_t index, int wrong)
{
	char leaf[BASE64_SIZE(LEAF_DATA_MAX)], path[BASE64_SIZE(8 * 32)];
	uint8_t data[LEAF_DATA_MAX];
	struct merkle_proof proof;

	memcpy(data, batch.data[index], sizeof data);
	assert_int_equal(merkle_prove_inclusion(subtree, NULL, index, batch.n, &proof), RC_OK);
	data[40] ^= wrong == 1;
	proof.hash[1].b[3] ^= wrong == 2 ? 1 : 0;
	base64_from_bytes(leaf, data, leaf_data_size(GROUPS));
	base64_from_bytes(path, proof.hash, proof.n * 32);
	const struct field fields[] = { { "leaf", leaf, 0 }, { "leaf_batch", root_text(), 0 },
		{ "leaf_index", NULL, index }, { "leaf_path", path, 0 }, { "role", "responder", 0 },
		{ "spi_r", spi_r, 0 }, { NULL, NULL, 0 } };
	uint64_t before = report.failures;

	/* Its public values have no proof, which is one failure: what is more than that is the leaf's. */
	enter(type, fields);
	return report.failures == before + 1 ? RC_OK : RC_AUTH;
}

static enum rc use(uint32_t index, int wrong)
{
	return use_under(LEDGER_IKE_SA_REKEYED, "", index, wrong);
}

static enum rc batch_end(uint64_t used, uint64_t unused)
{
	const struct field fields[] = { { "batch", root_text(), 0 }, { "used", NULL, used },
		{ "unused", NULL, unused }, { NULL, NULL, 0 } };

	return enter(LEDGER_LEAF_BATCH_END, fields);
}

/* The i-th leaf that is not opened. */
static uint32_t live(uint32_t i)
{
	for (uint32_t at = 0; at < batch.n; at++)
		if (!batch.opened[at] && i-- == 0)
			return at;
	return UINT32_MAX;
}

static void as_promised(void **state)
{
	/* Also sizes that fill neither an entry nor a tree. */
	static const uint32_t sizes[][2] = { { 256, 64 }, { 256, 255 }, { 100, 25 }, { 3, 1 }, { 65, 33 } };
	uint64_t opened = 0;

	for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
		batch_make(sizes[i][0], sizes[i][1], i);
		if (whole() != RC_OK)
			fail_msg("%s", report.finding);
		opened += sizes[i][1];
		assert_int_equal(use(live(0), 0), RC_OK);
		assert_int_equal(batch_end(1, sizes[i][0] - sizes[i][1] - 1), RC_OK);
	}
	randomness_end(checker);
	assert_int_equal(report.leaves.batches, COUNT_OF(sizes));
	assert_int_equal(report.leaves.opened, opened);
	assert_int_equal(report.leaves.named, COUNT_OF(sizes));
	assert_int_equal(report.leaves.unopened + report.leaves.abandoned, 0);
	assert_int_equal(report.leaves.leaves, 256);
	assert_int_equal(report.leaves.opens, 64); /* the lowest share */
	assert_int_equal(report.leaves.weak, COUNT_OF(sizes));
}

/* Who got no receipt says the same again. */
static void said_twice(void **state)
{
	batch_make(256, 64, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(commit(256, 64, "x25519"), RC_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(list(), RC_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(challenge(""), RC_OK);
	assert_int_equal(open_some(0, 32), RC_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(open_all(), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.leaves.opened, 64);
	assert_int_equal(report.leaves.batches, 1);
	assert_int_equal(commit(256, 64, "x25519"), RC_AUTH); /* but not when all is known */
}

static void wrong_commitments(void **state)
{
	batch_make(8, 2, 1);
	assert_int_equal(commit(0, 0, "x25519"), RC_AUTH);
	assert_int_equal(commit(257, 64, "x25519"), RC_AUTH);
	assert_int_equal(commit(8, 8, "x25519"), RC_AUTH);
	assert_int_equal(commit(8, 0, "x25519"), RC_AUTH);
	assert_int_equal(commit(8, 2, ""), RC_AUTH);
	assert_int_equal(commit(8, 2, "modp1024"), RC_AUTH);
	assert_int_equal(list(), RC_AUTH); /* of nothing */
	assert_int_equal(commit(8, 2, "x25519"), RC_OK);
	assert_int_equal(commit(8, 3, "x25519"), RC_AUTH);
	assert_int_equal(commit(8, 2, "ecp256"), RC_AUTH);
	assert_int_equal(report.failures, 9);
}

static void wrong_hashes(void **state)
{
	batch_make(100, 25, 1);
	assert_int_equal(commit(100, 25, "x25519"), RC_OK);
	assert_int_equal(
		four(LEDGER_LEAF_HASHES, "hashes", 80, batch.hash[0].b, 32 * 30), RC_AUTH); /* beyond */
	assert_int_equal(four(LEDGER_LEAF_HASHES, "hashes", 0, batch.hash[0].b, 31), RC_AUTH);
	assert_int_equal(challenge(""), RC_AUTH); /* not listed yet */
	batch.hash[70].b[0] ^= 1;
	assert_int_equal(list(), RC_AUTH);
	assert_non_null(strstr(report.finding, "malformed leaf_hashes"));
	batch.hash[70].b[0] ^= 1;
	assert_int_equal(list(), RC_AUTH); /* another one than before */
}

static void wrong_challenges(void **state)
{
	batch_make(64, 16, 1);
	assert_int_equal(commit(64, 16, "x25519"), RC_OK);
	assert_int_equal(challenge(""), RC_AUTH);
	assert_int_equal(list(), RC_OK);
	assert_int_equal(open_all(), RC_AUTH); /* before the challenge */
	assert_int_equal(challenge(""), RC_OK);
	assert_int_equal(challenge("tried until it fits"), RC_AUTH);
	assert_int_equal(open_all(), RC_OK);
}

#define TEN  "AAAAAAAAAA"
#define BLOB TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "AA==" /* of a cosignature, by its form */

/* What came later is part of the challenge: other leaves are picked. */
static void later_counts(void **state)
{
	batch_make(64, 16, 1);
	batch_finish("2 " BLOB);
	assert_int_equal(commit(64, 16, "x25519"), RC_OK);
	assert_int_equal(list(), RC_OK);
	assert_int_equal(challenge("2 " BLOB), RC_OK);
	assert_int_equal(open_all(), RC_OK);
	assert_int_equal(report_now().unchecked, 1);
	batch_make(64, 16, 2);
	assert_int_equal(commit(64, 16, "x25519"), RC_OK);
	assert_int_equal(list(), RC_OK);
	assert_int_equal(challenge("6 " BLOB), RC_OK);
	assert_int_equal(open_all(), RC_AUTH); /* those that the root alone picks */
}

/* What nobody cosigned after the batch and before the challenge could have been chosen. */
static void later_that_is_not(void **state)
{
	static const char *const texts[] = { "tried until it fits", "2", "0 " BLOB, "3 " BLOB,
		"2 " BLOB " " BLOB, "02 " BLOB, "2 " BLOB "x" };

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		batch_make(64, 16, 1);
		assert_int_equal(commit(64, 16, "x25519"), RC_OK);
		assert_int_equal(list(), RC_OK);
		assert_int_equal(challenge(texts[i]), RC_AUTH);
		end(NULL);
		begin(NULL);
	}
}

#define ORIGIN "example.com/gateway"

/* The policy of one witness, and what it says of the tree as it is. */
static struct note_key witness;
static uint8_t witness_seed[32] = { 1 };

static const struct policy *policy_of(const char *quorum)
{
	static struct policy policy;
	uint8_t public_key[32];
	char text[512], vkey[NOTE_VKEY_MAX];
	int n;

	ed25519_public(public_key, witness_seed);
	assert_int_equal(
		note_key_make(&witness, "example.com/w", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	n = snprintf(text, sizeof text, "witness w %s\nquorum %s\n", note_key_text(vkey, &witness), quorum);
	assert_int_equal(policy_parse(&policy, text, (size_t)n, NULL), RC_OK);
	return &policy;
}

static const char *cosigned(const struct merkle_edge *edge)
{
	static char text[ATTEST_TEXT_MAX + 1];
	struct checkpoint c = { .origin = ORIGIN, .size = edge->size, .root = merkle_edge_root(edge) };
	char signed_text[256], line[COSIGN_LINE_MAX];
	size_t n = checkpoint_text(signed_text, sizeof signed_text, &c);

	assert_true(cosign_line(line, sizeof line, signed_text, n, &witness, witness_seed, 5) > 0);
	text[0] = '\0';
	assert_true(attest_add(text, c.size, line));
	return text;
}

/* The tree has as many leaves as there were entries. */
static void grow(void)
{
	while (tree.size < next_index) {
		struct merkle_hash leaf = merkle_leaf(&tree.size, sizeof tree.size);
		merkle_edge_add(&tree, &leaf);
		randomness_grown(checker, &tree);
	}
}

/* Commits, lists, is cosigned after `late` more entries, and challenges by that. */
static enum rc cosigned_batch(const char *quorum, unsigned late, bool forged)
{
	tree = (struct merkle_edge){ 0 };
	randomness_witnesses(checker, policy_of(quorum), ORIGIN);
	batch_make(64, 16, 1);
	assert_int_equal(commit(64, 16, "x25519"), RC_OK);
	grow();
	assert_int_equal(list(), RC_OK);
	next_index += late;
	grow();
	struct merkle_edge seen = tree;
	if (forged) /* of another history */
		seen.subtree[0].b[0] ^= 1, seen.subtree[1].b[0] ^= 1;
	const char *later = cosigned(&seen);
	next_index += 10;
	grow();
	batch_finish(later);
	enum rc rc = challenge(later);
	grow();
	return rc ? rc : open_all();
}

static void cosigned_challenges(void **state)
{
	assert_int_equal(cosigned_batch("w", 0, false), RC_OK);
	assert_int_equal(report_now().cosigned, 1);
	assert_int_equal(report_now().weak, 0);
	assert_int_equal(report_now().wait_s, 5 - 2);
	assert_int_equal(report_now().wait_entries, 1); /* the hashes of 64 leaves */
}

static void cosigned_some_entries_later(void **state)
{
	assert_int_equal(cosigned_batch("w", 1000, false), RC_OK);
	assert_int_equal(report_now().cosigned, 1);
	assert_int_equal(report_now().wait_entries, 1001);
}

/* So late that nobody keeps the root: said to be weak. */
static void cosigned_much_later(void **state)
{
	assert_int_equal(cosigned_batch("w", 5000, false), RC_OK);
	assert_int_equal(report_now().weak, 1);
}

static void cosigned_another_history(void **state)
{
	assert_int_equal(cosigned_batch("w", 0, true), RC_AUTH);
	assert_non_null(strstr(report.finding, "cosignature of witness 'w' does not verify"));
}

static void quorum_of_nobody(void **state)
{
	assert_int_equal(cosigned_batch("none", 0, false), RC_OK);
	assert_int_equal(report_now().weak, 1);
}

static void wrong_shares(void **state)
{
	batch_make(64, 16, 1);
	assert_int_equal(commit(64, 16, "x25519"), RC_OK);
	assert_int_equal(list(), RC_OK);
	assert_int_equal(challenge(""), RC_OK);
	for (size_t at = 0; at < 2 * LEAF_SHARE_SIZE; at += 9) {
		batch.shares[batch.picked[5]][at] ^= 1;
		assert_int_equal(open_some(5, 1), RC_AUTH);
		batch.shares[batch.picked[5]][at] ^= 1;
	}
	assert_int_equal(open_some(1, 15), RC_OK);
	uint32_t other = batch.picked[0];
	batch.picked[0] = live(0); /* shows one that was not asked for */
	assert_int_equal(open_some(0, 1), RC_AUTH);
	batch.picked[0] = other;
	randomness_end(checker);
	assert_int_equal(report.leaves.unopened, 1);
	assert_int_equal(use(live(1), 0), RC_AUTH); /* not before all are opened */
	assert_int_equal(open_some(0, 1), RC_OK);
	assert_int_equal(use(live(1), 0), RC_OK);
}

static void wrong_uses(void **state)
{
	batch_make(256, 64, 1);
	assert_int_equal(use(live(0), 0), RC_AUTH); /* of a batch that nobody committed to */
	assert_int_equal(whole(), RC_OK);
	assert_int_equal(use(live(0), 1), RC_AUTH);
	assert_int_equal(use(live(0), 2), RC_AUTH);
	assert_int_equal(use(batch.picked[9], 0), RC_AUTH);
	assert_int_equal(use(live(0), 0), RC_OK);
	assert_int_equal(use(live(0), 0), RC_AUTH);
	assert_int_equal(use(live(1), 0), RC_OK);
	assert_int_equal(batch_end(1, 191), RC_AUTH); /* two were used */
	assert_int_equal(batch_end(2, 191), RC_AUTH);
	assert_int_equal(batch_end(3, 189), RC_OK);
	assert_int_equal(use(live(2), 0), RC_OK); /* entered late */
	assert_int_equal(use(live(3), 0), RC_AUTH);
	assert_int_equal(batch_end(3, 189), RC_AUTH);
	randomness_end(checker);
	assert_int_equal(report.leaves.named, 3);
}

/* Leaf `to` is made of the shares of these two. */
static void shares_again(uint32_t to, uint32_t a, uint32_t b)
{
	memmove(batch.shares[to], batch.shares[a], LEAF_SHARE_SIZE);
	memmove(batch.shares[to] + LEAF_SHARE_SIZE, batch.shares[b] + LEAF_SHARE_SIZE, LEAF_SHARE_SIZE);
	assert_int_equal(
		leaf_data(batch.shares[to], batch.shares[to] + LEAF_SHARE_SIZE, GROUPS, batch.data[to]),
		RC_OK);
}

/* Each leaf as promised, and each key known to whoever reads the ledger. */
static void leaves_that_stand_twice(void **state)
{
	batch_make(64, 16, 1);
	for (uint32_t i = 1; i < batch.n; i++)
		shares_again(i, 0, 0);
	batch_finish("");
	assert_int_equal(whole(), RC_AUTH); /* one leaf, all over */
	assert_non_null(strstr(report.finding, "occurs in another leaf"));
}

/* The other half of the batch is made of what is in it: of one leaf, or of two. */
static void twice_in_a_batch(uint32_t apart)
{
	enum rc rc = RC_OK;

	batch_make(64, 16, 1);
	for (uint32_t i = 0; i < 32; i++)
		shares_again(32 + i, i, (i + apart) % 32);
	batch_finish("");
	rc = whole();
	for (uint32_t i = 0; i < 48 && rc == RC_OK; i++)
		rc = use(live(i), 0);
	assert_int_equal(rc, RC_AUTH);
}

static void shares_that_stand_twice(void **state)
{
	twice_in_a_batch(0);
	end(NULL);
	begin(NULL);
	twice_in_a_batch(1);
}

/* Opened in one batch, served in the next; and the other way. */
static void leaves_of_another_batch(void **state)
{
	uint8_t shares[2 * LEAF_SHARE_SIZE];

	for (int served_first = 0; served_first < 2; served_first++) {
		batch_make(64, 16, 1);
		assert_int_equal(whole(), RC_OK);
		uint32_t from = served_first ? live(3) : batch.picked[3];
		if (served_first)
			assert_int_equal(use(from, 0), RC_OK);
		memcpy(shares, batch.shares[from], sizeof shares);
		for (uint32_t seed = 2, to = 0;; seed++) { /* until the challenge has it as we want */
			batch_make(64, 16, seed);
			memcpy(batch.shares[to], shares, sizeof shares);
			shares_again(to, to, to);
			batch_finish("");
			if (batch.opened[to] == served_first)
				break;
		}
		assert_int_equal(whole(), served_first ? RC_AUTH : RC_OK);
		if (!served_first)
			assert_int_equal(use(0, 0), RC_AUTH);
		end(NULL);
		begin(NULL);
	}
}

static void exchanges_without_a_leaf(void **state)
{
	const struct field ike[] = { { NULL, NULL, 0 } };
	const struct field pfs[] = { { "proposal", "aes256gcm16-x25519 in UDP", 0 }, { NULL, NULL, 0 } };
	const struct field none[] = { { "proposal", "aes256gcm16-none-esn", 0 }, { NULL, NULL, 0 } };

	enter(LEDGER_IKE_SA_UP, ike);
	enter(LEDGER_SA_INSTALL, pfs);
	enter(LEDGER_SA_INSTALL, none);
	randomness_end(checker);
	assert_int_equal(report.leaves.unnamed, 2);
	assert_int_equal(report.leaves.named, 0);
}

/* What went over the wire, against the leaf that the entry names. */
static void public_values_on_the_wire(void **state)
{
	batch_make(64, 16, 5);
	assert_int_equal(whole(), RC_OK);
	for (uint32_t i = 0; i < 8; i++) {
		struct capture_init init = { .spi = { 0xab, (uint8_t)i }, .response = true, .nonce_n = 32 };
		struct capture c = { .n = 1, .init = &init };
		uint32_t index = live(i);
		char spi[17];

		const uint8_t *there = leaf_public(batch.data[index], GROUPS, DH_CURVE25519);
		assert_non_null(there);
		init.group = i == 7 ? 19 : DH_CURVE25519; /* of a group that no leaf of this batch has */
		init.ke_n = 32;
		memcpy(init.ke, there, 32);
		if (i >= 4) {
			init.ke[i * 3] ^= i < 7 ? 0x10 : 0;
		} else if (i % 2) { /* of another exchange */
			init.spi[7] = 1;
			init.ke[0] ^= 1;
		}
		uint64_t before = report.keys_compared;
		randomness_compare(checker, &c, NULL, 0);
		hex_from_bytes(spi, (const uint8_t[8]){ 0xab, (uint8_t)i }, 8);
		assert_int_equal(use_under(LEDGER_IKE_SA_UP, spi, index, 0), i < 4 ? RC_OK : RC_AUTH);
		assert_int_equal(report.keys_compared, before + (i >= 4 || i % 2 == 0));
	}
}

static void reckoning(void **state)
{
	/* (192/256), (192/256)(191/255), … */
	assert_true(fabs(leaves_escape(256, 64, 1) - 0.75) < 1e-12);
	assert_true(fabs(leaves_escape(256, 64, 2) - 0.75 * 191 / 255) < 1e-12);
	assert_true(leaves_escape(256, 64, 192) > 0);
	assert_true(leaves_escape(256, 64, 193) == 0);
	for (uint32_t m = 1; m < 192; m++)
		assert_true(leaves_escape(256, 64, m) <= pow(0.75, m) + 1e-12);
}

/*
 * The biased generator of secrets: `bad` leaves of each batch have keys that its maker can compute, though
 * their shares look as they should. Which ones are opened it does not know before.
 */
static void biased_generator(void **state)
{
	enum { ROUNDS = 400, N = 64, K = 16 };
	static const uint32_t bad[] = { 1, 4, 12 };

	for (size_t b = 0; b < COUNT_OF(bad); b++) {
		unsigned escaped = 0;

		for (uint32_t round = 0; round < ROUNDS; round++) {
			randomness_free(checker);
			checker = randomness_new(&report);
			batch_make(N, K, 1000 * (uint32_t)b + round);
			for (uint32_t i = 0; i < bad[b];
				i++) { /* the public value of a key known elsewhere */
				uint8_t known[DH_SEED_SIZE] = { (uint8_t)i, 0x4a };
				struct dh_secret dh;

				assert_int_equal(
					dh_generate(&dh, batch.data[i * 5] + 64, DH_CURVE25519, known),
					RC_OK);
			}
			batch_finish("");
			if (whole() == RC_OK)
				escaped++;
			else
				assert_non_null(strstr(report.finding, "is not derived from the shares"));
		}
		double chance = leaves_escape(N, K, bad[b]), deviation = sqrt(ROUNDS * chance * (1 - chance));
		assert_true(fabs(escaped - ROUNDS * chance) < 6 * deviation);
	}
}

static void reports(void **state)
{
	char text[RANDOMNESS_TEXT_MAX], json[RANDOMNESS_TEXT_MAX];

	batch_make(256, 64, 1);
	assert_int_equal(whole(), RC_OK);
	randomness_end(checker);
	assert_true(randomness_report_text(&report, (struct randomness_asked){ 0 }, text, sizeof text) > 0);
	assert_non_null(strstr(text, "64 leaves of 1 batches were opened"));
	assert_non_null(strstr(text, "m = 1: 0.75"));
	assert_non_null(strstr(text, "from the root alone"));
	assert_true(randomness_report_json(&report, (struct randomness_asked){ 0 }, json, sizeof json) > 0);
	assert_non_null(strstr(json, "\"leaves_opened\":64"));
	assert_non_null(strstr(json, "\"failures\":0"));
	assert_non_null(strstr(json, "{\"bad\":1,\"chance\":\"0.75\",\"leaves\":256,\"opened\":64}"));
	challenge("another");
	assert_true(randomness_report_text(&report, (struct randomness_asked){ 0 }, text, sizeof text) > 0);
	assert_non_null(strstr(text, "NOT all derived (VRF)"));
	for (size_t i = 0; i < strlen(text); i++)
		assert_true(randomness_report_text(&report, (struct randomness_asked){ 0 }, json, i) == 0);
	/* The largest that there can be. */
	memset(&report, 0xff, sizeof report);
	report.leaves.leaves = 256;
	report.leaves.opens = 64;
	memset(report.finding, '\"', sizeof report.finding - 1);
	report.finding[sizeof report.finding - 1] = '\0';
	assert_true(randomness_report_text(&report, (struct randomness_asked){ 0 }, text, sizeof text) > 0);
	assert_true(randomness_report_json(&report, (struct randomness_asked){ 0 }, json, sizeof json) > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(as_promised),
		T(said_twice),
		T(wrong_commitments),
		T(wrong_hashes),
		T(wrong_challenges),
		T(later_counts),
		T(later_that_is_not),
		T(cosigned_challenges),
		T(cosigned_some_entries_later),
		T(cosigned_much_later),
		T(cosigned_another_history),
		T(quorum_of_nobody),
		T(wrong_shares),
		T(wrong_uses),
		T(leaves_that_stand_twice),
		T(shares_that_stand_twice),
		T(leaves_of_another_batch),
		T(exchanges_without_a_leaf),
		T(public_values_on_the_wire),
		T(reckoning),
		T(biased_generator),
		T(reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
