/*
 * CREATE_CHILD_SA for child SAs in both roles: a new child (RFC 7296 section 1.3.1), the rekey of one
 * (1.3.3), with and without a Diffie-Hellman exchange, and the collisions of 2.8.1 and 2.25.1. The rekey of
 * the IKE SA: rekey.c.
 *
 * When both sides rekey one child at once, both exchanges are carried through, and the nonces decide: the
 * side that began the surviving one deletes the old child, the other side deletes its own new one. When only
 * one side notices (because of a loss), the other one's request is answered with TEMPORARY_FAILURE or
 * CHILD_SA_NOT_FOUND.
 *
 * With additional key exchanges (RFC 9370) a child SA is larval until the last one (followup.c). Of two rekeys at once, one of them larval,
 * the nonces decide as soon as our response is here, and the other one is not continued: each side has both exchanges' nonces then, or
 * refuses the later one with TEMPORARY_FAILURE.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

/* ---- our request ---- */

static ike_then create_begun, create_followed, create_installed;

/* The tunnel is at its limit, until those that are being deleted make room; or nothing can be proposed. */
static void not_begun(struct ike *c, uint32_t tunnel, struct child_sa *old, const char *why)
{
	if (!old) {
		tunnel_failed(c, tunnel, why);
		return;
	}
	old->retry_at = c->now + IKE_REKEY_RETRY_S * NS_PER_S;
	child_changed(c, old);
}

bool child_start(struct ike *c, struct ike_sa *sa, uint32_t tunnel, struct child_sa *old, uint16_t dh)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);
	struct step *st = &sa->steps[SIDE_OWN];
	struct keeper_child_begin *q;

	assert(sa->state == ST_UP && st->task == TASK_NONE && !st->child);
	if (!child_room(c, sa, tunnel, old ? CHILD_REKEYED : CHILD_ANOTHER)) {
		not_begun(c, tunnel, old, "the tunnel has too many child SAs");
		return false;
	}
	if (!esp_proposal_next(c, t, NULL)) {
		not_begun(c, tunnel, old,
			"none of its proposals can be used here: those with additional-key-exchange need libcrypto 3.5 or later");
		return false;
	}
	st->task = old ? TASK_CHILD_REKEY : TASK_CHILD_NEW;
	st->busy = true;
	st->tunnel = tunnel;
	st->old_spi_in = old ? old->spi_in : 0;
	if (old)
		blob_set(&st->lineage, old->lineage.at, old->lineage.n);
	st->dh = dh != DH_NONE ? dh : child_group(c, t, old);
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_BEGIN, create_begun)->u.CHILD_BEGIN;
	q->handle = sa->handle;
	q->tunnel = tunnel;
	q->dh_group = st->dh;
	q->followed = st->dh != DH_NONE && child_may_be_followed(c, t);
	q->role = KEEPER_INITIATOR;
	return true;
}

bool child_start_beside(struct ike *c, struct ike_sa *sa, struct child_sa *first, uint16_t dh)
{
	assert(first->state == CH_UP && first->resource == 0);
	if (!child_room(c, sa, first->tunnel, CHILD_ANOTHER)) {
		resource_failed(c, first, 0);
		return false;
	}
	if (!child_start(c, sa, first->tunnel, NULL, dh))
		return false;
	sa->steps[SIDE_OWN].beside_spi_in = first->spi_in;
	return true;
}

/* This attempt failed; the next one is due after ms, more or less. */
static void create_failed(struct ike *c, struct ike_sa *sa, struct step *st, const char *reason, uint64_t ms)
{
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in),
			*first = child_by_in(c, sa, st->beside_spi_in);
	uint32_t tunnel = st->tunnel;
	bool rekey = st->task == TASK_CHILD_REKEY, beside = st->beside_spi_in != 0;

	own_exchange_done(c, sa);
	if (first)
		resource_failed(c, first, 0);
	if (old && old->state == CH_UP) {
		old->want_rekey = true;
		old->retry_at = c->now + ike_jitter(c, ms, 3 * ms) * NS_PER_MS;
		child_changed(c, old);
	}
	if (!rekey && !beside)
		tunnel_failed(c, tunnel, reason);
	ike_log(c, true, "peer %s: tunnel %s: %s: %s", sa_peer_name(c, sa),
		tunnel_config(c, tunnel) ? tunnel_config(c, tunnel)->name : "?",
		rekey	 ? "rekey of the child SA"
		: beside ? "child SA for one worker"
			 : "child SA",
		reason);
}

/* What was wanted beside a child SA, or in place of one, may not be any more. */
static bool create_is_due(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct child_sa *old = child_by_in(c, sa, st->old_spi_in),
			      *first = child_by_in(c, sa, st->beside_spi_in);

	if (st->beside_spi_in != 0) {
		st->child->resource = first && first->state == CH_UP ? resource_missing(c, first) : 0;
		return st->child->resource != 0;
	}
	if (st->task == TASK_CHILD_REKEY) {
		st->child->resource = old ? old->resource : 0;
		return old && old->state == CH_UP;
	}
	return true;
}

static void create_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_begun *b = &r->u.CHILD_BEGIN;
	const struct snap_tunnel *t = tunnel_config(c, st->tunnel);
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in),
			*first = child_by_in(c, sa, st->beside_spi_in);
	struct ike_offer offer;
	struct ike_out o;
	uint8_t spi[4];

	if (b->rc != RC_OK || !t) {
		create_failed(c, sa, st, b->text, IKE_REKEY_RETRY_S * 1000);
		return;
	}
	st->child = child_new(c, sa, st->tunnel, true);
	child_set_id(c, st->child, b);
	if (!create_is_due(c, sa, st)) {
		own_exchange_done(c, sa); /* the peer has rekeyed, deleted or made it meanwhile */
		return;
	}
	if (st->task == TASK_CHILD_NEW && c->tunnels[st->tunnel].held) {
		create_failed(c, sa, st, IKE_TERMINATED, IKE_REKEY_RETRY_S * 1000);
		return;
	}
	blob_set(&st->nonce, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	o = message_begin_request(c, sa, EX_CREATE_CHILD_SA);
	if (old) {
		store_be32(spi, old->spi_in);
		ike_out_notify_spi(&o, NTF_REKEY_SA, IKE_PROTO_ESP, spi, 4, NULL, 0);
	}
	offer_make_esp(c, t, b->spi_in, true, &offer);
	ike_out_offer(&o, &offer);
	ike_out_payload(&o, PL_NONCE, st->nonce.at, st->nonce.n);
	if (st->dh != DH_NONE)
		ike_out_ke(&o, st->dh, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	if (st->child->resource == 0 ? tunnel_has_resources(c, st->tunnel) : !old)
		resource_write(&o, st->child->resource);
	child_offer_selectors(c, &o, st->tunnel, old ? old : first ? first : tunnel_offers(c, st->tunnel));
	message_send_request(c, sa, &o);
}

/* The child SA exists for the peer, but we cannot use it. */
static void create_unusable(struct ike *c, struct ike_sa *sa, struct step *st, const char *reason)
{
	struct child_sa *ch = st->child;

	st->child = NULL;
	child_want_delete(c, sa, ch, reason);
	create_failed(c, sa, st, reason, IKE_REKEY_RETRY_S * 1000);
}

/* The peer's rekey of this child SA that is not over yet; NULL: there is none. */
static struct child_sa *larval_of_peer(const struct ike_sa *sa, uint32_t old_spi_in)
{
	const struct followup *f = sa->followup;

	return f && old_spi_in != 0 && f->old_spi_in == old_spi_in ? f->child : NULL;
}

/* 2.8.1: the peer's rekey has the higher nonce. NULL: it has none under way. */
static bool theirs_is_kept(const struct child_sa *ours, const struct child_sa *theirs)
{
	return theirs && nonce_compare(&ours->lowest, &theirs->lowest) < 0;
}

/* Our IKE_FOLLOWUP_KE, unless the peer's rekey is the one that is kept. */
static void create_follow(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in),
			*theirs = old ? child_by_in(c, sa, old->successor_of_peer) : NULL,
			*larval = larval_of_peer(sa, st->old_spi_in);

	if (theirs_is_kept(st->child, larval)) {
		own_exchange_done(c, sa); /* it goes on, and the old one is replaced by it */
	} else if (theirs && theirs->state == CH_UP && theirs_is_kept(st->child, theirs)) {
		old->successor_of_peer = 0;
		own_exchange_done(c, sa);
		if (old->state == CH_UP)
			child_enter_state(c, sa, old, CH_REPLACED);
	} else {
		if (larval)
			followup_drop(c, sa);
		st->followed = create_followed;
		followup_start(c, sa, st);
	}
}

/* The peer has deleted it before its last response told us of it. */
static bool is_dead(const struct step *st)
{
	for (uint32_t i = 0; i < st->dead_spis_n; i++)
		if (st->dead_spis[i] == st->child->spi_out)
			return true;
	return false;
}

void on_child_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	struct err why = { 0 };

	if (st->task != TASK_CHILD_NEW && st->task != TASK_CHILD_REKEY) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the peer's response does not match our request");
		return;
	}
	if (!child_answer_fits(c, sa, st, p, true, &why) ||
		!resource_answered(c, p, st->child, child_by_in(c, sa, st->beside_spi_in),
			child_by_in(c, sa, st->old_spi_in), &why)) {
		create_unusable(c, sa, st, why.text);
		return;
	}
	if (child_additional_is_due(st->child) && !followup_link_read(p, &st->link)) {
		create_failed(c, sa, st,
			"the peer's response names additional key exchanges, and has no ADDITIONAL_KEY_EXCHANGE to go on with",
			IKE_REKEY_RETRY_S * 1000);
		return;
	}
	if (is_dead(st)) {
		create_failed(c, sa, st, "the peer deleted it at once", IKE_TEMPORARY_MS);
		return;
	}
	nonce_set_lower(&st->child->lowest, &st->nonce, p->nonce.at, p->nonce.n);
	if (child_additional_is_due(st->child)) {
		blob_set(&st->peer_nonce, p->nonce.at, p->nonce.n);
		blob_set(&st->peer_ke, p->ke.at, p->ke.n);
		create_follow(c, sa, st);
		return;
	}
	/* 2.8: "the initiator ... SHOULD... use the new SA" at once: the responder can receive on it. */
	child_ask_install(c, sa, st, &p->nonce, &p->ke, 0, st->old_spi_in, create_installed);
}

/* After our last IKE_FOLLOWUP_KE, or when they have come to nothing. */
static void create_followed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_additional_finished *f = &r->u.CHILD_ADDITIONAL_FINISH;
	const struct ike_view nonce = { st->peer_nonce.at, st->peer_nonce.n },
			      ke = { st->peer_ke.at, st->peer_ke.n };

	if (f->rc != RC_OK && child_additional_is_due(st->child)) {
		/* Before the last one the peer has not made it. */
		create_failed(c, sa, st, f->text, IKE_REKEY_RETRY_S * 1000);
	} else if (f->rc != RC_OK || st->child->tunnel == INDEX_NONE) {
		create_unusable(c, sa, st, f->rc != RC_OK ? f->text : "its tunnel was changed or removed");
	} else if (is_dead(st)) {
		create_failed(c, sa, st, "the peer deleted it at once", IKE_TEMPORARY_MS);
	} else {
		child_ask_install(c, sa, st, &nonce, &ke, 0, st->old_spi_in, create_installed);
	}
}

/* Which of two simultaneous rekeys of `old` is kept; `ours` has just been made. */
static void settle_rekey(struct ike *c, struct ike_sa *sa, struct child_sa *old, struct child_sa *ours)
{
	struct child_sa *theirs = child_by_in(c, sa, old->successor_of_peer),
			*larval = larval_of_peer(sa, old->spi_in);

	if (larval && theirs_is_kept(ours, larval)) {
		/* It goes on, and replaces the old one. */
		child_want_delete(c, sa, ours, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
		return;
	}
	if (larval)
		followup_drop(c, sa);
	if (theirs && theirs->state == CH_UP && theirs_is_kept(ours, theirs)) {
		/* 2.8.1: the SA with the lowest nonce is closed by whoever created it; the other side deletes
		 * the old one. */
		child_supersede(
			c, sa, ours, theirs, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
		child_enter_state(c, sa, old, CH_REPLACED);
		return;
	}
	child_want_delete(c, sa, old, "rekeyed");
}

static void create_installed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct child_sa *ch = st->child, *old = child_by_in(c, sa, st->old_spi_in);

	if (r->u.CHILD_INSTALL.rc != RC_OK || ch->tunnel == INDEX_NONE) {
		create_unusable(c, sa, st,
			ch->tunnel == INDEX_NONE ? "its tunnel was changed or removed"
						 : r->u.CHILD_INSTALL.text);
		return;
	}
	if (ch->deleted_early) { /* own_exchange_done() has it removed again */
		create_failed(c, sa, st, "the peer deleted it at once", IKE_TEMPORARY_MS);
		return;
	}
	st->child = NULL;
	sa->restarts = 0;
	blob_set(&ch->lineage, st->lineage.n ? st->lineage.at : ch->lowest.at,
		st->lineage.n ? st->lineage.n : ch->lowest.n);
	ch->verified = old && old->verifying;
	child_up(c, sa, ch);
	if (st->task == TASK_CHILD_NEW && st->beside_spi_in == 0)
		tunnel_child_granted(c, ch->tunnel);
	if (old && (old->state == CH_UP || old->state == CH_REPLACED))
		settle_rekey(c, sa, old, ch);
	own_exchange_done(c, sa);
}

/* ---- our request refused ---- */

static bool create_other_group(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_notify *v)
{
	const struct snap_tunnel *t = tunnel_config(c, st->tunnel);
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in),
			*first = child_by_in(c, sa, st->beside_spi_in);
	bool rekey = st->task == TASK_CHILD_REKEY, known = false, beside = st->beside_spi_in != 0;
	uint32_t tunnel = st->tunnel;
	uint16_t group;

	if (v->type != NTF_INVALID_KE_PAYLOAD || v->data.n != 2 || !t || st->link.n > 0 ||
		sa->restarts++ >= IKE_RESTARTS_MAX)
		return false;
	group = load_be16(v->data.at);
	for (const struct snap_esp_proposal *p = NULL; (p = esp_proposal_next(c, t, p)) != NULL;)
		known |= p->dh == group && group != st->dh;
	if (!known || (rekey && (!old || old->state != CH_UP)) ||
		(beside && (!first || first->state != CH_UP)))
		return false;
	own_exchange_done(c, sa);
	if (first)
		child_start_beside(c, sa, first, group);
	else
		child_start(c, sa, tunnel, old, group);
	return true;
}

static void child_refused(struct ike *c, struct ike_sa *sa, struct step *st, uint16_t type)
{
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in);
	struct tunnel *t = st->tunnel < c->tunnels_n ? &c->tunnels[st->tunnel] : NULL;
	/* 2.25: what the peer is at will be over. An administrator's order stands until then, also where nothing else begins the tunnel. */
	bool again = type == NTF_TEMPORARY_FAILURE && st->task == TASK_CHILD_NEW && t && t->want;
	char text[IKE_REASON_MAX], name[48];

	snprintf(text, sizeof text, "the peer refused with %s", ike_notify_text(name, sizeof name, type));
	if (st->beside_spi_in != 0) {
		struct child_sa *first = child_by_in(c, sa, st->beside_spi_in);

		create_failed(c, sa, st, text, IKE_TEMPORARY_MS);
		if (first)
			resource_failed(c, first, type);
		return;
	}
	if (old && old->successor_of_peer != 0) {
		/* 2.8.1: the peer had finished its own rekey; that one is kept. */
		if (old->state == CH_UP && child_by_in(c, sa, old->successor_of_peer))
			child_enter_state(c, sa, old, CH_REPLACED);
		old->successor_of_peer = 0;
		child_redundancy_mark(c, old);
		if (old->state != CH_UP) {
			own_exchange_done(c, sa);
			return;
		}
	}
	if (type == NTF_CHILD_SA_NOT_FOUND && old && old->state == CH_UP) {
		/* 2.25.1: the peer does not have this child SA, so it ends here too; a new one is made,
		 * unless the peer still has its predecessor. */
		child_predecessor_restore(c, old);
		child_gone(c, sa, old, "the peer does not have it (CHILD_SA_NOT_FOUND)");
		own_exchange_done(c, sa);
		return;
	}
	if (old && old->state == CH_UP)
		child_rekey_refused(c, old, type);
	else
		tunnel_refused(c, st->tunnel, type, false);
	create_failed(c, sa, st, text,
		type == NTF_TEMPORARY_FAILURE || type == NTF_STATE_NOT_FOUND ? IKE_TEMPORARY_MS
									     : IKE_REKEY_RETRY_S * 1000);
	if (again)
		t->want = true;
}

void on_create_refused(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_notify *v = ike_notify_error(&st->in->p);

	switch (st->task) {
	case TASK_CHILD_NEW:
	case TASK_CHILD_REKEY:
		if (v && create_other_group(c, sa, st, v))
			return;
		sa->restarts = 0;
		child_refused(c, sa, st, v ? v->type : 0);
		break;
	case TASK_IKE_REKEY:
		rekey_refused(c, sa);
		break;
	default:
		own_exchange_done(c, sa);
		break;
	}
}

/* ---- the peer's request ---- */

static ike_then answer_begun, answer_followed, answer_installed;

void on_temporary_failure(struct ike *c, struct ike_sa *sa, struct step *st)
{
	message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
}

static void answer_not_found(struct ike *c, struct ike_sa *sa, const struct ike_notify *v)
{
	struct ike_out o = message_begin_response(c, sa);

	ike_out_notify_spi(&o, NTF_CHILD_SA_NOT_FOUND, v->protocol, v->spi.at, v->spi.n, NULL, 0);
	message_send_response(c, sa, &o);
}

/* Our request has been sent, and the response is not processed yet, or was lost. */
static bool asked(const struct ike_sa *sa)
{
	return sa->request.n > 0 || sa->steps[SIDE_OWN].in || sa->steps[SIDE_OWN].link.n > 0;
}

/* Has our rekey of this child SA been sent, so that the peer may have carried it out? */
static bool rekeying(const struct ike_sa *sa, const struct child_sa *old)
{
	const struct step *own = &sa->steps[SIDE_OWN];

	return own->task == TASK_CHILD_REKEY && own->old_spi_in == old->spi_in && asked(sa);
}

/* The child SA that the peer wants to rekey; false: the request has been answered already. */
static bool rekey_target(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_notify *v)
{
	struct step *own = &sa->steps[SIDE_OWN];
	struct child_sa *old;

	/* Protocol 0 or 1 here is CVE-2023-38710. */
	if (v->protocol != IKE_PROTO_ESP || v->spi.n != 4) {
		ike_refuse(c, &st->in->local, &st->in->remote, sa_peer(c, sa),
			"malformed REKEY_SA: protocol %u with an SPI of %zu octets, expected ESP (3) with 4",
			v->protocol, v->spi.n);
		message_answer_notify(c, sa, NTF_INVALID_SYNTAX, NULL, 0);
		return false;
	}
	old = child_by_out(c, sa, load_be32(v->spi.at));
	if (!old && own_makes_child(own) && asked(sa)) {
		/* Perhaps the one that we have requested: CHILD_SA_NOT_FOUND would make the peer delete a
		 * child SA that we are about to send on. */
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return false;
	}
	if (!old) {
		answer_not_found(c, sa, v);
		return false;
	}
	/* 2.25.1: it is being deleted, or already rekeyed and waiting for its delete. */
	if (old->state != CH_UP || child_by_in(c, sa, old->successor_of_peer)) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return false;
	}
	/* The peer has answered ours, which goes on. */
	if (own->task == TASK_CHILD_REKEY && own->old_spi_in == old->spi_in && own->link.n > 0) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return false;
	}
	if (own->task == TASK_CHILD_REKEY && own->old_spi_in == old->spi_in && !rekeying(sa, old))
		own_exchange_done(c, sa); /* ours has not been sent: the peer's is enough */
	st->old_spi_in = old->spi_in;
	blob_set(&st->lineage, old->lineage.at, old->lineage.n);
	st->tunnel = old->tunnel;
	return true;
}

void on_child_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_notify *v = ike_notify_find(p, NTF_REKEY_SA);
	struct keeper_child_begin *q;
	struct choice choice;
	uint16_t refusal;
	uint8_t group[2];

	rekey_settle_to(c, sa);
	if (sa->want_delete || sa->peer_successor != 0 || sa->steps[SIDE_OWN].task == TASK_IKE_REKEY) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	st->tunnel = INDEX_NONE;
	if (v && !rekey_target(c, sa, st, v))
		return;
	refusal = child_refusal(c, sa, st, true, &choice);
	if (refusal) {
		message_answer_notify(c, sa, refusal, NULL, 0);
		return;
	}
	if (choice.dh != DH_NONE && (!(p->present & IKE_HAS(KE)) || p->ke_group != choice.dh)) {
		store_be16(group, choice.dh);
		message_answer_notify(c, sa, NTF_INVALID_KE_PAYLOAD, group, 2);
		return;
	}
	if (p->ke.n > KEEPER_KE_MAX) {
		message_answer_notify(c, sa, NTF_INVALID_SYNTAX, NULL, 0);
		return;
	}
	step_answer_set(st, &choice.answer);
	st->dh = choice.dh;
	assert(!st->child);
	st->child = child_new(c, sa, st->tunnel, false);
	child_take_choice(c, st->child, &choice);
	if (!child_narrow(c, st->child, &p->tsi, &p->tsr)) {
		message_answer_notify(c, sa, NTF_TS_UNACCEPTABLE, NULL, 0);
		return;
	}
	refusal = resource_refusal(c, p, st->child, child_by_in(c, sa, st->old_spi_in));
	if (refusal) {
		message_answer_notify(c, sa, refusal, NULL, 0);
		return;
	}
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_CHILD_BEGIN, answer_begun)->u.CHILD_BEGIN;
	q->handle = sa->handle;
	q->tunnel = st->tunnel;
	q->dh_group = choice.dh;
	q->followed = choice.additional[0] != 0;
	q->role = KEEPER_RESPONDER;
	if (choice.dh == DH_NONE)
		return;
	q->peer_ke_n = (uint16_t)p->ke.n;
	memcpy(q->peer_ke, p->ke.at, p->ke.n);
}

static void answer_failed(struct ike *c, struct ike_sa *sa, struct step *st, uint32_t rc, const char *text)
{
	ike_refuse(c, &st->in->local, &st->in->remote, sa_peer(c, sa), "child SA: %.200s", text);
	message_answer_notify(c, sa, keeper_rc_notify(rc), NULL, 0);
}

/* What CREATE_CHILD_SA is answered with. */
static void answer_write(struct ike *c, struct ike_sa *sa, const struct step *st, const struct child_sa *old,
	struct ike_out *o)
{
	const struct child_sa *ch = st->child;
	struct ike_offer answer = *st->answer;

	answer.proposals[0].spi_n = 4;
	store_be32(answer.proposals[0].spi, ch->spi_in);
	ike_out_offer(o, &answer);
	ike_out_payload(o, PL_NONCE, st->nonce.at, st->nonce.n);
	if (st->dh != DH_NONE)
		ike_out_ke(o, st->dh, st->ke.at, st->ke.n);
	ike_out_selectors(o, PL_TSI, ch->remote_ts, ch->remote_n);
	ike_out_selectors(o, PL_TSR, ch->local_ts, ch->local_n);
	if (resource_is_asked(&st->in->p) && (ch->resource ? !old : ch->shares))
		resource_write(o, ch->resource);
	if (!old && child_more_possible(c, sa, ch, &st->in->p.tsi, &st->in->p.tsr))
		ike_out_notify(o, NTF_ADDITIONAL_TS_POSSIBLE, NULL, 0);
}

/* The peer sends on it first; until then we send on the old one, which the peer still has. */
static void ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_view *nonce)
{
	child_ask_install(c, sa, st, nonce, NULL, child_has_stand_in(c, st->child) ? CHILD_OUTBOUND_LATER : 0,
		st->old_spi_in, answer_installed);
}

static void answer_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_begun *b = &r->u.CHILD_BEGIN;
	struct child_sa *old = child_by_in(c, sa, st->old_spi_in);

	if (b->rc != RC_OK) {
		answer_failed(c, sa, st, b->rc, b->text);
		return;
	}
	child_set_id(c, st->child, b);
	if (st->old_spi_in != 0 && (!old || old->state != CH_UP)) {
		/* Our own rekey finished meanwhile, and the old one is being deleted. */
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	blob_set(&st->nonce, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	nonce_set_lower(&st->child->lowest, &st->nonce, st->in->p.nonce.at, st->in->p.nonce.n);
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	if (child_additional_is_due(st->child)) {
		struct ike_out o = message_begin_response(c, sa);

		answer_write(c, sa, st, old, &o);
		followup_await(c, sa, NULL, answer_followed, &o);
		message_send_response(c, sa, &o);
		return;
	}
	ask_install(c, sa, st, &st->in->p.nonce);
}

/* After the peer's last IKE_FOLLOWUP_KE. */
static void answer_followed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct child_sa *old;
	struct ike_view nonce;

	followup_take(sa, st);
	old = child_by_in(c, sa, st->old_spi_in);
	if (sa->want_delete || st->child->tunnel == INDEX_NONE ||
		(st->old_spi_in != 0 &&
			(!old || old->state != CH_UP || child_by_in(c, sa, old->successor_of_peer)))) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	nonce = (struct ike_view){ st->peer_nonce.at, st->peer_nonce.n };
	ask_install(c, sa, st, &nonce);
}

static void answer_installed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct child_sa *ch = st->child, *old = child_by_in(c, sa, st->old_spi_in);
	struct ike_out o;

	if (r->u.CHILD_INSTALL.rc != RC_OK) {
		answer_failed(c, sa, st, r->u.CHILD_INSTALL.rc, r->u.CHILD_INSTALL.text);
		return;
	}
	o = message_begin_response(c, sa);
	if (st->peer_nonce.n > 0)
		ike_out_ke(&o, st->dh, st->ke.at, st->ke.n); /* to the last IKE_FOLLOWUP_KE */
	else
		answer_write(c, sa, st, old, &o);
	st->child = NULL;
	blob_set(&ch->lineage, st->lineage.n ? st->lineage.at : ch->lowest.at,
		st->lineage.n ? st->lineage.n : ch->lowest.n);
	child_up(c, sa, ch);
	if (old && old->state == CH_UP) {
		if (rekeying(sa, old))
			old->successor_of_peer = ch->spi_in; /* both at once: our answer decides */
		else
			child_enter_state(c, sa, old, CH_REPLACED);
	}
	message_send_response(c, sa, &o);
}
