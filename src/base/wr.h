/*
 * Writer: the mirror of base/rd.h. Borrows a buffer; a write that does not fit makes it bad, and it stays bad.
 * Length fields are reserved first and patched when the body stands.
 */
#ifndef BASE_WR_H
#define BASE_WR_H

#include "base/bytes.h"

struct wr {
	uint8_t *base, *at, *end;
	bool bad;
};

static inline struct wr wr_over(void *bytes, size_t n)
{
	uint8_t *b = (uint8_t *)bytes;
	return (struct wr){ b, b, b + n, false };
}

static inline size_t wr_len(const struct wr *w)
{
	return (size_t)(w->at - w->base);
}

/* Room for n bytes to fill in, or NULL and bad. */
static inline uint8_t *wr_room(struct wr *w, size_t n)
{
	if (w->bad || (size_t)(w->end - w->at) < n) {
		w->bad = true;
		return NULL;
	}
	w->at += n;
	return w->at - n;
}

static inline void wr_bytes(struct wr *w, const void *bytes, size_t n)
{
	/* Not by wr_room(): GCC 14 takes its NULL for a place to write to, and warns. */
	if (w->bad || (size_t)(w->end - w->at) < n) {
		w->bad = true;
		return;
	}
	if (n > 0)
		memcpy(w->at, bytes, n);
	w->at += n;
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *b = wr_room(w, 2);
	if (b)
		store_be16(b, v);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	uint8_t *b = wr_room(w, 4);
	if (b)
		store_be32(b, v);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	uint8_t *b = wr_room(w, 8);
	if (b)
		store_be64(b, v);
}

/* Sets the 16-bit field at `field` (from wr_room) to the bytes written since `from`. */
static inline void wr_patch16(struct wr *w, uint8_t *field, const uint8_t *from)
{
	size_t n = from ? (size_t)(w->at - from) : 0;
	if (w->bad || !field || n > UINT16_MAX) {
		w->bad = true;
		return;
	}
	store_be16(field, (uint16_t)n);
}

#endif
