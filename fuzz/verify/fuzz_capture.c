/* An arbitrary capture: it is read or refused, and what was found can be looked up. */
#include "verify/capture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct err e = { 0 };
	struct capture c;
	enum rc rc = capture_read(&c, bytes, n, &e);

	if ((rc == RC_OK) != (e.text[0] == '\0') || c.other > c.frames)
		abort();
	for (size_t i = 0; rc == RC_OK && i < c.n; i++) {
		size_t from = 0;
		struct capture_init *found;
		do
			found = capture_find(&c, c.init[i].spi, c.init[i].response, &from);
		while (found && found != &c.init[i]);
		if (!found || found->nonce_n == 0 || found->nonce_n > IKE_NONCE_MAX)
			abort();
	}
	capture_done(&c);
	return 0;
}
