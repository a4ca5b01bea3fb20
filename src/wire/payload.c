/* Lengths and checksums of a train whose payload or TCP header was changed. */
#include "wire/payload.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

enum { IP4_LENGTH = 2, IP6_LENGTH = 4, UDP_LENGTH = 4 };

static void ip_length_set(struct train *t)
{
	uint8_t was[2], *at = t->ip + (t->src.family == ADDR_V4 ? IP4_LENGTH : IP6_LENGTH);
	uint32_t n = t->src.family == ADDR_V4 ? t->len : t->len - IP6_HEADER_SIZE;

	memcpy(was, at, sizeof was);
	store_be16(at, (uint16_t)n);
	if (t->src.family == ADDR_V4)
		csum_update(t->ip + IP4_CSUM, was, at, sizeof was);
}

void train_payload_replaced(struct train *t, uint32_t n)
{
	uint8_t *l4 = t->ip + t->l4_offset, *field = l4 + (t->proto == IP_TCP ? TCP_CSUM : UDP_CSUM);
	bool none = t->proto == IP_UDP && t->src.family == ADDR_V4 && t->csum != TRAIN_CSUM_PARTIAL &&
		    load_be16(field) == 0; /* RFC 768 */

	assert((t->proto == IP_TCP || t->proto == IP_UDP) && !t->inner_l4);
	assert(t->payload_offset + n < TRAIN_BYTES_MAX);
	t->len = t->payload_offset + n;
	if (n <= t->segment_size)
		t->segment_size = 0;
	ip_length_set(t);
	uint32_t l4_n = t->len - t->l4_offset;
	if (t->proto == IP_UDP)
		store_be16(l4 + UDP_LENGTH, (uint16_t)l4_n);
	if (none)
		return;
	uint64_t sum = csum_pseudo(t->src.b, t->dst.b, t->src.family == ADDR_V4 ? 4 : 16, t->proto, l4_n);
	memset(field, 0, 2);
	uint16_t c = csum_fold(t->segment_size ? sum : csum_add(sum, l4, l4_n));
	c = t->segment_size ? c : (uint16_t)~c;
	if (t->proto == IP_UDP && !t->segment_size && c == 0)
		c = 0xffff;
	memcpy(field, &c, 2);
	t->csum = t->segment_size ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_VALID;
}

void train_tcp_header_changed(struct train *t, const uint8_t *was)
{
	uint8_t *l4 = t->ip + t->l4_offset;

	/* A field that the NIC completes counts the header then. The field itself is the same in both. */
	if (t->csum != TRAIN_CSUM_PARTIAL)
		csum_update(l4 + TCP_CSUM, was, l4, (size_t)t->payload_offset - t->l4_offset);
}
