/*
 * Entries for the ledger. A gate permits an act: a request waits for its receipt. The others are reports; the
 * shell's ledger client keeps them while the ledger is down and enters the gap.
 */
#include "keys/internal.h"

#include <stdio.h>

#include <assert.h>

const char *id_text(char *ret_text, uint8_t type, const uint8_t *data, size_t n)
{
	char address[ADDR_TEXT_MAX], plain[129];
	struct ip_addr a;

	if ((type == ID_IPV4 && n == 4) || (type == ID_IPV6 && n == 16)) {
		a = type == ID_IPV4 ? addr_v4(data) : addr_v6(data);
		snprintf(ret_text, KEYS_ID_TEXT_MAX, "address %s", addr_text(address, &a));
		return ret_text;
	}
	n = MIN_OF(n, sizeof plain - 1);
	for (size_t i = 0; i < n; i++)
		plain[i] = data[i] >= ' ' && data[i] < 127 ? (char)data[i] : '.';
	plain[n] = '\0';
	snprintf(ret_text, KEYS_ID_TEXT_MAX, "%s '%s'",
		type == ID_FQDN	    ? "fqdn"
		: type == ID_RFC822 ? "email"
		: type == ID_KEY_ID ? "key-id"
				    : "identity of another type",
		plain);
	return ret_text;
}

void entry_set_id(struct keys_entry *entry, uint8_t type, const uint8_t *id, size_t n)
{
	memset(entry->id, 0, sizeof entry->id);
	entry->id_type = type;
	entry->id_n = (uint8_t)MIN_OF(n, sizeof entry->id);
	memcpy(entry->id, id, entry->id_n);
}

void entry_from_ike_sa(struct keys_entry *ret_entry, enum keys_entry_kind kind,
	const struct keeper_ike_sa *sa, const char *reason)
{
	memset(ret_entry, 0, sizeof *ret_entry);
	ret_entry->kind = (uint32_t)kind;
	text_copy(ret_entry->reason, sizeof ret_entry->reason, reason ? reason : "");
	if (!sa)
		return;
	memcpy(ret_entry->peer, sa->peer.name, sizeof ret_entry->peer);
	memcpy(ret_entry->ike_spi_i, sa->spi_i, 8);
	memcpy(ret_entry->ike_spi_r, sa->spi_r, 8);
	ret_entry->role = (uint16_t)sa->role;
	ret_entry->proof = sa->proof;
	ret_entry->leaf = sa->leaf;
	ret_entry->method = sa->method;
	ret_entry->encr = sa->encr;
	ret_entry->encr_bits = sa->encr_bits;
	ret_entry->prf = sa->prf;
	ret_entry->dh_group = sa->dh_group;
	memcpy(ret_entry->additional, sa->additional.method, sizeof ret_entry->additional);
	ret_entry->ppk = sa->ppk;
	ret_entry->transcript = sa->transcript;
	ret_entry->local = sa->local;
	ret_entry->remote = sa->remote;
	entry_set_id(ret_entry, sa->id_type, sa->id, sa->id_n);
}

static enum rc append(struct keys *k, const struct keys_entry *entry, bool gate, uint64_t tag)
{
	struct keys_action a = { .kind = KEYS_APPEND, .tag = tag, .gate = gate };

	a.u.entry = *entry;
	return sink_emit(k, &a);
}

void journal_report(struct keys *k, const struct keys_entry *entry)
{
	append(k, entry, false, 0);
}

enum rc journal_gate(struct keys *k, const struct keys_entry *entry, struct pending *waiter, struct err *e)
{
	assert(waiter->stage == PENDING_RECEIPT && waiter->entry_tag == 0); /* one entry for a request */
	waiter->entry_tag = k->next_entry_tag++;
	waiter->stage = PENDING_RECEIPT;
	if (append(k, entry, true, waiter->entry_tag) == RC_OK)
		return RC_OK;
	return err_add(
		e, RC_DENIED, "the ledger is not running: nothing new is admitted without its receipt");
}

void journal_unused(struct keys *k, const struct public_proof *proof, const struct leaf_name *leaf)
{
	struct keys_action a = { .kind = KEYS_UNUSED };

	if (proof->count == 0)
		return;
	a.u.unused = (struct keys_unused){ .count = proof->count, .epoch = proof->epoch, .leaf = *leaf };
	sink_emit(k, &a);
}

void journal_refused(struct keys *k, const struct keeper_ike_sa *sa, const char *tunnel, const char *reason)
{
	struct keys_entry entry;

	k->refused++;
	for (size_t i = 0; i < COUNT_OF(k->refused_tags); i++) {
		if (k->refused_tags[i] != 0)
			continue;
		entry_from_ike_sa(&entry, KEYS_ENTRY_REFUSED, sa, reason);
		if (tunnel)
			text_copy(entry.tunnel, sizeof entry.tunnel, tunnel);
		k->refused_tags[i] = k->next_entry_tag++;
		/* No receipt comes for an entry that was not sent: its place is free again. */
		if (append(k, &entry, false, k->refused_tags[i]) != RC_OK)
			k->refused_tags[i] = 0;
		return;
	}
}

void journal_refused_receipt(struct keys *k, uint64_t tag)
{
	for (size_t i = 0; i < COUNT_OF(k->refused_tags); i++)
		if (tag != 0 && k->refused_tags[i] == tag)
			k->refused_tags[i] = 0;
}

void journal_auth_failed(struct keys *k, const struct keeper_ike_sa *sa, const char *peer, const char *reason)
{
	struct keys_entry entry;

	entry_from_ike_sa(&entry, KEYS_ENTRY_AUTH_FAILED, sa, reason);
	text_copy(entry.peer, sizeof entry.peer, peer);
	journal_report(k, &entry);
}
