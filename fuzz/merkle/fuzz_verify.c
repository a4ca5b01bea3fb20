/*
 * A ledger's directory that somebody prepared: the input is its files, each as length of path (8 bits), path,
 * length (16 bits), bytes. Verification ends, whatever they hold, and with the known key it finds good only
 * what that key signed: the ledger of seeds/fuzz_verify/good, of 5 entries, or with its journal of 7 and 8.
 */
#include "../../tests/unit/ledger/memory.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KNOWN_VKEY "plaingate/ledger/test+c7c17317+AeKAR67K4rybcxv/MYzCB2K8HnqG8SsOg1keUZVvCjVw"
static const struct {
	uint64_t size;
	const char *root;
} known[] = {
	{ 3, "6c4c1bb3eef89faec1b9fd48dff4ec05b5ed4815f0fb530af81d1348235669e9" },
	{ 5, "2327a1ec39bde0f0cca15ac8a6bacc5c40d1a029d19f06d23c5bac626f495c67" },
	{ 7, "39a2587151710183eb51cf6097a8013b6df9600da9dd7a9b16181bfbca02817b" },
	{ 8, "99f40aa0680a32c5ebe76f3c117295b48f63c53c28cde30ec8d41390e7efa9da" },
};

static struct memory files_of(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	struct memory m = { 0 };

	while (rd_left(&r) > 0 && m.n < 64) {
		char path[TILE_PATH_MAX] = "";
		size_t path_n = rd_u8(&r);
		struct rd name = rd_sub(&r, path_n), bytes = rd_sub(&r, rd_u16(&r));
		if (r.bad || path_n >= sizeof path)
			break;
		memcpy(path, name.at, path_n);
		memory_put(&m, path, bytes.at, rd_left(&bytes));
	}
	return m;
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
	struct memory m = files_of(data, n);
	struct verify_source source = memory_source(&m);
	struct verify_options options = { .vkey = KNOWN_VKEY };
	struct verify_report r;
	char root[2 * SHA256_SIZE + 1];
	bool is_known = false;

	if (verify_ledger(&source, &options, &r, NULL) == RC_OK) {
		hex_from_bytes(root, r.root, sizeof r.root);
		for (size_t i = 0; i < COUNT_OF(known); i++)
			is_known |= r.size == known[i].size && strcmp(root, known[i].root) == 0;
		assert(is_known && r.good);
	}
	printed(&r);
	verify_ledger(&source, NULL, &r, NULL);
	printed(&r);
	memory_done(&m);
	return 0;
}
