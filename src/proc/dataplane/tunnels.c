/*
 * The sockets of tunnels as the supervisor hands them over: of each kind one for each worker, so that most packets come
 * to the owner of their SA in the first place. A worker without a socket of its own sends by the first one's and reads
 * nothing: what is its own is handed over to it.
 *
 * UDP sockets are one group of the kernel's (SO_REUSEPORT), in which ike's is the second. Of raw sockets each gets a copy
 * of every packet, and a filter leaves the owner's.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/steer.h"

#include <netinet/in.h>
#include <unistd.h>

static bool is_raw(enum tunnel_input i)
{
	return i == TUNNEL_ESP4 || i == TUNNEL_ESP6;
}

/* So many workers have a socket: the first ones. */
static uint32_t sockets(const struct dataplane *d, enum tunnel_input i)
{
	uint32_t n = 0;

	while (n < d->workers_n && d->tunnel_fds[i][n] >= 0)
		n++;
	return n;
}

void tunnels_close(struct dataplane *d)
{
	for (uint32_t i = 0; i < TUNNEL_INPUTS; i++)
		for (uint32_t w = 0; w < WORKERS_MAX; w++) {
			if (d->tunnel_fds[i][w] >= 0)
				close(d->tunnel_fds[i][w]);
			d->tunnel_fds[i][w] = -1;
		}
}

/* ---- which packets come by which socket ---- */

static void program_load(int fd, int option, const struct sock_filter *code, uint32_t n)
{
	struct sock_fprog program = { (unsigned short)n, (struct sock_filter *)(uintptr_t)code };

	if (setsockopt(fd, SOL_SOCKET, option, &program, sizeof program) < 0)
		log_warn("load the program that divides ESP packets among workers: %m");
}

/* The first worker's is the first of the group, the others' follow ike's. */
static void group_steer(struct dataplane *d, enum tunnel_input i, uint32_t n)
{
	struct sock_filter code[STEER_PROGRAM_MAX];
	uint32_t value[WORKERS_MAX] = { 0 };

	for (uint32_t w = 1; w < n; w++)
		value[w] = w + 1;
	program_load(d->tunnel_fds[i][0], SO_ATTACH_REUSEPORT_CBPF, code,
		steer_program(d->esp, STEER_AT_SPI, value, code));
}

/* The others before the first: between the two, a packet comes twice rather than not at all, and the second is a replay. */
static void filters_steer(struct dataplane *d, enum tunnel_input i, uint32_t n)
{
	enum steer_at at = i == TUNNEL_ESP4 ? STEER_AT_IP4 : STEER_AT_SPI;
	struct sock_filter code[STEER_PROGRAM_MAX];

	for (uint32_t w = WORKERS_MAX; w-- > 0;) {
		uint32_t value[WORKERS_MAX] = { 0 };
		if (d->tunnel_fds[i][w] < 0)
			continue;
		if (w < n)
			value[w] = UINT32_MAX; /* octets that are kept */
		for (uint32_t other = n; w == 0 && other < WORKERS_MAX; other++)
			value[other] = UINT32_MAX;
		program_load(
			d->tunnel_fds[i][w], SO_ATTACH_FILTER, code, steer_program(d->esp, at, value, code));
	}
}

void tunnels_changed(struct dataplane *d)
{
	if (d->steer_at == 0)
		d->steer_at = d->steered + TUNNELS_STEER_INTERVAL;
}

static void steer(struct dataplane *d, mono_ns now)
{
	if (!d->esp)
		return;
	d->steered = now;
	d->steer_at = 0;
	for (uint32_t i = 0; i < TUNNEL_INPUTS; i++) {
		/* With one socket the supervisor's program stands, by which it gets all. */
		if (d->tunnel_fds[i][0] < 0 || d->tunnel_fds[i][1] < 0)
			continue;
		if (is_raw((enum tunnel_input)i))
			filters_steer(d, (enum tunnel_input)i, sockets(d, (enum tunnel_input)i));
		else
			group_steer(d, (enum tunnel_input)i, sockets(d, (enum tunnel_input)i));
	}
}

mono_ns tunnels_steer(struct dataplane *d, mono_ns now)
{
	if (d->steer_at == 0)
		return UINT64_MAX;
	if (now < d->steer_at)
		return d->steer_at;
	steer(d, now);
	return UINT64_MAX;
}

/* ---- to whom they are given ---- */

void tunnels_share_out(struct dataplane *d)
{
	for (uint32_t w = 0; w < d->workers_n; w++)
		for (uint32_t i = 0; i < TUNNEL_INPUTS; i++) {
			bool reads = w < sockets(d, (enum tunnel_input)i);
			d->workers[w]->tunnel[i] =
				(struct tunnel_io){ d->tunnel_fds[i][reads ? w : 0], reads };
			d->workers[w]->links_changed = true;
		}
	steer(d, clock_mono()); /* at once: nobody reads by what another number of workers had */
}

void tunnels_take(struct dataplane *d, enum tunnel_input i, uint32_t worker, int fd)
{
	if (worker >= WORKERS_MAX) {
		log_error("a socket of tunnels for worker %u is not used: there are %d workers at most",
			worker, WORKERS_MAX);
		close(fd);
		return;
	}
	if (d->tunnel_fds[i][worker] >= 0)
		close(d->tunnel_fds[i][worker]);
	d->tunnel_fds[i][worker] = fd;
	tunnels_share_out(d);
}
