/* When a log asks, and what it makes of answers and of silence: by a clock that the test sets. */
#include "witness/poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BEAT  (30 * NS_PER_S)
#define START (1000 * NS_PER_S)

static const struct note_key key = { .name = "witness.example", .type = NOTE_COSIGNATURE_ED25519 };
static struct witness_poll a;

static enum witness_poll_news answer(enum witness_outcome outcome, uint64_t size, mono_ns now)
{
	const struct witness_reply r = { .outcome = outcome, .size = size, .time_s = now / NS_PER_S };

	return witness_poll_answered(&a, &r, outcome == WITNESS_OUTCOME_GOOD ? "" : "said so", BEAT, now);
}

/* The log has `size` entries and the question is due, with this old size. */
static void ask(uint64_t size, uint64_t old, mono_ns now)
{
	assert_int_equal(witness_poll_due(&a, size, BEAT, now), WITNESS_POLL_ADD);
	witness_poll_put(&a, WITNESS_POLL_ADD, size);
	assert_int_equal(a.asked_old, old);
	assert_int_equal(witness_poll_due(&a, size, BEAT, now), WITNESS_POLL_NONE); /* one at a time */
}

static void cosigned(uint64_t size, uint64_t old, mono_ns now)
{
	ask(size, old, now);
	assert_int_equal(answer(WITNESS_OUTCOME_GOOD, size, now), WITNESS_POLL_COSIGNED);
	assert_int_equal(a.cosigned, size);
}

static void grows(void **state)
{
	witness_poll_begin(&a, &key, START);
	assert_false(a.settled);
	/* The first question offers what we have as what it knows: that cannot be a fork. */
	ask(7, 7, START);
	assert_int_equal(answer(WITNESS_OUTCOME_RETRY, 0, START), WITNESS_POLL_NO_NEWS);
	assert_false(a.settled);
	cosigned(7, 0, START); /* at once, without a pause */
	assert_true(a.settled);
	mono_ns now = START + WITNESS_POLL_REST_NS;
	assert_int_equal(witness_poll_due(&a, 7, BEAT, now), WITNESS_POLL_NONE);
	cosigned(9, 7, now);
	/* It grew while the question was under way; and not even a log that always grows asks without a rest.
	 */
	now += WITNESS_POLL_REST_NS;
	ask(10, 9, now);
	assert_int_equal(answer(WITNESS_OUTCOME_GOOD, 10, now), WITNESS_POLL_COSIGNED);
	assert_int_equal(witness_poll_due(&a, 12, BEAT, now), WITNESS_POLL_NONE);
	assert_int_equal(witness_poll_at(&a, 12, BEAT), now + WITNESS_POLL_REST_NS);
	witness_poll_urge(&a);
	cosigned(12, 10, now);
}

static void heartbeats(void **state)
{
	witness_poll_begin(&a, &key, START);
	cosigned(5, 5, START);
	assert_int_equal(witness_poll_at(&a, 5, BEAT), START + BEAT);
	assert_int_equal(witness_poll_due(&a, 5, BEAT, START + BEAT - 1), WITNESS_POLL_NONE);
	cosigned(5, 5, START + BEAT);
	assert_int_equal(a.time_s, (START + BEAT) / NS_PER_S);
	assert_int_equal(witness_poll_at(&a, 5, BEAT), START + 2 * BEAT);
}

/* A busy log: one question for all that came in an interval, whatever became of the last; an act hurries it.
 */
static void an_interval_is_kept(void **state)
{
	const mono_ns interval = 10 * NS_PER_S, quick = NS_PER_S / 10;
	uint64_t size = 5, questions = 0;
	mono_ns now = START;

	witness_poll_begin(&a, &key, START);
	a.interval = interval;
	for (; now < START + 600 * NS_PER_S; now += quick, size += 100) {
		if (witness_poll_due(&a, size, BEAT, now) == WITNESS_POLL_NONE)
			continue;
		witness_poll_put(&a, WITNESS_POLL_ADD, size);
		questions++;
		if (questions % 3 == 0)
			witness_poll_failed(&a, "429", BEAT, now);
		else
			assert_int_equal(answer(WITNESS_OUTCOME_GOOD, size, now), WITNESS_POLL_COSIGNED);
		assert_int_equal(witness_poll_at(&a, size + 1, BEAT), now + interval);
		assert_false(witness_poll_silent(&a, BEAT, now));
	}
	assert_int_equal(questions, 60);
	witness_poll_begin(&a, &key, START);
	a.interval = interval;
	cosigned(5, 5, START);
	assert_int_equal(witness_poll_due(&a, 6, BEAT, START + quick), WITNESS_POLL_NONE);
	witness_poll_urge(&a);
	cosigned(6, 5, START + quick);
}

/* A public witness: nothing hurries it, and it is not missing for being slow. */
static void a_slow_one_is_not_hurried(void **state)
{
	const mono_ns interval = 600 * NS_PER_S;

	witness_poll_begin(&a, &key, START);
	a.interval = interval;
	cosigned(5, 5, START);
	for (int i = 0; i < 3; i++) {
		witness_poll_urge(&a);
		assert_int_equal(witness_poll_due(&a, 500, BEAT, START + interval - 1), WITNESS_POLL_NONE);
		assert_int_equal(witness_poll_at(&a, 500, BEAT), START + interval);
	}
	assert_int_equal(witness_poll_at(&a, 5, BEAT), START + interval); /* no heartbeat in between */
	assert_false(witness_poll_silent(&a, BEAT, START + 3 * interval - 1));
	assert_true(witness_poll_silent(&a, BEAT, START + 3 * interval));
	ask(500, 5, START + 3 * interval);
	witness_poll_failed(&a, "429", BEAT, START + 3 * interval);
	witness_poll_urge(&a);
	assert_int_equal(witness_poll_at(&a, 500, BEAT), START + 4 * interval);
	ask(500, 5, START + 4 * interval);
	assert_int_equal(answer(WITNESS_OUTCOME_GOOD, 500, START + 4 * interval), WITNESS_POLL_RETURNED);
}

static void it_says_when(void **state)
{
	witness_poll_begin(&a, &key, START);
	ask(7, 7, START);
	assert_int_equal(answer(WITNESS_OUTCOME_BUSY, 0, START), WITNESS_POLL_NO_NEWS);
	witness_poll_hold(&a, 600, START);
	assert_string_equal(a.error, "said so; it asked to be left alone for 600 s (Retry-After)");
	mono_ns then = START + 600 * NS_PER_S;
	/* not because the pause is over, nor for an act that waits, nor when it grows, nor for the heartbeat
	 */
	witness_poll_urge(&a);
	assert_int_equal(witness_poll_due(&a, 9, BEAT, then - 1), WITNESS_POLL_NONE);
	assert_true(witness_poll_silent(&a, BEAT, START + 3 * BEAT)); /* it is told all the same */
	assert_int_equal(witness_poll_at(&a, 9, BEAT), then);
	ask(9, 9, then);
	assert_int_equal(answer(WITNESS_OUTCOME_GOOD, 9, then), WITNESS_POLL_RETURNED);
	assert_int_equal(a.error[0], '\0');
	cosigned(12, 9, then + WITNESS_POLL_REST_NS);
	/* however long it wants to have its peace, it is asked again */
	static const uint64_t more[] = { 3600, 3601, 99999999, UINT64_MAX };
	for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
		witness_poll_begin(&a, &key, START);
		ask(7, 7, START);
		answer(WITNESS_OUTCOME_BUSY, 0, START);
		witness_poll_hold(&a, more[i], START);
		assert_int_equal(witness_poll_at(&a, 7, BEAT), START + WITNESS_POLL_HEARTBEATS_SILENT * BEAT);
		assert_int_equal(witness_poll_due(&a, 7, BEAT, START + WITNESS_POLL_HOLD_MAX_NS - 1),
			WITNESS_POLL_NONE);
		assert_int_equal(
			witness_poll_due(&a, 7, BEAT, START + WITNESS_POLL_HOLD_MAX_NS), WITNESS_POLL_ADD);
	}
	/* an interval that is longer still holds */
	witness_poll_begin(&a, &key, START);
	a.interval = 7200 * NS_PER_S;
	ask(7, 7, START);
	answer(WITNESS_OUTCOME_BUSY, 0, START);
	witness_poll_hold(&a, 1, START);
	assert_int_equal(witness_poll_due(&a, 7, BEAT, START + 7200 * NS_PER_S - 1), WITNESS_POLL_NONE);
}

static void an_empty_log(void **state)
{
	witness_poll_begin(&a, &key, START);
	cosigned(0, 0, START);
	assert_int_equal(witness_poll_due(&a, 0, BEAT, START + WITNESS_POLL_REST_NS), WITNESS_POLL_NONE);
	cosigned(3, 0, START + WITNESS_POLL_REST_NS);
}

static void pauses_grow(void **state)
{
	mono_ns now = START, last = 0;

	witness_poll_begin(&a, &key, START);
	for (int i = 0; i < 20; i++) {
		ask(5, 5, now);
		witness_poll_failed(&a, "connect: Connection refused", BEAT, now);
		mono_ns pause = a.next - now;
		assert_true(pause >= last && pause <= WITNESS_POLL_PAUSE_MAX_NS);
		assert_int_equal(witness_poll_due(&a, 5, BEAT, now + pause - 1), WITNESS_POLL_NONE);
		last = pause;
		now += pause;
	}
	assert_int_equal(last, WITNESS_POLL_PAUSE_MAX_NS);
	assert_string_equal(a.error, "connect: Connection refused");
	/* An act waits: not 15 s, but not without any pause either. */
	ask(5, 5, now);
	witness_poll_failed(&a, "again", BEAT, now);
	witness_poll_urge(&a);
	assert_int_equal(witness_poll_due(&a, 5, BEAT, now), WITNESS_POLL_NONE);
	now += WITNESS_POLL_URGENT_NS;
	cosigned(5, 5, now);
	assert_string_equal(a.error, "");
	now += WITNESS_POLL_REST_NS;
	/* and it begins small again; a pause is no longer than a short heartbeat */
	ask(6, 5, now);
	witness_poll_failed(&a, "again", NS_PER_S / 10, now);
	assert_int_equal(a.next, now + NS_PER_S / 10);
	/* urging one that is well changes nothing */
	witness_poll_begin(&a, &key, START);
	witness_poll_urge(&a);
	assert_int_equal(a.next, START);
}

static void silence(void **state)
{
	mono_ns now = START;

	witness_poll_begin(&a, &key, START);
	cosigned(5, 5, START);
	while (now < START + WITNESS_POLL_HEARTBEATS_SILENT * BEAT) {
		assert_false(witness_poll_silent(&a, BEAT, now));
		now = witness_poll_at(&a, 5, BEAT);
		if (witness_poll_due(&a, 5, BEAT, now) == WITNESS_POLL_ADD) {
			witness_poll_put(&a, WITNESS_POLL_ADD, 5);
			witness_poll_failed(&a, "no answer in time", BEAT, now);
		}
	}
	assert_true(witness_poll_silent(&a, BEAT, now));
	assert_false(witness_poll_silent(&a, BEAT, now + 100 * BEAT)); /* told once */
	/* Another failure ends nothing, a cosignature does. */
	witness_poll_failed(&a, "no answer in time", BEAT, now);
	assert_true(a.missing);
	now = a.next;
	ask(6, 5, now);
	assert_int_equal(answer(WITNESS_OUTCOME_GOOD, 6, now), WITNESS_POLL_RETURNED);
	assert_false(a.missing);
	now += WITNESS_POLL_REST_NS;
	cosigned(7, 6, now);
	now += WITNESS_POLL_REST_NS;
	/* A new silence is told anew; a question that gets no answer is no reason not to tell it. */
	ask(8, 7, now);
	assert_int_equal(witness_poll_at(&a, 8, BEAT), a.heard + WITNESS_POLL_HEARTBEATS_SILENT * BEAT);
	assert_true(witness_poll_silent(&a, BEAT, a.heard + WITNESS_POLL_HEARTBEATS_SILENT * BEAT));
	assert_int_equal(witness_poll_at(&a, 8, BEAT), WITNESS_POLL_NEVER);
}

/* Claims of another history: believed only with its note. */
static void claims(void **state)
{
	static const enum witness_outcome both[] = { WITNESS_OUTCOME_AHEAD, WITNESS_OUTCOME_DISAGREES };

	for (size_t i = 0; i < 2; i++) {
		witness_poll_begin(&a, &key, START);
		ask(5, 5, START);
		assert_int_equal(answer(both[i], 9, START), WITNESS_POLL_NO_NEWS);
		assert_false(a.settled);
		assert_int_equal(witness_poll_due(&a, 5, BEAT, START), WITNESS_POLL_SEEN);
		witness_poll_put(&a, WITNESS_POLL_SEEN, 5);
		/* it has no such note: a failure like others, and the log goes on */
		witness_poll_failed(&a, "status 404", BEAT, START);
		assert_int_equal(witness_poll_due(&a, 5, BEAT, START), WITNESS_POLL_NONE);
		assert_int_equal(witness_poll_due(&a, 5, BEAT, a.next), WITNESS_POLL_ADD);
		assert_false(a.settled);
		/* its note is of a tree that ours continues */
		mono_ns now = a.next;
		ask(5, 5, now);
		answer(both[i], 9, now);
		now += WITNESS_POLL_PAUSE_MIN_NS;
		assert_int_equal(witness_poll_due(&a, 5, BEAT, now), WITNESS_POLL_SEEN);
		witness_poll_put(&a, WITNESS_POLL_SEEN, 5);
		assert_false(witness_poll_seen(&a, 3, true, BEAT, now));
		now = a.next;
		ask(5, 3, now);
		/* it has proved it */
		answer(both[i], 9, now);
		now += WITNESS_POLL_PAUSE_MIN_NS;
		assert_int_equal(witness_poll_due(&a, 5, BEAT, now), WITNESS_POLL_SEEN);
		witness_poll_put(&a, WITNESS_POLL_SEEN, 5);
		assert_true(witness_poll_seen(&a, 9, false, BEAT, now));
		assert_true(a.settled);
	}
}

static void who_does_not_know_us_is_settled(void **state)
{
	witness_poll_begin(&a, &key, START);
	ask(5, 5, START);
	answer(WITNESS_OUTCOME_UNKNOWN, 0, START);
	assert_true(a.settled);
	assert_int_equal(witness_poll_due(&a, 5, BEAT, START), WITNESS_POLL_NONE);
	ask(5, 5, a.next); /* somebody may have told it meanwhile */
	answer(WITNESS_OUTCOME_BUSY, 0, a.next);
	witness_poll_begin(&a, &key, START);
	ask(5, 5, START);
	answer(WITNESS_OUTCOME_BUSY, 0, START);
	assert_false(a.settled);
}

/* Behind failures its size is not waited with: it is back, or knows the log since a moment ago. */
static void back_with_a_size(void **state)
{
	mono_ns now = START;

	witness_poll_begin(&a, &key, START);
	for (unsigned i = 0; i < 8; i++, now = a.next) {
		ask(5, 5, now);
		answer(WITNESS_OUTCOME_UNKNOWN, 0, now);
	}
	ask(5, 5, now);
	answer(WITNESS_OUTCOME_RETRY, 2, now);
	ask(5, 2, now);
	answer(WITNESS_OUTCOME_RETRY, 3, now); /* not twice */
	assert_int_equal(witness_poll_due(&a, 5, BEAT, now), WITNESS_POLL_NONE);
	assert_true(a.next > now + WITNESS_POLL_PAUSE_MIN_NS);
	cosigned(5, 3, a.next);
}

/* One that says "behind" again and again is not asked in a circle. */
static void no_circle(void **state)
{
	mono_ns now = START;
	unsigned asked = 0;

	witness_poll_begin(&a, &key, START);
	while (now < START + 60 * NS_PER_S) {
		if (witness_poll_due(&a, 5, BEAT, now) == WITNESS_POLL_ADD) {
			witness_poll_put(&a, WITNESS_POLL_ADD, 5);
			answer(WITNESS_OUTCOME_RETRY, asked++ % 5, now);
			continue;
		}
		now = a.next;
	}
	assert_true(asked > 5 && asked < 15);
}

static void quorum(void **state)
{
	struct witness_poll three[3];
	const struct witness_poll *all[] = { &three[0], &three[1], &three[2] };

	for (int i = 0; i < 3; i++) {
		witness_poll_begin(&a, &key, START);
		if (i > 0)
			cosigned(4 * (uint64_t)i, 4 * (uint64_t)i, START);
		three[i] = a;
	}
	assert_int_equal(witness_poll_count(all, 3, 9), 0);
	assert_int_equal(witness_poll_count(all, 3, 8), 1);
	assert_int_equal(witness_poll_count(all, 3, 5), 1);
	assert_int_equal(witness_poll_count(all, 3, 4), 2);
	assert_int_equal(witness_poll_count(all, 3, 1), 2);
	assert_int_equal(witness_poll_count(all, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(an_interval_is_kept),
		cmocka_unit_test(a_slow_one_is_not_hurried),
		cmocka_unit_test(it_says_when),
		cmocka_unit_test(an_empty_log),
		cmocka_unit_test(pauses_grow),
		cmocka_unit_test(silence),
		cmocka_unit_test(claims),
		cmocka_unit_test(who_does_not_know_us_is_settled),
		cmocka_unit_test(back_with_a_size),
		cmocka_unit_test(no_circle),
		cmocka_unit_test(quorum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
