#include "mmdb.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_STRING 2u
#define TYPE_UINT16 5u
#define TYPE_UINT32 6u
#define TYPE_MAP    7u
#define TYPE_UINT64 9u	/* extended: 7 more than its octet says */
#define TYPE_ARRAY  11u /* extended */

struct out {
	uint8_t *at;
	size_t n;
};

static void octet(struct out *o, unsigned value)
{
	o->at[o->n++] = (uint8_t)value;
}

static void head(struct out *o, unsigned type, size_t size)
{
	assert(size < 29);
	octet(o, (type < 8 ? type << 5 : 0) | (unsigned)size);
	if (type >= 8)
		octet(o, type - 7);
}

static void text(struct out *o, const char *s, size_t n)
{
	head(o, TYPE_STRING, n);
	memcpy(o->at + o->n, s, n);
	o->n += n;
}

static void number(struct out *o, unsigned type, size_t size, uint64_t value)
{
	head(o, type, size);
	while (size-- > 0)
		octet(o, (unsigned)(value >> 8 * size) & 0xff);
}

struct mmdb *mmdb_new(uint32_t ip_version, uint32_t record_bits)
{
	struct mmdb *m = calloc(1, sizeof *m);

	assert(m);
	m->ip_version = ip_version;
	m->record_bits = record_bits;
	m->nodes = 1;
	m->built = 1764460800; /* 2025-11-30 */
	return m;
}

uint32_t mmdb_data(struct mmdb *m, const char *path)
{
	struct out o = { m->data, m->data_n };
	uint32_t at = m->data_n;
	const char *end = strchr(path, '=');

	if (!end)
		head(&o, TYPE_MAP, 0);
	while (end) {
		size_t n = strcspn(path, ".=");
		head(&o, TYPE_MAP, 1);
		text(&o, path, n);
		path += n + 1;
		if (path > end) {
			text(&o, path, strlen(path));
			break;
		}
	}
	m->data_n = (uint32_t)o.n;
	assert(m->data_n < MMDB_DATA_MAX - 256);
	return at;
}

uint32_t mmdb_data_raw(struct mmdb *m, const void *bytes, size_t n)
{
	uint32_t at = m->data_n;

	assert(m->data_n + n <= MMDB_DATA_MAX);
	memcpy(m->data + at, bytes, n);
	m->data_n += (uint32_t)n;
	return at;
}

static bool bit(const uint8_t at[16], uint32_t i)
{
	return at[i / 8] >> (7 - i % 8) & 1;
}

/* Bits of a prefix in this tree. */
static uint32_t bits_of(const struct mmdb *m, const struct ip_prefix *p, uint8_t ret_at[16])
{
	memset(ret_at, 0, 16);
	if (p->addr.family == ADDR_V6)
		memcpy(ret_at, p->addr.b, 16);
	else
		memcpy(ret_at + (m->ip_version == 6 ? 12 : 0), p->addr.b, 4);
	return p->bits + (m->ip_version == 6 && p->addr.family == ADDR_V4 ? 96 : 0);
}

static uint32_t node_below(struct mmdb *m, uint32_t at, bool right)
{
	if (m->node[at].kind[right] == MMDB_NODE)
		return m->node[at].to[right];
	assert(m->nodes < MMDB_NODES_MAX);
	uint32_t next = m->nodes++;
	for (int i = 0; i < 2; i++) { /* what was there is in both of its halves */
		m->node[next].kind[i] = m->node[at].kind[right];
		m->node[next].to[i] = m->node[at].to[right];
	}
	m->node[at].kind[right] = MMDB_NODE;
	m->node[at].to[right] = next;
	return next;
}

void mmdb_put_prefix(struct mmdb *m, const struct ip_prefix *p, enum mmdb_kind kind, uint32_t to)
{
	uint8_t b[16];
	uint32_t n = bits_of(m, p, b), at = 0;

	assert(n > 0);
	for (uint32_t i = 0; i + 1 < n; i++)
		at = node_below(m, at, bit(b, i));
	m->node[at].kind[bit(b, n - 1)] = kind;
	m->node[at].to[bit(b, n - 1)] = to;
}

void mmdb_put(struct mmdb *m, const char *prefix, enum mmdb_kind kind, uint32_t to)
{
	struct ip_prefix p;
	enum rc rc = prefix_parse(&p, prefix);

	assert(rc == RC_OK);
	mmdb_put_prefix(m, &p, kind, to);
}

uint32_t mmdb_node(struct mmdb *m, const char *prefix)
{
	struct ip_prefix p;
	enum rc rc = prefix_parse(&p, prefix);
	uint8_t b[16];
	uint32_t at = 0;

	assert(rc == RC_OK);
	uint32_t n = bits_of(m, &p, b);
	for (uint32_t i = 0; i < n; i++)
		at = node_below(m, at, bit(b, i));
	return at;
}

static uint32_t record(const struct mmdb *m, uint32_t count, enum mmdb_kind kind, uint32_t to)
{
	return kind == MMDB_EMPTY ? count : kind == MMDB_DATA ? count + 16 + to : to;
}

static void node_write(struct out *o, uint32_t bits, uint32_t left, uint32_t right)
{
	if (bits != 24 && bits != 28)
		octet(o, left >> 24);
	octet(o, left >> 16 & 0xff);
	octet(o, left >> 8 & 0xff);
	octet(o, left & 0xff);
	if (bits == 28)
		octet(o, (left >> 24 & 0xf) << 4 | (right >> 24 & 0xf));
	else if (bits != 24)
		octet(o, right >> 24);
	octet(o, right >> 16 & 0xff);
	octet(o, right >> 8 & 0xff);
	octet(o, right & 0xff);
}

static void pair(struct out *o, const char *name, unsigned type, size_t size, uint64_t value)
{
	text(o, name, strlen(name));
	number(o, type, size, value);
}

uint8_t *mmdb_write(const struct mmdb *m, size_t *ret_n)
{
	struct out o = { malloc(m->nodes * 8ul + m->data_n + 1024ul), 0 };
	uint32_t count = m->says_nodes ? m->says_nodes : m->nodes;

	assert(o.at);
	for (uint32_t i = 0; i < m->nodes; i++)
		node_write(&o, m->record_bits, record(m, count, m->node[i].kind[0], m->node[i].to[0]),
			record(m, count, m->node[i].kind[1], m->node[i].to[1]));
	memset(o.at + o.n, 0, 16);
	o.n += 16;
	memcpy(o.at + o.n, m->data, m->data_n);
	o.n += m->data_n;
	memcpy(o.at + o.n, "\xab\xcd\xefMaxMind.com", 14);
	o.n += 14;
	head(&o, TYPE_MAP, 9);
	pair(&o, "binary_format_major_version", TYPE_UINT16, 2, 2);
	pair(&o, "binary_format_minor_version", TYPE_UINT16, 2, 0);
	pair(&o, "build_epoch", TYPE_UINT64, 8, m->built);
	text(&o, "database_type", 13);
	text(&o, "Country", 7);
	text(&o, "description", 11);
	head(&o, TYPE_MAP, 0);
	pair(&o, "ip_version", TYPE_UINT16, 2, m->ip_version);
	text(&o, "languages", 9);
	head(&o, TYPE_ARRAY, 0);
	pair(&o, "node_count", TYPE_UINT32, 4, count);
	pair(&o, "record_size", TYPE_UINT16, 2, m->record_bits);
	*ret_n = o.n;
	return o.at;
}
