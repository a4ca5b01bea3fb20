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
	return peer_by_index(k, names_find(&k->peers, name)); /* NAMES_NONE is none */
}

/* Of the certificates at which a peer's chain may end. */
static void anchors_digest(
	const struct snapshot *s, const struct snap_peer *peer, uint8_t ret_digest[SHA256_SIZE])
{
	const struct snap_certificate *anchor[CERTIFICATE_ANCHORS];
	struct sha256_part parts[2 * CERTIFICATE_ANCHORS];
	uint32_t n = s ? snap_anchors(s, peer, anchor) : 0;

	for (uint32_t i = 0; i < n; i++) {
		parts[2 * i] = (struct sha256_part){ &anchor[i]->n, sizeof anchor[i]->n };
		parts[2 * i + 1] = (struct sha256_part){ snap_certificate_der(s, anchor[i]), anchor[i]->n };
	}
	sha256_parts(ret_digest, parts, 2 * n);
}

/* As the certifiers have it: one authority with `hard` is enough. */
static bool requires_crls(const struct snapshot *s, const struct snap_peer *peer)
{
	for (uint32_t i = 0; s && peer->auth == PEER_AUTH_CERTIFICATE && i < peer->trusted.count; i++)
		if (snap_authorities(s)[snap_trusted(s)[peer->trusted.first + i].authority].revocation ==
			REVOCATION_HARD)
			return true;
	return false;
}

const char *peer_key_name(
	char ret_text[NAME_MAX_BYTES], const struct snap_peer *peer, const struct keeper_ike_sa *sa)
{
	if (!(peer->flags & PEER_PSK_OF_ID))
		return peer->key_name;
	ret_text[0] = '\0';
	if (sa->id_n < NAME_MAX_BYTES) { /* else no key can have its name */
		memcpy(ret_text, sa->id, sa->id_n);
		ret_text[sa->id_n] = '\0';
	}
	return ret_text;
}

void peer_proof_of(const struct keys *k, struct peer_proof *ret_proof, const struct snap_peer *peer,
	const struct keeper_ike_sa *sa, bool with_ppk)
{
	char text[NAME_MAX_BYTES];
	const char *key_name = peer_key_name(text, peer, sa);
	const struct keys_identity *own =
		identity_find(k, key_name, peer->auth == PEER_AUTH_PSK ? IDENTITY_PSK : IDENTITY_PRIVATE);

	/* How the proof was judged, too: what would not pass by the stricter rule has to prove itself by that. */
	bool elsewhere = peer->remote.family != ADDR_NONE && !addr_equal(&peer->remote, &sa->remote.addr);
	uint32_t flags =
		PEER_ID_PATTERN | PEER_PSK_OF_ID | PEER_RSA_PKCS1 | (elsewhere ? PEER_REDIRECT_ACCEPT : 0);
	const uint32_t rules[] = { peer->flags & flags, requires_crls(k->snapshot, peer) };
	uint8_t anchors[SHA256_SIZE];

	anchors_digest(k->snapshot, peer, anchors);
	const struct sha256_part parts[] = { { rules, sizeof rules }, { &peer->auth, sizeof peer->auth },
		{ &peer->remote_id, sizeof peer->remote_id }, { &peer->remote, sizeof peer->remote },
		{ peer->public_key, peer->public_key_n }, { anchors, sizeof anchors } };

	const struct keys_identity *ppk = with_ppk ? identity_find(k, peer->ppk_name, IDENTITY_PPK) : NULL;

	memset(ret_proof, 0, sizeof *ret_proof);
	text_copy(ret_proof->name, sizeof ret_proof->name, peer->name);
	text_copy(ret_proof->key_name, sizeof ret_proof->key_name, key_name);
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
	if (sa->revoked)
		return err_add(e, RC_DENIED,
			"a certificate of peer '%s' was revoked since it authenticated; it must authenticate again, with another one",
			sa->peer.name);
	peer_proof_of(k, &now, peer, sa, sa->ppk);
	if (strcmp(now.name, sa->peer.name) != 0)
		return err_add(
			e, RC_DENIED, "the IKE SA is with peer '%s', not with '%s'", sa->peer.name, now.name);
	if (memcmp(now.own_key, sa->peer.own_key, sizeof now.own_key) != 0)
		return err_add(e, RC_DENIED,
			"the key '%s' of peer '%s' was replaced or removed; the peer must authenticate "
			"again",
			sa->peer.key_name, sa->peer.name);
	if (memcmp(now.ppk, sa->peer.ppk, sizeof now.ppk) != 0 ||
		(!sa->ppk && !sa->hybrid && peer->flags & PEER_REQUIRE_PQ))
		return err_add(e, RC_DENIED,
			sa->ppk ? "the PPK of peer '%s' was replaced or removed; the peer must authenticate again"
				: "peer '%s' has require-post-quantum since it authenticated; the peer must authenticate again",
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
	/* The keys of a rekey are made of those before it: what additional key exchanges gave stays in them, and it may name none. */
	bool names_none = sa->rekeyed || (sa->parent != 0 && sa->additional.method[0] == 0);

	for (uint32_t i = 0; i < peer->proposals.count; i++) {
		const struct snap_ike_proposal *p =
			&snap_ike_proposals(k->snapshot)[peer->proposals.first + i];

		if (p->encr == sa->encr && p->encr_bits == sa->encr_bits && p->prf == sa->prf &&
			p->dh == sa->dh_group &&
			(names_none ||
				memcmp(p->additional, sa->additional.method, sizeof p->additional) == 0))
			return RC_OK;
	}
	return err_add(e, RC_DENIED,
		"no IKE proposal of peer '%s' allows encryption %u with %u bits, prf %u, group %u%s%s",
		peer->name, sa->encr, sa->encr_bits, sa->prf, sa->dh_group,
		sa->additional.method[0] ? " and additional key exchange " : "",
		sa->additional.method[0] ? kem_word(sa->additional.method[0]) : "");
}

enum rc peer_has_room(const struct keys *k, const char *peer, const struct keeper_ike_sa *sa, struct err *e)
{
	const struct snap_peer *p = peer_by_name(k, peer);
	bool template = p && p->flags & PEER_ID_PATTERN;
	size_t n = 0;

	for (const struct keeper_ike_sa *other = NULL; (other = ike_sa_of_peer(k, peer, other)) != NULL;) {
		const struct keeper_ike_sa *who = other;

		/* A rekey that is begun has the name of its parent's peer, and its parent's identity. */
		if (other->parent != 0)
			who = ike_sa_find((struct keys *)(uintptr_t)k, other->parent);
		n += !template || (who && instance_is_same(who, sa));
	}
	return n < KEYS_IKE_PER_PEER_MAX
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "peer '%s' has %zu IKE SAs; at most %d are allowed", peer, n,
				 KEYS_IKE_PER_PEER_MAX);
}
