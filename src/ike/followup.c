/*
 * Additional key exchanges after CREATE_CHILD_SA, in IKE_FOLLOWUP_KE and in both roles (RFC 9370 section 2.2.4): one for each that
 * the chosen proposal names, in its order. The notify ADDITIONAL_KEY_EXCHANGE of each response names what the next request
 * continues. What is made, an IKE SA or a child SA, has keys after the last; rekey.c and create.c say what happens then.
 *
 * Between two requests a responder's part stands in sa->followup: one for each IKE SA, the newest, for IKE_FOLLOWUP_S. A request
 * that continues nothing is answered with STATE_NOT_FOUND, and its sender begins again. Meanwhile nothing of ours begins (initiate.c), so a peer
 * that begins one after another and goes on with none gets IKE_FOLLOWUPS_S for all of them; then what we want has its turn.
 */
#include "ike/internal.h"

#include "crypto/mlkem.h"

#include <assert.h>
#include <stdio.h>

static ike_then begun, finished, answer_begun, answer_finished;

/* What is made: a child SA of this IKE SA, or its successor. */
struct subject {
	uint32_t handle, child; /* of the keeper; child 0: the IKE SA of that handle */
	const uint16_t *additional;
	uint8_t *done;
};

static struct subject subject_of(const struct ike_sa *sa, struct ike_sa *successor, struct child_sa *ch)
{
	if (ch)
		return (struct subject){ sa->handle, ch->handle, ch->additional, &ch->additional_done };
	return (struct subject){ successor->handle, 0, successor->additional, &successor->additional_done };
}

static struct subject own_subject(const struct ike_sa *sa, const struct step *st)
{
	return subject_of(sa, st->successor, st->child);
}

static struct subject peer_subject(const struct ike_sa *sa)
{
	return subject_of(sa, sa->followup->successor, sa->followup->child);
}

static bool is_due(const struct subject *s)
{
	return *s->done < ADDITIONAL_MAX && s->additional[*s->done] != 0;
}

static uint16_t method_of(const struct subject *s)
{
	assert(is_due(s));
	return s->additional[*s->done];
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
	struct subject s = own_subject(sa, st);

	assert(st->link.n > 0 && st->followed);
	if (s.child == 0) {
		struct keeper_additional_begin *q =
			&sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_BEGIN, begun)->u.ADDITIONAL_BEGIN;
		q->handle = s.handle;
		q->method = method_of(&s);
	} else {
		struct keeper_child_additional_begin *q =
			&sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_ADDITIONAL_BEGIN, begun)
				 ->u.CHILD_ADDITIONAL_BEGIN;
		q->handle = s.handle;
		q->child = s.child;
		q->method = method_of(&s);
	}
}

/* What was to be made is not; the answer that ends it is `r`. */
static void give_up(struct ike *c, struct ike_sa *sa, struct step *st, enum rc rc, const char *text)
{
	struct keeper_reply r = { .op = st->child ? KEEPER_CHILD_ADDITIONAL_FINISH
						  : KEEPER_ADDITIONAL_FINISH };

	if (st->child) {
		r.u.CHILD_ADDITIONAL_FINISH.rc = (uint32_t)rc;
		snprintf(r.u.CHILD_ADDITIONAL_FINISH.text, sizeof r.u.CHILD_ADDITIONAL_FINISH.text, "%s",
			text);
	} else {
		r.u.ADDITIONAL_FINISH.rc = (uint32_t)rc;
		snprintf(r.u.ADDITIONAL_FINISH.text, sizeof r.u.ADDITIONAL_FINISH.text, "%s", text);
	}
	st->followed(c, sa, st, &r);
}

static const struct keeper_additional_begun *begun_of(const struct keeper_reply *r)
{
	return r->op == KEEPER_CHILD_ADDITIONAL_BEGIN ? &r->u.CHILD_ADDITIONAL_BEGIN : &r->u.ADDITIONAL_BEGIN;
}

static void begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = begun_of(r);
	struct subject s = own_subject(sa, st);
	struct ike_out o;

	if (b->rc != RC_OK) {
		give_up(c, sa, st, (enum rc)b->rc, b->text);
		return;
	}
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	o = message_begin_request(c, sa, EX_IKE_FOLLOWUP_KE);
	ike_out_ke(&o, method_of(&s), st->ke.at, st->ke.n);
	ike_out_notify(&o, NTF_ADDITIONAL_KEY_EXCHANGE, st->link.at, st->link.n);
	message_send_request(c, sa, &o);
}

static void ask_finish(struct ike *c, struct ike_sa *sa, const struct step *st, const struct subject *s)
{
	const struct ike_payloads *p = &st->in->p;

	if (s->child == 0) {
		struct keeper_additional_finish *q =
			&sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_FINISH, finished)->u.ADDITIONAL_FINISH;
		q->handle = s->handle;
		q->request_n = (uint16_t)st->ke.n;
		memcpy(q->request, st->ke.at, st->ke.n);
		q->response_n = (uint16_t)p->ke.n;
		memcpy(q->response, p->ke.at, p->ke.n);
	} else {
		struct keeper_child_additional_finish *q =
			&sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_ADDITIONAL_FINISH, finished)
				 ->u.CHILD_ADDITIONAL_FINISH;
		q->handle = s->handle;
		q->child = s->child;
		q->peer_ke_n = (uint16_t)p->ke.n;
		memcpy(q->peer_ke, p->ke.at, p->ke.n);
	}
}

void on_followup_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	struct subject s;
	uint16_t method;

	if ((!st->successor && !st->child) || !st->followed) {
		own_exchange_done(c, sa);
		sa_close(c, sa, "the peer's response does not match our request");
		return;
	}
	s = own_subject(sa, st);
	method = method_of(&s);
	(*s.done)++; /* whether another one follows */
	if (p->ke_group != method || p->ke.n != mlkem_ciphertext_size(method) ||
		(is_due(&s) && !followup_link_read(p, &st->link))) {
		give_up(c, sa, st, RC_MALFORMED,
			"the peer's answer to IKE_FOLLOWUP_KE is not of the key exchange that was asked for");
		return;
	}
	ask_finish(c, sa, st, &s);
}

static void finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct subject s = own_subject(sa, st);
	uint32_t rc = s.child ? r->u.CHILD_ADDITIONAL_FINISH.rc : r->u.ADDITIONAL_FINISH.rc;

	if (rc == RC_OK && is_due(&s))
		followup_start(c, sa, st);
	else
		st->followed(c, sa, st, r);
}

/* ---- responder ---- */

static mono_ns wait_end(const struct ike *c, mono_ns from)
{
	return MIN_OF(c->now + IKE_FOLLOWUP_S * NS_PER_S, from + IKE_FOLLOWUPS_S * NS_PER_S);
}

/* Another value for each response. */
static void link_write(struct ike_out *o, struct followup *f)
{
	uint64_t number = f->child ? (uint64_t)f->child->spi_in << 8 | f->child->additional_done
				   : f->successor->serial << 8 | f->successor->additional_done;

	store_be64(f->link, number);
	ike_out_notify(o, NTF_ADDITIONAL_KEY_EXCHANGE, f->link, sizeof f->link);
}

void followup_await(
	struct ike *c, struct ike_sa *sa, struct ike_sa *successor, ike_then *done, struct ike_out *o)
{
	struct step *st = &sa->steps[SIDE_PEER];
	mono_ns from = sa->followup ? sa->followup->from : c->now;

	followup_drop(c, sa); /* the peer begins another one, and will not continue it */
	sa->followup = ike_alloc(sizeof *sa->followup);
	*sa->followup = (struct followup){
		.successor = successor, .done = done, .from = from, .until = wait_end(c, from)
	};
	if (!successor) {
		sa->followup->child = st->child;
		sa->followup->old_spi_in = st->old_spi_in;
		sa->followup->lineage = st->lineage;
		blob_set(&sa->followup->peer_nonce, st->in->p.nonce.at, st->in->p.nonce.n);
		st->lineage = (struct blob){ 0 };
		st->child = NULL;
	}
	link_write(o, sa->followup);
}

void followup_take(struct ike_sa *sa, struct step *st)
{
	struct followup *f = sa->followup;

	assert(f && f->child && !st->child && !child_additional_is_due(f->child));
	st->child = f->child;
	st->tunnel = f->child->tunnel;
	st->old_spi_in = f->old_spi_in;
	st->lineage = f->lineage;
	st->peer_nonce = f->peer_nonce;
	f->lineage = f->peer_nonce = (struct blob){ 0 };
	followup_free(sa);
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
	struct subject s;

	if (sa->state != ST_UP || !f || !v || v->data.n != sizeof f->link ||
		memcmp(v->data.at, f->link, sizeof f->link) != 0) {
		message_answer_notify(c, sa, NTF_STATE_NOT_FOUND, NULL, 0);
		return;
	}
	s = peer_subject(sa);
	if (p->ke_group != method_of(&s) || p->ke.n != mlkem_key_size(p->ke_group)) {
		refuse(c, sa, st, NTF_INVALID_SYNTAX,
			"the peer's KE payload is not of the next key exchange in the proposal");
		return;
	}
	if (s.child == 0) {
		struct keeper_additional_begin *q =
			&sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_BEGIN, answer_begun)->u.ADDITIONAL_BEGIN;
		q->handle = s.handle;
		q->method = p->ke_group;
		q->message_n = (uint16_t)p->ke.n;
		memcpy(q->message, p->ke.at, p->ke.n);
	} else {
		struct keeper_child_additional_begin *q =
			&sa_ask(c, sa, SIDE_PEER, KEEPER_CHILD_ADDITIONAL_BEGIN, answer_begun)
				 ->u.CHILD_ADDITIONAL_BEGIN;
		q->handle = s.handle;
		q->child = s.child;
		q->method = p->ke_group;
		q->peer_ke_n = (uint16_t)p->ke.n;
		memcpy(q->peer_ke, p->ke.at, p->ke.n);
	}
}

/* It ended while the keeper worked: our own exchange has been decided for. True: that is answered. */
static bool is_gone(struct ike *c, struct ike_sa *sa)
{
	if (sa->state == ST_UP && sa->followup)
		return false;
	message_answer_notify(c, sa, NTF_STATE_NOT_FOUND, NULL, 0);
	return true;
}

/* The keeper has all of this exchange. */
static void answer_done(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	struct subject s = peer_subject(sa);
	struct ike_out o;

	st->dh = method_of(&s); /* that the answer is of */
	(*s.done)++;
	if (!is_due(&s)) {
		sa->followup->done(c, sa, st, r);
		return;
	}
	o = message_begin_response(c, sa);
	ike_out_ke(&o, st->dh, st->ke.at, st->ke.n);
	link_write(&o, sa->followup);
	sa->followup->until = wait_end(c, sa->followup->from);
	message_send_response(c, sa, &o);
}

static void answer_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = begun_of(r);
	struct keeper_additional_finish *q;

	if (is_gone(c, sa))
		return;
	if (b->rc != RC_OK) {
		refuse(c, sa, st, keeper_rc_notify(b->rc), b->text);
		return;
	}
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	if (sa->followup->child) {
		answer_done(c, sa, st, r);
		return;
	}
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_FINISH, answer_finished)->u.ADDITIONAL_FINISH;
	q->handle = sa->followup->successor->handle;
	q->response_n = (uint16_t)st->ke.n;
	memcpy(q->response, st->ke.at, st->ke.n);
}

static void answer_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_finished *f = &r->u.ADDITIONAL_FINISH;

	if (is_gone(c, sa))
		return;
	if (f->rc != RC_OK)
		refuse(c, sa, st, keeper_rc_notify(f->rc), f->text);
	else
		answer_done(c, sa, st, r);
}
