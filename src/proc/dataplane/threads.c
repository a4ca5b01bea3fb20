/*
 * The threads of all workers but the first. Each runs bursts from the rings and from its sockets of links and tunnels, and sleeps
 * when there are none; between two rounds it parks if the main thread has begun a pause. Notes are read
 * behind the receipt of each burst and before its run (rings.h): what another worker has noted is known before packets that may need it.
 *
 * None of them may end by itself: a fault in one is a signal, or a call outside of the sandbox, and ends the process,
 * as with one worker. Nothing is forwarded then, and the supervisor starts the process again.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUNDS_PER_POLL 8
#define INPUTS		(TUNNEL_INPUTS + LINKS_MAX) /* sockets of tunnels, then links */

static int input_fd(const struct worker *w, uint32_t input)
{
	if (input < TUNNEL_INPUTS)
		return tunnel_fd(w, (enum tunnel_input)input);
	const struct link_io *l = w->links[input - TUNNEL_INPUTS];
	return l->reads ? l->fd : -1;
}

static bool is_stopped(const struct dataplane *d)
{
	return __atomic_load_n(&d->threads_stop, __ATOMIC_ACQUIRE) != 0;
}

/* Sleeps for at most wait_ms, and not at all when there is something in the rings or to park for; marks inputs that
 * have something to read. */
static void poll_inputs(struct worker *w, int wait_ms, bool active[INPUTS])
{
	struct dataplane *d = w->dataplane;
	struct ring_sleeper *sleeper = &d->sleepers[w->index];
	uint32_t inputs = TUNNEL_INPUTS + w->links_n;
	struct pollfd p[1 + INPUTS];
	uint64_t woken;

	p[0] = (struct pollfd){ .fd = d->wake_fds[w->index], .events = POLLIN };
	for (uint32_t i = 0; i < inputs; i++)
		p[1 + i] = (struct pollfd){ .fd = active[i] ? -1 : input_fd(w, i), .events = POLLIN };
	ring_sleep_begin(sleeper);
	if (pause_wanted(&d->pause) || is_stopped(d) || !rings_are_empty(&d->rings, w->index))
		wait_ms = 0;
	if (poll(p, 1 + inputs, wait_ms) < 0 && errno != EINTR)
		log_error("poll the inputs of worker %u of the data plane: %m", w->index);
	ring_sleep_end(sleeper);
	worker_woke(w);
	if (p[0].revents && read(p[0].fd, &woken, sizeof woken) < 0 && errno != EAGAIN)
		log_error("read the event of worker %u of the data plane: %m", w->index);
	for (uint32_t i = 0; i < inputs; i++)
		active[i] |= p[1 + i].fd >= 0 && p[1 + i].revents != 0;
}

static uint32_t input_run(struct worker *w, uint32_t input)
{
	if (input_fd(w, input) < 0)
		return 0;
	return input < TUNNEL_INPUTS ? w->dataplane->tunnel_receive(w, (enum tunnel_input)input)
				     : link_receive(w, w->links[input - TUNNEL_INPUTS]);
}

/* One round: true when there was something. */
static bool round_run(struct worker *w, bool active[INPUTS])
{
	bool any = worker_rings_run(w) > 0;

	for (uint32_t i = 0; i < TUNNEL_INPUTS + w->links_n; i++) {
		if (!active[i])
			continue;
		uint32_t n = input_run(w, i);
		active[i] = n > (i >= TUNNEL_INPUTS ? RX_FEW : 0);
		any |= n > 0;
	}
	worker_wake_given(w);
	return any;
}

static int timers_run(struct worker *w)
{
	mono_ns now = clock_mono(), next = worker_timers(w, now);

	worker_round_ends(w, now);
	worker_wake_given(w);
	if (next <= now)
		return 0;
	return (int)MIN_OF((next - now) / NS_PER_MS + 1, (mono_ns)LOOP_WAIT_MS_MAX);
}

static void *thread_run(void *context)
{
	struct worker *w = context;
	struct dataplane *d = w->dataplane;
	bool active[INPUTS] = { false };

	pause_join(&d->pause);
	for (uint32_t round = 0; !is_stopped(d); round++) {
		if (pause_wanted(&d->pause))
			pause_park(&d->pause);
		if (w->links_changed) /* inputs have other numbers now: try all */
			memset(active, 1, sizeof active);
		w->links_changed = false;
		/* Without a configuration nothing can be decided: packets wait in their sockets. */
		bool ready = w->pipeline.snapshot != NULL;
		bool any = ready && round_run(w, active);
		if (any && round % ROUNDS_PER_POLL != 0)
			continue;
		int wait_ms = ready ? timers_run(w) : LOOP_WAIT_MS_MAX;
		poll_inputs(w, any ? 0 : wait_ms, active);
	}
	pause_leave(&d->pause);
	return NULL;
}

void threads_wake_all(void *context)
{
	struct dataplane *d = context;

	for (uint32_t i = 1; i < d->workers_n; i++)
		worker_wake(d->workers[i]);
}

static enum rc thread_start(struct dataplane *d, uint32_t i, struct err *e)
{
	sigset_t all, before;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&d->threads[i], NULL, thread_run, d->workers[i]);
	int failed = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = failed;
	return failed ? err_errno(e, RC_LIMIT, "start worker %u of the data plane", i) : RC_OK;
}

bool thread_run_once(void *(*run)(void *context), void *context)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool begun = pthread_create(&thread, &attributes, run, context) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return begun;
}

enum rc threads_start(struct dataplane *d, struct err *e)
{
	enum rc rc = RC_OK;

	assert(!d->threads_run);
	if (d->workers_n == 1)
		return RC_OK;
	for (uint32_t i = 0; i < d->workers_n; i++) {
		d->sleepers[i].asleep = 0;
		d->wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->wake_fds[i] < 0)
			return err_errno(e, RC_LIMIT, "make an eventfd for worker %u of the data plane", i);
	}
	__atomic_store_n(&d->threads_stop, 0, __ATOMIC_RELEASE);
	d->threads_run = true;
	for (uint32_t i = 1; i < d->workers_n && rc == RC_OK; i++)
		rc = thread_start(d, i, e);
	return rc;
}

void threads_stop(struct dataplane *d)
{
	__atomic_store_n(&d->threads_stop, 1, __ATOMIC_RELEASE);
	if (d->threads_run) {
		threads_wake_all(d);
		for (uint32_t i = 1; i < d->workers_n; i++)
			pthread_join(d->threads[i], NULL);
	}
	d->threads_run = false;
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		if (d->wake_fds[i] >= 0)
			close(d->wake_fds[i]);
		d->wake_fds[i] = -1;
	}
}
