/*
 * Who is connected: how many connections each client has, and since when a connection owes a request. A
 * client is what it is for limit.h, so that nobody has 2^64 of them; and octets that come now and then do not
 * keep a place for ever. Pure: the time comes from the caller. Caller: server.c.
 */
#ifndef PROC_WITNESS_CONNS_H
#define PROC_WITNESS_CONNS_H

#include "proc/witness/limit.h"

#define CONNS_MAX   512
#define CONNS_SPARE 64 /* of these, free for who comes next */

struct conn {
	bool used, ended; /* ended: it is being closed */
	bool owes;	  /* a request's head has not come whole */
	mono_ns since;	  /* it was answered last, or came */
	int fd;
	bool ip; /* of a family that is limited: */
	uint8_t client[LIMIT_CLIENT_SIZE];
};

struct conns {
	unsigned each_max; /* of one client; 0: any number */
	size_t n;
	struct conn conn[CONNS_MAX];
};

/* May this client have one more? */
bool conns_allow(const struct conns *c, const struct sockaddr *client);
/* NULL: there is no room. */
struct conn *conns_add(struct conns *c, const struct sockaddr *client, int fd, mono_ns now);
void conns_remove(struct conns *c, struct conn *which);
/* The head of a request is whole; the request is answered, and the next one may come. */
void conn_asked(struct conn *c);
void conn_answered(struct conn *c, mono_ns now);
/* Those to be closed, each given once; NULL: none. One whose request has been due for longer than allowed; and
 * while fewer than CONNS_SPARE are free, the one that was not answered for longest: whoever connects and says
 * nothing, from however many addresses, keeps nobody out who asks at once. */
struct conn *conns_late(struct conns *c, mono_ns longest, mono_ns now);
struct conn *conns_crowded(struct conns *c);

#endif
