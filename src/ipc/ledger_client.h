/*
 * A process's side of "receipt before act": appends entries to the ledger and says when they are durable.
 *
 * Two ways to append:
 *   LEDGER_GATE   the action waits for the receipt. Ledger down, full or silent: refused, at once or when the
 *                 link dies; the action must not happen.
 *   LEDGER_ASYNC  the action does not wait (a rekey of a tunnel already entered, a restart of a measured
 *                 process). Ledger down: the entry waits here, in order, and is sent when the link is back,
 *                 after a `ledger_outage` entry that states how many were entered late, how many found no
 *                 room, how many gates were refused and how many answers are unknown.
 *
 * Ledger full (RC_IO, RC_LIMIT, RC_AGAIN in a receipt): the refused number is used up, and the ledger enters
 * that. A LEDGER_ASYNC entry waits, and one of them is tried again each second, under a new number; when it is
 * taken the others follow, after a `ledger_outage` that counts them.
 *
 * Each entry that is sent gets the next number n of this source, from 1, without gaps. A LEDGER_ASYNC entry
 * whose receipt was lost with the link is sent again under its old n: the ledger answers RC_EXISTS when it has
 * it already, which counts as entered. A LEDGER_GATE is not sent again: its action did not happen.
 */
#ifndef IPC_LEDGER_CLIENT_H
#define IPC_LEDGER_CLIENT_H

#include "base/clock.h"
#include "ipc/link.h"

enum ledger_mode { LEDGER_GATE, LEDGER_ASYNC };

#define LEDGER_PENDING_MAX  1024
#define LEDGER_GATE_WAIT_NS (5 * NS_PER_S) /* a gate without an answer is refused after that */
#define LEDGER_PROBE_NS	    NS_PER_S	   /* between two tries of a ledger that is full */

/* rc RC_OK: entered at r->index. Else refused, r->text says why. context and cookie are the appender's. */
typedef void ledger_receipt_fn(void *context, uint64_t cookie, const struct msg_ledger_receipt *r);

struct ledger_pending;

struct ledger_client {
	struct ipc_link *link; /* to the ledger; may be down */
	uint16_t gap_type;     /* enum ledger_type of the gap entry */
	uint64_t next_n, next_tag;
	struct ledger_pending *first, *last;
	size_t pending_n;
	uint64_t late, lost, refused, unknown; /* since the link went down */
	bool broken;			       /* the link went down and the gap is not stated yet */
	bool resend;			       /* some wait that were sent over an older link */
	bool full;			       /* the ledger had no room for a LEDGER_ASYNC one */
	mono_ns probe_at;		       /* when the next one is tried */
	char why[128];			       /* the ledger's reason */
	uint32_t run;			       /* starts of this process before this one, in this boot */
};

void ledger_client_init(struct ledger_client *c, struct ipc_link *link, uint16_t gap_type);
void ledger_client_done(struct ledger_client *c); /* forgets what is pending, without calls */

/*
 * body: the canonical JSON object of the type's fields. fn may be NULL for LEDGER_ASYNC. now: clock_mono().
 * RC_OK: fn will be called once, later. RC_DENIED: refused at once (LEDGER_GATE), fn will not be called.
 * RC_LIMIT: too long, or no room to wait (LEDGER_ASYNC; counted in the gap).
 */
enum rc ledger_append(struct ledger_client *c, enum ledger_mode mode, uint16_t type, const char *body,
	size_t body_n, ledger_receipt_fn *fn, void *context, uint64_t cookie, mono_ns now);

/* The link is up again: states the gap, sends what waited. */
void ledger_client_up(struct ledger_client *c, mono_ns now);
/* The link is gone: gates are refused now, the others wait. */
void ledger_client_down(struct ledger_client *c);
/* A LEDGER_RECEIPT frame; false when its tag is not one of ours. */
bool ledger_client_receipt(struct ledger_client *c, uint64_t tag, const struct msg_ledger_receipt *r);
/* Call about once a second: refuses gates that wait too long. */
void ledger_client_expire(struct ledger_client *c, mono_ns now);

#endif
