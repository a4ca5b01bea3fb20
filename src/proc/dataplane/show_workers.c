/* `show workers`: what each thread that processes packets has done and has before it. No worker is in a burst meanwhile. */
#include "base/json.h"
#include "base/ring.h"
#include "ipc/rows.h"
#include "proc/dataplane/dataplane.h"

#include <time.h>

/* Processor time of its thread; the first worker is the thread that answers. */
static uint64_t cpu_us(const struct dataplane *d, uint32_t worker)
{
	clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
	struct timespec t;

	if (worker > 0 && (!d->threads_run || pthread_getcpuclockid(d->threads[worker], &clock) != 0))
		return 0;
	return clock_gettime(clock, &t) == 0 ? (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 : 0;
}

static uint64_t waiting_octets(const struct dataplane *d, uint32_t worker)
{
	uint64_t sum = 0;

	for (uint32_t from = 0; from < d->rings.workers; from++)
		if (d->rings.ring[from][worker])
			sum += ring_waiting(d->rings.ring[from][worker]);
	return sum;
}

void show_workers(struct dataplane *d, struct rows_piece *piece)
{
	for (uint32_t i = rows_first(piece, 0); i < d->workers_n && rows_look(piece, 0, i); i++) {
		const struct worker *x = d->workers[i];
		const struct fw_counters *c = fw_counters(x->fw);
		struct jw *w = rows_row(piece);
		jw_u64(w, "worker", i);
		jw_u64(w, "packets_in", x->pipeline.packets_in);
		jw_u64(w, "packets_out", x->pipeline.packets_out);
		jw_u64(w, "sessions", c->sessions_now - c->bindings_now - c->blocks_now);
		jw_u64(w, "handed_over", x->pipeline.trains_handed_over);
		jw_u64(w, "queued_bytes", d->workers_n > 1 ? waiting_octets(d, i) : 0);
		jw_u64(w, "cpu_us", cpu_us(d, i));
		jw_u64(w, "longest_us", x->longest_round / 1000);
		rows_add(piece);
	}
}
