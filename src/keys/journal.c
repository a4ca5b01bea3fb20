/*
 * What the ledger is to know. A gate is an act's permission: a request waits for its receipt. The others are
 * reports; the shell's ledger client keeps them while the ledger is away and states the gap.
 */
#include "keys/internal.h"

static enum rc append(struct keys *k, const struct keys_entry *entry, bool gate, uint64_t tag)
{
	struct keys_action a = { .kind = KEYS_APPEND, .tag = tag, .gate = gate };

	a.u.entry = *entry;
	return keys_emit(k, &a);
}

void journal_later(struct keys *k, const struct keys_entry *entry)
{
	append(k, entry, false, 0);
}

enum rc journal_gate(struct keys *k, const struct keys_entry *entry, struct pending *waiter, struct err *e)
{
	waiter->entry_tag = k->next_entry_tag++;
	waiter->stage = PENDING_RECEIPT;
	if (append(k, entry, true, waiter->entry_tag) == RC_OK)
		return RC_OK;
	return err_add(e, RC_DENIED, "the ledger is down: nothing new is admitted without its receipt");
}

void journal_unused(struct keys *k, const struct public_proof *proof, const struct leaf_name *leaf)
{
	struct keys_action a = { .kind = KEYS_UNUSED };

	if (proof->count == 0)
		return;
	a.u.unused = (struct keys_unused){ .count = proof->count, .epoch = proof->epoch, .leaf = *leaf };
	keys_emit(k, &a);
}

void journal_refused(struct keys *k, const struct keeper_ike_sa *sa, const char *tunnel, const char *reason)
{
	struct keys_entry entry;

	k->refused++;
	for (size_t i = 0; i < COUNT_OF(k->refused_tags); i++) {
		if (k->refused_tags[i] != 0)
			continue;
		ike_entry(&entry, KEYS_ENTRY_REFUSED, sa, reason);
		if (tunnel)
			text_copy(entry.tunnel, sizeof entry.tunnel, tunnel);
		k->refused_tags[i] = k->next_entry_tag++;
		/* One that found no room has no receipt to come: its place is free again. */
		if (append(k, &entry, false, k->refused_tags[i]) != RC_OK)
			k->refused_tags[i] = 0;
		return;
	}
}

void journal_auth_failed(struct keys *k, const struct keeper_ike_sa *sa, const char *peer, const char *reason)
{
	struct keys_entry entry;

	ike_entry(&entry, KEYS_ENTRY_AUTH_FAILED, sa, reason);
	text_copy(entry.peer, sizeof entry.peer, peer);
	journal_later(k, &entry);
}

void keys_receipt(struct keys *k, uint64_t tag, enum rc rc, const char *text)
{
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT_OF(k->refused_tags); i++)
		if (tag != 0 && k->refused_tags[i] == tag)
			k->refused_tags[i] = 0;
	for (size_t i = 0; i < k->pending_n; i++) {
		struct pending *p = &k->pending[i];

		if (p->stage != PENDING_RECEIPT || p->entry_tag != tag)
			continue;
		if (rc != RC_OK)
			err_add(&e, RC_DENIED, "no receipt from the ledger: %s",
				text && text[0] ? text : rc_text(rc));
		pending_receipt(k, p, rc == RC_OK ? RC_OK : RC_DENIED, e.text);
		return;
	}
}
