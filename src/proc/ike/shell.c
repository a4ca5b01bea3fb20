#include "proc/ike/shell.h"
#include "base/log.h"
#include "crypto/mlkem.h"
#include "ipc/rows.h"
#include "ipc/snapshot_file.h"
#include "ledger/types.h"

#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- actions of the core ---- */

static void keeper_ask(struct ike_shell *s, const struct keeper_request *q)
{
	struct ipc_link *l = child_link(s->child, PROC_KEEPER);
	enum rc rc = RC_INTERNAL;

	switch (q->op) {
#define E(id, request, reply, ike, child)                                                                    \
	case KEEPER_##id:                                                                                    \
		rc = ipc_send_##id(l, q->tag, &q->u.id);                                                     \
		break;
		KEEPER_OPS(E)
#undef E
	case KEEPER_OP_COUNT:
		break;
	}
	if (rc == RC_OK)
		return;
	if (rc != RC_IO) /* it is not running, which the supervisor has said */
		log_warn("the keeper did not take a request: %s", rc_text(rc));
	ike_input_keeper_untaken(s->core, s->child->loop.now, q, rc);
}

static void refusal_enter(struct ike_shell *s, const struct ike_refusal *r)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	struct ledger_body b;

	log_warn("refused %s (%s): %s%s%s%s%s", endpoint_text(remote, &r->remote),
		r->peer[0] ? r->peer : "no peer", r->reason, r->offered[0] ? "; offered " : "", r->offered,
		r->configured[0] ? "; configured " : "", r->configured);
	ledger_body_begin(&b, LEDGER_HANDSHAKE_REFUSED);
	ledger_body_str(&b, "configured", r->configured);
	ledger_body_str(&b, "id", r->id);
	ledger_body_u64(&b, "left_out", r->left_out);
	ledger_body_str(&b, "local", endpoint_text(local, &r->local));
	ledger_body_str(&b, "offered", r->offered);
	ledger_body_str(&b, "peer", r->peer);
	ledger_body_str(&b, "reason", r->reason);
	ledger_body_str(&b, "remote", endpoint_text(remote, &r->remote));
	size_t n = ledger_body_done(&b);
	if (n == 0 ||
		child_append(s->child, LEDGER_ASYNC, LEDGER_HANDSHAKE_REFUSED, b.text, n, NULL, 0) != RC_OK)
		log_error("a refused handshake could not be recorded in the ledger");
}

static void redirect_enter(struct ike_shell *s, const struct ike_action *a)
{
	char from[ENDPOINT_TEXT_MAX];
	struct ledger_body b;

	endpoint_text(from, &a->remote);
	log_warn("peer %s: %s redirects us to %s, and had %sauthenticated itself", a->redirected.peer, from,
		a->redirected.to, a->redirected.authenticated ? "" : "not ");
	ledger_body_begin(&b, LEDGER_IKE_REDIRECTED);
	ledger_body_u64(&b, "authenticated", a->redirected.authenticated);
	ledger_body_str(&b, "from", from);
	ledger_body_str(&b, "peer", a->redirected.peer);
	ledger_body_str(&b, "to", a->redirected.to);
	size_t n = ledger_body_done(&b);
	if (n == 0 ||
		child_append(s->child, LEDGER_ASYNC, LEDGER_IKE_REDIRECTED, b.text, n, NULL, 0) != RC_OK)
		log_error("a redirect could not be recorded in the ledger");
}

/* A message from a peer's ledger, for ours. */
static void peer_message_deliver(struct ike_shell *s, const struct ike_action *a)
{
	static struct msg_peer_message m;

	memset(&m, 0, sizeof m);
	m.kind = (uint16_t)a->message.kind;
	m.n = (uint16_t)a->n;
	memcpy(m.peer, a->message.peer, sizeof m.peer);
	memcpy(m.bytes, a->bytes, MIN_OF(a->n, sizeof m.bytes));
	ipc_send_PEER_MESSAGE(child_link(s->child, PROC_LEDGER), 0, &m);
}

/* One of our ledger's, for a peer's. If it cannot be sent now, the ledger is told at once. */
static void peer_message_send(struct ike_shell *s, uint64_t tag, const struct msg_peer_message *m)
{
	struct msg_result result = { 0 };
	char peer[NAME_MAX_BYTES + 1] = "";
	struct err e = { 0 };

	memcpy(peer, m->peer, sizeof m->peer);
	result.rc = (uint32_t)ike_input_peer_message(s->core, s->child->loop.now, peer,
		(enum ike_peer_message)m->kind, m->bytes, MIN_OF(m->n, sizeof m->bytes), &e);
	memcpy(result.text, e.text, sizeof result.text);
	ipc_send_PEER_MESSAGE_TAKEN(child_link(s->child, PROC_LEDGER), tag, &result);
}

static void action_do(struct ike_shell *s, const struct ike_action *a)
{
	struct ipc_link *dataplane = child_link(s->child, PROC_DATAPLANE);
	struct err e = { 0 };

	switch (a->kind) {
	case IKE_SEND:
	case IKE_KEEPALIVE:
		if (ike_socket_send(&s->sockets, &a->local, &a->remote, a->bytes, a->n, a->kind == IKE_SEND,
			    &e) != RC_OK &&
			(s->send_failures++ & 63) == 0)
			log_warn("%s (failure %llu)", e.text, (unsigned long long)s->send_failures);
		break;
	case IKE_ASK:
		keeper_ask(s, a->keeper);
		break;
	case IKE_REFUSED:
		refusal_enter(s, a->refusal);
		break;
	case IKE_REDIRECTED:
		redirect_enter(s, a);
		break;
	case IKE_LOG:
		log_kind(a->log.warning ? LOG_WARN : LOG_INFO, a->log.kind, "%s", a->log.text);
		break;
	case IKE_ACTIVATE:
		ipc_send_SA_ACTIVATE(dataplane, a->number, &a->sa);
		break;
	case IKE_PEER_MESSAGE:
		peer_message_deliver(s, a);
		break;
	case IKE_CERTIFY: /* what one of them is not told, the keeper misses */
		ipc_send_CERTIFY_ASK(child_link(s->child, PROC_CERTIFIER_OPENSSL), 0, a->certify);
		ipc_send_CERTIFY_ASK(child_link(s->child, PROC_CERTIFIER_GNUTLS), 0, a->certify);
		break;
	case IKE_RESOLVE: /* without a link: the resolver tells everything with the next one */
		ipc_send_PEER_NAME_ASK(child_link(s->child, PROC_RESOLVER), 0, &a->resolve);
		break;
	case IKE_ENDPOINT:
		ipc_send_SA_ENDPOINT(dataplane, 0, &a->endpoint);
		break;
	}
}

/* After each event: the actions that it caused, and the timer for the next deadline. */
static void settle(struct ike_shell *s)
{
	const struct ike_action *a;

	while ((a = ike_action_next(s->core)) != NULL)
		action_do(s, a);
	mono_ns deadline = ike_deadline(s->core), now = s->child->loop.now;
	if (deadline == 0)
		loop_disarm(&s->child->loop, &s->tick);
	else
		loop_arm(&s->child->loop, &s->tick, deadline > now ? deadline - now : 0, 0);
}

/* ---- events ---- */

static void on_tick(struct loop *l, struct timer *t)
{
	struct ike_shell *s = t->context;

	ike_tick(s->core, l->now);
	settle(s);
}

static void on_cookie(struct loop *l, struct timer *t)
{
	struct ike_shell *s = t->context;
	uint8_t secret[32];

	(void)l;
	if (getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret)
		ike_input_cookie_secret(s->core, secret);
}

static void on_readable(struct loop *l, struct watch *w, short revents)
{
	struct ike_shell *s = w->context;
	static uint8_t bytes[65536];

	(void)revents;
	for (int i = 0; i < IKE_DATAGRAMS_AT_ONCE; i++) {
		struct endpoint local, remote;
		struct err e = { 0 };
		size_t n;
		enum rc rc = ike_socket_receive(w->fd, &local, &remote, bytes, sizeof bytes, &n, &e);
		if (rc == RC_AGAIN)
			break;
		if (rc == RC_IO) {
			/* an ICMP error about something that was sent: nothing to do */
			log_warn("%s", e.text);
			break;
		}
		if (rc != RC_OK)
			continue;
		ike_input_datagram(s->core, l->now, &local, &remote, bytes, n);
		settle(s);
	}
}

static void keeper_answered(struct ike_shell *s, const struct ipc_frame *f)
{
	struct keeper_reply r = { .tag = f->head.tag };

	switch (f->head.id) {
#define ANSWER(message, request)                                                                             \
	case IPC_##message:                                                                                  \
		r.op = KEEPER_##request;                                                                     \
		r.u.request = f->u.message;                                                                  \
		break;
		ANSWER(EXCHANGE_BEGUN, EXCHANGE_BEGIN)
		ANSWER(EXCHANGE_FINISHED, EXCHANGE_FINISH)
		ANSWER(EXCHANGE_ANSWERED, EXCHANGE_ANSWER)
		ANSWER(ADDITIONAL_BEGUN, ADDITIONAL_BEGIN)
		ANSWER(ADDITIONAL_FINISHED, ADDITIONAL_FINISH)
		ANSWER(AUTH_SIGNED, AUTH_SIGN)
		ANSWER(AUTH_VERIFIED, AUTH_VERIFY)
		ANSWER(CHILD_BEGUN, CHILD_BEGIN)
		ANSWER(CHILD_ADDITIONAL_BEGUN, CHILD_ADDITIONAL_BEGIN)
		ANSWER(CHILD_ADDITIONAL_FINISHED, CHILD_ADDITIONAL_FINISH)
		ANSWER(CHILD_INSTALLED, CHILD_INSTALL)
		ANSWER(CHILD_REMOVED, CHILD_REMOVE)
		ANSWER(DROPPED, DROP)
#undef ANSWER
	default:
		return;
	}
	ike_input_keeper(s->core, s->child->loop.now, &r);
	bytes_wipe(&r, sizeof r);
}

static void snapshot_take(struct ike_shell *s, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct snapshot_file file;
	struct err e = { 0 };

	result.rc = (uint32_t)snapshot_file_take(&file, ipc_frame_take(f), f->u.SNAPSHOT.bytes, &e);
	if (result.rc == RC_OK) {
		ike_config(s->core, s->child->loop.now, file.snapshot);
		snapshot_file_done(&file);
	} else {
		log_error("configuration %llu: %s", (unsigned long long)f->u.SNAPSHOT.generation, e.text);
		memcpy(result.text, e.text, sizeof result.text);
	}
	ipc_send_SNAPSHOT_TAKEN(child_link(s->child, PROC_CONTROL), f->head.tag, &result);
}

static void show(struct ike_shell *s, uint64_t tag, const struct msg_show *q)
{
	static struct rows_piece piece;
	char text[ROW_MAX];
	size_t n = 1;

	rows_begin(&piece, child_link(s->child, PROC_CONTROL), tag, q);
	for (uint32_t at = rows_first(&piece, 0); n > 0 && rows_look(&piece, 0, at);) {
		n = q->table == SHOW_IKE_COUNTERS
			    ? ike_show_counters(s->core, &at, text, sizeof text)
			    : ike_show(s->core, s->child->loop.now, &at, text, sizeof text);
		rows_add_text(&piece, text, n);
	}
	rows_end(&piece);
}

static void command(struct ike_shell *s, uint64_t tag, const struct msg_ike_command *m)
{
	static const enum ike_order orders[] = {
		[IKE_INITIATE] = IKE_ORDER_INITIATE,
		[IKE_REKEY_IKE] = IKE_ORDER_REKEY_IKE,
		[IKE_REKEY_CHILD] = IKE_ORDER_REKEY_CHILD,
		[IKE_TERMINATE] = IKE_ORDER_TERMINATE,
		[IKE_REAUTHENTICATE] = IKE_ORDER_REAUTHENTICATE,
	};
	struct msg_result result = { .count = 1 };
	struct err e = { 0 };
	char name[NAME_MAX_BYTES + 1] = "", gateway[sizeof m->gateway + 1] = "";
	struct snap_id to;

	memcpy(name, m->name, sizeof m->name);
	memcpy(gateway, m->gateway, sizeof m->gateway);
	if (m->command == IKE_REDIRECT && !ike_gateway_parse(&to, gateway))
		result.rc = (uint32_t)err_add(&e, RC_MALFORMED,
			"redirect to '%.100s': expected the address of a gateway, or a name of DNS of at most %zu characters",
			gateway, sizeof to.data);
	else if (m->command == IKE_REDIRECT)
		result.rc = (uint32_t)ike_input_redirect(s->core, s->child->loop.now, name, &to, &e);
	else if (m->command >= COUNT_OF(orders))
		result.rc = (uint32_t)err_add(&e, RC_RANGE, "unknown command %u for ike", m->command);
	else
		result.rc =
			(uint32_t)ike_input_order(s->core, s->child->loop.now, orders[m->command], name, &e);
	memcpy(result.text, e.text, sizeof result.text);
	ipc_send_IKE_COMMANDED(child_link(s->child, PROC_CONTROL), tag, &result);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct ike_shell *s = c->context;
	const struct msg_datagram *d = &f->u.IKE_DATAGRAM;
	const struct msg_datagram_short *one = &f->u.IKE_DATAGRAM_SHORT;

	switch (f->head.id) {
	case IPC_IKE_DATAGRAM:
		if (d->n <= sizeof d->bytes)
			ike_input_datagram(s->core, c->loop.now, &d->local, &d->remote, d->bytes, d->n);
		break;
	case IPC_IKE_DATAGRAM_SHORT:
		if (one->n <= sizeof one->bytes)
			ike_input_datagram(
				s->core, c->loop.now, &one->local, &one->remote, one->bytes, one->n);
		break;
	case IPC_SA_ACQUIRE:
		ike_input_acquire(s->core, c->loop.now, f->u.SA_ACQUIRE.tunnel, &f->u.SA_ACQUIRE.src,
			&f->u.SA_ACQUIRE.dst);
		break;
	case IPC_SA_USAGE:
		ike_input_usage(s->core, c->loop.now, &f->u.SA_USAGE);
		break;
	case IPC_SA_ACTIVATED:
		ike_input_activated(s->core, c->loop.now, f->head.tag);
		break;
	case IPC_PEER_NAME:
		ike_input_peer_resolved(s->core, c->loop.now, &f->u.PEER_NAME);
		break;
	case IPC_SNAPSHOT:
		snapshot_take(s, f);
		break;
	case IPC_IKE_SA_ENDED:
		ike_input_keeper_ended(s->core, c->loop.now, &f->u.IKE_SA_ENDED);
		break;
	case IPC_SHOW:
		show(s, f->head.tag, &f->u.SHOW);
		break;
	case IPC_PEER_MESSAGE:
		peer_message_send(s, f->head.tag, &f->u.PEER_MESSAGE);
		break;
	case IPC_IKE_COMMAND:
		command(s, f->head.tag, &f->u.IKE_COMMAND);
		break;
	default:
		if (peer == PROC_KEEPER)
			keeper_answered(s, f);
		break;
	}
	settle(s);
}

/* ---- life ---- */

static enum rc crash_secret_read(struct ike_shell *s, int fd, struct err *e)
{
	ssize_t n = pread(fd, s->crash_secret, sizeof s->crash_secret, 0);

	close(fd);
	s->has_crash_secret = n == (ssize_t)sizeof s->crash_secret;
	return s->has_crash_secret
		       ? RC_OK
		       : err_add(e, RC_MALFORMED,
				 "the file of the secret of crash tokens has %zd octets, expected %zu", n,
				 sizeof s->crash_secret);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct ike_shell *s = c->context;
	int family = r->index == 6;

	if (r->kind == RESOURCE_CRASH_KEY)
		return crash_secret_read(s, fd, e);
	if (r->kind == RESOURCE_NAT_SOCKET) {
		s->sockets.nat[family] = fd;
		return RC_OK;
	}
	if (r->kind != RESOURCE_IKE_SOCKET) {
		close(fd);
		return err_add(e, RC_DENIED, "the ike process does not accept the resource %s",
			resource_name((enum resource)r->kind));
	}
	s->sockets.plain[family] = fd;
	s->watch[family] = (struct watch){ .fd = fd, .events = POLLIN, .fn = on_readable, .context = s };
	return RC_OK;
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct ike_shell *s = c->context;
	struct ike_setup setup = { .cookie_above = IKE_COOKIES_ABOVE,
		.puzzles = true,
		.puzzles_above = IKE_PUZZLES_ABOVE,
		.mlkem = mlkem_available(MLKEM_768) && mlkem_available(MLKEM_1024) };

	(void)m;
	setup.has_crash_secret = s->has_crash_secret;
	memcpy(setup.crash_secret, s->crash_secret, sizeof setup.crash_secret);
	bytes_wipe(s->crash_secret, sizeof s->crash_secret);
	if (getrandom(setup.cookie_secret, sizeof setup.cookie_secret, 0) !=
			(ssize_t)sizeof setup.cookie_secret ||
		getrandom(&setup.seed, sizeof setup.seed, 0) != (ssize_t)sizeof setup.seed)
		return err_errno(e, RC_IO, "draw the cookie secret");
	s->core = ike_core_new(&setup);
	bytes_wipe(&setup, sizeof setup);
	if (!s->core)
		return err_add(e, RC_LIMIT, "out of memory for the IKE core");
	for (int i = 0; i < 2; i++)
		if (s->sockets.plain[i] >= 0)
			loop_add(&c->loop, &s->watch[i]);
	loop_arm(&c->loop, &s->cookie, IKE_COOKIE_SECRET_S * NS_PER_S, IKE_COOKIE_SECRET_S * NS_PER_S);
	return RC_OK;
}

static void on_link_lost(struct child *c, enum proc peer)
{
	struct ike_shell *s = c->context;

	if (peer != PROC_KEEPER || !s->core)
		return;
	ike_input_keeper_lost(s->core, c->loop.now);
	settle(s);
}

static void on_link(struct child *c, enum proc peer)
{
	struct ike_shell *s = c->context;

	if (peer != PROC_DATAPLANE || !s->core)
		return;
	ike_input_dataplane_up(s->core, c->loop.now);
	settle(s);
}

static void on_stop(struct child *c)
{
	struct ike_shell *s = c->context;

	ike_core_free(s->core);
	s->core = NULL;
}

const struct child_ops ike_shell_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

void ike_shell_init(struct ike_shell *s, struct child *c)
{
	memset(s, 0, sizeof *s);
	s->child = c;
	for (int i = 0; i < 2; i++)
		s->sockets.plain[i] = s->sockets.nat[i] = -1;
	s->tick = (struct timer){ .fn = on_tick, .context = s };
	s->cookie = (struct timer){ .fn = on_cookie, .context = s };
}
