/* Addresses of a pool of source NAT, by their places in it; and which one a source has. */
#include "firewall/internal.h"

#include <assert.h>

uint32_t fw_addr_low(const struct ip_addr *a)
{
	return load_be32(a->b + (a->family == ADDR_V4 ? 4 : 16) - 4);
}

/* Of a wider IPv6 range only the addresses up to the next carry are used. */
static uint64_t range_size(const struct ip_range *r)
{
	bool wide = r->first.family == ADDR_V6 && memcmp(r->first.b, r->last.b, 12) != 0;

	return (wide ? UINT32_MAX : (uint64_t)fw_addr_low(&r->last)) - fw_addr_low(&r->first) + 1;
}

static struct ip_addr range_addr(const struct ip_range *r, uint64_t place)
{
	struct ip_addr a = r->first;

	assert(place < range_size(r));
	store_be32(a.b + (a.family == ADDR_V4 ? 4 : 16) - 4, fw_addr_low(&a) + (uint32_t)place);
	return a;
}

/* A source keeps its place (RFC 4787 section 4.1). */
uint64_t fw_source_place(const struct firewall *fw, const struct ip_addr *addr)
{
	struct fw_key source = { .family = addr->family };

	memcpy(source.src, addr->b, 16);
	return fw_key_hash(fw, &source);
}

struct ip_addr fw_range_addr(
	const struct firewall *fw, const struct ip_range *range, const struct ip_addr *source)
{
	return range_addr(range, fw_source_place(fw, source) % range_size(range));
}

uint64_t fw_pool_size(const struct snapshot *s, const struct snap_nat_rule *rule)
{
	const struct ip_range *more = snap_ranges(s) + rule->pool_more.first;
	uint64_t all = range_size(&rule->pool);

	for (uint32_t i = 0; i < rule->pool_more.count; i++)
		all += range_size(&more[i]);
	return all;
}

/* The address `step` after the source's own, wrapping within the pool. */
struct ip_addr fw_pool_addr(const struct snapshot *s, const struct snap_nat_rule *rule, uint64_t place)
{
	const struct ip_range *more = snap_ranges(s) + rule->pool_more.first;

	place %= fw_pool_size(s, rule);
	const struct ip_range *range = &rule->pool;
	for (uint32_t i = 0; place >= range_size(range); range = &more[i++]) {
		assert(i < rule->pool_more.count);
		place -= range_size(range);
	}
	return range_addr(range, place);
}
