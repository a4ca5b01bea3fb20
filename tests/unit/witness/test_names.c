/* Names to addresses: the question's octets, and answers of servers that are right, wrong, cut and hostile.
 */
#include "witness/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define HOST	 "witness.example.org"
#define QNAME	 "\7witness\7example\3org\0"
#define HEAD(f)	 "\x12\x34" f
#define ONE(n)	 "\0\1\0" n "\0\0\0\0"
#define QUESTION QNAME "\0\1\0\1"
#define A_RECORD "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
#define NOERROR	 "\x81\x80"

static const struct names_question v4 = { HOST, 0x1234, false }, v6 = { HOST, 0x1234, true };

static void questions(void **state)
{
	static const char want[] = HEAD("\1\0") "\0\1\0\0\0\0\0\0" QUESTION;
	uint8_t bytes[NAMES_QUERY_MAX];
	char host[300];

	assert_int_equal(names_query(bytes, &v4), sizeof want - 1);
	assert_memory_equal(bytes, want, sizeof want - 1);
	assert_int_equal(names_query(bytes, &v6), sizeof want - 1);
	assert_int_equal(bytes[sizeof want - 4], 28);
	static const char *const none[] = { "", ".", "a.", ".a", "a..b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b" };
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_int_equal(names_query(bytes, &(struct names_question){ .host = none[i] }), 0);
	for (size_t n = 1; n < sizeof host - 1; n++) { /* labels of 9 octets */
		memset(host, 'a', n);
		for (size_t i = 9; i + 1 < n; i += 10)
			host[i] = '.';
		host[n] = '\0';
		assert_int_equal(names_query(bytes, &(struct names_question){ .host = host }) > 0, n <= 253);
	}
}

#define ROW(name, text, want, n) { name, text, sizeof(text) - 1, want, n }

/* clang-format off */
static const struct {
	const char *name, *text;
	size_t text_n;
	enum rc want;
	size_t n;
} rows[] = {
	ROW("one address", HEAD(NOERROR) ONE("\1") QUESTION A_RECORD "\xc0\0\2\1", RC_OK, 1),
	ROW("two addresses", HEAD(NOERROR) ONE("\2") QUESTION A_RECORD "\xc0\0\2\1" A_RECORD "\xc0\0\2\2", RC_OK, 2),
	ROW("behind an alias", HEAD(NOERROR) ONE("\2") QUESTION "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1a\xc0\x14" "\1a\xc0\x14\0\1\0\1\0\0\0\x3c\0\4"
	    "\xc0\0\2\1", RC_OK, 1),
	ROW("the name in another case", HEAD(NOERROR) ONE("\1") "\7WITNESS\7Example\3org\0\0\1\0\1" A_RECORD "\xc0\0\2\1", RC_OK, 1),
	ROW("behind an alias that comes later", HEAD(NOERROR) ONE("\2") QUESTION "\1a\xc0\x14\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
	    "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1a\xc0\x14", RC_OK, 1),
	ROW("of a name that was not asked for", HEAD(NOERROR) ONE("\2") QUESTION "\1a\xc0\x14\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7" A_RECORD
	    "\xc0\0\2\1", RC_OK, 1),
	ROW("an alias of itself", HEAD(NOERROR) ONE("\2") QUESTION "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c" A_RECORD "\xc0\0\2\1", RC_OK, 1),
	ROW("no address", HEAD(NOERROR) ONE("\0") QUESTION, RC_OK, 0),
	ROW("a record of another kind", HEAD(NOERROR) ONE("\1") QUESTION "\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\4\3abc", RC_OK, 0),
	ROW("a record of another class", HEAD(NOERROR) ONE("\1") QUESTION "\xc0\x0c\0\1\0\3\0\0\0\x3c\0\4\xc0\0\2\1", RC_OK, 0),
	ROW("an address of five octets", HEAD(NOERROR) ONE("\1") QUESTION "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\5\xc0\0\2\1\0", RC_OK, 0),
	ROW("no such name", HEAD("\x81\x83") ONE("\0") QUESTION, RC_NOT_FOUND, 0),
	ROW("the server cannot", HEAD("\x81\x82") ONE("\0") QUESTION, RC_AGAIN, 0),
	ROW("the server does not want to", HEAD("\x81\x85") ONE("\0") QUESTION, RC_AGAIN, 0),
	ROW("another error", HEAD("\x81\x84") ONE("\0") QUESTION, RC_AGAIN, 0),
	ROW("a question", HEAD("\1\0") ONE("\1") QUESTION A_RECORD "\xc0\0\2\1", RC_DENIED, 0),
	ROW("another number", "\x12\x35" NOERROR ONE("\1") QUESTION A_RECORD "\xc0\0\2\1", RC_DENIED, 0),
	ROW("another name", HEAD(NOERROR) ONE("\1") "\7witness\7example\3net\0\0\1\0\1" A_RECORD "\xc0\0\2\1", RC_DENIED, 0),
	ROW("another kind", HEAD(NOERROR) ONE("\0") QNAME "\0\x1c\0\1", RC_DENIED, 0),
	ROW("another class", HEAD(NOERROR) ONE("\0") QNAME "\0\1\0\3", RC_DENIED, 0),
	ROW("no question", HEAD(NOERROR) "\0\0\0\0\0\0\0\0", RC_DENIED, 0),
	ROW("another operation", HEAD("\xa9\x80") ONE("\0") QUESTION, RC_DENIED, 0),
	ROW("nothing", "", RC_MALFORMED, 0),
	ROW("half a head", HEAD(NOERROR) "\0\1", RC_MALFORMED, 0),
	ROW("octets behind it", HEAD(NOERROR) ONE("\0") QUESTION "x", RC_MALFORMED, 0),
	ROW("a record that is cut", HEAD(NOERROR) ONE("\1") QUESTION A_RECORD "\xc0\0\2", RC_MALFORMED, 0),
	ROW("a name that leads to itself", HEAD(NOERROR) "\0\1\0\0\0\0\0\0" "\xc0\x0c\0\1\0\1", RC_DENIED, 0),
	ROW("a name that leads out", HEAD(NOERROR) "\0\1\0\0\0\0\0\0" "\xff\xff\0\1\0\1", RC_DENIED, 0),
};
/* clang-format on */

static void answers(void **state)
{
	struct names_found found;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = { 0 };
		enum rc rc = names_answer(&found, &v4, rows[i].text, rows[i].text_n, &e);
		if (rc != rows[i].want || found.n != rows[i].n || (rc == RC_OK) != (e.text[0] == '\0') ||
			(found.n > 0) != (found.ttl_s == 60))
			fail_msg("%s: %s, %zu addresses, %u s: %s", rows[i].name, rc_text(rc), found.n,
				found.ttl_s, e.text);
		for (size_t k = 0; k < found.n; k++)
			assert_true(found.addr[k].family == ADDR_V4 && found.addr[k].b[0] == 192 &&
				    found.addr[k].b[3] == k + 1);
		for (size_t cut = 0; cut < rows[i].text_n;
			cut++) /* in its own place, so that what reads on is seen */
			if (rows[i].want == RC_OK) {
				char *copy = test_malloc(cut + 1);
				memcpy(copy, rows[i].text, cut);
				assert_int_not_equal(names_answer(&found, &v4, copy, cut, NULL), RC_OK);
				test_free(copy);
			}
	}
}

static void many_and_ipv6(void **state)
{
	static const char record[] =
		"\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7";
	static const char head[] = HEAD("\x83\x80") ONE("\x14") QNAME "\0\x1c\0\1"; /* and is cut */
	static const char four[] = HEAD(NOERROR) ONE("\x42") QUESTION;
	struct names_found found;
	char bytes[NAMES_ANSWER_MAX + 100];
	size_t n = sizeof head - 1;

	memcpy(bytes, head, n);
	for (int i = 0; i < 20; i++, n += sizeof record - 1)
		memcpy(bytes + n, record, sizeof record - 1);
	assert_int_equal(names_answer(&found, &v6, bytes, n, NULL), RC_OK);
	assert_int_equal(found.n, 20);
	assert_true(found.cut);
	assert_int_equal(found.addr[7].family, ADDR_V6);
	assert_int_equal(found.addr[7].b[15], 7);
	assert_int_equal(names_answer(&found, &v4, bytes, n, NULL), RC_DENIED);
	assert_int_equal(names_answer(&found, &v6, bytes, NAMES_ANSWER_MAX + 1, NULL), RC_MALFORMED);
	memcpy(bytes, four, n = sizeof four - 1);
	for (int i = 0; i < 66; i++, n += 16)
		memcpy(bytes + n, A_RECORD "\xc0\0\2\1", 16);
	assert_int_equal(names_answer(&found, &v4, bytes, n, NULL), RC_OK);
	assert_int_equal(found.n, NAMES_ALL_MAX);
	assert_true(found.cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),
		cmocka_unit_test(answers),
		cmocka_unit_test(many_and_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
