/*
 * The host's routes into tunnels: against a plain search over random configurations, and with as many as
 * there may be.
 */
#include "proc/supervisor/host_routes.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH 8 /* parts of each side of a tunnel, at the most */

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

struct block {
	struct snapshot head;
	struct snap_tunnel tunnels[TUNNELS_MAX];
	struct selector selectors[2 * EACH * TUNNELS_MAX + 4];
};

static struct block b;

static struct ip_addr four(uint32_t n)
{
	struct ip_addr a = { .family = ADDR_V4 };

	store_be32(a.b, n);
	return a;
}

static struct ip_addr small_addr(uint8_t family, uint32_t n)
{
	struct ip_addr a = { .family = family };

	a.b[0] = family == ADDR_V4 ? 10 : 0xfd;
	store_be16(a.b + addr_size(&a) - 2, (uint16_t)n);
	return a;
}

static void begin(uint32_t tunnels_n)
{
	memset(&b, 0, sizeof b);
	b.head.tunnels = (struct span){ offsetof(struct block, tunnels), tunnels_n };
	b.head.selectors.first = offsetof(struct block, selectors);
}

static void part(struct span *side, struct ip_addr first, struct ip_addr last)
{
	if (side->count++ == 0)
		side->first = b.head.selectors.count;
	b.selectors[b.head.selectors.count++] =
		(struct selector){ .addrs = { first, last }, .port_last = UINT16_MAX };
}

static void random_block(void)
{
	begin(draw(12));
	for (uint32_t t = 0; t < b.head.tunnels.count; t++)
		for (int side = 0; side < 2; side++)
			for (uint32_t i = 0, n = 1 + draw(3); i < n; i++) {
				uint8_t family = draw(3) ? ADDR_V4 : ADDR_V6;
				uint32_t first = 8 * draw(32), bits = draw(side ? 9 : 6);
				first &= ~0u << bits;
				part(side ? &b.tunnels[t].remote : &b.tunnels[t].local,
					small_addr(family, first),
					small_addr(family, first + (1u << bits) - 1 - draw(2)));
			}
}

/* The host has 10.0.0.N or fd00::N for N below 256 that seven divides. */
static void address_fill(struct ifaddrs *list, struct sockaddr_in *v4, struct sockaddr_in6 *v6, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ip_addr a = small_addr(ADDR_V4, 7 * (uint32_t)i),
			       c = small_addr(ADDR_V6, 7 * (uint32_t)i);
		v4[i].sin_family = AF_INET;
		memcpy(&v4[i].sin_addr, a.b, 4);
		v6[i].sin6_family = AF_INET6;
		memcpy(&v6[i].sin6_addr, c.b, 16);
		list[2 * i] = (struct ifaddrs){ .ifa_addr = (struct sockaddr *)&v4[i],
			.ifa_next = &list[2 * i + 1] };
		list[2 * i + 1] = (struct ifaddrs){ .ifa_addr = (struct sockaddr *)&v6[i],
			.ifa_next = i + 1 < n ? &list[2 * i + 2] : NULL };
	}
}

static bool in(const struct span *side, const struct ip_addr *a, const struct ip_range *inside)
{
	for (uint32_t i = side->first; i < side->first + side->count; i++)
		if (range_holds(&b.selectors[i].addrs, a) &&
			(!inside || range_inside(&b.selectors[i].addrs, inside)))
			return true;
	return false;
}

/* Of one address: does it go into a tunnel, does it stay here? */
static void expected(const struct ip_addr *a, bool *ret_goes, bool *ret_stays)
{
	*ret_goes = *ret_stays = false;
	for (uint32_t t = 0; t < b.head.tunnels.count; t++) {
		*ret_goes |= in(&b.tunnels[t].remote, a, NULL);
		for (uint32_t i = 0; i < b.tunnels[t].local.count; i++) {
			const struct ip_range *local = &b.selectors[b.tunnels[t].local.first + i].addrs;
			bool held = false, kept = true;
			for (uint32_t u = 0; u < b.head.tunnels.count; u++)
				for (uint32_t k = 0; k < b.tunnels[u].remote.count; k++) {
					const struct ip_range *r =
						&b.selectors[b.tunnels[u].remote.first + k].addrs;
					if (!range_holds(r, &local->first) || !range_holds(r, &local->last))
						continue;
					held = true;
					kept &= snap_tunnel_keeps(&b.head, &b.tunnels[u], r, local);
				}
			*ret_stays |= held && kept && range_holds(local, a);
		}
	}
}

static void against_a_plain_search(void **state)
{
	static struct ifaddrs list[2 * 37];
	static struct sockaddr_in v4[37];
	static struct sockaddr_in6 v6[37];
	size_t goes_n = 0, stays_n = 0, from_n = 0;

	address_fill(list, v4, v6, 37);
	for (seed = 1; seed < 1000; seed++) {
		uint64_t before = seed;
		struct host_routes r;
		struct err e = { 0 };
		random_block();
		assert_int_equal(host_routes_collect(&r, &b.head, list, &e), RC_OK);
		for (size_t i = 0; i < r.n; i++) {
			struct host_route other = { .to = r.list[i].to, .stays = !r.list[i].stays };
			bool both = false;
			assert_true(host_routes_hold(&r, &r.list[i]));
			for (size_t k = 0; k < r.n; k++) {
				bool same = memcmp(&r.list[k].to, &r.list[i].to, sizeof r.list[i].to) == 0;
				assert_true(k == i || !same || r.list[k].stays != r.list[i].stays);
				both |= same && k != i;
			}
			assert_int_equal(host_routes_hold(&r, &other), both);
			if (r.list[i].from.family == ADDR_NONE)
				continue;
			assert_int_equal(r.list[i].from.family, r.list[i].to.addr.family);
			from_n++;
		}
		for (uint32_t n = 0; n < 2 * 300; n++) {
			struct ip_addr a = small_addr(n % 2 ? ADDR_V4 : ADDR_V6, n / 2);
			bool goes, stays, found[2] = { false };
			expected(&a, &goes, &stays);
			for (size_t i = 0; i < r.n; i++)
				found[r.list[i].stays] |= prefix_holds(&r.list[i].to, &a);
			assert_int_equal(found[false], goes);
			assert_int_equal(found[true], stays);
			goes_n += goes;
			stays_n += stays;
		}
		host_routes_done(&r);
		seed = before;
	}
	assert_true(goes_n > 100000 && stays_n > 5000 && from_n > 1000);
}

/*
 * As many as there may be, each of its own, and one tunnel to everywhere that keeps all local sides here.
 * Looking for each among all, so many times, would go on for hours.
 */
static void as_many_as_there_may_be(void **state)
{
	enum { MANY = HOST_ROUTES_MAX / (2 * EACH) };
	struct host_routes r = { 0 };
	struct err e = { 0 };
	uint32_t n = 0;

	begin(MANY);
	for (uint32_t t = 0; t < MANY - 1; t++)
		for (uint32_t i = 0; i < EACH; i++, n++)
			part(&b.tunnels[t].local, four(0x0a000000 + n), four(0x0a000000 + n));
	part(&b.tunnels[MANY - 1].local, four(0x0a000000), four(0x0affffff));
	n = 0;
	for (uint32_t t = 0; t < MANY - 1; t++)
		for (uint32_t i = 0; i < EACH; i++, n++)
			part(&b.tunnels[t].remote, four(0xac000000 + 4 * n), four(0xac000003 + 4 * n));
	part(&b.tunnels[MANY - 1].remote, four(0), four(UINT32_MAX));
	for (int again = 0; again < 20; again++) {
		host_routes_done(&r);
		assert_int_equal(host_routes_collect(&r, &b.head, NULL, &e), RC_OK);
		assert_int_equal(r.n, 2 * n + 2);
	}
	for (int again = 0; again < 20; again++)
		for (uint32_t i = 0; i < n; i++) {
			struct host_route there = { .to = { four(0xac000000 + 4 * i), 30 } };
			assert_true(host_routes_hold(&r, &there));
			there.to.bits = 31;
			assert_false(host_routes_hold(&r, &there));
		}
	host_routes_done(&r);
}

static void one_more_is_refused(void **state)
{
	struct host_routes r = { 0 };
	struct err e = { 0 };

	begin(1);
	part(&b.tunnels[0].local, four(1), four(1));
	for (uint32_t i = 0; i < HOST_ROUTES_MAX; i++)
		part(&b.tunnels[0].remote, four(0x0a000000 + 2 * i), four(0x0a000000 + 2 * i));
	/* not a prefix more: one that is there */
	part(&b.tunnels[0].remote, four(0x0a000000), four(0x0a000000));
	assert_int_equal(host_routes_collect(&r, &b.head, NULL, &e), RC_OK);
	assert_int_equal(r.n, HOST_ROUTES_MAX);
	struct host_route none = { .to = { four(0x0b000000), 32 } };
	assert_false(host_routes_hold(&r, &none));
	host_routes_done(&r);
	part(&b.tunnels[0].remote, four(0x0a000001), four(0x0a000001));
	assert_int_equal(host_routes_collect(&r, &b.head, NULL, &e), RC_LIMIT);
	assert_non_null(strstr(e.text, "more than 65536 routes"));
	assert_int_equal(r.n, 0);
}

static void of_nothing(void **state)
{
	struct host_routes r = { 0 };
	struct host_route any = { .to = { four(0), 0 } };
	struct err e = { 0 };

	assert_false(host_routes_hold(&r, &any));
	begin(0);
	assert_int_equal(host_routes_collect(&r, &b.head, NULL, &e), RC_OK);
	assert_int_equal(r.n, 0);
	assert_false(host_routes_hold(&r, &any));
	host_routes_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_a_plain_search),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(one_more_is_refused),
		cmocka_unit_test(of_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
