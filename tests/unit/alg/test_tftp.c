/* TFTP requests: which octets are one, each of their truncations, and what they let expect. */
#include "alg/tftp.h"
#include "alg/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1

static struct endpoint client = { .port = 40000 };
static struct ip_addr server;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(addr_parse(&client.addr, "10.0.0.2"), RC_OK);
	return addr_parse(&server, "192.0.2.9") == RC_OK ? 0 : -1;
}

static void requests(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum alg_verdict want;
	} cases[] = {
#define CASE(text, want) { text, sizeof(text) - 1, want }
		CASE("\0\1boot.img\0octet", ALG_EXPECT), /* the terminator is counted below */
		CASE("\0\2a\0NetASCII", ALG_EXPECT),
		CASE("\0\1a\0mail", ALG_EXPECT),
		CASE("\0\1a\0octet\0blksize\0001428\0tsize\0000", ALG_EXPECT),
		CASE("\0\1a\0octet\0blksize", ALG_PASS),
		CASE("\0\1a\0octet\0\0001", ALG_PASS),
		CASE("\0\1\0octet", ALG_PASS),
		CASE("\0\1a\0octets", ALG_PASS),
		CASE("\0\1a\0oct", ALG_PASS),
		CASE("\0\1a", ALG_PASS),
		CASE("\0\3\0\1data", ALG_PASS),
		CASE("\0\4\0", ALG_PASS),
		CASE("\1\1a\0octet", ALG_PASS),
#undef CASE
	};
	struct expectation e;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(
			tftp_datagram((const uint8_t *)cases[i].bytes, cases[i].n + 1, &client, &server, &e),
			cases[i].want);
	/* each truncation is none, and longer than a request may be neither */
	for (size_t n = 0; n <= cases[0].n; n++)
		assert_int_equal(
			tftp_datagram((const uint8_t *)cases[0].bytes, n, &client, &server, &e), ALG_PASS);
	static uint8_t large[TFTP_REQUEST_MAX + 1] = { 0, 1 };
	memset(large + 2, 'a', sizeof large - 2);
	memcpy(large + sizeof large - 7, "\0octet", 7);
	assert_int_equal(tftp_datagram(large, sizeof large, &client, &server, &e), ALG_PASS);
	assert_int_equal(tftp_datagram(TEXT("\0\1a\0octet\0"), &client, &server, &e), ALG_EXPECT);
}

static void what_is_expected(void **state)
{
	struct endpoint low = client;
	struct expectation e;

	(void)state;
	assert_int_equal(tftp_datagram(TEXT("\0\1a\0octet\0"), &client, &server, &e), ALG_EXPECT);
	assert_true(addr_equal(&e.src, &server) && e.src_port == 0);
	assert_true(addr_equal(&e.dst, &client.addr) && e.dst_port == 40000);
	assert_int_equal(e.proto, 17);
	assert_int_equal(e.from, 1);
	assert_int_equal(e.lifetime_s, TFTP_LIFETIME_S);
	low.port = 53;
	assert_int_equal(tftp_datagram(TEXT("\0\1a\0octet\0"), &low, &server, &e), ALG_REFUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(requests), cmocka_unit_test(what_is_expected) };

	return cmocka_run_group_tests(tests, setup, NULL);
}
