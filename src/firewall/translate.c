/*
 * Rewriting what a session translates: addresses and ports of a packet, and of the packet that an ICMP error
 * quotes (RFC 3022 section 4.3, RFC 5508 section 4). Checksums follow by the difference (RFC 1624), so a
 * wrong one stays wrong.
 *
 * A packet of direction d came as key[d] says and leaves as the reverse of key[1 - d].
 */
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/nat64.h"
#include "wire/quoted.h"

#include <assert.h>

/* 0: none that counts addresses. Those of UDP-Lite (RFC 3828) and DCCP (RFC 4340) stand where that of UDP
 * does. */
static uint32_t l4_csum_at(const struct train *t)
{
	switch (t->proto) {
	case IP_TCP:
		return TCP_CSUM;
	case IP_UDP:
		return UDP_CSUM;
	case IP_ICMP:
	case IP_ICMPV6:
		return ICMP_CSUM;
	case IP_UDP_LITE:
	case IP_DCCP:
		return t->len >= t->l4_offset + 8u ? UDP_CSUM : 0;
	default:
		return 0;
	}
}

/* Replaces n octets that stand in the pseudo-header of an L4 checksum (NULL: in none), and in the IPv4
 * header's. */
static void addr_put(uint8_t *ip, uint32_t at, const uint8_t *addr, size_t n, uint8_t *l4_csum, bool partial)
{
	if (memcmp(ip + at, addr, n) == 0)
		return;
	if (n == 4)
		csum_update(ip + IP4_CSUM, ip + at, addr, n);
	if (l4_csum && partial)
		csum_update_partial(l4_csum, ip + at, addr, n);
	else if (l4_csum)
		csum_update(l4_csum, ip + at, addr, n);
	memcpy(ip + at, addr, n);
}

/* Replaces a port or identifier. A field that the NIC completes counts it then. */
static void port_put(uint8_t *field, uint16_t port, uint8_t *l4_csum, bool partial)
{
	uint8_t is[2];

	store_be16(is, port);
	if (memcmp(field, is, 2) == 0)
		return;
	if (l4_csum && !partial)
		csum_update(l4_csum, field, is, 2);
	memcpy(field, is, 2);
}

struct new_head {
	const uint8_t *src, *dst;
	uint16_t src_port, dst_port;
	bool has_port; /* else the ports are not written */
};

/*
 * One packet, or a quoted one: its L4 checksum may be cut off (csum_at 0). UDP over IPv4 may have none (RFC
 * 768), and then must not get one; where the update ends in zero it is sent as all ones. So it is in an ICMP
 * message that may have become all zeros: nothing else tells the two zeros of RFC 1624 section 3 apart.
 */
static void packet_put(uint8_t *ip, bool v4, uint8_t proto, uint32_t l4_at, uint32_t csum_at, bool partial,
	const struct new_head *h)
{
	uint8_t *csum = csum_at ? ip + csum_at : NULL;
	bool udp = proto == IP_UDP, none = udp && csum && !partial && load_be16(csum) == 0;

	if (none)
		csum = NULL;
	/* ICMP for IPv4 has no pseudo-header. */
	uint8_t *pseudo = proto == IP_ICMP ? NULL : csum;
	addr_put(ip, v4 ? IP4_SRC : IP6_SRC, h->src, v4 ? 4 : 16, pseudo, partial);
	addr_put(ip, v4 ? IP4_DST : IP6_DST, h->dst, v4 ? 4 : 16, pseudo, partial);
	if (proto == IP_TCP || udp) {
		port_put(ip + l4_at, h->src_port, csum, partial);
		port_put(ip + l4_at + 2, h->dst_port, csum, partial);
	} else if (fw_is_icmp(proto) && h->has_port) {
		port_put(ip + l4_at + ICMP_AT_IDENTIFIER, h->src_port, csum, partial);
	}
	bool maybe_zeros = proto == IP_ICMP && h->src_port == 0;
	if ((udp || maybe_zeros) && csum && !partial && load_be16(csum) == 0)
		store_be16(csum, 0xffff);
}

/* A packet that came as key[d], as it leaves in the other family. */
static struct nat64_ends ends_of(const struct fw_key *reply)
{
	return (struct nat64_ends){ fw_key_dst(reply), fw_key_src(reply), reply->dst_port, reply->src_port };
}

enum drop_reason fw_translate_nat64(
	struct firewall *fw, const struct fw_session *s, struct train *t, uint32_t d)
{
	const struct nat64_ends to = ends_of(&s->key[1 - d]);

	assert(d < 2 && fw_is_nat64(s) && t->src.family == s->key[d].family);
	/* Odd, so that each of 65536 packets has another one. */
	uint16_t id = (uint16_t)(fw->nat64_ids++ * 40503u + (uint32_t)fw->limits.hash_key[0] * 257u);
	if (!nat64_translate(t, &to, id))
		return DROP_NAT64_UNTRANSLATABLE;
	t->flags |= TRAIN_TRANSLATED;
	return DROP_NONE;
}

void fw_translate(const struct fw_session *s, struct train *t, uint32_t d)
{
	const struct fw_key *reply = &s->key[1 - d];
	struct new_head h = { reply->dst, reply->src, reply->dst_port, reply->src_port,
		fw_key_has_port(reply) };
	uint32_t at = l4_csum_at(t);

	assert(d < 2 && s->flags & FW_SESSION_TRANSLATED);
	packet_put(t->ip, t->src.family == ADDR_V4, t->proto, t->l4_offset, at ? t->l4_offset + at : 0,
		t->csum == TRAIN_CSUM_PARTIAL, &h);
	memcpy(t->src.b, reply->dst, 16);
	memcpy(t->dst.b, reply->src, 16);
	t->src_port = reply->dst_port;
	t->dst_port = reply->src_port;
	t->flags |= TRAIN_TRANSLATED;
}

/* ---- errors ---- */

static bool error_quote(const struct train *t, struct quoted *ret_quoted)
{
	return !t->segment_size &&
	       quoted_in_error(ret_quoted, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset);
}

bool fw_error_key(const struct train *t, struct fw_key *ret_key)
{
	struct quoted q;

	/* The error goes to who sent the quoted packet. */
	if (!error_quote(t, &q) || !addr_equal(&q.src, &t->dst))
		return false;
	struct fw_key k = { .src_port = q.src_port,
		.dst_port = q.dst_port,
		.family = q.src.family,
		.proto = q.proto,
		.vrf = t->vrf,
		.kind = fw_icmp_kind(q.proto, q.icmp_type) };
	memcpy(k.src, q.src.b, 16);
	memcpy(k.dst, q.dst.b, 16);
	*ret_key = fw_key_reverse(&k);
	return true;
}

static void error_csum(struct train *t)
{
	uint32_t n = t->len - t->l4_offset;
	uint64_t sum = t->proto == IP_ICMP ? 0 : csum_pseudo(t->src.b, t->dst.b, 16, t->proto, n);
	uint8_t *l4 = t->ip + t->l4_offset;

	memset(l4 + ICMP_CSUM, 0, 2);
	uint16_t c = (uint16_t)~csum_fold(csum_add(sum, l4, n));
	memcpy(l4 + ICMP_CSUM, &c, 2);
	t->csum = TRAIN_CSUM_VALID;
}

/*
 * NAT64: the quoted packet as its sender knows it. A router on the IPv4 side has its address within the prefix (RFC 6146
 * section 3.5.3), one on the IPv6 side that of its host.
 */
static enum drop_reason error_nat64(
	const struct firewall *fw, const struct fw_session *s, struct train *t, uint32_t d)
{
	const struct fw_key *sent = &s->key[1 - d];
	const struct nat64_ends quoted = { fw_key_src(sent), fw_key_dst(sent), sent->src_port,
		sent->dst_port };
	struct nat64_ends to = { .src = d == 0 ? fw_key_dst(&s->key[1]) : fw_key_dst(&s->key[0]),
		.dst = quoted.src };

	if (t->src.family != s->key[d].family)
		return DROP_ICMP_UNRELATED;
	if (d == 1)
		fw_nat64_address(fw, s, &t->src, &to.src);
	if (!nat64_translate_error(t, &to, &quoted))
		return DROP_NAT64_UNTRANSLATABLE;
	t->flags |= TRAIN_TRANSLATED;
	return DROP_NONE;
}

/*
 * An error of direction d is about a packet of the other direction, quoted as it left us: that is the reverse
 * of key[d], and its sender knows it as key[1 - d]. The error's own source is a router on the way and stays,
 * unless the end that it is near to is translated: then it would tell an inner address, and becomes the translated one.
 */
enum drop_reason fw_translate_error(
	const struct firewall *fw, const struct fw_session *s, struct train *t, uint32_t d)
{
	struct quoted q;

	assert(d < 2 && t->flags & TRAIN_ICMP_ERROR);
	train_complete_l4(t);
	if (train_verify_l4(t) != DROP_NONE)
		return DROP_L4_CHECKSUM;
	if (!error_quote(t, &q) || (q.proto == IP_TCP && !fw_tcp_sent(s, 1 - d, q.tcp_seq)) ||
		(q.proto == IP_SCTP && !fw_sctp_sent(s, 1 - d, q.sctp_tag)))
		return DROP_ICMP_UNRELATED;
	if (!(s->flags & FW_SESSION_TRANSLATED))
		return DROP_NONE;
	if (fw_is_nat64(s))
		return error_nat64(fw, s, t, d);
	bool v4 = t->src.family == ADDR_V4;
	const struct fw_key *sent = &s->key[1 - d];
	struct new_head inner = { sent->src, sent->dst, sent->src_port, sent->dst_port,
		fw_key_has_port(sent) };
	packet_put(t->ip + t->payload_offset, v4, q.proto, q.l4_offset, q.csum_offset, false, &inner);

	if (d == 0 && fw_source_translated(s))
		memcpy(t->src.b, s->key[1].dst, 16);
	if (d == 1 && fw_destination_translated(s))
		memcpy(t->src.b, s->key[0].dst, 16);
	memcpy(t->dst.b, sent->src, 16);
	addr_put(t->ip, v4 ? IP4_SRC : IP6_SRC, t->src.b, v4 ? 4 : 16, NULL, false);
	addr_put(t->ip, v4 ? IP4_DST : IP6_DST, t->dst.b, v4 ? 4 : 16, NULL, false);
	error_csum(t);
	t->flags |= TRAIN_TRANSLATED;
	return DROP_NONE;
}
