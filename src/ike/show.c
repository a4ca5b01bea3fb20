/*
 * The core's state for `show ike` and for tests.
 */
#include "ike/internal.h"

#include "base/json.h"

#include <stdio.h>

static void show_children(const struct ike *c, struct jw *w, const struct ike_sa *sa)
{
	char names[1024] = "";
	size_t at = 0;
	uint32_t more = 0;

	LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
		const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);

		if (ch->state != CH_UP || !t)
			continue;
		if (at + sizeof t->name + 16 > sizeof names)
			more++;
		else
			at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? " " : "", t->name);
	}
	if (more > 0)
		snprintf(names + at, sizeof names - at, " +%u", more);
	jw_str(w, "tunnels", names);
}

/* Of a peer by name: what DNS has said of it last, and what was wrong since. */
static void show_name(const struct ike *c, mono_ns now, struct jw *w, uint32_t peer)
{
	const struct ike_named *x = peer < c->peers_n ? c->peers[peer].named : NULL;
	char all[PEER_ADDRESSES_MAX * ADDR_TEXT_MAX] = "", one[ADDR_TEXT_MAX];
	size_t at = 0;

	if (!x)
		return;
	for (uint32_t i = 0; i < x->current; i++)
		at += (size_t)snprintf(
			all + at, sizeof all - at, "%s%s", at ? " " : "", addr_text(one, &x->at[i]));
	jw_str(w, "name", snap_peer_dns_name(c->snap, &snap_peers(c->snap)[peer]));
	jw_str(w, "name_addresses", all);
	if (x->known)
		jw_u64(w, "name_answered_s", (now - MIN_OF(now, x->answered_at)) / NS_PER_S);
	jw_str(w, "name_error", text_of(x->why));
}

/* By which `show ipsec` and the ledger name its child SAs. */
static void show_spis(struct jw *w, const struct ike_sa *sa)
{
	char spis[512] = "";
	size_t at = 0;
	uint32_t more = 0;

	LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
		if (ch->state != CH_UP)
			continue;
		if (at + 16 > sizeof spis)
			more++;
		else
			at += (size_t)snprintf(
				spis + at, sizeof spis - at, "%s%08x", at ? " " : "", ch->spi_in);
	}
	if (more > 0)
		snprintf(spis + at, sizeof spis - at, " +%u", more);
	jw_str(w, "spis_in", spis);
}

static uint64_t seconds_until(mono_ns now, mono_ns at)
{
	return at > now ? (at - now) / NS_PER_S : 0;
}

static size_t show_sa(const struct ike *c, mono_ns now, const struct ike_sa *sa, char *text, size_t size)
{
	struct jw w = jw_over(text, size, false);
	char endpoint[ENDPOINT_TEXT_MAX], id[KEEPER_ID_MAX], additional[64];

	jw_object(&w, NULL);
	jw_str(&w, "peer", sa_peer_name(c, sa));
	if (sa->user.n > 0)
		jw_str(&w, "identity", ike_id_text(id, sizeof id, sa->user.at, sa->user.n));
	show_children(c, &w, sa);
	/* A delete waits for the answer to the request before it. */
	jw_str(&w, "state", ike_state_text(sa->want_delete ? ST_CLOSING : sa->state));
	jw_str(&w, "local", endpoint_text(endpoint, &sa->local));
	jw_str(&w, "remote", endpoint_text(endpoint, &sa->remote));
	show_name(c, now, &w, sa->peer);
	jw_str(&w, "role", sa->initiator ? "initiator" : "responder");
	if (sa->encr == 0)
		jw_str(&w, "algorithms", "");
	else /* as in the ledger's entry */
		jw_strf(&w, "algorithms", "%s-%s-%s%s%s%s", encr_word(sa->encr, sa->encr_bits),
			prf_word(sa->prf), dh_word(sa->dh),
			additional_text(additional, sizeof additional, sa->additional),
			sa->ppk && sa->was_up ? "-ppk" : "", legacy_mark(sa->encr, sa->dh));
	jw_hex(&w, "spi_i", sa->spi_i, 8);
	jw_hex(&w, "spi_r", sa->spi_r, 8);
	show_spis(&w, sa);
	jw_str(&w, "nat",
		sa->peer_natted && sa->we_natted ? "both"
		: sa->peer_natted		 ? "peer"
		: sa->we_natted			 ? "local"
						 : "no");
	jw_bool(&w, "udp_encapsulation", sa->encap);
	jw_bool(&w, "fragmentation", sa->fragments);
	jw_bool(&w, "full_transcript", sa->transcript);
	jw_u64(&w, "age_s", (now - sa->since) / NS_PER_S);
	if (sa->redirected_from)
		jw_str(&w, "redirected_from", sa->redirected_from);
	if (sa->leaves_at != 0 || sa->redirected)
		jw_bool(&w, "redirected", true);
	if (sa->rekey_at != 0)
		jw_u64(&w, "rekey_in_s", seconds_until(now, sa->rekey_at));
	if (sa->authenticated.since != 0)
		jw_u64(&w, "authenticated_s", (now - MIN_OF(now, sa->authenticated.since)) / NS_PER_S);
	if (sa->authenticated.begin != 0)
		jw_u64(&w, "reauthentication_in_s", seconds_until(now, sa->authenticated.begin));
	if (sa->authenticated.end != 0)
		jw_u64(&w, "authentication_ends_in_s", seconds_until(now, sa->authenticated.end));
	/* Until the peer is authenticated heard_at is the time of the beginning. */
	if (sa->state == ST_UP || sa->heard_at > sa->since)
		jw_u64(&w, "last_received_s", (now - MIN_OF(now, sa->heard_at)) / NS_PER_S);
	if (sa->puzzle && link_used(&sa->puzzle->of_solving))
		jw_strf(&w, "reason", "solving a puzzle of the peer (RFC 8019), %u zero bits",
			sa->puzzle->search.difficulty);
	else if (!sa->reason && sa->tries > 0 && sa->again_at != 0)
		jw_strf(&w, "reason", "no answer yet from %s to %s, sent %u times",
			endpoint_text(endpoint, &sa->remote), ike_exchange_name(sa->request.at[18]),
			sa->tries + 1);
	else
		jw_str(&w, "reason", text_of(sa->reason));
	jw_end(&w);
	return jw_done(&w);
}

/* What the peer itself tried last, which `reason` of a tunnel does not say: it is of our own attempts. */
static void show_refusal(const struct ike *c, mono_ns now, struct jw *w, const char *peer)
{
	const struct ike_refusal *r = ike_refusal_of(c, peer);

	if (!r)
		return;
	jw_str(w, "refused", r->reason);
	jw_u64(w, "refused_s", (now - MIN_OF(now, r->at)) / NS_PER_S);
	if (r->offered[0])
		jw_strf(w, "offered", "%.400s", r->offered);
	if (r->configured[0])
		jw_strf(w, "configured", "%.400s", r->configured);
}

/* Whether its identities are up stands in their own rows. */
static void show_template(const struct ike *c, struct jw *w, uint32_t peer)
{
	const struct ike_peer *p = peer_entry(c, peer);

	jw_str(w, "state", "template");
	jw_u64(w, "identities", instances_count(c, peer));
	jw_u64(w, "connections_limit", snap_peers(c->snap)[peer].connections_max);
	jw_u64(w, "identities_refused", p->instances_refused);
	jw_u64(w, "addresses_refused", p->claims_refused);
}

static size_t show_tunnel(const struct ike *c, mono_ns now, uint32_t i, char *text, size_t size)
{
	const struct tunnel *t = &c->tunnels[i];
	const struct snap_tunnel *config = tunnel_config(c, i);
	const struct snap_peer *p = &snap_peers(c->snap)[config->peer];
	struct jw w = jw_over(text, size, false);
	struct ip_addr remote = p->remote;
	char address[ADDR_TEXT_MAX];

	if (p->flags & PEER_REMOTE_NAME)
		named_begin_with(c, config->peer, &remote);
	jw_object(&w, NULL);
	jw_str(&w, "peer", p->name);
	jw_str(&w, "tunnels", config->name);
	if (peer_is_template(c, config->peer))
		show_template(c, &w, config->peer);
	else
		jw_str(&w, "state", "down");
	jw_str(&w, "local", addr_text(address, &p->local));
	jw_str(&w, "remote", addr_text(address, &remote));
	show_name(c, now, &w, config->peer);
	jw_u64(&w, "retry_in_s",
		t->want && !t->held && t->retry_at > now ? (t->retry_at - now) / NS_PER_S : 0);
	jw_bool(&w, "wanted", t->want && !t->held);
	jw_str(&w, "reason",
		peer_is_template(c, config->peer) ? "its identities begin it"
		: t->reason			  ? t->reason
		: t->want			  ? "being set up"
						  : "not initiated yet");
	show_refusal(c, now, &w, p->name);
	jw_end(&w);
	return jw_done(&w);
}

size_t ike_show(const struct ike *c, mono_ns now, uint32_t *cursor, char *text, size_t size)
{
	while (*cursor < IKE_SAS_MAX) {
		const struct ike_sa *sa = c->slots[(*cursor)++];

		if (sa && sa->state != ST_DEAD)
			return show_sa(c, now, sa, text, size);
	}
	while (*cursor - IKE_SAS_MAX < c->tunnels_n) {
		uint32_t i = (*cursor)++ - IKE_SAS_MAX;

		if (c->tunnels[i].up == 0 || peer_is_template(c, tunnel_config(c, i)->peer))
			return show_tunnel(c, now, i, text, size);
	}
	return 0;
}

/* ---- counters ---- */

static const char *const counter_texts[][2] = {
#define E(id, name, text) { name, text },
	IKE_COUNTERS(E)
#undef E
		{ "half-open-now", "IKE SAs that others have begun and that are not authenticated yet" },
};

size_t ike_show_counters(const struct ike *c, uint32_t *cursor, char *text, size_t size)
{
	struct jw w = jw_over(text, size, false);
	uint32_t i = *cursor;

	if (i >= COUNT_OF(counter_texts))
		return 0;
	(*cursor)++;
	jw_object(&w, NULL);
	jw_str(&w, "counter", counter_texts[i][0]);
	jw_u64(&w, "value", i < IKE_COUNTERS_N ? c->counts[i] : c->half_open);
	jw_str(&w, "text", counter_texts[i][1]);
	jw_end(&w);
	return jw_done(&w);
}

uint64_t ike_view_count(const struct ike *c, enum ike_counter which)
{
	return c->counts[which];
}

/* ---- for tests ---- */

bool ike_view_sa(const struct ike *c, uint32_t *cursor, struct ike_sa_view *ret)
{
	while (*cursor < IKE_SAS_MAX) {
		const struct ike_sa *sa = c->slots[(*cursor)++];

		if (!sa || sa->state == ST_DEAD || sa->state == ST_FAILED)
			continue;
		memset(ret, 0, sizeof *ret);
		memcpy(ret->spi_i, sa->spi_i, 8);
		memcpy(ret->spi_r, sa->spi_r, 8);
		ret->initiator = sa->initiator;
		ret->up = sa->state == ST_UP && !sa->want_delete;
		ret->peer = sa->peer;
		ret->encr = sa->encr;
		ret->encr_bits = sa->encr_bits;
		ret->prf = sa->prf;
		ret->dh = sa->dh;
		ret->children = sa->children_n;
		ret->authenticated = sa->authenticated.since;
		return true;
	}
	return false;
}

/* The cursor's upper half counts IKE SAs, its lower half children. */
bool ike_view_child(const struct ike *c, uint32_t *cursor, struct ike_child_view *ret)
{
	for (; *cursor >> 16 < IKE_SAS_MAX; *cursor = ((*cursor >> 16) + 1) << 16) {
		const struct ike_sa *sa = c->slots[*cursor >> 16];
		uint32_t k = 0;

		if (!sa)
			continue;
		LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
			if (k++ < (*cursor & 0xffff) || ch->state == CH_LARVAL || ch->state == CH_LINGER)
				continue;
			*cursor = (*cursor & 0xffff0000) | k;
			memset(ret, 0, sizeof *ret);
			memcpy(ret->spi_i, sa->spi_i, 8);
			memcpy(ret->spi_r, sa->spi_r, 8);
			ret->tunnel = ch->tunnel;
			ret->spi_in = ch->spi_in;
			ret->spi_out = ch->spi_out;
			ret->encr = ch->encr;
			ret->encr_bits = ch->encr_bits;
			ret->dh = ch->dh;
			memcpy(ret->additional, ch->additional, sizeof ret->additional);
			ret->resource = ch->resource;
			ret->esn = ch->esn;
			ret->encap = ch->encap;
			ret->replaced = ch->state != CH_UP;
			ret->local_n = ch->local_n;
			ret->remote_n = ch->remote_n;
			/* One that is being made has none yet. */
			if (ch->local_n > 0)
				memcpy(ret->local_ts, ch->local_ts, ch->local_n * sizeof ret->local_ts[0]);
			if (ch->remote_n > 0)
				memcpy(ret->remote_ts, ch->remote_ts,
					ch->remote_n * sizeof ret->remote_ts[0]);
			return true;
		}
	}
	return false;
}

uint32_t ike_view_busy(const struct ike *c)
{
	uint32_t n = 0;

	LIST_FOR (struct ike_sa, sa, &c->sas, of_all) {
		if (sa->state == ST_DEAD || sa->state == ST_FAILED)
			continue;
		n += sa->steps[SIDE_OWN].task != TASK_NONE;
		n += sa->steps[SIDE_PEER].busy;
		n += sa->asks_n;
		n += sa->state != ST_UP;
		n += sa->want_delete || sa->parent != 0 || sa->peer_successor != 0;
		LIST_FOR (struct child_sa, ch, &sa->children, of_sa)
			n += ch->state != CH_UP && ch->state != CH_LINGER;
	}
	return n;
}
