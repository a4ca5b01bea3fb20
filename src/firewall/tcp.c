/*
 * TCP connection tracking: the state of a connection and the window that each side may send into, after van Rooij,
 * "Real Stateful TCP Packet Filtering" (2000): a segment is let through only when it lies in what the other side allowed.
 * A train counts as one segment from its first to its last byte. Sequence arithmetic is modulo 2^32 (RFC 9293 section 3.4).
 */
#include "base/rd.h"
#include "base/wr.h"
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/ip.h"

#define SIDE_SEEN 1	    /* sent something */
#define SIDE_SCALE_OFFERED 2
#define SIDE_FIN 4
#define SIDE_FIN_ACKED 8
#define ACK_WINDOW_MAX 66000 /* acknowledgements may be that old at least */
#define SCALE_MAX 14	    /* RFC 7323 section 2.3 */

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static bool after(uint32_t a, uint32_t b)
{
	return before(b, a);
}

/* Window scale option of a SYN; false: there is none, or the options are malformed. */
static bool syn_scale(const struct train *t, uint8_t *ret_scale)
{
	struct rd r = rd_over(t->ip + t->l4_offset + TCP_HEADER_SIZE, t->payload_offset - t->l4_offset - TCP_HEADER_SIZE);

	while (rd_left(&r) > 0) {
		uint8_t kind = rd_u8(&r);
		if (kind == 0)
			break;
		if (kind == 1)
			continue;
		uint8_t n = rd_u8(&r);
		if (n < 2)
			return false;
		struct rd body = rd_sub(&r, n - 2u);
		if (body.bad)
			return false;
		if (kind == TCP_OPTION_WINDOW_SCALE) {
			*ret_scale = MIN_OF(rd_u8(&body), SCALE_MAX);
			return !body.bad;
		}
	}
	return false;
}

static void side_begin(struct fw_tcp_side *side, const struct train *t, uint32_t end, uint32_t window)
{
	side->end = side->max_end = end;
	side->max_window = MAX_OF(window, 1u);
	side->flags |= SIDE_SEEN;
	if (t->tcp_flags & TCP_SYN && syn_scale(t, &side->scale))
		side->flags |= SIDE_SCALE_OFFERED;
}

static uint32_t timeout_of(uint8_t state)
{
	switch (state) {
	case FW_TCP_SYN_SENT:
	case FW_TCP_SYN_RECEIVED:
		return FW_HALF_OPEN_TIMEOUT_S;
	case FW_TCP_ESTABLISHED:
		return FW_TCP_TIMEOUT_S;
	case FW_TCP_CLOSING:
		return FW_TCP_CLOSING_TIMEOUT_S;
	case FW_TCP_TIME_WAIT:
		return FW_TCP_TIME_WAIT_TIMEOUT_S;
	default:
		return FW_TCP_CLOSED_TIMEOUT_S;
	}
}

static void state_advance(struct fw_session *s, const struct train *t, uint32_t direction, uint32_t ack)
{
	struct fw_tcp_side *sender = &s->tcp[direction], *receiver = &s->tcp[!direction];

	if (t->tcp_flags & TCP_RST) {
		s->tcp_state = FW_TCP_CLOSED;
		return;
	}
	if (t->tcp_flags & TCP_SYN) {
		if (direction == 1 && s->tcp_state == FW_TCP_SYN_SENT)
			s->tcp_state = FW_TCP_SYN_RECEIVED;
		return;
	}
	if (direction == 0 && s->tcp_state == FW_TCP_SYN_RECEIVED && t->tcp_flags & TCP_ACK)
		s->tcp_state = FW_TCP_ESTABLISHED;
	if (t->tcp_flags & TCP_FIN) {
		sender->flags |= SIDE_FIN;
		if (s->tcp_state < FW_TCP_CLOSING)
			s->tcp_state = FW_TCP_CLOSING;
	}
	if (receiver->flags & SIDE_FIN && t->tcp_flags & TCP_ACK && !before(ack, receiver->end))
		receiver->flags |= SIDE_FIN_ACKED;
	if (sender->flags & receiver->flags & SIDE_FIN_ACKED)
		s->tcp_state = FW_TCP_TIME_WAIT;
}

enum drop_reason fw_tcp_track(struct fw_session *s, const struct train *t, uint32_t direction, uint32_t *ret_timeout_s)
{
	const uint8_t *tcp = t->ip + t->l4_offset;
	struct fw_tcp_side *sender = &s->tcp[direction], *receiver = &s->tcp[!direction];
	uint32_t seq = load_be32(tcp + 4), ack = load_be32(tcp + 8), window = load_be16(tcp + 14);
	uint32_t end = seq + (t->len - t->payload_offset) + !!(t->tcp_flags & TCP_SYN) + !!(t->tcp_flags & TCP_FIN);
	bool syn = t->tcp_flags & TCP_SYN, has_ack = t->tcp_flags & TCP_ACK, rst = t->tcp_flags & TCP_RST;

	*ret_timeout_s = timeout_of(s->tcp_state);
	if (syn && !has_ack && direction == 0 && s->tcp_state >= FW_TCP_TIME_WAIT) {
		/* The same ports again (RFC 9293 section 3.6.1): the connection begins anew. */
		memset(s->tcp, 0, sizeof s->tcp);
		s->tcp_state = FW_TCP_SYN_SENT;
	}
	/* Scaling counts only when both offered it, and never in a SYN itself (RFC 7323 section 2.2). */
	if (!syn && sender->flags & receiver->flags & SIDE_SCALE_OFFERED)
		window <<= sender->scale;
	if (!(sender->flags & SIDE_SEEN)) {
		if (rst && has_ack && !(receiver->flags & SIDE_SEEN))
			return DROP_TCP_STATE;
		if (rst && has_ack && ack != receiver->end)
			return DROP_TCP_STATE; /* a blind reset (RFC 5961 section 3) */
		if (direction == 1 && !rst && !(syn && has_ack) && !syn)
			return DROP_TCP_STATE;
		side_begin(sender, t, end, window);
		if (has_ack && receiver->flags & SIDE_SEEN && ack != receiver->end && syn)
			return DROP_TCP_STATE;
		if (has_ack)
			receiver->max_end = MAX_OF(window, 1u) + ack;
	} else {
		uint32_t back = MAX_OF(sender->max_window, (uint32_t)ACK_WINDOW_MAX);
		if (!has_ack)
			ack = receiver->end;
		/* Both sides must be known for the full check; a SYN is sent again with the same number. */
		bool both = receiver->flags & SIDE_SEEN;
		bool fits = !after(seq, sender->max_end + (both ? 0 : 1)) &&
			!before(end, sender->end - receiver->max_window - 1) && (!both || !after(ack, receiver->end)) &&
			(!both || !before(ack, receiver->end - back - 1));
		if (syn && !both)
			fits = end == sender->end || direction == 0;
		/* A reset must name the very next byte that the receiver awaits, or lie in the window as far as we know it. */
		if (rst && both && after(seq, sender->max_end))
			fits = false;
		if (!fits)
			return DROP_TCP_STATE;
		if (syn && !both)
			side_begin(sender, t, end, window);
		if (after(end, sender->end))
			sender->end = end;
		sender->max_window = MAX_OF(sender->max_window, window);
		if (has_ack && after(ack + MAX_OF(window, 1u), receiver->max_end))
			receiver->max_end = ack + MAX_OF(window, 1u);
	}
	state_advance(s, t, direction, ack);
	*ret_timeout_s = timeout_of(s->tcp_state);
	return DROP_NONE;
}

/* Lowers the MSS option of a SYN, RFC 9293 section 3.7.1. The options were walked by nobody yet: a cursor again. */
void fw_tcp_clamp(struct train *t, uint32_t mss)
{
	uint8_t *base = t->ip + t->l4_offset;
	struct rd r = rd_over(base + TCP_HEADER_SIZE, t->payload_offset - t->l4_offset - TCP_HEADER_SIZE);

	while (rd_left(&r) > 0) {
		uint8_t kind = rd_u8(&r);
		if (kind == 0)
			return;
		if (kind == 1)
			continue;
		uint8_t n = rd_u8(&r);
		if (n < 2)
			return;
		size_t at = (size_t)(r.at - base);
		struct rd body = rd_sub(&r, n - 2u);
		if (body.bad)
			return;
		if (kind != TCP_OPTION_MSS || n != 4)
			continue;
		if (rd_u16(&body) <= mss)
			return;
		/* The field may stand at an odd offset: then the checksum sees its bytes in two words. */
		size_t even = at & ~(size_t)1, words = at & 1 ? 4 : 2;
		uint8_t old[4];
		memcpy(old, base + even, words);
		store_be16(base + at, (uint16_t)mss);
		if (t->csum != TRAIN_CSUM_PARTIAL)
			csum_update(base + TCP_CSUM, old, base + even, words);
		return;
	}
}
