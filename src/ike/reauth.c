/*
 * Reauthentication (RFC 7296 section 2.8.3), make before break: a rekey goes on under the old authentication, so after a configured time a new
 * IKE SA is made by IKE_SA_INIT and IKE_AUTH, all child SAs are made anew on it, and then the old one is deleted (move.c). And AUTH_LIFETIME
 * (RFC 4478), by which the responder says when it will end the IKE SA: as initiator we come before that.
 *
 * The times are those of the authentication, whatever rekeys the IKE SA meanwhile: they go to the successor (successor.c). Whoever was not
 * authenticated again by their end has none: the IKE SA is closed.
 */
#include "ike/internal.h"

/* The responder ends it a little later than it has said: the initiator's requests may be on their way. */
static mono_ns end_of(const struct ike_sa *sa)
{
	const struct ike_authenticated *a = &sa->authenticated;

	return a->since + (a->configured_s + (a->by_us ? 0 : IKE_REAUTH_GRACE_S)) * NS_PER_S;
}

/* When we begin: of the time that is left, as of a lifetime; who began it comes first. */
static mono_ns begin_of(struct ike *c, const struct ike_sa *sa, mono_ns before)
{
	bool ours = sa->authenticated.by_us;
	uint64_t lo = ours ? IKE_REKEY_OURS_FROM : IKE_REKEY_THEIRS_FROM,
		 hi = ours ? IKE_REKEY_OURS_TO : IKE_REKEY_THEIRS_TO;
	mono_ns left = before > c->now ? before - c->now : 0;
	mono_ns at = c->now + left / 1000 * ike_jitter(c, lo, hi);

	at = MAX_OF(at, c->now + NS_PER_MS); /* a time that is over is never due */
	return MAX_OF(at, sa->authenticated.since + IKE_REAUTH_MIN_S * NS_PER_S);
}

static bool may_begin(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p && !peer_initiate_obstacle(p) && (sa->authenticated.by_us || p->start != PEER_START_NEVER);
}

/* By its authentication, or by a commit, which puts off nothing that the peer has said. */
static void times_set(struct ike *c, struct ike_sa *sa)
{
	struct ike_authenticated *a = &sa->authenticated;

	a->end = a->begin = 0;
	if (a->configured_s != 0) {
		a->end = MAX_OF(end_of(sa), c->now + IKE_REAUTH_NOTICE_S * NS_PER_S);
		a->begin = begin_of(c, sa, a->end - (a->by_us ? 0 : IKE_REAUTH_GRACE_S * NS_PER_S));
	}
	if (a->peer_begin != 0 && (a->begin == 0 || a->peer_begin < a->begin))
		a->begin = MAX_OF(a->peer_begin, c->now + NS_PER_MS);
	if (!may_begin(c, sa))
		a->begin = 0;
	sa_touch(c, sa);
}

void reauth_authenticated(struct ike *c, struct ike_sa *sa, bool by_us)
{
	const struct snap_peer *p = sa_peer(c, sa);

	sa->authenticated = (struct ike_authenticated){
		.by_us = by_us, .since = c->now, .configured_s = p ? p->reauth_s : 0
	};
	times_set(c, sa);
}

void reauth_configured(struct ike *c, struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	if (!p || sa->state != ST_UP || p->reauth_s == sa->authenticated.configured_s)
		return;
	sa->authenticated.configured_s = p->reauth_s;
	times_set(c, sa);
	sa->want_lifetime = !sa->authenticated.by_us && sa->authenticated.end != 0;
}

void lifetime_write(const struct ike *c, const struct ike_sa *sa, struct ike_out *o)
{
	const struct ike_authenticated *a = &sa->authenticated;
	mono_ns end = a->end - MIN_OF(a->end, IKE_REAUTH_GRACE_S * NS_PER_S);
	uint8_t seconds[4];

	if (a->by_us || a->end == 0)
		return;
	store_be32(seconds, (uint32_t)(end > c->now ? (end - c->now) / NS_PER_S : 0));
	ike_out_notify(o, NTF_AUTH_LIFETIME, seconds, sizeof seconds);
}

void lifetime_read(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_AUTH_LIFETIME);
	struct ike_authenticated *a = &sa->authenticated;
	mono_ns end, begin;

	/* RFC 4478 section 3: the responder tells the initiator. */
	if (!v || v->data.n != 4 || !a->by_us)
		return;
	end = c->now + load_be32(v->data.at) * NS_PER_S;
	if (a->peer_end != 0 && end >= a->peer_end)
		return; /* what it said before may be repeated, and puts nothing off */
	a->peer_end = end;
	begin = begin_of(c, sa, end);
	if (a->peer_begin == 0 || begin < a->peer_begin)
		a->peer_begin = begin;
	if (may_begin(c, sa) && (a->begin == 0 || begin < a->begin))
		a->begin = begin;
	sa_touch(c, sa);
}

bool reauth_begin(struct ike *c, struct ike_sa *sa)
{
	if (sa->state != ST_UP || sa->want_delete)
		return false;
	if (sa->moving)
		sa->authenticated.anew = true;
	else
		sa->authenticated.anew = sa_move(c, sa, "reauthentication");
	return sa->authenticated.anew;
}

void reauth_tick(struct ike *c, struct ike_sa *sa)
{
	struct ike_authenticated *a = &sa->authenticated;

	if (a->begin != 0 && c->now >= a->begin) {
		a->begin = 0;
		reauth_begin(c, sa);
	}
	if (a->end == 0 || c->now < a->end)
		return;
	a->end = 0;
	sa_close(c, sa,
		a->by_us ? "its authentication is too old, and no reauthentication succeeded"
			 : "its authentication is too old, and the peer did not come to reauthenticate");
}

bool reauth_has_newer(const struct ike *c, const struct ike_sa *sa)
{
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		if (other != sa && other->state == ST_UP && !other->want_delete &&
			other->authenticated.since > sa->authenticated.since && sa_same_user(c, other, sa))
			return true;
	return false;
}
