#include "ipc/loop.h"
#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

void loop_init(struct loop *l)
{
	*l = (struct loop){ .now = clock_mono() };
}

void loop_done(struct loop *l)
{
	while (l->first)
		loop_remove(l, l->first);
	while (l->timers)
		loop_disarm(l, l->timers);
	free(l->polled);
	free(l->polled_watches);
	*l = (struct loop){ 0 };
}

void loop_add(struct loop *l, struct watch *w)
{
	assert(w->fn);
	if (w->added)
		return;
	w->added = true;
	w->next = NULL;
	w->prev = l->last;
	if (l->last)
		l->last->next = w;
	else
		l->first = w;
	l->last = w;
}

void loop_remove(struct loop *l, struct watch *w)
{
	if (!w->added)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		l->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		l->last = w->prev;
	w->prev = w->next = NULL;
	w->added = false;
	/* Its owner may be gone when this round's results are walked. */
	for (size_t i = 0; i < l->polled_n; i++)
		if (l->polled_watches[i] == w)
			l->polled_watches[i] = NULL;
}

static void timer_insert(struct loop *l, struct timer *t)
{
	struct timer **at = &l->timers;

	while (*at && (*at)->at <= t->at)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	t->armed = true;
}

void loop_arm(struct loop *l, struct timer *t, mono_ns after, mono_ns period)
{
	assert(t->fn);
	loop_disarm(l, t);
	t->at = l->now + after;
	t->period = period;
	timer_insert(l, t);
}

void loop_disarm(struct loop *l, struct timer *t)
{
	if (!t->armed)
		return;
	for (struct timer **at = &l->timers; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	t->next = NULL;
	t->armed = false;
}

/* Timers that were due when the round began; one armed meanwhile waits for the next round, so that none
 * starves the files. */
static void run_timers(struct loop *l)
{
	size_t due = 0;

	for (struct timer *t = l->timers; t && t->at <= l->now; t = t->next)
		due++;
	while (due-- > 0 && l->timers && l->timers->at <= l->now && !l->stop) {
		struct timer *t = l->timers;
		mono_ns at = t->at;
		loop_disarm(l, t);
		if (t->period) {
			/* Late by several periods: skip those, keep the rhythm. */
			t->at = at + t->period * ((l->now - at) / t->period + 1);
			timer_insert(l, t);
		}
		t->fn(l, t);
	}
}

static enum rc grow(struct loop *l, size_t n)
{
	size_t size = l->polled_size ? l->polled_size : 16;

	while (size < n)
		size *= 2;
	if (size == l->polled_size)
		return RC_OK;
	struct pollfd *p = realloc(l->polled, size * sizeof *p);
	if (p)
		l->polled = p;
	struct watch **w = realloc(l->polled_watches, size * sizeof(struct watch *));
	if (w)
		l->polled_watches = w;
	if (!p || !w)
		return RC_LIMIT;
	l->polled_size = size;
	return RC_OK;
}

static enum rc collect(struct loop *l)
{
	size_t n = 0;

	for (struct watch *w = l->first; w; w = w->next)
		n++;
	if (grow(l, n) != RC_OK)
		return RC_LIMIT;
	n = 0;
	for (struct watch *w = l->first; w; w = w->next) {
		if (w->want)
			w->events = w->want(w);
		l->polled[n] = (struct pollfd){ .fd = w->fd, .events = w->events };
		l->polled_watches[n] = w;
		n++;
	}
	l->polled_n = n;
	return RC_OK;
}

enum rc loop_once(struct loop *l, mono_ns max_wait, struct err *e)
{
	mono_ns now = clock_mono(), wait = max_wait;

	if (collect(l) != RC_OK)
		return err_add(e, RC_LIMIT, "event loop: out of memory for the list of files");
	if (l->timers)
		wait = l->timers->at <= now ? 0 : MIN_OF(l->timers->at - now, wait);
	struct timespec ts = { .tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S) };
	int n = ppoll(l->polled, l->polled_n, wait == UINT64_MAX ? NULL : &ts, NULL);
	if (n < 0 && errno != EINTR)
		return err_errno(e, RC_IO, "event loop: poll");
	l->now = clock_mono();
	run_timers(l);
	for (size_t i = 0; n > 0 && i < l->polled_n && !l->stop; i++) {
		struct watch *w = l->polled_watches[i];
		if (w && l->polled[i].revents)
			w->fn(l, w, l->polled[i].revents);
	}
	l->polled_n = 0;
	return RC_OK;
}

enum rc loop_run(struct loop *l, struct err *e)
{
	enum rc rc = RC_OK;

	while (!l->stop && rc == RC_OK)
		rc = loop_once(l, UINT64_MAX, e);
	return rc;
}
