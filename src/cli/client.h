/*
 * The program's end of control's socket: one request, rows, one end. Blocking; SIGINT ends a trace by
 * closing.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "ipc/link.h"

/* A row as it arrives; an error ends the exchange. */
typedef enum rc client_row_fn(void *context, const char *json, size_t n, struct err *e);

/* What goes with a request besides: a text that it is about, or memory that the gateway gives for it. */
struct client_memory {
	const char *text; /* NULL: none */
	size_t n;
	int fd; /* -1 until the gateway has given one that is not for `text`; then the caller's */
	uint64_t bytes;
};

/*
 * Connects to the socket, sends the request with `memory` (NULL: none), gives the rows to fn until the end.
 * *ret_result: what control said at the end, when RC_OK comes back. RC_IO: no connection, or it ended early.
 */
enum rc client_request(const char *path, const struct msg_cli_request *request, struct client_memory *memory,
	client_row_fn *fn, void *context, struct msg_result *ret_result, struct err *e);

/*
 * The same for a request that goes on until somebody ends it: `watch` is called at least each CLIENT_WATCH_MS; false ends the exchange, as a
 * success. fn NULL: rows are ignored.
 */
enum rc client_request_watched(const char *path, const struct msg_cli_request *request,
	struct client_memory *memory, client_row_fn *fn, bool (*watch)(void *context), void *context,
	struct msg_result *ret_result, struct err *e);

#endif
