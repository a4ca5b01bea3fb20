/*
 * CREATE_CHILD_SA that rekeys the IKE SA, in both roles (RFC 7296 sections 1.3.2, 2.18), and its collisions
 * (2.8.1, 2.25.2). The new IKE SA, the successor, gets the children of the old one.
 *
 * When both sides rekey at once there are two successors until our response comes: successor->parent is set,
 * the old IKE SA has the serial of the peer's successor in peer_successor, and keeps its children. Whatever
 * shows that the peer uses its successor settles it (rekey_settle_to()).
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static struct ike_sa *successor_new(struct ike *c, const struct ike_sa *sa, bool initiator)
{
	struct ike_sa *successor = sa_peer_room(c, sa->peer, sa) ? sa_new(c, initiator) : NULL;

	if (!successor)
		return NULL;
	sa_enter(c, successor, ST_LARVAL);
	successor->peer = sa->peer;
	sa_join_peer(c, successor);
	successor->first_tunnel = sa->first_tunnel;
	successor->local = sa->local;
	successor->remote = sa->remote;
	successor->hashes = sa->hashes;
	successor->fragments = sa->fragments;
	successor->ppk = sa->ppk;
	successor->nat_known = sa->nat_known;
	successor->peer_natted = sa->peer_natted;
	successor->we_natted = sa->we_natted;
	successor->elsewhere = sa->elsewhere;
	successor->seen_at = sa->seen_at;
	successor->encap = sa->encap;
	successor->supports_witnessing = sa->supports_witnessing;
	return successor;
}

static void successor_take_choice(struct ike_sa *successor, const struct choice *choice)
{
	successor->encr = choice->encr;
	successor->encr_bits = choice->encr_bits;
	successor->prf = choice->prf;
	successor->dh = choice->dh;
}

static void ask_finish(struct ike *c, struct ike_sa *sa, struct step *st, ike_then *then)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_sa *successor = st->successor;
	struct keeper_exchange_finish *q =
		&sa_ask(c, sa, st->side, KEEPER_EXCHANGE_FINISH, then)->u.EXCHANGE_FINISH;

	q->handle = successor->handle;
	q->prf = successor->prf;
	q->encr = successor->encr;
	q->encr_bits = successor->encr_bits;
	memcpy(q->spi_i, successor->spi_i, 8);
	memcpy(q->spi_r, successor->spi_r, 8);
	q->peer_nonce_n = (uint16_t)p->nonce.n;
	memcpy(q->peer_nonce, p->nonce.at, p->nonce.n);
	q->peer_ke_n = (uint16_t)p->ke.n;
	memcpy(q->peer_ke, p->ke.at, p->ke.n);
}

static void successor_up(struct ike *c, struct ike_sa *sa, struct ike_sa *successor)
{
	successor->was_up = true;
	sa_enter(c, successor, ST_UP);
	sa_established(c, successor);
	ike_log(c, false, "peer %s: IKE SA rekeyed", sa_peer_name(c, sa));
}

/* ---- our request ---- */

static ike_then rekey_begun, rekey_finished;

void rekey_start(struct ike *c, struct ike_sa *sa, uint16_t dh)
{
	const struct snap_peer *p = sa_peer(c, sa);
	struct step *st = &sa->steps[SIDE_OWN];
	struct keeper_exchange_begin *q;

	assert(sa->state == ST_UP && p && st->task == TASK_NONE && !st->successor);
	st->successor = successor_new(c, sa, true);
	if (!st->successor) {
		sa->retry_at = c->now + IKE_REKEY_RETRY_S * NS_PER_S;
		return;
	}
	st->task = TASK_IKE_REKEY;
	st->busy = true;
	st->dh = dh != DH_NONE ? dh : snap_ike_proposals(c->snap)[p->proposals.first].dh;
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_EXCHANGE_BEGIN, rekey_begun)->u.EXCHANGE_BEGIN;
	q->role = KEEPER_INITIATOR;
	q->parent = sa->handle;
	q->dh_group = st->dh;
}

static void rekey_later(struct ike *c, struct ike_sa *sa, const char *reason, uint64_t ms)
{
	ike_log(c, true, "peer %s: rekey of the IKE SA: %s", sa_peer_name(c, sa), reason);
	sa->retry_at = c->now + ike_jitter(c, ms, 3 * ms) * NS_PER_MS;
	own_exchange_done(c, sa);
}

static void rekey_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_begun *b = &r->u.EXCHANGE_BEGIN;
	struct ike_sa *successor = st->successor;
	struct ike_offer offer;
	struct ike_out o;

	if (b->rc != RC_OK) {
		rekey_later(c, sa, b->text, IKE_REKEY_RETRY_S * 1000);
		return;
	}
	successor->handle = b->handle;
	sa_set_spi(c, successor, b->ike_spi);
	nonce_set(&successor->nonce_i, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	if (sa->state != ST_UP || !sa_peer(c, sa)) { /* the peer was faster, or is no longer configured */
		own_exchange_done(c, sa);
		return;
	}
	o = message_begin_request(c, sa, EX_CREATE_CHILD_SA);
	offer_make_ike(c, sa_peer(c, sa), successor->spi_i, &offer);
	ike_out_offer(&o, &offer);
	ike_out_payload(&o, PL_NONCE, successor->nonce_i.bytes, successor->nonce_i.n);
	ike_out_ke(&o, st->dh, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	message_send_request(c, sa, &o);
}

void on_rekey_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	static const uint8_t none[8];
	const struct ike_payloads *p = &st->in->p;
	struct ike_sa *successor = st->successor;
	struct choice choice;

	if (st->task != TASK_IKE_REKEY || !offer_is_single(&p->sa) || !sa_peer(c, sa) ||
		!proposals_choose_ike(c, sa_peer(c, sa), &p->sa, &choice) || choice.spi.n != 8 ||
		memcmp(choice.spi.at, none, 8) == 0 || choice.dh != st->dh || p->ke_group != st->dh ||
		p->ke.n > KEEPER_KE_MAX) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the peer's response to the rekey does not match what we offered");
		return;
	}
	memcpy(successor->spi_r, choice.spi.at, 8);
	nonce_set(&successor->nonce_r, p->nonce.at, p->nonce.n);
	successor_take_choice(successor, &choice);
	ask_finish(c, sa, st, rekey_finished);
}

/* The peer deletes its successor (2.8.1); if it does not, a timer does. */
static void wait_for_delete(struct ike *c, struct ike_sa *theirs)
{
	theirs->parent = 0;
	if (theirs->state != ST_UP)
		return;
	sa_enter(c, theirs, ST_REPLACED);
	theirs->timer_at = c->now + IKE_REPLACED_S * NS_PER_S;
	snprintf(theirs->reason, sizeof theirs->reason, "simultaneous rekey (RFC 7296 2.8.1): ours is kept");
}

static void decide(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_finished *f = &r->u.EXCHANGE_FINISH;
	struct ike_sa *successor = st->successor, *theirs = sa_by_serial(c, sa->peer, sa->peer_successor);

	if (f->rc != RC_OK || !sa_peer(c, sa) || !sa_take_keys(successor, f)) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the rekey's key exchange failed");
		return;
	}
	st->successor = NULL;
	successor_up(c, sa, successor);
	own_exchange_done(c, sa);
	if (sa->state != ST_UP) {
		sa_close(c, successor, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
	} else if (theirs && nonce_compare(&successor->lowest, &theirs->lowest) < 0) {
		/* 2.8.1: the one with the lowest nonce is closed by whoever created it; the old one by the
		 * other side. */
		rekey_settle_to(c, theirs);
		sa_close(c, successor, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
	} else {
		if (theirs)
			wait_for_delete(c, theirs);
		sa_replace(c, sa, successor);
		sa_close(c, sa, "rekeyed");
	}
}

static void rekey_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	decide(c, sa, st, r);
	if (sa->steps[SIDE_PEER].deferred)
		on_info_request(c, sa, &sa->steps[SIDE_PEER]);
}

/* The peer has refused our request; the step is still open. */
void rekey_refused(struct ike *c, struct ike_sa *sa)
{
	const struct step *st = &sa->steps[SIDE_OWN];
	const struct ike_notify *v = ike_notify_error(&st->in->p);
	struct ike_sa *theirs = sa_by_serial(c, sa->peer, sa->peer_successor);
	const struct snap_peer *p = sa_peer(c, sa);
	uint16_t group = 0, type = v ? v->type : 0, tried = st->dh;
	char text[80], name[48];

	if (type == NTF_INVALID_KE_PAYLOAD && v->data.n == 2)
		group = load_be16(v->data.at);
	if (theirs) {
		own_exchange_done(c, sa);
		rekey_settle_to(c, theirs);
		return;
	}
	for (uint32_t i = 0; p && group != 0 && group != tried && i < p->proposals.count; i++) {
		if (snap_ike_proposals(c->snap)[p->proposals.first + i].dh != group || sa->state != ST_UP ||
			sa->restarts++ >= IKE_RESTARTS_MAX)
			continue;
		own_exchange_done(c, sa);
		rekey_start(c, sa, group);
		return;
	}
	sa->restarts = 0;
	snprintf(text, sizeof text, "the peer refused with %s", ike_notify_text(name, sizeof name, type));
	sa_rekey_refused(c, sa, type);
	rekey_later(c, sa, text, type == NTF_TEMPORARY_FAILURE ? IKE_TEMPORARY_MS : IKE_REKEY_RETRY_S * 1000);
}

/* ---- the peer's request ---- */

static ike_then answer_begun, answer_finished;

/* 2.25.2: not while we make, rekey or delete a child SA, or delete this IKE SA. */
static bool not_now(const struct ike_sa *sa)
{
	const struct step *own = &sa->steps[SIDE_OWN];

	if (sa->want_delete || sa->peer_successor != 0)
		return true;
	return own->task == TASK_CHILD_NEW || own->task == TASK_CHILD_REKEY ||
	       own->task == TASK_CHILD_DELETE || own->task == TASK_AUTH;
}

static void refuse_rekey(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct snap_peer *peer = sa_peer(c, sa);
	struct ike_offer ours = { 0 };
	struct ike_refusal *r;
	char why[128];

	if (peer)
		offer_make_ike(c, peer, NULL, &ours);
	r = ike_refuse(c, &sa->local, &sa->remote, peer, "rekey of the IKE SA: %s",
		offer_explain(why, sizeof why, &p->sa, &ours));
	if (r) {
		ike_offer_text(r->offered, sizeof r->offered, &p->sa);
		ike_offer_text(r->configured, sizeof r->configured, &ours);
	}
	message_answer_notify(c, sa, NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
}

void on_rekey_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	static const uint8_t none[8];
	const struct ike_payloads *p = &st->in->p;
	struct step *own = &sa->steps[SIDE_OWN];
	struct keeper_exchange_begin *q;
	struct choice choice;
	uint8_t group[2];

	rekey_settle_to(c, sa);
	if (not_now(sa)) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	if (!sa_peer(c, sa) || !proposals_choose_ike(c, sa_peer(c, sa), &p->sa, &choice)) {
		refuse_rekey(c, sa, p);
		return;
	}
	if (choice.spi.n != 8 || memcmp(choice.spi.at, none, 8) == 0 || p->ke.n > KEEPER_KE_MAX) {
		message_answer_notify(c, sa, NTF_INVALID_SYNTAX, NULL, 0);
		return;
	}
	if (p->ke_group != choice.dh) {
		store_be16(group, choice.dh);
		message_answer_notify(c, sa, NTF_INVALID_KE_PAYLOAD, group, 2);
		return;
	}
	if (own->task == TASK_IKE_REKEY && sa->request.n == 0 && !own->in)
		own_exchange_done(c, sa); /* ours has not been sent: the peer's suffices */
	assert(!st->successor);
	st->successor = successor_new(c, sa, false);
	if (!st->successor) {
		message_answer_notify(c, sa, NTF_NO_ADDITIONAL_SAS, NULL, 0);
		return;
	}
	memcpy(st->successor->spi_i, choice.spi.at, 8);
	successor_take_choice(st->successor, &choice);
	nonce_set(&st->successor->nonce_i, p->nonce.at, p->nonce.n);
	st->answer = choice.answer;
	st->dh = choice.dh;
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_EXCHANGE_BEGIN, answer_begun)->u.EXCHANGE_BEGIN;
	q->role = KEEPER_RESPONDER;
	q->parent = sa->handle;
	q->dh_group = choice.dh;
}

static void answer_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_begun *b = &r->u.EXCHANGE_BEGIN;
	struct ike_sa *successor = st->successor;

	if (b->rc != RC_OK) {
		message_answer_notify(c, sa, keeper_rc_notify(b->rc), NULL, 0);
		return;
	}
	successor->handle = b->handle;
	sa_set_spi(c, successor, b->ike_spi);
	nonce_set(&successor->nonce_r, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	st->ke_n = MIN_OF(b->ke_n, KEEPER_KE_MAX);
	memcpy(st->ke, b->ke, st->ke_n);
	ask_finish(c, sa, st, answer_finished);
}

static void answer_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_finished *f = &r->u.EXCHANGE_FINISH;
	struct step *own = &sa->steps[SIDE_OWN];
	struct ike_sa *successor = st->successor;
	struct ike_offer answer = st->answer;
	struct ike_out o;

	if (sa->state != ST_UP || sa->want_delete) { /* our own rekey finished meanwhile */
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	if (f->rc != RC_OK || !sa_take_keys(successor, f)) {
		ike_refuse(
			c, &sa->local, &sa->remote, sa_peer(c, sa), "rekey of the IKE SA: %.200s", f->text);
		message_answer_notify(c, sa, keeper_rc_notify(f->rc), NULL, 0);
		return;
	}
	o = message_begin_response(c, sa);
	answer.proposals[0].spi_n = 8;
	memcpy(answer.proposals[0].spi, successor->spi_r, 8);
	ike_out_offer(&o, &answer);
	ike_out_payload(&o, PL_NONCE, successor->nonce_r.bytes, successor->nonce_r.n);
	ike_out_ke(&o, st->dh, st->ke, st->ke_n);
	st->successor = NULL;
	successor_up(c, sa, successor);
	if (own->task == TASK_IKE_REKEY) {
		successor->parent = sa->serial; /* both at once: the response to our request decides */
		sa->peer_successor = successor->serial;
	} else {
		sa_replace(c, sa, successor);
	}
	message_send_response(c, sa, &o);
}
