/*
 * Additional key exchanges after CREATE_CHILD_SA, in IKE_FOLLOWUP_KE and in both roles (RFC 9370 section 2.2.4): one for each that
 * the chosen proposal names, in its order. The notify ADDITIONAL_KEY_EXCHANGE of each response names what the next request
 * continues. What is made has keys after the last; rekey.c says what happens then.
 *
 * Between two requests a responder's part stands in sa->followup: one for each IKE SA, the newest, for IKE_FOLLOWUP_S. A request
 * that continues nothing is answered with STATE_NOT_FOUND, and its sender begins again.
 */
#include "ike/internal.h"

#include "crypto/mlkem.h"

#include <assert.h>
#include <stdio.h>

static ike_then begun, finished, answer_begun, answer_finished;

static uint16_t method_of(const struct ike_sa *successor)
{
	assert(additional_is_due(successor));
	return successor->additional[successor->additional_done];
}

bool followup_link_read(const struct ike_payloads *p, struct blob *ret_link)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_ADDITIONAL_KEY_EXCHANGE);

	if (!v || v->data.n == 0 || v->data.n > IKE_FOLLOWUP_LINK_MAX)
		return false;
	blob_set(ret_link, v->data.at, v->data.n);
	return true;
}

/* ---- initiator ---- */

void followup_start(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct keeper_additional_begin *q;

	assert(st->link.n > 0 && st->followed);
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_BEGIN, begun)->u.ADDITIONAL_BEGIN;
	q->handle = st->successor->handle;
	q->method = method_of(st->successor);
}

/* What was to be made is not; the answer that ends it is `r`. */
static void give_up(struct ike *c, struct ike_sa *sa, struct step *st, enum rc rc, const char *text)
{
	struct keeper_reply r = { .op = KEEPER_ADDITIONAL_FINISH };

	r.u.ADDITIONAL_FINISH.rc = (uint32_t)rc;
	snprintf(r.u.ADDITIONAL_FINISH.text, sizeof r.u.ADDITIONAL_FINISH.text, "%s", text);
	st->followed(c, sa, st, &r);
}

static void begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = &r->u.ADDITIONAL_BEGIN;
	struct ike_out o;

	if (b->rc != RC_OK) {
		give_up(c, sa, st, (enum rc)b->rc, b->text);
		return;
	}
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	o = message_begin_request(c, sa, EX_IKE_FOLLOWUP_KE);
	ike_out_ke(&o, method_of(st->successor), st->ke.at, st->ke.n);
	ike_out_notify(&o, NTF_ADDITIONAL_KEY_EXCHANGE, st->link.at, st->link.n);
	message_send_request(c, sa, &o);
}

void on_followup_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	struct ike_sa *successor = st->successor;
	struct keeper_additional_finish *q;
	uint16_t method;

	if (!successor || !st->followed) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the peer's response does not match our request");
		return;
	}
	method = method_of(successor);
	successor->additional_done++; /* whether another one follows */
	if (p->ke_group != method || p->ke.n != mlkem_ciphertext_size(method) ||
		(additional_is_due(successor) && !followup_link_read(p, &st->link))) {
		give_up(c, sa, st, RC_MALFORMED,
			"the peer's answer to IKE_FOLLOWUP_KE is not of the key exchange that was asked for");
		return;
	}
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_FINISH, finished)->u.ADDITIONAL_FINISH;
	q->handle = successor->handle;
	q->request_n = (uint16_t)st->ke.n;
	memcpy(q->request, st->ke.at, st->ke.n);
	q->response_n = (uint16_t)p->ke.n;
	memcpy(q->response, p->ke.at, p->ke.n);
}

static void finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	if (r->u.ADDITIONAL_FINISH.rc == RC_OK && additional_is_due(st->successor))
		followup_start(c, sa, st);
	else
		st->followed(c, sa, st, r);
}

/* ---- responder ---- */

/* Another value for each response. */
static void link_write(struct ike_out *o, struct followup *f)
{
	store_be64(f->link, f->successor->serial << 8 | f->successor->additional_done);
	ike_out_notify(o, NTF_ADDITIONAL_KEY_EXCHANGE, f->link, sizeof f->link);
}

void followup_await(
	struct ike *c, struct ike_sa *sa, struct ike_sa *successor, ike_then *done, struct ike_out *o)
{
	followup_drop(c, sa); /* the peer begins another one, and will not continue it */
	sa->followup = ike_alloc(sizeof *sa->followup);
	*sa->followup = (struct followup){
		.successor = successor, .done = done, .until = c->now + IKE_FOLLOWUP_S * NS_PER_S
	};
	link_write(o, sa->followup);
}

/* Whatever was to be made is not. */
static void refuse(struct ike *c, struct ike_sa *sa, struct step *st, uint16_t notify, const char *why)
{
	followup_drop(c, sa);
	ike_refuse(c, &st->in->local, &st->in->remote, sa_peer(c, sa), "IKE_FOLLOWUP_KE: %.200s", why);
	message_answer_notify(c, sa, notify, NULL, 0);
}

void on_followup_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_notify *v = ike_notify_find(p, NTF_ADDITIONAL_KEY_EXCHANGE);
	const struct followup *f = sa->followup;
	struct keeper_additional_begin *q;
	uint16_t method;

	if (sa->state != ST_UP || !f || !v || v->data.n != sizeof f->link ||
		memcmp(v->data.at, f->link, sizeof f->link) != 0) {
		message_answer_notify(c, sa, NTF_STATE_NOT_FOUND, NULL, 0);
		return;
	}
	method = method_of(f->successor);
	if (p->ke_group != method || p->ke.n != mlkem_key_size(method)) {
		refuse(c, sa, st, NTF_INVALID_SYNTAX,
			"the peer's KE payload is not of the next key exchange in the proposal");
		return;
	}
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_BEGIN, answer_begun)->u.ADDITIONAL_BEGIN;
	q->handle = f->successor->handle;
	q->method = method;
	q->message_n = (uint16_t)p->ke.n;
	memcpy(q->message, p->ke.at, p->ke.n);
}

/* It ended while the keeper worked: our own exchange has been decided for. True: that is answered. */
static bool is_gone(struct ike *c, struct ike_sa *sa)
{
	if (sa->state == ST_UP && sa->followup)
		return false;
	message_answer_notify(c, sa, NTF_STATE_NOT_FOUND, NULL, 0);
	return true;
}

static void answer_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = &r->u.ADDITIONAL_BEGIN;
	struct keeper_additional_finish *q;

	if (is_gone(c, sa))
		return;
	if (b->rc != RC_OK) {
		refuse(c, sa, st, keeper_rc_notify(b->rc), b->text);
		return;
	}
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_FINISH, answer_finished)->u.ADDITIONAL_FINISH;
	q->handle = sa->followup->successor->handle;
	q->response_n = (uint16_t)st->ke.n;
	memcpy(q->response, st->ke.at, st->ke.n);
}

static void answer_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_finished *f = &r->u.ADDITIONAL_FINISH;
	struct ike_sa *successor;
	struct ike_out o;

	if (is_gone(c, sa))
		return;
	if (f->rc != RC_OK) {
		refuse(c, sa, st, keeper_rc_notify(f->rc), f->text);
		return;
	}
	successor = sa->followup->successor;
	st->dh = method_of(successor); /* that the answer is of */
	successor->additional_done++;
	if (!additional_is_due(successor)) {
		sa->followup->done(c, sa, st, r);
		return;
	}
	o = message_begin_response(c, sa);
	ike_out_ke(&o, st->dh, st->ke.at, st->ke.n);
	link_write(&o, sa->followup);
	sa->followup->until = c->now + IKE_FOLLOWUP_S * NS_PER_S;
	message_send_response(c, sa, &o);
}
