/*
 * An arbitrary file of --since, with a valid digest added to the input: it is refused, or its tree is that of
 * a head which the log's key has signed. There is no log, so nothing is good.
 */
#include "../../tests/unit/verify/seeds.h"

#include "base/bytes.h"
#include "verify/verify.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum rc read_none(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	*ret_bytes = NULL;
	*ret_n = 0;
	if (strcmp(path, LEDGER_PATH_VKEY) != 0)
		return RC_NOT_FOUND;
	*ret_bytes = (uint8_t *)strdup(SEED_VKEY "\n");
	assert(*ret_bytes);
	*ret_n = strlen(SEED_VKEY "\n");
	return RC_OK;
}

static void no_pause(void *context)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct verify_report report;
	const struct verify_source source = { .read = read_none, .pause = no_pause };
	char *text = malloc(n + 80), hex[2 * SHA256_SIZE + 1];
	uint8_t hash[SHA256_SIZE];

	assert(text);
	memcpy(text, data, n);
	sha256(hash, data, n);
	n += (size_t)sprintf(text + n, "sha256 %s\n", hex_from_bytes(hex, hash, sizeof hash));
	const struct verify_options o = { .vkey = SEED_VKEY, .since = text, .since_n = n };
	enum rc rc = verify_ledger(&source, &o, &report, NULL);
	assert(rc != RC_OK && (report.since == 0 || report.since == SEED_PUBLISHED));
	free(text);
	return 0;
}
