#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW_12 = 12,
	LINK_RAW = 101,
	LINK_COOKED = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229
};

static uint32_t u32(const struct capture *c, size_t at)
{
	uint32_t v = 0;

	if (at + 4 <= c->n)
		memcpy(&v, c->bytes + at, 4);
	return c->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t u16(const struct capture *c, size_t at)
{
	uint16_t v = 0;

	if (at + 2 <= c->n)
		memcpy(&v, c->bytes + at, 2);
	return c->swapped ? __builtin_bswap16(v) : v;
}

bool capture_open(struct capture *c, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;

	*c = (struct capture){ 0 };
	if (!f)
		return false;
	if (fstat(fileno(f), &st) == 0 && st.st_size >= 24 && (c->bytes = malloc((size_t)st.st_size)))
		c->n = fread(c->bytes, 1, (size_t)st.st_size, f);
	fclose(f);
	uint32_t magic = u32(c, 0);
	c->block_file = magic == 0x0a0d0d0a;
	if (c->block_file) {
		c->swapped = u32(c, 8) != 0x1a2b3c4d;
		return true;
	}
	c->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	if (!c->swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
		capture_close(c);
		return false;
	}
	c->link_type = u32(c, 20) & 0xffff;
	c->at = 24;
	return true;
}

void capture_close(struct capture *c)
{
	free(c->bytes);
	c->bytes = NULL;
}

/* The octets behind the link header; NULL: neither IPv4 nor IPv6. */
static const uint8_t *behind_link(uint32_t link_type, const uint8_t *p, size_t n, size_t *ret_n)
{
	size_t head = 0;
	uint16_t type;

	switch (link_type) {
	case LINK_ETHERNET:
		for (head = 14; head <= n; head += 4) {
			type = load_be16(p + head - 2);
			if (type != 0x8100 && type != 0x88a8)
				break;
		}
		if (head > n || (type != 0x0800 && type != 0x86dd))
			return NULL;
		break;
	case LINK_COOKED:
		head = 16;
		if (n < head || (load_be16(p + 14) != 0x0800 && load_be16(p + 14) != 0x86dd))
			return NULL;
		break;
	case LINK_NULL:
		head = 4;
		break;
	case LINK_RAW_12:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		break;
	default:
		return NULL;
	}
	if (head > n)
		return NULL;
	*ret_n = n - head;
	return p + head;
}

static bool next_block(struct capture *c, const uint8_t **ret_packet, size_t *ret_n)
{
	while (c->at + 12 <= c->n) {
		uint32_t type = u32(c, c->at), length = u32(c, c->at + 4);
		size_t at = c->at;
		if (length < 12 || length > c->n - at)
			return false;
		c->at += length;
		if (type == 1)
			c->link_type = u16(c, at + 8);
		if (type == 6 && length >= 32) {
			*ret_n = u32(c, at + 20);
			*ret_packet = c->bytes + at + 28;
			return *ret_n <= length - 32;
		}
	}
	return false;
}

bool capture_next(struct capture *c, const uint8_t **ret_ip, size_t *ret_n)
{
	const uint8_t *packet;
	size_t n;

	if (c->block_file) {
		if (!next_block(c, &packet, &n))
			return false;
	} else {
		if (c->at + 16 > c->n)
			return false;
		n = u32(c, c->at + 8);
		packet = c->bytes + c->at + 16;
		if (n > c->n - c->at - 16)
			return false;
		c->at += 16 + n;
	}
	*ret_ip = behind_link(c->link_type, packet, n, ret_n);
	return true;
}

const char *captures_folder(void)
{
	static char path[4096];
	const char *shared = getenv("PLAINGATE_SHARED");
	struct stat st;

	snprintf(path, sizeof path, "%s/captures/zeek", shared ? shared : "../shared");
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}
