/*
 * A small event loop over poll(2), for every process but the data plane: files with callbacks, timers by
 * monotonic time, a stop flag. Watches and timers are embedded in their owners' structs, so nothing is
 * allocated per event.
 *
 * Order is deterministic: due timers first, by time and then by order of arming; then files in order of
 * adding. A callback may add and remove any watch or timer, its own included. One thread.
 */
#ifndef IPC_LOOP_H
#define IPC_LOOP_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct watch;
struct timer;

typedef void watch_fn(struct loop *l, struct watch *w, short revents);
typedef void timer_fn(struct loop *l, struct timer *t);

struct watch {
	int fd;
	short events;  /* POLLIN, POLLOUT; may be changed at any time */
	watch_fn *fn;  /* called with what poll() reported, POLLHUP and POLLERR included */
	void *context; /* the owner's */
	/* Optional: asked for the events before each poll(), for owners whose wish changes by itself. */
	short (*want)(struct watch *w);
	struct watch *prev, *next; /* the loop's */
	bool added;
};

struct timer {
	timer_fn *fn;
	void *context;
	mono_ns at;	/* when it is due */
	mono_ns period; /* 0: once */
	struct timer *next;
	bool armed;
};

struct loop {
	struct watch *first, *last;
	struct timer *timers; /* by time */
	bool stop;
	mono_ns now; /* when the current round began; callbacks use it as "now" */
	struct pollfd *polled;
	struct watch **polled_watches; /* NULL: removed during this round */
	size_t polled_n, polled_size;
};

void loop_init(struct loop *l);
void loop_done(struct loop *l); /* forgets all; files stay the owners' */

void loop_add(struct loop *l, struct watch *w);
void loop_remove(struct loop *l, struct watch *w); /* also when it was never added */

/* Arms for `after` from l->now, then every `period` (0: once). Arming an armed timer moves it. */
void loop_arm(struct loop *l, struct timer *t, mono_ns after, mono_ns period);
void loop_disarm(struct loop *l, struct timer *t);

/* Rounds until loop_stop(). */
enum rc loop_run(struct loop *l, struct err *e);

/* One round: waits for at most `max_wait` (UINT64_MAX: until something happens). For tests and for owners
 * with a loop of their own. */
enum rc loop_once(struct loop *l, mono_ns max_wait, struct err *e);

static inline void loop_stop(struct loop *l)
{
	l->stop = true;
}

#endif
