/*
 * The forwarding table against a plain reference: a million random changes and lookups of both families,
 * from a seed that stands here; every change without memory; a reader beside the writer; what memory it
 * takes.
 */
#include "route/fib.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED	   20261129u
#define OPERATIONS 500000u /* of each family */
#define PREFIXES   6000u   /* at once: lookups meet most of them */

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* By link_args --wrap=blocks_get: memory ends after so many blocks more. */
static uint32_t blocks_left = UINT32_MAX;

void *__real_blocks_get(struct blocks *b, size_t size);
void *__wrap_blocks_get(struct blocks *b, size_t size);

void *__wrap_blocks_get(struct blocks *b, size_t size)
{
	if (blocks_left == 0)
		return NULL;
	blocks_left -= blocks_left != UINT32_MAX;
	return __real_blocks_get(b, size);
}

/* --- the reference: all prefixes in a hash table, a lookup tries each length --- */

#define REFERENCE_SLOTS (1u << 17)

static struct reference {
	struct ip_prefix prefix; /* family ADDR_NONE: empty */
	uint32_t value;		 /* FIB_NONE: was set once */
} reference[REFERENCE_SLOTS];
static uint32_t of_length[129];

static struct ip_prefix cut(const struct ip_addr *a, uint32_t bits)
{
	struct ip_prefix p = { *a, bits };

	for (uint32_t i = 0; i < sizeof p.addr.b; i++) {
		uint32_t keep = bits > i * 8 ? MIN_OF(bits - i * 8, 8u) : 0;
		p.addr.b[i] &= (uint8_t)(0xff00 >> keep);
	}
	return p;
}

static struct reference *reference_at(const struct ip_prefix *p)
{
	uint64_t h = (load_be64(p->addr.b) ^ p->bits) * 0x9e3779b97f4a7c15ull + load_be64(p->addr.b + 8);

	h *= 0xd6e8feb86659fd93ull;
	for (uint32_t i = (uint32_t)(h >> 40) % REFERENCE_SLOTS;; i = (i + 1) % REFERENCE_SLOTS) {
		struct reference *r = &reference[i];
		if (r->prefix.addr.family == ADDR_NONE)
			return r;
		if (r->prefix.bits == p->bits && addr_equal(&r->prefix.addr, &p->addr))
			return r;
	}
}

static void reference_set(const struct ip_prefix *p, uint32_t value)
{
	struct reference *r = reference_at(p);

	if (r->prefix.addr.family == ADDR_NONE)
		*r = (struct reference){ *p, FIB_NONE };
	of_length[p->bits] += (value != FIB_NONE) - (r->value != FIB_NONE);
	r->value = value;
}

static uint32_t reference_find(const struct ip_prefix *p)
{
	const struct reference *r = reference_at(p);

	return r->prefix.addr.family == ADDR_NONE ? FIB_NONE : r->value;
}

static uint32_t reference_lookup(const struct ip_addr *a, uint32_t bits_max, uint32_t *ret_bits)
{
	for (uint32_t bits = bits_max + 1; bits-- > 0;) {
		struct ip_prefix p = cut(a, bits);
		uint32_t value = of_length[bits] > 0 ? reference_find(&p) : FIB_NONE;
		*ret_bits = bits;
		if (value != FIB_NONE)
			return value;
	}
	return FIB_NONE;
}

static void reference_clear(void)
{
	memset(reference, 0, sizeof reference);
	memset(of_length, 0, sizeof of_length);
}

static uint32_t reference_count(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= 128; i++)
		n += of_length[i];
	return n;
}

/* Few values of a byte, so that prefixes nest and repeat; now and then any. */
static struct ip_addr random_addr(uint8_t family)
{
	static const uint8_t values[] = { 0, 1, 63, 64, 127, 128, 252, 255 };
	struct ip_addr a = { .family = family };
	bool any = draw(4) == 0;

	for (size_t i = 0; i < addr_size(&a); i++)
		a.b[i] = any && i > 0 ? (uint8_t)draw(256) : values[draw(i < 3 ? 3 : COUNT_OF(values))];
	return a;
}

/* As many short, long and whole ones as in between. */
static uint32_t random_bits(uint32_t max)
{
	uint32_t kind = draw(16);

	return kind == 0 ? draw(10) : kind == 1 ? max : kind == 2 ? max - draw(8) : draw(max + 1);
}

/* --- tests --- */

static void look_everywhere(const struct fib *f, const struct ip_addr *a, uint32_t max)
{
	uint32_t bits = 0, want_bits = 0, within = draw(max + 1), want;

	assert_int_equal(fib_lookup(f, a), reference_lookup(a, max, &want_bits));
	want = reference_lookup(a, within, &want_bits);
	assert_int_equal(fib_lookup_within(f, a, within, &bits), want);
	if (want != FIB_NONE)
		assert_int_equal(bits, want_bits);
}

/* A burst of addresses, some of them more than once. */
static void look_at_once(const struct fib *f, uint8_t family)
{
	struct ip_addr addrs[FIB_BURST];
	const struct ip_addr *list[FIB_BURST];
	uint32_t values[FIB_BURST], n = draw(FIB_BURST + 1), bits;

	for (uint32_t i = 0; i < n; i++) {
		addrs[i] = random_addr(family);
		list[i] = &addrs[i > 0 && draw(8) == 0 ? draw(i) : i];
	}
	fib_lookup_burst(f, list, n, values);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(values[i], reference_lookup(list[i], family == ADDR_V4 ? 32 : 128, &bits));
}

/* Each prefix of the reference once, none twice, and nothing else. */
static void walk_all(const struct fib *f)
{
	struct ip_prefix p;
	uint32_t value, n = 0;

	for (bool more = fib_next(f, NULL, &p, &value); more; more = fib_next(f, &p, &p, &value), n++) {
		struct ip_prefix whole = cut(&p.addr, p.bits);
		assert_true(addr_equal(&whole.addr, &p.addr));
		assert_int_equal(reference_find(&p), value);
		assert_int_equal(fib_find(f, &p), value);
	}
	assert_int_equal(n, f->n);
	assert_int_equal(n, reference_count());
}

static void random_operations(uint8_t family, uint32_t operations)
{
	static struct ip_prefix there[PREFIXES]; /* some of what was set: cleared and changed again */
	uint32_t max = family == ADDR_V4 ? 32 : 128, n = 0;
	struct fib f;

	seed = SEED + family;
	reference_clear();
	fib_init(&f, family);
	for (uint32_t i = 0; i < operations; i++) {
		uint32_t what = draw(8), value = draw(1000);
		struct ip_addr a = random_addr(family);
		struct ip_prefix p = cut(&a, random_bits(max));
		if (what < 2 && reference_count() < PREFIXES) {
			assert_int_equal(fib_set(&f, &p, value), RC_OK);
			reference_set(&p, value);
			there[n++ % PREFIXES] = p;
		} else if (what < 4) {
			if (n > 0 && draw(8) > 0)
				p = there[draw(MIN_OF(n, PREFIXES))];
			value = what == 2 ? FIB_NONE : value;
			assert_int_equal(
				value == FIB_NONE ? fib_clear(&f, &p) : fib_set(&f, &p, value), RC_OK);
			reference_set(&p, value);
		} else {
			if (n > 0 && what > 5) { /* in a prefix, or just outside of it */
				p = there[draw(MIN_OF(n, PREFIXES))];
				a = draw(2) ? p.addr : range_from_prefix(&p).last;
				a.b[addr_size(&a) - 1] ^= (uint8_t)(draw(4) == 0);
			}
			look_everywhere(&f, &a, max);
			if (draw(64) == 0)
				look_at_once(&f, family);
		}
		if (i % 3 == 0)
			fib_reclaim(&f);
		if (draw(1000) == 0)
			blocks_prepare(&f.blocks);
		if (i % (operations / 8) == 0)
			walk_all(&f);
	}
	walk_all(&f);
	/* A walk goes on from a prefix that is gone; when all are, no block is left. */
	struct ip_prefix p;
	uint32_t value, left = f.n;
	for (bool more = fib_next(&f, NULL, &p, &value); more; more = fib_next(&f, &p, &p, &value)) {
		assert_int_equal(fib_clear(&f, &p), RC_OK);
		assert_int_equal(f.n, --left);
	}
	assert_int_equal(left, 0);
	assert_int_equal(fib_lookup(&f, &p.addr), FIB_NONE);
	fib_reclaim(&f);
	assert_int_equal(f.blocks.used, BLOCKS_GRAIN * 2); /* the empty root */
	fib_done(&f);
}

static void ipv4_equals_the_reference(void **state)
{
	random_operations(ADDR_V4, OPERATIONS);
}

static void ipv6_equals_the_reference(void **state)
{
	random_operations(ADDR_V6, OPERATIONS);
}

/* Memory ends at each block of each change: the table is as it was, nothing of it is lost. */
static void without_memory_nothing_changes(uint8_t family)
{
	uint32_t max = family == ADDR_V4 ? 32 : 128, refused = 0;
	struct fib f;

	seed = SEED;
	reference_clear();
	fib_init(&f, family);
	for (uint32_t i = 0; i < 4000; i++) {
		struct ip_addr a = random_addr(family);
		struct ip_prefix p = cut(&a, random_bits(max));
		bool set = draw(3) > 0;
		enum rc rc = RC_LIMIT;
		for (uint32_t blocks = 0; rc != RC_OK; blocks++) {
			size_t used = f.blocks.used;
			blocks_left = blocks;
			rc = set ? fib_set(&f, &p, i) : fib_clear(&f, &p);
			blocks_left = UINT32_MAX;
			if (rc == RC_OK)
				break;
			refused++;
			assert_int_equal(rc, RC_LIMIT);
			assert_int_equal(f.blocks.used, used);
			assert_int_equal(fib_find(&f, &p), reference_find(&p));
			assert_int_equal(f.n, reference_count());
			look_everywhere(&f, &a, max);
			assert_true(blocks < FIB_LEVELS + 2);
		}
		reference_set(&p, set ? i : FIB_NONE);
		fib_reclaim(&f);
		/* A prefix that is set takes another value without any. */
		blocks_left = 0;
		if (set)
			assert_int_equal(fib_set(&f, &p, i), RC_OK);
		blocks_left = UINT32_MAX;
		if (i % 500 == 0)
			walk_all(&f);
	}
	walk_all(&f);
	assert_true(refused > 4000);
	fib_done(&f);
}

static void without_memory(void **state)
{
	without_memory_nothing_changes(ADDR_V4);
	without_memory_nothing_changes(ADDR_V6);
}

/* --- a reader beside the writer --- */

static struct {
	struct fib f;
	uint32_t rounds; /* quiet points of the reader */
	uint32_t wrong, lookups;
	bool stop;
} shared;

static struct ip_addr inside(uint32_t net, uint32_t host)
{
	struct ip_addr a = { .family = ADDR_V4 };

	store_be32(a.b, 0x0a000000u | (net & 0xffff) << 8 | host);
	return a;
}

/* Whatever the writer does, an address has the value of 10.0.0.0/8, or that of its own network. */
static void *read_always(void *unused)
{
	struct ip_addr addrs[FIB_BURST];
	const struct ip_addr *list[FIB_BURST];
	uint32_t values[FIB_BURST];
	uint64_t state = 1;

	while (!__atomic_load_n(&shared.stop, __ATOMIC_ACQUIRE)) {
		for (uint32_t i = 0; i < 256; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			uint32_t net = (uint32_t)(state >> 40) & 0xffff;
			struct ip_addr a = inside(net, (uint32_t)(state >> 33) & 0xff);
			uint32_t value = fib_lookup(&shared.f, &a);
			shared.wrong += value != 0x10000 && value != 0x10001 && value != net;
			shared.lookups++;
		}
		for (uint32_t i = 0; i < FIB_BURST; i++) {
			addrs[i] = inside((uint32_t)state + i, i);
			list[i] = &addrs[i];
		}
		fib_lookup_burst(&shared.f, list, FIB_BURST, values);
		for (uint32_t i = 0; i < FIB_BURST; i++)
			shared.wrong += values[i] != 0x10000 && values[i] != 0x10001 &&
					values[i] != (((uint32_t)state + i) & 0xffff);
		__atomic_fetch_add(&shared.rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void readers_see_changes_whole(void **state)
{
	struct ip_addr all = inside(0, 0);
	struct ip_prefix outer = { all, 8 };
	pthread_t reader;

	seed = SEED;
	fib_init(&shared.f, ADDR_V4);
	assert_int_equal(fib_set(&shared.f, &outer, 0x10000), RC_OK);
	assert_int_equal(pthread_create(&reader, NULL, read_always, NULL), 0);
	for (uint32_t i = 0; i < 60000; i++) {
		uint32_t net = draw(2) ? draw(0x10000) : draw(64);
		struct ip_prefix p = { inside(net, 0), 24 };
		enum rc rc = draw(2) ? fib_set(&shared.f, &p, net) : fib_clear(&shared.f, &p);
		assert_int_equal(rc, RC_OK);
		assert_int_equal(fib_set(&shared.f, &outer, 0x10000 + i % 2), RC_OK);
		if (i % 256 != 0)
			continue;
		/* The round that was under way has ended, and with it everything that it read. */
		uint32_t round = __atomic_load_n(&shared.rounds, __ATOMIC_ACQUIRE);
		while (__atomic_load_n(&shared.rounds, __ATOMIC_ACQUIRE) - round < 2)
			sched_yield();
		fib_reclaim(&shared.f);
	}
	__atomic_store_n(&shared.stop, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	assert_int_equal(shared.wrong, 0);
	assert_true(shared.lookups > 0);
	fib_done(&shared.f);
}

/* --- memory --- */

static void memory_grows_with_the_prefixes(void **state)
{
	struct fib f;
	struct ip_prefix p = { { .family = ADDR_V4 }, 0 };

	fib_init(&f, ADDR_V4);
	assert_int_equal(f.blocks.bytes, 0);
	for (uint32_t i = 0; i < 20; i++) { /* a branch office */
		store_be32(p.addr.b, i == 0 ? 0 : 0x0a000000u | i << 8);
		p.bits = i == 0 ? 0 : 24;
		assert_int_equal(fib_set(&f, &p, i), RC_OK);
		fib_reclaim(&f);
	}
	assert_true(f.blocks.bytes <= 8192);
	for (uint32_t i = 0; i < 100000; i++) {
		store_be32(p.addr.b, 0x14000000u + (i << 8));
		p.bits = 24;
		assert_int_equal(fib_set(&f, &p, i), RC_OK);
		fib_reclaim(&f);
	}
	assert_true(f.blocks.used / f.n < 10);
	assert_true(f.blocks.bytes < f.n * 10 + BLOCKS_SLAB_SIZE_MAX);
	fib_done(&f);
	/* Host routes that have nothing in common. */
	fib_init(&f, ADDR_V6);
	seed = SEED;
	for (uint32_t i = 0; i < 10000; i++) {
		p.addr.family = ADDR_V6;
		for (uint32_t k = 0; k < 16; k++)
			p.addr.b[k] = (uint8_t)draw(256);
		p.bits = 128;
		assert_int_equal(fib_set(&f, &p, i), RC_OK);
		fib_reclaim(&f);
	}
	assert_true(f.blocks.bytes < f.n * FIB_LEVELS * 2 * BLOCKS_GRAIN + BLOCKS_SLAB_SIZE_MAX);
	fib_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_equals_the_reference),
		cmocka_unit_test(ipv6_equals_the_reference),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(readers_see_changes_whole),
		cmocka_unit_test(memory_grows_with_the_prefixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
