/*
 * Reassembly before policy (RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722): policy sees whole datagrams only.
 * Bounded in datagrams, fragments and time. Any overlap drops the whole datagram (RFC 5722 for IPv6; the same for IPv4,
 * since honest stacks do not make any).
 */
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/ip.h"

struct piece {
	uint32_t header_n, offset, n, id;
	const uint8_t *bytes;
	bool more;
};

static bool piece_read(const struct train *t, struct piece *p)
{
	if (t->src.family == ADDR_V4) {
		uint16_t field = load_be16(t->ip + 6);
		p->header_n = 4u * (t->ip[0] & 15);
		p->offset = 8u * (field & IP4_OFFSET_MASK);
		p->id = load_be16(t->ip + 4);
		p->bytes = t->ip + p->header_n;
	} else {
		/* Extension headers in front of the fragment header are not put together again: refused. */
		if (t->ip[6] != IP6_FRAGMENT)
			return false;
		p->header_n = IP6_HEADER_SIZE;
		p->offset = load_be16(t->ip + IP6_HEADER_SIZE + 2) & IP6_OFFSET_MASK;
		p->id = load_be32(t->ip + IP6_HEADER_SIZE + 4);
		p->bytes = t->ip + IP6_HEADER_SIZE + IP6_FRAGMENT_SIZE;
	}
	p->n = t->len - (uint32_t)(p->bytes - t->ip);
	p->more = t->flags & TRAIN_MORE_FRAGMENTS;
	/* All but the last are multiples of 8; nothing may reach behind 64 KB (ping of death). */
	return p->n > 0 && (!p->more || p->n % 8 == 0) && p->header_n + p->offset + p->n <= TRAIN_BYTES_MAX - 1;
}

static struct fw_datagram *datagram_find(struct firewall *fw, const struct train *t, const struct piece *p, mono_ns now)
{
	struct fw_datagram *unused = NULL;

	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++) {
		/* Oldest buffers first, so that a finished datagram's bytes live as long as possible. */
		struct fw_datagram *g = &fw->datagrams[(fw->datagram_next + i) % fw->limits.reassembly_max];
		if (g->used && g->deadline <= now)
			g->used = false;
		if (!g->used) {
			unused = unused ? unused : g;
			continue;
		}
		if (g->id == p->id && g->proto == t->proto && g->in_zone == t->in_zone && addr_equal(&g->src, &t->src) &&
			addr_equal(&g->dst, &t->dst))
			return g;
	}
	if (!unused)
		return NULL;
	uint8_t *bytes = unused->bytes;
	*unused = (struct fw_datagram){ .used = true, .src = t->src, .dst = t->dst, .id = p->id, .in_zone = t->in_zone,
		.proto = t->proto, .deadline = now + FW_FRAGMENT_TIMEOUT_NS, .bytes = bytes };
	fw->datagram_next = (uint32_t)(unused - fw->datagrams + 1) % fw->limits.reassembly_max;
	return unused;
}

/* Puts [first, end) into the sorted ranges; false on any overlap or when they are too many. */
static bool range_add(struct fw_datagram *g, uint32_t first, uint32_t end)
{
	uint32_t at = 0;

	while (at < g->ranges_n && g->ranges[at].first < first)
		at++;
	if ((at > 0 && g->ranges[at - 1].end > first) || (at < g->ranges_n && g->ranges[at].first < end))
		return false;
	bool joins_left = at > 0 && g->ranges[at - 1].end == first;
	bool joins_right = at < g->ranges_n && g->ranges[at].first == end;
	if (joins_left && joins_right) {
		g->ranges[at - 1].end = g->ranges[at].end;
		memmove(&g->ranges[at], &g->ranges[at + 1], (g->ranges_n - at - 1) * sizeof g->ranges[0]);
		g->ranges_n--;
	} else if (joins_left) {
		g->ranges[at - 1].end = end;
	} else if (joins_right) {
		g->ranges[at].first = first;
	} else {
		if (g->ranges_n == FW_FRAGMENTS_PER_DATAGRAM)
			return false;
		memmove(&g->ranges[at + 1], &g->ranges[at], (g->ranges_n - at) * sizeof g->ranges[0]);
		g->ranges[at] = (struct fw_hole_range){ first, end };
		g->ranges_n++;
	}
	return true;
}

/* The same bytes again are a repetition, not an attack. */
static bool repeated(const struct fw_datagram *g, const struct piece *p)
{
	for (uint32_t i = 0; i < g->ranges_n; i++)
		if (p->offset >= g->ranges[i].first && p->offset + p->n <= g->ranges[i].end)
			return memcmp(g->bytes + TRAIN_HEAD_ROOM + sizeof g->header + p->offset, p->bytes, p->n) == 0;
	return false;
}

static void finish(struct fw_datagram *g, struct train *t)
{
	uint8_t *ip = g->bytes + TRAIN_HEAD_ROOM + sizeof g->header - g->header_n;

	memcpy(ip, g->header, g->header_n);
	t->ip = ip;
	t->len = g->header_n + g->total;
	t->csum = TRAIN_CSUM_UNKNOWN;
	t->segment_size = 0;
	t->flags |= TRAIN_REASSEMBLED;
	if (t->src.family == ADDR_V4) {
		store_be16(ip + 2, (uint16_t)t->len);
		store_be16(ip + 6, load_be16(ip + 6) & IP4_DF);
		memset(ip + IP4_CSUM, 0, 2);
		uint16_t c = (uint16_t)~csum_fold(csum_add(0, ip, g->header_n));
		memcpy(ip + IP4_CSUM, &c, 2);
	} else {
		store_be16(ip + 4, (uint16_t)g->total);
		ip[6] = g->proto;
	}
	g->used = false;
}

bool fw_reassemble(struct firewall *fw, struct train *t, mono_ns now)
{
	struct piece p;

	if (!piece_read(t, &p)) {
		t->drop = DROP_FRAGMENT_INVALID;
		return false;
	}
	struct fw_datagram *g = fw->limits.reassembly_max ? datagram_find(fw, t, &p, now) : NULL;
	if (!g) {
		t->drop = DROP_FRAGMENT_LIMIT;
		return false;
	}
	uint32_t end = p.offset + p.n;
	bool beyond = g->total ? end > g->total || (!p.more && end != g->total) :
				 !p.more && g->ranges_n && g->ranges[g->ranges_n - 1].end > end;
	if (beyond) {
		g->used = false;
		t->drop = DROP_FRAGMENT_INVALID;
		return false;
	}
	if (!range_add(g, p.offset, end)) {
		if (repeated(g, &p))
			return false;
		g->used = false;
		t->drop = DROP_FRAGMENT_OVERLAP;
		return false;
	}
	memcpy(g->bytes + TRAIN_HEAD_ROOM + sizeof g->header + p.offset, p.bytes, p.n);
	if (p.offset == 0) {
		memcpy(g->header, t->ip, p.header_n);
		g->header_n = p.header_n;
	}
	if (!p.more)
		g->total = end;
	if (g->total == 0 || g->header_n == 0 || g->ranges_n != 1 || g->ranges[0].end != g->total)
		return false;
	if (g->header_n + g->total > TRAIN_BYTES_MAX - 1) {
		g->used = false;
		t->drop = DROP_FRAGMENT_INVALID;
		return false;
	}
	finish(g, t);
	fw->counters.reassembled++;
	train_parse(t);
	return t->drop == DROP_NONE;
}
