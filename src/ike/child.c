/*
 * A child SA's life: made, installed, replaced, deleted. The exchange that makes one stands in create.c.
 *
 * Make before break: an old child stays until the new one carries the traffic, and its inbound half a little
 * longer. Of two children of one tunnel with the same selectors, made at the same time by both sides, the one
 * with the lowest nonce is deleted by whoever began it (RFC 7296 section 2.8.1); both sides come to the same
 * verdict alone.
 */
#include "ike/internal.h"

#include <stdio.h>
#include <stdlib.h>

struct child_sa *child_new(struct ike *c, struct ike_sa *sa, uint32_t tunnel, bool ours)
{
	struct child_sa *ch = ike_alloc(sizeof *ch);

	ch->sa = sa;
	ch->tunnel = tunnel;
	ch->ours = ch->confirmed = ours;
	ch->since = c->now;
	ch->due.kind = DUE_CHILD;
	link_behind(&sa->children, &ch->of_sa);
	sa->children_n++;
	child_join_tunnel(c, ch);
	return ch;
}

void child_set_id(struct ike *c, struct child_sa *ch, const struct keeper_child_begun *b)
{
	ch->handle = b->child;
	child_set_in(c, ch, b->spi_in);
}

void child_unlink(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	child_set_state(c, ch, CH_LINGER); /* counted as such for the last time */
	tunnel_touch(c, ch->tunnel);
	child_leave_tunnel(c, ch);
	due_set(c, &ch->due, 0);
	link_out(&ch->of_sa);
	link_out(&ch->of_in);
	link_out(&ch->of_out);
	link_out(&ch->wanting);
	link_out(&ch->unsure);
	sa->children_n--;
	free(ch);
	sa_touch(c, sa);
}

static void link_if(bool wanted, struct link *head, struct link *l)
{
	if (!wanted)
		link_out(l);
	else if (!link_used(l))
		link_last(head, l);
}

void child_changed(struct ike *c, struct child_sa *ch)
{
	bool up = ch->state == CH_UP, here = ch->state != CH_LARVAL && ch->state != CH_LINGER;
	mono_ns at = due_sooner(c, due_sooner(c, 0, ch->remove_at), ch->activate_at);

	if (up)
		at = due_sooner(c, due_sooner(c, at, ch->rekey_at), ch->doubt_at);
	if (up || ch->state == CH_REPLACED)
		at = due_sooner(c, at, ch->expire_at);
	if (up && ch->want_rekey)
		at = due_sooner(c, at, ch->retry_at);
	if (here && !ch->confirmed)
		at = due_sooner(c, at, ch->since + IKE_CONFIRM_S * NS_PER_S);
	due_set(c, &ch->due, at);
	link_if(here && !ch->confirmed, &ch->sa->unsure, &ch->unsure);
	link_if(up ? ch->want_rekey && c->now >= ch->retry_at : ch->state == CH_CLOSING && !ch->delete_sent,
		&ch->sa->wanting, &ch->wanting);
	sa_touch(c, ch->sa);
}

void child_take_choice(struct ike *c, struct child_sa *ch, const struct choice *choice)
{
	ch->encr = choice->encr;
	ch->encr_bits = choice->encr_bits;
	ch->dh = choice->dh;
	ch->esn = choice->esn;
	child_set_out(c, ch, load_be32(choice->spi.at));
}

static mono_ns lifetime(struct ike *c, const struct child_sa *ch, uint64_t lo, uint64_t hi)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);
	uint32_t s = t && t->rekey_s ? t->rekey_s : IKE_CHILD_LIFETIME_S;

	return c->now + s * NS_PER_S / 1000 * ike_chance(c, lo, hi);
}

void ike_child_enter(struct ike *c, struct ike_sa *sa, struct child_sa *ch, enum child_state state)
{
	child_set_state(c, ch, state);
	if (state == CH_UP)
		child_compare_later(c, ch);
	if (state == CH_REPLACED)
		ch->expire_at = c->now + IKE_REPLACED_S * NS_PER_S;
	child_changed(c, ch);
}

/*
 * Another child that can carry the tunnel's traffic, over all IKE SAs: best one that the peer surely has (it
 * answered our exchange, or something came in), even one that is replaced and waits for its delete; then the
 * newest.
 */
static uint64_t rank(const struct child_sa *ch)
{
	return (uint64_t)ch->confirmed << 1 | (ch->state == CH_UP);
}

static struct child_sa *survivor(const struct ike *c, const struct child_sa *gone)
{
	const struct tunnel *t = child_tunnel(c, gone);
	struct child_sa *best = NULL;

	if (!t)
		return NULL;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		bool carries = ch->state == CH_UP || ch->state == CH_REPLACED ||
			       (ch->state == CH_CLOSING && !ch->delete_sent);

		if (ch == gone || !carries)
			continue;
		if (!best || rank(ch) > rank(best) || (rank(ch) == rank(best) && ch->since > best->since))
			best = ch;
	}
	return best;
}

/*
 * When the event is over: where an IKE SA ends, or all of a peer, the other one goes a moment later, and the data
 * plane would be told to send on what the keeper has just had removed.
 */
bool child_hand_over(struct ike *c, const struct child_sa *ch)
{
	struct child_sa *other = survivor(c, ch);

	if (!other || other->activate_at != 0)
		return other; /* it takes over as soon as the peer surely has it */
	LIST_FOR (struct child_sa, each, &c->tunnels[other->tunnel].children, of_tunnel)
		each->takes_over = each == other;
	tunnel_touch(c, other->tunnel);
	return true;
}

static void activate(struct ike *c, const struct child_sa *ch)
{
	ike_act(c, IKE_ACTIVATE)->sa = (struct sa_ref){ .tunnel = ch->tunnel, .spi_in = ch->spi_in };
}

void child_take_over(struct ike *c, uint32_t tunnel)
{
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel) {
		if (ch->takes_over && ch->state != CH_LINGER)
			activate(c, ch);
		ch->takes_over = false;
	}
}

void child_up(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	struct tunnel *t = &c->tunnels[ch->tunnel];

	ch->since = c->now;
	ch->rekey_at = ch->ours ? lifetime(c, ch, IKE_REKEY_OURS_FROM, IKE_REKEY_OURS_TO)
				: lifetime(c, ch, IKE_REKEY_THEIRS_FROM, IKE_REKEY_THEIRS_TO);
	ch->expire_at = lifetime(c, ch, IKE_CHILD_EXPIRE, IKE_CHILD_EXPIRE);
	ike_child_enter(c, sa, ch, CH_UP);
	child_follow(c, ch);
	t->reason[0] = '\0';
	tunnel_has(c, ch);
	sa->childless_at = 0;
	if (t->orphan != 0)
		t->orphan_remove_at = c->now + IKE_LINGER_S * NS_PER_S;
	tunnel_touch(c, ch->tunnel);
	ike_log(c, false, "tunnel %s: child SA %08x up", tunnel_config(c, ch->tunnel)->name, ch->spi_in);
}

static void ask_remove(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	struct keeper_child_remove *q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_REMOVE, NULL)->u.CHILD_REMOVE;

	q->child = ch->handle;
	q->tunnel = ch->tunnel;
	q->spi_in = ch->spi_in;
	snprintf(q->reason, sizeof q->reason, "%.190s", ch->reason);
}

static void forget_handle(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	struct keeper_drop *d;

	if (ch->handle == 0 || sa->handle == 0)
		return;
	d = &sa_ask(c, sa, SIDE_OWN, KEEPER_DROP, NULL)->u.DROP;
	d->handle = sa->handle;
	d->child = ch->handle;
	d->peer = sa->peer;
	snprintf(d->reason, sizeof d->reason, "given up");
}

/* What was to yield to a child that is gone now stays after all, unless its delete is on its way. */
static void revive(struct ike *c, const struct child_sa *gone)
{
	const struct tunnel *t = child_tunnel(c, gone);

	if (!t || gone->spi_in == 0)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->state != CH_CLOSING || ch->delete_sent || ch->yields_to != gone->spi_in ||
			ch->sa->state != ST_UP)
			continue;
		ch->yields_to = 0;
		ch->reason[0] = '\0';
		ike_child_enter(c, ch->sa, ch, CH_UP);
	}
}

/* The tunnel's last child went: what stays inbound for packets on their way must not become its sender. */
static void end_lingering(struct ike *c, const struct child_sa *last)
{
	const struct tunnel *t = child_tunnel(c, last);

	if (!t)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->state != CH_LINGER)
			continue;
		ch->remove_at = c->now + 1;
		child_changed(c, ch);
	}
}

void child_gone(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason)
{
	if (ch->state == CH_LINGER)
		return;
	revive(c, ch);
	if (ch->reason[0] == '\0')
		snprintf(ch->reason, sizeof ch->reason, "%s", reason);
	if (sa->steps[SIDE_OWN].child == ch)
		sa->steps[SIDE_OWN].child = NULL;
	if (sa->steps[SIDE_PEER].child == ch)
		sa->steps[SIDE_PEER].child = NULL;
	if (!ch->installing) {
		forget_handle(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	if (ch->state == CH_LARVAL || !child_hand_over(c, ch)) {
		if (ch->state != CH_LARVAL)
			end_lingering(c, ch);
		ask_remove(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	ch->remove_at = c->now + IKE_LINGER_S * NS_PER_S;
	link_out(&ch->of_out); /* the peer may use its SPI again */
	ike_child_enter(c, sa, ch, CH_LINGER);
	tunnel_touch(c, ch->tunnel);
}

void child_want_delete(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason)
{
	if (ch->state == CH_CLOSING || ch->state == CH_LINGER)
		return;
	snprintf(ch->reason, sizeof ch->reason, "%s", reason);
	ike_child_enter(c, sa, ch, CH_CLOSING);
}

/*
 * A child that we answered for may not have reached the peer, if our answer was lost. Asking about it then
 * would meet CHILD_SA_NOT_FOUND, and the late answer would leave the peer with a child that we have
 * forgotten. With windows of one the peer's next request shows that it has our answer; so do packets.
 */
void child_confirm(struct ike *c, struct child_sa *ch)
{
	const struct tunnel *t = child_tunnel(c, ch);

	if (ch->confirmed)
		return;
	ch->confirmed = true;
	child_changed(c, ch);
	if (!t)
		return;
	LIST_FOR (struct child_sa, twin, &t->children, of_tunnel)
		if (twin->yields_to == ch->spi_in)
			sa_touch(c, twin->sa); /* what yields to it may go now */
}

bool child_confirmed(struct ike *c, struct child_sa *ch)
{
	if (ch->used || c->now >= ch->since + IKE_CONFIRM_S * NS_PER_S)
		child_confirm(c, ch);
	return ch->confirmed;
}

/* Of twins the one that yields is the sender until the peer surely has the other one. */
bool child_may_go(struct ike *c, struct child_sa *ch)
{
	struct child_sa *stays = child_any_by_in(c, ch->yields_to);

	if (!child_confirmed(c, ch))
		return false;
	return !stays || stays->state == CH_LARVAL || stays->state == CH_LINGER || child_confirmed(c, stays);
}

void child_yield(
	struct ike *c, struct ike_sa *sa, struct child_sa *ch, const struct child_sa *to, const char *reason)
{
	child_want_delete(c, sa, ch, reason);
	ch->yields_to = to->spi_in;
}

static bool same_selectors(const struct child_sa *a, const struct child_sa *b)
{
	return child_within(a, b) && child_within(b, a);
}

static bool twin_before(const struct child_sa *a, const struct child_sa *b)
{
	int order = nonce_compare(&a->line, &b->line);

	return (order ? order : nonce_compare(&a->lowest, &b->lowest)) < 0;
}

/* Both come from one child by rekeys, so one of them is redundant. */
static bool same_line(const struct child_sa *a, const struct child_sa *b)
{
	return nonce_compare(&a->line, &b->line) == 0 && same_selectors(a, b);
}

/*
 * The peer does not know the child that took the place of another one by its own rekey: it gave that up when our answer
 * was lost, as with an IKE SA that was replaced meanwhile, and still sends on the one of before. That one stands again.
 * It is rekeyed at once: the answer shows whether the peer has it, and if not, the one before it is tried.
 */
void child_back(struct ike *c, const struct child_sa *unknown)
{
	const struct tunnel *t = child_tunnel(c, unknown);
	struct child_sa *last = NULL;

	if (!t)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->state == CH_REPLACED && ch->sa->state == ST_UP && same_line(ch, unknown) &&
			(!last || ch->since > last->since))
			last = ch;
	if (!last)
		return;
	last->want_rekey = true;
	last->expire_at = lifetime(c, last, IKE_CHILD_EXPIRE, IKE_CHILD_EXPIRE) - (c->now - last->since);
	ike_child_enter(c, last->sa, last, CH_UP);
}

/*
 * By the nonces the peer was to delete the redundant one. It did not: perhaps it reads 2.8.1 in another way,
 * or has forgotten the one that we send on. A rekey shows whether it has a child: if not, CHILD_SA_NOT_FOUND
 * ends it here as well, and the other one sends. What packets come in on is known to be there.
 */
static void verify(struct ike *c, struct child_sa *ch)
{
	bool used = ch->used && ch->idle_in_ms < IKE_DOUBT_MS_MIN, alone = true;

	ch->doubt_at = 0;
	LIST_FOR (struct child_sa, twin, &c->tunnels[ch->tunnel].children, of_tunnel)
		alone &= twin == ch || twin->state != CH_UP || !same_line(twin, ch);
	ch->verifying = !alone && !used;
	ch->verified = !ch->verifying;
	ch->want_rekey |= ch->verifying;
	child_compare_later(c, ch);
}

static void doubt(struct ike *c, struct child_sa *ch)
{
	if (ch->verified || ch->verifying || ch->doubt_at != 0)
		return;
	ch->doubt_at = c->now + ike_chance(c, IKE_DOUBT_MS_MIN, IKE_DOUBT_MS_MAX) * NS_PER_MS;
	child_changed(c, ch);
}

static bool in_doubt(const struct child_sa *ch)
{
	return ch->doubt_at != 0 || ch->verifying;
}

void child_lingered(struct ike *c, struct child_sa *ch)
{
	ask_remove(c, ch->sa, ch);
	child_unlink(c, ch->sa, ch);
}

void child_tick(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	if (ch->remove_at != 0 && c->now >= ch->remove_at) {
		child_lingered(c, ch);
		return;
	}
	if (ch->activate_at != 0 && c->now >= ch->activate_at) {
		ch->activate_at = 0;
		activate(c, ch);
	}
	if (ch->state == CH_UP && ch->rekey_at != 0 && c->now >= ch->rekey_at) {
		ch->want_rekey = true;
		ch->rekey_at = 0;
	}
	if ((ch->state == CH_UP || ch->state == CH_REPLACED) && ch->expire_at != 0 &&
		c->now >= ch->expire_at) {
		ch->expire_at = 0;
		child_want_delete(c, sa, ch,
			ch->state == CH_UP ? "its lifetime ended" : "replaced; the peer did not delete it");
	}
	if (ch->state == CH_UP && ch->doubt_at != 0 && c->now >= ch->doubt_at)
		verify(c, ch);
	child_confirmed(c, ch);
	child_changed(c, ch);
}

/* Its own rekey decides between it and its twin when the answer comes. */
static bool being_rekeyed(const struct child_sa *ch)
{
	const struct step *own = &ch->sa->steps[SIDE_OWN];

	return own->task == TASK_CHILD_REKEY && own->old_spi_in == ch->spi_in;
}

/* If its twin stands too, the one with the lowest nonce goes, by the hand of whoever began it. */
static void compare(struct ike *c, struct child_sa *ch)
{
	LIST_FOR (struct child_sa, twin, &c->tunnels[ch->tunnel].children, of_tunnel) {
		if (twin == ch || twin->state != CH_UP || ch->state != CH_UP || being_rekeyed(twin) ||
			twin->sa->moving != ch->sa->moving || twin->successor_of_peer == ch->spi_in ||
			ch->successor_of_peer == twin->spi_in || in_doubt(twin) || in_doubt(ch) ||
			!same_selectors(twin, ch))
			continue;
		struct child_sa *goes = twin_before(twin, ch) ? twin : ch, *stays = goes == ch ? twin : ch;

		if (goes->ours) {
			child_yield(c, goes->sa, goes, stays, "made twice; the other one stays");
		} else if (same_line(goes, stays)) {
			doubt(c, goes);
			doubt(c, stays);
		}
	}
}

void child_compare(struct ike *c, uint32_t tunnel)
{
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel) {
		if (ch->compare && ch->state == CH_UP)
			compare(c, ch);
		ch->compare = false;
	}
}

void child_compare_later(struct ike *c, struct child_sa *ch)
{
	ch->compare = true;
	tunnel_touch(c, ch->tunnel);
}

/* ---- selectors of a child ---- */

static const struct selector *locals(const struct ike *c, const struct snap_tunnel *t)
{
	return &snap_selectors(c->snap)[t->local.first];
}

static const struct selector *remotes(const struct ike *c, const struct snap_tunnel *t)
{
	return &snap_selectors(c->snap)[t->remote.first];
}

bool child_packet_fits(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	return selectors_within(local, 1, locals(c, t), t->local.count) &&
	       selectors_within(remote, 1, remotes(c, t), t->remote.count);
}

bool child_holds_packet(const struct ike *c, uint32_t tunnel)
{
	const struct tunnel *t = &c->tunnels[tunnel];

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->state == CH_UP && selectors_within(&t->packet[0], 1, ch->local_ts, ch->local_n) &&
			selectors_within(&t->packet[1], 1, ch->remote_ts, ch->remote_n))
			return true;
	return false;
}

bool child_within(const struct child_sa *inner, const struct child_sa *outer)
{
	return selectors_within(inner->local_ts, inner->local_n, outer->local_ts, outer->local_n) &&
	       selectors_within(inner->remote_ts, inner->remote_n, outer->remote_ts, outer->remote_n);
}

bool child_has_stand_in(const struct ike *c, const struct child_sa *ch)
{
	LIST_FOR (struct child_sa, other, &child_tunnel(c, ch)->children, of_tunnel)
		if (other != ch && other->state == CH_UP && child_within(ch, other))
			return true;
	return false;
}

/*
 * The packet's own selector and behind it all of the side; or, where other child SAs are up, only the network
 * that it is in: a peer with a child SA for each pair of networks takes the first that fits when it is asked
 * for all.
 */
static void offer_side(
	struct ike_out *o, uint8_t type, const struct tunnel *t, const struct selector *side, uint32_t n)
{
	struct selector list[SELECTORS_MAX + 1];
	uint32_t own = 0;

	if (t->has_packet)
		list[own++] = t->packet[type == PL_TSR];
	for (uint32_t i = 0, all = own; i < n && !(all && t->one_pair); i++)
		if (!all || t->up == 0 || selectors_within(&list[0], 1, &side[i], 1))
			list[own++] = side[i];
	ike_out_selectors(o, type, list, own);
}

void child_offer_selectors(
	const struct ike *c, struct ike_out *o, uint32_t tunnel, const struct child_sa *old)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	if (old) {
		ike_out_selectors(o, PL_TSI, old->local_ts, old->local_n);
		ike_out_selectors(o, PL_TSR, old->remote_ts, old->remote_n);
	} else {
		offer_side(o, PL_TSI, &c->tunnels[tunnel], locals(c, t), t->local.count);
		offer_side(o, PL_TSR, &c->tunnels[tunnel], remotes(c, t), t->remote.count);
	}
}

uint32_t child_tunnel_for(const struct ike *c, uint32_t peer, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts)
{
	uint32_t best = INDEX_NONE, best_score = 0;
	struct selector l[SELECTORS_MAX], r[SELECTORS_MAX];

	if (remote_ts->n == 0 || local_ts->n == 0)
		return INDEX_NONE;
	for (uint32_t i = peer_entry(c, peer)->tunnels; i != INDEX_NONE; i = c->tunnels[i].next_of_peer) {
		const struct snap_tunnel *t = tunnel_config(c, i);
		uint32_t score = 1;

		if (selectors_intersect(l, locals(c, t), t->local.count, local_ts->list, local_ts->n) == 0 ||
			selectors_intersect(
				r, remotes(c, t), t->remote.count, remote_ts->list, remote_ts->n) == 0)
			continue;
		/* 2.9: the first pair may be the packet that asked for it; it must be inside. */
		if (selectors_within(local_ts->list, 1, locals(c, t), t->local.count) &&
			selectors_within(remote_ts->list, 1, remotes(c, t), t->remote.count))
			score += 2;
		if (selectors_within(locals(c, t), t->local.count, local_ts->list, local_ts->n) &&
			selectors_within(remotes(c, t), t->remote.count, remote_ts->list, remote_ts->n))
			score += 1;
		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

bool child_narrow(const struct ike *c, struct child_sa *ch, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);

	ch->local_n =
		selectors_intersect(ch->local_ts, local_ts->list, local_ts->n, locals(c, t), t->local.count);
	ch->remote_n = selectors_intersect(
		ch->remote_ts, remote_ts->list, remote_ts->n, remotes(c, t), t->remote.count);
	return ch->local_n > 0 && ch->remote_n > 0;
}

bool child_answer_fits(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	bool with_dh, struct err *ret_why)
{
	const struct snap_tunnel *t = tunnel_config(c, st->tunnel);
	struct child_sa *ch = st->child;
	struct choice choice;

	if (!t || !offer_is_single(&p->sa) || !select_esp(c, t, &p->sa, with_dh, &choice)) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer chose what was not offered");
		return false;
	}
	if (child_spi_taken(c, sa, load_be32(choice.spi.at))) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer has SPI %08x, which another child SA has",
			load_be32(choice.spi.at));
		return false;
	}
	child_take_choice(c, ch, &choice);
	/* As initiator we are TSi. */
	if (p->tsi.n == 0 || p->tsr.n == 0 || p->tsi.n > SELECTORS_MAX + 1 || p->tsr.n > SELECTORS_MAX + 1 ||
		!selectors_within(p->tsi.list, p->tsi.n, locals(c, t), t->local.count) ||
		!selectors_within(p->tsr.list, p->tsr.n, remotes(c, t), t->remote.count)) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer has traffic selectors beyond the tunnel's");
		return false;
	}
	if (choice.dh != DH_NONE && (choice.dh != st->dh || !(p->present & IKE_HAS(KE)) ||
					    p->ke_group != st->dh || p->ke.n > KEEPER_KE_MAX)) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer has no key exchange of the group it chose");
		return false;
	}
	/* Without what repeats a part of another one, as the packet that we asked by. */
	ch->local_n = selectors_intersect(ch->local_ts, p->tsi.list, p->tsi.n, locals(c, t), t->local.count);
	ch->remote_n =
		selectors_intersect(ch->remote_ts, p->tsr.list, p->tsr.n, remotes(c, t), t->remote.count);
	return ch->local_n > 0 && ch->remote_n > 0;
}

void child_ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	uint32_t flags, uint32_t rekeys_spi_in, ike_then *then)
{
	struct child_sa *ch = st->child;
	struct keeper_child_install *q =
		&sa_ask(c, sa, st->side, KEEPER_CHILD_INSTALL, then)->u.CHILD_INSTALL;
	uint32_t orphan = c->tunnels[ch->tunnel].orphan;

	ch->installing = true;
	ch->encap = sa->encap;
	q->handle = sa->handle;
	q->child = ch->handle;
	q->tunnel = ch->tunnel;
	q->spi_out = ch->spi_out;
	q->rekeys_spi_in = rekeys_spi_in ? rekeys_spi_in : orphan;
	q->flags = flags | (ch->esn ? CHILD_ESN : 0) | (ch->encap ? CHILD_ENCAP : 0);
	q->role = ch->ours ? KEEPER_INITIATOR : KEEPER_RESPONDER;
	q->encr = ch->encr;
	q->encr_bits = ch->encr_bits;
	q->local = sa->local;
	q->remote = ch->remote = sa->remote;
	q->local_n = (uint16_t)ch->local_n;
	q->remote_n = (uint16_t)ch->remote_n;
	memcpy(q->local_ts, ch->local_ts, sizeof q->local_ts);
	memcpy(q->remote_ts, ch->remote_ts, sizeof q->remote_ts);
	if (!p)
		return;
	q->dh_group = ch->dh;
	q->peer_nonce_n = (uint16_t)p->nonce.n;
	memcpy(q->peer_nonce, p->nonce.at, p->nonce.n);
	if (ch->dh == DH_NONE)
		return;
	q->peer_ke_n = (uint16_t)p->ke.n;
	memcpy(q->peer_ke, p->ke.at, p->ke.n);
}
