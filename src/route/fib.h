/*
 * The forwarding table of one address family: prefixes to 32-bit values by longest prefix match, with
 * updates in place.
 *
 * Structure: a tree bitmap (Eatherton, Varghese, Dittia: Tree Bitmap, ACM CCR 34(2), 2004) of six bits a
 * level. A node has three words of 64 bits and one pointer, half a cache line:
 *
 *   inner   prefixes that end in this node with 0 to 5 bits of it, in the order of a heap: bit 2^n + bits
 *   exact   prefixes that end with all six bits: one bit for each of 64 slots
 *   child   slots under which there is another node
 *   block   the child nodes, then the values of the prefixes, each without gaps: counted by popcount
 *
 * A lookup goes down by the address, remembers the last node in which a prefix matched, and reads one value
 * at the end: for a /24 four nodes, of which the upper three levels are in the caches, for a /48 eight. So
 * its time is that of two reads from memory for IPv4 and of about four for IPv6 (a burst shares them); from the caches, 20 and 50
 * ns.
 *
 * Why this one: no value is copied to longer prefixes (no leaf pushing), so a change of any prefix, a
 * default route or a /8 as well as a /32, touches one node and the block it stands in, at most 5 KB.
 * DIR-24-8 (Gupta, Lin, McKeown, Infocom 1998) needs 64 MB for IPv4 even when it is empty, and writes up to
 * 2^24 entries for a short prefix; Poptrie (Asai, Ohara, SIGCOMM 2015), whose blocks and counting are taken
 * over here, is faster by a load for each lookup, but pushes leaves: a short prefix is written into every
 * node below it.
 *
 * Memory grows with the prefixes: about 25 octets each for a full IPv4 table, 100 for IPv6 (bench_routes),
 * at the most 22 blocks of 64 octets for an IPv6 host route that shares nothing with others; an empty table
 * has none.
 *
 * Concurrency: several readers, one writer. Readers take no lock and see each change whole or not at all: a
 * node is never changed where readers see it, but in a copy of the block that it stands in, which replaces
 * the old one by one store with release order; a new value of a prefix is one store in place. What was
 * replaced stays readable until fib_reclaim(): the writer calls it when every reader has passed a quiet
 * point. Lookups do not allocate.
 */
#ifndef ROUTE_FIB_H
#define ROUTE_FIB_H

#include "base/addr.h"
#include "route/blocks.h"

#define FIB_NONE   UINT32_MAX
#define FIB_STRIDE 6u
#define FIB_LEVELS 22u /* 128 bits by six */
#define FIB_BURST  64u /* addresses that are looked up at once */

struct fib_node {
	uint64_t inner, exact, child;
	struct fib_node *block; /* NULL: no child and no prefix */
};

struct fib {
	struct fib_node top;  /* its only child is the root */
	struct fib_node none; /* the root of an empty table */
	struct blocks blocks;
	uint32_t n; /* prefixes */
	uint8_t family;
};

void fib_init(struct fib *f, uint8_t family); /* f is not moved afterwards */
void fib_done(struct fib *f);

/* The writer's. Prefixes are of the table's family; their host bits are ignored. */

/* value: anything but FIB_NONE. RC_LIMIT: out of memory, the table is as it was; never for a prefix that is
 * set. */
enum rc fib_set(struct fib *f, const struct ip_prefix *prefix, uint32_t value);
/* RC_OK also when it is not set. RC_LIMIT: out of memory (blocks become smaller ones), the table is as it
 * was. */
enum rc fib_clear(struct fib *f, const struct ip_prefix *prefix);
/* What was replaced up to now is free for new blocks: every reader has passed a quiet point. */
void fib_reclaim(struct fib *f);
/*
 * Goes through the table: the first prefix that comes after *prefix, or the first of all. The order is one of
 * the prefixes alone, so a walk goes on from any prefix, whatever became of it meanwhile.
 * ret_prefix may be prefix. False: there is none.
 */
bool fib_next(const struct fib *f, const struct ip_prefix *prefix, struct ip_prefix *ret_prefix,
	uint32_t *ret_value);

/* Anybody's. */

/* The value of the longest prefix that holds the address, which is of the table's family; FIB_NONE: there
 * is none. */
uint32_t fib_lookup(const struct fib *f, const struct ip_addr *addr);
/* The same of n addresses, at most FIB_BURST: their nodes are fetched side by side, so that all wait for the memory at
 * once. */
void fib_lookup_burst(
	const struct fib *f, const struct ip_addr *const *addrs, uint32_t n, uint32_t *ret_values);
/* The same among prefixes of at most bits_max bits; *ret_bits is the length of the one found. */
uint32_t fib_lookup_within(
	const struct fib *f, const struct ip_addr *addr, uint32_t bits_max, uint32_t *ret_bits);
/* The value of the prefix itself, or FIB_NONE. */
uint32_t fib_find(const struct fib *f, const struct ip_prefix *prefix);

#endif
