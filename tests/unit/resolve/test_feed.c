/*
 * Lists of addresses: how others write them, what is wrong with one, and random lists in both forms against what they were made of.
 */
#include "resolve/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST DYNAMIC_LIST
#define JSON DYNAMIC_JSON

/* clang-format off */
static const struct {
	const char *name;
	uint32_t format;
	const char *members[3], *text;
	const char *want; /* addresses, as they are shown; or words of the fault, behind '!' */
} rows[] = {
	{ "an address a line", LIST, { 0 }, "192.0.2.1\n192.0.2.9\n", "192.0.2.1/32 192.0.2.9/32" },
	{ "comments", LIST, { 0 }, "# all of them\n\n192.0.2.0/24 ; SBL1\n  2001:db8::/32\t# six\r\n;\n", "192.0.2.0/24 2001:db8::/32" },
	{ "words behind it", LIST, { 0 }, "192.0.2.1 2026-01-01 spam", "192.0.2.1/32" },
	{ "a range", LIST, { 0 }, "192.0.2.1-192.0.2.4", "192.0.2.1-192.0.2.4" },
	{ "neighbours are joined", LIST, { 0 }, "192.0.2.1\n192.0.2.0\n192.0.2.0/31\n", "192.0.2.0/31" },
	{ "garbage", LIST, { 0 }, "192.0.2.1\n<html>\n", "!line 2: found '<html>'" },
	{ "host bits", LIST, { 0 }, "192.0.2.1/24\n", "!line 1: found '192.0.2.1/24'" },
	{ "a range that goes back", LIST, { 0 }, "192.0.2.4-192.0.2.1\n", "!line 1" },
	{ "two families", LIST, { 0 }, "192.0.2.4-2001:db8::1\n", "!line 1" },
	{ "octets", LIST, { 0 }, "192.0.2.1\n\001\002\n", "!line 2: found '?" },
	{ "a name", LIST, { 0 }, "www.example.com\n", "!line 1" },
	{ "nothing", LIST, { 0 }, "# nothing\n", "!no address" },
	{ "no octet", LIST, { 0 }, "", "!no address" },
	{ "an array of texts", JSON, { 0 }, "[\"192.0.2.1\", \"2001:db8::/32\"]", "192.0.2.1/32 2001:db8::/32" },
	{ "an array of arrays", JSON, { 0 }, "[[\"192.0.2.1\"],[]]", "192.0.2.1/32" },
	{ "objects, as AWS", JSON, { "ip_prefix", "ipv6_prefix" },
		"{\"syncToken\":\"1\",\"prefixes\":[{\"ip_prefix\":\"192.0.2.0/24\",\"region\":\"eu\"}],\n\"ipv6_prefixes\":[{\"ipv6_prefix\":\"2001:db8::/32\"}]}",
		"192.0.2.0/24 2001:db8::/32" },
	{ "an array under a member, as Azure", JSON, { "addressPrefixes" },
		"{\"values\":[{\"name\":\"A\",\"properties\":{\"x\":[1,2.5e3,-1,true,null],\"addressPrefixes\":[\"192.0.2.0/25\",\"192.0.2.128/25\"]}}]}", "192.0.2.0/24" },
	{ "objects a line, as Spamhaus", JSON, { "cidr" }, "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"S\"}\n{\"type\":\"metadata\",\"size\":1}\n", "192.0.2.0/24" },
	{ "other texts with quotes", JSON, { "a" }, "{\"b\":\"\\\"a\\\":\\\\\",\"a\":\"192.0.2.1\"}", "192.0.2.1/32" },
	{ "no such member", JSON, { "prefix" }, "{\"cidr\":\"192.0.2.0/24\"}", "!no address under the member 'prefix'" },
	{ "objects without a member", JSON, { 0 }, "{\"cidr\":\"192.0.2.0/24\"}", "!no address" },
	{ "an address that is none", JSON, { 0 }, "[\"192.0.2.1\",\n\"x\"]", "!line 2: found 'x'" },
	{ "it is cut", JSON, { 0 }, "[\"192.0.2.1\",\n\"192.0.", "!line 2: the text ends" },
	{ "it is cut behind a value", JSON, { 0 }, "[\"192.0.2.1\"", "!the text ends" },
	{ "a comma too many", JSON, { 0 }, "[\"192.0.2.1\",]", "!found ']'" },
	{ "a page", JSON, { 0 }, "<html>404</html>", "!found '<html>404<'" },
	{ "no colon", JSON, { "a" }, "{\"a\" \"192.0.2.1\"}", "!':'" },
	{ "deep", JSON, { 0 }, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "!deep" },
};
/* clang-format on */

static void forms(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct snap_dynamic d = { .format = rows[i].format };
		struct err e = { 0 };
		struct feed f;
		char said[400] = "", text[RANGE_TEXT_MAX];
		size_t n = strlen(rows[i].text);
		char *copy = test_malloc(n + 1); /* in its own place, so that what reads on is seen */
		memcpy(copy, rows[i].text, n);
		for (size_t k = 0; k < 3 && rows[i].members[k]; k++)
			snprintf(d.member[k], sizeof d.member[k], "%s", rows[i].members[k]);
		enum rc rc = feed_parse(&f, copy, n, &d, &e);
		for (uint32_t k = 0; k < f.n; k++) {
			strncat(said, k ? " " : "", sizeof said - strlen(said) - 1);
			strncat(said, range_text(text, &f.range[k]), sizeof said - strlen(said) - 1);
		}
		bool bad = rows[i].want[0] == '!';
		if ((rc != RC_OK) != bad || (bad ? f.n != 0 || !strstr(e.text, rows[i].want + 1)
						 : strcmp(said, rows[i].want) != 0))
			fail_msg("%s: %s: '%s', %s", rows[i].name, rc_text(rc), said, e.text);
		feed_done(&f);
		test_free(copy);
	}
}

static void random_lists(void **state)
{
	srand(3);
	for (int run = 0; run < 400; run++) {
		bool in[256] = { false };
		char text[8192];
		uint32_t format = (uint32_t)rand() % 2, count = 1 + (uint32_t)rand() % 20;
		size_t n = (size_t)snprintf(text, sizeof text, "%s", format == JSON ? "{\"v\":[" : "");
		for (uint32_t i = 0; i < count; i++) {
			unsigned bits = 24 + (unsigned)rand() % 9, size = 1u << (32 - bits),
				 first = (unsigned)rand() % 256 / size * size;
			for (unsigned a = first; a < first + size; a++)
				in[a] = true;
			n += (size_t)snprintf(text + n, sizeof text - n,
				format == JSON ? "%s{\"p\":\"10.0.0.%u/%u\"}" : "%s10.0.0.%u/%u",
				i == 0		 ? ""
				: format == JSON ? ",\n"
						 : " # x\n",
				first, bits);
		}
		n += (size_t)snprintf(text + n, sizeof text - n, "%s", format == JSON ? "]}" : "");
		struct snap_dynamic d = { .format = format, .member = { "p" } };
		struct feed f;
		assert_int_equal(feed_parse(&f, text, n, &d, NULL), RC_OK);
		for (unsigned a = 0; a < 256; a++) {
			const uint8_t b[4] = { 10, 0, 0, (uint8_t)a };
			struct ip_addr at = addr_v4(b);
			bool held = false;
			for (uint32_t k = 0; k < f.n; k++)
				held |= range_holds(&f.range[k], &at);
			assert_int_equal(held, in[a]);
		}
		for (uint32_t k = 1; k < f.n; k++)
			assert_true(addr_compare(&f.range[k - 1].last, &f.range[k].first) < 0);
		feed_done(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forms), cmocka_unit_test(random_lists) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
