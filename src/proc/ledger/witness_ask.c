#include "proc/ledger/witness_ask.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

static void connection_ask(struct witness_peer *p, enum witness_poll_question q, uint64_t size)
{
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, WITNESS_POLL_WAIT_NS);
	if (ipc_send_WITNESS_CONNECT(child_link(w->shell->child, PROC_SUPERVISOR), tag, &p->configured->at) !=
		RC_OK)
		exchange_fail(&p->exchange, "the request could not be sent to the supervisor");
}

/* Through the courier. body NULL: a GET. */
static void courier_ask(struct witness_peer *p, enum witness_poll_question q, uint64_t size, const char *at,
	const void *body, size_t body_n)
{
	static struct msg_witness_ask m;
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, COURIER_WAIT_NS);
	p->exchange.sent =
		body_n + 1; /* more than nothing: at the deadline the answer is missing, not the connection */
	memset(&m, 0, sizeof m);
	snprintf(m.witness, sizeof m.witness, "%s", p->configured->name);
	snprintf(m.at, sizeof m.at, "%s", at);
	m.post = body != NULL;
	m.body_n = (uint32_t)body_n;
	if (body_n > sizeof m.body) {
		exchange_fail(&p->exchange, "the request is too long for the courier");
		return;
	}
	if (body)
		memcpy(m.body, body, body_n);
	if (ipc_send_WITNESS_ASK(child_link(w->shell->child, PROC_COURIER), tag, &m) != RC_OK)
		exchange_fail(&p->exchange, "the courier is not running; the supervisor will restart it");
}

/* Through IKE. message: the body of add-checkpoint, or PEER_WITNESS_ASK_SEEN. */
static void message_ask(
	struct witness_peer *p, enum witness_poll_question q, uint64_t size, const void *message, size_t n)
{
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, WITNESS_POLL_WAIT_NS);
	p->exchange.sent = n;
	if (!peers_message_send(&w->shell->peers, tag, p->configured->peer, PEER_MESSAGE_ASK, message, n))
		exchange_fail(
			&p->exchange, "the request is too long for IKE, or the ike process is not running");
}

static struct url url_of(const struct witness_peer *p)
{
	struct url u = { .address = p->configured->at.addr, .port = p->configured->at.port };

	addr_text(u.host, &u.address);
	return u;
}

void witness_ask_add(struct witness_peer *p)
{
	struct ledger_shell *s = p->all->shell;
	uint64_t size = ledger_published(s->log), old;
	static char body[WITNESS_BODY_MAX];
	struct merkle_proof proof = { 0 };
	struct url url = url_of(p);
	struct merkle_hash root;
	enum rc rc = RC_OK;
	size_t head_n;
	const char *head = ledger_head(s->log, &head_n);
	bool at_address = !witness_is_peer(p) && !witness_has_url(p);

	old = p->poll.old_known ? MIN_OF(p->poll.old, size) : size;
	if (old > 0 && old < size)
		rc = ledger_prove(s->log, old, &root, &proof);
	size_t body_n = rc == RC_OK && head_n <= sizeof p->sent
				? witness_request_text(body, sizeof body, old, &proof, head, head_n)
				: 0;
	p->exchange.request_n = 0;
	if (body_n > 0 && at_address)
		p->exchange.request_n = http_request_text(p->exchange.request, sizeof p->exchange.request,
			&url, "/add-checkpoint", "text/plain", body, body_n);
	if (body_n == 0 || (at_address && p->exchange.request_n == 0)) {
		witness_poll_failed(&p->poll,
			"the consistency proof from what it has seen cannot be made: a tile is missing",
			witnesses_heartbeat(p->all), witnesses_now(p->all));
		return;
	}
	memcpy(p->sent, head, head_n);
	p->sent_n = head_n;
	if (witness_is_peer(p))
		message_ask(p, WITNESS_POLL_ADD, size, body, body_n);
	else if (witness_has_url(p))
		courier_ask(p, WITNESS_POLL_ADD, size, "/add-checkpoint", body, body_n);
	else
		connection_ask(p, WITNESS_POLL_ADD, size);
}

void witness_ask_seen(struct witness_peer *p)
{
	struct ledger_shell *s = p->all->shell;
	char path[WITNESS_PATH_MAX];
	struct url url = url_of(p);

	if (witness_is_peer(p)) {
		message_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log), PEER_WITNESS_ASK_SEEN,
			sizeof PEER_WITNESS_ASK_SEEN - 1);
		return;
	}
	if (witness_has_url(p)) {
		courier_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log),
			witness_monitor_path(path, s->key.name), NULL, 0);
		return;
	}
	p->exchange.request_n = http_request_text(p->exchange.request, sizeof p->exchange.request, &url,
		witness_monitor_path(path, s->key.name), NULL, NULL, 0);
	connection_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log));
}
