/*
 * Text of a certificate file: what is taken is in a snapshot that is sound and can be walked, and what is refused leaves it as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "model/certificates.h"
#include "model/model.h"
#include "must.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char config[] =
	"pki { ca-profile a { file a.crt; } } ike { proposal p { encryption aes256gcm16; dh-group ecp256; } "
	"peer x { remote-address 192.0.2.1; local-certificate gw; trusted-ca a; proposals p; } }";

struct text {
	const uint8_t *at;
	size_t n;
};

static enum rc read_text(void *context, const char *file, char *ret_text, size_t *ret_n, struct err *e)
{
	const struct text *t = context;

	*ret_n = MIN_OF(t->n, (size_t)CERTIFICATE_TEXT_MAX);
	memcpy(ret_text, t->at, *ret_n);
	return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void *compiled;
	static size_t compiled_n;
	struct faults f;
	struct text t = { data, n };

	if (!compiled)
		MUST(model_read(config, sizeof config - 1, "f", 1, NULL, &compiled, &compiled_n, &f, NULL) ==
			RC_OK);
	size_t bytes = compiled_n;
	void *block = malloc(bytes), *before = block;
	MUST(block);
	memcpy(block, compiled, bytes);
	if (certificates_add(&block, &bytes, read_text, &t, NULL, NULL) == RC_OK) {
		MUST(snapshot_check(block, bytes, NULL) == RC_OK);
		MUST(((const struct snapshot *)block)->certificates.count >= 2);
		snapshot_walk(block);
	} else {
		MUST(block == before && bytes == compiled_n && memcmp(block, compiled, bytes) == 0);
	}
	free(block);
	return 0;
}
