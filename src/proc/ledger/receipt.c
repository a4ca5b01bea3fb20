#include "proc/ledger/receipt.h"
#include "base/log.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

void receipt_send(struct ledger_shell *s, enum proc to, uint64_t tag, const struct msg_ledger_receipt *r)
{
	enum rc rc = ipc_send_LEDGER_RECEIPT(child_link(s->child, to), tag, r);

	/* RC_IO: it has stopped, or it asks again when it is back. */
	if (rc != RC_OK && rc != RC_IO)
		log_warn("the receipt for %s could not be sent: %s", proc_name(to), rc_text(rc));
}

void receipt_refuse(struct ledger_shell *s, enum proc source, uint64_t tag, enum rc rc, const char *why)
{
	struct msg_ledger_receipt r = { .rc = (uint32_t)rc, .size = ledger_size(s->log) };

	snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, why);
	receipt_send(s, source, tag, &r);
}

void receipt_refuse_number(struct ledger_shell *s, enum proc source, uint64_t tag, uint32_t run, uint64_t n,
	enum rc rc, const char *why)
{
	struct refused *r = &s->refused[source];

	/* Of another run while refusals of the last one wait: the gap before the next entry will state those. */
	if (run != r->run || n > r->last) {
		r->run = run;
		r->last = n;
		snprintf(r->why, sizeof r->why, "refused: %.*s", (int)sizeof r->why - 10, why);
	}
	receipt_refuse(s, source, tag, rc, why);
}
