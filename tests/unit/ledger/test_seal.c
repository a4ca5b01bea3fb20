/* One-time keys of checkpoints: what was sealed is found altered, moved, missing or signed again. */
#include "base/bytes.h"
#include "ledger/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct seal_epoch *epoch;
static const uint8_t seed[SEAL_SEED_SIZE] = { 1, 2, 3 };

static int begin(void **state)
{
	epoch = malloc(sizeof *epoch);
	return epoch && seal_epoch_begin(epoch, seed) == RC_OK ? 0 : -1;
}

static int end(void **state)
{
	seal_epoch_end(epoch);
	free(epoch);
	return 0;
}

static struct checkpoint checkpoint_at(uint64_t size)
{
	struct checkpoint c = { .origin = "plaingate/ledger/0123456789abcdef", .size = size };

	memset(c.root.b, (int)(size & 0xff), sizeof c.root.b);
	return c;
}

static void signs_in_order_and_checks(void **state)
{
	uint8_t records[5 * SEAL_RECORD_SIZE];
	struct seal s;

	for (uint32_t i = 0; i < 5; i++) {
		struct checkpoint c = checkpoint_at(100 + i);
		assert_int_equal(seal_sign(epoch, &c, records + i * SEAL_RECORD_SIZE), RC_OK);
	}
	struct merkle_hash root = seal_keys_root(epoch->publics[0]);
	assert_true(merkle_equal(&root, &epoch->root));
	struct rd r = rd_over(records, sizeof records);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(seal_next(&r, &s), RC_OK);
		assert_int_equal(s.index, i);
		assert_int_equal(s.size, 100 + i);
		assert_int_equal(
			seal_check(&s, "plaingate/ledger/0123456789abcdef", &epoch->root, epoch->publics[i]),
			RC_OK);
		/* not with another key of the epoch, for another log, in another epoch */
		assert_int_equal(seal_check(&s, "plaingate/ledger/0123456789abcdef", &epoch->root,
					 epoch->publics[i + 1]),
			RC_AUTH);
		assert_int_equal(
			seal_check(&s, "plaingate/ledger/another", &epoch->root, epoch->publics[i]), RC_AUTH);
		root.b[0] ^= 1;
		assert_int_equal(
			seal_check(&s, "plaingate/ledger/0123456789abcdef", &root, epoch->publics[i]),
			RC_AUTH);
		root.b[0] ^= 1;
	}
	assert_int_equal(seal_next(&r, &s), RC_NOT_FOUND);
}

static void every_bit_counts(void **state)
{
	uint8_t record[SEAL_RECORD_SIZE];
	struct checkpoint c = checkpoint_at(7);

	assert_int_equal(seal_sign(epoch, &c, record), RC_OK);
	for (size_t bit = 0; bit < 8 * sizeof record; bit++) {
		struct seal s;
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct rd r = rd_over(record, sizeof record);
		assert_int_equal(seal_next(&r, &s), RC_OK);
		assert_int_equal(seal_check(&s, c.origin, &epoch->root, epoch->publics[0]), RC_AUTH);
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 1; n < sizeof record; n++) {
		struct rd r = rd_over(record, n);
		struct seal s;
		assert_int_equal(seal_next(&r, &s), RC_TRUNCATED);
	}
}

/* What signed is gone: neither its seed nor anything that leads to it is left in the epoch. */
static void a_used_key_is_erased(void **state)
{
	static const uint8_t zero[ED25519_SEED_SIZE];
	uint8_t used[3][ED25519_SEED_SIZE], record[SEAL_RECORD_SIZE];
	const uint8_t *bytes = (const uint8_t *)epoch;

	memcpy(used, epoch->seeds, sizeof used);
	for (uint32_t i = 0; i < 3; i++) {
		struct checkpoint c = checkpoint_at(i);
		assert_memory_not_equal(used[i], zero, sizeof zero);
		assert_int_equal(seal_sign(epoch, &c, record), RC_OK);
		assert_memory_equal(epoch->seeds[i], zero, sizeof zero);
	}
	for (size_t at = 0; at + sizeof used[0] <= sizeof *epoch; at++)
		for (size_t i = 0; i < 3; i++)
			assert_memory_not_equal(bytes + at, used[i], sizeof used[0]);
	for (size_t at = 0; at + sizeof seed <= sizeof *epoch; at++)
		assert_memory_not_equal(bytes + at, seed, sizeof seed);
}

static void ends_when_used_up(void **state)
{
	struct checkpoint c = checkpoint_at(1);
	uint8_t record[SEAL_RECORD_SIZE];

	epoch->next = SEAL_KEYS - 1;
	assert_int_equal(seal_sign(epoch, &c, record), RC_OK);
	assert_int_equal(seal_sign(epoch, &c, record), RC_LIMIT);
}

static void paths(void **state)
{
	char path[SEAL_PATH_MAX];
	const struct merkle_hash root = { { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff } };

	assert_string_equal(seal_path_keys(path, &root), "seal/0123456789abcdef.keys");
	assert_string_equal(seal_path_seals(path, &root), "seal/0123456789abcdef.seals");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(signs_in_order_and_checks),
		T(every_bit_counts),
		T(a_used_key_is_erased),
		T(ends_when_used_up),
		cmocka_unit_test(paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
