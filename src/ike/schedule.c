/*
 * When an IKE SA, a child SA or a tunnel has to be looked at: when the event is over, or at a time. The times
 * are in a binary heap. Each of them has one place in it, its soonest; setting one costs the logarithm of
 * their number. So a tick touches what is due and nothing else.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdlib.h>

static void put(struct ike *c, uint32_t place, struct due *d)
{
	assert(place >= 1 && place <= c->dues_n);
	c->dues[place] = d;
	d->place = place;
}

static void up(struct ike *c, uint32_t place, struct due *d)
{
	for (; place > 1 && c->dues[place / 2]->at > d->at; place /= 2)
		put(c, place, c->dues[place / 2]);
	put(c, place, d);
}

static void down(struct ike *c, uint32_t place, struct due *d)
{
	for (;;) {
		uint32_t child = 2 * place;

		if (child < c->dues_n && c->dues[child + 1]->at < c->dues[child]->at)
			child++;
		if (child > c->dues_n || c->dues[child]->at >= d->at)
			break;
		put(c, place, c->dues[child]);
		place = child;
	}
	put(c, place, d);
}

static void take_out(struct ike *c, struct due *d)
{
	struct due *last = c->dues[c->dues_n--];
	uint32_t place = d->place;

	assert(place >= 1 && place <= c->dues_n + 1 && c->dues[place] == d);
	d->place = 0;
	if (last == d)
		return;
	if (place > 1 && c->dues[place / 2]->at > last->at)
		up(c, place, last);
	else
		down(c, place, last);
}

void due_set(struct ike *c, struct due *d, mono_ns at)
{
	if (d->place != 0 && d->at == at)
		return;
	if (d->place != 0)
		take_out(c, d);
	d->at = at;
	if (at == 0)
		return;
	assert(d->place == 0);
	if (c->dues_n + 1 >= c->dues_room) {
		c->dues_room = c->dues_room ? 2 * c->dues_room : 64;
		c->dues = realloc(c->dues, c->dues_room * sizeof *c->dues);
		if (!c->dues)
			abort(); /* as ike_alloc() */
	}
	up(c, ++c->dues_n, d);
}

struct due *due_first(const struct ike *c)
{
	assert(c->dues_n == 0 || (c->dues[1]->place == 1 && c->dues[1]->at != 0));
	return c->dues_n > 0 ? c->dues[1] : NULL;
}

/* What is due already and was not done waits for an event, not for a time. */
mono_ns due_sooner(const struct ike *c, mono_ns a, mono_ns b)
{
	if (b <= c->now)
		return a;
	return a == 0 || b < a ? b : a;
}

mono_ns ike_deadline(const struct ike *c)
{
	return c->dues_n > 0 ? c->dues[1]->at : 0;
}

/* ---- what has to be looked at when the event is over (settle.c) ---- */

void sa_touch(struct ike *c, struct ike_sa *sa)
{
	if (!link_used(&sa->of_dirty))
		link_last(&c->dirty, &sa->of_dirty);
}

void tunnel_touch(struct ike *c, uint32_t tunnel)
{
	if (tunnel < c->tunnels_n && !link_used(&c->tunnels[tunnel].of_dirty))
		link_last(&c->dirty_tunnels, &c->tunnels[tunnel].of_dirty);
}

/* ---- jitter ---- */

/* splitmix64: jitter only; nothing that has to be unpredictable comes from here. */
uint64_t ike_jitter(struct ike *c, uint64_t lo, uint64_t hi)
{
	uint64_t z = c->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	assert(lo <= hi);
	return hi <= lo ? lo : lo + z % (hi - lo + 1);
}
