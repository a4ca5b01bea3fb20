/*
 * TCP, as firewall/tcp.c judges it: numbers inside the windows, and of what begins and ends a connection the plain kinds. The tap
 * judges; what changes the connection the second program writes. For carry.bpf.c alone.
 */
#ifndef CARRY_CONNECTION_H
#define CARRY_CONNECTION_H

#include "carry/maps.h"
#include "carry/packet.h"

#define NOT_POSSIBLE (-22) /* EINVAL */
#define RETRIES	     2	   /* of a compare-and-exchange; then another processor has advanced the number */

/* ---- in_window() and windows_advance() ---- */

static __always_inline int after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static __always_inline uint32_t number(const uint32_t *at)
{
	return *(const volatile uint32_t *)at;
}

/* Other processors may advance it at the same time. */
static __always_inline void advance(uint32_t *at, uint32_t to)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(at);
		if (!after(to, was) || __sync_val_compare_and_swap(at, was, to) == was)
			return;
	}
}

static __always_inline void widen(uint32_t *at, uint32_t to)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(at);
		if (to <= was || __sync_val_compare_and_swap(at, was, to) == was)
			return;
	}
}

/* fin: 1, of a FIN. */
static __always_inline int tcp_in_window(
	const struct carry_side *from, const struct carry_side *to, const struct packet *p, uint32_t fin)
{
	const uint32_t seq = NET32(p->l4.seq), ack = NET32(p->l4.ack), payload = p->total - p->head_n;
	const uint32_t to_end = number(&to->end), widest = number(&from->max_window);

	if (after(seq, number(&from->max_end) + (payload == 0)) ||
		after(number(&from->end) - number(&to->max_window), seq + payload + fin))
		return 0;
	return !after(ack, to_end) &&
	       !after(to_end - (widest > CARRY_BACKLOG_MIN ? widest : CARRY_BACKLOG_MIN), ack);
}

static __always_inline void tcp_advance(
	struct carry_side *from, struct carry_side *to, uint32_t end, uint32_t ack, uint32_t window)
{
	window <<= from->scale & 15;
	advance(&from->end, end);
	widen(&from->max_window, window);
	advance(&from->ack, ack);
	advance(&to->max_end, ack + window);
}

static __always_inline int tcp_track(struct carry_side *from, struct carry_side *to, const struct packet *p)
{
	if (!tcp_in_window(from, to, p, 0))
		return 0;
	tcp_advance(from, to, NET32(p->l4.seq) + p->total - p->head_n, NET32(p->l4.ack), NET16(p->l4.window));
	return 1;
}

/* ---- what begins and ends a connection ---- */

/* By fours: Linux 6.1 follows a length that is not constant through all that it was computed of. */
static __always_inline int options_load(
	const struct __sk_buff *skb, const struct packet *p, struct options *o)
{
	const uint32_t n = p->head_n - p->ip_n - TCP_HEADER_SIZE;

	__builtin_memset(o, 0, sizeof *o);
	o->n = n;
	for (uint32_t i = 0; i < TCP_OPTIONS_ROOM && i < n; i += 4)
		if (!load(skb, FRAME_IP + p->ip_n + TCP_HEADER_SIZE + i, o->b + i, 4))
			return 0;
	return n <= TCP_OPTIONS_ROOM;
}

/*
 * Of a segment without payload: is its checksum right, or does it stand there as where it is left to the NIC? The second
 * program knows which of them the kernel means. What is wrong is the data plane's to count, and what is both, as one in 65,536
 * that is right, is its to judge: sent again, such a segment is the same.
 */
static __always_inline int checksum_is_plausible(
	const struct packet *p, const struct options *o, struct slot *slot)
{
	const uint8_t *b = (const uint8_t *)&p->l4;
	uint64_t sum = p->family == 4 ? (uint64_t)p->f.v4.src + p->f.v4.dst
				      : sum16(p->f.v6.src) + sum16(p->f.v6.dst);

	sum += (uint64_t)NET32((uint32_t)IP_TCP) + NET32(p->total - p->ip_n);
	slot->left = p->l4.tcp_csum == fold(sum);
	sum += sum16(b) + word(b + 16);
	NOT_UNROLLED
	for (uint32_t i = 0; i < TCP_OPTIONS_ROOM; i += 4)
		sum += word(o->b + i);
	return slot->left != (fold(sum) == 0xffff);
}

/* on_answer(): the called side's SYN+ACK, with a segment size that need not be changed. */
static __always_inline int tcp_answers(
	const struct carry_record *r, const struct packet *p, const struct options *o, struct slot *slot)
{
	const uint32_t ack = NET32(p->l4.ack);
	struct announced a;

	if (after(number(&r->side[0].max_end), ack) || after(ack, number(&r->side[0].end)))
		return 0;
	if (!options_read(o, &a) || a.mss > r->mss)
		return 0;
	slot->step = STEP_ANSWER;
	slot->scale = (uint8_t)a.scale;
	slot->scales = (uint8_t)a.scales;
	return 1;
}

/* on_reset(): one whose number is exact for both, since nothing is on its way. */
static __always_inline int tcp_resets(
	const struct carry_side *from, const struct carry_side *to, const struct packet *p, struct slot *slot)
{
	const uint32_t seq = NET32(p->l4.seq), end = number(&from->end);

	if (seq != end || seq != number(&to->ack) || after(seq, number(&from->max_end) + 1) ||
		after(end - number(&to->max_window), seq))
		return 0;
	slot->step = STEP_RESET;
	return 1;
}

static __always_inline int tcp_closes(
	const struct carry_side *from, const struct carry_side *to, const struct packet *p, struct slot *slot)
{
	slot->step = STEP_FIN;
	return tcp_in_window(from, to, p, 1);
}

/* What changes the connection, by the second program. */
VERIFIED_ALONE int tcp_steps(const struct __sk_buff *skb, struct carry_record *r, uint32_t d,
	const struct packet *p, struct slot *slot)
{
	if (!r || !p || !slot)
		return 0;
	const uint8_t flags = p->l4.flags & (uint8_t)~(TCP_ECE | TCP_CWR);
	const uint32_t tcp = number(&r->tcp);
	struct options *o = &slot->options;
	d &= 1;

	if (p->total != p->head_n || skb->gso_size || !options_load(skb, p, o))
		return 0;
	if (flags == (TCP_SYN | TCP_ACK)) {
		if (tcp != CARRY_TCP_SYN_SENT || d != 1 || !tcp_answers(r, p, o, slot))
			return 0;
	} else if ((flags & ~TCP_PSH) == (TCP_FIN | TCP_ACK)) {
		if (!carry_is_open(tcp) || !tcp_closes(&r->side[d], &r->side[1 - d], p, slot))
			return 0;
	} else {
		if ((flags & ~TCP_ACK) != TCP_RST || (tcp != CARRY_TCP_SYN_RECEIVED && !carry_is_open(tcp)) ||
			!tcp_resets(&r->side[d], &r->side[1 - d], p, slot))
			return 0;
	}
	slot->seq = NET32(p->l4.seq);
	slot->ack = NET32(p->l4.ack);
	slot->window = NET16(p->l4.window);
	slot->total = p->total;
	return checksum_is_plausible(p, o, slot);
}

/* Returns whether it is taken. */
static __always_inline int tcp_takes(const struct __sk_buff *skb, struct carry_record *r, uint32_t at,
	const struct packet *p, struct slot *slot)
{
	const uint32_t d = (at - 1) & 1, tcp = number(&r->tcp);
	const int completes = tcp == CARRY_TCP_SYN_RECEIVED && d == 0;

	if ((p->l4.flags & ~(TCP_PSH | TCP_ECE | TCP_CWR)) != TCP_ACK)
		return tcp_steps(skb, r, d, p, slot);
	if (tcp != CARRY_TCP_SYN_RECEIVED && !carry_is_open(tcp))
		return 0;
	/* Whoever has not seen the answer has not called. */
	if (completes && after(number(&r->side[0].ack), NET32(p->l4.ack)))
		return 0;
	if (!tcp_track(&r->side[d], &r->side[1 - d], p))
		return 0;
	if (completes && __sync_val_compare_and_swap(&r->tcp, CARRY_TCP_SYN_RECEIVED,
				 CARRY_TCP_ESTABLISHED) == CARRY_TCP_SYN_RECEIVED)
		note(at, r);
	/* The data plane, which is told, takes the record back: not before this packet has been sent. */
	if (tcp == CARRY_TCP_CLOSING)
		slot->step = STEP_LAST;
	return 1;
}

/* ---- the second program ---- */

/* The program has the sides for itself meanwhile: nobody advances them in this state. */
static __always_inline int step_answer(const struct slot *slot, struct carry_record *r)
{
	struct carry_side *caller = &r->side[0], *called = &r->side[1];
	const uint32_t end = slot->seq + 1, window = slot->window ? slot->window : 1;

	if (__sync_val_compare_and_swap(&r->tcp, CARRY_TCP_SYN_SENT, CARRY_TCP_ANSWERING) !=
		CARRY_TCP_SYN_SENT)
		return 0;
	called->end = end;
	called->max_end = end + caller->max_window;
	called->max_window = window;
	called->ack = slot->ack;
	called->scales = slot->scales;
	called->scale = slot->scales & caller->scales ? slot->scale : 0;
	if (!slot->scales)
		caller->scale = 0;
	caller->ack = end;
	caller->end = slot->ack;
	caller->max_end = slot->ack + window;
	return __sync_val_compare_and_swap(&r->tcp, CARRY_TCP_ANSWERING, CARRY_TCP_SYN_RECEIVED) ==
	       CARRY_TCP_ANSWERING;
}

static __always_inline int step_reset(struct carry_record *r)
{
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(&r->tcp);
		if (was != CARRY_TCP_SYN_RECEIVED && !carry_is_open(was))
			return 0;
		if (__sync_val_compare_and_swap(&r->tcp, was, CARRY_TCP_CLOSED | carry_fins(was)) == was)
			return 1;
	}
	return 0;
}

/* state_advance(): `end` is after its FIN, unless it has sent more than that. */
static __always_inline int step_fin(const struct slot *slot, struct carry_record *r, uint32_t d)
{
	struct carry_side *from = &r->side[d];
	const uint32_t end = slot->seq + 1;

	if (!carry_is_open(number(&r->tcp)))
		return 0;
	tcp_advance(from, &r->side[1 - d], end, slot->ack, slot->window);
	if (number(&from->end) != end)
		return 1;
	for (uint32_t i = 0; i < RETRIES; i++) {
		uint32_t was = number(&r->tcp), is = was | carry_fin(d);
		if (!carry_is_open(was))
			return 0;
		if (was == is || __sync_val_compare_and_swap(&r->tcp, was, is) == was)
			return 1;
	}
	return 0;
}

/* Are both FINs acknowledged? */
static __always_inline void step_last(struct carry_record *r, uint32_t at)
{
	const struct carry_side *a = &r->side[0], *b = &r->side[1];

	if (number(&a->ack) == number(&b->end) && number(&b->ack) == number(&a->end) &&
		__sync_val_compare_and_swap(&r->tcp, CARRY_TCP_CLOSING, CARRY_TCP_TIME_WAIT) ==
			CARRY_TCP_CLOSING)
		note(at, r);
}

/*
 * A packet whose checksum stands as if it was left to the NIC: the kernel does not cut one of which that is true in front of
 * the end of the field. Any other is cut, and lost: its sum is wrong.
 */
static __always_inline int checksum_is_left(struct __sk_buff *skb, int v4)
{
	return bpf_skb_change_tail(skb, (v4 ? FRAME_V4 : FRAME_V6) + TCP_CSUM + 1, 0) == NOT_POSSIBLE;
}

static __always_inline int step_take(struct __sk_buff *skb, struct slot *slot, uint32_t at, int v4)
{
	struct carry_record *r = record_at(at);
	const uint32_t d = (at - 1) & 1;

	if (!r)
		return 0;
	if (slot->step == STEP_LAST) { /* the tap has counted it */
		step_last(r, at);
		return 1;
	}
	if (slot->left && !checksum_is_left(skb, v4))
		return 0;
	if (!(slot->step == STEP_ANSWER	     ? step_answer(slot, r)
		    : slot->step == STEP_FIN ? step_fin(slot, r, d)
					     : step_reset(r)))
		return 0;
	struct carry_count *c = &r->count[d];
	__sync_fetch_and_add(&c->packets, 1);
	__sync_fetch_and_add(&c->octets, slot->total);
	*(volatile uint64_t *)&c->last = slot->now;
	if (slot->step == STEP_RESET)
		note(at, r);
	if (slot->step == STEP_FIN)
		step_last(r, at);
	return 1;
}

#endif
