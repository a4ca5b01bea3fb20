/*
 * Probes of uplinks: made, sent out of the uplink's interface to its next hop whatever the routes say, and their answers
 * recognised among what comes in by that interface, by whichever worker receives it. What is in a probe follows from a random
 * key, its target and its round, so an answer needs no record of what was sent.
 *
 * Ports are those of source NAT: the ingress filter drops what comes to them for the host itself, whose kernel knows nothing
 * of these connections.
 */
#include "base/siphash.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"
#include "wire/probe.h"

_Static_assert((int)PROBE_PING == (int)PROBE_BY_ECHO && (int)PROBE_TCP == (int)PROBE_BY_TCP &&
		       (int)PROBE_DNS == (int)PROBE_BY_DNS,
	"one numbering");

static uint64_t number_of(
	const struct uplinks_health *h, const struct health_target *t, uint32_t round, uint32_t which)
{
	struct {
		uint8_t target[16];
		uint32_t round, kind, which, zero;
	} key = { .round = round, .kind = t->of.kind, .which = which };

	memcpy(key.target, t->of.target.b, sizeof key.target);
	return siphash13(h->key, &key, sizeof key);
}

static struct probe probe_of(
	const struct pipeline *p, const struct health_target *t, uint32_t round, const struct ip_addr *src)
{
	uint16_t first = p->snapshot->nat_port_first, last = p->snapshot->nat_port_last;
	uint64_t place = number_of(p->health, t, round, 1);

	return (struct probe){ .src = *src,
		.dst = t->of.target,
		.by = (enum probe_by)t->of.kind,
		.dst_port = t->of.port,
		.src_port = t->of.kind == PROBE_PING ? (uint16_t)place
						     : (uint16_t)(first + place % (last - first + 1u)),
		.sequence = (uint16_t)round,
		.number = number_of(p->health, t, round, 0),
		.name = t->of.name };
}

static void packet_send(struct pipeline *p, const struct health_uplink *u, const struct ip_addr *next_hop,
	uint8_t *ip, size_t n)
{
	struct train t = { .ip = ip, .len = (uint32_t)n };

	pipeline_train_from_host(&t);
	t.csum = TRAIN_CSUM_VALID;
	if (train_parse(&t) != DROP_NONE)
		return;
	t.out_interface = u->of.interface;
	t.next_hop = next_hop->family == ADDR_NONE ? t.dst : *next_hop;
	egress_send_own(p, &t, p->interfaces[u->of.interface].mtu);
	if (t.drop != DROP_NONE)
		pipeline_count_drop(p, t.drop, 1);
}

/* The connection that a round before has made. */
static void reset_send(struct pipeline *p, const struct health_uplink *u, const struct health_target *t,
	const struct ip_addr *next_hop, const struct ip_addr *src)
{
	uint32_t answered = __atomic_load_n(&t->answered, __ATOMIC_ACQUIRE);

	if (t->of.kind != PROBE_TCP || answered == 0 || answered + 1 != t->round)
		return;
	struct probe probe = probe_of(p, t, answered, src);
	uint8_t *ip = egress_scratch_take(p, PROBE_PACKET_MAX);
	packet_send(p, u, next_hop, ip, probe_reset_make(ip, &probe));
}

const char *pipeline_probe_send(
	struct pipeline *p, const struct health_uplink *u, const struct ip_addr *next_hop, mono_ns now)
{
	const struct pipeline_interface *f = &p->interfaces[u->of.interface];
	struct ip_addr src;

	assert(p->health && p->snapshot && u->of.interface < INTERFACES_MAX);
	if (f->link == ROUTE_NONE)
		return "the interface is absent";
	if (!f->up)
		return "the link is down";
	if (next_hop->family == ADDR_NONE && !f->bare)
		return "no default route by the interface has a next hop";
	if (!route_local_on(p->routes, f->link, u->target[0].of.target.family,
		    next_hop->family == ADDR_NONE ? NULL : next_hop, &src))
		return "the interface has no address of the family of the targets";
	p->now = now;
	p->scratch_n = 0;
	for (uint32_t i = 0; i < u->targets_n; i++) {
		const struct health_target *t = &u->target[i];
		reset_send(p, u, t, next_hop, &src);
		struct probe probe = probe_of(p, t, t->round, &src);
		uint8_t *ip = egress_scratch_take(p, PROBE_PACKET_MAX);
		packet_send(p, u, next_hop, ip, probe_make(ip, &probe));
	}
	p->io.flush(p->io.context);
	return NULL;
}

static bool is_from(const struct ip_addr *target, const struct train *t)
{
	bool v4 = target->family == ADDR_V4;
	uint32_t at = v4 ? IP4_SRC : IP6_SRC, end = v4 ? IP4_DST : IP6_DST;

	return t->len >= end && t->ip[0] >> 4 == (v4 ? 4 : 6) &&
	       memcmp(t->ip + at, target->b, addr_size(target)) == 0;
}

static bool answers(struct pipeline *p, struct health_target *target, const struct train *t, mono_ns now)
{
	uint32_t round = __atomic_load_n(&target->round, __ATOMIC_ACQUIRE);
	struct ip_addr to = { .family = target->of.target.family };
	uint32_t at = to.family == ADDR_V4 ? IP4_DST : IP6_DST;

	if (round == 0 || t->len < at + addr_size(&to) ||
		__atomic_load_n(&target->answered, __ATOMIC_RELAXED) == round)
		return false;
	memcpy(to.b, t->ip + at, addr_size(&to));
	if (!route_is_local_on(p->routes, p->interfaces[t->in_interface].link, &to))
		return false;
	struct probe probe = probe_of(p, target, round, &to);
	if (!probe_is_answer(&probe, t->ip, t->len))
		return false;
	health_answered(target, round, now);
	return true;
}

bool pipeline_probe_answer(struct pipeline *p, const struct train *t, mono_ns now)
{
	for (uint32_t i = 0; p->health && i < p->health->n; i++) {
		struct health_uplink *u = &p->health->list[i];
		if (u->of.interface != t->in_interface)
			continue;
		for (uint32_t k = 0; k < u->targets_n; k++)
			if (is_from(&u->target[k].of.target, t) && answers(p, &u->target[k], t, now))
				return true;
	}
	return false;
}
