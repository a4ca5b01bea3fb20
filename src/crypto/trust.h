/*
 * TLS towards witnesses and collectors, by libssl: version 1.2 at the least, the server proves the URL's name by a
 * certificate of an authority of the system's list, or it has the key that the configuration names. No
 * session is resumed, no certificate is shown, no configuration file of libssl's is read. Callers:
 * ipc/errand.c, proc/export/stream.c.
 * One thread.
 */
#ifndef CRYPTO_TRUST_H
#define CRYPTO_TRUST_H

#include "base/url.h"

#include <openssl/ssl.h>

#define TRUST_CHAIN_BYTES_MAX (64 << 10) /* of the certificates that a server sends */
#define AUTHORITIES_MAX	      (4u << 20) /* octets of the list; Debian's has 220 KB */

/* pem NULL: without any authority. *ret_count: authorities that were read. */
enum rc trust_make(SSL_CTX **ret_trust, const char *pem, size_t n, unsigned *ret_count, struct err *e);

/* A connection to this server over the socket, which stays the caller's. http: ALPN says so. key: SHA-256 of its public key,
 * NULL: its certificate has to stand for the URL's host. NULL: out of memory. */
SSL *trust_begin(SSL_CTX *trust, const struct url *url, bool http, const uint8_t key[32], int fd);

/* After the handshake: is it the intended server? */
enum rc trust_check(SSL *ssl, const uint8_t key[32], struct err *e);

/* The reason why the connection ended. result: of the call to libssl; errno is that of the call. */
enum rc trust_error(SSL *ssl, int result, struct err *e);

#endif
