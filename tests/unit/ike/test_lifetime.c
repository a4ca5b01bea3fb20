/*
 * AUTH_LIFETIME (RFC 4478) of a responder that says it again and again: it may bring the end of an authentication nearer, and never puts
 * off what is configured or what it has said before. The same of one that has said nothing before.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct puppet p;

static void up(uint32_t reauth_s)
{
	puppet_init(&p);
	p.config.peers[0].reauth_s = reauth_s;
	puppet_start(&p);
	assert_true(puppet_up(&p, false));
}

/* The number of that key in the row of the puppet's IKE SA; -1: it has none. */
static long shown(const char *key)
{
	char row[4096], quoted[64];
	uint32_t cursor = 0;

	assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row - 1) > 0);
	snprintf(quoted, sizeof quoted, "\"%s\":", key);
	const char *at = strstr(row, quoted);
	return at ? strtol(at + strlen(quoted), NULL, 10) : -1;
}

static void say(uint32_t seconds)
{
	uint8_t bytes[4];

	store_be32(bytes, seconds);
	ike_out_notify(puppet_request(&p, EX_INFORMATIONAL), NTF_AUTH_LIFETIME, bytes, sizeof bytes);
	puppet_send(&p);
}

static void the_configured_end_stays(void **state)
{
	long begin, end;

	(void)state;
	up(200);
	begin = shown("reauthentication_in_s");
	end = shown("authentication_ends_in_s");
	assert_in_range(begin, 160, 185);
	assert_in_range(end, 195, 200);
	for (int i = 0; i < 15; i++) {
		say(i % 2 ? 3600 : UINT32_MAX);
		puppet_run(&p, 10000);
		assert_in_range(
			shown("authentication_ends_in_s"), end - 10 * (i + 1) - 1, end - 10 * (i + 1));
		assert_in_range(
			shown("reauthentication_in_s"), begin - 10 * (i + 1) - 1, begin - 10 * (i + 1));
	}
	puppet_run(&p, 51000); /* nobody answers the new handshake */
	assert_string_equal(puppet_state(&p, 0), "closing");
	puppet_done(&p);
}

/* Without a configured time: what was said first, or less. */
static void what_was_said_stays(void **state)
{
	long begin;

	(void)state;
	up(0);
	assert_int_equal(shown("reauthentication_in_s"), -1);
	say(200);
	begin = shown("reauthentication_in_s");
	assert_in_range(begin, 160, 185);
	for (int i = 1; i <= 5; i++) {
		puppet_run(&p, 10000);
		say(200);
		assert_in_range(shown("reauthentication_in_s"), begin - 10 * i - 1, begin - 10 * i);
	}
	say(60);
	assert_in_range(shown("reauthentication_in_s"), 50, 56);
	puppet_done(&p);
}

/* No time at all is left: as soon as an authentication may be made again, and not at a time that is over. */
static void at_once(void **state)
{
	(void)state;
	for (uint32_t s = 0; s <= 1; s++) {
		up(0);
		puppet_run(&p, 60000);
		puppet_forget(&p);
		say(s);
		puppet_run(&p, 1500);
		puppet_read_last(&p);
		assert_int_equal(p.header.exchange, EX_IKE_SA_INIT);
		puppet_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configured_end_stays),
		cmocka_unit_test(what_was_said_stays),
		cmocka_unit_test(at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
