/*
 * The forwarding table full: 1,000,000 IPv4 and 250,000 IPv6 prefixes; what a change and a lookup cost, and
 * how much memory they take. One JSON object a line, as bench_pipeline prints them. Arguments: names of
 * what to measure, of "v4", "v6" (the table of a family) and "core" (the routing core with both families
 * full); all without.
 *
 * The prefixes are made up: their lengths are shared out roughly as in the Internet's tables of these years (a
 * /24 or a /48 more often than all others together; estimates, from no snapshot of a real table), with some
 * longer ones of a network's own; drawn in parts of the address space, so that they lie together and nest: of IPv4 half of the /16s, of IPv6
 * allocations in the registries' blocks.
 *
 * Lookups: the median of rounds of 4,096. "random" are of addresses in random prefixes of the table;
 * "chained" are those where each waits for the one before; "cached" are 1,000 destinations again and again;
 * "burst" are random ones, 64 at once. In the core a lookup is what the first packet of a session makes, and a burst is
 * what the pipeline does for the first packets among up to 64: they are prepared together and looked up one by one.
 * Beside them what one read of memory costs that waits for the one before: "routes.memory-read.16M", over
 * 16 MB in pages of the usual size.
 *
 * Changes: prefixes that go, come back, or lead another way, one by one with the clock around each; "short"
 * are a default route and one of /8 (IPv6: /3) around all that is in it. All times are the thread's own, so
 * that other work on the machine shows only by the caches it takes, by interrupts, and by what a virtual machine's host
 * does; what reading that clock costs is in them. How much that is a "touch" says, after each change: TOUCHES words
 * anywhere in as much memory are read and written. No change can be expected to be shorter than that.
 */
#include "route/fib.h"
#include "route/route.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define V4_PREFIXES 1000000u
#define V6_PREFIXES 250000u
#define ROUND	    4096u /* lookups */
#define ROUNDS	    400u
#define CHANGES	    400000u
#define ADDRS	    (1u << 20)
#define CACHED	    1000u
#define HOPS	    64u
#define BURST	    64u
#define TOUCHES	    12u /* about as many lines as a change reads or writes that are not in the caches */
#define TOUCHED	    (32u << 20) /* octets, in large pages */

struct share {
	uint32_t bits, per_mille;
};

static const struct share v4_shares[] = { { 24, 605 }, { 23, 100 }, { 22, 109 }, { 21, 51 }, { 20, 44 },
	{ 19, 25 }, { 18, 14 }, { 17, 9 }, { 16, 14 }, { 15, 2 }, { 14, 1 }, { 32, 10 }, { 29, 8 },
	{ 28, 8 } };
static const struct share v6_shares[] = { { 48, 450 }, { 32, 120 }, { 44, 95 }, { 40, 90 }, { 36, 50 },
	{ 46, 45 }, { 47, 30 }, { 42, 25 }, { 29, 25 }, { 45, 20 }, { 33, 15 }, { 34, 10 }, { 35, 5 },
	{ 64, 10 }, { 128, 10 } };

static struct ip_prefix *prefixes[2]; /* by family: 0 IPv4, 1 IPv6 */
static uint32_t prefixes_n[2];
static struct ip_addr *addrs;
static double *samples, *touches;
static uint8_t *touched;
static uint64_t state = 20261129;

static uint32_t draw(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((state >> 33) % below);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"%s\"}\n", name, value, unit);
	fflush(stdout);
}

/* --- the table --- */

static uint32_t length_draw(const struct share *shares, size_t n)
{
	uint32_t at = draw(1000);

	for (size_t i = 0; i + 1 < n; i++) {
		if (at < shares[i].per_mille)
			return shares[i].bits;
		at -= shares[i].per_mille;
	}
	return shares[n - 1].bits;
}

/* Of IPv4 the first octets that are in use, each with more or fewer of its /16s. */
static struct ip_addr v4_draw(void)
{
	struct ip_addr a = { .family = ADDR_V4 };
	uint32_t block;

	do {
		block = draw(223 * 256);
	} while (block < 256 || block >> 8 == 10 || block >> 8 == 127 || block * 2654435761u >> 31);
	store_be32(a.b, block << 16 | draw(65536));
	return a;
}

/* Of IPv6 allocations of /29 to /32 in a few blocks; in an allocation the lower numbers first. */
static struct ip_addr v6_draw(void)
{
	static const uint16_t blocks[] = { 0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00 };
	struct ip_addr a = { .family = ADDR_V6 };
	uint32_t allocation = draw(5000) * 2654435761u >> 19;

	store_be16(a.b, (uint16_t)(blocks[draw(COUNT_OF(blocks))] + (allocation >> 8 & 15)));
	store_be16(a.b + 2, (uint16_t)(allocation * 40503u));
	a.b[4] = (uint8_t)(draw(3) == 0 ? draw(256) : draw(8));
	a.b[5] = (uint8_t)draw(256);
	for (int i = 6; i < 16; i++)
		a.b[i] = (uint8_t)draw(256);
	return a;
}

static int prefix_order(const void *va, const void *vb)
{
	const struct ip_prefix *a = va, *b = vb;
	int c = memcmp(a->addr.b, b->addr.b, sizeof a->addr.b);

	return c != 0 ? c : a->bits < b->bits ? -1 : a->bits > b->bits;
}

/* n different prefixes, in random order. */
static void prefixes_make(uint32_t family, uint32_t n)
{
	struct ip_prefix *list = calloc(n, sizeof *list);
	uint32_t have = 0;

	if (!list)
		exit(1);
	while (have < n) {
		for (uint32_t i = have; i < n; i++) {
			struct ip_prefix p = { family ? v6_draw() : v4_draw(),
				family ? length_draw(v6_shares, COUNT_OF(v6_shares))
				       : length_draw(v4_shares, COUNT_OF(v4_shares)) };
			p.addr = range_from_prefix(&p).first;
			list[i] = p;
		}
		qsort(list, n, sizeof *list, prefix_order);
		have = 1;
		for (uint32_t i = 1; i < n; i++)
			if (prefix_order(&list[i], &list[have - 1]) != 0)
				list[have++] = list[i];
	}
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t k = draw(i + 1);
		struct ip_prefix p = list[i];
		list[i] = list[k];
		list[k] = p;
	}
	prefixes[family] = list;
	prefixes_n[family] = n;
}

/* Destinations in random prefixes. */
static void addrs_make(uint32_t family)
{
	for (uint32_t i = 0; i < ADDRS; i++) {
		const struct ip_prefix *p = &prefixes[family][draw(prefixes_n[family])];
		addrs[i] = p->addr;
		for (uint32_t k = p->bits / 8; k < (family ? 16u : 4u); k++)
			addrs[i].b[k] |=
				(uint8_t)(draw(256) & (k == p->bits / 8 ? 0xff >> p->bits % 8 : 0xff));
	}
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* --- measurements of the table --- */

static uint32_t look(const struct fib *f, const struct route_table *t, const struct ip_addr *a)
{
	struct route_answer answer;

	if (f)
		return fib_lookup(f, a);
	struct route_flow flow = { .src = *a, .dst = *a, .in_link = ROUTE_NONE };
	route_lookup_flow(t, &flow, NULL, &answer);
	return answer.link;
}

/* BURST at once. */
static uint32_t look_burst(const struct fib *f, const struct route_table *t, const struct ip_addr *a)
{
	const struct ip_addr *list[BURST];
	uint32_t values[BURST], high = 0;

	for (uint32_t i = 0; i < BURST; i++)
		list[i] = &a[i];
	if (f)
		fib_lookup_burst(f, list, BURST, values);
	else
		route_prefetch(t, list, BURST);
	for (uint32_t i = 0; i < BURST; i++)
		high |= f ? values[i] : look(NULL, t, &a[i]);
	return high;
}

static double bursts(const struct fib *f, const struct route_table *t)
{
	uint32_t at = 0, high = 0;
	double rounds[ROUNDS];

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns();
		for (uint32_t i = 0; i < ROUND; i += BURST, at = (at + BURST) % ADDRS)
			high |= look_burst(f, t, &addrs[at]);
		rounds[round] = (double)(now_ns() - begin) / ROUND;
	}
	qsort(rounds, ROUNDS, sizeof *rounds, order);
	return high >> 31 ? -1 : rounds[ROUNDS / 2];
}

/* In one of both, the other is NULL. */
static inline __attribute__((always_inline)) double lookups(
	const struct fib *f, const struct route_table *t, uint32_t addrs_n, bool chained)
{
	uint32_t at = 0, high = 0;
	double rounds[ROUNDS];

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns();
		for (uint32_t i = 0; i < ROUND; i++) {
			uint32_t value = look(f, t, &addrs[at]);
			high |= value;
			if (chained)
				at += value >> 31; /* values are small: nothing is added */
			at = at + 1 < addrs_n ? at + 1 : 0;
		}
		rounds[round] = (double)(now_ns() - begin) / ROUND;
	}
	qsort(rounds, ROUNDS, sizeof *rounds, order);
	return high >> 31 ? -1 : rounds[ROUNDS / 2]; /* -1: one of them found nothing */
}

/* A ring through all lines of n octets, in random order. */
static void memory_read(size_t n)
{
	uint32_t lines = (uint32_t)(n / 64), at = 0, (*line)[16] = aligned_alloc(64, n);
	double rounds[ROUNDS];

	if (!line)
		exit(1);
	for (uint32_t i = 0; i < lines; i++)
		line[i][0] = i;
	for (uint32_t i = lines - 1; i > 0; i--) { /* Sattolo: one cycle */
		uint32_t k = draw(i), one = line[i][0];
		line[i][0] = line[k][0];
		line[k][0] = one;
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns();
		for (uint32_t i = 0; i < ROUND; i++)
			at = line[at][0];
		rounds[round] = (double)(now_ns() - begin) / ROUND;
	}
	qsort(rounds, ROUNDS, sizeof *rounds, order);
	if (at < lines)
		print("routes.memory-read.16M", rounds[ROUNDS / 2], "ns");
	free(line);
}

static void changes_print(const char *family, const char *what, uint32_t n)
{
	char name[80];
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += samples[i];
	qsort(samples, n, sizeof *samples, order);
	snprintf(name, sizeof name, "routes.%s.%s.rate", family, what);
	print(name, n / sum * 1e9, "changes/s");
	snprintf(name, sizeof name, "routes.%s.%s.p9999", family, what);
	print(name, samples[n - 1 - n / 10000] / 1000, "us");
	snprintf(name, sizeof name, "routes.%s.%s.longest", family, what);
	print(name, samples[n - 1] / 1000, "us");
}

/* What the machine does to so many reads and writes of memory. */
static void touch(uint32_t i)
{
	uint32_t at[TOUCHES];

	for (uint32_t k = 0; k < TOUCHES; k++)
		at[k] = draw(TOUCHED);
	uint64_t begin = now_ns();
	for (uint32_t k = 0; k < TOUCHES; k++)
		touched[at[k]]++;
	touches[i] = (double)(now_ns() - begin);
}

static void touches_print(const char *family, const char *what, uint32_t n)
{
	char name[64];
	double *changes = samples;

	snprintf(name, sizeof name, "%s.touch", what);
	samples = touches;
	changes_print(family, name, n);
	samples = changes;
}

static void lookups_print(const char *family, const struct fib *f, const struct route_table *t)
{
	static const struct {
		const char *name;
		uint32_t addrs;
		bool chained;
	} kinds[] = { { "random", ADDRS, false }, { "chained", ADDRS, true }, { "cached", CACHED, false } };
	char name[80];

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		snprintf(name, sizeof name, "routes.%s.%s", family, kinds[i].name);
		print(name,
			kinds[i].chained ? lookups(f, t, kinds[i].addrs, true)
					 : lookups(f, t, kinds[i].addrs, false),
			"ns/lookup");
	}
	snprintf(name, sizeof name, "routes.%s.burst", family);
	print(name, bursts(f, t), "ns/lookup");
}

static void large_pages(void *bytes, size_t n)
{
	madvise(bytes, n, MADV_HUGEPAGE);
}

static void must(bool held)
{
	if (!held) {
		fprintf(stderr, "bench_routes: a change was refused\n");
		exit(1);
	}
}

static void measure_fib(uint32_t family)
{
	const char *of = family ? "v6" : "v4";
	struct fib f;
	char name[80];

	fib_init(&f, family ? ADDR_V6 : ADDR_V4);
	f.blocks.advise = large_pages;
	uint64_t begin = now_ns();
	for (uint32_t i = 0; i < prefixes_n[family]; i++) {
		must(fib_set(&f, &prefixes[family][i], draw(HOPS)) == RC_OK);
		fib_reclaim(&f);
		blocks_prepare(&f.blocks);
	}
	snprintf(name, sizeof name, "routes.%s.fill", of);
	print(name, (double)(now_ns() - begin) / prefixes_n[family], "ns/prefix");
	snprintf(name, sizeof name, "routes.%s.memory", of);
	print(name, (double)f.blocks.bytes / prefixes_n[family], "octets/prefix");
	addrs_make(family);
	lookups_print(of, &f, NULL);
	for (uint32_t i = 0; i < CHANGES; i++) {
		struct ip_prefix p = prefixes[family][draw(prefixes_n[family])];
		uint32_t what = draw(2), value = draw(HOPS);
		begin = now_ns();
		must((what ? fib_clear(&f, &p) : fib_set(&f, &p, value)) == RC_OK);
		fib_reclaim(&f);
		samples[i] = (double)(now_ns() - begin);
		blocks_prepare(&f.blocks);
		touch(i);
	}
	changes_print(of, "churn", CHANGES);
	touches_print(of, "churn", CHANGES);
	for (uint32_t i = 0; i < CHANGES / 10; i++) {
		struct ip_prefix p = { prefixes[family][i].addr, i & 2 ? 0 : family ? 3 : 8 };
		p.addr = range_from_prefix(&p).first;
		begin = now_ns();
		must((i & 1 ? fib_clear(&f, &p) : fib_set(&f, &p, 1)) == RC_OK);
		fib_reclaim(&f);
		samples[i] = (double)(now_ns() - begin);
	}
	changes_print(of, "short", CHANGES / 10);
	fib_done(&f);
}

/* --- measurements of the routing core --- */

/* A route by one of HOPS neighbours on four links. */
static struct route_entry entry_of(const struct ip_prefix *p, uint32_t hop)
{
	struct route_entry e = { .dst = *p, .link = 2 + hop % 4, .metric = 20 };

	e.gateway = (struct ip_addr){ .b = { 192, 0, 2, (uint8_t)(1 + hop) }, .family = ADDR_V4 };
	return e;
}

static void link_of(struct route_table *t, uint32_t index, bool up)
{
	struct route_link l = { .index = index, .up = up, .mtu = 1500 };

	must(route_link_set(t, &l) == RC_OK);
}

static double measured_set(struct route_table *t, const struct route_entry *e, enum route_place place)
{
	uint64_t begin = now_ns();

	must(route_set(t, e, place) == RC_OK);
	return (double)(now_ns() - begin);
}

static uint64_t measured_prepare(struct route_table *t)
{
	uint64_t begin = now_ns();

	route_prepare(t);
	return now_ns() - begin;
}

static void measure_core(void)
{
	struct route_table *t = route_new();
	uint32_t all = prefixes_n[0] + prefixes_n[1];
	uint64_t begin = now_ns(), longest = 0;

	must(t != NULL);
	route_advise(t, large_pages);
	for (uint32_t i = 2; i < 6; i++)
		link_of(t, i, true);
	for (uint32_t i = 0; i < all; i++) {
		uint32_t family = i >= prefixes_n[0];
		struct route_entry e =
			entry_of(&prefixes[family][family ? i - prefixes_n[0] : i], draw(HOPS));
		samples[i] = measured_set(t, &e, ROUTE_APPEND);
		uint64_t took = measured_prepare(t);
		longest = MAX_OF(longest, took);
	}
	print("routes.core.fill", (double)(now_ns() - begin) / all, "ns/route");
	changes_print("core", "fill", all);
	print("routes.core.prepare.longest", (double)longest / 1000, "us");
	addrs_make(0);
	lookups_print("core.v4", NULL, t);
	addrs_make(1);
	lookups_print("core.v6", NULL, t);
	for (uint32_t i = 0; i < CHANGES; i++) {
		uint32_t family = draw(5) == 0;
		struct route_entry e = entry_of(&prefixes[family][draw(prefixes_n[family])], draw(HOPS));
		bool gone = draw(3) == 0;
		begin = now_ns();
		if (gone)
			route_gone(t, &e);
		else
			must(route_set(t, &e, ROUTE_REPLACE) == RC_OK);
		samples[i] = (double)(now_ns() - begin);
		route_prepare(t);
		touch(i);
	}
	changes_print("core", "churn", CHANGES);
	touches_print("core", "churn", CHANGES);
	for (uint32_t i = 0; i < 1000; i++) {
		begin = now_ns();
		link_of(t, 2 + i / 2 % 4, i & 1);
		samples[i] = (double)(now_ns() - begin);
	}
	changes_print("core", "link", 1000);
	uint32_t pieces = 0;
	for (bool gone = false; !gone && pieces < CHANGES; pieces++) {
		begin = now_ns();
		gone = route_free_piece(t);
		samples[pieces] = (double)(now_ns() - begin);
	}
	changes_print("core", "free", pieces);
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as in the data plane */
	addrs = calloc(ADDRS, sizeof *addrs);
	samples = calloc(V4_PREFIXES + V6_PREFIXES, sizeof *samples);
	touches = calloc(CHANGES, sizeof *touches);
	touched = aligned_alloc(2u << 20, TOUCHED);
	must(addrs && samples && touches && touched);
	large_pages(touched, TOUCHED);
	memset(touched, 1, TOUCHED);
	prefixes_make(0, V4_PREFIXES);
	prefixes_make(1, V6_PREFIXES);
	memory_read(16u << 20);
	if (wanted(argc, argv, "v4"))
		measure_fib(0);
	if (wanted(argc, argv, "v6"))
		measure_fib(1);
	if (wanted(argc, argv, "core"))
		measure_core();
	return 0;
}
