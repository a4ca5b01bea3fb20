/* A worker's life: its buffers, its pipeline and its sockets; and what it does between bursts. */
#include "proc/dataplane/worker.h"

#include "base/lines.h"
#include "base/log.h"
#include "firewall/limits.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/record.h"
#include "proc/dataplane/rule_log.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define EXPIRE_BUDGET 512
/* records of each call, of what a commit leaves; half a millisecond if all end */
#define SWEEP_BUDGET  512
_Static_assert(4 * SWEEP_BUDGET <= FW_NOTES_MAX && 4 * EXPIRE_BUDGET <= FW_NOTES_MAX,
	"a redirect that is not taken back keeps its address and port for half a timeout more");

struct worker *worker_new(struct dataplane *d, uint32_t index)
{
	struct worker *w = lines_new(1, sizeof *w);
	struct pipeline_io io = *d->io;
	uint8_t key[16];

	if (!w)
		return NULL;
	io.context = w;
	w->dataplane = d;
	w->index = index;
	w->tun = -1;
	for (uint32_t i = 0; i < TUNNEL_INPUTS; i++)
		w->tunnel[i].fd = -1;
	w->rx = memory_buffers(RX_BURST * RX_BYTES);
	w->join = memory_buffers(JOIN_BYTES);
	w->gather = memory_buffers(GATHER_BYTES);
	if (!w->rx || !w->join || !w->gather || getrandom(key, sizeof key, 0) != sizeof key ||
		!pipeline_init(&w->pipeline, &io, NULL, NULL, NULL, key)) {
		worker_free(w);
		return NULL;
	}
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	while (w->links_n > 0)
		link_remove(w, w->links[0]->link);
	if (w->tun >= 0)
		close(w->tun);
	pipeline_done(&w->pipeline);
	memory_buffers_free(w->rx, RX_BURST * RX_BYTES);
	memory_buffers_free(w->join, JOIN_BYTES);
	memory_buffers_free(w->gather, GATHER_BYTES);
	free(w);
}

/* --- between bursts --- */

/* The main thread writes them: the kernel's buffer for the log is not to keep another worker waiting. */
static void log_rules(struct worker *w)
{
	char text[RULE_LOG_TEXT_MAX];

	_Static_assert(sizeof w->log <= RING_NOTE_BYTES_MAX, "it fits a note");
	while (w->log_waits || fw_log_next(w->fw, &w->log)) {
		w->log_waits = w->index != 0 && !worker_note(w, RING_NOTE_LOG, &w->log, sizeof w->log);
		if (w->log_waits)
			return;
		if (w->index == 0 && !log_record(rule_log_text(text, &w->log)) &&
			rule_log_must_arrive(&w->log)) {
			w->log_waits = true; /* until the reader of the log goes on */
			return;
		}
		if (w->index == 0)
			record_send(w->dataplane, &w->log);
	}
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
	for (uint32_t i = 0; i < TUNNEL_INPUTS; i++)
		kernel_drops_count(w, tunnel_fd(w, (enum tunnel_input)i), &w->kernel_drops[i]);
	for (uint32_t i = 0; i < w->links_n; i++)
		if (w->links[i]->reads)
			kernel_drops_count(w, w->links[i]->fd, &w->links[i]->kernel_drops);
}

mono_ns worker_timers(struct worker *w, mono_ns now)
{
	log_rules(w);
	filters_refresh(w);
	bool swept = fw_sweep(w->fw, now, SWEEP_BUDGET);
	pipeline_notes(&w->pipeline);
	bool aged = fw_age(w->fw, now, SWEEP_BUDGET);
	pipeline_notes(&w->pipeline);
	if (now >= w->next_expiry)
		w->next_expiry = fw_expire(w->fw, now, EXPIRE_BUDGET);
	mono_ns carried = pipeline_carry_timers(&w->pipeline, now);
	if (now >= w->next_second) {
		w->next_second = now + NS_PER_S;
		overload_second(w);
		pipeline_tick(&w->pipeline, now);
		pipeline_joins_tick(&w->pipeline, now);
	}
	pipeline_notes(&w->pipeline);
	return swept && aged ? MIN_OF(MIN_OF(w->next_second, w->next_expiry), carried) : now;
}
