/* FTP's control connections: which are read, and what is done with what is found. */
#include "proc/dataplane/alg.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/payload.h"
#include "wire/quoted.h"

#include <assert.h>

enum { TCP_SEQ = 4, TCP_ACK_NUMBER = 8 };
#define SHIFT_MAX (INT16_MAX - FTP_TEXT_MAX) /* that a session record holds; thousands of transfers */

/* The state of the session with this number; NULL: its beginning was not seen, or there was no room. */
static struct ftp *ftp_find(struct alg_state *a, uint32_t session, uint32_t id)
{
	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (a->session[i] == session && a->id[i] == id)
			return &a->ftp[i];
	return NULL;
}

/* All are in use: the oldest of the zone whose clients have most is not read any more. */
static uint32_t ftp_give_way(struct pipeline *p)
{
	struct alg_state *a = p->alg;
	uint32_t of_zone[ZONES_MAX + 1] = { 0 }, most = 0, victim = ALG_FTP_MAX;

	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (++of_zone[a->zone[i]] > of_zone[most])
			most = a->zone[i];
	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (a->zone[i] == most && (victim == ALG_FTP_MAX || (int32_t)(a->id[i] - a->id[victim]) < 0))
			victim = i;
	assert(victim < ALG_FTP_MAX);
	p->alg_full++;
	return victim;
}

/* A fresh one; a source has half of all. */
static struct ftp *ftp_new(struct pipeline *p, uint32_t session, const struct fw_session *s)
{
	struct alg_state *a = p->alg;
	struct ip_addr source = addr_source(fw_key_src(&s->key[0]));
	uint32_t free = ALG_FTP_MAX, of_source = 0;

	for (uint32_t i = 0; i < ALG_FTP_MAX; i++) {
		const struct fw_session *owner = a->id[i] ? fw_session(p->fw, a->session[i]) : NULL;
		if (!owner || owner->id != a->id[i] || a->session[i] == session) {
			a->id[i] = 0;
			free = i;
		} else {
			of_source += addr_equal(&a->source[i], &source);
		}
	}
	if (of_source >= ALG_FTP_MAX / 2) {
		p->alg_full++;
		return NULL;
	}
	if (free == ALG_FTP_MAX)
		free = ftp_give_way(p);
	a->session[free] = session;
	a->id[free] = s->id;
	a->source[free] = source;
	a->zone[free] = MIN_OF(s->zones.zone[0], (uint16_t)ZONES_MAX);
	memset(&a->ftp[free], 0, sizeof a->ftp[free]);
	return &a->ftp[free];
}

/* ---- numbers ---- */

/* Of text that is long past, or of a state that is gone with its process: what the session remembers. */
static struct alg_offset offset_settled(int16_t shift)
{
	return (struct alg_offset){ .before = (uint32_t)shift, .after = (uint32_t)shift, .used = shift != 0 };
}

/* The quoted segment, as its sender counts. */
static void quoted_mend(struct train *t, const struct alg_offset *o)
{
	struct quoted q;

	if (t->segment_size || t->csum == TRAIN_CSUM_PARTIAL ||
		!quoted_in_error(&q, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset) ||
		q.proto != IP_TCP || t->payload_offset + q.l4_offset + 8u > t->len)
		return;
	uint8_t *seq = t->ip + t->payload_offset + q.l4_offset + TCP_SEQ, was[4];
	memcpy(was, seq, sizeof was);
	store_be32(seq, alg_offset_ack(o, load_be32(seq)));
	csum_update(t->ip + t->l4_offset + ICMP_CSUM, was, seq, sizeof was);
}

void alg_ftp_before(struct pipeline *p, struct train *t, const struct fw_session *s, struct alg_pass *pass)
{
	uint32_t d = t->flags & TRAIN_REPLY ? 1 : 0;

	pass->ftp = ftp_find(p->alg, t->session, s->id);
	for (uint32_t i = 0; i < 2; i++)
		pass->offset[i] = pass->ftp ? pass->ftp->offset[i] : offset_settled(s->tcp[i].shift);
	const struct alg_offset *o = &pass->offset[1 - d];
	if (t->flags & TRAIN_ICMP_ERROR) {
		if (o->used)
			quoted_mend(t, o);
		return;
	}
	/* A new connection on the same ports counts from its beginning; so does what answers its SYN. */
	uint32_t ack = load_be32(t->ip + t->l4_offset + TCP_ACK_NUMBER);
	if (!(t->tcp_flags & TCP_SYN) && !(d == 1 && s->noted.flags && ack == s->noted.end))
		alg_text_acks_in(t, o);
}

/* ---- text ---- */

static enum drop_reason sent_again(
	struct pipeline *p, struct train *t, struct ftp *f, uint32_t d, uint32_t seq)
{
	size_t n = t->len - t->payload_offset;

	if (!ftp_repeats(f, d, seq, n))
		return DROP_NONE;
	if (!alg_text_room(p, t))
		return t->drop ? t->drop : DROP_ALG_ORDER;
	if (ftp_repeat(f, d, seq, t->ip + t->payload_offset, &n, alg_text_room_n(t)) != ALG_PASS)
		return DROP_ALG_ORDER;
	train_payload_replaced(t, (uint32_t)n);
	return DROP_NONE;
}

/* What was found is expected, and told as the other side must know it. False: it cannot be. */
static bool announce(struct pipeline *p, struct train *t, struct ftp *f, uint32_t d, uint32_t seq,
	bool translated, const struct ftp_found *found)
{
	size_t n = t->len - t->payload_offset;
	struct endpoint told;

	if (!alg_expect(p, t, &found->expectation, &told))
		return !translated;
	if (!translated)
		return true;
	if (!alg_text_room(p, t) || !ftp_rewrite(f, d, seq, t->ip + t->payload_offset, &n, alg_text_room_n(t),
					    found, &told.addr, told.port))
		return false;
	train_payload_replaced(t, (uint32_t)n);
	fw_session_shift(p->fw, t->session, d, (int16_t)f->offset[d].after);
	return true;
}

static enum drop_reason text_read(struct pipeline *p, struct train *t, const struct fw_session *s,
	struct ftp *f, uint32_t d, uint32_t seq)
{
	struct ip_addr ends[2] = { fw_key_src(&s->key[0]), fw_key_src(&s->key[1]) };
	bool translated = fw_session_end_translated(s, d);
	uint32_t n = t->len - t->payload_offset;
	struct ftp_found found;

	if (translated && n > 0 && !f->foreign && !f->opaque) {
		if (t->len > ALG_TEXT_PACKET_MAX - FTP_TEXT_MAX)
			return DROP_ALG_REFUSED;
		if (train_verify_l4(t) != DROP_NONE)
			return DROP_L4_CHECKSUM;
		if (s->tcp[d].shift > SHIFT_MAX || s->tcp[d].shift < -SHIFT_MAX) {
			f->opaque = true;
			p->alg_full++;
		}
	}
	const struct ftp was = *f;
	switch (ftp_segment(f, ends, d, seq, t->ip + t->payload_offset, n, translated, &found)) {
	case ALG_PASS:
		break;
	case ALG_EXPECT:
		/* One replacement stands at a time: whoever was answered has no reason to send the last one again. */
		if (translated && ftp_repeats(&was, d, seq, n)) {
			*f = was;
			return DROP_ALG_ORDER;
		}
		if (announce(p, t, f, d, seq, translated, &found))
			return DROP_NONE;
		*f = was;
		return DROP_ALG_REFUSED;
	case ALG_CUT:
		if (!(t->tcp_flags & TCP_FIN) && alg_text_room(p, t)) {
			train_payload_replaced(t, (uint32_t)found.at);
			break;
		}
		*f = was;
		return t->drop ? t->drop : DROP_ALG_ORDER;
	case ALG_AGAIN:
		return DROP_ALG_ORDER;
	case ALG_REFUSE:
		return DROP_ALG_REFUSED;
	}
	return sent_again(p, t, f, d, seq);
}

/*
 * opens: the client's segment that completes the handshake. Only then there is a state, because whoever has not seen the
 * server's answer cannot send it: SYNs of forged sources hold none.
 */
static struct ftp *state_of(
	struct pipeline *p, const struct train *t, const struct fw_session *s, const struct alg_pass *pass)
{
	if (!pass->opens || s->state == FW_TCP_SYN_RECEIVED)
		return pass->ftp ? pass->ftp : ftp_find(p->alg, t->session, s->id);
	struct ftp *f = ftp_new(p, t->session, s);
	if (f) {
		ftp_begin(f, 0, load_be32(t->ip + t->l4_offset + TCP_SEQ));
		ftp_begin(f, 1, load_be32(t->ip + t->l4_offset + TCP_ACK_NUMBER));
		for (uint32_t side = 0; side < 2; side++)
			if (fw_session_end_translated(s, side))
				f->seen[side] = fw_session_end_seen(s, side);
	}
	return f;
}

enum drop_reason alg_ftp_read(struct pipeline *p, struct train *t, const struct fw_session *s, bool reads,
	const struct alg_pass *pass)
{
	uint32_t d = t->flags & TRAIN_REPLY ? 1 : 0, seq = load_be32(t->ip + t->l4_offset + TCP_SEQ);
	enum drop_reason drop = DROP_NONE;

	if (t->tcp_flags & TCP_SYN)
		return DROP_NONE;
	struct ftp *f = reads ? state_of(p, t, s, pass) : pass->ftp;
	if (f && reads)
		drop = text_read(p, t, s, f, d, seq);
	else if (f)
		drop = sent_again(p, t, f, d, seq);
	if (drop == DROP_NONE)
		alg_text_seq_out(t, f ? &f->offset[d] : &pass->offset[d]);
	return drop;
}
