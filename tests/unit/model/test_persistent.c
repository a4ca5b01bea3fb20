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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filtering),
		cmocka_unit_test(timeouts_of_the_rfcs),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	model_done();
	return failed;
}
