#include "cli/client.h"
#include "cli/limits.h"

#include <errno.h>
#include <fcntl.h>
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

static enum rc exchange(struct ipc_link *l, client_row_fn *fn, void *context, struct msg_result *ret_result,
	struct ipc_frame *f, struct err *e)
{
	enum rc rc;

	while ((rc = receive(l, f, e)) == RC_OK) {
		if (f->head.id == IPC_CLI_END) {
			*ret_result = f->u.CLI_END;
			ret_result->text[sizeof ret_result->text - 1] = '\0';
			ipc_frame_done(f);
			return RC_OK;
		}
		if (f->head.id == IPC_CLI_ROW)
			rc = rows_of(&f->u.CLI_ROW, fn, context, e);
		ipc_frame_done(f);
		if (rc)
			return rc;
	}
	return rc == RC_UNSUPPORTED ? rc : err_add(e, rc, "the gateway closed the connection");
}

enum rc client_request(const char *path, const struct msg_cli_request *request, int file, client_row_fn *fn,
	void *context, struct msg_result *ret_result, struct err *e)
{
	struct ipc_frame *f = calloc(1, sizeof *f);
	int null = file < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	struct ipc_link l = IPC_LINK_NONE;
	int fd = -1;
	enum rc rc;

	if (!f || (file < 0 && null < 0)) {
		rc = err_errno(e, RC_IO, "open /dev/null");
		goto out;
	}
	if ((fd = connect_to(path, e)) < 0) {
		rc = RC_IO;
		goto out;
	}
	ipc_link_open(&l, fd, PROC_CLI, PROC_CONTROL);
	rc = ipc_send_CLI_REQUEST(&l, 1, request, file < 0 ? null : file);
	if (rc)
		err_add(e, rc, "send the request");
	else
		rc = exchange(&l, fn, context, ret_result, f, e);
out:
	ipc_link_close(&l);
	if (null >= 0)
		close(null);
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

enum rc client_request_watched(const char *path, const struct msg_cli_request *request, int file,
	client_row_fn *fn, bool (*watch)(void *context), void *context, struct msg_result *ret_result,
	struct err *e)
{
	struct ipc_frame *f = calloc(1, sizeof *f);
	struct ipc_link l = IPC_LINK_NONE;
	int fd = f ? connect_to(path, e) : -1;
	enum rc rc = f ? RC_IO : err_add(e, RC_LIMIT, "out of memory");

	if (fd >= 0) {
		ipc_link_open(&l, fd, PROC_CLI, PROC_CONTROL);
		rc = ipc_send_CLI_REQUEST(&l, 1, request, file);
		if (rc)
			err_add(e, rc, "send the request");
	}
	while (rc == RC_OK && (rc = receive_watched(&l, f, watch, context, e)) == RC_OK) {
		bool end = f->head.id == IPC_CLI_END;
		if (end) {
			*ret_result = f->u.CLI_END;
			ret_result->text[sizeof ret_result->text - 1] = '\0';
		}
		if (f->head.id == IPC_CLI_ROW && fn)
			rc = rows_of(&f->u.CLI_ROW, fn, context, e);
		ipc_frame_done(f);
		if (end)
			break;
	}
	ipc_link_close(&l);
	free(f);
	if (rc == RC_OK || rc == RC_NOT_FOUND)
		return RC_OK;
	return e->text[0] ? rc : err_add(e, rc, "the gateway closed the connection");
}
