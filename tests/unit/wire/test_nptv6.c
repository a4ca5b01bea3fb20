/*
 * NPTv6: the example of RFC 6296, other addresses against a reference that works in integers, and what must hold for
 * any address: it has one mapping, which goes back, and the sum of its words stays.
 */
#include "packets.h"
#include "wire/nptv6.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t seed = 6296;

static struct ip_range prefix(const char *text)
{
	struct ip_prefix p;

	assert_int_equal(prefix_parse(&p, text), RC_OK);
	return range_from_prefix(&p);
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* outside NULL: the inside address has no mapping. */
static const struct {
	const char *inside_prefix, *outside_prefix, *inside, *outside;
} vectors[] = {
	/* section 3.6, with its erratum 3033 */
	{ "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:1::1234", "2001:db8:1:d550::1234" },
	{ "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:ffff::1", NULL },
	/* 2aaf more would be all ones: the result is zero */
	{ "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:2ab0::1", "2001:db8:1::1" },
	/* bits between the prefix and the subnet number stay */
	{ "fd00::/44", "2001:db8:10::/44", "fd00:0:7:1::9", "2001:db8:17:cf38::9" },
	/* longer ones: the first word that is not all ones */
	{ "fd01:203:405:1::/64", "2001:db8:1:2::/64", "fd01:203:405:1::1234", "2001:db8:1:2:d54e::1234" },
	{ "fd01:203:405:1::/64", "2001:db8:1:2::/64", "fd01:203:405:1:ffff::1234",
		"2001:db8:1:2:ffff:d54e:0:1234" },
	{ "fd01:203:405:1::/64", "2001:db8:1:2::/64", "fd01:203:405:1:ffff:ffff:ffff:1",
		"2001:db8:1:2:ffff:ffff:ffff:d54f" },
	{ "fd01:203:405:1::/64", "2001:db8:1:2::/64", "fd01:203:405:1:ffff:ffff:ffff:ffff", NULL },
	{ "fd01:203:405:4000::/50", "2001:db8:1:8000::/50", "fd01:203:405:7fff::5",
		"2001:db8:1:bfff:954f::5" },
	/* the same prefix: nothing to adjust */
	{ "2001:db8:1::/48", "2001:db8:1::/48", "2001:db8:1:7::5", "2001:db8:1:7::5" },
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct ip_range in = prefix(vectors[i].inside_prefix),
				out = prefix(vectors[i].outside_prefix);
		struct ip_addr a = addr(vectors[i].inside), b, back;
		char text[ADDR_TEXT_MAX];
		assert_int_equal(nptv6_map(&in, &out, &a, &b), vectors[i].outside != NULL);
		if (!vectors[i].outside)
			continue;
		assert_string_equal(addr_text(text, &b), vectors[i].outside);
		assert_true(nptv6_map(&out, &in, &b, &back));
		assert_true(addr_equal(&a, &back));
	}
}

/* ---- in integers ---- */

static uint32_t words_sum(const struct ip_addr *a)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 16; i += 2)
		sum += a->b[i] * 256u + a->b[i + 1];
	return (uint32_t)(sum % 65535);
}

static bool reference(uint32_t bits, const struct ip_range *from, const struct ip_range *to,
	const struct ip_addr *a, struct ip_addr *ret_addr)
{
	uint32_t at = bits <= 48 ? 3 : 4, last = bits <= 48 ? 3 : 7;

	while (at <= last && a->b[2 * at] == 255 && a->b[2 * at + 1] == 255)
		at++;
	if (at > last)
		return false;
	*ret_addr = *a;
	for (uint32_t bit = 0; bit < bits; bit++) {
		uint8_t mask = (uint8_t)(128 >> bit % 8);
		ret_addr->b[bit / 8] =
			(uint8_t)((ret_addr->b[bit / 8] & ~mask) | (to->first.b[bit / 8] & mask));
	}
	uint32_t word = a->b[2 * at] * 256u + a->b[2 * at + 1];
	word = (word + words_sum(&from->first) + 65535 - words_sum(&to->first)) % 65535;
	ret_addr->b[2 * at] = (uint8_t)(word / 256);
	ret_addr->b[2 * at + 1] = (uint8_t)(word % 256);
	return true;
}

/* Words of all ones, and zeros, are frequent. */
static struct ip_addr any_addr(void)
{
	struct ip_addr a = { .family = ADDR_V6 };

	for (size_t i = 0; i < 16; i += 2) {
		uint32_t x = next_random(&seed), kind = next_random(&seed) % 8;
		store_be16(a.b + i, kind == 0 ? 0xffff : kind == 1 ? 0 : (uint16_t)x);
	}
	return a;
}

static struct ip_range prefix_of(struct ip_addr a, uint32_t bits)
{
	for (uint32_t bit = bits; bit < 128; bit++)
		a.b[bit / 8] &= (uint8_t)~(128 >> bit % 8);
	return range_from_prefix(&(struct ip_prefix){ a, bits });
}

static void test_any(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3000000; i++) {
		uint32_t bits = 1 + next_random(&seed) % 64;
		struct ip_addr a = any_addr(), b, want, back;
		struct ip_range from = prefix_of(a, bits), to = prefix_of(any_addr(), bits);
		bool mapped = nptv6_map(&from, &to, &a, &b);
		assert_int_equal(mapped, reference(bits, &from, &to, &a, &want));
		if (!mapped)
			continue;
		assert_true(addr_equal(&b, &want) && range_holds(&to, &b));
		assert_int_equal(words_sum(&a), words_sum(&b));
		assert_true(nptv6_map(&to, &from, &b, &back));
		/* one's complement has two zeros; the mapping never makes the other one */
		assert_true(addr_equal(&a, &back));
	}
}

/* Each subnet number but ffff is the mapping of one. */
static void test_all_subnets(void **state)
{
	static bool seen[65536];
	struct ip_range in = prefix("fd01:203:405::/48"), out = prefix("2001:db8:1::/48");
	struct ip_addr a = addr("fd01:203:405::1"), b;

	(void)state;
	for (uint32_t i = 0; i < 65535; i++) {
		store_be16(a.b + 6, (uint16_t)i);
		assert_true(nptv6_map(&in, &out, &a, &b));
		assert_false(seen[load_be16(b.b + 6)]);
		seen[load_be16(b.b + 6)] = true;
	}
	assert_false(seen[65535]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_all_subnets),
	};
	return cmocka_run_group_tests_name("wire/nptv6", tests, NULL, NULL);
}
