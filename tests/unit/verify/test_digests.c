/* The table of digests: all that was put is found; keys that were chosen to collide end it soon. */
#include "verify/digests.h"
#include "base/bytes.h"
#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void key_of(uint64_t i, uint8_t ret_key[SHA256_SIZE])
{
	sha256(ret_key, &i, sizeof i);
}

static void all_are_found(void **state)
{
	enum { MANY = 200000 };
	struct digests d = { 0 };
	uint8_t key[SHA256_SIZE];
	uint64_t number;

	assert_false(digests_get(&d, (const uint8_t[DIGEST_KEY_SIZE]){ 1 }, NULL));
	for (uint64_t i = 0; i < MANY; i++) {
		key_of(i, key);
		assert_false(digests_get(&d, key, &number));
		assert_true(digests_put(&d, key, i));
	}
	for (uint64_t i = 0; i < MANY; i++) {
		key_of(i, key);
		assert_true(digests_get(&d, key, &number));
		assert_true(number == i);
	}
	key_of(7, key);
	assert_true(digests_put(&d, key, 8));
	assert_true(digests_get(&d, key, &number));
	assert_int_equal(number, 8);
	assert_int_equal(d.n, MANY);
	digests_free(&d);
}

/* Keys of one place: were each compared with all before it, a million of them would take hours. */
static void chosen_keys(void **state)
{
	struct digests d = { 0 };
	uint8_t key[DIGEST_KEY_SIZE] = { 0 };
	uint32_t n = 0;

	do {
		store_be32(key + 8, ++n);
	} while (n < 1000000 && digests_put(&d, key, n));
	assert_in_range(n, 1000, 10000);
	store_be32(key + 8, 1);
	assert_true(digests_get(&d, key, NULL)); /* what was there stays */
	digests_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_found),
		cmocka_unit_test(chosen_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
