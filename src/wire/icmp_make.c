#include "wire/icmp_make.h"
#include "base/wr.h"
#include "wire/csum.h"
#include "wire/ip.h"

#define ANSWER_HOPS 64

static void put_ip(
	struct wr *w, const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto, size_t l4_n)
{
	if (src->family == ADDR_V4) {
		uint8_t *h = w->at;
		wr_u16(w, 0x4500);
		wr_u16(w, (uint16_t)(IP4_HEADER_SIZE + l4_n));
		wr_u32(w, IP4_DF);
		wr_u8(w, ANSWER_HOPS);
		wr_u8(w, proto);
		wr_u16(w, 0);
		wr_bytes(w, src->b, 4);
		wr_bytes(w, dst->b, 4);
		uint16_t c = (uint16_t)~csum_fold(csum_add(0, h, IP4_HEADER_SIZE));
		memcpy(h + IP4_CSUM, &c, 2);
	} else {
		wr_u32(w, 0x60000000);
		wr_u16(w, (uint16_t)l4_n);
		wr_u8(w, proto);
		wr_u8(w, ANSWER_HOPS);
		wr_bytes(w, src->b, 16);
		wr_bytes(w, dst->b, 16);
	}
}

static void put_l4_csum(uint8_t *l4, size_t l4_n, size_t at, uint8_t proto, const struct ip_addr *src,
	const struct ip_addr *dst)
{
	uint64_t sum =
		proto == IP_ICMP ? 0 : csum_pseudo(src->b, dst->b, addr_size(src), proto, (uint32_t)l4_n);
	uint16_t c = (uint16_t)~csum_fold(csum_add(sum, l4, l4_n));

	memcpy(l4 + at, &c, 2);
}

static const struct {
	uint8_t type4, code4, type6, code6;
} answers[] = {
	[ICMP_ANSWER_TTL] = { ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0 },
	[ICMP_ANSWER_TOO_BIG] = { ICMP4_UNREACHABLE, 4, ICMP6_TOO_BIG, 0 },
	[ICMP_ANSWER_NO_ROUTE] = { ICMP4_UNREACHABLE, 0, ICMP6_UNREACHABLE, 0 },
	[ICMP_ANSWER_PROHIBITED] = { ICMP4_UNREACHABLE, 13, ICMP6_UNREACHABLE, 1 },
	[ICMP_ANSWER_HOST] = { ICMP4_UNREACHABLE, 1, ICMP6_UNREACHABLE, 3 },
	[ICMP_ANSWER_REASSEMBLY] = { ICMP4_TIME_EXCEEDED, 1, ICMP6_TIME_EXCEEDED, 1 },
};

/* RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e). */
static bool may_answer(const struct train *t, enum icmp_answer what)
{
	bool fragment_behind = t->flags & TRAIN_FRAGMENT && !(t->flags & TRAIN_FIRST_FRAGMENT);

	if (t->flags & TRAIN_ICMP_ERROR || fragment_behind)
		return false;
	if (t->dst.family == ADDR_V4)
		return t->dst.b[0] < 224;
	return t->dst.b[0] != 0xff || what == ICMP_ANSWER_TOO_BIG;
}

size_t icmp_make(uint8_t packet[ICMP_MADE_MAX], const struct train *t, enum icmp_answer what, uint32_t mtu,
	const struct ip_addr *from)
{
	bool v4 = t->src.family == ADDR_V4;
	size_t ip_n = v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE;
	size_t quote =
		MIN_OF((size_t)t->len, (v4 ? ICMP4_PACKET_MAX : ICMP_MADE_MAX) - ip_n - ICMP_HEADER_SIZE);
	uint8_t proto = v4 ? IP_ICMP : IP_ICMPV6;
	struct wr w = wr_over(packet, ICMP_MADE_MAX);

	if (from->family != t->src.family || !may_answer(t, what))
		return 0;
	put_ip(&w, from, &t->src, proto, ICMP_HEADER_SIZE + quote);
	uint8_t *l4 = w.at;
	wr_u8(&w, v4 ? answers[what].type4 : answers[what].type6);
	wr_u8(&w, v4 ? answers[what].code4 : answers[what].code6);
	wr_u16(&w, 0);
	/* RFC 1191 section 4: MTU in the low 16 bits; RFC 4443 section 3.2: all 32. */
	wr_u32(&w, what != ICMP_ANSWER_TOO_BIG ? 0 : v4 ? MIN_OF(mtu, 0xffffu) : mtu);
	wr_bytes(&w, t->ip, quote);
	if (w.bad)
		return 0;
	put_l4_csum(l4, ICMP_HEADER_SIZE + quote, ICMP_CSUM, proto, from, &t->src);
	return wr_len(&w);
}

size_t tcp_reset_make(uint8_t packet[ICMP_MADE_MAX], const struct train *t)
{
	struct wr w = wr_over(packet, ICMP_MADE_MAX);

	if (t->proto != IP_TCP || t->tcp_flags & TCP_RST || t->flags & TRAIN_FRAGMENT)
		return 0;
	const uint8_t *tcp = t->ip + t->l4_offset;
	uint32_t their_seq = load_be32(tcp + 4), their_ack = load_be32(tcp + 8);
	uint32_t taken = t->len - t->payload_offset + !!(t->tcp_flags & TCP_SYN) + !!(t->tcp_flags & TCP_FIN);
	bool has_ack = t->tcp_flags & TCP_ACK;

	put_ip(&w, &t->dst, &t->src, IP_TCP, TCP_HEADER_SIZE);
	uint8_t *l4 = w.at;
	wr_u16(&w, t->dst_port);
	wr_u16(&w, t->src_port);
	wr_u32(&w, has_ack ? their_ack : 0);
	wr_u32(&w, has_ack ? 0 : their_seq + taken);
	wr_u8(&w, 5 << 4);
	wr_u8(&w, has_ack ? TCP_RST : TCP_RST | TCP_ACK);
	wr_u16(&w, 0);
	wr_u32(&w, 0);
	put_l4_csum(l4, TCP_HEADER_SIZE, TCP_CSUM, IP_TCP, &t->dst, &t->src);
	return wr_len(&w);
}
