/* Seeds of fuzz_randomness: entries of a keeper, a line each, from fixed shares and a fixed key. */
#include "seeds.h"

#include "base/bytes.h"
#include "crypto/leaf.h"
#include "crypto/vrf.h"
#include "ledger/entry.h"
#include "merkle/proof.h"
#include "model/public_values.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GROUPS	   32u /* x25519: the last row of the table */
#define LEAVES_MAX 16u
#define LINES_MAX  (1u << 16)

static struct {
	char text[LINES_MAX];
	size_t n;
	uint64_t entries;
} lines;

/* A batch as a keeper makes it. */
static struct {
	uint32_t leaves, opens;
	uint8_t shares[LEAVES_MAX][2 * LEAF_SHARE_SIZE];
	uint8_t data[LEAVES_MAX][LEAF_DATA_MAX];
	struct merkle_hash hash[LEAVES_MAX], root;
	char root_hex[2 * SHA256_SIZE + 1];
	uint32_t picked[LEAVES_MAX];
	bool opened[LEAVES_MAX];
} batch;

struct field {
	const char *key, *text; /* NULL: a number */
	uint64_t number;
};

/* Fields that are not given are empty; the last one's key is NULL. */
static void line_add(enum ledger_type type, const struct field *fields)
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
		.n = ++lines.entries,
		.mono_us = 1000 + lines.entries,
		.boot = { 0xb0, 0x07 },
		.source = "keeper",
		.body = b.text,
		.body_n = ledger_body_done(&b) };
	utc_text(entry.utc, SEED_CLOCK_US + lines.entries);
	assert(entry.body_n > 0 && sizeof lines.text - lines.n > LEDGER_ENTRY_MAX);
	size_t text_n = ledger_entry_text(lines.text + lines.n, &entry);
	assert(text_n > 0);
	lines.n += text_n;
	lines.text[lines.n++] = '\n';
}

static void seed_put(struct memory *to, const char *path)
{
	memory_put(to, path, lines.text, lines.n);
	memset(&lines, 0, sizeof lines);
}

/* ---- ephemeral keys ---- */

/* `wrong`: the first leaf that is opened was made from another share than the one that is disclosed. */
static void batch_make(uint32_t leaves, uint32_t opens, uint32_t seed, bool wrong)
{
	struct merkle_edge edge = { 0 };

	assert(leaves <= LEAVES_MAX);
	memset(&batch, 0, sizeof batch);
	batch.leaves = leaves;
	batch.opens = opens;
	for (uint32_t i = 0; i < leaves; i++) {
		const uint8_t of[2][3] = { { (uint8_t)seed, (uint8_t)i, 1 },
			{ (uint8_t)seed, (uint8_t)i, 2 } };

		sha256(batch.shares[i], of[0], sizeof of[0]);
		sha256(batch.shares[i] + LEAF_SHARE_SIZE, of[1], sizeof of[1]);
		enum rc rc =
			leaf_data(batch.shares[i], batch.shares[i] + LEAF_SHARE_SIZE, GROUPS, batch.data[i]);
		assert(rc == RC_OK);
		batch.hash[i] = merkle_leaf(batch.data[i], leaf_data_size(GROUPS));
		merkle_edge_add(&edge, &batch.hash[i]);
	}
	batch.root = merkle_edge_root(&edge);
	hex_from_bytes(batch.root_hex, batch.root.b, sizeof batch.root.b);
	leaf_challenge(batch.root.b, "", 0, leaves, opens, batch.picked);
	for (uint32_t i = 0; i < opens; i++)
		batch.opened[batch.picked[i]] = true;
	if (wrong)
		batch.shares[batch.picked[0]][LEAF_SHARE_SIZE] ^= 1;
}

/* A list of octets that fits the first of four fields. */
static void list_add(enum ledger_type type, const char *name, const void *octets, size_t n)
{
	char text[BASE64_SIZE(512)];

	assert(n <= 512);
	base64_from_bytes(text, octets, n);
	line_add(type, (const struct field[]){ { "batch", batch.root_hex, 0 }, { "first", NULL, 0 },
			       { name, text, 0 }, { NULL, NULL, 0 } });
}

/* Committed to, listed, challenged, opened. */
static void batch_lines(void)
{
	uint8_t shares[LEAVES_MAX][2 * LEAF_SHARE_SIZE];

	line_add(LEDGER_LEAF_BATCH,
		(const struct field[]){ { "root", batch.root_hex, 0 }, { "leaves", NULL, batch.leaves },
			{ "opens", NULL, batch.opens }, { "groups", "x25519", 0 }, { NULL, NULL, 0 } });
	list_add(LEDGER_LEAF_HASHES, "hashes_0", batch.hash, batch.leaves * sizeof batch.hash[0]);
	line_add(LEDGER_LEAF_CHALLENGE, (const struct field[]){ { "attestation", "", 0 },
						{ "batch", batch.root_hex, 0 }, { NULL, NULL, 0 } });
	for (uint32_t i = 0; i < batch.opens; i++)
		memcpy(shares[i], batch.shares[batch.picked[i]], sizeof shares[i]);
	list_add(LEDGER_LEAVES_OPENED, "shares_0", shares, batch.opens * sizeof shares[0]);
}

static void batch_end_line(uint64_t used)
{
	line_add(LEDGER_LEAF_BATCH_END,
		(const struct field[]){ { "batch", batch.root_hex, 0 }, { "used", NULL, used },
			{ "unused", NULL, batch.leaves - batch.opens - used }, { NULL, NULL, 0 } });
}

/* The i-th leaf that is not opened. */
static uint32_t live(uint32_t i)
{
	uint32_t at = 0;

	for (; at < batch.leaves; at++)
		if (!batch.opened[at] && i-- == 0)
			break;
	assert(at < batch.leaves);
	return at;
}

/* ---- public values ---- */

static struct vrf_key key;

static void epoch_lines(bool ends, uint64_t count)
{
	char public_hex[2 * VRF_PUBLIC_SIZE + 1], scalar_hex[2 * VRF_SCALAR_SIZE + 1];

	hex_from_bytes(public_hex, key.public_key, sizeof key.public_key);
	hex_from_bytes(scalar_hex, key.scalar, sizeof key.scalar);
	line_add(ends ? LEDGER_VRF_EPOCH_END : LEDGER_VRF_EPOCH,
		(const struct field[]){ { "key", public_hex, 0 }, { "scalar", scalar_hex, 0 },
			{ "count", NULL, count }, { NULL, NULL, 0 } });
}

static bool subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	struct merkle_edge edge = { 0 };

	if ((index + 1) << level > batch.leaves)
		return false;
	for (uint64_t i = index << level; i < (index + 1) << level; i++)
		merkle_edge_add(&edge, &batch.hash[i]);
	*ret_hash = merkle_edge_root(&edge);
	return true;
}

/* An exchange with the value of this count and this leaf. */
static void exchange_line(enum ledger_type type, uint64_t count, uint32_t leaf_index)
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE], proof[PUBLIC_PROOF_SIZE], value[PUBLIC_SIZE];
	char proof_hex[2 * PUBLIC_PROOF_SIZE + 1], spi_hex[17], spi_in[9];
	char leaf[BASE64_SIZE(LEAF_DATA_MAX)], path[BASE64_SIZE(8 * SHA256_SIZE)];
	struct merkle_proof inclusion;

	public_alpha(alpha, key.public_key, count);
	enum rc rc = vrf_prove(&key, alpha, sizeof alpha, proof);
	assert(rc == RC_OK);
	rc = vrf_proof_hash(proof, value);
	assert(rc == RC_OK);
	rc = merkle_prove_inclusion(subtree, NULL, leaf_index, batch.leaves, &inclusion);
	assert(rc == RC_OK && inclusion.n <= 8);
	hex_from_bytes(proof_hex, proof, sizeof proof);
	hex_from_bytes(spi_hex, value + PUBLIC_SPI_AT, 8);
	hex_from_bytes(spi_in, value + PUBLIC_SPI_AT, 4);
	base64_from_bytes(leaf, batch.data[leaf_index], leaf_data_size(GROUPS));
	base64_from_bytes(path, inclusion.hash, inclusion.n * SHA256_SIZE);
	line_add(type,
		(const struct field[]){ { "leaf", leaf, 0 }, { "leaf_batch", batch.root_hex, 0 },
			{ "leaf_index", NULL, leaf_index }, { "leaf_path", path, 0 }, { "peer", "branch", 0 },
			{ "proposal", "aes256gcm16-prfsha256-x25519", 0 }, { "role", "initiator", 0 },
			{ "spi_i", spi_hex, 0 }, { "spi_r", "1111111111111111", 0 }, { "spi_in", spi_in, 0 },
			{ "vrf_count", NULL, count }, { "vrf_proof", proof_hex, 0 }, { NULL, NULL, 0 } });
}

static void failed_line(const char *counts, uint32_t leaf_index)
{
	char public_hex[2 * VRF_PUBLIC_SIZE + 1], leaves[16];

	hex_from_bytes(public_hex, key.public_key, sizeof key.public_key);
	snprintf(leaves, sizeof leaves, "%u", leaf_index);
	line_add(LEDGER_EXCHANGE_FAILED,
		(const struct field[]){ { "batch", batch.root_hex, 0 }, { "counts", counts, 0 },
			{ "key", public_hex, 0 }, { "leaves", leaves, 0 }, { NULL, NULL, 0 } });
}

void seeds_randomness(struct memory *to)
{
	static const uint8_t seed[VRF_SEED_SIZE] = "public values, for tests";
	enum rc rc = vrf_key_make(&key, seed);

	assert(rc == RC_OK);
	epoch_lines(false, 0);
	batch_make(4, 1, 1, false);
	batch_lines();
	exchange_line(LEDGER_IKE_SA_UP, 1, live(0));
	exchange_line(LEDGER_SA_INSTALL, 2, live(1));
	batch_end_line(2);
	epoch_lines(true, 2);
	seed_put(to, "verify/seeds/fuzz_randomness/whole");

	/* Sizes that fill no tree; the second batch is still in use. */
	epoch_lines(false, 0);
	batch_make(7, 3, 2, false);
	batch_lines();
	exchange_line(LEDGER_IKE_SA_REKEYED, 1, live(0));
	batch_end_line(1);
	batch_make(4, 2, 3, false);
	batch_lines();
	seed_put(to, "verify/seeds/fuzz_randomness/odd");

	epoch_lines(false, 0);
	batch_make(4, 1, 4, false);
	batch_lines();
	failed_line("1-2", live(0));
	exchange_line(LEDGER_IKE_SA_REKEYED, 3, live(1));
	batch_end_line(2);
	epoch_lines(true, 4);
	seed_put(to, "verify/seeds/fuzz_randomness/failed");

	epoch_lines(false, 0);
	batch_make(4, 1, 5, true);
	batch_lines();
	exchange_line(LEDGER_IKE_SA_REKEYED, 1, live(0));
	batch_end_line(1);
	seed_put(to, "verify/seeds/fuzz_randomness/wrong-half");
	vrf_key_done(&key);
}
