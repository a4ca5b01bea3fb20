/*
 * The witness's HTTP face (libmicrohttpd): POST /add-checkpoint; GET of the last cosigned note of each log,
 * and of a request of its key that was refused. One thread, which also runs the store: requests are decided
 * one after the other. Driven by the caller's loop: poll server_fd(), call server_run() when it is readable
 * or server_timeout_ms() has passed.
 */
#ifndef PROC_WITNESS_SERVER_H
#define PROC_WITNESS_SERVER_H

#include "proc/witness/conns.h"
#include "proc/witness/limit.h"
#include "proc/witness/silence.h"
#include "proc/witness/database.h"

#include <sys/socket.h>

#define SERVER_IDLE_S	 20 /* a connection on which nothing arrives is closed */
#define SERVER_REQUEST_S 30 /* and one whose request is not whole by then */

struct server_options {
	unsigned per_s, burst;	  /* requests of one client; 0: no limit */
	unsigned connections_max; /* of one client; 0: any number */
	unsigned silence_s;	  /* after which a log that asks no more is a warning; 0: never */
};

struct server;

/* listen_fd: bound and listening; the server owns it from here on. witness->store is database_interface(store).
 */
enum rc server_start(struct server **ret_server, int listen_fd, const struct witness *witness,
	struct database *store, const struct server_options *options, struct err *e);
int server_fd(const struct server *s);
/* Milliseconds until server_run() has something to do by itself; -1: nothing. */
int server_timeout_ms(const struct server *s);
void server_run(struct server *s);
void server_stop(struct server *s);

#endif
