/*
 * TCP state of a session: the handshake in its order, every later packet inside the windows that the two
 * sides have announced, the end by FINs or by a reset with the exact sequence number. RFC 9293, RFC 7323
 * (scaling), RFC 5961.
 *
 * A train counts as one segment with its whole range of sequence numbers. Packets may be lost after they
 * passed here, be duplicated or reordered, so the limits are those of "Real Stateful TCP Packet Filtering in
 * IP Filter" (van Rooij, 2001): wide enough for every honest sender, too narrow to guess.
 */
#include "base/rd.h"
#include "firewall/internal.h"
#include "wire/csum.h"
#include "firewall/limits.h"

#include <assert.h>

enum side_flags {
	SIDE_SEEN = 1 << 0,
	SIDE_SCALES = 1 << 1, /* its SYN carried a window scale */
	SIDE_FIN = 1 << 2,    /* its FIN ended at `end`; stays when more passes, which receivers drop */
	SIDE_RESET = 1 << 3,  /* its reset may not have been exact: the other side may challenge it */
};

struct segment {
	uint32_t seq, end, ack, window;
	uint32_t payload;
	uint8_t flags;
};

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static struct segment segment_of(const struct train *t)
{
	struct rd r = rd_over(t->ip + t->l4_offset, TCP_HEADER_SIZE);
	struct segment g = { .flags = t->tcp_flags, .payload = t->len - t->payload_offset };

	rd_u32(&r);
	g.seq = rd_u32(&r);
	g.ack = rd_u32(&r);
	rd_u16(&r);
	g.window = rd_u16(&r);
	g.end = g.seq + g.payload + !!(g.flags & TCP_SYN) + !!(g.flags & TCP_FIN);
	return g;
}

/* The body of option `kind` with exactly n octets, in t's buffer, where the caller may write; or NULL. */
static uint8_t *option_find(const struct train *t, uint8_t kind, size_t n)
{
	struct rd r = rd_over(
		t->ip + t->l4_offset + TCP_HEADER_SIZE, t->payload_offset - t->l4_offset - TCP_HEADER_SIZE);

	while (rd_left(&r) > 0) {
		uint8_t k = rd_u8(&r);
		if (k == 0)
			break;
		if (k == 1)
			continue;
		uint8_t length = rd_u8(&r);
		const uint8_t *body = length >= 2 ? rd_take(&r, length - 2u) : NULL;
		if (!body)
			break;
		if (k == kind && length == n + 2)
			return t->ip + (body - t->ip);
	}
	return NULL;
}

static void side_begin(struct fw_tcp_side *side, const struct segment *g, const struct train *t)
{
	const uint8_t *scale = option_find(t, TCP_OPTION_WINDOW_SCALE, 1);

	*side = (struct fw_tcp_side){
		.end = g->end,
		.max_end = g->seq + 1, /* nothing is allowed yet; data in a SYN may not be taken (RFC 7413) */
		.max_window = MAX_OF(g->window, 1u),
		.scale = scale ? MIN_OF(scale[0], (uint8_t)FW_TCP_SCALE_MAX) : 0,
		.flags = scale ? SIDE_SEEN | SIDE_SCALES : SIDE_SEEN,
	};
}

enum drop_reason fw_tcp_begin(struct fw_session *s, const struct train *t)
{
	struct segment g = segment_of(t);

	assert(s->state <= FW_TCP_SYN_SENT);
	if ((g.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return DROP_NO_SESSION;
	side_begin(&s->tcp[0], &g, t);
	memset(&s->tcp[1], 0, sizeof s->tcp[1]);
	s->state = FW_TCP_SYN_SENT;
	return DROP_NONE;
}

/* Some stacks send a FIN although the window is full: what follows it, and may overtake it, is one octet
 * beyond. */
static uint32_t right_edge(const struct fw_tcp_side *from, const struct segment *g)
{
	return from->max_end + (g->payload == 0);
}

static bool in_window(const struct fw_tcp_side *from, const struct fw_tcp_side *to, const struct segment *g)
{
	/* Not beyond what the other side allowed; not older than what it can still want. */
	if (after(g->seq, right_edge(from, g)) || after(from->end - to->max_window, g->end))
		return false;
	if (!(g->flags & TCP_ACK) || !(to->flags & SIDE_SEEN))
		return true;
	/* It acknowledges what was sent, and not long ago. */
	return !after(g->ack, to->end) &&
	       !after(to->end - MAX_OF(from->max_window, FW_TCP_ACK_BACKLOG_MIN), g->ack);
}

static void windows_advance(struct fw_tcp_side *from, struct fw_tcp_side *to, const struct segment *g)
{
	uint32_t window = g->flags & TCP_SYN ? g->window : g->window << from->scale;

	if (after(g->end, from->end))
		from->end = g->end;
	from->max_window = MAX_OF(from->max_window, window);
	if (!(g->flags & TCP_ACK))
		return;
	if (!(from->flags & SIDE_SEEN) || after(g->ack, from->ack))
		from->ack = g->ack;
	if (after(g->ack + window, to->max_end))
		to->max_end = g->ack + window;
}

/* The answer to a SYN: SYN+ACK; a bare SYN when both sides begin at once (RFC 9293 section 3.5, figure 8). */
static enum drop_reason on_answer(struct fw_session *s, const struct train *t, const struct segment *g)
{
	struct fw_tcp_side *caller = &s->tcp[0], *called = &s->tcp[1];

	if (!(g->flags & TCP_SYN)) {
		/* A bare ACK is the challenge of a host that remembers an older connection (RFC 5961 section
		 * 4). */
		return g->payload == 0 && !(g->flags & TCP_FIN) ? DROP_NONE : DROP_TCP_STATE;
	}
	if (g->flags & TCP_ACK && (after(caller->max_end, g->ack) || after(g->ack, caller->end)))
		return DROP_TCP_STATE;
	side_begin(called, g, t);
	called->max_end = g->end + caller->max_window;
	called->ack = caller->max_end - 1;
	caller->ack = g->seq + 1; /* the least that it can acknowledge */
	if (!(caller->flags & called->flags & SIDE_SCALES))
		caller->scale = called->scale = 0;
	if (g->flags & TCP_ACK) {
		called->ack = g->ack;
		caller->end = g->ack; /* data in the SYN that was not accepted is sent again */
		caller->max_end = g->ack + MAX_OF(g->window, 1u);
	}
	s->state = FW_TCP_SYN_RECEIVED;
	return DROP_NONE;
}

static enum drop_reason on_syn_sent(struct fw_session *s, const struct train *t, const struct segment *g,
	uint32_t d, enum fw_step *ret_step)
{
	bool exact = d == 0 ? g->seq == s->tcp[0].end : g->flags & TCP_ACK && g->ack == s->tcp[0].end;

	if (g->flags & TCP_RST) {
		if (exact)
			s->state = FW_TCP_CLOSED;
		else
			*ret_step = FW_STEP_PASSES;
		/* Another reset of the caller answers a challenge: it must reach the other side. */
		return exact || d == 0 ? DROP_NONE : DROP_TCP_STATE;
	}
	/* Its SYN is the gateway's: a client that has shown its number begins no other one meanwhile. */
	if (fw_is_joined(s) && d == 0 && g->end != s->tcp[0].end)
		return DROP_TCP_STATE;
	if (!(d == 1 && g->flags & TCP_SYN))
		*ret_step = FW_STEP_PASSES; /* a SYN again, perhaps with another number, or a challenge */
	if (d == 1)
		return on_answer(s, t, g);
	return fw_tcp_begin(s, t) == DROP_NONE ? DROP_NONE : DROP_TCP_STATE;
}

/*
 * A SYN of the caller within a connection: the caller has lost its state, or somebody forges its address. The
 * reply decides: a called side that still has the connection challenges it, and the caller's reset with that
 * number ends the connection (RFC 5961 section 4.2); one that has lost it too accepts or refuses the SYN (RFC
 * 9293 sections 3.10.7.1 and 3.10.7.2). True: g belongs to this exchange, and passes.
 */
static bool on_noted(struct fw_session *s, const struct train *t, const struct segment *g, uint32_t d,
	enum fw_step *ret_step)
{
	const struct fw_tcp_side *noted = &s->noted;
	bool acked = g->flags & TCP_ACK && !after(noted->max_end, g->ack) && !after(g->ack, noted->end);
	bool again = s->state == FW_TCP_SYN_RECEIVED && noted->end == s->tcp[0].end;

	if (!(noted->flags & SIDE_SEEN) || in_window(&s->tcp[d], &s->tcp[1 - d], g))
		return false;
	if (d == 1 && g->flags & TCP_SYN && acked) {
		s->tcp[0] = *noted;
		s->tcp[1] = s->noted = (struct fw_tcp_side){ 0 };
		*ret_step = again ? FW_STEP_RENEWS : FW_STEP_REOPENS;
		return on_answer(s, t, g) == DROP_NONE;
	}
	if (d == 1 && g->flags & TCP_RST && acked) {
		s->state = FW_TCP_CLOSED;
		return true;
	}
	*ret_step = FW_STEP_PASSES;
	if (d == 0)
		return g->flags & TCP_RST;
	return (g->flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_ACK && g->payload == 0;
}

/*
 * RFC 5961 section 3.2: only the exact number resets; others in the window are let through for the host to
 * challenge, and the session stays. Which number is exact the receiver alone knows while segments to it
 * are on their way: then its challenge, or any other sign of life, takes the end back.
 */
static enum drop_reason on_reset(
	struct fw_session *s, const struct segment *g, uint32_t d, enum fw_step *ret_step)
{
	struct fw_tcp_side *from = &s->tcp[d];
	const struct fw_tcp_side *to = &s->tcp[1 - d];

	if (after(g->seq, right_edge(from, g)) || after(from->end - to->max_window, g->seq))
		return DROP_TCP_STATE;
	if (s->state == FW_TCP_TIME_WAIT) {
		*ret_step = FW_STEP_PASSES; /* whose last ACK came twice answers the second one so */
	} else if (g->seq == from->end || (to->flags & SIDE_SEEN && g->seq == to->ack)) {
		s->state = FW_TCP_CLOSED;
		from->flags &= (uint8_t)~SIDE_RESET;
		if (to->flags & SIDE_SEEN && from->end != to->ack)
			from->flags |= SIDE_RESET;
	} else {
		*ret_step = FW_STEP_PASSES;
	}
	return DROP_NONE;
}

static bool is_time_wait(const struct fw_session *s)
{
	const struct fw_tcp_side *a = &s->tcp[0], *b = &s->tcp[1];

	return a->flags & b->flags & SIDE_FIN && a->ack == b->end && b->ack == a->end;
}

static void state_advance(struct fw_session *s, const struct segment *g, uint32_t d)
{
	struct fw_tcp_side *from = &s->tcp[d], *to = &s->tcp[1 - d];

	assert(s->state > FW_TCP_SYN_SENT && s->state < FW_TCP_CLOSED);
	if (g->flags & TCP_FIN && g->end == from->end)
		from->flags |= SIDE_FIN;
	if (s->state == FW_TCP_SYN_RECEIVED && d == 0)
		s->state = FW_TCP_ESTABLISHED;
	if ((from->flags | to->flags) & SIDE_FIN && s->state < FW_TCP_CLOSING)
		s->state = FW_TCP_CLOSING;
	if (is_time_wait(s))
		s->state = FW_TCP_TIME_WAIT;
}

/* A reset that was not accepted: the connection continues. */
static void revive(struct fw_session *s)
{
	if (s->state != FW_TCP_CLOSED)
		return;
	s->state = FW_TCP_ESTABLISHED;
	s->tcp[0].flags &= (uint8_t)~SIDE_RESET;
	s->tcp[1].flags &= (uint8_t)~SIDE_RESET;
}

/* ---- out of a zone with tcp-loose ---- */

void fw_tcp_begin_loose(struct fw_session *s)
{
	s->flags |= FW_SESSION_LOOSE;
	s->state = FW_TCP_SYN_SENT;
	memset(s->tcp, 0, sizeof s->tcp);
}

/*
 * Whatever its numbers, since not every segment passes here. Until something comes back the session is
 * half-open, so that who is not answered holds no more than that.
 */
static enum drop_reason track_loose(
	struct fw_session *s, const struct segment *g, uint32_t d, enum fw_step *ret_step)
{
	if (g->flags & TCP_RST) {
		if (s->state == FW_TCP_TIME_WAIT)
			*ret_step = FW_STEP_PASSES; /* as on_reset() */
		else
			s->state = FW_TCP_CLOSED;
		return DROP_NONE;
	}
	if ((g->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && s->state != FW_TCP_SYN_SENT)
		*ret_step = FW_STEP_PASSES;
	else if (s->state == FW_TCP_SYN_SENT && d == 1)
		s->state = g->flags & TCP_SYN ? FW_TCP_SYN_RECEIVED : FW_TCP_ESTABLISHED;
	else if (s->state == FW_TCP_SYN_RECEIVED && !(g->flags & TCP_SYN))
		s->state = FW_TCP_ESTABLISHED;
	else if (s->state == FW_TCP_CLOSED)
		s->state = FW_TCP_ESTABLISHED; /* the reset was not accepted */
	if (g->flags & TCP_FIN)
		s->tcp[d].flags |= SIDE_FIN;
	if (s->state == FW_TCP_ESTABLISHED && (s->tcp[0].flags | s->tcp[1].flags) & SIDE_FIN)
		s->state = FW_TCP_CLOSING;
	if (s->tcp[0].flags & s->tcp[1].flags & SIDE_FIN)
		s->state = FW_TCP_TIME_WAIT;
	return DROP_NONE;
}

enum drop_reason fw_tcp_track(struct fw_session *s, const struct train *t, uint32_t d, enum fw_step *ret_step)
{
	struct segment g = segment_of(t);
	bool syn = (g.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	assert(d < 2 && fw_state_protocol(s->state) == IP_TCP);
	*ret_step = FW_STEP_RENEWS;
	if (s->flags & FW_SESSION_LOOSE)
		return track_loose(s, &g, d, ret_step);
	if (s->state == FW_TCP_SYN_SENT)
		return on_syn_sent(s, t, &g, d, ret_step);
	if (s->state == FW_TCP_CLOSED && (syn || !((s->tcp[0].flags | s->tcp[1].flags) & SIDE_RESET)))
		return DROP_TCP_STATE;
	if (d == 0 && syn) {
		if (!fw_is_joined(s))
			side_begin(&s->noted, &g, t);
		*ret_step = FW_STEP_PASSES;
		return DROP_NONE;
	}
	if (on_noted(s, t, &g, d, ret_step))
		return DROP_NONE;
	*ret_step = FW_STEP_RENEWS;
	if (g.flags & TCP_RST)
		return on_reset(s, &g, d, ret_step);
	if (!(g.flags & TCP_ACK) || !in_window(&s->tcp[d], &s->tcp[1 - d], &g))
		return DROP_TCP_STATE;
	/* Whoever has not seen the answer has not called: the backlog would let one guess in 65,000 through.
	 */
	if (s->state == FW_TCP_SYN_RECEIVED && d == 0 && after(s->tcp[0].ack, g.ack))
		return DROP_TCP_STATE;
	if (d == 0 && !fw_is_joined(s))
		s->noted.flags = 0; /* the caller still has the connection */
	revive(s);
	windows_advance(&s->tcp[d], &s->tcp[1 - d], &g);
	state_advance(s, &g, d);
	return DROP_NONE;
}

/* ---- packets that the kernel has forwarded: carried.c ---- */

static uint32_t later(uint32_t a, uint32_t b)
{
	return after(a, b) ? a : b;
}

bool fw_session_scales(const struct fw_session *s, uint32_t d)
{
	return s->tcp[d].flags & SIDE_SCALES;
}

bool fw_session_fin(const struct fw_session *s, uint32_t d)
{
	return s->tcp[d].flags & SIDE_FIN;
}

/* As on_answer() leaves both sides. */
static void answered(struct fw_session *s, const struct fw_passed *passed)
{
	uint8_t flags = s->tcp[0].flags;

	s->tcp[0] = passed->tcp[0];
	s->tcp[0].flags = flags;
	s->tcp[1] = passed->tcp[1];
	s->tcp[1].flags = passed->scales[1] ? SIDE_SEEN | SIDE_SCALES : SIDE_SEEN;
}

bool fw_tcp_passed(struct fw_session *s, const struct fw_passed *passed)
{
	if (passed->state == FW_TCP_SYN_SENT)
		return false;
	if (s->state == FW_TCP_SYN_SENT)
		answered(s, passed);
	for (int d = 0; d < 2; d++) {
		struct fw_tcp_side *to = &s->tcp[d];
		const struct fw_tcp_side *from = &passed->tcp[d];
		to->end = passed->follows ? from->end : later(from->end, to->end);
		to->max_end = passed->follows ? from->max_end : later(from->max_end, to->max_end);
		to->max_window = MAX_OF(from->max_window, to->max_window);
		to->ack = passed->follows ? from->ack : later(from->ack, to->ack);
		if (passed->fin[d])
			to->flags |= SIDE_FIN;
	}
	uint8_t was = s->state;
	if (passed->state > was && was <= FW_TCP_CLOSING)
		s->state = passed->state;
	/* Each of them may have seen one FIN. */
	if (s->state == FW_TCP_CLOSING && is_time_wait(s))
		s->state = FW_TCP_TIME_WAIT;
	return s->state != was;
}

/*
 * RFC 5927 section 4.1: an error quotes a segment that is on its way, so a number that its sender cannot have
 * in flight is a stranger's guess. Wider than that section's SND.UNA <= SEQ by what the other side's window
 * may hold, for an acknowledgement that passed here may be lost later; and by one, for probes of the
 * octet before.
 */
bool fw_tcp_sent(const struct fw_session *s, uint32_t d, uint32_t seq)
{
	const struct fw_tcp_side *from = &s->tcp[d], *to = &s->tcp[1 - d];
	uint32_t oldest = to->flags & SIDE_SEEN ? from->end - to->max_window - 1 : from->max_end - 1;

	if (s->flags & FW_SESSION_LOOSE)
		return true;
	if (d == 0 && s->noted.flags & SIDE_SEEN && !after(seq, s->noted.end) &&
		!after(s->noted.max_end - 1, seq))
		return true;
	return from->flags & SIDE_SEEN && !after(seq, from->end) && !after(oldest, seq);
}

/* RFC 879, RFC 6691: what the option announces is what the other side may send; it must fit the way. */
void fw_tcp_clamp(struct train *t, uint32_t mss)
{
	uint8_t *body = option_find(t, TCP_OPTION_MSS, 2), clamped[2];

	if (!body || load_be16(body) <= mss)
		return;
	store_be16(clamped, (uint16_t)mss);
	/* A field that the NIC completes counts the octets then. At an odd place the octets stand swapped in
	 * the sum. */
	if (t->csum != TRAIN_CSUM_PARTIAL) {
		uint8_t was[4] = { 0 }, is[4] = { 0 };
		size_t odd = (size_t)(body - (t->ip + t->l4_offset)) % 2;
		memcpy(was + odd, body, 2);
		memcpy(is + odd, clamped, 2);
		csum_update(t->ip + t->l4_offset + TCP_CSUM, was, is, sizeof was);
	}
	memcpy(body, clamped, 2);
}
