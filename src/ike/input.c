/*
 * Datagrams from the network: header, IKE SA, window, decryption, the row of the table. Nothing of the IKE SA
 * changes before the integrity of the message is verified, except in IKE_SA_INIT, which has no protection.
 *
 * What an unauthenticated sender can cause here: a look-up, one decryption under a known SPI, an IKE_SA_INIT
 * within the limits of init.c. RFC 7296 sections 2.1, 2.3, 2.21.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- IKE_SA_INIT ---- */

/* RFC 7296 2.1: a repeated request gets the answer that it got before. */
static bool init_repeated(struct ike *c, const struct message *in)
{
	const struct ike_sa *sa = sa_by_init(c, in);

	if (sa)
		message_send(c, &in->local, &in->remote, &sa->response);
	return sa;
}

static void init_request(struct ike *c, struct message *in)
{
	static const uint8_t none[8];
	const struct ike_row *row;
	struct err e = { 0 };
	enum rc rc;

	if (!(in->h.flags & IKE_FLAG_INITIATOR) || in->h.message_id != 0 || memcmp(in->h.spi_r, none, 8) != 0)
		return;
	if (init_repeated(c, in))
		return;
	rc = ike_payloads_read(
		&in->p, in->h.next_payload, in->bytes + IKE_HEADER_SIZE, in->n - IKE_HEADER_SIZE, false, &e);
	row = rc == RC_OK ? ike_row_find(ST_NONE, in->h.exchange, false, in->p.present) : NULL;
	if (row) {
		init_request_received(c, in, row);
		return;
	}
	ike_refuse(c, &in->local, &in->remote, NULL, "IKE_SA_INIT: %.200s",
		rc != RC_OK ? e.text : "unexpected or missing payloads");
	if (rc == RC_UNSUPPORTED)
		message_refuse_init(c, in, NTF_UNSUPPORTED_CRITICAL_PAYLOAD, &in->p.critical_unknown, 1);
	else
		message_refuse_init(c, in, NTF_INVALID_SYNTAX, NULL, 0);
}

static void init_response(struct ike *c, struct message *in)
{
	struct ike_sa *sa = sa_by_spi(c, true, in->h.spi_i);
	const struct ike_row *row;
	struct step *st;

	if (!sa || (in->h.flags & IKE_FLAG_INITIATOR) || in->h.message_id != 0 ||
		!own_awaits_answer(sa, TASK_INIT) || !addr_equal(&in->remote.addr, &sa->remote.addr))
		return;
	/* Unprotected: what does not parse may be forged, and the true response may still come. */
	if (ike_payloads_read(&in->p, in->h.next_payload, in->bytes + IKE_HEADER_SIZE,
		    in->n - IKE_HEADER_SIZE, false, NULL) != RC_OK)
		return;
	row = ike_row_find(sa->state, in->h.exchange, true, in->p.present);
	if (!row)
		return;
	st = &sa->steps[SIDE_OWN];
	free(st->in);
	st->in = message_copy_plain(in);
	st->row = row;
	st->busy = true;
	sa_touch(c, sa);
	row->handler(c, sa, st);
}

/* ---- protected messages ---- */

/* A request that is authentic but not allowed in this state: RFC 7296 2.21.3, fatal for both sides. */
static void refuse_request(
	struct ike *c, struct ike_sa *sa, enum rc rc, const struct message *in, const char *why)
{
	bool critical = rc == RC_UNSUPPORTED;
	uint8_t type = in->p.critical_unknown;

	ike_refuse(c, &in->local, &in->remote, sa_peer(c, sa), "%s in state '%s': %.200s",
		ike_exchange_name(in->h.exchange) ? ike_exchange_name(in->h.exchange) : "unknown exchange",
		ike_state_text(sa->state), why);
	message_answer_notify(
		c, sa, critical ? NTF_UNSUPPORTED_CRITICAL_PAYLOAD : NTF_INVALID_SYNTAX, &type, critical);
	if (sa->state == ST_AUTH_WAIT)
		sa_fail(c, sa, why);
	else if (!critical)
		sa_kill(c, sa, "the peer sent a malformed request: %s", why);
}

static void handle(struct ike *c, struct ike_sa *sa, struct step *st, uint8_t first)
{
	struct message *in = st->in;
	bool response = in->h.flags & IKE_FLAG_RESPONSE;
	struct err e = { 0 };

	assert(st->busy && st->side == (response ? SIDE_OWN : SIDE_PEER));
	enum rc rc = in->n == SIZE_MAX
			     ? err_add(&e, RC_MALFORMED,
				       "malformed SK payload: the padding is longer than the message")
			     : ike_payloads_read(&in->p, first, in->bytes, in->n, true, &e);

	st->row = rc == RC_OK ? ike_row_find(sa->state, in->h.exchange, response, in->p.present) : NULL;
	if (st->row) {
		st->row->handler(c, sa, st);
		return;
	}
	if (rc == RC_OK)
		err_add(&e, RC_MALFORMED, "unexpected or missing payloads");
	if (!response) {
		refuse_request(c, sa, rc, in, e.text);
	} else if (sa->state == ST_UP || sa->state == ST_REPLACED) {
		own_exchange_done(c, sa);
		sa_close(c, sa, e.text);
	} else {
		sa_kill(c, sa, "malformed response: %s", e.text);
	}
}

/*
 * RFC 7296 2.3: the next request comes after our response to the last one, even where that has to wait for the keeper and
 * its step is free (auth_repeated()). Else a second IKE_AUTH could name another peer than the first, which the IKE SA
 * counts for already.
 */
static bool last_is_answered(const struct ike_sa *sa)
{
	return sa->peer_request.n == 0 || sa->response.n > 0;
}

/*
 * The request that came last, octet by octet. RFC 7383 2.6.1: of one in parts the first is answered, the others are
 * not; its sender may have cut it anew meanwhile (2.5.2), so that this one has to be opened.
 */
static bool repeats_request(struct ike_sa *sa, const struct ike_header *h, const void *bytes, size_t n)
{
	if (sa->peer_request.n == n && memcmp(sa->peer_request.at, bytes, n) == 0)
		return true;
	return sa->fragments && sa->peer_request.n > 0 && h->exchange == sa->peer_request.at[18] &&
	       message_is_cut_anew(sa, h, bytes, n);
}

static bool request_in_window(struct ike *c, struct ike_sa *sa, const struct ike_header *h,
	const struct endpoint *local, const struct endpoint *remote, const void *bytes, size_t n)
{
	if (h->message_id == sa->peer_id - 1 && repeats_request(sa, h, bytes, n)) {
		if (sa->response.n > 0) {
			message_send(c, local, remote, &sa->response);
			if (sa->hold)
				sa->hold->is_response = false;
		} else {
			auth_repeated(c, sa);
		}
		return false;
	}
	return h->message_id == sa->peer_id && !sa->steps[SIDE_PEER].busy && last_is_answered(sa);
}

static bool exchange_fits(const struct ike_sa *sa, const struct ike_header *h)
{
	switch (sa->state) {
	case ST_AUTH_WAIT: /* INFORMATIONAL before IKE_AUTH (CVE-2019-12312) is not even decrypted */
		if (sa->additional_done > 0 && h->exchange == EX_IKE_INTERMEDIATE &&
			h->message_id == sa->peer_id - 1)
			return true; /* the last one again: our response was lost */
		return h->exchange == (additional_is_due(sa) ? EX_IKE_INTERMEDIATE : EX_IKE_AUTH);
	case ST_ADDITIONAL_SENT:
		return h->exchange == EX_IKE_INTERMEDIATE;
	case ST_AUTH_SENT:
		return h->exchange == EX_IKE_AUTH;
	case ST_UP:
	case ST_REPLACED:
	case ST_CLOSING:
		return true;
	default:
		return false;
	}
}

static void protected_message(struct ike *c, const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote, const uint8_t *bytes, size_t n)
{
	bool from_initiator = h->flags & IKE_FLAG_INITIATOR, response = h->flags & IKE_FLAG_RESPONSE;
	struct ike_sa *sa = sa_by_spi(c, !from_initiator, from_initiator ? h->spi_r : h->spi_i);
	struct step *st;
	struct message *in;
	struct ike_view begun;
	uint8_t first = 0;

	if (h->next_payload == PL_NOTIFY) {
		if (ike_payloads_read(&c->scratch_payloads, h->next_payload, bytes + IKE_HEADER_SIZE,
			    n - IKE_HEADER_SIZE, false, NULL) == RC_OK)
			liveness_hint(c, h, remote, &c->scratch_payloads);
		return;
	}
	if (!sa || memcmp(h->spi_i, sa->spi_i, 8) != 0 || memcmp(h->spi_r, sa->spi_r, 8) != 0) {
		crash_answer(c, h, local, remote, n);
		return;
	}
	if (sa->state == ST_FAILED) { /* only repeats its last response */
		request_in_window(c, sa, h, local, remote, bytes, n);
		return;
	}
	if (!exchange_fits(sa, h))
		return;
	if (h->next_payload == PL_SKF && !sa->fragments) {
		ike_refuse(c, local, remote, sa_peer(c, sa),
			"%s in fragments (RFC 7383), which were not negotiated",
			ike_exchange_name(h->exchange) ? ike_exchange_name(h->exchange) : "a message");
		return;
	}
	st = &sa->steps[response ? SIDE_OWN : SIDE_PEER];
	if (response ? h->message_id != sa->own_id || sa->request.n == 0 || st->busy ||
				st->task == TASK_NONE || h->exchange != sa->request.at[18]
		     : !request_in_window(c, sa, h, local, remote, bytes, n))
		return;
	in = message_open(c, sa, st->side, h, local, remote, bytes, n, &first, &begun);
	if (!in)
		return;
	sa->heard_at = c->now;
	sa->want_dpd = sa->doubted = false;
	sa->local_gone_at = 0;
	sa_touch(c, sa);
	free(st->in);
	st->in = in;
	st->busy = true;
	assert(h->message_id == (response ? sa->own_id : sa->peer_id)); /* windows of one */
	if (response) {
		sa->own_id++;
		sa->again_at = 0;
		blob_free(&sa->request);
	} else {
		sa->peer_id++;
		LIST_FOR_SAFE (struct child_sa, ch, after, &sa->unsure, unsure)
			child_confirm(c, ch); /* the peer continued after our response */
		blob_set(&sa->peer_request, begun.at, begun.n);
		if (sa->hold)
			sa->hold->is_response = false;
		blob_free(&sa->response);
	}
	gathered_free(&sa->gathered[st->side]);
	sa_heard_from(c, sa, in);
	handle(c, sa, st, first);
}

static void wrong_version(struct ike *c, const struct ike_header *h, const struct endpoint *local,
	const struct endpoint *remote)
{
	struct message in = { .h = *h, .local = *local, .remote = *remote };

	ike_refuse(c, local, remote, NULL, "IKE version %u.%u: only 2.0 is supported", h->version >> 4,
		h->version & 15);
	/* RFC 7296 2.5: "SHOULD drop the message and MAY send a notification" for a higher version; a
	 * response to a response would never end. */
	if (h->version >> 4 > 2 && !(h->flags & IKE_FLAG_RESPONSE))
		message_refuse_init(c, &in, NTF_INVALID_MAJOR_VERSION, NULL, 0);
}

static void datagram(struct ike *c, const struct endpoint *local, const struct endpoint *remote,
	const void *bytes, size_t n)
{
	struct ike_header h;
	struct message *in;
	enum rc rc;

	rc = ike_header_read(&h, bytes, n, NULL);
	if (rc == RC_UNSUPPORTED)
		wrong_version(c, &h, local, remote);
	if (rc != RC_OK)
		return;
	if (n > IKE_MESSAGE_MAX) {
		ike_refuse(c, local, remote, NULL, "message of %zu octets: at most %d are allowed", n,
			IKE_MESSAGE_MAX);
		return;
	}
	if (h.exchange != EX_IKE_SA_INIT) {
		protected_message(c, &h, local, remote, bytes, n);
		return;
	}
	in = message_new(&h, local, remote, bytes, n);
	if (h.flags & IKE_FLAG_RESPONSE)
		init_response(c, in);
	else
		init_request(c, in);
	free(in);
}

void ike_input_datagram(struct ike *c, mono_ns now, const struct endpoint *local,
	const struct endpoint *remote, const void *bytes, size_t n)
{
	c->now = now;
	if (remote->port == 0 || remote->addr.family == ADDR_NONE)
		return;
	datagram(c, local, remote, bytes, n);
	sa_settle_all(c);
}
