/*
 * Tables in pieces: an owner with a table of any length, asked piece by piece, says each row once and whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "ipc/rows.h"

static struct ipc_link owner, control;
static struct rows_piece piece;

static void links(void)
{
	int fds[2], room = 4 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	ipc_link_open(&owner, fds[0], PROC_DATAPLANE, PROC_CONTROL);
	ipc_link_open(&control, fds[1], PROC_CONTROL, PROC_DATAPLANE);
}

static void links_done(void)
{
	ipc_link_close(&owner);
	ipc_link_close(&control);
}

/* Two kinds of rows, one behind the other; of the first only each `step`th place has one. */
static void answer(const struct msg_show *q, uint32_t places, uint32_t step, uint32_t more, size_t filler)
{
	rows_begin(&piece, &owner, 7, q);
	for (uint32_t i = rows_first(&piece, 0); i < places && rows_look(&piece, 0, i); i++) {
		if (i % step != 0)
			continue;
		jw_u64(rows_row(&piece), "a", i);
		for (size_t n = 0; n < filler; n++)
			jw_str(&piece.jw, "filler", "0123456789");
		rows_add(&piece);
	}
	for (uint32_t i = rows_first(&piece, 1); i < more && rows_look(&piece, 1, i); i++) {
		jw_u64(rows_row(&piece), "b", i);
		rows_add(&piece);
	}
	rows_end(&piece);
}

/* Takes a piece; checks that its rows are the expected ones. Returns where the next begins. */
static uint64_t take(uint32_t *count, uint32_t places, uint32_t step)
{
	uint32_t in_piece = 0;
	struct ipc_frame f;
	struct err e = { 0 };

	for (;;) {
		assert_int_equal(ipc_recv(&control, &f, &e), RC_OK);
		if (f.head.id == IPC_SHOW_END)
			break;
		assert_int_equal(f.head.id, IPC_SHOW_ROW);
		assert_in_range(f.u.SHOW_ROW.n, 1, ROW_MAX);
		for (uint32_t at = 0; at < f.u.SHOW_ROW.n; in_piece++, (*count)++) {
			const char *row = f.u.SHOW_ROW.json + at;
			const char *end = memchr(row, '\n', f.u.SHOW_ROW.n - at);
			size_t n = end ? (size_t)(end - row) : f.u.SHOW_ROW.n - at;
			uint32_t firsts = (places + step - 1) / step;
			char expected[64];
			snprintf(expected, sizeof expected, "{\"%c\":%u", *count < firsts ? 'a' : 'b',
				*count < firsts ? *count * step : *count - firsts);
			assert_memory_equal(row, expected, strlen(expected));
			assert_int_equal(row[n - 1], '}');
			at += (uint32_t)n + 1;
		}
	}
	assert_int_equal(f.u.SHOW_END.rc, RC_OK);
	assert_int_equal(f.u.SHOW_END.count, in_piece);
	assert_true(in_piece <= ROWS_PIECE_MAX);
	return f.u.SHOW_END.next;
}

static void every_row_once(void **state)
{
	static const struct {
		uint32_t places, step, more;
		size_t filler;
	} cases[] = { { 0, 1, 0, 0 }, { 1, 1, 0, 0 }, { 0, 1, 3, 0 }, { 63, 1, 1, 0 }, { 64, 1, 0, 0 },
		{ 64, 1, 64, 0 }, { 1000, 1, 500, 0 }, { 100000, 997, 2, 0 }, { 100000, 100000, 1, 0 },
		{ 300, 1, 7, 30 }, { 200, 1, 0, 150 } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct msg_show q = { 0 };
		uint32_t count = 0, pieces = 0;
		links();
		do {
			answer(&q, cases[i].places, cases[i].step, cases[i].more, cases[i].filler);
			q.from = take(&count, cases[i].places, cases[i].step);
			pieces++;
		} while (q.from);
		assert_int_equal(
			count, (cases[i].places + cases[i].step - 1) / cases[i].step + cases[i].more);
		/* a piece is short work: so many rows, or so many places looked at */
		assert_true(pieces >= (cases[i].places + cases[i].more) / (ROWS_LOOKED_MAX + 1));
		links_done();
	}
}

static void no_more_than_the_limit(void **state)
{
	for (uint32_t limit = 1; limit < 200; limit += 13) {
		struct msg_show q = { .limit = limit };
		uint32_t count = 0;
		links();
		do {
			answer(&q, 1000, 1, 0, 0);
			q.from = take(&count, 1000, 1);
			q.limit = limit - count;
		} while (q.from && q.limit);
		assert_int_equal(count, limit);
		links_done();
	}
}

/* A position that no answer gave is somewhere, or behind everything. */
static void any_position(void **state)
{
	static const uint64_t from[] = { 1, 999, 1000, UINT32_MAX, 1ull << 32, (1ull << 32) + 5, 2ull << 32,
		UINT64_MAX };

	for (size_t i = 0; i < COUNT_OF(from); i++) {
		struct msg_show q = { .from = from[i] };
		struct ipc_frame f;
		struct err e = { 0 };
		links();
		answer(&q, 1000, 1, 3, 0);
		do
			assert_int_equal(ipc_recv(&control, &f, &e), RC_OK);
		while (f.head.id != IPC_SHOW_END);
		links_done();
	}
}

static void a_refusal(void **state)
{
	struct ipc_frame f;
	struct err e = { 0 };

	links();
	rows_refuse(&owner, 7, RC_AGAIN, "not yet");
	assert_int_equal(ipc_recv(&control, &f, &e), RC_OK);
	assert_int_equal(f.head.id, IPC_SHOW_END);
	assert_int_equal(f.u.SHOW_END.rc, RC_AGAIN);
	assert_string_equal(f.u.SHOW_END.text, "not yet");
	links_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_once),
		cmocka_unit_test(no_more_than_the_limit),
		cmocka_unit_test(any_position),
		cmocka_unit_test(a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
