/*
 * SCTP state of a session: the handshake of four in its order, the verification tag of every later packet, the end by
 * SHUTDOWN or by an ABORT that bears the right tag; RFC 9260 sections 4, 5, 8.5 and 9.
 *
 * An INIT bears no tag that could be checked, so anybody can forge one. It changes nothing: it is noted as a handshake, as the
 * INIT ACK to it is, and only the COOKIE ACK at its end, whose sender has seen both new tags, makes its tags those of the
 * association. So a host that restarts opens its association again (section 5.2), both may begin at once, an INIT that
 * is sent again may get another INIT ACK, and what a stranger forges leaves an established association as it is. A session
 * notes FW_SCTP_HANDSHAKES of them; a new one takes the place of one that is less far.
 *
 * What is not followed: an association has one address at each end. Packets to or from further ones (multihoming, RFC 5061)
 * find no session and are dropped; the peers then use the path that works. Neither the numbers of DATA chunks nor what
 * chunks say beside this is read.
 */
#include "base/rd.h"
#include "firewall/internal.h"

enum stage { FREE, INIT_SENT, INIT_ACKED, COOKIE_SENT, STAGES };

/* Chunk types below 32 that a packet has. */
#define HAS(p, type) ((p)->types >> (type) & 1u)
/* The checksum of a packet that has one of these is verified. */
#define CONTROL                                                                                              \
	(1u << SCTP_INIT | 1u << SCTP_INIT_ACK | 1u << SCTP_ABORT | 1u << SCTP_SHUTDOWN |                    \
		1u << SCTP_SHUTDOWN_ACK | 1u << SCTP_COOKIE_ECHO | 1u << SCTP_COOKIE_ACK |                   \
		1u << SCTP_SHUTDOWN_COMPLETE)
/* Section 6.10: these are alone in their packet. */
#define ALONE (1u << SCTP_INIT | 1u << SCTP_INIT_ACK | 1u << SCTP_SHUTDOWN_COMPLETE)

_Static_assert(sizeof(struct fw_sctp) <= 3 * sizeof(struct fw_tcp_side), "in the place of TCP's state");

struct packet {
	uint32_t tag, types, chunks;
	uint32_t initiate_tag; /* of an INIT or INIT ACK */
	bool reflected;	       /* the T bit of an ABORT or SHUTDOWN COMPLETE */
};

/* The next chunk; false: there is none, or it is not sound, and then r->bad. */
static bool chunk_next(struct rd *r, uint8_t *ret_type, uint8_t *ret_flags, struct rd *ret_body)
{
	if (r->bad || rd_left(r) == 0)
		return false;
	*ret_type = rd_u8(r);
	*ret_flags = rd_u8(r);
	size_t length = rd_u16(r);
	r->bad |= length < SCTP_CHUNK_HEADER_SIZE;
	if (r->bad)
		return false;
	*ret_body = rd_sub(r, length - SCTP_CHUNK_HEADER_SIZE);
	rd_take(r, MIN_OF((4 - length % 4) % 4, rd_left(r))); /* padding; the last one's may be missing */
	return !ret_body->bad;
}

static bool packet_read(struct packet *ret_packet, const struct train *t)
{
	struct rd r = rd_over(t->ip + t->l4_offset, t->len - t->l4_offset), body;
	struct packet p = { 0 };
	uint8_t type, flags;

	rd_u32(&r);
	p.tag = rd_u32(&r);
	rd_u32(&r);
	for (; chunk_next(&r, &type, &flags, &body); p.chunks++) {
		p.types |= type < 32 ? 1u << type : 0;
		if (type == SCTP_ABORT || type == SCTP_SHUTDOWN_COMPLETE)
			p.reflected = flags & SCTP_FLAG_T;
		if (type != SCTP_INIT && type != SCTP_INIT_ACK)
			continue;
		p.initiate_tag = rd_u32(&body);
		rd_take(&body, 12); /* window, streams, first number */
		if (body.bad || p.initiate_tag == 0)
			return false;
	}
	if (r.bad || p.chunks == 0 || (p.types & ALONE && p.chunks > 1) || (HAS(&p, SCTP_INIT) && p.tag != 0))
		return false;
	*ret_packet = p;
	return true;
}

bool fw_sctp_opens(const struct train *t)
{
	struct packet p;

	return t->proto == IP_SCTP && packet_read(&p, t) && HAS(&p, SCTP_INIT);
}

/* ---- handshakes ---- */

/* A place for one more of this stage: a free one, otherwise the first of those that are not further; NULL: all are. */
static struct fw_sctp_handshake *handshake_room(struct fw_sctp *a, uint8_t stage)
{
	struct fw_sctp_handshake *least = &a->handshake[0];

	for (uint32_t i = 1; i < FW_SCTP_HANDSHAKES; i++)
		if (a->handshake[i].stage < least->stage)
			least = &a->handshake[i];
	return least->stage <= stage ? least : NULL;
}

static void handshake_note(struct fw_sctp *a, struct fw_sctp_handshake h)
{
	for (uint32_t i = 0; i < FW_SCTP_HANDSHAKES; i++) {
		const struct fw_sctp_handshake *x = &a->handshake[i];
		if (x->stage != FREE && x->from == h.from && x->tag[h.from] == h.tag[h.from] &&
			(h.stage == INIT_SENT || x->tag[1 - h.from] == h.tag[1 - h.from]))
			return; /* sent again */
	}
	struct fw_sctp_handshake *room = handshake_room(a, h.stage);
	if (!room)
		return;
	/* The latest stands last, so that of equal ones the oldest gives way. */
	struct fw_sctp_handshake *last = &a->handshake[FW_SCTP_HANDSHAKES - 1];
	memmove(room, room + 1, (size_t)(last - room) * sizeof *room);
	*last = h;
}

/* The one that `from` has begun, at least so far, whose side `of` has announced this tag. */
static struct fw_sctp_handshake *handshake_find(
	struct fw_sctp *a, uint32_t from, uint8_t stage, uint32_t of, uint32_t tag)
{
	for (uint32_t i = FW_SCTP_HANDSHAKES; i-- > 0;) {
		struct fw_sctp_handshake *h = &a->handshake[i];
		if (h->stage != FREE && h->stage >= stage && h->from == from && h->tag[of] == tag)
			return h;
	}
	return NULL;
}

/* ---- a packet of direction d ---- */

enum drop_reason fw_sctp_begin(struct fw_session *s, const struct train *t)
{
	struct packet p;

	assert(s->state == FW_STATELESS);
	if (!packet_read(&p, t) || !HAS(&p, SCTP_INIT))
		return DROP_NO_SESSION;
	memset(&s->sctp, 0, sizeof s->sctp);
	handshake_note(
		&s->sctp, (struct fw_sctp_handshake){ .tag = { p.initiate_tag, 0 }, .stage = INIT_SENT });
	s->state = FW_SCTP_COOKIE_WAIT;
	return DROP_NONE;
}

/* Section 8.5: it is what the other side has announced. Before the COOKIE ACK, which may be lost, the new tags count
 * beside those of the association. */
static bool tag_fits(struct fw_sctp *a, uint32_t d, uint32_t tag)
{
	if (tag == 0)
		return false;
	return tag == a->tag[1 - d] || handshake_find(a, 0, COOKIE_SENT, 1 - d, tag) ||
	       handshake_find(a, 1, COOKIE_SENT, 1 - d, tag);
}

static enum drop_reason on_init(struct fw_session *s, const struct packet *p, uint32_t d)
{
	struct fw_sctp_handshake h = { .from = (uint8_t)d, .stage = INIT_SENT };

	if (fw_is_closed(s))
		return DROP_SCTP_STATE;
	h.tag[d] = p->initiate_tag;
	handshake_note(&s->sctp, h);
	return DROP_NONE;
}

static enum drop_reason on_init_ack(struct fw_session *s, const struct packet *p, uint32_t d)
{
	struct fw_sctp_handshake *h = handshake_find(&s->sctp, 1 - d, INIT_SENT, 1 - d, p->tag);

	if (!h)
		return DROP_SCTP_STATE;
	if (h->stage == INIT_SENT) {
		h->tag[d] = p->initiate_tag;
		h->stage = INIT_ACKED;
		return DROP_NONE;
	}
	/* To an INIT that was sent again: which of the two arrives first is not known. */
	struct fw_sctp_handshake other = { .from = h->from, .stage = INIT_ACKED };
	other.tag[1 - d] = p->tag;
	other.tag[d] = p->initiate_tag;
	handshake_note(&s->sctp, other);
	return DROP_NONE;
}

/* True: it belongs to a handshake; to several if the tag does not tell them apart. The latest stand last. */
static bool on_cookie_echo(struct fw_session *s, const struct packet *p, uint32_t d, enum fw_step *ret_step)
{
	struct fw_sctp_handshake *all = s->sctp.handshake;

	if (!handshake_find(&s->sctp, d, INIT_ACKED, 1 - d, p->tag))
		return false;
	for (uint32_t i = 0, k = 0; k < FW_SCTP_HANDSHAKES; k++) {
		struct fw_sctp_handshake *h = &all[i];
		if (h->stage < INIT_ACKED || h->from != d || h->tag[1 - d] != p->tag) {
			i++;
			continue;
		}
		struct fw_sctp_handshake sent = *h;
		sent.stage = COOKIE_SENT;
		memmove(h, h + 1, (FW_SCTP_HANDSHAKES - 1 - i) * sizeof *h);
		all[FW_SCTP_HANDSHAKES - 1] = sent;
	}
	*ret_step = s->state == FW_SCTP_COOKIE_WAIT ? FW_STEP_RENEWS : FW_STEP_PASSES;
	if (s->state == FW_SCTP_COOKIE_WAIT)
		s->state = FW_SCTP_COOKIE_ECHOED;
	return true;
}

static bool on_cookie_ack(struct fw_session *s, const struct packet *p, uint32_t d, enum fw_step *ret_step)
{
	struct fw_sctp_handshake *h = handshake_find(&s->sctp, 1 - d, COOKIE_SENT, 1 - d, p->tag);

	if (!h)
		return false;
	const struct fw_sctp_handshake done = *h;
	*ret_step = fw_phase(s) == FW_PHASE_OPEN ? FW_STEP_REOPENS : FW_STEP_RENEWS;
	s->sctp = (struct fw_sctp){ .tag = { done.tag[0], done.tag[1] } };
	s->state = FW_SCTP_ESTABLISHED;
	return true;
}

static void close_by(struct fw_session *s, enum fw_protocol_state state)
{
	memset(s->sctp.handshake, 0, sizeof s->sctp.handshake);
	s->state = (uint8_t)state;
}

/*
 * Section 8.5.1 (B): with the T bit its sender has no association, and reflects the tag of the packet that it answers. It ends
 * the handshake that it fits, and the session when none is left; the association only by the association's tag.
 */
static enum drop_reason on_abort(
	struct fw_session *s, const struct packet *p, uint32_t d, enum fw_step *ret_step)
{
	struct fw_sctp *a = &s->sctp;
	uint32_t of = p->reflected ? d : 1 - d, left = 0;
	bool fits = false;

	if (p->tag == 0)
		return DROP_SCTP_STATE;
	if (p->tag == a->tag[of]) {
		if (!fw_is_closed(s))
			close_by(s, FW_SCTP_ABORTED);
		return DROP_NONE;
	}
	for (uint32_t i = 0; i < FW_SCTP_HANDSHAKES; i++) {
		struct fw_sctp_handshake *h = &a->handshake[i];
		if (h->stage != FREE && h->tag[of] == p->tag) {
			fits = true;
			h->stage = FREE;
		}
		left += h->stage != FREE;
	}
	if (!fits)
		return DROP_SCTP_STATE;
	if (a->tag[0] == 0 && left == 0) {
		/* It may come again. */
		a->tag[of] = p->tag;
		close_by(s, FW_SCTP_ABORTED);
	} else {
		*ret_step = FW_STEP_PASSES;
	}
	return DROP_NONE;
}

static enum drop_reason on_shutdown_complete(struct fw_session *s, const struct packet *p, uint32_t d)
{
	uint32_t of = p->reflected ? d : 1 - d;

	if (p->tag == 0 || p->tag != s->sctp.tag[of] ||
		(s->state != FW_SCTP_SHUTDOWN_ACK_SENT && !fw_is_closed(s)))
		return DROP_SCTP_STATE;
	if (!fw_is_closed(s))
		close_by(s, FW_SCTP_SHUTDOWN_COMPLETE);
	return DROP_NONE;
}

/* Of an association whose tag it bears. */
static enum drop_reason state_advance(struct fw_session *s, const struct packet *p)
{
	bool open = fw_phase(s) == FW_PHASE_OPEN;

	if (HAS(p, SCTP_SHUTDOWN_ACK) && (!open || s->state == FW_SCTP_ESTABLISHED))
		return fw_is_closed(s) ? DROP_NONE : DROP_SCTP_STATE; /* nobody asked for it */
	if (!open)
		return DROP_NONE;
	if (HAS(p, SCTP_SHUTDOWN) && s->state == FW_SCTP_ESTABLISHED)
		s->state = FW_SCTP_SHUTDOWN_SENT;
	if (HAS(p, SCTP_SHUTDOWN_ACK))
		s->state = FW_SCTP_SHUTDOWN_ACK_SENT;
	return DROP_NONE;
}

enum drop_reason fw_sctp_track(struct fw_session *s, struct train *t, uint32_t d, enum fw_step *ret_step)
{
	struct packet p;

	assert(d < 2 && fw_state_protocol(s->state) == IP_SCTP);
	*ret_step = FW_STEP_PASSES;
	if (!packet_read(&p, t))
		return DROP_MALFORMED;
	if (p.types & CONTROL && train_verify_l4(t) != DROP_NONE)
		return DROP_L4_CHECKSUM;
	if (HAS(&p, SCTP_INIT))
		return on_init(s, &p, d);
	if (HAS(&p, SCTP_INIT_ACK))
		return on_init_ack(s, &p, d);
	bool was_closed = fw_is_closed(s);
	if (!was_closed)
		*ret_step = FW_STEP_RENEWS;
	if (HAS(&p, SCTP_ABORT))
		return on_abort(s, &p, d, ret_step);
	if (HAS(&p, SCTP_SHUTDOWN_COMPLETE))
		return on_shutdown_complete(s, &p, d);
	if (HAS(&p, SCTP_COOKIE_ECHO) && on_cookie_echo(s, &p, d, ret_step))
		return DROP_NONE;
	if (HAS(&p, SCTP_COOKIE_ACK) && on_cookie_ack(s, &p, d, ret_step))
		return DROP_NONE;
	if (!tag_fits(&s->sctp, d, p.tag))
		return DROP_SCTP_STATE;
	/* The tags of a handshake that is not complete are not the association's: nothing is closed by them, and they keep
	 * no session. */
	if (p.tag != s->sctp.tag[1 - d]) {
		*ret_step = FW_STEP_PASSES;
		return p.types & (1u << SCTP_SHUTDOWN | 1u << SCTP_SHUTDOWN_ACK) ? DROP_SCTP_STATE
										 : DROP_NONE;
	}
	return state_advance(s, &p);
}

bool fw_sctp_sent(const struct fw_session *s, uint32_t d, uint32_t tag)
{
	const struct fw_sctp *a = &s->sctp;

	for (uint32_t i = 0; i < FW_SCTP_HANDSHAKES; i++) {
		const struct fw_sctp_handshake *h = &a->handshake[i];
		if (h->stage != FREE && (tag ? h->tag[1 - d] == tag : h->from == d && h->stage < COOKIE_SENT))
			return true;
	}
	return tag != 0 && tag == a->tag[1 - d];
}

bool fw_sctp_sound(const struct fw_session *s)
{
	const struct fw_sctp *a = &s->sctp;

	for (uint32_t i = 0; i < FW_SCTP_HANDSHAKES; i++) {
		const struct fw_sctp_handshake *h = &a->handshake[i];
		if (h->stage >= STAGES || h->from > 1 || (h->stage != FREE && h->tag[h->from] == 0) ||
			(h->stage > INIT_SENT && h->tag[1 - h->from] == 0))
			return false;
	}
	return fw_phase(s) != FW_PHASE_OPEN || (a->tag[0] != 0 && a->tag[1] != 0);
}
