/*
 * The programs for the kernel over any packet, any record and any note: neither reads nor writes outside of its memory (the verifier
 * proves it of what runs in the kernel, the sanitizers of this), what the tap takes is sent to a link of the map with its own
 * length or counted as lost, and what it does not take leaves no trace.
 *
 * The first octets say how the record differs from one that fits the packet; the rest is the frame.
 */
#include "carry/kernel.h"
#include "must.h"
#include "unit/carry/kernel.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { IN = 1, OUT = 7, HEAD = 8, EPOCH = 5 };

/* A record for the frame as it is, so that much of it is carried. */
static void record_fit(const uint8_t *how, const uint8_t *frame, size_t n)
{
	struct carry_record *r = &kernel_records[0];
	size_t v6 = n > 14 && frame[12] == 0x86, l4 = v6 ? 54 : 34;

	*r = (struct carry_record){ .state = how[0] & 1 ? CARRY_FREE : CARRY_PLACED,
		.epoch = how[0] & 2 ? EPOCH + 1 : EPOCH,
		.generation = how[0] >> 2 & 1,
		.family = v6 ? 6 : 4,
		.worker = how[1] };
	if (n < l4 + 20)
		return;
	r->proto = frame[v6 ? 20 : 23];
	memcpy(r->key[0].src, frame + (v6 ? 22 : 26), v6 ? 16 : 4);
	memcpy(r->key[0].dst, frame + (v6 ? 38 : 30), v6 ? 16 : 4);
	memcpy(&r->key[0].src_port, frame + l4, 4);
	r->key[0].interface = IN;
	r->way[0] = (struct carry_way){ .interface = how[0] & 8 ? OUT + 1 : OUT,
		.mtu = (uint16_t)(how[2] * 8),
		.flags = how[3],
		.dscp = how[4] };
	memset(r->way[0].src, how[5], 36);
	uint32_t seq = __builtin_bswap32(carry_word(frame + l4 + 4) & 0xffffffff),
		 ack = __builtin_bswap32(carry_word(frame + l4 + 4) >> 32);
	r->side[0] = (struct carry_side){ seq, seq + how[6] * 100u, how[7] * 1000u, ack, how[7] };
	r->side[1] = (struct carry_side){ ack, ack + 1000, how[6] * 1000u, seq, how[6] };
}

static void place(void)
{
	const struct carry_record *r = &kernel_records[0];
	uint64_t hash = carry_hash(kernel_head->hash_key, &r->key[0], r->family, r->proto);
	struct carry_bucket *b = &kernel_buckets[carry_bucket_of(hash)];

	memset(kernel_buckets, 0, sizeof *b * CARRY_BUCKETS / 64); /* of many inputs some */
	memset(b, 0, sizeof *b);
	b->place[hash >> 61] = (struct carry_place){ 1, carry_tag(hash) };
	b->place[(hash >> 61) ^ 1] = (struct carry_place){ UINT32_MAX, carry_tag(hash) };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!kernel_head)
		kernel_init();
	if (n < HEAD)
		return 0;
	kernel_link(IN);
	kernel_link(OUT);
	kernel_now = 5000000000ull;
	kernel_head->epoch = EPOCH;
	kernel_head->lost = 0;
	for (size_t i = 0; i < CARRY_WORKERS; i++)
		kernel_head->beat[i] = kernel_now - CARRY_BEAT_NS;
	record_fit(data, data + HEAD, n - HEAD);
	place();
	uint8_t *frame = malloc(n - HEAD + 1); /* of its exact size, so that reading behind it is seen */
	MUST(frame);
	memcpy(frame, data + HEAD, n - HEAD);
	struct kernel_packet p = { .frame = frame, .partial = data[1] & 16 };
	struct carry_record before = kernel_records[0];
	p.b.len = (uint32_t)(n - HEAD);
	p.b.ifindex = IN;
	p.b.gso_size = data[1] & 32 ? 1 + data[2] * 4u : 0;
	bool taken = kernel_tap(&p) == 0;
	if (!taken)
		MUST(memcmp(&before, &kernel_records[0], sizeof before) == 0);
	if (taken && data[1] & 64)
		kernel_records[0].generation += 2;
	uint32_t length = p.b.len;
	int verdict = kernel_carry(&p);
	MUST(taken ? (verdict == 7 && p.sent_to == OUT && p.b.len <= length) ||
				(verdict == TC_ACT_SHOT && kernel_head->lost == 1)
		   : verdict == TC_ACT_UNSPEC && p.sent_to == 0);
	MUST(kernel_carry(&p) == TC_ACT_UNSPEC);
	free(frame);
	return 0;
}
