/* Cutting: a train into packets. Joining is in segment_join.c. */
#include "wire/segment.h"

#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

static bool layers_of(struct segment_layers *l, const struct train *t)
{
	if (t->flags & TRAIN_FRAGMENT)
		return false;
	if (t->inner_l4)
		return segment_layers_read(l, t->ip, t->len, t->inner_l4);
	l->layer[0] = (struct segment_layer){ SEGMENT_IP, 0 };
	l->n = 1;
	l->proto = t->proto;
	l->l4_offset = t->l4_offset;
	l->head_n = t->payload_offset;
	return (t->proto == IP_TCP || t->proto == IP_UDP) && t->payload_offset <= SEGMENT_HEAD_MAX &&
	       t->l4_offset >= IP4_HEADER_SIZE;
}

/* By the addresses of the IP header there. */
static uint64_t pseudo_sum(const uint8_t *ip, uint8_t proto, uint32_t l4_n)
{
	bool v4 = ip[0] >> 4 == 4;

	return csum_pseudo(
		ip + (v4 ? IP4_SRC : IP6_SRC), ip + (v4 ? IP4_DST : IP6_DST), v4 ? 4 : 16, proto, l4_n);
}

bool segment_cut_begin(struct segment_cutter *c, struct train *t, uint16_t size)
{
	uint32_t segment_size = size ? size : t->segment_size;

	c->train = t;
	c->payload = t->ip + t->payload_offset;
	c->payload_n = t->len - t->payload_offset;
	c->done = 0;
	c->index = 0;
	c->segment_size = segment_size;
	if (t->segment_size == 0 && (segment_size == 0 || c->payload_n <= segment_size)) {
		train_complete_l4(t);
		c->segment_size = 0;
		return true;
	}
	if (!layers_of(&c->layers, t))
		return false;
	const struct segment_layers *l = &c->layers;
	assert(l->n > 0 && l->head_n <= SEGMENT_HEAD_MAX && l->head_n == t->payload_offset);
	const uint8_t *l4 = t->ip + l->l4_offset;
	c->address_sum = pseudo_sum(t->ip + l->layer[l->n - 1].at, l->proto, 0);
	c->sequence = l->proto == IP_TCP ? load_be32(l4 + 4) : 0;
	c->tcp_flags = l->proto == IP_TCP ? l4[13] : 0;
	c->no_checksum = t->proto == IP_UDP && !t->inner_l4 && t->src.family == ADDR_V4 &&
			 t->csum != TRAIN_CSUM_PARTIAL && load_be16(l4 + UDP_CSUM) == 0;
	memcpy(c->head, t->ip, l->head_n);
	return true;
}

uint32_t segment_cut_peek(const struct segment_cutter *c)
{
	if (c->segment_size == 0)
		return c->index == 0 ? c->train->len : 0;
	if (c->done == c->payload_n && c->index > 0)
		return 0;
	return c->layers.head_n + MIN_OF(c->segment_size, c->payload_n - c->done);
}

static void ip_header_finish(const struct segment_cutter *c, uint8_t *ip, uint32_t n)
{
	if (ip[0] >> 4 == 6) {
		store_be16(ip + 4, (uint16_t)(n - IP6_HEADER_SIZE));
		return;
	}
	store_be16(ip + 2, (uint16_t)n);
	store_be16(ip + 4, (uint16_t)(load_be16(ip + 4) + c->index));
	memset(ip + IP4_CSUM, 0, 2);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 4u * (ip[0] & 15)));
	memcpy(ip + IP4_CSUM, &sum, 2);
}

static void l4_header_finish(const struct segment_cutter *c, uint8_t *l4, uint32_t l4_n, bool last)
{
	uint8_t proto = c->layers.proto;
	uint32_t field = proto == IP_TCP ? TCP_CSUM : UDP_CSUM;

	if (proto == IP_TCP) {
		uint8_t flags = c->tcp_flags;
		if (!last)
			flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
		if (c->index > 0)
			flags &= (uint8_t)~TCP_CWR; /* RFC 3168 6.1.2: once */
		l4[13] = flags;
		store_be32(l4 + 4, c->sequence + c->done);
	} else {
		store_be16(l4 + 4, (uint16_t)l4_n);
	}
	memset(l4 + field, 0, 2);
	if (c->no_checksum)
		return;
	uint16_t sum = (uint16_t)~csum_fold(csum_add(c->address_sum + csum_number((uint16_t)l4_n), l4, l4_n));
	if (sum == 0 && proto == IP_UDP)
		sum = 0xffff;
	memcpy(l4 + field, &sum, 2);
}

/* Of a tunnel; one without a checksum (RFC 768, RFC 6935) stays so. */
static void udp_header_finish(uint8_t *udp, uint32_t n, const uint8_t *ip)
{
	store_be16(udp + 4, (uint16_t)n);
	if (load_be16(udp + UDP_CSUM) == 0)
		return;
	memset(udp + UDP_CSUM, 0, 2);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(pseudo_sum(ip, IP_UDP, n), udp, n));
	sum = sum ? sum : 0xffff;
	memcpy(udp + UDP_CSUM, &sum, 2);
}

static void gre_header_finish(uint8_t *gre, uint32_t n)
{
	memset(gre + 4, 0, 2);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, gre, n));
	memcpy(gre + 4, &sum, 2);
}

/* From the inner to the outer, whose checksums count what is in them. */
static void headers_finish(const struct segment_cutter *c, uint8_t *ip, uint32_t n)
{
	const struct segment_layers *l = &c->layers;

	l4_header_finish(c, ip + l->l4_offset, n - l->l4_offset, c->done + n - l->head_n == c->payload_n);
	for (uint32_t i = l->n; i-- > 0;) {
		uint32_t at = l->layer[i].at;
		if (l->layer[i].kind == SEGMENT_IP)
			ip_header_finish(c, ip + at, n - at);
		else if (l->layer[i].kind == SEGMENT_UDP)
			udp_header_finish(ip + at, n - at, ip + l->layer[i - 1].at);
		else
			gre_header_finish(ip + at, n - at);
	}
}

uint8_t *segment_cut_next(struct segment_cutter *c, uint32_t *ret_n)
{
	uint32_t n = segment_cut_peek(c);

	*ret_n = n;
	if (n == 0)
		return NULL;
	if (c->segment_size == 0) {
		c->index = 1;
		return c->train->ip;
	}
	uint32_t head_n = c->layers.head_n;
	uint8_t *ip = c->payload + c->done - head_n;
	memcpy(ip, c->head, head_n);
	headers_finish(c, ip, n);
	c->done += n - head_n;
	c->index++;
	return ip;
}
