/*
 * The rekey of an IKE SA (RFC 7296 section 2.18): whether it is allowed, its keys where additional key exchanges are part of them
 * (RFC 9370 section 2.2.4), and what it takes over.
 */
#include "keys/internal.h"

#include <assert.h>

enum rc rekey_is_allowed(
	struct keys *k, const struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent, struct err *e)
{
	const struct snap_peer *peer = peer_by_name(k, parent->peer.name);
	enum rc rc = peer_is_unchanged(k, parent, peer, e);

	if (rc == RC_OK)
		rc = peer_allows_proposal(k, peer, sa, e);
	if (rc != RC_OK)
		journal_refused(k, parent, NULL, e->text);
	return rc;
}

/* SKEYSEED = prf(SK_d (old), SK(0) | Ni | Nr | SK(1) | ... SK(n)), with the old SA's prf. */
enum rc rekey_keys(const struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent,
	const struct shared_chain *chain, struct ike_keys_all *ret_keys, struct err *e)
{
	struct octets ours = { sa->nonce, sa->nonce_n }, theirs = { sa->peer_nonce, sa->peer_nonce_n };
	struct octets ni = sa->role == KEEPER_INITIATOR ? ours : theirs;
	struct octets nr = sa->role == KEEPER_INITIATOR ? theirs : ours;
	size_t first_n = dh_shared_size(sa->dh_group);
	uint8_t skeyseed[PRF_SIZE_MAX];
	enum rc rc;

	assert(chain->n > first_n && chain->n <= sizeof chain->at);
	rc = derive_skeyseed_followed(parent->prf,
		(struct octets){ parent->secret->sk.sk_d, parent->secret->sk.prf_n }, ni, nr,
		(struct octets){ chain->at, first_n },
		(struct octets){ chain->at + first_n, chain->n - first_n }, skeyseed);
	if (rc == RC_OK)
		rc = derive_ike_keys(sa->prf, (struct octets){ skeyseed, prf_size(parent->prf) }, ni, nr,
			sa->spi_i, sa->spi_r, aead_material_size(sa->encr, sa->encr_bits),
			aead_integ_size(sa->encr), ret_keys);
	bytes_wipe(skeyseed, sizeof skeyseed);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "deriving the keys of a rekey");
}

void rekey_inherit(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_ike_sa *parent)
{
	struct keys_entry entry;

	assert(sa->state == IKE_KEYED && parent->state == IKE_AUTHENTICATED && !sa->named);
	ike_sa_set_peer(k, sa, &parent->peer);
	memcpy(sa->certified, parent->certified, sizeof sa->certified);
	sa->line = parent->line;
	sa->method = parent->method;
	sa->ppk = parent->ppk;
	/* What additional key exchanges gave stays in the keys, since those are made of the keys before. */
	sa->hybrid |= parent->hybrid;
	if (sa->additional.method[0] == 0)
		memcpy(sa->additional.method, parent->additional.method, sizeof sa->additional.method);
	sa->local = parent->local;
	sa->remote = parent->remote;
	sa->id_type = parent->id_type;
	sa->id_n = parent->id_n;
	memcpy(sa->id, parent->id, sizeof sa->id);
	sa->rekeyed = true;
	sa->parent = 0;
	ike_sa_enter(k, sa, IKE_AUTHENTICATED);
	sa->named = true;
	entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_REKEYED, sa, NULL);
	memcpy(entry.rekeys_ike_spi_i, parent->spi_i, 8);
	memcpy(entry.rekeys_ike_spi_r, parent->spi_r, 8);
	journal_report(k, &entry);
}
