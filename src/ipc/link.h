/*
 * A link: one end of a SOCK_SEQPACKET pair between two processes, and the admission rules that both ends
 * check.
 *
 * The message table (ipc/messages.h) says who may send what to whom, with which body and whether a file
 * travels beside it. ipc_send_NAME() exists once per row, so that a wrong body does not compile; it refuses
 * what this process may not say to that peer. ipc_recv() refuses the same on arrival, and everything whose
 * size or number of files is not exactly the row's: the error names it, the files are closed, the link is
 * dead and stays so.
 *
 * Every frame names the digest of its sender's table. Programs of two versions understand nothing of each
 * other: the first frame is refused with the reason, the other end is told, the link is dead.
 *
 * Nothing here blocks. What the socket does not take waits in the link's queue, in order; a full queue is an
 * error for the sender, never a silent loss. One thread per link.
 */
#ifndef IPC_LINK_H
#define IPC_LINK_H

#include "base/bytes.h"
#include "ipc/messages.h"

/* room for more files than any row allows, so that too many are seen, not cut off */
#define IPC_FILES_SEEN_MAX 8

struct ipc_head {
	uint16_t id;	/* enum ipc_id */
	uint16_t files; /* beside the frame, 0 or 1 */
	uint32_t body_n;
	uint64_t tag;	/* of the sender's choice; replies carry their request's */
	uint64_t table; /* ipc_table() of the sender; its place is the same in every version */
};

/* The digest of the message table that this program was built with (for tests). */
uint64_t ipc_table(void);

/* One member per message, named by its id: frame.u.SA_INSTALL.spi_in. */
union ipc_body {
#define E(id, from, to, body, files) body id;
	IPC_MESSAGES(E)
#undef E
};

#define IPC_QUEUE_BYTES_MAX (8u << 20) /* waiting in one link */

/* One received message. The body may hold keys: ipc_frame_done() wipes it. */
struct ipc_frame {
	struct ipc_head head;
	union ipc_body u;
	int file; /* -1: none; ipc_frame_take() hands it over, else ipc_frame_done() closes it */
};

struct ipc_waiting; /* a frame that the socket did not take yet */

struct ipc_link {
	int fd; /* -1: no link */
	enum proc self, peer;
	bool dead; /* the other end is gone or broke the rules; close it */
	struct ipc_waiting *first, *last;
	size_t waiting_bytes, waiting_max;
};

const char *ipc_name(enum ipc_id id); /* "SA_INSTALL", or "unknown message" */
const char *resource_name(enum resource r);

/*
 * Whether the frame may pass from sender to receiver: known id, the row's sender and receiver, size and
 * files (for tests: senders and receivers call it in link.c). RC_DENIED: not allowed for these two.
 * RC_MALFORMED: wrong size, count of files, or no such message.
 */
enum rc ipc_admit(enum proc sender, enum proc receiver, const struct ipc_head *h, size_t body_n, size_t files,
	struct err *e);

#define IPC_LINK_NONE ((struct ipc_link){ .fd = -1, .dead = true })

/* Takes the socket over and makes it non-blocking. The struct must not move while frames wait. */
void ipc_link_open(struct ipc_link *l, int fd, enum proc self, enum proc peer);

/* Closes the socket and forgets (wipes) what waits. May be called twice. */
void ipc_link_close(struct ipc_link *l);

static inline bool ipc_link_up(const struct ipc_link *l)
{
	return l->fd >= 0 && !l->dead;
}

/* True while frames wait: poll for POLLOUT and call ipc_flush(). */
static inline bool ipc_link_waiting(const struct ipc_link *l)
{
	return l->first != NULL;
}

/* Sends what waits. RC_OK: all went out; RC_AGAIN: some still wait; RC_IO: the link is dead. */
enum rc ipc_flush(struct ipc_link *l);

/*
 * ipc_send_NAME(link, tag, &body) or, for a message with a file, ipc_send_NAME(link, tag, &body, fd); fd
 * stays the caller's. RC_OK: sent or waiting. RC_IO: no link, or dead. RC_LIMIT: the queue is full.
 * RC_DENIED: not for these two.
 */
#define IPC_ARGS_0(body)	     struct ipc_link *l, uint64_t tag, const body *b
#define IPC_ARGS_1(body)	     struct ipc_link *l, uint64_t tag, const body *b, int file
#define E(id, from, to, body, files) enum rc ipc_send_##id(IPC_ARGS_##files(body));
IPC_MESSAGES(E)
#undef E

/*
 * The next frame. RC_OK; RC_AGAIN: none now; RC_IO: the other end is gone; RC_UNSUPPORTED: it is of another
 * version; RC_DENIED, RC_MALFORMED: it broke the rules. After the last four the link is dead. ret_frame needs
 * no ipc_frame_done() unless RC_OK.
 */
enum rc ipc_recv(struct ipc_link *l, struct ipc_frame *ret_frame, struct err *e);

/* Hands the file over to the caller; -1 when there is none. */
int ipc_frame_take(struct ipc_frame *f);
void ipc_frame_done(struct ipc_frame *f);

#endif
