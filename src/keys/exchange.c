/*
 * IKE SAs from the first public value to the end: EXCHANGE_BEGIN, EXCHANGE_FINISH, DROP (RFC 7296
 * sections 1.2, 2.14, 2.18).
 */
#include "keys/internal.h"

#include <assert.h>

static size_t half_open(const struct keys *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->ike_n; i++)
		n += (k->ike[i].state == IKE_BEGUN && k->ike[i].parent == 0) || k->ike[i].state == IKE_KEYED;
	return n;
}

static enum rc begin_check(struct keys *k, const struct keeper_exchange_begin *q, struct err *e)
{
	struct keeper_ike_sa *parent = ike_sa_find(k, q->parent);

	if (q->role != KEEPER_INITIATOR && q->role != KEEPER_RESPONDER)
		return err_add(e, RC_MALFORMED, "the role is %u; initiator (1) or responder (2) is allowed",
			q->role);
	if (dh_public_size(q->dh_group) == 0)
		return err_add(e, RC_UNSUPPORTED, "Diffie-Hellman group %u is not supported", q->dh_group);
	if (parent)
		return peer_has_room(k, parent->peer.name, e);
	if (half_open(k) >= KEYS_HALF_OPEN_MAX)
		return err_add(e, RC_LIMIT, "too many IKE SAs are half-open (limit %d)", KEYS_HALF_OPEN_MAX);
	return RC_OK;
}

enum rc exchange_begin(struct keys *k, const struct keeper_exchange_begin *q,
	const struct keys_entropy *fresh, struct keeper_exchange_begun *a, struct err *e)
{
	static const uint8_t no_spi[8];
	enum rc rc = begin_check(k, q, e);
	struct keeper_ike_sa *sa;

	_Static_assert(sizeof fresh->secret >= DH_SEED_SIZE, "a seed for any group");
	_Static_assert(
		DH_PUBLIC_MAX <= KEYS_KE_MAX && KEYS_KE_MAX <= KEEPER_KE_MAX, "a public value of any group");
	_Static_assert(
		PUBLIC_NONCE_AT + KEEPER_NONCE_SIZE <= PUBLIC_SPI_AT && PUBLIC_SPI_AT + 8 <= PUBLIC_SIZE,
		"nonce and SPI share no octet");
	if (rc != RC_OK)
		return rc;
	if (memcmp(fresh->public_bytes + PUBLIC_SPI_AT, no_spi, 8) == 0)
		return err_add(e, RC_AGAIN, "the SPI candidate is zero; ask again");
	sa = ike_sa_new(k);
	if (!sa)
		return err_add(e, RC_LIMIT, "the table of IKE SAs is full (%d)", KEYS_IKE_MAX);
	rc = dh_generate(&sa->dh, sa->ke, q->dh_group, fresh->secret);
	if (rc != RC_OK)
		return err_add(e, rc, "computing the Diffie-Hellman value of group %u", q->dh_group);
	sa->state = IKE_BEGUN;
	sa->role = q->role;
	sa->parent = q->parent;
	if (q->parent != 0)
		memcpy(sa->peer.name, ike_sa_find(k, q->parent)->peer.name, sizeof sa->peer.name);
	sa->dh_group = q->dh_group;
	sa->ke_n = (uint16_t)dh_public_size(q->dh_group);
	sa->nonce_n = KEEPER_NONCE_SIZE;
	memcpy(sa->nonce, fresh->public_bytes + PUBLIC_NONCE_AT, KEEPER_NONCE_SIZE);
	sa->proof = fresh->proof;
	sa->leaf = fresh->leaf;
	a->handle = sa->handle;
	a->nonce_n = sa->nonce_n;
	a->ke_n = sa->ke_n;
	memcpy(a->nonce, sa->nonce, sa->nonce_n);
	memcpy(a->ke, sa->ke, sa->ke_n);
	memcpy(a->ike_spi, fresh->public_bytes + PUBLIC_SPI_AT, 8);
	return RC_OK;
}

static enum rc finish_check(const struct keys *k, const struct keeper_exchange_finish *q, struct err *e)
{
	static const uint8_t no_spi[8];
	size_t least = MAX_OF((size_t)16, prf_size(q->prf) / 2);

	if (prf_size(q->prf) == 0)
		return err_add(e, RC_UNSUPPORTED, "pseudorandom function %u is not supported", q->prf);
	if (aead_material_size(q->encr, q->encr_bits) == 0)
		return err_add(e, RC_UNSUPPORTED, "encryption algorithm %u with %u bits is not supported",
			q->encr, q->encr_bits);
	/* RFC 7296 2.10: "MUST be at least 128 bits in size, and MUST be at least half the key size of the
	 * [PRF]". */
	if (q->peer_nonce_n < least || q->peer_nonce_n > KEEPER_NONCE_MAX)
		return err_add(e, RC_RANGE, "the peer's nonce has %u octets; %zu to %d are allowed",
			q->peer_nonce_n, least, KEEPER_NONCE_MAX);
	if (q->peer_ke_n > KEEPER_KE_MAX)
		return err_add(e, RC_RANGE,
			"the peer's Diffie-Hellman value has %u octets; at most %d are allowed", q->peer_ke_n,
			KEEPER_KE_MAX);
	if (memcmp(q->spi_i, no_spi, 8) == 0 || memcmp(q->spi_r, no_spi, 8) == 0)
		return err_add(e, RC_RANGE, "an IKE SPI is zero; both must be set");
	/*
	 * Of this exchange or of another: if two exchanges of ours were joined together, a pre-shared key
	 * would authenticate us to ourselves as the peer. Nonces are compared and not public values, because
	 * another public value with the same shared secret is easily made.
	 */
	if (nonce_is_ours(k, q->peer_nonce, q->peer_nonce_n))
		return err_add(e, RC_DENIED, "the peer sent a nonce of ours");
	return RC_OK;
}

/* SKEYSEED and SK_*; sa is not changed. */
static enum rc finish_derive(struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent,
	const struct keeper_exchange_finish *q, struct ike_keys *ret_keys, struct err *e)
{
	struct octets ours = { sa->nonce, sa->nonce_n }, theirs = { q->peer_nonce, q->peer_nonce_n };
	struct octets ni = sa->role == KEEPER_INITIATOR ? ours : theirs;
	struct octets nr = sa->role == KEEPER_INITIATOR ? theirs : ours;
	uint8_t shared[DH_SHARED_MAX], skeyseed[PRF_SIZE_MAX];
	struct octets secret = { shared, dh_shared_size(sa->dh_group) };
	size_t seed_n = prf_size(parent ? parent->prf : q->prf);
	enum rc rc = dh_shared(&sa->dh, q->peer_ke, q->peer_ke_n, shared, e);

	if (rc != RC_OK)
		return rc;
	if (parent)
		rc = derive_skeyseed_rekey(parent->prf, (struct octets){ parent->sk.sk_d, parent->sk.prf_n },
			ni, nr, secret, skeyseed);
	else
		rc = derive_skeyseed(q->prf, ni, nr, secret, skeyseed);
	if (rc == RC_OK)
		rc = derive_ike_keys(q->prf, (struct octets){ skeyseed, seed_n }, ni, nr, q->spi_i, q->spi_r,
			aead_material_size(q->encr, q->encr_bits), ret_keys);
	bytes_wipe(shared, sizeof shared);
	bytes_wipe(skeyseed, sizeof skeyseed);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "deriving the keys of an IKE SA");
}

static void finish_commit(struct keeper_ike_sa *sa, const struct keeper_exchange_finish *q,
	struct ike_keys *keys, struct keeper_exchange_finished *a)
{
	assert(keys->sk_e_n <= sizeof a->sk_ei && keys->prf_n == prf_size(q->prf));
	assert(q->peer_ke_n == sa->ke_n &&
		sa->ke_n <= sizeof sa->peer_ke); /* dh_shared() takes no other size */
	a->sk_e_n = keys->sk_e_n;
	memcpy(a->sk_ei, keys->sk_ei, keys->sk_e_n);
	memcpy(a->sk_er, keys->sk_er, keys->sk_e_n);
	bytes_wipe(keys->sk_ei, sizeof keys->sk_ei);
	bytes_wipe(keys->sk_er, sizeof keys->sk_er);
	dh_done(&sa->dh);
	sa->sk = *keys;
	sa->prf = q->prf;
	sa->encr = q->encr;
	sa->encr_bits = q->encr_bits;
	sa->peer_nonce_n = q->peer_nonce_n;
	sa->peer_ke_n = q->peer_ke_n;
	memcpy(sa->peer_nonce, q->peer_nonce, q->peer_nonce_n);
	memcpy(sa->peer_ke, q->peer_ke, q->peer_ke_n);
	memcpy(sa->spi_i, q->spi_i, 8);
	memcpy(sa->spi_r, q->spi_r, 8);
	sa->state = IKE_KEYED;
}

/* The new IKE SA has the peer of the old one: deriving its keys took the old SK_d. */
static void inherit(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent)
{
	struct keys_entry entry;

	assert(sa->state == IKE_KEYED && parent->state == IKE_AUTHENTICATED && !sa->named);
	sa->peer = parent->peer;
	sa->method = parent->method;
	sa->ppk = parent->ppk;
	sa->local = parent->local;
	sa->remote = parent->remote;
	sa->id_type = parent->id_type;
	sa->id_n = parent->id_n;
	memcpy(sa->id, parent->id, sizeof sa->id);
	sa->rekeyed = true;
	sa->parent = 0;
	sa->state = IKE_AUTHENTICATED;
	sa->named = true;
	entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_REKEYED, sa, NULL);
	memcpy(entry.rekeys_ike_spi_i, parent->spi_i, 8);
	memcpy(entry.rekeys_ike_spi_r, parent->spi_r, 8);
	journal_report(k, &entry);
}

enum rc exchange_finish(struct keys *k, const struct keeper_exchange_finish *q,
	struct keeper_exchange_finished *a, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle), *parent = NULL;
	struct ike_keys keys;
	enum rc rc;

	assert(sa && sa->state == IKE_BEGUN && sa->dh.group == sa->dh_group);
	rc = finish_check(k, q, e);
	if (rc != RC_OK)
		return rc;
	if (sa->parent != 0) {
		struct keeper_ike_sa as_asked = *sa;
		const struct snap_peer *peer = NULL;

		parent = ike_sa_find(k, sa->parent);
		assert(parent && parent->state == IKE_AUTHENTICATED);
		as_asked.prf = q->prf;
		as_asked.encr = q->encr;
		as_asked.encr_bits = q->encr_bits;
		peer = peer_by_name(k, parent->peer.name);
		rc = peer_is_unchanged(k, parent, peer, e);
		if (rc == RC_OK)
			rc = peer_allows_proposal(k, peer, &as_asked, e);
		bytes_wipe(&as_asked, sizeof as_asked);
		if (rc != RC_OK) {
			journal_refused(k, parent, NULL, e->text);
			return rc;
		}
	}
	rc = finish_derive(sa, parent, q, &keys, e);
	if (rc == RC_OK) {
		finish_commit(sa, q, &keys, a);
		if (parent)
			inherit(k, sa, parent);
	}
	bytes_wipe(&keys, sizeof keys);
	return rc;
}

enum rc exchange_drop(struct keys *k, const struct keeper_drop *q, struct err *e)
{
	struct child_sa *child = child_sa_find(k, q->child);
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	struct keys_entry entry;

	if (q->child != 0) {
		assert(child && child->state == CHILD_BEGUN);
		child_sa_free(k, child);
		return RC_OK;
	}
	assert(sa);
	/* What is entered follows our own state, not what ike states. */
	if (sa->state == IKE_AUTHENTICATED) {
		char reason[KEEPER_TEXT_MAX];

		text_copy(reason, MIN_OF(sizeof reason, sizeof q->reason), q->reason);
		entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_DOWN, sa, reason);
		journal_report(k, &entry);
	}
	ike_sa_free(k, sa);
	return RC_OK;
}
