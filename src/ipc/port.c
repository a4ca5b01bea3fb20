#include "ipc/port.h"

#include <assert.h>
#include <poll.h>

static short port_want(struct watch *w)
{
	struct port *p = (struct port *)w->context;

	return (short)((p->held ? 0 : POLLIN) | (ipc_link_waiting(&p->link) ? POLLOUT : 0));
}

static void down(struct port *p, const struct err *why)
{
	port_close(p);
	p->on_down(p, why);
}

static void port_ready(struct loop *l, struct watch *w, short revents)
{
	struct port *p = (struct port *)w->context;
	struct err e = { 0 };
	struct ipc_frame f;

	/* A failed flush is not the end yet: what the other end said before it died may still be read. */
	if (revents & POLLOUT && ipc_flush(&p->link) == RC_OK && p->on_drained)
		p->on_drained(p);
	p->link.dead = false;
	for (int i = 0; i < PORT_FRAMES_PER_ROUND && !p->held; i++) {
		enum rc rc = ipc_recv(&p->link, &f, &e);
		if (rc == RC_AGAIN)
			return;
		if (rc != RC_OK) {
			down(p, &e);
			return;
		}
		int fd = p->link.fd;
		p->on_frame(p, &f);
		ipc_frame_done(&f);
		if (p->link.fd != fd) /* opened again: the rest of the old one does not matter */
			return;
		if (p->link.dead) {
			err_add(&e, RC_IO, "link to %s ended", proc_name(p->link.peer));
			down(p, &e);
			return;
		}
	}
}

void port_open(struct port *p, struct loop *l, int fd, enum proc self, enum proc peer)
{
	assert(p->on_frame && p->on_down);
	port_close(p);
	ipc_link_open(&p->link, fd, self, peer);
	p->loop = l;
	p->held = false;
	p->watch = (struct watch){
		.fd = fd, .events = POLLIN, .fn = port_ready, .want = port_want, .context = p
	};
	loop_add(l, &p->watch);
}

void port_close(struct port *p)
{
	if (p->loop)
		loop_remove(p->loop, &p->watch);
	p->loop = NULL;
	if (p->link.fd > 0)
		ipc_link_close(&p->link);
	p->link.fd = -1;
	p->link.dead = true;
}

void port_end(struct port *p)
{
	p->link.dead = true;
}

void port_hold(struct port *p, bool held)
{
	p->held = held;
}
