#include "wire/probe.h"

#include "base/rd.h"
#include "base/wr.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>
#include <string.h>

#define DNS_PORT	53
#define DNS_HEADER_SIZE 12
#define DNS_RESPONSE	0x8000
#define DNS_RECURSION	0x0100
#define PROBE_HOPS	64
#define PROBE_WINDOW	1024

enum { DNS_A = 1, DNS_NS = 2, DNS_AAAA = 28, DNS_IN = 1 }; /* types and the class of a question (IANA) */

static uint8_t proto_of(const struct probe *p)
{
	if (p->by == PROBE_BY_ECHO)
		return p->src.family == ADDR_V4 ? IP_ICMP : IP_ICMPV6;
	return p->by == PROBE_BY_TCP ? IP_TCP : IP_UDP;
}

/* --- out --- */

static void ip_header_put(struct wr *w, const struct probe *p, uint8_t proto)
{
	if (p->src.family == ADDR_V4) {
		wr_u16(w, 0x4500);
		wr_u16(w, 0); /* the length, when it is known */
		wr_u16(w, 0);
		wr_u16(w, IP4_DF);
		wr_u8(w, PROBE_HOPS);
		wr_u8(w, proto);
		wr_u16(w, 0);
	} else {
		wr_u32(w, 0x60000000);
		wr_u16(w, 0);
		wr_u8(w, proto);
		wr_u8(w, PROBE_HOPS);
	}
	wr_bytes(w, p->src.b, addr_size(&p->src));
	wr_bytes(w, p->dst.b, addr_size(&p->dst));
}

static void echo_put(struct wr *w, const struct probe *p)
{
	wr_u8(w, p->src.family == ADDR_V4 ? ICMP4_ECHO : ICMP6_ECHO);
	wr_u8(w, 0);
	wr_u16(w, 0);
	wr_u16(w, p->src_port);
	wr_u16(w, p->sequence);
	wr_u64(w, p->number);
	wr_u64(w, 0);
}

static void tcp_put(struct wr *w, const struct probe *p, uint32_t sequence, uint8_t flags)
{
	wr_u16(w, p->src_port);
	wr_u16(w, p->dst_port);
	wr_u32(w, sequence);
	wr_u32(w, 0);
	wr_u8(w, 5 << 4);
	wr_u8(w, flags);
	wr_u16(w, flags & TCP_RST ? 0 : PROBE_WINDOW);
	wr_u32(w, 0); /* checksum, urgent pointer */
}

static void question_put(struct wr *w, const struct probe *p)
{
	const char *label = p->name;
	bool root = strcmp(p->name, ".") == 0;

	while (!root && *label) {
		size_t n = strcspn(label, ".");
		assert(n > 0 && n < 64);
		wr_u8(w, (uint8_t)n);
		wr_bytes(w, label, n);
		label += n + (label[n] == '.');
	}
	wr_u8(w, 0);
	wr_u16(w, root ? DNS_NS : p->src.family == ADDR_V4 ? DNS_A : DNS_AAAA);
	wr_u16(w, DNS_IN);
}

static void dns_put(struct wr *w, const struct probe *p)
{
	wr_u16(w, p->src_port);
	wr_u16(w, DNS_PORT);
	wr_u16(w, 0); /* the length, when it is known */
	wr_u16(w, 0);
	wr_u16(w, (uint16_t)p->number);
	wr_u16(w, DNS_RECURSION);
	wr_u16(w, 1); /* one question */
	wr_u16(w, 0);
	wr_u32(w, 0);
	question_put(w, p);
}

/* Lengths and checksums. */
static size_t finish(uint8_t *ip, size_t n, const struct probe *p, uint8_t proto)
{
	size_t addr_n = addr_size(&p->src), head = addr_n == 4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE;
	uint32_t field = proto == IP_TCP ? TCP_CSUM : proto == IP_UDP ? UDP_CSUM : ICMP_CSUM;
	uint16_t csum;

	if (proto == IP_UDP)
		store_be16(ip + head + 4, (uint16_t)(n - head));
	uint64_t sum =
		proto == IP_ICMP ? 0 : csum_pseudo(p->src.b, p->dst.b, addr_n, proto, (uint32_t)(n - head));
	csum = (uint16_t)~csum_fold(csum_add(sum, ip + head, n - head));
	if (csum == 0 && proto == IP_UDP)
		csum = 0xffff; /* 0 says that there is none (RFC 768) */
	memcpy(ip + head + field, &csum, sizeof csum);
	if (addr_n == 16) {
		store_be16(ip + 4, (uint16_t)(n - head));
		return n;
	}
	store_be16(ip + 2, (uint16_t)n);
	csum = (uint16_t)~csum_fold(csum_add(0, ip, head));
	memcpy(ip + IP4_CSUM, &csum, sizeof csum);
	return n;
}

size_t probe_make(uint8_t ret_ip[PROBE_PACKET_MAX], const struct probe *p)
{
	struct wr w = wr_over(ret_ip, PROBE_PACKET_MAX);
	uint8_t proto = proto_of(p);

	assert(p->src.family == p->dst.family && p->src.family != ADDR_NONE);
	ip_header_put(&w, p, proto);
	if (p->by == PROBE_BY_ECHO)
		echo_put(&w, p);
	else if (p->by == PROBE_BY_TCP)
		tcp_put(&w, p, (uint32_t)p->number, TCP_SYN);
	else
		dns_put(&w, p);
	return finish(ret_ip, wr_len(&w), p, proto);
}

size_t probe_reset_make(uint8_t ret_ip[PROBE_PACKET_MAX], const struct probe *p)
{
	struct wr w = wr_over(ret_ip, PROBE_PACKET_MAX);

	assert(p->by == PROBE_BY_TCP);
	ip_header_put(&w, p, IP_TCP);
	tcp_put(&w, p, (uint32_t)p->number + 1, TCP_RST);
	return finish(ret_ip, wr_len(&w), p, IP_TCP);
}

/* --- in --- */

static bool echo_is_answer(struct rd *r, const struct probe *p)
{
	bool same = rd_u8(r) == (p->src.family == ADDR_V4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY);

	same &= rd_u8(r) == 0;
	rd_u16(r);
	same &= rd_u16(r) == p->src_port;
	same &= rd_u16(r) == p->sequence;
	same &= rd_u64(r) == p->number;
	return same;
}

static bool tcp_is_answer(struct rd *r, const struct probe *p)
{
	bool same = rd_u16(r) == p->dst_port;

	same &= rd_u16(r) == p->src_port;
	rd_u32(r);
	same &= rd_u32(r) == (uint32_t)p->number + 1;
	rd_u8(r);
	same &= (rd_u8(r) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == (TCP_SYN | TCP_ACK);
	return same;
}

static bool dns_is_answer(struct rd *r, const struct probe *p)
{
	bool same = rd_u16(r) == DNS_PORT;

	same &= rd_u16(r) == p->src_port;
	rd_u32(r);
	same &= rd_u16(r) == (uint16_t)p->number;
	same &= (rd_u16(r) & DNS_RESPONSE) != 0;
	rd_take(r, DNS_HEADER_SIZE - 4);
	return same;
}

/* To the payload; false: it is not of this protocol between these two. Fragments and options are no answer of a host that
 * is asked for so little. */
static bool ip_header_skip(struct rd *r, const struct probe *p)
{
	bool v4 = p->src.family == ADDR_V4, same = true;
	size_t n = addr_size(&p->src);

	if (v4) {
		same &= rd_u8(r) == 0x45;
		rd_take(r, 5);
		same &= (rd_u16(r) & (IP4_MF | IP4_OFFSET_MASK)) == 0;
		rd_u8(r);
		same &= rd_u8(r) == proto_of(p);
		rd_u16(r);
	} else {
		same &= rd_u8(r) >> 4 == 6;
		rd_take(r, 5);
		same &= rd_u8(r) == proto_of(p);
		rd_u8(r);
	}
	const uint8_t *src = rd_take(r, n), *dst = rd_take(r, n);
	return same && src && dst && memcmp(src, p->dst.b, n) == 0 && memcmp(dst, p->src.b, n) == 0;
}

bool probe_is_answer(const struct probe *p, const uint8_t *ip, size_t n)
{
	struct rd r = rd_over(ip, n);
	bool same = false;

	if (!ip_header_skip(&r, p))
		return false;
	if (p->by == PROBE_BY_ECHO)
		same = echo_is_answer(&r, p);
	else if (p->by == PROBE_BY_TCP)
		same = tcp_is_answer(&r, p);
	else
		same = dns_is_answer(&r, p);
	return same && !r.bad;
}
