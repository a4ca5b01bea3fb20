#include "ipc/link.h"
#include "ipc_table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct row {
	const char *name;
	uint32_t from, to;
	uint32_t body_n, files;
};

static const struct row rows[IPC_ID_COUNT] = {
#define E(id, from, to, body, files) [IPC_##id] = { #id, from, to, sizeof(body), files },
	IPC_MESSAGES(E)
#undef E
};

static const char *const resource_names[RESOURCE_COUNT] = {
#define E(id, holder, text) [RESOURCE_##id] = #id,
	RESOURCES(E)
#undef E
};

struct ipc_waiting {
	struct ipc_waiting *next;
	struct ipc_head head;
	int file;	/* a duplicate of the sender's, -1: none */
	uint8_t body[]; /* head.body_n bytes */
};

/* A control buffer with room for more files than any row allows, so that too many are seen, not cut off. */
union control {
	char bytes[CMSG_SPACE(sizeof(int) * IPC_FILES_SEEN_MAX)];
	struct cmsghdr align;
};

const char *ipc_name(enum ipc_id id)
{
	return (unsigned)id < IPC_ID_COUNT ? rows[id].name : "unknown message";
}

const char *resource_name(enum resource r)
{
	return (unsigned)r < RESOURCE_COUNT ? resource_names[r] : "unknown resource";
}

uint64_t ipc_table(void)
{
	return IPC_TABLE;
}

enum rc ipc_admit(enum proc sender, enum proc receiver, const struct ipc_head *h, size_t body_n, size_t files,
	struct err *e)
{
	const char *from = proc_name(sender), *to = proc_name(receiver);

	if (h->id >= IPC_ID_COUNT)
		return err_add(e, RC_MALFORMED, "message %u from %s to %s does not exist", h->id, from, to);
	const struct row *r = &rows[h->id];
	if ((unsigned)sender >= PROC_COUNT || !(r->from & 1u << sender))
		return err_add(e, RC_DENIED, "%s from %s to %s: %s may not send it", r->name, from, to, from);
	if ((unsigned)receiver >= PROC_COUNT || !(r->to & 1u << receiver))
		return err_add(
			e, RC_DENIED, "%s from %s to %s: %s may not receive it", r->name, from, to, to);
	if (h->body_n != r->body_n || body_n != r->body_n)
		return err_add(e, RC_MALFORMED, "%s from %s to %s: %zu bytes (stated %u) instead of %u",
			r->name, from, to, body_n, h->body_n, r->body_n);
	if (h->files != r->files || files != r->files)
		return err_add(e, RC_MALFORMED, "%s from %s to %s: %zu files (stated %u) instead of %u",
			r->name, from, to, files, h->files, r->files);
	return RC_OK;
}

void ipc_link_open(struct ipc_link *l, int fd, enum proc self, enum proc peer)
{
	*l = (struct ipc_link){ .fd = fd, .self = self, .peer = peer, .waiting_max = IPC_QUEUE_BYTES_MAX };
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		l->dead = true;
}

static void waiting_free(struct ipc_waiting *w)
{
	if (w->file >= 0)
		close(w->file);
	bytes_wipe(w->body, w->head.body_n);
	free(w);
}

void ipc_link_close(struct ipc_link *l)
{
	for (struct ipc_waiting *w = l->first, *next; w; w = next) {
		next = w->next;
		waiting_free(w);
	}
	l->first = l->last = NULL;
	l->waiting_bytes = 0;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->dead = true;
}

static ssize_t put_file(int fd, const struct ipc_head *h, const void *body, int file)
{
	struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)h, .iov_len = sizeof *h },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = h->body_n } };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	m.msg_control = control.bytes;
	m.msg_controllen = CMSG_SPACE(sizeof file);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof file);
	memcpy(CMSG_DATA(c), &file, sizeof file);
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* In one piece: most processes may not use sendmsg(), which could name an address (sandbox/table.h). */
static ssize_t put_alone(int fd, const struct ipc_head *h, const void *body)
{
	uint8_t frame[sizeof *h + sizeof(union ipc_body)];
	size_t n = sizeof *h + h->body_n;

	assert(h->body_n <= sizeof(union ipc_body)); /* of ours, and admitted */

	memcpy(frame, h, sizeof *h);
	if (h->body_n > 0) /* body may be NULL then */
		memcpy(frame + sizeof *h, body, h->body_n);
	ssize_t sent = send(fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	int saved = errno;
	bytes_wipe(frame, n);
	errno = saved;
	return sent;
}

/* RC_OK, RC_AGAIN: the socket is full; RC_IO: the other end is gone. */
static enum rc put(struct ipc_link *l, const struct ipc_head *h, const void *body, int file)
{
	for (;;) {
		ssize_t n = file >= 0 ? put_file(l->fd, h, body, file) : put_alone(l->fd, h, body);
		if (n >= 0)
			return RC_OK;
		if (errno == EINTR)
			continue;
		/* ETOOMANYREFS: too many files in flight for this user; the receiver will take them. */
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
			return RC_AGAIN;
		l->dead = true;
		return RC_IO;
	}
}

enum rc ipc_flush(struct ipc_link *l)
{
	while (l->first) {
		struct ipc_waiting *w = l->first;
		if (!ipc_link_up(l))
			return RC_IO;
		enum rc rc = put(l, &w->head, w->body, w->file);
		if (rc != RC_OK)
			return rc;
		l->first = w->next;
		if (!l->first)
			l->last = NULL;
		assert(l->waiting_bytes >= sizeof *w + w->head.body_n);
		l->waiting_bytes -= sizeof *w + w->head.body_n;
		waiting_free(w);
	}
	return ipc_link_up(l) ? RC_OK : RC_IO;
}

static enum rc enqueue(struct ipc_link *l, const struct ipc_head *h, const void *body, int file)
{
	size_t n = sizeof(struct ipc_waiting) + h->body_n;

	if (l->waiting_bytes + n > l->waiting_max)
		return RC_LIMIT;
	struct ipc_waiting *w = malloc(n);
	if (!w)
		return RC_LIMIT;
	w->next = NULL;
	w->head = *h;
	w->file = -1;
	if (h->body_n > 0)
		memcpy(w->body, body, h->body_n);
	if (file >= 0) {
		w->file = fcntl(file, F_DUPFD_CLOEXEC, 3);
		if (w->file < 0) {
			waiting_free(w);
			return RC_LIMIT;
		}
	}
	assert(!l->first == !l->last);
	if (l->last)
		l->last->next = w;
	else
		l->first = w;
	l->last = w;
	l->waiting_bytes += n;
	return RC_OK;
}

static enum rc send_frame(
	struct ipc_link *l, enum ipc_id id, uint64_t tag, const void *body, size_t body_n, int file)
{
	struct ipc_head h = {
		.id = (uint16_t)id,
		.files = file >= 0,
		.body_n = (uint32_t)body_n,
		.tag = tag,
		.table = IPC_TABLE,
	};
	enum rc rc = RC_AGAIN;

	if (!ipc_link_up(l))
		return RC_IO;
	if (ipc_admit(l->self, l->peer, &h, body_n, h.files, NULL) != RC_OK)
		return RC_DENIED;
	if (!l->first) /* else it would overtake what waits */
		rc = put(l, &h, body, file);
	return rc == RC_AGAIN ? enqueue(l, &h, body, file) : rc;
}

#define IPC_FILE_0 -1
#define IPC_FILE_1 file
#define E(id, from, to, body, files)                                                                         \
	enum rc ipc_send_##id(IPC_ARGS_##files(body))                                                        \
	{                                                                                                    \
		return send_frame(l, IPC_##id, tag, b, sizeof *b, IPC_FILE_##files);                         \
	}
IPC_MESSAGES(E)
#undef E

/* Files beside the message, into ret_files; all of them, also those of a message that will be refused. */
static size_t files_of(struct msghdr *m, int ret_files[IPC_FILES_SEEN_MAX])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n < IPC_FILES_SEEN_MAX; i++)
			memcpy(&ret_files[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return n;
}

/*
 * Whether any message of that sender has a file. Where none has, none is received: to read, to measure and even to close a file of somebody who
 * wishes us ill can take as long as he likes (FUSE).
 */
static bool brings_files(enum proc sender, enum proc receiver)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].files && (rows[i].from & 1u << sender) && (rows[i].to & 1u << receiver))
			return true;
	return false;
}

/* The other end learns it from our table's digest, which is in any frame. */
static enum rc refuse_table(struct ipc_link *l, uint64_t table, struct err *e)
{
	const struct ipc_head ours = { .id = IPC_ID_COUNT, .table = IPC_TABLE };

	put(l, &ours, NULL, -1);
	return err_add(e, RC_UNSUPPORTED,
		"%s is of another version (message table %016llx, ours is %016llx): restart plaingated, so "
		"that all processes are of the installed one",
		proc_name(l->peer), (unsigned long long)table, (unsigned long long)IPC_TABLE);
}

enum rc ipc_recv(struct ipc_link *l, struct ipc_frame *ret_frame, struct err *e)
{
	struct ipc_frame *f = ret_frame;
	union control control;
	struct iovec iov[2] = { { .iov_base = &f->head, .iov_len = sizeof f->head },
		{ .iov_base = &f->u, .iov_len = sizeof f->u } };
	struct msghdr m = { .msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = brings_files(l->peer, l->self) ? control.bytes : NULL };
	int files[IPC_FILES_SEEN_MAX];
	ssize_t n;
	int tries = 0;

	f->file = -1;
	m.msg_controllen = m.msg_control ? sizeof control : 0;
	if (!ipc_link_up(l))
		return err_add(e, RC_IO, "no link to %s", proc_name(l->peer));
	/* For a peer that ended with frames unread the kernel reports ECONNRESET once; what it sent before comes
	 * after that. */
	do
		n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && tries++ == 0)));
	if (n < 0 && errno == EAGAIN)
		return RC_AGAIN;
	if (n <= 0) {
		l->dead = true;
		return n < 0 ? err_errno(e, RC_IO, "receive from %s", proc_name(l->peer))
			     : err_add(e, RC_IO, "%s closed its end", proc_name(l->peer));
	}
	size_t files_n = files_of(&m, files);
	size_t body_n = (size_t)n >= sizeof f->head ? (size_t)n - sizeof f->head : 0;
	enum rc rc;
	if ((size_t)n < sizeof f->head)
		rc = err_add(e, RC_MALFORMED, "%zd bytes from %s: shorter than a frame's head", n,
			proc_name(l->peer));
	else if (f->head.table != IPC_TABLE)
		rc = refuse_table(l, f->head.table, e);
	else if (m.msg_flags & MSG_CTRUNC)
		rc = err_add(e, RC_MALFORMED, "frame from %s: more files than any message has",
			proc_name(l->peer));
	else if (m.msg_flags & MSG_TRUNC)
		rc = err_add(e, RC_MALFORMED, "frame from %s: larger than any message", proc_name(l->peer));
	else
		rc = ipc_admit(l->peer, l->self, &f->head, body_n, files_n, e);
	if (rc == RC_OK) {
		f->file = files_n > 0 ? files[0] : -1;
		return RC_OK;
	}
	for (size_t i = 0; i < files_n; i++)
		close(files[i]);
	bytes_wipe(&f->u, sizeof f->u);
	l->dead = true;
	return rc;
}

int ipc_frame_take(struct ipc_frame *f)
{
	int file = f->file;

	f->file = -1;
	return file;
}

void ipc_frame_done(struct ipc_frame *f)
{
	if (f->file >= 0)
		close(f->file);
	f->file = -1;
	if (f->head.body_n <= sizeof f->u)
		bytes_wipe(&f->u, f->head.body_n);
}
