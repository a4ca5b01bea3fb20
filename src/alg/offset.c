/* Sequence numbers of a stream whose text was replaced. */
#include "alg/offset.h"

void alg_offset_add(struct alg_offset *o, uint32_t start, uint32_t end, uint32_t n)
{
	o->before = o->after;
	o->after += n - (end - start);
	o->start = start;
	o->end = end;
	o->used = true;
}

uint32_t alg_offset_seq(const struct alg_offset *o, uint32_t seq)
{
	if (!o->used)
		return seq;
	return seq + (alg_seq_before(seq, o->end) ? o->before : o->after);
}

uint32_t alg_offset_ack(const struct alg_offset *o, uint32_t ack)
{
	if (!o->used)
		return ack;
	if (!alg_seq_before(ack, o->end + o->after))
		return ack - o->after;
	return alg_seq_before(o->start + o->before, ack) ? o->start : ack - o->before;
}

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK = 5, SACK_BLOCK_SIZE = 8 };

static bool within(const struct alg_offset *o, uint32_t edge)
{
	return o->used && alg_seq_before(o->start + o->before, edge) &&
	       alg_seq_before(edge, o->end + o->after);
}

static void blocks_put(const struct alg_offset *o, uint8_t *option, size_t n)
{
	for (size_t i = 2; i + 4 <= n; i += 4)
		if (within(o, load_be32(option + i))) {
			memset(option, OPTION_NOP, n);
			return;
		}
	for (size_t i = 2; i + 4 <= n; i += 4)
		store_be32(option + i, alg_offset_ack(o, load_be32(option + i)));
}

void alg_offset_sack(const struct alg_offset *o, uint8_t *options, size_t n)
{
	size_t at = 0;

	while (at < n && options[at] != OPTION_END) {
		if (options[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (n - at < 2 || options[at + 1] < 2 || options[at + 1] > n - at)
			return;
		if (options[at] == OPTION_SACK && (options[at + 1] - 2) % SACK_BLOCK_SIZE == 0)
			blocks_put(o, options + at, options[at + 1]);
		at += options[at + 1];
	}
}
