/* The lines of the rules' log: the forms that docs/operating.md shows. */
#include "proc/dataplane/rule_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct fw_key key(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct fw_key k = { .proto = proto, .src_port = src_port, .dst_port = dst_port };
	struct ip_addr a, b;

	assert_int_equal(addr_parse(&a, src), RC_OK);
	assert_int_equal(addr_parse(&b, dst), RC_OK);
	k.family = a.family;
	memcpy(k.src, a.b, 16);
	memcpy(k.dst, b.b, 16);
	return k;
}

static void lines(void **state)
{
	const struct {
		struct fw_log log;
		const char *line;
	} rows[] = {
		{ { .kind = FW_LOG_DENY,
			  .drop = DROP_POLICY_DENY,
			  .rule_name = "rest",
			  .zone_name = { "untrust", "dmz" },
			  .packets = { 1 },
			  .bytes = { 46 },
			  .key = { key(17, "198.51.100.7", 4000, "10.1.0.2", 53) } },
			"session-deny rule=rest from=untrust to=dmz reason=policy-deny proto=udp "
			"src=198.51.100.7:4000 "
			"dst=10.1.0.2:53 packets=1 bytes=46" },
		{ { .kind = FW_LOG_DENY,
			  .drop = DROP_NAT_EXHAUSTED,
			  .permits = true,
			  .rule_name = "out",
			  .zone_name = { "trust", "untrust" },
			  .packets = { 1 },
			  .bytes = { 60 },
			  .key = { key(6, "10.1.0.2", 40000, "192.0.2.80", 80) } },
			"session-drop rule=out from=trust to=untrust reason=nat-exhausted proto=tcp "
			"src=10.1.0.2:40000 "
			"dst=192.0.2.80:80 packets=1 bytes=60" },
		{ { .kind = FW_LOG_DENY,
			  .drop = DROP_HOST_INBOUND,
			  .rule = UINT32_MAX,
			  .zone_name = { "untrust", "host" },
			  .packets = { 1 },
			  .bytes = { 60 },
			  .key = { key(6, "2001:db8::7", 4000, "2001:db8:ff::2", 22) } },
			"session-deny rule=- from=untrust to=host reason=host-inbound proto=tcp "
			"src=[2001:db8::7]:4000 "
			"dst=[2001:db8:ff::2]:22 packets=1 bytes=60" },
		{ { .kind = FW_LOG_INIT,
			  .rule_name = "out",
			  .zone_name = { "trust", "untrust" },
			  .session_id = 7,
			  .source_translated = true,
			  .key = { key(6, "10.1.0.2", 40000, "192.0.2.80", 80),
				  key(6, "192.0.2.80", 80, "198.51.100.2", 41000) } },
			"session-init rule=out from=trust to=untrust proto=tcp src=10.1.0.2:40000 "
			"dst=192.0.2.80:80 "
			"nat-src=198.51.100.2:41000 session=7" },
		{ { .kind = FW_LOG_CLOSE,
			  .end = FW_END_FIN,
			  .rule_name = "out",
			  .rule_id = 0xc3a4f0e1d2b59687,
			  .zone_name = { "trust", "vpn" },
			  .session_id = 8,
			  .begun = NS_PER_S,
			  .at = 63 * NS_PER_S + 45 * NS_PER_MS,
			  .packets = { 5, 4 },
			  .bytes = { 500, 4000 },
			  .key = { key(1, "10.1.0.2", 9, "10.2.0.2", 9) } },
			"session-close rule=out from=trust to=vpn reason=tcp-fin proto=icmp src=10.1.0.2:9 "
			"dst=10.2.0.2:9 "
			"session=8 duration=62.045 packets-forward=5 bytes-forward=500 packets-reply=4 "
			"bytes-reply=4000 rule-id=c3a4f0e1d2b59687" },
		{ { .kind = FW_LOG_SUPPRESSED, .rule_name = "rest", .rule_id = 101, .suppressed = 5123 },
			"log-suppressed rule=rest from=any to=any count=5123 rule-id=101" },
	};
	char text[RULE_LOG_TEXT_MAX];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(rule_log_text(text, &rows[i].log), rows[i].line);
}

static void blocks_of_ports(void **state)
{
	const struct {
		struct fw_log log;
		const char *line;
	} rows[] = {
		{ { .kind = FW_LOG_BLOCK_TAKEN,
			  .nat_rule_name = "customers",
			  .zone_name = { "trust" },
			  .session_id = 77,
			  .nat_first = 40960,
			  .nat_last = 41471,
			  .key = { key(0, "10.1.0.30", 0, "198.51.100.8", 8),
				  key(0, "0.0.0.0", 0, "198.51.100.9", 40960) } },
			"nat-block-allocated nat-rule=customers from=trust src=10.1.0.30 nat-src=198.51.100.9 "
			"nat-ports=40960-41471 block=77" },
		{ { .kind = FW_LOG_BLOCK_GIVEN,
			  .end = FW_END_TIMEOUT,
			  .session_id = 77,
			  .nat_first = 40960,
			  .nat_last = 41023,
			  .begun = 1 * NS_PER_S,
			  .at = 457 * NS_PER_S + 120 * NS_PER_MS,
			  .key = { key(0, "2001:db8:1:2::", 0, "198.51.100.8", 1),
				  key(0, "0.0.0.0", 0, "198.51.100.9", 40960) } },
			"nat-block-released nat-rule=- from=- src=2001:db8:1:2::/64 nat-src=198.51.100.9 "
			"nat-ports=40960-41023 block=77 reason=timeout duration=456.120" },
		{ { .kind = FW_LOG_BLOCKS_LOST, .suppressed = 5 }, "nat-block-records-lost count=5" },
	};
	char text[RULE_LOG_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(rule_log_text(text, &rows[i].log), rows[i].line);
		assert_true(rule_log_must_arrive(&rows[i].log));
	}
}

/* A rule of source NAT is named as one. */
static void exhausted_pool(void **state)
{
	const struct fw_log l = { .kind = FW_LOG_EXHAUSTED,
		.nat_rule_name = "internet",
		.nat_pool = { { .b = { 192, 0, 2, 8 }, .family = ADDR_V4 },
			{ .b = { 192, 0, 2, 15 }, .family = ADDR_V4 } },
		.nat_pools_more = 2,
		.suppressed = 17,
		.zone_name = { "trust", "untrust" },
		.key = { key(6, "10.1.0.2", 40000, "192.0.2.80", 80) } };
	char text[RULE_LOG_TEXT_MAX];

	(void)state;
	assert_string_equal(rule_log_text(text, &l),
		"nat-exhausted nat-rule=internet pool=192.0.2.8/29+2 from=trust to=untrust count=17 proto=tcp "
		"src=10.1.0.2:40000 dst=192.0.2.80:80");
}

/* Names as long as they may be, the longest addresses. */
static void the_longest_fits(void **state)
{
	struct fw_log l = { .kind = FW_LOG_CLOSE,
		.end = FW_END_NAT_ADDRESS_CHANGED,
		.source_translated = true,
		.at = UINT64_MAX,
		.session_id = UINT32_MAX,
		.packets = { UINT64_MAX, UINT64_MAX },
		.bytes = { UINT64_MAX, UINT64_MAX } };
	char text[RULE_LOG_TEXT_MAX];

	memset(l.rule_name, 'r', NAME_MAX_BYTES - 1);
	memset(l.zone_name[0], 'f', NAME_MAX_BYTES - 1);
	memset(l.zone_name[1], 't', NAME_MAX_BYTES - 1);
	l.key[0] = key(6, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		"2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 65535);
	l.key[1] = key(6, "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 65535,
		"2001:db8:ffff:ffff:ffff:ffff:ffff:fffd", 65535);
	rule_log_text(text, &l);
	assert_non_null(strstr(text, "bytes-reply=18446744073709551615"));
}

static void each_end_is_documented(void **state)
{
	static char page[1 << 20];
	FILE *f = fopen("docs/operating.md", "r");

	assert_non_null(f);
	assert_true(fread(page, 1, sizeof page - 1, f) > 0 && feof(f));
	fclose(f);
	for (int e = 0; e < FW_END_COUNT; e++) {
		char name[64];
		snprintf(name, sizeof name, "`%s`", fw_end_name((enum fw_end)e));
		assert_non_null(strstr(page, name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(blocks_of_ports),
		cmocka_unit_test(exhausted_pool), cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(each_end_is_documented) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
