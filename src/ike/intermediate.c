/*
 * Additional key exchanges in IKE_INTERMEDIATE, in both roles (RFC 9370 section 2.2.2, RFC 9242): between IKE_SA_INIT
 * and IKE_AUTH, one for each that the chosen proposal names, in its order. Each message goes under the keys before the
 * exchange; those after it are made by the keeper, which takes the values out of the messages as they are authenticated.
 * Large values make long messages, which seal.c cuts (RFC 7383).
 */
#include "ike/internal.h"

#include "crypto/mlkem.h"

#include <assert.h>
#include <stdlib.h>

static ike_then begun, finished, answer_begun, answer_finished;

static uint16_t method_of(const struct ike_sa *sa)
{
	assert(additional_is_due(sa));
	return sa->additional[sa->additional_done];
}

/* The peer's message as it is authenticated, and where its value is in that. */
static void form_of(struct blob *ret, uint16_t *ret_ke_at, const struct message *in)
{
	intermediate_form(ret, &in->h, in->p.chain_first, in->bytes, in->n);
	*ret_ke_at = (uint16_t)(INTERMEDIATE_HEADS + (size_t)(in->p.ke.at - in->bytes));
}

/* What is copied to the keeper; false: longer than it takes. */
static bool form_copy(const struct blob *form, uint16_t *ret_n, uint8_t ret_bytes[KEEPER_INTERMEDIATE_MAX])
{
	if (form->n > KEEPER_INTERMEDIATE_MAX)
		return false;
	*ret_n = (uint16_t)form->n;
	memcpy(ret_bytes, form->at, form->n);
	return true;
}

/* Where our value is: the KE payload is our only one. */
enum { OURS_AT = INTERMEDIATE_HEADS + IKE_PAYLOAD_HEADER_SIZE + 4 };

/* ---- initiator ---- */

static void ask_begin(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct keeper_additional_begin *q =
		&sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_BEGIN, begun)->u.ADDITIONAL_BEGIN;

	q->handle = sa->handle;
	q->method = method_of(sa);
}

void intermediate_start(struct ike *c, struct ike_sa *sa, struct step *st)
{
	if (!additional_is_due(sa)) {
		auth_start(c, sa, st);
		return;
	}
	assert(sa->initiator && sa->own_id == 1u + sa->additional_done && st->busy);
	st->task = TASK_ADDITIONAL;
	ask_begin(c, sa, st);
}

static void begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = &r->u.ADDITIONAL_BEGIN;
	struct ike_out o;

	if (b->rc != RC_OK) {
		sa_kill(c, sa, "the keeper could not begin an additional key exchange: %.180s", b->text);
		return;
	}
	o = message_begin_request(c, sa, EX_IKE_INTERMEDIATE);
	ike_out_ke(&o, method_of(sa), b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	if (sa->state != ST_ADDITIONAL_SENT)
		sa_enter(c, sa, ST_ADDITIONAL_SENT);
	message_send_request(c, sa, &o);
}

void on_intermediate_refused(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_notify *v = ike_notify_error(&st->in->p);
	char name[48];

	sa_kill(c, sa, "the peer answered IKE_INTERMEDIATE with %s",
		v ? ike_notify_text(name, sizeof name, v->type) : "no KE payload");
}

void on_intermediate_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct keeper_additional_finish *q;
	struct blob theirs = { 0 };
	uint16_t ke_at;
	bool fits;

	if (st->in->p.ke_group != method_of(sa)) {
		sa_kill(c, sa, "the peer answered the additional key exchange %s with another, %u",
			kem_word(method_of(sa)), st->in->p.ke_group);
		return;
	}
	if (st->in->p.ke.n != mlkem_ciphertext_size(method_of(sa))) {
		sa_kill(c, sa,
			"the peer's KE payload in IKE_INTERMEDIATE does not have the size of a ciphertext");
		return;
	}
	form_of(&theirs, &ke_at, st->in);
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_ADDITIONAL_FINISH, finished)->u.ADDITIONAL_FINISH;
	q->handle = sa->handle;
	q->request_ke_at = OURS_AT;
	q->response_ke_at = ke_at;
	fits = form_copy(&sa->intermediate, &q->request_n, q->request) &&
	       form_copy(&theirs, &q->response_n, q->response);
	blob_free(&theirs);
	if (!fits)
		sa_kill(c, sa, "the peer's IKE_INTERMEDIATE is longer than %d octets",
			KEEPER_INTERMEDIATE_MAX);
}

/* The keys of what follows are there; or the IKE SA has ended. */
static bool exchange_taken(struct ike *c, struct ike_sa *sa, const struct keeper_additional_finished *f)
{
	if (f->rc != RC_OK || !sa_take_keys(sa, &f->sk_e)) {
		sa_kill(c, sa, "the additional key exchange failed: %.180s", f->text);
		return false;
	}
	sa->additional_done++;
	blob_free(&sa->intermediate);
	return true;
}

static void finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_finished *f = &r->u.ADDITIONAL_FINISH;

	if (!exchange_taken(c, sa, f))
		return;
	intermediate_start(c, sa, st);
}

/* ---- responder ---- */

/* Nobody is authenticated: the half-open IKE SA ends, and an honest peer begins again. */
static void refuse(struct ike *c, struct ike_sa *sa, struct step *st, const char *why)
{
	ike_refuse(c, &sa->local, &sa->remote, NULL, "additional key exchange: %.200s", why);
	message_answer_notify(c, sa, NTF_INVALID_SYNTAX, NULL, 0);
	sa_fail(c, sa, why);
}

void on_intermediate_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct keeper_additional_begin *q;
	struct blob theirs = { 0 };
	uint16_t ke_at;

	if (st->in->p.ke_group != method_of(sa)) {
		refuse(c, sa, st, "the peer's KE payload is of another one than the next in the proposal");
		return;
	}
	if (st->in->p.ke.n != mlkem_key_size(method_of(sa))) {
		refuse(c, sa, st, "the peer's KE payload does not have the size of an encapsulation key");
		return;
	}
	form_of(&theirs, &ke_at, st->in);
	if (theirs.n > KEEPER_INTERMEDIATE_MAX) {
		blob_free(&theirs);
		refuse(c, sa, st, "the peer's IKE_INTERMEDIATE is too long");
		return;
	}
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_BEGIN, answer_begun)->u.ADDITIONAL_BEGIN;
	q->handle = sa->handle;
	q->method = method_of(sa);
	q->ke_at = ke_at;
	form_copy(&theirs, &q->message_n, q->message);
	blob_free(&theirs);
}

/* The response is sealed now, under the keys that it goes by, and sent when the keeper has the next ones. */
static void answer_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_begun *b = &r->u.ADDITIONAL_BEGIN;
	struct keeper_additional_finish *q;
	struct ike_out o;

	if (b->rc != RC_OK) {
		if (keeper_rc_blames_peer(b->rc))
			refuse(c, sa, st, b->text);
		else
			sa_kill(c, sa, "the additional key exchange failed: %.180s", b->text);
		return;
	}
	o = message_begin_response(c, sa);
	ike_out_ke(&o, method_of(sa), b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	if (!message_seal(c, sa, &o, &sa->response)) {
		sa_kill(c, sa, "a message could not be built");
		return;
	}
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_ADDITIONAL_FINISH, answer_finished)->u.ADDITIONAL_FINISH;
	q->handle = sa->handle;
	q->response_ke_at = OURS_AT;
	form_copy(&sa->intermediate, &q->response_n, q->response);
}

static void answer_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_additional_finished *f = &r->u.ADDITIONAL_FINISH;

	if (!exchange_taken(c, sa, f))
		return;
	sa->timer_at = c->now + IKE_HALF_OPEN_S * NS_PER_S;
	message_send(c, &st->in->local, &st->in->remote, &sa->response);
	step_reset(c, sa, st);
	sa_touch(c, sa);
}
