/* The writer of wire/pcapng.h. */
#include "wire/pcapng.h"

enum { OPTION_END = 0, OPTION_COMMENT = 1, OPTION_APPLICATION = 4 };
enum { OPTION_NAME = 2, OPTION_RESOLUTION = 9 /* of interfaces */ };
enum { OPTION_FLAGS = 2 /* of packets */, OPTION_RECEIVED = 4, OPTION_LOST = 5 /* of statistics */ };

#define BLOCK_FRAME   12 /* type and two lengths */
#define PACKET_HEADER 20
#define OPTIONS_ROOM  (4 + PCAPNG_COMMENT_MAX + 8 + 4)

size_t pcapng_packet_size(uint32_t n)
{
	return BLOCK_FRAME + PACKET_HEADER + (size_t)n + 3 + OPTIONS_ROOM;
}

static void pad(struct wr *w, size_t n)
{
	static const uint8_t zeroes[4];

	wr_bytes(w, zeroes, (4 - n % 4) % 4);
}

static void option(struct wr *w, uint16_t code, const void *value, size_t n)
{
	wr_u16(w, code);
	wr_u16(w, (uint16_t)n);
	wr_bytes(w, value, n);
	pad(w, n);
}

/* Cut where a character begins, so that it stays UTF-8. */
static void option_text(struct wr *w, uint16_t code, const char *text, size_t n, size_t max)
{
	if (n > max)
		for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	if (n > 0)
		option(w, code, text, n);
}

static void option_u64(struct wr *w, uint16_t code, uint64_t value)
{
	uint8_t bytes[8];

	store_be64(bytes, value);
	option(w, code, bytes, sizeof bytes);
}

/* The place of the block's length, which block_end() fills in. */
static uint8_t *block_begin(struct wr *w, uint32_t type)
{
	wr_u32(w, type);
	return wr_room(w, 4);
}

static void block_end(struct wr *w, uint8_t *length)
{
	wr_u16(w, OPTION_END);
	wr_u16(w, 0);
	if (w->bad || !length)
		return;
	uint32_t n = (uint32_t)(w->at - length) + 8;
	store_be32(length, n);
	wr_u32(w, n);
}

void pcapng_write_section(struct wr *w, const char *application, const char *comment)
{
	uint8_t *length = block_begin(w, 0x0a0d0d0a);

	wr_u32(w, 0x1a2b3c4d);
	wr_u16(w, 1);
	wr_u16(w, 0);
	wr_u64(w, UINT64_MAX); /* the section's length, which nobody knows yet */
	option_text(w, OPTION_COMMENT, comment, strlen(comment), PCAPNG_COMMENT_MAX);
	option_text(w, OPTION_APPLICATION, application, strlen(application), PCAPNG_NAME_MAX);
	block_end(w, length);
}

void pcapng_write_interface(struct wr *w, const char *name, uint32_t link, const char *comment)
{
	static const uint8_t nanoseconds = 9;
	uint8_t *length = block_begin(w, 1);

	wr_u16(w, (uint16_t)link);
	wr_u16(w, 0);
	wr_u32(w, 0);
	option_text(w, OPTION_COMMENT, comment, strlen(comment), PCAPNG_COMMENT_MAX);
	option_text(w, OPTION_NAME, name, strlen(name), PCAPNG_NAME_MAX);
	option(w, OPTION_RESOLUTION, &nanoseconds, 1);
	block_end(w, length);
}

void pcapng_write_packet(struct wr *w, const struct pcapng_packet *p, enum pcapng_direction direction)
{
	uint8_t flags[4], *length = block_begin(w, 6);

	wr_u32(w, p->interface);
	wr_u64(w, p->when_ns);
	wr_u32(w, p->n);
	wr_u32(w, p->wire_n);
	wr_bytes(w, p->bytes, p->n);
	pad(w, p->n);
	option_text(w, OPTION_COMMENT, p->comment, p->comment_n, PCAPNG_COMMENT_MAX);
	store_be32(flags, direction);
	option(w, OPTION_FLAGS, flags, sizeof flags);
	block_end(w, length);
}

void pcapng_write_statistics(
	struct wr *w, uint32_t interface, uint64_t when_ns, uint64_t received, uint64_t lost)
{
	uint8_t *length = block_begin(w, 5);

	wr_u32(w, interface);
	wr_u64(w, when_ns);
	option_u64(w, OPTION_RECEIVED, received);
	option_u64(w, OPTION_LOST, lost);
	block_end(w, length);
}
