/*
 * Lines of the ledger, and bodies by themselves. A line is taken only in its one form: written again it is
 * the same. Behind an octet 00 the input is a text of a stranger that a body is made of: it must always
 * become one.
 */
#include "ledger/counters.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void stranger(const uint8_t *data, size_t n)
{
	char text[LEDGER_BODY_TEXT_MAX];
	enum ledger_type type = n ? (enum ledger_type)(data[0] % LEDGER_TYPE_COUNT) : LEDGER_LEDGER_OUTAGE;
	struct ledger_body b;
	size_t fields_n, used = n < sizeof text ? n : sizeof text - 1;
	const struct ledger_field *f = ledger_type_fields(type, &fields_n);

	memcpy(text, data, used);
	text[used] = '\0';
	ledger_body_begin(&b, type);
	for (size_t i = 0; i < fields_n; i++) {
		if (f[i].kind != LEDGER_NUMBER)
			ledger_body_str(&b, f[i].key, text);
		else
			ledger_body_u64(&b, f[i].key, used << (data[0] & 63));
	}
	size_t body_n = ledger_body_done(&b);
	assert(body_n > 0);
	enum rc rc = ledger_body_check(type, b.text, body_n, NULL);
	assert(rc == RC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct ledger_counters counters;
	char again[LEDGER_ENTRY_MAX];
	struct ledger_entry entry;
	struct err e = { 0 };
	uint64_t due;

	if (n > 1 && data[0] == 0) {
		stranger(data + 1, n - 1);
		return 0;
	}
	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++)
		ledger_body_check((enum ledger_type)t, (const char *)data, n, NULL);
	if (ledger_entry_parse(&entry, (const char *)data, n, &e) != RC_OK) {
		assert(e.text[0]);
		return 0;
	}
	size_t again_n = ledger_entry_text(again, &entry);
	assert(again_n == n && memcmp(again, data, n) == 0);
	size_t fields_n, value_n;
	const struct ledger_field *f = ledger_type_fields(entry.type, &fields_n);
	for (size_t i = 0; i < fields_n; i++) {
		const char *value = ledger_entry_field(&entry, f[i].key, &value_n);
		assert(value && value >= entry.body && value + value_n < entry.body + entry.body_n);
	}
	memset(&counters, 0, sizeof counters);
	ledger_counters_take(&counters, entry.source, entry.run, entry.n - 1);
	ledger_counters_follow(&counters, &entry, &due);
	return 0;
}
