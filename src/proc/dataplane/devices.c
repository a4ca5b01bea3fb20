/*
 * Interfaces of tunnels: TUN devices as the supervisor hands them over, which the first worker reads. Each is that of the tunnel
 * that names it in the configuration. It has carrier while its tunnel has an SA to send by, so that the kernel and routing
 * daemons go another way as soon as it has none; the supervisor sets it.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <stdio.h>
#include <unistd.h>

static struct tunnel_device *device_find(struct dataplane *d, uint32_t link)
{
	for (uint32_t i = 0; i < d->devices_n; i++)
		if (d->devices[i].link == link)
			return &d->devices[i];
	return NULL;
}

int device_fd(const struct dataplane *d, uint32_t link)
{
	for (uint32_t i = 0; i < d->devices_n; i++)
		if (d->devices[i].link == link)
			return d->devices[i].fd;
	return -1;
}

bool devices_hold(const struct dataplane *d, const struct route_entry *e)
{
	const struct pipeline *p = &d->workers[0]->pipeline;
	const struct route_flow flow = { .src.family = e->dst.addr.family,
		.dst = e->dst.addr,
		.in_link = ROUTE_NONE,
		.vrf = p->vrf_table[0],
		.held = p->devices.link,
		.held_n = p->devices.n };
	struct route_answer way;

	if (!p->devices.any_down)
		return false;
	if (pipeline_tunnel_of_link(p, e->link) != TRAIN_NONE)
		return true;
	/* Gone, it may uncover another one: by what its destination has now. */
	route_lookup_flow(p->routes, &flow, NULL, &way);
	return way.kind == ROUTE_UNICAST && pipeline_tunnel_of_link(p, way.link) != TRAIN_NONE;
}

static void device_bind(struct worker *w, const struct tunnel_device *device)
{
	if (w->pipeline.snapshot)
		pipeline_device_bind(&w->pipeline, device->name, device->link);
}

void devices_bind(struct worker *w)
{
	for (uint32_t i = 0; i < w->dataplane->devices_n; i++)
		device_bind(w, &w->dataplane->devices[i]);
}

void devices_tell_again(struct dataplane *d)
{
	for (uint32_t i = 0; i < d->devices_n; i++)
		d->devices[i].told = false;
}

void devices_take(struct dataplane *d, const char *name, uint32_t link, int fd)
{
	struct tunnel_device *device = device_find(d, link);

	if (!device && d->devices_n == TUNNEL_DEVICES_MAX) {
		log_error("interface %s is not used: more than %d of tunnels", name, TUNNEL_DEVICES_MAX);
		close(fd);
		return;
	}
	if (device)
		close(device->fd);
	else
		device = &d->devices[d->devices_n++];
	*device = (struct tunnel_device){ .link = link, .fd = fd };
	snprintf(device->name, sizeof device->name, "%.*s", (int)sizeof device->name - 1, name);
	for (uint32_t i = 0; i < d->workers_n; i++)
		device_bind(d->workers[i], device);
	d->workers[0]->links_changed = true;
}

void devices_take_back(struct dataplane *d, uint32_t link)
{
	struct tunnel_device *device = device_find(d, link);

	for (uint32_t i = 0; i < d->workers_n; i++)
		pipeline_device_unbind(&d->workers[i]->pipeline, link);
	if (!device)
		return;
	close(device->fd);
	*device = d->devices[--d->devices_n];
	d->workers[0]->links_changed = true;
}

void device_gone(struct tunnel_device *device)
{
	log_error("interface %s is gone: commit the configuration again, and it is made anew", device->name);
	device->gone = true;
}

void devices_close(struct dataplane *d)
{
	while (d->devices_n > 0)
		close(d->devices[--d->devices_n].fd);
}

void devices_carry(struct dataplane *d)
{
	const struct pipeline *p = &d->workers[0]->pipeline;

	/* Before the first configuration nobody knows whose they are: what carried for the process before goes on. */
	if (!p->snapshot)
		return;
	for (uint32_t i = 0; i < d->devices_n; i++) {
		struct tunnel_device *device = &d->devices[i];
		uint32_t tunnel = pipeline_tunnel_of_link(p, device->link);
		const struct msg_carrier m = { .link = device->link,
			.carrier = tunnel == TRAIN_NONE				   ? CARRIER_UNUSED
				   : esp_outbound(d->esp, tunnel) != ESP_PAIR_NONE ? CARRIER_UP
										   : CARRIER_DOWN,
			.generation = p->snapshot->generation };
		if (device->told && device->carrier == m.carrier)
			continue;
		if (ipc_send_CARRIER(child_link(&d->child, PROC_SUPERVISOR), 0, &m) != RC_OK)
			continue; /* with the next round */
		device->told = true;
		device->carrier = (uint8_t)m.carrier;
	}
}
