#include "route/nexthops.h"

#include <assert.h>
#include <stdlib.h>

bool nexthops_init(struct nexthops *h, const struct nexthops_dead *dead)
{
	*h = (struct nexthops){ .free = NEXTHOPS_NONE, .buckets_n = NEXTHOPS_BUCKETS_MIN, .dead = dead };
	h->segment[0] = calloc(NEXTHOPS_BUCKETS_MIN, sizeof(struct nexthop_set *));
	return h->segment[0] != NULL;
}

/* --- ports --- */

struct nexthops_port *nexthops_port_find(const struct nexthops *h, uint32_t index)
{
	struct nexthops_port *p = h->port[index % NEXTHOPS_PORT_BUCKETS];

	while (p && p->index != index)
		p = p->next;
	return p;
}

struct nexthops_port *nexthops_port_get(struct nexthops *h, uint32_t index)
{
	struct nexthops_port *p = nexthops_port_find(h, index);

	if (p || !(p = calloc(1, sizeof *p)))
		return p;
	p->index = index;
	p->dead = h->dead;
	p->next = h->port[index % NEXTHOPS_PORT_BUCKETS];
	h->port[index % NEXTHOPS_PORT_BUCKETS] = p;
	return p;
}

static void port_unlink(struct nexthops *h, struct nexthops_port *port)
{
	struct nexthops_port **at = &h->port[port->index % NEXTHOPS_PORT_BUCKETS];

	while (*at != port) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = port->next;
}

void nexthops_port_trim(struct nexthops *h, struct nexthops_port *port)
{
	if (!port || port->users > 0 || port->known)
		return;
	if (!port->gone)
		port_unlink(h, port);
	free(port);
}

void nexthops_port_gone(struct nexthops *h, struct nexthops_port *port)
{
	assert(!port->gone);
	port_unlink(h, port);
	__atomic_store_n(&port->gone, true, __ATOMIC_RELEASE);
	port->known = false;
	__atomic_store_n(&port->up, false, __ATOMIC_RELEASE);
	nexthops_port_trim(h, port);
}

/* --- the hash table --- */

static struct nexthop_set **bucket_at(const struct nexthops *h, uint32_t bucket)
{
	assert(bucket < h->buckets_n);
	if (bucket < NEXTHOPS_BUCKETS_MIN)
		return &h->segment[0][bucket];
	uint32_t of = 31 - (uint32_t)__builtin_clz(bucket / NEXTHOPS_BUCKETS_MIN);
	return &h->segment[of + 1][bucket - (NEXTHOPS_BUCKETS_MIN << of)];
}

/* Half of the next power of two: buckets below it, counted from there, are those that were divided. */
static uint32_t buckets_half(const struct nexthops *h)
{
	assert(h->buckets_n >= NEXTHOPS_BUCKETS_MIN);
	return 1u << (31 - (uint32_t)__builtin_clz(h->buckets_n));
}

static struct nexthop_set **bucket_of(const struct nexthops *h, uint32_t hash)
{
	uint32_t half = buckets_half(h), bucket = hash & (2 * half - 1);

	return bucket_at(h, bucket < h->buckets_n ? bucket : bucket - half);
}

/* One bucket more: what belongs in it moves out of its elder. Without memory lists become longer. */
static void buckets_grow(struct nexthops *h)
{
	uint32_t bucket = h->buckets_n, half = buckets_half(h);

	if (bucket == half) { /* the first of a segment */
		uint32_t of = 32 - (uint32_t)__builtin_clz(bucket / NEXTHOPS_BUCKETS_MIN);
		if (of == NEXTHOPS_SEGMENTS_MAX ||
			(!h->segment[of] && !(h->segment[of] = calloc(half, sizeof(void *)))))
			return;
	}
	h->buckets_n++;
	struct nexthop_set **from = bucket_at(h, bucket - half), **to = bucket_at(h, bucket);
	while (*from) {
		struct nexthop_set *s = *from;
		if ((s->hash & (2 * half - 1)) != bucket) {
			from = &s->next;
			continue;
		}
		*from = s->next;
		s->next = *to;
		*to = s;
	}
}

/* The host's administrator fills the tables: this spreads, it need not withstand an adversary's choice. */
static uint32_t set_hash(const struct nexthop_set *s)
{
	uint64_t h = s->n;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct nexthop *one = &s->hop[i];
		uint64_t words[] = { (uintptr_t)one->port, load_be64(one->gateway.b),
			load_be64(one->gateway.b + 8), (uint64_t)one->metric << 32 | one->mtu,
			(uint64_t)one->kind << 8 | one->gateway.family,
			(uint64_t)one->path << 32 | one->weight };
		for (size_t k = 0; k < COUNT_OF(words); k++)
			h = ((h ^ words[k]) * 0x9e3779b97f4a7c15ull) ^ h >> 29;
	}
	return (uint32_t)(h * 0xd6e8feb86659fd93ull >> 32);
}

static bool hop_equal(const struct nexthop *a, const struct nexthop *b)
{
	return a->port == b->port && a->metric == b->metric && a->mtu == b->mtu && a->kind == b->kind &&
	       a->weight == b->weight && a->path == b->path && addr_equal(&a->gateway, &b->gateway);
}

static bool set_equal(const struct nexthop_set *a, const struct nexthop_set *b)
{
	if (a->hash != b->hash || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!hop_equal(&a->hop[i], &b->hop[i]))
			return false;
	return true;
}

/* --- sets --- */

struct nexthop_set *nexthop_set_new(uint32_t n)
{
	return calloc(1, sizeof(struct nexthop_set) + n * sizeof(struct nexthop));
}

/* A number for the set; false: out of memory. */
static bool number_give(struct nexthops *h, struct nexthop_set *set)
{
	uint32_t number = h->free;

	if (number != NEXTHOPS_NONE) {
		h->free = h->chunk[number / NEXTHOPS_CHUNK][number % NEXTHOPS_CHUNK].free;
	} else {
		number = h->places_n;
		uint32_t chunk = number / NEXTHOPS_CHUNK;
		if (chunk == NEXTHOPS_CHUNKS_MAX)
			return false;
		if (!h->chunk[chunk] && !(h->chunk[chunk] = calloc(NEXTHOPS_CHUNK, sizeof *h->chunk[0])))
			return false;
		h->places_n++;
	}
	assert(number < h->places_n);
	set->number = number;
	h->chunk[number / NEXTHOPS_CHUNK][number % NEXTHOPS_CHUNK].set = set;
	return true;
}

struct nexthop_set *nexthops_intern(struct nexthops *h, struct nexthop_set *fresh)
{
	fresh->hash = set_hash(fresh);
	for (struct nexthop_set *s = *bucket_of(h, fresh->hash); s; s = s->next)
		if (set_equal(s, fresh)) {
			assert(s->refs > 0);
			free(fresh);
			s->refs++;
			return s;
		}
	if (!number_give(h, fresh)) {
		free(fresh);
		return NULL;
	}
	if (h->sets_n >= h->buckets_n)
		buckets_grow(h);
	struct nexthop_set **bucket = bucket_of(h, fresh->hash);
	fresh->next = *bucket;
	*bucket = fresh;
	fresh->refs = 1;
	h->sets_n++;
	for (uint32_t i = 0; i < fresh->n; i++) {
		assert(i == 0 || fresh->hop[i - 1].metric <= fresh->hop[i].metric);
		if (fresh->hop[i].port)
			fresh->hop[i].port->users++;
	}
	return fresh;
}

void nexthops_unref(struct nexthops *h, struct nexthop_set *set)
{
	assert(set->refs > 0);
	if (--set->refs > 0)
		return;
	struct nexthop_set **at = bucket_of(h, set->hash);
	while (*at != set)
		at = &(*at)->next;
	*at = set->next;
	h->sets_n--;
	set->next = h->retired;
	h->retired = set;
}

void nexthops_reclaim(struct nexthops *h)
{
	while (h->retired) {
		struct nexthop_set *set = h->retired;
		assert(set->refs == 0);
		h->retired = set->next;
		for (uint32_t i = 0; i < set->n; i++)
			if (set->hop[i].port) {
				assert(set->hop[i].port->users > 0);
				set->hop[i].port->users--;
				nexthops_port_trim(h, set->hop[i].port);
			}
		h->chunk[set->number / NEXTHOPS_CHUNK][set->number % NEXTHOPS_CHUNK].free = h->free;
		h->free = set->number;
		free(set);
	}
}

bool nexthops_release(struct nexthops *h, uint32_t budget)
{
	for (; h->segment[0] && h->buckets_n > 0 && budget > 0; h->buckets_n--, budget--) {
		struct nexthop_set **at = bucket_at(h, h->buckets_n - 1);
		while (*at) {
			struct nexthop_set *set = *at;
			*at = set->next;
			set->refs = 0;
			set->next = h->retired;
			h->retired = set;
		}
	}
	nexthops_reclaim(h);
	return !h->segment[0] || h->buckets_n == 0;
}

void nexthops_done(struct nexthops *h)
{
	nexthops_release(h, UINT32_MAX);
	for (uint32_t i = 0; i < NEXTHOPS_PORT_BUCKETS; i++)
		while (h->port[i]) {
			h->port[i]->known = false;
			nexthops_port_trim(h, h->port[i]);
		}
	for (uint32_t i = 0; i < NEXTHOPS_CHUNKS_MAX && h->chunk[i]; i++)
		free(h->chunk[i]);
	for (uint32_t i = 0; i < NEXTHOPS_SEGMENTS_MAX && h->segment[i]; i++)
		free(h->segment[i]);
	*h = (struct nexthops){ 0 };
}
