/*
 * The tables of IKE SAs and child SAs: places, handles, and what is looked up over all of them.
 *
 * A handle is generation << 14 | place + 1, so that a stale handle finds nothing rather than the next one in
 * its place.
 */
#include "keys/internal.h"

#include <assert.h>

#define PLACE_BITS 14
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

struct child_sa *child_sa_find_by_spi(struct keys *k, uint32_t spi_in)
{
	for (size_t i = 0; i < k->children_n; i++)
		if (k->children[i].state != CHILD_FREE && k->children[i].spi_in == spi_in)
			return &k->children[i];
	return NULL;
}

void child_sa_free(struct keys *k, struct child_sa *c)
{
	uint32_t generation = c->generation;

	if (c->state != CHILD_FREE && !c->named)
		journal_unused(k, &c->proof, &c->leaf);
	bytes_wipe(c, sizeof *c);
	c->generation = generation;
}

static void child_sas_begun_free(struct keys *k, uint32_t ike_handle)
{
	for (size_t i = 0; i < k->children_n; i++)
		if (k->children[i].state == CHILD_BEGUN && k->children[i].ike == ike_handle)
			child_sa_free(k, &k->children[i]);
}

void ike_sa_free(struct keys *k, struct keeper_ike_sa *sa)
{
	uint32_t generation = sa->generation;

	assert(sa->state != IKE_FREE);
	child_sas_begun_free(k, sa->handle);
	/* While its entry waits for its receipt, auth_verify_receipt() does that. */
	if (!sa->named && !sa->verifying)
		journal_unused(k, &sa->proof, &sa->leaf);
	bytes_wipe(sa, sizeof *sa);
	sa->generation = generation;
}

struct keeper_ike_sa *ike_sa_new(struct keys *k)
{
	uint32_t place = 0;

	while (place < k->ike_n && k->ike[place].state != IKE_FREE)
		place++;
	if (place == KEYS_IKE_MAX)
		return NULL;
	k->ike_n = MAX_OF(k->ike_n, place + 1);
	assert(k->ike_n <= KEYS_IKE_MAX && k->ike[place].state == IKE_FREE);
	k->ike[place].generation++;
	k->ike[place].handle = k->ike[place].generation << PLACE_BITS | (place + 1);
	return &k->ike[place];
}

/*
 * A free place; else that of an installed child SA whose IKE SA has ended: of it only the name is kept here,
 * the data plane has the rest.
 */
struct child_sa *child_sa_new(struct keys *k)
{
	struct child_sa *found = NULL;

	for (uint32_t i = 0; i < k->children_n; i++) {
		struct child_sa *c = &k->children[i];
		if (c->state == CHILD_FREE) {
			found = c;
			break;
		}
		if (!found && c->state == CHILD_INSTALLED && !ike_sa_find(k, c->ike))
			found = c;
	}
	if (k->children_n < KEYS_CHILDREN_MAX && (!found || found->state != CHILD_FREE))
		found = &k->children[k->children_n++];
	if (!found)
		return NULL;
	assert(found->state == CHILD_FREE || found->state == CHILD_INSTALLED);
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

/*
 * Keys are derived from Ni | Nr without a separator, so a nonce of another length may share octets with ours:
 * Ni of one exchange followed by Nr of another. 16 octets at either end decide, the least that a nonce has.
 */
static bool nonces_touch(const uint8_t *ours, const uint8_t *theirs, size_t n)
{
	enum { END = 16 };

	_Static_assert(KEEPER_NONCE_SIZE >= END, "ours have both ends");
	return n >= END && (memcmp(ours, theirs, END) == 0 ||
				   memcmp(ours + KEEPER_NONCE_SIZE - END, theirs + n - END, END) == 0);
}

bool nonce_is_ours(const struct keys *k, const uint8_t *nonce, size_t n)
{
	for (size_t i = 0; i < k->ike_n; i++)
		if (k->ike[i].state != IKE_FREE && nonces_touch(k->ike[i].nonce, nonce, n))
			return true;
	for (size_t i = 0; i < k->children_n; i++)
		if (k->children[i].state != CHILD_FREE && nonces_touch(k->children[i].nonce, nonce, n))
			return true;
	return false;
}

struct keys_counts keys_count(const struct keys *k)
{
	struct keys_counts n = { .refused = k->refused };

	for (size_t i = 0; i < k->ike_n; i++) {
		n.exchanges += k->ike[i].state == IKE_BEGUN || k->ike[i].state == IKE_KEYED;
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
