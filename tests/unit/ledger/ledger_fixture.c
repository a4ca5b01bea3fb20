#include "ledger_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const uint8_t fixture_seed[ED25519_SEED_SIZE] = "a seed of nobody's, for tests 1";

struct note_key fixture_key(void)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	struct note_key key;

	ed25519_public(public_key, fixture_seed);
	enum rc rc = note_key_make(&key, "plaingate/ledger/test", NOTE_ED25519, public_key);
	assert(rc == RC_OK);
	(void)rc;
	return key;
}

static void start_body(struct ledger_body *b)
{
	char vkey[NOTE_VKEY_MAX];
	struct note_key key = fixture_key();

	ledger_body_begin(b, LEDGER_LEDGER_START);
	ledger_body_str(b, "key", note_key_text(vkey, &key));
	ledger_body_str(b, "origin", key.name);
	ledger_body_u64(b, "recovered", 0);
	ledger_body_u64(b, "torn_bytes", 0);
}

size_t fixture_entry(char ret_text[LEDGER_ENTRY_MAX], uint64_t index, size_t extra)
{
	char why[LEDGER_BODY_TEXT_MAX / 4];
	struct ledger_body b;
	struct ledger_entry entry = { .mono_us = 1000 + index, .boot = { 0xb0, 0x07 } };

	if (index == 0) {
		start_body(&b);
		entry.n = 1;
	} else {
		memset(why, 'a' + (int)(index % 26), sizeof why);
		why[extra < sizeof why ? extra : sizeof why - 1] = '\0';
		ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
		ledger_body_u64(&b, "pid", index);
		ledger_body_str(&b, "process", "ike");
		ledger_body_str(&b, "reason", why);
		entry.n = index;
	}
	entry.type = b.type;
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	snprintf(entry.source, sizeof entry.source, "%s", index == 0 ? "ledger" : "supervisor");
	utc_text(entry.utc, 1450375200000000ull + index);
	size_t n = ledger_entry_text(ret_text, &entry);
	assert(entry.body_n > 0 && n > 0);
	return n;
}
