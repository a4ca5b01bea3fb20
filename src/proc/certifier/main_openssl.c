/*
 * plaingate-certifier-openssl: the opinion of libcrypto. Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/certifier/shell.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

static bool digest(uint8_t ret_digest[CERTIFY_DIGEST_SIZE], const void *b, size_t n)
{
	return EVP_Digest(b, n, ret_digest, NULL, EVP_sha256(), NULL) == 1;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

int main(void)
{
	static const struct certifier_engine engine = { .self = PROC_CERTIFIER_OPENSSL,
		.directory = RESOURCE_CRL_DIR_OPENSSL,
		.fetched = RESOURCE_FETCHED_CRL_DIR_OPENSSL,
		.verify = certify_libcrypto,
		.input = certify_libcrypto_input,
		.crl = certify_libcrypto_crl,
		.ocsp = certify_libcrypto_ocsp,
		.about = certify_libcrypto_about,
		.digest = digest,
		.in_use = in_use };
	static struct certifier certifier;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_CERTIFIER_OPENSSL, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	/* No file may change what libcrypto does in here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
		log_error("libcrypto failed to start");
		return 1;
	}
	certifier_init(&certifier, &child, &engine, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
