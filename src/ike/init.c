/*
 * IKE_SA_INIT in both roles (RFC 7296 sections 1.2, 2.6, 2.7, 2.23). Nothing here is authenticated: a refusal
 * is believed only when no better response comes, and above the cookie threshold an unverified request uses
 * no memory.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

enum { PORT_IKE = 500, PORT_NAT = 4500 };

/*
 * Against downgrade (draft-ietf-ipsecme-ikev2-downgrade-prevention-08 section 6): both sides say so in IKE_SA_INIT, the responder whether
 * or not the initiator did; then AUTH of each is over both messages, the last request and its response. Who takes something out of
 * one of them on the way, breaks the weaker key exchange that is chosen then, and has the key of one side, still has the other side's
 * AUTH against him. Whatever the notify contains is ignored. Messages that are too long for this are refused: AUTH over
 * each side's own would be what he wants.
 */
#define TRANSCRIPT_TOO_LONG "the messages of IKE_SA_INIT are too long to be authenticated together"

static bool transcript_is_offered(const struct ike_payloads *p)
{
	return ike_notify_find(p, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH);
}

static bool transcript_fits(size_t request_n, size_t response_n)
{
	return request_n + response_n <= KEEPER_MESSAGE_MAX;
}

/* ---- initiator ---- */

static ike_then init_begun, init_finished;

static void init_begin(struct ike *c, struct ike_sa *sa, uint16_t dh)
{
	struct step *st = &sa->steps[SIDE_OWN];
	struct keeper_exchange_begin *q;

	assert(sa->initiator && st->task == TASK_NONE && sa->own_id == 0);
	sa_enter(c, sa, ST_KEYS_OWN);
	st->task = TASK_INIT;
	st->busy = true;
	st->dh = dh;
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_EXCHANGE_BEGIN, init_begun)->u.EXCHANGE_BEGIN;
	q->role = KEEPER_INITIATOR;
	q->dh_group = dh;
}

void init_start(struct ike *c, uint32_t peer, uint32_t tunnel)
{
	const struct snap_peer *p = &snap_peers(c->snap)[peer];
	const char *why = peer_initiate_obstacle(p);
	struct ip_addr remote = p->remote;
	char text[IKE_REASON_MAX];
	struct ike_sa *sa;

	bool redirected = redirect_begin_with(c, peer, &remote);

	if (!redirected && p->flags & PEER_REMOTE_NAME) {
		bool known = named_begin_with(c, peer, &remote);
		if (!known || named_is_stale(c, peer))
			named_ask(c, peer);
		if (!known && named_is_silent(c, peer)) {
			tunnel_put_off(c, tunnel, named_obstacle(c, peer, text, sizeof text));
			return;
		}
		why = known ? why : named_obstacle(c, peer, text, sizeof text);
	}
	if (!why && !proposals_first(c, p))
		why = "none of the peer's proposals can be used here: those with additional-key-exchange need libcrypto 3.5 or later";
	if (!why && !esp_proposal_next(c, tunnel_config(c, tunnel), NULL))
		why = "none of the tunnel's proposals can be used here: those with additional-key-exchange need libcrypto 3.5 or later";
	if (why) {
		tunnel_failed(c, tunnel, why);
		return;
	}
	sa = sa_peer_room(c, peer, NULL) ? sa_new(c, true) : NULL;
	if (!sa) {
		tunnel_failed(c, tunnel, "too many IKE SAs");
		return;
	}
	sa_begin(c, sa);
	sa->peer = peer;
	sa_join_peer(c, sa);
	sa->first_tunnel = tunnel;
	sa->local = (struct endpoint){ .addr = p->local, .port = PORT_IKE };
	sa->remote = (struct endpoint){ .addr = remote, .port = PORT_IKE };
	if (redirected)
		redirect_begun(c, sa);
	init_begin(c, sa, proposals_first(c, p)->dh);
}

static bool offers_additional(const struct ike_offer *o)
{
	for (unsigned i = 0; i < o->transforms_n; i++)
		if (o->transforms[i].type == TT_ADDKE_FIRST)
			return true;
	return false;
}

static void init_send(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct snap_peer *p = sa_peer(c, sa);
	struct ike_offer offer;
	struct ike_out o = message_begin_request(c, sa, EX_IKE_SA_INIT);

	/* 2.6: the cookie is the first payload, all else is unchanged. */
	if (sa->cookie_n > 0)
		ike_out_notify(&o, NTF_COOKIE, sa->cookie, sa->cookie_n);
	if (sa->puzzle) /* RFC 8019 7.1.2: solved, and behind the cookie */
		ike_out_payload(&o, PL_PS, sa->puzzle->search.keys, sizeof sa->puzzle->search.keys);
	offer_make_ike(c, p, &offer);
	ike_out_offer(&o, &offer);
	ike_out_ke(&o, st->dh, st->ke.at, st->ke.n);
	ike_out_payload(&o, PL_NONCE, sa->nonce_i.at, sa->nonce_i.n);
	sa->pretended = (p->flags & PEER_FORCE_ENCAP) || sa->local.addr.family == ADDR_NONE;
	nat_detection_write(&o, sa->spi_i, sa->spi_r, &sa->local, &sa->remote, sa->pretended);
	signature_hashes_write(&o);
	fragmentation_write(&o, p);
	ppk_offer(&o, p);
	if (offers_additional(&offer))
		ike_out_notify(&o, NTF_INTERMEDIATE_EXCHANGE_SUPPORTED, NULL, 0);
	ike_out_notify(&o, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH, NULL, 0);
	redirect_offer(c, sa, &o);
	message_send_request(c, sa, &o);
	if (sa->state == ST_DEAD)
		return;
	blob_set(&sa->init_ours, sa->request.at, sa->request.n);
	if (sa->state != ST_INIT_SENT)
		sa_enter(c, sa, ST_INIT_SENT);
}

static void init_begun(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_begun *b = &r->u.EXCHANGE_BEGIN;

	if (b->rc != RC_OK) {
		sa_kill(c, sa, "the keeper could not begin a key exchange: %.180s", b->text);
		return;
	}
	sa->handle = b->handle;
	sa_set_spi(c, sa, b->ike_spi);
	blob_set(&sa->nonce_i, b->nonce, MIN_OF(b->nonce_n, KEEPER_NONCE_SIZE));
	blob_set(&st->ke, b->ke, MIN_OF(b->ke_n, KEEPER_KE_MAX));
	init_send(c, sa, st);
}

/* It is not authenticated: wait a moment for a better response, then end with this reason. */
static void doubt(struct ike *c, struct ike_sa *sa, struct step *st, const char *reason)
{
	text_set(&sa->reason, "%s", reason);
	if (sa->give_up_at == 0)
		sa->give_up_at = c->now + IKE_SETUP_GRACE_MS * NS_PER_MS;
	st->busy = false;
	sa_touch(c, sa);
}

void init_again(struct ike *c, struct ike_sa *sa)
{
	init_send(c, sa, &sa->steps[SIDE_OWN]);
}

static bool may_restart(struct ike_sa *sa)
{
	if (sa->restarts >= IKE_RESTARTS_MAX)
		return false;
	sa->restarts++;
	return true;
}

/* 1.2: the group that the responder asks for; only a configured one (CVE-2014-9221 accepted any). */
static bool other_group(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_notify *v = ike_notify_find(&st->in->p, NTF_INVALID_KE_PAYLOAD);
	uint16_t group;

	if (!v || v->data.n != 2)
		return false;
	group = load_be16(v->data.at);
	if (group == st->dh || !proposals_have_group(c, sa_peer(c, sa), group) || !may_restart(sa))
		return false;
	sa_drop_handle(c, sa);
	step_reset(c, sa, st);
	blob_free(&sa->request);
	sa->again_at = sa->give_up_at = 0;
	sa->cookie_n = 0;
	memset(sa->spi_r, 0, 8);
	init_begin(c, sa, group);
	return true;
}

void on_init_refused(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct ike_notify *v = ike_notify_find(p, NTF_COOKIE);
	struct ike_offer ours;
	char text[IKE_REASON_MAX], name[48], offer[160];

	if (v && v->data.n >= 1 && v->data.n <= IKE_COOKIE_MAX && may_restart(sa)) {
		memcpy(sa->cookie, v->data.at, v->data.n);
		sa->cookie_n = (uint16_t)v->data.n;
		if (solve_begin(c, sa, p)) {
			st->busy = false; /* an answer may come all the same */
			sa_unanswered(c, sa);
		} else {
			init_send(c, sa, st);
		}
		return;
	}
	if (other_group(c, sa, st))
		return;
	/* As a refusal: end() goes there when no better response has come. */
	if (redirect_read(c, sa, st->in, &sa->nonce_i, text) != REDIRECTED_NOT) {
		doubt(c, sa, st, text);
		return;
	}
	v = ike_notify_error(p);
	if (!v) {
		st->busy = false;
		return;
	}
	offer_make_ike(c, sa_peer(c, sa), &ours);
	snprintf(text, sizeof text, "the peer refused with %s; we offered %s",
		ike_notify_text(name, sizeof name, v->type), ike_offer_text(offer, sizeof offer, &ours));
	doubt(c, sa, st, text);
}

void on_init_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct message *in = st->in;
	struct keeper_exchange_finish *q;
	struct choice choice;
	static const uint8_t none[8];

	if (ike_notify_find(&in->p, NTF_PUZZLE)) {
		doubt(c, sa, st,
			"the peer demands a puzzle in IKE_AUTH (RFC 8019 section 7.2), which is not supported "
			"here: configure it for puzzles in IKE_SA_INIT only");
		return;
	}
	if (memcmp(in->h.spi_r, none, 8) == 0 || !offer_is_single(&in->p.sa) ||
		!proposals_choose_ike(c, sa_peer(c, sa), &in->p.sa, additional_mode_of(&in->p), &choice) ||
		choice.dh != st->dh || in->p.ke_group != st->dh || in->p.ke.n > KEEPER_KE_MAX ||
		in->n > KEEPER_MESSAGE_MAX) {
		doubt(c, sa, st, "the peer's IKE_SA_INIT response does not match what we offered");
		return;
	}
	if (transcript_is_offered(&in->p) && !transcript_fits(sa->init_ours.n, in->n)) {
		doubt(c, sa, st, TRANSCRIPT_TOO_LONG);
		return;
	}
	solve_drop(sa); /* served all the same */
	sa->redirect_to = (struct ip_addr){ 0 };
	memcpy(sa->spi_r, in->h.spi_r, 8);
	blob_set(&sa->nonce_r, in->p.nonce.at, in->p.nonce.n);
	blob_set(&sa->init_theirs, in->bytes, in->n);
	sa_take_choice(sa, &choice);
	sa->hashes = signature_hashes_read(&in->p);
	sa->fragments = fragmentation_agreed(sa_peer(c, sa), &in->p);
	sa->ppk_agreed = ppk_agreed(sa_peer(c, sa), &in->p);
	sa->transcript = transcript_is_offered(&in->p);
	nat_detection_read(sa, in);
	sa->again_at = sa->give_up_at = 0;
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_EXCHANGE_FINISH, init_finished)->u.EXCHANGE_FINISH;
	q->handle = sa->handle;
	q->prf = sa->prf;
	q->encr = sa->encr;
	q->encr_bits = sa->encr_bits;
	memcpy(q->additional, sa->additional, sizeof q->additional);
	memcpy(q->spi_i, sa->spi_i, 8);
	memcpy(q->spi_r, sa->spi_r, 8);
	q->peer_nonce_n = (uint16_t)in->p.nonce.n;
	memcpy(q->peer_nonce, in->p.nonce.at, in->p.nonce.n);
	q->peer_ke_n = (uint16_t)in->p.ke.n;
	memcpy(q->peer_ke, in->p.ke.at, in->p.ke.n);
}

static void init_finished(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_finished *f = &r->u.EXCHANGE_FINISH;

	if (f->rc != RC_OK || !sa_take_keys(sa, &f->sk_e)) {
		sa_kill(c, sa, "the key exchange failed: %.180s", f->text);
		return;
	}
	if (sa->local.addr.family == ADDR_NONE)
		sa->local.addr = st->in->local.addr;
	/* 2.23: with a NAT on the path both sides continue on port 4500. To the peer our pretended NAT is
	 * one too. */
	sa->encap = sa->nat_known && (sa->peer_natted || sa->we_natted || sa->pretended);
	if (sa->encap) {
		sa->local.port = PORT_NAT;
		sa->remote.port = PORT_NAT;
	}
	sa->own_id = 1;
	blob_free(&sa->request);
	intermediate_start(c, sa, st);
}

/* ---- responder ---- */

static ike_then answered;

static void refuse_proposal(struct ike *c, const struct message *in, const struct snap_peer *first)
{
	struct ike_refusal *r;
	struct ike_offer ours;
	char why[128];

	if (!first) {
		r = ike_refuse(c, &in->local, &in->remote, NULL, "no peer is configured for this address");
		if (r)
			ike_offer_text(r->offered, sizeof r->offered, &in->p.sa);
		message_refuse_init(c, in, NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
		return;
	}
	offer_make_ike(c, first, &ours);
	r = ike_refuse(c, &in->local, &in->remote, first, "IKE proposal: %s",
		offer_explain(why, sizeof why, &in->p.sa, &ours));
	if (r) {
		ike_offer_text(r->offered, sizeof r->offered, &in->p.sa);
		ike_offer_text(r->configured, sizeof r->configured, &ours);
	}
	message_refuse_init(c, in, NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
}

/* Octets of a group's KE payload. */
static size_t ke_size(uint16_t group)
{
	switch (group) {
#define E(id, number, bytes, word)                                                                           \
	case number:                                                                                         \
		return bytes;
		DH_GROUPS(E)
#undef E
	}
	return 0;
}

/*
 * Octets of our response at most, before its value is there: header, SA payload with one proposal of so many transforms, KE, nonce,
 * CERTREQ, two NAT_DETECTION, SIGNATURE_HASH_ALGORITHMS, and five more notifies without data.
 */
static size_t response_most(const struct ike *c, const struct choice *choice)
{
	enum { HEADER = 28, PAYLOAD = 4, PROPOSAL = 8, TRANSFORM = 12, NOTIFY = 8, SHA1 = 20, HASHES = 16 };

	return HEADER + PAYLOAD + PROPOSAL + choice->answer.transforms_n * TRANSFORM + PAYLOAD + 4 +
	       ke_size(choice->dh) + PAYLOAD + KEEPER_NONCE_SIZE + PAYLOAD + c->all_authorities_n +
	       2 * (NOTIFY + SHA1) + NOTIFY + HASHES + 5 * NOTIFY;
}

static void answer_start(struct ike *c, const struct message *in, const struct ike_row *row,
	const struct choice *choice, const struct snap_peer *p)
{
	struct ike_sa *sa = sa_half_open_room(c) ? sa_new(c, false) : NULL;
	struct keeper_exchange_answer *q;
	struct step *st;

	if (!sa)
		return;
	st = &sa->steps[SIDE_PEER];
	memcpy(sa->spi_i, in->h.spi_i, 8);
	sa_expect_init(c, sa);
	sa->local = in->local;
	sa->remote = in->remote;
	sa_take_choice(sa, choice);
	sa->hashes = signature_hashes_read(&in->p);
	sa->fragments = fragmentation_agreed(p, &in->p);
	sa->ppk_agreed = ppk_agreed(p, &in->p);
	sa->transcript = transcript_is_offered(&in->p);
	sa->redirectable = redirect_supported(&in->p, &sa->redirected_from);
	nat_detection_read(sa, in);
	sa->encap = sa->nat_known && (sa->peer_natted || sa->we_natted || (p->flags & PEER_FORCE_ENCAP));
	blob_set(&sa->nonce_i, in->p.nonce.at, in->p.nonce.n);
	blob_set(&sa->init_theirs, in->bytes, in->n);
	blob_set(&sa->peer_request, in->bytes, in->n);
	st->row = row;
	st->busy = true;
	st->in = message_copy_plain(in);
	step_answer_set(st, &choice->answer);
	st->dh = choice->dh;
	sa_enter(c, sa, ST_KEYS_PEER);
	q = &sa_ask(c, sa, SIDE_PEER, KEEPER_EXCHANGE_ANSWER, answered)->u.EXCHANGE_ANSWER;
	sa_fill_answer(q, sa, 0, &in->p);
}

/*
 * RFC 5685 section 3: nothing is kept of it, and no key exchange is made. Not one that was sent here by the gateway that it would be
 * sent to, and not where it is already.
 */
static bool sent_away(struct ike *c, const struct message *in)
{
	const struct snap_id *to = peers_redirect(c, in);
	uint8_t data[IKE_GATEWAY_MAX];
	char *from = NULL;
	bool sent = to && redirect_supported(&in->p, &from) && redirect_applies(to, from, &in->local.addr);

	text_clear(&from);
	if (!sent)
		return false;
	c->counts[IKE_COUNT_REDIRECTS_SENT]++;
	message_refuse_init(c, in, NTF_REDIRECT, data, redirect_data(data, to, &in->p.nonce));
	return true;
}

void init_request_received(struct ike *c, const struct message *in, const struct ike_row *row)
{
	const struct snap_peer *p, *first;
	struct choice choice;
	uint32_t cookie;
	uint8_t group[2];

	if (!c->snap || in->n > KEEPER_MESSAGE_MAX)
		return;
	if (!init_admit(c, in, &cookie) || sent_away(c, in))
		return;
	p = peer_choose(c, in, &choice, &first);
	if (!p) {
		refuse_proposal(c, in, first);
		return;
	}
	if (in->p.ke_group != choice.dh) {
		store_be16(group, choice.dh);
		message_refuse_init(c, in, NTF_INVALID_KE_PAYLOAD, group, 2);
		return;
	}
	if (in->p.ke.n != ke_size(choice.dh)) {
		ike_refuse(c, &in->local, &in->remote, p,
			"malformed KE payload: %zu octets for %s, expected %zu", in->p.ke.n,
			ike_transform_name(TT_DH, choice.dh), ke_size(choice.dh));
		message_refuse_init(c, in, NTF_INVALID_SYNTAX, NULL, 0);
		return;
	}
	/* Not when the answer is there: anybody could make it cost a key exchange. */
	if (transcript_is_offered(&in->p) && !transcript_fits(in->n, response_most(c, &choice))) {
		ike_refuse(c, &in->local, &in->remote, p,
			TRANSCRIPT_TOO_LONG ": %zu octets, and our response has up to %zu; at most %d", in->n,
			response_most(c, &choice), KEEPER_MESSAGE_MAX);
		message_refuse_init(c, in, NTF_INVALID_SYNTAX, NULL, 0);
		return;
	}
	init_spend(c, cookie);
	answer_start(c, in, row, &choice, p);
}

static void answered(struct ike *c, struct ike_sa *sa, struct step *st, const struct keeper_reply *r)
{
	const struct keeper_exchange_answered *a = &r->u.EXCHANGE_ANSWER;
	bool nat_asked = sa->nat_known,
	     hashes_asked = ike_notify_find(&st->in->p, NTF_SIGNATURE_HASH_ALGORITHMS);
	struct ike_out o;

	if (a->rc == RC_OK)
		sa->handle = a->handle;
	if (a->rc != RC_OK || !sa_take_keys(sa, &a->sk_e)) {
		/* A value that is not on the curve or of low order (CVE-2023-41913): the keeper says
		 * which. If the fault is ours the peer gets no response, and retransmits. */
		ike_refuse(c, &sa->local, &sa->remote, NULL, "key exchange: %.200s", a->text);
		if (keeper_rc_blames_peer(a->rc))
			message_refuse_init(c, st->in, NTF_INVALID_SYNTAX, NULL, 0);
		sa_kill(c, sa, "the key exchange failed: %.180s", a->text);
		return;
	}
	assert(!sa->initiator && sa->peer_id == 0);
	sa_set_spi(c, sa, a->ike_spi);
	blob_set(&sa->nonce_r, a->nonce, MIN_OF(a->nonce_n, KEEPER_NONCE_SIZE));
	o = message_begin_response(c, sa);
	ike_out_offer(&o, st->answer);
	ike_out_ke(&o, st->dh, a->ke, MIN_OF(a->ke_n, KEEPER_KE_MAX));
	ike_out_payload(&o, PL_NONCE, sa->nonce_r.at, sa->nonce_r.n);
	certreq_write_all(c, &o);
	if (nat_asked)
		nat_detection_write(&o, sa->spi_i, sa->spi_r, &sa->local, &sa->remote,
			sa->encap && !sa->peer_natted && !sa->we_natted);
	if (hashes_asked)
		signature_hashes_write(&o);
	if (sa->fragments)
		ike_out_notify(&o, NTF_IKEV2_FRAGMENTATION_SUPPORTED, NULL, 0);
	if (sa->ppk_agreed)
		ike_out_notify(&o, NTF_USE_PPK, NULL, 0);
	if (additional_is_due(sa))
		ike_out_notify(&o, NTF_INTERMEDIATE_EXCHANGE_SUPPORTED, NULL, 0);
	ike_out_notify(&o, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH, NULL, 0);
	ike_out_notify(&o, NTF_CHILDLESS_IKEV2_SUPPORTED, NULL, 0);
	sa->peer_id = 1;
	step_done(c, sa, st);
	message_send_response(c, sa, &o);
	blob_set(&sa->init_ours, sa->response.at, sa->response.n);
	assert(!sa->transcript || transcript_fits(sa->init_theirs.n, sa->init_ours.n)); /* response_most() */
}
