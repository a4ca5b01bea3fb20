#include "ledger/entry.h"
#include "base/bytes.h"
#include "ledger/canonical.h"

#include <stdio.h>

size_t ledger_entry_text(char ret_text[LEDGER_ENTRY_MAX], const struct ledger_entry *entry)
{
	char boot[2 * LEDGER_BOOT_SIZE + 1];

	if ((entry->mono_us | entry->n) >> 53)
		return 0; /* not a number in JSON; neither is reached in a machine's life */
	int n = snprintf(ret_text, LEDGER_ENTRY_MAX,
		"{\"body\":%.*s,\"boot\":\"%s\",\"mono\":%llu,\"n\":%llu,\"run\":%lu,\"source\":\"%s\","
		"\"type\":\"%s\",\"utc\":\"%s\"}",
		(int)entry->body_n, entry->body, hex_from_bytes(boot, entry->boot, sizeof entry->boot),
		(unsigned long long)entry->mono_us, (unsigned long long)entry->n, (unsigned long)entry->run,
		entry->source, ledger_type_name(entry->type), entry->utc);
	return n > 0 && n < LEDGER_ENTRY_MAX ? (size_t)n : 0;
}

static bool text_copy(char *ret, size_t max, const struct canonical_text *t)
{
	if (t->n >= max || memchr(t->text, '\\', t->n))
		return false;
	memcpy(ret, t->text, t->n);
	ret[t->n] = '\0';
	return true;
}

enum rc ledger_entry_parse(struct ledger_entry *ret_entry, const char *text, size_t n, struct err *e)
{
	struct canonical c = canonical_over(text, n);
	struct canonical_text body, boot, source, type, utc;
	struct ledger_entry entry = { 0 };
	char boot_text[2 * LEDGER_BOOT_SIZE + 1];
	uint64_t run;

	canonical_char(&c, '{');
	canonical_key(&c, "body");
	canonical_object(&c, &body);
	canonical_char(&c, ',');
	canonical_key(&c, "boot");
	canonical_string(&c, &boot);
	canonical_char(&c, ',');
	canonical_key(&c, "mono");
	canonical_number(&c, &entry.mono_us);
	canonical_char(&c, ',');
	canonical_key(&c, "n");
	canonical_number(&c, &entry.n);
	canonical_char(&c, ',');
	canonical_key(&c, "run");
	canonical_number(&c, &run);
	canonical_char(&c, ',');
	canonical_key(&c, "source");
	canonical_string(&c, &source);
	canonical_char(&c, ',');
	canonical_key(&c, "type");
	canonical_string(&c, &type);
	canonical_char(&c, ',');
	canonical_key(&c, "utc");
	canonical_string(&c, &utc);
	canonical_char(&c, '}');
	if (!canonical_end(&c))
		return err_add(e, RC_MALFORMED,
			"malformed entry: it is not in canonical form from octet %zu on",
			(size_t)(c.at - text));
	if (n > LEDGER_ENTRY_MAX || run > UINT32_MAX || entry.n == 0 || (entry.mono_us | entry.n) >> 53)
		return err_add(e, RC_RANGE,
			"malformed entry: expected at most %d octets, n from 1 to 2^53 - 1, mono below 2^53, run below 2^32",
			LEDGER_ENTRY_MAX);
	entry.run = (uint32_t)run;
	if (!text_copy(boot_text, sizeof boot_text, &boot) ||
		!hex_to_bytes(entry.boot, sizeof entry.boot, boot_text) ||
		!text_copy(entry.source, sizeof entry.source, &source) ||
		!text_copy(entry.utc, sizeof entry.utc, &utc) || !utc_read(&entry.utc_us, entry.utc))
		return err_add(e, RC_MALFORMED,
			"malformed boot, source or utc: expected 32 hex digits, the name of a process, a time like "
			"2015-12-17T18:00:00.000000Z");
	for (const char *h = boot_text; *h; h++)
		if (*h >= 'A' && *h <= 'F')
			return err_add(e, RC_MALFORMED, "malformed boot: expected hex digits in lower case");
	entry.body = body.text;
	entry.body_n = body.n;
	entry.type = ledger_type_by_name(type.text, type.n);
	if (entry.type == LEDGER_TYPE_COUNT && ledger_word_good(type.text, type.n)) {
		*ret_entry = entry;
		return err_add(e, RC_UNSUPPORTED, "the entry's type '%.*s' is unknown to this version",
			(int)type.n, type.text);
	}
	if (entry.type == LEDGER_TYPE_COUNT)
		return err_add(e, RC_MALFORMED, "malformed entry: type '%.*s' is unknown",
			(int)MIN_OF(type.n, (size_t)40), type.text);
	if (!ledger_type_allowed(entry.type, entry.source))
		return err_add(e, RC_DENIED, "%s may not write entries of type %s", entry.source,
			ledger_type_name(entry.type));
	enum rc rc = ledger_body_check(entry.type, body.text, body.n, e);
	if (rc == RC_OK || rc == RC_UNSUPPORTED)
		*ret_entry = entry;
	return rc;
}

static bool value_of(const struct ledger_entry *entry, const char *key, struct ledger_value *ret)
{
	struct canonical c = canonical_over(entry->body, entry->body_n);

	*ret = (struct ledger_value){ 0 };
	canonical_char(&c, '{');
	while (ledger_body_next(&c, ret))
		if (ledger_value_named(ret, key))
			return true;
	return false;
}

const char *ledger_entry_field(const struct ledger_entry *entry, const char *key, size_t *ret_n)
{
	struct ledger_value v;

	if (!value_of(entry, key, &v))
		return NULL;
	*ret_n = v.value.n;
	return v.value.text;
}

bool ledger_entry_hex(const struct ledger_entry *entry, const char *key, void *ret_octets, size_t n)
{
	char digits[2 * LEDGER_HEX_MAX + 1];
	size_t text_n;
	const char *text = ledger_entry_field(entry, key, &text_n);

	if (!text || n > LEDGER_HEX_MAX || text_n != 2 * n)
		return false;
	memcpy(digits, text, text_n);
	digits[text_n] = '\0';
	return hex_to_bytes(ret_octets, n, digits);
}

uint64_t ledger_entry_number(const struct ledger_entry *entry, const char *key)
{
	struct ledger_value v;
	uint64_t number = 0;

	if (!value_of(entry, key, &v))
		return 0;
	struct canonical c = canonical_over(v.whole.text, v.whole.n);
	canonical_number(&c, &number);
	return number;
}
