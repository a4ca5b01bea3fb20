/*
 * Who uses a template. A peer with a pattern for its identity is a template; each identity that proves itself is an instance
 * of it: what one says, or is told, is of its own IKE SAs and nobody else's. How many there may be is the keeper's to say, and
 * whose an address is as well; what is refused here is refused for a reason that the keeper has no message for.
 */
#include "ike/internal.h"

bool peer_is_template(const struct ike *c, uint32_t peer)
{
	return c->snap && peer < c->snap->peers.count && snap_peers(c->snap)[peer].flags & PEER_ID_PATTERN;
}

static bool same_octets(const struct blob *a, const struct blob *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->at, b->at, a->n) == 0);
}

bool sa_same_user(const struct ike *c, const struct ike_sa *a, const struct ike_sa *b)
{
	return !peer_is_template(c, a->peer) || same_octets(&a->user, &b->user);
}

bool child_same_user(const struct ike *c, const struct child_sa *a, const struct child_sa *b)
{
	return sa_same_user(c, a->sa, b->sa);
}

void sa_user_proved(const struct ike *c, struct ike_sa *sa, const struct ike_view *id)
{
	enum { TYPE = 1, RESERVED_END = 4 }; /* RFC 7296 3.5: what is reserved is no part of who it is */

	if (!peer_is_template(c, sa->peer))
		return;
	blob_set(&sa->user, id->at, id->n);
	for (size_t i = TYPE; i < RESERVED_END && i < id->n; i++)
		sa->user.at[i] = 0;
}

const struct child_sa *instance_with_address(const struct ike *c, const struct ike_sa *sa, uint32_t tunnel,
	const struct selector *remote, uint32_t n, struct ip_range *ret_range)
{
	if (!peer_is_template(c, sa->peer))
		return NULL;
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel) {
		/* One that lingers sends nothing any more. */
		if (ch->state == CH_LINGER || sa_same_user(c, ch->sa, sa))
			continue;
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; k < ch->remote_n; k++)
				if (ranges_meet(&remote[i].addrs, &ch->remote_ts[k].addrs)) {
					*ret_range = ch->remote_ts[k].addrs;
					return ch;
				}
	}
	return NULL;
}

uint32_t instances_count(const struct ike *c, uint32_t peer)
{
	uint32_t n = 0;

	LIST_FOR (struct ike_instance, i, &peer_entry(c, peer)->instances, of_peer)
		n += i->sas_n > 0;
	return n;
}
