/*
 * Pairs in their tables beside a model: random installations and removals with few and many selectors, short and long windows,
 * restarts, a configuration in another order. Each pair is found by its SPI with what it was installed with, and nothing that an
 * earlier pair left at the same place counts for it.
 */
#include "esp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS = 3000, TUNNELS = 40 };

struct had {
	uint32_t spi, tunnel, window;
	uint16_t local_n, remote_n;
};

static struct had had[FIXTURE_PAIRS];
static struct snap_tunnel tunnels[TUNNELS];

static struct selector selector_of(uint32_t spi, uint32_t i)
{
	struct sa_install sa = fixture_sa(spi, spi + 1, 0);

	store_be32(sa.local_ts[0].addrs.first.b, 0x0a010000 + i * 16);
	return sa.local_ts[0];
}

static void check(const struct fixture *f)
{
	struct esp_view v;
	uint32_t n = 0;

	for (uint32_t k = 0; k < FIXTURE_PAIRS; k++) {
		if (had[k].spi == 0)
			continue;
		n++;
		uint32_t pair = esp_pair_find(f->esp, had[k].spi);
		assert_int_not_equal(pair, ESP_PAIR_NONE);
		esp_view(f->esp, pair, &v);
		assert_int_equal(v.spi_in, had[k].spi);
		assert_int_equal(v.replay_window, had[k].window);
		assert_int_equal(v.local_n, had[k].local_n);
		assert_int_equal(v.remote_n, had[k].remote_n);
		for (uint32_t i = 0; i < v.local_n; i++) {
			struct selector want = selector_of(v.spi_in, i);
			assert_memory_equal(&v.local_ts[i], &want, sizeof want);
		}
		for (uint32_t i = 0; i < v.remote_n; i++) {
			struct selector want = selector_of(v.spi_in, 100 + i);
			assert_memory_equal(&v.remote_ts[i], &want, sizeof want);
		}
		assert_string_equal(v.tunnel_name, tunnels[had[k].tunnel].name);
	}
	assert_int_equal(esp_pairs(f->esp), n);
}

/* Its first number is taken: no bit of a former window is set. */
static void window_is_new(const struct fixture *f, uint32_t spi)
{
	struct esp_pair *p = &f->esp->pair[esp_pair_find(f->esp, spi)];
	uint32_t n = p->state->replay_window;

	assert_true(replay_take(&p->state->replay, p->wide_block, n, 5000));
	for (uint32_t back = 1; back < n; back += 1 + (uint32_t)rand() % 60)
		assert_true(replay_take(&p->state->replay, p->wide_block, n, 5000 - back));
}

static void install(struct fixture *f, struct had *h)
{
	uint32_t spi, tunnel = (uint32_t)rand() % TUNNELS;
	struct sa_install sa;

	do
		spi = 0x1000 + (uint32_t)rand() % 300;
	while (esp_pair_find(f->esp, spi) != ESP_PAIR_NONE);
	sa = fixture_sa(spi, spi + 1, 0);
	*h = (struct had){ spi, tunnel, rand() % 2 ? 1024 : 4096,
		(uint16_t)(1 + rand() % (rand() % 2 ? 2 : SELECTORS_MAX)),
		(uint16_t)(1 + rand() % (rand() % 2 ? 2 : SELECTORS_MAX)) };
	sa.tunnel = tunnel;
	sa.local_n = h->local_n;
	sa.remote_n = h->remote_n;
	for (uint32_t i = 0; i < sa.local_n; i++)
		sa.local_ts[i] = selector_of(spi, i);
	for (uint32_t i = 0; i < sa.remote_n; i++)
		sa.remote_ts[i] = selector_of(spi, 100 + i);
	assert_int_equal(esp_install(f->esp, &sa, tunnels[tunnel].name, h->window, NULL, 1, NULL), RC_OK);
	window_is_new(f, spi);
}

/* Other numbers for the same tunnels, without some of them. */
static void bind(struct fixture *f)
{
	struct snap_tunnel mixed[TUNNELS];
	uint32_t n = TUNNELS - (uint32_t)rand() % 3;

	memcpy(mixed, tunnels, sizeof mixed);
	for (uint32_t i = TUNNELS; i-- > 1;) {
		uint32_t k = (uint32_t)rand() % (i + 1);
		struct snap_tunnel t = mixed[i];
		mixed[i] = mixed[k];
		mixed[k] = t;
	}
	esp_bind(f->esp, mixed, n);
	for (uint32_t k = 0; k < FIXTURE_PAIRS; k++) {
		uint32_t at = 0;
		while (had[k].spi && at < n && strcmp(mixed[at].name, tunnels[had[k].tunnel].name) != 0)
			at++;
		if (had[k].spi && at == n) /* its tunnel is gone */
			had[k].spi = 0;
		else if (had[k].spi)
			assert_int_equal(f->esp->pair[esp_pair_find(f->esp, had[k].spi)].tunnel, at);
	}
	check(f);
	esp_bind(f->esp, tunnels, TUNNELS);
}

static void tables_equal_a_model(void **state)
{
	struct fixture f;

	srand(7);
	for (uint32_t i = 0; i < TUNNELS; i++)
		snprintf(tunnels[i].name, sizeof tunnels[i].name, "branch-%u", i);
	fixture_begin(&f);
	esp_bind(f.esp, tunnels, TUNNELS);
	for (uint32_t step = 0; step < STEPS; step++) {
		struct had *h = &had[rand() % FIXTURE_PAIRS];
		if (rand() % 50 == 0) {
			fixture_restart(&f);
			esp_bind(f.esp, tunnels, TUNNELS);
		} else if (rand() % 50 == 0) {
			bind(&f);
		} else if (h->spi == 0) {
			install(&f, h);
		} else {
			assert_int_equal(esp_remove(f.esp, h->spi), RC_OK);
			assert_int_equal(esp_pair_find(f.esp, h->spi), ESP_PAIR_NONE);
			h->spi = 0;
		}
		if (step % 8 == 0)
			check(&f);
	}
	fixture_end(&f);
}

/* What a pair takes in the state and in this process while it has carried nothing: a limit, so that it does not grow unseen. */
static void an_idle_pair_is_small(void **state)
{
	assert_true(sizeof(struct esp_state_pair) + sizeof(struct esp_pair) <= 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_equal_a_model),
		cmocka_unit_test(an_idle_pair_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
