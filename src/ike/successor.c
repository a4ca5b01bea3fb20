/*
 * The successor of an IKE SA, made by a rekey (RFC 7296 section 2.18), gets its child SAs. Which of two
 * successors: rekey.c.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static void take_children(struct ike *c, struct ike_sa *from, struct ike_sa *to)
{
	to->children_n += from->children_n;
	from->children_n = 0;
	LIST_FOR_SAFE (struct child_sa, ch, after, &from->children, of_sa) {
		link_out(&ch->of_sa);
		link_out(&ch->wanting);
		link_out(&ch->unsure);
		link_last(&to->children, &ch->of_sa);
		ch->sa = to;
		child_changed(c, ch);
	}
	assert(list_empty(&from->children) && from->children_n == 0);
	to->childless_at = 0;
	sa_touch(c, to);
}

/* The old IKE SA gives its children to the successor and waits for its delete. */
void sa_replace(struct ike *c, struct ike_sa *sa, struct ike_sa *successor)
{
	assert(sa != successor && sa->peer == successor->peer);
	assert(!sa->followup || !sa->followup->child);
	take_children(c, sa, successor);
	peer_messages_move(sa, successor);
	successor->authenticated = sa->authenticated;
	redirect_inherit(sa, successor);
	successor->moving |= sa->moving && (sa->authenticated.anew || sa->redirected);
	/* What the data plane reports of the children may be older than the last message on the old IKE SA. */
	successor->seen_at = MAX_OF(successor->seen_at, sa->seen_at);
	sa->peer_successor = 0;
	sa->want_rekey = false;
	if (sa->state == ST_UP)
		sa_enter(c, sa, ST_REPLACED);
	sa->timer_at = c->now + IKE_REPLACED_S * NS_PER_S;
	text_set(&sa->reason, "rekeyed");
	if (!sa->terminated)
		return;
	successor->terminated = successor->want_delete = true;
	text_set(&successor->reason, "%s", IKE_TERMINATED);
}

void rekey_settle_to(struct ike *c, struct ike_sa *successor)
{
	struct ike_sa *parent = sa_by_serial(c, successor->peer, successor->parent);

	successor->parent = 0;
	if (parent && parent->peer_successor == successor->serial)
		sa_replace(c, parent, successor);
}
