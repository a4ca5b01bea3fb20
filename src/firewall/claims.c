/*
 * Which ports of pool addresses belong to a dynamic block (blocks.c): one table for all workers, so that no two of them
 * give the same port to two hosts. Blocks begin at multiples of NAT_BLOCK_MIN and are as many of these units long, so
 * an address has a bit for each unit; blocks of different sizes, of two rules or of two configurations, cannot overlap.
 *
 * A block is taken by setting its bits, word by word; who finds one set that it did not set itself puts its own
 * back. So workers need no lock, and two that want overlapping blocks at the same moment may both find them taken.
 * Packets cause that only where a host gets a block. Rows are found by open addressing and come when an address is first
 * used; they go in fw_claims_purge(), while one thread alone runs. Private to the process: made again by adoption.
 */
#include "firewall/internal.h"

#include <assert.h>

#define UNITS	   (65536 / NAT_BLOCK_MIN) /* of an address */
#define WORDS	   (UNITS / 64)
#define PURGE_FROM (FW_CLAIM_ROWS / 4 * 3)

_Static_assert((FW_CLAIM_ROWS & (FW_CLAIM_ROWS - 1)) == 0, "a hash finds a row by its lowest bits");
_Static_assert(
	FW_CLAIM_ROWS >= 2 * NAT_BLOCK_ADDRESSES, "former pools have as much room as the present ones");

struct row {
	uint32_t addr;	/* 0: free */
	uint32_t taken; /* units */
	uint64_t unit[WORDS];
	uint16_t begins[UNITS]; /* of a taken unit: the first one of its block */
};

struct fw_claims {
	struct row row[FW_CLAIM_ROWS];
	uint32_t used;
};

struct fw_claims *fw_claims_new(const struct firewall *fw)
{
	return fw_table_new(
		fw, sizeof(struct fw_claims)); /* what is not used is not touched and costs nothing */
}

void fw_claims_free(const struct firewall *fw, struct fw_claims *c)
{
	fw_table_free(fw, c, sizeof *c);
}

static struct row *row_find(struct fw_claims *c, const struct ip_addr *a, bool make)
{
	uint32_t addr = load_be32(a->b), at = addr * 2654435761u >> 16;

	assert(a->family == ADDR_V4);
	for (uint32_t k = 0; k < FW_CLAIM_ROWS && addr != 0; k++) {
		struct row *r = &c->row[(at + k) % FW_CLAIM_ROWS];
		uint32_t is = __atomic_load_n(&r->addr, __ATOMIC_ACQUIRE);
		if (is == addr)
			return r;
		if (is != 0)
			continue;
		if (!make)
			return NULL;
		if (__atomic_compare_exchange_n(
			    &r->addr, &is, addr, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			__atomic_fetch_add(&c->used, 1, __ATOMIC_RELAXED);
			return r;
		}
		if (is == addr)
			return r;
	}
	return NULL;
}

/* Of the units from `first`, those that stand in this word. */
static uint64_t mask_of(uint32_t first, uint32_t n, uint32_t word)
{
	uint32_t from = MAX_OF(first, word * 64), to = MIN_OF(first + n, word * 64 + 64);

	if (from >= to)
		return 0;
	return (to - from == 64 ? UINT64_MAX : (1ull << (to - from)) - 1) << from % 64;
}

static void units_clear(struct row *r, uint32_t first, uint32_t n)
{
	for (uint32_t w = first / 64; w <= (first + n - 1) / 64; w++)
		__atomic_fetch_and(&r->unit[w], ~mask_of(first, n, w), __ATOMIC_ACQ_REL);
}

/* All of these in one word, or none. */
static bool word_take(uint64_t *word, uint64_t mask)
{
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) & mask)
		return false;
	uint64_t was = __atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL);
	if ((was & mask) == 0)
		return true;
	__atomic_fetch_and(word, ~(mask & ~was), __ATOMIC_ACQ_REL);
	return false;
}

static bool units_take(struct row *r, uint32_t first, uint32_t n)
{
	assert(n > 0 && first + n <= UNITS);
	for (uint32_t w = first / 64; w <= (first + n - 1) / 64; w++) {
		if (word_take(&r->unit[w], mask_of(first, n, w)))
			continue;
		if (w > first / 64)
			units_clear(r, first, w * 64 - first);
		return false;
	}
	for (uint32_t i = first; i < first + n; i++)
		__atomic_store_n(&r->begins[i], (uint16_t)first, __ATOMIC_RELEASE);
	__atomic_fetch_add(&r->taken, n, __ATOMIC_RELAXED);
	return true;
}

bool fw_claim_take(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports)
{
	struct row *r = row_find(c, addr, true);

	assert(port % NAT_BLOCK_MIN == 0 && ports % NAT_BLOCK_MIN == 0);
	return r && units_take(r, port / NAT_BLOCK_MIN, ports / NAT_BLOCK_MIN);
}

bool fw_claim_search(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports,
	uint32_t blocks, uint32_t begin, uint16_t *ret_first)
{
	struct row *r = row_find(c, addr, true);
	uint32_t n = ports / NAT_BLOCK_MIN;

	assert(port % NAT_BLOCK_MIN == 0 && ports % NAT_BLOCK_MIN == 0 && begin < blocks);
	for (uint32_t k = 0; r && k < blocks; k++) {
		uint32_t first = port / NAT_BLOCK_MIN + (begin + k) % blocks * n;
		if (!units_take(r, first, n))
			continue;
		*ret_first = (uint16_t)(first * NAT_BLOCK_MIN);
		return true;
	}
	return false;
}

void fw_claim_give(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports)
{
	struct row *r = row_find(c, addr, false);

	if (!r) /* of a worker that is not joined any more */
		return;
	assert(__atomic_load_n(&r->taken, __ATOMIC_RELAXED) >= ports / NAT_BLOCK_MIN);
	__atomic_fetch_sub(&r->taken, ports / NAT_BLOCK_MIN, __ATOMIC_RELAXED);
	units_clear(r, port / NAT_BLOCK_MIN, ports / NAT_BLOCK_MIN);
}

bool fw_claim_begins(struct fw_claims *c, const struct ip_addr *addr, uint16_t port, uint16_t *ret_first)
{
	uint32_t unit = port / NAT_BLOCK_MIN;
	const struct row *r = row_find(c, addr, false);

	if (!r || !(__atomic_load_n(&r->unit[unit / 64], __ATOMIC_ACQUIRE) >> unit % 64 & 1))
		return false;
	*ret_first = (uint16_t)(__atomic_load_n(&r->begins[unit], __ATOMIC_ACQUIRE) * NAT_BLOCK_MIN);
	return true;
}

void fw_claims_purge(struct firewall *fw)
{
	struct fw_claims *was = fw->claims, *is = was->used < PURGE_FROM ? NULL : fw_claims_new(fw);

	if (!is)
		return;
	for (uint32_t i = 0; i < FW_CLAIM_ROWS; i++) {
		const struct row *r = &was->row[i];
		uint8_t b[4];
		if (r->addr == 0 || r->taken == 0)
			continue;
		store_be32(b, r->addr);
		struct ip_addr addr = addr_v4(b);
		*row_find(is, &addr, true) = *r;
	}
	fw->claims = is;
	fw_claims_free(fw, was);
}
