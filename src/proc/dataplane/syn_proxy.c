/* The answers to SYNs, and joined sessions (syn_proxy.h). */
#include "proc/dataplane/syn_proxy.h"
#include "screen/cookie.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/quoted.h"

#define OWN_HOPS 64

/* ---- packets of ours ---- */

/* The way of an answer of ours to t, which has arrived: by the link that it came by, while a route leads there. */
static bool way_back(const struct pipeline *p, const struct train *t, uint32_t in_tunnel,
	struct train *answer, uint32_t *ret_mtu)
{
	const struct route_flow flow = { .src = t->dst,
		.dst = t->src,
		.in_link = ROUTE_NONE,
		.vrf = p->vrf_table[t->vrf],
		.src_port = t->dst_port,
		.dst_port = t->src_port,
		.proto = t->proto,
		.ports = true };
	bool from_link = t->in_interface < p->snapshot->interfaces.count;
	const struct route_answer before = { .link = from_link ? p->interfaces[t->in_interface].link
							       : ROUTE_NONE };
	struct route_answer r;

	*ret_mtu = UINT32_MAX;
	answer->tunnel = in_tunnel;
	if (in_tunnel != TRAIN_NONE)
		return true;
	route_lookup_flow(p->routes, &flow, from_link ? &before : NULL, &r);
	if (r.kind != ROUTE_UNICAST)
		return false;
	answer->out_interface = pipeline_interface_of_link(p, r.link);
	answer->next_hop = r.next_hop;
	*ret_mtu = r.mtu;
	return answer->out_interface != TRAIN_NONE && p->interfaces[answer->out_interface].up;
}

/* To who has sent t: m is what is sent. */
static bool client_send(
	struct pipeline *p, const struct train *t, uint32_t in_tunnel, const struct tcp_made *m)
{
	uint8_t *ip = egress_scratch_take(p, TCP_MADE_MAX);
	struct train answer = { .ip = ip, .len = (uint32_t)tcp_make(ip, m) };
	uint32_t mtu;

	pipeline_train_from_host(&answer);
	answer.csum = TRAIN_CSUM_VALID;
	if (train_parse(&answer) != DROP_NONE || !way_back(p, t, in_tunnel, &answer, &mtu))
		return false;
	egress_send_own(p, &answer, mtu);
	if (answer.drop != DROP_NONE)
		pipeline_count_drop(p, answer.drop, 1);
	return answer.drop == DROP_NONE;
}

/* To the server, as if the session's client had sent it: it is tracked, translated and forwarded like its packets, which come by
 * the tunnel that they belong to. */
static void server_send(struct pipeline *p, uint32_t session, const struct tcp_made *m)
{
	const struct fw_session *s = fw_session(p->fw, session);
	uint8_t *ip = egress_scratch_take(p, TCP_MADE_MAX);
	struct train t = { .ip = ip,
		.len = (uint32_t)tcp_make(ip, m),
		.csum = TRAIN_CSUM_VALID,
		.in_interface = s->interface[0] == (uint16_t)TRAIN_NONE ? TRAIN_NONE : s->interface[0],
		.in_zone = s->zones.zone[0],
		.out_interface = TRAIN_NONE,
		.out_zone = TRAIN_NONE,
		.tunnel = TRAIN_NONE,
		.vrf = s->key[0].vrf,
		.rule = s->rule };
	struct packet_context ctx = { .t = &t, .syn = SYN_OURS };

	if (train_parse(&t) == DROP_NONE) {
		const struct selectors_packet packet = forward_packet_of(&t);
		ctx.in_tunnel = selectors_find_inbound(p->selectors, &packet);
		t.flags |= ctx.in_tunnel == TRAIN_NONE ? 0 : TRAIN_FROM_TUNNEL;
		t.session = session;
		forward_decide(p, &ctx);
		syn_proxy_apply(p, &t);
	}
	if (t.drop == DROP_NONE)
		egress_send(p, &ctx);
	if (t.drop != DROP_NONE)
		pipeline_count_drop(p, t.drop, 1);
}

static struct tcp_made made_for(const struct fw_session *s, uint32_t d, uint8_t flags)
{
	const struct fw_key *k = &s->key[0];
	struct tcp_made m = { fw_key_src(k), fw_key_dst(k), k->src_port, k->dst_port };

	if (d == 1)
		m = (struct tcp_made){ fw_key_dst(k), fw_key_src(k), k->dst_port, k->src_port };
	m.flags = flags;
	m.hop_limit = OWN_HOPS;
	return m;
}

static void answer(struct pipeline *p, const struct packet_context *ctx, uint32_t mss)
{
	const struct train *t = ctx->t;
	struct tcp_options o;

	tcp_options_read(t, &o);
	struct syn_cookie cookie = syn_cookie_make(p->hash_key, t, &o, p->now);
	/* No option that the SYN has not, so the answer is never longer; and a closed window. */
	const struct tcp_made m = { t->dst, t->src, t->dst_port, t->src_port, .seq = cookie.seq,
		.ack = tcp_seq(t) + 1, .flags = TCP_SYN | TCP_ACK, .hop_limit = OWN_HOPS,
		.options = { .mss = o.mss ? (uint16_t)mss : 0,
			.scales = o.scales,
			.scale = TCP_JOIN_SCALE,
			.sack = o.sack,
			.stamps = o.stamps,
			.ts = cookie.ts,
			.ts_echo = o.ts } };
	syn_cookie_sent(p);
	bool sent = client_send(p, t, ctx->in_tunnel, &m);
	p->syn_counts[sent ? SYN_COUNT_COOKIES : SYN_COUNT_UNSENT]++;
	if (train_is_traced(t))
		trace_say(p, t, "screen", PACKET_HOST, "%s",
			sent ? "answered with a SYN cookie" : "no way back for a SYN cookie");
}

/* The client holds the connection for established; it is told that it is not. */
static void refused(struct pipeline *p, const struct packet_context *ctx, const struct syn_joining *j)
{
	const struct train *t = ctx->t;
	const struct tcp_made m = { t->dst, t->src, t->dst_port, t->src_port, .seq = j->cookie + 1,
		.ack = j->seq + 1, .flags = TCP_RST | TCP_ACK, .hop_limit = OWN_HOPS };

	p->syn_counts[SYN_COUNT_RESET]++;
	client_send(p, t, ctx->in_tunnel, &m);
}

void syn_proxy_settle(struct pipeline *p, const struct packet_context *ctx)
{
	if (ctx->syn == SYN_ANSWERED)
		answer(p, ctx, p->syn->answer_mss);
	else if (ctx->syn == SYN_REFUSED)
		refused(p, ctx, &p->syn->refused);
}

/* ---- the life of a session ---- */

static const struct fw_session *joined_session(const struct pipeline *p, const struct train *t)
{
	const struct fw_session *s = t->drop || t->session == TRAIN_NONE || t->flags & TRAIN_FRAGMENT
					     ? NULL
					     : fw_session(p->fw, t->session);

	return s && fw_is_joined(s) ? s : NULL;
}

/* An error about a segment of the server quotes the number that the client counts. */
static void quoted_mend(struct train *t, uint32_t less)
{
	struct quoted q;

	if (t->segment_size || t->csum == TRAIN_CSUM_PARTIAL ||
		!quoted_in_error(&q, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset) ||
		q.proto != IP_TCP || t->payload_offset + q.l4_offset + 8u > t->len)
		return;
	uint8_t *seq = t->ip + t->payload_offset + q.l4_offset + 4, was[4];
	memcpy(was, seq, sizeof was);
	store_be32(seq, load_be32(seq) - less);
	csum_update(t->ip + t->l4_offset + ICMP_CSUM, was, seq, sizeof was);
}

static void syn_again(struct pipeline *p, uint32_t session, const struct syn_joining *j)
{
	struct tcp_made m = made_for(fw_session(p->fw, session), 0, TCP_SYN);

	m.seq = j->seq;
	m.window = j->window;
	m.options = syn_joining_options(j);
	p->syn_counts[SYN_COUNT_AGAIN]++;
	server_send(p, session, &m);
}

static void before(struct pipeline *p, struct train *t)
{
	const struct fw_session *s = joined_session(p, t);
	struct syn_joining j;

	if (!s || t->flags & TRAIN_REPLY)
		return;
	bool opening = s->join.flags & TCP_JOIN_OPENING;
	if (t->flags & TRAIN_ICMP_ERROR) {
		if (!opening)
			quoted_mend(t, s->join.seq);
	} else if (!(t->tcp_flags & TCP_SYN) && !opening) {
		tcp_join_from_client(t, &s->join);
	} else if (opening && !(t->tcp_flags & (TCP_SYN | TCP_RST))) {
		t->drop = DROP_SYN_PROXY_OPENING;
		if (s->state == FW_TCP_SYN_SENT && syn_cookie_read(p, t, &j) && j.cookie == s->join.seq)
			syn_again(p, t->session, &j);
	}
}

/* The numbers of both sides are known. */
static struct tcp_join joined(const struct tcp_join *was, const struct train *t, const struct tcp_options *o)
{
	struct tcp_join j = *was;

	j.flags &= (uint8_t)~TCP_JOIN_OPENING;
	if (!o->stamps)
		j.flags &= (uint8_t)~TCP_JOIN_STAMPS;
	j.seq -= tcp_seq(t);
	j.ts = j.flags & TCP_JOIN_STAMPS ? j.ts - o->ts : 0;
	j.server = (uint8_t)((o->scales ? TCP_SERVER_SCALES : 0) | (o->sack ? TCP_SERVER_SACK : 0));
	j.server_scale = o->scales ? o->scale : 0;
	return j;
}

/*
 * The server's answer is acknowledged, which completes the handshake with it; for the client it becomes a segment that opens the
 * window. One that comes again (the acknowledgement was lost) is acknowledged again.
 */
static void server_answered(struct pipeline *p, struct train *t, const struct fw_session *s)
{
	uint32_t session = t->session, seq = tcp_seq(t), ack = tcp_ack(t);
	struct tcp_made to_server = made_for(s, 0, TCP_ACK), to_client = made_for(s, 1, TCP_ACK);
	struct tcp_options o;

	tcp_options_read(t, &o);
	if (s->join.flags & TCP_JOIN_OPENING) {
		struct tcp_join j = joined(&s->join, t, &o);
		fw_session_join(p->fw, session, &j);
		p->syn_counts[SYN_COUNT_OPENED]++;
	}
	const struct tcp_join *j = &s->join;
	bool scales = j->flags & TCP_JOIN_SCALES && j->server & TCP_SERVER_SCALES;
	uint32_t window = MIN_OF(MAX_OF(s->tcp[0].max_window, 1u), (uint32_t)UINT16_MAX);
	/* As the client would send them: syn_proxy_apply() makes them the server's numbers. */
	to_server.seq = ack;
	to_server.ack = seq + 1 + j->seq;
	to_server.window = (uint16_t)(scales ? window >> j->scale : window);
	to_client.hop_limit = t->hop_limit;
	to_client.seq = seq + 1 + j->seq;
	to_client.ack = ack;
	to_client.window = j->flags & TCP_JOIN_SCALES ? (uint16_t)(tcp_window(t) >> TCP_JOIN_SCALE)
						      : tcp_window(t); /* of a SYN, not scaled */
	if (j->flags & TCP_JOIN_STAMPS) {
		to_server.options =
			(struct tcp_options){ .stamps = true, .ts = o.ts_echo, .ts_echo = o.ts + j->ts };
		to_client.options =
			(struct tcp_options){ .stamps = true, .ts = o.ts + j->ts, .ts_echo = o.ts_echo };
	}
	syn_become(p, t, &to_client);
	server_send(p, session, &to_server);
}

/* A host that remembers an older connection of these ports: it expects the client to reset it, and the SYN comes again (RFC 5961
 * section 4.2). */
static void challenged(struct pipeline *p, struct train *t, const struct fw_session *s)
{
	struct tcp_made reset = made_for(s, 0, TCP_RST);

	reset.seq = tcp_ack(t);
	t->drop = DROP_SYN_PROXY_OPENING;
	server_send(p, t->session, &reset);
}

static void after(struct pipeline *p, struct train *t)
{
	const struct fw_session *s = joined_session(p, t);

	if (!s || !(t->flags & TRAIN_REPLY) || t->flags & TRAIN_ICMP_ERROR)
		return;
	bool opening = s->join.flags & TCP_JOIN_OPENING;
	if ((t->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
		server_answered(p, t, s);
	} else if (opening && t->tcp_flags & TCP_RST) {
		struct tcp_join j = s->join;
		j.seq = j.seq + 1 - tcp_seq(t); /* it refuses what the client holds for open */
		tcp_join_from_server(t, &j);
		p->syn_counts[SYN_COUNT_RESET]++;
	} else if (opening) {
		challenged(p, t, s);
	} else {
		tcp_join_from_server(t, &s->join);
	}
}

void syn_proxy_apply(struct pipeline *p, struct train *t)
{
	bool tcp = t->proto == IP_TCP || t->flags & TRAIN_ICMP_ERROR;
	struct alg_pass pass;

	if (tcp)
		before(p, t);
	alg_before(p, t, &pass);
	fw_apply(p->fw, t, p->now);
	alg_read(p, t, &pass);
	if (tcp)
		after(p, t);
}

/* ---- servers that do not answer ---- */

static bool still_waits(struct pipeline *p, const struct syn_waiting *w)
{
	const struct fw_session *s = fw_session_current(p->fw, w->session, p->now);

	return s && s->id == w->id && fw_is_joined(s) && s->join.flags & TCP_JOIN_OPENING &&
	       s->state == FW_TCP_SYN_SENT;
}

static void give_up(struct pipeline *p, const struct syn_waiting *w)
{
	const struct fw_session *s = fw_session(p->fw, w->session);
	struct tcp_made m = made_for(s, 1, TCP_RST | TCP_ACK);
	struct train of_client = { .in_interface = s->interface[0] == (uint16_t)TRAIN_NONE ? TRAIN_NONE
											   : s->interface[0],
		.src = m.dst,
		.dst = m.src,
		.src_port = m.dst_port,
		.dst_port = m.src_port,
		.proto = IP_TCP,
		.vrf = s->key[0].vrf,
		.session = w->session };

	m.seq = w->joining.cookie + 1;
	m.ack = w->joining.seq + 1;
	p->syn_counts[SYN_COUNT_RESET]++;
	client_send(p, &of_client, w->in_tunnel, &m);
	fw_session_end_of(p->fw, &of_client, FW_END_TIMEOUT, p->now);
}

void pipeline_joins_tick(struct pipeline *p, mono_ns now)
{
	struct syn_proxy *x = p->syn;

	if (x->waiting_n == 0)
		return;
	p->now = now;
	p->scratch_n = 0;
	for (uint32_t i = 0; i < x->waiting_n;) {
		struct syn_waiting *w = &x->waiting[i];
		bool waits = still_waits(p, w);
		if (waits && p->now < w->until) {
			if (p->now >= w->at) {
				w->at += NS_PER_S << ++w->tries;
				syn_again(p, w->session, &w->joining);
			}
			i++;
			continue;
		}
		if (waits)
			give_up(p, w);
		*w = x->waiting[--x->waiting_n];
	}
	egress_flush(p);
	p->io.flush(p->io.context);
}
