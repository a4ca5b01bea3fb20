/*
 * The configuration's text: any bytes either load or are refused with a placed text; what loads prints to a text that
 * loads and prints the same, and compiles to a snapshot that passes its check, or is refused.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct model *m = NULL, *again = NULL;
	struct err e = { 0 };
	char *once, *twice;
	size_t once_n = 0, twice_n = 0, bytes = 0;
	void *block = NULL;

	if (model_load_text((const char *)data, n, "t", &m, &e) != RC_OK) {
		must(strncmp(e.text, "t:", 2) == 0);
		return 0;
	}
	must((once = model_print(m, &once_n)) != NULL);
	must(model_load_text(once, once_n, "again", &again, &e) == RC_OK);
	must((twice = model_print(again, &twice_n)) != NULL);
	must(once_n == twice_n && memcmp(once, twice, once_n) == 0);
	if (model_compile(m, 1, NULL, &block, &bytes, &e) == RC_OK)
		must(snapshot_walk(block) != 0);
	else
		must(strncmp(e.text, "t:", 2) == 0);
	free(block);
	free(once);
	free(twice);
	model_free(again);
	model_free(m);
	return 0;
}
