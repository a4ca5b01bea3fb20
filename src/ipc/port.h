/*
 * A port: a link in an event loop. Frames that arrive go to the owner one by one; what waits goes out as the
 * socket takes it; when the other end is gone or breaks the rules the owner is told once.
 */
#ifndef IPC_PORT_H
#define IPC_PORT_H

#include "ipc/link.h"
#include "ipc/loop.h"

/* Read at once, so that one busy peer does not keep the loop from the others. */
#define PORT_FRAMES_PER_ROUND 32

struct port {
	struct ipc_link link;
	struct watch watch;
	struct loop *loop;
	/* The frame is wiped and its file closed after the call, unless taken. May call port_end(), not
	 * port_close(). */
	void (*on_frame)(struct port *p, struct ipc_frame *f);
	/* What waited has gone out. May be NULL. May not close the port. */
	void (*on_drained)(struct port *p);
	/* The port is closed already; last use of p, which may be freed or opened again here. */
	void (*on_down)(struct port *p, const struct err *why);
	void *context; /* the owner's */
	bool held;     /* nothing is read: port_hold() */
};

/* Takes the socket over. on_frame, on_down and context are set by the owner before. Replaces an older link
 * silently. */
void port_open(struct port *p, struct loop *l, int fd, enum proc self, enum proc peer);

/* From port_open() until on_down or port_close(), also where a failed send has shown that the other end is gone. */
static inline bool port_is_open(const struct port *p)
{
	return p->loop;
}

/* Closes without a call of on_down. Also for a port that is all zero bytes or closed. */
void port_close(struct port *p);

/* From inside on_frame: no more frames; on_down follows. */
void port_end(struct port *p);

/* Nothing more is read until it is false again, not even that the other end is gone; what waits goes out. port_open() ends it. */
void port_hold(struct port *p, bool held);

#endif
