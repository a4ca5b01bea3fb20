/*
 * Packets whose text an application layer gateway replaces by one of another length, and the numbers of a TCP connection
 * after that (alg/offset.h). The firewall tracks a connection by what each sender counts: so acknowledgements are
 * mended before its checks, and sequence numbers after them. And what is found is told to the firewall.
 */
#include "proc/dataplane/alg.h"
#include "wire/ip.h"
#include "wire/payload.h"

#include <assert.h>

enum { TCP_SEQ = 4, TCP_ACK_NUMBER = 8, TCP_HEADER_MAX = 60 };

bool alg_text_room(struct pipeline *p, struct train *t)
{
	struct alg_state *a = p->alg;

	if (t->len > ALG_TEXT_PACKET_MAX || t->inner_l4 || a->copies_n >= TRAIN_BURST_MAX)
		return false;
	if (train_verify_l4(t) != DROP_NONE) /* it gets a new one, which must not hide a wrong one */
		return false;
	uint8_t *copy = a->copy[a->copies_n++] + TRAIN_HEAD_ROOM;
	memcpy(copy, t->ip, t->len);
	t->ip = copy;
	return true;
}

void alg_text_acks_in(struct train *t, const struct alg_offset *o)
{
	uint8_t *l4 = t->ip + t->l4_offset, was[TCP_HEADER_MAX];
	size_t n = (size_t)t->payload_offset - t->l4_offset;

	assert(n >= TCP_HEADER_SIZE && n <= sizeof was);
	if (!o->used || !(t->tcp_flags & TCP_ACK))
		return;
	memcpy(was, l4, n);
	store_be32(l4 + TCP_ACK_NUMBER, alg_offset_ack(o, load_be32(l4 + TCP_ACK_NUMBER)));
	alg_offset_sack(o, l4 + TCP_HEADER_SIZE, n - TCP_HEADER_SIZE);
	train_tcp_header_changed(t, was);
}

void alg_text_seq_out(struct train *t, const struct alg_offset *o)
{
	uint8_t *l4 = t->ip + t->l4_offset, was[TCP_HEADER_MAX];
	size_t n = (size_t)t->payload_offset - t->l4_offset;

	assert(n >= TCP_HEADER_SIZE && n <= sizeof was);
	if (!o->used)
		return;
	memcpy(was, l4, n);
	store_be32(l4 + TCP_SEQ, alg_offset_seq(o, load_be32(l4 + TCP_SEQ)));
	train_tcp_header_changed(t, was);
}

bool alg_expect(
	struct pipeline *p, const struct train *t, const struct expectation *e, struct endpoint *ret_told)
{
	bool made = fw_expect(p->fw, t->session, e, p->now, ret_told);

	if (train_is_traced(t)) {
		char src[ADDR_TEXT_MAX], dst[ENDPOINT_TEXT_MAX], told[ENDPOINT_TEXT_MAX];
		struct endpoint to = { e->dst, e->dst_port, 0 };
		bool any = e->src.family == ADDR_NONE,
		     other = made && (!addr_equal(&to.addr, &ret_told->addr) || to.port != ret_told->port);
		trace_say(p, t, "alg", PACKET_NONE, "%s a session from %s to %s%s%s",
			made ? "lets expect" : "cannot let expect", any ? "anybody" : addr_text(src, &e->src),
			endpoint_text(dst, &to), other ? ", told as " : "",
			other ? endpoint_text(told, ret_told) : "");
	}
	return made;
}
