/*
 * Serves the page of measurements by HTTP, with libmicrohttpd in this process's own loop: GET /metrics and nothing else. The socket
 * listens already when it comes from the supervisor. A client gets one answer, and has HTTP_CLIENT_NS for all of it; of HTTP_CLIENTS_MAX
 * clients the one that came first, of the source with most of them, makes room for the next. A page serves all who ask within
 * HTTP_FRESH_NS, so that clients do not decide how often other processes are asked. Callers: shell.c. One thread.
 */
#ifndef PROC_EXPORT_HTTP_H
#define PROC_EXPORT_HTTP_H

#include "proc/export/scrape.h"

#define HTTP_CLIENTS_MAX  8
#define HTTP_CLIENT_NS	  (20 * NS_PER_S)
#define HTTP_FRESH_NS	  NS_PER_S
#define HTTP_CLIENT_BYTES 8192 /* of libmicrohttpd for each: a request's head has to fit */
#define HTTP_ROUNDS_MAX	  16   /* of libmicrohttpd in a row: links to other processes come in between */

struct MHD_Daemon;
struct MHD_Connection;
struct http_page;

struct http_client {
	struct MHD_Connection *connection; /* NULL: the place is free */
	int fd;
	mono_ns since;
	struct ip_addr source; /* addr_source() */
	bool waits;	       /* suspended, for the page */
};

struct http {
	struct child *child;
	struct scrape scrape;
	struct MHD_Daemon *daemon; /* NULL: nothing is served */
	struct http_client client[HTTP_CLIENTS_MAX];
	struct http_page *page; /* the last one; NULL: there is none */
	mono_ns made_at;
	bool changed; /* a client came or went */
	struct watch watch;
	struct timer timer;
};

void http_init(struct http *h, struct child *child);
/* What the supervisor says. */
void http_configure(struct http *h, const struct snap_metrics *m);
/* Takes fd over, in place of the one before. */
void http_listen(struct http *h, int fd);
void http_end(struct http *h);

#endif
