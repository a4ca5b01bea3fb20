/*
 * The configured peers: which IKE SAs one may have, and whether its configuration and keys are still those
 * that it authenticated with.
 */
#include "keys/internal.h"

const struct snap_peer *peer_by_index(const struct keys *k, uint32_t index)
{
	return k->snapshot && index < k->snapshot->peers.count ? &snap_peers(k->snapshot)[index] : NULL;
}

const struct snap_peer *peer_by_name(const struct keys *k, const char *name)
{
	for (uint32_t i = 0; k->snapshot && i < k->snapshot->peers.count; i++)
		if (strcmp(snap_peers(k->snapshot)[i].name, name) == 0)
			return &snap_peers(k->snapshot)[i];
	return NULL;
}

void peer_proof_of(
	const struct keys *k, struct peer_proof *ret_proof, const struct snap_peer *peer, bool with_ppk)
{
	const struct keys_identity *own = identity_find(
		k, peer->key_name, peer->auth == PEER_AUTH_PSK ? IDENTITY_PSK : IDENTITY_PRIVATE);

	const struct sha256_part parts[] = { { &peer->auth, sizeof peer->auth },
		{ &peer->remote_id, sizeof peer->remote_id }, { &peer->remote, sizeof peer->remote },
		{ peer->public_key, peer->public_key_n } };

	const struct keys_identity *ppk = with_ppk ? identity_find(k, peer->ppk_name, IDENTITY_PPK) : NULL;

	memset(ret_proof, 0, sizeof *ret_proof);
	text_copy(ret_proof->name, sizeof ret_proof->name, peer->name);
	text_copy(ret_proof->key_name, sizeof ret_proof->key_name, peer->key_name);
	sha256_parts(ret_proof->configured, parts, COUNT_OF(parts));
	if (own)
		memcpy(ret_proof->own_key, own->digest, sizeof ret_proof->own_key);
	if (ppk)
		memcpy(ret_proof->ppk, ppk->digest, sizeof ret_proof->ppk);
}

enum rc peer_is_unchanged(
	const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer, struct err *e)
{
	struct peer_proof now;

	if (!peer)
		return err_add(e, RC_DENIED, "peer '%s' is no longer configured", sa->peer.name);
	peer_proof_of(k, &now, peer, sa->ppk);
	if (strcmp(now.name, sa->peer.name) != 0)
		return err_add(
			e, RC_DENIED, "the IKE SA is with peer '%s', not with '%s'", sa->peer.name, now.name);
	if (memcmp(now.own_key, sa->peer.own_key, sizeof now.own_key) != 0)
		return err_add(e, RC_DENIED,
			"the key '%s' of peer '%s' was replaced or removed; the peer must authenticate "
			"again",
			sa->peer.key_name, sa->peer.name);
	if (memcmp(now.ppk, sa->peer.ppk, sizeof now.ppk) != 0 || (!sa->ppk && peer->flags & PEER_REQUIRE_PQ))
		return err_add(e, RC_DENIED,
			sa->ppk ? "the PPK of peer '%s' was replaced or removed; the peer must authenticate again"
				: "peer '%s' requires a PPK since it authenticated; the peer must authenticate again",
			sa->peer.name);
	if (memcmp(&now, &sa->peer, sizeof now) != 0)
		return err_add(e, RC_DENIED,
			"the configuration of peer '%s' has changed since it authenticated; the peer "
			"must authenticate again",
			sa->peer.name);
	return RC_OK;
}

enum rc peer_allows_proposal(
	const struct keys *k, const struct snap_peer *peer, const struct keeper_ike_sa *sa, struct err *e)
{
	for (uint32_t i = 0; i < peer->proposals.count; i++) {
		const struct snap_ike_proposal *p =
			&snap_ike_proposals(k->snapshot)[peer->proposals.first + i];

		if (p->encr == sa->encr && p->encr_bits == sa->encr_bits && p->prf == sa->prf &&
			p->dh == sa->dh_group)
			return RC_OK;
	}
	return err_add(e, RC_DENIED,
		"no IKE proposal of peer '%s' allows encryption %u with %u bits, prf %u, group %u",
		peer->name, sa->encr, sa->encr_bits, sa->prf, sa->dh_group);
}

enum rc peer_has_room(const struct keys *k, const char *peer, struct err *e)
{
	size_t n = 0;

	/* A rekey that is begun has the name of its parent's peer. */
	for (size_t i = 0; i < k->ike_n; i++)
		n += k->ike[i].state != IKE_FREE && strcmp(k->ike[i].peer.name, peer) == 0;
	return n < KEYS_IKE_PER_PEER_MAX
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "peer '%s' has %zu IKE SAs; at most %d are allowed", peer, n,
				 KEYS_IKE_PER_PEER_MAX);
}
