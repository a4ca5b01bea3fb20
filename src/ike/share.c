/*
 * What each identity of a template has, so that limits are its own: its IKE SAs, its child SAs by tunnel, the messages between ledgers.
 * An identity is here as long as it has one of them. The functions are of one peer, and walk over its identities only where one comes or
 * goes (CONNECTIONS_MAX).
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdlib.h>

struct ike_instance *instance_get(struct ike_peer *p, const struct blob *user)
{
	struct ike_instance *i;

	assert(user->n > 0);
	LIST_FOR (struct ike_instance, each, &p->instances, of_peer)
		if (each->user.n == user->n && memcmp(each->user.at, user->at, user->n) == 0)
			return each;
	i = ike_alloc(sizeof *i);
	blob_set(&i->user, user->at, user->n);
	list_init(&i->shares);
	link_last(&p->instances, &i->of_peer);
	return i;
}

void instance_put(struct ike_instance *i)
{
	if (i->sas_n > 0 || !list_empty(&i->shares))
		return;
	link_out(&i->of_peer);
	blob_free(&i->user);
	free(i);
}

struct tunnel_share *share_get(struct ike_instance *i, uint32_t tunnel)
{
	struct tunnel_share *s;

	LIST_FOR (struct tunnel_share, each, &i->shares, of_instance)
		if (each->tunnel == tunnel)
			return each;
	s = ike_alloc(sizeof *s);
	s->of = i;
	s->tunnel = tunnel;
	link_last(&i->shares, &s->of_instance);
	return s;
}

void share_put(struct tunnel_share *s)
{
	struct ike_instance *i = s->of;

	if (s->all_n > 0)
		return;
	link_out(&s->of_instance);
	free(s);
	instance_put(i);
}
