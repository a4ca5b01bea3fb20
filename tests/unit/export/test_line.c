/*
 * Lines of the session log: the fields of each event as docs/operating.md shows them, canonical, and chained; lines that are
 * none are not read; records of a compromised data plane are refused.
 */
#include "export/line.h"

#include "base/bytes.h"
#include "ledger/canonical.h"
#include "ledger/types.h"
#include "wire/drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint end(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_int_equal(addr_parse(&e.addr, addr), RC_OK);
	return e;
}

static struct session_record closed(void)
{
	return (struct session_record){ .at = 1448388000000000ull,
		.duration_ms = 62045,
		.packets = { 5, 4 },
		.bytes = { 500, 4000 },
		.src = end("10.1.0.2", 40000),
		.dst = end("192.0.2.80", 80),
		.nat_src = end("198.51.100.2", 41000),
		.session = 7,
		.event = SESSION_EVENT_CLOSE,
		.reason = SESSION_END_FIN,
		.proto = 6,
		.from = "lan",
		.to = "wan",
		.rule = "out" };
}

static void check(const struct session_record *r, const char *log, const char *want)
{
	char line[SESSION_LINE_MAX];

	assert_int_equal(export_line(line, r, log, NULL), strlen(want));
	assert_string_equal(line, want);
}

static void events(void **state)
{
	struct session_record r = closed();

	check(&r, NULL,
		"{\"bytes_forward\":500,\"bytes_reply\":4000,\"dst\":\"192.0.2.80\",\"dst_port\":80,\"duration_ms\":62045,"
		"\"event\":\"session-close\",\"from\":\"lan\",\"nat_src\":\"198.51.100.2\",\"nat_src_port\":41000,"
		"\"packets_forward\":5,\"packets_reply\":4,\"proto\":6,\"reason\":\"tcp-fin\",\"rule\":\"out\",\"rule_id\":\"\","
		"\"session\":7,\"src\":\"10.1.0.2\",\"src_port\":40000,\"to\":\"wan\",\"tunnel\":\"\",\"user\":\"\","
		"\"utc\":\"2015-11-24T18:00:00.000000Z\"}");
	r = (struct session_record){ .event = SESSION_EVENT_DENY,
		.reason = DROP_POLICY_DENY,
		.src = end("2001:db8::7", 4000),
		.dst = end("2001:db8:ff::2", 22),
		.proto = 17,
		.packets = { 1 },
		.bytes = { 46 },
		.from = "wan",
		.to = "host" };
	check(&r, NULL,
		"{\"bytes_forward\":46,\"dst\":\"2001:db8:ff::2\",\"dst_port\":22,\"event\":\"session-deny\",\"from\":\"wan\","
		"\"packets_forward\":1,\"proto\":17,\"reason\":\"policy-deny\",\"rule\":\"\",\"rule_id\":\"\","
		"\"src\":\"2001:db8::7\",\"src_port\":4000,\"to\":\"host\",\"user\":\"\",\"utc\":\"1970-01-01T00:00:00.000000Z\"}");
	r = (struct session_record){ .event = SESSION_EVENT_NAT_BLOCK_GIVEN,
		.reason = SESSION_END_TIMEOUT,
		.src = end("2001:db8::", 0),
		.src_bits = 64,
		.nat_src = end("198.51.100.9", 0),
		.nat_first = 40960,
		.nat_last = 41471,
		.nat_rule = "customers",
		.from = "lan",
		.session = 77 };
	check(&r, NULL,
		"{\"duration_ms\":0,\"event\":\"nat-block-released\",\"from\":\"lan\",\"nat_port_first\":40960,"
		"\"nat_port_last\":41471,\"nat_rule\":\"customers\",\"nat_src\":\"198.51.100.9\",\"reason\":\"timeout\","
		"\"session\":77,\"src\":\"2001:db8::/64\",\"utc\":\"1970-01-01T00:00:00.000000Z\"}");
	r = (struct session_record){ .event = SESSION_EVENT_LOG_FILE };
	check(&r, "00112233445566778899aabbccddeeff",
		"{\"event\":\"log-file\",\"log\":\"00112233445566778899aabbccddeeff\",\"utc\":\"1970-01-01T00:00:00.000000Z\"}");
}

/* Every event with its longest fields fits, is canonical (keys rise), and is read as what it was written. */
static void chained(void **state)
{
	struct export_chain chain = { 0 }, read = { 0 };
	char line[SESSION_LINE_MAX], log[2 * SESSION_LOG_ID_BYTES + 1] = "";

	for (unsigned e = 0; e < SESSION_EVENT_COUNT; e++) {
		struct session_record r = closed();
		struct ledger_value v = { 0 };
		r.event = (uint16_t)e;
		r.nat_dst = end("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
		memset(r.rule, 1, sizeof r.rule - 1);
		memset(r.from, 1, sizeof r.from - 1);
		memset(r.to, 1, sizeof r.to - 1);
		memset(r.nat_rule, 1, sizeof r.nat_rule - 1);
		memset(r.tunnel, 1, sizeof r.tunnel - 1);
		memset(r.user, 1, sizeof r.user - 1);
		memset(r.rule_id, 1, sizeof r.rule_id - 1);
		size_t n = export_line(line, &r,
			e == SESSION_EVENT_LOG_FILE ? "00112233445566778899aabbccddeeff" : NULL, &chain);
		assert_true(n > 0);
		struct canonical c = canonical_over(line, n);
		canonical_char(&c, '{');
		while (ledger_body_next(&c, &v)) {
		}
		canonical_char(&c, '}');
		assert_true(canonical_end(&c));
		export_chain_add(&chain, line, n);
		assert_true(export_line_read(line, n, &read, log));
		assert_int_equal(read.n, e + 1);
		assert_memory_equal(&read, &chain, sizeof chain);
		for (size_t cut = 0; cut < n; cut++)
			assert_false(export_line_read(line, cut, &read, log));
	}
	assert_string_equal(log, "00112233445566778899aabbccddeeff");
	assert_false(export_line_read("{\"n\":1}", 7, &read, log));
	/* A name cannot pass for a field. */
	struct session_record r = closed();
	snprintf(r.rule, sizeof r.rule, "x\",\"n\":9,\"prev\":\"");
	size_t n = export_line(line, &r, NULL, &chain);
	assert_true(export_line_read(line, n, &read, log));
	assert_int_equal(read.n, chain.n + 1);
}

static void forged_records(void **state)
{
	struct session_record good = closed(), r = good;

	assert_true(session_record_sound(&r, DROP_COUNT));
	memset(r.user, 'x', sizeof r.user);
	assert_true(session_record_sound(&r, DROP_COUNT));
	assert_int_equal(strlen(r.user), sizeof r.user - 1);
	r = good;
	r.event = SESSION_EVENT_COUNT;
	assert_false(session_record_sound(&r, DROP_COUNT));
	r = good;
	r.reason = SESSION_END_COUNT;
	assert_false(session_record_sound(&r, DROP_COUNT));
	r = good;
	r.event = SESSION_EVENT_DENY;
	r.reason = DROP_COUNT;
	assert_false(session_record_sound(&r, DROP_COUNT));
	r = good;
	r.nat_dst.addr.family = 5;
	assert_false(session_record_sound(&r, DROP_COUNT));
	r = good;
	r.src_bits = 129;
	assert_false(session_record_sound(&r, DROP_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),
		cmocka_unit_test(chained),
		cmocka_unit_test(forged_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
