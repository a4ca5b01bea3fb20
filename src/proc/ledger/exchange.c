#include "proc/ledger/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void exchange_stop(struct exchange *x)
{
	loop_remove(x->loop, &x->watch);
	loop_disarm(x->loop, &x->deadline);
	if (x->watch.fd >= 0)
		close(x->watch.fd);
	x->watch.fd = -1;
	x->tag = 0;
}

void exchange_fail(struct exchange *x, const char *why)
{
	if (x->tag == 0)
		return;
	exchange_stop(x);
	x->done(x, 0, NULL, 0, why);
}

static void answered(struct exchange *x)
{
	exchange_stop(x);
	x->retry_s = x->answer.retry_after_s;
	x->done(x, x->answer.status, x->answer.body, x->answer.body_n, "");
}

void exchange_answered(struct exchange *x, int status, uint32_t retry_s, const void *body, size_t body_n)
{
	if (x->tag == 0)
		return;
	exchange_stop(x);
	x->retry_s = retry_s;
	x->done(x, status, body, body_n, "");
}

static void on_deadline(struct loop *l, struct timer *t)
{
	struct exchange *x = t->context;

	exchange_fail(x, x->sent > 0 ? "no answer in time" : "no connection in time");
	(void)l;
}

/* True: all of it is on its way. The first call finds out whether the connection came to be. */
static bool request_send(struct exchange *x)
{
	char why[128];

	while (x->sent < x->request_n) {
		ssize_t n = send(x->watch.fd, x->request + x->sent, x->request_n - x->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n < 0) {
			snprintf(why, sizeof why, "%s: %m", x->sent > 0 ? "send" : "connect");
			exchange_fail(x, why);
			return false;
		}
		x->sent += (size_t)n;
	}
	return true;
}

static void answer_receive(struct exchange *x)
{
	char why[128];
	uint8_t bytes[8192];
	struct err e = { 0 };
	size_t used;
	ssize_t n = read(x->watch.fd, bytes, sizeof bytes);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n < 0) {
		snprintf(why, sizeof why, "receive: %m");
		exchange_fail(x, why);
		return;
	}
	enum rc rc = n == 0 ? http_answer_end(&x->answer, &e)
			    : http_answer_feed(&x->answer, bytes, (size_t)n, &used, &e);
	if (rc == RC_OK)
		answered(x);
	else if (rc != RC_AGAIN)
		exchange_fail(x, e.text);
}

static void on_ready(struct loop *l, struct watch *w, short revents)
{
	struct exchange *x = w->context;

	if (x->sent < x->request_n) {
		if (request_send(x))
			w->events = POLLIN;
	} else {
		answer_receive(x);
	}
	(void)l;
	(void)revents;
}

void exchange_init(struct exchange *x, struct loop *l, exchange_fn *done, void *context)
{
	memset(x, 0, sizeof *x);
	x->loop = l;
	x->done = done;
	x->context = context;
	x->watch = (struct watch){ .fd = -1, .fn = on_ready, .context = x };
	x->deadline = (struct timer){ .fn = on_deadline, .context = x };
}

void exchange_begin(struct exchange *x, uint64_t tag, mono_ns wait)
{
	x->tag = tag;
	x->sent = 0;
	http_answer_begin(&x->answer);
	loop_arm(x->loop, &x->deadline, wait, 0);
}

void exchange_connected(struct exchange *x, int fd)
{
	if (x->tag == 0 || x->watch.fd >= 0) {
		close(fd);
		return;
	}
	x->watch.fd = fd;
	x->watch.events = POLLOUT;
	loop_add(x->loop, &x->watch);
}
