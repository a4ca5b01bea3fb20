/*
 * Child SAs: our values (CHILD_BEGIN), the check against the configuration, derivation, entry and hand-over
 * to the data plane (CHILD_INSTALL), removal (CHILD_REMOVE). RFC 7296 sections 1.3, 2.17; RFC 4303
 * section 2.1 for SPIs.
 *
 * A child SA is derived once. Its keys exist here from the derivation until the data plane's link has taken
 * them.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdlib.h>

static size_t begun_of(const struct keys *k, uint32_t ike_handle)
{
	size_t n = 0;

	for (const struct child_sa *c = NULL; (c = child_sa_of_ike(k, ike_handle, c)) != NULL;)
		n += c->state == CHILD_BEGUN;
	return n;
}

/* NULL: there is none. */
static const struct snap_peer *peer_of(const struct keys *k, uint32_t tunnel)
{
	const struct snap_tunnel *t = tunnel_by_index(k, tunnel);

	return t ? peer_by_index(k, t->peer) : NULL;
}

static bool of_template(const struct keys *k, const struct snap_tunnel *t)
{
	const struct snap_peer *peer = peer_by_index(k, t->peer);

	return peer && peer->flags & PEER_ID_PATTERN;
}

/* Those whose IKE SA has ended do not count: they give way (child_sa_new()). Nor do other identities' of a template. */
static size_t of_tunnel(struct keys *k, const struct keeper_ike_sa *sa, const struct snap_tunnel *t)
{
	bool template = of_template(k, t);
	size_t n = 0;

	for (const struct child_sa *c = NULL; (c = child_sa_of_tunnel(k, t->name, c)) != NULL;) {
		const struct keeper_ike_sa *of = ike_sa_find(k, c->ike);

		n += of && (!template || instance_is_same(of, sa));
	}
	return n;
}

/* The first SPI among the octets that is allowed and free; 0: none. */
static uint32_t spi_choose(struct keys *k, const uint8_t *octets, size_t n)
{
	for (size_t at = 0; at + 4 <= n; at += 4) {
		uint32_t spi = load_be32(octets + at);
		/*
		 * Nor one that is being removed by its SPI alone: the data plane's answer names only the SPI.
		 */
		if (spi >= SPI_MIN && !child_sa_find_by_spi(k, spi) &&
			!pending_at_dataplane(k, KEEPER_CHILD_REMOVE, spi))
			return spi;
	}
	return 0;
}

/* The tunnel belongs to the peer of the IKE SA, once that is authenticated. */
static enum rc tunnel_of_peer(
	struct keys *k, const struct keeper_ike_sa *sa, const struct snap_tunnel *t, struct err *e)
{
	const struct snap_peer *peer = t ? peer_by_index(k, t->peer) : NULL;

	if (!t || !peer)
		return err_add(e, RC_NOT_FOUND, "the tunnel is not in the configuration");
	return sa->state == IKE_AUTHENTICATED ? peer_is_unchanged(k, sa, peer, e) : RC_OK;
}

static enum rc begin_check(
	struct keys *k, const struct keeper_ike_sa *sa, const struct keeper_child_begin *q, struct err *e)
{
	assert(sa && (sa->state == IKE_KEYED || sa->state == IKE_AUTHENTICATED));
	if (q->role != KEEPER_INITIATOR && q->role != KEEPER_RESPONDER)
		return err_add(e, RC_MALFORMED, "the role is %u; initiator (1) or responder (2) is allowed",
			q->role);
	if (q->dh_group != DH_NONE && dh_public_size(q->dh_group) == 0)
		return err_add(e, RC_UNSUPPORTED, "Diffie-Hellman group %u is not supported", q->dh_group);
	if (q->followed > 1 || (q->followed && q->dh_group == DH_NONE))
		return err_add(e, RC_MALFORMED,
			"additional key exchanges may follow (%u); 1 with a Diffie-Hellman group and 0 are allowed",
			q->followed);
	if (q->peer_ke_n != 0 && (q->role != KEEPER_RESPONDER || q->dh_group == DH_NONE))
		return err_add(e, RC_MALFORMED,
			"the peer's Diffie-Hellman value is stated; only a responder with a group states it");
	if (q->peer_ke_n > KEEPER_KE_MAX)
		return err_add(e, RC_RANGE,
			"the peer's Diffie-Hellman value has %u octets; at most %d are allowed", q->peer_ke_n,
			KEEPER_KE_MAX);
	if (begun_of(k, sa->handle) >= KEYS_BEGUN_PER_IKE_MAX)
		return err_add(e, RC_LIMIT,
			"the IKE SA has %d child SAs that are begun and not installed; no more are "
			"allowed",
			KEYS_BEGUN_PER_IKE_MAX);
	enum rc rc = tunnel_of_peer(k, sa, tunnel_by_index(k, q->tunnel), e);
	if (rc == RC_OK && of_tunnel(k, sa, tunnel_by_index(k, q->tunnel)) >= KEYS_CHILDREN_PER_TUNNEL_MAX)
		return err_add(e, RC_LIMIT, "tunnel '%s' has %d child SAs; no more are allowed",
			tunnel_by_index(k, q->tunnel)->name, KEYS_CHILDREN_PER_TUNNEL_MAX);
	return rc;
}

/* A responder keeps the shared secret; of MODP, where it is long, our own one and the peer's public value. */
static bool shared_is_kept(uint16_t group)
{
	return dh_shared_size(group) <= CHILD_SHARED_MAX;
}

static enum rc peer_ke_copy(const struct keeper_child_begin *q, uint8_t **ret_ke, struct err *e)
{
	*ret_ke = malloc(q->peer_ke_n);
	if (!*ret_ke)
		return err_add(e, RC_LIMIT, "out of memory");
	memcpy(*ret_ke, q->peer_ke, q->peer_ke_n);
	return RC_OK;
}

/* Our public value and what is kept for CHILD_INSTALL: the secret, or a responder's shared secret. */
static enum rc begin_exchange(const struct keeper_child_begin *q, const struct keys_entropy *fresh,
	struct child_secret *ret_secret, uint8_t *ret_ke, struct err *e)
{
	struct dh_secret dh;
	enum rc rc;

	if (q->dh_group == DH_NONE)
		return RC_OK;
	rc = derive_dh(q->dh_group, fresh->secret, public_of(fresh, q->dh_group), &dh, ret_ke);
	if (rc != RC_OK)
		err_add(e, rc, "computing the Diffie-Hellman value of group %u", q->dh_group);
	else if (q->role == KEEPER_RESPONDER && shared_is_kept(q->dh_group))
		rc = dh_shared(&dh, q->peer_ke, q->peer_ke_n, ret_secret->shared, e);
	else if (q->role == KEEPER_RESPONDER)
		rc = dh_peer_check(q->dh_group, q->peer_ke, q->peer_ke_n, e);
	if (rc == RC_OK && !(q->role == KEEPER_RESPONDER && shared_is_kept(q->dh_group)))
		ret_secret->dh = dh;
	dh_done(&dh);
	return rc;
}

enum rc child_begin(struct keys *k, const struct keeper_child_begin *q, const struct keys_entropy *fresh,
	struct keeper_child_begun *a, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	enum rc rc = begin_check(k, sa, q, e);
	struct child_secret secret = { 0 };
	uint8_t *peer_ke = NULL;
	struct child_sa *c;
	uint32_t spi;

	if (rc != RC_OK) {
		if (rc == RC_DENIED)
			journal_refused(k, sa, tunnel_by_index(k, q->tunnel)->name, e->text);
		return rc;
	}
	spi = spi_choose(k, fresh->public_bytes + PUBLIC_SPI_AT, PUBLIC_SIZE - PUBLIC_SPI_AT);
	if (spi == 0)
		return err_add(e, RC_AGAIN, "no SPI candidate is free; ask again");
	rc = begin_exchange(q, fresh, &secret, a->ke, e);
	if (rc != RC_OK)
		return rc;
	if (q->followed)
		memcpy(secret.seed, fresh->additional, sizeof secret.seed);
	if (q->peer_ke_n > 0 && !shared_is_kept(q->dh_group))
		rc = peer_ke_copy(q, &peer_ke, e);
	c = rc == RC_OK ? child_sa_new(k) : NULL; /* last: it may take the place of another one */
	if (c)
		*c->secret = secret;
	else
		free(peer_ke);
	bytes_wipe(&secret, sizeof secret);
	if (rc != RC_OK)
		return rc;
	if (!c)
		return err_add(e, RC_LIMIT,
			"the table of child SAs is full (%d), or no more memory may be locked (LimitMEMLOCK)",
			KEYS_CHILDREN_MAX);
	c->state = CHILD_BEGUN;
	c->peer_ke = peer_ke;
	c->ike = sa->handle;
	c->line = sa->line;
	c->spi_in = spi;
	c->dh_group = q->dh_group;
	c->role = q->role;
	c->followed = q->followed;
	text_copy(c->tunnel, sizeof c->tunnel, tunnel_by_index(k, q->tunnel)->name);
	memcpy(c->nonce, fresh->public_bytes + PUBLIC_NONCE_AT, KEEPER_NONCE_SIZE);
	child_sa_index(k, c);
	c->proof = fresh->proof;
	if (q->dh_group != DH_NONE)
		c->leaf = fresh->leaf;
	a->child = c->handle;
	a->spi_in = spi;
	a->nonce_n = KEEPER_NONCE_SIZE;
	a->ke_n = (uint16_t)dh_public_size(q->dh_group);
	memcpy(a->nonce, c->nonce, KEEPER_NONCE_SIZE);
	return RC_OK;
}

static enum rc install_values_check(const struct keys *k, const struct keeper_ike_sa *sa,
	const struct child_sa *c, const struct keeper_child_install *q, struct err *e)
{
	size_t least = MAX_OF((size_t)16, prf_size(sa->prf) / 2);

	if (q->role != c->role)
		return err_add(e, RC_MALFORMED, "the role is %u, but the child SA was begun with role %u",
			q->role, c->role);
	if (q->spi_out < SPI_MIN)
		return err_add(
			e, RC_RANGE, "the peer's SPI %#x is reserved; 256 or more is allowed", q->spi_out);
	if (memcmp(q->additional, c->additional, sizeof q->additional) != 0)
		return err_add(e, RC_DENIED,
			"%u additional key exchanges were made for the child SA; its proposal has others, first %s",
			c->additional_n, kem_word(q->additional[0]));
	if (q->flags & CHILD_NONCES_OF_IKE) {
		if (sa->rekeyed || sa->nonces_spent)
			return err_add(
				e, RC_DENIED, "the nonces of IKE_SA_INIT were used for a child SA already");
		if (q->role != sa->role || q->dh_group != DH_NONE)
			return err_add(e, RC_MALFORMED,
				"the child SA of IKE_AUTH must have the IKE SA's role and no key exchange");
		return RC_OK;
	}
	if (q->peer_nonce_n < least || q->peer_nonce_n > KEEPER_NONCE_MAX)
		return err_add(e, RC_RANGE, "the peer's nonce has %u octets; %zu to %d are allowed",
			q->peer_nonce_n, least, KEEPER_NONCE_MAX);
	/* Two child SAs of ours with each other's nonces would have the same keys, in opposite directions. */
	if (nonce_is_ours(k, q->peer_nonce, q->peer_nonce_n))
		return err_add(e, RC_DENIED, "the peer sent a nonce of ours");
	if (q->dh_group != DH_NONE && q->dh_group != c->dh_group)
		return err_add(e, RC_MALFORMED,
			"the Diffie-Hellman group is %u, but the child SA was begun with group %u",
			q->dh_group, c->dh_group);
	if (q->role == KEEPER_RESPONDER && q->peer_ke_n != 0)
		return err_add(e, RC_MALFORMED,
			"the peer's Diffie-Hellman value is stated again; of a responder CHILD_BEGIN has it");
	if (q->peer_ke_n > KEEPER_KE_MAX)
		return err_add(e, RC_RANGE,
			"the peer's Diffie-Hellman value has %u octets; at most %d are allowed", q->peer_ke_n,
			KEEPER_KE_MAX);
	return RC_OK;
}

static enum rc install_check(struct keys *k, const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q, struct err *e)
{
	const struct snap_tunnel *t = tunnel_by_index(k, q->tunnel);
	const struct child_sa *old = child_sa_find_by_spi(k, q->rekeys_spi_in);
	enum rc rc;

	assert(sa && sa->state == IKE_AUTHENTICATED);
	assert(c && c->state == CHILD_BEGUN && c->ike == sa->handle);
	if ((rc = tunnel_of_peer(k, sa, t, e)) != RC_OK)
		return rc;
	if (strcmp(t->name, c->tunnel) != 0)
		return err_add(e, RC_DENIED, "the child SA was begun for tunnel '%s', not for '%s'",
			c->tunnel, t->name);
	if (old && (old->state == CHILD_BEGUN || strcmp(old->tunnel, t->name) != 0))
		return err_add(
			e, RC_DENIED, "the child SA to be rekeyed does not belong to tunnel '%s'", t->name);
	if (old && of_template(k, t) && !instance_has(k, sa, old))
		return err_add(e, RC_DENIED,
			"the child SA of tunnel '%s' to be rekeyed belongs to another identity", t->name);
	if ((rc = install_values_check(k, sa, c, q, e)) != RC_OK)
		return rc;
	rc = tunnel_allows(k, t, q, e);
	return rc == RC_OK && of_template(k, t) ? instance_claims_check(k, sa, c, q, e) : rc;
}

/* KEYMAT (RFC 7296 2.17): the initiator of the exchange sends with the first half. */
static enum rc install_derive(const struct keeper_ike_sa *sa, const struct child_sa *c,
	const struct keeper_child_install *q, struct sa_install *ret_install, struct err *e)
{
	bool of_ike = q->flags & CHILD_NONCES_OF_IKE;
	struct octets ours = of_ike ? (struct octets){ sa->nonce, sa->nonce_n }
				    : (struct octets){ c->nonce, KEEPER_NONCE_SIZE };
	struct octets theirs = of_ike ? (struct octets){ sa->peer_nonce, sa->peer_nonce_n }
				      : (struct octets){ q->peer_nonce, q->peer_nonce_n };
	bool initiator = q->role == KEEPER_INITIATOR;
	uint8_t shared[DH_SHARED_MAX];
	size_t shared_n = dh_shared_size(q->dh_group);
	enum rc rc = RC_OK;

	if (q->dh_group != DH_NONE && initiator)
		rc = dh_shared(&c->secret->dh, q->peer_ke, q->peer_ke_n, shared, e);
	else if (q->dh_group != DH_NONE && c->peer_ke)
		rc = dh_shared(&c->secret->dh, c->peer_ke, dh_public_size(q->dh_group), shared, e);
	else if (q->dh_group != DH_NONE)
		memcpy(shared, c->secret->shared, shared_n);
	if (rc != RC_OK)
		return rc;
	ret_install->key_n = (uint16_t)aead_material_size(q->encr, q->encr_bits);
	rc = derive_keymat(sa->prf, (struct octets){ sa->secret->sk.sk_d, sa->secret->sk.prf_n },
		initiator ? ours : theirs, initiator ? theirs : ours, (struct octets){ shared, shared_n },
		(struct octets){ c->secret->followed, c->additional_n * (size_t)MLKEM_SHARED_SIZE },
		initiator ? ret_install->key_out : ret_install->key_in,
		initiator ? ret_install->key_in : ret_install->key_out, ret_install->key_n);
	bytes_wipe(shared, sizeof shared);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "deriving the keys of a child SA");
}

static void install_fill(struct sa_install *s, const struct child_sa *c, const struct keeper_child_install *q)
{
	s->tunnel = q->tunnel;
	s->spi_in = c->spi_in;
	s->spi_out = q->spi_out;
	s->rekeys_spi_in = q->rekeys_spi_in;
	s->flags = q->flags;
	s->encr = q->encr;
	s->encr_bits = q->encr_bits;
	s->local_n = q->local_n;
	s->remote_n = q->remote_n;
	s->resource = q->resource;
	s->group = q->group;
	s->local = q->local;
	s->remote = q->remote;
	memcpy(s->local_ts, q->local_ts, q->local_n * sizeof q->local_ts[0]);
	memcpy(s->remote_ts, q->remote_ts, q->remote_n * sizeof q->remote_ts[0]);
}

/* Into its place, and wiped here. */
static void install_keep(struct keys *k, struct pending *p, struct sa_install *s)
{
	struct waiting_selectors *w = &k->selectors[p - k->pending];

	memcpy(p->install, s, sizeof p->install);
	memcpy(w->local, s->local_ts, sizeof w->local);
	memcpy(w->remote, s->remote_ts, sizeof w->remote);
	bytes_wipe(s, sizeof *s);
}

/* The caller wipes it. */
static void install_kept(const struct keys *k, const struct pending *p, struct sa_install *ret)
{
	const struct waiting_selectors *w = &k->selectors[p - k->pending];

	memcpy(ret, p->install, sizeof p->install);
	memcpy(ret->local_ts, w->local, sizeof w->local);
	memcpy(ret->remote_ts, w->remote, sizeof w->remote);
	ret->generation = 0;
	memset(ret->tunnel_name, 0, sizeof ret->tunnel_name);
}

/* The entry of an installation, or of its end. It contains no key. */
static void child_entry(struct keys *k, struct keys_entry *ret_entry, enum keys_entry_kind kind,
	const struct child_sa *c, const struct sa_install *s, const char *reason)
{
	const struct snap_tunnel *t = tunnel_by_index(k, tunnel_index(k, c->tunnel));
	const struct snap_peer *peer = t ? peer_by_index(k, t->peer) : NULL;
	const struct instance *of = child_sa_find(k, c->handle) == c ? k->instances[c - k->children] : NULL;

	entry_from_ike_sa(ret_entry, kind, ike_sa_find(k, c->ike), reason);
	ret_entry->encr = ret_entry->encr_bits = ret_entry->prf = ret_entry->method = ret_entry->dh_group = 0;
	memset(ret_entry->additional, 0, sizeof ret_entry->additional);
	if (of)
		entry_set_id(ret_entry, of->id_type, of->id, of->id_n);
	/* The IKE SA that it was made in may have been rekeyed; the tunnel's peer is the same. */
	if (!ret_entry->peer[0] && peer)
		text_copy(ret_entry->peer, sizeof ret_entry->peer, peer->name);
	memcpy(ret_entry->tunnel, c->tunnel, sizeof ret_entry->tunnel);
	ret_entry->proof = c->proof;
	ret_entry->leaf = c->leaf;
	ret_entry->spi_in = c->spi_in;
	ret_entry->spi_out = c->spi_out;
	if (!s)
		return;
	/* An SPI that only ike states, of a child SA of a previous keeper process, is not entered. */
	ret_entry->rekeys_spi_in = child_sa_find_by_spi(k, s->rekeys_spi_in) ? s->rekeys_spi_in : 0;
	ret_entry->flags = s->flags;
	ret_entry->encr = s->encr;
	ret_entry->encr_bits = s->encr_bits;
	ret_entry->dh_group = c->dh_group;
	memcpy(ret_entry->additional, c->additional, sizeof ret_entry->additional);
	ret_entry->local = s->local;
	ret_entry->remote = s->remote;
	ret_entry->local_n = s->local_n;
	ret_entry->remote_n = s->remote_n;
	memcpy(ret_entry->local_ts, s->local_ts, sizeof ret_entry->local_ts);
	memcpy(ret_entry->remote_ts, s->remote_ts, sizeof ret_entry->remote_ts);
}

enum rc child_install(struct keys *k, const struct keeper_child_install *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	struct child_sa *c = child_sa_find(k, q->child), *old = child_sa_find_by_spi(k, q->rekeys_spi_in);
	enum rc rc = install_check(k, sa, c, q, e);
	struct sa_install install = { 0 };
	struct keys_entry entry;
	struct pending *p;

	if (rc == RC_DENIED)
		journal_refused(k, sa,
			tunnel_by_index(k, q->tunnel) ? tunnel_by_index(k, q->tunnel)->name : NULL, e->text);
	if (rc != RC_OK)
		return rc;
	if (!k->dataplane_is_up)
		return err_add(e, RC_AGAIN, "the data plane is not running");
	assert(!c->named && c->spi_in >= SPI_MIN);
	p = pending_new(
		k, KEEPER_CHILD_INSTALL, tag, sa->peer.name, instance_who(peer_of(k, q->tunnel), sa), e);
	if (!p)
		return RC_AGAIN;
	rc = install_derive(sa, c, q, &install, e);
	if (rc != RC_OK) {
		bytes_wipe(&install, sizeof install);
		pending_free(p);
		return rc;
	}
	/* From here on the nonces are spent, also when the child SA is not installed. */
	bytes_wipe(c->secret, sizeof *c->secret);
	free(c->peer_ke);
	c->peer_ke = NULL;
	c->state = CHILD_INSTALLING;
	c->spi_out = q->spi_out;
	c->dh_group = q->dh_group;
	if (of_template(k, tunnel_by_index(k, q->tunnel)))
		instance_claim(k, sa, c, q);
	sa->nonces_spent |= (q->flags & CHILD_NONCES_OF_IKE) != 0;
	install_fill(&install, c, q);
	/* Of a template nobody knows whose one was that is not known here. */
	if (!old && of_template(k, tunnel_by_index(k, q->tunnel)))
		install.rekeys_spi_in = 0;
	p->child = c->handle;
	p->spi_in = c->spi_in;
	p->may_precede = old && old->state == CHILD_INSTALLED;
	*ret_outcome = WAITING; /* the reply comes from child_install_receipt() in any case */
	child_entry(k, &entry, KEYS_ENTRY_SA_INSTALL, c, &install, NULL);
	install_keep(k, p, &install);
	rc = journal_gate(k, &entry, p, e);
	if (rc != RC_OK)
		child_install_receipt(k, p, rc, e->text);
	return RC_OK;
}

/* The entry is durable, or may follow. */
static void install_hand_over(struct keys *k, struct pending *p, struct child_sa *c)
{
	struct keys_action action = { .kind = KEYS_SA_INSTALL };
	struct keys_entry entry;
	bool handed;

	/* Receipt before act, or an act that may precede its entry. */
	assert(c->named && c->state == CHILD_INSTALLING && p->stage == PENDING_RECEIPT);
	install_kept(k, p, &action.u.install);
	action.u.install.tunnel =
		tunnel_index(k, c->tunnel); /* the configuration may have changed meanwhile */
	action.u.install.generation = k->snapshot ? k->snapshot->generation : 0;
	memcpy(action.u.install.tunnel_name, c->tunnel, sizeof action.u.install.tunnel_name);
	handed = action.u.install.tunnel != INDEX_NONE && sink_emit(k, &action) == RC_OK;
	bytes_wipe(&action, sizeof action);
	bytes_wipe(p->install, sizeof p->install);
	p->stage = PENDING_DATAPLANE;
	if (handed)
		return;
	child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c, NULL,
		"not installed: the tunnel was removed or the data plane is not running");
	journal_report(k, &entry);
	child_sa_free(k, c);
	pending_reply(k, p, RC_AGAIN, "the tunnel was removed or the data plane is not running");
	pending_free(p);
}

void child_install_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text)
{
	struct child_sa *c = child_sa_find(k, p->child);
	struct keys_entry entry;

	assert(c && c->state == CHILD_INSTALLING && c->spi_in == p->spi_in);
	c->named = rc == RC_OK || (p->may_precede && !p->orphan);
	if (rc == RC_OK && !p->orphan) {
		install_hand_over(k, p, c);
		return;
	}
	if (p->may_precede && !p->orphan) {
		struct sa_install install;
		install_kept(k, p, &install);
		child_entry(k, &entry, KEYS_ENTRY_SA_INSTALL, c, &install, NULL);
		bytes_wipe(&install, sizeof install);
		entry.deferred = true;
		journal_report(k, &entry);
		install_hand_over(k, p, c);
		return;
	}
	if (rc == RC_OK) {
		child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c, NULL, "not installed: ike is not running");
		journal_report(k, &entry);
	}
	child_sa_free(k, c);
	pending_reply(k, p, rc, text);
	pending_free(p);
}

/* ike's Delete comes as well, and may wait for a peer that does not answer: nothing more goes out or in meanwhile. */
static void revoke(struct keys *k, struct child_sa *c)
{
	struct keys_action action = { .kind = KEYS_SA_REMOVE };
	struct keys_entry entry;

	assert(c->state == CHILD_INSTALLED && c->named);
	child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c, NULL, "a certificate of the peer is revoked");
	journal_report(k, &entry);
	c->state = CHILD_REMOVING;
	action.u.remove.tunnel = tunnel_index(k, c->tunnel);
	action.u.remove.spi_in = c->spi_in;
	c->remove_later = sink_emit(k, &action) != RC_OK;
}

void children_revoke(struct keys *k, const struct keeper_ike_sa *sa)
{
	for (size_t i = 0; i < k->children_n; i++) {
		struct child_sa *c = &k->children[i];
		if (c->line != sa->line)
			continue;
		if (c->state == CHILD_INSTALLED)
			revoke(k, c);
		else if (c->state == CHILD_INSTALLING)
			c->revoked = true; /* it follows when it is installed */
	}
}

void keys_sa_installed(struct keys *k, const struct sa_result *result)
{
	struct pending *p = pending_at_dataplane(k, KEEPER_CHILD_INSTALL, result->spi_in);
	struct child_sa *c = p ? child_sa_find(k, p->child) : NULL;
	enum rc rc = result->rc < RC_COUNT ? (enum rc)result->rc : RC_INTERNAL;
	char text[KEEPER_TEXT_MAX], reason[KEEPER_TEXT_MAX];
	struct keys_entry entry;

	if (!p)
		return; /* no request waits for it */
	assert(c && c->state == CHILD_INSTALLING && c->named);
	text_copy(text, sizeof text, result->text);
	if (rc == RC_OK) {
		c->state = CHILD_INSTALLED;
	} else {
		struct err e = { 0 };

		err_add(&e, rc, "not installed: the data plane refused it: %s", text[0] ? text : rc_text(rc));
		text_copy(reason, sizeof reason, e.text);
		child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c, NULL, reason);
		journal_report(k, &entry);
		child_sa_free(k, c);
	}
	pending_reply(k, p, rc, text);
	pending_free(p);
	if (rc == RC_OK && c->revoked)
		revoke(k, c);
}

static enum rc remove_emit(struct keys *k, const char *tunnel, uint32_t index, uint32_t spi_in)
{
	struct keys_action action = { .kind = KEYS_SA_REMOVE };

	action.u.remove.tunnel = tunnel ? tunnel_index(k, tunnel) : index;
	action.u.remove.spi_in = spi_in;
	return sink_emit(k, &action);
}

/* A removal needs no receipt: it is done at once and entered. */
static void remove_entry(struct keys *k, const struct child_sa *c, const struct keeper_child_remove *q)
{
	const struct snap_tunnel *t = tunnel_by_index(k, q->tunnel);
	struct child_sa unknown = { .spi_in = q->spi_in };
	struct keys_entry entry;
	char reason[KEEPER_TEXT_MAX];

	text_copy(reason, sizeof reason, q->reason);
	if (!c)
		text_copy(unknown.tunnel, sizeof unknown.tunnel, t ? t->name : "");
	child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c ? c : &unknown, NULL, reason);
	journal_report(k, &entry);
}

enum rc child_remove(struct keys *k, const struct keeper_child_remove *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e)
{
	struct child_sa *c = q->child ? child_sa_find(k, q->child) : child_sa_find_by_spi(k, q->spi_in);
	const struct snap_peer *peer;
	struct pending *p;

	assert(!c || c->state == CHILD_BEGUN || c->state == CHILD_INSTALLED);
	if ((c && q->spi_in && c->spi_in != q->spi_in) || (!c && q->spi_in < SPI_MIN))
		return err_add(e, RC_NOT_FOUND, "child SA %#x with inbound SPI %08x is unknown", q->child,
			q->spi_in);
	if (c && c->state == CHILD_BEGUN) {
		child_sa_free(k, c);
		return RC_OK;
	}
	if (!k->dataplane_is_up && !c)
		return err_add(e, RC_AGAIN, "the data plane is not running");
	peer = peer_of(k, c ? tunnel_index(k, c->tunnel) : q->tunnel);
	p = pending_new(k, KEEPER_CHILD_REMOVE, tag, peer ? peer->name : "",
		peer ? instance_who_of(k, peer, c) : 0, e);
	if (!p)
		return RC_AGAIN;
	p->stage = PENDING_DATAPLANE;
	p->spi_in = c ? c->spi_in : q->spi_in;
	remove_entry(k, c, q);
	if (c)
		c->state = CHILD_REMOVING;
	if (remove_emit(k, c ? c->tunnel : NULL, q->tunnel, p->spi_in) == RC_OK) {
		*ret_outcome = WAITING;
		return RC_OK;
	}
	/* It is removed when the data plane is back. */
	pending_free(p);
	if (c)
		c->remove_later = true;
	return c ? RC_OK : err_add(e, RC_AGAIN, "the data plane is not running");
}

void keys_sa_removed(struct keys *k, const struct sa_result *result)
{
	struct pending *p = pending_at_dataplane(k, KEEPER_CHILD_REMOVE, result->spi_in);
	struct child_sa *c = child_sa_find_by_spi(k, result->spi_in);
	enum rc rc = result->rc < RC_COUNT ? (enum rc)result->rc : RC_INTERNAL;
	char text[KEEPER_TEXT_MAX];

	if (rc == RC_NOT_FOUND)
		rc = RC_OK; /* already removed */
	if (c && (c->state == CHILD_REMOVING || c->state == CHILD_INSTALLED)) {
		if (rc == RC_OK)
			child_sa_free(k, c);
		else
			c->state = CHILD_INSTALLED;
	}
	if (!p)
		return;
	text_copy(text, sizeof text, result->text);
	pending_reply(k, p, rc, rc == RC_OK ? "" : text);
	pending_free(p);
}

void keys_dataplane_up(struct keys *k)
{
	k->dataplane_is_up = true;
	for (size_t i = 0; i < k->children_n; i++) {
		struct child_sa *c = &k->children[i];

		if (c->state == CHILD_REMOVING && c->remove_later &&
			remove_emit(k, c->tunnel, INDEX_NONE, c->spi_in) == RC_OK)
			c->remove_later = false;
	}
}

/*
 * What waited for its answer gets none. SAs outlive the data plane's process, so a child SA that may have
 * been installed is removed when it is back.
 */
void keys_dataplane_down(struct keys *k)
{
	k->dataplane_is_up = false;
	for (size_t i = 0; i < k->pending_n; i++) {
		struct pending *p = &k->pending[i];
		struct child_sa *c = child_sa_find_by_spi(k, p->spi_in);
		struct keys_entry entry;

		if (p->stage != PENDING_DATAPLANE)
			continue;
		if (c) {
			c->state = CHILD_REMOVING;
			c->remove_later = true;
		}
		if (p->op == KEEPER_CHILD_INSTALL && c) {
			child_entry(k, &entry, KEYS_ENTRY_SA_REMOVE, c, NULL,
				"not installed: the data plane ended before it answered");
			journal_report(k, &entry);
		}
		if (p->op == KEEPER_CHILD_REMOVE && c)
			pending_reply(k, p, RC_OK, "");
		else
			pending_reply(k, p, RC_AGAIN, "the data plane ended");
		pending_free(p);
	}
	/* Removals under way for which no request waits. */
	for (size_t i = 0; i < k->children_n; i++)
		if (k->children[i].state == CHILD_REMOVING)
			k->children[i].remove_later = true;
}
