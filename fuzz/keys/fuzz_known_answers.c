/* A file of known answers with any octets: it is refused, or every function gives its answer. */
#include "proc/keeper/known_answers.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct err e = { 0 };
	enum rc rc = known_answers_check((const char *)bytes, n, &e);

	if ((rc == RC_OK) != (e.text[0] == '\0'))
		abort();
	return 0;
}
