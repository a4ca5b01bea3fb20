/*
 * Requests that another process answers. `show` goes to the table's owner at once; an action (clear, ike,
 * trace) is entered in the ledger first and goes to its owner when the receipt is there. Rows come back under
 * the tag that control gave the request, and only from the owner that was asked. A table comes in pieces
 * (ipc/rows.h): the next one is asked for when its client has read the last. An owner that sends more than a
 * client reads all the same (a trace) is held back by not reading from it, for a bounded time.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "ipc/capture_ring.h"
#include "proc/control/limits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const act_names[] = {
	[CLI_CLEAR_SESSIONS] = "clear sessions",
	[CLI_CLEAR_HIT_COUNT] = "clear hit-count",
	[CLI_TRACE] = "trace",
	[CLI_CAPTURE] = "capture",
	[CLI_IKE] = "ike",
	[CLI_CONFIRM] = "confirm",
};

static const char *const ike_names[] = {
	[IKE_INITIATE] = "initiate",
	[IKE_REKEY_IKE] = "rekey",
	[IKE_REKEY_CHILD] = "rekey-child",
	[IKE_TERMINATE] = "terminate",
	[IKE_REAUTHENTICATE] = "reauthenticate",
	[IKE_REDIRECT] = "redirect",
};

/* The owner was asked, or the client is told that it is not running. */
static void asked(struct client *c, enum client_work work, enum proc owner, enum rc rc, mono_ns wait)
{
	if (rc) {
		client_end(c, RC_AGAIN, 0, "%s is not running (%s); the supervisor will restart it",
			proc_name(owner), rc_text(rc));
		return;
	}
	c->work = work;
	c->owner = owner;
	c->deadline = wait ? c->control->child->loop.now + wait : 0;
}

/* The next piece of the client's table, when it has taken the last one. */
static void ask_piece(struct client *c)
{
	struct control *k = c->control;
	struct msg_show q = c->request.show;
	enum proc owner = table_owner(q.table);

	if (c->port.link.waiting_bytes > PAUSE_BYTES) {
		if (c->work != CLIENT_PAUSED)
			c->deadline = k->child->loop.now + PAUSE_MAX_NS;
		c->work = CLIENT_PAUSED;
		return;
	}
	assert(owner != PROC_COUNT);
	q.from = c->next;
	q.limit = q.limit ? q.limit - c->rows : 0;
	c->tag = k->next_tag++;
	asked(c, CLIENT_RELAY, owner, ipc_send_SHOW(child_link(k->child, owner), c->tag, &q), OWNER_WAIT_NS);
}

void relay_resume(struct client *c)
{
	if (c->work == CLIENT_PAUSED)
		ask_piece(c);
}

void relay_show(struct client *c)
{
	if (table_owner(c->request.show.table) == PROC_COUNT) {
		client_end(c, RC_NOT_FOUND, 0, "no such table: %u", c->request.show.table);
		return;
	}
	if (c->request.show.table == SHOW_COMMITS || c->request.show.table == SHOW_PROPOSALS) {
		(c->request.show.table == SHOW_COMMITS ? history_show : proposals_show)(c);
		return;
	}
	if (c->request.show.table == SHOW_USERS) {
		sessions_show(c);
		return;
	}
	if (c->request.show.table == SHOW_ADMINISTRATORS) {
		administrators_show(c);
		return;
	}
	c->next = 0;
	c->rows = 0;
	ask_piece(c);
}

/* ---- acts ---- */

static void act_now(struct client *c)
{
	struct control *k = c->control;
	const struct msg_cli_request *q = &c->request;
	struct msg_ike_command ike = { .command = q->ike_command };
	struct msg_capture capture = { 0 };

	c->tag = k->next_tag++;
	switch (q->command) {
	case CLI_CONFIRM:
		confirm_now(c);
		break;
	case CLI_CLEAR_SESSIONS:
		asked(c, CLIENT_RELAY, PROC_DATAPLANE,
			ipc_send_CLEAR_SESSIONS(
				child_link(k->child, PROC_DATAPLANE), c->tag, &q->show.filter),
			OWNER_WAIT_NS);
		break;
	case CLI_CLEAR_HIT_COUNT:
		asked(c, CLIENT_RELAY, PROC_DATAPLANE,
			ipc_send_CLEAR_HIT_COUNT(
				child_link(k->child, PROC_DATAPLANE), c->tag, &(struct msg_empty){ 0 }),
			OWNER_WAIT_NS);
		break;
	case CLI_TRACE:
		asked(c, CLIENT_TRACE, PROC_DATAPLANE,
			ipc_send_TRACE(child_link(k->child, PROC_DATAPLANE), c->tag, &q->packets), 0);
		break;
	case CLI_CAPTURE:
		capture.packets = q->packets;
		capture.stages = q->stages;
		asked(c, CLIENT_CAPTURE, PROC_DATAPLANE,
			ipc_send_CAPTURE(child_link(k->child, PROC_DATAPLANE), c->tag, &capture, c->memory),
			0);
		client_memory_forget(c);
		break;
	default:
		memcpy(ike.name, q->name, sizeof ike.name);
		memcpy(ike.gateway, q->comment, sizeof ike.gateway);
		asked(c, CLIENT_RELAY, PROC_IKE,
			ipc_send_IKE_COMMAND(child_link(k->child, PROC_IKE), c->tag, &ike), IKE_WAIT_NS);
	}
}

static void on_act_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct child *child = context;
	struct client *c = client_by_tag(child->context, cookie, CLIENT_ENTRY);

	if (!c)
		return; /* it disconnected: the action is aborted already */
	if (r->rc == RC_OK) {
		act_now(c);
		return;
	}
	entry_admin_act_aborted(c->control, c, r->text);
	client_end(c, RC_DENIED, 0, "%s, so the action was aborted: %.*s",
		r->rc == RC_AGAIN ? "the witnesses did not cosign it" : "the ledger did not enter it",
		(int)sizeof r->text, r->text);
}

static bool in_progress(const struct control *k, enum client_work work)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (k->clients[i].work == work)
			return true;
	}
	return false;
}

/* "received sent: --src 10.1.0.2", and how many. */
static const char *capture_detail(char *ret_text, size_t size, const struct msg_cli_request *q)
{
	static const char *const words[] = {
#define E(id, word) [CAPTURE_##id] = word,
		CAPTURE_STAGES(E)
#undef E
	};
	char filters[PACKET_FILTERS_TEXT_MAX];
	size_t n = 0;

	for (unsigned i = 0; i < CAPTURE_STAGES_N; i++)
		if (q->stages & 1u << i)
			n += (size_t)snprintf(ret_text + n, size - n, "%s%s", n ? " " : "", words[i]);
	snprintf(ret_text + n, size - n, ": %s", packet_filters_text(filters, &q->packets));
	return ret_text;
}

/* Then it has its memory, too. */
static bool capture_is_sound(struct client *c)
{
	const struct msg_cli_request *q = &c->request;
	struct err e = { 0 };

	if (in_progress(c->control, CLIENT_CAPTURE)) {
		client_end(c, RC_AGAIN, 0, "another capture is in progress");
		return false;
	}
	if (q->stages == 0 || q->stages >> CAPTURE_STAGES_N) {
		client_end(c, RC_MALFORMED, 0, "malformed request: expected stages of a capture");
		return false;
	}
	if (client_memory_give(c, sizeof(struct capture_memory), &e) != RC_OK) {
		client_end(c, e.rc, 0, "%s", e.text);
		return false;
	}
	return true;
}

void relay_act(struct client *c)
{
	struct control *k = c->control;
	const struct msg_cli_request *q = &c->request;
	char detail[PACKET_FILTERS_TEXT_MAX + 64];
	_Static_assert(sizeof detail >= SESSION_FILTER_TEXT_MAX, "either fits");
	struct err e = { 0 };
	enum rc rc;

	if (q->command == CLI_IKE && q->ike_command >= COUNT_OF(ike_names)) {
		client_end(c, RC_MALFORMED, 0, "malformed request: expected a known IKE command, found %u",
			q->ike_command);
		return;
	}
	if (session_filter_check(&q->show.filter, &e) || packet_filters_check(&q->packets, &e)) {
		client_end(c, e.rc, 0, "%s", e.text);
		return;
	}
	if (q->command == CLI_CAPTURE && !capture_is_sound(c))
		return;
	if (q->command == CLI_TRACE && (in_progress(k, CLIENT_TRACE) || q->packets.count == 0)) {
		client_end(c, RC_AGAIN, 0, "%s",
			in_progress(k, CLIENT_TRACE) ? "another trace is in progress"
						     : "a trace of 0 packets: expected at least 1");
		return;
	}
	if (q->command == CLI_CONFIRM && !k->unconfirmed.pending) {
		client_end(c, RC_NOT_FOUND, 0, "no commit is waiting to be confirmed");
		return;
	}
	c->generation = k->running.generation;
	if (q->command == CLI_CONFIRM)
		snprintf(detail, sizeof detail, "generation %llu", (unsigned long long)c->generation);
	else if (q->command == CLI_IKE)
		snprintf(detail, sizeof detail, "%s %s%s%.255s", ike_names[q->ike_command], q->name,
			q->ike_command == IKE_REDIRECT ? " to " : "",
			q->ike_command == IKE_REDIRECT ? q->comment : "");
	else if (q->command == CLI_CAPTURE)
		capture_detail(detail, sizeof detail, q);
	else if (q->command == CLI_TRACE)
		packet_filters_text(detail, &q->packets);
	else
		session_filter_text(detail, &q->show.filter);
	c->tag = k->next_tag++;
	c->work = CLIENT_ENTRY;
	rc = entry_admin_act(k, c, act_names[q->command], detail, on_act_receipt);
	if (rc)
		client_end(c, RC_DENIED, 0, "the ledger is not running, so the action was aborted");
}

void relay_forget(struct client *c)
{
	struct packet_filters stop = { .count = 0 };

	if (c->work == CLIENT_ENTRY)
		entry_admin_act_aborted(c->control, c, "the client disconnected");
	if (c->work == CLIENT_CAPTURE)
		ipc_send_CAPTURE_END(
			child_link(c->control->child, PROC_DATAPLANE), c->tag, &(struct msg_empty){ 0 });
	client_memory_forget(c);
	if (c->work == CLIENT_TRACE)
		ipc_send_TRACE(child_link(c->control->child, PROC_DATAPLANE), c->tag, &stop);
}

/* ---- answers ---- */

static void forward_row(
	struct control *k, enum proc peer, uint64_t tag, const struct msg_row *row, enum client_work work)
{
	struct client *c = client_by_tag(k, tag, work);

	if (!c || c->owner != peer || row->n > ROW_MAX)
		return;
	/* A trace ends with an empty line: all packets of the request have been traced. */
	if (work == CLIENT_TRACE && row->n == 0) {
		c->work = CLIENT_ENDED;
		client_end(c, RC_OK, 0, "done");
		return;
	}
	if (work == CLIENT_RELAY)
		c->deadline = k->child->loop.now + OWNER_WAIT_NS;
	client_row(c, row);
}

static void forward_end(struct control *k, enum proc peer, uint64_t tag, const struct msg_result *r)
{
	struct client *c = client_by_tag(k, tag, CLIENT_RELAY);
	uint32_t limit;

	if (!c || c->owner != peer)
		return;
	limit = c->request.show.limit;
	c->rows += r->count;
	if (c->request.command == CLI_SHOW && r->rc == RC_OK && r->next && r->next <= c->next) {
		/* The same piece again and again, as long as its client listens. */
		log_warn("aborting 'show': the answer of %s does not advance", proc_name(peer));
		client_end(c, RC_INTERNAL, c->rows,
			"the answer of %s does not advance, so the request was aborted", proc_name(peer));
		return;
	}
	c->next = r->next;
	if (c->request.command == CLI_SHOW && r->rc == RC_OK && r->next && (limit == 0 || c->rows < limit))
		ask_piece(c);
	else
		client_end(c, r->rc < RC_COUNT ? (enum rc)r->rc : RC_INTERNAL, c->rows, "%.*s",
			(int)sizeof r->text, r->text);
}

static void capture_ended(struct control *k, enum proc peer, uint64_t tag, const struct msg_result *r)
{
	struct client *c = client_by_tag(k, tag, CLIENT_CAPTURE);

	if (!c || c->owner != peer)
		return;
	c->work = CLIENT_ENDED;
	client_end(c, r->rc && r->rc < RC_COUNT ? (enum rc)r->rc : RC_INTERNAL, 0, "%.*s",
		(int)sizeof r->text, r->text);
}

void relay_message(struct control *k, enum proc peer, struct ipc_frame *f)
{
	switch (f->head.id) {
	case IPC_METRICS_ASK:
		metrics_ask(k, f->head.tag, &f->u.METRICS_ASK);
		break;
	case IPC_SHOW_ROW:
		if (!metrics_row(k, peer, f->head.tag, &f->u.SHOW_ROW))
			forward_row(k, peer, f->head.tag, &f->u.SHOW_ROW, CLIENT_RELAY);
		break;
	case IPC_TRACE_LINE:
		forward_row(k, peer, f->head.tag, &f->u.TRACE_LINE, CLIENT_TRACE);
		break;
	case IPC_CAPTURE_ENDED:
		capture_ended(k, peer, f->head.tag, &f->u.CAPTURE_ENDED);
		break;
	case IPC_SHOW_END:
		if (!metrics_end(k, peer, f->head.tag, &f->u.SHOW_END))
			forward_end(k, peer, f->head.tag, &f->u.SHOW_END);
		break;
	case IPC_CLEARED:
		forward_end(k, peer, f->head.tag, &f->u.CLEARED);
		break;
	case IPC_IKE_COMMANDED:
		forward_end(k, peer, f->head.tag, &f->u.IKE_COMMANDED);
		break;
	default:
		log_warn("ignoring message %s from %s: control does not expect it",
			ipc_name((enum ipc_id)f->head.id), proc_name(peer));
	}
}

void relay_owner_lost(struct control *k, enum proc peer)
{
	k->held[peer] = false;
	metrics_owner_lost(k, peer);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if ((c->work == CLIENT_RELAY || c->work == CLIENT_PAUSED || c->work == CLIENT_TRACE ||
			    c->work == CLIENT_CAPTURE) &&
			c->owner == peer) {
			c->work = CLIENT_ENDED;
			client_end(c, RC_AGAIN, 0,
				"%s ended before it answered; the supervisor will restart it",
				proc_name(peer));
		}
	}
}

/* ---- holding back ---- */

static bool client_is_full(struct client *c)
{
	return (c->work == CLIENT_RELAY || c->work == CLIENT_TRACE) &&
	       c->port.link.waiting_bytes > CLIENT_FULL_BYTES;
}

static void hold(struct control *k, enum proc owner, bool held)
{
	struct port *p = &k->child->ports[owner];

	if (k->held[owner] == held || !p->loop)
		return;
	k->held[owner] = held;
	if (held)
		loop_remove(&k->child->loop, &p->watch);
	else
		loop_add(&k->child->loop, &p->watch);
}

void relay_tick(struct control *k)
{
	bool full[PROC_COUNT] = { false };
	mono_ns now = k->child->loop.now;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if (!client_is_full(c)) {
			c->full_since = 0;
			continue;
		}
		if (c->full_since == 0)
			c->full_since = now;
		if (now - c->full_since < RELAY_HELD_MAX_NS) {
			full[c->owner] = true;
		} else {
			log_warn("closing client (uid %u), which is not reading", c->uid);
			relay_forget(c);
			c->work = CLIENT_ENDED;
			c->deadline = now;
		}
	}
	for (unsigned i = 0; i < PROC_COUNT; i++)
		hold(k, (enum proc)i, full[i]);
}
