/* URLs: what each part comes to, and that what is refused is named. */
#include "base/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* clang-format off */
static const struct {
	const char *text, *host, *prefix;
	unsigned port, family;
	bool tls;
} good[] = {
	{ "https://witness.example", "witness.example", "", 443, ADDR_NONE, true },
	{ "https://witness.example/", "witness.example", "", 443, ADDR_NONE, true },
	{ "https://Witness.Example:8443/some/prefix/", "Witness.Example", "/some/prefix", 8443, ADDR_NONE, true },
	{ "https://a/%41.~_-!$&'()*+,;=:@b//", "a", "/%41.~_-!$&'()*+,;=:@b", 443, ADDR_NONE, true },
	{ "https://xn--bcher-kva.example", "xn--bcher-kva.example", "", 443, ADDR_NONE, true },
	{ "https://1.2.3.example", "1.2.3.example", "", 443, ADDR_NONE, true },
	{ "https://localhost", "localhost", "", 443, ADDR_NONE, true },
	{ "http://witness.example", "witness.example", "", 80, ADDR_NONE, false },
	{ "http://192.0.2.1:1", "192.0.2.1", "", 1, ADDR_V4, false },
	{ "https://192.0.2.1", "192.0.2.1", "", 443, ADDR_V4, true },
	{ "https://[2001:db8::1]", "2001:db8::1", "", 443, ADDR_V6, true },
	{ "http://[2001:db8::1]:65535/x", "2001:db8::1", "/x", 65535, ADDR_V6, false },
};

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", "does not begin with https:// or http://" },
	{ "witness.example", "does not begin with https:// or http://" },
	{ "ftp://witness.example", "does not begin with https:// or http://" },
	{ "HTTPS://witness.example", "does not begin with https:// or http://" },
	{ " https://witness.example", "does not begin with https:// or http://" },
	{ "https:/witness.example", "does not begin with https:// or http://" },
	{ "https://", "without a host" },
	{ "https:///x", "without a host" },
	{ "https://:443", "without a host" },
	{ "https://a:", "the port '' of a URL is not a number from 1 to 65535" },
	{ "https://a:0", "the port '0' " },
	{ "https://a:080", "the port '080' " },
	{ "https://a:65536", "the port '65536' " },
	{ "https://a:800000", "the port '800000' " },
	{ "https://a:8x", "the port '8x' " },
	{ "https://a:+8", "the port '+8' " },
	{ "https://user@a", "a user or a password" },
	{ "https://user:word@a:443/", "a user or a password" },
	{ "https://[2001:db8::1", "is not closed" },
	{ "https://[]", "without a host" },
	{ "https://[::1]80", "after the host of a URL" },
	{ "https://[192.0.2.1]", "is not an IPv6 address" },
	{ "https://[::g]", "is not an IPv6 address" },
	{ "https://2001:db8::1", "is written in brackets: [2001:db8::1]" },
	{ "https://a:b:443", "neither a name" },
	{ "https://a b", "neither a name" },
	{ "https://a_b.example", "neither a name" },
	{ "https://b\xc3\xbc" "cher.example", "neither a name" },
	{ "https://a%2e.example", "neither a name" },
	{ "https://a..b", "a part that is empty" },
	{ "https://.a", "a part that is empty" },
	{ "https://a.", "a part that is empty" },
	{ "https://-a.example", "begins or ends with a hyphen" },
	{ "https://a-.example", "begins or ends with a hyphen" },
	{ "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", "longer than 63" },
	{ "https://192.0.2", "no name ends in a part of digits alone" },
	{ "https://192.0.2.256", "no name ends in a part of digits alone" },
	{ "https://3221225985", "no name ends in a part of digits alone" },
	{ "https://a?x", "a query" },
	{ "https://a/x?y", "a query" },
	{ "https://a/x#y", "a fragment" },
	{ "https://a#y", "a fragment" },
	{ "https://a/x y", "the octet 20" },
	{ "https://a/\r\nX: y", "the octet 0d" },
	{ "https://a/\xff", "the octet ff" },
	{ "https://a/\"", "the octet 22" },
	{ "https://a\\b", "neither a name" },
};
/* clang-format on */

static void what_it_is(void **state)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct err e = { 0 };
		struct url u;
		if (url_parse(&u, good[i].text, &e) != RC_OK)
			fail_msg("'%s': %s", good[i].text, e.text);
		assert_string_equal(u.host, good[i].host);
		assert_string_equal(u.prefix, good[i].prefix);
		assert_int_equal(u.port, good[i].port);
		assert_int_equal(u.address.family, good[i].family);
		assert_int_equal(u.tls, good[i].tls);
	}
}

static void what_it_is_not(void **state)
{
	const struct url before = { .port = 7 };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct err e = { 0 };
		struct url u = before;
		if (url_parse(&u, bad[i].text, &e) != RC_MALFORMED || !strstr(e.text, bad[i].says))
			fail_msg("'%s' does not say '%s': %s", bad[i].text, bad[i].says, e.text);
		assert_memory_equal(&u, &before, sizeof u);
	}
}

static void lengths(void **state)
{
	char text[1024];
	struct url u;

	/* labels of 49 octets */
	for (size_t n = 1; n < 400; n++) {
		memset(text, 'a', sizeof text);
		memcpy(text, "https://", 8);
		for (size_t i = 49; i + 1 < n; i += 50)
			text[8 + i] = '.';
		text[8 + n] = '\0';
		assert_int_equal(url_parse(&u, text, NULL), n < URL_HOST_MAX ? RC_OK : RC_LIMIT);
		snprintf(text, sizeof text, "https://a/%0*d", (int)n, 0);
		assert_int_equal(url_parse(&u, text, NULL), n + 1 < URL_PREFIX_MAX ? RC_OK : RC_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_is),
		cmocka_unit_test(what_it_is_not),
		cmocka_unit_test(lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
