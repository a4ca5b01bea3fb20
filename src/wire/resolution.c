/*
 * Frames of ARP and Neighbor Discovery. The dataplane's process answers by them for translated addresses; all
 * other resolution is the kernel's.
 */
#include "wire/resolution.h"

#include "base/rd.h"
#include "base/wr.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

#define ETHERTYPE_ARP  0x0806
#define ETHERTYPE_IPV6 0x86dd
#define ARP_REQUEST    1
#define ARP_REPLY      2
#define ND_SOLICIT     135
#define ND_ADVERTISE   136
#define ND_FIXED_SIZE  24 /* type, code, checksum, flags, target */
#define OPTION_SOURCE  1  /* RFC 4861 section 4.6.1 */
#define OPTION_TARGET  2
#define FLAG_SOLICITED 0x40000000u
#define FLAG_OVERRIDE  0x20000000u

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t nobody[16];
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };

static void solicited_node(uint8_t ret_group[16], const uint8_t target[16])
{
	static const uint8_t prefix[13] = { 0xff, 2, [11] = 1, 0xff };

	memcpy(ret_group, prefix, sizeof prefix);
	memcpy(ret_group + 13, target + 13, 3);
}

/* ---- reading ---- */

static bool arp_read(struct resolution *r, struct rd in)
{
	uint8_t sender[4], target[4];

	/* Ethernet and IPv4. */
	if (rd_u16(&in) != 1 || rd_u16(&in) != 0x0800 || rd_u8(&in) != 6 || rd_u8(&in) != 4)
		return false;
	uint16_t operation = rd_u16(&in);
	rd_copy(&in, r->mac, sizeof r->mac);
	rd_copy(&in, sender, sizeof sender);
	rd_take(&in, 6);
	rd_copy(&in, target, sizeof target);
	/* What is behind is padding. */
	if (in.bad || (operation != ARP_REQUEST && operation != ARP_REPLY) || r->mac[0] & 1)
		return false;
	if (memcmp(sender, nobody, sizeof sender) != 0)
		r->claimed = r->asker = addr_v4(sender);
	if (operation == ARP_REQUEST && memcmp(sender, target, sizeof sender) != 0)
		r->target = addr_v4(target);
	return true;
}

/* The link address in the options, if they have it. False: not options. */
static bool options_read(struct rd *in, uint8_t kind, uint8_t mac[6], bool *ret_found)
{
	while (rd_left(in) > 0) {
		uint8_t type = rd_u8(in), units = rd_u8(in);
		if (units == 0)
			return false;
		struct rd body = rd_sub(in, 8u * units - 2);
		if (body.bad)
			return false;
		if (type != kind || units != 1)
			continue;
		rd_copy(&body, mac, 6);
		*ret_found = true;
	}
	return !in->bad;
}

/* RFC 4861 section 7.1.1, and what 4.3 says of the destination. */
static bool solicitation_read(struct resolution *r, struct rd *options, const uint8_t *src,
	const uint8_t *dst, const uint8_t *target)
{
	uint8_t group[16];
	bool found = false;

	if (!options_read(options, OPTION_SOURCE, r->mac, &found))
		return false;
	r->target = addr_v6(target);
	solicited_node(group, target);
	if (memcmp(src, nobody, sizeof nobody) == 0)
		return !found && memcmp(dst, group, sizeof group) == 0;
	r->asker = r->claimed = addr_v6(src);
	return src[0] != 0xff;
}

static bool advertisement_read(
	struct resolution *r, struct rd *options, uint32_t flags, const uint8_t *dst, const uint8_t *target)
{
	bool found = false;

	if (!options_read(options, OPTION_TARGET, r->mac, &found) ||
		(dst[0] == 0xff && flags & FLAG_SOLICITED))
		return false;
	r->claimed = addr_v6(target);
	return true;
}

static bool nd_read(struct resolution *r, struct rd in)
{
	uint32_t version = rd_u32(&in) >> 28;
	uint16_t payload_n = rd_u16(&in);
	uint8_t next = rd_u8(&in), hops = rd_u8(&in);
	const uint8_t *src = rd_take(&in, 16), *dst = rd_take(&in, 16);
	struct rd icmp = rd_sub(&in, payload_n);
	const uint8_t *message = icmp.at;

	/* 255: no router has passed it on. */
	if (in.bad || version != 6 || next != IP_ICMPV6 || hops != 255 || payload_n < ND_FIXED_SIZE)
		return false;
	uint64_t sum = csum_pseudo(src, dst, 16, IP_ICMPV6, payload_n);
	uint8_t type = rd_u8(&icmp), code = rd_u8(&icmp);
	rd_u16(&icmp);
	uint32_t flags = rd_u32(&icmp);
	const uint8_t *target = rd_take(&icmp, 16);
	if (csum_fold(csum_add(sum, message, payload_n)) != 0xffff || code != 0 || target[0] == 0xff)
		return false;
	if (type == ND_SOLICIT)
		return solicitation_read(r, &icmp, src, dst, target) && !(r->mac[0] & 1);
	return type == ND_ADVERTISE && advertisement_read(r, &icmp, flags, dst, target) && !(r->mac[0] & 1);
}

bool resolution_read(struct resolution *ret_r, const uint8_t *frame, size_t n)
{
	struct rd in = rd_over(frame, n);
	struct resolution r = { 0 };

	rd_take(&in, 6);
	rd_copy(&in, r.mac, sizeof r.mac);
	uint16_t type = rd_u16(&in);
	if (in.bad || !(type == ETHERTYPE_ARP ? arp_read(&r, in) : type == ETHERTYPE_IPV6 && nd_read(&r, in)))
		return false;
	*ret_r = r;
	return true;
}

/* ---- writing ---- */

static void ethernet(struct wr *w, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	wr_bytes(w, dst, 6);
	wr_bytes(w, src, 6);
	wr_u16(w, type);
}

static size_t arp(uint8_t *frame, uint16_t operation, const uint8_t mac[6], const uint8_t *sender,
	const uint8_t to_mac[6], const uint8_t *target)
{
	static const uint8_t unknown[6];
	struct wr w = wr_over(frame, RESOLUTION_FRAME_MAX);

	ethernet(&w, to_mac, mac, ETHERTYPE_ARP);
	wr_u16(&w, 1);
	wr_u16(&w, 0x0800);
	wr_u8(&w, 6);
	wr_u8(&w, 4);
	wr_u16(&w, operation);
	wr_bytes(&w, mac, 6);
	wr_bytes(&w, sender, 4);
	wr_bytes(&w, operation == ARP_REQUEST ? unknown : to_mac, 6);
	wr_bytes(&w, target, 4);
	assert(!w.bad);
	return wr_len(&w);
}

/* option 0: none. */
static size_t nd(uint8_t *frame, const uint8_t to_mac[6], const uint8_t mac[6], const uint8_t src[16],
	const uint8_t dst[16], uint8_t type, uint32_t flags, const uint8_t target[16], uint8_t option)
{
	struct wr w = wr_over(frame, RESOLUTION_FRAME_MAX);
	uint16_t n = ND_FIXED_SIZE + (option ? 8 : 0);

	ethernet(&w, to_mac, mac, ETHERTYPE_IPV6);
	wr_u32(&w, 6u << 28);
	wr_u16(&w, n);
	wr_u8(&w, IP_ICMPV6);
	wr_u8(&w, 255);
	wr_bytes(&w, src, 16);
	wr_bytes(&w, dst, 16);
	uint8_t *message = w.at;
	wr_u8(&w, type);
	wr_u8(&w, 0);
	wr_u16(&w, 0);
	wr_u32(&w, flags);
	wr_bytes(&w, target, 16);
	if (option) {
		wr_u8(&w, option);
		wr_u8(&w, 1);
		wr_bytes(&w, mac, 6);
	}
	assert(!w.bad);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(csum_pseudo(src, dst, 16, IP_ICMPV6, n), message, n));
	memcpy(message + ICMP_CSUM, &sum, sizeof sum);
	return wr_len(&w);
}

static size_t nd_multicast(uint8_t *frame, const uint8_t mac[6], const uint8_t src[16],
	const uint8_t group[16], uint8_t type, uint32_t flags, const uint8_t target[16], uint8_t option)
{
	uint8_t to_mac[6] = { 0x33, 0x33 }; /* RFC 2464 section 7 */

	memcpy(to_mac + 2, group + 12, 4);
	return nd(frame, to_mac, mac, src, group, type, flags, target, option);
}

size_t resolution_answer(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct resolution *asked, const uint8_t mac[6])
{
	const uint8_t *target = asked->target.b;

	assert(asked->target.family == ADDR_V4 || asked->target.family == ADDR_V6);
	if (asked->target.family == ADDR_V4)
		return arp(ret_frame, ARP_REPLY, mac, target, asked->mac, asked->asker.b);
	if (asked->asker.family == ADDR_NONE)
		return nd_multicast(ret_frame, mac, target, all_nodes, ND_ADVERTISE, FLAG_OVERRIDE, target,
			OPTION_TARGET);
	return nd(ret_frame, asked->mac, mac, target, asked->asker.b, ND_ADVERTISE,
		FLAG_SOLICITED | FLAG_OVERRIDE, target, OPTION_TARGET);
}

size_t resolution_probe(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct ip_addr *addr, const uint8_t mac[6])
{
	uint8_t group[16];

	if (addr->family == ADDR_V4)
		return arp(ret_frame, ARP_REQUEST, mac, nobody, broadcast, addr->b);
	solicited_node(group, addr->b);
	return nd_multicast(ret_frame, mac, nobody, group, ND_SOLICIT, 0, addr->b, 0);
}

size_t resolution_announcement(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct ip_addr *addr, const uint8_t mac[6])
{
	if (addr->family == ADDR_V4)
		return arp(ret_frame, ARP_REQUEST, mac, addr->b, broadcast, addr->b);
	return nd_multicast(
		ret_frame, mac, addr->b, all_nodes, ND_ADVERTISE, FLAG_OVERRIDE, addr->b, OPTION_TARGET);
}
