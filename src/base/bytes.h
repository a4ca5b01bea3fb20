/*
 * Small byte helpers that every room uses: big-endian loads and stores, hexadecimal, base64, UTF-8, wiping,
 * comparing secrets.
 * Parsing of foreign input goes through base/rd.h; these are for places whose length is known already.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNT_OF(a)  (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

static inline uint16_t load_be16(const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t load_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint32_t load_le32(const void *p)
{
	return __builtin_bswap32(load_be32(p));
}

static inline uint64_t load_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static inline void store_be16(void *p, uint16_t v)
{
	uint8_t *b = (uint8_t *)p;
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static inline void store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static inline void store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

/* Wipes a secret; the compiler may not remove it. */
void bytes_wipe(void *p, size_t n);

/* Equal or not, in time that depends on n alone. */
bool bytes_equal_secret(const void *a, const void *b, size_t n);

/* 2n lowercase digits and a terminator into ret_text, which holds 2n + 1. Returns ret_text. */
char *hex_from_bytes(char *ret_text, const void *bytes, size_t n);

/* Decodes exactly n bytes from 2n digits that end the string; false otherwise. */
bool hex_to_bytes(void *ret_bytes, size_t n, const char *text);

/* RFC 4648 section 4, standard alphabet, padded. ret_text holds BASE64_SIZE(n). Returns the length of the text. */
#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
size_t base64_from_bytes(char *ret_text, const void *bytes, size_t n);

/*
 * Strict decoder: no white space, padding demanded, unused bits zero. Returns false on anything else or when the
 * result does not fit `max`. *ret_n: bytes written.
 */
bool base64_to_bytes(void *ret_bytes, size_t max, size_t *ret_n, const char *text, size_t text_n);

/* Length of the well-formed UTF-8 sequence that begins the n octets at s (RFC 3629 section 4), or 0. n > 0. */
size_t utf8_length(const unsigned char *s, size_t n);

#endif
