/* What is kept of chains that were accepted: each peer's key once, as it was shown last, and no more than there is room for. */
#include "certify/accepted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct accepted t;
static struct certify_ask ask, again;

static void shown(uint16_t id_n, uint16_t bag_n, uint8_t octet)
{
	ask = (struct certify_ask){
		.generation = 7, .ike_sa = 0x4001, .peer = 3, .id_n = id_n, .bag_n = bag_n
	};
	memset(ask.id, octet, id_n);
	memset(ask.bag, octet + 1, bag_n);
}

static bool add(const char *peer, uint32_t key)
{
	uint8_t digest[CERTIFY_DIGEST_SIZE] = { 0 };

	store_be32(digest + 16, key);
	return accepted_add(&t, peer, digest, &ask);
}

static void is(uint32_t place, const char *peer, uint32_t key)
{
	assert_string_equal(t.at[place]->peer, peer);
	assert_int_equal(load_be32(t.at[place]->key + 16), key);
}

static int empty(void **state)
{
	accepted_done(&t);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.octets_n, 0);
	return 0;
}

static void as_shown(void **state)
{
	shown(13, 700, 5);
	assert_true(add("b", 1));
	shown(KEEPER_ID_MAX, CERTIFY_ASK_MAX, 9);
	assert_true(add("b", 2));
	accepted_ask(&again, t.at[1]);
	assert_int_equal(again.id_n, ask.id_n);
	assert_int_equal(again.bag_n, ask.bag_n);
	assert_memory_equal(again.id, ask.id, sizeof ask.id);
	assert_memory_equal(again.bag, ask.bag, sizeof ask.bag);
	assert_int_equal(again.generation | again.ike_sa | again.peer, 0);
	accepted_ask(&again, t.at[0]); /* nothing is left of the one before */
	shown(13, 700, 5);
	assert_memory_equal(again.id, ask.id, sizeof ask.id);
	assert_memory_equal(again.bag, ask.bag, sizeof ask.bag);
}

static void once(void **state)
{
	shown(13, 700, 5);
	assert_true(add("b", 1) && add("c", 1) && add("b", 2));
	size_t before = t.octets_n;
	shown(13, 800, 6);
	assert_true(add("b", 1));
	assert_int_equal(t.n, 3);
	assert_int_equal(t.octets_n, before + 100);
	is(0, "b", 2); /* the last one takes the place of what is removed */
	is(1, "c", 1);
	is(2, "b", 1);
	assert_int_equal(t.at[2]->bag_n, 800);
	accepted_remove(&t, 0);
	is(0, "b", 1);
	is(1, "c", 1);
	assert_int_equal(t.n, 2);
}

static void refused(void **state)
{
	shown(13, 700, 5);
	ask.id_n = KEEPER_ID_MAX + 1;
	assert_false(add("b", 1));
	shown(13, 700, 5);
	ask.bag_n = CERTIFY_ASK_MAX + 1;
	assert_false(add("b", 1));
	shown(13, 700, 5);
	assert_false(
		add("a-name-that-is-as-long-as-none-of-the-configuration-may-ever-become-0123456789", 1));
	assert_int_equal(t.n, 0);
}

/* As many as there may be, and as many octets: those that were accepted longest ago go. */
static void full(void **state)
{
	shown(5, 5, 5);
	for (uint32_t i = 0; i < 20; i++)
		assert_true(add("b", i));
	shown(13, CERTIFY_ASK_MAX, 5);
	uint32_t i = 20;
	for (; t.octets_n + sizeof(struct accepted_chain) + 13 + CERTIFY_ASK_MAX <= ACCEPTED_BYTES_MAX; i++)
		assert_true(add("b", i));
	assert_true(t.octets_n <= ACCEPTED_BYTES_MAX);
	uint32_t before = t.n;
	assert_true(add("b", i));
	assert_true(t.octets_n <= ACCEPTED_BYTES_MAX);
	assert_true(t.n <= before);
	for (uint32_t k = 0; k < t.n; k++)
		assert_true(t.at[k]->number > 20);
	accepted_done(&t);
	for (t.n = 0; t.n < ACCEPTED_MAX;
		t.n++) { /* put there: each that is added looks for itself among all */
		t.at[t.n] = calloc(1, sizeof *t.at[t.n]);
		assert_non_null(t.at[t.n]);
		t.at[t.n]->number = ++t.last;
		t.octets_n += sizeof *t.at[t.n];
	}
	uint64_t oldest = t.at[0]->number;
	shown(5, 5, 5);
	assert_true(add("b", 1));
	assert_int_equal(t.n, ACCEPTED_MAX);
	assert_true(t.evicted > 0); /* and it is counted */
	for (uint32_t k = 0; k < t.n; k++)
		assert_true(t.at[k]->number > oldest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(as_shown, empty),
		cmocka_unit_test_teardown(once, empty),
		cmocka_unit_test_teardown(refused, empty),
		cmocka_unit_test_teardown(full, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
