/*
 * CREATE_CHILD_SA that rekeys the IKE SA, in both roles (RFC 7296 sections 1.3.2, 2.18), and its collisions
 * (2.8.1, 2.25.2). The new IKE SA, the successor, gets the children of the old one. With additional key exchanges it is larval
 * until the last one (followup.c).
 *
 * When both sides rekey at once there are two successors until our response comes: successor->parent is set,
 * the old IKE SA has the serial of the peer's successor in peer_successor, and keeps its children. Whatever
 * shows that the peer uses its successor settles it (rekey_settle_to()). Where one of the two is still larval, the nonces
 * decide as soon as our response is here, and the other one is not continued: each side has both exchanges' nonces then, or refuses
 * the later one with TEMPORARY_FAILURE.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static struct ike_sa *successor_new(struct ike *c, const struct ike_sa *sa, bool initiator)
{
	struct ike_sa *successor = sa_peer_room(c, sa->peer, sa) ? sa_new(c, initiator) : NULL;

	if (!successor)
		return NULL;
	sa_enter(c, successor, ST_LARVAL);
	successor->peer = sa->peer;
	blob_set(&successor->user, sa->user.at, sa->user.n);
	sa_join_peer(c, successor);
	successor->first_tunnel = sa->first_tunnel;
	successor->group = sa->group;
	successor->local = sa->local;
	successor->remote = sa->remote;
	successor->hashes = sa->hashes;
	successor->fragments = sa->fragments;
	successor->ppk = sa->ppk;
	successor->transcript = sa->transcript;
	memcpy(successor->additional, sa->additional, sizeof successor->additional);
	successor->additional_done = sa->additional_done;
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
	if (choice->additional[0] == 0)
		return;
	memcpy(successor->additional, choice->additional, sizeof successor->additional);
	successor->additional_done = 0;
}

static void successor_take_nonces(struct ike_sa *successor)
{
	nonce_set_lower(&successor->lowest, &successor->nonce_i, successor->nonce_r.at, successor->nonce_r.n);
}

static void successor_up(struct ike *c, struct ike_sa *sa, struct ike_sa *successor)
{
	successor->was_up = true;
	sa_enter(c, successor, ST_UP);
	sa_established(c, successor);
	ike_log(c, false, "peer %s: IKE SA rekeyed", sa_peer_name(c, sa));
}

/* ---- our request ---- */

static ike_then rekey_begun, rekey_finished, rekey_followed;

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
	st->dh = dh != DH_NONE ? dh : rekey_group(c, p, sa->dh);
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_EXCHANGE_BEGIN, rekey_begun)->u.EXCHANGE_BEGIN;
	q->role = KEEPER_INITIATOR;
	q->parent = sa->handle;
	q->dh_group = st->dh;
}

static void ask_finish(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_sa *successor = st->successor;
	struct keeper_exchange_finish *q =
		&sa_ask(c, sa, SIDE_OWN, KEEPER_EXCHANGE_FINISH, rekey_finished)->u.EXCHANGE_FINISH;

	q->handle = successor->handle;
	q->prf = successor->prf;
	q->encr = successor->encr;
	q->encr_bits = successor->encr_bits;
	if (additional_is_due(successor))
		memcpy(q->additional, successor->additional, sizeof q->additional);
	memcpy(q->spi_i, successor->spi_i, 8);
	memcpy(q->spi_r, successor->spi_r, 8);
	q->peer_nonce_n = (uint16_t)p->nonce.n;
	memcpy(q->peer_nonce, p->nonce.at, p->nonce.n);
	q->peer_ke_n = (uint16_t)p->ke.n;
	memcpy(q->peer_ke, p->ke.at, p->ke.n);
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
	blob_set(&successor->nonce_i, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	if (sa->state != ST_UP || !sa_peer(c, sa)) { /* the peer was faster, or is no longer configured */
		own_exchange_done(c, sa);
		return;
	}
	o = message_begin_request(c, sa, EX_CREATE_CHILD_SA);
	offer_make_rekey(c, sa, successor->spi_i, &offer);
	ike_out_offer(&o, &offer);
	ike_out_payload(&o, PL_NONCE, successor->nonce_i.at, successor->nonce_i.n);
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
		!proposals_choose_ike(c, sa_peer(c, sa), &p->sa, ADDITIONAL_REKEY, &choice) ||
		choice.spi.n != 8 || memcmp(choice.spi.at, none, 8) == 0 || choice.dh != st->dh ||
		p->ke_group != st->dh || p->ke.n > KEEPER_KE_MAX ||
		(choice.additional[0] != 0 && !followup_link_read(p, &st->link))) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the peer's response to the rekey does not match what we offered");
		return;
	}
	memcpy(successor->spi_r, choice.spi.at, 8);
	blob_set(&successor->nonce_r, p->nonce.at, p->nonce.n);
	successor_take_choice(successor, &choice);
	crash_token_read(successor, p);
	successor_take_nonces(successor);
	ask_finish(c, sa, st);
}

/* The peer deletes its successor (2.8.1); if it does not, a timer does. */
static void wait_for_delete(struct ike *c, struct ike_sa *theirs)
{
	theirs->parent = 0;
	if (theirs->state != ST_UP)
		return;
	sa_enter(c, theirs, ST_REPLACED);
	theirs->timer_at = c->now + IKE_REPLACED_S * NS_PER_S;
	text_set(&theirs->reason, "simultaneous rekey (RFC 7296 2.8.1): ours is kept");
}

/* 2.8.1: the peer's rekey has the higher nonce. NULL: it has none under way. */
static bool theirs_is_kept(const struct ike_sa *ours, const struct ike_sa *theirs)
{
	return theirs && nonce_compare(&ours->lowest, &theirs->lowest) < 0;
}

/* The keys are made, or could not be. */
static void decide(
	struct ike *c, struct ike_sa *sa, struct step *st, uint32_t rc, const struct keeper_sk_e *sk_e)
{
	struct ike_sa *successor = st->successor, *theirs = sa_by_serial(c, sa->peer, sa->peer_successor);
	struct ike_sa *larval = sa->followup ? sa->followup->successor : NULL;

	if (rc != RC_OK || !sa_peer(c, sa) || !sa_take_keys(successor, sk_e)) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the rekey's key exchange failed");
		return;
	}
	st->successor = NULL;
	successor_up(c, sa, successor);
	/* RFC 6290 4.3: its SPIs were not known when we asked. A peer that gives no tokens is spared an exchange. */
	successor->want_token = sa->crash_token.n > 0;
	own_exchange_done(c, sa);
	if (sa->state != ST_UP) {
		sa_close(c, successor, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
	} else if (theirs_is_kept(successor, larval)) {
		sa_close(c, successor, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
	} else if (theirs_is_kept(successor, theirs)) {
		/* 2.8.1: the one with the lowest nonce is closed by whoever created it; the old one by the
		 * other side. */
		rekey_settle_to(c, theirs);
		sa_close(c, successor, "simultaneous rekey (RFC 7296 2.8.1): the peer's is kept");
	} else {
		if (theirs)
			wait_for_delete(c, theirs);
		followup_drop(c, sa);
		sa_replace(c, sa, successor);
		sa_close(c, sa, "rekeyed");
	}
}

/* Our IKE_FOLLOWUP_KE, unless the peer's rekey is the one that is kept. */
static void rekey_follow(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct ike_sa *successor = st->successor, *theirs = sa_by_serial(c, sa->peer, sa->peer_successor);
	struct ike_sa *larval = sa->followup ? sa->followup->successor : NULL;

	if (sa->state != ST_UP || !sa_peer(c, sa) || theirs_is_kept(successor, larval)) {
		own_exchange_done(c, sa);
	} else if (theirs_is_kept(successor, theirs)) {
		own_exchange_done(c, sa);
		rekey_settle_to(c, theirs);
	} else {
		followup_drop(c, sa);
		st->followed = rekey_followed;
		followup_start(c, sa, st);
	}
}

/* A request of the peer that waited for ours. */
static void deferred_go_on(struct ike *c, struct ike_sa *sa)
{
	if (sa->steps[SIDE_PEER].deferred)
		on_info_request(c, sa, &sa->steps[SIDE_PEER]);
}

static void rekey_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_finished *f = &r->u.EXCHANGE_FINISH;

	if (f->rc == RC_OK && additional_is_due(st->successor))
		rekey_follow(c, sa, st);
	else
		decide(c, sa, st, f->rc, &f->sk_e);
	deferred_go_on(c, sa);
}

static void rekey_followed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_finished *f = &r->u.ADDITIONAL_FINISH;
	struct ike_sa *theirs = sa_by_serial(c, sa->peer, sa->peer_successor);

	if (f->rc != RC_OK && additional_is_due(st->successor)) {
		/* Before the last one the peer has not made ours; its own one, if there is one, is the successor. */
		rekey_later(c, sa, f->text, IKE_REKEY_RETRY_S * 1000);
		if (theirs)
			rekey_settle_to(c, theirs);
	} else {
		decide(c, sa, st, f->rc, &f->sk_e);
	}
	deferred_go_on(c, sa);
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

	if (type == NTF_INVALID_KE_PAYLOAD && v->data.n == 2 && st->link.n == 0)
		group = load_be16(v->data.at);
	if (theirs) {
		own_exchange_done(c, sa);
		rekey_settle_to(c, theirs);
		return;
	}
	if (p && group != 0 && group != tried && proposals_have_group(c, p, group) && sa->state == ST_UP &&
		sa->restarts++ < IKE_RESTARTS_MAX) {
		own_exchange_done(c, sa);
		rekey_start(c, sa, group);
		return;
	}
	sa->restarts = 0;
	snprintf(text, sizeof text, "the peer refused with %s", ike_notify_text(name, sizeof name, type));
	sa_rekey_refused(c, sa, type);
	rekey_later(c, sa, text,
		type == NTF_TEMPORARY_FAILURE || type == NTF_STATE_NOT_FOUND ? IKE_TEMPORARY_MS
									     : IKE_REKEY_RETRY_S * 1000);
}

/* ---- the peer's request ---- */

static ike_then answered, answer_followed;

/* 2.25.2: not while we make, rekey or delete a child SA, or delete this IKE SA. */
static bool not_now(const struct ike_sa *sa)
{
	const struct step *own = &sa->steps[SIDE_OWN];

	if (sa->want_delete || sa->peer_successor != 0)
		return true;
	if (own->task == TASK_IKE_REKEY && own->link.n > 0)
		return true; /* the peer has answered ours, which goes on */
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
		offer_make_ike(c, peer, &ours);
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
	struct keeper_exchange_answer *q;
	struct choice choice;
	uint8_t group[2];

	rekey_settle_to(c, sa);
	if (not_now(sa)) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	if (!sa_peer(c, sa) || !proposals_choose_ike(c, sa_peer(c, sa), &p->sa, ADDITIONAL_REKEY, &choice)) {
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
	blob_set(&st->successor->nonce_i, p->nonce.at, p->nonce.n);
	step_answer_set(st, &choice.answer);
	st->dh = choice.dh;
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_EXCHANGE_ANSWER, answered)->u.EXCHANGE_ANSWER;
	sa_fill_answer(q, st->successor, sa->handle, p);
}

/* It is made: settled at once, or by the response to our own request. */
static void answer_up(struct ike *c, struct ike_sa *sa, struct ike_sa *successor)
{
	successor_up(c, sa, successor);
	followup_drop(c, sa); /* of a child SA: its peer has begun this instead */
	if (sa->steps[SIDE_OWN].task == TASK_IKE_REKEY) {
		successor->parent = sa->serial; /* both at once: the response to our request decides */
		sa->peer_successor = successor->serial;
	} else {
		sa_replace(c, sa, successor);
	}
}

/* After the peer's last IKE_FOLLOWUP_KE. */
static void answer_followed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct ike_sa *successor = sa->followup->successor;
	struct ike_out o;

	if (not_now(sa) || !sa_peer(c, sa) || !sa_take_keys(successor, &r->u.ADDITIONAL_FINISH.sk_e)) {
		followup_drop(c, sa);
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	o = message_begin_response(c, sa);
	ike_out_ke(&o, st->dh, st->ke.at, st->ke.n);
	followup_free(sa);
	answer_up(c, sa, successor);
	message_send_response(c, sa, &o);
}

static void answered(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_answered *a = &r->u.EXCHANGE_ANSWER;
	struct ike_sa *successor = st->successor;
	struct ike_offer answer;
	struct ike_out o;

	if (a->rc == RC_OK)
		successor->handle = a->handle;
	if (sa->state != ST_UP || sa->want_delete) { /* our own rekey finished meanwhile */
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		return;
	}
	if (a->rc != RC_OK || (!additional_is_due(successor) && !sa_take_keys(successor, &a->sk_e))) {
		ike_refuse(
			c, &sa->local, &sa->remote, sa_peer(c, sa), "rekey of the IKE SA: %.200s", a->text);
		message_answer_notify(c, sa, keeper_rc_notify(a->rc), NULL, 0);
		return;
	}
	sa_set_spi(c, successor, a->ike_spi);
	blob_set(&successor->nonce_r, a->nonce, MIN_OF(a->nonce_n, KEEPER_NONCE_SIZE));
	o = message_begin_response(c, sa);
	answer = *st->answer;
	answer.proposals[0].spi_n = 8;
	memcpy(answer.proposals[0].spi, successor->spi_r, 8);
	ike_out_offer(&o, &answer);
	ike_out_payload(&o, PL_NONCE, successor->nonce_r.at, successor->nonce_r.n);
	ike_out_ke(&o, st->dh, a->ke, MIN_OF(a->ke_n, KEEPER_KE_MAX));
	crash_token_write(c, successor, &o);
	st->successor = NULL;
	successor_take_nonces(successor);
	if (additional_is_due(successor))
		followup_await(c, sa, successor, answer_followed, &o);
	else
		answer_up(c, sa, successor);
	message_send_response(c, sa, &o);
}
