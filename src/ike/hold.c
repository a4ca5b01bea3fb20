/*
 * What waits until the data plane sends by other child SAs: our Delete of an IKE SA whose traffic others carry from now on, and the answer to
 * the peer's Delete. As soon as it has either of them the peer removes what it receives by, and many at once, without waiting for packets on
 * their way; SA_ACTIVATE goes to the data plane by another road than the message to the peer, and would lose the race now and then.
 *
 * The data plane answers each SA_ACTIVATE with its number, in order. What it sent before that gets IKE_FLIGHT_MS to arrive, and to be opened:
 * paths and peers with several threads let a message of IKE overtake it. Where the data plane does not answer, because it is not running,
 * IKE_HOLD_MS is the end, or the peer's repetition of its request.
 */
#include "ike/internal.h"

void hold_begin(struct ike *c, struct ike_sa *sa)
{
	struct hold *h = sa->hold;

	if (!h) {
		h = sa->hold = ike_alloc(sizeof *h);
		h->sa = sa;
		link_last(&c->held, &h->of_held);
	}
	h->from = c->activations;
	h->number = 0;
	h->activated = false;
	h->until = c->now + IKE_HOLD_MS * NS_PER_MS;
	sa_touch(c, sa);
}

void hold_release(struct ike *c, struct ike_sa *sa)
{
	struct hold *h = sa->hold;

	if (!h)
		return;
	if (h->is_response && sa->response.n > 0)
		message_send(c, &h->local, &h->remote, &sa->response);
	hold_drop(sa);
	sa_touch(c, sa);
}

bool holds_settle(struct ike *c)
{
	bool released = false;

	LIST_FOR_SAFE (struct hold, h, after, &c->held, of_held) {
		if (h->number != 0)
			continue;
		h->number = c->activations;
		if (h->number > h->from && h->number > c->activated)
			continue;
		hold_release(c, h->sa); /* nothing was to be activated */
		released = true;
	}
	return released;
}

void holds_answered(struct ike *c, uint64_t number)
{
	c->activated = MIN_OF(MAX_OF(c->activated, number), c->activations);
	LIST_FOR (struct hold, h, &c->held, of_held)
		if (h->number <= c->activated && !h->activated) {
			h->activated = true;
			h->until = c->now + IKE_FLIGHT_MS * NS_PER_MS;
			sa_touch(c, h->sa);
		}
}
