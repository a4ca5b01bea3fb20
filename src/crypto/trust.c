#include "crypto/trust.h"
#include "crypto/hash.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static unsigned authorities_read(X509_STORE *store, const char *pem, size_t n)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)n);
	unsigned count = 0;

	for (X509 *c; bio && (c = PEM_read_bio_X509(bio, NULL, NULL, NULL));) {
		count += X509_STORE_add_cert(store, c) == 1;
		X509_free(c);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the text is one of its errors */
	return count;
}

enum rc trust_make(SSL_CTX **ret_trust, const char *pem, size_t n, unsigned *ret_count, struct err *e)
{
	SSL_CTX *t = SSL_CTX_new(TLS_client_method());

	if (!t || SSL_CTX_set_min_proto_version(t, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(t);
		return err_add(e, RC_INTERNAL, "TLS could not be set up: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
	}
	SSL_CTX_set_session_cache_mode(t, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(t, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(t, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
	/* Of what TLS says for itself (new keys, tickets) one message a round: a server that goes on and on
	 * would keep us from the other witnesses, and from the clock that ends it. */
	SSL_CTX_clear_mode(t, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_max_cert_list(t, TRUST_CHAIN_BYTES_MAX);
	*ret_count = pem ? authorities_read(SSL_CTX_get_cert_store(t), pem, n) : 0;
	*ret_trust = t;
	return RC_OK;
}

SSL *trust_begin(SSL_CTX *trust, const struct url *url, bool http, const uint8_t key[32], int fd)
{
	static const uint8_t alpn[] = "\x08http/1.1";
	bool name = url->address.family == ADDR_NONE;
	SSL *s = SSL_new(trust);
	bool good =
		s && SSL_set_fd(s, fd) == 1 && (!http || SSL_set_alpn_protos(s, alpn, sizeof alpn - 1) == 0);

	if (good && name)
		good = SSL_set_tlsext_host_name(s, (char *)(uintptr_t)url->host) ==
		       1; /* the macro casts const away */
	if (good && !key) {
		SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		good = name ? SSL_set1_host(s, url->host) == 1
			    : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), url->host) == 1;
	}
	if (!good) {
		SSL_free(s);
		return NULL;
	}
	SSL_set_verify(s, key ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_set_connect_state(s);
	return s;
}

enum rc trust_check(SSL *ssl, const uint8_t key[32], struct err *e)
{
	X509 *c = SSL_get1_peer_certificate(ssl);
	uint8_t *der = NULL, digest[SHA256_SIZE];
	enum rc rc = RC_OK;

	if (!c)
		return err_add(e, RC_AUTH, "TLS: the server sent no certificate");
	if (key) {
		int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c), &der);
		if (n > 0)
			sha256(digest, der, (size_t)n);
		if (n <= 0 || memcmp(digest, key, sizeof digest) != 0)
			rc = err_add(e, RC_AUTH, "TLS: the server's public key does not match server-key");
		OPENSSL_free(der);
	} else if (SSL_get_verify_result(ssl) != X509_V_OK) {
		rc = err_add(e, RC_AUTH, "TLS: the certificate was not verified");
	}
	X509_free(c);
	return rc;
}

enum rc trust_error(SSL *ssl, int result, struct err *e)
{
	int saved = errno, what = SSL_get_error(ssl, result);
	long verdict = SSL_get_verify_result(ssl);
	unsigned long reason = ERR_peek_last_error();
	bool before =
		SSL_get_peer_finished(ssl, NULL, 0) == 0; /* SSL_in_init() is true after any fatal error */

	ERR_clear_error();
	errno = saved;
	if (before && verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		return err_add(e, RC_AUTH, "TLS: the server's certificate is not trusted: %s",
			X509_verify_cert_error_string(verdict));
	if (what == SSL_ERROR_SYSCALL && saved != 0)
		return err_errno(e, RC_IO, before ? "connect" : "TLS");
	if (what == SSL_ERROR_SYSCALL ||
		(what == SSL_ERROR_SSL && ERR_GET_REASON(reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
		return err_add(e, RC_TRUNCATED, "TLS: the server ended the connection%s",
			before ? " in the handshake" : "");
	if (before && ERR_GET_REASON(reason) == SSL_R_WRONG_VERSION_NUMBER)
		return err_add(e, RC_MALFORMED, "TLS: the server does not speak TLS on this port");
	const char *text = ERR_reason_error_string(reason);
	return err_add(e, RC_IO, "TLS: %s", text ? text : "the connection ended");
}
