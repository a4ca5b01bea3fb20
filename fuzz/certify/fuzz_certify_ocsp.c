/*
 * OCSP answers before one engine, which the build names (CERTIFY_ENGINE_OCSP): the time (four octets), then records of a 16-bit length: the
 * issuer, the request; the rest is the answer.
 */
#include "base/rd.h"
#include "certify/ocsp.h"

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	int64_t now_s = rd_u32(&r);
	struct certify_der issuer = { .n = rd_u16(&r) }, request, answer;
	struct certify_ocsp_said said, again;
	struct ocsp_entry e = { 0 };

	issuer.b = rd_take(&r, issuer.n);
	request.n = rd_u16(&r);
	request.b = rd_take(&r, request.n);
	answer.n = rd_left(&r);
	answer.b = rd_take(&r, answer.n);
	if (r.bad || issuer.n > CERTIFY_ISSUER_MAX || request.n > OCSP_REQUEST_MAX ||
		answer.n > OCSP_ANSWER_MAX)
		return 0;
	uint32_t fault = CERTIFY_ENGINE_OCSP(&said, answer, request, issuer, now_s);
	MUST(fault < CERTIFY_OCSP_FAULT_COUNT && (fault == CERTIFY_OCSP_OK) == (said.state != OCSP_NONE));
	MUST(CERTIFY_ENGINE_OCSP(&again, answer, request, issuer, now_s) == fault &&
		again.state == said.state && again.this_s == said.this_s && again.next_s == said.next_s);
	if (fault == CERTIFY_OCSP_OK && ocsp_take(&e, &said, now_s) == CERTIFY_OCSP_OK)
		MUST(ocsp_is_current(&e, now_s) && !ocsp_is_due(&e, now_s));
	return 0;
}
