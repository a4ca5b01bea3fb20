/*
 * A child SA's life: made, installed, replaced, deleted. The exchange that makes one: create.c. Which of two
 * redundant ones stays: redundant.c.
 *
 * Make before break: an old child stays until the new one carries the traffic, and its inbound half a little
 * longer.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TO(s) (1u << CH_##s)

/* Which state may follow which. CLOSING to UP: what superseded it ended before its delete was sent.
 * REPLACED to UP: the peer does not have its successor. */
static const uint32_t legal[] = {
	[CH_LARVAL] = TO(UP) | TO(CLOSING),
	[CH_UP] = TO(REPLACED) | TO(CLOSING) | TO(LINGER),
	[CH_REPLACED] = TO(UP) | TO(REPLACED) | TO(CLOSING) | TO(LINGER),
	[CH_CLOSING] = TO(UP) | TO(LINGER),
	[CH_LINGER] = 0,
};

struct child_sa *child_new(struct ike *c, struct ike_sa *sa, uint32_t tunnel, bool ours)
{
	struct child_sa *ch = ike_alloc(sizeof *ch);

	assert(tunnel < c->tunnels_n);
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

static void set_state(struct ike *c, struct child_sa *ch, enum child_state state)
{
	const struct tunnel *t = child_tunnel(c, ch);
	bool was_up = ch->state == CH_UP;

	child_set_state(c, ch, state);
	if (t && was_up && t->up == 0)
		tunnel_down(c, ch->tunnel, c->now - ch->since);
}

void child_unlink(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	assert(ch->sa == sa && sa->children_n > 0);
	set_state(c, ch, CH_LINGER); /* its tunnel counts it as such until child_leave_tunnel() */
	tunnel_touch(c, ch->tunnel);
	child_leave_tunnel(c, ch);
	due_set(c, &ch->due, 0);
	link_out(&ch->of_sa);
	link_out(&ch->of_in);
	link_out(&ch->of_out);
	link_out(&ch->wanting);
	link_out(&ch->unsure);
	sa->children_n--;
	free(ch->local_ts);
	blob_free(&ch->lowest);
	blob_free(&ch->lineage);
	free(ch->reason);
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

	assert((ch->state == CH_LINGER) == (ch->remove_at != 0)); /* one that lingers has an end */
	if (up)
		at = due_sooner(c, due_sooner(c, at, ch->rekey_at), ch->doubt_at);
	if (up || ch->state == CH_REPLACED)
		at = due_sooner(c, at, ch->expire_at);
	if (up && ch->want_rekey)
		at = due_sooner(c, at, ch->retry_at);
	if (up && ch->wants_beside)
		at = due_sooner(c, at, ch->beside_at);
	if (here && !ch->confirmed)
		at = due_sooner(c, at, ch->since + IKE_CONFIRM_S * NS_PER_S);
	due_set(c, &ch->due, at);
	link_if(here && !ch->confirmed, &ch->sa->unsure, &ch->unsure);
	bool wants = up ? (ch->want_rekey && c->now >= ch->retry_at) ||
				     (ch->wants_beside && c->now >= ch->beside_at)
			: ch->state == CH_CLOSING && !ch->delete_sent;
	link_if(wants, &ch->sa->wanting, &ch->wanting);
	sa_touch(c, ch->sa);
}

void child_take_choice(struct ike *c, struct child_sa *ch, const struct choice *choice)
{
	ch->encr = choice->encr;
	ch->encr_bits = choice->encr_bits;
	ch->dh = choice->dh;
	memcpy(ch->additional, choice->additional, sizeof ch->additional);
	ch->esn = choice->esn;
	child_set_out(c, ch, load_be32(choice->spi.at));
}

mono_ns child_lifetime(struct ike *c, const struct child_sa *ch, uint64_t lo, uint64_t hi)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);
	uint32_t s = t && t->rekey_s ? t->rekey_s : IKE_CHILD_LIFETIME_S;

	return c->now + s * NS_PER_S / 1000 * ike_jitter(c, lo, hi);
}

void child_enter_state(struct ike *c, struct ike_sa *sa, struct child_sa *ch, enum child_state state)
{
	assert(ch->sa == sa && (legal[ch->state] >> state & 1));
	set_state(c, ch, state);
	if (state == CH_UP)
		child_redundancy_mark(c, ch);
	if (state == CH_REPLACED)
		ch->expire_at = c->now + IKE_REPLACED_S * NS_PER_S;
	child_changed(c, ch);
}

/* Of the child SAs that can carry the tunnel's traffic: a confirmed one first, even if it is replaced; then one whose IKE SA stays. */
static uint64_t rank(const struct child_sa *ch)
{
	bool stays = !sa_is_ending(ch->sa);

	return (uint64_t)ch->confirmed << 2 | (uint64_t)stays << 1 | (ch->state == CH_UP);
}

/* Another child SA that can carry all of its traffic, over all IKE SAs: by rank, then the newest. One for another pair of
 * networks cannot; and what is one worker's own is taken over by one for the same worker, or goes by that for all by itself. */
static struct child_sa *survivor(const struct ike *c, const struct child_sa *gone)
{
	const struct tunnel *t = child_tunnel(c, gone);
	struct child_sa *best = NULL;

	if (!t)
		return NULL;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		bool carries = ch->state == CH_UP || ch->state == CH_REPLACED ||
			       (ch->state == CH_CLOSING && !ch->delete_sent);

		if (ch->sa == gone->sa && sa_is_ending(gone->sa))
			continue; /* ends with it */
		if (ch == gone || !carries || ch->resource != gone->resource || !child_within(gone, ch) ||
			!child_same_user(c, gone, ch))
			continue;
		if (!best || rank(ch) > rank(best) || (rank(ch) == rank(best) && ch->since > best->since))
			best = ch;
	}
	return best;
}

/* One worker's own, and that for all is on another IKE SA: what the worker sends goes by that one, and not by what a former IKE SA has left. */
static bool goes_by_first(const struct ike *c, const struct child_sa *gone)
{
	const struct tunnel *t = gone->resource != 0 ? child_tunnel(c, gone) : NULL;

	if (!t)
		return false;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->resource == 0 && ch->state == CH_UP && ch->sa->group != gone->sa->group &&
			!sa_is_ending(ch->sa) && child_within(gone, ch) && child_same_user(c, gone, ch))
			return true;
	return false;
}

/*
 * The other one is activated only when the event is over: where an IKE SA ends, or all of a peer, it may end
 * in the same event, and the data plane would be told to send on an SA that the keeper has just had removed.
 */
bool child_hand_over(struct ike *c, const struct child_sa *ch)
{
	struct child_sa *other = survivor(c, ch);

	/* One for a worker is activated as soon as the peer is known to have it, and until then that for all is used. */
	if (other && other->resource != 0 && !other->confirmed && other->sa != ch->sa)
		return false;
	if (!other || other->activate_at != 0)
		return other; /* it is activated anyway, as soon as the peer is known to have it */
	LIST_FOR (struct child_sa, each, &c->tunnels[other->tunnel].children, of_tunnel)
		if (each->resource == other->resource && child_within(each, other) &&
			child_within(other, each) && child_same_user(c, each, other))
			each->takes_over = each == other;
	tunnel_touch(c, other->tunnel);
	return true;
}

void child_activate(struct ike *c, struct child_sa *ch)
{
	struct ike_action *a = ike_action_add(c, IKE_ACTIVATE);

	a->sa = (struct sa_ref){ .tunnel = ch->tunnel, .spi_in = ch->spi_in };
	a->number = ch->activation = ++c->activations;
}

/* That with the lowest number above `after` and up to `last`. */
static struct child_sa *unanswered(const struct tunnel *t, uint64_t after, uint64_t last)
{
	struct child_sa *found = NULL;

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->activation > after && ch->activation <= last && ch->state != CH_LINGER &&
			(!found || ch->activation < found->activation))
			found = ch;
	return found;
}

void child_tell_again(struct ike *c, uint32_t tunnel, uint64_t last)
{
	const struct tunnel *t = &c->tunnels[tunnel];
	struct child_sa *ch;

	assert(tunnel < c->tunnels_n);
	LIST_FOR (struct child_sa, each, &t->children, of_tunnel)
		if (each->redirected)
			child_tell_endpoint(c, each);
	/* In their order: of several the last one sends. */
	for (uint64_t after = c->activated; (ch = unanswered(t, after, last)) != NULL;) {
		after = ch->activation;
		child_activate(c, ch);
	}
}

void child_take_over(struct ike *c, uint32_t tunnel)
{
	assert(tunnel < c->tunnels_n);
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel) {
		if (ch->takes_over && ch->state != CH_LINGER)
			child_activate(c, ch);
		ch->takes_over = false;
	}
}

void child_tell_endpoint(struct ike *c, struct child_sa *ch)
{
	ch->remote = ch->sa->remote;
	ch->redirected = true;
	ike_action_add(c, IKE_ENDPOINT)->endpoint =
		(struct sa_endpoint){ .tunnel = ch->tunnel, .spi_in = ch->spi_in, .remote = ch->remote };
}

void child_follow(struct ike *c, struct child_sa *ch)
{
	if (!endpoint_same(&ch->remote, &ch->sa->remote))
		child_tell_endpoint(c, ch);
}

void child_up(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	struct tunnel *t = &c->tunnels[ch->tunnel];

	assert(ch->state == CH_LARVAL && ch->installing);
	ch->since = c->now;
	ch->rekey_at = ch->ours ? child_lifetime(c, ch, IKE_REKEY_OURS_FROM, IKE_REKEY_OURS_TO)
				: child_lifetime(c, ch, IKE_REKEY_THEIRS_FROM, IKE_REKEY_THEIRS_TO);
	ch->expire_at = child_lifetime(c, ch, IKE_CHILD_EXPIRE, IKE_CHILD_EXPIRE);
	ch->beside_at = ch->ours ? 0 : c->now + IKE_BESIDE_WAIT_MS * NS_PER_MS;
	child_enter_state(c, sa, ch, CH_UP);
	child_follow(c, ch);
	text_clear(&t->reason);
	tunnel_child_added(c, ch);
	sa->childless_at = 0;
	if (t->orphan != 0 && !peer_is_template(c, sa->peer))
		t->orphan_remove_at = c->now + IKE_LINGER_S * NS_PER_S;
	tunnel_touch(c, ch->tunnel);
	ike_log(c, false, "tunnel %s: child SA %08x established", tunnel_config(c, ch->tunnel)->name,
		ch->spi_in);
	if (ch->terminated)
		child_want_delete(c, sa, ch, IKE_TERMINATED);
}

static void ask_remove(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	assert(ch->installing);
	struct keeper_child_remove *q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_REMOVE, NULL)->u.CHILD_REMOVE;

	q->child = ch->handle;
	q->tunnel = ch->tunnel;
	q->spi_in = ch->spi_in;
	snprintf(q->reason, sizeof q->reason, "%.190s", text_of(ch->reason));
}

void child_drop_handle(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	if (ch->handle != 0 && sa->handle != 0)
		sa_ask_drop(c, sa, sa->handle, ch->handle);
}

/* What was superseded by a child SA that has ended now is kept after all, unless its delete has been sent. */
static void revive(struct ike *c, const struct child_sa *gone)
{
	const struct tunnel *t = child_tunnel(c, gone);

	if (!t || gone->spi_in == 0)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->state != CH_CLOSING || ch->delete_sent || ch->superseded_by != gone->spi_in ||
			ch->sa->state != ST_UP)
			continue;
		ch->superseded_by = 0;
		text_clear(&ch->reason);
		child_enter_state(c, ch->sa, ch, CH_UP);
	}
}

/* The last child SA for this traffic ended: what only stays inbound for packets in flight must not become its
 * sender. */
static void end_lingering(struct ike *c, const struct child_sa *last)
{
	const struct tunnel *t = child_tunnel(c, last);

	if (!t)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->state != CH_LINGER || ch->resource != last->resource || !child_meets(ch, last) ||
			!child_same_user(c, ch, last))
			continue;
		ch->remove_at = c->now + 1;
		child_changed(c, ch);
	}
}

struct child_sa *child_first_of(const struct ike *c, const struct child_sa *ch)
{
	const struct tunnel *t = child_tunnel(c, ch);

	if (!t)
		return NULL;
	LIST_FOR (struct child_sa, other, &t->children, of_tunnel)
		if (other != ch && other->sa == ch->sa && other->resource == 0 && other->state == CH_UP &&
			child_within(other, ch) && child_within(ch, other))
			return other;
	return NULL;
}

void child_put_off_beside(struct ike *c, struct child_sa *first, uint64_t ms_min, uint64_t ms_max)
{
	first->beside_at = c->now + ike_jitter(c, ms_min, ms_max) * NS_PER_MS;
	child_changed(c, first);
}

/* Of one worker, and no other one of that worker is there: a peer that does not want it is not asked again at once. */
static void resource_ended(struct ike *c, const struct child_sa *ch)
{
	struct child_sa *first = ch->resource != 0 ? child_first_of(c, ch) : NULL;

	if (first)
		child_put_off_beside(c, first, IKE_BESIDE_MS_MIN, IKE_BESIDE_MS_MAX);
}

/* Of the children of an IKE SA and its successors: our SPI is random, so that no other one has it, also after a restart. */
static uint64_t group_of(struct ike_sa *sa)
{
	if (sa->group == 0)
		sa->group = load_be64(sa->initiator ? sa->spi_i : sa->spi_r) | 1;
	return sa->group;
}

void child_gone(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason)
{
	assert(ch->sa == sa);
	if (ch->state == CH_LINGER)
		return;
	revive(c, ch);
	if (!ch->reason)
		text_set(&ch->reason, "%s", reason);
	if (sa->steps[SIDE_OWN].child == ch)
		sa->steps[SIDE_OWN].child = NULL;
	if (sa->steps[SIDE_PEER].child == ch)
		sa->steps[SIDE_PEER].child = NULL;
	assert(!sa->followup || sa->followup->child != ch); /* which is dropped before */
	if (!ch->installing) {
		child_drop_handle(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	if (ch->state == CH_LARVAL || (!child_hand_over(c, ch) && !goes_by_first(c, ch))) {
		if (ch->state != CH_LARVAL) {
			end_lingering(c, ch);
			resource_ended(c, ch);
		}
		ask_remove(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	ch->remove_at = c->now + IKE_LINGER_S * NS_PER_S;
	link_out(&ch->of_out); /* the peer may reuse its SPI */
	child_enter_state(c, sa, ch, CH_LINGER);
	tunnel_touch(c, ch->tunnel);
}

void child_want_delete(struct ike *c, struct ike_sa *sa, struct child_sa *ch, const char *reason)
{
	if (ch->state == CH_CLOSING || ch->state == CH_LINGER)
		return;
	text_set(&ch->reason, "%s", reason);
	child_enter_state(c, sa, ch, CH_CLOSING);
}

/*
 * The peer may not have a child SA that it requested, if our response was lost. A request about it would then
 * be answered with CHILD_SA_NOT_FOUND, and the late response would leave the peer with a child SA that we
 * have deleted. With windows of one the peer's next request shows that it has our response; so do ESP
 * packets.
 */
void child_confirm(struct ike *c, struct child_sa *ch)
{
	const struct tunnel *t = child_tunnel(c, ch);

	if (ch->confirmed)
		return;
	ch->confirmed = true;
	child_changed(c, ch);
	/* Nothing that it replaces ends, and the peer's packets may all go by others. */
	if (ch->resource && ch->state == CH_UP)
		child_activate(c, ch);
	if (!t)
		return;
	LIST_FOR (struct child_sa, other, &t->children, of_tunnel)
		if (other->superseded_by == ch->spi_in || other->sa->moving)
			sa_touch(c, other->sa); /* what it supersedes may be deleted now */
}

bool child_confirmed(struct ike *c, struct child_sa *ch)
{
	if (ch->used || c->now >= ch->since + IKE_CONFIRM_S * NS_PER_S)
		child_confirm(c, ch);
	return ch->confirmed;
}

/* Of redundant ones the superseded one sends until the peer is known to have the other one. */
bool child_may_be_deleted(struct ike *c, struct child_sa *ch)
{
	struct child_sa *stays = child_any_by_in(c, ch->superseded_by);

	if (!child_confirmed(c, ch))
		return false;
	return !stays || stays->state == CH_LARVAL || stays->state == CH_LINGER || child_confirmed(c, stays);
}

void child_supersede(
	struct ike *c, struct ike_sa *sa, struct child_sa *ch, const struct child_sa *to, const char *reason)
{
	child_want_delete(c, sa, ch, reason);
	ch->superseded_by = to->spi_in;
}

void child_lingered(struct ike *c, struct child_sa *ch)
{
	assert(ch->state == CH_LINGER);
	ask_remove(c, ch->sa, ch);
	child_unlink(c, ch->sa, ch);
}

/* Those that linger would be gone in a moment: the oldest make room, of a template those of the same identity. */
void child_linger_limit(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];

	assert(tunnel < c->tunnels_n);
	LIST_FOR_SAFE (struct child_sa, ch, after, &t->children, of_tunnel) {
		if (t->linger_n <= IKE_LINGER_PER_TUNNEL_MAX)
			return;
		if (ch->state == CH_LINGER && (!ch->share || ch->share->linger_n > IKE_LINGER_PER_TUNNEL_MAX))
			child_lingered(c, ch);
	}
}

void child_redundancy_mark(struct ike *c, struct child_sa *ch)
{
	ch->compare = true;
	tunnel_touch(c, ch->tunnel);
}

void child_ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_view *nonce,
	const struct ike_view *ke, uint32_t flags, uint32_t rekeys_spi_in, ike_then *then)
{
	struct child_sa *ch = st->child;
	struct keeper_child_install *q =
		&sa_ask(c, sa, st->side, KEEPER_CHILD_INSTALL, then)->u.CHILD_INSTALL;
	uint32_t orphan = c->tunnels[ch->tunnel].orphan;

	assert(ch->sa == sa && ch->state == CH_LARVAL && !ch->installing);
	ch->installing = true;
	ch->encap = sa->encap;
	q->handle = sa->handle;
	q->child = ch->handle;
	q->tunnel = ch->tunnel;
	q->spi_out = ch->spi_out;
	/* Of a template nobody knows whose the orphan was. */
	q->rekeys_spi_in =
		rekeys_spi_in || peer_is_template(c, sa->peer) || ch->resource ? rekeys_spi_in : orphan;
	q->flags = flags | (ch->esn ? CHILD_ESN : 0) | (ch->encap ? CHILD_ENCAP : 0);
	q->resource = ch->resource;
	q->group = group_of(sa);
	q->role = ch->ours ? KEEPER_INITIATOR : KEEPER_RESPONDER;
	q->encr = ch->encr;
	q->encr_bits = ch->encr_bits;
	q->local = sa->local;
	q->remote = ch->remote = sa->remote;
	q->local_n = (uint16_t)ch->local_n;
	q->remote_n = (uint16_t)ch->remote_n;
	memcpy(q->local_ts, ch->local_ts, ch->local_n * sizeof q->local_ts[0]);
	memcpy(q->remote_ts, ch->remote_ts, ch->remote_n * sizeof q->remote_ts[0]);
	if (!nonce)
		return;
	assert(!child_additional_is_due(ch) && nonce->n <= sizeof q->peer_nonce);
	q->dh_group = ch->dh;
	memcpy(q->additional, ch->additional, sizeof q->additional);
	q->peer_nonce_n = (uint16_t)nonce->n;
	memcpy(q->peer_nonce, nonce->at, nonce->n);
	if (ch->dh == DH_NONE || !ch->ours) /* CHILD_BEGIN had it when we are the responder */
		return;
	assert(ke && ke->n <= sizeof q->peer_ke);
	q->peer_ke_n = (uint16_t)ke->n;
	memcpy(q->peer_ke, ke->at, ke->n);
}
