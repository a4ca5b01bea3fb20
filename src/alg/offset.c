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

bool alg_sack_clear(uint8_t *options, size_t n)
{
	size_t at = 0;

	while (at < n && options[at] != 0) {
		if (options[at] == 1) {
			at++;
			continue;
		}
		if (n - at < 2 || options[at + 1] < 2 || options[at + 1] > n - at)
			return false;
		if (options[at] == 4 && options[at + 1] == 2) {
			options[at] = options[at + 1] = 1;
			return true;
		}
		at += options[at + 1];
	}
	return false;
}
