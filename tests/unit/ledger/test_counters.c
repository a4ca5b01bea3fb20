/* The counters that show when an entry is missing: runs, stated gaps, and entries that come a second time. */
#include "base/bytes.h"
#include "ledger/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void numbers_follow_one_another(void **state)
{
	struct ledger_counters c = { 0 };

	assert_int_equal(ledger_counters_due(&c, "ike", 0), 1);
	assert_false(ledger_counters_take(&c, "ike", 0, 0));
	assert_false(ledger_counters_take(&c, "ike", 0, 2));
	assert_true(ledger_counters_take(&c, "ike", 0, 1));
	assert_true(ledger_counters_take(&c, "ike", 0, 2));
	assert_false(ledger_counters_take(&c, "ike", 0, 2));
	assert_false(ledger_counters_take(&c, "ike", 0, 1));
	assert_int_equal(ledger_counters_due(&c, "ike", 0), 3);
	/* Each source by itself. */
	assert_int_equal(ledger_counters_due(&c, "keeper", 0), 1);
	assert_true(ledger_counters_take(&c, "keeper", 0, 1));
	assert_int_equal(ledger_counters_due(&c, "ike", 0), 3);
}

static void a_run_begins_at_one_and_ends_the_one_before(void **state)
{
	struct ledger_counters c = { 0 };

	assert_true(ledger_counters_take(&c, "ike", 0, 1));
	assert_int_equal(ledger_counters_due(&c, "ike", 2), 1);
	assert_false(ledger_counters_take(&c, "ike", 2, 2));
	assert_true(ledger_counters_take(&c, "ike", 2, 1)); /* run 1 said nothing: it may be */
	assert_int_equal(ledger_counters_due(&c, "ike", 0), 0);
	assert_int_equal(ledger_counters_due(&c, "ike", 1), 0);
	assert_false(ledger_counters_take(&c, "ike", 0, 2));
	assert_false(ledger_counters_gap(&c, "ike", 1, 1, 5));
	assert_true(ledger_counters_take(&c, "ike", 2, 2));
}

static void gaps_are_stated_where_they_are(void **state)
{
	struct ledger_counters c = { 0 };

	assert_true(ledger_counters_gap(&c, "ike", 0, 1, 3));
	assert_int_equal(ledger_counters_due(&c, "ike", 0), 4);
	assert_false(ledger_counters_gap(&c, "ike", 0, 5, 6)); /* 4 is neither there nor missing */
	assert_false(ledger_counters_gap(&c, "ike", 0, 3, 6)); /* 3 was stated before */
	assert_false(ledger_counters_gap(&c, "ike", 0, 4, 3));
	assert_false(ledger_counters_gap(&c, "ike", 0, 0, 0));
	assert_int_equal(ledger_counters_due(&c, "ike", 0), 4);
	assert_true(ledger_counters_take(&c, "ike", 0, 4));
	assert_true(ledger_counters_gap(&c, "ike", 1, 1, 1));
	assert_int_equal(ledger_counters_due(&c, "ike", 1), 2);
	/* At the end of the numbers there is none that follows, and none is made up. */
	assert_true(ledger_counters_gap(&c, "ike", 1, 2, UINT64_MAX));
	assert_int_equal(ledger_counters_due(&c, "ike", 1), 0);
	assert_false(ledger_counters_take(&c, "ike", 1, 0));
	assert_false(ledger_counters_take(&c, "ike", 1, 1));
}

static void too_many_sources(void **state)
{
	struct ledger_counters c = { 0 };
	char name[LEDGER_SOURCE_MAX];

	for (int i = 0; i < LEDGER_SOURCES_MAX; i++) {
		snprintf(name, sizeof name, "source-%d", i);
		assert_true(ledger_counters_take(&c, name, 0, 1));
	}
	assert_int_equal(ledger_counters_due(&c, "one more", 0), 0);
	assert_false(ledger_counters_take(&c, "one more", 0, 1));
	assert_true(ledger_counters_take(&c, "source-3", 0, 2));
}

/* An entry of the log, a counter_gap when `whose` is given. */
static bool follow(struct ledger_counters *c, const char *source, uint64_t n, const char *whose, uint64_t run,
	uint64_t first, uint64_t last)
{
	struct ledger_entry entry = { .type = whose ? LEDGER_COUNTER_GAP : LEDGER_LEDGER_OUTAGE, .n = n };
	struct ledger_body b;
	uint64_t due;

	snprintf(entry.source, sizeof entry.source, "%s", source);
	ledger_body_begin(&b, entry.type);
	if (whose) {
		ledger_body_u64(&b, "first", first);
		ledger_body_u64(&b, "last", last);
		ledger_body_str(&b, "reason", "test");
		ledger_body_u64(&b, "run", run);
		ledger_body_str(&b, "source", whose);
	} else {
		ledger_body_u64(&b, "late", 0);
		ledger_body_u64(&b, "lost", 0);
		ledger_body_u64(&b, "refused", 0);
		ledger_body_u64(&b, "unknown", 0);
	}
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	assert_true(entry.body_n > 0);
	return ledger_counters_follow(c, &entry, &due);
}

static void entries_of_the_log_follow(void **state)
{
	struct ledger_counters c = { 0 };

	assert_true(follow(&c, "ike", 1, NULL, 0, 0, 0));
	assert_false(follow(&c, "ike", 3, NULL, 0, 0, 0));
	assert_true(follow(&c, "ledger", 1, "ike", 0, 2, 2));
	assert_true(follow(&c, "ike", 3, NULL, 0, 0, 0));
	assert_false(follow(&c, "ledger", 2, "ike", 0, 3, 4)); /* 3 stands */
	assert_true(follow(&c, "ledger", 3, "ike", 1, 1, 2));  /* its own number was used up by that */
	assert_false(follow(&c, "ledger", 4, "ike", 1ull << 32, 1, 2));
	assert_false(follow(&c, "ledger", 5, "a name that is longer than any source has", 0, 1, 2));
}

static bool state_counters(
	struct ledger_counters *c, uint64_t n, const char *last, struct ledger_counters *ret)
{
	struct ledger_entry entry = { .type = LEDGER_COUNTERS, .run = 0, .n = n, .source = "ledger" };
	struct ledger_body b;
	uint64_t due;

	ledger_body_begin(&b, entry.type);
	ledger_body_str(&b, "last", last);
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	assert_true(entry.body_n > 0);
	bool stated = ledger_counters_stated(&entry, ret), follows = ledger_counters_follow(c, &entry, &due);
	assert_true(stated || !follows);
	return follows;
}

/* What it says must be what stands: nothing more, nothing less, and in one form. */
static void a_statement_is_how_they_stand(void **state)
{
	static const char *const wrong[] = {
		"",
		"ledger 0 1",
		"ledger 0 1, ike 0 2",
		"ledger 0 1, ike 1 3",
		"ledger 0 1, keeper 0 3",
		"ledger 0 1, ike 0 3, keeper 0 1",
		"ledger 0 1, ledger 0 1, ike 0 3",
		"ledger 0 1,ike 0 3",
		"ledger 0 1, ike 0 03",
		"ledger 0 1, ike 0 3,",
		"ledger 0 1, ike 0 3, ",
		"ledger 0 1, ike 0 3 4",
		"ledger 0 1, ike 0 -3",
		"ledger 0 1, ike 4294967296 3",
		"ledger 0 1, ike 0 18446744073709551619",
		" ledger 0 1, ike 0 3",
		"ledger 0 1, ike 0",
		"ledger 0 1, ike",
		"ledger 0 1, ike 0 3x",
		"ledger 0 1, a-source-with-a-name-too-long 0 3",
	};
	struct ledger_counters c = { 0 }, stated;
	char text[LEDGER_COUNTERS_TEXT_MAX];

	assert_true(follow(&c, "ledger", 1, "ike", 0, 1, 2));
	assert_true(follow(&c, "ike", 3, NULL, 0, 0, 0));
	assert_int_equal(ledger_counters_due(&c, "entropy", 0), 1); /* asked for; nothing of it stands */
	ledger_counters_text(&c, text);
	assert_string_equal(text, "ledger 0 1, ike 0 3");
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct ledger_counters copy = c;
		if (state_counters(&copy, 2, wrong[i], &stated))
			fail_msg("'%s' was taken", wrong[i]);
		assert_int_equal(ledger_counters_due(&copy, "ledger", 0), 2); /* and changes nothing */
	}
	assert_false(state_counters(&c, 3, text, &stated)); /* it has a number of its own as well */
	struct ledger_counters copy = c;
	assert_true(state_counters(&copy, 2, "ike 0 3, ledger 0 1", &stated)); /* the order is the writer's */
	assert_true(state_counters(&c, 2, text, &stated));
	assert_int_equal(ledger_counters_due(&c, "ledger", 0), 3);
	/* Whoever begins there goes on as whoever read all. */
	assert_int_equal(ledger_counters_due(&stated, "ledger", 0), 2);
	assert_int_equal(ledger_counters_due(&stated, "ike", 0), 4);
	assert_int_equal(ledger_counters_due(&stated, "ike", 1), 1);
	assert_int_equal(ledger_counters_due(&stated, "keeper", 0), 1);
}

static void what_came_before_is_known_again(void **state)
{
	static struct ledger_recent r;
	uint8_t said[SHA256_SIZE], other[SHA256_SIZE];
	struct merkle_hash leaf = merkle_leaf("x", 1), there;
	uint64_t index;

	ledger_said(LEDGER_LEDGER_OUTAGE, "{}", 2, said);
	ledger_said(LEDGER_KEY_USED, "{}", 2, other);
	assert_memory_not_equal(said, other, sizeof said);
	assert_false(ledger_recent_find(&r, 0, 0, said, &index, &there));
	assert_false(ledger_recent_find(&r, 0, 5, said, &index, &there));
	ledger_recent_put(&r, 0, 5, said, 77, &leaf);
	assert_true(ledger_recent_find(&r, 0, 5, said, &index, &there));
	assert_int_equal(index, 77);
	assert_true(merkle_equal(&there, &leaf));
	assert_false(
		ledger_recent_find(&r, 0, 5, other, &index, &there)); /* another entry under that number */
	assert_false(ledger_recent_find(&r, 1, 5, said, &index, &there));
	assert_false(ledger_recent_find(&r, 0, 5 + LEDGER_RECENT_MAX, said, &index, &there));
	ledger_recent_put(&r, 0, 5 + LEDGER_RECENT_MAX, said, 78, &leaf);
	assert_false(ledger_recent_find(&r, 0, 5, said, &index, &there)); /* forgotten */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_follow_one_another),
		cmocka_unit_test(a_run_begins_at_one_and_ends_the_one_before),
		cmocka_unit_test(gaps_are_stated_where_they_are),
		cmocka_unit_test(too_many_sources),
		cmocka_unit_test(entries_of_the_log_follow),
		cmocka_unit_test(a_statement_is_how_they_stand),
		cmocka_unit_test(what_came_before_is_known_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
