#include "ipc/child.h"
#include "base/log.h"
#include "sandbox/sandbox.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum rc child_enter(enum proc self, struct err *e)
{
	log_init(proc_name(self), LOG_INFO);
	return sandbox_enter(self, e);
}

void child_stop(struct child *c, int status)
{
	c->status = status;
	loop_stop(&c->loop);
}

enum rc child_append(struct child *c, enum ledger_mode mode, uint16_t type, const char *body, size_t body_n,
	ledger_receipt_fn *fn, uint64_t cookie)
{
	return ledger_append(&c->ledger, mode, type, body, body_n, fn, c, cookie, c->loop.now);
}

static void fail(struct child *c, const struct err *e)
{
	log_error("%s", e->text);
	child_stop(c, 1);
}

static void port_down(struct port *p, const struct err *why)
{
	struct child *c = (struct child *)p->context;
	enum proc peer = p->link.peer;

	if (peer == PROC_SUPERVISOR) {
		log_line(why->rc == RC_IO ? LOG_INFO : LOG_ERROR, "%s; ending as well", why->text);
		child_stop(c, why->rc == RC_IO ? 0 : 1);
		return;
	}
	if (why->rc != RC_IO)
		log_error("link to %s closed: %s", proc_name(peer), why->text);
	if (peer == PROC_LEDGER)
		ledger_client_down(&c->ledger);
	if (c->ops->on_link_lost)
		c->ops->on_link_lost(c, peer);
}

static void port_frame(struct port *p, struct ipc_frame *f);

/* What a peer sent before it was replaced counts, entries for the ledger above all. */
static void last_frames(struct child *c, struct port *p)
{
	static struct ipc_frame f;
	int fd = p->link.fd;

	p->link.dead = false; /* a failed send is not the end of what may be read */
	for (int i = 0; i < CHILD_LAST_FRAMES_MAX && c->started && p->link.fd == fd; i++) {
		if (ipc_recv(&p->link, &f, NULL) != RC_OK)
			break;
		port_frame(p, &f);
		ipc_frame_done(&f);
	}
}

static void take_link(struct child *c, struct ipc_frame *f)
{
	uint32_t peer = f->u.LINK.peer;

	if (peer >= PROC_COUNT || peer == PROC_SUPERVISOR || peer == (uint32_t)c->self) {
		log_error("the supervisor sent a link to %s, which this process cannot have; ignoring it",
			proc_name((enum proc)peer));
		return;
	}
	/* The old one may be dead before we have read that, and a send may have shown it: its loss is told first. */
	if (port_is_open(&c->ports[peer])) {
		struct err e = { 0 };
		last_frames(c, &c->ports[peer]);
		port_close(&c->ports[peer]);
		err_add(&e, RC_IO, "replaced by a new link");
		port_down(&c->ports[peer], &e);
	}
	c->runs[peer] = f->u.LINK.run;
	port_open(&c->ports[peer], &c->loop, ipc_frame_take(f), c->self, (enum proc)peer);
	if (!c->started ||
		c->paused) /* no peer is read from before START; child_resume_input() adds it again */
		loop_remove(&c->loop, &c->ports[peer].watch);
	if (peer == PROC_LEDGER)
		ledger_client_up(&c->ledger, c->loop.now);
	if (c->ops->on_link)
		c->ops->on_link(c, (enum proc)peer);
}

static void take_resource(struct child *c, struct ipc_frame *f)
{
	struct msg_resource *r = &f->u.RESOURCE;
	struct err e = { 0 };

	r->name[sizeof r->name - 1] = '\0';
	if (!c->ops->on_resource)
		return; /* the frame's end closes the file */
	if (c->ops->on_resource(c, r, ipc_frame_take(f), &e) != RC_OK) {
		err_add(&e, RC_INTERNAL, "while taking %s", resource_name((enum resource)r->kind));
		fail(c, &e);
	}
}

void child_resume_input(struct child *c)
{
	c->paused = false;
	for (int i = 0; i < PROC_COUNT; i++)
		if (port_is_open(&c->ports[i])) /* its end too is to be read */
			loop_add(&c->loop, &c->ports[i].watch);
}

static void take_start(struct child *c, const struct msg_start *s)
{
	struct msg_ready ready = { .pid = (uint32_t)getpid() };
	struct err e = { 0 };

	c->start = *s;
	c->start.state_path[sizeof c->start.state_path - 1] = '\0';
	c->ledger.run = (uint32_t)s->restarts;
	c->started = true;
	if (c->ops->on_start && c->ops->on_start(c, &c->start, &e) != RC_OK) {
		err_add(&e, RC_INTERNAL, "while starting");
		fail(c, &e);
		return;
	}
	if (!c->paused)
		child_resume_input(c);
	ipc_send_READY(child_link(c, PROC_SUPERVISOR), 0, &ready);
}

static void supervisor_frame(struct child *c, struct ipc_frame *f)
{
	switch (f->head.id) {
	case IPC_LINK:
		take_link(c, f);
		break;
	case IPC_RESOURCE:
		take_resource(c, f);
		break;
	case IPC_RESOURCE_GONE:
		f->u.RESOURCE_GONE.name[sizeof f->u.RESOURCE_GONE.name - 1] = '\0';
		if (c->ops->on_resource_gone)
			c->ops->on_resource_gone(c, &f->u.RESOURCE_GONE);
		break;
	case IPC_START:
		take_start(c, &f->u.START);
		break;
	case IPC_STOP:
		child_stop(c, 0);
		break;
	default:
		c->ops->on_message(c, PROC_SUPERVISOR, f);
	}
}

static void port_frame(struct port *p, struct ipc_frame *f)
{
	struct child *c = (struct child *)p->context;

	if (c->status != 0)
		return; /* it has failed and ends: what came with that is for the next one */
	if (p->link.peer == PROC_SUPERVISOR)
		supervisor_frame(c, f);
	else if (f->head.id != IPC_LEDGER_RECEIPT ||
		 !ledger_client_receipt(&c->ledger, f->head.tag, &f->u.LEDGER_RECEIPT))
		c->ops->on_message(c, p->link.peer, f);
}

static void expire(struct loop *l, struct timer *t)
{
	struct child *c = (struct child *)t->context;

	ledger_client_expire(&c->ledger, l->now);
}

void child_init(struct child *c, enum proc self, const struct child_ops *ops, void *context,
	uint16_t gap_type, int supervisor_fd)
{
	assert(proc_user(self));
	*c = (struct child){ .self = self, .ops = ops, .context = context };
	loop_init(&c->loop);
	for (int i = 0; i < PROC_COUNT; i++) {
		c->ports[i].link = IPC_LINK_NONE;
		c->ports[i].link.peer = (enum proc)i;
		c->ports[i].on_frame = port_frame;
		c->ports[i].on_down = port_down;
		c->ports[i].context = c;
	}
	ledger_client_init(&c->ledger, child_link(c, PROC_LEDGER), gap_type);
	c->expire.fn = expire;
	c->expire.context = c;
	loop_arm(&c->loop, &c->expire, NS_PER_S, NS_PER_S);
	port_open(&c->ports[PROC_SUPERVISOR], &c->loop, supervisor_fd, self, PROC_SUPERVISOR);
}

int child_run(struct child *c)
{
	struct err e = { 0 };

	if (loop_run(&c->loop, &e) != RC_OK) {
		log_error("%s", e.text);
		c->status = 1;
	}
	if (c->started && c->ops->on_stop)
		c->ops->on_stop(c);
	for (int i = 0; i < PROC_COUNT; i++)
		port_close(&c->ports[i]);
	ledger_client_done(&c->ledger);
	loop_done(&c->loop);
	return c->status;
}

int child_main(enum proc self, const struct child_ops *ops, void *context, uint16_t gap_type)
{
	static struct child child;
	struct err e = { 0 };

	if (child_enter(self, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	child_init(&child, self, ops, context, gap_type, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
