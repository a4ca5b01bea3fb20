#include "proc/ledger/own_entry.h"
#include "base/log.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

enum rc own_entry_line(struct ledger_shell *s, struct ledger_entry *entry, uint64_t *ret_index)
{
	char text[LEDGER_ENTRY_MAX];

	memcpy(entry->boot, s->child->start.boot_id, sizeof entry->boot);
	entry->mono_us = MAX_OF(clock_mono() / 1000, s->last_mono_us);
	s->last_mono_us = entry->mono_us;
	utc_text(entry->utc, clock_utc());
	size_t n = ledger_entry_text(text, entry);
	return n == 0 ? RC_RANGE : ledger_add(s->log, text, n, ret_index);
}

enum rc own_entry_add(struct ledger_shell *s, struct ledger_body *b)
{
	struct ledger_entry entry = {
		.type = b->type, .run = s->child->ledger.run, .n = s->own_n + 1, .body = b->text
	};
	uint64_t index, due;

	entry.body_n = ledger_body_done(b);
	snprintf(entry.source, sizeof entry.source, "%s", proc_name(PROC_LEDGER));
	enum rc rc = entry.body_n ? own_entry_line(s, &entry, &index) : RC_INTERNAL;
	if (rc != RC_OK) {
		log_error("the ledger's own entry %s was not entered: %s", ledger_type_name(b->type),
			rc_text(rc));
		return rc;
	}
	s->own_n++;
	if (!ledger_counters_follow(&s->counters, &entry, &due))
		log_error(
			"the ledger's own entry %s does not continue its counter", ledger_type_name(b->type));
	return RC_OK;
}

enum rc own_entry_gap(struct ledger_shell *s, enum proc source, uint32_t run, uint64_t first, uint64_t last,
	const char *why)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_COUNTER_GAP);
	ledger_body_u64(&b, "first", first);
	ledger_body_u64(&b, "last", last);
	ledger_body_str(&b, "reason", why);
	ledger_body_u64(&b, "run", run);
	ledger_body_str(&b, "source", proc_name(source));
	return own_entry_add(s, &b);
}

enum rc own_entry_seal_epoch(struct ledger_shell *s, const struct merkle_hash *root)
{
	char hex[2 * SHA256_SIZE + 1];
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, root->b, sizeof root->b));
	return own_entry_add(s, &b);
}

enum rc own_entry_recovery(struct ledger_shell *s)
{
	const struct recovery *r = &s->recovery;
	char hex[2 * SHA256_SIZE + 1], note[LEDGER_BODY_TEXT_MAX / 4] = "";
	struct ledger_body b;

	/* Whole or not at all: a text is cut at this length, and each line feed is written as two octets. */
	size_t lines = 0;
	for (size_t i = 0; i < r->seen.note_n; i++)
		lines += r->seen.note[i] == '\n';
	if (r->seen.note_n + lines < sizeof note)
		snprintf(note, sizeof note, "%.*s", (int)r->seen.note_n, r->seen.note);

	ledger_body_begin(&b, LEDGER_LEDGER_RECOVERY);
	ledger_body_str(&b, "archive", r->archive);
	ledger_body_str(&b, "disk_root", hex_from_bytes(hex, r->root.b, sizeof r->root.b));
	ledger_body_u64(&b, "disk_size", r->size);
	ledger_body_str(&b, "origin", r->origin);
	ledger_body_str(&b, "seen_note", note);
	ledger_body_str(&b, "seen_root",
		hex_from_bytes(hex, r->seen.checkpoint.root.b, sizeof r->seen.checkpoint.root.b));
	ledger_body_u64(&b, "seen_size", r->seen.checkpoint.size);
	ledger_body_u64(&b, "seen_time", r->seen.time_s);
	ledger_body_str(&b, "witness", r->seen.witness);
	return own_entry_add(s, &b);
}

enum rc own_entry_counters(struct ledger_shell *s)
{
	char text[LEDGER_COUNTERS_TEXT_MAX];
	struct ledger_body b;

	ledger_counters_text(&s->counters, text);
	ledger_body_begin(&b, LEDGER_COUNTERS);
	ledger_body_str(&b, "last", text);
	enum rc rc = own_entry_add(s, &b);
	s->stating = rc == RC_OK;
	return rc;
}
