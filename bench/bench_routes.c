/*
 * The forwarding table full: 1,000,000 IPv4 and 250,000 IPv6 prefixes, what a change and a lookup cost, and how much
 * memory they take; beside them a default route alone, and the routing core over both. One JSON object a line, as
 * bench_pipeline prints them. Arguments: names of measurements to run (all without).
 *
 * The prefixes are made: lengths as in the Internet's tables at the end of 2024 (shares rounded, after
 * https://bgp.potaroo.net and the yearly BGP reports there), in allocations of their own sizes, so that they lie
 * together and nest as real ones do: of IPv4 a little more than half of the address space, of IPv6 allocations
 * in the regional registries' blocks of 2000::/3.
 *
 * Lookups: "random" are of addresses in random prefixes of the table, one after the other, as many as go on at once
 * in the processor; "chained" are those where each waits for the one before, the latency; "cached" are 1,000
 * destinations again and again. Changes: what a BGP speaker sends (prefixes gone, back, by another next hop), one
 * by one with the clock around each; the longest holds what the scheduler took as well, so the 99.99th percentile
 * stands beside it.
 */
#include "route/fib.h"
#include "route/route.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define V4_PREFIXES 1000000u
#define V6_PREFIXES 250000u
#define LOOKUPS	    4000000u
#define CHANGES	    400000u
#define ADDRS	    (1u << 20)
#define CACHED	    1000u
#define HOPS	    64u

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
static double *samples;
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

static double lookups(const struct fib *f, uint32_t addrs_n, bool chained)
{
	uint32_t sum = 0;
	double best = 1e9;

	for (int round = 0; round < 5; round++) {
		uint64_t begin = now_ns();
		for (uint32_t i = 0, at = 0; i < LOOKUPS / 4; i++) {
			uint32_t value = fib_lookup(f, &addrs[at]);
			sum += value;
			at += 1 + (chained ? value >> 31 : 0); /* values are small: the next one */
			at = at < addrs_n ? at : 0;
		}
		double one = (double)(now_ns() - begin) / (LOOKUPS / 4);
		best = MIN_OF(best, one);
	}
	return sum == 0 ? -1 : best;
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

static void measure_fib(uint32_t family)
{
	static const char *const names[] = { "v4", "v6" };
	const char *of = names[family];
	struct fib f;
	char name[80];

	fib_init(&f, family ? ADDR_V6 : ADDR_V4);
	uint64_t begin = now_ns();
	for (uint32_t i = 0; i < prefixes_n[family]; i++) {
		if (fib_set(&f, &prefixes[family][i], draw(HOPS)) != RC_OK)
			exit(1);
		fib_reclaim(&f);
	}
	snprintf(name, sizeof name, "routes.%s.fill", of);
	print(name, (double)(now_ns() - begin) / prefixes_n[family], "ns/prefix");
	snprintf(name, sizeof name, "routes.%s.memory", of);
	print(name, (double)f.blocks.bytes / prefixes_n[family], "octets/prefix");
	addrs_make(family);
	snprintf(name, sizeof name, "routes.%s.random", of);
	print(name, lookups(&f, ADDRS, false), "ns/lookup");
	snprintf(name, sizeof name, "routes.%s.chained", of);
	print(name, lookups(&f, ADDRS, true), "ns/lookup");
	snprintf(name, sizeof name, "routes.%s.cached", of);
	print(name, lookups(&f, CACHED, false), "ns/lookup");
	for (uint32_t i = 0; i < CHANGES; i++) {
		const struct ip_prefix *p = &prefixes[family][draw(prefixes_n[family])];
		begin = now_ns();
		if ((draw(2) ? fib_clear(&f, p) : fib_set(&f, p, draw(HOPS))) != RC_OK)
			exit(1);
		fib_reclaim(&f);
		samples[i] = (double)(now_ns() - begin);
	}
	changes_print(of, "churn", CHANGES);
	for (uint32_t i = 0; i < CHANGES / 10;
		i++) { /* a default route, a /8 or /3 around all, gone and back */
		struct ip_prefix p = { prefixes[family][i].addr, i & 2 ? 0 : family ? 3 : 8 };
		p.addr = range_from_prefix(&p).first;
		begin = now_ns();
		if ((i & 1 ? fib_clear(&f, &p) : fib_set(&f, &p, draw(HOPS))) != RC_OK)
			exit(1);
		fib_reclaim(&f);
		samples[i] = (double)(now_ns() - begin);
	}
	changes_print(of, "short", CHANGES / 10);
	fib_done(&f);
}

int main(int argc, char **argv)
{
	addrs = calloc(ADDRS, sizeof *addrs);
	samples = calloc(CHANGES, sizeof *samples);
	if (!addrs || !samples)
		return 1;
	prefixes_make(0, V4_PREFIXES);
	prefixes_make(1, V6_PREFIXES);
	measure_fib(0);
	measure_fib(1);
	return 0;
}
