/* RFC 7915 sections 4.1, 4.5, 5.1 and 5.5; of ICMP, echo (sections 4.2 and 5.2). */
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/nat64_packet.h"

#include <assert.h>

/* ---- headers ---- */

uint8_t *nat64_head_put(uint8_t *l4, const struct nat64_head *h, const struct nat64_ends *to)
{
	if (to->dst.family == ADDR_V6) {
		uint8_t *ip = l4 - IP6_HEADER_SIZE;
		store_be32(ip, 6u << 28 | (uint32_t)h->traffic_class << 20);
		store_be16(ip + 4, (uint16_t)(h->l4_n > UINT16_MAX ? 0 : h->l4_n));
		ip[6] = h->proto;
		ip[IP6_HOPS] = h->hop_limit;
		memcpy(ip + IP6_SRC, to->src.b, 16);
		memcpy(ip + IP6_DST, to->dst.b, 16);
		return ip;
	}
	uint8_t *ip = l4 - IP4_HEADER_SIZE;
	uint32_t total = IP4_HEADER_SIZE + h->l4_n;
	ip[0] = 0x45;
	ip[1] = h->traffic_class;
	store_be16(ip + 2,
		(uint16_t)(total > UINT16_MAX ? 0 : total)); /* a long train's: as train_parse() reads it */
	store_be16(ip + 4, h->id);
	store_be16(ip + 6, h->dont_fragment ? IP4_DF : 0);
	ip[IP4_TTL] = h->hop_limit;
	ip[9] = h->proto;
	store_be16(ip + IP4_CSUM, 0);
	memcpy(ip + IP4_SRC, to->src.b, 4);
	memcpy(ip + IP4_DST, to->dst.b, 4);
	uint16_t c = (uint16_t)~csum_fold(csum_add(0, ip, IP4_HEADER_SIZE));
	memcpy(ip + IP4_CSUM, &c, 2);
	return ip;
}

/* The type of an echo in the other family; false: none. */
static bool echo_type_across(uint8_t proto, uint8_t type, uint8_t *ret_type)
{
	static const struct {
		uint8_t v4, v6;
	} echoes[] = { { ICMP4_ECHO, ICMP6_ECHO }, { ICMP4_ECHO_REPLY, ICMP6_ECHO_REPLY } };

	for (size_t i = 0; i < COUNT_OF(echoes); i++)
		if (type == (proto == IP_ICMP ? echoes[i].v4 : echoes[i].v6)) {
			*ret_type = proto == IP_ICMP ? echoes[i].v6 : echoes[i].v4;
			return true;
		}
	return false;
}

/* ---- the transport header ---- */

static uint64_t addresses_sum(const struct ip_addr *src, const struct ip_addr *dst)
{
	return csum_add(csum_add(0, src->b, addr_size(src)), dst->b, addr_size(dst));
}

/*
 * A checksum field after what it covers has changed from `old` to `new` (sums). Never zero, which UDP has for none: the two
 * zeros of one's complement are the same to who checks, except where all that is covered is zero, and then it is ffff.
 */
static void csum_put(uint8_t *field, uint64_t old, uint64_t new)
{
	uint16_t c;

	memcpy(&c, field, 2);
	c = (uint16_t)~csum_fold((uint64_t)(uint16_t)~c + (uint16_t)~csum_fold(old) + csum_fold(new));
	c = c == 0 ? 0xffff : c;
	memcpy(field, &c, 2);
}

/* The ICMPv6 checksum counts a pseudo-header (RFC 4443 section 2.3), that of ICMP does not. */
static uint64_t icmp_pseudo(const struct ip_addr *src, const struct ip_addr *dst, uint32_t l4_n)
{
	return src->family == ADDR_V6 ? csum_pseudo(src->b, dst->b, 16, IP_ICMPV6, l4_n) : 0;
}

static bool echo_put(const struct nat64_l4 *l, const struct nat64_ends *to)
{
	uint8_t type, was[4], is[4];

	assert(!l->partial);
	if (l->n < ICMP_HEADER_SIZE || l->at[1] != 0 || !echo_type_across(l->proto, l->at[0], &type))
		return false;
	memcpy(was, l->at, 2);
	memcpy(was + 2, l->at + 4, 2);
	is[0] = type;
	is[1] = 0;
	store_be16(is + 2, to->src_port);
	csum_put(l->at + ICMP_CSUM, csum_add(icmp_pseudo(&l->old_src, &l->old_dst, l->l4_n), was, 4),
		csum_add(icmp_pseudo(&to->src, &to->dst, l->l4_n), is, 4));
	memcpy(l->at, is, 2);
	memcpy(l->at + 4, is + 2, 2);
	return true;
}

bool nat64_l4_put(const struct nat64_l4 *l, const struct nat64_ends *to)
{
	uint32_t csum_at = l->proto == IP_TCP ? TCP_CSUM : UDP_CSUM;
	uint8_t ports[4];

	if (l->proto == IP_ICMP || l->proto == IP_ICMPV6)
		return echo_put(l, to);
	if ((l->proto != IP_TCP && l->proto != IP_UDP) || l->n < 8)
		return false;
	store_be16(ports, to->src_port);
	store_be16(ports + 2, to->dst_port);
	uint64_t old = addresses_sum(&l->old_src, &l->old_dst), new = addresses_sum(&to->src, &to->dst);
	uint8_t *field = csum_at + 2 <= l->n ? l->at + csum_at : NULL;
	/* Of a quotation: what had no checksum has none. */
	if (field && l->proto == IP_UDP && !l->partial && load_be16(field) == 0)
		field = NULL;
	if (field && l->partial) {
		uint16_t c;
		memcpy(&c, field, 2);
		c = csum_fold((uint64_t)c + (uint16_t)~csum_fold(old) + csum_fold(new));
		memcpy(field, &c, 2);
	} else if (field) {
		csum_put(field, csum_add(old, l->at, 4), csum_add(new, ports, 4));
	}
	memcpy(l->at, ports, 4);
	return true;
}

/* RFC 7915 section 4.5: a datagram without a checksum gets one. A train's is left to whoever cuts it. */
static void udp_csum_make(struct train *t, const struct nat64_ends *to)
{
	uint32_t l4_n = t->len - t->l4_offset;
	uint8_t *l4 = t->ip + t->l4_offset;
	uint32_t n = t->segment_size ? l4_n : MIN_OF(l4_n, load_be16(l4 + 4));
	uint64_t sum = csum_pseudo(to->src.b, to->dst.b, 16, IP_UDP, n);
	uint16_t c;

	if (t->segment_size) {
		c = csum_fold(sum);
		t->csum = TRAIN_CSUM_PARTIAL;
	} else {
		c = (uint16_t)~csum_fold(csum_add(sum, l4, n));
		c = c == 0 ? 0xffff : c;
		t->csum = TRAIN_CSUM_VALID;
	}
	memcpy(l4 + UDP_CSUM, &c, 2);
}

/* ---- packets ---- */

static uint8_t proto_across(uint8_t proto)
{
	return proto == IP_ICMP ? IP_ICMPV6 : proto == IP_ICMPV6 ? IP_ICMP : proto;
}

/* The parsed fields of what now begins at ip. */
static void train_moved(struct train *t, uint8_t *ip, uint8_t proto, const struct nat64_ends *to)
{
	uint32_t moved = (uint32_t)(t->ip + t->l4_offset - ip);

	t->len = t->len - t->l4_offset + moved;
	t->payload_offset = (uint16_t)(t->payload_offset - t->l4_offset + moved);
	t->l4_offset = (uint16_t)moved;
	t->ip = ip;
	t->proto = proto;
	t->src = to->src;
	t->dst = to->dst;
	t->src_port = to->src_port;
	t->dst_port = to->dst_port;
}

/* How large it is as a packet, and whether and in which pieces it may be cut on its further way. */
static void fragments_decide(struct train *t, bool may_fragment)
{
	uint32_t n = t->segment_size ? t->payload_offset + t->segment_size : t->len;

	if (t->src.family == ADDR_V4) {
		if (t->flags & TRAIN_REASSEMBLED) /* each was longer by the fragment header, too */
			t->fragment_max =
				(uint16_t)MAX_OF(t->fragment_max - NAT64_GROWS - IP6_FRAGMENT_SIZE, 576);
		t->dont_fragment = !may_fragment;
		return;
	}
	t->dont_fragment = true;
	t->flags &= ~(uint32_t)TRAIN_REASSEMBLED;
	if (may_fragment && n > IP6_MTU_MIN) {
		t->flags |= TRAIN_REASSEMBLED;
		t->fragment_max = IP6_MTU_MIN;
	}
}

static bool has_no_csum(const struct train *t)
{
	return t->proto == IP_UDP && t->csum != TRAIN_CSUM_PARTIAL &&
	       load_be16(t->ip + t->l4_offset + UDP_CSUM) == 0;
}

bool nat64_is_translatable(const struct train *t)
{
	const uint8_t *l4 = t->ip + t->l4_offset;
	uint32_t l4_n = t->len - t->l4_offset;
	uint8_t type;

	if (t->inner_l4 || (!t->segment_size && l4_n + IP4_HEADER_SIZE > UINT16_MAX))
		return false;
	if (t->proto == IP_ICMP || t->proto == IP_ICMPV6)
		return l4_n >= ICMP_HEADER_SIZE && l4[1] == 0 && echo_type_across(t->proto, l4[0], &type);
	return t->proto == IP_TCP || (t->proto == IP_UDP && !(t->src.family == ADDR_V6 && has_no_csum(t)));
}

bool nat64_translate(struct train *t, const struct nat64_ends *to, uint16_t id)
{
	bool to_v4 = to->dst.family == ADDR_V4;
	uint32_t l4_n = t->len - t->l4_offset;
	uint8_t *l4 = t->ip + t->l4_offset;

	assert(t->src.family != to->src.family && to->src.family == to->dst.family);
	assert(!(t->flags & (TRAIN_FRAGMENT | TRAIN_ICMP_ERROR)));
	if (!nat64_is_translatable(t))
		return false;
	bool no_csum = has_no_csum(t);
	if (t->proto != IP_TCP && t->proto != IP_UDP)
		train_complete_l4(t);
	const struct nat64_l4 l = { l4, l4_n, l4_n, t->proto, t->csum == TRAIN_CSUM_PARTIAL, t->src, t->dst };
	if (!nat64_l4_put(&l, to))
		return false;
	if (no_csum)
		udp_csum_make(t, to);
	uint32_t head_n = (uint32_t)t->payload_offset - t->l4_offset,
		 packet_n = IP4_HEADER_SIZE + (t->segment_size ? head_n + t->segment_size : l4_n);
	bool may_fragment = to_v4 ? t->flags & TRAIN_REASSEMBLED || packet_n <= IP6_MTU_MIN - NAT64_GROWS
				  : !t->dont_fragment || t->flags & TRAIN_REASSEMBLED;
	const struct nat64_head head = { .traffic_class = t->traffic_class,
		.hop_limit = t->hop_limit,
		.proto = proto_across(t->proto),
		.l4_n = l4_n,
		.id = may_fragment ? id : 0,
		.dont_fragment = !may_fragment };
	if (head.proto != t->proto)
		t->icmp_type = l4[0];
	train_moved(t, nat64_head_put(l4, &head, to), head.proto, to);
	fragments_decide(t, may_fragment);
	return true;
}
