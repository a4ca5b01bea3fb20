/* The largest talkers against exact sums: few talkers, more than there is room for, and an order that is meant to hurt. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define KEYS 20000

static struct world w;
static struct fw_talkers t;
static struct fw_tally_count exact[KEYS], total;
static uint64_t seed;

static int setup(void **state)
{
	world_init(&w, WORLD_SESSIONS);
	return 0;
}

static int teardown(void **state)
{
	world_done(&w);
	return 0;
}

static void begin(enum talker_by by, enum talker_order order)
{
	memset(exact, 0, sizeof exact);
	memset(&total, 0, sizeof total);
	fw_talkers_begin(&t, w.fw, by, order);
}

static void add(uint32_t key, uint32_t port, uint64_t packets, uint64_t bytes)
{
	struct fw_session s = { .packets = { packets, 1 }, .bytes = { bytes, 40 } };

	s.key[0].family = ADDR_V6;
	s.key[0].src_port = (uint16_t)port;
	memcpy(s.key[0].src, &key, sizeof key);
	memcpy(s.key[0].dst + 4, &key, sizeof key);
	fw_talkers_add(&t, &s);
	exact[key].sessions++;
	exact[key].packets += packets + 1;
	exact[key].bytes += bytes + 40;
	total.sessions++;
	total.packets += packets + 1;
	total.bytes += bytes + 40;
}

static uint64_t measure(const struct fw_tally_count *c)
{
	return t.order == TALKER_ORDER_BYTES	 ? c->bytes
	       : t.order == TALKER_ORDER_PACKETS ? c->packets
						 : c->sessions;
}

static uint32_t key_of(const struct fw_talker *one)
{
	uint32_t key;

	memcpy(&key, t.by == TALKER_BY_DESTINATION ? one->ends[1].b + 4 : one->ends[0].b, sizeof key);
	assert_int_equal(one->ends[0].family, t.by == TALKER_BY_DESTINATION ? ADDR_NONE : ADDR_V6);
	assert_int_equal(one->ends[1].family, t.by == TALKER_BY_SOURCE ? ADDR_NONE : ADDR_V6);
	return key;
}

/* What the top of talkers.c promises. */
static void promises_hold(void)
{
	static bool listed[KEYS];
	uint64_t sum = 0, bound = measure(&total) / FW_TALKERS_MAX;

	memset(listed, 0, sizeof listed);
	fw_talkers_end(&t);
	for (uint32_t i = 0; i < t.n; i++) {
		const struct fw_talker *one = &t.talker[i];
		uint32_t key = key_of(one);
		assert_true(key < KEYS && !listed[key]);
		listed[key] = true;
		assert_true(one->sum >= measure(&exact[key]) && one->sum - one->over <= measure(&exact[key]));
		assert_true(one->over <= bound);
		assert_true(i == 0 || one->sum <= t.talker[i - 1].sum);
		if (one->over == 0)
			assert_memory_equal(&one->counted, &exact[key], sizeof exact[key]);
		sum += one->sum;
	}
	assert_true(sum == measure(&total));
	for (uint32_t key = 0; key < KEYS; key++)
		assert_true(listed[key] || measure(&exact[key]) <= bound);
}

/* Few are large: the square of a number that is small more often than large. */
static uint32_t uneven(uint32_t n)
{
	uint64_t a = next_random(&seed) % n, b = next_random(&seed) % n;

	return (uint32_t)(a * b / n * (next_random(&seed) % 4) / 4);
}

static void few_are_exact(void **state)
{
	for (uint32_t by = 0; by < TALKER_BY_COUNT; by++) {
		for (uint32_t order = 0; order < TALKER_ORDER_COUNT; order++) {
			begin((enum talker_by)by, (enum talker_order)order);
			for (uint32_t i = 0; i < 20000; i++)
				add(uneven(FW_TALKERS_MAX), i, next_random(&seed) % 100,
					next_random(&seed) % 100000);
			promises_hold();
			for (uint32_t i = 0; i < t.n; i++)
				assert_int_equal(t.talker[i].over, 0);
		}
	}
}

static void many_within_the_bound(void **state)
{
	for (uint32_t by = 0; by < TALKER_BY_COUNT; by++) {
		for (uint32_t order = 0; order < TALKER_ORDER_COUNT; order++) {
			begin((enum talker_by)by, (enum talker_order)order);
			for (uint32_t i = 0; i < 100000; i++)
				add(uneven(KEYS), i, next_random(&seed) % 100, next_random(&seed) % 100000);
			assert_int_equal(t.n, FW_TALKERS_MAX);
			promises_hold();
		}
	}
}

/* A scan between the packets of one large talker, and everybody once: the worst order for what is kept. */
static void a_scan_does_not_hide_a_talker(void **state)
{
	begin(TALKER_BY_SOURCE, TALKER_ORDER_SESSIONS);
	for (uint32_t i = 0; i < 5 * KEYS; i++) {
		add(1 + i % (KEYS - 1), i, 0, 0);
		if (i % 100 == 0)
			add(0, i, 10, 10);
	}
	promises_hold();
	assert_int_equal(key_of(&t.talker[0]), 0);
}

static void nobody(void **state)
{
	begin(TALKER_BY_PAIR, TALKER_ORDER_BYTES);
	fw_talkers_end(&t);
	assert_int_equal(t.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(many_within_the_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(a_scan_does_not_hide_a_talker, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
