/* Records of the rules' log on their way to export: their fields, and that nothing waits for whoever does not read them. */
#include "proc/dataplane/record.h"

#include "proc/dataplane/dataplane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct fw_key key(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct fw_key k = { .proto = 6, .src_port = src_port, .dst_port = dst_port };
	struct ip_addr a, b;

	assert_int_equal(addr_parse(&a, src), RC_OK);
	assert_int_equal(addr_parse(&b, dst), RC_OK);
	k.family = a.family;
	memcpy(k.src, a.b, 16);
	memcpy(k.dst, b.b, 16);
	return k;
}

static struct fw_log closed(void)
{
	struct fw_log l = { .kind = FW_LOG_CLOSE,
		.end = FW_END_TIMEOUT,
		.rule_name = "out",
		.zone_name = { "lan", "wan" },
		.tunnel_name = "site",
		.session_id = 8,
		.begun = NS_PER_S,
		.at = 63 * NS_PER_S,
		.packets = { 5, 4 },
		.bytes = { 500, 4000 } };

	l.key[0] = key("10.1.0.2", 40000, "192.0.2.80", 80);
	l.key[1] = key("10.3.0.80", 8080, "198.51.100.2", 41000);
	return l;
}

static void is_end(const struct endpoint *e, const char *text)
{
	char is[ENDPOINT_TEXT_MAX];

	assert_string_equal(endpoint_text(is, e), text);
}

static void fields(void **state)
{
	struct session_record r;
	struct fw_log l = closed();

	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	assert_true(session_record_sound(&r, DROP_COUNT));
	assert_int_equal(r.event, SESSION_EVENT_CLOSE);
	assert_int_equal(r.reason, SESSION_END_TIMEOUT);
	assert_int_equal(r.at, 998 * 1000000ull); /* two seconds ago */
	assert_int_equal(r.duration_ms, 62000);
	assert_int_equal(r.nat_src.addr.family, ADDR_NONE);
	assert_int_equal(r.nat_dst.addr.family, ADDR_NONE);
	assert_int_equal(r.bytes[1], 4000);
	assert_string_equal(r.tunnel, "site");
	assert_string_equal(r.to, "wan");
	l.source_translated = l.destination_translated = true;
	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	is_end(&r.src, "10.1.0.2:40000");
	is_end(&r.dst, "192.0.2.80:80");
	is_end(&r.nat_src, "198.51.100.2:41000");
	is_end(&r.nat_dst, "10.3.0.80:8080");
	l.kind = FW_LOG_DENY;
	l.drop = DROP_POLICY_DENY;
	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	assert_int_equal(r.event, SESSION_EVENT_DENY);
	assert_int_equal(r.reason, DROP_POLICY_DENY);
	assert_int_equal(r.nat_src.addr.family, ADDR_NONE);
	l.permits = true;
	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	assert_int_equal(r.event, SESSION_EVENT_DROP);
	l.kind = FW_LOG_BLOCK_GIVEN;
	l.nat_first = 40960;
	l.nat_last = 41471;
	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	assert_int_equal(r.event, SESSION_EVENT_NAT_BLOCK_GIVEN);
	assert_int_equal(r.reason, SESSION_END_TIMEOUT);
	assert_int_equal(r.nat_last, 41471);
	is_end(&r.nat_src, "198.51.100.2:0");
	l.kind = FW_LOG_SUPPRESSED; /* made without keys */
	memset(l.key, 0, sizeof l.key);
	session_record_make(&r, &l, 65 * NS_PER_S, 1000 * 1000000ull);
	assert_true(session_record_sound(&r, DROP_COUNT));
}

static void never_waits(void **state)
{
	static struct dataplane d;
	static struct ipc_frame f;
	struct ipc_link *to = child_link(&d.child, PROC_EXPORT), other;
	struct fw_log l = closed();
	int fds[2];
	uint64_t sent, lost = 0, seen = 0;

	*to = IPC_LINK_NONE;
	record_send(&d, &l); /* nobody is there */
	assert_int_equal(d.records_lost, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(to, fds[0], PROC_DATAPLANE, PROC_EXPORT);
	ipc_link_open(&other, fds[1], PROC_EXPORT, PROC_DATAPLANE);
	for (sent = 1; sent < 10000; sent++)
		record_send(&d, &l);
	assert_true(d.records_lost > 1 && d.records_lost < 9000);
	assert_true(to->waiting_bytes <= RECORDS_WAITING_BYTES_MAX + 4096);
	for (bool more = true; more;) { /* it reads again: all is there, or counted */
		more = ipc_flush(to) == RC_AGAIN;
		while (ipc_recv(&other, &f, NULL) == RC_OK) {
			seen++;
			lost += f.u.SESSION_RECORD.lost;
			more = true;
		}
	}
	record_send(&d, &l);
	assert_int_equal(ipc_recv(&other, &f, NULL), RC_OK);
	lost += f.u.SESSION_RECORD.lost;
	assert_int_equal(lost, d.records_lost);
	assert_int_equal(seen + 1 + lost, sent + 1);
	ipc_link_close(to);
	ipc_link_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fields), cmocka_unit_test(never_waits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
