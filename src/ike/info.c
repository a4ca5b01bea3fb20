/*
 * INFORMATIONAL in both roles (RFC 7296 sections 1.4, 1.4.1, 2.4): deleting IKE and child SAs, asking whether
 * the peer is alive, messages between the ledgers (peer_message.c), our token of an IKE SA that our
 * rekey made (crash.c). Crossing deletes: 2.25.1, 2.25.2.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

/* ---- our request ---- */

void info_start(struct ike *c, struct ike_sa *sa, enum ike_task task, struct child_sa *ch)
{
	struct step *st = &sa->steps[SIDE_OWN];
	struct ike_out o;

	assert(st->task == TASK_NONE && (task == TASK_CHILD_DELETE) == (ch != NULL));
	st->task = task;
	sa->want_dpd = false;
	if (task == TASK_IKE_DELETE)
		sa_enter(c, sa, ST_CLOSING);
	o = message_begin_request(c, sa, EX_INFORMATIONAL);
	if (task == TASK_IKE_DELETE) {
		if (sa->delete_notify)
			ike_out_notify(&o, sa->delete_notify, NULL, 0);
		ike_out_delete_ike(&o);
	} else if (task == TASK_CHILD_DELETE) {
		/* 1.4.1: the SPIs are those of the SAs on which the sender receives. */
		ike_out_delete_esp(&o, &ch->spi_in, 1);
		ch->delete_sent = true;
		child_changed(c, ch);
		child_hand_over(c, ch); /* the peer removes it while our next packets are in flight */
		st->old_spi_in = ch->spi_in;
	} else if (task == TASK_PEER_MESSAGE) {
		peer_messages_out(sa, &o);
	} else if (task == TASK_TOKEN) {
		sa->want_token = false;
		crash_token_write(c, sa, &o);
	} else if (task == TASK_LIFETIME) {
		sa->want_lifetime = false;
		lifetime_write(c, sa, &o);
	} else if (task == TASK_REDIRECT) {
		ike_out_notify(&o, NTF_REDIRECT, sa->send_to.at, sa->send_to.n);
		blob_free(&sa->send_to);
		sa->leaves_at = c->now + IKE_REDIRECTED_S * NS_PER_S;
		c->counts[IKE_COUNT_REDIRECTS_SENT]++;
	}
	message_send_request(c, sa, &o);
}

void on_info_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	enum ike_task task = st->task;
	struct child_sa *ch = child_by_in(c, sa, st->old_spi_in);
	const struct ike_notify *v = ike_notify_error(&st->in->p);
	uint16_t error = v ? v->type : 0;

	if (task == TASK_IKE_DELETE) {
		sa_kill(c, sa, "%s", text_of(sa->reason));
		return;
	}
	own_exchange_done(c, sa);
	if (task == TASK_CHILD_DELETE && ch)
		child_gone(c, sa, ch, "deleted");
	if (error == NTF_INVALID_SYNTAX) /* 2.21.3: fatal for both */
		sa_kill(c, sa, "the peer answered INVALID_SYNTAX");
}

/* ---- the peer's request ---- */

/* The SPI of no child SA here: perhaps that of a response that was lost. */
static void remember_dead(struct step *own, uint32_t spi)
{
	assert(own->dead_spis_n <= IKE_DEAD_SPIS_MAX);
	for (uint32_t i = 0; i < own->dead_spis_n; i++)
		if (own->dead_spis[i] == spi)
			return;
	if (own_makes_child(own) && own->dead_spis_n < IKE_DEAD_SPIS_MAX)
		own->dead_spis[own->dead_spis_n++] = spi;
}

/* Writes the SPI of our half of the pair, if the response must have it. */
static void delete_child(struct ike *c, struct ike_sa *sa, uint32_t spi, struct ike_out *o)
{
	struct child_sa *ch = child_by_out(c, sa, spi), *early = child_being_installed(c, sa, spi);
	uint32_t tunnel;

	assert(!ch || !early);
	if (early && !early->deleted_early) {
		early->deleted_early = true;
		ike_out_delete_esp_add(o, early->spi_in);
	}
	if (!ch) {
		if (!early)
			remember_dead(&sa->steps[SIDE_OWN], spi);
		return;
	}
	/* 2.25.1: "If a peer receives a request to delete a Child SA that it is currently trying to close, it
	 * SHOULD reply without a Delete payload." */
	if (ch->state != CH_CLOSING || !ch->delete_sent)
		ike_out_delete_esp_add(o, ch->spi_in);
	tunnel = ch->tunnel;
	child_gone(c, sa, ch, "deleted by the peer");
	tunnel_unwanted(c, tunnel, "the peer deleted its child SA");
}

static void delete_children(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p, struct ike_out *o)
{
	struct ike_walk at = ike_walk_over(p);
	struct ike_delete d;

	while (ike_delete_next(&at, &d)) {
		if (d.protocol != IKE_PROTO_ESP || !d.spis)
			continue;
		struct rd spis = rd_over(d.spis, (size_t)d.spis_n * d.spi_size);

		while (rd_left(&spis) > 0)
			delete_child(c, sa, rd_u32(&spis), o);
	}
	ike_out_delete_esp_end(o);
}

static bool ends_ike(const struct ike_payloads *p)
{
	struct ike_walk at = ike_walk_over(p);
	struct ike_delete d;

	while (ike_delete_next(&at, &d))
		if (d.protocol == IKE_PROTO_IKE)
			return true;
	return false;
}

/* 2.21.2: so an initiator reports that it does not accept the responder. */
static uint16_t fatal_notify(const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_error(p);

	return v && (v->type == NTF_AUTHENTICATION_FAILED || v->type == NTF_INVALID_SYNTAX) ? v->type : 0;
}

/*
 * RFC 5685 section 5: the gateway sends us away. Make before break, as it lets us: what stands here stays until the other one has taken its place,
 * and where that cannot be made nothing is lost before the gateway ends it.
 */
static void sent_away(struct ike *c, struct ike_sa *sa, const struct message *in)
{
	char why[IKE_REASON_MAX];
	enum redirected sent = sa->redirected ? REDIRECTED_NOT : redirect_read(c, sa, in, NULL, why);

	if (sent == REDIRECTED_NOT)
		return;
	if (sent == REDIRECTED_NOWHERE || !redirect_follow(c, sa, true, why)) {
		ike_log(c, true, "peer %s: %s: not followed", sa_peer_name(c, sa), why);
		return;
	}
	sa->redirected = true;
	sa_move(c, sa, why);
}

void on_info_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct step *own = &sa->steps[SIDE_OWN];
	uint16_t fatal = fatal_notify(p);
	bool ends = ends_ike(p);
	char text[80], name[48];
	struct ike_out o;

	/* The peer already has the successor that our rekey makes, while its keys are still being derived
	 * here: we must take it over, or delete it, but not forget it. rekey_finished() continues with
	 * this request. */
	st->deferred = ends && own->task == TASK_IKE_REKEY && own->in;
	if (st->deferred)
		return;
	if (ends || fatal) {
		o = message_begin_response(c, sa);
		hold_begin(c, sa);
		message_send_response(c, sa, &o);
		snprintf(text, sizeof text,
			fatal			  ? "the peer ended the IKE SA with %s"
			: reauth_has_newer(c, sa) ? "deleted by the peer, which has made a newer one"
						  : "deleted by the peer",
			ike_notify_text(name, sizeof name, fatal));
		sa_fail(c, sa, text);
		return;
	}
	rekey_settle_to(c, sa);
	peer_messages_in(c, sa, p);
	crash_token_read(sa, p);
	lifetime_read(c, sa, p);
	sent_away(c, sa, st->in);
	o = message_begin_response(c, sa);
	if (p->present & IKE_HAS(DELETE))
		hold_begin(c, sa);
	delete_children(c, sa, p, &o);
	message_send_response(c, sa, &o);
}
