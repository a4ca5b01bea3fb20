/*
 * Redundant child SAs (RFC 7296 section 2.8): two of one tunnel with the same selectors, made at the same time
 * by both sides. The one with the lowest nonce is deleted by whoever began it (2.8.1); both sides come to the
 * same verdict alone.
 */
#include "ike/internal.h"

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
	last->expire_at =
		child_lifetime(c, last, IKE_CHILD_EXPIRE, IKE_CHILD_EXPIRE) - (c->now - last->since);
	ike_child_enter(c, last->sa, last, CH_UP);
}

/*
 * By the nonces the peer was to delete the redundant one. It did not: perhaps it reads 2.8.1 in another way,
 * or has forgotten the one that we send on. A rekey shows whether it has a child: if not, CHILD_SA_NOT_FOUND
 * ends it here as well, and the other one sends. What packets come in on is known to be there.
 */
void child_verify(struct ike *c, struct child_sa *ch)
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
