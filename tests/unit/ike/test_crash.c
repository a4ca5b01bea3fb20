/*
 * Quick crash detection (RFC 6290) with two real cores and keepers in the simulator's world: after a restart of either side the other one
 * is back within a round trip of its next request; tokens are given for no IKE SA that stands, and no forged one ends any.
 */
#include "world.h"

#include "wire/ike_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DELAY_NS (4 * NS_PER_MS)

static struct world w;

/* The last message that a node sent with a token and without protection, and how many there were. */
static struct {
	int from;
	size_t n;
	uint8_t bytes[256];
	uint32_t count;
} told;

static void look(struct world *world, int from, const uint8_t *bytes, size_t n)
{
	static struct ike_payloads p;
	struct ike_header h;

	(void)world;
	if (ike_header_read(&h, bytes, n, NULL) != RC_OK || h.next_payload != PL_NOTIFY ||
		h.exchange == EX_IKE_SA_INIT ||
		ike_payloads_read(&p, h.next_payload, bytes + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, false,
			NULL) != RC_OK ||
		!ike_notify_find(&p, NTF_QCD_TOKEN))
		return;
	assert_true(ike_notify_find(&p, NTF_INVALID_IKE_SPI));
	assert_true(h.flags & IKE_FLAG_RESPONSE);
	assert_true(n <= sizeof told.bytes);
	told.from = from;
	told.n = n;
	memcpy(told.bytes, bytes, n);
	told.count++;
}

static void up(bool tokens)
{
	struct sim_side sides[2];
	uint32_t ike_sas;

	memset(&w, 0, sizeof w);
	memset(&told, 0, sizeof told);
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[0].start = sides[1].start = PEER_START_NEVER;
	sides[0].no_tokens = sides[1].no_tokens = !tokens;
	world_init(&w, 1, sides);
	w.net.delay_min = w.net.delay_max = DELAY_NS / NS_PER_MS;
	w.on_datagram = look;
	world_order(&w, 0, IKE_ORDER_INITIATE, "t0");
	w.packets = true;
	world_run(&w, w.now + 5 * NS_PER_S);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
	assert_int_equal(ike_sas, 1);
}

static uint32_t sas_up(int node, struct ike_sa_view *ret)
{
	uint32_t cursor = 0, n = 0;
	struct ike_sa_view v;

	while (ike_view_sa(w.nodes[node].ike, &cursor, &v)) {
		n += v.up;
		if (v.up)
			*ret = v;
	}
	return n;
}

/* The next request of this node is answered with a token, and after half a round trip the node has acted by it. */
static void told_and_gone(int node)
{
	struct ike_sa_view v;
	mono_ns latest = w.now + NS_PER_S;

	world_order(&w, node, IKE_ORDER_REKEY_CHILD, "t0");
	while (told.count == 0 && w.now < latest)
		world_run(&w, w.now + NS_PER_MS);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.from, !node);
	assert_int_equal(sas_up(node, &v), 1);
	world_run(&w, w.now + DELAY_NS);
	assert_int_equal(sas_up(node, &v), 0);
}

enum history { FRESH, REKEYED_BY_0, REKEYED_BY_1, REKEYED_TWICE };

static void restart(int node, enum history history)
{
	struct ike_sa_view v;
	int other = !node;
	uint32_t ike_sas;

	up(true);
	if (history == REKEYED_BY_0 || history == REKEYED_TWICE)
		world_order(&w, 0, IKE_ORDER_REKEY_IKE, "t0");
	world_run(&w, w.now + 2 * NS_PER_S);
	if (history == REKEYED_BY_1 || history == REKEYED_TWICE)
		world_order(&w, 1, IKE_ORDER_REKEY_IKE, "t0");
	world_run(&w, w.now + 2 * NS_PER_S);
	world_restart_ike(&w, node);
	world_run(&w, w.now + NS_PER_S);
	assert_int_equal(sas_up(node, &v), 0);
	assert_int_equal(sas_up(other, &v), 1); /* it does not know yet */
	assert_int_equal(told.count, 0);
	told_and_gone(other);
	world_order(&w, other, IKE_ORDER_INITIATE, "t0");
	world_run(&w, w.now + 10 * NS_PER_S);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
	assert_int_equal(ike_sas, 1);
	world_done(&w);
}

static void either_side_recovers(void **state)
{
	(void)state;
	for (int node = 0; node < 2; node++)
		for (enum history h = FRESH; h <= REKEYED_TWICE; h++)
			restart(node, h);
}

/* And the keeper's end, of which ike lives on. */
static void after_the_keeper(void **state)
{
	(void)state;
	up(true);
	world_restart_keeper(&w, 1, 0);
	told_and_gone(0);
	world_done(&w);
}

/* What it is good for: without tokens the other side asks and waits. */
static void without_tokens(void **state)
{
	struct ike_sa_view v;

	(void)state;
	up(false);
	w.packets = false; /* with them it takes four minutes */
	world_restart_ike(&w, 1);
	world_order(&w, 0, IKE_ORDER_REKEY_CHILD, "t0");
	world_run(&w, w.now + 30 * NS_PER_S);
	assert_int_equal(told.count, 0);
	assert_int_equal(sas_up(0, &v), 1);
	world_run(&w, w.now + 30 * NS_PER_S);
	assert_int_equal(sas_up(0, &v), 0);
	world_done(&w);
}

/* ---- who gets one ---- */

/* A message with an SK payload that nobody can open. */
static void ask(int to, const struct ip_addr *from, const uint8_t spi_i[8], const uint8_t spi_r[8],
	uint8_t next, uint8_t exchange, uint8_t flags, size_t n)
{
	uint8_t bytes[128] = { 0 };
	struct endpoint at = { .addr = *from, .port = 500 };

	assert_true(n <= sizeof bytes);
	memcpy(bytes, spi_i, 8);
	memcpy(bytes + 8, spi_r, 8);
	bytes[16] = next;
	bytes[17] = 0x20;
	bytes[18] = exchange;
	bytes[19] = flags;
	store_be32(bytes + 20, 7);
	store_be32(bytes + 24, (uint32_t)n);
	store_be16(bytes + 30, (uint16_t)(n - IKE_HEADER_SIZE));
	world_inject(&w, to, &at, 500, bytes, n);
}

#define PEER (&w.nodes[0].side.address)

static const uint8_t a[] = "nobody's", b[] = "no one's", zero[8];

static void ask_for_none(void)
{
	ask(1, PEER, a, b, PL_SK, EX_INFORMATIONAL, IKE_FLAG_INITIATOR, 60);
}

static void not_for_what_stands(void **state)
{
	static const uint8_t exchanges[] = { EX_INFORMATIONAL, EX_CREATE_CHILD_SA };
	struct ike_sa_view v = { 0 };

	(void)state;
	up(true);
	assert_int_equal(sas_up(1, &v), 1);
	const uint8_t *pairs[][2] = { { v.spi_i, v.spi_r }, { v.spi_r, v.spi_i }, { a, v.spi_r },
		{ v.spi_r, a }, { zero, v.spi_r }, { v.spi_r, v.spi_r } };
	for (size_t i = 0; i < COUNT_OF(pairs); i++)
		for (size_t e = 0; e < COUNT_OF(exchanges); e++)
			for (unsigned flags = 0; flags < 256; flags++)
				for (int next = 0; next < 2; next++)
					ask(1, PEER, pairs[i][0], pairs[i][1], next ? PL_SKF : PL_SK,
						exchanges[e], (uint8_t)flags, 60);
	assert_int_equal(told.count, 0);
	/* Of an IKE SA that is being made: as initiator only our SPI is there, as responder both are. */
	world_order(&w, 0, IKE_ORDER_TERMINATE, "branch");
	world_run(&w, w.now + NS_PER_S);
	world_order(&w, 0, IKE_ORDER_INITIATE, "t0");
	do {
		uint32_t cursor = 0;
		world_run(&w, w.now + NS_PER_MS);
		assert_true(ike_view_sa(w.nodes[0].ike, &cursor, &v));
	} while (memcmp(v.spi_i, zero, 8) == 0);
	assert_memory_not_equal(v.spi_i, zero, 8);
	assert_memory_equal(v.spi_r, zero, 8);
	ask(0, &w.nodes[1].side.address, v.spi_i, b, PL_SK, EX_INFORMATIONAL, 0, 60);
	assert_int_equal(told.count, 0);
	/* And after its end, which it is for. */
	ask_for_none();
	assert_int_equal(told.count, 1);
	world_done(&w);
}

static void to_no_stranger(void **state)
{
	struct ip_addr stranger = sim_address("192.0.2.77");

	(void)state;
	up(true);
	ask(1, &stranger, a, b, PL_SK, EX_INFORMATIONAL, IKE_FLAG_INITIATOR, 60);
	ask(1, PEER, a, b, PL_SK, EX_INFORMATIONAL, IKE_FLAG_INITIATOR, 56); /* shorter than any */
	ask(1, PEER, a, b, PL_SK, EX_IKE_AUTH, IKE_FLAG_INITIATOR, 60);
	ask(1, PEER, a, b, PL_SK, EX_INFORMATIONAL, IKE_FLAG_RESPONSE, 60);
	ask(1, PEER, a, b, PL_NOTIFY, EX_INFORMATIONAL, IKE_FLAG_INITIATOR, 60);
	assert_int_equal(told.count, 0);
	ask_for_none();
	assert_int_equal(told.count, 1);
	assert_int_equal(told.n, 60);
	assert_memory_equal(told.bytes, a, 8);
	assert_memory_equal(told.bytes + 8, b, 8);
	world_done(&w);
}

static void so_many_in_a_second(void **state)
{
	(void)state;
	up(true);
	for (int i = 0; i < 5000; i++)
		ask_for_none();
	assert_int_equal(told.count, 500); /* docs/threat-model.md says so */
	world_run(&w, w.now + NS_PER_S);
	for (int i = 0; i < 5000; i++)
		ask_for_none();
	assert_int_equal(told.count, 500 + 500);
	world_done(&w);
}

/* ---- forged ones ---- */

static void tell(const struct endpoint *from, const uint8_t *bytes, size_t n)
{
	world_inject(&w, 0, from, 500, bytes, n);
}

static void only_the_right_one_ends_it(void **state)
{
	struct ike_sa_view v = { 0 };
	struct endpoint peer, other = { .addr = sim_address("192.0.2.78"), .port = 500 };
	uint8_t bytes[256];

	(void)state;
	up(true);
	peer = (struct endpoint){ .addr = w.nodes[1].side.address, .port = 500 };
	assert_int_equal(sas_up(0, &v), 1);
	/* The token as the other side would make it after a restart: taken from another world, which is the same one. */
	world_restart_ike(&w, 1);
	w.net.cut = true;
	world_order(&w, 0, IKE_ORDER_REKEY_CHILD, "t0");
	ask(1, PEER, v.spi_i, v.spi_r, PL_SK, EX_INFORMATIONAL, IKE_FLAG_INITIATOR, 60);
	assert_int_equal(told.count, 1);
	for (size_t bit = 8 * (told.n - IKE_TOKEN_SIZE); bit < 8 * told.n; bit++) {
		memcpy(bytes, told.bytes, told.n);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		tell(&peer, bytes, told.n);
	}
	for (size_t n = IKE_HEADER_SIZE; n < told.n; n++) { /* shorter, with lengths that fit or do not */
		memcpy(bytes, told.bytes, told.n);
		store_be32(bytes + 24, (uint32_t)n);
		tell(&peer, bytes, n);
		if (n >= 28 + 8 + 8) {
			store_be16(bytes + 28 + 8 + 2, (uint16_t)(n - 28 - 8));
			tell(&peer, bytes, n);
		}
	}
	memcpy(bytes, told.bytes, told.n);
	bytes[19] ^= IKE_FLAG_RESPONSE; /* a request */
	tell(&peer, bytes, told.n);
	tell(&other, told.bytes, told.n);
	memcpy(bytes, told.bytes, told.n);
	bytes[35] ^= 1; /* not INVALID_IKE_SPI */
	tell(&peer, bytes, told.n);
	assert_int_equal(sas_up(0, &v), 1);
	tell(&peer, told.bytes, told.n);
	assert_int_equal(sas_up(0, &v), 0);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_side_recovers),
		cmocka_unit_test(after_the_keeper),
		cmocka_unit_test(without_tokens),
		cmocka_unit_test(not_for_what_stands),
		cmocka_unit_test(to_no_stranger),
		cmocka_unit_test(so_many_in_a_second),
		cmocka_unit_test(only_the_right_one_ends_it),
	};
	return cmocka_run_group_tests_name("ike/crash", tests, NULL, NULL);
}
