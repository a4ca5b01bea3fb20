#include "route/health.h"

#include "base/addr.h"
#include "route/route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool same_probe(const struct snap_probe *a, const struct snap_probe *b)
{
	return addr_equal(&a->target, &b->target) && a->kind == b->kind && a->port == b->port &&
	       strcmp(a->name, b->name) == 0;
}

static const struct health_uplink *find(const struct uplinks_health *h, const char *name)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (strcmp(h->list[i].of.name, name) == 0)
			return &h->list[i];
	return NULL;
}

static bool targets_say_down(const struct health_uplink *u)
{
	uint32_t down = 0;

	for (uint32_t i = 0; i < u->targets_n; i++)
		down += u->target[i].down;
	return u->of.flags & UPLINK_DOWN_WHEN_ANY ? down > 0 : down == u->targets_n;
}

void health_load(struct uplinks_health *h, const struct snapshot *s, mono_ns now)
{
	static struct uplinks_health before; /* too large for a stack; of the one thread that writes */

	before = *h;
	h->n = s->uplinks.count;
	assert(h->n <= UPLINKS_MAX);
	for (uint32_t i = 0; i < h->n; i++) {
		const struct snap_uplink *of = &snap_uplinks(s)[i];
		const struct health_uplink *was = find(&before, of->name);
		struct health_uplink *u = &h->list[i];
		if (was)
			*u = *was;
		else
			*u = (struct health_uplink){ .since = now, .next = now };
		u->of = *of;
		u->targets_n = of->probes.count;
		memset(u->target, 0, sizeof u->target);
		for (uint32_t k = 0; k < u->targets_n; k++) {
			u->target[k].of = snap_probes(s)[of->probes.first + k];
			u->target[k].down =
				u->down; /* a new one of an uplink that is down must answer first */
			for (uint32_t o = 0; was && o < was->targets_n; o++)
				if (same_probe(&was->target[o].of, &u->target[k].of))
					u->target[k] = was->target[o];
		}
	}
	memset(&before, 0, sizeof before);
}

bool health_follow(struct uplinks_health *h, const char *uplink, mono_ns now)
{
	for (uint32_t i = 0; i < h->n; i++) {
		struct health_uplink *u = &h->list[i];
		bool early = true;
		for (uint32_t k = 0; k < u->targets_n; k++)
			early &= u->target[k].probes == 0;
		if (!early || u->down || strcmp(u->of.name, uplink) != 0)
			continue;
		u->down = u->follows = true;
		u->since = now;
		for (uint32_t k = 0; k < u->targets_n; k++)
			u->target[k].down = true;
		return true;
	}
	return false;
}

static void target_round_end(const struct health_uplink *u, struct health_target *t)
{
	bool answered = !u->obstacle && __atomic_load_n(&t->answered, __ATOMIC_ACQUIRE) == t->round;

	t->probes++;
	t->lost += !answered;
	t->streak = answered == !t->down ? 0 : t->streak + 1;
	if (t->streak >= (t->down ? u->of.rise : u->of.fall)) {
		t->streak = 0;
		t->down = !t->down;
	}
}

static bool round_end(struct health_uplink *u, mono_ns now)
{
	for (uint32_t i = 0; i < u->targets_n; i++) {
		if (u->target[i].round == 0)
			continue;
		target_round_end(u, &u->target[i]);
		u->follows = false;
	}
	if (targets_say_down(u) == u->down)
		return false;
	u->down = !u->down;
	u->since = now;
	u->changes++;
	return true;
}

uint32_t health_round(struct uplinks_health *h, mono_ns now, bool *ret_changed)
{
	for (uint32_t i = 0; i < h->n; i++) {
		struct health_uplink *u = &h->list[i];
		if (now < u->next)
			continue;
		*ret_changed = round_end(u, now);
		u->next = now + u->of.interval_ms * NS_PER_MS;
		u->obstacle = NULL;
		for (uint32_t k = 0; k < u->targets_n; k++) {
			uint32_t round = u->target[k].round + 1;
			__atomic_store_n(&u->target[k].sent_at, now, __ATOMIC_RELAXED);
			__atomic_store_n(&u->target[k].round, round == 0 ? 1 : round, __ATOMIC_RELEASE);
		}
		return i;
	}
	return ROUTE_NONE;
}

mono_ns health_next(const struct uplinks_health *h)
{
	mono_ns next = UINT64_MAX;

	for (uint32_t i = 0; i < h->n; i++)
		next = MIN_OF(next, h->list[i].next);
	return next;
}

void health_answered(struct health_target *t, uint32_t round, mono_ns now)
{
	mono_ns took = now - __atomic_load_n(&t->sent_at, __ATOMIC_RELAXED);

	__atomic_store_n(
		&t->rtt_us, (uint32_t)MIN_OF(took / NS_PER_US, (mono_ns)UINT32_MAX), __ATOMIC_RELAXED);
	__atomic_store_n(&t->answered, round, __ATOMIC_RELEASE);
}

void health_why(const struct health_uplink *u, char ret_text[HEALTH_WHY_BYTES])
{
	char addr[ADDR_TEXT_MAX];
	uint32_t down = 0, first = UPLINK_PROBES_MAX;

	for (uint32_t i = 0; i < u->targets_n; i++) {
		if (u->target[i].down && first == UPLINK_PROBES_MAX)
			first = i;
		down += u->target[i].down;
	}
	ret_text[0] = '\0';
	if (!u->down || first == UPLINK_PROBES_MAX)
		return;
	if (u->obstacle)
		snprintf(ret_text, HEALTH_WHY_BYTES, "%s", u->obstacle);
	else if (u->follows)
		snprintf(ret_text, HEALTH_WHY_BYTES, "it was down before the data plane started");
	else if (down > 1)
		snprintf(ret_text, HEALTH_WHY_BYTES, "no answer from %s and %u other target%s",
			addr_text(addr, &u->target[first].of.target), down - 1, down > 2 ? "s" : "");
	else
		snprintf(ret_text, HEALTH_WHY_BYTES, "no answer from %s",
			addr_text(addr, &u->target[first].of.target));
}
