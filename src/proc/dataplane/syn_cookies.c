/* Which segments return a SYN cookie, and what they become (syn_proxy.h). Before a session is there, and nothing is sent. */
#include "proc/dataplane/syn_proxy.h"
#include "screen/cookie.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdlib.h>

bool syn_proxy_new(struct pipeline *p)
{
	return (p->syn = calloc(1, sizeof *p->syn)) != NULL;
}

void syn_proxy_free(struct pipeline *p)
{
	free(p->syn);
	p->syn = NULL;
}

void syn_proxy_burst(struct pipeline *p)
{
	p->syn->packets_n = 0;
}

void syn_proxy_forget(struct pipeline *p)
{
	p->syn->waiting_n = 0;
}

static bool is_segment(const struct train *t, uint8_t mask, uint8_t flags)
{
	return t->proto == IP_TCP && !(t->flags & (TRAIN_FRAGMENT | TRAIN_ICMP_ERROR)) &&
	       (t->tcp_flags & mask) == flags;
}

void syn_become(struct pipeline *p, struct train *t, const struct tcp_made *m)
{
	assert(p->syn->packets_n < TRAIN_BURST_MAX);
	t->ip = p->syn->packet[p->syn->packets_n++] + TRAIN_HEAD_ROOM;
	t->len = (uint32_t)tcp_make(t->ip, m);
	t->segment_size = t->inner_l4 = 0;
	t->csum = TRAIN_CSUM_VALID;
	t->flags &= ~(uint32_t)(TRAIN_REASSEMBLED | TRAIN_TCP_CWR);
	t->fragment_max = 0;
	train_parse(t);
}

static bool cookies_live(const struct pipeline *p)
{
	uint64_t at = __atomic_load_n(&p->screens->floods->cookie_at, __ATOMIC_RELAXED);

	return at != 0 && p->now < at + 2 * SYN_COOKIE_S * NS_PER_S;
}

void syn_cookie_sent(struct pipeline *p)
{
	uint64_t *at = &p->screens->floods->cookie_at;

	if (p->now >= __atomic_load_n(at, __ATOMIC_RELAXED) + NS_PER_S / 4)
		__atomic_store_n(at, p->now, __ATOMIC_RELAXED);
}

void syn_answer(struct pipeline *p, struct packet_context *ctx, uint32_t mss)
{
	p->syn->answer_mss = mss;
	ctx->syn = SYN_ANSWERED;
	ctx->counted = true;
}

void syn_refuse(struct pipeline *p, struct packet_context *ctx, const struct syn_joining *j)
{
	p->syn->refused = *j;
	ctx->syn = SYN_REFUSED;
}

bool syn_cookie_read(const struct pipeline *p, const struct train *t, struct syn_joining *ret_joining)
{
	struct syn_joining *j = ret_joining;

	if (!syn_cookie_check(p->hash_key, t, p->now, &j->options, &j->seq))
		return false;
	uint32_t window = (uint32_t)tcp_window(t) << (j->options.scales ? j->options.scale : 0);
	j->cookie = tcp_ack(t) - 1;
	j->window = (uint16_t)MIN_OF(window, (uint32_t)UINT16_MAX);
	return true;
}

bool syn_accepts(struct pipeline *p, struct train *t, struct syn_joining *ret_joining)
{
	if (!is_segment(t, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK) || t->flags & TRAIN_FROM_HOST ||
		!cookies_live(p))
		return false;
	if (!syn_cookie_read(p, t, ret_joining)) {
		p->syn_counts[SYN_COUNT_STALE]++;
		return false;
	}
	return train_verify_l4(t) == DROP_NONE;
}

bool syn_reopens(struct pipeline *p, const struct train *t)
{
	struct syn_joining j;

	if (!is_segment(t, TCP_SYN | TCP_RST | TCP_ACK, TCP_ACK) ||
		t->flags & (TRAIN_REPLY | TRAIN_FROM_HOST) || !cookies_live(p))
		return false;
	const struct fw_session *s = fw_session(p->fw, t->session);
	return (s->state == FW_TCP_CLOSED || s->state == FW_TCP_TIME_WAIT) && syn_cookie_read(p, t, &j);
}

struct tcp_options syn_joining_options(const struct syn_joining *j)
{
	struct tcp_options o = j->options;

	o.ts_echo = 0;
	return o;
}

void syn_open(struct pipeline *p, struct train *t, const struct syn_joining *j)
{
	const struct tcp_made m = { t->src, t->dst, t->src_port, t->dst_port, j->window, .seq = j->seq,
		.flags = TCP_SYN, .hop_limit = t->hop_limit, .options = syn_joining_options(j) };

	p->syn_counts[SYN_COUNT_ACCEPTED]++;
	if (train_is_traced(t))
		trace_say(p, t, "screen", PACKET_NONE, "returns a SYN cookie: becomes the client's SYN");
	syn_become(p, t, &m);
}

static void waiting_add(
	struct pipeline *p, const struct packet_context *ctx, uint32_t id, const struct syn_joining *j)
{
	struct syn_proxy *x = p->syn;
	const struct snap_screen *screen = snap_screen_of(p->snapshot, ctx->t->in_zone);
	mono_ns last = SYN_WAITING_S * NS_PER_S;

	/* The session ends by then. */
	if (screen && screen->syn_timeout_s)
		last = MIN_OF(last, screen->syn_timeout_s * NS_PER_S * 3 / 4);
	if (x->waiting_n == SYN_WAITING_MAX)
		return;
	x->waiting[x->waiting_n++] = (struct syn_waiting){ ctx->t->session, id, p->now + NS_PER_S,
		p->now + last, 0, ctx->in_tunnel, *j };
}

void syn_opened(struct pipeline *p, const struct packet_context *ctx, const struct syn_joining *j)
{
	const struct fw_session *s = fw_session(p->fw, ctx->t->session);
	const struct tcp_join join = { .seq = j->cookie,
		.ts = j->options.ts_echo,
		.scale = j->options.scale,
		.flags =
			(uint8_t)(TCP_JOIN_ON | TCP_JOIN_OPENING | (j->options.scales ? TCP_JOIN_SCALES : 0) |
				  (j->options.stamps ? TCP_JOIN_STAMPS : 0)) };

	fw_session_join(p->fw, ctx->t->session, &join);
	waiting_add(p, ctx, s->id, j);
}
