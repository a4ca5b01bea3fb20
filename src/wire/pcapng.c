#include "wire/pcapng.h"

#include "base/clock.h"

#include <assert.h>

enum { MAGIC_SECTION = 0x1a2b3c4d, MAGIC_SECTION_SWAPPED = 0x4d3c2b1a, BLOCK_SECTION = 0x0a0d0d0a };
enum { OPTION_END = 0, OPTION_COMMENT = 1, OPTION_FLAGS = 2 /* of packets */ };
enum { OPTION_NAME = 2, OPTION_RESOLUTION = 9, OPTION_OFFSET = 14 /* of interfaces */ };
enum { RESOLUTION_DEFAULT = 6 /* microseconds */ };

static const struct {
	uint32_t type;
	const char *name;
} rows[PCAPNG_BLOCKS_N] = {
#define E(id, type, name) [PCAPNG_##id] = { type, name },
	PCAPNG_BLOCKS(E)
#undef E
};

const char *pcapng_block_name(enum pcapng_block block)
{
	assert(block < PCAPNG_BLOCKS_N);
	return rows[block].name;
}

static enum pcapng_block kind_of(uint32_t type)
{
	for (unsigned i = 0; i < PCAPNG_OTHER; i++)
		if (rows[i].type == type)
			return (enum pcapng_block)i;
	return PCAPNG_OTHER;
}

/* Numbers of the file's own headers are in its writer's byte order. */
static uint32_t u32(struct rd *r, bool swapped)
{
	uint32_t v = rd_u32(r);

	return swapped ? __builtin_bswap32(v) : v;
}

static uint16_t u16(struct rd *r, bool swapped)
{
	uint16_t v = rd_u16(r);

	return swapped ? __builtin_bswap16(v) : v;
}

/* The octet of the file that is read next. */
static size_t place(const struct pcapng_reader *r)
{
	return r->all - (size_t)(r->r.end - r->r.at);
}

static void stop(struct pcapng_reader *r)
{
	r->r.at = r->r.end;
	r->r.bad = false;
}

/* ---- times ---- */

/* In nanoseconds since 1970; what is out of their range becomes the nearest that is in it. */
static uint64_t when(uint64_t units, uint8_t resolution, int64_t offset_s)
{
	unsigned power = resolution & 0x7f;
	__int128 ns = units;

	if (resolution & 0x80) { /* units of 2^-power seconds; 2^64 * 10^9 is less than 2^94 */
		ns = power < 94 ? ns * NS_PER_S >> power : 0;
	} else {
		for (; power < 9; power++)
			ns *= 10;
		for (; power > 9 && ns > 0; power--)
			ns /= 10;
	}
	ns += (__int128)offset_s * NS_PER_S;
	return ns < 0 ? 0 : ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* ---- options ---- */

struct option {
	uint16_t code;
	struct rd value;
};

/* False: there are no more, or r is bad. */
static bool option_next(struct rd *r, bool swapped, struct option *ret)
{
	if (r->bad || rd_left(r) == 0)
		return false;
	ret->code = u16(r, swapped);
	size_t n = u16(r, swapped);
	ret->value = rd_sub(r, n);
	rd_take(r, (4 - n % 4) % 4);
	return !r->bad && ret->code != OPTION_END;
}

static void text_take(const struct option *o, const char **ret_text, uint16_t *ret_n)
{
	*ret_text = (const char *)o->value.at;
	*ret_n = (uint16_t)rd_left(&o->value);
}

/* ---- blocks ---- */

static enum rc block_bad(
	struct pcapng_reader *r, size_t at, const char *kind, const char *what, struct err *e)
{
	unsigned long long block = r->blocks;

	stop(r);
	return err_add(e, RC_MALFORMED, "the capture's block %llu (%s, at octet %zu) is malformed: %s", block,
		kind, at, what);
}

/* The section's own octets tell their order: taken before the block's length is read by it. */
static bool section_begin(struct pcapng_reader *r, struct rd ahead)
{
	rd_take(&ahead, 8);
	uint32_t magic = rd_u32(&ahead);

	r->swapped = magic == MAGIC_SECTION_SWAPPED;
	r->interfaces_n = 0;
	uint16_t major = u16(&ahead, r->swapped);
	rd_take(&ahead, 10); /* minor, and the section's length, which may be unknown */
	return !ahead.bad && (magic == MAGIC_SECTION || r->swapped) && major == 1;
}

static const char *interface_take(struct pcapng_reader *r, struct rd *body)
{
	struct pcapng_interface f = { .resolution = RESOLUTION_DEFAULT, .name = "" };
	struct option o;

	f.link = u16(body, r->swapped);
	rd_u16(body); /* of no meaning */
	f.snap = u32(body, r->swapped);
	if (body->bad)
		return "expected a link type and a length of packets";
	while (option_next(body, r->swapped, &o)) {
		if (o.code == OPTION_NAME)
			text_take(&o, &f.name, &f.name_n);
		if (o.code == OPTION_RESOLUTION)
			f.resolution = rd_u8(&o.value);
		if (o.code == OPTION_OFFSET) {
			uint64_t raw = rd_u64(&o.value);
			f.offset_s = (int64_t)(r->swapped ? __builtin_bswap64(raw) : raw);
		}
		body->bad |= o.value.bad;
	}
	if (body->bad)
		return "an option exceeds the block, or is too short";
	if (r->interfaces_n == PCAPNG_INTERFACES_MAX)
		return "its section has more than 4096 interfaces";
	r->interface[r->interfaces_n++] = f;
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *packet_take(
	struct pcapng_reader *r, enum pcapng_block kind, struct rd *body, struct pcapng_packet *ret)
{
	struct pcapng_packet p = { .comment = "" };
	uint64_t units = 0;
	struct option o;

	if (kind == PCAPNG_PACKET) {
		p.interface = u16(body, r->swapped);
		rd_u16(body); /* how many were lost */
	} else if (kind == PCAPNG_ENHANCED) {
		p.interface = u32(body, r->swapped);
	}
	if (kind != PCAPNG_SIMPLE) {
		units = (uint64_t)u32(body, r->swapped) << 32;
		units |= u32(body, r->swapped);
		p.n = u32(body, r->swapped);
	}
	p.wire_n = u32(body, r->swapped);
	if (body->bad)
		return "it is shorter than its own header";
	if (p.interface >= r->interfaces_n)
		return "its interface was not described before it";
	const struct pcapng_interface *f = &r->interface[p.interface];
	if (kind == PCAPNG_SIMPLE)
		p.n = f->snap > 0 && p.wire_n > f->snap ? f->snap : p.wire_n;
	p.bytes = rd_take(body, p.n);
	if (!p.bytes)
		return "the packet exceeds it";
	rd_take(body, (4 - p.n % 4) % 4);
	while (kind != PCAPNG_SIMPLE && option_next(body, r->swapped, &o)) {
		if (o.code == OPTION_COMMENT && p.comment_n == 0)
			text_take(&o, &p.comment, &p.comment_n);
		if (o.code == OPTION_FLAGS)
			p.outbound = (u32(&o.value, r->swapped) & 3) == PCAPNG_OUTBOUND;
		body->bad |= o.value.bad;
	}
	if (body->bad)
		return "an option exceeds the block, or is too short";
	p.timed = kind != PCAPNG_SIMPLE;
	p.when_ns = p.timed ? when(units, f->resolution, f->offset_s) : 0;
	p.link = f->link;
	p.name = f->name;
	p.name_n = f->name_n;
	p.number = ++r->packets;
	*ret = p;
	return NULL;
}

/* RC_AGAIN: it was no packet. */
static enum rc block_next(struct pcapng_reader *r, struct pcapng_packet *ret, struct err *e)
{
	struct rd ahead = r->r;
	size_t at = place(r);

	r->blocks++;
	uint32_t raw = rd_u32(&r->r);
	if (raw == BLOCK_SECTION && !section_begin(r, ahead)) /* the same in either order */
		return block_bad(r, at, "section", "expected its byte order and version 1", e);
	uint32_t n = u32(&r->r, r->swapped);
	enum pcapng_block kind = kind_of(r->swapped ? __builtin_bswap32(raw) : raw);
	/* Length, body, length again, in words of four octets. */
	struct rd body = rd_sub(&r->r, n >= 12 && n % 4 == 0 ? n - 12 : SIZE_MAX);
	uint32_t again = u32(&r->r, r->swapped);
	if (r->r.bad) {
		stop(r);
		return err_add(e, RC_MALFORMED,
			"the capture is truncated or malformed in block %llu, at octet %zu",
			(unsigned long long)r->blocks, at);
	}
	if (again != n)
		return block_bad(r, at, rows[kind].name, "its two lengths differ", e);
	r->kinds[kind]++;
	const char *wrong = NULL;
	if (kind == PCAPNG_INTERFACE)
		wrong = interface_take(r, &body);
	else if (kind == PCAPNG_PACKET || kind == PCAPNG_SIMPLE || kind == PCAPNG_ENHANCED)
		wrong = packet_take(r, kind, &body, ret);
	if (wrong)
		return block_bad(r, at, rows[kind].name, wrong, e);
	return kind == PCAPNG_PACKET || kind == PCAPNG_SIMPLE || kind == PCAPNG_ENHANCED ? RC_OK : RC_AGAIN;
}

/* ---- libpcap's classic format ---- */

static enum rc classic_next(struct pcapng_reader *r, struct pcapng_packet *ret, struct err *e)
{
	size_t at = place(r);
	struct pcapng_packet p = {
		.timed = true, .link = r->link, .name = "", .comment = "", .number = r->packets + 1
	};

	p.when_ns = (uint64_t)u32(&r->r, r->swapped) * NS_PER_S;
	p.when_ns += (uint64_t)u32(&r->r, r->swapped) * (r->nanoseconds ? 1 : 1000);
	p.n = u32(&r->r, r->swapped);
	p.wire_n = u32(&r->r, r->swapped);
	p.bytes = rd_take(&r->r, p.n);
	if (!p.bytes) {
		stop(r);
		return err_add(e, RC_MALFORMED, "the capture is truncated in frame %llu, at octet %zu",
			(unsigned long long)p.number, at);
	}
	r->packets++;
	*ret = p;
	return RC_OK;
}

/* ---- both ---- */

enum rc pcapng_open(struct pcapng_reader *ret_reader, const void *bytes, size_t n, struct err *e)
{
	struct pcapng_reader *r = ret_reader;
	struct rd ahead = rd_over(bytes, n);
	uint32_t magic = rd_u32(&ahead);

	/* Not the table of interfaces, which is large and read only as far as it was filled. */
	memset(r, 0, offsetof(struct pcapng_reader, interface));
	r->r = rd_over(bytes, n);
	r->all = n;
	r->blocks_file = magic == BLOCK_SECTION;
	if (r->blocks_file)
		return RC_OK;
	r->swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
	r->nanoseconds = magic == 0xa1b23c4d || magic == 0x4d3cb2a1;
	if (!r->swapped && magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
		stop(r);
		return err_add(e, RC_MALFORMED,
			"the file is not a capture: expected pcapng or libpcap's classic format");
	}
	rd_take(&r->r, 20); /* magic, version, time zone, accuracy, length of frames */
	r->link = u32(&r->r, r->swapped) & 0xffff;
	if (!r->r.bad)
		return RC_OK;
	stop(r);
	return err_add(e, RC_MALFORMED, "the capture is truncated in its file header");
}

enum rc pcapng_next(struct pcapng_reader *r, struct pcapng_packet *ret_packet, struct err *e)
{
	enum rc rc = RC_AGAIN;

	while (rc == RC_AGAIN && rd_left(&r->r) > 0)
		rc = r->blocks_file ? block_next(r, ret_packet, e) : classic_next(r, ret_packet, e);
	return rc == RC_AGAIN ? RC_NOT_FOUND : rc;
}
