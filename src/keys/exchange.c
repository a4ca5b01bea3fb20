/*
 * IKE SAs from the first public value to the end: EXCHANGE_BEGIN and EXCHANGE_FINISH of an initiator,
 * EXCHANGE_ANSWER of a responder, DROP (RFC 7296 sections 1.2, 2.14, 2.18).
 */
#include "keys/internal.h"

#include <assert.h>

static enum rc begin_check(struct keys *k, const struct keeper_exchange_begin *q, struct err *e)
{
	struct keeper_ike_sa *parent = ike_sa_find(k, q->parent);

	if (q->role != KEEPER_INITIATOR && q->role != KEEPER_RESPONDER)
		return err_add(e, RC_MALFORMED, "the role is %u; initiator (1) or responder (2) is allowed",
			q->role);
	if (dh_public_size(q->dh_group) == 0)
		return err_add(e, RC_UNSUPPORTED, "Diffie-Hellman group %u is not supported", q->dh_group);
	if (parent)
		return peer_has_room(k, parent->peer.name, parent, e);
	if (k->half_open >= KEYS_HALF_OPEN_MAX)
		return err_add(e, RC_LIMIT, "too many IKE SAs are half-open (limit %d)", KEYS_HALF_OPEN_MAX);
	return RC_OK;
}

enum rc exchange_begin(struct keys *k, const struct keeper_exchange_begin *q,
	const struct keys_entropy *fresh, struct keeper_exchange_begun *a, struct err *e)
{
	static const uint8_t no_spi[8];
	enum rc rc = begin_check(k, q, e);
	struct peer_proof of_parent = { 0 };
	struct keeper_ike_sa *sa;

	_Static_assert(sizeof fresh->secret >= DH_SEED_SIZE, "a seed for any group");
	_Static_assert(
		DH_CURVE_MAX <= KEYS_KE_MAX && DH_PUBLIC_MAX <= sizeof a->ke, "a public value of any group");
	_Static_assert(
		PUBLIC_NONCE_AT + KEEPER_NONCE_SIZE <= PUBLIC_SPI_AT && PUBLIC_SPI_AT + 8 <= PUBLIC_SIZE,
		"nonce and SPI share no octet");
	if (rc != RC_OK)
		return rc;
	if (memcmp(fresh->public_bytes + PUBLIC_SPI_AT, no_spi, 8) == 0)
		return err_add(e, RC_AGAIN, "the SPI candidate is zero; ask again");
	sa = ike_sa_new(k);
	if (!sa)
		return err_add(e, RC_LIMIT,
			"the table of IKE SAs is full (%d), or no more memory may be locked (LimitMEMLOCK)",
			KEYS_IKE_MAX);
	rc = derive_dh(q->dh_group, fresh->secret, public_of(fresh, q->dh_group), &sa->secret->dh, a->ke);
	if (rc != RC_OK)
		return err_add(e, rc, "computing the Diffie-Hellman value of group %u", q->dh_group);
	sa->role = q->role;
	sa->parent = q->parent;
	if (q->parent != 0)
		memcpy(of_parent.name, ike_sa_find(k, q->parent)->peer.name, sizeof of_parent.name);
	ike_sa_set_peer(k, sa, &of_parent);
	sa->dh_group = q->dh_group;
	sa->ke_n = (uint16_t)dh_public_size(q->dh_group);
	sa->nonce_n = KEEPER_NONCE_SIZE;
	memcpy(sa->nonce, fresh->public_bytes + PUBLIC_NONCE_AT, KEEPER_NONCE_SIZE);
	ike_sa_enter(k, sa, IKE_BEGUN);
	sa->proof = fresh->proof;
	sa->leaf = fresh->leaf;
	memcpy(sa->secret->seed, fresh->additional, sizeof sa->secret->seed);
	a->handle = sa->handle;
	a->nonce_n = sa->nonce_n;
	a->ke_n = sa->ke_n;
	memcpy(a->nonce, sa->nonce, sa->nonce_n);
	ke_keep(sa->ke, a->ke, sa->ke_n);
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
	return additional_check(q->additional, e);
}

/* SKEYSEED and SK_*; sa is not changed. */
static enum rc finish_derive(struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent,
	const struct keeper_exchange_finish *q, struct ike_keys_all *ret_keys, struct err *e)
{
	struct octets ours = { sa->nonce, sa->nonce_n }, theirs = { q->peer_nonce, q->peer_nonce_n };
	struct octets ni = sa->role == KEEPER_INITIATOR ? ours : theirs;
	struct octets nr = sa->role == KEEPER_INITIATOR ? theirs : ours;
	uint8_t shared[DH_SHARED_MAX], skeyseed[PRF_SIZE_MAX];
	struct octets secret = { shared, dh_shared_size(sa->dh_group) };
	size_t seed_n = prf_size(parent ? parent->prf : q->prf);
	enum rc rc = dh_shared(&sa->secret->dh, q->peer_ke, q->peer_ke_n, shared, e);

	if (rc != RC_OK)
		return rc;
	if (parent)
		rc = derive_skeyseed_rekey(parent->prf,
			(struct octets){ parent->secret->sk.sk_d, parent->secret->sk.prf_n }, ni, nr, secret,
			skeyseed);
	else
		rc = derive_skeyseed(q->prf, ni, nr, secret, skeyseed);
	if (rc == RC_OK)
		rc = derive_ike_keys(q->prf, (struct octets){ skeyseed, seed_n }, ni, nr, q->spi_i, q->spi_r,
			aead_material_size(q->encr, q->encr_bits), aead_integ_size(q->encr), ret_keys);
	bytes_wipe(shared, sizeof shared);
	bytes_wipe(skeyseed, sizeof skeyseed);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "deriving the keys of an IKE SA");
}

/* keys: NULL in a rekey with additional key exchanges, which are part of its first and only keys. */
static void finish_commit(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_exchange_finish *q,
	struct ike_keys_all *keys, struct keeper_sk_e *ret_sk_e)
{
	assert(q->peer_ke_n == sa->ke_n); /* dh_shared() takes no other size */
	dh_done(&sa->secret->dh);
	if (keys) {
		assert(keys->sk.prf_n == prf_size(q->prf));
		ike_keys_take(sa, keys, ret_sk_e);
	}
	sa->prf = q->prf;
	sa->encr = q->encr;
	sa->encr_bits = q->encr_bits;
	sa->peer_nonce_n = q->peer_nonce_n;
	sa->peer_ke_n = q->peer_ke_n;
	memcpy(sa->peer_nonce, q->peer_nonce, q->peer_nonce_n);
	ke_keep(sa->peer_ke, q->peer_ke, q->peer_ke_n);
	memcpy(sa->spi_i, q->spi_i, 8);
	memcpy(sa->spi_r, q->spi_r, 8);
	memcpy(sa->additional.method, q->additional, sizeof sa->additional.method);
	ike_sa_enter(k, sa, q->additional[0] != 0 ? IKE_ADDITIONAL : IKE_KEYED);
	if (sa->state == IKE_KEYED)
		bytes_wipe(sa->secret->seed, sizeof sa->secret->seed);
}

/* What the rekey would be is allowed; sa is not changed. */
static enum rc finish_allowed(struct keys *k, const struct keeper_ike_sa *sa,
	const struct keeper_ike_sa *parent, const struct keeper_exchange_finish *q, struct err *e)
{
	struct keeper_ike_sa as_asked = *sa;
	enum rc rc;

	as_asked.prf = q->prf;
	as_asked.encr = q->encr;
	as_asked.encr_bits = q->encr_bits;
	memcpy(as_asked.additional.method, q->additional, sizeof as_asked.additional.method);
	rc = rekey_is_allowed(k, &as_asked, parent, e);
	bytes_wipe(&as_asked, sizeof as_asked);
	return rc;
}

/* A rekey with additional key exchanges: the first shared secret waits for the others. */
static enum rc finish_later(
	struct keys *k, struct keeper_ike_sa *sa, const struct keeper_exchange_finish *q, struct err *e)
{
	struct shared_chain chain = { .n = (uint16_t)dh_shared_size(sa->dh_group) };
	enum rc rc;

	if (chain.n > CHILD_SHARED_MAX)
		return err_add(e, RC_UNSUPPORTED,
			"a rekey with MODP group %u has no additional key exchanges: its shared secret is too long to be kept",
			sa->dh_group);
	rc = dh_shared(&sa->secret->dh, q->peer_ke, q->peer_ke_n, chain.at, e);
	if (rc == RC_OK) {
		finish_commit(k, sa, q, NULL, NULL);
		sa->secret->chain = chain;
	}
	bytes_wipe(&chain, sizeof chain);
	return rc;
}

enum rc exchange_finish(struct keys *k, const struct keeper_exchange_finish *q,
	struct keeper_exchange_finished *a, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle), *parent = NULL;
	struct ike_keys_all keys;
	enum rc rc;

	assert(sa && sa->state == IKE_BEGUN && sa->secret->dh.group == sa->dh_group);
	rc = finish_check(k, q, e);
	if (rc != RC_OK)
		return rc;
	if (sa->parent != 0) {
		parent = ike_sa_find(k, sa->parent);
		assert(parent && parent->state == IKE_AUTHENTICATED);
		rc = finish_allowed(k, sa, parent, q, e);
		if (rc != RC_OK)
			return rc;
		if (q->additional[0] != 0)
			return finish_later(k, sa, q, e);
	}
	rc = finish_derive(sa, parent, q, &keys, e);
	if (rc == RC_OK) {
		finish_commit(k, sa, q, &keys, &a->sk_e);
		if (parent)
			rekey_inherit(k, sa, parent);
	}
	bytes_wipe(&keys, sizeof keys);
	return rc;
}

/*
 * With Diffie-Hellman our value does not depend on the peer's, so this is the two halves of an initiator one
 * after the other; between them nothing is seen from outside.
 */
enum rc exchange_answer(struct keys *k, const struct keeper_exchange_answer *q,
	const struct keys_entropy *fresh, struct keeper_exchange_answered *a, struct err *e)
{
	const struct keeper_exchange_begin begin = {
		.role = KEEPER_RESPONDER, .parent = q->parent, .dh_group = q->dh_group
	};
	struct keeper_exchange_finish finish = { .prf = q->prf,
		.encr = q->encr,
		.encr_bits = q->encr_bits,
		.peer_nonce_n = q->peer_nonce_n,
		.peer_ke_n = q->peer_ke_n };
	struct keeper_exchange_finished finished = { 0 };
	struct keeper_exchange_begun begun = { 0 };
	enum rc rc = exchange_begin(k, &begin, fresh, &begun, e);
	struct keeper_ike_sa *sa;

	if (rc != RC_OK)
		return rc;
	finish.handle = begun.handle;
	memcpy(finish.additional, q->additional, sizeof finish.additional);
	memcpy(finish.spi_i, q->spi_i, 8);
	memcpy(finish.spi_r, begun.ike_spi, 8);
	memcpy(finish.peer_nonce, q->peer_nonce, sizeof finish.peer_nonce);
	memcpy(finish.peer_ke, q->peer_ke, sizeof finish.peer_ke);
	rc = exchange_finish(k, &finish, &finished, e);
	if (rc != RC_OK) {
		sa = ike_sa_find(k, begun.handle);
		assert(sa && sa->state == IKE_BEGUN && !sa->named);
		sa->proof.count = 0; /* keys_request() says that they are unused, as of any refused request */
		ike_sa_free(k, sa);
		return rc;
	}
	a->handle = begun.handle;
	a->nonce_n = begun.nonce_n;
	a->ke_n = begun.ke_n;
	a->sk_e = finished.sk_e;
	memcpy(a->ike_spi, begun.ike_spi, 8);
	memcpy(a->nonce, begun.nonce, begun.nonce_n);
	memcpy(a->ke, begun.ke, begun.ke_n);
	bytes_wipe(&finished, sizeof finished);
	return RC_OK;
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
