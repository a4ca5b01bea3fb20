/*
 * Why a peer's tunnels are up or down: each step that has to hold, in the order in which a tunnel comes about, from the
 * running configuration and the tables of `show`. Pure.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <jansson.h>

#include "base/err.h"
#include "model/snapshot.h"

/* Tables that are asked for; each an array of row objects. */
#define EXPLAIN_TABLES(T) /* member, table */                                                                \
	T(interfaces, SHOW_INTERFACES)                                                                       \
	T(routes, SHOW_ROUTES)                                                                               \
	T(keys, SHOW_KEYS)                                                                                   \
	T(ike, SHOW_IKE)                                                                                     \
	T(tunnels, SHOW_TUNNELS)

struct explain_tables {
#define E(member, table) json_t *member;
	EXPLAIN_TABLES(E)
#undef E
};

#define EXPLAIN_TEXT_MAX 1400
#define EXPLAIN_ROWS_MAX 10000 /* of each table; a full table of routes has more, and is not looked through */

enum explain_state { EXPLAIN_GOOD, EXPLAIN_NOTE, EXPLAIN_FAULT };

struct explain_step {
	const char *step;
	enum explain_state state;
	char text[EXPLAIN_TEXT_MAX]; /* what was found */
	char mend[300];		     /* what to change or to look at; "": nothing */
};

typedef void explain_step_fn(void *context, const struct explain_step *step);

/*
 * The steps of the peer, or of the peer of the tunnel, of that name. *ret_faults: how many of them do not hold. RC_NOT_FOUND:
 * there is neither.
 */
enum rc explain_peer(const struct snapshot *s, const char *name, const struct explain_tables *t,
	explain_step_fn *fn, void *context, uint32_t *ret_faults, struct err *e);

/*
 * The same for `plaingate vpn explain`: asks the gateway at that socket for the tables, and prints. The text is that of its
 * running configuration. RC_IO, RC_NOT_FOUND.
 */
enum rc explain_print(const char *socket, const char *text, size_t n, const char *name, bool json,
	uint32_t *ret_faults, struct err *e);

#endif
