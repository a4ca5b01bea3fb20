/*
 * The loop: bursts from every input that has packets, and between them the messages of other processes. An
 * input that delivered something (a link: more than a few) is read again without a poll; another one waits until poll()
 * reports it. With nothing to do the process sleeps.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/limits.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define ROUNDS_PER_POLL 8
#define LOAD_BUDGET	4096 /* edges of rules: a fraction of a millisecond */
#define CLEAR_BUDGET	512  /* records of each round; half a millisecond if all end */
#define INPUTS_MAX	(IN_LINKS + LINKS_MAX + TUNNEL_DEVICES_MAX)
#define POLL_MAX	(INPUTS_MAX + 1 + PROC_COUNT)

/* What can bring packets. */
enum input {
	IN_TUNNELS,
	IN_HOST = IN_TUNNELS + TUNNEL_INPUTS,
	IN_ROUTES,
	IN_LINKS
}; /* behind the links, interfaces of tunnels */

static const struct pipeline_io worker_io = { .link_send = link_send,
	.tunnel_send = tunnel_send,
	.host_send = host_send,
	.flush = links_flush,
	.solicit = control_solicit,
	.acquire = control_acquire,
	.trace_line = control_trace_line,
	.home = worker_home,
	.hand_over = worker_hand_over,
	.note = worker_firewall_note };

bool dataplane_init(struct dataplane *d, int supervisor_fd)
{
	d->state_fd = d->route_fd = d->pending.fd = -1;
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		d->wake_fds[i] = -1;
	memset(d->tunnel_fds, 0xff, sizeof d->tunnel_fds);
	carry_maps_init(&d->carry);
	d->io = &worker_io;
	d->note = control_note;
	d->sealed = tunnel_handed;
	d->tunnel_receive = tunnel_receive;
	d->workers[0] = worker_new(d, 0);
	if (!d->workers[0] || !uplinks_init(d))
		return false;
	d->workers_n = d->workers_wanted = 1;
	pause_init(&d->pause, threads_wake_all, d);
	child_init(&d->child, PROC_DATAPLANE, &dataplane_ops, d, 0, supervisor_fd);
	return true;
}

void dataplane_done(struct dataplane *d)
{
	int *fds[] = { &d->route_fd, &d->pending.fd };

	workers_done(d);
	carry_maps_done(&d->carry);
	pause_done(&d->pause);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	route_free(d->routes);
	route_free(d->routes_next);
	route_free(d->routes_gone);
}

/* Of all workers' tables, while none of them changes. */
static uint64_t tables_aging(const struct dataplane *d)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < d->workers_n; i++)
		n += fw_counters(d->workers[i]->fw)->aging_now;
	return n;
}

static void aging_log(struct dataplane *d, bool aging)
{
	if (aging && !d->aging_logged)
		log_warn(
			"the session table has reached its high watermark: idle sessions end after early-ageout now");
	else if (!aging && d->aging_logged)
		log_info("the session table is down to its low watermark: early ageing has ended");
	d->aging_logged = aging;
}

static void adoption_log(struct dataplane *d)
{
	uint64_t left = 0, now = 0, discarded = 0;

	if (!d->resumed || d->adoption_logged)
		return;
	for (uint32_t i = 0; i < d->workers_n; i++) {
		const struct fw_counters *c = fw_counters(d->workers[i]->fw);
		left += c->adoption_left;
		now += c->sessions_now;
		discarded += c->records_discarded;
	}
	if (left > 0)
		return;
	d->adoption_logged = true;
	log_info(
		"the sessions of the data plane before this one are adopted: the table has %llu, and %llu records were unsound",
		(unsigned long long)now, (unsigned long long)discarded);
}

/* What the main thread does once a second for all of them. */
static void process_second(struct dataplane *d)
{
	d->usage_round++;
	control_report_usage(d);
	schedules_second(d);
	pipeline_announce(&d->workers[0]->pipeline, clock_mono());
	pause_begin(&d->pause);
	routes_second(d);
	uplinks_second(d);
	workers_carry_check(d);
	bool aging = tables_aging(d) > 0;
	adoption_log(d);
	pause_end(&d->pause);
	aging_log(d, aging);
}

/* What ike should hear before the next second; returns when there is more of it. */
static mono_ns reports_run(struct dataplane *d, mono_ns now)
{
	if (d->report_at != 0 && now >= d->report_at) {
		control_report_usage(d);
		d->report_at = d->report_again;
		d->report_again = 0;
	}
	return d->report_at != 0 ? d->report_at : UINT64_MAX;
}

/* A piece of it, of all workers' sessions; true: no more. */
static bool clear_some(struct dataplane *d)
{
	if (d->clears_n == 0)
		return true;
	pause_begin(&d->pause);
	bool cleared = control_clear(d, CLEAR_BUDGET);
	pause_end(&d->pause);
	return cleared;
}

/* The same of sums over them. */
static bool survey_some(struct dataplane *d)
{
	if (d->surveys_n == 0)
		return true;
	pause_begin(&d->pause);
	bool surveyed = show_survey_piece(d, CLEAR_BUDGET);
	pause_end(&d->pause);
	return surveyed;
}

/* Returns the time until something is due, in ms. */
static int timers(struct dataplane *d)
{
	mono_ns now = clock_mono();

	if (!dataplane_ready(d))
		return LOOP_WAIT_MS_MAX;
	worker_round_ends(d->workers[0], now);
	mono_ns next = worker_timers(d->workers[0], now);
	bool loaded = control_load(d, LOAD_BUDGET) && schedules_load(d, LOAD_BUDGET), cleared = clear_some(d),
	     surveyed = survey_some(d);
	control_sas_go(d, now);
	bool freed = routes_free_some(d);
	control_trace_end(d);
	devices_carry(d);
	if (now >= d->next_second) {
		d->next_second = now + NS_PER_S;
		process_second(d);
	}
	worker_wake_given(d->workers[0]);
	next = MIN_OF(MIN_OF(d->next_second, uplinks_run(d)), next);
	next = MIN_OF(reports_run(d, clock_mono()), next);
	next = MIN_OF(tunnels_steer(d, clock_mono()), next);
	if (!loaded || !cleared || !surveyed || !freed || next <= now)
		return 0;
	return (int)MIN_OF((next - now) / NS_PER_MS + 1, (mono_ns)LOOP_WAIT_MS_MAX);
}

static uint32_t routes_run(struct dataplane *d)
{
	pause_begin(&d->pause);
	uint32_t n = routes_receive(d);
	workers_carry_check(d);
	pause_end(&d->pause);
	routes_ahead(d);
	return n;
}

static uint32_t input_run(struct dataplane *d, uint32_t input)
{
	struct worker *w = d->workers[0];

	if (input < IN_HOST)
		return tunnel_receive(w, (enum tunnel_input)(input - IN_TUNNELS));
	if (input == IN_HOST)
		return host_receive(w);
	if (input == IN_ROUTES)
		return routes_run(d);
	uint32_t i = input - IN_LINKS;
	if (i < w->links_n)
		return link_receive(w, w->links[i]);
	return i - w->links_n < d->devices_n ? device_receive(w, &d->devices[i - w->links_n]) : 0;
}

static uint32_t inputs_now(const struct dataplane *d)
{
	return IN_LINKS + d->workers[0]->links_n + d->devices_n;
}

static int input_fd(const struct dataplane *d, uint32_t input)
{
	const struct worker *w = d->workers[0];
	/* Without a configuration nothing can be decided: packets wait in their sockets, which drop what
	 * exceeds their buffers. */
	if (input != IN_ROUTES && (!dataplane_ready(d) || !w->pipeline.snapshot))
		return -1;
	if (input < IN_HOST)
		return tunnel_fd(w, (enum tunnel_input)(input - IN_TUNNELS));
	if (input < IN_LINKS)
		return input == IN_HOST ? w->tun : d->route_fd;
	if (input - IN_LINKS >= w->links_n) {
		const struct tunnel_device *device = &d->devices[input - IN_LINKS - w->links_n];
		return device->gone ? -1 : device->fd;
	}
	return w->links[input - IN_LINKS]->reads ? w->links[input - IN_LINKS]->fd : -1;
}

/* Messages of the other processes, which may change anything: no worker is in a burst meanwhile. The child's own timers
 * are slow: it is enough to run them when the loop is idle, and not each time that it has nothing to do between two
 * packets, because each time stops all workers. */
static void messages_run(struct dataplane *d)
{
	struct err e = { 0 };

	pause_begin(&d->pause);
	if (loop_once(&d->child.loop, 0, &e) != RC_OK)
		log_error("%s", e.text);
	workers_carry_check(d);
	pause_end(&d->pause);
	d->messages_at = clock_mono() + MESSAGES_EVERY;
}

/* As the configuration wants it. */
static void workers_follow(struct dataplane *d)
{
	struct err e = { 0 };

	if (!d->started || d->workers_wanted == d->workers_n || d->child.loop.stop)
		return;
	if (workers_set(d, d->workers_wanted, &e) == RC_OK) {
		control_snapshot_taken(d);
		return;
	}
	/* With fewer than its sessions and sockets belong to it must not run; the supervisor starts it again. */
	log_error("%s; while changing the number of workers", e.text);
	child_stop(&d->child, 1);
}

/* Sleeps, if nothing has come by the rings, for at most wait_ms. */
static void inputs_wait(struct dataplane *d, struct pollfd *p, uint32_t n, int wait_ms)
{
	struct ring_sleeper *sleeper = &d->sleepers[0];
	uint64_t woken;

	ring_sleep_begin(sleeper);
	if (!rings_are_empty(&d->rings, 0))
		wait_ms = 0;
	if (poll(p, n, wait_ms) < 0 && errno != EINTR)
		log_error("poll the data plane's inputs: %m");
	ring_sleep_end(sleeper);
	worker_woke(d->workers[0]);
	if (p[0].revents && read(p[0].fd, &woken, sizeof woken) < 0 && errno != EAGAIN)
		log_error("read the event of the data plane's first worker: %m");
}

/* Sleeps for at most wait_ms; marks inputs that have something to read and handles messages of the other
 * processes. */
static void poll_inputs(struct dataplane *d, int wait_ms, bool active[INPUTS_MAX])
{
	struct pollfd p[POLL_MAX];
	uint32_t inputs = inputs_now(d), n = 0, inputs_from, control_from;
	bool control = false;

	p[n++] = (struct pollfd){ .fd = d->wake_fds[0], .events = POLLIN };
	inputs_from = n;
	for (uint32_t i = 0; i < inputs; i++)
		p[n++] = (struct pollfd){ .fd = active[i] ? -1 : input_fd(d, i), .events = POLLIN };
	control_from = n;
	for (int i = 0; i < PROC_COUNT; i++) {
		const struct ipc_link *l = child_link(&d->child, (enum proc)i);
		p[n++] = (struct pollfd){ .fd = d->child.ports[i].held && !ipc_link_waiting(l) ? -1 : l->fd,
			.events = (short)((d->child.ports[i].held ? 0 : POLLIN) |
					  (ipc_link_waiting(l) ? POLLOUT : 0)) };
	}
	assert(n <= POLL_MAX);
	inputs_wait(d, p, n, wait_ms);
	for (uint32_t i = 0; i < inputs; i++) {
		const struct pollfd *in = &p[inputs_from + i];
		active[i] |= in->fd >= 0 && in->revents != 0;
		/* Of one that was removed poll() would say so without end. */
		if (i >= IN_LINKS + d->workers[0]->links_n && in->fd >= 0 && in->revents & POLLERR)
			device_gone(&d->devices[i - IN_LINKS - d->workers[0]->links_n]);
	}
	for (uint32_t i = control_from; i < n; i++)
		control |= p[i].revents != 0;
	if (control || (wait_ms > 0 && clock_mono() >= d->messages_at))
		messages_run(d);
	workers_follow(d);
}

/* What other workers have given to the first one, then its own inputs. */
static bool inputs_run(struct dataplane *d, bool active[INPUTS_MAX])
{
	struct worker *w = d->workers[0];
	bool any = d->workers_n > 1 && worker_rings_run(w) > 0;

	for (uint32_t i = 0; i < inputs_now(d); i++) {
		if (!active[i])
			continue;
		uint32_t n = input_fd(d, i) >= 0 ? input_run(d, i) : 0;
		active[i] = n > (i >= IN_LINKS && i - IN_LINKS < w->links_n ? RX_FEW : 0);
		any |= n > 0;
	}
	worker_wake_given(w);
	return any;
}

int dataplane_run(struct dataplane *d)
{
	static bool active[INPUTS_MAX];
	struct worker *w = d->workers[0];

	for (uint32_t round = 0; !d->child.loop.stop; round++) {
		bool any = inputs_run(d, active);
		if (any && round % ROUNDS_PER_POLL != 0)
			continue;
		int wait_ms = timers(d);
		poll_inputs(d, any ? 0 : wait_ms, active);
		if (w->links_changed) /* inputs have other numbers now: try all */
			memset(active, 1, sizeof active);
		w->links_changed = false;
	}
	threads_stop(d);
	if (d->started)
		links_flush(w);
	int status = d->child.status;
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&d->child.ports[i]);
	loop_done(&d->child.loop);
	return status;
}
