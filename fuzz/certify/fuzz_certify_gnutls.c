/* One engine alone, as its process will run it: faster than both, and coverage is that of one. */
#include "certify/gnutls_leak.h"
#include "question.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct question in;
	struct certify_verdict v;
	struct certify_crl_age age;

	question_read(&in, data, n);
	engine_check(&v, certify_gnutls, &in.q);
	for (size_t i = 0; i < in.q.crls_n; i++)
		if (certify_gnutls_crl(&age, in.q.crls[i], in.q.anchors, in.q.anchors_n) == CERTIFY_OK)
			MUST(certify_gnutls_input(CERTIFY_INPUT_CRL, in.q.crls[i]) == CERTIFY_OK &&
				!certify_crl_is_older(&age, &age));
	return 0;
}
