/*
 * INFORMATIONAL in both roles (RFC 7296 sections 1.4, 1.4.1, 2.4): deleting IKE and child SAs, asking whether
 * the peer lives, words between the ledgers (words.c). Crossing deletes: 2.25.1, 2.25.2.
 */
#include "ike/internal.h"

#include <stdio.h>

/* ---- our request ---- */

void info_start(struct ike *c, struct ike_sa *sa, enum ike_task task, struct child *ch)
{
	struct step *st = &sa->steps[SIDE_OWN];
	struct ike_out o;

	st->task = task;
	sa->want_dpd = false;
	if (task == TASK_IKE_DELETE)
		sa_enter(c, sa, ST_CLOSING);
	o = out_request(c, sa, EX_INFORMATIONAL);
	if (task == TASK_IKE_DELETE) {
		if (sa->delete_notify)
			ike_out_notify(&o, sa->delete_notify, NULL, 0);
		ike_out_delete_ike(&o);
	} else if (task == TASK_CHILD_DELETE) {
		/* 1.4.1: the SPIs are those of the SAs on which the sender receives. */
		ike_out_delete_esp(&o, &ch->spi_in, 1);
		ch->delete_sent = true;
		child_hand_over(c, ch); /* the peer takes it away while our next packets are on their way */
		st->old_spi_in = ch->spi_in;
	} else if (task == TASK_WORD) {
		words_out(sa, &o);
	}
	out_send_request(c, sa, &o);
}

void on_info_response(struct ike *c, struct ike_sa *sa, struct step *st)
{
	enum ike_task task = st->task;
	struct child *ch = child_by_in(sa, st->old_spi_in);
	const struct ike_notify *v = ike_notify_error(&st->in->p);
	uint16_t error = v ? v->type : 0;

	if (task == TASK_IKE_DELETE) {
		sa_kill(c, sa, "%s", sa->reason);
		return;
	}
	own_done(c, sa);
	if (task == TASK_CHILD_DELETE && ch)
		child_gone(c, sa, ch, "deleted");
	if (error == NTF_INVALID_SYNTAX) /* 2.21.3: fatal for both */
		sa_kill(c, sa, "the peer held our request for malformed");
}

/* ---- the peer's request ---- */

static bool child_is_made(const struct step *own)
{
	return own->task == TASK_CHILD_NEW || own->task == TASK_CHILD_REKEY;
}

/* Adds the SPIs of our half of each pair to ret_spis. Returns their number. */
static size_t delete_children(
	struct ike *c, struct ike_sa *sa, const struct ike_delete *d, uint32_t *ret_spis)
{
	struct rd r = rd_over(d->spis, (size_t)d->spis_n * 4);
	struct step *own = &sa->steps[SIDE_OWN];
	size_t n = 0;

	for (unsigned i = 0; i < d->spis_n; i++) {
		uint32_t spi = rd_u32(&r);
		struct child *ch = child_by_out(sa, spi), *early = child_being_installed(sa, spi);

		if (early) {
			early->deleted_early = true;
			ret_spis[n++] = early->spi_in;
		} else if (!ch && child_is_made(own) && own->dead_spis_n < IKE_DEAD_SPIS_MAX) {
			own->dead_spis[own->dead_spis_n++] =
				spi; /* perhaps of an answer that was lost on its way */
		}
		if (!ch)
			continue;
		/* 2.25.1: "If a peer receives a request to delete a Child SA that it is currently trying to
		 * close, it SHOULD reply without a Delete payload." */
		if (ch->state != CH_CLOSING || !ch->delete_sent)
			ret_spis[n++] = ch->spi_in;
		child_gone(c, sa, ch, "deleted by the peer");
	}
	return n;
}

static bool ends_ike(const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->deletes_n; i++)
		if (p->deletes[i].protocol == IKE_PROTO_IKE)
			return true;
	return false;
}

/* 2.21.2: an initiator that does not accept the responder says so here. */
static uint16_t fatal_notify(const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_error(p);

	return v && (v->type == NTF_AUTHENTICATION_FAILED || v->type == NTF_INVALID_SYNTAX) ? v->type : 0;
}

void on_info_request(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_payloads *p = &st->in->p;
	const struct step *own = &sa->steps[SIDE_OWN];
	uint32_t spis[IKE_DELETES_MAX * IKE_DELETE_SPIS_MAX];
	uint16_t fatal = fatal_notify(p);
	bool ends = ends_ike(p);
	char text[80], name[48];
	size_t n = 0;
	struct ike_out o;

	/* The peer has our heir already, while its keys are still being made here: that heir is wanted or to
	 * be deleted, but not to be forgotten. rekey.c comes back. */
	st->deferred = ends && own->task == TASK_IKE_REKEY && own->in;
	if (st->deferred)
		return;
	if (ends || fatal) {
		o = out_response(c, sa);
		out_send_response(c, sa, &o);
		snprintf(text, sizeof text, fatal ? "the peer refused us with %s" : "deleted by the peer",
			ike_notify_text(name, sizeof name, fatal));
		sa_fail(c, sa, text);
		return;
	}
	rekey_settle_to(c, sa);
	words_in(c, sa, p);
	for (unsigned i = 0; i < p->deletes_n; i++)
		if (p->deletes[i].protocol == IKE_PROTO_ESP && p->deletes[i].spis)
			n += delete_children(c, sa, &p->deletes[i], spis + n);
	o = out_response(c, sa);
	if (n > 0)
		ike_out_delete_esp(&o, spis, n);
	out_send_response(c, sa, &o);
}
