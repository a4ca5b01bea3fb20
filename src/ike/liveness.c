/*
 * Whether the peer still has an IKE SA, where something other than its silence makes that doubtful (RFC 7296
 * section 2.4): INITIAL_CONTACT, a second IKE SA, or an unprotected notify about an unknown SPI. The first
 * ends the older IKE SAs, the second has them checked with few retransmissions, the third only has them
 * checked, unless the peer's token is in it. And whether we still have the address that it was made with.
 */
#include "ike/internal.h"

/*
 * 2.4: the peer has lost its state. That concerns only what was established before the IKE_SA_INIT: not an
 * IKE SA that was made meanwhile, since the peer checked its own list after that.
 */
static struct ike_sa *left_over(const struct ike *c, const struct ike_sa *sa, mono_ns asked_at)
{
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other != sa && other->since <= asked_at && sa_same_user(c, sa, other) &&
			(other->state == ST_UP || other->state == ST_REPLACED || other->state == ST_CLOSING))
			return other;
	return NULL;
}

/*
 * A request that is under way already serves as the check; its retransmissions are counted again from zero. A
 * response, or any other message protected by the peer, ends the doubt (input.c). Its ESP does not: the data
 * plane of a peer may outlive its IKE.
 */
static void ask_soon(struct ike *c, struct ike_sa *sa)
{
	sa->doubted = true;
	if (sa->steps[SIDE_OWN].task == TASK_NONE)
		sa->want_dpd = true;
	else
		own_tries_restart(c, sa);
	sa_touch(c, sa);
}

void liveness_second(struct ike *c, struct ike_sa *fresh, bool initial_contact, mono_ns asked_at)
{
	struct ike_sa *other;

	while (initial_contact && (other = left_over(c, fresh, asked_at)) != NULL)
		sa_kill(c, other, "the peer restarted (INITIAL_CONTACT)");
	if (initial_contact || fresh->initiator)
		return; /* one that we began shows nothing about the older ones */
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, fresh->peer)->sas, of_peer)
		if (sa != fresh && sa->state == ST_UP && !sa->want_delete && sa_same_user(c, sa, fresh))
			ask_soon(c, sa);
}

/* A request of ours that is under way is a check already. */
bool liveness_ask(struct ike *c, struct ike_sa *sa)
{
	if (sa->state != ST_UP || sa->steps[SIDE_OWN].task != TASK_NONE || c->now < sa->hints_from)
		return false;
	sa->hints_from = c->now + IKE_HINT_EVERY_S * NS_PER_S;
	sa->want_dpd = true;
	sa_touch(c, sa);
	return true;
}

/* 1.5, about ESP: "a one-way message", whose IKE SPIs have no meaning. The data is the SPI that we sent
 * to. */
static void hint_of_esp(struct ike *c, const struct endpoint *remote, const struct ike_notify *v)
{
	struct child_sa *ch =
		v && v->data.n == 4 ? child_any_by_out(c, &remote->addr, load_be32(v->data.at)) : NULL;

	if (ch)
		liveness_ask(c, ch->sa);
}

/*
 * 2.4: "an endpoint MUST NOT conclude that the other endpoint has failed based on ... IKE messages that
 * arrive without cryptographic protection (e.g., Notify messages complaining about unknown SPIs)": whoever
 * sees our packets can forge them, unless they have the token that only the
 * peer can make (crash.c). 2.21.4: the SPIs are those of the request; the initiator flag is not
 * reliable.
 */
void liveness_hint(struct ike *c, const struct ike_header *h, const struct endpoint *remote,
	const struct ike_payloads *p)
{
	struct ike_sa *sa;

	if (p->present != IKE_HAS(NOTIFY))
		return;
	if (!(h->flags & IKE_FLAG_RESPONSE)) {
		hint_of_esp(c, remote, ike_notify_find(p, NTF_INVALID_SPI));
		return;
	}
	sa = sa_by_spi(c, true, h->spi_i);
	if (!sa)
		sa = sa_by_spi(c, false, h->spi_r);
	if (!sa || memcmp(h->spi_i, sa->spi_i, 8) != 0 || memcmp(h->spi_r, sa->spi_r, 8) != 0 ||
		!addr_equal(&remote->addr, &sa->remote.addr) || !ike_notify_find(p, NTF_INVALID_IKE_SPI))
		return;
	if ((sa->state == ST_UP || sa->state == ST_REPLACED || sa->state == ST_CLOSING) &&
		crash_is_proved(sa, p))
		sa_kill(c, sa, "the peer has lost it, which its token proves (RFC 6290)");
	else
		liveness_ask(c, sa);
}

/* ---- our own address ---- */

/* A new IKE SA would have another local address. A configured one can only be waited for. */
static bool may_begin_elsewhere(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p && p->local.family == ADDR_NONE && !peer_initiate_obstacle(p) &&
	       p->start != PEER_START_NEVER;
}

/*
 * As the data plane reports with the usage of its child SAs, once a second. Nothing that is sent from this
 * address leaves, nothing that is sent to it arrives: the peer cannot even be asked to delete the IKE SA. It
 * learns of the end by INITIAL_CONTACT of the next one.
 */
void liveness_local_gone(struct ike *c, struct ike_sa *sa)
{
	char text[ADDR_TEXT_MAX];

	if (sa->local_gone_at == 0)
		sa->local_gone_at = c->now;
	else if (c->now >= sa->local_gone_at + IKE_LOCAL_GONE_MS * NS_PER_MS && may_begin_elsewhere(c, sa))
		sa_kill(c, sa, "our address %s is gone, or its link is down",
			addr_text(text, &sa->local.addr));
}
