/* Connections of one client, and requests that do not come. */
#include "proc/witness/conns.h"

#include "base/bytes.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LONGEST (30 * NS_PER_S)

static struct conns conns;

static const struct sockaddr *v4(uint32_t address)
{
	static struct sockaddr_in in;

	in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
	return (const struct sockaddr *)&in;
}

/* The subnet, and what a client may choose. */
static const struct sockaddr *v6(uint8_t subnet, uint8_t chosen)
{
	static struct sockaddr_in6 in6;

	in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	in6.sin6_addr.s6_addr[0] = 0x20;
	in6.sin6_addr.s6_addr[7] = subnet;
	in6.sin6_addr.s6_addr[8] = in6.sin6_addr.s6_addr[15] = chosen;
	return (const struct sockaddr *)&in6;
}

static int begin(void **state)
{
	memset(&conns, 0, sizeof conns);
	return 0;
}

static void so_many_of_one_client(void **state)
{
	struct conn *first = NULL;

	conns.each_max = 4;
	for (uint8_t i = 0; i < 4; i++) {
		assert_true(conns_allow(&conns, v6(1, i)));
		struct conn *c = conns_add(&conns, v6(1, i), i, 0);
		assert_non_null(c);
		first = first ? first : c;
	}
	assert_false(conns_allow(&conns, v6(1, 9))); /* another address of its own is not another client */
	assert_true(conns_allow(&conns, v6(2, 0)));
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(conns_allow(&conns, v4(0x0a000001)));
		conns_add(&conns, v4(0x0a000001), 10, 0);
	}
	assert_false(conns_allow(&conns, v4(0x0a000001)));
	assert_true(conns_allow(&conns, v4(0x0a000002)));
	conns_remove(&conns, first);
	assert_true(conns_allow(&conns, v6(1, 9)));
	conns_remove(&conns, NULL);
	assert_int_equal(conns.n, 7);
	conns.each_max = 0;
	assert_true(conns_allow(&conns, v4(0x0a000001)));
	while (conns.n < CONNS_MAX)
		assert_non_null(conns_add(&conns, v4(1), 3, 0));
	assert_null(conns_add(&conns, v4(1), 3, 0));
}

static void requests_that_do_not_come(void **state)
{
	struct conn *a = conns_add(&conns, v4(1), 7, 100), *b = conns_add(&conns, v4(1), 8, 100);

	conn_asked(b);
	assert_null(conns_late(&conns, LONGEST, 99 + LONGEST));
	assert_ptr_equal(conns_late(&conns, LONGEST, 100 + LONGEST), a);
	assert_null(conns_late(&conns, LONGEST, 100 + LONGEST)); /* said once */
	conn_answered(b, 500 + LONGEST);			 /* the next one may take as long */
	assert_null(conns_late(&conns, LONGEST, 400 + 2 * LONGEST));
	assert_ptr_equal(conns_late(&conns, LONGEST, 500 + 2 * LONGEST), b);
	conn_answered(b, 600 + 2 * LONGEST);
	conns_remove(&conns, b);
	assert_null(conns_late(&conns, LONGEST, 600 + 9 * LONGEST));
}

/* Silent ones from everywhere: whoever has waited longest for an answer makes room, and those who are
 * answered stay. */
static void a_crowd_makes_room(void **state)
{
	struct conn *asks = NULL, *k;
	uint32_t closed = 0;

	for (uint32_t i = 0; i < 10 * CONNS_MAX; i++) {
		struct conn *c = conns_add(&conns, v4(i), (int)i, i);
		assert_non_null(c);
		if (i == 100)
			asks = c;
		conn_answered(asks, i); /* and again and again */
		while ((k = conns_crowded(&conns)) != NULL) {
			assert_ptr_not_equal(k, asks);
			assert_int_equal(
				k->fd, closed + (closed >= 100)); /* in the order in which they came */
			closed++;
			if (closed % 8 == 0) /* the server comes to it a little later */
				for (size_t j = 0; j < CONNS_MAX; j++)
					if (conns.conn[j].ended)
						conns_remove(&conns, &conns.conn[j]);
		}
	}
	assert_int_equal(closed, 10 * CONNS_MAX - (CONNS_MAX - CONNS_SPARE));
	assert_true(asks->used && !asks->ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(so_many_of_one_client, begin),
		cmocka_unit_test_setup(requests_that_do_not_come, begin),
		cmocka_unit_test_setup(a_crowd_makes_room, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
