#include "compiled.h"

#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum rc compile(const char *text, uint64_t generation, void **ret_block, size_t *ret_n, struct err *e)
{
	struct model *m = NULL;
	static const uint8_t sha256[32] = { 1, 2, 3 };
	enum rc rc = model_load_text(text, strlen(text), "t", &m, e);

	*ret_block = NULL;
	if (rc == RC_OK)
		rc = model_compile(m, generation, sha256, ret_block, ret_n, e);
	model_free(m);
	return rc;
}

struct snapshot *compiled(const char *text)
{
	void *block;
	size_t n = 0;
	struct err e = { 0 };

	if (compile(text, 7, &block, &n, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(snapshot_check(block, n, &e), RC_OK);
	return block;
}
