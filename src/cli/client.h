/*
 * The program's end of control's socket: one request, rows, one end. Blocking; SIGINT ends a trace by
 * closing.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "ipc/link.h"

/* A row as it arrives; an error ends the exchange. */
typedef enum rc client_row_fn(void *context, const char *json, size_t n, struct err *e);

/*
 * Connects to the socket, sends the request with `file` (-1: none), gives the rows to fn until the end.
 * *ret_result: what control said at the end, when RC_OK comes back. RC_IO: no connection, or it ended early.
 */
enum rc client_request(const char *path, const struct msg_cli_request *request, int file, client_row_fn *fn,
	void *context, struct msg_result *ret_result, struct err *e);

/*
 * The same for a request that goes on until somebody ends it: `watch` is called at least each CLIENT_WATCH_MS; false ends the exchange, as a
 * success. fn NULL: rows are ignored.
 */
enum rc client_request_watched(const char *path, const struct msg_cli_request *request, int file,
	client_row_fn *fn, bool (*watch)(void *context), void *context, struct msg_result *ret_result,
	struct err *e);

#endif
