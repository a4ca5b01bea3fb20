/*
 * A tunnel with several networks: what a peer does not grant for one pair of them (TS_UNACCEPTABLE, or it narrows it away) is put off for that
 * pair alone. Else the one that is refused without end would keep all others waiting, whose packets do not come sooner.
 */
#include "ike/internal.h"

#include <assert.h>

/* Whose networks hold the packet that asks: 1 + (place of ours) * (number of theirs) + (place of theirs); 0: none. */
static uint32_t pair_of(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	for (uint32_t l = 0; l < t->local.count; l++)
		for (uint32_t r = 0; r < t->remote.count; r++)
			if (selectors_within(local, 1, &tunnel_locals(c, t)[l], 1) &&
				selectors_within(remote, 1, &tunnel_remotes(c, t)[r], 1))
				return 1 + l * t->remote.count + r;
	return 0;
}

static struct pair_put_off *found(const struct tunnel *t, uint32_t pair)
{
	for (uint32_t i = 0; t->put_off && pair != 0 && i < IKE_PAIRS_PUT_OFF_MAX; i++)
		if (t->put_off[i].pair == pair)
			return &t->put_off[i];
	return NULL;
}

/* Its own, a free one, or one whose time has been over for longest; NULL: all of them still wait. */
static struct pair_put_off *place_for(const struct ike *c, struct tunnel *t, uint32_t pair)
{
	struct pair_put_off *place = found(t, pair);

	if (!t->put_off)
		t->put_off = ike_alloc(IKE_PAIRS_PUT_OFF_MAX * sizeof *t->put_off);
	for (uint32_t i = 0; !place && i < IKE_PAIRS_PUT_OFF_MAX; i++)
		if (t->put_off[i].pair == 0)
			place = &t->put_off[i];
	for (uint32_t i = 0; !place && i < IKE_PAIRS_PUT_OFF_MAX; i++)
		if (t->put_off[i].retry_at <= c->now)
			place = &t->put_off[i];
	if (place && place->pair != pair)
		*place = (struct pair_put_off){ .pair = pair };
	return place;
}

bool pair_put_off(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	uint32_t pair;
	struct pair_put_off *p;

	assert(t->has_packet);
	if (tunnel_config(c, tunnel)->local.count * tunnel_config(c, tunnel)->remote.count < 2)
		return false;
	pair = pair_of(c, tunnel, &t->packet[0], &t->packet[1]);
	p = pair ? place_for(c, t, pair) : NULL;
	if (!p)
		return false;
	p->backoff_ms = p->backoff_ms == 0 ? IKE_BACKOFF_FIRST_MS
					   : MIN_OF(2 * p->backoff_ms, (uint32_t)IKE_BACKOFF_MAX_MS);
	p->retry_at = c->now + ike_jitter(c, p->backoff_ms / 2, p->backoff_ms) * NS_PER_MS;
	return true;
}

bool pair_is_put_off(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote)
{
	const struct tunnel *t = &c->tunnels[tunnel];
	const struct pair_put_off *p = t->put_off ? found(t, pair_of(c, tunnel, local, remote)) : NULL;

	return p && c->now < p->retry_at;
}

void pair_granted(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	struct pair_put_off *p =
		t->put_off ? found(t, pair_of(c, tunnel, &t->packet[0], &t->packet[1])) : NULL;

	if (p)
		*p = (struct pair_put_off){ 0 };
}
