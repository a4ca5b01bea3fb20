/* sshd's log: attempts that failed are summed and entered, errors go to the log of the gateway; the rest is thrown away. */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/ssh/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void failure_enter(struct ssh *s, const struct failure *f)
{
	static struct ledger_body b;

	ledger_body_begin(&b, LEDGER_ADMIN_FAILED);
	ledger_body_u64(&b, "count", f->count);
	ledger_body_str(&b, "key", f->key);
	ledger_body_str(&b, "name", f->name);
	ledger_body_str(&b, "reason", failure_text(f->kind));
	ledger_body_str(&b, "source", f->source);
	size_t n = ledger_body_done(&b);
	if (n > 0)
		child_append(s->child, LEDGER_ASYNC, LEDGER_ADMIN_FAILED, b.text, n, NULL, 0);
}

void ssh_failures_enter(struct ssh *s)
{
	struct failure f;

	while (failures_next(&s->failures, &f, s->child->loop.now))
		failure_enter(s, &f);
}

static void line_take(struct ssh *s, const char *line, size_t n)
{
	struct failure f;

	while (n > 0 && line[n - 1] == '\r')
		n--;
	if (failure_read(&f, line, n)) {
		failures_add(&s->failures, &f, s->child->loop.now);
		ssh_failures_enter(s);
	} else if ((n > 6 && memcmp(line, "error:", 6) == 0) || (n > 6 && memcmp(line, "fatal:", 6) == 0)) {
		snprintf(s->last, sizeof s->last, "%.*s", (int)MIN_OF(n, sizeof s->last - 1), line);
		log_warn("sshd: %s", s->last);
	}
}

static void lines_take(struct ssh *s)
{
	char *at = s->log_text, *end;

	while ((end = memchr(at, '\n', s->log_n - (size_t)(at - s->log_text)))) {
		line_take(s, at, (size_t)(end - at));
		at = end + 1;
	}
	s->log_n -= (size_t)(at - s->log_text);
	memmove(s->log_text, at, s->log_n);
	if (s->log_n == sizeof s->log_text) /* longer than any of sshd's lines */
		s->log_n = 0;
}

static void on_log(struct loop *l, struct watch *w, short revents)
{
	struct ssh *s = w->context;
	ssize_t n = read(w->fd, s->log_text + s->log_n, sizeof s->log_text - s->log_n);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		s->log_n += (size_t)n;
		lines_take(s);
		return;
	}
	/* Nobody is left who could write: sshd is gone, and the kernel has ended what it started. */
	loop_remove(l, w);
	log_error("sshd has ended%s%s", s->last[0] ? ": " : "", s->last);
	child_stop(s->child, 1);
}

void ssh_log_follow(struct ssh *s)
{
	fcntl(s->log_fd, F_SETFL, O_NONBLOCK);
	s->log = (struct watch){ .fd = s->log_fd, .events = POLLIN, .fn = on_log, .context = s };
	loop_add(&s->child->loop, &s->log);
}
