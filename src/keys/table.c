/*
 * The tables of IKE SAs and child SAs: places, handles, and what is looked up over all of them.
 *
 * A handle is generation << 15 | place + 1, so that a stale handle finds nothing rather than the next one in
 * its place.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdlib.h>

#define PLACE_BITS 15
_Static_assert(
	KEYS_IKE_MAX < 1 << PLACE_BITS && KEYS_CHILDREN_MAX < 1 << PLACE_BITS, "handles hold the place");

struct keeper_ike_sa *ike_sa_find(struct keys *k, uint32_t handle)
{
	uint32_t place = (handle & ((1u << PLACE_BITS) - 1)) - 1;

	if (place >= k->ike_n || k->ike[place].state == IKE_FREE || k->ike[place].handle != handle)
		return NULL;
	return &k->ike[place];
}

struct child_sa *child_sa_find(struct keys *k, uint32_t handle)
{
	uint32_t place = (handle & ((1u << PLACE_BITS) - 1)) - 1;

	if (place >= k->children_n || k->children[place].state == CHILD_FREE ||
		k->children[place].handle != handle)
		return NULL;
	return &k->children[place];
}

void child_sa_free(struct keys *k, struct child_sa *c)
{
	uint32_t generation = c->generation;
	struct child_secret *secret = c->secret;

	if (c->state != CHILD_FREE && !c->named)
		journal_unused(k, &c->proof, &c->leaf);
	if (secret) /* else it was never used */
		bytes_wipe(secret, sizeof *secret);
	child_sa_unindex(k, c);
	free(k->instances[c - k->children]);
	k->instances[c - k->children] = NULL;
	free(c->peer_ke);
	bytes_wipe(c, sizeof *c);
	c->generation = generation;
	c->secret = secret;
	k->children_full = MIN_OF(k->children_full, (uint32_t)(c - k->children));
}

static void child_sas_begun_free(struct keys *k, uint32_t ike_handle)
{
	struct child_sa *c = child_sa_of_ike(k, ike_handle, NULL), *next;

	for (; c; c = next) {
		next = child_sa_of_ike(k, ike_handle, c);
		if (c->state == CHILD_BEGUN)
			child_sa_free(k, c);
	}
}

void ike_sa_free(struct keys *k, struct keeper_ike_sa *sa)
{
	uint32_t generation = sa->generation;
	struct ike_secrets *secret = sa->secret;

	assert(sa->state != IKE_FREE);
	child_sas_begun_free(k, sa->handle);
	verdicts_forget(k, sa->handle);
	/* While its entry waits for its receipt, auth_verify_receipt() does that. */
	if (!sa->named && !sa->verifying)
		journal_unused(k, &sa->proof, &sa->leaf);
	ike_sa_set_peer(k, sa, &(struct peer_proof){ 0 });
	ike_sa_enter(k, sa, IKE_FREE);
	bytes_wipe(secret, sizeof *secret);
	bytes_wipe(sa, sizeof *sa);
	sa->generation = generation;
	sa->secret = secret;
	k->ike_full = MIN_OF(k->ike_full, (uint32_t)(sa - k->ike));
}

/* The memory of a place, in pieces of several. False: no more can be locked. */
static bool place_lock(
	struct keys *k, uint32_t *locked, uint32_t place, void *places, size_t each, uint32_t places_max)
{
	enum { PIECE = 64 << 10 };
	uint32_t more = MIN_OF(places_max - *locked, (uint32_t)(PIECE / each));

	if (place < *locked)
		return true;
	if (k->sink.lock && !k->sink.lock(k->sink.context, (uint8_t *)places + *locked * each, more * each))
		return false;
	*locked += more;
	return true;
}

bool identity_lock(struct keys *k, uint32_t place)
{
	return place_lock(
		k, &k->identities_locked, place, k->identities, sizeof k->identities[0], KEYS_IDENTITIES_MAX);
}

struct keeper_ike_sa *ike_sa_new(struct keys *k)
{
	struct ike_secrets *secrets = k->secrets->ike;
	uint32_t place;

	while (k->ike_full < k->ike_n && k->ike[k->ike_full].state != IKE_FREE)
		k->ike_full++;
	place = k->ike_full;
	if (place == KEYS_IKE_MAX ||
		!place_lock(k, &k->ike_locked, place, secrets, sizeof *secrets, KEYS_IKE_MAX))
		return NULL;
	k->ike[place].secret = &secrets[place];
	k->ike_n = MAX_OF(k->ike_n, place + 1);
	assert(k->ike_n <= KEYS_IKE_MAX && k->ike[place].state == IKE_FREE);
	k->ike[place].generation++;
	k->ike[place].handle = k->ike[place].generation << PLACE_BITS | (place + 1);
	k->ike[place].line = k->ike[place].handle;
	return &k->ike[place];
}

void child_sa_remove_left(struct keys *k, struct child_sa *c, const char *reason)
{
	struct keys_action action = { .kind = KEYS_SA_REMOVE };
	const struct instance *of = k->instances[c - k->children];
	const struct snap_tunnel *t = tunnel_by_index(k, tunnel_index(k, c->tunnel));
	struct keys_entry entry;

	assert(of && c->state == CHILD_INSTALLED && c->named);
	entry_from_ike_sa(&entry, KEYS_ENTRY_SA_REMOVE, NULL, reason);
	if (t)
		text_copy(entry.peer, sizeof entry.peer, snap_peers(k->snapshot)[t->peer].name);
	text_copy(entry.tunnel, sizeof entry.tunnel, c->tunnel);
	entry_set_id(&entry, of->id_type, of->id, of->id_n);
	entry.proof = c->proof;
	entry.leaf = c->leaf;
	entry.spi_in = c->spi_in;
	entry.spi_out = c->spi_out;
	journal_report(k, &entry);
	c->state = CHILD_REMOVING;
	action.u.remove.tunnel = tunnel_index(k, c->tunnel);
	action.u.remove.spi_in = c->spi_in;
	c->remove_later = sink_emit(k, &action) != RC_OK;
}

/*
 * An installed child SA whose IKE SA has ended, and whose place another one may have: of it only the name is kept here, the data plane has
 * the rest. One of a template has addresses as well, which would be anybody's if they were forgotten, so it ends in the data plane; with no
 * data plane there it stays.
 */
static struct child_sa *left_over(struct keys *k)
{
	struct child_sa *of_template = NULL;

	for (uint32_t i = 0; i < k->children_n; i++) {
		struct child_sa *c = &k->children[i];

		if (c->state != CHILD_INSTALLED || ike_sa_find(k, c->ike))
			continue;
		if (!k->instances[i])
			return c;
		if (!of_template)
			of_template = c;
	}
	if (!of_template || !k->dataplane_is_up)
		return NULL;
	child_sa_remove_left(k, of_template,
		"left over from before a restart, and its place is needed for another child SA");
	return of_template->remove_later ? NULL : of_template;
}

/* A free place; else that of one that is left over. */
struct child_sa *child_sa_new(struct keys *k)
{
	struct child_secret *secrets = k->secrets->children;
	struct child_sa *found = NULL;
	uint32_t i;

	while (k->children_full < k->children_n && k->children[k->children_full].state != CHILD_FREE)
		k->children_full++;
	if (k->children_full < KEYS_CHILDREN_MAX && place_lock(k, &k->children_locked, k->children_full,
							    secrets, sizeof *secrets, KEYS_CHILDREN_MAX))
		found = &k->children[k->children_full];
	if (!found)
		found = left_over(k);
	if (!found)
		return NULL;
	i = (uint32_t)(found - k->children);
	k->children_n = MAX_OF(k->children_n, i + 1);
	found->secret = &secrets[i];
	assert(found->state == CHILD_FREE || found->state == CHILD_INSTALLED ||
		found->state == CHILD_REMOVING);
	child_sa_free(k, found);
	found->generation++;
	found->handle = found->generation << PLACE_BITS | (uint32_t)(found - k->children + 1);
	return found;
}

static bool is_older(const struct public_proof *p, const struct public_proof *now)
{
	/* The count starts at 1 in each epoch: those of an earlier one may still be named for a while. */
	return p->count != 0 && (p->epoch == now->epoch ? p->count + PUBLIC_ORDER_WINDOW <= now->count
							: now->count >= PUBLIC_ORDER_WINDOW);
}

void exchanges_expire(struct keys *k, const struct public_proof *now)
{
	for (size_t i = 0; i < k->ike_n; i++) {
		struct keeper_ike_sa *sa = &k->ike[i];
		assert(sa->state != IKE_AUTHENTICATED || sa->named);
		assert(!sa->verifying || sa->state == IKE_KEYED);
		if (sa->state != IKE_FREE && !sa->named && !sa->verifying && is_older(&sa->proof, now))
			ike_sa_free(k, sa);
	}
	for (size_t i = 0; i < k->children_n; i++) {
		struct child_sa *c = &k->children[i];
		if (c->state == CHILD_BEGUN && is_older(&c->proof, now))
			child_sa_free(k, c);
	}
}

struct keys_counts keys_count(const struct keys *k)
{
	struct keys_counts n = { .refused = k->refused, .verdicts_dropped = k->verdicts_dropped };

	for (size_t i = 0; i < k->ike_n; i++) {
		n.exchanges += k->ike[i].state == IKE_BEGUN || k->ike[i].state == IKE_ADDITIONAL ||
			       k->ike[i].state == IKE_KEYED;
		n.ike_sas += k->ike[i].state == IKE_AUTHENTICATED;
	}
	for (size_t i = 0; i < k->children_n; i++) {
		n.children_begun += k->children[i].state == CHILD_BEGUN;
		n.children_installed += k->children[i].state == CHILD_INSTALLED;
	}
	for (size_t i = 0; i < k->pending_n; i++)
		n.pending += k->pending[i].stage != PENDING_FREE;
	return n;
}

#define KE_PREFIX (KEYS_KE_MAX - SHA256_SIZE)

void ke_keep(uint8_t ret_kept[KEYS_KE_MAX], const uint8_t *ke, size_t n)
{
	memcpy(ret_kept, ke, n > KEYS_KE_MAX ? KE_PREFIX : n);
	if (n > KEYS_KE_MAX)
		sha256(ret_kept + KE_PREFIX, ke, n);
}

bool ke_is_in(const uint8_t *message, size_t message_n, const uint8_t kept[KEYS_KE_MAX], size_t ke_n)
{
	uint8_t digest[SHA256_SIZE];
	size_t n = ke_n > KEYS_KE_MAX ? KE_PREFIX : ke_n;

	for (size_t at = 0; ke_n > 0 && at + ke_n <= message_n; at++) {
		if (memcmp(message + at, kept, n) != 0)
			continue;
		if (ke_n <= KEYS_KE_MAX)
			return true;
		sha256(digest, message + at, ke_n);
		if (memcmp(digest, kept + KE_PREFIX, sizeof digest) == 0)
			return true;
	}
	return false;
}

void ike_keys_take(struct keeper_ike_sa *sa, struct ike_keys_all *keys, struct keeper_sk_e *ret_sk_e)
{
	assert(keys->sk_e_n <= sizeof ret_sk_e->ei);
	ret_sk_e->n = keys->sk_e_n;
	memcpy(ret_sk_e->ei, keys->sk_ei, keys->sk_e_n);
	memcpy(ret_sk_e->er, keys->sk_er, keys->sk_e_n);
	sa->secret->sk = keys->sk;
	bytes_wipe(keys, sizeof *keys);
}
