/*
 * TCP's options, as the tap reads those of a SYN+ACK (RFC 9293 section 3.1, RFC 7323 section 2). For carry.bpf.c alone.
 */
#ifndef CARRY_OPTIONS_H
#define CARRY_OPTIONS_H

#include "carry/kernel.h"
#include "wire/ip.h"

#define TCP_OPTIONS_ROOM 40
#define TCP_OPTIONS_READ 8 /* one with more is the data plane's */

/* Of TCP: as they stand in a packet, and zeros behind them. */
struct options {
	_Alignas(8) uint8_t b[TCP_OPTIONS_ROOM + 28];
	uint32_t n;
};

/* The scale and the segment size that it announces. Not when anything is not in order, or stands there twice. */
struct announced {
	uint32_t mss, scale, scales;
};

/* All bits, or none. */
static __always_inline uint32_t equal_mask(uint32_t a, uint32_t b)
{
	uint32_t differs = a ^ b;

	opaque(differs);
	return ((differs | -differs) >> 31) - 1;
}

static __always_inline uint32_t less_mask(uint32_t a, uint32_t b)
{
	uint32_t less = a - b;

	opaque(less);
	return -(less >> 31);
}

/* Without a branch, as place_find(): the verifier follows each way through all that comes after it. */
static __always_inline int options_read(const struct options *o, struct announced *ret)
{
	uint32_t at = 0, bad = 0, mss_seen = 0, scale_seen = 0, mss = 0, scale = 0;

	NOT_UNROLLED
	for (uint32_t i = 0; i < TCP_OPTIONS_READ; i++) {
		opaque(at);
		const uint8_t *b = &o->b[at & 63];
		const uint32_t end = equal_mask(b[0], 0) | ~less_mask(at, o->n);
		const uint32_t nop = ~end & equal_mask(b[0], 1);
		const uint32_t is_mss = ~end & equal_mask(b[0], TCP_OPTION_MSS),
			       is_scale = ~end & equal_mask(b[0], TCP_OPTION_WINDOW_SCALE);
		const uint32_t n = (b[1] & ~(end | nop)) | (nop & 1) | (end & TCP_OPTIONS_ROOM);
		bad |= ~(nop | end) & less_mask(n, 2);
		bad |= ~end & less_mask(o->n, at + n);
		bad |= is_mss & (mss_seen | ~equal_mask(n, 4));
		bad |= is_scale & (scale_seen | ~equal_mask(n, 3));
		mss_seen |= is_mss;
		scale_seen |= is_scale;
		mss |= is_mss & ((uint32_t)b[2] << 8 | b[3]);
		scale |= is_scale & b[2];
		at += n;
	}
	*ret = (struct announced){ mss, scale < CARRY_SCALE_MAX ? scale : CARRY_SCALE_MAX, scale_seen & 1 };
	return !bad && at >= o->n;
}

#endif
