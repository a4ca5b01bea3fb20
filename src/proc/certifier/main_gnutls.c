/*
 * plaingate-certifier-gnutls: the opinion of GnuTLS. Confined first, then everything else, the library's own start too: it would
 * read a file, and the supervisor's GNUTLS_NO_IMPLICIT_INIT keeps its constructor from it.
 */
#include "base/log.h"
#include "proc/certifier/shell.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <malloc.h>

static bool digest(uint8_t ret_digest[CERTIFY_DIGEST_SIZE], const void *b, size_t n)
{
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, b, n, ret_digest) == 0;
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

int main(void)
{
	static const struct certifier_engine engine = { .self = PROC_CERTIFIER_GNUTLS,
		.directory = RESOURCE_CRL_DIR_GNUTLS,
		.fetched = RESOURCE_FETCHED_CRL_DIR_GNUTLS,
		.verify = certify_gnutls,
		.input = certify_gnutls_input,
		.crl = certify_gnutls_crl,
		.ocsp = certify_gnutls_ocsp,
		.digest = digest,
		.in_use = in_use };
	static struct certifier certifier;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_CERTIFIER_GNUTLS, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	if (gnutls_global_init() != 0) {
		log_error("GnuTLS failed to start");
		return 1;
	}
	certifier_init(&certifier, &child, &engine, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
