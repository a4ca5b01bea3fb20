/*
 * A host's addresses, asked for at the machine's name servers over sockets that the supervisor opened: both
 * families at once, every server at once, again after a second, for three seconds at the most. Called by
 * ipc/errand.c and proc/resolver/names.c; one thread.
 */
#ifndef IPC_LOOKUP_H
#define IPC_LOOKUP_H

#include "ipc/loop.h"
#include "witness/names.h"

#define LOOKUP_SERVERS_MAX   3
#define LOOKUP_ADDRESSES_MAX (2 * NAMES_EACH_MAX) /* that `done` is told */
#define LOOKUP_ROUNDS	     3
#define LOOKUP_ROUND_NS	     NS_PER_S
#define LOOKUP_GRACE_NS	     (300 * NS_PER_MS) /* for the other family when one is known */

struct lookup;

/* The end, the lookup is over. n 0: why says what happened. */
typedef void lookup_fn(struct lookup *l, const struct ip_addr *addrs, size_t n, const char *why);

struct lookup {
	struct loop *loop;
	lookup_fn *done;
	void *context;
	bool active;
	struct watch servers[LOOKUP_SERVERS_MAX]; /* fd -1: none */
	size_t servers_n;
	struct names_question question[2]; /* by family: IPv6 first */
	bool answered[2], missing[2];	   /* missing: the name does not exist */
	struct names_found found[2];	   /* all of them; for `done` to read as well */
	struct timer timer;
	unsigned rounds;
	char why[160]; /* the last that went wrong */
};

void lookup_init(struct lookup *l, struct loop *loop, lookup_fn *done, void *context);
/* The sockets follow. host is borrowed until the end; ids: two numbers that nobody can guess. large: by EDNS. */
void lookup_begin(struct lookup *l, const char *host, const uint16_t ids[2], bool large);
/* A socket to a name server. Takes fd over. */
void lookup_server(struct lookup *l, int fd);
/* All are there: asks. */
void lookup_ask(struct lookup *l);
/* Ends it without calling `done`. */
void lookup_stop(struct lookup *l);

#endif
