/*
 * train_parse(): IPv4, IPv6 with extension headers, TCP, UDP, SCTP, ICMP. The first code that sees what strangers
 * sent: every byte goes through a cursor. Called by the data plane for each train; RFC 791, 8200, 9293, 768,
 * 792, 4443, 9260.
 */
#include "base/rd.h"
#include "wire/crc32c.h"
#include "wire/csum.h"
#include "base/icmp.h"
#include "wire/ip.h"
#include "wire/segment.h"
#include "wire/train.h"

static enum drop_reason check_source(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	if (a->family == ADDR_V4)
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224 ? DROP_MARTIAN_SOURCE : DROP_NONE;
	if (a->b[0] == 0xff || memcmp(a->b, zero, 15) == 0) /* multicast, :: and ::1 */
		return DROP_MARTIAN_SOURCE;
	return DROP_NONE;
}

/* Multicast and broadcast are the kernel's business; nothing sends to the others on purpose (RFC 1122
 * section 3.2.1.3). */
static enum drop_reason check_destination(const struct ip_addr *a)
{
	static const uint8_t zero[16];

	if (a->family == ADDR_V4) {
		static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
		if ((a->b[0] & 0xf0) == 0xe0 || memcmp(a->b, broadcast, 4) == 0)
			return DROP_MULTICAST;
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 240 ? DROP_MARTIAN_DESTINATION
									: DROP_NONE;
	}
	if (a->b[0] == 0xff)
		return DROP_MULTICAST;
	return memcmp(a->b, zero, 15) == 0 ? DROP_MARTIAN_DESTINATION : DROP_NONE;
}

static enum drop_reason parse_ports(struct train *t, struct rd *r)
{
	t->src_port = rd_u16(r);
	t->dst_port = rd_u16(r);
	return r->bad ? DROP_TRUNCATED : DROP_NONE;
}

/* Impossible combinations, RFC 9293 section 3.10: what no TCP sends on purpose but scanners do. */
static bool tcp_flags_possible(uint8_t flags)
{
	uint8_t f = flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG);

	if ((f & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN) ||
		(f & (TCP_SYN | TCP_RST)) == (TCP_SYN | TCP_RST))
		return false;
	return f & TCP_ACK || f & TCP_SYN || f & TCP_RST;
}

static enum drop_reason parse_tcp(struct train *t, struct rd *r)
{
	enum drop_reason d = parse_ports(t, r);

	if (d)
		return d;
	rd_take(r, 8);
	uint8_t offset = rd_u8(r) >> 4;
	t->tcp_flags = rd_u8(r);
	rd_take(r, 6);
	if (r->bad)
		return DROP_TRUNCATED;
	if (offset < 5)
		return DROP_MALFORMED;
	if (!rd_take(r, 4u * offset - TCP_HEADER_SIZE))
		return DROP_TRUNCATED;
	t->payload_offset = (uint16_t)(t->l4_offset + 4u * offset);
	return tcp_flags_possible(t->tcp_flags) ? DROP_NONE : DROP_TCP_FLAGS;
}

static enum drop_reason parse_udp(struct train *t, struct rd *r)
{
	size_t l4_n = rd_left(r);
	enum drop_reason d = parse_ports(t, r);
	uint16_t length = rd_u16(r);

	rd_u16(r);
	if (d || r->bad)
		return DROP_TRUNCATED;
	/* The length field of a train is its first segment's or the whole: only a single packet can be held
	 * to it. */
	if (length < UDP_HEADER_SIZE || (t->segment_size == 0 && length > l4_n))
		return DROP_MALFORMED;
	t->payload_offset = (uint16_t)(t->l4_offset + UDP_HEADER_SIZE);
	return DROP_NONE;
}

/* What its chunks are the firewall reads (firewall/sctp.c); none has no meaning. */
static enum drop_reason parse_sctp(struct train *t, struct rd *r)
{
	enum drop_reason d = parse_ports(t, r);

	rd_take(r, SCTP_HEADER_SIZE - 4);
	if (d || r->bad || rd_left(r) < SCTP_CHUNK_HEADER_SIZE)
		return DROP_TRUNCATED;
	t->payload_offset = (uint16_t)(t->l4_offset + SCTP_HEADER_SIZE);
	return DROP_NONE;
}

static bool icmp_is_error(uint8_t family, uint8_t type)
{
	if (family == ADDR_V6)
		return type < 128;
	return type == ICMP4_UNREACHABLE || type == ICMP4_SOURCE_QUENCH || type == ICMP4_REDIRECT ||
	       type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER;
}

static enum drop_reason parse_icmp(struct train *t, struct rd *r)
{
	t->icmp_type = rd_u8(r);
	t->icmp_code = rd_u8(r);
	rd_u16(r);
	uint32_t at = icmp_identifier_at(t->src.family == ADDR_V4, t->icmp_type);
	struct rd identifier = *r;
	rd_take(r, ICMP_HEADER_SIZE - 4);
	if (at > 0)
		rd_take(&identifier, at - 4);
	uint16_t id = rd_u16(&identifier);
	if (at == ICMP_AT_NONCE)
		rd_take(&identifier, 6); /* the rest of it */
	if (r->bad || identifier.bad)
		return DROP_TRUNCATED;
	t->payload_offset = (uint16_t)(t->l4_offset + ICMP_HEADER_SIZE);
	if (at > 0)
		t->src_port = t->dst_port = id;
	else if (icmp_is_error(t->src.family, t->icmp_type))
		t->flags |= TRAIN_ICMP_ERROR;
	return DROP_NONE;
}

static enum drop_reason parse_l4(struct train *t, struct rd *r)
{
	t->l4_offset = (uint16_t)(r->at - t->ip);
	t->payload_offset = t->l4_offset;
	if (t->flags & TRAIN_FRAGMENT)
		return DROP_NONE;
	switch (t->proto) {
	case IP_TCP:
		return parse_tcp(t, r);
	case IP_UDP:
		return parse_udp(t, r);
	case IP_SCTP:
		return parse_sctp(t, r);
	case IP_ICMP:
		return t->src.family == ADDR_V4 ? parse_icmp(t, r) : DROP_MALFORMED;
	case IP_ICMPV6:
		return t->src.family == ADDR_V6 ? parse_icmp(t, r) : DROP_MALFORMED;
	default:
		return DROP_NONE;
	}
}

/* RFC 791: options end with 0, 1 is a filler, the others carry their length. Source routes are not forwarded
 * (RFC 7126). */
static enum drop_reason check_options(struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t type = rd_u8(&r);
		if (type == 0)
			break;
		if (type == 1)
			continue;
		uint8_t n = rd_u8(&r);
		if (r.bad || n < 2 || !rd_take(&r, n - 2u))
			return DROP_MALFORMED;
		if (type == IP4_OPTION_LSRR || type == IP4_OPTION_SSRR)
			return DROP_SOURCE_ROUTE;
		if (type != IP4_OPTION_ROUTER_ALERT)
			return DROP_IP_OPTIONS;
	}
	return DROP_NONE;
}

static enum drop_reason parse_ip4(struct train *t)
{
	struct rd r = rd_over(t->ip, t->len);
	uint8_t first = rd_u8(&r);
	size_t header = 4u * (first & 15);

	t->traffic_class = rd_u8(&r);
	uint16_t total = rd_u16(&r);
	rd_u16(&r);
	uint16_t fragment = rd_u16(&r);
	t->hop_limit = rd_u8(&r);
	t->proto = rd_u8(&r);
	rd_u16(&r);
	const uint8_t *src = rd_take(&r, 4), *dst = rd_take(&r, 4);
	if (r.bad)
		return DROP_TRUNCATED;
	if (header < IP4_HEADER_SIZE)
		return DROP_MALFORMED;
	struct rd options = rd_sub(&r, header - IP4_HEADER_SIZE);
	/* A train longer than 16 bits can say has a total length of 0 in some kernels; then the buffer
	 * decides. */
	bool length_open = total == 0 && t->segment_size > 0;
	if (options.bad || (!length_open && total > t->len))
		return DROP_TRUNCATED;
	if (!length_open && total < header)
		return DROP_MALFORMED;
	if (csum_fold(csum_add(0, t->ip, header)) != 0xffff)
		return DROP_IP_CHECKSUM;
	if (!length_open)
		t->len = total;
	t->src = addr_v4(src);
	t->dst = addr_v4(dst);
	t->dont_fragment = fragment & IP4_DF;
	if (fragment & (IP4_MF | IP4_OFFSET_MASK)) {
		t->flags |= TRAIN_FRAGMENT | (fragment & IP4_OFFSET_MASK ? 0 : TRAIN_FIRST_FRAGMENT) |
			    (fragment & IP4_MF ? TRAIN_MORE_FRAGMENTS : 0);
	}
	enum drop_reason d = check_options(options);
	struct rd l4 = rd_over(t->ip + header, t->len - header);
	return d ? d : parse_l4(t, &l4);
}

static enum drop_reason parse_ip6(struct train *t)
{
	struct rd r = rd_over(t->ip, t->len);
	uint32_t first = rd_u32(&r);
	uint16_t payload = rd_u16(&r);
	uint8_t next = rd_u8(&r);

	t->traffic_class = (uint8_t)(first >> 20);
	t->hop_limit = rd_u8(&r);
	const uint8_t *src = rd_take(&r, 16), *dst = rd_take(&r, 16);
	if (r.bad || (payload > rd_left(&r)))
		return DROP_TRUNCATED;
	if (payload == 0 && t->segment_size == 0 && next != IP6_NO_NEXT)
		return DROP_MALFORMED; /* jumbograms (RFC 2675) are not forwarded */
	t->src = addr_v6(src);
	t->dst = addr_v6(dst);
	t->dont_fragment = true;
	if (payload > 0) {
		t->len = IP6_HEADER_SIZE + (uint32_t)payload;
		r = rd_over(t->ip + IP6_HEADER_SIZE, payload);
	}
	for (int n = 0; n < IP6_EXTENSION_HEADERS_MAX; n++) {
		if (next == IP6_FRAGMENT) {
			next = rd_u8(&r);
			rd_u8(&r);
			uint16_t offset = rd_u16(&r);
			rd_u32(&r);
			if (r.bad)
				return DROP_TRUNCATED;
			/* Both zero: an atomic fragment (RFC 8200 section 4.5), a whole packet. */
			if (offset & (IP6_OFFSET_MASK | IP6_MF))
				t->flags |= TRAIN_FRAGMENT |
					    (offset & IP6_OFFSET_MASK ? 0 : TRAIN_FIRST_FRAGMENT) |
					    (offset & IP6_MF ? TRAIN_MORE_FRAGMENTS : 0);
			if (t->flags & TRAIN_FRAGMENT) {
				t->proto = next;
				return parse_l4(t, &r);
			}
			continue;
		}
		if (next != IP6_HOP_BY_HOP && next != IP6_ROUTING && next != IP6_DESTINATION) {
			t->proto = next;
			return parse_l4(t, &r);
		}
		if (next == IP6_HOP_BY_HOP && n > 0)
			return DROP_MALFORMED; /* RFC 8200 section 4.1: directly after the IPv6 header only */
		bool routing = next == IP6_ROUTING;
		next = rd_u8(&r);
		uint8_t units = rd_u8(&r);
		uint8_t type = rd_u8(&r);
		if (r.bad || !rd_take(&r, 5 + 8u * units))
			return DROP_TRUNCATED;
		if (routing && type == 0)
			return DROP_SOURCE_ROUTE; /* RFC 5095 */
		if (routing)
			return DROP_IP_OPTIONS;
	}
	return DROP_IP_OPTIONS;
}

/* What is cut is the payload of the innermost header. */
static enum drop_reason parse_inner(struct train *t)
{
	struct segment_layers l;

	if (t->flags & TRAIN_FRAGMENT || !segment_layers_read(&l, t->ip, t->len, t->inner_l4))
		return DROP_MALFORMED;
	t->payload_offset = l.head_n;
	return DROP_NONE;
}

enum drop_reason train_parse(struct train *t)
{
	t->flags &=
		~(uint32_t)(TRAIN_FRAGMENT | TRAIN_FIRST_FRAGMENT | TRAIN_MORE_FRAGMENTS | TRAIN_ICMP_ERROR);
	t->src_port = t->dst_port = 0;
	t->tcp_flags = t->icmp_type = t->icmp_code = 0;
	t->l4_offset = t->payload_offset = 0;
	if (t->len == 0)
		return t->drop = DROP_TRUNCATED;
	uint8_t version = t->ip[0] >> 4;
	t->drop = version == 4 ? parse_ip4(t) : version == 6 ? parse_ip6(t) : DROP_MALFORMED;
	if (t->drop)
		return t->drop;
	t->drop = check_destination(&t->dst);
	if (!t->drop)
		t->drop = check_source(&t->src);
	if (!t->drop && addr_equal(&t->src, &t->dst))
		t->drop = DROP_LAND;
	if (!t->drop && t->inner_l4)
		t->drop = parse_inner(t);
	return t->drop;
}

/* Offset of the checksum field from the L4 header, or 0 for protocols that have none that we know. */
static uint32_t l4_csum_offset(uint8_t proto)
{
	return proto == IP_TCP				? TCP_CSUM
	       : proto == IP_UDP			? UDP_CSUM
	       : proto == IP_ICMP || proto == IP_ICMPV6 ? ICMP_CSUM
							: 0;
}

static uint64_t pseudo_sum(const struct train *t, uint32_t l4_n)
{
	if (t->proto == IP_ICMP)
		return 0;
	return csum_pseudo(t->src.b, t->dst.b, addr_size(&t->src), t->proto, l4_n);
}

/* RFC 9260 appendix A: of the whole packet with zeros in the field. */
static bool sctp_is_sound(const uint8_t *l4, size_t n)
{
	static const uint8_t zeros[SCTP_HEADER_SIZE - SCTP_CSUM];
	uint32_t c = crc32c_add(CRC32C_BEGIN, l4, SCTP_CSUM);

	c = crc32c_add(c, zeros, sizeof zeros);
	c = ~crc32c_add(c, l4 + SCTP_HEADER_SIZE, n - SCTP_HEADER_SIZE);
	return load_le32(l4 + SCTP_CSUM) == c;
}

enum drop_reason train_verify_l4(struct train *t)
{
	uint32_t offset = l4_csum_offset(t->proto), l4_n = t->len - t->l4_offset;

	if (t->csum != TRAIN_CSUM_UNKNOWN || t->segment_size || t->flags & TRAIN_FRAGMENT ||
		(offset == 0 && t->proto != IP_SCTP))
		return DROP_NONE;
	const uint8_t *l4 = t->ip + t->l4_offset;
	if (t->proto == IP_SCTP) {
		if (!sctp_is_sound(l4, l4_n))
			return t->drop = DROP_L4_CHECKSUM;
		t->csum = TRAIN_CSUM_VALID;
		return DROP_NONE;
	}
	/* RFC 768: zero says that the sender made none; RFC 8200 section 8.1 forbids it with IPv6. */
	if (t->proto == IP_UDP && load_be16(l4 + UDP_CSUM) == 0) {
		if (t->src.family == ADDR_V6)
			return t->drop = DROP_L4_CHECKSUM;
		return DROP_NONE;
	}
	if (t->proto == IP_UDP)
		l4_n = MIN_OF(l4_n, load_be16(l4 + 4));
	if (csum_fold(csum_add(pseudo_sum(t, l4_n), l4, l4_n)) != 0xffff)
		return t->drop = DROP_L4_CHECKSUM;
	t->csum = TRAIN_CSUM_VALID;
	return DROP_NONE;
}

bool train_l4_is_partial(const struct train *t)
{
	uint32_t offset = l4_csum_offset(t->proto), l4_n = t->len - t->l4_offset;
	uint16_t field, sum;

	if ((t->proto != IP_TCP && t->proto != IP_UDP) || t->flags & TRAIN_FRAGMENT)
		return false;
	if (t->proto == IP_UDP)
		l4_n = MIN_OF(l4_n, load_be16(t->ip + t->l4_offset + 4));
	memcpy(&field, t->ip + t->l4_offset + offset, 2);
	sum = csum_fold(pseudo_sum(t, l4_n));
	return field == sum;
}

void train_complete_l4(struct train *t)
{
	uint32_t offset = l4_csum_offset(t->proto), l4_n = t->len - t->l4_offset;

	if (t->csum != TRAIN_CSUM_PARTIAL || offset == 0)
		return;
	uint8_t *l4 = t->ip + t->l4_offset;
	memset(l4 + offset, 0, 2);
	uint16_t c = (uint16_t)~csum_fold(csum_add(pseudo_sum(t, l4_n), l4, l4_n));
	if (c == 0 && t->proto == IP_UDP)
		c = 0xffff;
	memcpy(l4 + offset, &c, 2);
	t->csum = TRAIN_CSUM_VALID;
}
