/*
 * Connections of the administrator's program. The kernel says who is at the other end (SO_PEERCRED); the
 * socket's mode says who may connect at all; what each may is decided before anything else (authorize.c). One
 * connection carries one request.
 */
#include "base/log.h"
#include "proc/control/control.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What it waited for is aborted; the slot is free when the port is closed. */
static void client_forget(struct client *c)
{
	relay_forget(c);
	commit_forget(c);
	session_forget(c);
	client_memory_forget(c);
	c->work = CLIENT_ENDED;
}

/* Not from inside on_frame of its own port: there client_fail() of answer.c. */
static void client_close(struct client *c)
{
	if (c->work == CLIENT_FREE)
		return;
	client_forget(c);
	port_close(&c->port);
	c->work = CLIENT_FREE;
}

static void answer_text(struct client *c, const char *text, size_t n, const char *which)
{
	struct err e = { 0 };

	if (client_memory_answer(c, text, n, &e))
		client_end(c, e.rc, 0, "%s", e.text);
	else
		client_end(c, RC_OK, (uint32_t)n, "%s", which);
	client_memory_forget(c);
}

/* The text of a proposal, and its statement as the answer. */
static void answer_proposal(struct client *c)
{
	char statement[SIGNED_STATEMENT_MAX], *text = NULL;
	struct err e = { 0 };
	size_t n = 0;

	if (proposals_read(c->control, c->request.rollback, statement, &text, &n, &e))
		client_end(c, e.rc, 0, "%s", e.text);
	else
		answer_text(c, text, n, statement);
	free(text);
}

static void answer_config(struct client *c)
{
	const struct control *k = c->control;
	struct err e = { 0 };
	char which[60], *text;
	size_t n;

	if (c->request.rollback == 0) {
		snprintf(which, sizeof which, "generation %llu", (unsigned long long)k->running.generation);
		answer_text(c, k->running.text, k->running.n, which);
	} else if (c->request.rollback > ROLLBACKS_MAX) {
		client_end(c, RC_RANGE, 0, "rollback %u: %d configurations are kept", c->request.rollback,
			ROLLBACKS_MAX);
	} else if (config_store_history_read(k->config_dir, c->request.rollback, &text, &n, &e)) {
		client_end(c, e.rc, 0, "there is no rollback %u: %s", c->request.rollback, e.text);
	} else {
		snprintf(which, sizeof which, "rollback %u", c->request.rollback);
		answer_text(c, text, n, which);
		free(text);
	}
}

/* It is permitted; texts are there. */
static void request_serve(struct client *c)
{
	switch (c->request.command) {
	case CLI_SHOW:
		relay_show(c);
		break;
	case CLI_CHECK:
		commit_check(c);
		break;
	case CLI_COMMIT:
		commit_begin(c);
		break;
	case CLI_CONFIG:
		answer_config(c);
		break;
	case CLI_PROPOSAL:
		answer_proposal(c);
		break;
	case CLI_SIGN:
		proposals_sign(c);
		break;
	case CLI_WITHDRAW:
		proposals_withdraw(c);
		break;
	case CLI_CLEAR_SESSIONS:
	case CLI_CAPTURE:
	case CLI_CLEAR_HIT_COUNT:
	case CLI_TRACE:
	case CLI_IKE:
	case CLI_CONFIRM:
		relay_act(c);
		break;
	default:
		client_end(c, RC_UNSUPPORTED, 0, "unknown request %u", c->request.command);
	}
}

/* A text comes before the request is served: the client writes it into memory that it is given. */
static void text_ask(struct client *c)
{
	struct err e = { 0 };

	if (c->request.bytes > CONFIG_TEXT_MAX)
		err_add(&e, RC_LIMIT, "the configuration has %llu bytes, at most %u are allowed",
			(unsigned long long)c->request.bytes, CONFIG_TEXT_MAX);
	else
		client_memory_give(c, c->request.bytes, &e);
	if (e.rc) {
		if (c->request.command == CLI_COMMIT)
			entry_config_refused(c->control, c, NULL, c->control->running.generation + 1, e.text);
		client_end(c, e.rc, 0, "%s", e.text);
		return;
	}
	c->work = CLIENT_FILLS;
	c->deadline = c->control->child->loop.now + CLIENT_WAIT_NS;
}

static void take_request(struct client *c, const struct msg_cli_request *q)
{
	c->request = *q;
	c->request.name[sizeof c->request.name - 1] = '\0';
	c->request.comment[sizeof c->request.comment - 1] = '\0';
	c->deadline = 0;
	if (q->command == CLI_LOGIN)
		session_begin(c);
	else if (!session_admits(c))
		client_end(c, RC_DENIED, 0, "this user comes by ssh, and has no session");
	else if (!authorize_request(c))
		return;
	else if (q->command == CLI_CHECK || q->command == CLI_COMMIT || q->command == CLI_SIGN)
		text_ask(c);
	else
		request_serve(c);
}

/* Another configuration may run by now, or its session be over. */
static void take_text(struct client *c)
{
	c->deadline = 0;
	if (!session_admits(c))
		client_end(c, RC_DENIED, 0, "this user comes by ssh, and has no session");
	else if (authorize_request(c))
		request_serve(c);
}

static void client_frame(struct port *p, struct ipc_frame *f)
{
	struct client *c = p->context;

	if (c->work == CLIENT_NEW && f->head.id == IPC_CLI_REQUEST)
		take_request(c, &f->u.CLI_REQUEST);
	else if (c->work == CLIENT_FILLS && f->head.id == IPC_CLI_FILLED)
		take_text(c);
	else
		port_end(p);
}

static void client_drained(struct port *p)
{
	relay_resume(p->context);
}

static void client_down(struct port *p, const struct err *why)
{
	struct client *c = p->context;

	if (why->rc != RC_IO)
		log_warn("client (uid %u): %s", c->uid, why->text);
	client_close(c);
}

/* Since when it is the client's turn: to ask, to take what waits for it, or to go. */
static int64_t turn_since(const struct client *c)
{
	return (int64_t)c->deadline - (int64_t)(c->work == CLIENT_PAUSED ? PAUSE_MAX_NS : CLIENT_WAIT_NS);
}

static unsigned clients_of(const struct control *k, uint32_t uid)
{
	unsigned n = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		n += k->clients[i].work != CLIENT_FREE && k->clients[i].uid == uid;
	return n;
}

/* Whether a is closed before b: one of the user with most connections, and of these the one whose turn it has
 * been for longest. */
static bool gives_way(const struct control *k, const struct client *a, const struct client *b)
{
	unsigned n_a = clients_of(k, a->uid), n_b = clients_of(k, b->uid);

	return n_a != n_b ? n_a > n_b : turn_since(a) < turn_since(b);
}

/* A free place, or that of a client that is closed for it. NULL: all wait for an answer. */
static struct client *place_for_client(struct control *k)
{
	struct client *idle = NULL;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if (c->work == CLIENT_FREE)
			return c;
		if (c->work != CLIENT_PAUSED && c->work != CLIENT_NEW && c->work != CLIENT_FILLS &&
			c->work != CLIENT_ENDED)
			continue;
		if (!idle || gives_way(k, c, idle))
			idle = c;
	}
	if (idle) {
		log_warn("closing client (uid %u), which asks nothing or is not reading: a new client needs "
			 "the connection",
			idle->uid);
		client_close(idle);
	}
	return idle;
}

static void accept_client(struct loop *l, struct watch *w, short revents)
{
	struct control *k = w->context;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who = { 0 };
	socklen_t n = sizeof who;
	struct client *c = NULL;

	if (fd < 0)
		return;
	bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0;
	if (known && ssh_uid_is_ours(who.uid) != (w == &k->listener_watch[LISTENER_SSH])) {
		log_warn("rejecting client (uid %u): it came by the socket of others", who.uid);
		close(fd);
		return;
	}
	c = place_for_client(k);
	if (!c || !known) {
		log_warn("rejecting client: %s",
			c ? "its user id is unknown" : "all connections are in use by requests");
		close(fd);
		return;
	}
	*c = (struct client){
		.control = k, .work = CLIENT_NEW, .uid = who.uid, .pid = (uint32_t)who.pid, .memory = -1
	};
	c->port.on_frame = client_frame;
	c->port.on_drained = client_drained;
	c->port.on_down = client_down;
	c->port.context = c;
	c->forget = client_forget;
	c->deadline = l->now + CLIENT_WAIT_NS;
	port_open(&c->port, l, fd, PROC_CONTROL, PROC_CLI);
	if (!k->tick.armed)
		loop_arm(l, &k->tick, TICK_NS, TICK_NS);
}

static void listener_close(struct control *k, unsigned which)
{
	if (k->listener[which] < 0)
		return;
	loop_remove(&k->child->loop, &k->listener_watch[which]);
	close(k->listener[which]);
	k->listener[which] = -1;
}

enum rc clients_listen(struct control *k, uint32_t which, int fd, struct err *e)
{
	if (which >= LISTENERS) {
		close(fd);
		return err_add(e, RC_RANGE, "there is no socket %u of the command line", which);
	}
	listener_close(k, which);
	k->listener[which] = fd;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	k->listener_watch[which] =
		(struct watch){ .fd = fd, .events = POLLIN, .fn = accept_client, .context = k };
	loop_add(&k->child->loop, &k->listener_watch[which]);
	return RC_OK;
}

void clients_done(struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_close(&k->clients[i]);
	for (unsigned i = 0; i < LISTENERS; i++)
		listener_close(k, i);
}

void clients_tick(struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if (c->work == CLIENT_FREE || c->deadline == 0 || k->child->loop.now < c->deadline)
			continue;
		if (c->work == CLIENT_RELAY)
			client_end(c, RC_AGAIN, 0, "%s did not answer in time", proc_name(c->owner));
		else
			client_close(c);
	}
}

bool clients_none(const struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (k->clients[i].work != CLIENT_FREE && k->clients[i].work != CLIENT_SESSION)
			return false;
	}
	return true;
}
