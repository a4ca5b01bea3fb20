/*
 * One request to a witness and its answer: HTTP over a connection that the supervisor opened, without
 * blocking, within WITNESS_POLL_WAIT_NS; or what ike or the courier bring. Called by witnesses.c; one thread.
 */
#ifndef PROC_LEDGER_EXCHANGE_H
#define PROC_LEDGER_EXCHANGE_H

#include "ipc/loop.h"
#include "witness/http.h"
#include "witness/witness.h"

#define EXCHANGE_REQUEST_MAX (WITNESS_BODY_MAX + 1024)

struct exchange;

/* The end. status 0: no answer, and why. The exchange is over when it is called; the next may begin after the last
 * use of the body. */
typedef void exchange_fn(struct exchange *x, int status, const void *body, size_t body_n, const char *why);

struct exchange {
	struct loop *loop;
	exchange_fn *done;
	void *context;
	uint64_t tag;	    /* of the request for a connection; 0: no exchange is under way */
	uint32_t retry_s;   /* of the answer, when `done` is called: Retry-After; 0: not said */
	struct watch watch; /* fd -1: the connection is awaited */
	struct timer deadline;
	size_t request_n, sent;
	char request[EXCHANGE_REQUEST_MAX];
	struct http_answer answer;
};

void exchange_init(struct exchange *x, struct loop *l, exchange_fn *done, void *context);
/* x->request and x->request_n stand; a connection was asked for under the tag. */
void exchange_begin(struct exchange *x, uint64_t tag, mono_ns wait);
/* The connection, which may still be under way. Takes fd over. */
void exchange_connected(struct exchange *x, int fd);
void exchange_fail(struct exchange *x, const char *why);
/* An answer that did not come over a connection of ours. */
void exchange_answered(struct exchange *x, int status, uint32_t retry_s, const void *body, size_t body_n);
/* Ends it without calling `done`. */
void exchange_stop(struct exchange *x);

#endif
