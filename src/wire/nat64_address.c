/* IPv4 addresses in IPv6 ones: RFC 6052 sections 2.2 and 3.1. */
#include "wire/nat64.h"

#include <assert.h>

#define U_OCTET 8 /* bits 64 to 71, which are zero: section 2.2 */

static bool bits_ok(uint32_t bits)
{
	return bits == 96 || (bits >= 32 && bits <= 64 && bits % 8 == 0);
}

static bool is_well_known(const struct ip_prefix *p)
{
	static const uint8_t well_known[16] = { 0x00, 0x64, 0xff, 0x9b };

	return p->bits == 96 && memcmp(p->addr.b, well_known, sizeof well_known) == 0;
}

/* The place of the next octet of an embedded address. */
static uint32_t octet_after(uint32_t at)
{
	return at + 1 == U_OCTET ? at + 2 : at + 1;
}

static uint32_t octet_first(const struct ip_prefix *p)
{
	assert(p->addr.family == ADDR_V6 && bits_ok(p->bits));
	return p->bits == 64 ? U_OCTET + 1 : p->bits / 8;
}

struct ip_addr nat64_embed(const struct ip_prefix *p, const struct ip_addr *v4)
{
	struct ip_addr a = p->addr;
	uint32_t at = octet_first(p);

	assert(v4->family == ADDR_V4);
	for (uint32_t i = 0; i < 4; i++, at = octet_after(at))
		a.b[at] = v4->b[i];
	return a;
}

static bool is_host(const struct ip_addr *a)
{
	return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224 && !addr_is_link_local(a);
}

/* RFC 6052 section 3.1: private addresses (RFC 1918), and those of RFC 5735 section 3 that are nobody's on the Internet;
 * shared address space (RFC 6598). */
static bool is_global(const struct ip_addr *a)
{
	static const struct {
		uint32_t net;
		uint8_t bits;
	} not_global[] = {
		{ 0x0a000000, 8 },
		{ 0x64400000, 10 },
		{ 0xac100000, 12 },
		{ 0xc0000000, 24 },
		{ 0xc0000200, 24 },
		{ 0xc0a80000, 16 },
		{ 0xc6120000, 15 },
		{ 0xc6336400, 24 },
		{ 0xcb007100, 24 },
	};
	uint32_t addr = load_be32(a->b);

	for (size_t i = 0; i < COUNT_OF(not_global); i++)
		if ((addr ^ not_global[i].net) >> (32 - not_global[i].bits) == 0)
			return false;
	return true;
}

bool nat64_extract(const struct ip_prefix *p, const struct ip_addr *a, struct ip_addr *ret_v4)
{
	struct ip_addr v4 = { .family = ADDR_V4 };
	uint32_t at = octet_first(p);

	assert(prefix_holds(p, a));
	for (uint32_t i = 0; i < 4; i++, at = octet_after(at))
		v4.b[i] = a->b[at];
	if (a->b[U_OCTET] != 0 || !is_host(&v4) || (is_well_known(p) && !is_global(&v4)))
		return false;
	*ret_v4 = v4;
	return true;
}
