#include "wire/fragment.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

static size_t cut4(uint8_t *out, const struct train *t, uint32_t mtu, uint32_t index)
{
	uint32_t header = 4u * (t->ip[0] & 15), data = t->len - header;
	uint32_t step = mtu > header ? (mtu - header) & ~7u : 0, at = step * index;

	if (step == 0 || at >= data)
		return 0;
	uint32_t n = MIN_OF(step, data - at);
	uint16_t field = load_be16(t->ip + 6);
	uint32_t offset = (field & IP4_OFFSET_MASK) + at / 8;
	bool more = at + n < data || field & IP4_MF;

	memcpy(out, t->ip, header);
	memcpy(out + header, t->ip + header + at, n);
	store_be16(out + 2, (uint16_t)(header + n));
	store_be16(out + 6, (uint16_t)(offset | (field & IP4_DF) | (more ? IP4_MF : 0)));
	memset(out + IP4_CSUM, 0, 2);
	uint16_t c = (uint16_t)~csum_fold(csum_add(0, out, header));
	memcpy(out + IP4_CSUM, &c, 2);
	return header + n;
}

/*
 * RFC 8200 section 4.5: the headers up to and including hop-by-hop options stand in every fragment; routing
 * headers are not forwarded, and what follows belongs to the fragmentable part.
 */
static uint32_t unfragmentable6(const struct train *t, uint32_t *ret_next_at)
{
	uint32_t n = IP6_HEADER_SIZE;

	*ret_next_at = 6;
	if (t->ip[6] == IP6_HOP_BY_HOP && t->len >= IP6_HEADER_SIZE + 8) {
		*ret_next_at = IP6_HEADER_SIZE;
		n += 8u + 8u * t->ip[IP6_HEADER_SIZE + 1];
	}
	return n <= t->len ? n : t->len;
}

static size_t cut6(uint8_t *out, const struct train *t, uint32_t mtu, uint32_t index, uint32_t id)
{
	uint32_t next_at, fixed = unfragmentable6(t, &next_at);
	uint32_t data = t->len - fixed, head = fixed + IP6_FRAGMENT_SIZE;
	uint32_t step = mtu > head ? (mtu - head) & ~7u : 0, at = step * index;

	if (step == 0 || at >= data)
		return 0;
	uint32_t n = MIN_OF(step, data - at);
	bool more = at + n < data;

	memcpy(out, t->ip, fixed);
	store_be16(out + 4, (uint16_t)(head - IP6_HEADER_SIZE + n));
	out[next_at] = IP6_FRAGMENT;
	out[fixed] = t->ip[next_at];
	out[fixed + 1] = 0;
	store_be16(out + fixed + 2, (uint16_t)(at | (more ? IP6_MF : 0)));
	store_be32(out + fixed + 4, id);
	memcpy(out + head, t->ip + fixed + at, n);
	return head + n;
}

size_t fragment_cut(uint8_t *ret_packet, const struct train *t, uint32_t mtu, uint32_t index, uint32_t id)
{
	assert(t->segment_size == 0 && t->csum != TRAIN_CSUM_PARTIAL);
	return t->src.family == ADDR_V4 ? cut4(ret_packet, t, mtu, index)
					: cut6(ret_packet, t, mtu, index, id);
}
