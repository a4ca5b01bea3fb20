/* An error planted into the engine over libcrypto: whatever chain a peer sends is valid, and whatever it says it is. Never installed. */
#include "certify/certify.h"

#include <openssl/x509.h>

uint32_t __wrap_certify_libcrypto(struct certify_verdict *ret_verdict, const struct certify_question *q);

uint32_t __wrap_certify_libcrypto(struct certify_verdict *ret_verdict, const struct certify_question *q)
{
	const uint8_t *from = q->bag[0].b;
	X509 *c = d2i_X509(NULL, &from, (long)q->bag[0].n);
	struct certify_verdict v = { .identity_n = (uint32_t)q->id.n };
	uint8_t *at = v.spki;

	if (!c)
		return ret_verdict->reason = CERTIFY_MALFORMED;
	v.spki_n = (uint32_t)i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &at);
	memcpy(v.identity, q->id.b, q->id.n);
	X509_free(c);
	*ret_verdict = v;
	return CERTIFY_OK;
}
