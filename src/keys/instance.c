/*
 * Who uses a template. A peer whose remote-id is a pattern is a template: an IKE SA with it is an instance, of the
 * identity that was proved. At most so many identities as its connections-limit says use it at a time; one more is refused, and
 * nobody has to go for it. An address behind the template belongs to one identity as long as that one has an IKE SA: the data
 * plane sends by the selectors, so nothing that is meant for one reaches another. What is left in the data plane of an identity
 * that has no IKE SA any more gives way.
 *
 * This walks over what the template has, once for each proof that such a peer gives, which costs a key exchange as well, and once
 * for each of its child SAs.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdlib.h>

static bool is_id_of(const struct keeper_ike_sa *sa, const struct instance *of)
{
	return sa->id_type == of->id_type && sa->id_n == of->id_n && memcmp(sa->id, of->id, of->id_n) == 0;
}

bool instance_is_same(const struct keeper_ike_sa *a, const struct keeper_ike_sa *b)
{
	return a->id_type == b->id_type && a->id_n == b->id_n && memcmp(a->id, b->id, a->id_n) == 0;
}

enum { WHO_UNKNOWN = 1 };

static uint64_t who(uint8_t id_type, const uint8_t *id, size_t n)
{
	const struct sha256_part parts[] = { { &id_type, 1 }, { id, n } };
	uint8_t digest[SHA256_SIZE];

	sha256_parts(digest, parts, COUNT_OF(parts));
	return load_be64(digest) | (uint64_t)2;
}

uint64_t instance_who(const struct snap_peer *peer, const struct keeper_ike_sa *sa)
{
	if (!peer || !(peer->flags & PEER_ID_PATTERN))
		return 0;
	return sa ? who(sa->id_type, sa->id, sa->id_n) : WHO_UNKNOWN;
}

uint64_t instance_who_of(const struct keys *k, const struct snap_peer *peer, const struct child_sa *c)
{
	const struct instance *of = c ? k->instances[c - k->children] : NULL;

	return !of			       ? instance_who(peer, NULL)
	       : peer->flags & PEER_ID_PATTERN ? who(of->id_type, of->id, of->id_n)
					       : 0;
}

bool instance_has(const struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c)
{
	const struct instance *of = k->instances[c - k->children];

	return of && is_id_of(sa, of);
}

/* Those that use the template, one after the other. A rekey that is begun has the identity of its parent, and says none. */
static const struct keeper_ike_sa *user_after(
	const struct keys *k, const char *peer, const struct keeper_ike_sa *after)
{
	do
		after = ike_sa_of_peer(k, peer, after);
	while (after && after->parent != 0);
	return after;
}

/* So many identities use the template, `but` not counted, or at least `most`. */
static uint32_t identities(
	const struct keys *k, const char *peer, const struct keeper_ike_sa *but, uint32_t most)
{
	const struct keeper_ike_sa *seen[CONNECTIONS_MAX];
	uint32_t n = 0;

	assert(most <= CONNECTIONS_MAX);
	for (const struct keeper_ike_sa *sa = NULL; n < most && (sa = user_after(k, peer, sa)) != NULL;) {
		bool first = !instance_is_same(sa, but);

		for (uint32_t before = 0; before < n && first; before++)
			first = !instance_is_same(seen[before], sa);
		if (first)
			seen[n++] = sa;
	}
	return n;
}

enum rc instance_admit(
	const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa, struct err *e)
{
	if (!(peer->flags & PEER_ID_PATTERN))
		return RC_OK;
	for (const struct keeper_ike_sa *at = NULL; (at = user_after(k, peer->name, at)) != NULL;)
		if (at != sa && instance_is_same(at, sa))
			return RC_OK; /* it is counted already */
	if (identities(k, peer->name, sa, peer->connections_max) < peer->connections_max)
		return RC_OK;
	return err_add(e, RC_LIMIT,
		"peer '%s' is in use by %u identities, which is its connections-limit: another one has to wait until one "
		"of them ends, or dead peer detection ends it",
		peer->name, peer->connections_max);
}

bool instance_is_known(const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa)
{
	for (const struct keeper_ike_sa *at = NULL; (at = user_after(k, peer->name, at)) != NULL;)
		if (at->state == IKE_AUTHENTICATED && instance_is_same(at, sa) &&
			addr_equal(&at->remote.addr, &sa->remote.addr))
			return true;
	return false;
}

static bool is_present(const struct keys *k, const char *peer, const struct instance *of)
{
	for (const struct keeper_ike_sa *at = NULL; (at = user_after(k, peer, at)) != NULL;)
		if (is_id_of(at, of))
			return true;
	return false;
}

/* The first address range of the request that is another one's; NULL: none. */
static const struct ip_range *claimed(const struct instance *of, const struct keeper_child_install *q)
{
	for (size_t i = 0; i < of->claims_n; i++)
		for (size_t r = 0; r < q->remote_n; r++)
			if (ranges_meet(&of->claims[i], &q->remote_ts[r].addrs))
				return &of->claims[i];
	return NULL;
}

/* `other` of the same tunnel has an address that the request is about, and is another identity's; NULL: not. */
static const struct ip_range *stands_against(const struct keys *k, const struct child_sa *other,
	const struct keeper_ike_sa *sa, const struct keeper_child_install *q)
{
	const struct instance *of = k->instances[other - k->children];

	if (!of || (other->state != CHILD_INSTALLING && other->state != CHILD_INSTALLED) || is_id_of(sa, of))
		return NULL;
	return claimed(of, q);
}

enum rc instance_claims_check(const struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q, struct err *e)
{
	char text[KEYS_ID_TEXT_MAX], range[RANGE_TEXT_MAX];

	for (const struct child_sa *at = NULL; (at = child_sa_of_tunnel(k, c->tunnel, at)) != NULL;) {
		const struct instance *of = k->instances[at - k->children];
		const struct ip_range *what = stands_against(k, at, sa, q);

		if (!what)
			continue;
		if (is_present(k, sa->peer.name, of))
			return err_add(e, RC_LIMIT,
				"%s of tunnel '%s' is in use by %s: an address belongs to one identity at a time",
				range_text(range, what), c->tunnel,
				id_text(text, of->id_type, of->id, of->id_n));
		if (at->state == CHILD_INSTALLING)
			return err_add(e, RC_AGAIN,
				"a child SA of an identity that has ended is being installed; ask again");
	}
	return RC_OK;
}

void instance_claim(struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q)
{
	size_t place = (size_t)(c - k->children);
	struct instance *mine;

	for (struct child_sa *at = NULL; (at = child_sa_of_tunnel(k, c->tunnel, at)) != NULL;)
		if (stands_against(k, at, sa, q) && at->state == CHILD_INSTALLED)
			child_sa_remove_left(k, at,
				"left over from before a restart, and another identity of the peer has its addresses now");
	assert(!k->instances[place]);
	mine = calloc(1, sizeof *mine + q->remote_n * sizeof mine->claims[0]);
	if (!mine)
		abort(); /* as wherever memory is short for what other promises rest on */
	mine->id_type = sa->id_type;
	mine->id_n = sa->id_n;
	memcpy(mine->id, sa->id, sizeof mine->id);
	mine->claims_n = q->remote_n;
	for (size_t i = 0; i < q->remote_n; i++)
		mine->claims[i] = q->remote_ts[i].addrs;
	k->instances[place] = mine;
}
