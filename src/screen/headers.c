/*
 * One pass over the headers of a packet. It notes all screens that the packet meets; those of the zone are picked
 * afterwards. RFC 791, 8200, 9293, 4443.
 */
#include "screen/internal.h"

/* clang-format off: numbers by kind, several in a line */
enum {
	/* IPv4 options */
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_RECORD_ROUTE = 7,
	OPTION_TIMESTAMP = 68,
	OPTION_SECURITY = 130,
	OPTION_EXTENDED_SECURITY = 133,
	OPTION_COMMERCIAL_SECURITY = 134,
	OPTION_STREAM = 136,
	/* protocols that are IPv6 headers by their name */
	HEADER_MOBILITY = 135,
	HEADER_HIP = 139,
	HEADER_SHIM6 = 140,
	/* ICMPv6: neighbour discovery, RFC 4861 */
	ND_FIRST = 133,
	ND_LAST = 137,
	ND_HOP_LIMIT = 255,
	PORT_NETBIOS = 139,
};
/* clang-format on */

/* ---- above IP ---- */

static void met_in_tcp(struct met *m, struct rd r, bool fragment)
{
	rd_u16(&r);
	uint16_t port = rd_u16(&r);
	rd_take(&r, 9);
	uint8_t flags = rd_u8(&r), f = flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG);

	if (r.bad)
		return;
	if (f == 0)
		meets(m, SCREEN_TCP_NO_FLAG);
	if ((f & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN))
		meets(m, SCREEN_TCP_SYN_FIN);
	if ((f & (TCP_FIN | TCP_ACK)) == TCP_FIN)
		meets(m, SCREEN_TCP_FIN_NO_ACK);
	if (f & TCP_URG && port == PORT_NETBIOS)
		meets(m, SCREEN_TCP_WINNUKE);
	if (f & TCP_SYN && fragment)
		meets(m, SCREEN_TCP_SYN_FRAG);
}

static void met_in_udp(struct met *m, struct rd r)
{
	uint16_t src = rd_u16(&r), dst = rd_u16(&r);

	rd_u32(&r);
	if (src == TEREDO_PORT || dst == TEREDO_PORT)
		met_in_teredo(m, r);
}

static void met_in_icmpv6(struct met *m, struct rd r, uint8_t hop_limit)
{
	uint8_t type = rd_u8(&r);

	rd_take(&r, ICMP_HEADER_SIZE - 1);
	if (r.bad || type == 0 || (type >= ND_FIRST && type <= ND_LAST && hop_limit != ND_HOP_LIMIT))
		meets(m, SCREEN_ICMPV6_MALFORMED);
}

/*
 * r: after IP and its extension headers, of a whole packet or of a first fragment. A SYN whose first fragment holds IPv6 options
 * alone is known when it is whole again; what a first fragment has within goes on in others, as the payload of a train does.
 */
static void met_above(
	struct met *m, const struct train *t, uint8_t family, uint8_t proto, struct rd r, bool fragment)
{
	m->segments |= fragment;
	switch (proto) {
	case IP_TCP:
		met_in_tcp(m, r, fragment || t->flags & TRAIN_REASSEMBLED);
		break;
	case IP_UDP:
		met_in_udp(m, r);
		break;
	case IP_ICMPV6:
		if (family == ADDR_V6 && !fragment)
			met_in_icmpv6(m, r, t->ip[IP6_HOPS]);
		break;
	case IP_IPIP:
	case IP_IPV6:
	case IP_GRE:
		met_in_tunnel(m, family, proto, r);
		break;
	default:
		break;
	}
}

/* What every packet of a protocol meets, each fragment of it too. */
static void met_by_protocol(
	struct met *m, const struct train *t, uint8_t family, uint8_t proto, bool fragment)
{
	bool icmp = proto == (family == ADDR_V4 ? IP_ICMP : IP_ICMPV6);
	bool header = family == ADDR_V6 && (proto == HEADER_HIP || proto == HEADER_SHIM6);

	if (fragment)
		meets(m, SCREEN_IP_BLOCK_FRAG);
	if (icmp && fragment)
		meets(m, SCREEN_ICMP_FRAGMENT);
	if (icmp && t->len > ICMP_ORDINARY_MAX)
		meets(m, SCREEN_ICMP_LARGE);
	if (proto >= PROTOCOL_UNKNOWN_FIRST && !header)
		meets(m, SCREEN_IP_UNKNOWN_PROTOCOL);
}

/* ---- IPv4 ---- */

static void met_in_options(struct met *m, struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t type = rd_u8(&r);
		if (type == OPTION_END)
			return;
		if (type == OPTION_NOP)
			continue;
		uint8_t n = rd_u8(&r);
		if (r.bad || n < 2 || !rd_take(&r, n - 2u)) {
			meets(m, SCREEN_IP_BAD_OPTION);
			return;
		}
		if (type == OPTION_RECORD_ROUTE)
			meets(m, SCREEN_IP_RECORD_ROUTE);
		else if (type == OPTION_TIMESTAMP)
			meets(m, SCREEN_IP_TIMESTAMP);
		else if (type == OPTION_SECURITY || type == OPTION_EXTENDED_SECURITY ||
			 type == OPTION_COMMERCIAL_SECURITY)
			meets(m, SCREEN_IP_SECURITY);
		else if (type == OPTION_STREAM)
			meets(m, SCREEN_IP_STREAM);
		else if (type == IP4_OPTION_LSRR)
			meets(m, SCREEN_IP_LOOSE_ROUTE);
		else if (type == IP4_OPTION_SSRR)
			meets(m, SCREEN_IP_STRICT_ROUTE);
		if (type == IP4_OPTION_LSRR || type == IP4_OPTION_SSRR)
			meets(m, SCREEN_IP_SOURCE_ROUTE);
	}
}

static void met_in_ip4(struct met *m, const struct train *t)
{
	struct rd r = rd_over(t->ip, t->len);
	size_t header = 4u * (rd_u8(&r) & 15);

	rd_take(&r, 5);
	uint16_t fragment = rd_u16(&r);
	rd_u8(&r);
	uint8_t proto = rd_u8(&r);
	rd_u16(&r);
	const uint8_t *src = rd_take(&r, 4), *dst = rd_take(&r, 4);
	if (r.bad || header < IP4_HEADER_SIZE)
		return;
	m->outer_src = addr_v4(src);
	m->outer = addr_v4(dst);
	if (addr_equal(&m->outer, &m->outer_src))
		meets(m, SCREEN_TCP_LAND);
	struct rd options = rd_sub(&r, header - IP4_HEADER_SIZE);
	if (r.bad) {
		meets(m, SCREEN_IP_BAD_OPTION);
		return;
	}
	met_in_options(m, options);
	uint32_t at = (fragment & IP4_OFFSET_MASK) * 8u;
	bool is_fragment = fragment & (IP4_MF | IP4_OFFSET_MASK);
	if (is_fragment && proto == IP_ICMP && at + t->len > TRAIN_BYTES_MAX - 1)
		meets(m, SCREEN_ICMP_PING_DEATH);
	met_by_protocol(m, t, ADDR_V4, proto, is_fragment);
	if (at == 0)
		met_above(m, t, ADDR_V4, proto, r, is_fragment);
}

/* ---- IPv6 ---- */

static const struct {
	uint8_t number;
	enum screen screen;
} ip6_options[] = { { 0xc2, SCREEN_IP6_JUMBO }, { 0x05, SCREEN_IP6_ROUTER_ALERT },
	{ 0x26, SCREEN_IP6_QUICK_START }, { 0x07, SCREEN_IP6_CALIPSO }, { 0x08, SCREEN_IP6_SMF_DPD },
	{ 0x04, SCREEN_IP6_TUNNEL_LIMIT }, { 0xc9, SCREEN_IP6_HOME_ADDRESS }, { 0x8b, SCREEN_IP6_ILNP_NONCE },
	{ 0x8c, SCREEN_IP6_LINE_ID } };

static const struct {
	uint8_t number;
	enum screen screen;
} ip6_headers[] = { { IP6_HOP_BY_HOP, SCREEN_IP6_HOP_BY_HOP }, { IP6_ROUTING, SCREEN_IP6_ROUTING },
	{ IP6_FRAGMENT, SCREEN_IP6_FRAGMENT }, { IP6_DESTINATION, SCREEN_IP6_DESTINATION },
	{ IP_AH, SCREEN_IP6_AH }, { IP_ESP, SCREEN_IP6_ESP }, { HEADER_MOBILITY, SCREEN_IP6_MOBILITY },
	{ HEADER_HIP, SCREEN_IP6_HIP }, { HEADER_SHIM6, SCREEN_IP6_SHIM6 },
	{ IP6_NO_NEXT, SCREEN_IP6_NO_NEXT } };

static void met_in_ip6_options(struct met *m, struct rd r)
{
	while (rd_left(&r) > 0) {
		uint8_t type = rd_u8(&r);
		if (type == 0)
			continue; /* Pad1 */
		uint8_t n = rd_u8(&r);
		if (r.bad || !rd_take(&r, n)) {
			meets(m, SCREEN_IP6_MALFORMED);
			return;
		}
		for (size_t i = 0; i < COUNT_OF(ip6_options); i++)
			if (ip6_options[i].number == type)
				meets(m, ip6_options[i].screen);
	}
}

/* A header that another one follows; false: the chain ends here, or is cut short. */
static bool met_in_header(struct met *m, struct rd *r, uint8_t header, uint8_t *ret_next)
{
	uint8_t units;

	switch (header) {
	case IP6_HOP_BY_HOP:
	case IP6_DESTINATION:
	case IP6_ROUTING:
		*ret_next = rd_u8(r);
		units = rd_u8(r);
		struct rd body = rd_sub(r, 6 + 8u * units);
		if (r->bad)
			break;
		if (header != IP6_ROUTING)
			met_in_ip6_options(m, body);
		else if (rd_u8(&body) == 0)
			meets(m, SCREEN_IP_SOURCE_ROUTE);
		break;
	case IP_AH: /* RFC 4302 section 2.2: in units of four octets, less two */
		*ret_next = rd_u8(r);
		units = rd_u8(r);
		rd_take(r, 4u * (units + 2u) - 2);
		break;
	default:
		return false;
	}
	if (r->bad)
		meets(m, SCREEN_IP6_MALFORMED);
	return !r->bad;
}

static void count_header(struct met *m, uint8_t header)
{
	for (size_t i = 0; i < COUNT_OF(ip6_headers); i++) {
		if (ip6_headers[i].number != header)
			continue;
		meets(m, ip6_headers[i].screen);
		m->headers += header != IP6_NO_NEXT;
	}
}

static void met_in_ip6(struct met *m, const struct train *t)
{
	struct rd r = rd_over(t->ip, t->len);

	rd_u32(&r);
	uint16_t payload = rd_u16(&r), offset = 0;
	uint8_t next = rd_u8(&r);
	rd_u8(&r);
	const uint8_t *src = rd_take(&r, 16), *dst = rd_take(&r, 16);
	if (r.bad || (!m->segments && (payload > rd_left(&r) || (payload == 0 && next != IP6_NO_NEXT)))) {
		meets(m, SCREEN_IP6_MALFORMED);
		if (r.bad)
			return;
	}
	m->outer_src = addr_v6(src);
	m->outer = addr_v6(dst);
	if (addr_equal(&m->outer, &m->outer_src))
		meets(m, SCREEN_TCP_LAND);
	bool fragment = false;
	for (int n = 0; n < SCREEN_IP6_HEADERS_MAX; n++) {
		count_header(m, next);
		if (next == IP6_HOP_BY_HOP && n > 0)
			meets(m, SCREEN_IP6_MALFORMED);
		if (next == IP6_FRAGMENT) {
			next = rd_u8(&r);
			rd_u8(&r);
			offset = rd_u16(&r);
			rd_u32(&r);
			if (r.bad)
				meets(m, SCREEN_IP6_MALFORMED);
			fragment = offset & (IP6_OFFSET_MASK | IP6_MF);
			if (!r.bad && !(offset & IP6_OFFSET_MASK))
				continue;
			break;
		}
		if (!met_in_header(m, &r, next, &next))
			break;
		if (n == SCREEN_IP6_HEADERS_MAX - 1)
			meets(m, SCREEN_IP6_MALFORMED);
	}
	if (fragment && next == IP_ICMPV6 && (offset & IP6_OFFSET_MASK) + rd_left(&r) > TRAIN_BYTES_MAX - 1)
		meets(m, SCREEN_ICMP_PING_DEATH);
	met_by_protocol(m, t, ADDR_V6, next, fragment);
	if (!r.bad && !(offset & IP6_OFFSET_MASK))
		met_above(m, t, ADDR_V6, next, r, fragment);
}

struct screen_set screens_of_headers(const struct snap_screen *x, const struct train *t)
{
	struct met m = { .segments = t->segment_size > 0 };
	uint8_t version = t->len > 0 ? t->ip[0] >> 4 : 0;

	if (screen_is_ordinary(t))
		return m.set;
	if (version == 4)
		met_in_ip4(&m, t);
	else if (version == 6)
		met_in_ip6(&m, t);
	if (version == 6 && m.headers > x->limit[SCREEN_IP6_HEADER_LIMIT])
		meets(&m, SCREEN_IP6_HEADER_LIMIT);
	for (uint32_t w = 0; w < 2; w++)
		m.set.w[w] &= x->on.w[w];
	return m.set;
}

enum screen screen_headers(const struct snap_screen *x, const struct train *t)
{
	const struct screen_set met = screens_of_headers(x, t);

	for (uint32_t w = 0; w < 2; w++)
		if (met.w[w])
			return (enum screen)(64 * w + (uint32_t)__builtin_ctzll(met.w[w]));
	return SCREEN_NONE;
}
