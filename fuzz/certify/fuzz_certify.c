/* Both engines over one question: both together accept only what each accepts. Where they differ is no fault: it is refused. */
#include "question.h"

#include <sanitizer/lsan_interface.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct question in;
	struct certify_verdict l, g, both;

	question_read(&in, data, n);
	engine_check(&l, certify_libcrypto, &in.q);
	/* fuzz_certify_gnutls looks for leaks of that engine: the unwinder that it needs makes libcrypto twenty times slower. */
	__lsan_disable();
	engine_check(&g, certify_gnutls, &in.q);
	__lsan_enable();
	uint32_t reason = certify_agree(&both, &l, &g);
	MUST((reason == CERTIFY_OK) ==
		(l.reason == CERTIFY_OK && g.reason == CERTIFY_OK && reason != CERTIFY_DISAGREE));
	return 0;
}
