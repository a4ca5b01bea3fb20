/* An error planted into the engine over libcrypto: whatever comes as an OCSP answer calls the certificate good. Never installed. */
#include "certify/certify.h"

uint32_t __wrap_certify_libcrypto_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s);

uint32_t __wrap_certify_libcrypto_ocsp(struct certify_ocsp_said *ret_said, struct certify_der answer,
	struct certify_der request, struct certify_der issuer, int64_t now_s)
{
	*ret_said = (struct certify_ocsp_said){ OCSP_GOOD, now_s, now_s + 3600 };
	return CERTIFY_OCSP_OK;
}
