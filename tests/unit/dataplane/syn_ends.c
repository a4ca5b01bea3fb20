#include "syn_ends.h"

#include "base/bytes.h"
#include "packets.h"

static uint32_t some(uint64_t *seed, uint32_t n)
{
	return next_random(seed) % n;
}

struct end end_new(uint64_t *seed)
{
	static const uint16_t sizes[] = { 0, 300, 536, 1220, 1380, 1440, 1460, 8960, 65495 };
	struct end e = { .next = some(seed, 2) ? next_random(seed) : 0u - some(seed, 3000),
		.ts = some(seed, 2) ? next_random(seed) : 0u - some(seed, 100),
		.mss = sizes[some(seed, COUNT_OF(sizes))],
		.scale = (uint8_t)some(seed, 15) };

	e.scales = some(seed, 4) > 0;
	e.sack = some(seed, 4) > 0;
	e.stamps = some(seed, 4) > 0;
	return e;
}

size_t end_stamps(uint8_t *at, uint32_t ts, uint32_t echo)
{
	at[0] = at[1] = 1;
	at[2] = 8;
	at[3] = 10;
	store_be32(at + 4, ts);
	store_be32(at + 8, echo);
	return 12;
}

size_t end_syn_options(uint8_t *at, const struct end *e, uint32_t echo)
{
	size_t n = 0;

	if (e->mss) {
		at[n++] = 2;
		at[n++] = 4;
		store_be16(at + n, e->mss);
		n += 2;
	}
	if (e->scales) {
		at[n++] = 3;
		at[n++] = 3;
		at[n++] = e->scale;
	}
	if (e->sack) {
		at[n++] = 4;
		at[n++] = 2;
	}
	if (e->stamps) {
		at[n++] = 8;
		at[n++] = 10;
		store_be32(at + n, e->ts);
		store_be32(at + n + 4, echo);
		n += 8;
	}
	while (n % 4)
		at[n++] = 1;
	return n;
}
