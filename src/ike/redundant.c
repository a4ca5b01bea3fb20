/*
 * Redundant child SAs (RFC 7296 section 2.8): two of one tunnel with the same selectors, made at the same
 * time by both sides. The one with the lowest nonce is deleted by whoever began it (2.8.1); both sides come
 * to the same verdict alone.
 */
#include "ike/internal.h"

#include <assert.h>

static bool same_selectors(const struct child_sa *a, const struct child_sa *b)
{
	return child_within(a, b) && child_within(b, a);
}

/*
 * Of two IKE SAs that one side has begun, one after the other, the newer one takes the place of the other (reauth.c), and both sides know which
 * that is. Where each has begun one, perhaps at once, the nonces decide, unless they are farther apart than any two that were begun at once.
 */
static bool is_newer_authenticated(const struct child_sa *a, const struct child_sa *b)
{
	const struct ike_authenticated *x = &a->sa->authenticated, *y = &b->sa->authenticated;

	return x->since > y->since + (x->by_us == y->by_us ? 0 : IKE_APART_S * NS_PER_S);
}

static bool goes_before(const struct child_sa *a, const struct child_sa *b)
{
	if (is_newer_authenticated(a, b) || is_newer_authenticated(b, a))
		return is_newer_authenticated(b, a);
	int order = nonce_compare(&a->lineage, &b->lineage);

	return (order ? order : nonce_compare(&a->lowest, &b->lowest)) < 0;
}

/* Both come from one child SA by rekeys, so one of them is redundant. */
static bool same_lineage(const struct child_sa *a, const struct child_sa *b)
{
	return nonce_compare(&a->lineage, &b->lineage) == 0 && same_selectors(a, b);
}

/*
 * The peer does not have the child SA that its own rekey made: it abandoned that exchange because our
 * response was lost, as with an IKE SA that was replaced meanwhile, and still sends on the predecessor. So
 * that one is used again. It is rekeyed at once: the response shows whether the peer has it; if not, its
 * predecessor is next.
 */
void child_predecessor_restore(struct ike *c, const struct child_sa *unknown)
{
	const struct tunnel *t = child_tunnel(c, unknown);
	struct child_sa *last = NULL;

	if (!t)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->state == CH_REPLACED && ch->sa->state == ST_UP && same_lineage(ch, unknown) &&
			(!last || ch->since > last->since))
			last = ch;
	if (!last)
		return;
	last->want_rekey = true;
	last->expire_at =
		child_lifetime(c, last, IKE_CHILD_EXPIRE, IKE_CHILD_EXPIRE) - (c->now - last->since);
	child_enter_state(c, last->sa, last, CH_UP);
}

/*
 * By the nonces the peer should have deleted the redundant one. It did not: perhaps it reads 2.8.1 in another
 * way, or no longer has the one that we send on. A rekey shows whether it has a child SA: if not,
 * CHILD_SA_NOT_FOUND ends it here as well, and the other one sends. One with incoming packets needs no rekey.
 */
void child_verify(struct ike *c, struct child_sa *ch)
{
	bool used = ch->used && c->now < ch->last_in + IKE_DOUBT_MS_MIN * NS_PER_MS, alone = true;

	assert(ch->state == CH_UP && !ch->verifying);
	ch->doubt_at = 0;
	LIST_FOR (struct child_sa, other, &c->tunnels[ch->tunnel].children, of_tunnel)
		alone &= other == ch || other->state != CH_UP || !same_lineage(other, ch);
	ch->verifying = !alone && !used;
	ch->verified = !ch->verifying;
	ch->want_rekey |= ch->verifying;
	child_redundancy_mark(c, ch);
}

static void doubt(struct ike *c, struct child_sa *ch)
{
	if (ch->verified || ch->verifying || ch->doubt_at != 0)
		return;
	ch->doubt_at = c->now + ike_jitter(c, IKE_DOUBT_MS_MIN, IKE_DOUBT_MS_MAX) * NS_PER_MS;
	child_changed(c, ch);
}

static bool in_doubt(const struct child_sa *ch)
{
	return ch->doubt_at != 0 || ch->verifying;
}

/* Its own rekey decides between it and a redundant one when the response comes. */
static bool being_rekeyed(const struct child_sa *ch)
{
	const struct step *own = &ch->sa->steps[SIDE_OWN];

	return own->task == TASK_CHILD_REKEY && own->old_spi_in == ch->spi_in;
}

/* If another one is up with the same selectors, the one with the lowest nonce is deleted by whoever began
 * it. */
static void compare(struct ike *c, struct child_sa *ch)
{
	LIST_FOR (struct child_sa, other, &c->tunnels[ch->tunnel].children, of_tunnel) {
		if (other == ch || other->state != CH_UP || ch->state != CH_UP || being_rekeyed(other) ||
			other->sa->moving != ch->sa->moving || other->successor_of_peer == ch->spi_in ||
			ch->successor_of_peer == other->spi_in || in_doubt(other) || in_doubt(ch) ||
			!child_same_user(c, other, ch) || !same_selectors(other, ch))
			continue;
		/* Of those for one worker each the others are wanted; and each side numbers them for itself. */
		if ((other->resource || ch->resource) && !same_lineage(other, ch))
			continue;
		struct child_sa *goes = goes_before(other, ch) ? other : ch, *stays = goes == ch ? other : ch;

		if (goes->ours) {
			child_supersede(c, goes->sa, goes, stays,
				"redundant (RFC 7296 2.8.1): the other one is kept");
		} else if (same_lineage(goes, stays)) {
			doubt(c, goes);
			doubt(c, stays);
		}
	}
}

void tunnel_redundancy_check(struct ike *c, uint32_t tunnel)
{
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel) {
		if (ch->compare && ch->state == CH_UP)
			compare(c, ch);
		ch->compare = false;
	}
}
