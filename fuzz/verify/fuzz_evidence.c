/*
 * Arbitrary evidence bundles: the input is one file. The reader accepts only what the writer would have made,
 * octet for octet, and verification with the known key accepts only heads that this key signed: the ledger of
 * the seeds, of 300 entries, or with its journal of 305.
 */
#include "../../tests/unit/verify/seeds.h"

#include "verify/evidence.h"
#include "verify/tar.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum rc read_one(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct tar_file *f = tar_find(context, path);

	*ret_bytes = NULL;
	*ret_n = 0;
	if (!f)
		return RC_NOT_FOUND;
	*ret_bytes = malloc(f->n + 1);
	assert(*ret_bytes);
	memcpy(*ret_bytes, f->bytes, f->n);
	*ret_n = f->n;
	return RC_OK;
}

static enum rc list_all(void *context, void (*each)(void *to, const char *path), void *to)
{
	const struct tar *t = context;

	for (size_t i = 0; i < t->n; i++)
		each(to, t->file[i].name);
	return RC_OK;
}

static void no_pause(void *context)
{
}

/* Headers as they would be written again; between the files nothing else. */
static void written_again(const struct tar *t, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->n; i++) {
		uint8_t block[TAR_BLOCK];
		bool good = tar_header(block, t->file[i].name, t->file[i].n, 0);
		assert(good && tar_find(t, t->file[i].name) == &t->file[i]);
		sum += TAR_BLOCK + t->file[i].n + tar_padding(t->file[i].n);
	}
	assert(sum + 2 * TAR_BLOCK <= n);
}

static void range_again(const struct tar *t)
{
	const struct tar_file *f = tar_find(t, EVIDENCE_PATH_RANGE);
	struct verify_range r;
	char text[512];

	if (!f || evidence_range_parse(&r, (const char *)f->bytes, f->n, NULL) != RC_OK)
		return;
	size_t n = evidence_range_text(&r, text, sizeof text);
	assert(n == f->n && memcmp(text, f->bytes, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct policy nobody = { 0 };
	static struct verify_report r;
	static char text[VERIFY_TEXT_MAX];
	struct tar t;

	if (tar_parse(&t, data, n, NULL) != RC_OK)
		return 0;
	written_again(&t, n);
	range_again(&t);
	struct verify_source source = {
		.context = &t, .read = read_one, .list = list_all, .pause = no_pause
	};
	struct verify_options o = { .vkey = SEED_VKEY, .policy = &nobody };
	enum rc rc = verify_ledger(&source, &o, &r, NULL);
	if (rc == RC_OK)
		assert(r.good && r.quorum &&
			(r.size == SEED_PUBLISHED || r.size == SEED_PUBLISHED + SEED_JOURNALED) &&
			r.published == SEED_PUBLISHED);
	size_t made = verify_ledger_text(&r, text, sizeof text);
	assert(made > 0);
	made = verify_explain_text(&r, text, sizeof text);
	assert(made > 0);
	made = verify_ledger_json(&r, text, sizeof text);
	assert(made > 0);
	tar_done(&t);
	return 0;
}
