/*
 * Trains and notes between two workers over their ring: in order, whole, refused when it is full, and between two
 * threads that sleep. A thread that only reads takes the place of its pipeline's bursts with notes; trains run through
 * whole pipelines. With ThreadSanitizer: -Db_sanitize=thread.
 */
#include "base/ring.h"
#include "gate.h"
#include "proc/dataplane/rings.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SESSIONS 512
#define NOTES	 50000

static struct gate gates[2];
static struct rings rings;
static struct packet room;

struct heard {
	uint32_t n, next, wrong;
};

static void on_note(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n)
{
	struct heard *h = context;
	uint32_t number;

	memcpy(&number, bytes, sizeof number);
	h->wrong += kind != RING_NOTE_FIREWALL || from != 0 || n < 4 || number != h->next;
	h->next = number + 1;
	h->n++;
}

static bool note_put(uint32_t number)
{
	uint32_t words[RING_NOTE_BYTES_MAX / 4] = { number };

	return rings_put_note(&rings, 0, 1, RING_NOTE_FIREWALL, words, 4 + number % (sizeof words - 4));
}

static uint32_t own_home(void *context, const struct train *t)
{
	(void)t;
	return ((struct gate *)context)->p.worker;
}

/* Two workers of one gateway; each is home to what arrives at it. */
static void begin(void)
{
	gate_init(&gates[0], gate_text, "", SESSIONS);
	gate_init_beside(&gates[1], &gates[0], SESSIONS);
	for (uint32_t i = 0; i < 2; i++)
		gates[i].p.io.home = own_home;
	pipeline_join((struct pipeline *[]){ &gates[0].p, &gates[1].p }, 2);
	assert_true(rings_init(&rings, 2));
}

static void end(void)
{
	rings_done(&rings);
	gate_done(&gates[1]);
	gate_done(&gates[0]);
}

static struct train train_to_send(uint16_t port, size_t payload_n)
{
	struct packet_spec s = { .src = "10.1.0.2",
		.dst = "192.0.2.80",
		.proto = IP_UDP,
		.src_port = port,
		.dst_port = 9,
		.payload_n = payload_n };
	struct train t = packet_make(&room, &s);

	pipeline_train_from_link(&gates[0].p, &t, gate_interface(&gates[0], GATE_LAN));
	assert_int_equal(train_parse(&t), DROP_NONE);
	t.flags |= TRAIN_HANDED_OVER;
	return t;
}

static struct rings_reader reader_of(uint32_t worker, struct heard *h)
{
	return (struct rings_reader){ &gates[worker].p, on_note, NULL, h };
}

/* Notes come before trains, also before those that were put earlier; each kind in its order. */
static uint64_t sent_before[100];

static void on_note_between(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n)
{
	uint32_t number;

	on_note(context, from, kind, bytes, n);
	memcpy(&number, bytes, sizeof number);
	sent_before[number] = gates[1].sent_link;
}

static void in_order(void **state)
{
	struct heard h = { 0 };
	struct rings_reader reader = { &gates[1].p, on_note_between, NULL, &h };

	(void)state;
	begin();
	assert_true(rings_are_empty(&rings, 1));
	for (uint16_t i = 0; i < 100; i++) {
		struct train t = train_to_send(i % 50, i);
		assert_true(rings_put(&rings, 0, 1, HANDOVER_ARRIVED, &t));
		assert_true(note_put(i));
	}
	assert_false(rings_are_empty(&rings, 1));
	assert_int_equal(rings_run(&rings, 1, &reader, gates[1].now), 100 + TRAIN_BURST_MAX);
	while (rings_run(&rings, 1, &reader, gates[1].now) > 0) {
	}
	assert_int_equal(h.n, 100);
	assert_int_equal(h.wrong, 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(sent_before[i], 0);
	assert_int_equal(gates[1].sent_link, 100);
	assert_int_equal(fw_counters(gates[1].fw)->sessions_now, 50);
	assert_int_equal(fw_counters(gates[0].fw)->sessions_now, 0);
	end();
}

/* A full ring refuses; what is in it when the numbers change is dropped, notes are read. */
static void full_and_dropped(void **state)
{
	struct heard h = { 0 };
	struct rings_reader reader = reader_of(1, &h);
	uint32_t n = 0;

	(void)state;
	begin();
	assert_true(note_put(0));
	for (struct train t = train_to_send(1, 60000); rings_put(&rings, 0, 1, HANDOVER_ARRIVED, &t); n++)
		assert_true(n < 1000);
	assert_true(n > 64); /* a whole burst of the largest */
	while (note_put(1)) {
	}
	rings_drop(&rings, 1, &reader);
	assert_int_equal(gates[1].p.drops[DROP_WORKER_QUEUE_FULL], n);
	assert_int_equal(gates[1].sent_link, 0);
	assert_true(rings_are_empty(&rings, 1));
	assert_true(note_put(2));
	end();
}

/* As many workers as there may be: the rings together stay in their bound. */
static void room_of_all(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= WORKERS_MAX; n++) {
		struct rings r;
		assert_true(rings_init(&r, n));
		assert_true(r.octets >= RING_BYTES_MIN && r.octets <= RING_BYTES_MAX);
		assert_true(r.octets == RING_BYTES_MIN || r.octets * n * (n - 1) <= RING_BYTES_ALL);
		rings_done(&r);
	}
}

/* ---- two threads ---- */

static struct ring_sleeper sleeper;
static int event;

static void *produce(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < NOTES;) {
		for (uint32_t burst = 1 + i % 9; burst > 0 && i < NOTES && note_put(i); burst--)
			i++;
		if (ring_sleep_ends(&sleeper)) {
			uint64_t one = 1;
			assert(write(event, &one, sizeof one) == sizeof one);
		}
		sched_yield();
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct heard h = { 0 };
	struct rings_reader reader = reader_of(1, &h);
	pthread_t producer;
	uint64_t woken;

	(void)state;
	begin();
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
	while (h.n < NOTES) {
		if (rings_run(&rings, 1, &reader, gates[1].now) > 0)
			continue;
		ring_sleep_begin(&sleeper);
		if (rings_are_empty(&rings, 1)) {
			struct pollfd p = { .fd = event, .events = POLLIN };
			assert_int_equal(poll(&p, 1, 20000), 1); /* no wake-up is lost */
			assert_int_equal(read(event, &woken, sizeof woken), sizeof woken);
		}
		ring_sleep_end(&sleeper);
	}
	pthread_join(producer, NULL);
	assert_int_equal(h.wrong, 0);
	close(event);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(full_and_dropped),
		cmocka_unit_test(room_of_all),
		cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
