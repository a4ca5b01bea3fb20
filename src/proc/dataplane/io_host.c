/*
 * The host: a TUN device with virtio-net headers. What the host sends into tunnels arrives here by the
 * kernel's routes; what tunnels bring for the host is written to it.
 */
#include "proc/dataplane/dataplane.h"

#include <errno.h>
#include <unistd.h>

uint32_t host_receive(struct worker *w)
{
	uint32_t n = 0, trains = 0;

	for (; n < RX_BURST; n++) {
		uint8_t *at = w->rx + n * RX_BYTES + TRAIN_HEAD_ROOM - VIRTIO_SIZE;
		ssize_t got = read(w->tun, at, VIRTIO_SIZE + TRAIN_BYTES_MAX);
		struct virtio_net_hdr h;
		if (got < 0)
			break;
		if ((size_t)got <= VIRTIO_SIZE) {
			pipeline_count_drop(&w->pipeline, DROP_TRUNCATED, 1);
			continue;
		}
		struct train *t = &w->trains[trains];
		memcpy(&h, at, sizeof h);
		t->ip = at + VIRTIO_SIZE;
		t->len = (uint32_t)((size_t)got - VIRTIO_SIZE);
		pipeline_train_from_host(t);
		if (pipeline_train_offloads(t, &h, 0))
			trains++;
		else
			pipeline_count_drop(&w->pipeline, DROP_MALFORMED, 1);
	}
	worker_notes_run(w);
	if (trains > 0)
		pipeline_burst(&w->pipeline, w->trains, trains, clock_mono());
	return n;
}

enum drop_reason host_send(void *context, uint8_t *packet, uint32_t n)
{
	const struct worker *w = ((struct worker *)context)->dataplane->workers[0]; /* it has the device */

	return w->tun >= 0 && write(w->tun, packet, n) == (ssize_t)n ? DROP_NONE : DROP_HOST_SEND_FAILED;
}
