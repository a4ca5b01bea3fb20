/* base/rd.h and base/wr.h: sticky errors, sub-readers, patched lengths, and that nothing is ever touched
 * outside the range. */
#include "base/rd.h"
#include "base/wr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>

static void test_reader_reads_in_order(void **state)
{
	static const uint8_t bytes[] = { 1, 0x23, 0x45, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9,
		9 };
	struct rd r = rd_over(bytes, sizeof bytes);
	uint8_t two[2];

	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x2345);
	assert_int_equal(rd_u32(&r), 0xdeadbeef);
	assert_true(rd_u64(&r) == 0x0102030405060708u);
	assert_int_equal(rd_left(&r), 2);
	assert_int_equal(rd_end(&r), RC_TRAILING);
	assert_true(rd_copy(&r, two, 2));
	assert_int_equal(two[1], 9);
	assert_int_equal(rd_end(&r), RC_OK);
}

/* Each read at each shorter length: zero, bad, and bad for ever. The bytes are on the heap for the
 * sanitizer's sake. */
static void test_reader_stops_at_every_length(void **state)
{
	for (size_t n = 0; n < 15; n++) {
		uint8_t *bytes = malloc(n ? n : 1);
		assert_non_null(bytes);
		memset(bytes, 0xff, n ? n : 1);
		struct rd r = rd_over(bytes, n);
		uint64_t a = rd_u8(&r), b = rd_u16(&r), c = rd_u32(&r), d = rd_u64(&r);
		assert_true(r.bad);
		assert_int_equal(rd_end(&r), RC_TRUNCATED);
		assert_true(a == (n >= 1 ? 0xff : 0));
		assert_true(b == (n >= 3 ? 0xffff : 0));
		assert_true(c == (n >= 7 ? 0xffffffff : 0));
		assert_true(d == 0);
		assert_int_equal(rd_u8(&r), 0); /* sticky, even where a byte is left */
		assert_null(rd_take(&r, 0));
		assert_int_equal(rd_left(&r), 0);
		free(bytes);
	}
}

static void test_reader_takes_nothing_from_nothing(void **state)
{
	struct rd r = rd_over("", 0);

	assert_non_null(rd_take(&r, 0));
	assert_int_equal(rd_end(&r), RC_OK);
	assert_null(rd_take(&r, SIZE_MAX)); /* no overflow of the end */
	assert_true(r.bad);
}

static void test_copy_of_what_is_not_there_is_zero(void **state)
{
	struct rd r = rd_over("abc", 3);
	uint8_t out[4] = { 7, 7, 7, 7 };

	assert_false(rd_copy(&r, out, 4));
	assert_memory_equal(out, "\0\0\0\0", 4);
}

static void test_sub_readers(void **state)
{
	static const uint8_t bytes[] = { 0, 5, 'x', 'y', 'z', 'r' };
	struct rd r = rd_over(bytes, sizeof bytes);
	struct rd body = rd_block16(&r, 2);

	assert_int_equal(rd_left(&body), 3);
	assert_int_equal(rd_u8(&body), 'x');
	assert_int_equal(rd_u8(&r), 'r');
	assert_int_equal(rd_end(&r), RC_OK);
	assert_int_equal(rd_end(&body), RC_TRAILING);

	/* a length below what was spent already, and one beyond the end */
	for (unsigned length = 0; length < 9; length++) {
		uint8_t field[6] = { 0, (uint8_t)length, 1, 2, 3, 4 };
		r = rd_over(field, sizeof field);
		body = rd_block16(&r, 4);
		bool good = length >= 4 && length <= 8;
		assert_int_equal(r.bad, !good);
		assert_int_equal(body.bad, !good);
		assert_int_equal(rd_left(&body), good ? length - 4 : 0);
	}
	r = rd_over(bytes, 2);
	body = rd_sub(&r, 3);
	assert_true(body.bad);
	assert_true(r.bad);
}

static void test_writer(void **state)
{
	uint8_t room[32];
	struct wr w = wr_over(room, sizeof room);

	wr_u8(&w, 1);
	uint8_t *length = wr_room(&w, 2);
	wr_u32(&w, 0xdeadbeef);
	wr_u64(&w, 1);
	wr_patch16(&w, length, length);
	wr_bytes(&w, "end", 3);
	wr_bytes(&w, NULL, 0);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), 18);
	assert_memory_equal(room,
		"\x01\x00\x0e\xde\xad\xbe\xef\0\0\0\0\0\0\0\x01"
		"end",
		18);
}

static void test_writer_stops_at_every_length(void **state)
{
	/* volatile: else the compiler unrolls this and warns about writes that the cursor does not make */
	for (volatile size_t length = 0; length < 15; length++) {
		size_t n = length;
		uint8_t *room = malloc(n ? n : 1);
		assert_non_null(room);
		struct wr w = wr_over(room, n);
		wr_u8(&w, 1);
		wr_u16(&w, 2);
		wr_u32(&w, 3);
		wr_u64(&w, 4);
		assert_true(w.bad);
		assert_true(wr_len(&w) <= n);
		size_t len = wr_len(&w);
		wr_u8(&w, 1);
		assert_int_equal(wr_len(&w), len); /* sticky */
		wr_patch16(&w, NULL, NULL);
		assert_true(w.bad);
		free(room);
	}
}

static void test_patch_refuses_what_does_not_fit(void **state)
{
	static uint8_t room[70000];
	struct wr w = wr_over(room, sizeof room);
	uint8_t *length = wr_room(&w, 2);

	wr_room(&w, 65535);
	wr_patch16(&w, length, length + 2);
	assert_false(w.bad);
	assert_memory_equal(length, "\xff\xff", 2);
	wr_patch16(&w, length, length);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_reads_in_order),
		cmocka_unit_test(test_reader_stops_at_every_length),
		cmocka_unit_test(test_reader_takes_nothing_from_nothing),
		cmocka_unit_test(test_copy_of_what_is_not_there_is_zero),
		cmocka_unit_test(test_sub_readers),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_stops_at_every_length),
		cmocka_unit_test(test_patch_refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
