/* judge CA CERTIFICATE NAME [CRL]: what both engines that decide about peers say of a certificate in files, for tests of `plaingate pki`. */
#include "certify/certify.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct certify_der der_of(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	char *name, *header;
	struct certify_der der = { 0 };
	uint8_t *at;
	long n;

	if (bio && PEM_read_bio(bio, &name, &header, &at, &n) == 1) {
		OPENSSL_free(name);
		OPENSSL_free(header);
		der = (struct certify_der){ at, (size_t)n };
	}
	BIO_free(bio);
	return der;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	struct certify_der anchor = der_of(argv[1]), bag = der_of(argv[2]), crl = { 0 };
	if (argc > 4)
		crl = der_of(argv[4]);
	struct certify_question q = { .anchors = &anchor,
		.anchors_n = 1,
		.bag = &bag,
		.bag_n = 1,
		.crls = &crl,
		.crls_n = argc > 4,
		.now_s = time(NULL),
		.id_kind = CERTIFY_ID_DNS,
		.revocation = argc > 4 ? CERTIFY_CRL_HARD : CERTIFY_CRL_SOFT,
		.id = { (const uint8_t *)argv[3], strlen(argv[3]) } };
	struct certify_verdict l, g;

	certify_libcrypto(&l, &q);
	certify_gnutls(&g, &q);
	printf("%s\n%s\n", certify_reason_text(l.reason), certify_reason_text(g.reason));
	OPENSSL_free((void *)(uintptr_t)anchor.b);
	OPENSSL_free((void *)(uintptr_t)bag.b);
	OPENSSL_free((void *)(uintptr_t)crl.b);
	return 0;
}
