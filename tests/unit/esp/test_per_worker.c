/*
 * Pairs for one worker each, beside one for all (RFC 9611): which pair a worker sends by, over rekeys, ends, other IKE SAs,
 * deaths and other numbers of workers. A model that searches a plain list says the same for random histories.
 */
#include "esp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#define SPI	 0x1000u
#define PEER_SPI 0x9000u
#define WORKERS	 4u

static struct fixture f;
static struct train packet;
static uint8_t packet_bytes[512 + TRAIN_TAIL_ROOM];

static void bound(void)
{
	struct snap_tunnel t = { .name = "t" };

	esp_bind(f.esp, &t, 1);
}

static void begin(uint32_t workers)
{
	fixture_begin_for(&f, workers);
	bound();
	fixture_packet(&packet, packet_bytes, 64, false);
}

/* resource: as in struct sa_install; rekeys: a number as i, or none: UINT32_MAX. */
static uint64_t group = 1; /* of what is added */

static void add_rekey(uint32_t i, uint16_t resource, uint32_t rekeys, uint32_t flags)
{
	struct sa_install sa = fixture_sa(SPI + i, PEER_SPI + i, flags);
	struct err e = { 0 };

	sa.resource = resource;
	sa.group = group;
	sa.rekeys_spi_in = rekeys == UINT32_MAX ? 0 : SPI + rekeys;
	assert_int_equal(esp_install(f.esp, &sa, "t", 1024, NULL, 1, &e), RC_OK);
}

static void add(uint32_t i, uint16_t resource)
{
	add_rekey(i, resource, UINT32_MAX, 0);
}

/* The number of the pair by which the worker sends; UINT32_MAX: none. */
static uint32_t sends(uint32_t worker)
{
	uint32_t pair = esp_outbound_for(f.esp, 0, worker, &packet);
	struct esp_view v;

	if (pair == ESP_PAIR_NONE)
		return UINT32_MAX;
	esp_view(f.esp, pair, &v);
	return v.spi_in - SPI;
}

static uint32_t owner(uint32_t i)
{
	return esp_owner(f.esp, esp_pair_find(f.esp, SPI + i));
}

static bool shown_as_sending(uint32_t i)
{
	return esp_pair_sends(f.esp, esp_pair_find(f.esp, SPI + i));
}

static void each_by_its_own(void **state)
{
	(void)state;
	begin(WORKERS);
	add(0, 0);
	for (uint32_t w = 0; w < WORKERS; w++)
		assert_int_equal(sends(w), 0);
	for (uint32_t w = WORKERS; w-- > 0;) {
		add(1 + w, (uint16_t)(1 + w));
		assert_int_equal(owner(1 + w), w);
		for (uint32_t k = 0; k < WORKERS; k++)
			assert_int_equal(sends(k), k < w ? 0 : 1 + k);
	}
	for (uint32_t i = 0; i <= WORKERS; i++)
		assert_true(shown_as_sending(i));
	assert_int_equal(esp_outbound(f.esp, 0), esp_pair_find(f.esp, SPI));
	/* One ends: its worker is back at the first one; and when that ends the others do all. */
	assert_int_equal(esp_remove(f.esp, SPI + 3), RC_OK);
	assert_int_equal(sends(2), 0);
	assert_int_equal(esp_remove(f.esp, SPI), RC_OK);
	assert_int_equal(sends(0), 1);
	assert_int_not_equal(sends(2), UINT32_MAX);
	assert_int_not_equal(esp_outbound(f.esp, 0), ESP_PAIR_NONE);
	fixture_end(&f);
}

static void rekeys(void **state)
{
	(void)state;
	begin(2);
	add(0, 0);
	add(1, 1);
	add(2, 2);
	add_rekey(3, 2, 2, CHILD_OUTBOUND_LATER);
	assert_int_equal(owner(3), 1);
	assert_int_equal(sends(1), 2);
	assert_int_equal(esp_activate(f.esp, SPI + 3), RC_OK);
	assert_int_equal(sends(1), 3);
	assert_false(shown_as_sending(2));
	assert_int_equal(esp_remove(f.esp, SPI + 2), RC_OK);
	/* The first one: the others go on. */
	add_rekey(4, 0, 0, 0);
	assert_int_equal(sends(0), 1);
	assert_int_equal(sends(1), 3);
	assert_int_equal(esp_remove(f.esp, SPI), RC_OK);
	assert_int_equal(sends(0), 1);
	assert_int_equal(sends(1), 3);
	assert_true(shown_as_sending(1) && shown_as_sending(3) && shown_as_sending(4));
	fixture_end(&f);
}

/* What another IKE SA has left behind the peer may have forgotten. */
static void of_another_ike_sa(void **state)
{
	(void)state;
	for (uint32_t rekeys = 0; rekeys < 2;
		rekeys++) { /* as after a restart of ike: it may be told what it replaces */
		begin(2);
		group = 1;
		add(0, 0);
		add(1, 1);
		add(2, 2);
		group = 2;
		add_rekey(3, 0, rekeys ? 0 : UINT32_MAX, CHILD_OUTBOUND_LATER);
		assert_int_equal(sends(0), 1);
		assert_int_equal(esp_activate(f.esp, SPI + 3), RC_OK);
		assert_int_equal(sends(0), 3);
		assert_int_equal(sends(1), 3);
		assert_false(shown_as_sending(1) || shown_as_sending(0));
		add(4, 2);
		assert_int_equal(sends(0), 3);
		assert_int_equal(sends(1), 4);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(esp_remove(f.esp, SPI + i), RC_OK);
		assert_int_equal(sends(0), 3);
		assert_int_equal(sends(1), 4);
		fixture_end(&f);
	}
	group = 1;
}

static void deaths_and_other_numbers(void **state)
{
	static const uint32_t numbers[] = { 4, 4, 2, 1, 3, 16, 4 };
	struct err e = { 0 };

	(void)state;
	begin(4);
	add(0, 0);
	for (uint32_t i = 1; i <= 4; i++)
		add(i, (uint16_t)i);
	add_rekey(5, 0, 0, 0);
	assert_int_equal(esp_remove(f.esp, SPI), RC_OK);
	for (uint32_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
		uint32_t n = numbers[k];
		if (k % 2 == 0) {
			f.workers = n;
			fixture_restart(&f);
			bound();
		} else {
			assert_int_equal(esp_workers(f.esp, n, &e), RC_OK);
			f.workers = n;
		}
		for (uint32_t w = 0; w < n; w++) {
			uint32_t i = sends(w);
			assert_true(w < 4 ? i >= 1 && i <= 4 : i == 5);
			assert_int_equal(i == 5 ? w : owner(i), w);
		}
	}
	fixture_end(&f);
}

static void out_of_range(void **state)
{
	struct sa_install sa = fixture_sa(SPI, PEER_SPI, 0);
	struct err e = { 0 };

	(void)state;
	begin(1);
	sa.resource = WORKERS_MAX + 1;
	assert_int_equal(esp_install(f.esp, &sa, "t", 1024, NULL, 1, &e), RC_RANGE);
	fixture_end(&f);
}

/* ---- the model ---- */

static struct known {
	bool lives, active;
	uint32_t i, resource;
	uint64_t order, group;
} known[FIXTURE_PAIRS];
static uint64_t orders;

static struct known *newest(uint32_t resource_of_worker, bool any, uint64_t of)
{
	struct known *best = NULL;

	for (uint32_t i = 0; i < FIXTURE_PAIRS; i++) {
		struct known *p = &known[i];
		bool fits = any ? p->resource != 0
				: (resource_of_worker ? p->resource && (p->resource - 1) % WORKERS ==
									       resource_of_worker - 1
						      : !p->resource);
		if (p->lives && p->active && fits && (of == 0 || p->group == of) &&
			(!best || p->order > best->order))
			best = p;
	}
	return best;
}

static uint32_t model_sends(uint32_t worker)
{
	const struct known *all = newest(0, false, 0), *own = newest(worker + 1, false, all ? all->group : 0);

	if (!own && !all)
		own = newest(0, true, 0);
	return own ? own->i : all ? all->i : UINT32_MAX;
}

static void model_add(unsigned *seed, uint32_t i)
{
	uint32_t rekeys = (uint32_t)rand_r(seed) % FIXTURE_PAIRS;
	struct known p = { .lives = true, .i = i, .order = ++orders };

	p.resource = rand_r(seed) % 2 ? 0 : 1 + (uint32_t)rand_r(seed) % WORKERS;
	p.active = rand_r(seed) % 4 != 0;
	p.group = group = 1 + (uint64_t)rand_r(seed) % 2;
	if (rand_r(seed) % 2 && known[rekeys].lives)
		p.resource = known[rekeys].resource;
	else
		rekeys = UINT32_MAX;
	add_rekey(i, (uint16_t)p.resource, rekeys, p.active ? 0 : CHILD_OUTBOUND_LATER);
	known[i] = p;
}

static void as_the_model(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 40; seed++) {
		unsigned s = seed;
		begin(WORKERS);
		memset(known, 0, sizeof known);
		for (uint32_t step = 0; step < 400; step++) {
			uint32_t i = (uint32_t)rand_r(&s) % 12;
			if (!known[i].lives) {
				model_add(&s, i);
			} else if (rand_r(&s) % 2) {
				assert_int_equal(esp_remove(f.esp, SPI + i), RC_OK);
				known[i].lives = false;
			} else if (rand_r(&s) % 8) {
				assert_int_equal(esp_activate(f.esp, SPI + i), RC_OK);
				known[i].active = true;
				known[i].order = ++orders;
			} else {
				fixture_restart(&f);
				bound();
			}
			for (uint32_t w = 0; w < WORKERS; w++)
				assert_int_equal(sends(w), model_sends(w));
		}
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_by_its_own),
		cmocka_unit_test(rekeys),
		cmocka_unit_test(of_another_ike_sa),
		cmocka_unit_test(deaths_and_other_numbers),
		cmocka_unit_test(out_of_range),
		cmocka_unit_test(as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
