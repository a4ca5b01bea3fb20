/* Options of session filters: every option by text and back, what is refused and how, and what a client may send. */
#include "model/session_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct {
	enum session_filter_id id;
	const char *good, *again; /* as it is written; NULL: as it was read */
	const char *bad[8];
} cases[] = {
	{ SESSION_FILTER_SRC, "10.1.0.0/24", NULL,
		{ "", "x", "10.1.0.1/24", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "-" } },
	{ SESSION_FILTER_DST, "2001:db8::1-2001:db8::9", NULL,
		{ "2001:db8::/129", "2001:db8::1-", "1.2.3" } },
	{ SESSION_FILTER_PROTO, "sctp", "132", { "0", "256", "tpc", "", "6x", "-6" } },
	{ SESSION_FILTER_SPORT, "1024-65535", NULL,
		{ "0", "65536", "9-8", "1-", "-1", "1-65536", "1-2-3", "" } },
	{ SESSION_FILTER_DPORT, "443", NULL, { "https", "443 ", "0-1" } },
	{ SESSION_FILTER_NAT_SRC, "203.0.113.1", "203.0.113.1/32", { "any" } },
	{ SESSION_FILTER_NAT_PORT, "40960-41000", NULL, { "0", "41000-40960", "all" } },
	{ SESSION_FILTER_NAT_DST, "192.168.0.0/16", NULL, { "192.168.0.1/16" } },
	{ SESSION_FILTER_FROM_ZONE, "trust", NULL,
		{ "", "a b", "-x", "a\x1b[2J",
			"0123456789012345678901234567890123456789012345678901234567890123" } },
	{ SESSION_FILTER_TO_ZONE, "host", NULL, { "\xc3\xa4" } },
	{ SESSION_FILTER_RULE, "to-the.web_2", NULL, { "a/b" } },
	{ SESSION_FILTER_INTERFACE, "eth0.100@eth0", NULL, { "eth0:1" } },
	{ SESSION_FILTER_TUNNEL, "branch", NULL, { "branch,hq" } },
	{ SESSION_FILTER_STATE, "established", NULL, { "time wait" } },
	{ SESSION_FILTER_ID, "4294967295", NULL, { "0", "4294967296", "1.5" } },
	{ SESSION_FILTER_IDLE_MIN, "90m", "5400",
		{ "0", "1w", "m", "90mm", "99999999999999999999", "400000d" } },
	{ SESSION_FILTER_IDLE_MAX, "30s", "30", { "-1" } },
	{ SESSION_FILTER_AGE_MIN, "7d", "604800", { "1 d" } },
	{ SESSION_FILTER_AGE_MAX, "12h", "43200", { "0h" } },
	{ SESSION_FILTER_BYTES_MIN, "999999999999999999", NULL, { "0", "1k", "9999999999999999999" } },
};

static const char *const options[] = {
#define E(id, option, value, text) option,
	SESSION_FILTERS(E)
#undef E
};

static void each_option(void **state)
{
	char text[SESSION_FILTER_TEXT_MAX], wanted[SESSION_FILTER_TEXT_MAX];

	assert_int_equal(COUNT_OF(cases), SESSION_FILTER_COUNT);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct session_filter f = { 0 }, before;
		struct err e = { 0 };
		assert_int_equal(cases[i].id, i);
		assert_int_equal(session_filter_set(&f, cases[i].id, cases[i].good, &e), RC_OK);
		assert_int_equal(session_filter_check(&f, &e), RC_OK);
		snprintf(wanted, sizeof wanted, "%s %s", options[i],
			cases[i].again ? cases[i].again : cases[i].good);
		assert_string_equal(session_filter_text(text, &f), wanted);
		before = f;
		for (size_t k = 0; k < COUNT_OF(cases[i].bad) && cases[i].bad[k]; k++) {
			e = (struct err){ 0 };
			assert_int_equal(
				session_filter_set(&f, cases[i].id, cases[i].bad[k], &e), RC_MALFORMED);
			assert_memory_equal(&f, &before, sizeof f); /* a refusal leaves no trace */
			assert_non_null(strstr(e.text, options[i]));
			assert_non_null(strstr(e.text, "expected "));
		}
	}
}

static void all_at_once(void **state)
{
	char text[SESSION_FILTER_TEXT_MAX];
	struct session_filter f = { 0 };

	assert_string_equal(session_filter_text(text, &f), "all");
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(session_filter_set(&f, cases[i].id, cases[i].good, NULL), RC_OK);
	session_filter_text(text, &f);
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_non_null(strstr(text, options[i]));
}

static void what_a_client_sends(void **state)
{
	struct session_filter wrong[9] = { 0 };
	struct err e = { 0 };

	wrong[0].src.first.family = ADDR_V4; /* and no last */
	wrong[1].nat_dst.first.family = wrong[1].nat_dst.last.family = 7;
	wrong[2].dst.first = wrong[2].dst.last = (struct ip_addr){ .family = ADDR_V4 };
	wrong[2].dst.first.b[0] = 1; /* first > last */
	wrong[3].proto = 256;
	wrong[4].dport = (struct port_range){ 0, 9 };
	wrong[5].sport = (struct port_range){ 9, 8 };
	memset(wrong[6].rule, 'a', sizeof wrong[6].rule); /* without an end */
	memcpy(wrong[7].to_zone, "a\n", 3);
	assert_int_equal(
		wildcard_parse(&wrong[8].src, "10.0.0.5/255.0.0.255"), RC_OK); /* only rules have it */
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_int_equal(session_filter_check(&wrong[i], &e), RC_MALFORMED);
		assert_non_null(strstr(e.text, "malformed filter of sessions: --"));
		e = (struct err){ 0 };
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(what_a_client_sends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
