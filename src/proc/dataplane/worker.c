/* A worker's life: its buffers, its pipeline and its sockets. */
#include "proc/dataplane/worker.h"

#include "proc/dataplane/dataplane.h"

#include <unistd.h>

bool worker_init(struct worker *w, struct dataplane *d, uint32_t index, const uint8_t hash_key[16])
{
	struct pipeline_io io = { .context = w,
		.link_send = link_send,
		.tunnel_send = tunnel_send,
		.host_send = host_send,
		.flush = links_flush,
		.solicit = control_solicit,
		.acquire = control_acquire,
		.trace_line = control_trace_line };

	w->dataplane = d;
	w->index = index;
	w->udp4 = w->udp6 = w->esp4 = w->esp6 = w->tun = -1;
	w->rx = memory_buffers(RX_BURST * RX_BYTES);
	w->join = memory_buffers(JOIN_BYTES);
	w->gather = memory_buffers(GATHER_BYTES);
	return w->rx && w->join && w->gather && pipeline_init(&w->pipeline, &io, NULL, NULL, NULL, hash_key);
}

void worker_done(struct worker *w)
{
	int *fds[] = { &w->udp4, &w->udp6, &w->esp4, &w->esp6, &w->tun };

	while (w->links_n > 0)
		link_remove(w, w->links[0]->link);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	pipeline_done(&w->pipeline);
}
