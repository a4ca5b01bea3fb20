#include "wire/fragment.h"
#include "wire/csum.h"
#include "wire/ip.h"

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
	store_be16(out + 6, (uint16_t)(offset | (more ? IP4_MF : 0)));
	memset(out + IP4_CSUM, 0, 2);
	uint16_t c = (uint16_t)~csum_fold(csum_add(0, out, header));
	memcpy(out + IP4_CSUM, &c, 2);
	return header + n;
}

/* The unfragmentable part is the IPv6 header alone: packets with hop-by-hop headers keep them in the first fragment's data. */
static size_t cut6(uint8_t *out, const struct train *t, uint32_t mtu, uint32_t index, uint32_t id)
{
	uint32_t data = t->len - IP6_HEADER_SIZE, head = IP6_HEADER_SIZE + IP6_FRAGMENT_SIZE;
	uint32_t step = mtu > head ? (mtu - head) & ~7u : 0, at = step * index;

	if (step == 0 || at >= data)
		return 0;
	uint32_t n = MIN_OF(step, data - at);
	bool more = at + n < data;

	memcpy(out, t->ip, IP6_HEADER_SIZE);
	store_be16(out + 4, (uint16_t)(IP6_FRAGMENT_SIZE + n));
	out[6] = IP6_FRAGMENT;
	out[IP6_HEADER_SIZE] = t->ip[6];
	out[IP6_HEADER_SIZE + 1] = 0;
	store_be16(out + IP6_HEADER_SIZE + 2, (uint16_t)(at | (more ? IP6_MF : 0)));
	store_be32(out + IP6_HEADER_SIZE + 4, id);
	memcpy(out + head, t->ip + IP6_HEADER_SIZE + at, n);
	return head + n;
}

size_t fragment_cut(uint8_t *ret_packet, const struct train *t, uint32_t mtu, uint32_t index, uint32_t id)
{
	return t->src.family == ADDR_V4 ? cut4(ret_packet, t, mtu, index) : cut6(ret_packet, t, mtu, index, id);
}
