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

static size_t show_sa(const struct ike *c, mono_ns now, const struct ike_sa *sa, char *text, size_t size)
{
	struct jw w = jw_over(text, size, false);
	char endpoint[ENDPOINT_TEXT_MAX];

	jw_object(&w, NULL);
	jw_str(&w, "peer", sa_peer_name(c, sa));
	show_children(c, &w, sa);
	/* A delete waits for the answer to the request before it. */
	jw_str(&w, "state", ike_state_text(sa->want_delete ? ST_CLOSING : sa->state));
	jw_str(&w, "local", endpoint_text(endpoint, &sa->local));
	jw_str(&w, "remote", endpoint_text(endpoint, &sa->remote));
	jw_str(&w, "role", sa->initiator ? "initiator" : "responder");
	if (sa->encr == 0)
		jw_str(&w, "algorithms", "");
	else /* as in the ledger's entry */
		jw_strf(&w, "algorithms", "%s-%s-%s%s", encr_word(sa->encr, sa->encr_bits), prf_word(sa->prf),
			dh_word(sa->dh), sa->ppk && sa->was_up ? "-ppk" : "");
	jw_hex(&w, "spi_i", sa->spi_i, 8);
	jw_hex(&w, "spi_r", sa->spi_r, 8);
	jw_str(&w, "nat",
		sa->peer_natted && sa->we_natted ? "both"
		: sa->peer_natted		 ? "peer"
		: sa->we_natted			 ? "local"
						 : "no");
	jw_bool(&w, "udp_encapsulation", sa->encap);
	jw_bool(&w, "fragmentation", sa->fragments);
	jw_u64(&w, "age_s", (now - sa->since) / NS_PER_S);
	if (sa->rekey_at != 0)
		jw_u64(&w, "rekey_in_s", sa->rekey_at > now ? (sa->rekey_at - now) / NS_PER_S : 0);
	/* Until the peer is authenticated heard_at is the time of the beginning. */
	if (sa->state == ST_UP || sa->heard_at > sa->since)
		jw_u64(&w, "last_received_s", (now - MIN_OF(now, sa->heard_at)) / NS_PER_S);
	if (sa->reason[0] == '\0' && sa->tries > 0 && sa->again_at != 0)
		jw_strf(&w, "reason", "no answer yet from %s to %s, sent %u times",
			endpoint_text(endpoint, &sa->remote), ike_exchange_name(sa->request.at[18]),
			sa->tries + 1);
	else
		jw_str(&w, "reason", sa->reason);
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

static size_t show_tunnel(const struct ike *c, mono_ns now, uint32_t i, char *text, size_t size)
{
	const struct tunnel *t = &c->tunnels[i];
	const struct snap_tunnel *config = tunnel_config(c, i);
	const struct snap_peer *p = &snap_peers(c->snap)[config->peer];
	struct jw w = jw_over(text, size, false);
	char address[ADDR_TEXT_MAX];

	jw_object(&w, NULL);
	jw_str(&w, "peer", p->name);
	jw_str(&w, "tunnels", config->name);
	jw_str(&w, "state", "down");
	jw_str(&w, "local", addr_text(address, &p->local));
	jw_str(&w, "remote", addr_text(address, &p->remote));
	jw_u64(&w, "retry_in_s",
		t->want && !t->held && t->retry_at > now ? (t->retry_at - now) / NS_PER_S : 0);
	jw_bool(&w, "wanted", t->want && !t->held);
	jw_str(&w, "reason", t->reason[0] ? t->reason : t->want ? "being set up" : "not initiated yet");
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

		if (c->tunnels[i].up == 0)
			return show_tunnel(c, now, i, text, size);
	}
	return 0;
}

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
			ret->esn = ch->esn;
			ret->encap = ch->encap;
			ret->replaced = ch->state != CH_UP;
			ret->local_n = ch->local_n;
			ret->remote_n = ch->remote_n;
			memcpy(ret->local_ts, ch->local_ts, sizeof ret->local_ts);
			memcpy(ret->remote_ts, ch->remote_ts, sizeof ret->remote_ts);
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
