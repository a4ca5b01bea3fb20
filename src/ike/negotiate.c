/*
 * The negotiation of a child SA, in IKE_AUTH and CREATE_CHILD_SA alike: whether the peer's response matches
 * our request, and what its request is refused with.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

/* A template's tunnel: what of these selectors of the peer's side is the tunnel's is another identity's. */
static bool is_anothers(
	struct ike *c, const struct ike_sa *sa, uint32_t tunnel, const struct ike_selectors *asked)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);
	struct selector list[SELECTORS_MAX];
	char id[KEEPER_ID_MAX], range[RANGE_TEXT_MAX];
	const struct child_sa *other;
	struct ip_range what;

	if (!peer_is_template(c, sa->peer))
		return false;
	other = instance_with_address(c, sa, tunnel, list, tunnel_remote_part(c, tunnel, asked, list), &what);
	if (!other)
		return false;
	ike_id_text(id, sizeof id, other->sa->user.at, other->sa->user.n);
	ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa),
		"child SA for tunnel %s: %s is in use by '%.120s': an address belongs to one identity at a time",
		t->name, range_text(range, &what), id);
	peer_entry(c, sa->peer)->claims_refused++;
	return true;
}

bool child_answer_fits(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	bool with_dh, struct err *ret_why)
{
	const struct snap_tunnel *t = tunnel_config(c, st->tunnel);
	struct child_sa *ch = st->child;
	struct choice choice;

	assert(ch && ch->sa == sa && ch->state == CH_LARVAL);
	if (!t || !offer_is_single(&p->sa) || !proposals_choose_esp(c, t, &p->sa, with_dh, &choice)) {
		err_add(ret_why, RC_MALFORMED, "the peer's response chose a proposal that was not offered");
		return false;
	}
	if (child_spi_taken(c, sa, load_be32(choice.spi.at))) {
		err_add(ret_why, RC_MALFORMED,
			"the peer's response has SPI %08x, which is in use by another child SA",
			load_be32(choice.spi.at));
		return false;
	}
	child_take_choice(c, ch, &choice);
	/* As initiator we are TSi. */
	if (p->tsi.n == 0 || p->tsr.n == 0 || p->tsi.n > SELECTORS_MAX + 1 || p->tsr.n > SELECTORS_MAX + 1 ||
		!selectors_within(p->tsi.list, p->tsi.n, tunnel_locals(c, t), t->local.count) ||
		!selectors_within(p->tsr.list, p->tsr.n, tunnel_remotes(c, t), t->remote.count)) {
		err_add(ret_why, RC_MALFORMED,
			"the peer's response has traffic selectors outside of the tunnel's");
		return false;
	}
	if (is_anothers(c, sa, st->tunnel, &p->tsr)) {
		err_add(ret_why, RC_MALFORMED,
			"the peer's response has an address that is another identity's");
		return false;
	}
	if (choice.dh != DH_NONE && (choice.dh != st->dh || !(p->present & IKE_HAS(KE)) ||
					    p->ke_group != st->dh || p->ke.n > KEEPER_KE_MAX)) {
		err_add(ret_why, RC_MALFORMED,
			"the peer's response has no KE payload of the group that it chose");
		return false;
	}
	/* Without those that are inside another one, as the packet's own that we offered first. */
	return child_narrow(c, ch, &p->tsr, &p->tsi);
}

static void refuse_selectors(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	struct ike_refusal *r = ike_refuse(c, &sa->local, &sa->remote, sa_peer(c, sa),
		"child SA: no tunnel of this peer has these traffic selectors");
	char a[400], b[400];

	if (r)
		snprintf(r->offered, sizeof r->offered, "theirs %s, ours %s",
			selectors_text(a, sizeof a, p->tsi.list, p->tsi.n),
			selectors_text(b, sizeof b, p->tsr.list, p->tsr.n));
}

/* Which notify refuses the child that the peer wants, or 0. Fills in st->tunnel and ret_choice. */
uint16_t child_refusal(
	struct ike *c, struct ike_sa *sa, struct step *st, bool with_dh, struct choice *ret_choice)
{
	const struct ike_payloads *p = &st->in->p;
	const struct snap_tunnel *t;
	struct ike_refusal *r;
	struct ike_offer ours;
	char why[128];

	assert(!st->child);
	if (st->tunnel == INDEX_NONE)
		st->tunnel = child_tunnel_for(c, sa->peer, &p->tsi, &p->tsr);
	t = tunnel_config(c, st->tunnel);
	if (!t) {
		refuse_selectors(c, sa, p);
		return NTF_TS_UNACCEPTABLE;
	}
	if (!child_room(c, sa, st->tunnel,
		    st->old_spi_in != 0 ? CHILD_REKEYED
		    : with_dh		? CHILD_ANOTHER
					: CHILD_OF_AUTH))
		return NTF_NO_ADDITIONAL_SAS;
	if (is_anothers(c, sa, st->tunnel, &p->tsi))
		return NTF_TS_UNACCEPTABLE;
	offer_make_esp(c, t, 0, with_dh, &ours);
	if (proposals_choose_esp(c, t, &p->sa, with_dh, ret_choice)) {
		if (!child_spi_taken(c, sa, load_be32(ret_choice->spi.at)))
			return 0;
		snprintf(why, sizeof why, "SPI %08x is in use by another child SA",
			load_be32(ret_choice->spi.at));
	} else {
		offer_explain(why, sizeof why, &p->sa, &ours);
	}
	r = ike_refuse(
		c, &sa->local, &sa->remote, sa_peer(c, sa), "child SA for tunnel %s: %s", t->name, why);
	if (r) {
		ike_offer_text(r->offered, sizeof r->offered, &p->sa);
		ike_offer_text(r->configured, sizeof r->configured, &ours);
	}
	return NTF_NO_PROPOSAL_CHOSEN;
}
