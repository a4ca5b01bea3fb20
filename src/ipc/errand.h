/*
 * One request over HTTP and its answer, for the courier (a witness) and the resolver (a feed): addresses of the URL's name, each
 * tried in turn, TLS, HTTP, without blocking and within a time. Sockets come from the supervisor. One thread.
 */
#ifndef IPC_ERRAND_H
#define IPC_ERRAND_H

#include "ipc/lookup.h"
#include "crypto/trust.h"
#include "witness/http.h"

#define ERRAND_WAIT_NS	   (10 * NS_PER_S) /* all of it */
#define ERRAND_CONNECT_NS  (3 * NS_PER_S)  /* for one address, until TLS stands */
#define ERRAND_REQUEST_MAX (16 << 10)

struct errand;

/* What the shell does for it: both ask the supervisor under the errand's `awaited` tag. */
struct errand_ops {
	bool (*names)(struct errand *x);
	bool (*connect)(struct errand *x, const struct endpoint *to);
	/* The end; the errand is over. a NULL: no answer, and why. */
	void (*done)(struct errand *x, const struct http_answer *a, const char *why);
};

enum errand_state {
	ERRAND_IDLE,
	ERRAND_NAMES,	/* sockets to name servers are awaited, or their answers */
	ERRAND_CONNECT, /* a connection to the address is awaited */
	ERRAND_HELLO,	/* it is under way, and TLS on it */
	ERRAND_REQUEST,
	ERRAND_ANSWER,
};

struct errand {
	const struct errand_ops *ops;
	struct loop *loop;
	void *context;
	enum errand_state state;
	uint64_t tag;	  /* of the question, for the shell */
	uint64_t awaited; /* of what the supervisor was asked last; the shell's */
	SSL_CTX *trust;	  /* borrowed while it is under way */
	SSL *ssl;	  /* NULL: http */
	struct url url;
	uint8_t key[32];
	bool has_key;
	struct lookup lookup;
	struct ip_addr addrs[LOOKUP_ADDRESSES_MAX];
	size_t addrs_n, next;
	struct watch conn; /* fd -1: none */
	struct timer deadline, attempt;
	size_t request_n, sent;
	char request[ERRAND_REQUEST_MAX];
	uint8_t *to; /* for the answer's body, set after errand_init(); NULL: it stays in the answer */
	size_t to_max;
	const char *type; /* of the request's body, set after errand_init(); NULL: text/plain */
	mono_ns wait;	  /* for all of it; 0: ERRAND_WAIT_NS */
	struct http_answer answer;
	char why[160]; /* of the last address */
};

void errand_init(struct errand *x, struct loop *l, const struct errand_ops *ops, void *context);
/* url, key and has_key stand. body NULL: a GET. `done` may come from in here. */
void errand_begin(struct errand *x, SSL_CTX *trust, const char *at, const void *body, size_t body_n);
/* The supervisor's answers to what was asked under x->awaited; take fd over. */
void errand_names_socket(struct errand *x, int fd);
void errand_names_end(struct errand *x, bool any, const char *why);
void errand_connected(struct errand *x, int fd);
void errand_refused(struct errand *x, const char *why);
/* Ends it without calling `done`. */
void errand_stop(struct errand *x);

#endif
