/*
 * In: the fields of a train that has just arrived, by where it came from. What is in its headers comes later
 * (pipeline.c).
 */
#include "proc/dataplane/pipeline.h"

static void train_reset(struct train *t)
{
	uint8_t *ip = t->ip;
	uint32_t len = t->len;

	*t = (struct train){ .ip = ip,
		.len = len,
		.in_interface = TRAIN_NONE,
		.out_interface = TRAIN_NONE,
		.in_zone = TRAIN_NONE,
		.out_zone = TRAIN_NONE,
		.tunnel = TRAIN_NONE,
		.session = TRAIN_NONE,
		.rule = TRAIN_NONE };
}

uint32_t pipeline_vrf_of(const struct pipeline *p, uint32_t interface)
{
	return interface < INTERFACES_MAX ? p->vrf_table[p->interfaces[interface].vrf] : 0;
}

void pipeline_train_from_link(const struct pipeline *p, struct train *t, uint32_t interface)
{
	train_reset(t);
	t->in_interface = interface;
	if (interface < INTERFACES_MAX) {
		t->in_zone = p->interfaces[interface].zone;
		t->vrf = p->interfaces[interface].vrf;
	}
}

void pipeline_train_from_tunnel(const struct pipeline *p, struct train *t, uint32_t tunnel)
{
	train_reset(t);
	t->flags = TRAIN_FROM_TUNNEL;
	t->tunnel = tunnel;
	if (tunnel < TUNNELS_MAX && p->snapshot && tunnel < p->snapshot->tunnels.count)
		t->in_zone = p->tunnels[tunnel].zone;
}

void pipeline_train_from_host(struct train *t)
{
	train_reset(t);
	t->flags = TRAIN_FROM_HOST;
}

void pipeline_train_from_device(struct train *t, uint32_t tunnel)
{
	pipeline_train_from_host(t);
	t->tunnel = tunnel;
}
