/*
 * Reader: the only code that turns foreign bytes into numbers.
 *
 * A struct rd borrows a byte range and never owns it. A failed take makes it bad, and it stays bad: check once,
 * at the end, with rd_end(). Values read after the failure are zero.
 */
#ifndef BASE_RD_H
#define BASE_RD_H

#include "base/bytes.h"
#include "base/err.h"

struct rd {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct rd rd_over(const void *bytes, size_t n)
{
	const uint8_t *b = (const uint8_t *)bytes;
	return (struct rd){ b, b + n, false };
}

static inline size_t rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->at);
}

/* The next n bytes as a borrowed view, or NULL and bad. n = 0 on an empty range gives a valid pointer. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	if (r->bad || (size_t)(r->end - r->at) < n) {
		r->bad = true;
		return NULL;
	}
	r->at += n;
	return r->at - n;
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *b = rd_take(r, 1);
	return b ? b[0] : 0;
}

static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *b = rd_take(r, 2);
	return b ? load_be16(b) : 0;
}

static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *b = rd_take(r, 4);
	return b ? load_be32(b) : 0;
}

static inline uint64_t rd_u64(struct rd *r)
{
	const uint8_t *b = rd_take(r, 8);
	return b ? load_be64(b) : 0;
}

/* Copies n bytes out; zeroes them when fewer are left. */
static inline bool rd_copy(struct rd *r, void *ret_bytes, size_t n)
{
	const uint8_t *b = rd_take(r, n);
	if (b)
		memcpy(ret_bytes, b, n);
	else
		memset(ret_bytes, 0, n);
	return b != NULL;
}

/* A sub-reader over the next n bytes; bad when fewer are left. */
static inline struct rd rd_sub(struct rd *r, size_t n)
{
	const uint8_t *b = rd_take(r, n);
	return b ? (struct rd){ b, b + n, false } : (struct rd){ .bad = true };
}

/* A 16-bit length field that also counts `spent` bytes already read: no caller subtracts. */
static inline struct rd rd_block16(struct rd *r, size_t spent)
{
	size_t total = rd_u16(r), body = total - spent;
	const uint8_t *b = total >= spent ? rd_take(r, body) : NULL;
	r->bad |= !b;
	return b ? (struct rd){ b, b + body, false } : (struct rd){ .bad = true };
}

/* The end, demanded: RC_TRUNCATED when something was missing, RC_TRAILING when bytes are left. */
static inline enum rc rd_end(const struct rd *r)
{
	return r->bad ? RC_TRUNCATED : r->at == r->end ? RC_OK : RC_TRAILING;
}

#endif
