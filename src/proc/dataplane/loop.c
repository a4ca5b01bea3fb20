/*
 * The loop: bursts from every input that has packets, and between them the messages of other processes. An
 * input that delivered something is read again without a poll; one that delivered nothing waits until poll()
 * reports it. With nothing to do the process sleeps.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/rule_log.h"
#include "proc/dataplane/limits.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define ROUNDS_PER_POLL 8
#define EXPIRE_BUDGET	512
/* records of each round: of what a commit leaves, and of `clear sessions`; half a millisecond if all end */
#define SWEEP_BUDGET	512
#define POLL_MAX	(LINKS_MAX + 8 + PROC_COUNT)

/* What can bring packets. */
enum input { IN_UDP4, IN_UDP6, IN_ESP4, IN_ESP6, IN_HOST, IN_ROUTES, IN_LINKS };

bool dataplane_init(struct dataplane *d, int supervisor_fd)
{
	uint8_t key[16];

	d->state_fd = d->route_fd = d->pending.fd = -1;
	struct worker *w = calloc(1, sizeof *w);
	if (!w || getrandom(key, sizeof key, 0) != sizeof key || !worker_init(w, d, 0, key)) {
		free(w);
		return false;
	}
	d->workers[d->workers_n++] = w;
	child_init(&d->child, PROC_DATAPLANE, &dataplane_ops, d, 0, supervisor_fd);
	return true;
}

void dataplane_done(struct dataplane *d)
{
	int *fds[] = { &d->route_fd, &d->pending.fd };

	for (uint32_t i = 0; i < d->workers_n; i++)
		worker_done(d->workers[i]);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	memory_detach(d);
	while (d->workers_n > 0)
		free(d->workers[--d->workers_n]);
	route_free(d->routes);
	route_free(d->routes_next);
}

static void log_rules(struct worker *w)
{
	struct fw_log l;
	char text[RULE_LOG_TEXT_MAX];

	while (fw_log_next(w->fw, &l))
		log_record(rule_log_text(text, &l));
}

/* What the kernel dropped at a socket since the last call. */
static void kernel_drops_count(struct worker *w, int fd, uint32_t *seen)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t n = sizeof info;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &n) < 0)
		return;
	uint32_t drops = info[SK_MEMINFO_DROPS];
	pipeline_count_drop(&w->pipeline, DROP_RX_OVERFLOW, drops >= *seen ? drops - *seen : drops);
	*seen = drops;
}

static void overload_second(struct worker *w)
{
	const int fds[COUNT_OF(w->kernel_drops)] = { w->udp4, w->udp6, w->esp4, w->esp6 };

	for (size_t i = 0; i < COUNT_OF(fds); i++)
		kernel_drops_count(w, fds[i], &w->kernel_drops[i]);
	for (uint32_t i = 0; i < w->links_n; i++)
		kernel_drops_count(w, w->links[i]->fd, &w->links[i]->kernel_drops);
}

/* Returns the time until something is due, in ms. */
static int timers(struct dataplane *d)
{
	struct worker *w = d->workers[0];
	mono_ns now = clock_mono();

	if (!dataplane_ready(d))
		return LOOP_WAIT_MS_MAX;
	log_rules(w);
	filters_refresh(w);
	bool swept = fw_sweep(w->fw, now, SWEEP_BUDGET);
	bool cleared = control_clear(d, SWEEP_BUDGET);
	bool surveyed = show_survey_piece(d, SWEEP_BUDGET);
	if (now >= w->next_expiry)
		w->next_expiry = fw_expire(w->fw, now, EXPIRE_BUDGET);
	if (now >= d->next_second) {
		d->next_second = now + NS_PER_S;
		control_report_usage(d);
		overload_second(w);
		routes_second(d);
		pipeline_tick(&w->pipeline, now);
		pipeline_announce(&w->pipeline, now);
	}
	mono_ns next = MIN_OF(d->next_second, w->next_expiry);
	if (!swept || !cleared || !surveyed || next <= now)
		return 0;
	return (int)MIN_OF((next - now) / NS_PER_MS + 1, (mono_ns)LOOP_WAIT_MS_MAX);
}

static uint32_t input_run(struct dataplane *d, uint32_t input)
{
	struct worker *w = d->workers[0];

	switch (input) {
	case IN_UDP4:
		return tunnel_receive_udp(w, w->udp4);
	case IN_UDP6:
		return tunnel_receive_udp(w, w->udp6);
	case IN_ESP4:
		return tunnel_receive_esp(w, w->esp4, ADDR_V4);
	case IN_ESP6:
		return tunnel_receive_esp(w, w->esp6, ADDR_V6);
	case IN_HOST:
		return host_receive(w);
	case IN_ROUTES:
		return routes_receive(d);
	default:
		return input - IN_LINKS < w->links_n ? link_receive(w, w->links[input - IN_LINKS]) : 0;
	}
}

static int input_fd(const struct dataplane *d, uint32_t input)
{
	const struct worker *w = d->workers[0];
	const int fds[] = { w->udp4, w->udp6, w->esp4, w->esp6, w->tun, d->route_fd };

	/* Without a configuration nothing can be decided: packets wait in their sockets, which drop what
	 * exceeds their buffers. */
	if (input != IN_ROUTES && (!dataplane_ready(d) || !w->pipeline.snapshot))
		return -1;
	return input < IN_LINKS ? fds[input] : w->links[input - IN_LINKS]->fd;
}

/* Sleeps for at most wait_ms; marks inputs that have something to read and handles messages of the other
 * processes. */
static void poll_inputs(struct dataplane *d, int wait_ms, bool active[IN_LINKS + LINKS_MAX])
{
	struct pollfd p[POLL_MAX];
	uint32_t inputs = IN_LINKS + d->workers[0]->links_n, n = 0, control_from;
	bool control = false;
	struct err e = { 0 };

	for (uint32_t i = 0; i < inputs; i++)
		p[n++] = (struct pollfd){ .fd = active[i] ? -1 : input_fd(d, i), .events = POLLIN };
	control_from = n;
	for (int i = 0; i < PROC_COUNT; i++) {
		const struct ipc_link *l = child_link(&d->child, (enum proc)i);
		p[n++] = (struct pollfd){ .fd = l->fd,
			.events = (short)(POLLIN | (ipc_link_waiting(l) ? POLLOUT : 0)) };
	}
	assert(n <= POLL_MAX);
	if (poll(p, n, wait_ms) < 0 && errno != EINTR)
		log_error("poll the data plane's inputs: %m");
	for (uint32_t i = 0; i < inputs; i++)
		active[i] |= p[i].fd >= 0 && p[i].revents != 0;
	for (uint32_t i = control_from; i < n; i++)
		control |= p[i].revents != 0;
	/* The child's own timers are slow: it is enough to run them when the loop is idle. */
	if (control || wait_ms > 0)
		if (loop_once(&d->child.loop, 0, &e) != RC_OK)
			log_error("%s", e.text);
}

int dataplane_run(struct dataplane *d)
{
	static bool active[IN_LINKS + LINKS_MAX];
	struct worker *w = d->workers[0];

	for (uint32_t round = 0; !d->child.loop.stop; round++) {
		uint32_t links_n = w->links_n;
		bool any = false;
		for (uint32_t i = 0; i < IN_LINKS + w->links_n; i++) {
			if (!active[i])
				continue;
			active[i] = input_fd(d, i) >= 0 && input_run(d, i) > 0;
			any |= active[i];
		}
		if (any && round % ROUNDS_PER_POLL != 0)
			continue;
		int wait_ms = timers(d);
		poll_inputs(d, any ? 0 : wait_ms, active);
		if (links_n != w->links_n) /* inputs have other numbers now: try all */
			memset(active, 1, sizeof active);
	}
	if (d->started)
		links_flush(w);
	int status = d->child.status;
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&d->child.ports[i]);
	loop_done(&d->child.loop);
	return status;
}
