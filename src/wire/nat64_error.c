/* RFC 7915 sections 4.2, 4.3, 5.2 and 5.3. */
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/nat64_packet.h"
#include "wire/quoted.h"

#include <assert.h>

struct error_head {
	uint8_t type, code;
	uint32_t rest; /* the four octets after the checksum: MTU or pointer */
};

#define NONE 0xff

/* ICMPv6 code of an unreachable destination; NONE: another type, or none. */
static const uint8_t unreachable6[] = { 0, 0, NONE, 4, NONE, 0, 0, 0, 0, 1, 1, 0, 0, 1, NONE, 1 };
/* ICMP code of an unreachable destination. */
static const uint8_t unreachable4[] = { 1, 10, 1, 1, 3 };

/* Which octet of the other header a pointer means. */
static const uint8_t pointer6[] = { 0, 1, 4, 4, NONE, NONE, NONE, NONE, 7, 6, NONE, NONE, 8, 8, 8, 8, 24, 24,
	24, 24 };
static const uint8_t pointer4[] = { 0, 1, NONE, NONE, 2, 2, 9, 8, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
	12, 12, 12, 12, 12, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16 };

static bool parameter(
	const uint8_t *pointers, size_t n, uint32_t at, uint8_t type, bool v4, struct error_head *ret_head)
{
	if (at >= n || pointers[at] == NONE)
		return false;
	*ret_head = (struct error_head){ type, 0, v4 ? (uint32_t)pointers[at] << 24 : pointers[at] };
	return true;
}

/* RFC 1191 section 5: routers that do not state the MTU. The next lower one than the packet's own length. */
static uint32_t plateau(uint32_t total)
{
	static const uint16_t plateaus[] = { 65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296,
		68 };

	for (size_t i = 0; i < COUNT_OF(plateaus); i++)
		if (plateaus[i] < total)
			return plateaus[i];
	return 68;
}

/* icmp: the ICMP header; total: the quoted packet's length. The MTU is never below that of IPv6: packets of up to it leave
 * with DF clear. */
static bool head_to_v6(const uint8_t *icmp, uint32_t total, struct error_head *ret_head)
{
	uint8_t code = icmp[1];
	uint32_t mtu = load_be16(icmp + 6);

	switch (icmp[0]) {
	case ICMP4_UNREACHABLE:
		if (code == 2) {
			*ret_head = (struct error_head){ ICMP6_PARAMETER, 1, 6 };
			return true;
		}
		if (code == 4) {
			mtu = (mtu ? mtu : plateau(total)) + NAT64_GROWS;
			*ret_head =
				(struct error_head){ ICMP6_TOO_BIG, 0, MAX_OF(mtu, (uint32_t)IP6_MTU_MIN) };
			return true;
		}
		if (code >= COUNT_OF(unreachable6) || unreachable6[code] == NONE)
			return false;
		*ret_head = (struct error_head){ ICMP6_UNREACHABLE, unreachable6[code], 0 };
		return true;
	case ICMP4_TIME_EXCEEDED:
		*ret_head = (struct error_head){ ICMP6_TIME_EXCEEDED, code, 0 };
		return code <= 1;
	case ICMP4_PARAMETER:
		return (code == 0 || code == 2) &&
		       parameter(pointer6, COUNT_OF(pointer6), icmp[4], ICMP6_PARAMETER, false, ret_head);
	default:
		return false;
	}
}

static bool head_to_v4(const uint8_t *icmp, struct error_head *ret_head)
{
	uint8_t code = icmp[1];
	uint32_t rest = load_be32(icmp + 4);

	switch (icmp[0]) {
	case ICMP6_UNREACHABLE:
		if (code >= COUNT_OF(unreachable4))
			return false;
		*ret_head = (struct error_head){ ICMP4_UNREACHABLE, unreachable4[code], 0 };
		return true;
	case ICMP6_TOO_BIG:
		rest = MIN_OF(MAX_OF(rest, (uint32_t)IP6_MTU_MIN) - NAT64_GROWS, (uint32_t)UINT16_MAX);
		*ret_head = (struct error_head){ ICMP4_UNREACHABLE, 4, rest };
		return true;
	case ICMP6_TIME_EXCEEDED:
		*ret_head = (struct error_head){ ICMP4_TIME_EXCEEDED, code, 0 };
		return code <= 1;
	case ICMP6_PARAMETER:
		if (code == 1) {
			*ret_head = (struct error_head){ ICMP4_UNREACHABLE, 2, 0 };
			return true;
		}
		return code == 0 &&
		       parameter(pointer4, COUNT_OF(pointer4), rest, ICMP4_PARAMETER, true, ret_head);
	default:
		return false;
	}
}

/* RFC 4884: where extensions follow, how long the quotation is; it is padded then. 0: it is all that there is. */
static uint32_t quotation_stated(const struct train *t, const uint8_t *icmp)
{
	bool v4 = t->src.family == ADDR_V4;

	if (v4)
		return icmp[0] == ICMP4_UNREACHABLE || icmp[0] == ICMP4_TIME_EXCEEDED ||
				       icmp[0] == ICMP4_PARAMETER
			       ? 4u * icmp[5]
			       : 0;
	return icmp[0] == ICMP6_UNREACHABLE || icmp[0] == ICMP6_TIME_EXCEEDED ? 8u * icmp[4] : 0;
}

/* The IP header of the packet that is quoted. Its identification and fragments mean nothing to the receiver. */
static struct nat64_head quoted_head(const struct quoted *q, const uint8_t *ip)
{
	bool v4 = q->src.family == ADDR_V4;
	uint32_t total = v4 ? load_be16(ip + 2) : (uint32_t)IP6_HEADER_SIZE + load_be16(ip + 4);

	return (struct nat64_head){ .traffic_class = v4 ? ip[1] : (uint8_t)(load_be16(ip) >> 4),
		.hop_limit = v4 ? ip[IP4_TTL] : ip[IP6_HOPS],
		.proto = q->proto == IP_ICMP	 ? IP_ICMPV6
			 : q->proto == IP_ICMPV6 ? IP_ICMP
						 : q->proto,
		.l4_n = total > q->l4_offset ? total - q->l4_offset : 0,
		.dont_fragment = !v4 && total > IP6_MTU_MIN };
}

static void error_put(uint8_t *icmp, const struct error_head *h, uint32_t n, const struct nat64_ends *to)
{
	bool v6 = to->dst.family == ADDR_V6;

	icmp[0] = h->type;
	icmp[1] = h->code;
	store_be16(icmp + ICMP_CSUM, 0);
	store_be32(icmp + 4, h->rest);
	uint64_t sum = v6 ? csum_pseudo(to->src.b, to->dst.b, 16, IP_ICMPV6, n) : 0;
	uint16_t c = (uint16_t)~csum_fold(csum_add(sum, icmp, n));
	memcpy(icmp + ICMP_CSUM, &c, 2);
}

bool nat64_translate_error(struct train *t, const struct nat64_ends *to, const struct nat64_ends *quoted)
{
	bool to_v6 = to->dst.family == ADDR_V6;
	const uint8_t *icmp = t->ip + t->l4_offset;
	uint8_t *quote = t->ip + t->payload_offset;
	uint32_t quote_n = t->len - t->payload_offset, stated = quotation_stated(t, icmp);
	uint32_t ip_n = to_v6 ? IP6_HEADER_SIZE : IP4_HEADER_SIZE;
	struct error_head head;
	struct quoted q;

	assert(t->flags & TRAIN_ICMP_ERROR && !t->segment_size && t->src.family != to->src.family);
	if (stated && stated < quote_n)
		quote_n = stated;
	if (!quoted_in_error(&q, t->proto, icmp, ICMP_HEADER_SIZE + quote_n))
		return false;
	if (!(to_v6 ? head_to_v6(icmp, load_be16(quote + 2), &head) : head_to_v4(icmp, &head)))
		return false;
	const struct nat64_head inner = quoted_head(&q, quote);
	const struct nat64_l4 l = { quote + q.l4_offset, quote_n - q.l4_offset, inner.l4_n, q.proto, false,
		q.src, q.dst };
	if (!nat64_l4_put(&l, quoted))
		return false;
	/* RFC 4443 section 2.4 (c): no longer than the smallest MTU. */
	uint32_t l4_n = ICMP_HEADER_SIZE + ip_n + l.n;
	if (to_v6)
		l4_n = MIN_OF(l4_n, (uint32_t)(IP6_MTU_MIN - IP6_HEADER_SIZE));
	uint8_t *new_icmp = nat64_head_put(l.at, &inner, quoted) - ICMP_HEADER_SIZE;
	error_put(new_icmp, &head, l4_n, to);
	const struct nat64_head outer = { .traffic_class = t->traffic_class,
		.hop_limit = t->hop_limit,
		.proto = to_v6 ? IP_ICMPV6 : IP_ICMP,
		.l4_n = l4_n,
		.dont_fragment = true };
	t->ip = nat64_head_put(new_icmp, &outer, to);
	t->len = ip_n + l4_n;
	t->l4_offset = (uint16_t)ip_n;
	t->payload_offset = (uint16_t)(ip_n + ICMP_HEADER_SIZE);
	t->proto = outer.proto;
	t->src = to->src;
	t->dst = to->dst;
	t->icmp_type = head.type;
	t->icmp_code = head.code;
	t->dont_fragment = true;
	t->flags &= ~(uint32_t)TRAIN_REASSEMBLED;
	t->csum = TRAIN_CSUM_VALID;
	return true;
}
