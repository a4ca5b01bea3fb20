/* Keys in the configuration: each of its type, each with the id that belongs to it. */
#include "base/bytes.h"
#include "merkle/note.h"
#include "witness/configured.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char witness[NOTE_VKEY_MAX], ledger[NOTE_VKEY_MAX];

static int setup(void **state)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE], seed[ED25519_SEED_SIZE] = { 5 };
	struct note_key key;

	ed25519_public(public_key, seed);
	if (note_key_make(&key, "witness.example/one", NOTE_COSIGNATURE_ED25519, public_key) != RC_OK)
		return 1;
	note_key_text(witness, &key);
	if (note_key_make(&key, "ledger.example", NOTE_ED25519, public_key) != RC_OK)
		return 1;
	note_key_text(ledger, &key);
	return 0;
}

static enum rc check(const char *witness_key, const char *ledger_key, struct err *e)
{
	struct snap_evidence v = { .count = 2, .cosign_count = 2 };

	for (size_t i = 0; i < 2; i++) {
		snprintf(v.witness[i].name, sizeof v.witness[i].name, "w%zu", i);
		snprintf(v.witness[i].key, sizeof v.witness[i].key, "%s", i ? witness_key : witness);
		snprintf(v.cosign[i].name, sizeof v.cosign[i].name, "c%zu", i);
		snprintf(v.cosign[i].key, sizeof v.cosign[i].key, "%s", i ? ledger_key : ledger);
	}
	err_clear(e);
	return configured_keys_check(&v, "site.conf", e);
}

static void each_key_is_of_its_type(void **state)
{
	struct err e;

	assert_int_equal(check(witness, ledger, &e), RC_OK);
	assert_int_equal(check(ledger, ledger, &e), RC_UNSUPPORTED);
	assert_non_null(strstr(e.text, "the key of witness 'w1' in site.conf"));
	assert_int_equal(check(witness, witness, &e), RC_UNSUPPORTED);
	assert_non_null(strstr(e.text, "the key of the ledger 'c1' to cosign in site.conf"));
}

static void each_id_belongs_to_its_key(void **state)
{
	char other[NOTE_VKEY_MAX];
	struct err e;

	snprintf(other, sizeof other, "%s", witness);
	other[0] = 'v'; /* the id is of the other name */
	assert_int_equal(check(other, ledger, &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "'w1'"));
	snprintf(other, sizeof other, "%s", ledger);
	other[0] = 'k';
	assert_int_equal(check(witness, other, &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "'c1'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_is_of_its_type),
		cmocka_unit_test(each_id_belongs_to_its_key),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
