/*
 * Packets within packets: IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784, 2890), and what is known of them by its addresses
 * or ports: 6to4 (RFC 3056), ISATAP (RFC 5214), DS-Lite (RFC 6333), Teredo (RFC 4380). The gateway's own tunnels are
 * opened before a screen sees what is within.
 */
#include "screen/internal.h"

#include <string.h>

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_VERSION = 0x0007,
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_IP6 = 0x86dd,
	TEREDO_AUTHENTICATION = 0x0001,
	TEREDO_ORIGIN = 0x0000,
};

struct inner {
	uint8_t family, proto;
	struct ip_addr src, dst;
	struct rd above;
};

/* RFC 1122 section 3.2.1.3, RFC 4291 section 2.5: no host sends as one of these. */
static bool no_source(const struct ip_addr *a)
{
	if (a->family == ADDR_V4)
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
	return a->b[0] == 0xff;
}

static bool read_ip4(struct rd r, bool segments, struct inner *ret_inner)
{
	size_t left = rd_left(&r), header = 4u * (rd_u8(&r) & 15);

	rd_u8(&r);
	uint16_t total = rd_u16(&r);
	rd_take(&r, 5);
	ret_inner->proto = rd_u8(&r);
	rd_u16(&r);
	const uint8_t *src = rd_take(&r, 4), *dst = rd_take(&r, 4);
	if (r.bad || header < IP4_HEADER_SIZE || !rd_take(&r, header - IP4_HEADER_SIZE) ||
		(!segments && (total < header || total > left)))
		return false;
	ret_inner->family = ADDR_V4;
	ret_inner->src = addr_v4(src);
	ret_inner->dst = addr_v4(dst);
	ret_inner->above = r;
	return !no_source(&ret_inner->src) && ret_inner->dst.b[0] != 0 && ret_inner->dst.b[0] != 127;
}

static bool read_ip6(struct rd r, bool segments, struct inner *ret_inner)
{
	rd_u32(&r);
	uint16_t payload = rd_u16(&r);
	ret_inner->proto = rd_u8(&r);
	rd_u8(&r);
	const uint8_t *src = rd_take(&r, 16), *dst = rd_take(&r, 16);
	if (r.bad || (!segments && payload > rd_left(&r)))
		return false;
	ret_inner->family = ADDR_V6;
	ret_inner->src = addr_v6(src);
	ret_inner->dst = addr_v6(dst);
	ret_inner->above = r;
	return !no_source(&ret_inner->src);
}

/* r: the inner packet; family: what the outer header says that it is. */
static bool read_inner(struct met *m, struct rd r, uint8_t family, struct inner *ret_inner)
{
	uint8_t version = rd_left(&r) > 0 ? r.at[0] >> 4 : 0;
	bool good = family == ADDR_V4 ? version == 4 && read_ip4(r, m->segments, ret_inner)
				      : version == 6 && read_ip6(r, m->segments, ret_inner);

	if (!good)
		meets(m, SCREEN_TUNNEL_BAD_INNER);
	else if (ret_inner->proto == IP_IPIP || ret_inner->proto == IP_IPV6 || ret_inner->proto == IP_GRE)
		meets(m, SCREEN_TUNNEL_NESTED);
	if (good && ret_inner->proto == IP_UDP) {
		struct rd u = ret_inner->above;
		uint16_t src = rd_u16(&u), dst = rd_u16(&u);
		if (!u.bad && (src == TEREDO_PORT || dst == TEREDO_PORT))
			meets(m, SCREEN_TUNNEL_NESTED);
	}
	return good;
}

static bool is_6to4(const struct ip_addr *a)
{
	static const uint8_t relay[4] = { 192, 88, 99, 1 }; /* RFC 3068 */

	return a->family == ADDR_V6 ? a->b[0] == 0x20 && a->b[1] == 0x02 : memcmp(a->b, relay, 4) == 0;
}

/* RFC 5214 section 6.1: 0000:5efe or 0200:5efe begins the interface identifier. */
static bool is_isatap(const struct ip_addr *a)
{
	return (a->b[8] & 0xfd) == 0 && a->b[9] == 0 && a->b[10] == 0x5e && a->b[11] == 0xfe;
}

/* RFC 6333 section 5.7: 192.0.0.0/29 */
static bool is_ds_lite(const struct ip_addr *a)
{
	return a->b[0] == 192 && a->b[1] == 0 && a->b[2] == 0 && a->b[3] < 8;
}

static void met_in_ipip(struct met *m, uint8_t family, uint8_t within, struct rd r)
{
	struct inner inner;
	bool four = family == ADDR_V4, good = read_inner(m, r, within, &inner);

	if (within == ADDR_V4) {
		meets(m, four ? SCREEN_TUNNEL_4IN4 : SCREEN_TUNNEL_4IN6);
		if (good && !four && (is_ds_lite(&inner.src) || is_ds_lite(&inner.dst)))
			meets(m, SCREEN_TUNNEL_DS_LITE);
		return;
	}
	meets(m, four ? SCREEN_TUNNEL_6IN4 : SCREEN_TUNNEL_6IN6);
	if (!good || !four)
		return;
	if (is_6to4(&inner.src) || is_6to4(&inner.dst) || is_6to4(&m->outer) || is_6to4(&m->outer_src))
		meets(m, SCREEN_TUNNEL_6TO4);
	if (is_isatap(&inner.src) || is_isatap(&inner.dst))
		meets(m, SCREEN_TUNNEL_ISATAP);
}

static void met_in_gre(struct met *m, uint8_t family, struct rd r)
{
	uint16_t flags = rd_u16(&r), type = rd_u16(&r);
	bool four = family == ADDR_V4;
	struct inner inner;

	/* Version 1 carries PPP (RFC 2637); other types are no IP. */
	if (r.bad || flags & GRE_VERSION || (type != ETHERTYPE_IP4 && type != ETHERTYPE_IP6))
		return;
	if (type == ETHERTYPE_IP4)
		meets(m, four ? SCREEN_TUNNEL_GRE_4IN4 : SCREEN_TUNNEL_GRE_4IN6);
	else
		meets(m, four ? SCREEN_TUNNEL_GRE_6IN4 : SCREEN_TUNNEL_GRE_6IN6);
	if (flags & GRE_ROUTING) { /* RFC 1701's, which RFC 2784 section 2.3 has discarded */
		meets(m, SCREEN_TUNNEL_BAD_INNER);
		return;
	}
	rd_take(&r, (flags & GRE_CHECKSUM ? 4u : 0u) + (flags & GRE_KEY ? 4u : 0u) +
			    (flags & GRE_SEQUENCE ? 4u : 0u));
	read_inner(m, r, type == ETHERTYPE_IP4 ? ADDR_V4 : ADDR_V6, &inner);
}

void met_in_tunnel(struct met *m, uint8_t family, uint8_t proto, struct rd r)
{
	if (proto == IP_GRE)
		met_in_gre(m, family, r);
	else
		met_in_ipip(m, family, proto == IP_IPIP ? ADDR_V4 : ADDR_V6, r);
}

/* RFC 4380 section 5.1.1: indications may precede the IPv6 packet. What is not Teredo is left alone: any program may use
 * the port. */
void met_in_teredo(struct met *m, struct rd r)
{
	struct inner inner;

	for (int i = 0; i < 2 && rd_left(&r) >= 2 && r.at[0] == 0; i++) {
		uint16_t kind = rd_u16(&r);
		if (kind == TEREDO_ORIGIN) {
			rd_take(&r, 6);
		} else if (kind == TEREDO_AUTHENTICATION) {
			uint8_t id = rd_u8(&r), value = rd_u8(&r);
			rd_take(&r, (size_t)id + value + 9);
		} else {
			return;
		}
	}
	if (rd_left(&r) < IP6_HEADER_SIZE || r.at[0] >> 4 != 6)
		return;
	meets(m, SCREEN_TUNNEL_TEREDO);
	read_inner(m, r, ADDR_V6, &inner);
}
