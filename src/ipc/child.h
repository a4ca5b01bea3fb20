/*
 * What the supervisor's processes do in the same way: enter the sandbox before the first message, take links,
 * resources and the start from the supervisor on file 3, answer READY, run the loop, end in order.
 *
 * A process fills a struct child_ops. The first thing of main() is child_enter(); then comes what the process
 * has to make or check before the first message, child_init() and child_run(). child_main() is the three of
 * them, for a process that needs nothing in between. Callbacks run on the loop's thread. A link that dies is
 * not an error: on_link_lost, and later on_link when the supervisor sends a new one. When the supervisor itself
 * is gone the process ends.
 *
 * The data plane has a loop of its own: it does not call child_run(), but rounds of the child's loop.
 */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "ipc/ledger_client.h"
#include "ipc/port.h"

/* a socket holds fewer; a peer that still runs may send on for ever */
#define CHILD_LAST_FRAMES_MAX 4096

#define CHILD_SUPERVISOR_FD 3
struct child;

/* All may be NULL but on_message. */
struct child_ops {
	/* A resource was handed over; fd is the callee's from now on. An error ends the process. */
	enum rc (*on_resource)(struct child *c, const struct msg_resource *r, int fd, struct err *e);
	void (*on_resource_gone)(struct child *c, const struct msg_resource *r);
	/* All links and resources are there; nothing was read from a peer before. READY is sent when it returns
	 * RC_OK; an error ends the process. */
	enum rc (*on_start)(struct child *c, const struct msg_start *s, struct err *e);
	void (*on_link)(struct child *c, enum proc peer); /* also the first one, before on_start */
	/* What waited for its answers will not get them. */
	void (*on_link_lost)(struct child *c, enum proc peer);
	/* Any message that is not the supervisor's LINK, RESOURCE, START, STOP or a receipt of child->ledger. */
	void (*on_message)(struct child *c, enum proc peer, struct ipc_frame *f);
	void (*on_stop)(struct child *c); /* the last call: flush, wipe */
};

struct child {
	enum proc self;
	const struct child_ops *ops;
	void *context; /* the process's own state */
	struct loop loop;
	struct port ports[PROC_COUNT]; /* by peer */
	uint32_t runs[PROC_COUNT];     /* starts of each peer before the one that the link leads to */
	struct ledger_client ledger;   /* for all but the ledger itself */
	struct timer expire;	       /* of the ledger's gates */
	struct msg_start start;
	bool started;
	bool paused; /* set by on_start: only the supervisor is read from until child_resume_input() */
	int status;  /* of the process */
};

/* log_init and the sandbox of `self`; nothing else may come before it in main(). */
enum rc child_enter(enum proc self, struct err *e);

/* Everything. gap_type: the ledger's `ledger_outage` entry. Returns main()'s status. */
int child_main(enum proc self, const struct child_ops *ops, void *context, uint16_t gap_type);

/* The other pieces of child_main(); tests call them over any socket, without a sandbox. */
void child_init(struct child *c, enum proc self, const struct child_ops *ops, void *context,
	uint16_t gap_type, int supervisor_fd);
int child_run(struct child *c);

/* Ends the loop after the present callback; on_stop is still called. */
void child_stop(struct child *c, int status);

/* Reads from the others again; what they sent meanwhile waits in their links. */
void child_resume_input(struct child *c);

static inline struct ipc_link *child_link(struct child *c, enum proc peer)
{
	return &c->ports[peer].link;
}

/* ledger_append() with the loop's clock. */
enum rc child_append(struct child *c, enum ledger_mode mode, uint16_t type, const char *body, size_t body_n,
	ledger_receipt_fn *fn, uint64_t cookie);

#endif
