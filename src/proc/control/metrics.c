/*
 * Measurements: export, which serves them, asks for tables of `show` as a client does, piece by piece and one at a time, but only for
 * those of METRICS_TABLES. Its question goes to the table's owner and the answer back; nothing is kept here. An owner that does not
 * answer is export's to notice: its next question takes the place of this one.
 */
#include "proc/control/control.h"

#include <stdio.h>

static void refuse(struct control *k, uint64_t tag, enum rc rc, const char *why)
{
	struct msg_result r = { .rc = rc };

	snprintf(r.text, sizeof r.text, "%s", why);
	ipc_send_METRICS_END(child_link(k->child, PROC_EXPORT), tag, &r);
}

void metrics_ask(struct control *k, uint64_t tag, const struct msg_show *q)
{
	struct msg_show to = { .table = q->table, .limit = q->limit, .from = q->from };

	k->metrics.tag = 0;
	if (q->table >= SHOW_COUNT || !(METRICS_TABLES >> q->table & 1)) {
		refuse(k, tag, RC_DENIED, "this table is not one of those for measurements");
		return;
	}
	enum proc owner = table_owner(q->table);
	uint64_t ours = k->next_tag++;
	enum rc rc = ipc_send_SHOW(child_link(k->child, owner), ours, &to);
	if (rc != RC_OK) {
		refuse(k, tag, RC_AGAIN, "the owner of the table is not running");
		return;
	}
	k->metrics.tag = ours;
	k->metrics.theirs = tag;
	k->metrics.owner = owner;
}

static bool is_ours(const struct control *k, enum proc peer, uint64_t tag)
{
	return k->metrics.tag != 0 && tag == k->metrics.tag && peer == k->metrics.owner;
}

bool metrics_row(struct control *k, enum proc peer, uint64_t tag, const struct msg_row *row)
{
	if (!is_ours(k, peer, tag))
		return false;
	if (row->n <= ROW_MAX)
		ipc_send_METRICS_ROW(child_link(k->child, PROC_EXPORT), k->metrics.theirs, row);
	return true;
}

bool metrics_end(struct control *k, enum proc peer, uint64_t tag, const struct msg_result *r)
{
	if (!is_ours(k, peer, tag))
		return false;
	k->metrics.tag = 0;
	ipc_send_METRICS_END(child_link(k->child, PROC_EXPORT), k->metrics.theirs, r);
	return true;
}

void metrics_owner_lost(struct control *k, enum proc peer)
{
	if (k->metrics.tag == 0 || peer != k->metrics.owner)
		return;
	k->metrics.tag = 0;
	refuse(k, k->metrics.theirs, RC_AGAIN, "the owner of the table ended before it answered");
}
