/*
 * The ring between two threads: order and contents, what does not fit, the end of the buffer, and no wake-up
 * that is lost. By hand with the thread sanitizer as well: -Db_sanitize=thread.
 */
#include "base/lines.h"
#include "base/ring.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A record's octets follow from its number. */
static uint32_t size_of(uint32_t number, uint32_t max)
{
	return (number * 2654435761u >> 7) % (max + 1);
}

static void fill(uint8_t *b, uint32_t n, uint32_t number)
{
	memset(b, (int)(number % 251), n);
	if (n >= 4)
		memcpy(b, &number, 4);
}

static void is_filled(const struct ring_record *r, uint32_t number, uint32_t max)
{
	uint32_t found = number;

	assert(r->n == size_of(number, max) && (uintptr_t)r->bytes % RING_LINE == 0);
	if (r->n >= 4)
		memcpy(&found, r->bytes, 4);
	assert(found == number);
	for (uint32_t i = 4; i < r->n; i++)
		assert(r->bytes[i] == number % 251);
}

static void full_and_empty(void **state)
{
	struct ring *r = ring_new(1024);
	struct ring_record got[8];

	(void)state;
	assert_true(ring_is_empty(r));
	assert_int_equal(ring_take(r, got, 8), 0);
	for (uint32_t i = 0; i < 8; i++) { /* two lines each: the whole buffer */
		uint8_t *b = ring_reserve(r, 64);
		assert_non_null(b);
		memset(b, (int)i, 64);
		ring_commit(r, 64);
	}
	assert_null(ring_reserve(r, 0));
	assert_int_equal(ring_take(r, got, 3), 3);
	assert_null(ring_reserve(r, 0)); /* taken, but not released */
	ring_release(r);
	assert_int_equal(ring_take(r, got + 3, 5), 5);
	for (uint32_t i = 3; i < 8; i++)
		assert_int_equal(got[i].bytes[63], i);
	assert_true(ring_is_empty(r));
	ring_release(r);
	assert_non_null(ring_reserve(r, ring_record_max(r)));
	ring_free(r);
	ring_free(NULL);
}

/* What is not committed is not seen; a commit may be shorter than the reservation. */
static void shorter_than_reserved(void **state)
{
	struct ring *r = ring_new(1024);
	struct ring_record got[2];

	(void)state;
	assert_non_null(ring_reserve(r, 400));
	assert_true(ring_is_empty(r));
	uint8_t *b = ring_reserve(r, 300);
	memcpy(b, "abc", 3);
	ring_commit(r, 3);
	assert_int_equal(ring_take(r, got, 2), 1);
	assert_int_equal(got[0].n, 3);
	assert_memory_equal(got[0].bytes, "abc", 3);
	ring_release(r);
	ring_free(r);
}

/* The largest record fits an empty ring at each position. */
static void the_largest_fits_everywhere(void **state)
{
	(void)state;
	for (uint32_t lines = 0; lines < 16; lines++) {
		struct ring *r = ring_new(1024);
		struct ring_record got;
		for (uint32_t i = 0; i < lines; i++) {
			assert_non_null(ring_reserve(r, 0));
			ring_commit(r, 0);
			assert_int_equal(ring_take(r, &got, 1), 1);
			ring_release(r);
		}
		uint8_t *b = ring_reserve(r, ring_record_max(r));
		assert_non_null(b);
		memset(b, 7, ring_record_max(r));
		ring_commit(r, ring_record_max(r));
		assert_int_equal(ring_take(r, &got, 1), 1);
		assert_int_equal(got.n, ring_record_max(r));
		ring_release(r);
		assert_true(ring_is_empty(r));
		ring_free(r);
	}
}

struct pair {
	struct ring *ring;
	struct ring_sleeper sleeper;
	int event;
	uint32_t records, max;
	bool sleeps;
	uint32_t wakes, sleeps_n;
};

static void *produce(void *argument)
{
	struct pair *p = argument;

	for (uint32_t i = 0; i < p->records;) {
		uint32_t burst = 1 + i % 7;
		for (; burst > 0 && i < p->records; burst--) {
			uint32_t n = size_of(i, p->max);
			uint8_t *b = ring_reserve(p->ring, n);
			if (!b)
				break;
			fill(b, n, i++);
			ring_commit(p->ring, n);
		}
		if (p->sleeps && ring_sleep_ends(&p->sleeper)) {
			uint64_t one = 1;
			p->wakes++;
			assert(write(p->event, &one, 8) == 8);
		}
		if (burst > 0)
			sched_yield();
	}
	return NULL;
}

static void sleep_until_woken(struct pair *p)
{
	ring_sleep_begin(&p->sleeper);
	if (ring_is_empty(p->ring)) {
		struct pollfd f = { .fd = p->event, .events = POLLIN };
		uint64_t n;
		p->sleeps_n++;
		/* A wake-up that is lost is never made up for: the test would stand still. */
		assert(poll(&f, 1, 20000) == 1 && read(p->event, &n, 8) == 8);
	}
	ring_sleep_end(&p->sleeper);
}

static void *consume(void *argument)
{
	struct pair *p = argument;
	struct ring_record got[16];

	for (uint32_t i = 0; i < p->records;) {
		size_t n = ring_take(p->ring, got, 1 + i % 16);
		for (size_t k = 0; k < n; k++) {
			is_filled(&got[k], i++, p->max);
			memset(got[k].bytes, 0xee, got[k].n); /* they are the consumer's */
		}
		ring_release(p->ring);
		if (n == 0 && p->sleeps)
			sleep_until_woken(p);
		else if (n == 0)
			sched_yield();
	}
	return NULL;
}

static void run(size_t octets, uint32_t records, bool sleeps)
{
	struct pair p = { .ring = ring_new(octets), .records = records, .sleeps = sleeps };
	pthread_t a, b;

	p.max = ring_record_max(p.ring);
	p.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pthread_create(&a, NULL, produce, &p), 0);
	assert_int_equal(pthread_create(&b, NULL, consume, &p), 0);
	assert_int_equal(pthread_join(a, NULL), 0);
	assert_int_equal(pthread_join(b, NULL), 0);
	if (sleeps) /* it woke for each sleep, and at most once more: between the flag and the look */
		print_message("%u sleeps, %u wakes\n", p.sleeps_n, p.wakes);
	assert_true(p.wakes >= p.sleeps_n);
	close(p.event);
	ring_free(p.ring);
}

static void two_threads(void **state)
{
	(void)state;
	run(1024, 200000, false);
	run(1u << 16, 20000, false);
}

static void two_threads_that_sleep(void **state)
{
	(void)state;
	run(1024, 100000, true);
	run(1u << 14, 50000, true);
}

/* Whole pairs of cache lines, zero; what cannot be had is refused. */
static void lines(void **state)
{
	(void)state;
	for (size_t n = 1; n < 5 * LINE_PAIR; n += 37) {
		uint8_t *p = lines_new(n, 3);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % LINE_PAIR, 0);
		for (size_t i = 0; i < (3 * n + LINE_PAIR - 1) / LINE_PAIR * LINE_PAIR; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, 3 * n); /* for the next one */
		free(p);
	}
	assert_null(lines_new(SIZE_MAX / 2, 3));
	assert_null(lines_new(SIZE_MAX, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(full_and_empty),
		cmocka_unit_test(shorter_than_reserved),
		cmocka_unit_test(the_largest_fits_everywhere),
		cmocka_unit_test(two_threads),
		cmocka_unit_test(two_threads_that_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
