/*
 * Who is found by what, without a walk over the tables: child SAs by SPI, by tunnel and by the IKE SA that they were made in, IKE SAs by
 * peer, nonces of ours by either end, keys by name; and how many IKE SAs are half-open. What a stranger can cause, a look-up for each
 * handshake, must not take longer the more peers there are.
 *
 * Chains of places over buckets. SPIs, nonces and handles are our own, names are the administrator's: nobody else chooses what collides.
 * None of this is secret, and none of it is in locked memory.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdlib.h>

enum { NONCE_END = 16, BUCKETS = 16384, NONCE_BUCKETS = 65536 };

#define NODES_OF_CHILD(i) (2 * (uint32_t)KEYS_IKE_MAX + 2 * (uint32_t)(i))

static bool chain_new(struct chain *c, uint32_t buckets, uint32_t nodes)
{
	assert((buckets & (buckets - 1)) == 0);
	c->mask = buckets - 1;
	c->first = calloc(buckets, sizeof *c->first);
	c->next = calloc(nodes, sizeof *c->next);
	return c->first && c->next;
}

static void chain_free(struct chain *c)
{
	free(c->first);
	free(c->next);
}

static void chain_add(struct chain *c, uint32_t hash, uint32_t node)
{
	uint32_t *first = &c->first[hash & c->mask];

	c->next[node] = *first;
	*first = node + 1;
}

static void chain_remove(struct chain *c, uint32_t hash, uint32_t node)
{
	uint32_t *at = &c->first[hash & c->mask];

	while (*at != node + 1) {
		assert(*at != 0); /* it is in its chain */
		at = &c->next[*at - 1];
	}
	*at = c->next[node];
	c->next[node] = 0;
}

/* FNV-1a */
static uint32_t hash_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

bool index_new(struct keys *k)
{
	return chain_new(&k->by_spi, BUCKETS, KEYS_CHILDREN_MAX) &&
	       chain_new(&k->by_tunnel, BUCKETS, KEYS_CHILDREN_MAX) &&
	       chain_new(&k->by_ike, BUCKETS, KEYS_CHILDREN_MAX) &&
	       chain_new(&k->by_peer, BUCKETS, KEYS_IKE_MAX) &&
	       chain_new(&k->by_nonce, NONCE_BUCKETS, NODES_OF_CHILD(KEYS_CHILDREN_MAX)) &&
	       chain_new(&k->by_name, BUCKETS, KEYS_IDENTITIES_MAX);
}

void index_free(struct keys *k)
{
	struct chain *all[] = { &k->by_spi, &k->by_tunnel, &k->by_ike, &k->by_peer, &k->by_nonce,
		&k->by_name };

	for (size_t i = 0; i < COUNT_OF(all); i++)
		chain_free(all[i]);
}

/* ---- nonces ---- */

static void nonce_index(struct keys *k, uint32_t node, const uint8_t nonce[KEEPER_NONCE_SIZE], bool add)
{
	const uint32_t ends[] = { load_be32(nonce), load_be32(nonce + KEEPER_NONCE_SIZE - NONCE_END) };

	for (uint32_t i = 0; i < 2; i++)
		(add ? chain_add : chain_remove)(&k->by_nonce, ends[i], node + i);
}

static const uint8_t *nonce_of(const struct keys *k, uint32_t node)
{
	return node < NODES_OF_CHILD(0) ? k->ike[node / 2].nonce
					: k->children[(node - NODES_OF_CHILD(0)) / 2].nonce;
}

/*
 * Keys are derived from Ni | Nr without a separator, so a nonce of another length may share octets with ours:
 * Ni of one exchange followed by Nr of another. 16 octets at either end decide, the least that a nonce has.
 */
bool nonce_is_ours(const struct keys *k, const uint8_t *nonce, size_t n)
{
	_Static_assert(KEEPER_NONCE_SIZE >= NONCE_END, "ours have both ends");
	for (uint32_t end = 0; end < 2 && n >= NONCE_END; end++) {
		const uint8_t *theirs = nonce + (end ? n - NONCE_END : 0);
		uint32_t at = k->by_nonce.first[load_be32(theirs) & k->by_nonce.mask];

		for (; at != 0; at = k->by_nonce.next[at - 1]) {
			const uint8_t *ours = nonce_of(k, at - 1) + (end ? KEEPER_NONCE_SIZE - NONCE_END : 0);
			if ((at - 1) % 2 == end && memcmp(ours, theirs, NONCE_END) == 0)
				return true;
		}
	}
	return false;
}

/* ---- IKE SAs ---- */

static bool is_half_open(const struct keeper_ike_sa *sa)
{
	return sa->state == IKE_KEYED ||
	       ((sa->state == IKE_BEGUN || sa->state == IKE_ADDITIONAL) && sa->parent == 0);
}

void ike_sa_enter(struct keys *k, struct keeper_ike_sa *sa, enum ike_state state)
{
	uint32_t node = 2 * (uint32_t)(sa - k->ike);

	assert(state == IKE_FREE || sa->nonce_n == KEEPER_NONCE_SIZE);
	assert(!is_half_open(sa) || k->half_open > 0);
	k->half_open -= is_half_open(sa);
	if (sa->state == IKE_FREE)
		nonce_index(k, node, sa->nonce, true);
	if (state == IKE_FREE)
		nonce_index(k, node, sa->nonce, false);
	sa->state = state;
	k->half_open += is_half_open(sa);
}

void ike_sa_set_peer(struct keys *k, struct keeper_ike_sa *sa, const struct peer_proof *proof)
{
	uint32_t place = (uint32_t)(sa - k->ike);

	if (sa->peer.name[0])
		chain_remove(&k->by_peer, hash_of(sa->peer.name), place);
	sa->peer = *proof;
	if (sa->peer.name[0])
		chain_add(&k->by_peer, hash_of(sa->peer.name), place);
}

struct keeper_ike_sa *ike_sa_of_peer(
	const struct keys *k, const char *peer, const struct keeper_ike_sa *after)
{
	uint32_t at =
		after ? k->by_peer.next[after - k->ike] : k->by_peer.first[hash_of(peer) & k->by_peer.mask];

	for (; at != 0; at = k->by_peer.next[at - 1])
		if (strcmp(k->ike[at - 1].peer.name, peer) == 0)
			return &k->ike[at - 1];
	return NULL;
}

/* ---- child SAs ---- */

static void child_index(struct keys *k, const struct child_sa *c, bool add)
{
	void (*change)(struct chain *, uint32_t, uint32_t) = add ? chain_add : chain_remove;
	uint32_t place = (uint32_t)(c - k->children);

	change(&k->by_spi, c->spi_in, place);
	change(&k->by_tunnel, hash_of(c->tunnel), place);
	change(&k->by_ike, c->ike, place);
	nonce_index(k, NODES_OF_CHILD(place), c->nonce, add);
}

void child_sa_index(struct keys *k, const struct child_sa *c)
{
	assert(c->state != CHILD_FREE);
	child_index(k, c, true);
}

void child_sa_unindex(struct keys *k, const struct child_sa *c)
{
	if (c->state != CHILD_FREE)
		child_index(k, c, false);
}

struct child_sa *child_sa_find_by_spi(struct keys *k, uint32_t spi_in)
{
	for (uint32_t at = k->by_spi.first[spi_in & k->by_spi.mask]; at != 0; at = k->by_spi.next[at - 1])
		if (k->children[at - 1].spi_in == spi_in)
			return &k->children[at - 1];
	return NULL;
}

struct child_sa *child_sa_of_tunnel(const struct keys *k, const char *tunnel, const struct child_sa *after)
{
	uint32_t at = after ? k->by_tunnel.next[after - k->children]
			    : k->by_tunnel.first[hash_of(tunnel) & k->by_tunnel.mask];

	for (; at != 0; at = k->by_tunnel.next[at - 1])
		if (strcmp(k->children[at - 1].tunnel, tunnel) == 0)
			return &k->children[at - 1];
	return NULL;
}

struct child_sa *child_sa_of_ike(const struct keys *k, uint32_t ike, const struct child_sa *after)
{
	uint32_t at = after ? k->by_ike.next[after - k->children] : k->by_ike.first[ike & k->by_ike.mask];

	for (; at != 0; at = k->by_ike.next[at - 1])
		if (k->children[at - 1].ike == ike)
			return &k->children[at - 1];
	return NULL;
}

/* ---- keys ---- */

void identity_index(struct keys *k, uint32_t place)
{
	chain_add(&k->by_name, hash_of(k->identities[place].name), place);
}

void identities_unindex(struct keys *k)
{
	memset(k->by_name.first, 0, (k->by_name.mask + 1) * sizeof *k->by_name.first);
}

struct keys_identity *identity_by_name(const struct keys *k, const char *name, enum identity_kind kind)
{
	uint32_t at = k->by_name.first[hash_of(name) & k->by_name.mask];

	for (; at != 0; at = k->by_name.next[at - 1])
		if (k->identities[at - 1].kind == (uint32_t)kind &&
			strcmp(k->identities[at - 1].name, name) == 0)
			return &k->identities[at - 1];
	return NULL;
}

/* ---- for tests ---- */

static uint32_t chain_members(const struct chain *c)
{
	uint32_t n = 0;

	for (uint32_t b = 0; b <= c->mask; b++)
		for (uint32_t at = c->first[b]; at != 0; at = c->next[at - 1])
			n++;
	return n;
}

bool keys_index_agrees(const struct keys *k)
{
	uint32_t ike = 0, peers = 0, children = 0, half = 0;

	for (uint32_t i = 0; i < k->ike_n; i++) {
		ike += k->ike[i].state != IKE_FREE;
		peers += k->ike[i].peer.name[0] != 0;
		half += is_half_open(&k->ike[i]);
	}
	for (uint32_t i = 0; i < k->children_n; i++)
		children += k->children[i].state != CHILD_FREE;
	return half == k->half_open && chain_members(&k->by_peer) == peers &&
	       chain_members(&k->by_spi) == children && chain_members(&k->by_tunnel) == children &&
	       chain_members(&k->by_ike) == children && chain_members(&k->by_nonce) == 2 * (ike + children) &&
	       chain_members(&k->by_name) == k->identities_n;
}
