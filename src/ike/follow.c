/*
 * The endpoint of a peer behind a NAT, when the NAT gives it another port, another address or both (it was
 * rebooted, or lost the mapping). RFC 7296 section 2.23: after an authentic packet from another endpoint a
 * host "that is not behind a NAT, SHOULD send all packets (including retransmission packets) to the IP
 * address and port in the validated packet", IKE or ESP, and "only ... in response to a new packet". "A host
 * behind a NAT SHOULD NOT do this type of dynamic address update": it sends its request to the new and to the
 * old endpoint, and takes the one that the response comes from, which one copied packet cannot cause.
 *
 * A packet is new if it is an IKE message in the window (input.c), or the ESP packet of a child SA with the
 * highest sequence number so far, which the data plane reports with the usage (SA_MOVED), unless something
 * newer was seen before, on this IKE SA, on the one that it replaced, or on another one with the same mapping.
 * A peer that is not behind a NAT is not followed.
 */
#include "ike/internal.h"

#include <assert.h>

static void set(struct ike *c, struct ike_sa *sa, const struct endpoint *to, mono_ns when)
{
	sa->seen_at = MAX_OF(sa->seen_at, when);
	sa->remote.addr = to->addr;
	sa->remote.port = to->port;
	sa->elsewhere = (struct endpoint){ 0 };
	own_tries_restart(c, sa); /* the request that waits went to the old endpoint */
	sa_touch(c, sa);
	LIST_FOR (struct child_sa, ch, &sa->children, of_sa)
		if (ch->state != CH_LARVAL) /* of that one the data plane is told when it is installed */
			child_follow(c, ch);
}

/*
 * All IKE SAs that had the same mapping move together: those of a rekey, those being replaced. Of a template those of the same
 * identity alone: a source address can be forged, and what one identity says moves nobody else.
 */
static void move(struct ike *c, struct ike_sa *sa, const struct endpoint *to, mono_ns when, const char *by)
{
	struct endpoint from = sa->remote;
	char was[ENDPOINT_TEXT_MAX], is[ENDPOINT_TEXT_MAX];

	assert(sa->peer_natted);
	ike_log(c, false, "peer %s: moved from %s to %s, as its %s shows", sa_peer_name(c, sa),
		endpoint_text(was, &from), endpoint_text(is, to), by);
	set(c, sa, to, when);
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other->peer_natted && endpoint_same(&other->remote, &from) && sa_same_user(c, other, sa))
			set(c, other, to, when);
}

/* Our requests are sent there as well, until a response has come from either endpoint. */
static void probe(struct ike *c, struct ike_sa *sa, const struct endpoint *at, const char *by)
{
	bool asking = sa->steps[SIDE_OWN].task != TASK_NONE;
	char there[ENDPOINT_TEXT_MAX], here[ENDPOINT_TEXT_MAX];

	if (asking ? endpoint_same(&sa->elsewhere, at) : !liveness_ask(c, sa))
		return; /* it is being probed, or was a short time ago */
	sa->elsewhere = *at;
	own_tries_restart(c, sa);
	ike_log(c, false,
		"peer %s: its %s comes from %s instead of %s; probing both, since we are behind a NAT too",
		sa_peer_name(c, sa), by, endpoint_text(there, at), endpoint_text(here, &sa->remote));
}

/* Something newer came from the present mapping, on another IKE SA that has it. */
static bool seen_since(const struct ike *c, const struct ike_sa *sa, mono_ns when)
{
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other->peer_natted && endpoint_same(&other->remote, &sa->remote) &&
			other->seen_at > when && sa_same_user(c, other, sa))
			return true;
	return false;
}

/* A new packet came from there at that time. */
static void seen_at(struct ike *c, struct ike_sa *sa, const struct endpoint *at, mono_ns when, const char *by)
{
	if (when < sa->seen_at)
		return;
	sa->seen_at = when;
	if (!sa->peer_natted || endpoint_same(at, &sa->remote) || at->addr.family != sa->remote.addr.family ||
		seen_since(c, sa, when))
		return;
	if (sa->we_natted)
		probe(c, sa, at, by);
	else
		move(c, sa, at, when, by);
}

void sa_heard_from(struct ike *c, struct ike_sa *sa, const struct message *in)
{
	struct endpoint asked_at = sa->elsewhere;

	if (sa->state == ST_AUTH_WAIT || sa->local.addr.family == ADDR_NONE)
		sa->local = in->local;
	if (sa->state == ST_AUTH_WAIT) {
		sa->remote = in->remote;
		return;
	}
	if (in->h.flags & IKE_FLAG_RESPONSE)
		sa->elsewhere = (struct endpoint){ 0 };
	if ((in->h.flags & IKE_FLAG_RESPONSE) && endpoint_same(&in->remote, &asked_at))
		move(c, sa, &in->remote, c->now, "answer");
	else
		seen_at(c, sa, &in->remote, c->now, "IKE message");
}

/* On a child SA that was deleted only that comes in which was on its way: it shows where the peer was. */
void child_seen_at(struct ike *c, struct child_sa *ch, const struct endpoint *at, mono_ns when)
{
	if (endpoint_same(at, &ch->sa->remote))
		child_tell_endpoint(c, ch); /* the data plane has not got it yet */
	else if (at->port != 0 && ch->state != CH_LINGER)
		seen_at(c, ch->sa, at, when, "ESP");
}
