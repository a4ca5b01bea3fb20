/*
 * Fragments are reassembled before policy sees them: RFC 791 section 3.2, RFC 8200 section 4.5, RFC 5722, RFC
 * 8900.
 *
 * Memory is bounded: a fixed number of datagrams, each with a buffer of its own. When all are in use, one of
 * whoever holds most is discarded, see slot_evict(), and of those the one that has waited longest, since an
 * honest datagram is complete within milliseconds. Overlapping fragments end their datagram; an exact
 * repetition is ignored. The sender is told nothing about what is discarded here.
 */
#include "base/siphash.h"
#include "firewall/internal.h"
#include "wire/csum.h"

#include <assert.h>
#include <stdlib.h>

#define SLOT_BYTES (TRAIN_HEAD_ROOM + FW_FRAGMENT_HEADER_MAX + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM)
#define PAYLOAD_AT (TRAIN_HEAD_ROOM + FW_FRAGMENT_HEADER_MAX)

/* The header fields of a fragment. */
struct fragment {
	struct fw_key key;
	struct fw_range range;
	bool more;
	uint32_t header_n, next_at;
	uint8_t proto;
	const uint8_t *payload;
};

bool fw_reassembly_attach(struct firewall *fw)
{
	uint32_t n = fw->limits.reassembly_max;

	fw->datagram = lines_new(n + 1u, sizeof *fw->datagram);
	fw->datagram_tag = lines_new(n + 1u, sizeof *fw->datagram_tag);
	if (!fw->datagram || !fw->datagram_tag)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!(fw->datagram[i].bytes = malloc(SLOT_BYTES)))
			return false;
	return true;
}

void fw_reassembly_detach(struct firewall *fw)
{
	for (uint32_t i = 0; fw->datagram && i < fw->limits.reassembly_max; i++)
		free(fw->datagram[i].bytes);
	free(fw->datagram);
	free(fw->datagram_tag);
}

static void slot_free(struct firewall *fw, uint32_t i)
{
	assert(fw->datagram[i].state != FW_DATAGRAM_FREE && fw->datagrams_used > 0);
	fw->datagram[i].state = FW_DATAGRAM_FREE;
	fw->datagram_tag[i] = 0;
	fw->datagrams_used--;
}

void fw_reassemble_done(struct firewall *fw)
{
	if (!fw->datagrams_whole)
		return;
	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++)
		if (fw->datagram[i].state == FW_DATAGRAM_WHOLE)
			slot_free(fw, i);
	fw->datagrams_whole = false;
}

void fw_reassembly_expire(struct firewall *fw, mono_ns now)
{
	for (uint32_t i = 0; fw->datagrams_used > 0 && i < fw->limits.reassembly_max; i++)
		if (fw->datagram[i].state == FW_DATAGRAM_FILLING && fw->datagram[i].deadline <= now) {
			fw->counters.fragments_timeout += fw->datagram[i].fragments;
			slot_free(fw, i);
		}
}

/* ---- parsing ---- */

static bool read4(struct fragment *f, const struct train *t)
{
	uint16_t field = load_be16(t->ip + 6);

	f->header_n = 4u * (t->ip[0] & 15);
	f->range.first = 8u * (field & IP4_OFFSET_MASK);
	f->key.src_port = load_be16(t->ip + 4);
	f->key.proto = t->proto;
	return true;
}

/* train_parse() has set l4_offset to the end of the fragment header; in front of that are complete
 * extension headers. */
static bool read6(struct fragment *f, const struct train *t)
{
	uint32_t n = IP6_HEADER_SIZE;

	f->header_n = t->l4_offset - (uint32_t)IP6_FRAGMENT_SIZE;
	f->next_at = 6;
	while (n < f->header_n) {
		if (t->ip[f->next_at] == IP6_FRAGMENT)
			return false; /* two fragment headers */
		f->next_at = n;
		n += 8u + 8u * t->ip[n + 1];
	}
	f->range.first = load_be16(t->ip + f->header_n + 2) & IP6_OFFSET_MASK;
	uint32_t id = load_be32(t->ip + f->header_n + 4);
	f->key.src_port = (uint16_t)(id >> 16);
	f->key.dst_port = (uint16_t)id;
	return n == f->header_n && t->ip[f->next_at] == IP6_FRAGMENT;
}

static bool fragment_read(struct fragment *f, const struct train *t)
{
	uint32_t n = t->len - t->l4_offset;
	uint32_t first_min = t->proto == IP_TCP ? FW_FRAGMENT_FIRST_TCP_MIN : FW_FRAGMENT_FIRST_MIN;

	*f = (struct fragment){ .more = t->flags & TRAIN_MORE_FRAGMENTS, .proto = t->proto };
	f->key.family = t->src.family;
	f->key.vrf = t->vrf;
	memcpy(f->key.src, t->src.b, 16);
	memcpy(f->key.dst, t->dst.b, 16);
	if (t->src.family == ADDR_V4 ? !read4(f, t) : !read6(f, t))
		return false;
	f->payload = t->ip + t->l4_offset;
	f->range.end = f->range.first + n;
	if (n == 0 || (f->more && n % 8 != 0) || f->header_n > FW_FRAGMENT_HEADER_MAX || t->segment_size)
		return false;
	if (f->range.first == 0 && n < first_min)
		return false;
	return f->header_n + f->range.end <= UINT16_MAX; /* the ping of death */
}

/* ---- storing ---- */

/*
 * Fragments from a tunnel are not reassembled with fragments in clear text, nor with those of another tunnel, even where
 * they share a zone: the datagram would count as what its last fragment was. Another policy numbers zones and tunnels
 * differently.
 */
static struct fw_origin origin_of(const struct firewall *fw, const struct train *t, uint32_t tunnel)
{
	return (struct fw_origin){ t->in_zone << 1 | !!(t->flags & TRAIN_FROM_TUNNEL), tunnel,
		fw->state->epoch };
}

static bool origin_same(const struct fw_origin *a, const struct fw_origin *b)
{
	return a->zone == b->zone && a->tunnel == b->tunnel && a->epoch == b->epoch;
}

static uint32_t slot_find(
	const struct firewall *fw, const struct fw_key *key, const struct fw_origin *origin, uint64_t tag)
{
	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++)
		if (fw->datagram_tag[i] == tag && fw->datagram[i].state == FW_DATAGRAM_FILLING &&
			fw_key_equal(&fw->datagram[i].key, key) &&
			origin_same(&fw->datagram[i].origin, origin))
			return i;
	return FW_NONE;
}

/* Places in use. */
struct shares {
	uint16_t origin[2 * ZONES_MAX + 1], source[FW_FRAGMENT_SOURCES], host[FW_FRAGMENT_SOURCES];
};

/* How many places the datagram's zone holds, then its source, then its host: whoever holds most is evicted
 * first. */
static uint64_t share_of(const struct fw_datagram *d, const struct shares *s)
{
	return (uint64_t)s->origin[MIN_OF(d->origin.zone, 2u * ZONES_MAX)] << 32 |
	       (uint64_t)s->source[d->source % FW_FRAGMENT_SOURCES] << 16 |
	       s->host[d->host % FW_FRAGMENT_SOURCES];
}

/*
 * When all places are in use, the oldest datagram of the host that holds most, of the source that holds most,
 * in the zone that holds most, is discarded: so a zone cannot take another zone's places, nor a source
 * another source's, nor, on an IPv6 LAN, which is one source, a host its neighbours'.
 */
static uint32_t slot_evict(struct firewall *fw)
{
	struct shares s = { 0 };
	uint32_t best = FW_NONE;

	assert(fw->datagrams_used == fw->limits.reassembly_max);
	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++) {
		s.origin[MIN_OF(fw->datagram[i].origin.zone, 2u * ZONES_MAX)]++;
		s.source[fw->datagram[i].source % FW_FRAGMENT_SOURCES]++;
		s.host[fw->datagram[i].host % FW_FRAGMENT_SOURCES]++;
	}
	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++) {
		const struct fw_datagram *d = &fw->datagram[i],
					 *b = &fw->datagram[best == FW_NONE ? i : best];
		uint64_t mine = share_of(d, &s), theirs = share_of(b, &s);
		if (d->state == FW_DATAGRAM_FILLING &&
			(best == FW_NONE || mine > theirs || (mine == theirs && d->deadline < b->deadline)))
			best = i;
	}
	if (best != FW_NONE) {
		fw->counters.fragments_limit += fw->datagram[best].fragments;
		slot_free(fw, best);
	}
	return best;
}

static uint32_t slot_take(struct firewall *fw)
{
	for (uint32_t i = 0; i < fw->limits.reassembly_max; i++)
		if (fw->datagram[i].state == FW_DATAGRAM_FREE)
			return i;
	return slot_evict(fw);
}

static uint32_t addr_hash(const struct firewall *fw, struct ip_addr a)
{
	return (uint32_t)siphash13(fw->limits.hash_key, a.b, sizeof a.b);
}

static uint32_t slot_for(
	struct firewall *fw, const struct fragment *f, const struct fw_origin *origin, mono_ns now)
{
	uint64_t tag = fw_key_hash(fw, &f->key) | 1;
	uint32_t i = slot_find(fw, &f->key, origin, tag);

	if (i != FW_NONE || (i = slot_take(fw)) == FW_NONE)
		return i;
	uint8_t *bytes = fw->datagram[i].bytes;
	fw->datagram[i] = (struct fw_datagram){ .state = FW_DATAGRAM_FILLING,
		.key = f->key,
		.origin = *origin,
		.host = addr_hash(fw, fw_key_src(&f->key)),
		.source = addr_hash(fw, addr_source(fw_key_src(&f->key))),
		.deadline = now + FW_FRAGMENT_TIMEOUT_S * NS_PER_S,
		.bytes = bytes };
	fw->datagram_tag[i] = tag;
	fw->datagrams_used++;
	assert(fw->datagrams_used <= fw->limits.reassembly_max);
	return i;
}

/* Inserts the range into the list and joins it with adjacent ones. */
static enum drop_reason range_add(struct fw_datagram *d, struct fw_range r)
{
	uint32_t at = 0;

	while (at < d->ranges_n && d->ranges[at].end < r.first)
		at++;
	/* at: the first range that ends at the start of r or after it */
	struct fw_range *next = &d->ranges[at];
	bool joins = at < d->ranges_n && next->end == r.first;
	uint32_t after = joins ? at + 1 : at;
	if ((!joins && at < d->ranges_n && next->first < r.end) ||
		(after < d->ranges_n && d->ranges[after].first < r.end))
		return DROP_FRAGMENT_OVERLAP;
	bool joins_next = after < d->ranges_n && d->ranges[after].first == r.end;
	if (joins && joins_next) {
		next->end = d->ranges[after].end;
		memmove(&d->ranges[after], &d->ranges[after + 1], sizeof r * (d->ranges_n - after - 1));
		d->ranges_n--;
	} else if (joins) {
		next->end = r.end;
	} else if (joins_next) {
		next->first = r.first;
	} else {
		if (d->ranges_n == FW_FRAGMENTS_PER_DATAGRAM)
			return DROP_FRAGMENT_LIMIT;
		memmove(next + 1, next, sizeof r * (d->ranges_n - at));
		*next = r;
		d->ranges_n++;
	}
	assert(next->first < next->end && d->ranges_n <= FW_FRAGMENTS_PER_DATAGRAM);
	assert(at == 0 || next[-1].end < next->first);
	assert(at + 1 == d->ranges_n || next->end < next[1].first);
	return DROP_NONE;
}

static bool repeats(const struct fw_datagram *d, const struct fragment *f)
{
	for (uint32_t i = 0; i < d->ranges_n; i++)
		if (f->range.first >= d->ranges[i].first && f->range.end <= d->ranges[i].end)
			return memcmp(d->bytes + PAYLOAD_AT + f->range.first, f->payload,
				       f->range.end - f->range.first) == 0;
	return false;
}

/* The last fragment states the end of the datagram, once, and nothing may follow it. */
static enum drop_reason total_check(struct fw_datagram *d, const struct fragment *f)
{
	if (f->more)
		return d->total && f->range.end >= d->total ? DROP_FRAGMENT_INVALID : DROP_NONE;
	if (d->total || (d->ranges_n && d->ranges[d->ranges_n - 1].end > f->range.end))
		return DROP_FRAGMENT_INVALID;
	d->total = f->range.end;
	return DROP_NONE;
}

static enum drop_reason fragment_keep(struct fw_datagram *d, const struct fragment *f, const struct train *t)
{
	assert(f->header_n + f->range.end <= TRAIN_BYTES_MAX && f->header_n <= FW_FRAGMENT_HEADER_MAX);
	if (repeats(d, f))
		return DROP_NONE;
	enum drop_reason drop = range_add(d, f->range);
	if (!drop)
		drop = total_check(d, f);
	if (drop)
		return drop;
	memcpy(d->bytes + PAYLOAD_AT + f->range.first, f->payload, f->range.end - f->range.first);
	d->fragments++;
	d->largest = (uint16_t)MAX_OF(d->largest, t->len);
	if (t->dont_fragment)
		d->largest_df = (uint16_t)MAX_OF(d->largest_df, t->len);
	d->congested |= (t->traffic_class & 3) == 3;
	if (f->range.first == 0) {
		memcpy(d->header, t->ip, f->header_n);
		d->header_n = f->header_n;
		d->next_at = f->next_at;
		if (t->src.family == ADDR_V6)
			d->header[f->next_at] = f->proto;
	}
	/* The first fragment's header may be longer than those of the fragments before it. */
	return d->header_n + d->total > UINT16_MAX ? DROP_FRAGMENT_INVALID : DROP_NONE;
}

/* ---- completion ---- */

static bool is_whole(const struct fw_datagram *d)
{
	return d->header_n && d->total && d->ranges_n == 1 && d->ranges[0].first == 0 &&
	       d->ranges[0].end == d->total;
}

static void header_finish(struct fw_datagram *d, uint8_t *ip, bool v4)
{
	assert(d->header_n >= (v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE));
	memcpy(ip, d->header, d->header_n);
	bool mark = d->congested && (v4 ? ip[1] & 3 : ip[1] >> 4 & 3);
	if (mark)
		ip[1] |= v4 ? 3 : 3 << 4;
	if (v4) {
		store_be16(ip + 2, (uint16_t)(d->header_n + d->total));
		/* If the largest fragment had don't-fragment set, its sender is told when it does not fit
		 * (RFC 1191 section 3). */
		store_be16(ip + 6, d->largest_df == d->largest ? IP4_DF : 0);
		memset(ip + IP4_CSUM, 0, 2);
		uint16_t c = (uint16_t)~csum_fold(csum_add(0, ip, d->header_n));
		memcpy(ip + IP4_CSUM, &c, 2);
	} else {
		store_be16(ip + 4, (uint16_t)(d->header_n - IP6_HEADER_SIZE + d->total));
	}
}

/* The whole datagram's headers. A group was let pass with each of its fragments. */
static enum drop_reason whole_parse(struct train *t)
{
	enum drop_reason drop = train_parse(t);

	if (drop == DROP_MULTICAST)
		drop = t->drop = DROP_NONE;
	if (drop == DROP_NONE && t->flags & TRAIN_FRAGMENT)
		t->drop = DROP_FRAGMENT_INVALID; /* a fragment within fragments */
	if (t->drop == DROP_NONE)
		train_verify_l4(t);
	return t->drop;
}

bool fw_reassemble(struct firewall *fw, struct train *t, uint32_t tunnel, mono_ns now)
{
	const struct fw_origin origin = origin_of(fw, t, tunnel);
	struct fragment f;

	if (t->drop || !(t->flags & TRAIN_FRAGMENT))
		return false;
	if (!fragment_read(&f, t)) {
		t->drop = DROP_FRAGMENT_INVALID;
		return false;
	}
	uint32_t i = slot_for(fw, &f, &origin, now);
	if (i == FW_NONE) {
		t->drop = DROP_FRAGMENT_LIMIT;
		return false;
	}
	struct fw_datagram *d = &fw->datagram[i];
	t->drop = fragment_keep(d, &f, t);
	if (t->drop) {
		fw->counters.fragments_overlap += d->fragments;
		slot_free(fw, i);
		return false;
	}
	if (!is_whole(d))
		return false;
	assert(d->header_n <= FW_FRAGMENT_HEADER_MAX && d->header_n + d->total <= UINT16_MAX);
	t->ip = d->bytes + PAYLOAD_AT - d->header_n;
	t->len = d->header_n + d->total;
	t->csum = TRAIN_CSUM_UNKNOWN;
	t->flags |= TRAIN_REASSEMBLED;
	t->fragment_max = d->largest;
	header_finish(d, t->ip, t->src.family == ADDR_V4);
	if (whole_parse(t) != DROP_NONE) {
		fw->counters.fragments_overlap += d->fragments - 1;
		slot_free(fw, i);
		return false;
	}
	d->state = FW_DATAGRAM_WHOLE;
	fw->datagram_tag[i] = 0;
	fw->datagrams_whole = true;
	fw->counters.reassembled++;
	return true;
}
