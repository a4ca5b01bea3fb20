/*
 * The data plane without a gateway: the real pipeline over a configuration and a text of routes, for `plaingate replay`. Packets go in one
 * by one with the time at which they were captured; what comes out is what was decided about each. Nothing is sent, nothing is read
 * but what the caller gives, and no clock.
 *
 * Every link is there and up, takes packets of any size and has no neighbours to resolve; every tunnel is up, with keys of no meaning.
 * So verdicts are those of a gateway whose links and tunnels work, without what it would refuse for their sake.
 */
#ifndef DATAPLANE_OFFLINE_H
#define DATAPLANE_OFFLINE_H

#include "model/packet_facts.h"
#include "model/snapshot.h"

#define OFFLINE_SESSIONS (1u << 16) /* of each worker: 0.4 KB each */

struct offline;

/* Of routes that were read. */
struct offline_routes {
	uint32_t routes, addresses;
	uint32_t skipped; /* of other tables, or of a type that decides nothing here */
};

/*
 * s outlives it. routes: what `ip route show table all` and `ip -6 route show table all` print. sessions: at once, of each worker. Several workers
 * decide as one; for tests.
 * NULL, with an error that names the line.
 */
struct offline *offline_new(const struct snapshot *s, const char *routes, size_t routes_n, uint32_t workers,
	uint32_t sessions, struct offline_routes *ret_read, struct err *e);
void offline_free(struct offline *o);

/* TRAIN_NONE: no zone has one of this name. */
uint32_t offline_interface_named(const struct offline *o, const char *name, size_t n);

/*
 * A packet from its IP header on comes by the interface, at a time that never goes back (ns, of any origin). interface TRAIN_NONE: by that
 * towards which its source is routed. A packet that has not come whole is `truncated`.
 */
void offline_packet(struct offline *o, uint32_t interface, const uint8_t *bytes, uint32_t n, uint64_t when_ns,
	struct packet_facts *ret_facts);
/* The text of a drop by its name. */
const char *offline_drop_text(const char *name);

#endif
