/* Filtering of persistent NAT, and default timeouts against what RFC 4787, 5382 and 5508 ask for. */
#include "compiled.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct snapshot *with_filtering(const char *filtering)
{
	char text[512];
	struct err e = { 0 };
	void *block = NULL;
	size_t n = 0;

	snprintf(text, sizeof text,
		"system { host-name a; } nat { source { rule a { then { source-nat interface; persistent-nat %s; } } } }",
		filtering);
	if (compile(text, 1, &block, &n, &e) == RC_OK) {
		assert_int_equal(snapshot_check(block, n, &e), RC_OK);
		return block;
	}
	return NULL;
}

static void filtering(void **state)
{
	static const struct {
		const char *word;
		uint32_t filtering;
	} cases[] = { { "address-and-port-dependent", NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT },
		{ "address-dependent", NAT_FILTER_ADDRESS_DEPENDENT },
		{ "endpoint-independent", NAT_FILTER_ENDPOINT_INDEPENDENT } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct snapshot *s = with_filtering(cases[i].word);
		assert_non_null(s);
		assert_int_equal(snap_nat_rules(s)[0].filtering, cases[i].filtering);
		free(s);
	}
	assert_null(with_filtering("any-remote-host"));
}

static void timeouts_of_the_rfcs(void **state)
{
	struct snapshot *s = with_filtering("endpoint-independent");

	(void)state;
	assert_non_null(s);
	assert_true(s->timeout_s[TIMEOUT_UDP] >= 120); /* RFC 4787 REQ-5 */
	assert_true(s->timeout_s[TIMEOUT_UDP_UNANSWERED] >= 120);
	assert_true(snap_nat_rules(s)[0].binding_timeout_s >= 120);
	assert_true(s->timeout_s[TIMEOUT_TCP] >= 2 * 3600 + 240); /* RFC 5382 REQ-5 */
	assert_true(s->timeout_s[TIMEOUT_TCP_SYN_SENT] >= 240);
	assert_true(s->timeout_s[TIMEOUT_TCP_SYN_RECEIVED] >= 240);
	assert_true(s->timeout_s[TIMEOUT_TCP_HALF_CLOSED] >= 240);
	assert_true(s->timeout_s[TIMEOUT_ICMP] >= 60); /* RFC 5508 REQ-2 */
	free(s);
}

static void blocks_of_ports(void **state)
{
	static const struct {
		const char *then;
		bool valid;
	} cases[] = {
		/* two addresses of 1,000 ports */
		{ "source-nat 192.0.2.8/31; ports 50000-50999; host-address-base 10.1.0.0/28; port-block-size 64;",
			true },
		{ "source-nat [ 192.0.2.8/32 192.0.2.16/32 ]; ports 50000-50999; host-address-base 10.1.0.0/28; port-block-size 125;",
			true },
		{ "source-nat 192.0.2.8/31; ports 50000-50999; host-address-base 10.1.0.0/28; port-block-size 126;",
			false },
		{ "source-nat 192.0.2.8/31; ports 50000-50999; host-address-base 10.1.0.0/27; port-block-size 64;",
			false },
		{ "source-nat 192.0.2.8/31; port-block-size 64;", false },
		{ "source-nat interface; host-address-base 10.1.0.0/28; port-block-size 64;", false },
		{ "source-nat 2001:db8::/126; host-address-base fd00::/126; port-block-size 64;", false },
		{ "source-nat 192.0.2.8/28; port-no-translation; host-address-base 10.1.0.0/28; port-block-size 64;",
			false },
		/* dynamic ones */
		{ "source-nat 192.0.2.8/31; port-block-size 64; maximum-blocks-per-host 16;", true },
		{ "source-nat 192.0.2.8/31; port-block-size 512; maximum-blocks-per-host 1; active-block-timeout 600; block-recycle-timeout 1; persistent-nat endpoint-independent;",
			true },
		{ "source-nat [ 192.0.0.0/21 192.0.32.0/21 ]; port-block-size 64; maximum-blocks-per-host 1;",
			true },
		{ "source-nat [ 192.0.0.0/21 192.0.32.0/21 10.9.0.1/32 ]; port-block-size 64; maximum-blocks-per-host 1;",
			false },
		{ "source-nat 192.0.2.8/31; port-block-size 100; maximum-blocks-per-host 4;", false },
		{ "source-nat 192.0.2.8/31; ports 50000-50100; port-block-size 64; maximum-blocks-per-host 4;",
			false },
		{ "source-nat 192.0.2.8/31; port-block-size 64; maximum-blocks-per-host 4; host-address-base 10.1.0.0/28;",
			false },
		{ "source-nat 192.0.2.8/31; port-block-size 64; maximum-blocks-per-host 4; port-no-translation;",
			false },
		{ "source-nat interface; port-block-size 64; maximum-blocks-per-host 4;", false },
		{ "source-nat 2001:db8::/126; port-block-size 64; maximum-blocks-per-host 4;", false },
		{ "source-nat 192.0.2.8/31; maximum-blocks-per-host 4;", false },
		{ "source-nat 192.0.2.8/31; port-block-size 64; maximum-blocks-per-host 17;", false },
		{ "source-nat 192.0.2.8/31; active-block-timeout 60;", false },
		{ "source-nat 192.0.2.8/31; host-address-base 10.1.0.0/31; port-block-size 64; block-recycle-timeout 60;",
			false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[512];
		struct err e = { 0 };
		void *block = NULL;
		size_t n = 0;
		snprintf(text, sizeof text,
			"system { host-name a; } nat { source { rule a { then { %s } } } }", cases[i].then);
		enum rc rc = compile(text, 1, &block, &n, &e);
		if ((rc == RC_OK) != cases[i].valid)
			fail_msg("%s: %s", cases[i].then, e.text);
		if (rc == RC_OK) {
			struct snap_nat_rule *r =
				(struct snap_nat_rule *)(uintptr_t)snap_nat_rules((struct snapshot *)block);
			assert_int_equal(snapshot_check(block, n, &e), RC_OK);
			r->block_size++; /* as a compromised control would send it */
			assert_int_equal(snapshot_check(block, n, &e), i == 0 ? RC_OK : RC_MALFORMED);
			r->block_size = NAT_BLOCK_MIN - 1;
			assert_int_equal(snapshot_check(block, n, &e), RC_MALFORMED);
			r->block_size = UINT32_MAX;
			assert_int_equal(snapshot_check(block, n, &e), RC_MALFORMED);
		}
		free(block);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filtering),
		cmocka_unit_test(timeouts_of_the_rfcs),
		cmocka_unit_test(blocks_of_ports),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	model_done();
	return failed;
}
