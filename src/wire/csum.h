/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * Sums are kept in the byte order of memory, as RFC 1071 section 2(B) allows: a sum is stored back as it is,
 * without swapping. Values that are put into a sum as numbers go through csum_number().
 */
#ifndef WIRE_CSUM_H
#define WIRE_CSUM_H

#include "base/bytes.h"

/* A 16-bit number in network byte order. */
static inline uint32_t csum_number(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* csum_add() without the wide instructions that long ranges are worth. */
static inline uint64_t csum_add_words(uint64_t sum, const void *bytes, size_t n)
{
	const uint8_t *b = (const uint8_t *)bytes;
	uint64_t carry_sum = 0;

	sum = (sum & 0xffffffff) + (sum >> 32);
	for (; n >= 32; n -= 32, b += 32) {
		uint32_t w[8];
		memcpy(w, b, 32);
		carry_sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
		carry_sum += (uint64_t)w[4] + w[5] + w[6] + w[7];
	}
	for (; n >= 4; n -= 4, b += 4) {
		uint32_t w;
		memcpy(&w, b, 4);
		carry_sum += w;
	}
	if (n >= 2) {
		uint16_t w;
		memcpy(&w, b, 2);
		carry_sum += w;
		n -= 2;
		b += 2;
	}
	if (n)
		carry_sum += b[0]; /* the missing byte is zero; memory order is little-endian here */
	return sum + (carry_sum & 0xffffffff) + (carry_sum >> 32);
}

#define CSUM_LONG 128 /* octets from which the wide form is the faster one */

uint64_t csum_add_long(uint64_t sum, const void *bytes, size_t n); /* csum.c */

/* Adds n bytes to a sum. The range must begin at an even offset of the checksummed data. */
static inline uint64_t csum_add(uint64_t sum, const void *bytes, size_t n)
{
	return n >= CSUM_LONG ? csum_add_long(sum, bytes, n) : csum_add_words(sum, bytes, n);
}

/* Pseudo-header: addresses (4 or 16 bytes each), protocol, length of the L4 header and payload. */
static inline uint64_t csum_pseudo(
	const void *src, const void *dst, size_t addr_n, uint8_t proto, uint32_t l4_n)
{
	uint64_t sum = csum_add(csum_add(0, src, addr_n), dst, addr_n);

	return sum + csum_number(proto) + csum_number((uint16_t)l4_n) + csum_number((uint16_t)(l4_n >> 16));
}

/*
 * The checksum field after 16-bit aligned bytes of its data changed from `old` to `new` (RFC 1624, equation
 * 3). Complemented field, as in every header.
 */
static inline void csum_update(uint8_t *field, const void *old, const void *new, size_t n)
{
	uint16_t c;

	memcpy(&c, field, 2);
	uint64_t sum = (uint16_t)~c;
	sum += (uint16_t)~csum_fold(csum_add(0, old, n));
	sum = csum_add(sum, new, n);
	c = (uint16_t)~csum_fold(sum);
	memcpy(field, &c, 2);
}

/* The same for a PARTIAL field, which holds the sum itself, not its complement. */
static inline void csum_update_partial(uint8_t *field, const void *old, const void *new, size_t n)
{
	uint16_t c;

	memcpy(&c, field, 2);
	uint64_t sum = (uint64_t)c + (uint16_t)~csum_fold(csum_add(0, old, n));
	c = csum_fold(csum_add(sum, new, n));
	memcpy(field, &c, 2);
}

#endif
