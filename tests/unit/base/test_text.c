/* base/bytes.h and base/addr.h: text to bytes and back, strictly. base/tw.h: whole, or nothing. */
#include "base/addr.h"
#include "base/bytes.h"
#include "base/selector.h"
#include "base/tw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_loads_and_stores(void **state)
{
	uint8_t b[8];

	store_be16(b, 0x1234);
	assert_memory_equal(b, "\x12\x34", 2);
	assert_int_equal(load_be16(b), 0x1234);
	store_be32(b, 0x01020304);
	assert_memory_equal(b, "\1\2\3\4", 4);
	assert_int_equal(load_be32(b), 0x01020304);
	store_be64(b, 0x0102030405060708);
	assert_memory_equal(b, "\1\2\3\4\5\6\7\x08", 8);
	assert_true(load_be64(b) == 0x0102030405060708);
}

static void test_secrets(void **state)
{
	char a[] = "secret", b[] = "secret";

	assert_true(bytes_equal_secret(a, b, 6));
	for (size_t i = 0; i < 6; i++) {
		b[i] ^= 1;
		assert_false(bytes_equal_secret(a, b, 6));
		b[i] ^= 1;
	}
	assert_true(bytes_equal_secret(a, "x", 0));
	bytes_wipe(a, 6);
	assert_memory_equal(a, "\0\0\0\0\0\0", 6);
}

static void test_hex(void **state)
{
	char text[9];
	uint8_t bytes[4];

	assert_string_equal(hex_from_bytes(text, "\xde\xad\x00\x0f", 4), "dead000f");
	assert_true(hex_to_bytes(bytes, 4, "DEADbeef"));
	assert_memory_equal(bytes, "\xde\xad\xbe\xef", 4);
	assert_true(hex_to_bytes(bytes, 0, ""));
	static const char *const wrong[] = { "", "dead", "deadbee", "deadbeef0", "deadbeg0", "dead beef",
		"0xdeadbe" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(hex_to_bytes(bytes, 4, wrong[i]));
}

/* RFC 4648 section 10. */
static void test_base64_vectors(void **state)
{
	static const char *const vectors[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };

	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		char text[16];
		uint8_t bytes[8];
		size_t plain = strlen(vectors[i][0]), n = base64_from_bytes(text, vectors[i][0], plain);
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(n, strlen(text));
		assert_int_equal(n + 1, BASE64_SIZE(plain));
		size_t back;
		assert_true(base64_to_bytes(bytes, sizeof bytes, &back, text, n));
		assert_int_equal(back, plain);
		assert_memory_equal(bytes, vectors[i][0], plain);
		/* every shorter prefix that is not a whole group fails; a result one byte too long for its
		 * room fails */
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(
				base64_to_bytes(bytes, sizeof bytes, &back, text, cut), cut % 4 == 0);
		if (plain > 0)
			assert_false(base64_to_bytes(bytes, plain - 1, &back, text, n));
	}
}

/* One text for the same bytes, and no other. */
static void test_base64_is_strict(void **state)
{
	static const char *const wrong[] = { "Zh==", "Zm9=", "Z===", "====", "Zg=a", "Zm9v\n", "Zm 9", "Zm9-",
		"Zm9_", "Zg==Zg==", "=Zg=", "Zg==\0Zg" };
	uint8_t bytes[16];
	size_t n;

	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(base64_to_bytes(
			bytes, sizeof bytes, &n, wrong[i], strlen(wrong[i]) + (i == 11 ? 3 : 0)));
}

static void test_base64_all_bytes(void **state)
{
	uint8_t in[256], out[256];
	char text[BASE64_SIZE(256)];
	size_t n;

	for (size_t len = 0; len <= 256; len++) {
		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(i * 7 + len);
		size_t text_n = base64_from_bytes(text, in, len);
		assert_true(base64_to_bytes(out, sizeof out, &n, text, text_n));
		assert_int_equal(n, len);
		assert_memory_equal(in, out, len);
	}
}

static void test_addresses(void **state)
{
	static const char *const good[] = { "0.0.0.0", "10.1.0.2", "255.255.255.255", "::", "::1",
		"2001:db8::1", "fe80::1:2:3:4", "2001:db8:1:2:3:4:5:6" };
	static const char *const wrong[] = { "", "10.1.0", "10.1.0.256", "10.1.0.2 ", " 10.1.0.2",
		"10.1.0.02x", "1::2::3", ":", "2001:db8::1%eth0", "any", "::ffff:1.2.3.4.5" };
	struct ip_addr a, b = { .family = 9 };
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(addr_parse(&a, good[i]), RC_OK);
		assert_string_equal(addr_text(text, &a), good[i]);
		assert_int_equal(a.family, strchr(good[i], ':') ? ADDR_V6 : ADDR_V4);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_int_equal(addr_parse(&b, wrong[i]), RC_MALFORMED);
		assert_int_equal(b.family, 9); /* a failed parse leaves no trace */
	}
	a = (struct ip_addr){ .family = ADDR_NONE };
	assert_string_equal(addr_text(text, &a), "any");
	assert_int_equal(addr_size(&a), 0);
}

static void test_address_order(void **state)
{
	static const char *const order[] = { "0.0.0.1", "9.255.255.255", "10.0.0.0", "128.0.0.1",
		"255.255.255.255", "::", "::2", "2001:db8::", "ff02::1" };
	struct ip_addr a, b;

	for (size_t i = 0; i < COUNT_OF(order); i++)
		for (size_t k = 0; k < COUNT_OF(order); k++) {
			assert_int_equal(addr_parse(&a, order[i]), RC_OK);
			assert_int_equal(addr_parse(&b, order[k]), RC_OK);
			int c = addr_compare(&a, &b);
			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
			assert_int_equal(addr_equal(&a, &b), i == k);
		}
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *text;
		enum rc want;
		const char *first, *last; /* and just outside of it */
		const char *below, *above;
	} cases[] = {
		{ "10.1.0.0/24", RC_OK, "10.1.0.0", "10.1.0.255", "10.0.255.255", "10.1.1.0" },
		{ "10.1.0.2", RC_OK, "10.1.0.2", "10.1.0.2", "10.1.0.1", "10.1.0.3" },
		{ "10.1.0.128/25", RC_OK, "10.1.0.128", "10.1.0.255", "10.1.0.127", "10.1.1.0" },
		{ "10.1.0.2/31", RC_OK, "10.1.0.2", "10.1.0.3", "10.1.0.1", "10.1.0.4" },
		{ "128.0.0.0/1", RC_OK, "128.0.0.0", "255.255.255.255", "127.255.255.255", "::" },
		{ "0.0.0.0/0", RC_OK, "0.0.0.0", "255.255.255.255", "::", "::1" },
		{ "2001:db8::/33", RC_OK, "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
			"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:8000::" },
		{ "::/0", RC_OK, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0",
			"255.255.255.255" },
		{ "fd00::1/128", RC_OK, "fd00::1", "fd00::1", "fd00::", "fd00::2" },
		{ .text = "10.1.0.1/24", .want = RC_RANGE },
		{ .text = "10.1.0.0/33", .want = RC_RANGE },
		{ .text = "2001:db8::1/64", .want = RC_RANGE },
		{ .text = "::/129", .want = RC_RANGE },
		{ .text = "10.1.0.0/99999999999999999999", .want = RC_RANGE },
		{ .text = "10.1.0.0/", .want = RC_MALFORMED },
		{ .text = "10.1.0.0/-1", .want = RC_MALFORMED },
		{ .text = "10.1.0.0/ 8", .want = RC_MALFORMED },
		{ .text = "10.1.0.0/+8", .want = RC_MALFORMED },
		{ .text = "10.1.0.0/8x", .want = RC_MALFORMED },
		{ .text = "/8", .want = RC_MALFORMED },
		{ .text = "", .want = RC_MALFORMED },
		{ .text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8",
			.want = RC_MALFORMED },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ip_prefix p;
		struct ip_addr a;
		char text[RANGE_TEXT_MAX], again[PREFIX_TEXT_MAX];
		assert_int_equal(prefix_parse(&p, cases[i].text), cases[i].want);
		if (cases[i].want != RC_OK)
			continue;
		struct ip_range r = range_from_prefix(&p);
		assert_string_equal(addr_text(text, &r.first), cases[i].first);
		assert_string_equal(addr_text(text, &r.last), cases[i].last);
		assert_true(prefix_holds(&p, &r.first) && prefix_holds(&p, &r.last));
		assert_int_equal(addr_parse(&a, cases[i].below), RC_OK);
		assert_false(prefix_holds(&p, &a));
		assert_int_equal(addr_parse(&a, cases[i].above), RC_OK);
		assert_false(prefix_holds(&p, &a));
		assert_string_equal(range_text(text, &r),
			prefix_text(again, &p)); /* a range that is a prefix reads as one */
	}
}

static void test_ranges_and_endpoints(void **state)
{
	struct ip_range r;
	struct endpoint e = { .port = 4500 };
	char text[RANGE_TEXT_MAX];

	assert_int_equal(addr_parse(&r.first, "10.1.0.10"), RC_OK);
	assert_int_equal(addr_parse(&r.last, "10.1.0.20"), RC_OK);
	assert_string_equal(range_text(text, &r), "10.1.0.10-10.1.0.20");
	assert_int_equal(addr_parse(&e.addr, "192.0.2.1"), RC_OK);
	assert_string_equal(endpoint_text(text, &e), "192.0.2.1:4500");
	assert_int_equal(addr_parse(&e.addr, "2001:db8::1"), RC_OK);
	assert_string_equal(endpoint_text(text, &e), "[2001:db8::1]:4500");
}

static void test_text_writer(void **state)
{
	char text[8];
	struct tw w = tw_over(text, sizeof text);

	tw_say(&w, "%d, ", 12);
	tw_say(&w, "%s", "abc");
	assert_int_equal(tw_done(&w), 7);
	assert_string_equal(text, "12, abc");
	tw_say(&w, "%s", "");
	assert_int_equal(tw_done(&w), 7);
	tw_say(&w, "d"); /* there is no place for the terminator */
	assert_int_equal(tw_done(&w), 0);
	tw_say(&w, "%s", "");
	assert_int_equal(tw_done(&w), 0); /* and it stays so */
	w = tw_over(text, 0);
	tw_say(&w, "%s", "");
	assert_int_equal(tw_done(&w), 0);
}

/* Of selectors: what does not fit is counted. */
static void selector_lists(void **state)
{
	struct selector list[40];
	char text[300], whole[40 * SELECTOR_TEXT_MAX];

	for (uint8_t i = 0; i < COUNT_OF(list); i++) {
		struct ip_addr a = addr_v4((const uint8_t[]){ 10, 0, i, 1 });
		list[i] = (struct selector){ .addrs = { a, a }, .port_last = UINT16_MAX };
	}
	list[1].proto = 6;
	list[1].port_first = list[1].port_last = 443;
	assert_string_equal(selector_list_text(text, sizeof text, list, 2, "!"),
		"10.0.0.1/32, 10.0.1.1/32 protocol 6 ports 443-443");
	assert_string_equal(selector_list_text(text, sizeof text, list, 0, "!"), "");
	for (size_t size = 150; size <= sizeof text; size++) {
		size_t n = 1;
		unsigned left;
		selector_list_text(text, size, list, COUNT_OF(list), " (rest)");
		assert_true(strlen(text) < size);
		for (const char *at = text; (at = strstr(at, ", 10.")); at++)
			n++;
		assert_int_equal(sscanf(strstr(text, ", and "), ", and %u more (rest)", &left), 1);
		assert_int_equal(n + left, COUNT_OF(list));
	}
	selector_list_text(whole, sizeof whole, list, COUNT_OF(list), "!");
	assert_null(strstr(whole, "more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selector_lists),
		cmocka_unit_test(test_loads_and_stores),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_base64_is_strict),
		cmocka_unit_test(test_base64_all_bytes),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_order),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_ranges_and_endpoints),
		cmocka_unit_test(test_text_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
