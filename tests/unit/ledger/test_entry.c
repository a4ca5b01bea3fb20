/*
 * Entries: the table of types is complete, bodies are built for whatever texts strangers send, and one fact
 * has one text: what the strict reader takes is byte for byte what the writer makes.
 */
#include "ledger_fixture.h"

#include "base/bytes.h"
#include "ipc/link.h"
#include "ledger/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t chance_state = 0x656e747279;

static uint64_t chance(uint64_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return chance_state % below;
}

/* ---- the table ---- */

static void every_type_has_a_name_fields_and_a_process(void **state)
{
	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++) {
		enum ledger_type type = (enum ledger_type)t;
		const char *name = ledger_type_name(type);
		size_t n, writers = 0;
		const struct ledger_field *f = ledger_type_fields(type, &n);

		assert_true(name[0] && ledger_type_text(type)[0] && n > 0);
		assert_int_equal(ledger_type_by_name(name, strlen(name)), type);
		assert_int_equal(ledger_type_by_name(name, strlen(name) - 1), LEDGER_TYPE_COUNT);
		for (unsigned p = 0; p < PROC_COUNT; p++)
			writers += ledger_type_allowed(type, proc_name((enum proc)p));
		assert_true(writers > 0);
		assert_false(ledger_type_allowed(type, proc_name(PROC_CLI)));
		assert_false(ledger_type_allowed(type, ""));
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(f[i].type, type);
			assert_true(f[i].text[0]);
			/* In the order of canonical JSON: else the builder would die. */
			if (i > 0)
				assert_true(strcmp(f[i - 1].key, f[i].key) < 0);
		}
	}
	assert_string_equal(ledger_type_name(LEDGER_TYPE_COUNT), "unknown");
	assert_false(ledger_type_allowed(LEDGER_TYPE_COUNT, "ledger"));
	assert_int_equal(ledger_type_by_name("", 0), LEDGER_TYPE_COUNT);
}

/* ---- bodies ---- */

static size_t body_fill(struct ledger_body *b, enum ledger_type type, const char *text, uint64_t number)
{
	size_t n;
	const struct ledger_field *f = ledger_type_fields(type, &n);

	ledger_body_begin(b, type);
	for (size_t i = 0; i < n; i++) {
		if (f[i].kind != LEDGER_NUMBER)
			ledger_body_str(b, f[i].key, text);
		else
			ledger_body_u64(b, f[i].key, number);
	}
	return ledger_body_done(b);
}

static void any_text_of_a_stranger_can_be_entered(void **state)
{
	static char text[20000];
	static const char *const odd[] = { "\xff", "\"", "\\", "\n", "\x01", "a", "\xc3\xa4", "\xe2\x82\xac",
		"\xf0\x9f\x94\x92", "\xe2\x82" };
	struct err e = { 0 };

	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++) {
		for (size_t o = 0; o < COUNT_OF(odd); o++) {
			for (size_t length = 0; length < sizeof text - 8; length = length * 2 + 1) {
				struct ledger_body b;
				size_t unit = strlen(odd[o]), at = 0;
				for (; at + unit <= length; at += unit)
					memcpy(text + at, odd[o], unit);
				text[at] = '\0';
				size_t n = body_fill(&b, (enum ledger_type)t, text, UINT64_MAX);
				if (n == 0 || ledger_body_check((enum ledger_type)t, b.text, n, &e) != RC_OK)
					fail_msg("%s with %zu bytes of %02x: %s",
						ledger_type_name((enum ledger_type)t), at,
						(unsigned char)odd[o][0], n ? e.text : "no body");
			}
		}
	}
	/* Whole when it is of a usual length. */
	struct ledger_body b;
	size_t n = body_fill(&b, LEDGER_CONFIG_REFUSED, "zone 'trust' is named twice", 0);
	assert_non_null(memmem(b.text, n, "zone 'trust' is named twice", 27));
	/* Cut between characters. */
	for (size_t at = 0; at + 2 < 3000; at += 2)
		memcpy(text + at, "\xc3\xa4", 3);
	n = body_fill(&b, LEDGER_ADMIN_ACT, text, 0);
	assert_true(n > 700);
	assert_null(memmem(b.text, n, "\\u", 2));
}

static void a_body_that_is_not_the_table_s_is_refused(void **state)
{
	struct ledger_body b;
	struct err e = { 0 };

	ledger_body_begin(&b, LEDGER_PROCESS_EXIT); /* a field is missing */
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "process", "ike");
	assert_int_equal(ledger_body_done(&b), 0);
	ledger_body_begin(&b, LEDGER_PROCESS_EXIT); /* of another kind */
	ledger_body_str(&b, "pid", "1");
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", "");
	assert_int_equal(ledger_body_done(&b), 0);
	ledger_body_begin(&b, LEDGER_PROCESS_EXIT); /* out of order */
	ledger_body_str(&b, "process", "ike");
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "reason", "");
	assert_int_equal(ledger_body_done(&b), 0);
	ledger_body_begin(&b, LEDGER_PROCESS_EXIT); /* one too many */
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", "");
	ledger_body_str(&b, "zeal", "");
	assert_int_equal(ledger_body_done(&b), 0);
	/* The body of one type under the name of another, and no type at all. */
	size_t n = body_fill(&b, LEDGER_PROCESS_EXIT, "x", 1);
	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++)
		assert_int_equal(ledger_body_check((enum ledger_type)t, b.text, n, &e) == RC_OK,
			t == LEDGER_PROCESS_EXIT);
	assert_int_equal(ledger_body_check(LEDGER_TYPE_COUNT, b.text, n, &e), RC_MALFORMED);
}

/* ---- lines ---- */

static const char *writer_of(enum ledger_type type)
{
	for (unsigned p = 0; p < PROC_COUNT; p++)
		if (ledger_type_allowed(type, proc_name((enum proc)p)))
			return proc_name((enum proc)p);
	return "";
}

static size_t line_make(char text[LEDGER_ENTRY_MAX], enum ledger_type type, const char *value)
{
	struct ledger_entry entry = { .type = type,
		.run = 3,
		.n = 17,
		.mono_us = 123456789,
		.boot = { 0xab, 0xcd },
		.utc = "2015-12-17T18:00:00.000001Z" };
	struct ledger_body b;

	entry.body_n = body_fill(&b, type, value, 9007199254740993ull);
	entry.body = b.text;
	snprintf(entry.source, sizeof entry.source, "%s", writer_of(type));
	return ledger_entry_text(text, &entry);
}

/* What the reader takes, written again. */
static bool same_again(const char *text, size_t n)
{
	struct ledger_entry entry;
	char again[LEDGER_ENTRY_MAX];
	size_t again_n;

	assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
	again_n = ledger_entry_text(again, &entry);
	return again_n == n && memcmp(again, text, n) == 0;
}

static void every_type_comes_back_as_it_was_written(void **state)
{
	char text[LEDGER_ENTRY_MAX];

	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++) {
		struct ledger_entry entry;
		size_t n = line_make(text, (enum ledger_type)t, "a \"b\"\t\xc3\xa4 \xff");
		size_t fields_n, field_n;
		const struct ledger_field *f = ledger_type_fields((enum ledger_type)t, &fields_n);
		assert_true(n > 0 && same_again(text, n));
		assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
		assert_int_equal(entry.type, t);
		assert_int_equal(entry.run, 3);
		assert_int_equal(entry.n, 17);
		assert_int_equal(entry.mono_us, 123456789);
		assert_string_equal(entry.utc, "2015-12-17T18:00:00.000001Z");
		for (size_t i = 0; i < fields_n; i++) {
			const char *value = ledger_entry_field(&entry, f[i].key, &field_n);
			assert_non_null(value);
			if (f[i].kind != LEDGER_NUMBER)
				assert_memory_equal(value, "a \\\"b\\\"\\t\xc3\xa4 \\u00ff", field_n);
			else
				assert_int_equal(ledger_entry_number(&entry, f[i].key), 9007199254740993ull);
		}
		assert_null(ledger_entry_field(&entry, "nobody's", &field_n));
		assert_int_equal(ledger_entry_number(&entry, "nobody's"), 0);
	}
}

static void a_field_of_octets(void **state)
{
	static const struct {
		const char *value;
		size_t n;
		bool good;
	} rows[] = { { "0aff", 2, true }, { "0aff", 1, false }, { "0aff", 3, false }, { "0afg", 2, false },
		{ "", 0, true } };
	char text[LEDGER_ENTRY_MAX], longest[2 * LEDGER_HEX_MAX + 3];
	uint8_t octets[LEDGER_HEX_MAX + 1];
	struct ledger_entry entry;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		size_t n = line_make(text, LEDGER_VRF_EPOCH, rows[i].value);
		assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
		assert_int_equal(ledger_entry_hex(&entry, "key", octets, rows[i].n), rows[i].good);
		assert_false(ledger_entry_hex(&entry, "nobody's", octets, rows[i].n));
	}
	for (size_t digits = 2 * LEDGER_HEX_MAX; digits < sizeof longest; digits += 2) {
		memset(longest, '7', digits);
		longest[digits] = '\0';
		size_t n = line_make(text, LEDGER_VRF_EPOCH, longest);
		assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
		assert_int_equal(
			ledger_entry_hex(&entry, "key", octets, digits / 2), digits == 2 * LEDGER_HEX_MAX);
		assert_int_equal(octets[LEDGER_HEX_MAX - 1], 0x77);
	}
}

static void every_truncation_is_refused(void **state)
{
	char text[LEDGER_ENTRY_MAX + 1];
	struct ledger_entry entry;

	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++) {
		size_t n = line_make(text, (enum ledger_type)t, "value");
		for (size_t cut = 0; cut < n; cut++) {
			struct err e = { 0 };
			char *exact = malloc(cut ? cut : 1); /* so that a sanitizer sees a step too far */
			assert_non_null(exact);
			memcpy(exact, text, cut);
			assert_true(ledger_entry_parse(&entry, exact, cut, &e) != RC_OK && e.text[0]);
			free(exact);
		}
		text[n] = '\n';
		assert_true(ledger_entry_parse(&entry, text, n + 1, NULL) != RC_OK);
	}
}

/* A changed byte is refused, or it is another entry in its one right form. */
static void every_changed_byte_is_refused_or_canonical(void **state)
{
	char text[LEDGER_ENTRY_MAX];
	struct ledger_entry entry;
	unsigned long taken = 0, refused = 0;

	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++) {
		size_t n = line_make(text, (enum ledger_type)t, "a\xc3\xa4\xff\xe2\x82\"\n");
		for (size_t at = 0; at < n; at++) {
			char was = text[at];
			for (int to = 0; to < 256; to++) {
				text[at] = (char)to;
				if (ledger_entry_parse(&entry, text, n, NULL) != RC_OK)
					refused++;
				else if (same_again(text, n))
					taken++;
				else
					fail_msg("byte %zu as %02x: taken, but not as it would be written: "
						 "%.*s",
						at, to, (int)n, text);
			}
			text[at] = was;
		}
	}
	assert_true(taken > 1000 && refused > taken);
}

static void not_in_the_one_form(void **state)
{
	/* clang-format off */
	static const struct { const char *from, *to; } changes[] = {
		{ "\"run\":3", "\"run\":03" }, { "\"run\":3", "\"run\": 3" }, { "\"run\":3", "\"run\":-3" }, { "\"run\":3", "\"run\":3.0" },
		{ "\"run\":3", "\"run\":3e0" }, { "\"run\":3", "\"run\":\"3\"" }, { "\"run\":3", "\"run\":4294967296" },
		{ "\"n\":17", "\"n\":0" }, { "\"n\":17", "\"n\":\"9007199254740992\"" }, { "\"n\":17", "\"n\":99999999999999999999" },
		{ "\"n\":17", "\"run\":3" }, { "\"n\":17,", "" }, { "\"n\":17", "\"n\":17,\"o\":1" }, { "\"n\":17,\"run\":3", "\"run\":3,\"n\":17" },
		{ "value", "v\\u0061lue" }, { "value", "v\\/alue" }, { "value", "v\nalue" }, { "value", "v\\u000aalue" }, { "value", "v\\u001Falue" },
		{ "value", "v\xc0\x80lue" }, { "value", "v\xed\xa0\x80lue" }, { "value", "v\xf4\x90\x80\x80lue" }, { "value", "v\xfflue" },
		{ "value", "\\u00c3\\u00a4" }, { "value", "\\ud83d\\udd12" }, { "value", "v\\xlue" }, { "value", "v\\u00" },
		{ "\"reason\":\"value\"", "\"reason\":5" }, { "\"reason\":\"value\"", "\"reason\":null" }, { "\"reason\":\"value\"", "\"reason\":{}" },
		{ "\"source\":\"supervisor\"", "\"source\":\"ike\"" }, { "\"source\":\"supervisor\"", "\"source\":\"\"" },
		{ "\"source\":\"supervisor\"", "\"source\":\"supervisor supervisor supervisor\"" },
		{ "process_exit", "process_gone" }, { "process_exit", "config_load" },
		{ "2015-12-17T18:00:00.000001Z", "2015-12-17 18:00:00.000001Z" }, { "2015-12-17T18:00:00.000001Z", "2015-12-17T18:00:00Z" },
		{ "2015-12-17T18:00:00.000001Z", "2015-12-17T18:00:00.000001Z " }, { "\"boot\":\"abcd", "\"boot\":\"ABCD" },
		{ "\"boot\":\"abcd", "\"boot\":\"abc" }, { "\"boot\":\"abcd", "\"boot\":\"abcde" }, { "\"boot\":\"abcd", "\"boot\":\"xxcd" },
		{ "{\"body\"", " {\"body\"" }, { "{\"body\"", "{\"BODY\"" },
	};
	/* clang-format on */
	char text[LEDGER_ENTRY_MAX], changed[2 * LEDGER_ENTRY_MAX];
	size_t n = line_make(text, LEDGER_PROCESS_EXIT, "value");
	struct ledger_entry entry;

	text[n] = '\0';
	assert_true(same_again(text, n));
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct err e = { 0 };
		char *at = strstr(text, changes[i].from);
		assert_non_null(at);
		int changed_n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text,
			changes[i].to, at + strlen(changes[i].from));
		if (ledger_entry_parse(&entry, changed, (size_t)changed_n, &e) == RC_OK)
			fail_msg("taken: %s", changed);
		assert_true(e.text[0]);
	}
	/* Too long, though right otherwise. */
	struct ledger_entry big = { .type = LEDGER_PROCESS_EXIT,
		.n = 1,
		.source = "supervisor",
		.utc = "2015-12-17T18:00:00.000001Z" };
	static char body[LEDGER_ENTRY_MAX];
	big.body_n =
		(size_t)snprintf(body, sizeof body, "{\"pid\":1,\"process\":\"%04000d\",\"reason\":\"\"}", 0);
	big.body = body;
	assert_int_equal(ledger_entry_text(text, &big), 0);
	big.body_n = 0;
	big.n = 1ull << 53;
	assert_int_equal(ledger_entry_text(text, &big), 0);
}

/* ---- the reader of canonical JSON by itself ---- */

static void whatever_the_writer_makes_is_read(void **state)
{
	for (int i = 0; i < 200000; i++) {
		static const unsigned char likely[] = { 0xc3, 0xa4, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x94, 0x92,
			0xed, 0xa0, 0xf4, 0x90, 0xe0, 0x80, '"', '\\', '\n', 'u', '0', 0x7f };
		char value[24], text[200];
		size_t n = chance(sizeof value);
		struct jw w = jw_over(text, sizeof text, true);
		struct canonical c;
		struct canonical_text t;
		for (size_t k = 0; k < n; k++)
			value[k] = (char)(chance(3) ? likely[chance(sizeof likely)] : chance(256));
		jw_str_n(&w, NULL, value, n);
		size_t text_n = jw_done(&w);
		c = canonical_over(text, text_n);
		canonical_string(&c, &t);
		if (!canonical_end(&c))
			fail_msg("not read: %.*s", (int)text_n, text);
		assert_int_equal(t.n, text_n - 2);
	}
}

static void numbers_have_one_form(void **state)
{
	static const char *const right[] = { "0", "1", "10", "9007199254740991", "\"9007199254740992\"",
		"\"18446744073709551615\"" };
	static const char *const wrong[] = { "", "00", "01", "-1", "+1", "1.0", "1e1", "\"1\"",
		"\"9007199254740991\"", "9007199254740992", "\"18446744073709551616\"",
		"\"99999999999999999999\"", "\"9007199254740992", "9007199254740992\"", " 1", "1 ", "a",
		"\"\"" };

	for (size_t i = 0; i < COUNT_OF(right); i++) {
		struct canonical c = canonical_over(right[i], strlen(right[i]));
		struct jw w;
		char text[40];
		uint64_t v;
		canonical_number(&c, &v);
		assert_true(canonical_end(&c));
		w = jw_over(text, sizeof text, true);
		jw_u64(&w, NULL, v);
		assert_string_equal(text, right[i]);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct canonical c = canonical_over(wrong[i], strlen(wrong[i]));
		uint64_t v;
		canonical_number(&c, &v);
		if (canonical_end(&c))
			fail_msg("taken as a number: %s", wrong[i]);
	}
}

static void objects_are_flat(void **state)
{
	static const char *const right[] = { "{}", "{\"a\":1}", "{\"a\":\"x\",\"b\":2}" };
	static const char *const wrong[] = { "", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
		"{\"a\":{}}", "{\"a\":[1]}", "{\"a\":true}", "{\"a\":1}}", "{ }", "{\"a\":1 }", "[]",
		"{\"a\":1", "{\"a\":1,\"b\"" };

	for (size_t i = 0; i < COUNT_OF(right) + COUNT_OF(wrong); i++) {
		bool good = i < COUNT_OF(right);
		const char *text = good ? right[i] : wrong[i - COUNT_OF(right)];
		struct canonical c = canonical_over(text, strlen(text));
		struct canonical_text t;
		canonical_object(&c, &t);
		if (canonical_end(&c) != good)
			fail_msg("%s: %s", good ? "not taken" : "taken", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_a_name_fields_and_a_process),
		cmocka_unit_test(any_text_of_a_stranger_can_be_entered),
		cmocka_unit_test(a_body_that_is_not_the_table_s_is_refused),
		cmocka_unit_test(every_type_comes_back_as_it_was_written),
		cmocka_unit_test(a_field_of_octets),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_changed_byte_is_refused_or_canonical),
		cmocka_unit_test(not_in_the_one_form),
		cmocka_unit_test(whatever_the_writer_makes_is_read),
		cmocka_unit_test(numbers_have_one_form),
		cmocka_unit_test(objects_are_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
