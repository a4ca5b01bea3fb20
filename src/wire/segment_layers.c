/*
 * The headers of a train inside a foreign tunnel: GRE (RFC 2784, 2890), IP in IP (RFC 2003, 4213, 2473),
 * Ethernet in GRE, and what UDP carries (VXLAN, Geneve, and others), whose header length only the kernel
 * states. Called for what a kernel or a NIC has joined, and again by whoever cuts it.
 */
#include "wire/segment.h"

#include "base/rd.h"
#include "wire/csum.h"
#include "wire/ip.h"

#define GRE_CHECKSUM  0x8000
#define GRE_KEY	      0x2000
#define TYPE_IP4      0x0800
#define TYPE_IP6      0x86dd
#define TYPE_ETHERNET 0x6558
#define TYPE_VLAN     0x8100
#define TYPE_QINQ     0x88a8
#define NOTHING	      UINT32_MAX

/* Headers are read in sequence; each reader returns what comes next: a type above 0x600, a protocol, or
 * NOTHING to be cut. */
struct reader {
	struct segment_layers *l;
	struct rd r;
	const uint8_t *ip;
	uint32_t at; /* of the present header, from ip */
	uint32_t l4; /* as told, or 0 */
};

static bool layer_add(struct reader *x, enum segment_layer_kind kind)
{
	if (x->l->n == SEGMENT_LAYERS_MAX)
		return false;
	x->l->layer[x->l->n++] = (struct segment_layer){ .kind = (uint8_t)kind, .at = (uint16_t)x->at };
	return true;
}

/* 0 stands for more than 16 bits can express; any other length must cover all that follows, or what comes
 * after it would become payload. */
static bool length_fits(uint32_t length, size_t left)
{
	return length == left || length == 0;
}

static uint32_t read_ip4(struct reader *x)
{
	const uint8_t *header = x->r.at;
	size_t left = rd_left(&x->r);
	uint8_t first = rd_u8(&x->r);
	size_t size = 4u * (first & 15);

	rd_u8(&x->r);
	uint16_t total = rd_u16(&x->r);
	rd_u16(&x->r);
	uint16_t fragment = rd_u16(&x->r);
	rd_u8(&x->r);
	uint8_t proto = rd_u8(&x->r);
	rd_take(&x->r, 10);
	if (x->r.bad || first >> 4 != 4 || size < IP4_HEADER_SIZE ||
		!rd_take(&x->r, size - IP4_HEADER_SIZE) || fragment & (IP4_MF | IP4_OFFSET_MASK) ||
		!length_fits(total, left) || csum_fold(csum_add(0, header, size)) != 0xffff ||
		!layer_add(x, SEGMENT_IP))
		return NOTHING;
	return proto;
}

static uint32_t read_ip6(struct reader *x)
{
	uint8_t first = rd_u8(&x->r);

	rd_take(&x->r, 3);
	uint16_t payload = rd_u16(&x->r);
	uint8_t next = rd_u8(&x->r);
	rd_take(&x->r, 33);
	if (x->r.bad || first >> 4 != 6 || !length_fits(payload, rd_left(&x->r)) || !layer_add(x, SEGMENT_IP))
		return NOTHING;
	for (int n = 0; n < SEGMENT_HEADERS_MAX && (next == IP6_HOP_BY_HOP || next == IP6_DESTINATION); n++) {
		next = rd_u8(&x->r);
		rd_take(&x->r, 6 + 8u * rd_u8(&x->r));
	}
	return next;
}

/* Sequence numbers would have to be made up: no kernel joins what has them. */
static uint32_t read_gre(struct reader *x)
{
	uint16_t flags = rd_u16(&x->r), type = rd_u16(&x->r);

	rd_take(&x->r, (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0));
	if (x->r.bad || flags & ~(GRE_CHECKSUM | GRE_KEY) ||
		(flags & GRE_CHECKSUM && !layer_add(x, SEGMENT_GRE)))
		return NOTHING;
	return type == TYPE_IP4 || type == TYPE_IP6 || type == TYPE_ETHERNET ? type : NOTHING;
}

static uint32_t read_ethernet(struct reader *x)
{
	rd_take(&x->r, 12);
	uint16_t type = rd_u16(&x->r);

	for (int n = 0; n < 2 && (type == TYPE_VLAN || type == TYPE_QINQ); n++) {
		rd_u16(&x->r);
		type = rd_u16(&x->r);
	}
	return type == TYPE_IP4 || type == TYPE_IP6 ? type : NOTHING;
}

/* What UDP carries says nowhere how long its own header is: it ends where an IP header begins that ends where
 * the cut one begins. */
static uint32_t read_udp_tunnel(struct reader *x)
{
	size_t left = rd_left(&x->r), to_l4 = x->l4 - x->at;

	rd_take(&x->r, 4);
	uint16_t length = rd_u16(&x->r);
	rd_u16(&x->r);
	if (x->r.bad || x->l4 < x->at || to_l4 > left || !length_fits(length, left) ||
		!layer_add(x, SEGMENT_UDP))
		return NOTHING;
	const uint8_t *l4 = x->ip + x->l4;
	size_t rest = left - to_l4;
	if (to_l4 >= UDP_HEADER_SIZE + IP4_HEADER_SIZE && l4[-IP4_HEADER_SIZE] == 0x45 &&
		length_fits(load_be16(l4 - IP4_HEADER_SIZE + 2), rest + IP4_HEADER_SIZE)) {
		rd_take(&x->r, to_l4 - UDP_HEADER_SIZE - IP4_HEADER_SIZE);
		return TYPE_IP4;
	}
	if (to_l4 >= UDP_HEADER_SIZE + IP6_HEADER_SIZE && l4[-IP6_HEADER_SIZE] >> 4 == 6 &&
		length_fits(load_be16(l4 - IP6_HEADER_SIZE + 4), rest)) {
		rd_take(&x->r, to_l4 - UDP_HEADER_SIZE - IP6_HEADER_SIZE);
		return TYPE_IP6;
	}
	return NOTHING;
}

static bool read_end(struct reader *x, uint8_t proto)
{
	size_t size = UDP_HEADER_SIZE;

	if (proto == IP_TCP) {
		rd_take(&x->r, 12);
		size = 4u * (rd_u8(&x->r) >> 4);
		rd_take(&x->r, TCP_HEADER_SIZE - 13);
		if (size < TCP_HEADER_SIZE)
			return false;
		rd_take(&x->r, size - TCP_HEADER_SIZE);
	} else {
		rd_take(&x->r, UDP_HEADER_SIZE);
	}
	x->l->proto = proto;
	x->l->l4_offset = (uint16_t)x->at;
	x->l->head_n = (uint16_t)(x->at + size);
	return !x->r.bad && x->at + size <= SEGMENT_HEAD_MAX;
}

bool segment_layers_read(struct segment_layers *ret_layers, const uint8_t *ip, uint32_t n, uint32_t l4)
{
	struct reader x = { .l = ret_layers, .r = rd_over(ip, n), .ip = ip, .l4 = l4 };
	uint32_t next = n > 0 && ip[0] >> 4 == 6 ? TYPE_IP6 : TYPE_IP4;

	ret_layers->n = 0;
	for (int i = 0; i < SEGMENT_HEADERS_MAX; i++) {
		x.at = (uint32_t)(x.r.at - ip);
		if ((next == IP_TCP || next == IP_UDP) && (l4 == 0 || l4 == x.at))
			return read_end(&x, (uint8_t)next);
		next = next == TYPE_IP4 || next == IP_IPIP   ? read_ip4(&x)
		       : next == TYPE_IP6 || next == IP_IPV6 ? read_ip6(&x)
		       : next == IP_GRE			     ? read_gre(&x)
		       : next == TYPE_ETHERNET		     ? read_ethernet(&x)
		       : next == IP_UDP			     ? read_udp_tunnel(&x)
							     : NOTHING;
		if (x.r.bad)
			return false;
	}
	return false;
}
