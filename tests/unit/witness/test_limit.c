/* How often a client of the witness may ask. */
#include "proc/witness/limit.h"
#include "base/bytes.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct limit l;
static const uint8_t key[16] = "0123456789abcdef";

static bool ask(const char *text, mono_ns now)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(&s, &in, sizeof in);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		memcpy(&s, &in6, sizeof in6);
	}
	return limit_allows(&l, (struct sockaddr *)&s, now);
}

static void rate(void **state)
{
	mono_ns now = 1000 * NS_PER_S;
	unsigned allowed = 0;

	limit_init(&l, key, 10, 5);
	for (int i = 0; i < 20; i++)
		allowed += ask("192.0.2.1", now);
	assert_int_equal(allowed, 5);
	/* One more each tenth of a second; not sooner; a silence gives the burst again and no more. */
	assert_false(ask("192.0.2.1", now + 50 * NS_PER_MS));
	assert_true(ask("192.0.2.1", now + 100 * NS_PER_MS));
	assert_false(ask("192.0.2.1", now + 150 * NS_PER_MS));
	assert_true(ask("192.0.2.1", now + 200 * NS_PER_MS));
	now += 3600 * NS_PER_S;
	allowed = 0;
	for (int i = 0; i < 20; i++)
		allowed += ask("192.0.2.1", now);
	assert_int_equal(allowed, 5);
	/* In the long run: 10 a second, however often is asked. */
	allowed = 0;
	for (int i = 0; i < 10000; i++)
		allowed += ask("192.0.2.1", now + (mono_ns)i * NS_PER_MS);
	assert_in_range(allowed, 99, 101);
	/* Time that stands still or goes back gives nothing. */
	assert_false(ask("192.0.2.1", now));
}

static void clients_are_apart(void **state)
{
	mono_ns now = 1000 * NS_PER_S;

	limit_init(&l, key, 1, 1);
	assert_true(ask("192.0.2.1", now));
	assert_false(ask("192.0.2.1", now));
	assert_true(ask("192.0.2.2", now));
	assert_false(ask("::ffff:192.0.2.2", now)); /* the same client on a socket of both families */
	assert_true(ask("2001:db8:0:1::1", now));
	assert_false(ask("2001:db8:0:1:ffff::1", now)); /* its own /64 */
	assert_true(ask("2001:db8:0:2::1", now));
	limit_init(&l, key, 0, 1);
	for (int i = 0; i < 1000; i++)
		assert_true(ask("192.0.2.1", now));
}

/* More clients than places: whoever asked longest ago is forgotten, and nobody is kept out. */
static void many_clients(void **state)
{
	char text[INET_ADDRSTRLEN];
	mono_ns now = 1000 * NS_PER_S;

	limit_init(&l, key, 1, 1);
	for (unsigned i = 0; i < 4 * LIMIT_SETS * LIMIT_WAYS; i++) {
		snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_true(ask(text, now + i));
		assert_false(ask(text, now + i));
	}
	/* Whoever goes on asking keeps its place, however many others come. */
	assert_true(ask("192.0.2.9", now + NS_PER_S / 2));
	for (unsigned i = 0; i < 4 * LIMIT_SETS * LIMIT_WAYS; i++) {
		snprintf(text, sizeof text, "11.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		ask(text, now + NS_PER_S / 2 + i);
		assert_false(ask("192.0.2.9", now + NS_PER_S / 2 + i));
	}
	struct sockaddr other = { .sa_family = AF_UNIX };
	assert_true(limit_allows(&l, &other, now));
	assert_true(limit_allows(&l, NULL, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rate),
		cmocka_unit_test(clients_are_apart),
		cmocka_unit_test(many_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
