/*
 * One packet from a stranger through everything that reads a single packet: headers, checksums, what errors
 * quote, the answers that are made from it, cutting into fragments and segments. The first octet says what
 * stands beside the packet (segment size, checksum state, whether the IPv4 header's sum is made right, so
 * that more than a sum is tried). The packet lies on the heap at its exact size: the sanitizer sees each
 * octet read too many.
 */
#include "must.h"
#include "packets.h"
#include "wire/fragment.h"
#include "wire/icmp_make.h"
#include "wire/quoted.h"
#include "wire/segment.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void sum_right(uint8_t *ip, size_t n)
{
	size_t head = n ? 4u * (ip[0] & 15) : 0;

	if (n < 20 || ip[0] >> 4 != 4 || head < 20 || head > n)
		return;
	store_be16(ip + 10, 0);
	store_be16(ip + 10, plain_checksum(0, ip, head));
}

static void answers(const struct train *t)
{
	static uint8_t made[ICMP_MADE_MAX];
	struct ip_addr from = t->dst;

	for (int what = ICMP_ANSWER_TTL; what <= ICMP_ANSWER_REASSEMBLY; what++) {
		size_t n = icmp_make(made, t, (enum icmp_answer)what, 1400, &from);
		MUST(n <= ICMP_MADE_MAX && (n == 0 || packet_sound(made, n)));
	}
	size_t n = tcp_reset_make(made, t);
	MUST(n == 0 || packet_sound(made, n));
}

/* All pieces together are the packet's data, in order. */
static void fragments(const struct train *t)
{
	static uint8_t piece[1280];
	uint32_t total = 0;
	size_t n;

	for (uint32_t i = 0; (n = fragment_cut(piece, t, 1280, i, 7)); i++) {
		struct train p = { .ip = piece, .len = (uint32_t)n };
		MUST(n <= sizeof piece && i < 64);
		MUST(train_parse(&p) == DROP_NONE);
		MUST(p.flags & TRAIN_FRAGMENT || i == 0);
		total += p.len - p.l4_offset;
	}
	MUST(total > 0 || t->len <= t->l4_offset || total == 0);
}

static void segments(const struct train *t, size_t room_n)
{
	static uint8_t copy[1 << 17];
	struct segment_cutter c;
	struct train u = *t;
	uint32_t packet_n, total = 0;

	if (room_n > sizeof copy)
		return;
	memcpy(copy, t->ip, t->len);
	u.ip = copy;
	if (!segment_cut_begin(&c, &u, 0))
		return;
	for (uint8_t *ip; (ip = segment_cut_next(&c, &packet_n));) {
		struct train one = { .ip = ip, .len = packet_n };
		total += u.segment_size ? packet_n - u.payload_offset : packet_n;
		MUST(!u.segment_size || (train_parse(&one) == DROP_NONE && one.len == packet_n));
	}
	MUST(total == (u.segment_size ? u.len - u.payload_offset : u.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1 || n > TRAIN_BYTES_MAX)
		return 0;
	uint8_t mode = data[0];
	size_t packet_n = n - 1;
	uint8_t *ip = malloc(packet_n ? packet_n : 1);
	MUST(ip);
	memcpy(ip, data + 1, packet_n);
	if (mode & 1)
		sum_right(ip, packet_n);
	struct train t = { .ip = ip, .len = (uint32_t)packet_n, .csum = TRAIN_CSUM_UNKNOWN };
	if (mode & 2) {
		t.segment_size = (uint16_t)(1 + mode * 37u);
		t.csum = TRAIN_CSUM_PARTIAL;
	}
	struct segment_layers l;
	if (mode & 2 && mode & 4 && packet_n &&
		segment_layers_read(&l, ip, (uint32_t)packet_n, mode & 8 ? ip[packet_n - 1] : 0)) {
		MUST(l.n > 0 && l.n <= SEGMENT_LAYERS_MAX && l.head_n <= SEGMENT_HEAD_MAX &&
			l.head_n <= packet_n);
		MUST(l.layer[0].kind == SEGMENT_IP && l.layer[l.n - 1].kind == SEGMENT_IP &&
			l.l4_offset < l.head_n);
		t.inner_l4 = l.l4_offset;
	}
	enum drop_reason d = train_parse(&t);
	MUST(d == t.drop && t.len <= packet_n);
	if (d == DROP_NONE) {
		bool fragment = t.flags & TRAIN_FRAGMENT;
		MUST(t.l4_offset <= t.payload_offset && t.payload_offset <= t.len);
		MUST(t.src.family == t.dst.family && (t.src.family == ADDR_V4 || t.src.family == ADDR_V6));
		MUST(!fragment || (t.src_port == 0 && t.tcp_flags == 0));
		struct train again = t;
		MUST(train_parse(&again) == DROP_NONE && again.len == t.len &&
			again.l4_offset == t.l4_offset);
		if (t.flags & TRAIN_ICMP_ERROR) {
			struct quoted q;
			quoted_parse(&q, t.ip + t.payload_offset, t.len - t.payload_offset);
		}
		answers(&t);
		if (!fragment && !t.segment_size)
			fragments(&t);
		if (!fragment)
			segments(&t, packet_n);
		again = t;
		if (train_verify_l4(&again) == DROP_NONE && !t.segment_size)
			train_complete_l4(&again);
	}
	free(ip);
	return 0;
}
