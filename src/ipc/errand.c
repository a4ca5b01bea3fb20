#include "ipc/errand.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

static void address_next(struct errand *x);

static void connection_close(struct errand *x)
{
	SSL_free(x->ssl);
	x->ssl = NULL;
	loop_remove(x->loop, &x->conn);
	loop_disarm(x->loop, &x->attempt);
	if (x->conn.fd >= 0)
		close(x->conn.fd);
	x->conn.fd = -1;
}

void errand_stop(struct errand *x)
{
	lookup_stop(&x->lookup);
	connection_close(x);
	loop_disarm(x->loop, &x->deadline);
	x->state = ERRAND_IDLE;
}

static void fail(struct errand *x, const char *why)
{
	char text[sizeof x->why];

	snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, why); /* it may be x->why */
	errand_stop(x);
	x->ops->done(x, NULL, text);
}

/* This address did not do; perhaps the next one does. */
static void address_failed(struct errand *x, const char *why)
{
	char at[ADDR_TEXT_MAX];

	if (x->url.address.family == ADDR_NONE)
		snprintf(x->why, sizeof x->why, "%s: %.100s", addr_text(at, &x->addrs[x->next - 1]), why);
	else
		snprintf(x->why, sizeof x->why, "%.*s", (int)sizeof x->why - 1, why);
	connection_close(x);
	address_next(x);
}

static void address_next(struct errand *x)
{
	struct endpoint to = { .port = x->url.port };

	if (x->next == x->addrs_n) {
		fail(x, x->why);
		return;
	}
	to.addr = x->addrs[x->next++];
	x->state = ERRAND_CONNECT;
	loop_arm(x->loop, &x->attempt, ERRAND_CONNECT_NS, 0);
	if (!x->ops->connect(x, &to))
		fail(x, "the request could not be sent to the supervisor");
}

static void on_lookup(struct lookup *l, const struct ip_addr *addrs, size_t n, const char *why)
{
	struct errand *x = l->context;

	if (n == 0) {
		fail(x, why);
		return;
	}
	memcpy(x->addrs, addrs, n * sizeof addrs[0]);
	x->addrs_n = n;
	address_next(x);
}

static void on_deadline(struct loop *l, struct timer *t)
{
	struct errand *x = t->context;

	(void)l;
	fail(x, x->state >= ERRAND_REQUEST ? "no answer in time"
		: x->why[0]		   ? x->why
					   : "no connection in time");
}

static void on_attempt(struct loop *l, struct timer *t)
{
	struct errand *x = t->context;

	(void)l;
	address_failed(x, x->ssl ? "no connection, or no TLS handshake, in time" : "no connection in time");
}

/* ---- the connection ---- */

/* What the call waits for. True: it waits; false: it is over, and *e says of what. */
static bool waits(struct errand *x, int result, struct err *e)
{
	int saved = errno;

	if (x->ssl) {
		int what = SSL_get_error(x->ssl, result);
		if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
			x->conn.events = what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
			return true;
		}
		errno = saved;
		trust_error(x->ssl, result, e);
		return false;
	}
	if (saved == EAGAIN || saved == EINTR)
		return true;
	err_errno(e, RC_IO, x->state == ERRAND_HELLO ? "connect" : "connection");
	return false;
}

static int conn_write(struct errand *x)
{
	const char *from = x->request + x->sent;
	size_t n = x->request_n - x->sent;

	return x->ssl ? SSL_write(x->ssl, from, (int)n) : (int)write(x->conn.fd, from, n);
}

static int conn_read(struct errand *x, void *bytes, size_t n)
{
	return x->ssl ? SSL_read(x->ssl, bytes, (int)n) : (int)read(x->conn.fd, bytes, n);
}

/* True: the server is the one that was meant, go on. */
static bool hello(struct errand *x)
{
	struct err e = { 0 };

	if (x->ssl) {
		errno = 0;
		int result = SSL_connect(x->ssl);
		if (result != 1) {
			if (!waits(x, result, &e))
				address_failed(x, e.text);
			return false;
		}
		if (trust_check(x->ssl, x->has_key ? x->key : NULL, &e) != RC_OK) {
			address_failed(x, e.text);
			return false;
		}
		x->state = ERRAND_REQUEST;
		loop_disarm(x->loop, &x->attempt);
	}
	return true;
}

/* True: all of it is on its way. In clear the first piece finds out whether the connection came to be. */
static bool request_send(struct errand *x)
{
	struct err e = { 0 };

	while (x->sent < x->request_n) {
		errno = 0;
		int n = conn_write(x);
		if (n <= 0) {
			if (!waits(x, n, &e)) {
				if (x->state == ERRAND_HELLO)
					address_failed(x, e.text);
				else
					fail(x, e.text);
			}
			return false;
		}
		x->sent += (size_t)n;
		x->state = ERRAND_REQUEST;
		loop_disarm(x->loop, &x->attempt);
	}
	x->state = ERRAND_ANSWER;
	x->conn.events = POLLIN;
	return true;
}

static void answered(struct errand *x)
{
	errand_stop(x);
	x->ops->done(x, &x->answer, "");
}

/* False: no more for now, or it is over. */
static bool answer_read(struct errand *x)
{
	uint8_t bytes[8192];
	struct err e = { 0 };
	size_t used;

	errno = 0;
	int n = conn_read(x, bytes, sizeof bytes);
	bool ended = x->ssl ? n <= 0 && SSL_get_error(x->ssl, n) == SSL_ERROR_ZERO_RETURN : n == 0;
	if (n <= 0 && !ended) {
		if (!waits(x, n, &e))
			fail(x, e.text);
		return false;
	}
	enum rc rc = ended ? http_answer_end(&x->answer, &e)
			   : http_answer_feed(&x->answer, bytes, (size_t)n, &used, &e);
	if (rc == RC_AGAIN)
		return true;
	if (rc == RC_OK)
		answered(x);
	else
		fail(x, e.text);
	return false;
}

static void on_ready(struct loop *l, struct watch *w, short revents)
{
	struct errand *x = w->context;

	(void)l;
	(void)revents;
	ERR_clear_error();
	if (x->state == ERRAND_HELLO && !hello(x))
		return;
	if (x->state != ERRAND_ANSWER && !request_send(x))
		return;
	/* What TLS holds already no poll() tells of: to the end, which the answer's limits bound. */
	while (answer_read(x))
		;
}

void errand_connected(struct errand *x, int fd)
{
	if (x->state != ERRAND_CONNECT) {
		close(fd);
		return;
	}
	x->conn.fd = fd;
	x->conn.events = POLLOUT;
	x->state = ERRAND_HELLO;
	x->sent = 0;
	http_answer_begin(&x->answer);
	x->answer.to = x->to;
	x->answer.to_max = x->to_max;
	if (x->url.tls && !(x->ssl = trust_begin(x->trust, &x->url, true, x->has_key ? x->key : NULL, fd))) {
		fail(x, "TLS: out of memory");
		return;
	}
	loop_add(x->loop, &x->conn);
}

void errand_refused(struct errand *x, const char *why)
{
	if (x->state == ERRAND_CONNECT)
		address_failed(x, why);
}

void errand_names_socket(struct errand *x, int fd)
{
	lookup_server(&x->lookup, fd); /* closes it when nobody waits */
}

void errand_names_end(struct errand *x, bool any, const char *why)
{
	if (x->state != ERRAND_NAMES)
		return;
	if (any)
		lookup_ask(&x->lookup);
	else
		fail(x, why);
}

void errand_begin(struct errand *x, SSL_CTX *trust, const char *at, const void *body, size_t body_n)
{
	uint16_t ids[2];

	x->trust = trust;
	x->why[0] = '\0';
	x->next = x->addrs_n = 0;
	loop_arm(x->loop, &x->deadline, x->wait ? x->wait : ERRAND_WAIT_NS, 0);
	x->request_n = http_request_text(
		x->request, sizeof x->request, &x->url, at, x->type ? x->type : "text/plain", body, body_n);
	if (x->request_n == 0) {
		fail(x, "the request is too long");
	} else if (x->url.address.family != ADDR_NONE) {
		x->addrs[x->addrs_n++] = x->url.address;
		address_next(x);
	} else if (getrandom(ids, sizeof ids, GRND_NONBLOCK) != sizeof ids) {
		fail(x, "the kernel has no random numbers yet");
	} else {
		x->state = ERRAND_NAMES;
		lookup_begin(&x->lookup, x->url.host, ids, false);
		if (!x->ops->names(x))
			fail(x, "the request could not be sent to the supervisor");
	}
}

void errand_init(struct errand *x, struct loop *l, const struct errand_ops *ops, void *context)
{
	*x = (struct errand){ .loop = l, .ops = ops, .context = context };
	x->conn = (struct watch){ .fd = -1, .fn = on_ready, .context = x };
	x->deadline = (struct timer){ .fn = on_deadline, .context = x };
	x->attempt = (struct timer){ .fn = on_attempt, .context = x };
	lookup_init(&x->lookup, l, on_lookup, x);
}
