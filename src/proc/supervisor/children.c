/*
 * Lives of the processes. Receipt before act: the ledger starts first; every other start waits until the
 * ledger has the hash of its executable, which is measured once (launch.c). A restart does not wait when the
 * ledger is down: it is entered later.
 */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

static void begin(struct child_process *c);

/* restarts: how many times it was started before. */
static enum rc enter_start(
	struct child_process *c, uint64_t restarts, enum ledger_mode mode, ledger_receipt_fn *fn)
{
	struct supervisor *s = c->supervisor;
	static struct ledger_body b;
	char hex[2 * SHA256_SIZE + 1];
	const uint8_t *hash = c->id == PROC_SUPERVISOR ? s->own_sha256 : c->measured.sha256;

	ledger_body_begin(&b, LEDGER_PROCESS_START);
	ledger_body_str(&b, "executable", proc_executable(c->id));
	ledger_body_str(&b, "process", proc_name(c->id));
	ledger_body_u64(&b, "restarts", restarts);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, hash, SHA256_SIZE));
	size_t n = ledger_body_done(&b);
	return ledger_append(&s->ledger, mode, LEDGER_PROCESS_START, b.text, n, fn, c, 0, s->loop.now);
}

static void why_text(char *ret_text, size_t size, int status)
{
	if (WIFSIGNALED(status))
		snprintf(ret_text, size, "signal %d (SIG%s)", WTERMSIG(status),
			sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(ret_text, size, "exit status %d", WEXITSTATUS(status));
}

static void enter_exit(struct child_process *c, pid_t pid, int status)
{
	static struct ledger_body b;
	char why[64];

	why_text(why, sizeof why, status);
	ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
	ledger_body_u64(&b, "pid", (uint64_t)pid);
	ledger_body_str(&b, "process", proc_name(c->id));
	ledger_body_str(&b, "reason", why);
	size_t n = ledger_body_done(&b);
	ledger_append(&c->supervisor->ledger, LEDGER_ASYNC, LEDGER_PROCESS_EXIT, b.text, n, NULL, NULL, 0,
		c->supervisor->loop.now);
}

static void back_off(struct child_process *c)
{
	struct loop *l = &c->supervisor->loop;
	mono_ns max = c->id == PROC_DATAPLANE ? BACKOFF_DATAPLANE_MAX_NS : BACKOFF_MAX_NS;

	c->life = LIFE_BACKOFF;
	if (c->id == PROC_DATAPLANE && c->deaths++ < BACKOFF_DATAPLANE_FREE) {
		loop_arm(l, &c->timer, 0, 0);
		return;
	}
	c->delay = c->delay == 0 ? BACKOFF_MIN_NS : MIN_OF(2 * c->delay, max);
	loop_arm(l, &c->timer, c->delay, 0);
}

static void failed(struct child_process *c, const struct err *e)
{
	log_error("%s not started: %s", proc_name(c->id), e->text);
	snprintf(c->why, sizeof c->why, "%.*s", (int)sizeof c->why - 1, e->text);
	back_off(c);
}

static void start(struct child_process *c)
{
	struct supervisor *s = c->supervisor;
	struct err e = { 0 };
	enum rc rc = child_launch(c, &e);

	if (rc != RC_OK) {
		failed(c, &e);
		return;
	}
	c->life = LIFE_STARTING;
	c->starts++;
	c->since = s->loop.now;
	c->killed = false;
	loop_arm(&s->loop, &c->timer, READY_WAIT_NS, 0);
	child_give_all(c);
	if (c->id == PROC_LEDGER) /* after START, which comes before all other messages */
		ledger_client_up(&s->ledger, s->loop.now);
}

/*
 * The ledger is full, broken or not running. An executable that an earlier start of this machine entered, octet
 * for octet, is started all the same, and entered when there is room; but not with RC_AGAIN: required witnesses
 * did not cosign.
 */
static void not_entered(struct child_process *c, enum rc rc, const char *why)
{
	struct err e = { 0 };

	if (rc == RC_AGAIN || !entered_before(c)) {
		err_add(&e, rc, "the ledger did not enter its start: %s", why);
		failed(c, &e);
		return;
	}
	log_error("%s is started as it was entered before; the ledger does not enter its start now: %s",
		proc_name(c->id), why);
	enter_start(c, c->starts, LEDGER_ASYNC, NULL);
	c->was_entered = true;
	start(c);
}

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct child_process *c = (struct child_process *)context;

	if (c->life != LIFE_ENTERING || c->supervisor->stopping)
		return;
	if (r->rc == RC_OK) {
		entered_keep(c);
		c->was_entered = true;
		start(c);
	} else {
		not_entered(c, (enum rc)r->rc, r->text);
	}
}

/* The ledger cannot enter its own start before it runs: it and the supervisor are the first entries. */
static void begin_ledger(struct child_process *c)
{
	struct supervisor *s = c->supervisor;

	start(c);
	if (c->life != LIFE_STARTING)
		return;
	if (!s->own_entered)
		s->own_entered = enter_start(child_of(s, PROC_SUPERVISOR), 0, LEDGER_ASYNC, NULL) == RC_OK;
	enter_start(c, c->starts - 1, LEDGER_ASYNC, NULL);
}

/* Once: what is at the path later may be of another version, whose messages the running processes refuse. */
static enum rc measure_once(struct child_process *c, struct err *e)
{
	char path[PATH_MAX];

	if (c->measured.fd >= 0)
		return RC_OK;
	snprintf(path, sizeof path, "%s/%s", c->supervisor->options.libexec, proc_executable(c->id));
	return measured_read(path, &c->measured, e);
}

static void begin(struct child_process *c)
{
	struct supervisor *s = c->supervisor;
	struct err e = { 0 };

	if (measure_once(c, &e) != RC_OK) {
		failed(c, &e);
		return;
	}
	if (c->id == PROC_LEDGER) {
		begin_ledger(c);
		return;
	}
	if (c->id == PROC_KEEPER && answers_give(s, &e) != RC_OK) {
		failed(c, &e);
		return;
	}
	c->life = LIFE_ENTERING;
	bool again = c->was_entered;
	enum rc rc = enter_start(c, c->starts, again ? LEDGER_ASYNC : LEDGER_GATE, again ? NULL : on_receipt);
	if (again) {
		start(c);
	} else if (rc != RC_OK) {
		not_entered(c, rc, "it is not running");
	}
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct child_process *c = (struct child_process *)t->context;

	if (c->supervisor->stopping)
		return;
	if (c->life == LIFE_STARTING)
		child_kill(c, "not ready in time");
	else if (c->life == LIFE_BACKOFF)
		begin(c);
}

void child_kill(struct child_process *c, const char *why)
{
	if (c->pid <= 0 || c->killed)
		return;
	log_error("%s (pid %d) killed: %s", proc_name(c->id), c->pid, why);
	c->killed = true;
	kill(c->pid, SIGKILL);
}

static void ready(struct child_process *c)
{
	struct supervisor *s = c->supervisor;

	if (c->life != LIFE_STARTING)
		return;
	c->life = LIFE_READY;
	c->why[0] = '\0';
	loop_disarm(&s->loop, &c->timer);
	if (c->id == PROC_DATAPLANE) {
		health_give(s);
		uplinks_give(s);
	}
	log_info("%s is ready, pid %d", proc_name(c->id), c->pid);
}

/* Not ready yet, but not stuck: the ledger reads what it wrote before. */
static void progress(struct child_process *c, const struct msg_progress *m)
{
	if (c->life != LIFE_STARTING)
		return;
	snprintf(c->why, sizeof c->why, "reading what was written before, %llu of %llu",
		(unsigned long long)m->done, (unsigned long long)m->all);
	loop_arm(&c->supervisor->loop, &c->timer, READY_WAIT_NS, 0);
}

static void on_frame(struct port *p, struct ipc_frame *f)
{
	struct child_process *c = (struct child_process *)p->context;
	struct supervisor *s = c->supervisor;

	switch (f->head.id) {
	case IPC_READY:
		ready(c);
		break;
	case IPC_PROGRESS:
		progress(c, &f->u.PROGRESS);
		break;
	case IPC_LEDGER_RECEIPT:
		ledger_client_receipt(&s->ledger, f->head.tag, &f->u.LEDGER_RECEIPT);
		break;
	case IPC_SNAPSHOT:
		snapshot_take(s, c, f);
		break;
	case IPC_SHOW:
		if (f->u.SHOW.table == SHOW_SERVERS)
			health_show(s, c, f->head.tag, &f->u.SHOW);
		else if (f->u.SHOW.table == SHOW_LINKS)
			links_show(s, c, f->head.tag, &f->u.SHOW);
		else
			show_status(s, c, f->head.tag, &f->u.SHOW);
		break;
	case IPC_WITNESS_CONNECT:
		witness_connect(s, c, f);
		break;
	case IPC_STREAM_CONNECT:
		stream_connect(s, c, f);
		break;
	case IPC_FEED_OPEN:
	case IPC_FEED_CONNECT:
		feed_open(s, c, f);
		break;
	case IPC_NAMES_ASK:
		names_ask(s, c, f->head.tag);
		break;
	case IPC_CARRIER:
		carrier_take(s, &f->u.CARRIER);
		break;
	case IPC_UPLINK:
		uplink_take(s, &f->u.UPLINK);
		break;
	case IPC_DETOUR:
		detour_take(s, &f->u.DETOUR);
		break;
	case IPC_NEIGHBOUR:
		neighbour_ask(s, &f->u.NEIGHBOUR);
		break;
	default: /* admission lets nothing else through */
		log_warn("ignoring message %s from %s: the supervisor does not expect it",
			ipc_name(f->head.id), proc_name(c->id));
	}
}

/* A process without a link to the supervisor is killed, whether it has noticed or not. */
static void on_down(struct port *p, const struct err *why)
{
	struct child_process *c = (struct child_process *)p->context;

	if (c->id == PROC_LEDGER)
		ledger_client_down(&c->supervisor->ledger);
	if (c->supervisor->stopping)
		return;
	if (why->rc != RC_IO) {
		child_kill(c, why->text);
	} else if (c->pid > 0) { /* mostly it is ending already, and waitpid() will say why */
		c->killed = true;
		kill(c->pid, SIGKILL);
	}
}

void children_init(struct supervisor *s)
{
	for (int i = 0; i < PROC_COUNT; i++) {
		struct child_process *c = &s->children[i];
		*c = (struct child_process){
			.supervisor = s, .id = (enum proc)i, .measured.fd = -1, .log.fd = -1
		};
		c->port.link = IPC_LINK_NONE;
		c->port.on_frame = on_frame;
		c->port.on_down = on_down;
		c->port.context = c;
		c->timer.fn = on_timer;
		c->timer.context = c;
	}
	ledger_client_init(&s->ledger, &child_of(s, PROC_LEDGER)->port.link, LEDGER_LEDGER_OUTAGE);
}

void children_start(struct supervisor *s)
{
	enum proc p;

	for (unsigned place = 1; (p = proc_at(PROC_ORDER_START, place)) != PROC_COUNT; place++)
		begin(child_of(s, p));
}

static void ended(struct child_process *c, int status)
{
	struct supervisor *s = c->supervisor;
	pid_t pid = c->pid;
	char why[64];

	why_text(why, sizeof why, status);
	log_line(s->stopping ? LOG_INFO : LOG_WARN, "%s (pid %d) ended: %s", proc_name(c->id), pid, why);
	c->pid = 0;
	if (c->id == PROC_DATAPLANE)
		carry_data_plane_ended(s);
	if (c->port.link.fd >= 0) {
		port_close(&c->port);
		if (c->id == PROC_LEDGER)
			ledger_client_down(&s->ledger);
	}
	enter_exit(c, pid, status);
	if (s->stopping) {
		c->life = LIFE_DOWN;
		return;
	}
	if (s->loop.now - c->since > BACKOFF_FORGET_NS) {
		c->delay = 0;
		c->deaths = 0;
	}
	c->since = s->loop.now;
	snprintf(c->why, sizeof c->why, "ended: %s", why);
	back_off(c);
}

void children_reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < PROC_COUNT; i++)
			if (s->children[i].pid == pid)
				ended(&s->children[i], status);
}

bool children_all(const struct supervisor *s, enum life life)
{
	for (int i = 0; i < PROC_COUNT; i++)
		if (proc_is_service((enum proc)i) && s->children[i].life != life)
			return false;
	return true;
}
