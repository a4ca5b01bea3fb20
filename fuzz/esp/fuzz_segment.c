/*
 * Joining and cutting what a peer sends: the input is a row of packets, each with a length of two octets.
 * They are joined, and each train is parsed and cut again; sanitizers watch the bounds, the lengths must add
 * up.
 */
#include "base/rd.h"
#include "wire/segment.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void cut(const struct segment_joined *joined)
{
	struct train t = { .ip = joined->ip,
		.len = joined->len,
		.segment_size = joined->segment_size,
		.csum = joined->csum };
	struct segment_cutter c;
	uint32_t packet_n, total = 0;

	if (train_parse(&t) != DROP_NONE || !segment_cut_begin(&c, &t, 0))
		return;
	uint32_t want = t.segment_size ? t.len - t.payload_offset : t.len;
	while (segment_cut_next(&c, &packet_n))
		total += t.segment_size ? packet_n - t.payload_offset : packet_n;
	assert(total == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t buffer[1 << 18];
	static struct segment_joiner j;
	struct rd r = rd_over(data, n);

	segment_join_begin(&j, buffer, sizeof buffer);
	while (rd_left(&r) > 2) {
		struct rd packet = rd_block16(&r, 0);
		size_t packet_n = rd_left(&packet);
		if (packet.bad || packet_n == 0)
			break;
		uint8_t *spot = segment_join_spot(&j, (uint32_t)packet_n);
		if (!spot)
			break;
		memcpy(spot, packet.at, packet_n);
		segment_join_take(&j, spot, (uint32_t)packet_n, 0);
	}
	segment_join_end(&j);
	for (uint32_t i = 0; i < j.n; i++)
		cut(&j.list[i]);
	return 0;
}
