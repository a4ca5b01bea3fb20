/* Joining: packets of one flow into a train, as receive offload does it. */
#include "wire/segment.h"

#include "base/rd.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

#define TRAIN_ALIGN 64u

/* False: not a packet that can be part of a train (other protocol, options, fragment, lengths that do not
 * agree). */
static bool shape_read(struct segment_shape *s, const uint8_t *ip, uint32_t n)
{
	if (n < IP4_HEADER_SIZE)
		return false;
	s->version = ip[0] >> 4;
	if (s->version == 4) {
		if (ip[0] != 0x45 || load_be16(ip + 2) != n || load_be16(ip + 6) & (IP4_MF | IP4_OFFSET_MASK))
			return false;
		s->proto = ip[9];
		s->id = load_be16(ip + 4);
		s->dont_fragment = load_be16(ip + 6) & IP4_DF;
		s->l4_offset = IP4_HEADER_SIZE;
	} else if (s->version == 6) {
		if (n < IP6_HEADER_SIZE || load_be16(ip + 4) != n - IP6_HEADER_SIZE)
			return false;
		s->proto = ip[6];
		s->id = 0;
		s->dont_fragment = true;
		s->l4_offset = IP6_HEADER_SIZE;
	} else {
		return false;
	}
	const uint8_t *l4 = ip + s->l4_offset;
	uint32_t l4_n = n - s->l4_offset;
	if (s->proto == IP_TCP) {
		if (l4_n < TCP_HEADER_SIZE || l4[12] >> 4 < 5 || 4u * (l4[12] >> 4) > l4_n)
			return false;
		s->head_n = s->l4_offset + 4u * (l4[12] >> 4);
		s->sequence = load_be32(l4 + 4);
		s->tcp_flags = l4[13];
	} else if (s->proto == IP_UDP) {
		if (l4_n < UDP_HEADER_SIZE || load_be16(l4 + 4) != l4_n || load_be16(l4 + UDP_CSUM) == 0)
			return false;
		s->head_n = s->l4_offset + UDP_HEADER_SIZE;
		s->sequence = 0;
		s->tcp_flags = 0;
	} else {
		return false;
	}
	s->payload_n = n - s->head_n;
	return s->payload_n > 0;
}

/* Checksums must be right before they are left to be made again: a train would launder a broken packet. */
static bool checksums_right(const struct segment_shape *s, const uint8_t *ip, uint32_t n)
{
	uint32_t l4_n = n - s->l4_offset;
	const uint8_t *addrs = ip + (s->version == 4 ? IP4_SRC : IP6_SRC);
	size_t addr_n = s->version == 4 ? 4 : 16;

	if (s->version == 4 && csum_fold(csum_add(0, ip, IP4_HEADER_SIZE)) != 0xffff)
		return false;
	uint64_t sum = csum_pseudo(addrs, addrs + addr_n, addr_n, s->proto, l4_n);
	return csum_fold(csum_add(sum, ip + s->l4_offset, l4_n)) == 0xffff;
}

/* A train may begin with this packet: data, and no flag that ends or begins something. */
static bool may_grow(const struct segment_shape *s)
{
	return s->proto == IP_UDP || (s->tcp_flags & ~(TCP_CWR | TCP_ECE)) == TCP_ACK;
}

static bool same_flow(
	const struct segment_shape *a, const uint8_t *train, const struct segment_shape *b, const uint8_t *ip)
{
	if (a->version != b->version || a->proto != b->proto || a->head_n != b->head_n)
		return false;
	if (a->version == 4) {
		/* class; DF, TTL and protocol; addresses */
		if (train[1] != ip[1] || memcmp(train + 6, ip + 6, 4) != 0 ||
			memcmp(train + 12, ip + 12, 8) != 0)
			return false;
	} else if (memcmp(train, ip, 4) != 0 || memcmp(train + 6, ip + 6, 34) != 0) {
		return false; /* class and label; next header, hop limit, addresses */
	}
	return memcmp(train + a->l4_offset, ip + b->l4_offset, 4) == 0; /* ports */
}

static bool continues(const struct segment_joiner *j, const struct segment_joined *t,
	const struct segment_shape *s, const uint8_t *ip, uint32_t key)
{
	const struct segment_shape *before = &j->shape;
	const uint8_t *a = j->head + before->l4_offset, *b = ip + s->l4_offset;

	if (key != t->key || s->payload_n > t->segment_size || t->len + s->payload_n > UINT16_MAX ||
		j->packets == SEGMENT_PACKETS_MAX || !same_flow(before, j->head, s, ip))
		return false;
	/* RFC 6864: the identification of a packet that cannot be fragmented says nothing. */
	if (!s->dont_fragment && s->id != (uint16_t)(before->id + 1))
		return false;
	if (s->proto == IP_UDP)
		return true;
	if (s->sequence != before->sequence + before->payload_n)
		return false;
	/* acknowledgement; length and flags but those that a last packet may have; window, urgent pointer;
	 * options */
	uint8_t flags = (uint8_t)((a[13] ^ b[13]) & ~(TCP_CWR | TCP_FIN | TCP_PSH));
	return memcmp(a + 8, b + 8, 4) == 0 && flags == 0 && !(b[13] & TCP_CWR) &&
	       memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, s->head_n - s->l4_offset - 18) == 0;
}

void segment_join_begin(struct segment_joiner *j, uint8_t *buffer, size_t n)
{
	j->at = buffer;
	j->end = buffer + n;
	j->n = 0;
	j->open = false;
}

/* Where a new train would begin after `from`. */
static uint8_t *fresh_spot(uint8_t *from)
{
	uintptr_t a = (uintptr_t)from + TRAIN_HEAD_ROOM;

	return from + TRAIN_HEAD_ROOM + (TRAIN_ALIGN - a % TRAIN_ALIGN) % TRAIN_ALIGN;
}

uint8_t *segment_join_spot(struct segment_joiner *j, uint32_t n)
{
	uint8_t *fresh = fresh_spot(j->at);

	/* The fresh place is needed as well when the packet turns out not to continue the train. */
	if (fresh > j->end || (size_t)(j->end - fresh) < (size_t)n + TRAIN_TAIL_ROOM)
		return NULL;
	if (j->n == SEGMENT_TRAINS_MAX)
		return NULL;
	if (!j->open)
		return fresh;
	memcpy(j->kept, j->at - j->shape.head_n, j->shape.head_n);
	return j->at - j->shape.head_n;
}

void segment_join_leave(struct segment_joiner *j, uint8_t *spot)
{
	if (j->open)
		memcpy(spot, j->kept, j->shape.head_n);
}

void segment_join_end(struct segment_joiner *j)
{
	const struct segment_shape *s = &j->shape;

	if (!j->open)
		return;
	assert(j->n > 0 && j->packets > 0 && j->packets <= SEGMENT_PACKETS_MAX);
	struct segment_joined *t = &j->list[j->n - 1];
	j->open = false;
	if (j->packets == 1) {
		t->segment_size = 0;
		return;
	}
	uint32_t l4_n = t->len - s->l4_offset;
	uint8_t *ip = t->ip, *l4 = ip + s->l4_offset;
	if (s->version == 4) {
		store_be16(ip + 2, (uint16_t)t->len);
		memset(ip + IP4_CSUM, 0, 2);
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, IP4_HEADER_SIZE));
		memcpy(ip + IP4_CSUM, &sum, 2);
	} else {
		store_be16(ip + 4, (uint16_t)(t->len - IP6_HEADER_SIZE));
	}
	if (s->proto == IP_TCP) {
		l4[13] |= s->tcp_flags & (TCP_FIN | TCP_PSH);
		t->flags |= l4[13] & TCP_CWR ? TRAIN_TCP_CWR : 0;
	} else {
		store_be16(l4 + 4, (uint16_t)l4_n);
	}
	size_t addr_n = s->version == 4 ? 4 : 16;
	const uint8_t *addrs = ip + (s->version == 4 ? IP4_SRC : IP6_SRC);
	uint16_t partial = csum_fold(csum_pseudo(addrs, addrs + addr_n, addr_n, s->proto, l4_n));
	memcpy(l4 + (s->proto == IP_TCP ? TCP_CSUM : UDP_CSUM), &partial, 2);
	t->csum = TRAIN_CSUM_PARTIAL;
}

static void train_begin(struct segment_joiner *j, uint8_t *ip, uint32_t n, uint32_t key)
{
	assert(j->n < SEGMENT_TRAINS_MAX);
	struct segment_joined *t = &j->list[j->n++];

	*t = (struct segment_joined){ .ip = ip, .len = n, .csum = TRAIN_CSUM_UNKNOWN, .key = key };
	j->at = ip + n;
	j->packets = 1;
	j->open = shape_read(&j->shape, ip, n) && may_grow(&j->shape) && checksums_right(&j->shape, ip, n);
	if (!j->open)
		return;
	t->csum = TRAIN_CSUM_VALID;
	t->segment_size = (uint16_t)j->shape.payload_n;
	memcpy(j->head, ip, j->shape.head_n);
}

void segment_join_take(struct segment_joiner *j, uint8_t *spot, uint32_t n, uint32_t key)
{
	struct segment_shape s;

	if (!j->open) {
		train_begin(j, spot, n, key);
		return;
	}
	struct segment_joined *t = &j->list[j->n - 1];
	if (!shape_read(&s, spot, n) || !continues(j, t, &s, spot, key) || !checksums_right(&s, spot, n)) {
		uint8_t *fresh = fresh_spot(j->at);
		memmove(fresh, spot, n);
		memcpy(spot, j->kept, j->shape.head_n);
		segment_join_end(j);
		train_begin(j, fresh, n, key);
		return;
	}
	memcpy(spot, j->kept, s.head_n);
	t->len += s.payload_n;
	j->at += s.payload_n;
	j->shape = s;
	j->packets++;
	if (s.payload_n < t->segment_size || s.tcp_flags & (TCP_FIN | TCP_PSH))
		segment_join_end(j);
}
