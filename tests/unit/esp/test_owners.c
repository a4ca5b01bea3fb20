/*
 * Pairs that several workers own: how they are divided, that an owner changes with the number of workers only, and that a
 * pair goes on under another owner, or in another process, without a number twice and with its window.
 */
#include "esp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PAIRS	   16
#define SPI	   0x1000u
#define PEER_SPI   0x9000u
#define NUMBERS	   (16 * ESP_SEQUENCE_STEP)
#define PACKET_MAX 512

static struct fixture ours, peer; /* peer: the other end of each pair, with one worker */

/* Pairs of different tunnels, which differ in their traffic. */
static struct sa_install pair_of(uint32_t i, uint32_t flags)
{
	struct sa_install sa = fixture_sa(SPI + i, PEER_SPI + i, flags | CHILD_ESN);

	sa.tunnel = i;
	return sa;
}

static const char *tunnel_of(uint32_t i)
{
	static char name[16];

	snprintf(name, sizeof name, "t%u", i % PAIRS);
	return name;
}

static uint32_t install(struct fixture *f, const struct sa_install *sa)
{
	struct err e = { 0 };

	assert_int_equal(esp_install(f->esp, sa, tunnel_of(sa->tunnel), 1024, NULL, 1, &e), RC_OK);
	return esp_pair_find(f->esp, sa->spi_in);
}

static void begin(uint32_t workers)
{
	fixture_begin_for(&ours, workers);
	fixture_begin(&peer);
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct sa_install sa = pair_of(i, 0), other = fixture_sa(PEER_SPI + i, SPI + i, CHILD_ESN);
		other.tunnel = i;
		other.local_ts[0] = sa.remote_ts[0];
		other.remote_ts[0] = sa.local_ts[0];
		install(&ours, &sa);
		install(&peer, &other);
	}
}

static void end(void)
{
	fixture_end(&ours);
	fixture_end(&peer);
}

static uint32_t owner_of(uint32_t spi)
{
	return esp_owner(ours.esp, esp_pair_find(ours.esp, spi));
}

static void they_are_even(uint32_t workers)
{
	uint32_t owned[WORKERS_MAX] = { 0 };

	for (uint32_t i = 0; i < PAIRS; i++) {
		assert_true(owner_of(SPI + i) < workers);
		owned[owner_of(SPI + i)]++;
	}
	for (uint32_t w = 0; w < workers; w++)
		assert_in_range(owned[w], PAIRS / workers, (PAIRS + workers - 1) / workers);
}

static void divided(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= WORKERS_MAX; n++) {
		begin(n);
		they_are_even(n);
		end();
	}
}

/* By a rekey, or by a new IKE SA that does not name what it replaces. */
static void successors(void **state)
{
	(void)state;
	begin(4);
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct sa_install sa = pair_of(i, 0);
		uint32_t before = owner_of(SPI + i);
		sa.spi_in = SPI + 0x100 + i;
		sa.rekeys_spi_in = SPI + i;
		install(&ours, &sa);
		assert_int_equal(owner_of(sa.spi_in), before);
		assert_int_equal(esp_remove(ours.esp, SPI + i), RC_OK);
		sa.rekeys_spi_in = 0;
		sa.spi_in = SPI + i;
		install(&ours, &sa);
		assert_int_equal(owner_of(sa.spi_in), before);
		assert_int_equal(esp_remove(ours.esp, SPI + 0x100 + i), RC_OK);
	}
	they_are_even(4);
	end();
}

/* ---- the same pair under other owners ---- */

static bool used[PAIRS][NUMBERS];

/* A packet each way by each pair: the peer's window and ours accept them, and no number comes twice. */
static void packets_pass(uint32_t rounds)
{
	uint8_t ip[PACKET_MAX + TRAIN_TAIL_ROOM], sealed[PACKET_MAX], opened[PACKET_MAX];
	enum drop_reason drop;
	struct esp_opened o;
	struct train t;

	for (uint32_t i = 0; i < rounds * PAIRS; i++) {
		uint32_t k = i % PAIRS, out = esp_pair_find(ours.esp, SPI + k);
		fixture_packet(&t, ip, 40, false);
		uint32_t n = fixture_seal(ours.esp, out, &t, sealed, &drop);
		assert_int_equal(drop, DROP_NONE);
		uint32_t number = load_be32(sealed + 4);
		assert_true(number < NUMBERS && !used[k][number]);
		used[k][number] = true;
		esp_open(peer.esp, sealed, n, 0, opened, 1, &o);
		assert_int_equal(o.drop, DROP_NONE);
		fixture_packet(&t, ip, 40, true);
		n = fixture_seal(peer.esp, esp_pair_find(peer.esp, PEER_SPI + k), &t, sealed, &drop);
		esp_open(ours.esp, sealed, n, 0, opened, 1, &o);
		assert_int_equal(o.drop, DROP_NONE);
		esp_open(ours.esp, sealed, n, 0, opened, 1, &o);
		assert_int_equal(o.drop, DROP_ESP_REPLAY);
	}
}

static void over_takeovers_and_changes(void **state)
{
	static const uint32_t numbers[] = { 4, 4, 2, 16, 1, 3, 3 };
	uint8_t ip[PACKET_MAX + TRAIN_TAIL_ROOM], first[PAIRS][PACKET_MAX], opened[PACKET_MAX];
	uint32_t n[PAIRS], owner[PAIRS];
	enum drop_reason drop;
	struct esp_opened o;
	struct train t;
	struct err e = { 0 };

	(void)state;
	memset(used, 0, sizeof used);
	begin(numbers[0]);
	for (uint32_t k = 0; k < PAIRS; k++) { /* what has been opened before all of it */
		fixture_packet(&t, ip, 40, true);
		n[k] = fixture_seal(peer.esp, esp_pair_find(peer.esp, PEER_SPI + k), &t, first[k], &drop);
		esp_open(ours.esp, first[k], n[k], 0, opened, 1, &o);
		assert_int_equal(o.drop, DROP_NONE);
	}
	for (uint32_t i = 1; i < COUNT_OF(numbers); i++) {
		packets_pass(5);
		for (uint32_t k = 0; k < PAIRS; k++)
			owner[k] = owner_of(SPI + k);
		ours.workers = numbers[i - 1]; /* dies, and begins with as many as before */
		fixture_restart(&ours);
		for (uint32_t k = 0; k < PAIRS; k++)
			assert_int_equal(owner_of(SPI + k), owner[k]);
		packets_pass(5);
		if (i % 2 == 0) { /* while it runs */
			assert_int_equal(esp_workers(ours.esp, numbers[i], &e), RC_OK);
		} else { /* over a restart */
			ours.workers = numbers[i];
			fixture_restart(&ours);
		}
		they_are_even(numbers[i]);
		packets_pass(5);
		for (uint32_t k = 0; k < PAIRS; k++) {
			esp_open(ours.esp, first[k], n[k], 0, opened, 1, &o);
			assert_int_equal(o.drop, DROP_ESP_REPLAY);
		}
	}
	end();
}

/* An owner that cannot be, as of a torn state. */
static void owner_out_of_range(void **state)
{
	(void)state;
	begin(4);
	struct esp_state *s = ours.state;
	s->pair[3].owner = 9;
	fixture_restart(&ours);
	they_are_even(4);
	s->pair[3].owner = WORKERS_MAX;
	fixture_restart(&ours);
	assert_int_equal(esp_pairs(ours.esp), PAIRS - 1);
	end();
}

/* ---- at the same time ---- */

#define THREADS 4

static uint8_t sealed_for[PAIRS][PACKET_MAX];
static uint32_t sealed_n[PAIRS];
static pthread_barrier_t all_here;

/* Opens the first packet of each of its pairs, which activates it, and looks for pairs as for packets of its own. */
static void *owner_run(void *context)
{
	uint32_t worker = (uint32_t)(uintptr_t)context;
	uint8_t ip[PACKET_MAX + TRAIN_TAIL_ROOM], opened[PACKET_MAX];
	struct esp_opened o;
	struct train t;

	fixture_packet(&t, ip, 40, false);
	pthread_barrier_wait(&all_here);
	for (uint32_t i = 0; i < PAIRS; i++) {
		esp_outbound_for(ours.esp, 0, 0, &t);
		if (owner_of(SPI + i) != worker)
			continue;
		esp_open(ours.esp, sealed_for[i], sealed_n[i], 0, opened, 1, &o);
		if (o.drop != DROP_NONE)
			abort();
	}
	return NULL;
}

/* All in one tunnel, for its list. */
static void they_become_active(void)
{
	uint8_t ip[PACKET_MAX + TRAIN_TAIL_ROOM];
	pthread_t threads[THREADS];
	enum drop_reason drop;
	struct train t;

	fixture_begin_for(&ours, THREADS);
	fixture_begin(&peer);
	for (uint32_t i = 0; i < PAIRS; i++) {
		struct sa_install sa = pair_of(i, CHILD_OUTBOUND_LATER),
				  other = fixture_sa(PEER_SPI + i, SPI + i, CHILD_ESN);
		sa.tunnel = 0;
		sa.remote_ts[0].addrs.last.b[3] = (uint8_t)(255 - i); /* other traffic than the others' */
		other.local_ts[0] = sa.remote_ts[0];
		other.remote_ts[0] = sa.local_ts[0];
		install(&ours, &sa);
		fixture_packet(&t, ip, 40, true);
		sealed_n[i] = fixture_seal(peer.esp, install(&peer, &other), &t, sealed_for[i], &drop);
	}
	assert_int_equal(esp_outbound(ours.esp, 0), ESP_PAIR_NONE);
	pthread_barrier_init(&all_here, NULL, THREADS);
	for (uint32_t w = 0; w < THREADS; w++)
		assert_int_equal(pthread_create(&threads[w], NULL, owner_run, (void *)(uintptr_t)w), 0);
	for (uint32_t w = 0; w < THREADS; w++)
		pthread_join(threads[w], NULL);
	pthread_barrier_destroy(&all_here);
	uint32_t at = esp_outbound(ours.esp, 0);
	for (uint32_t i = PAIRS; i-- > 0; at = ours.esp->pair[at].next_active) /* the newest first */
		assert_int_equal(at, esp_pair_find(ours.esp, SPI + i));
	assert_int_equal(at, ESP_PAIR_NONE);
	end();
}

static void activated_in_threads(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		they_become_active();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(divided),
		cmocka_unit_test(successors),
		cmocka_unit_test(over_takeovers_and_changes),
		cmocka_unit_test(owner_out_of_range),
		cmocka_unit_test(activated_in_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
