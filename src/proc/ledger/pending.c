#include "proc/ledger/pending.h"
#include "base/log.h"
#include "proc/ledger/receipt.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

bool pending_act_required(const struct witnesses *w, enum ledger_type type)
{
	uint32_t bit = type == LEDGER_CONFIG_COMMIT	 ? REQUIRED_COMMIT
		       : type == LEDGER_WITNESSES_CHANGE ? REQUIRED_WITNESSES
		       : type == LEDGER_ADMIN_ACT	 ? REQUIRED_ACT
							 : 0;

	return (w->config.required & bit) != 0;
}

bool pending_act_add(
	struct witnesses *w, enum proc source, uint64_t tag, const struct msg_ledger_receipt *receipt)
{
	if (w->pending_n == PENDING_ACTS_MAX)
		return false;
	w->pending[w->pending_n++] = (struct pending_act){ .source = source,
		.tag = tag,
		.receipt = *receipt,
		.until = witnesses_now(w) + PENDING_ACT_WAIT_NS };
	for (size_t i = 0; i < w->n; i++)
		witness_poll_urge(&w->peer[i].poll);
	witnesses_wake(w);
	return true;
}

static unsigned cosigned_count(const struct witnesses *w, uint64_t size)
{
	const struct witness_poll *all[WITNESSES_MAX];

	for (size_t i = 0; i < w->n; i++)
		all[i] = &w->peer[i].poll;
	return witness_poll_count(all, w->n, size);
}

static const char *reason_of(const struct witness_poll *a)
{
	return a->error[0] ? a->error : "no answer";
}

/* "1 of 3 cosigned it; missing: two, three (connect: Connection refused)" */
static void missing_text(const struct witnesses *w, uint64_t size, char *ret_text, size_t room)
{
	bool told[WITNESSES_MAX] = { false };
	size_t n = (size_t)snprintf(
		ret_text, room, "%u of %u cosigned it; missing:", cosigned_count(w, size), w->config.quorum);
	const char *between = " ";

	for (size_t i = 0; i < w->n && n < room; i++) {
		const struct witness_poll *a = &w->peer[i].poll;
		if (told[i] || a->cosigned >= size)
			continue;
		for (size_t k = i; k < w->n && n < room; k++) {
			const struct witness_poll *b = &w->peer[k].poll;
			if (b->cosigned >= size || strcmp(reason_of(a), reason_of(b)) != 0)
				continue;
			told[k] = true;
			n += (size_t)snprintf(
				ret_text + n, room - n, "%s%s", between, w->peer[k].configured->name);
			between = ", ";
		}
		if (n < room)
			n += (size_t)snprintf(ret_text + n, room - n, " (%.60s)", reason_of(a));
	}
}

static void pending_act_end(struct witnesses *w, size_t i, enum rc rc, const char *why)
{
	struct pending_act h = w->pending[i];

	w->pending[i] = w->pending[--w->pending_n];
	h.receipt.rc = rc;
	snprintf(h.receipt.text, sizeof h.receipt.text, "%.*s", (int)sizeof h.receipt.text - 1, why);
	if (rc != RC_OK)
		log_warn("entry %llu of %s was not cosigned in time: %s", (unsigned long long)h.receipt.index,
			proc_name(h.source), why);
	receipt_send(w->shell, h.source, h.tag, &h.receipt);
}

void pending_acts_check(struct witnesses *w)
{
	char why[sizeof((struct msg_ledger_receipt *)0)->text];

	for (size_t i = w->pending_n; i-- > 0;) {
		const struct pending_act *h = &w->pending[i];
		uint64_t size = h->receipt.index + 1;
		if (w->config.quorum == 0 || cosigned_count(w, size) >= w->config.quorum) {
			pending_act_end(w, i, RC_OK, "");
		} else if (witnesses_now(w) >= h->until) {
			missing_text(w, size, why, sizeof why);
			pending_act_end(w, i, RC_AGAIN, why);
		}
	}
}

void pending_acts_fail(struct witnesses *w, const char *why)
{
	while (w->pending_n > 0)
		pending_act_end(w, w->pending_n - 1, RC_AGAIN, why);
}
