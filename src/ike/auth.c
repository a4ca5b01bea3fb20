/*
 * IKE_AUTH in both roles (RFC 7296 sections 1.2, 2.15; RFC 7427; RFC 8784): identification, authentication and the
 * first child SA. The keeper makes and verifies AUTH; this file only decides which configured peer an
 * identity is.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define AUTH_FAILED    "authentication failed"
#define AUTH_UNDECIDED "authentication could not be completed here" /* the fault is ours, not the peer's */

/* The IKE_SA_INIT message of the side whose AUTH it is, and behind it the other one if both are authenticated. */
static uint16_t messages_state(const struct ike_sa *sa, const struct blob *of_side, const struct blob *other,
	uint8_t ret[KEEPER_MESSAGE_MAX], uint16_t *ret_other_n)
{
	size_t n = MIN_OF(of_side->n, (size_t)KEEPER_MESSAGE_MAX);

	assert(!sa->transcript || of_side->n + other->n <= KEEPER_MESSAGE_MAX); /* transcript_fits() */
	memcpy(ret, of_side->at, n);
	if (!sa->transcript)
		return (uint16_t)n;
	memcpy(ret + n, other->at, other->n);
	*ret_other_n = (uint16_t)other->n;
	return (uint16_t)n;
}

static void ask_sign(struct ike *c, struct ike_sa *sa, struct step *st, ike_then *then)
{
	const struct snap_peer *p = sa_peer(c, sa);
	struct keeper_auth_sign *q = &sa_ask(c, sa, st->side, KEEPER_AUTH_SIGN, then)->u.AUTH_SIGN;

	q->handle = sa->handle;
	q->peer = sa->peer;
	q->hashes = sa->hashes;
	q->ppk = sa->initiator && sa->ppk_agreed;
	q->message_n = messages_state(sa, &sa->init_ours, &sa->init_theirs, q->message, &q->other_n);
	q->id_n = (uint16_t)peer_id_body(&p->local_id, &sa->local.addr, q->id);
}

/* ---- PPK: RFC 8784 section 3 ---- */

#define PPK_ID_FIXED 2

/* The PPK that the peer's request names is the one that is configured for it. */
static bool ppk_is_named(const struct snap_peer *p, const struct ike_payloads *in)
{
	const struct ike_notify *v = ike_notify_find(in, NTF_PPK_IDENTITY);
	size_t n = strlen(p->ppk_name);

	return n > 0 && v && v->data.n == 1 + n && v->data.at[0] == PPK_ID_FIXED &&
	       memcmp(v->data.at + 1, p->ppk_name, n) == 0;
}

/* What a request without our PPK is authenticated by: its other AUTH, if it has one. */
static struct ike_view auth_of(const struct ike_sa *sa, const struct ike_payloads *in)
{
	const struct ike_notify *v = ike_notify_find(in, NTF_NO_PPK_AUTH);

	return !sa->initiator && sa->ppk_agreed && !sa->ppk && v ? v->data : in->auth;
}

static void ppk_write(struct ike_out *o, const struct snap_peer *p, const struct step *st)
{
	uint8_t id[1 + NAME_MAX_BYTES] = { PPK_ID_FIXED };
	size_t n = strlen(p->ppk_name);

	memcpy(id + 1, p->ppk_name, n);
	ike_out_notify(o, NTF_PPK_IDENTITY, id, 1 + n);
	if (st->no_ppk.n > 0)
		ike_out_notify(o, NTF_NO_PPK_AUTH, st->no_ppk.at, st->no_ppk.n);
}

static bool ask_verify(
	struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_view *id, ike_then *then)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_view auth = auth_of(sa, p);
	struct keeper_auth_verify *q;

	if (auth.n > KEEPER_AUTH_MAX || id->n > KEEPER_ID_MAX)
		return false;
	q = &sa_ask(c, sa, st->side, KEEPER_AUTH_VERIFY, then)->u.AUTH_VERIFY;
	q->handle = sa->handle;
	q->peer = sa->peer;
	q->method = p->auth_method;
	q->ppk = sa->ppk;
	q->auth_n = (uint16_t)auth.n;
	if (auth.n > 0)
		memcpy(q->auth, auth.at, auth.n);
	q->message_n = messages_state(sa, &sa->init_theirs, &sa->init_ours, q->message, &q->other_n);
	q->id_n = (uint16_t)id->n;
	memcpy(q->id, id->at, id->n);
	q->local = sa->local;
	q->remote = sa->remote;
	return true;
}

/* ---- initiator ---- */

/*
 * Why this authentication method can never be verified here; NULL: the keeper decides. RFC 7427 section 3: an
 * octet of length, then the algorithm's DER, for RSA of the arc 1.2.840.113549.1.1. Pinned keys are not RSA.
 */
static const char *unsupported_method(
	const struct snap_peer *peer, const struct ike_payloads *p, const struct ike_view *auth)
{
	static const uint8_t rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01 };
	enum { METHOD_RSA = 1, METHOD_DSS = 3 };
	struct rd r = rd_over(auth->at, auth->n);
	size_t der_n = rd_u8(&r);
	const uint8_t *der = rd_take(&r, der_n);
	bool certified = peer->auth == PEER_AUTH_CERTIFICATE;

	if (p->auth_method == METHOD_DSS)
		return "the peer authenticates itself by DSS, which is not supported";
	if (certified && p->auth_method == METHOD_RSA)
		return "the peer authenticates itself by RSA with SHA-1 (method 1), which is not supported: have it sign by "
		       "RFC 7427";
	if (p->auth_method == METHOD_RSA || (!certified && p->auth_method == AUTH_DIGITAL_SIGNATURE && der &&
						    memmem(der, der_n, rsa, sizeof rsa)))
		return "the peer authenticates itself by RSA, which is not supported: use ECDSA, Ed25519 or a "
		       "pre-shared key";
	return auth->n > KEEPER_AUTH_MAX
		       ? "the peer's authentication data is longer than that of any supported method"
		       : NULL;
}

static ike_then auth_signed, auth_child_begun, auth_verified, auth_child_installed;

void auth_start(struct ike *c, struct ike_sa *sa, struct step *st)
{
	if (!sa_peer(c, sa) || !tunnel_config(c, sa->first_tunnel)) {
		sa_kill(c, sa, "the configuration has changed");
		return;
	}
	assert(sa->initiator && sa->own_id == 1u + sa->additional_done && !additional_is_due(sa));
	st->task = TASK_AUTH;
	ask_sign(c, sa, st, auth_signed);
}

static void auth_signed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_auth_signed *s = &r->u.AUTH_SIGN;
	struct keeper_child_begin *q;

	if (s->rc != RC_OK || s->auth_n > KEEPER_AUTH_OWN_MAX) {
		sa_kill(c, sa, "we cannot authenticate ourselves to the peer: %.180s", s->text);
		return;
	}
	st->auth_method = s->method;
	blob_set(&st->auth, s->auth, s->auth_n);
	blob_set(&st->no_ppk, s->no_ppk, MIN_OF(s->no_ppk_n, (uint16_t)KEEPER_AUTH_OWN_MAX));
	st->tunnel = sa->first_tunnel;
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_BEGIN, auth_child_begun)->u.CHILD_BEGIN;
	q->handle = sa->handle;
	q->tunnel = st->tunnel;
	q->dh_group = DH_NONE;
	q->role = KEEPER_INITIATOR;
}

/* 2.4: "this is the only IKE SA currently active between the authenticated identities". */
static bool is_initial_contact(const struct ike *c, const struct ike_sa *sa)
{
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other != sa &&
			(other->state == ST_UP || other->state == ST_REPLACED || other->state == ST_CLOSING))
			return false;
	return true;
}

static void auth_child_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_begun *b = &r->u.CHILD_BEGIN;
	const struct snap_tunnel *t = tunnel_config(c, st->tunnel);
	const struct snap_peer *p = sa_peer(c, sa);
	uint8_t id[KEEPER_ID_MAX];
	struct ike_offer offer;
	struct ike_out o;

	if (b->rc != RC_OK || !t) {
		sa_kill(c, sa, "the keeper could not begin a child SA: %.180s", b->text);
		return;
	}
	st->child = child_new(c, sa, st->tunnel, true);
	child_set_id(c, st->child, b);
	o = message_begin_request(c, sa, EX_IKE_AUTH);
	ike_out_payload(&o, PL_IDI, id, peer_id_body(&p->local_id, &sa->local.addr, id));
	certs_write(c, &o, p);
	if (is_initial_contact(c, sa))
		ike_out_notify(&o, NTF_INITIAL_CONTACT, NULL, 0);
	certreq_write(c, &o, p);
	if (p->remote_id.type != ID_DN) /* a pattern is no identity */
		ike_out_payload(&o, PL_IDR, id, peer_id_body(&p->remote_id, &p->remote, id));
	ike_out_auth(&o, (uint8_t)st->auth_method, st->auth.at, st->auth.n);
	if (sa->ppk_agreed)
		ppk_write(&o, p, st);
	offer_make_esp(c, t, st->child->spi_in, false, &offer);
	ike_out_offer(&o, &offer);
	if (tunnel_has_resources(c, st->tunnel))
		resource_write(&o, 0);
	child_offer_selectors(c, &o, st->tunnel, tunnel_offers(c, st->tunnel));
	crash_token_write(c, sa, &o);
	peer_messages_offer(&o);
	step_done(c, sa, st);
	message_send_request(c, sa, &o);
}

void on_auth_refused(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_notify *v = ike_notify_error(&st->in->p);
	char name[48];

	if (v)
		sa_kill(c, sa, "the peer refused IKE_AUTH with %s%s",
			ike_notify_text(name, sizeof name, v->type),
			v->type == NTF_AUTHENTICATION_FAILED
				? ": key, identity or method of authentication differ; the peer's log says which"
				: "");
	else
		sa_kill(c, sa, "the peer's IKE_AUTH response has no AUTH payload");
}

/*
 * We do not accept the peer, for which the IKE SA is established: it is told in an INFORMATIONAL exchange
 * (2.21.2). notify 0: the fault is not the peer's, and the IKE SA is only deleted.
 */
static void auth_reject(struct ike *c, struct ike_sa *sa, uint16_t notify, const char *reason)
{
	ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "%s", reason);
	tunnel_failed(c, sa->first_tunnel, reason);
	ike_log(c, true, "peer %s: %s", sa_peer_name(c, sa), reason);
	text_set(&sa->reason, "%s", reason);
	own_exchange_done(c, sa);
	sa->delete_notify = notify;
	info_start(c, sa, TASK_IKE_DELETE, NULL);
}

void on_auth_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct snap_peer *p = sa_peer(c, sa);
	const struct ike_view *id = &st->in->p.idr;
	char text[IKE_REASON_MAX], who[128];
	const char *unsupported;

	if (!peer_id_matches(&p->remote_id, &p->remote, id)) {
		snprintf(text, sizeof text, "the peer's identity is '%s', which is not the configured one",
			ike_id_text(who, sizeof who, id->at, id->n));
		auth_reject(c, sa, NTF_AUTHENTICATION_FAILED, text);
		return;
	}
	peer_messages_offered(sa, &st->in->p);
	sa->ppk = sa->ppk_agreed && ike_notify_find(&st->in->p, NTF_PPK_IDENTITY);
	unsupported = unsupported_method(p, &st->in->p, &st->in->p.auth);
	if (!unsupported)
		unsupported = certs_obstacle(c, p, &st->in->p);
	if (unsupported || !ask_verify(c, sa, st, id, auth_verified))
		auth_reject(c, sa, NTF_AUTHENTICATION_FAILED,
			unsupported ? unsupported
				    : "the peer's identity is longer than any that can be configured");
}

/*
 * Errors that refuse only the child SA (1.2, 2.21.2); with any other one the peer has ended the IKE SA, or
 * never established it, and expects no Delete.
 */
static bool refuses_child_alone(uint16_t notify)
{
	switch (notify) {
	case NTF_NO_PROPOSAL_CHOSEN:
	case NTF_TS_UNACCEPTABLE:
	case NTF_SINGLE_PAIR_REQUIRED:
	case NTF_INTERNAL_ADDRESS_FAILURE:
	case NTF_FAILED_CP_REQUIRED:
	case NTF_NO_ADDITIONAL_SAS:
	case NTF_TEMPORARY_FAILURE:
		return true;
	default:
		return false;
	}
}

/* The IKE SA is established, its first child SA is not. */
static void auth_child_failed(
	struct ike *c, struct ike_sa *sa, struct step *st, const char *reason, bool peer_has_it)
{
	struct child_sa *ch = st->child;
	uint32_t tunnel = st->tunnel;

	if (peer_has_it) {
		st->child = NULL;
		child_want_delete(c, sa, ch, reason);
	}
	ike_log(c, true, "peer %s: child SA: %s", sa_peer_name(c, sa), reason);
	tunnel_failed(c, tunnel, reason);
	own_exchange_done(c, sa);
}

/* RFC 5685 section 6: the gateway has authenticated itself, and sends us away. */
static bool auth_redirected(struct ike *c, struct ike_sa *sa, struct step *st)
{
	char why[IKE_REASON_MAX];
	enum redirected sent = redirect_read(c, sa, st->in, NULL, why);
	uint32_t tunnel = st->tunnel;

	if (sent == REDIRECTED_NOT)
		return false;
	own_exchange_done(c, sa);
	if (sent == REDIRECTED && redirect_follow(c, sa, true, why))
		tunnel_at_once(c, tunnel, why);
	else
		tunnel_failed(c, tunnel, why);
	sa_close(c, sa, why);
	return true;
}

static void auth_verified(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_auth_verified *v = &r->u.AUTH_VERIFY;
	const struct ike_payloads *p = &st->in->p;
	const struct ike_notify *refused = ike_notify_error(p);
	char text[IKE_REASON_MAX], name[48];
	mono_ns asked_at = sa->since;
	struct err why = { 0 };

	if (v->rc != RC_OK) {
		bool theirs = v->rc == RC_AUTH;
		snprintf(text, sizeof text, "%s: %.200s", theirs ? AUTH_FAILED : AUTH_UNDECIDED, v->text);
		auth_reject(c, sa, theirs ? NTF_AUTHENTICATION_FAILED : 0, text);
		return;
	}
	if (refused && !refuses_child_alone(refused->type)) {
		snprintf(text, sizeof text, "the peer answered IKE_AUTH with %s",
			ike_notify_text(name, sizeof name, refused->type));
		tunnel_failed(c, st->tunnel, text);
		sa_kill(c, sa, "%s", text);
		return;
	}
	sa->was_up = true;
	sa_user_proved(c, sa, &p->idr);
	crash_token_read(sa, p);
	step_done(c, sa, st);
	sa_established(c, sa);
	reauth_authenticated(c, sa, true);
	lifetime_read(c, sa, p);
	liveness_second(c, sa, ike_notify_find(p, NTF_INITIAL_CONTACT), asked_at);
	sa_peer_limit(c, sa);
	ike_log(c, false, "peer %s: IKE SA established", sa_peer_name(c, sa));
	if (auth_redirected(c, sa, st))
		return;
	if (refused || !(p->present & IKE_HAS(SA)) || !(p->present & IKE_HAS(TSI)) ||
		!(p->present & IKE_HAS(TSR))) {
		snprintf(text, sizeof text, "the peer refused the child SA with %s",
			refused ? ike_notify_text(name, sizeof name, refused->type) : "no reason");
		tunnel_refused(c, st->tunnel, refused ? refused->type : 0, true);
		auth_child_failed(c, sa, st, text, false);
		return;
	}
	if (!child_answer_fits(c, sa, st, p, false, &why) ||
		!resource_answered(c, p, st->child, NULL, NULL, &why)) {
		auth_child_failed(c, sa, st, why.text, true);
		return;
	}
	blob_set(&st->child->lowest, sa->lowest.at, sa->lowest.n);
	blob_set(&st->child->lineage, sa->lowest.at, sa->lowest.n);
	child_ask_install(c, sa, st, NULL, NULL, CHILD_NONCES_OF_IKE, 0, auth_child_installed);
}

static void auth_child_installed(
	struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_installed *i = &r->u.CHILD_INSTALL;
	struct child_sa *ch = st->child;

	if (i->rc != RC_OK || ch->tunnel == INDEX_NONE) {
		auth_child_failed(c, sa, st,
			ch->tunnel == INDEX_NONE ? "its tunnel was changed or removed" : i->text, true);
		return;
	}
	if (ch->deleted_early) { /* own_exchange_done() has it removed again */
		auth_child_failed(c, sa, st, "the peer deleted it at once", false);
		return;
	}
	st->child = NULL;
	child_up(c, sa, ch);
	tunnel_child_granted(c, ch->tunnel);
	own_exchange_done(c, sa);
}

/* ---- responder ---- */

static ike_then request_verified, request_signed, request_child_begun, request_child_installed;

static void request_refused(struct ike *c, struct ike_sa *sa, struct step *st, const char *reason)
{
	struct ike_refusal *r = ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "%s", reason);

	if (r)
		ike_id_text(r->id, sizeof r->id, st->in->p.idi.at, st->in->p.idi.n);
	message_answer_notify(c, sa, NTF_AUTHENTICATION_FAILED, NULL, 0);
	sa_fail(c, sa, reason);
}

/*
 * The keeper cannot decide now: the ledger is full or does not answer, too many requests wait, a key file is
 * missing. That is not the peer's fault, and many implementations take AUTHENTICATION_FAILED as final. It
 * gets no response; whenever it retransmits its request the keeper is asked again, and the IKE SA ends when
 * it stops.
 */
static void request_put_off(struct ike *c, struct ike_sa *sa, struct step *st, const char *why)
{
	struct ike_refusal *r;

	st->busy = false;
	sa->timer_at = c->now + IKE_HALF_OPEN_S * NS_PER_S;
	if (sa->put_off)
		return; /* recorded and logged the first time */
	sa->put_off = true;
	text_set(&sa->reason, AUTH_UNDECIDED ": %.180s", why);
	ike_log(c, true, "peer %s: %s; retried when the peer retransmits its request", sa_peer_name(c, sa),
		text_of(sa->reason));
	r = ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "%s", text_of(sa->reason));
	if (r)
		ike_id_text(r->id, sizeof r->id, st->in->p.idi.at, st->in->p.idi.n);
	sa_touch(c, sa);
}

void auth_repeated(struct ike *c, struct ike_sa *sa)
{
	struct step *st = &sa->steps[SIDE_PEER];

	if (!sa->put_off || st->busy || sa->state != ST_AUTH_WAIT)
		return;
	st->busy = true;
	if (sa->was_up) /* the peer is authenticated; our own AUTH is missing */
		ask_sign(c, sa, st, request_signed);
	else
		on_auth_request(c, sa, st);
	sa_touch(c, sa);
}

void on_auth_eap(struct ike *c, struct ike_sa *sa, struct step *st)
{
	request_refused(c, sa, st, "the peer requests EAP authentication, which is not supported");
}

void on_auth_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	char text[IKE_REASON_MAX], idi[100], idr[100];
	const char *unsupported;
	struct ike_view auth;
	uint32_t other;

	assert(!link_used(&sa->of_peer)); /* no peer was named before: see last_is_answered() */
	sa->peer = c->snap ? peer_identify(c, sa, p, &other) : INDEX_NONE;
	if (sa->peer == INDEX_NONE && other != INDEX_NONE) {
		snprintf(text, sizeof text,
			"peer %s was answered with the IKE proposal of another peer at the same address; its own "
			"will be preferred at its next attempt (equal proposals for both avoid this)",
			snap_peers(c->snap)[other].name);
		request_refused(c, sa, st, text);
		return;
	}
	if (sa->peer == INDEX_NONE) {
		snprintf(text, sizeof text, "no peer is configured for identity '%s'%s%s at this address",
			ike_id_text(idi, sizeof idi, p->idi.at, p->idi.n),
			p->present & IKE_HAS(IDR) ? " that requests identity " : "",
			p->present & IKE_HAS(IDR) ? ike_id_text(idr, sizeof idr, p->idr.at, p->idr.n) : "");
		request_refused(c, sa, st, text);
		return;
	}
	sa->initial_contact = ike_notify_find(p, NTF_INITIAL_CONTACT);
	peer_messages_offered(sa, p);
	sa->ppk = sa->ppk_agreed && ppk_is_named(sa_peer(c, sa), p);
	if (sa->ppk_agreed && !sa->ppk && ike_notify_find(p, NTF_PPK_IDENTITY) &&
		!ike_notify_find(p, NTF_NO_PPK_AUTH)) {
		request_refused(c, sa, st,
			"the peer authenticates itself with a PPK, and only so, that is not the one "
			"configured for it");
		return;
	}
	auth = auth_of(sa, p);
	unsupported = unsupported_method(sa_peer(c, sa), p, &auth);
	if (!unsupported)
		unsupported = certs_obstacle(c, sa_peer(c, sa), p);
	if (unsupported || !ask_verify(c, sa, st, &p->idi, request_verified))
		request_refused(c, sa, st,
			unsupported ? unsupported
				    : "the peer's identity is longer than any that can be configured");
}

static void request_verified(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_auth_verified *v = &r->u.AUTH_VERIFY;
	char text[IKE_REASON_MAX];

	if (v->rc == RC_AUTH) {
		snprintf(text, sizeof text, AUTH_FAILED ": %.200s", v->text);
		request_refused(c, sa, st, text);
		return;
	}
	if (v->rc != RC_OK) {
		if (v->rc == RC_LIMIT && peer_is_template(c, sa->peer) && !sa->put_off)
			peer_entry(c, sa->peer)->instances_refused++;
		request_put_off(c, sa, st, v->text);
		return;
	}
	sa->was_up = true;
	sa_user_proved(c, sa, &st->in->p.idi);
	/* One identity of a template takes no place of another one; any other peer has one of its own. */
	if (!sa_peer_room(c, sa->peer, sa) && sa->user.n > 0) {
		peer_entry(c, sa->peer)->instances_refused++;
		request_refused(c, sa, st, "too many IKE SAs: all places that peers share are taken");
		return;
	}
	sa_join_peer(c, sa);
	ask_sign(c, sa, st, request_signed);
}

static void request_answer(struct ike *c, struct ike_sa *sa, struct step *st);

/* The peer wants the IKE SA alone (RFC 6023). */
static bool is_childless(const struct step *st)
{
	return !(st->in->p.present & IKE_HAS(SA));
}

/* RFC 5685 section 6: without a child SA. */
static bool is_sent_away(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p->redirect_to.type != ID_NONE && sa->redirectable &&
	       redirect_applies(&p->redirect_to, sa->redirected_from, &sa->local.addr);
}

static void send_away(struct ike *c, struct ike_sa *sa, struct ike_out *o)
{
	uint8_t data[IKE_GATEWAY_MAX];

	ike_out_notify(o, NTF_REDIRECT, data, redirect_data(data, &sa_peer(c, sa)->redirect_to, NULL));
	sa->leaves_at = c->now + IKE_REDIRECTED_S * NS_PER_S;
	c->counts[IKE_COUNT_REDIRECTS_SENT]++;
}

static void request_signed(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_auth_signed *s = &r->u.AUTH_SIGN;
	struct keeper_child_begin *q;
	struct choice choice;

	if (s->rc != RC_OK || s->auth_n > KEEPER_AUTH_OWN_MAX) {
		request_put_off(c, sa, st, s->text);
		return;
	}
	st->auth_method = s->method;
	blob_set(&st->auth, s->auth, s->auth_n);
	st->tunnel = INDEX_NONE;
	if (is_childless(st) || is_sent_away(c, sa)) {
		request_answer(c, sa, st);
		return;
	}
	st->refuse_child = child_refusal(c, sa, st, false, &choice);
	if (st->refuse_child) {
		request_answer(c, sa, st);
		return;
	}
	step_answer_set(st, &choice.answer);
	st->child = child_new(c, sa, st->tunnel, false);
	child_take_choice(c, st->child, &choice);
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_CHILD_BEGIN, request_child_begun)->u.CHILD_BEGIN;
	q->handle = sa->handle;
	q->tunnel = st->tunnel;
	q->dh_group = DH_NONE;
	q->role = KEEPER_RESPONDER;
}

static void request_child_dropped(struct ike *c, struct ike_sa *sa, struct step *st, const char *text)
{
	ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa), "child SA: %.200s", text);
	st->refuse_child = NTF_NO_ADDITIONAL_SAS;
	child_gone(c, sa, st->child, text);
	st->child = NULL;
	request_answer(c, sa, st);
}

static void request_child_begun(
	struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_child_begun *b = &r->u.CHILD_BEGIN;
	bool others, orphan;

	if (b->rc != RC_OK) {
		request_child_dropped(c, sa, st, b->text);
		return;
	}
	child_set_id(c, st->child, b);
	nonce_set_lower(&st->child->lowest, &sa->nonce_i, sa->nonce_r.at, sa->nonce_r.n);
	blob_set(&st->child->lineage, st->child->lowest.at, st->child->lowest.n);
	if (!child_narrow(c, st->child, &st->in->p.tsi, &st->in->p.tsr)) {
		request_child_dropped(
			c, sa, st, "no traffic selector is common to the request and the tunnel");
		return;
	}
	resource_refusal(c, &st->in->p, st->child, NULL); /* never: it is the first one of its IKE SA */
	/*
	 * While there is an older pair, the peer's data plane may still have it, even if its IKE lost its
	 * state; and it has the new one only some time after our response. Until a packet comes in on the new
	 * one, or that time is over, the older one sends.
	 */
	others = child_has_stand_in(c, st->child);
	/* Of a template it may be another one's, and must not send what is meant for this one. */
	orphan = c->tunnels[st->tunnel].orphan != 0 && !(sa_peer(c, sa)->flags & PEER_ID_PATTERN);
	if (orphan || (others && sa->initial_contact))
		st->child->activate_at = c->now + IKE_ACTIVATE_MS * NS_PER_MS;
	others |= orphan;
	child_ask_install(c, sa, st, NULL, NULL, CHILD_NONCES_OF_IKE | (others ? CHILD_OUTBOUND_LATER : 0), 0,
		request_child_installed);
}

static void request_child_installed(
	struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	if (r->u.CHILD_INSTALL.rc != RC_OK)
		request_child_dropped(c, sa, st, r->u.CHILD_INSTALL.text);
	else
		request_answer(c, sa, st);
}

static void request_answer(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct snap_peer *p = sa_peer(c, sa);
	struct child_sa *ch = st->child;
	uint8_t id[KEEPER_ID_MAX];
	struct ike_offer answer;
	mono_ns asked_at = sa->since;
	struct ike_out o = message_begin_response(c, sa);
	uint8_t spi[4];

	assert(ch ? ch->installing : st->refuse_child != 0 || is_childless(st) || is_sent_away(c, sa));
	ike_out_payload(&o, PL_IDR, id, peer_id_body(&p->local_id, &sa->local.addr, id));
	certs_write(c, &o, p);
	ike_out_auth(&o, (uint8_t)st->auth_method, st->auth.at, st->auth.n);
	if (sa->ppk)
		ike_out_notify(&o, NTF_PPK_IDENTITY, NULL, 0);
	if (ch) {
		store_be32(spi, ch->spi_in);
		answer = *st->answer;
		answer.proposals[0].spi_n = 4;
		memcpy(answer.proposals[0].spi, spi, 4);
		ike_out_offer(&o, &answer);
		ike_out_selectors(&o, PL_TSI, ch->remote_ts, ch->remote_n);
		ike_out_selectors(&o, PL_TSR, ch->local_ts, ch->local_n);
		if (ch->shares)
			resource_write(&o, 0);
		if (child_more_possible(c, sa, ch, &st->in->p.tsi, &st->in->p.tsr))
			ike_out_notify(&o, NTF_ADDITIONAL_TS_POSSIBLE, NULL, 0);
	} else if (st->refuse_child) {
		ike_out_notify(&o, st->refuse_child, NULL, 0);
	}
	if (is_sent_away(c, sa))
		send_away(c, sa, &o);
	crash_token_read(sa, &st->in->p);
	crash_token_write(c, sa, &o);
	peer_messages_offer(&o);
	step_done(c, sa, st);
	sa_established(c, sa);
	reauth_authenticated(c, sa, false);
	lifetime_write(c, sa, &o);
	ike_log(c, false, "peer %s: IKE SA established", sa_peer_name(c, sa));
	st->child = NULL;
	if (ch && ch->activate_at != 0) /* from now on, however long the keeper took for the install */
		ch->activate_at = c->now + IKE_ACTIVATE_MS * NS_PER_MS;
	if (ch)
		child_up(c, sa, ch);
	message_send_response(c, sa, &o);
	if (sa->state == ST_DEAD) /* the response could not be built, and ch is freed */
		return;
	liveness_second(c, sa, sa->initial_contact, asked_at);
	sa_peer_limit(c, sa);
}
