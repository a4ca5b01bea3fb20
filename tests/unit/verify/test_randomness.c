/*
 * Public values recomputed from entries: derived values are good; every other SPI, proof, count, key
 * and order is found, and the first failure is named.
 */
#include "base/bytes.h"
#include "crypto/vrf.h"
#include "verify/randomness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct randomness_report report;
static struct randomness *checker;
static struct vrf_key key;
static uint64_t next_index;
static unsigned minute; /* of the entries' time */

static int begin(void **state)
{
	static const uint8_t seed[VRF_SEED_SIZE] = { 7 };

	next_index = minute = 0;
	checker = randomness_new(&report);
	return checker && vrf_key_make(&key, seed) == RC_OK ? 0 : -1;
}

static int end(void **state)
{
	randomness_free(checker);
	return 0;
}

struct field {
	const char *key, *text;
};

/* An entry of the type with these fields; the others are empty. The last field's key is NULL. */
static enum rc enter(enum ledger_type type, const struct field *fields)
{
	static struct ledger_body b;
	size_t n;
	const struct ledger_field *f = ledger_type_fields(type, &n);

	ledger_body_begin(&b, type);
	for (size_t i = 0; i < n; i++) {
		const char *text = "";
		for (const struct field *x = fields; x->key; x++)
			text = strcmp(x->key, f[i].key) == 0 ? x->text : text;
		if (f[i].kind != LEDGER_NUMBER)
			ledger_body_str(&b, f[i].key, text);
		else
			ledger_body_u64(&b, f[i].key, strtoull(text, NULL, 10));
	}
	struct ledger_entry entry = { .type = type, .body = b.text, .body_n = ledger_body_done(&b) };
	snprintf(entry.utc, sizeof entry.utc, "2026-11-28T10:%02u:00.000000Z", minute);
	assert_true(entry.body_n > 0);
	return randomness_entry(checker, &entry, next_index++);
}

static const char *number(char ret_text[24], uint64_t n)
{
	snprintf(ret_text, 24, "%llu", (unsigned long long)n);
	return ret_text;
}

static enum rc epoch(void)
{
	char hex[2 * VRF_PUBLIC_SIZE + 1];
	const struct field fields[] = { { "key", hex }, { NULL, NULL } };

	hex_from_bytes(hex, key.public_key, sizeof key.public_key);
	return enter(LEDGER_VRF_EPOCH, fields);
}

static enum rc epoch_end(uint64_t count)
{
	char public_hex[65], scalar_hex[65], digits[24];
	const struct field fields[] = { { "key", public_hex }, { "scalar", scalar_hex },
		{ "count", number(digits, count) }, { NULL, NULL } };

	hex_from_bytes(public_hex, key.public_key, sizeof key.public_key);
	hex_from_bytes(scalar_hex, key.scalar, sizeof key.scalar);
	return enter(LEDGER_VRF_EPOCH_END, fields);
}

/* The value that the key forces, and its proof. */
static void value(uint64_t count, uint8_t ret_octets[PUBLIC_SIZE], uint8_t ret_proof[PUBLIC_PROOF_SIZE])
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE];

	public_alpha(alpha, key.public_key, count);
	assert_int_equal(vrf_prove(&key, alpha, sizeof alpha, ret_proof), RC_OK);
	assert_int_equal(vrf_proof_hash(ret_proof, ret_octets), RC_OK);
}

static enum rc ike(
	uint64_t count, const char *role, const uint8_t proof[PUBLIC_PROOF_SIZE], const uint8_t spi[8])
{
	char hex[2 * PUBLIC_PROOF_SIZE + 1], spi_hex[17], digits[24];
	bool initiator = strcmp(role, "initiator") == 0;
	const struct field fields[] = { { "vrf_count", number(digits, count) }, { "vrf_proof", hex },
		{ "role", role }, { initiator ? "spi_i" : "spi_r", spi_hex },
		{ initiator ? "spi_r" : "spi_i", "1111111111111111" }, { NULL, NULL } };

	hex_from_bytes(hex, proof, PUBLIC_PROOF_SIZE);
	hex_from_bytes(spi_hex, spi, 8);
	return enter(LEDGER_IKE_SA_UP, fields);
}

static enum rc child(uint64_t count, const uint8_t proof[PUBLIC_PROOF_SIZE], const uint8_t spi[4])
{
	char hex[2 * PUBLIC_PROOF_SIZE + 1], spi_hex[9], digits[24];
	const struct field fields[] = { { "vrf_count", number(digits, count) }, { "vrf_proof", hex },
		{ "spi_in", spi_hex }, { NULL, NULL } };

	hex_from_bytes(hex, proof, PUBLIC_PROOF_SIZE);
	hex_from_bytes(spi_hex, spi, 4);
	return enter(LEDGER_SA_INSTALL, fields);
}

static void derived_values_are_good(void **state)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE], again[PUBLIC_SIZE];

	assert_int_equal(epoch(), RC_OK);
	value(1, octets, proof);
	assert_int_equal(ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_OK);
	value(3, octets, proof);
	assert_int_equal(ike(3, "responder", proof, octets + PUBLIC_SPI_AT), RC_OK);
	value(2, octets, proof); /* entered late */
	assert_int_equal(child(2, proof, octets + PUBLIC_SPI_AT), RC_OK);
	assert_int_equal(report.spi_candidates_skipped, 0);
	value(4, octets, proof);
	assert_int_equal(child(4, proof, octets + PUBLIC_SPI_AT + 8), RC_OK); /* the third candidate */
	assert_int_equal(report.spi_candidates_skipped, 2);
	assert_int_equal(randomness_value(checker, key.public_key, 5, again), RC_NOT_FOUND);
	assert_int_equal(epoch_end(5), RC_OK);
	assert_int_equal(report.proofs_checked, 4);
	assert_int_equal(report.failures, 0);
	assert_int_equal(report.epochs_disclosed, 1);
	assert_int_equal(report.values_disclosed, 5);
	value(5, octets, proof); /* no entry names it: it can be recomputed all the same */
	assert_int_equal(randomness_value(checker, key.public_key, 5, again), RC_OK);
	assert_memory_equal(again, octets, sizeof octets);
	assert_int_equal(randomness_value(checker, key.public_key, 6, again), RC_NOT_FOUND);
	assert_int_equal(randomness_value(checker, key.public_key, 0, again), RC_NOT_FOUND);
}

/* A generator of somebody's own behind the SPI: the one bit that it needs is one too many. */
static void another_spi_is_found(void **state)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE];

	assert_int_equal(epoch(), RC_OK);
	value(1, octets, proof);
	for (int bit = 0; bit < 64; bit++) {
		uint8_t spi[8];
		memcpy(spi, octets + PUBLIC_SPI_AT, sizeof spi);
		spi[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ike(1, "initiator", proof, spi), RC_AUTH);
	}
	assert_int_equal(ike(1, "responder", proof, octets + PUBLIC_NONCE_AT), RC_AUTH);
	assert_int_equal(child(1, proof, octets + PUBLIC_NONCE_AT), RC_AUTH);
	assert_int_equal(report.failures, 66);
	assert_int_equal(report.first_failure, 1);
	assert_non_null(strstr(report.finding, "entry 1: its SPI is not derived"));
}

static void every_bit_of_a_proof_counts(void **state)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE];

	assert_int_equal(epoch(), RC_OK);
	value(1, octets, proof);
	for (size_t bit = 0; bit < 8 * sizeof proof; bit += 3) {
		proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_AUTH);
		proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(ike(2, "initiator", proof, octets + PUBLIC_SPI_AT), RC_AUTH); /* another count */
	assert_int_equal(ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_OK);
	assert_int_equal(ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_AUTH); /* a second time */
	assert_int_equal(enter(LEDGER_IKE_SA_UP, &(struct field){ NULL, NULL }), RC_AUTH);
	assert_int_equal(report.entries_unproved, 1);
}

static void keys_are_held_to_their_word(void **state)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE];
	static const uint8_t other_seed[VRF_SEED_SIZE] = { 8 };
	struct vrf_key other, mixed;

	value(1, octets, proof);
	assert_int_equal(
		ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_AUTH); /* not announced before */
	assert_int_equal(epoch_end(1), RC_AUTH);
	assert_int_equal(epoch(), RC_OK);
	assert_int_equal(epoch(), RC_AUTH);
	value(9, octets, proof);
	assert_int_equal(child(9, proof, octets + PUBLIC_SPI_AT), RC_OK);
	assert_int_equal(epoch_end(8), RC_AUTH);	  /* it claims fewer than were used */
	assert_int_equal(epoch_end(1ull << 50), RC_AUTH); /* nobody makes so many, nor recomputes them */
	assert_int_equal(vrf_key_make(&other, other_seed), RC_OK);
	mixed = key;
	memcpy(key.scalar, other.scalar, sizeof key.scalar);
	assert_int_equal(epoch_end(9), RC_AUTH); /* another scalar than the one behind the key */
	key = mixed;
	assert_int_equal(epoch_end(9), RC_OK);
	assert_int_equal(epoch_end(9), RC_AUTH);
	value(10, octets, proof);
	assert_int_equal(child(10, proof, octets + PUBLIC_SPI_AT), RC_AUTH); /* behind the end */
}

static enum rc failed(const char *counts)
{
	char hex[2 * VRF_PUBLIC_SIZE + 1];
	const struct field fields[] = { { "key", hex }, { "counts", counts }, { NULL, NULL } };

	hex_from_bytes(hex, key.public_key, sizeof key.public_key);
	return enter(LEDGER_EXCHANGE_FAILED, fields);
}

static enum rc ike_of(uint64_t count)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE];

	value(count, octets, proof);
	return ike(count, "initiator", proof, octets + PUBLIC_SPI_AT);
}

static void ranges_of_values(void **state)
{
	static const char *const malformed[] = { "0", "91 92", "92 91", "93-93", "95-94", "91,93", " 91",
		"91 ", "091", "-91", "91-", "5000000", "4294967297", "91-92-93", "x" };

	assert_int_equal(failed("1"), RC_AUTH); /* not announced before */
	assert_int_equal(epoch(), RC_OK);
	for (size_t i = 0; i < COUNT_OF(malformed); i++)
		if (failed(malformed[i]) != RC_AUTH)
			fail_msg("%s", malformed[i]);
}

/* What came to nothing is said, once and for all; what is neither named nor said is counted. */
static void what_came_to_nothing_is_said(void **state)
{
	assert_int_equal(epoch(), RC_OK);
	assert_int_equal(enter(LEDGER_EXCHANGE_FAILED, &(struct field){ NULL, NULL }), RC_OK);
	assert_int_equal(ike_of(1), RC_OK);
	assert_int_equal(failed("2 4-7"), RC_OK);
	assert_int_equal(ike_of(5), RC_AUTH);
	assert_non_null(
		strstr(report.finding, "value 5 was used by an exchange that failed, by an earlier entry"));
	assert_int_equal(ike_of(3), RC_OK);
	assert_int_equal(failed("3"), RC_OK); /* its receipt was lost: the entry stands all the same */
	assert_int_equal(epoch_end(6), RC_AUTH);
	assert_int_equal(epoch_end(8), RC_OK);
	assert_int_equal(failed("9"), RC_AUTH);
	randomness_end(checker);
	assert_int_equal(report.values_failed, 5);
	assert_int_equal(report.values_unnamed, 6);
	assert_int_equal(report.values_unaccounted, 0); /* value 8 may still be on its way */
	report.failures = 0;
	assert_null(randomness_weak(&report, false));
	minute = 5;
	assert_int_equal(enter(LEDGER_EXCHANGE_FAILED, &(struct field){ NULL, NULL }), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.values_unaccounted, 1);
	assert_non_null(strstr(randomness_weak(&report, false), "no entry accounts for"));
}

/* A keeper that names its values in blocks of sixteen, each in an order of its own: four bits a value. */
static void order_that_says_something(void **state)
{
	static const uint8_t block[16] = { 11, 3, 7, 0, 14, 9, 2, 13, 5, 8, 1, 15, 6, 12, 4, 10 };
	char text[RANDOMNESS_TEXT_MAX];

	assert_int_equal(epoch(), RC_OK);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(ike_of(i / 16 * 16 + block[i % 16] + 1), RC_OK);
	assert_int_equal(epoch_end(64), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.failures, 0);
	assert_int_equal(report.order.named, 64);
	assert_int_equal(report.order.late, 4 * 13);
	assert_int_equal(report.order.distance, 15);
	assert_non_null(strstr(randomness_weak(&report, false), "out of order"));
	assert_true(randomness_report_text(&report, (struct randomness_asked){ 0 }, text, sizeof text) > 0);
	assert_non_null(strstr(text, "52 of 64 exchanges were named after a later one, at most 15 entries"));
	assert_non_null(strstr(text, "Less is proved than was asked for"));
	/* 4 * log2(16!) bits were in it: the bound holds, and is not far off. */
	double bits = order_bits(64, report.order.late, report.order.distance, 0);
	assert_true(bits >= 4 * 44.25 && bits < 2 * 4 * 44.25);
}

/* Who gives a policy asks for challenges by its quorum: none at all is less than that, one is what there is.
 */
static void a_policy_that_nobody_met(void **state)
{
	report.leaves = (struct leaves_report){ .batches = 3, .weak = 3 };
	assert_null(randomness_weak(&report, false));
	assert_non_null(strstr(randomness_weak(&report, true),
		"no challenge of ephemeral keys is derived from cosignatures"));
	report.leaves.cosigned = 1;
	assert_null(randomness_weak(&report, true));
	report.leaves = (struct leaves_report){ 0 }; /* nothing was opened yet */
	assert_null(randomness_weak(&report, true));
}

/* A few exchanges that overlap are what a gateway has. */
static void some_overlap(void **state)
{
	assert_int_equal(epoch(), RC_OK);
	for (unsigned i = 1; i <= 64; i++)
		assert_int_equal(ike_of(i == 9		    ? 10
					 : i == 10	    ? 9
					 : i == 33	    ? 36
					 : i > 33 && i < 37 ? i - 1
							    : i),
			RC_OK);
	randomness_end(checker);
	assert_int_equal(report.order.late, 4);
	assert_int_equal(report.order.distance, 3);
	assert_null(randomness_weak(&report, false));
}

static void no_exchange_lasts_so_long(void **state)
{
	assert_int_equal(epoch(), RC_OK);
	assert_int_equal(ike_of(PUBLIC_ORDER_WINDOW + 2), RC_OK);
	assert_int_equal(ike_of(2), RC_OK);
	assert_int_equal(ike_of(1), RC_AUTH);
	assert_non_null(strstr(
		report.finding, "value 1 is named after value 4098: at most 4096 values may lie between"));
}

/* A keeper may choose among values by leaving some out: how many it left out is said. */
static void values_that_were_left_out(void **state)
{
	uint8_t octets[PUBLIC_SIZE], proof[PUBLIC_PROOF_SIZE];

	assert_int_equal(epoch(), RC_OK);
	value(1, octets, proof);
	assert_int_equal(ike(1, "initiator", proof, octets + PUBLIC_SPI_AT), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.values_unnamed, 0);
	value(1000, octets, proof); /* the one of them that says what it wants to say */
	assert_int_equal(ike(1000, "responder", proof, octets + PUBLIC_SPI_AT), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.values_unnamed, 998);
	assert_int_equal(epoch_end(1003), RC_OK);
	randomness_end(checker);
	assert_int_equal(report.values_unnamed, 1001);
	assert_int_equal(report.failures, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(derived_values_are_good),
		T(another_spi_is_found),
		T(every_bit_of_a_proof_counts),
		T(keys_are_held_to_their_word),
		T(values_that_were_left_out),
		T(ranges_of_values),
		T(what_came_to_nothing_is_said),
		T(order_that_says_something),
		T(a_policy_that_nobody_met),
		T(some_overlap),
		T(no_exchange_lasts_so_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
