/*
 * Rewriting addresses and ports: of packets of a session, and of the packets that ICMP errors quote. What a packet becomes is
 * read from the session's two keys: a packet of direction d leaves as the reverse of key[!d]. RFC 3022, RFC 5508.
 */
#include "base/rd.h"
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/ip.h"

struct header_fields {
	uint8_t *src, *dst, *src_port, *dst_port, *ip_csum, *l4_csum;
	size_t addr_n;
	bool partial; /* the L4 field holds the pseudo-header sum: ports do not count into it yet */
};

static void field_set(struct header_fields *f, uint8_t *field, const uint8_t *value, size_t n, bool address)
{
	if (memcmp(field, value, n) == 0)
		return;
	if (address && f->ip_csum)
		csum_update(f->ip_csum, field, value, n);
	if (f->l4_csum && f->partial && address)
		csum_update_partial(f->l4_csum, field, value, n);
	else if (f->l4_csum && !f->partial)
		csum_update(f->l4_csum, field, value, n);
	memcpy(field, value, n);
}

static void ports_set(struct header_fields *f, const uint8_t *new_src, const uint8_t *new_dst, uint16_t src_port,
	uint16_t dst_port)
{
	uint8_t port[2];

	field_set(f, f->src, new_src, f->addr_n, true);
	field_set(f, f->dst, new_dst, f->addr_n, true);
	if (f->src_port) {
		store_be16(port, src_port);
		field_set(f, f->src_port, port, 2, false);
	}
	if (f->dst_port) {
		store_be16(port, dst_port);
		field_set(f, f->dst_port, port, 2, false);
	}
}

static struct header_fields fields_of(uint8_t *ip, uint32_t l4_offset, uint8_t proto, uint8_t family, size_t l4_n)
{
	struct header_fields f = { .addr_n = family == ADDR_V4 ? 4 : 16 };
	uint8_t *l4 = ip + l4_offset;

	f.src = ip + (family == ADDR_V4 ? IP4_SRC : IP6_SRC);
	f.dst = ip + (family == ADDR_V4 ? IP4_DST : IP6_DST);
	f.ip_csum = family == ADDR_V4 ? ip + IP4_CSUM : NULL;
	if (proto == IP_TCP || proto == IP_UDP) {
		size_t csum_at = proto == IP_TCP ? TCP_CSUM : UDP_CSUM;
		f.src_port = l4;
		f.dst_port = l4 + 2;
		if (l4_n >= csum_at + 2 && !(proto == IP_UDP && load_be16(l4 + csum_at) == 0))
			f.l4_csum = l4 + csum_at;
	} else if (proto == IP_ICMP || proto == IP_ICMPV6) {
		f.src_port = l4 + 4; /* echo identifier */
		f.l4_csum = l4 + ICMP_CSUM;
	}
	return f;
}

void fw_translate(struct fw_session *s, struct train *t, uint32_t direction)
{
	const struct fw_key *other = &s->key[!direction];
	struct header_fields f = fields_of(t->ip, t->l4_offset, t->proto, t->src.family, t->len - t->l4_offset);

	f.partial = t->csum == TRAIN_CSUM_PARTIAL;
	if (t->proto == IP_ICMP && f.l4_csum) {
		/* ICMPv4 has no pseudo-header: the addresses must not touch its checksum. */
		uint8_t *l4_csum = f.l4_csum;
		f.l4_csum = NULL;
		field_set(&f, f.src, other->dst, f.addr_n, true);
		field_set(&f, f.dst, other->src, f.addr_n, true);
		f.l4_csum = l4_csum;
		uint8_t id[2];
		store_be16(id, other->dst_port);
		field_set(&f, f.src_port, id, 2, false);
	} else {
		ports_set(&f, other->dst, other->src, other->dst_port, other->src_port);
	}
	/* RFC 768: a computed zero is sent as all ones. */
	if (t->proto == IP_UDP && f.l4_csum && !f.partial && load_be16(f.l4_csum) == 0)
		memset(f.l4_csum, 0xff, 2);
	t->src = fw_key_dst(other);
	t->dst = fw_key_src(other);
	t->src_port = other->dst_port;
	t->dst_port = other->src_port;
	t->flags |= TRAIN_TRANSLATED;
}

/* The quoted packet's headers, as far as they are there: RFC 792 promises 8 bytes behind the IP header. */
struct quoted {
	uint8_t *ip;
	uint32_t l4_offset;
	size_t l4_n;
	uint8_t proto, family;
	struct fw_key key;
};

static bool quoted_read(const struct train *t, struct quoted *q)
{
	struct rd r = rd_over(t->ip + t->payload_offset, t->len - t->payload_offset);
	const uint8_t *base = r.at;
	uint8_t first = rd_u8(&r);
	const uint8_t *src, *dst;

	memset(q, 0, sizeof *q);
	q->ip = t->ip + t->payload_offset;
	q->family = t->src.family;
	if (q->family == ADDR_V4) {
		size_t header = 4u * (first & 15);
		rd_take(&r, 5);
		uint16_t fragment = rd_u16(&r);
		rd_u8(&r);
		q->proto = rd_u8(&r);
		rd_u16(&r);
		src = rd_take(&r, 4);
		dst = rd_take(&r, 4);
		if (r.bad || first >> 4 != 4 || header < IP4_HEADER_SIZE || fragment & IP4_OFFSET_MASK ||
			!rd_take(&r, header - IP4_HEADER_SIZE))
			return false;
	} else {
		rd_take(&r, 5);
		q->proto = rd_u8(&r);
		rd_u8(&r);
		src = rd_take(&r, 16);
		dst = rd_take(&r, 16);
		if (r.bad || first >> 4 != 6)
			return false;
	}
	q->l4_offset = (uint32_t)(r.at - base);
	q->l4_n = rd_left(&r);
	q->key.family = q->family;
	q->key.proto = q->proto;
	memcpy(q->key.src, src, q->family == ADDR_V4 ? 4 : 16);
	memcpy(q->key.dst, dst, q->family == ADDR_V4 ? 4 : 16);
	if (q->l4_n < 8)
		return false;
	if (q->proto == IP_TCP || q->proto == IP_UDP) {
		q->key.src_port = rd_u16(&r);
		q->key.dst_port = rd_u16(&r);
	} else if (q->proto == IP_ICMP || q->proto == IP_ICMPV6) {
		rd_u32(&r);
		q->key.src_port = q->key.dst_port = rd_u16(&r);
	}
	return true;
}

/* The key under which the quoted packet's answers would come: the session's direction that the error travels in. */
bool fw_error_key(const struct train *t, struct fw_key *ret_key)
{
	struct quoted q;

	if (!quoted_read(t, &q))
		return false;
	*ret_key = fw_key_reverse(&q.key);
	return true;
}

enum drop_reason fw_translate_error(struct fw_session *s, struct train *t, uint32_t direction)
{
	const struct fw_key *other = &s->key[!direction];
	struct quoted q;
	uint8_t *icmp = t->ip + t->l4_offset;

	/* The checksum is made anew, so the one that came must be believed first. */
	if (train_verify_l4(t) || !quoted_read(t, &q))
		return t->drop ? t->drop : DROP_ICMP_UNRELATED;
	struct header_fields inner = fields_of(q.ip, q.l4_offset, q.proto, q.family, q.l4_n);
	inner.partial = false;
	if (q.proto == IP_ICMP)
		inner.l4_csum = NULL; /* only the identifier would count; the quote is cut, its checksum proves nothing */
	/* The quoted packet went against us: it was (other.src, other.dst) before translation. */
	ports_set(&inner, other->src, other->dst, other->src_port, other->dst_port);

	struct header_fields outer = fields_of(t->ip, t->l4_offset, t->proto, t->src.family, t->len - t->l4_offset);
	outer.l4_csum = NULL;
	field_set(&outer, outer.dst, other->src, outer.addr_n, true);
	/* From behind the translation: the host that complains is shown under the address it is known by. */
	if (direction == 0)
		field_set(&outer, outer.src, other->dst, outer.addr_n, true);
	t->src = t->src.family == ADDR_V4 ? addr_v4(outer.src) : addr_v6(outer.src);
	t->dst = fw_key_src(other);
	memset(icmp + ICMP_CSUM, 0, 2);
	uint32_t l4_n = t->len - t->l4_offset;
	uint64_t sum = t->proto == IP_ICMP ? 0 : csum_pseudo(t->src.b, t->dst.b, addr_size(&t->src), t->proto, l4_n);
	uint16_t c = (uint16_t)~csum_fold(csum_add(sum, icmp, l4_n));
	memcpy(icmp + ICMP_CSUM, &c, 2);
	t->csum = TRAIN_CSUM_VALID;
	t->flags |= TRAIN_TRANSLATED;
	return DROP_NONE;
}
