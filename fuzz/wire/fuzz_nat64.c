/*
 * NAT64: whatever is parsed and translated is parsed again and says the same, a right checksum stays right and a wrong one
 * wrong, what is refused is as it was, and nothing is written outside of the packet and its head room.
 */
#include "must.h"
#include "packets.h"
#include "wire/nat64.h"
#include "wire/quoted.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct ip_addr address(bool v6, uint8_t last)
{
	struct ip_addr a = { .family = v6 ? ADDR_V6 : ADDR_V4, .b = { 32, 1, 13, 184 } };

	a.b[v6 ? 15 : 3] = last;
	return a;
}

/* ICMP over nothing but zeros, with a checksum of zero instead of ones: the other zero of one's complement. */
static bool is_all_zeros(const struct train *t)
{
	uint8_t any = 0;

	for (uint32_t i = t->l4_offset; i < t->len; i++)
		any |= t->ip[i];
	return any == 0;
}

static bool is_sound(struct train t)
{
	if (is_all_zeros(&t))
		return true;
	t.csum = TRAIN_CSUM_UNKNOWN;
	return train_verify_l4(&t) == DROP_NONE;
}

static void once(struct train *t, uint8_t *before, bool sound)
{
	bool to_v6 = t->src.family == ADDR_V4, error = t->flags & TRAIN_ICMP_ERROR;
	const struct nat64_ends to = { address(to_v6, 1), address(to_v6, 2), error ? 0 : 7, error ? 0 : 7 },
				quoted = { address(to_v6, 2), address(to_v6, 3), 9, 9 };
	struct train was = *t;

	memcpy(before, t->ip, t->len);
	if (error ? !nat64_translate_error(t, &to, &quoted) : !nat64_translate(t, &to, 5)) {
		MUST(t->ip == was.ip && t->len == was.len && t->src.family == was.src.family);
		MUST(memcmp(before, t->ip, t->len) == 0);
		return;
	}
	MUST(t->ip + 2 * NAT64_GROWS >= was.ip && t->ip + t->len <= was.ip + was.len);
	struct train again = { .ip = t->ip, .len = t->len, .segment_size = t->segment_size, .csum = t->csum };
	MUST(train_parse(&again) == DROP_NONE);
	MUST(again.len == t->len && again.proto == t->proto && again.l4_offset == t->l4_offset);
	MUST(again.payload_offset == t->payload_offset && again.src_port == t->src_port);
	MUST(addr_equal(&again.src, &t->src) && addr_equal(&again.dst, &t->dst));
	MUST((again.flags & TRAIN_ICMP_ERROR) == (was.flags & TRAIN_ICMP_ERROR));
	MUST(t->segment_size || is_sound(*t) == sound || error);
	struct quoted q;
	MUST(!error || quoted_in_error(&q, t->proto, t->ip + t->l4_offset, t->len - t->l4_offset));
	MUST(!error || (addr_equal(&q.src, &quoted.src) && addr_equal(&q.dst, &quoted.dst)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t before[TRAIN_BYTES_MAX];

	if (n < 2 || n > 4000)
		return 0;
	/* The octets end where the allocation ends. */
	uint8_t *room = malloc(2 * NAT64_GROWS + n - 1);
	MUST(room);
	memcpy(room + 2 * NAT64_GROWS, data + 1, n - 1);
	struct train t = { .ip = room + 2 * NAT64_GROWS,
		.len = (uint32_t)(n - 1),
		.segment_size = data[0] & 1 ? 100 : 0,
		.csum = TRAIN_CSUM_UNKNOWN };
	uint8_t first = t.ip[0] >> 4;
	if (data[0] & 2 && first == 4 && t.len >= 20) { /* a right header checksum is hard to guess */
		store_be16(t.ip + IP4_CSUM, 0);
		store_be16(t.ip + IP4_CSUM, plain_checksum(0, t.ip, MIN_OF(4u * (t.ip[0] & 15), t.len)));
	}
	bool known = train_parse(&t) == DROP_NONE && !(t.flags & TRAIN_FRAGMENT) &&
		     (t.proto == IP_TCP || t.proto == IP_UDP || t.proto == IP_ICMP || t.proto == IP_ICMPV6);
	if (known && data[0] & 4 && !t.segment_size) {
		t.csum = TRAIN_CSUM_PARTIAL;
		train_complete_l4(&t);
	}
	if (known && !(t.flags & TRAIN_ICMP_ERROR && t.segment_size))
		once(&t, before, is_sound(t));
	free(room);
	return 0;
}
