/* ipc/loop.h: order, timers, and callbacks that pull the rug from under others. */
#include "ipc/loop.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static char order[64];
static size_t order_n;

static void note(char c)
{
	assert_true(order_n < sizeof order - 1);
	order[order_n++] = c;
	order[order_n] = '\0';
}

static void begin(struct loop *l)
{
	loop_init(l);
	order_n = 0;
	order[0] = '\0';
}

struct end {
	struct watch watch;
	int pipe[2];
	char name;
	struct end *victim;
};

static void on_readable(struct loop *l, struct watch *w, short revents)
{
	struct end *e = (struct end *)w->context;
	char c;

	assert_true(revents & POLLIN);
	assert_int_equal(read(w->fd, &c, 1), 1);
	note(e->name);
	if (e->victim) {
		loop_remove(l, &e->victim->watch);
		if (e->victim != e) {
			close(e->victim->pipe[0]);
			close(e->victim->pipe[1]);
			free(e->victim); /* the address sanitizer sees whoever still looks */
		}
		e->victim = NULL;
	}
}

static struct end *end_new(struct loop *l, char name)
{
	struct end *e = calloc(1, sizeof *e);

	assert_non_null(e);
	assert_int_equal(pipe(e->pipe), 0);
	e->name = name;
	e->watch = (struct watch){ .fd = e->pipe[0], .events = POLLIN, .fn = on_readable, .context = e };
	loop_add(l, &e->watch);
	assert_int_equal(write(e->pipe[1], "xxx", 3), 3);
	return e;
}

static void end_free(struct loop *l, struct end *e)
{
	loop_remove(l, &e->watch);
	close(e->pipe[0]);
	close(e->pipe[1]);
	free(e);
}

static void test_files_in_order_of_adding(void **state)
{
	struct loop l;
	begin(&l);
	struct end *a = end_new(&l, 'a'), *b = end_new(&l, 'b'), *c = end_new(&l, 'c');

	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_string_equal(order, "abcabc");
	end_free(&l, a);
	end_free(&l, b);
	end_free(&l, c);
	loop_done(&l);
}

static void test_remove_while_iterating(void **state)
{
	struct loop l;
	begin(&l);
	struct end *a = end_new(&l, 'a'), *b = end_new(&l, 'b'), *c = end_new(&l, 'c'), *d = end_new(&l, 'd');

	a->victim = c; /* not yet called in this round */
	d->victim = b; /* called already */
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_string_equal(order, "abd");
	a->victim = a; /* itself */
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_string_equal(order, "abdadd");
	end_free(&l, a);
	end_free(&l, d);
	loop_done(&l);
}

struct named {
	struct timer timer;
	char name;
	struct timer *other;
};

static void on_timer(struct loop *l, struct timer *t)
{
	struct named *n = (struct named *)t->context;

	note(n->name);
	if (n->other)
		loop_disarm(l, n->other);
	if (n->name == 'S')
		loop_stop(l);
}

static struct named named(char name)
{
	return (struct named){ .timer = { .fn = on_timer }, .name = name };
}

static void test_timers_by_time_then_arming(void **state)
{
	struct loop l;
	struct named a = named('a'), b = named('b'), c = named('c'), stop = named('S');
	begin(&l);
	a.timer.context = &a;
	b.timer.context = &b;
	c.timer.context = &c;
	stop.timer.context = &stop;
	loop_arm(&l, &stop.timer, 30 * NS_PER_MS, 0);
	loop_arm(&l, &b.timer, 10 * NS_PER_MS, 0);
	loop_arm(&l, &c.timer, 10 * NS_PER_MS, 0);
	loop_arm(&l, &a.timer, 5 * NS_PER_MS, 0);
	loop_arm(&l, &a.timer, 20 * NS_PER_MS, 0); /* moved */
	assert_int_equal(loop_run(&l, NULL), RC_OK);
	assert_string_equal(order, "bcaS");
	assert_false(a.timer.armed);
	loop_done(&l);
}

static void test_timer_disarms_another(void **state)
{
	struct loop l;
	struct named a = named('a'), b = named('b'), stop = named('S');
	begin(&l);
	a.timer.context = &a;
	b.timer.context = &b;
	stop.timer.context = &stop;
	a.other = &b.timer; /* both due in the same round */
	loop_arm(&l, &a.timer, NS_PER_MS, 0);
	loop_arm(&l, &b.timer, NS_PER_MS, 0);
	loop_arm(&l, &stop.timer, 5 * NS_PER_MS, 0);
	assert_int_equal(loop_run(&l, NULL), RC_OK);
	assert_string_equal(order, "aS");
	loop_done(&l);
}

static void test_periodic_keeps_rhythm_and_never_starves(void **state)
{
	struct loop l;
	struct named p = named('p');
	begin(&l);
	p.timer.context = &p;
	loop_arm(&l, &p.timer, 0, 1); /* every nanosecond: always late */
	struct end *a = end_new(&l, 'a');
	assert_int_equal(loop_once(&l, NS_PER_S, NULL), RC_OK);
	assert_string_equal(
		order, "pa"); /* once, in spite of millions of missed periods; the file had its turn */
	mono_ns first = p.timer.at;
	loop_arm(&l, &p.timer, 10 * NS_PER_MS, 10 * NS_PER_MS);
	first = p.timer.at;
	usleep(35000);
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_int_equal((p.timer.at - first) % (10 * NS_PER_MS), 0);
	assert_true(p.timer.at > l.now);
	loop_disarm(&l, &p.timer);
	end_free(&l, a);
	loop_done(&l);
}

static short wants_nothing(struct watch *w)
{
	return 0;
}

static void test_want_is_asked(void **state)
{
	struct loop l;
	begin(&l);
	struct end *a = end_new(&l, 'a');
	a->watch.want = wants_nothing;
	assert_int_equal(loop_once(&l, 0, NULL), RC_OK);
	assert_string_equal(order, "");
	end_free(&l, a);
	loop_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_in_order_of_adding),
		cmocka_unit_test(test_remove_while_iterating),
		cmocka_unit_test(test_timers_by_time_then_arming),
		cmocka_unit_test(test_timer_disarms_another),
		cmocka_unit_test(test_periodic_keeps_rhythm_and_never_starves),
		cmocka_unit_test(test_want_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
