/*
 * HTTP/1.1 as a log needs it towards a witness (RFC 9110, RFC 9112): one request with a body, one answer.
 * The answer is read as it arrives, in pieces of any size, strictly and within limits: neither the witness
 * nor the network in between is trusted. What a witness says is signed; TLS, where a URL requires it, is
 * the caller's. Pure: the sockets belong to the caller. Callers: src/proc/ledger, src/proc/courier, tests.
 * Any thread.
 */
#ifndef WITNESS_HTTP_H
#define WITNESS_HTTP_H

#include "base/url.h"

#define HTTP_HEAD_MAX  8192	/* bytes of an answer's status line and headers, and of its trailers */
#define HTTP_LINE_MAX  4096	/* one of them: policies for browsers are long */
#define HTTP_BODY_MAX  32768	/* more than any answer of a witness has */
#define HTTP_RETRY_MAX 99999999 /* seconds; more is this */

/*
 * A request; path follows the URL's prefix. body NULL: a GET; else it is of this type. The connection may stay open afterwards.
 * Returns the length, 0: does not fit.
 */
size_t http_request_text(char *ret_bytes, size_t max, const struct url *url, const char *path,
	const char *type, const void *body, size_t body_n);

struct http_answer {
	int status;
	bool keeps_open;	/* the next request may follow on this connection */
	uint32_t retry_after_s; /* Retry-After, in seconds from the answer's own time on; 0: it has none */
	size_t body_n;
	uint8_t *to;   /* where the body goes, set after http_answer_begin(); NULL: to `body` */
	size_t to_max; /* octets at the most */
	uint8_t body[HTTP_BODY_MAX];
	/* how far it is read */
	uint32_t state;
	bool chunked, has_length;
	uint64_t date_s, retry_at_s; /* since 1970; 0: not said */
	uint64_t left;		     /* bytes of the body, or of a chunk */
	size_t head_n;		     /* bytes of lines so far */
	size_t line_n;
	char line[HTTP_LINE_MAX];
};

void http_answer_begin(struct http_answer *a);

/*
 * Takes octets as they arrive. RC_AGAIN: more is needed. RC_OK: the answer is complete; *ret_used of the
 * bytes belong to it. RC_MALFORMED, RC_LIMIT, RC_UNSUPPORTED: close the connection. Interim answers (1xx)
 * are passed over.
 */
enum rc http_answer_feed(struct http_answer *a, const void *bytes, size_t n, size_t *ret_used, struct err *e);

/* The connection ended. RC_OK when that ends an answer without a length; RC_TRUNCATED. */
enum rc http_answer_end(struct http_answer *a, struct err *e);

#endif
