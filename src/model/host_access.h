/*
 * What a configuration means for the gateway itself: is the host filtered at all, and does a TCP connection
 * to it go on. The ingress filter (proc/supervisor/filter_text.c) is made of the same fields. Pure; callers:
 * control, before a commit; cli, for `check`.
 */
#ifndef MODEL_HOST_ACCESS_H
#define MODEL_HOST_ACCESS_H

#include "model/snapshot.h"

/* The TUN device of the host's packets that go into tunnels and come out of them. */
#define TUN_NAME     "pg0"
#define TUNNEL_TABLE 20551u /* routing table of the host's routes into tunnels */
#define TUNNEL_RULE  20551u /* priority of the rule that asks it */

/* While an uplink is down, the host's own default route: table, and priority of the two rules that ask main without its
 * default route and then this table. After all rules of others, but those that come with main itself. */
#define DETOUR_TABLE 20552u
#define DETOUR_RULE  32764u

/* A TCP connection to the gateway as its kernel sees it. It travels in a message: no padding. */
struct host_connection {
	struct ip_addr local, remote; /* family ADDR_NONE: no connection */
	uint16_t local_port;
	uint16_t accepted;		      /* the other end began it: it is one to a service of the host */
	char interface[INTERFACE_NAME_BYTES]; /* by which answers leave; empty: not known */
};

/* A bit for each zone that something comes from or goes to: those with an interface or a tunnel. */
uint64_t snapshot_zones_in_use(const struct snapshot *s);

/*
 * Without an interface in any zone, or without anything that is permitted between or opened by zones that have
 * interfaces or tunnels, nothing is forwarded and no service of the host is reached: an empty text, above all, or
 * one whose later part is gone. RC_DENIED then. `name` is what the error text calls the configuration.
 */
enum rc snapshot_check_not_closed(const struct snapshot *s, const char *name, struct err *e);

/* RC_DENIED, with the reason: the configuration does not admit this connection to the host. */
enum rc snapshot_admits(const struct snapshot *s, const struct host_connection *c, struct err *e);

/*
 * RC_DENIED: `next` would not admit the connection to the host. When `now` does not admit it either, and the
 * connection exists all the same, its path was not understood: then the answer is RC_OK, except with the first
 * configuration.
 */
enum rc snapshot_keeps_connection(const struct snapshot *now, const struct snapshot *next,
	const struct host_connection *c, struct err *e);

#endif
