/*
 * A tunnel with a pair of SAs for each worker (RFC 9611): each flow is sealed by its home with its own pair, without a step to another
 * worker; where the own one is missing, and without any, by the owner of the first one.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define WORKERS	   4u
#define FLOWS	   200u
#define OWN_OUT(w) (GATE_SPI_OUT + 1u + (w))

static struct gate team[WORKERS];
static struct gate_queue queues[WORKERS];
static uint32_t on_the_way;

static void ends(struct selector *s, const char *first, const char *last)
{
	*s = (struct selector){ .port_last = UINT16_MAX };
	assert_int_equal(addr_parse(&s->addrs.first, first), RC_OK);
	assert_int_equal(addr_parse(&s->addrs.last, last), RC_OK);
}

static void install(uint32_t spi_in, uint32_t spi_out, uint16_t resource)
{
	struct sa_install sa = { .spi_in = spi_in,
		.spi_out = spi_out,
		.flags = CHILD_ENCAP,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 1,
		.remote_n = 1,
		.resource = resource,
		.group = 7 };
	struct err e = { 0 };

	assert_int_equal(addr_parse(&sa.local.addr, "198.51.100.2"), RC_OK);
	assert_int_equal(addr_parse(&sa.remote.addr, "198.51.100.3"), RC_OK);
	sa.local.port = sa.remote.port = 4500;
	ends(&sa.local_ts[0], "10.1.0.0", "10.1.0.255");
	ends(&sa.remote_ts[0], "10.2.0.0", "10.2.0.255");
	assert_int_equal(esp_install(team[0].esp, &sa, "branch", 1024, NULL, team[0].now, &e), RC_OK);
	for (uint32_t w = 0; w < WORKERS; w++)
		pipeline_changed(&team[w].p);
}

static void begin(void)
{
	gate_init_team(team, WORKERS, gate_text, "", 4096);
	gate_link_team(team, WORKERS, queues, &on_the_way);
	install(GATE_SPI_IN, GATE_SPI_OUT, 0);
}

static void end(void)
{
	for (uint32_t w = WORKERS; w-- > 0;)
		gate_done(&team[w]);
}

static uint64_t handed_over(void)
{
	uint64_t n = 0;

	for (uint32_t w = 0; w < WORKERS; w++)
		n += team[w].p.trains_handed_over;
	return n;
}

/*
 * A packet of a flow, at its home: the worker that sealed it, the SPI by which it left, and how many steps there were after the home.
 */
static struct sent {
	uint32_t home, sealed_by, spi, steps;
} send(uint32_t flow)
{
	static struct packet packet;
	struct packet_spec spec = { .src = "10.1.0.2",
		.dst = "10.2.0.9",
		.proto = IP_UDP,
		.src_port = (uint16_t)(1000 + flow),
		.dst_port = 9,
		.payload_n = 100 };
	struct train t = packet_make(&packet, &spec), parsed = t;
	struct sent sent = { .sealed_by = UINT32_MAX };

	for (uint32_t w = 0; w < WORKERS; w++)
		gate_clear(&team[w]);
	assert_int_equal(train_parse(&parsed), DROP_NONE);
	sent.home = fw_home(team[0].fw, &parsed);
	uint64_t before = handed_over();
	gate_from_link(&team[sent.home], GATE_LAN, t);
	gate_run_team(team, WORKERS);
	sent.steps = (uint32_t)(handed_over() - before);
	for (uint32_t w = 0; w < WORKERS; w++)
		for (uint32_t i = 0; i < team[w].out_n; i++) {
			assert_int_equal(team[w].out[i].kind, GATE_OUT_TUNNEL);
			assert_int_equal(sent.sealed_by, UINT32_MAX);
			sent.sealed_by = w;
			sent.spi = load_be32(team[w].out[i].bytes);
		}
	assert_int_not_equal(sent.sealed_by, UINT32_MAX);
	return sent;
}

static void each_seals_its_own(void **state)
{
	uint32_t by[WORKERS] = { 0 };

	(void)state;
	begin();
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct sent s = send(i);
		uint32_t owner = esp_owner(team[0].esp, esp_pair_find(team[0].esp, GATE_SPI_IN));
		assert_int_equal(s.spi, GATE_SPI_OUT);
		assert_int_equal(s.sealed_by, owner);
		assert_int_equal(s.steps, s.home != owner);
	}
	for (uint32_t w = 0; w < WORKERS; w++)
		install(GATE_SPI_IN + 1 + w, OWN_OUT(w), (uint16_t)(1 + w));
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct sent s = send(i);
		assert_int_equal(s.sealed_by, s.home);
		assert_int_equal(s.spi, OWN_OUT(s.home));
		assert_int_equal(s.steps, 0);
		by[s.home]++;
	}
	for (uint32_t w = 0; w < WORKERS; w++)
		assert_true(by[w] > 0);
	/* One is gone: its packets go to the first one's owner, which has one of its own. */
	assert_int_equal(esp_remove(team[0].esp, GATE_SPI_IN + 1 + 2), RC_OK);
	uint32_t first_owner = esp_owner(team[0].esp, esp_pair_find(team[0].esp, GATE_SPI_IN));
	assert_int_not_equal(first_owner, 2);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct sent s = send(i);
		assert_int_equal(s.spi, OWN_OUT(s.home == 2 ? first_owner : s.home));
		assert_int_equal(s.steps, s.home == 2);
	}
	/* And the first one: by any that is there. */
	assert_int_equal(esp_remove(team[0].esp, GATE_SPI_IN), RC_OK);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct sent s = send(i);
		assert_true(s.home == 2 ? s.spi != OWN_OUT(2) : s.spi == OWN_OUT(s.home));
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_seals_its_own) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
