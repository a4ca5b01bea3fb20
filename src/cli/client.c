#include "cli/client.h"
#include "cli/limits.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof at.sun_path) {
		err_add(e, RC_RANGE, "the socket's path '%s' is too long", path);
		return -1;
	}
	memcpy(at.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
		err_errno(e, RC_IO, "connect to '%s'", path);
		if (errno == ENOENT || errno == ECONNREFUSED)
			err_add(e, RC_IO, "is plaingated running?");
		else if (errno == EACCES)
			err_add(e, RC_IO,
				"root may use it, and members of the group plaingate-view as far as their role permits, if that "
				"group existed when plaingated started");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

/* The next frame, waiting for it. */
static enum rc receive(struct ipc_link *l, struct ipc_frame *f, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = l->fd,
			.events = (short)(POLLIN | (ipc_link_waiting(l) ? POLLOUT : 0)) };
		enum rc rc = ipc_flush(l);
		if (rc == RC_OK || rc == RC_AGAIN)
			rc = ipc_recv(l, f, e);
		if (rc != RC_AGAIN)
			return rc;
		if (poll(&p, 1, -1) < 0)
			return err_errno(e, RC_IO, "wait for the gateway");
	}
}

/* The rows of one frame, one a line. */
static enum rc rows_of(const struct msg_row *r, client_row_fn *fn, void *context, struct err *e)
{
	enum rc rc = RC_OK;

	if (r->n > ROW_MAX)
		return RC_OK;
	for (uint32_t at = 0, n; at < r->n && rc == RC_OK; at += n + 1) {
		const char *end = memchr(r->json + at, '\n', r->n - at);
		n = end ? (uint32_t)(end - (r->json + at)) : r->n - at;
		rc = fn(context, r->json + at, n, e);
	}
	return rc;
}

static enum rc fill(int fd, const char *text, size_t n, struct err *e)
{
	for (size_t at = 0; at < n;) {
		ssize_t part = pwrite(fd, text + at, n - at, (off_t)at);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return err_errno(e, RC_IO, "copy the text for the gateway");
		at += (size_t)part;
	}
	return RC_OK;
}

/* The gateway's memory: for the text of the request, or for the caller. */
static enum rc memory_take(
	struct ipc_link *l, struct client_memory *memory, struct ipc_frame *f, struct err *e)
{
	int fd = ipc_frame_take(f);
	enum rc rc;

	if (memory && !memory->text && memory->fd < 0) {
		memory->fd = fd;
		memory->bytes = f->u.CLI_MEMORY.bytes;
		return RC_OK;
	}
	rc = memory && memory->text
		     ? fill(fd, memory->text, memory->n, e)
		     : err_add(e, RC_MALFORMED, "the gateway gives memory that nobody asked for");
	close(fd);
	if (!rc && ipc_send_CLI_FILLED(l, 1, &(struct msg_empty){ 0 }))
		rc = err_errno(e, RC_IO, "send the text to the gateway");
	return rc;
}

static enum rc request_send(struct ipc_link *l, const struct msg_cli_request *request,
	const struct client_memory *memory, struct err *e)
{
	struct msg_cli_request q = *request;

	q.bytes = memory && memory->text ? memory->n : 0;
	enum rc rc = ipc_send_CLI_REQUEST(l, 1, &q);
	return rc ? err_add(e, rc, "send the request") : RC_OK;
}

/* What came, until the end. */
static enum rc frame_take(struct ipc_link *l, struct ipc_frame *f, struct client_memory *memory,
	client_row_fn *fn, void *context, struct msg_result *ret_result, struct err *e)
{
	enum rc rc = RC_OK;

	if (f->head.id == IPC_CLI_END) {
		*ret_result = f->u.CLI_END;
		ret_result->text[sizeof ret_result->text - 1] = '\0';
	} else if (f->head.id == IPC_CLI_MEMORY) {
		rc = memory_take(l, memory, f, e);
	} else if (f->head.id == IPC_CLI_ROW && fn) {
		rc = rows_of(&f->u.CLI_ROW, fn, context, e);
	}
	ipc_frame_done(f);
	return rc;
}

static enum rc exchange(struct ipc_link *l, struct client_memory *memory, client_row_fn *fn, void *context,
	struct msg_result *ret_result, struct ipc_frame *f, struct err *e)
{
	enum rc rc;

	while ((rc = receive(l, f, e)) == RC_OK) {
		bool end = f->head.id == IPC_CLI_END;
		rc = frame_take(l, f, memory, fn, context, ret_result, e);
		if (rc || end)
			return rc;
	}
	return rc == RC_UNSUPPORTED ? rc : err_add(e, rc, "the gateway closed the connection");
}

enum rc client_request(const char *path, const struct msg_cli_request *request, struct client_memory *memory,
	client_row_fn *fn, void *context, struct msg_result *ret_result, struct err *e)
{
	struct ipc_frame *f = calloc(1, sizeof *f);
	struct ipc_link l = IPC_LINK_NONE;
	int fd = f ? connect_to(path, e) : -1;
	enum rc rc = f ? RC_IO : err_add(e, RC_LIMIT, "out of memory");

	if (fd >= 0) {
		ipc_link_open(&l, fd, PROC_CLI, PROC_CONTROL);
		rc = request_send(&l, request, memory, e);
		if (!rc)
			rc = exchange(&l, memory, fn, context, ret_result, f, e);
	}
	ipc_link_close(&l);
	free(f);
	return rc;
}

/* The next frame, or what ends the exchange: RC_NOT_FOUND when `watch` says so. */
static enum rc receive_watched(
	struct ipc_link *l, struct ipc_frame *f, bool (*watch)(void *context), void *context, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = l->fd,
			.events = (short)(POLLIN | (ipc_link_waiting(l) ? POLLOUT : 0)) };
		if (!watch(context))
			return RC_NOT_FOUND;
		enum rc rc = ipc_flush(l);
		if (rc == RC_OK || rc == RC_AGAIN)
			rc = ipc_recv(l, f, e);
		if (rc != RC_AGAIN)
			return rc;
		if (poll(&p, 1, CLIENT_WATCH_MS) < 0 && errno != EINTR)
			return err_errno(e, RC_IO, "wait for the gateway");
	}
}

enum rc client_request_watched(const char *path, const struct msg_cli_request *request,
	struct client_memory *memory, client_row_fn *fn, bool (*watch)(void *context), void *context,
	struct msg_result *ret_result, struct err *e)
{
	struct ipc_frame *f = calloc(1, sizeof *f);
	struct ipc_link l = IPC_LINK_NONE;
	int fd = f ? connect_to(path, e) : -1;
	enum rc rc = f ? RC_IO : err_add(e, RC_LIMIT, "out of memory");

	if (fd >= 0) {
		ipc_link_open(&l, fd, PROC_CLI, PROC_CONTROL);
		rc = request_send(&l, request, memory, e);
	}
	while (rc == RC_OK && (rc = receive_watched(&l, f, watch, context, e)) == RC_OK) {
		bool end = f->head.id == IPC_CLI_END;
		rc = frame_take(&l, f, memory, fn, context, ret_result, e);
		if (end)
			break;
	}
	ipc_link_close(&l);
	free(f);
	if (rc == RC_OK || rc == RC_NOT_FOUND)
		return RC_OK;
	return e->text[0] ? rc : err_add(e, rc, "the gateway closed the connection");
}
