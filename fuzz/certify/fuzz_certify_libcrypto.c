/* One engine alone, as its process will run it: faster than both, and coverage is that of one. */
#include "question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct question in;
	struct certify_verdict v;

	question_read(&in, data, n);
	engine_check(&v, certify_libcrypto, &in.q);
	return 0;
}
