/*
 * A ledger's directory that somebody prepared: the input is its files, each as length of path (8 bits), path,
 * length (16 bits), bytes. Verification ends, whatever they hold, and with the known key it finds good only
 * what that key signed: the ledger of seeds/fuzz_verify/good, of 5 entries, or with its journal of 7 and 8.
 */
#include "../../tests/unit/ledger/ledger_fixture.h"
#include "../../tests/unit/verify/seeds.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Is this the head of so many entries of the seeds? */
static bool is_known(uint64_t size, const uint8_t root[SHA256_SIZE])
{
	static const uint64_t known[] = SEED_SIZES;
	char text[LEDGER_ENTRY_MAX];
	struct merkle_edge edge = { 0 };
	bool is_size = false;

	for (size_t i = 0; i < COUNT_OF(known); i++)
		is_size |= size == known[i];
	for (uint64_t i = 0; is_size && i < size; i++) {
		struct merkle_hash leaf = merkle_leaf(text, fixture_entry(text, i, SEED_ENTRY_EXTRA));
		merkle_edge_add(&edge, &leaf);
	}
	struct merkle_hash expected = merkle_edge_root(&edge);
	return is_size && memcmp(expected.b, root, SHA256_SIZE) == 0;
}

static void printed(const struct verify_report *r)
{
	char text[VERIFY_TEXT_MAX];
	size_t n = verify_ledger_text(r, text, sizeof text);

	assert(n > 0);
	n = verify_ledger_json(r, text, sizeof text);
	assert(n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct memory m = memory_unpack(data, n);
	struct verify_source source = memory_source(&m);
	struct verify_options options = { .vkey = SEED_VKEY };
	struct verify_report r;

	if (verify_ledger(&source, &options, &r, NULL) == RC_OK)
		assert(r.good && is_known(r.size, r.root));
	printed(&r);
	verify_ledger(&source, NULL, &r, NULL);
	printed(&r);
	memory_done(&m);
	return 0;
}
