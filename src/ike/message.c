/*
 * Messages: copied, built, sent, repeated. Windows are of one message in each direction (RFC 7296
 * section 2.3). A request is repeated octet by octet until its answer comes (2.1), an answer whenever its
 * request comes again (input.c).
 */
#include "ike/internal.h"

#include <assert.h>

static struct ike_out begin(struct ike *c, struct ike_sa *sa, uint8_t exchange, bool response, uint32_t id)
{
	struct ike_header h = { .version = 0x20, .exchange = exchange, .message_id = id };
	struct ike_out o;

	assert(exchange == EX_IKE_SA_INIT || sa->key_out.encr != 0);
	memcpy(h.spi_i, sa->spi_i, 8);
	memcpy(h.spi_r, sa->spi_r, 8);
	h.flags = (sa->initiator ? IKE_FLAG_INITIATOR : 0) | (response ? IKE_FLAG_RESPONSE : 0);
	o = ike_out_begin(c->scratch, sizeof c->scratch, &h);
	o.block_n = encr_block_size(sa->key_out.encr);
	if (exchange != EX_IKE_SA_INIT)
		ike_out_sk_begin(&o, encr_iv_size(sa->key_out.encr));
	return o;
}

struct ike_out message_begin_request(struct ike *c, struct ike_sa *sa, uint8_t exchange)
{
	/* The window of one: no other request waits for its response; IKE_SA_INIT is repeated with a
	 * cookie. */
	assert(sa->steps[SIDE_OWN].task != TASK_NONE);
	assert(exchange == EX_IKE_SA_INIT || sa->request.n == 0);
	return begin(c, sa, exchange, false, sa->own_id);
}

struct ike_out message_begin_response(struct ike *c, struct ike_sa *sa)
{
	const struct message *in = sa->steps[SIDE_PEER].in;

	assert(in && !(in->h.flags & IKE_FLAG_RESPONSE) && sa->response.n == 0);
	return begin(c, sa, in->h.exchange, true, in->h.message_id);
}

static mono_ns retransmit_time(struct ike *c, unsigned tries)
{
	uint64_t ms = MIN_OF(
		(uint64_t)IKE_RETRANSMIT_FIRST_MS << MIN_OF(tries, 16u), (uint64_t)IKE_RETRANSMIT_MAX_MS);

	return c->now +
	       ms * NS_PER_MS / 1000 * ike_jitter(c, IKE_RETRANSMIT_JITTER_FROM, IKE_RETRANSMIT_JITTER_TO);
}

/* To both endpoints while the peer's is being probed (follow.c). */
static void request_send(struct ike *c, const struct ike_sa *sa)
{
	assert(sa->request.n > 0);
	message_send(c, &sa->local, &sa->remote, &sa->request);
	if (sa->elsewhere.port != 0)
		message_send(c, &sa->local, &sa->elsewhere, &sa->request);
}

void message_send_request(struct ike *c, struct ike_sa *sa, struct ike_out *o)
{
	if (!message_seal(c, sa, o, &sa->request)) {
		sa_kill(c, sa, "a message could not be built");
		return;
	}
	sa->steps[SIDE_OWN].busy = false;
	sa->tries = 0;
	sa->asked_at = c->now;
	sa->again_at = retransmit_time(c, 0);
	request_send(c, sa);
	sa_touch(c, sa);
}

void message_send_response(struct ike *c, struct ike_sa *sa, struct ike_out *o)
{
	struct step *st = &sa->steps[SIDE_PEER];

	assert(st->in && sa->response.n == 0); /* one response to each request */
	if (!message_seal(c, sa, o, &sa->response)) {
		sa_kill(c, sa, "a message could not be built");
		return;
	}
	/* RFC 7296 2.11: to where the request came from. */
	if (sa->hold) {
		sa->hold->is_response = true;
		sa->hold->local = st->in->local;
		sa->hold->remote = st->in->remote;
	} else {
		message_send(c, &st->in->local, &st->in->remote, &sa->response);
	}
	step_reset(c, sa, st);
	sa_touch(c, sa);
}

void message_answer_notify(struct ike *c, struct ike_sa *sa, uint16_t type, const void *data, size_t n)
{
	struct ike_out o = message_begin_response(c, sa);

	ike_out_notify(&o, type, data, n);
	message_send_response(c, sa, &o);
}

void message_refuse_init(struct ike *c, const struct message *in, uint16_t type, const void *data, size_t n)
{
	struct ike_header h = in->h;
	struct ike_out o;

	h.version = 0x20;
	h.flags = IKE_FLAG_RESPONSE;
	o = ike_out_begin(c->scratch, sizeof c->scratch, &h);
	ike_out_notify(&o, type, data, n);
	ike_send(c, &in->local, &in->remote, c->scratch, ike_out_end(&o));
}

void own_exchange_done(struct ike *c, struct ike_sa *sa)
{
	step_reset(c, sa, &sa->steps[SIDE_OWN]);
	blob_free(&sa->request);
	sa->again_at = sa->give_up_at = 0;
	sa_touch(c, sa);
}

bool own_awaits_answer(const struct ike_sa *sa, enum ike_task task)
{
	return sa->steps[SIDE_OWN].task == task && sa->request.n > 0 && !sa->steps[SIDE_OWN].busy;
}

/*
 * The peer may not have our response yet that made its newer one, or child SAs are being made there, perhaps in several exchanges: this one carries
 * their traffic so long, and is not given up for it. (sa->doubted)
 */
static bool newer_is_unfinished(const struct ike *c, const struct ike_sa *sa)
{
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer) {
		bool makes_child = own_makes_child(&other->steps[SIDE_OWN]) ||
				   (other->followup && other->followup->child);

		if (other != sa && other->state == ST_UP && (makes_child || !list_empty(&other->unsure)) &&
			other->authenticated.since > sa->authenticated.since && sa_same_user(c, other, sa))
			return true;
	}
	return false;
}

/*
 * 2.4: "receipt of a fresh cryptographically protected message on an IKE SA or any of its Child SAs ensures
 * liveness": as long as such messages come, a missing response shows a bad network, not a dead peer.
 */
static unsigned tries_most(const struct ike *c, const struct ike_sa *sa)
{
	bool alive = sa->heard_at > sa->asked_at && c->now < sa->heard_at + IKE_ALIVE_S * NS_PER_S;

	/* Its ESP proves nothing: the data plane of a peer may outlive its IKE. */
	if (sa->doubted && !newer_is_unfinished(c, sa))
		return IKE_RETRANSMITS_DOUBTED;
	if (sa->state == ST_INIT_SENT &&
		(sa->redirected_from || named_has_others(c, sa->peer, &sa->remote.addr)))
		return IKE_RETRANSMITS_DOUBTED; /* they are tried in turn, and the configured one again */
	return sa->state == ST_UP && alive ? IKE_RETRANSMITS_ALIVE : IKE_RETRANSMITS;
}

void own_retransmit(struct ike *c, struct ike_sa *sa)
{
	char to[ENDPOINT_TEXT_MAX];

	sa->again_at = 0;
	if (sa->request.n == 0 || sa->state == ST_DEAD)
		return;
	assert(sa->steps[SIDE_OWN].task != TASK_NONE);
	if (++sa->tries > tries_most(c, sa)) {
		sa_kill(c, sa, "no answer from %s to %s%s", endpoint_text(to, &sa->remote),
			ike_exchange_name(sa->request.at[18]),
			sa->doubted ? ", and the peer has made another IKE SA" : "");
		return;
	}
	sa->again_at = retransmit_time(c, sa->tries);
	if (sa->tries >= IKE_UNANSWERED_TRIES)
		sa_unanswered(c, sa);
	request_send(c, sa);
}

void own_tries_restart(struct ike *c, struct ike_sa *sa)
{
	if (sa->again_at == 0)
		return; /* it has not been sent yet, or is answered */
	assert(sa->request.n > 0);
	sa->tries = 0;
	sa->again_at = retransmit_time(c, 0);
	sa_touch(c, sa); /* it is sooner than what was scheduled */
}
