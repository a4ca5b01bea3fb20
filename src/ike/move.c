/*
 * Make before break by a new IKE SA: what a peer does not let us replace by CREATE_CHILD_SA is replaced by
 * IKE_SA_INIT and IKE_AUTH, and the old IKE SA is deleted when all of its child SAs have been replaced. RFC
 * 7296 section 4: "If the responder rejects the CREATE_CHILD_SA request with a NO_ADDITIONAL_SAS
 * notification, the implementation MUST be capable of instead deleting the old SA and creating a new one."
 * Also where rekeys are refused for other reasons until the lifetime is nearly over.
 */
#include "ike/internal.h"

#include <assert.h>

bool sa_move(struct ike *c, struct ike_sa *sa, const char *reason)
{
	const struct snap_peer *p = sa_peer(c, sa);

	if (sa->moving)
		return true;
	if (sa->state != ST_UP || !p || peer_initiate_obstacle(p))
		return false;
	sa->moving = true;
	ike_log(c, true, "peer %s: a new IKE SA will replace this one: %s", sa_peer_name(c, sa), reason);
	sa_touch(c, sa);
	return true;
}

void sa_move_on(struct ike *c, struct ike_sa *sa)
{
	bool over = true;

	assert(sa->moving && sa->state == ST_UP);
	LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
		if (ch->state == CH_LARVAL)
			over = false; /* as soon as it is up it has to be replaced as well */
		if (ch->state != CH_UP || child_is_replaced(c, ch))
			continue;
		over = false;
		tunnel_touch(c, ch->tunnel);
	}
	if (over)
		sa_close(c, sa,
			sa->redirected		 ? "replaced by a new IKE SA: redirected"
			: sa->authenticated.anew ? "replaced by a new IKE SA: reauthentication"
						 : "replaced by a new IKE SA");
}

/* Rekeys have been refused several times, and the last part of the lifetime has begun. */
static bool nearly_over(const struct ike *c, uint32_t refused, mono_ns began, mono_ns end)
{
	return refused >= IKE_MOVE_REFUSALS && end != 0 &&
	       c->now + (end - MIN_OF(began, end)) / IKE_MOVE_PART >= end;
}

void child_rekey_refused(struct ike *c, struct child_sa *old, uint16_t notify)
{
	bool forgets;

	old->refused++;
	/* As of an IKE SA. */
	forgets = notify == NTF_STATE_NOT_FOUND && old->refused >= IKE_MOVE_REFUSALS;
	if (notify == NTF_NO_ADDITIONAL_SAS || forgets ||
		nearly_over(c, old->refused, old->since, old->expire_at))
		sa_move(c, old->sa,
			notify == NTF_NO_ADDITIONAL_SAS
				? "the peer refuses CREATE_CHILD_SA with NO_ADDITIONAL_SAS"
			: forgets ? "the peer forgets its rekeys (STATE_NOT_FOUND)"
				  : "the peer refuses to rekey its child SA");
}

void sa_rekey_refused(struct ike *c, struct ike_sa *sa, uint16_t notify)
{
	/* A peer with additional key exchanges that has them in new IKE SAs alone. */
	bool wants_new = notify == NTF_NO_PROPOSAL_CHOSEN && sa->additional[0] != 0;

	sa->refused++;
	/* RFC 9370 2.2.4: "continues to receive STATE_NOT_FOUND ... MUST treat this situation as a fatal error". */
	if (notify == NTF_STATE_NOT_FOUND && sa->refused >= IKE_MOVE_REFUSALS)
		wants_new = true;
	if (notify == NTF_NO_ADDITIONAL_SAS || wants_new ||
		nearly_over(c, sa->refused, sa->since, sa->expire_at))
		sa_move(c, sa,
			notify == NTF_NO_ADDITIONAL_SAS
				? "the peer refuses CREATE_CHILD_SA with NO_ADDITIONAL_SAS"
			: notify == NTF_STATE_NOT_FOUND ? "the peer forgets its rekeys (STATE_NOT_FOUND)"
							: "the peer refuses to rekey it");
}
