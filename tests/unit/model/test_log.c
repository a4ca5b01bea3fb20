/* What the compiler makes of log streams, and what it and the check of a snapshot refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"

#define HEX64	   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define STREAM(in) "log { stream s { " in " } }"

/* In the order of their names: libyang 3 sorts lists. */
static void records(void **state)
{
	struct snapshot *s =
		compiled("log { stream s1 { host 192.0.2.1; server-name siem.example; authorities corp; } "
			 "stream s2 { host 2001:db8::1; transport tcp; } "
			 "stream s3 { host 192.0.2.3; port 5140; transport udp; } "
			 "stream s4 { host 192.0.2.5; transport udp; format ipfix; } "
			 "stream s5 { host 192.0.2.6; format ipfix; } stream s6 { transport journal; } "
			 "stream s7 { host 192.0.2.4; server-key " HEX64 "; } }");
	const struct snap_log_stream *x = s->log.stream;

	assert_int_equal(s->log.count, 7);
	assert_string_equal(x[0].name, "s1");
	assert_int_equal(x[0].transport, STREAM_TLS);
	assert_int_equal(x[0].format, STREAM_RFC5424);
	assert_int_equal(x[0].to.port, 6514);
	assert_string_equal(x[0].server_name, "siem.example");
	assert_string_equal(x[0].authorities, "corp");
	assert_int_equal(x[1].to.addr.family, ADDR_V6);
	assert_int_equal(x[1].to.port, 601);
	assert_int_equal(x[1].transport, STREAM_TCP);
	assert_int_equal(x[2].to.port, 5140);
	assert_int_equal(x[2].transport, STREAM_UDP);
	assert_int_equal(x[3].format, STREAM_IPFIX);
	assert_int_equal(x[3].to.port, 4739);
	assert_int_equal(x[4].to.port, 4740);
	assert_int_equal(x[5].transport, STREAM_JOURNAL);
	assert_int_equal(x[5].to.addr.family, ADDR_NONE);
	assert_int_equal(x[6].server_key[0], 0x01);
	assert_int_equal(x[6].server_key[31], 0xef);
	assert_int_equal(snapshot_log_check(&s->log, NULL), RC_OK);
	free(s);
}

static const char *const refused_texts[] = {
	STREAM("port 1;"),
	STREAM("host collector.example;"),
	STREAM("host 192.0.2.1; port 0;"),
	STREAM("host 192.0.2.1; transport sctp;"),
	STREAM("host 192.0.2.1; format text;"),
	STREAM("host 192.0.2.1; transport tcp; server-name a;"),
	STREAM("host 192.0.2.1; transport udp; server-key " HEX64 ";"),
	STREAM("host 192.0.2.1; transport tcp; authorities a;"),
	STREAM("host 192.0.2.1; authorities a; server-key " HEX64 ";"),
	STREAM("host 192.0.2.1; authorities ../a;"),
	STREAM("host 192.0.2.1; server-name \"a b\";"),
	STREAM("host 192.0.2.1; server-key 0a;"),
	STREAM("host 192.0.2.1; transport journal;"),
	STREAM("port 1; transport journal;"),
	STREAM("transport journal; format ipfix;"),
};

static void refused(void **state)
{
	for (size_t i = 0; i < sizeof refused_texts / sizeof refused_texts[0]; i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };

		if (compile(refused_texts[i], 1, &block, &n, &e) == RC_OK)
			fail_msg("accepted: %s", refused_texts[i]);
		assert_true(strlen(e.text) > 10);
	}
}

/* Export is given this part by itself. */
static void forged(void **state)
{
	struct snap_log good = { .count = 2 }, v;

	for (size_t i = 0; i < good.count; i++) {
		snprintf(good.stream[i].name, sizeof good.stream[i].name, "s%zu", i);
		good.stream[i].to = (struct endpoint){ .addr = addr_v4("\xc0\0\2\1"), .port = 6514 };
	}
	good.stream[1].transport = STREAM_TCP;
	assert_int_equal(snapshot_log_check(&good, NULL), RC_OK);
#define REFUSED(change)                                                                                      \
	do {                                                                                                 \
		v = good;                                                                                    \
		change;                                                                                      \
		if (snapshot_log_check(&v, NULL) == RC_OK)                                                   \
			fail_msg("taken: %s", #change);                                                      \
	} while (0)
	REFUSED(v.count = LOG_STREAMS_MAX + 1);
	REFUSED(v.count = 1); /* what stands behind it is none */
	REFUSED(v.count = 3);
	REFUSED(v.zero = 1);
	REFUSED(memset(v.stream[0].name, 'a', sizeof v.stream[0].name));
	REFUSED(memset(v.stream[0].server_name, 'a', sizeof v.stream[0].server_name));
	REFUSED(memset(v.stream[0].authorities, 'a', sizeof v.stream[0].authorities));
	REFUSED(memcpy(v.stream[0].authorities, "../x", 5));
	REFUSED(v.stream[0].to.port = 0);
	REFUSED(v.stream[0].to.scope = 1);
	REFUSED(v.stream[0].to.addr.family = ADDR_NONE);
	REFUSED(v.stream[0].to.addr.b[7] = 1);
	REFUSED(v.stream[0].transport = STREAM_TRANSPORT_COUNT);
	REFUSED(v.stream[0].format = STREAM_FORMAT_COUNT);
	REFUSED(v.stream[1].server_key[0] = 1);
	REFUSED(v.stream[1].server_name[0] = 'a');
	REFUSED(v.stream[1].transport = STREAM_JOURNAL); /* and an address */
}

#define METRICS(in) "system { metrics { " in " } }"

static void metrics(void **state)
{
	static const char *const texts[] = { METRICS(""), METRICS("listen monitor.example;"),
		METRICS("listen 0.0.0.0;"), METRICS("listen 224.0.0.1;"),
		METRICS("listen 192.0.2.1; port 0;"), METRICS("listen 192.0.2.1; port 41000;"),
		METRICS("listen 192.0.2.1; rules 10001;") };
	struct snapshot *s = compiled(METRICS("listen 2001:db8::1; port 9100; rules 7;"));

	assert_int_equal(s->metrics.on, 1);
	assert_int_equal(s->metrics.rules, 7);
	assert_int_equal(s->metrics.listen.port, 9100);
	assert_int_equal(s->metrics.listen.addr.family, ADDR_V6);
	free(s);
	s = compiled(METRICS("listen 192.0.2.1;"));
	assert_int_equal(s->metrics.listen.port, 9105);
	assert_int_equal(s->metrics.rules, 1000);
	free(s);
	s = compiled("system { host-name a; }");
	assert_int_equal(s->metrics.on, 0);
	free(s);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };
		if (compile(texts[i], 1, &block, &n, &e) == RC_OK)
			fail_msg("accepted: %s", texts[i]);
	}
}

static void metrics_forged(void **state)
{
	struct snap_metrics good = { .on = 1, .listen = { .addr = addr_v4("\xc0\0\2\1"), .port = 9105 } }, v;

	assert_int_equal(snapshot_metrics_check(&good, NULL), RC_OK);
#undef REFUSED
#define REFUSED(change)                                                                                      \
	do {                                                                                                 \
		v = good;                                                                                    \
		change;                                                                                      \
		if (snapshot_metrics_check(&v, NULL) == RC_OK)                                               \
			fail_msg("taken: %s", #change);                                                      \
	} while (0)
	REFUSED(v.on = 0);
	REFUSED(v.on = 2);
	REFUSED(v.rules = METRICS_RULES_MAX + 1);
	REFUSED(v.listen.port = 0);
	REFUSED(v.listen.scope = 1);
	REFUSED(v.listen.addr.family = ADDR_NONE);
	REFUSED(v.listen.addr.b[9] = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(records), cmocka_unit_test(refused),
		cmocka_unit_test(forged), cmocka_unit_test(metrics), cmocka_unit_test(metrics_forged) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
