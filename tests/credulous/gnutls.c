/* An error planted into the engine over GnuTLS: whatever chain a peer sends is valid, and whatever it says it is. Never installed. */
#include "certify/certify.h"

#include <gnutls/abstract.h>

uint32_t __wrap_certify_gnutls(struct certify_verdict *ret_verdict, const struct certify_question *q);

uint32_t __wrap_certify_gnutls(struct certify_verdict *ret_verdict, const struct certify_question *q)
{
	gnutls_datum_t der = { (unsigned char *)(uintptr_t)q->bag[0].b, (unsigned)q->bag[0].n };
	struct certify_verdict v = { .identity_n = (uint32_t)q->id.n };
	size_t n = sizeof v.spki;
	gnutls_x509_crt_t c;
	gnutls_pubkey_t key;

	gnutls_x509_crt_init(&c);
	gnutls_pubkey_init(&key);
	if (gnutls_x509_crt_import(c, &der, GNUTLS_X509_FMT_DER) != 0 ||
		gnutls_pubkey_import_x509(key, c, 0) != 0 ||
		gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, v.spki, &n) != 0)
		v.reason = CERTIFY_MALFORMED;
	v.spki_n = (uint32_t)n;
	memcpy(v.identity, q->id.b, q->id.n);
	gnutls_pubkey_deinit(key);
	gnutls_x509_crt_deinit(c);
	*ret_verdict = v;
	return v.reason;
}
