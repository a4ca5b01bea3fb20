/* Cutting: a train into packets. Joining is in segment_join.c. */
#include "wire/segment.h"

#include "wire/csum.h"
#include "wire/ip.h"

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
	c->head_n = t->payload_offset;
	c->l4_offset = t->l4_offset;
	c->proto = t->proto;
	c->version = t->ip[0] >> 4;
	if ((t->proto != IP_TCP && t->proto != IP_UDP) || t->flags & TRAIN_FRAGMENT ||
		c->head_n > SEGMENT_HEAD_MAX || c->l4_offset < IP4_HEADER_SIZE)
		return false;
	const uint8_t *l4 = t->ip + t->l4_offset;
	c->address_sum = csum_pseudo(t->src.b, t->dst.b, addr_size(&t->src), t->proto, 0);
	c->id = c->version == 4 ? load_be16(t->ip + 4) : 0;
	c->sequence = t->proto == IP_TCP ? load_be32(l4 + 4) : 0;
	c->tcp_flags = t->proto == IP_TCP ? l4[13] : 0;
	c->no_checksum = t->proto == IP_UDP && c->version == 4 && t->csum != TRAIN_CSUM_PARTIAL &&
			 load_be16(l4 + UDP_CSUM) == 0;
	memcpy(c->head, t->ip, c->head_n);
	return true;
}

uint32_t segment_cut_peek(const struct segment_cutter *c)
{
	if (c->segment_size == 0)
		return c->index == 0 ? c->train->len : 0;
	if (c->done == c->payload_n && c->index > 0)
		return 0;
	return c->head_n + MIN_OF(c->segment_size, c->payload_n - c->done);
}

static void ip_header_finish(const struct segment_cutter *c, uint8_t *ip, uint32_t n)
{
	if (c->version == 6) {
		store_be16(ip + 4, (uint16_t)(n - IP6_HEADER_SIZE));
		return;
	}
	store_be16(ip + 2, (uint16_t)n);
	store_be16(ip + 4, (uint16_t)(c->id + c->index));
	memset(ip + IP4_CSUM, 0, 2);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 4u * (ip[0] & 15)));
	memcpy(ip + IP4_CSUM, &sum, 2);
}

static void l4_header_finish(const struct segment_cutter *c, uint8_t *l4, uint32_t l4_n, bool last)
{
	uint32_t field = c->proto == IP_TCP ? TCP_CSUM : UDP_CSUM;

	if (c->proto == IP_TCP) {
		uint8_t flags = c->tcp_flags;
		if (!last)
			flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
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
	if (sum == 0 && c->proto == IP_UDP)
		sum = 0xffff;
	memcpy(l4 + field, &sum, 2);
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
	uint8_t *ip = c->payload + c->done - c->head_n;
	memcpy(ip, c->head, c->head_n);
	ip_header_finish(c, ip, n);
	l4_header_finish(c, ip + c->l4_offset, n - c->l4_offset, c->done + n - c->head_n == c->payload_n);
	c->done += n - c->head_n;
	c->index++;
	return ip;
}
