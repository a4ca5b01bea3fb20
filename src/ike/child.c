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

struct child *child_new(struct ike *c, struct ike_sa *sa, uint32_t tunnel, bool ours)
{
	struct child *ch = ike_alloc(sizeof *ch);

	ch->tunnel = tunnel;
	ch->ours = ch->confirmed = ours;
	ch->since = c->now;
	ch->next = sa->children;
	sa->children = ch;
	sa->children_n++;
	return ch;
}

void child_set_id(struct child *ch, const struct keeper_child_begun *b)
{
	ch->handle = b->child;
	ch->spi_in = b->spi_in;
}

void child_unlink(struct ike *c, struct ike_sa *sa, struct child *ch)
{
	struct child **link = &sa->children;

	while (*link != ch)
		link = &(*link)->next;
	*link = ch->next;
	sa->children_n--;
	if (ch->state == CH_UP && ch->tunnel < c->tunnels_n)
		c->tunnels[ch->tunnel].up--;
	free(ch);
	sa_touch(c, sa);
}

struct child *child_by_in(const struct ike_sa *sa, uint32_t spi_in)
{
	for (struct child *ch = sa->children; ch; ch = ch->next)
		if (ch->spi_in == spi_in && spi_in != 0 && ch->state != CH_LARVAL && ch->state != CH_LINGER)
			return ch;
	return NULL;
}

struct child *child_by_out(const struct ike_sa *sa, uint32_t spi_out)
{
	for (struct child *ch = sa->children; ch; ch = ch->next)
		if (ch->spi_out == spi_out && spi_out != 0 && ch->state != CH_LARVAL &&
			ch->state != CH_LINGER)
			return ch;
	return NULL;
}

struct child *child_being_installed(const struct ike_sa *sa, uint32_t spi_out)
{
	for (struct child *ch = sa->children; ch; ch = ch->next)
		if (ch->ours && ch->state == CH_LARVAL && ch->installing && ch->spi_out == spi_out)
			return ch;
	return NULL;
}

/*
 * A pair is named by the SPI on which its sender receives (1.4.1), so one that a child of this IKE SA has
 * already would name two: a delete or a rekey would mean either. Not those that linger: the peer has deleted
 * them.
 */
bool child_spi_taken(const struct ike_sa *sa, uint32_t spi_out)
{
	for (const struct child *ch = sa->children; ch; ch = ch->next)
		if (ch->spi_out == spi_out && ch->state != CH_LINGER)
			return true;
	return false;
}

void child_take_choice(struct child *ch, const struct choice *choice)
{
	ch->encr = choice->encr;
	ch->encr_bits = choice->encr_bits;
	ch->dh = choice->dh;
	ch->esn = choice->esn;
	ch->spi_out = load_be32(choice->spi.at);
}

static mono_ns lifetime(struct ike *c, const struct child *ch, uint64_t lo, uint64_t hi)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);
	uint32_t s = t && t->rekey_s ? t->rekey_s : IKE_CHILD_LIFETIME_S;

	return c->now + s * NS_PER_S / 1000 * ike_chance(c, lo, hi);
}

void ike_child_enter(struct ike *c, struct ike_sa *sa, struct child *ch, enum child_state state)
{
	struct tunnel *t = ch->tunnel < c->tunnels_n ? &c->tunnels[ch->tunnel] : NULL;

	if (t) {
		t->up += state == CH_UP;
		t->up -= ch->state == CH_UP;
	}
	ch->state = state;
	if (state == CH_REPLACED)
		ch->expire_at = c->now + IKE_REPLACED_S * NS_PER_S;
	sa_touch(c, sa);
}

/*
 * Another child that can carry the tunnel's traffic, over all IKE SAs: best one that the peer surely has (it
 * answered our exchange, or something came in), even one that is replaced and waits for its delete; then the
 * newest.
 */
static uint64_t rank(const struct child *ch)
{
	return (uint64_t)ch->confirmed << 1 | (ch->state == CH_UP);
}

static struct child *survivor(const struct ike *c, const struct child *gone)
{
	struct child *best = NULL;

	for (const struct ike_sa *sa = c->sas; sa; sa = sa->next) {
		for (struct child *ch = sa->children; ch; ch = ch->next) {
			bool carries = ch->state == CH_UP || ch->state == CH_REPLACED ||
				       (ch->state == CH_CLOSING && !ch->delete_sent);

			if (ch == gone || ch->tunnel != gone->tunnel || !carries)
				continue;
			if (!best || rank(ch) > rank(best) ||
				(rank(ch) == rank(best) && ch->since > best->since))
				best = ch;
		}
	}
	return best;
}

bool child_hand_over(struct ike *c, const struct child *ch)
{
	struct child *other = survivor(c, ch);

	if (other && other->activate_at == 0) /* else it takes over as soon as the peer surely has it */
		ike_act(c, IKE_ACTIVATE)->sa =
			(struct sa_ref){ .tunnel = other->tunnel, .spi_in = other->spi_in };
	return other;
}

void child_up(struct ike *c, struct ike_sa *sa, struct child *ch)
{
	struct tunnel *t = &c->tunnels[ch->tunnel];

	ike_child_enter(c, sa, ch, CH_UP);
	ch->since = c->now;
	ch->rekey_at = lifetime(c, ch, ch->ours ? 850 : 920, ch->ours ? 910 : 980);
	ch->expire_at = lifetime(c, ch, 1200, 1200);
	t->backoff_ms = 0;
	t->retry_at = 0;
	t->reason[0] = '\0';
	sa->childless_at = 0;
	if (t->orphan != 0) {
		t->orphan_remove_at = c->now + IKE_LINGER_S * NS_PER_S;
		ike_wake(c, t->orphan_remove_at);
	}
	ike_log(c, false, "tunnel %s: child SA %08x up", tunnel_config(c, ch->tunnel)->name, ch->spi_in);
}

static void ask_remove(struct ike *c, struct ike_sa *sa, struct child *ch)
{
	struct keeper_child_remove *q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_REMOVE, NULL)->u.CHILD_REMOVE;

	q->child = ch->handle;
	q->tunnel = ch->tunnel;
	q->spi_in = ch->spi_in;
	snprintf(q->reason, sizeof q->reason, "%.190s", ch->reason);
}

static void forget_handle(struct ike *c, struct ike_sa *sa, struct child *ch)
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
static void revive(struct ike *c, const struct child *gone)
{
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next)
		for (struct child *ch = sa->children; ch; ch = ch->next)
			if (ch->state == CH_CLOSING && !ch->delete_sent && ch->yields_to == gone->spi_in &&
				gone->spi_in != 0 && sa->state == ST_UP) {
				ch->yields_to = 0;
				ch->reason[0] = '\0';
				ike_child_enter(c, sa, ch, CH_UP);
			}
}

/* The tunnel's last child went: what stays inbound for packets on their way must not become its sender. */
static void end_lingering(struct ike *c, uint32_t tunnel)
{
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next) {
		for (struct child *ch = sa->children; ch; ch = ch->next) {
			if (ch->state != CH_LINGER || ch->tunnel != tunnel)
				continue;
			ch->remove_at = c->now + 1;
			sa_touch(c, sa);
		}
	}
}

void child_gone(struct ike *c, struct ike_sa *sa, struct child *ch, const char *reason)
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
			end_lingering(c, ch->tunnel);
		ask_remove(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	ike_child_enter(c, sa, ch, CH_LINGER);
	ch->remove_at = c->now + IKE_LINGER_S * NS_PER_S;
}

void child_want_delete(struct ike *c, struct ike_sa *sa, struct child *ch, const char *reason)
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
void child_confirm(struct ike *c, struct child *ch)
{
	if (ch->confirmed)
		return;
	ch->confirmed = true;
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next)
		sa_touch(c, sa); /* what yields to it may go now */
}

bool child_confirmed(struct ike *c, struct child *ch)
{
	if (ch->used || c->now >= ch->since + IKE_CONFIRM_S * NS_PER_S)
		child_confirm(c, ch);
	return ch->confirmed;
}

/* Of twins the one that yields is the sender until the peer surely has the other one. */
bool child_may_go(struct ike *c, struct child *ch)
{
	if (!child_confirmed(c, ch))
		return false;
	for (const struct ike_sa *sa = c->sas; ch->yields_to != 0 && sa; sa = sa->next) {
		struct child *stays = child_by_in(sa, ch->yields_to);

		if (stays)
			return child_confirmed(c, stays);
	}
	return true;
}

void child_yield(
	struct ike *c, struct ike_sa *sa, struct child *ch, const struct child *to, const char *reason)
{
	child_want_delete(c, sa, ch, reason);
	ch->yields_to = to->spi_in;
}

void child_tick(struct ike *c, struct ike_sa *sa, struct child *ch)
{
	if (ch->remove_at != 0 && c->now >= ch->remove_at) {
		ask_remove(c, sa, ch);
		child_unlink(c, sa, ch);
		return;
	}
	if (ch->activate_at != 0 && c->now >= ch->activate_at) {
		ch->activate_at = 0;
		ike_act(c, IKE_ACTIVATE)->sa = (struct sa_ref){ .tunnel = ch->tunnel, .spi_in = ch->spi_in };
	}
	if (ch->state == CH_UP && ch->tunnel < c->tunnels_n && c->tunnels[ch->tunnel].up > 1)
		child_dedupe(c, ch);
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
}

static bool same_selectors(const struct child *a, const struct child *b)
{
	return selectors_within(a->local_ts, a->local_n, b->local_ts, b->local_n) &&
	       selectors_within(b->local_ts, b->local_n, a->local_ts, a->local_n) &&
	       selectors_within(a->remote_ts, a->remote_n, b->remote_ts, b->remote_n) &&
	       selectors_within(b->remote_ts, b->remote_n, a->remote_ts, a->remote_n);
}

static bool twin_before(const struct child *a, const struct child *b)
{
	int order = nonce_compare(&a->line, &b->line);

	return (order ? order : nonce_compare(&a->lowest, &b->lowest)) < 0;
}

/* ch is new; if its twin stands too, the one with the lowest nonce goes, by the hand of whoever began it. */
void child_dedupe(struct ike *c, struct child *ch)
{
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next) {
		for (struct child *twin = sa->children; twin; twin = twin->next) {
			bool twin_loses;

			if (twin == ch || twin->tunnel != ch->tunnel || twin->state != CH_UP ||
				ch->state != CH_UP || twin->heir_of_peer == ch->spi_in ||
				ch->heir_of_peer == twin->spi_in || !same_selectors(twin, ch))
				continue;
			/* Its own rekey decides between it and us when the answer comes. */
			if (sa->steps[SIDE_OWN].task == TASK_CHILD_REKEY &&
				sa->steps[SIDE_OWN].old_spi_in == twin->spi_in)
				continue;
			twin_loses = twin_before(twin, ch);
			if (twin_loses && twin->ours)
				child_yield(c, sa, twin, ch, "made twice; the other one stays");
			if (twin_loses || !ch->ours)
				continue;
			for (struct ike_sa *mine = c->sas; mine; mine = mine->next)
				if (child_by_in(mine, ch->spi_in) == ch)
					child_yield(c, mine, ch, twin, "made twice; the other one stays");
		}
	}
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

uint32_t child_tunnel_for(const struct ike *c, uint32_t peer, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts)
{
	uint32_t best = INDEX_NONE, best_score = 0;
	struct selector l[SELECTORS_MAX], r[SELECTORS_MAX];

	if (remote_ts->n == 0 || local_ts->n == 0)
		return INDEX_NONE;
	for (uint32_t i = 0; i < c->tunnels_n; i++) {
		const struct snap_tunnel *t = tunnel_config(c, i);
		uint32_t score = 1;

		if (t->peer != peer ||
			selectors_intersect(l, locals(c, t), t->local.count, local_ts->list, local_ts->n) ==
				0 ||
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

bool child_narrow(const struct ike *c, struct child *ch, const struct ike_selectors *remote_ts,
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
	struct child *ch = st->child;
	struct choice choice;

	if (!t || !offer_is_single(&p->sa) || !select_esp(c, t, &p->sa, with_dh, &choice)) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer chose what was not offered");
		return false;
	}
	if (child_spi_taken(sa, load_be32(choice.spi.at))) {
		err_add(ret_why, RC_MALFORMED, "the peer's answer has SPI %08x, which another child SA has",
			load_be32(choice.spi.at));
		return false;
	}
	child_take_choice(ch, &choice);
	/* As initiator we are TSi. */
	if (p->tsi.n == 0 || p->tsr.n == 0 || p->tsi.n > SELECTORS_MAX || p->tsr.n > SELECTORS_MAX ||
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
	memcpy(ch->local_ts, p->tsi.list, p->tsi.n * sizeof *ch->local_ts);
	memcpy(ch->remote_ts, p->tsr.list, p->tsr.n * sizeof *ch->remote_ts);
	ch->local_n = p->tsi.n;
	ch->remote_n = p->tsr.n;
	return true;
}

void child_ask_install(struct ike *c, struct ike_sa *sa, struct step *st, const struct ike_payloads *p,
	uint32_t flags, uint32_t rekeys_spi_in, ike_then *then)
{
	struct child *ch = st->child;
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
	q->remote = sa->remote;
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
