/* base/json.h: canonical text, escapes for any bytes, limits. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_shape(void **state)
{
	char text[256];
	struct jw w = jw_over(text, sizeof text, true);

	jw_object(&w, NULL);
	jw_array(&w, "a");
	jw_u64(&w, NULL, 0);
	jw_object(&w, NULL);
	jw_end(&w);
	jw_array(&w, NULL);
	jw_end(&w);
	jw_end(&w);
	jw_bool(&w, "b", true);
	jw_hex(&w, "c", "\x00\xff", 2);
	jw_str(&w, "d", "text");
	jw_strf(&w, "e", "%d-%s", 7, "x");
	jw_end(&w);
	assert_int_equal(jw_done(&w), strlen(text));
	assert_string_equal(text, "{\"a\":[0,{},[]],\"b\":true,\"c\":\"00ff\",\"d\":\"text\",\"e\":\"7-x\"}");
}

/* Numbers that a reader in floating point would change travel as strings. */
static void test_numbers(void **state)
{
	char text[128];
	struct jw w = jw_over(text, sizeof text, false);

	jw_array(&w, NULL);
	jw_u64(&w, NULL, (1ull << 53) - 1);
	jw_u64(&w, NULL, 1ull << 53);
	jw_u64(&w, NULL, UINT64_MAX);
	jw_end(&w);
	assert_true(jw_done(&w) > 0);
	assert_string_equal(text, "[9007199254740991,\"9007199254740992\",\"18446744073709551615\"]");
}

static void test_escapes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *want;
	} cases[] = {
		{ "plain", 5, "\"plain\"" }, { "\"\\/", 3, "\"\\\"\\\\/\"" },
		{ "\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"" },
		{ "\0\1\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x91\"" },
		{ "\xff\xfe", 2, "\"\\u00ff\\u00fe\"" },
		{ "\xc0\x80", 2, "\"\\u00c0\\u0080\"" },		       /* overlong */
		{ "\xe0\x9f\xbf", 3, "\"\\u00e0\\u009f\\u00bf\"" },	       /* overlong */
		{ "\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\"" },	       /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\"" }, /* beyond U+10FFFF */
		{ "\xe2\x82", 2, "\"\\u00e2\\u0082\"" },		       /* cut off */
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[64];
		struct jw w = jw_over(text, sizeof text, false);
		jw_str_n(&w, NULL, cases[i].bytes, cases[i].n);
		assert_true(jw_done(&w) > 0);
		assert_string_equal(text, cases[i].want);
	}
}

/* Any two bytes: a reader of somebody else's takes it, and no line is broken. */
static void test_any_bytes_parse(void **state)
{
	for (unsigned v = 0; v < 0x10000; v++) {
		char text[64], two[2] = { (char)(v >> 8), (char)v };
		struct jw w = jw_over(text, sizeof text, false);
		jw_array(&w, NULL);
		jw_str_n(&w, NULL, two, 2);
		jw_end(&w);
		assert_true(jw_done(&w) > 0);
		json_error_t error;
		json_t *j = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
		if (!j)
			fail_msg("%04x: %s: %s", v, text, error.text);
		json_decref(j);
		assert_null(strchr(text, '\n'));
	}
}

static void test_every_size(void **state)
{
	char whole[128], text[128];
	size_t n = 0;

	for (size_t size = sizeof whole; size > 0; size--) {
		struct jw w = jw_over(text, size, true);
		memset(text, 'x', sizeof text);
		text[0] = '\0';
		jw_object(&w, NULL);
		jw_str(&w, "key", "value\n");
		jw_u64(&w, "number", 12345);
		jw_end(&w);
		if (size == sizeof whole) {
			n = jw_done(&w);
			assert_true(n > 0);
			memcpy(whole, text, sizeof whole);
			continue;
		}
		assert_int_equal(jw_done(&w), size > n ? n : 0); /* all or nothing */
		assert_non_null(memchr(text, '\0', size));	 /* always terminated */
		for (size_t i = size; i < sizeof text; i++)
			assert_int_equal(text[i], 'x'); /* nothing behind its room */
	}
	struct jw w = jw_over(text, 0, true);
	jw_object(&w, NULL);
	jw_end(&w);
	assert_int_equal(jw_done(&w), 0);
}

static void test_open_object_is_not_done(void **state)
{
	char text[16];
	struct jw w = jw_over(text, sizeof text, true);

	jw_object(&w, NULL);
	assert_int_equal(jw_done(&w), 0);
}

static void unsorted(bool sorted)
{
	char text[64];
	struct jw w = jw_over(text, sizeof text, sorted);

	jw_object(&w, NULL);
	jw_u64(&w, "b", 1);
	jw_u64(&w, "a", 2);
	jw_end(&w);
}

static void too_deep(bool sorted)
{
	char text[64];
	struct jw w = jw_over(text, sizeof text, sorted);

	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		jw_array(&w, NULL);
}

static bool aborts(void (*deed)(bool), bool sorted)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		deed(sorted);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* The same fact has one text: our own mistakes do not get that far. */
static void test_own_mistakes_abort(void **state)
{
	assert_true(aborts(unsorted, true));
	assert_false(aborts(unsorted, false));
	assert_true(aborts(too_deep, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_any_bytes_parse),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_open_object_is_not_done),
		cmocka_unit_test(test_own_mistakes_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
