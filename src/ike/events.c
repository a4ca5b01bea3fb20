/*
 * Events of this gateway: traffic for a tunnel, counters of the data plane, an administrator's order, a
 * message from our ledger to a peer's.
 */
#include "ike/internal.h"

#include <stdio.h>

/* ---- the data plane ---- */

void ike_input_acquire(
	struct ike *c, mono_ns now, uint32_t tunnel, const struct selector *src, const struct selector *dst)
{
	struct tunnel *t;

	c->now = now;
	if (tunnel >= c->tunnels_n || c->tunnels[tunnel].held ||
		snap_peers(c->snap)[tunnel_config(c, tunnel)->peer].start == PEER_START_NEVER)
		return;
	t = &c->tunnels[tunnel];
	if (tunnel_in_work(c, tunnel) || (t->up > 0 && c->now < t->retry_at))
		return; /* the next packet asks again */
	if (t->up > 0 && src && dst && pair_is_put_off(c, tunnel, src, dst))
		return;
	t->has_packet = src && dst && child_packet_fits(c, tunnel, src, dst);
	if (t->has_packet) {
		t->packet[0] = *src;
		t->packet[1] = *dst;
		t->has_packet = !child_holds_packet(c, tunnel);
	}
	t->want |= t->up == 0;
	tunnel_touch(c, tunnel);
	sa_settle_all(c);
}

void ike_input_activated(struct ike *c, mono_ns now, uint64_t number)
{
	c->now = now;
	holds_answered(c, number);
	sa_settle_all(c);
}

void ike_input_dataplane_up(struct ike *c, mono_ns now)
{
	uint64_t last = c->activations;

	c->now = now;
	for (uint32_t i = 0; i < c->tunnels_n; i++)
		child_tell_again(c, i, last);
	sa_settle_all(c);
}

/* A child SA in the data plane that no IKE SA here has: it is from before a restart of this process or of the
 * keeper. */
static void orphan_seen(struct ike *c, mono_ns now, const struct sa_usage *usage)
{
	struct tunnel *t = &c->tunnels[usage->tunnel];

	if (t->orphan != 0)
		return; /* one at a time */
	t->orphan = usage->spi_in;
	t->orphan_until = now + IKE_ORPHAN_S * NS_PER_S;
	tunnel_touch(c, usage->tunnel);
	if (t->up > 0) {
		t->orphan_remove_at = now + IKE_LINGER_S * NS_PER_S;
		return;
	}
	/* It carries traffic and cannot be rekeyed: the tunnel is negotiated again before it ends. */
	if (snap_peers(c->snap)[snap_tunnels(c->snap)[usage->tunnel].peer].start != PEER_START_NEVER)
		t->want = true;
	text_set(&t->reason, "carried by a child SA from before a restart");
}

/*
 * The same of a template: nobody knows whose it is, so it stays while its peer sends by it. That one comes back as soon as it
 * notices that its IKE SA is gone, and then sends by another one. orphan_until, without an orphan: not before.
 */
static void orphan_of_template(struct ike *c, mono_ns now, const struct sa_usage *usage)
{
	struct tunnel *t = &c->tunnels[usage->tunnel];

	if (t->orphan != 0)
		return; /* one at a time */
	if (t->orphan_until == 0)
		t->orphan_until = now + IKE_ORPHAN_IDLE_S * NS_PER_S;
	if (now < t->orphan_until || usage->idle_in_ms < IKE_ORPHAN_IDLE_S * 1000)
		return;
	t->orphan = usage->spi_in;
	t->orphan_until = now + IKE_ORPHAN_IDLE_S * NS_PER_S;
	t->orphan_remove_at = now;
	tunnel_touch(c, usage->tunnel);
}

static void use_seen(
	struct ike *c, mono_ns now, struct ike_sa *sa, struct child_sa *ch, const struct sa_usage *usage)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);
	mono_ns idle = usage->idle_in_ms * NS_PER_MS;

	ch->used = usage->idle_in_ms != UINT32_MAX;
	ch->last_in = ch->used ? now - MIN_OF(now, idle) : 0;
	ch->bytes = usage->bytes_in + usage->bytes_out;
	ch->seq_out = usage->seq_out;
	/* RFC 7296 2.4: receiving on a child SA shows that the peer is alive. */
	if (ch->used && now > idle && now - idle > sa->heard_at)
		sa->heard_at = now - idle;
	if (ch->used)
		child_confirm(c, ch);
	if (usage->flags & SA_MOVED)
		child_seen_at(c, ch, &usage->seen, now - MIN_OF(now, idle));
	if (usage->flags & SA_LOCAL_GONE)
		liveness_local_gone(c, sa);
	else
		sa->local_gone_at = 0;
	if (sa->state == ST_DEAD)
		return; /* and the child with it */
	if ((usage->flags & SA_LIFE_OVER) && (ch->state == CH_UP || ch->state == CH_REPLACED)) {
		child_want_delete(c, sa, ch, "its hard lifetime, or its sequence numbers, ended");
		return;
	}
	if (ch->state != CH_UP || ch->want_rekey)
		return;
	/* What is configured now, or was when it was installed. */
	if ((usage->flags & (SA_SEQUENCE_LOW | SA_LIFE_LOW)) ||
		(t && t->rekey_bytes && ch->bytes >= t->rekey_bytes) ||
		(t && t->rekey_packets && usage->packets_in + usage->packets_out >= t->rekey_packets)) {
		ch->want_rekey = true;
		child_changed(c, ch);
	}
}

void ike_input_usage(struct ike *c, mono_ns now, const struct sa_usage *usage)
{
	struct child_sa *ch = child_any_by_in(c, usage->spi_in);

	c->now = now;
	if (usage->tunnel >= c->tunnels_n)
		return;
	if (ch)
		use_seen(c, now, ch->sa, ch, usage);
	else if (peer_is_template(c, tunnel_config(c, usage->tunnel)->peer))
		orphan_of_template(c, now, usage);
	else
		orphan_seen(c, now, usage);
	sa_settle_all(c);
}

/* ---- the resolver ---- */

/* Nobody has answered there yet, and the name has other addresses by now. */
static void end_misled(struct ike *c, uint32_t peer)
{
	LIST_FOR_SAFE (struct ike_sa, sa, after, &peer_entry(c, peer)->sas, of_peer)
		if (sa->initiator && sa->state == ST_INIT_SENT && !sa->redirected_from &&
			!named_is_current(c, peer, &sa->remote.addr))
			sa_kill(c, sa, "its name has other addresses now");
}

void ike_input_peer_resolved(struct ike *c, mono_ns now, const struct peer_name_told *told)
{
	uint32_t peer = 0;
	const char *name;

	c->now = now;
	if (!peer_name_ok(told))
		return;
	while (peer < c->peers_n && strcmp(snap_peers(c->snap)[peer].name, told->peer) != 0)
		peer++;
	name = peer < c->peers_n ? snap_peer_dns_name(c->snap, &snap_peers(c->snap)[peer]) : NULL;
	if (!name || strcmp(name, told->name) != 0)
		return;
	if (named_told(c, peer, told) && named_may_act(c, peer)) {
		end_misled(c, peer);
		for (uint32_t i = c->peers[peer].tunnels; i != INDEX_NONE; i = c->tunnels[i].next_of_peer)
			if (c->tunnels[i].up == 0)
				tunnel_at_once(c, i, NULL);
	}
	sa_settle_all(c);
}

/* ---- orders ---- */

/* The tunnel's first child SA comes with an IKE SA that we are making for it. */
static void end_attempts(struct ike *c, uint32_t tunnel)
{
	LIST_FOR_SAFE (struct ike_sa, sa, after, &peer_entry(c, tunnel_config(c, tunnel)->peer)->sas, of_peer)
		if (sa->initiator && sa->state < ST_LARVAL && sa->first_tunnel == tunnel)
			sa_terminate(c, sa, IKE_TERMINATED);
}

static bool order_tunnel(struct ike *c, enum ike_order order, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	bool done = false;

	tunnel_touch(c, tunnel);
	if (order == IKE_ORDER_INITIATE) {
		t->want = true;
		t->held = false;
		t->retry_at = 0;
		if (t->up == 0) /* in place of the reason of the last failure */
			text_set(&t->reason, "initiated by an administrator");
		return true;
	}
	if (order == IKE_ORDER_TERMINATE) {
		end_attempts(c, tunnel);
		t->held = true;
		t->want = snap_peers(c->snap)[tunnel_config(c, tunnel)->peer].start == PEER_START_ALWAYS;
		text_set(&t->reason, "%s", IKE_TERMINATED);
	}
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		ch->terminated |= order == IKE_ORDER_TERMINATE && ch->state == CH_LARVAL;
		if (ch->state != CH_UP)
			continue;
		if (order == IKE_ORDER_REKEY_CHILD)
			ch->want_rekey = true;
		else
			child_want_delete(c, ch->sa, ch, IKE_TERMINATED);
		child_changed(c, ch);
		done = true;
	}
	return done || order == IKE_ORDER_TERMINATE;
}

/* user: as ike_id_text() has the identity; NULL: all of the peer. */
static bool order_peer(struct ike *c, enum ike_order order, uint32_t peer, const char *user)
{
	char text[KEEPER_ID_MAX]; /* whole: a part of another one's must not do */
	bool done = false;

	LIST_FOR_SAFE (struct ike_sa, sa, after, &peer_entry(c, peer)->sas, of_peer) {
		if (user &&
			(sa->user.n == 0 ||
				strcmp(ike_id_text(text, sizeof text, sa->user.at, sa->user.n), user) != 0))
			continue;
		done |= sa->state == ST_UP && order != IKE_ORDER_REAUTHENTICATE;
		if (order == IKE_ORDER_TERMINATE)
			sa_terminate(c, sa, IKE_TERMINATED);
		if (sa->state != ST_UP)
			continue;
		if (order == IKE_ORDER_REAUTHENTICATE && !sa->moving)
			done |= reauth_begin(c, sa);
		if (order == IKE_ORDER_REKEY_IKE)
			sa->want_rekey = true;
		sa_touch(c, sa);
	}
	return done;
}

/* By the identity of a gateway that uses a template: its IKE SAs alone, whoever uses the template afterwards. */
static bool order_user(struct ike *c, enum ike_order order, const char *user, bool *ret_done)
{
	bool found = false;

	/* One that fills its field may have been cut off, and be another one. */
	if ((order != IKE_ORDER_TERMINATE && order != IKE_ORDER_REKEY_IKE) ||
		strlen(user) >= NAME_MAX_BYTES - 1)
		return false;
	for (uint32_t i = 0; c->snap && i < c->snap->peers.count; i++) {
		if (!(snap_peers(c->snap)[i].flags & PEER_ID_PATTERN))
			continue;
		found |= order_peer(c, order, i, user);
	}
	*ret_done |= found;
	return found;
}

enum rc ike_input_order(struct ike *c, mono_ns now, enum ike_order order, const char *name, struct err *e)
{
	bool found = false, done = false;

	c->now = now;
	for (uint32_t i = 0; i < c->tunnels_n; i++) {
		const struct snap_tunnel *t = tunnel_config(c, i);
		const struct snap_peer *p = &snap_peers(c->snap)[t->peer];
		bool by_peer = strcmp(p->name, name) == 0;

		if (!by_peer && strcmp(t->name, name) != 0)
			continue;
		found = true;
		if (order == IKE_ORDER_REKEY_IKE || order == IKE_ORDER_REAUTHENTICATE)
			done |= order_peer(c, order, t->peer, NULL);
		else
			done |= order_tunnel(c, order, i);
		if (by_peer && order == IKE_ORDER_TERMINATE)
			order_peer(c, order, t->peer, NULL);
	}
	if (!found)
		found = order_user(c, order, name, &done);
	sa_settle_all(c);
	if (!found)
		return err_add(e, RC_NOT_FOUND, "no tunnel or peer with tunnels is named '%.63s'", name);
	if (order == IKE_ORDER_REAUTHENTICATE && !done)
		return err_add(e, RC_AGAIN,
			"'%.63s' has no established IKE SA that this side can replace by a new one", name);
	return done ? RC_OK : err_add(e, RC_AGAIN, "'%.63s' has no established SA", name);
}

enum rc ike_input_redirect(
	struct ike *c, mono_ns now, const char *peer, const struct snap_id *to, struct err *e)
{
	uint8_t data[IKE_GATEWAY_MAX];
	size_t n = redirect_data(data, to, NULL);
	uint32_t index = 0, up = 0, sent = 0;

	c->now = now;
	while (index < c->peers_n && strcmp(snap_peers(c->snap)[index].name, peer) != 0)
		index++;
	if (index == c->peers_n)
		return err_add(e, RC_NOT_FOUND, "no peer is named '%.63s'", peer);
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, index)->sas, of_peer) {
		if (sa->state != ST_UP || sa->want_delete)
			continue;
		up++;
		if (!sa->redirectable)
			continue;
		blob_set(&sa->send_to, data, n);
		sa_touch(c, sa);
		sent++;
	}
	sa_settle_all(c);
	if (up == 0)
		return err_add(e, RC_AGAIN, "'%.63s' has no established IKE SA", peer);
	return sent > 0
		       ? RC_OK
		       : err_add(e, RC_UNSUPPORTED,
				 "peer '%.63s' does not go where it is sent: it did not announce REDIRECT_SUPPORTED (RFC 5685), or this side began the IKE SA",
				 peer);
}

/* ---- the ledgers ---- */

enum rc ike_input_peer_message(struct ike *c, mono_ns now, const char *peer, enum ike_peer_message kind,
	const void *bytes, size_t n, struct err *e)
{
	uint32_t index = 0, peers = c->snap ? c->snap->peers.count : 0;
	bool up = false;

	c->now = now;
	if (n == 0 || n > IKE_PEER_MESSAGE_MAX || (unsigned)kind >= IKE_PEER_MESSAGE_COUNT)
		return err_add(e, RC_RANGE, "ledger message of %zu octets: 1 to %d are allowed", n,
			IKE_PEER_MESSAGE_MAX);
	while (index < peers && strcmp(snap_peers(c->snap)[index].name, peer) != 0)
		index++;
	if (index == peers)
		return err_add(e, RC_NOT_FOUND, "no peer is named '%.63s'", peer);
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, index)->sas, of_peer) {
		if (sa->state != ST_UP || sa->want_delete)
			continue;
		up = true;
		if (!sa->supports_witnessing)
			continue;
		blob_set(&sa->peer_messages[kind], bytes, n);
		sa->peer_messages_sent[kind] = 0;
		sa_touch(c, sa);
		sa_settle_all(c);
		return RC_OK;
	}
	return up ? err_add(e, RC_UNSUPPORTED, "peer '%.63s' does not support witnessing through IKE", peer)
		  : err_add(e, RC_AGAIN, "there is no established IKE SA with peer '%.63s'", peer);
}
