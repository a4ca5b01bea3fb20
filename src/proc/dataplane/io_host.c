/*
 * The host: TUN devices with virtio-net headers. What the host sends into tunnels arrives here by the kernel's routes: by pg0, where
 * selectors choose the tunnel, or by the interface of one. What tunnels bring for the host is written to them.
 */
#include "proc/dataplane/dataplane.h"

#include <errno.h>
#include <unistd.h>

/* tunnel: of whose interface it is; TRAIN_NONE: pg0. */
static uint32_t receive(struct worker *w, int fd, uint32_t tunnel)
{
	uint32_t n = 0, trains = 0;

	for (; n < RX_BURST; n++) {
		uint8_t *at = w->rx + n * RX_BYTES + TRAIN_HEAD_ROOM - VIRTIO_SIZE;
		ssize_t got = read(fd, at, VIRTIO_SIZE + TRAIN_BYTES_MAX);
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
		pipeline_train_from_device(t, tunnel);
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

uint32_t host_receive(struct worker *w)
{
	return receive(w, w->tun, TRAIN_NONE);
}

uint32_t device_receive(struct worker *w, const struct tunnel_device *device)
{
	uint32_t tunnel = pipeline_tunnel_of_link(&w->pipeline, device->link);

	/* No tunnel of the configuration has it, not yet or not any more: what it carries leaves nowhere. */
	if (tunnel == TRAIN_NONE) {
		uint32_t n = 0;
		for (; n < RX_BURST && read(device->fd, w->rx, RX_BYTES) > 0; n++)
			pipeline_count_drop(&w->pipeline, DROP_NO_ZONE, 1);
		return n;
	}
	return receive(w, device->fd, tunnel);
}

enum drop_reason host_send(void *context, uint32_t tunnel, uint8_t *packet, uint32_t n)
{
	const struct worker *w = context;
	int fd = tunnel == TRAIN_NONE ? w->dataplane->workers[0]->tun /* it has the device */
				      : device_fd(w->dataplane, w->pipeline.tunnels[tunnel].device);

	return fd >= 0 && write(fd, packet, n) == (ssize_t)n ? DROP_NONE : DROP_HOST_SEND_FAILED;
}
