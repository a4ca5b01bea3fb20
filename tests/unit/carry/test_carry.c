/* The data plane's side of carried sessions: records, buckets, what has passed, a process that goes on with them. */
#include "carry/carry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct carry_tables tables;
static const uint8_t hash_key[16] = { 1, 2, 3 };

static int setup(void **state)
{
	tables = (struct carry_tables){ aligned_alloc(64, sizeof *tables.head),
		aligned_alloc(64, CARRY_BUCKETS * sizeof *tables.buckets),
		aligned_alloc(64, CARRY_RECORDS_MAX * sizeof *tables.records) };
	assert_true(tables.head && tables.buckets && tables.records);
	memset(tables.head, 0, sizeof *tables.head);
	memset(tables.buckets, 0, CARRY_BUCKETS * sizeof *tables.buckets);
	memset(tables.records, 0, CARRY_RECORDS_MAX * sizeof *tables.records);
	carry_tables_begin(&tables, hash_key, false);
	return 0;
}

static int teardown(void **state)
{
	free(tables.head);
	free(tables.buckets);
	free(tables.records);
	return 0;
}

static struct carry_entry entry(uint32_t n)
{
	struct carry_entry e = {
		.family = 4, .proto = 6, .tcp = CARRY_TCP_ESTABLISHED, .session = n, .id = n + 100
	};

	memcpy(e.key[0].src, &n, sizeof n);
	memcpy(e.key[1].dst, &n, sizeof n);
	e.key[0].interface = 1;
	e.key[1].interface = 2;
	e.way[0].interface = 2;
	e.way[1].interface = 1;
	for (uint32_t d = 0; d < 2; d++)
		e.side[d] = (struct carry_side){ 1000, 2000, 500, 900, 7 };
	return e;
}

/* How a program finds it; 0: not at all. Places that name the record more than once would be a fault. */
static uint32_t find(const struct carry_entry *e, uint32_t d)
{
	uint64_t hash = carry_hash(tables.head->hash_key, &e->key[d], e->family, e->proto);
	const struct carry_bucket *b = &tables.buckets[carry_bucket_of(hash)];
	uint32_t found = 0;

	for (uint32_t i = 0; i < CARRY_PLACES; i++) {
		const struct carry_place *p = &b->place[i];
		if (p->at == 0 || p->tag != carry_tag(hash))
			continue;
		const struct carry_record *r = &tables.records[(p->at - 1) / 2];
		if (r->generation & 1 || r->state != CARRY_PLACED ||
			!carry_key_equal(&r->key[(p->at - 1) & 1], &e->key[d]))
			continue;
		assert_int_equal((p->at - 1) & 1, d);
		assert_int_equal(found, 0);
		found = (p->at - 1) / 2 + 1;
	}
	return found;
}

static uint32_t places(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CARRY_BUCKETS; i++)
		for (uint32_t k = 0; k < CARRY_PLACES; k++)
			n += tables.buckets[i].place[k].at != 0;
	return n;
}

static void take_back(struct carry *c, uint32_t link, mono_ns now)
{
	struct carry_passed x;

	carry_stop(c, link);
	carry_take(c, link, &x);
	carry_give(c, link, now);
}

static void one_session(void **state)
{
	struct carry *c = carry_new(&tables, 0, 1);
	struct carry_entry e = entry(7);
	struct carry_passed x;

	uint32_t link = carry_place(c, 0, &e, 1), generation = tables.records[link - 1].generation;
	assert_int_equal(find(&e, 0), link);
	assert_int_equal(find(&e, 1), link);
	assert_true(carry_is_of(c, link, 7, 107) && carry_is_fresh(c, link));
	assert_false(carry_is_of(c, link, 8, 107) || carry_is_of(c, link, 7, 108) ||
		     carry_is_of(c, 0, 7, 107) || carry_is_of(c, link + 1, 7, 107) ||
		     carry_is_of(c, UINT32_MAX, 7, 107));
	/* What has passed is told once; numbers only advance. */
	struct carry_record *r = &tables.records[link - 1];
	r->count[0] = (struct carry_count){ 3, 300, 50 };
	r->count[1] = (struct carry_count){ 2, 80, 40 };
	carry_take(c, link, &x);
	assert_true(x.packets[0] == 3 && x.octets[0] == 300 && x.packets[1] == 2 && x.octets[1] == 80 &&
		    x.last == 50);
	carry_take(c, link, &x);
	assert_true(x.packets[0] == 0 && x.octets[0] == 0 && x.last == 50);
	struct carry_side side[2] = { { 1500, 1900, 600, 0xfffffff0u, 0 }, { 900, 2500, 400, 901, 0 } };
	carry_put(c, link, side, CARRY_TCP_ESTABLISHED);
	carry_take(c, link, &x);
	assert_true(x.side[0].end == 1500 && x.side[0].max_end == 2000 && x.side[0].max_window == 600 &&
		    x.side[0].ack == 900 && x.side[0].scale == 7);
	assert_true(x.side[1].end == 1000 && x.side[1].max_end == 2500 && x.side[1].max_window == 500 &&
		    x.side[1].ack == 901);
	/* Another epoch, and the same place again: counters go on. */
	carry_epoch_next(&tables);
	assert_false(carry_is_fresh(c, link));
	assert_int_equal(carry_place(c, link, &e, 2), link);
	assert_true(carry_is_fresh(c, link) && r->count[0].packets == 3 && r->generation == generation + 2);
	assert_int_equal(places(), 2);
	/* It comes by another interface now. */
	struct carry_entry before = e;
	e.key[0].interface = 9;
	assert_int_equal(carry_place(c, link, &e, 2), link);
	assert_int_equal(find(&e, 0), link);
	assert_int_equal(find(&before, 0), 0);
	assert_int_equal(places(), 2);
	take_back(c, link, 3);
	assert_int_equal(find(&e, 0) + find(&e, 1) + places() + carry_used(c), 0);
	assert_false(carry_is_of(c, link, 7, 107));
	carry_free(c);
}

/* A process that is taken over writes a beat for each second to come, and ends. */
static void beats_end(void **state)
{
	const mono_ns now = 1000 * NS_PER_S;

	for (uint32_t i = 0; i < CARRY_WORKERS; i++)
		tables.head->beat[i] = now - NS_PER_S + i * NS_PER_S;
	carry_beats_end(tables.head, now);
	for (mono_ns at = now; at < now + 30 * NS_PER_S; at += NS_PER_S / 10)
		for (uint32_t i = 0; i < CARRY_WORKERS; i++)
			assert_true(!carry_is_good(tables.head->beat[i], at) || at < now + CARRY_GOOD_NS);
	assert_true(carry_is_good(tables.head->beat[0], now) && carry_is_good(tables.head->beat[1], now));
}

/* Random placing and taking back: programs find exactly what is placed; a record rests before it is used again. */
static void many(void **state)
{
	enum { N = 4096, WORKERS = 2 };
	static uint32_t link[N];
	static mono_ns freed[CARRY_RECORDS_MAX];
	struct carry *c[WORKERS] = { carry_new(&tables, 0, WORKERS), carry_new(&tables, 1, WORKERS) };
	mono_ns now = 10 * NS_PER_S;

	srand(1);
	memset(link, 0, sizeof link);
	for (uint32_t step = 0; step < 100000; step++, now += NS_PER_MS) {
		uint32_t n = (uint32_t)rand() % N, w = n % WORKERS;
		struct carry_entry e = entry(n);
		if (link[n] && rand() % 2) {
			take_back(c[w], link[n], now);
			freed[link[n] - 1] = now;
			link[n] = 0;
			continue;
		}
		uint32_t was = link[n];
		link[n] = carry_place(c[w], was, &e, now);
		assert_true(link[n] && (!was || was == link[n]));
		assert_true(was || freed[link[n] - 1] == 0 || now - freed[link[n] - 1] >= CARRY_REST_NS);
		assert_int_equal((link[n] - 1) / (CARRY_RECORDS_MAX / WORKERS), w);
	}
	uint32_t placed = 0;
	for (uint32_t n = 0; n < N; n++) {
		struct carry_entry e = entry(n);
		placed += link[n] != 0;
		assert_int_equal(find(&e, 0), link[n]);
		assert_int_equal(find(&e, 1), link[n]);
	}
	assert_int_equal(places(), 2 * placed);
	assert_int_equal(carry_used(c[0]) + carry_used(c[1]), placed);
	carry_free(c[0]);
	carry_free(c[1]);
}

/* All records, then one more; what is full refuses and leaves no trace. */
static void full(void **state)
{
	struct carry *c = carry_new(&tables, 0, 16);
	uint32_t placed = 0, n = 0, no_place = 0;

	for (; placed < carry_records(c); n++) {
		struct carry_entry e = entry(n);
		uint32_t link = carry_place(c, 0, &e, NS_PER_S);
		placed += link != 0;
		no_place += link == 0;
		assert_true(no_place < 100);
	}
	struct carry_entry e = entry(n);
	assert_int_equal(carry_place(c, 0, &e, 10 * NS_PER_S), 0);
	assert_int_equal(places(), 2 * placed);
	assert_int_equal(carry_used(c), placed);
	carry_free(c);
}

/* All keys in one bucket. */
static void bucket_full(void **state)
{
	struct carry *c = carry_new(&tables, 0, 1);
	uint32_t links[CARRY_PLACES + 1], found = 0;

	for (uint32_t n = 0; found <= CARRY_PLACES; n++) {
		struct carry_entry e = entry(n);
		if (carry_bucket_of(carry_hash(tables.head->hash_key, &e.key[0], 4, 6)) != 5)
			continue;
		links[found++] = carry_place(c, 0, &e, NS_PER_S);
	}
	assert_true(links[CARRY_PLACES - 1] != 0);
	assert_int_equal(links[CARRY_PLACES], 0);
	assert_int_equal(places(), 2 * CARRY_PLACES);
	take_back(c, links[0], NS_PER_S);
	assert_int_equal(places(), 2 * (CARRY_PLACES - 1));
	assert_int_equal(carry_used(c), CARRY_PLACES - 1);
	carry_free(c);
}

/* A process that has died: the next one finds its records, and frees those of sessions that are gone. */
static void goes_on(void **state)
{
	struct carry *c = carry_new(&tables, 0, 1);
	struct carry_entry a = entry(1), b = entry(2), d = entry(3);
	uint32_t la = carry_place(c, 0, &a, NS_PER_S), lb = carry_place(c, 0, &b, NS_PER_S), cursor = 0,
		 budget = 1u << 20, session, id;
	struct carry_passed x;

	carry_beat(c, NS_PER_S);
	tables.records[la - 1].count[0].packets = 5;
	carry_take(c, la, &x);
	tables.records[la - 1].count[0].packets = 9;
	carry_free(c);

	carry_tables_begin(&tables, hash_key, true);
	assert_int_equal(tables.head->beat[0], 0);
	c = carry_new(&tables, 0, 1);
	assert_true(carry_is_of(c, la, 1, 101) && !carry_is_fresh(c, la));
	uint32_t ld = carry_place(c, 0, &d, 2 * NS_PER_S);
	assert_true(ld != la && ld != lb && ld != 0);
	carry_take(c, la, &x);
	assert_int_equal(x.packets[0], 4);
	assert_int_equal(carry_place(c, la, &a, 2 * NS_PER_S), la);
	assert_true(carry_is_fresh(c, la));
	assert_int_equal(carry_used(c), 2);
	uint32_t n = 0;
	for (uint32_t link; (link = carry_next(c, &cursor, &budget, &session, &id)) != 0; n++)
		if (session == 2) {
			carry_stop(c, link);
			carry_give(c, link, 2 * NS_PER_S);
		}
	assert_int_equal(n, 3);
	assert_int_equal(carry_used(c), 2);
	assert_int_equal(find(&b, 0) + find(&b, 1), 0);
	assert_int_equal(places(), 4);
	carry_free(c);

	/* With another number of workers its sessions have ended. */
	carry_tables_begin(&tables, hash_key, false);
	assert_int_equal(places(), 0);
	c = carry_new(&tables, 0, 2);
	assert_false(carry_is_of(c, la, 1, 101));
	assert_true(carry_place(c, 0, &a, 2 * NS_PER_S) != 0);
	carry_free(c);
}

/* A program's note, and more of them than there is room for. */
static void notes(void **state)
{
	struct carry *c = carry_new(&tables, 1, 2);
	struct carry_notes *n = &tables.head->notes[1];
	struct carry_entry e = entry(9);
	uint32_t session, id;
	bool lost;

	e.tcp = CARRY_TCP_SYN_SENT;
	uint32_t link = carry_place(c, 0, &e, 5 * NS_PER_S);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S), 1);
	for (uint32_t i = 0; i < 3 * CARRY_NOTES; i++) {
		assert_int_equal(carry_noted(c, &session, &id, &lost), 0);
		assert_false(lost);
		n->written++;
		assert_int_equal(carry_noted(c, &session, &id, &lost), 0); /* it is not there yet */
		n->at[(n->written - 1) % CARRY_NOTES] = 1 + 2 * (link - 1) + i % 2;
		assert_int_equal(carry_noted(c, &session, &id, &lost), link);
		assert_true(session == 9 && id == 109);
	}
	/* Of another worker, and of nothing. */
	for (uint32_t i = 0; i < 2; i++)
		n->at[n->written++ % CARRY_NOTES] = i ? 1 + 2 * link : 1;
	assert_int_equal(carry_noted(c, &session, &id, &lost), 0);
	n->written += CARRY_NOTES + 1;
	assert_int_equal(carry_noted(c, &session, &id, &lost), 0);
	assert_true(lost);
	carry_noted(c, &session, &id, &lost);
	assert_false(lost);
	/* Those that lost their places hold up none behind them. */
	uint32_t noted = 0;
	n->written += CARRY_NOTES_WRITING;
	for (uint32_t i = 0; i < 2 * CARRY_NOTES_WRITING; i++)
		n->at[n->written++ % CARRY_NOTES] = 1 + 2 * (link - 1);
	while (carry_noted(c, &session, &id, &lost) == link)
		noted++;
	assert_int_equal(noted, 2 * CARRY_NOTES_WRITING);
	/* The state is followed when somebody asks. */
	struct carry_passed x;
	struct carry_record *r = &tables.records[link - 1];
	r->tcp = CARRY_TCP_ANSWERING;
	carry_take(c, link, &x);
	assert_true(x.tcp == CARRY_TCP_SYN_SENT && carry_opening(c, 5 * NS_PER_S) == 1);
	r->tcp = CARRY_TCP_SYN_RECEIVED;
	carry_put(c, link, e.side, CARRY_TCP_SYN_RECEIVED);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S), 1);
	carry_put(c, link, e.side, CARRY_TCP_ESTABLISHED);
	assert_int_equal(r->tcp, CARRY_TCP_ESTABLISHED);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S), 0);
	r->tcp = CARRY_TCP_CLOSED;
	carry_put(c, link, e.side, CARRY_TCP_ESTABLISHED);
	carry_take(c, link, &x);
	assert_int_equal(x.tcp, CARRY_TCP_CLOSED);
	carry_stop(c, link);
	carry_give(c, link, 5 * NS_PER_S);
	e.tcp = CARRY_TCP_SYN_RECEIVED;
	link = carry_place(c, 0, &e, 5 * NS_PER_S);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S), 1);
	/* Another process finds it, ends it, and it counts until it has rested. */
	carry_free(c);
	c = carry_new(&tables, 1, 2);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S), 0);
	carry_stop(c, link);
	carry_give(c, link, 5 * NS_PER_S);
	assert_int_equal(carry_used(c), 0);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S + CARRY_REST_NS - NS_PER_MS), 1);
	assert_int_equal(carry_opening(c, 5 * NS_PER_S + CARRY_REST_NS), 0);
	carry_free(c);
}

/* A record that had one which was not established, of a process that could not say that it is free. */
static void opening_of_the_dead(void **state)
{
	struct carry *c = carry_new(&tables, 0, 2);
	struct carry_entry e = entry(9);

	e.tcp = CARRY_TCP_SYN_SENT;
	uint32_t link = carry_place(c, 0, &e, NS_PER_S);
	carry_free(c);
	carry_tables_begin(&tables, hash_key, false);
	c = carry_new(&tables, 0, 1);
	e.tcp = CARRY_TCP_ESTABLISHED;
	assert_int_equal(carry_place(c, 0, &e, 2 * NS_PER_S), link);
	assert_int_equal(carry_opening(c, 2 * NS_PER_S), 0);
	carry_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_session, setup, teardown),
		cmocka_unit_test_setup_teardown(beats_end, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
		cmocka_unit_test_setup_teardown(full, setup, teardown),
		cmocka_unit_test_setup_teardown(bucket_full, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(notes, setup, teardown),
		cmocka_unit_test_setup_teardown(opening_of_the_dead, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
