/*
 * Counts of tunnels over all their pairs: random installations, rekeys, packets good and bad, removals and restarts beside a model
 * that only adds up. No count ever goes backwards, and another tunnel's is never among them.
 */
#include "esp_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TUNNELS = 3, PAIRS_EACH = 4, STEPS = 4000 };

static const struct snap_tunnel tunnels[TUNNELS] = { { .name = "alpha" }, { .name = "alpha-2" },
	{ .name = "b" } };

struct model {
	struct fixture here, there; /* the two ends: what one seals the other opens */
	struct esp_counts want[TUNNELS];
	uint32_t spi[TUNNELS][PAIRS_EACH]; /* 0: none */
	uint32_t spi_next;
};

static void counts_are(const struct model *m)
{
	struct esp_counts got[TUNNELS];

	esp_counts(m->here.esp, tunnels, 0, TUNNELS, got);
	for (uint32_t t = 0; t < TUNNELS; t++)
		assert_memory_equal(&got[t], &m->want[t], sizeof got[t]);
	esp_counts(m->here.esp, tunnels, 1, 1, got);
	assert_memory_equal(&got[0], &m->want[1], sizeof got[0]);
}

static void install(struct model *m, uint32_t t, uint32_t k)
{
	uint32_t spi = m->spi_next += 2;
	struct sa_install sa = fixture_sa(spi, spi + 1, 0), far = fixture_sa(spi + 1, spi, 0);

	sa.tunnel = far.tunnel = t;
	for (uint32_t i = 0; i < PAIRS_EACH && rand() % 2; i++)
		sa.rekeys_spi_in = m->spi[t][i];
	far.local_ts[0] = sa.remote_ts[0];
	far.remote_ts[0] = sa.local_ts[0];
	assert_int_equal(esp_install(m->here.esp, &sa, tunnels[t].name, 0, NULL, 1, NULL), RC_OK);
	assert_int_equal(esp_install(m->there.esp, &far, tunnels[t].name, 0, NULL, 1, NULL), RC_OK);
	m->spi[t][k] = spi;
	m->want[t].pairs++;
	m->want[t].rekeys += sa.rekeys_spi_in != 0;
}

static enum drop_reason open_here(struct model *m, const uint8_t *sealed, uint32_t n)
{
	struct esp_opened o;
	uint8_t out[2048];

	esp_open(m->here.esp, sealed, n, 0, out, 5, &o);
	return o.drop;
}

static void packets(struct model *m, uint32_t t, uint32_t k)
{
	uint8_t ip[2048], sealed[4096];
	uint32_t spi = m->spi[t][k];
	struct train train;
	enum drop_reason drop;

	fixture_packet(&train, ip, (uint32_t)rand() % 200, false);
	fixture_seal(m->here.esp, esp_pair_find(m->here.esp, spi), &train, sealed, &drop);
	m->want[t].packets_out++;
	m->want[t].bytes_out += train.len;
	bool inside = rand() % 4;
	fixture_packet(&train, ip, 100, inside);
	uint32_t n = fixture_seal(m->there.esp, esp_pair_find(m->there.esp, spi + 1), &train, sealed, &drop);
	if (rand() % 4 == 0) {
		sealed[n - 1] ^= 1;
		assert_int_equal(open_here(m, sealed, n), DROP_ESP_AUTH);
		m->want[t].unauthentic++;
		return;
	}
	assert_int_equal(open_here(m, sealed, n), inside ? DROP_NONE : DROP_ESP_SELECTOR);
	m->want[t].refused += !inside;
	m->want[t].packets_in++;
	m->want[t].bytes_in += n - ESP_HEAD_SIZE - AEAD_ICV_SIZE;
	assert_int_equal(open_here(m, sealed, n), DROP_ESP_REPLAY);
	m->want[t].replayed++;
}

static void restart(struct model *m)
{
	fixture_restart(&m->here);
	esp_bind(m->here.esp, tunnels, TUNNELS);
}

static void as_the_model(void **state)
{
	static struct model m;

	(void)state;
	m.spi_next = 0x1000;
	fixture_begin(&m.here);
	fixture_begin(&m.there);
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t t = (uint32_t)rand() % TUNNELS, k = (uint32_t)rand() % PAIRS_EACH;
		if (rand() % 50 == 0) {
			restart(&m);
		} else if (!m.spi[t][k]) {
			install(&m, t, k);
		} else if (rand() % 8 == 0) {
			assert_int_equal(esp_remove(m.here.esp, m.spi[t][k]), RC_OK);
			assert_int_equal(esp_remove(m.there.esp, m.spi[t][k] + 1), RC_OK);
			m.spi[t][k] = 0;
			m.want[t].pairs--;
		} else {
			packets(&m, t, k);
		}
		counts_are(&m);
	}
	fixture_end(&m.here);
	fixture_end(&m.there);
}

/* A tunnel that leaves the configuration takes its counts with it, and leaves those of the others. */
static void tunnels_go(void **state)
{
	struct fixture f;
	struct esp_counts got[TUNNELS];

	(void)state;
	fixture_begin(&f);
	for (uint32_t t = 0; t < TUNNELS; t++) {
		struct sa_install sa = fixture_sa(0x1000 + t, 0x2000 + t, 0);
		sa.tunnel = t;
		sa.rekeys_spi_in = 0x1000;
		assert_int_equal(esp_install(f.esp, &sa, tunnels[t].name, 0, NULL, 1, NULL), RC_OK);
	}
	esp_bind(f.esp, tunnels + 1, TUNNELS - 1);
	esp_counts(f.esp, tunnels + 1, 0, TUNNELS - 1, got);
	assert_int_equal(got[0].rekeys, 1);
	assert_int_equal(got[1].rekeys, 1);
	esp_bind(f.esp, tunnels, TUNNELS);
	esp_counts(f.esp, tunnels, 0, TUNNELS, got);
	assert_int_equal(got[0].rekeys, 0);
	assert_int_equal(got[1].rekeys, 1);
	/* State that is not sound. */
	struct esp_state *s = f.state;
	memset(s->total[1].tunnel_name, 'x', sizeof s->total[1].tunnel_name);
	fixture_restart(&f);
	esp_bind(f.esp, tunnels, TUNNELS);
	esp_counts(f.esp, tunnels, 0, TUNNELS, got);
	assert_int_equal(got[0].rekeys + got[1].rekeys + got[2].rekeys, 1);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_the_model), cmocka_unit_test(tunnels_go) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
