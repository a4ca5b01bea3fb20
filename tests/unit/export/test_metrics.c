/*
 * The page for Prometheus: rows become samples by the table; labels are escaped; nothing is there twice, and the page is bounded. A
 * model reads each page as Prometheus does (text format 0.0.4): families together, types known, labels well-formed.
 */
#include "export/metrics.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000ull

static struct metrics *m;

static int begin(void **state)
{
	(void)state;
	m = metrics_new();
	assert_non_null(m);
	metrics_begin(m, NOW * 1000000 + 5);
	return 0;
}

static int end(void **state)
{
	(void)state;
	metrics_free(m);
	return 0;
}

static const char *name_read(const char *at)
{
	assert_true((*at >= 'a' && *at <= 'z') || *at == '_');
	return at + strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789_");
}

/* name{label="value",...} number */
static void sample_check(const char *line, const char *family)
{
	const char *at = name_read(line);

	assert_int_equal(strlen(family), at - line);
	assert_memory_equal(line, family, at - line);
	for (char before = '{'; *at == before; before = ',') {
		at = name_read(at + 1);
		assert_memory_equal(at, "=\"", 2);
		for (at += 2; *at != '"'; at++) {
			assert_true(*at && *at != '\n');
			if (*at == '\\') {
				at++;
				assert_true(*at == '\\' || *at == '"' || *at == 'n');
			}
		}
		at++;
		if (*at == '}')
			break;
		assert_int_equal(*at, ',');
	}
	at += *at == '}';
	assert_int_equal(*at++, ' ');
	assert_int_equal(strspn(at, "0123456789."), strlen(at));
	assert_true(strlen(at) > 0);
}

static char *page(void)
{
	size_t n;
	char *text = metrics_page(m, &n), *copy = text ? strdup(text) : NULL, family[128] = "";

	assert_non_null(text);
	assert_int_equal(strlen(text), n);
	assert_true(n > 0 && text[n - 1] == '\n');
	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
		char type[16];
		if (strncmp(line, "# HELP ", 7) == 0) {
			char seen[160];
			snprintf(seen, sizeof seen, "\n# HELP %.*s ", (int)strcspn(line + 7, " "), line + 7);
			const char *first =
				strstr(text, seen + (strncmp(text, seen + 1, strlen(seen + 1)) == 0));
			assert_null(strstr(first + 1, seen)); /* a family is one piece */
			sscanf(line + 7, "%127s", family);
		} else if (line[0] == '#') {
			char typed[128];
			assert_int_equal(sscanf(line, "# TYPE %127s %15s", typed, type), 2);
			assert_string_equal(typed, family);
			bool total = strlen(typed) > 6 && strcmp(typed + strlen(typed) - 6, "_total") == 0;
			assert_int_equal(total, strcmp(type, "counter") == 0);
		} else {
			sample_check(line, family);
		}
	}
	free(copy);
	return text;
}

static void row(const char *table, const char *json)
{
	assert_true(metrics_row(m, table, json, strlen(json)));
}

static void has(const char *text, const char *line)
{
	char whole[512];

	snprintf(whole, sizeof whole, "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("'%s' is missing in:\n%s", line, text);
}

static void rows_become_samples(void **state)
{
	(void)state;
	row("counters", "{\"counter\":\"drop-policy-deny\",\"value\":7,\"text\":\"t\"}");
	row("counters", "{\"counter\":\"sessions-ended\",\"value\":9}");
	row("counters", "{\"counter\":\"sessions-ended-tcp-fin\",\"value\":8}");
	row("links", "{\"interface\":\"lan0\",\"zone\":\"lan\",\"rx_dropped\":11,\"carrier_changes\":2}");
	row("counters", "{\"counter\":\"sessions-now\",\"value\":\"18446744073709551615\"}");
	row("interfaces",
		"{\"interface\":\"lan0\",\"zone\":\"lan\",\"state\":\"up\",\"mtu\":1500,\"addresses\":[\"a\",\"b\"],\"rx_packets\":1}");
	row("uplinks",
		"{\"uplink\":\"u\",\"interface\":\"wan0\",\"state\":\"down\",\"target\":\"192.0.2.1\",\"by\":\"ping\",\"rtt_us\":1234567,\"changes\":3}");
	row("policy",
		"{\"from\":\"a\",\"to\":\"b\",\"rule\":\"r\",\"id\":\"1\",\"hits\":5,\"last_hit_s\":0,\"counted_s\":100}");
	row("status",
		"{\"process\":\"ike\",\"state\":\"ready\",\"uptime_s\":0,\"restarts\":0,\"sha256\":\"ab\"}");
	row("status", "{\"process\":\"keeper\",\"state\":\"down\",\"uptime_s\":10,\"restarts\":2}");
	row("ledger", "{\"origin\":\"o\",\"last_checkpoint\":\"2023-11-14T22:13:20.000000Z\",\"size\":4}");
	row("ledger", "{\"witness\":\"w\",\"via\":\"tcp\",\"cosigned_size\":3,\"last_contact_s\":20}");
	row("ledger", "{\"cosigned_ledger\":\"x\",\"via\":\"p\",\"cosigned_size\":3,\"last_contact_s\":20}");
	row("nat", "{\"type\":\"source\",\"rule\":\"n\",\"from\":\"a\",\"to\":\"b\",\"hits\":1}");
	row("nat", "{\"type\":\"static\",\"rule\":\"n\",\"from\":\"a\",\"hits\":2}");
	metrics_own(m, METRIC_build_info, "0.1\"0", 1);
	char *text = page();
	has(text, "plaingate_drops_total{reason=\"policy-deny\"} 7");
	has(text, "plaingate_sessions 18446744073709551615");
	has(text, "plaingate_sessions_ended_total 9");
	has(text, "plaingate_sessions_ended_by_reason_total{reason=\"tcp-fin\"} 8");
	has(text, "plaingate_link_receive_dropped_total{interface=\"lan0\",zone=\"lan\"} 11");
	assert_null(strstr(text, "plaingate_link_transmit"));
	has(text, "plaingate_interface_up{interface=\"lan0\",zone=\"lan\"} 1");
	has(text, "plaingate_uplink_up{uplink=\"u\",interface=\"wan0\"} 0");
	has(text,
		"plaingate_uplink_round_trip_seconds{uplink=\"u\",target=\"192.0.2.1\",by=\"ping\"} 1.234567");
	has(text,
		"plaingate_rule_last_hit_timestamp_seconds{from=\"a\",to=\"b\",rule=\"r\",id=\"1\"} 1700000000");
	has(text,
		"plaingate_rule_counted_since_timestamp_seconds{from=\"a\",to=\"b\",rule=\"r\",id=\"1\"} 1699999900");
	has(text, "plaingate_process_up{process=\"keeper\"} 0");
	has(text, "plaingate_process_start_time_seconds{process=\"keeper\"} 1699999990");
	assert_null(strstr(text, "start_time_seconds{process=\"ike\"}"));
	has(text, "plaingate_ledger_checkpoint_timestamp_seconds{origin=\"o\"} 1700000000");
	has(text, "plaingate_witness_cosigned_entries{witness=\"w\",via=\"tcp\"} 3");
	assert_null(strstr(text, "via=\"p\""));
	has(text, "plaingate_nat_rule_hits_total{type=\"source\",from=\"a\",to=\"b\",rule=\"n\"} 1");
	has(text, "plaingate_nat_rule_hits_total{type=\"static\",from=\"a\",rule=\"n\"} 2");
	has(text, "plaingate_build_info{version=\"0.1\\\"0\"} 1");
	free(text);
}

static void nothing_twice(void **state)
{
	(void)state;
	row("ike", "{\"peer\":\"p\",\"state\":\"established\",\"spi_i\":\"1\",\"last_received_s\":9}");
	row("ike", "{\"peer\":\"p\",\"state\":\"established\",\"spi_i\":\"2\",\"last_received_s\":2}");
	row("ike", "{\"peer\":\"p\",\"state\":\"down\"}");
	row("tunnels", "{\"tunnel\":\"t\",\"peer\":\"p\",\"state\":\"up\",\"sas\":1}");
	row("tunnels", "{\"tunnel\":\"t\",\"peer\":\"p\",\"state\":\"up\",\"sas\":2}");
	char *text = page();
	has(text, "plaingate_ike_peer_up{peer=\"p\"} 1");
	has(text, "plaingate_ike_sas{peer=\"p\",state=\"established\"} 2");
	has(text, "plaingate_ike_last_received_timestamp_seconds{peer=\"p\"} 1699999998");
	has(text, "plaingate_tunnel_child_sas{tunnel=\"t\",peer=\"p\"} 1");
	assert_null(strstr(strstr(text, "child_sas{") + 1, "child_sas{"));
	free(text);
}

/* Any octets in a name, through the writer of `show`. */
static void names_of_any_octets(void **state)
{
	char json[4096];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char name[16];
		size_t n = (size_t)rand() % sizeof name;
		for (size_t k = 0; k < n; k++)
			name[k] = (char)(rand() % 4 ? "\\\"\n{},=\xff"[rand() % 8] : rand());
		struct jw w = jw_over(json, sizeof json, false);
		jw_object(&w, NULL);
		jw_str_n(&w, "interface", name, n);
		jw_str(&w, "zone", "z");
		jw_u64(&w, "mtu", (uint64_t)i);
		jw_end(&w);
		assert_true(jw_done(&w) > 0);
		row("interfaces", json);
	}
	free(page());
}

static void bounded(void **state)
{
	char json[256];
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < METRICS_SAMPLES_MAX / 5 + 1000; i++) {
		snprintf(json, sizeof json,
			"{\"from\":\"a\",\"to\":\"b\",\"rule\":\"r%u\",\"id\":\"%u\",\"hits\":1,\"packets\":1,\"bytes\":1,\"last_hit_s\":1,\"counted_s\":1}",
			i, i);
		row("policy", json);
	}
	char *text = metrics_page(m, &n);
	assert_non_null(text);
	assert_true(n < 16u << 20);
	has(text, "plaingate_samples_left_out 5000");
	free(text);
	metrics_begin(m, 0);
	text = page();
	has(text, "plaingate_samples_left_out 0");
	free(text);
}

static void rows_that_are_none(void **state)
{
	static const char *const texts[] = { "", "{", "{}x", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{\"a\":-1}", "{\"a\":1.5}", "{\"a\":{\"b\":1}}", "{\"a\":[1]}", "{\"a\":nul}",
		"{\"a\":\"\\x\"}", "{\"a\":\"\\u01ff\"}", "{\"a\":\"b}", "{\"a\":\"\n\"}", "{ \"a\":1}" };
	struct flat f;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (flat_read(&f, texts[i], strlen(texts[i])))
			fail_msg("taken: %s", texts[i]);
	static const char good[] = "{\"a\":\"\\u0000\\u00ff\\\\\",\"b\":[\"x\",\"y\"],\"c\":true,\"d\":12}";
	assert_true(flat_read(&f, good, strlen(good)));
	assert_string_equal(flat_find(&f, "a")->text, " \xc3\xbf\\");
	assert_int_equal(flat_find(&f, "d")->number, 12);
	assert_false(flat_find(&f, "c")->is_number);
	for (size_t n = 0; n < strlen(good); n++)
		assert_false(flat_read(&f, good, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(rows_become_samples, begin, end),
		cmocka_unit_test_setup_teardown(nothing_twice, begin, end),
		cmocka_unit_test_setup_teardown(names_of_any_octets, begin, end),
		cmocka_unit_test_setup_teardown(bounded, begin, end), cmocka_unit_test(rows_that_are_none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
