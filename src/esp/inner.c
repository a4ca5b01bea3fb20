/*
 * Checks of a decrypted inner packet: is it an IP packet, do its addresses belong to the SA, and what becomes
 * of the outer header's congestion mark.
 */
#include "esp/state.h"

#include "base/rd.h"
#include "wire/ip.h"
#include "wire/quoted.h"
#include "esp/esp.h"

struct inner {
	struct ip_addr src, dst;
	uint32_t n; /* the length it states */
	uint8_t proto;
	bool has_ports;
	uint16_t src_port, dst_port;
	struct rd upper; /* what follows the IP headers; empty for a fragment */
};

static enum drop_reason ipv4_read(struct inner *in, const uint8_t *ip, uint32_t n)
{
	struct rd r = rd_over(ip, n);
	uint8_t version = rd_u8(&r);
	rd_u8(&r);
	in->n = rd_u16(&r);
	rd_u16(&r);
	uint16_t fragment = rd_u16(&r);
	rd_u8(&r);
	in->proto = rd_u8(&r);
	rd_u16(&r);
	const uint8_t *addrs = rd_take(&r, 8);
	uint32_t header_n = 4u * (version & 15);

	if (!addrs || version >> 4 != 4 || header_n < 20 || in->n < header_n || in->n > n)
		return DROP_ESP_LENGTH;
	in->src = addr_v4(addrs);
	in->dst = addr_v4(addrs + 4);
	rd_take(&r, header_n - 20);
	in->upper = rd_over(r.at, (fragment & 0x3fff) == 0 && !r.bad ? in->n - header_n : 0);
	in->has_ports = (fragment & 0x1fff) == 0 && ip_has_ports(in->proto) && in->n >= header_n + 4;
	in->src_port = in->has_ports ? rd_u16(&r) : 0;
	in->dst_port = in->has_ports ? rd_u16(&r) : 0;
	return r.bad ? DROP_ESP_LENGTH : DROP_NONE;
}

/* Walks to the upper layer: hop-by-hop, routing, destination options; a fragment that is not the first has
 * none. */
static void ipv6_upper(struct inner *in, struct rd *r)
{
	for (int i = 0; i < ESP_INNER_EXTENSIONS_MAX && !r->bad; i++) {
		if (in->proto == 44) {
			uint8_t next = rd_u8(r);
			rd_u8(r);
			uint16_t offset = rd_u16(r) & 0xfff8;
			rd_u32(r);
			in->proto = next;
			if (offset != 0)
				return;
		} else if (in->proto == 0 || in->proto == 43 || in->proto == 60) {
			uint8_t next = rd_u8(r);
			rd_take(r, 6 + 8u * rd_u8(r));
			in->proto = next;
		} else {
			break;
		}
	}
	in->upper = *r;
	in->has_ports = !r->bad && ip_has_ports(in->proto) && rd_left(r) >= 4;
	in->src_port = in->has_ports ? rd_u16(r) : 0;
	in->dst_port = in->has_ports ? rd_u16(r) : 0;
}

static enum drop_reason ipv6_read(struct inner *in, const uint8_t *ip, uint32_t n)
{
	struct rd r = rd_over(ip, n);
	uint32_t head = rd_u32(&r);
	in->n = 40u + rd_u16(&r);
	in->proto = rd_u8(&r);
	rd_u8(&r);
	const uint8_t *addrs = rd_take(&r, 32);

	if (!addrs || head >> 28 != 6 || in->n > n)
		return DROP_ESP_LENGTH;
	in->src = addr_v6(addrs);
	in->dst = addr_v6(addrs + 16);
	struct rd upper = rd_sub(&r, in->n - 40);
	ipv6_upper(in, &upper);
	return DROP_NONE;
}

static bool selectors_hold(const struct selector *ts, uint16_t n, const struct ip_addr *addr, uint16_t port,
	const struct inner *in)
{
	for (uint16_t i = 0; i < n; i++) {
		if (!range_holds(&ts[i].addrs, addr) || (ts[i].proto != 0 && ts[i].proto != in->proto))
			continue;
		if (ts[i].port_first == 0 && ts[i].port_last == UINT16_MAX)
			return true;
		/* A packet whose ports cannot be seen passes only a selector that asks for none (RFC
		 * 4301 4.4.1.1). */
		if (in->has_ports && port >= ts[i].port_first && port <= ts[i].port_last)
			return true;
	}
	return false;
}

static bool selected(const struct esp_pair *p, const struct inner *in)
{
	return selectors_hold(p->remote_ts, p->state->remote_n, &in->src, in->src_port, in) &&
	       selectors_hold(p->local_ts, p->state->local_n, &in->dst, in->dst_port, in);
}

/*
 * RFC 4301 section 6.2: an ICMP error whose own addresses the SA does not hold is a router's, somewhere on
 * the way. "The receiver must extract the header of the triggering packet from the ICMP payload, and reverse
 * fields".
 */
static bool error_selected(const struct esp_pair *p, const struct inner *error)
{
	struct quoted q;

	if (!quoted_in_error(&q, error->proto, error->upper.at, rd_left(&error->upper)))
		return false;
	struct inner answer = { .src = q.dst,
		.dst = q.src,
		.proto = q.proto,
		.has_ports = ip_has_ports(q.proto),
		.src_port = q.dst_port,
		.dst_port = q.src_port };
	return addr_equal(&q.src, &error->dst) && selected(p, &answer);
}

/* IPv4's header checksum after one of its 16-bit words changed: RFC 1624, equation 3. */
static void ipv4_checksum_change(uint8_t *ip, uint16_t before, uint16_t after)
{
	uint32_t sum = (uint16_t)~load_be16(ip + 10) + (uint32_t)(uint16_t)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	store_be16(ip + 10, (uint16_t)~sum);
}

/*
 * RFC 6040 section 4.2, figure 4: a mark outside moves in when the inside can carry it; a packet marked
 * outside whose inside says it cannot is dropped, for dropping is the only signal its sender knows.
 */
static enum drop_reason congestion_move(uint8_t *ip, uint8_t outer_class)
{
	bool v4 = ip[0] >> 4 == 4;
	uint8_t outer = outer_class & 3, inner = v4 ? ip[1] & 3 : ip[1] >> 4 & 3, result = inner;

	if (outer == 3) {
		if (inner == 0)
			return DROP_ESP_ECN;
		result = 3;
	} else if (outer == 1 && inner == 2) {
		result = 1;
	}
	if (result == inner)
		return DROP_NONE;
	if (v4) {
		uint16_t before = load_be16(ip);
		ip[1] = (uint8_t)((ip[1] & ~3) | result);
		ipv4_checksum_change(ip, before, load_be16(ip));
	} else {
		ip[1] = (uint8_t)((ip[1] & ~0x30) | result << 4);
	}
	return DROP_NONE;
}

enum drop_reason esp_inner_check(const struct esp_pair *pair, uint8_t *ip, uint32_t n, uint8_t next_header,
	uint8_t outer_class, uint32_t *ret_n)
{
	struct inner in = { 0 };
	enum drop_reason drop;

	if (next_header == 4 && pair->plain_v4) {
		drop = ipv4_read(&in, ip, n);
		uint32_t src = load_be32(in.src.b), dst = load_be32(in.dst.b);
		if (drop == DROP_NONE && !(src >= pair->remote_first && src <= pair->remote_last &&
						 dst >= pair->local_first && dst <= pair->local_last))
			drop = DROP_ESP_SELECTOR;
	} else if (next_header == 4 || next_header == 41) {
		drop = next_header == 4 ? ipv4_read(&in, ip, n) : ipv6_read(&in, ip, n);
		if (drop == DROP_NONE && !selected(pair, &in))
			drop = DROP_ESP_SELECTOR;
	} else {
		return DROP_ESP_NEXT_HEADER;
	}
	if (drop == DROP_ESP_SELECTOR && error_selected(pair, &in))
		drop = DROP_NONE;
	*ret_n = in.n; /* what follows is traffic flow confidentiality padding (RFC 4303 section 2.7) */
	return drop == DROP_NONE && (outer_class & 3) != 0 ? congestion_move(ip, outer_class) : drop;
}
