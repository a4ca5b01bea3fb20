/*
 * Questions of ike: what of their octets is one, and how those that wait are bounded and take turns.
 */
#include "certify/ask.h"
#include "model/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct certify_ask ask;
static struct certify_der bag[CERTIFY_BAG_MAX];
static struct certify_question q;

static void identity(uint8_t type, const char *text, size_t n)
{
	memset(ask.id, 0, sizeof ask.id);
	ask.id[0] = type;
	memcpy(ask.id + 4, text, n);
	ask.id_n = (uint16_t)(4 + n);
}

static void certificate(size_t n)
{
	store_be32(ask.bag + ask.bag_n, (uint32_t)n);
	memset(ask.bag + ask.bag_n + 4, 0x30, n);
	ask.bag_n = (uint16_t)(ask.bag_n + 4 + n);
}

static void ask_begin(void)
{
	ask = (struct certify_ask){ .generation = 1 };
	identity(ID_FQDN, "b.example", 9);
}

static void read_whole(void **state)
{
	ask_begin();
	certificate(1000);
	certificate(1);
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_OK);
	assert_int_equal(q.bag_n, 2);
	assert_ptr_equal(q.bag, bag);
	assert_ptr_equal(bag[0].b, ask.bag + 4);
	assert_int_equal(bag[0].n, 1000);
	assert_ptr_equal(bag[1].b, ask.bag + 1008);
	assert_int_equal(bag[1].n, 1);
	assert_int_equal(q.id_kind, CERTIFY_ID_DNS);
	assert_int_equal(q.id.n, 9);
	assert_memory_equal(q.id.b, "b.example", 9);
	/* each prefix but the one that ends between two certificates */
	for (uint16_t n = 0; n < 1009; n++) {
		ask.bag_n = n;
		assert_int_equal(certify_ask_read(&q, bag, &ask), n == 1004 ? CERTIFY_OK : CERTIFY_MALFORMED);
	}
}

static void what_is_no_bag(void **state)
{
	ask_begin();
	store_be32(ask.bag, UINT32_MAX);
	ask.bag_n = CERTIFY_ASK_MAX;
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_MALFORMED);
	ask_begin();
	certificate(0); /* of no octets */
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_MALFORMED);
	ask_begin();
	for (int i = 0; i < CERTIFY_BAG_MAX; i++)
		certificate(10);
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_OK);
	assert_int_equal(q.bag_n, CERTIFY_BAG_MAX);
	certificate(10);
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_LIMIT);
	ask.bag_n = CERTIFY_ASK_MAX + 1;
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_LIMIT);
	ask_begin();
	certificate(CERTIFY_ASK_MAX - 4);
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_OK);
	assert_int_equal(bag[0].n, CERTIFY_ASK_MAX - 4);
}

static void identities(void **state)
{
	static const struct {
		uint8_t type;
		size_t n;
		uint32_t reason, kind;
	} rows[] = {
		{ ID_IPV4, 4, CERTIFY_OK, CERTIFY_ID_IP },
		{ ID_IPV4, 5, CERTIFY_IDENTITY, 0 },
		{ ID_IPV4, 16, CERTIFY_IDENTITY, 0 },
		{ ID_IPV6, 16, CERTIFY_OK, CERTIFY_ID_IP },
		{ ID_IPV6, 4, CERTIFY_IDENTITY, 0 },
		{ ID_FQDN, 1, CERTIFY_OK, CERTIFY_ID_DNS },
		{ ID_FQDN, 0, CERTIFY_IDENTITY, 0 },
		{ ID_FQDN, KEEPER_ID_MAX - 4, CERTIFY_OK, CERTIFY_ID_DNS },
		{ ID_RFC822, 9, CERTIFY_OK, CERTIFY_ID_RFC822 },
		{ ID_DN, 30, CERTIFY_OK, CERTIFY_ID_DN },
		{ ID_KEY_ID, 4, CERTIFY_IDENTITY, 0 }, /* RFC 4945 3.1.6: not in certificates */
		{ 10, 30, CERTIFY_IDENTITY, 0 },
		{ 0, 4, CERTIFY_IDENTITY, 0 },
	};
	char text[KEEPER_ID_MAX] = "x";

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		ask_begin();
		certificate(10);
		identity(rows[i].type, text, rows[i].n);
		assert_int_equal(certify_ask_read(&q, bag, &ask), rows[i].reason);
		if (rows[i].reason == CERTIFY_OK)
			assert_int_equal(q.id_kind, rows[i].kind);
	}
	ask.id_n = KEEPER_ID_MAX + 1;
	assert_int_equal(certify_ask_read(&q, bag, &ask), CERTIFY_IDENTITY);
}

/* ---- those that wait ---- */

static struct questions waiting;
static struct certify_ask refused, taken;

static bool add_from(uint32_t source, uint32_t peer, uint32_t sa, uint64_t now)
{
	struct certify_ask a = { .generation = 1, .peer = peer, .ike_sa = sa, .source = source };

	return questions_add(&waiting, &a, now, &refused);
}

static bool add(uint32_t peer, uint32_t sa, uint64_t now)
{
	return add_from(0, peer, sa, now);
}

static void bounded(void **state)
{
	waiting = (struct questions){ 0 };
	/* one peer has its share, and the next is refused */
	for (uint32_t i = 0; i < QUESTIONS_PER_PEER_MAX; i++)
		assert_true(add(1, 100 + i, 1));
	assert_false(add(1, 200, 1));
	assert_int_equal(refused.ike_sa, 200);
	/* of the same IKE SA: replaced */
	assert_true(add(1, 100, 1));
	assert_int_equal(waiting.n, QUESTIONS_PER_PEER_MAX);
	/* four such peers fill it; a fifth takes the newest of whoever has most */
	for (uint32_t p = 2; p <= QUESTIONS_MAX / QUESTIONS_PER_PEER_MAX; p++)
		for (uint32_t i = 0; i < QUESTIONS_PER_PEER_MAX; i++)
			assert_true(add(p, 1000 * p + i, 1));
	assert_int_equal(waiting.n, QUESTIONS_MAX);
	assert_false(add(9, 9000, 1));
	assert_int_equal(refused.peer, QUESTIONS_MAX / QUESTIONS_PER_PEER_MAX);
	assert_int_equal(waiting.n, QUESTIONS_MAX);
	/* until it would have as many itself */
	for (uint32_t i = 1; i < 100; i++)
		assert_false(add(9, 9000 + i, 1));
	assert_int_equal(refused.peer, 9);
	assert_int_equal(waiting.n, QUESTIONS_MAX);
	assert_int_equal(questions_expire(&waiting, 2), QUESTIONS_MAX);
	assert_int_equal(waiting.n, 0);
	assert_false(questions_take(&waiting, 1, &taken));
}

/* Instances of one template: a source that asks without end leaves room for each of the others. */
static void sources_of_a_peer(void **state)
{
	waiting = (struct questions){ 0 };
	for (uint32_t i = 0; i < 1000; i++)
		add_from(77, 1, 100 + i, 1);
	assert_int_equal(waiting.n, QUESTIONS_PER_PEER_MAX);
	for (uint32_t i = 1; i < QUESTIONS_PER_PEER_MAX; i++) {
		assert_false(add_from(i, 1, 2000 + i, 1));
		assert_int_equal(refused.source, 77);
	}
	assert_false(add_from(99, 1, 3000, 1)); /* all have one */
	assert_int_equal(refused.source, 99);
	assert_int_equal(waiting.n, QUESTIONS_PER_PEER_MAX);
	/* and the same when other peers fill what is left */
	waiting = (struct questions){ 0 };
	for (uint32_t p = 1; p <= QUESTIONS_MAX / QUESTIONS_PER_PEER_MAX; p++)
		for (uint32_t i = 0; i < QUESTIONS_PER_PEER_MAX; i++)
			assert_true(add_from(p, p, 1000 * p + i, 1));
	assert_false(add_from(5, 1, 9000, 1));
	assert_int_equal(refused.peer, 1);
	assert_int_equal(refused.source, 1);
	assert_int_equal(waiting.n, QUESTIONS_MAX);
}

/* A thousand of one peer never come before two of another. */
static void fair(void **state)
{
	waiting = (struct questions){ 0 };
	for (uint32_t i = 0; i < 1000; i++)
		add(5, 100 + i, 1);
	assert_true(add(3, 1, 1));
	assert_true(questions_take(&waiting, 1, &taken));
	assert_true(add(7, 2, 1));
	unsigned between = 0;
	bool three = taken.peer == 3, seven = false;
	while (!three || !seven) {
		assert_true(questions_take(&waiting, 1, &taken));
		three |= taken.peer == 3;
		seven |= taken.peer == 7;
		between += taken.peer == 5;
	}
	assert_true(between <= 2);
	/* the rest in the order in which it came */
	for (uint32_t last = 0; questions_take(&waiting, 1, &taken); last = taken.ike_sa)
		assert_true(taken.ike_sa > last);
}

static void configurations(void **state)
{
	struct certify_ask a = { .generation = 3, .ike_sa = 1 };

	waiting = (struct questions){ 0 };
	assert_true(questions_add(&waiting, &a, 1, &refused));
	assert_false(questions_take(&waiting, 2, &taken)); /* it waits for its configuration */
	assert_true(questions_take(&waiting, 3, &taken));
	assert_int_equal(taken.generation, 3);
}

/* Random questions against what must hold: nothing is lost without a word, no peer beyond its share. */
static void random_questions(void **state)
{
	unsigned in = 0, out = 0, gone = 0;

	waiting = (struct questions){ 0 };
	srand(20261130);
	for (uint32_t i = 1; i <= 4000; i++) {
		in++;
		gone += !add_from((uint32_t)rand() % 5, (uint32_t)rand() % 9, i, i);
		if (rand() % 3 == 0)
			out += questions_take(&waiting, 1, &taken);
		if (rand() % 200 == 0)
			gone += questions_expire(&waiting, i - 20);
		assert_true(waiting.n <= QUESTIONS_MAX);
		assert_int_equal(in, out + gone + waiting.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_whole),
		cmocka_unit_test(what_is_no_bag),
		cmocka_unit_test(identities),
		cmocka_unit_test(bounded),
		cmocka_unit_test(sources_of_a_peer),
		cmocka_unit_test(fair),
		cmocka_unit_test(configurations),
		cmocka_unit_test(random_questions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
