#include "wire/quoted.h"
#include "base/icmp.h"
#include "base/rd.h"
#include "wire/ip.h"

static bool quoted_l4(struct quoted *q, struct rd r, const uint8_t *bytes, size_t n)
{
	uint32_t csum = 0;

	q->l4_offset = (uint32_t)(r.at - bytes);
	switch (q->proto) {
	case IP_TCP:
	case IP_UDP:
		q->src_port = rd_u16(&r);
		q->dst_port = rd_u16(&r);
		q->tcp_seq = q->proto == IP_TCP ? rd_u32(&r) : 0;
		csum = q->proto == IP_TCP ? TCP_CSUM : UDP_CSUM;
		break;
	case IP_SCTP:
		q->src_port = rd_u16(&r);
		q->dst_port = rd_u16(&r);
		q->sctp_tag = rd_u32(&r);
		break;
	case IP_ICMP:
	case IP_ICMPV6: {
		bool v4 = q->proto == IP_ICMP;
		q->icmp_type = rd_u8(&r);
		uint32_t at = icmp_identifier_at(v4, q->icmp_type);
		if (v4 != (q->src.family == ADDR_V4) || at == 0)
			return false;
		rd_take(&r, at - 1);
		q->src_port = q->dst_port = rd_u16(&r);
		csum = ICMP_CSUM;
		break;
	}
	case IP_UDP_LITE:
	case IP_DCCP: /* where UDP has its own; their ports are not looked at */
		csum = UDP_CSUM;
		break;
	default:
		break;
	}
	q->csum_offset = csum && q->l4_offset + csum + 2 <= n ? q->l4_offset + csum : 0;
	return !r.bad;
}

static bool quoted_ip4(struct quoted *q, const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);
	size_t header = 4u * (rd_u8(&r) & 15);

	rd_take(&r, 5);
	uint16_t fragment = rd_u16(&r);
	rd_u8(&r);
	q->proto = rd_u8(&r);
	rd_u16(&r);
	const uint8_t *src = rd_take(&r, 4), *dst = rd_take(&r, 4);
	if (r.bad || header < IP4_HEADER_SIZE || fragment & IP4_OFFSET_MASK ||
		!rd_take(&r, header - IP4_HEADER_SIZE))
		return false;
	q->src = addr_v4(src);
	q->dst = addr_v4(dst);
	return quoted_l4(q, r, bytes, n);
}

static bool quoted_ip6(struct quoted *q, const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);

	rd_take(&r, 6);
	uint8_t next = rd_u8(&r);
	rd_u8(&r);
	const uint8_t *src = rd_take(&r, 16), *dst = rd_take(&r, 16);
	if (r.bad)
		return false;
	q->src = addr_v6(src);
	q->dst = addr_v6(dst);
	for (int k = 0; k < QUOTED_EXTENSIONS_MAX; k++) {
		if (next != IP6_HOP_BY_HOP && next != IP6_DESTINATION && next != IP6_FRAGMENT) {
			q->proto = next;
			return quoted_l4(q, r, bytes, n);
		}
		bool fragment = next == IP6_FRAGMENT;
		next = rd_u8(&r);
		uint8_t units = rd_u8(&r);
		uint16_t offset = rd_u16(&r);
		if (!rd_take(&r, fragment ? 4 : 4 + 8u * units) || (fragment && offset & IP6_OFFSET_MASK))
			return false;
	}
	return false;
}

bool quoted_parse(struct quoted *ret_quoted, const uint8_t *bytes, size_t n)
{
	struct quoted q = { 0 };
	uint8_t version = n > 0 ? bytes[0] >> 4 : 0;

	if (version == 4 ? !quoted_ip4(&q, bytes, n) : version != 6 || !quoted_ip6(&q, bytes, n))
		return false;
	*ret_quoted = q;
	return true;
}

bool quoted_in_error(struct quoted *ret_quoted, uint8_t proto, const uint8_t *icmp, size_t n)
{
	struct rd r = rd_over(icmp, n);
	uint8_t type = rd_u8(&r);
	bool error =
		proto == IP_ICMP
			? type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER
			: proto == IP_ICMPV6 && type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
	struct quoted q;

	if (!rd_take(&r, ICMP_HEADER_SIZE - 1) || !error || !quoted_parse(&q, r.at, rd_left(&r)) ||
		(q.src.family == ADDR_V4) != (proto == IP_ICMP))
		return false;
	*ret_quoted = q;
	return true;
}
