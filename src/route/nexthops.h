/*
 * What the forwarding table's values mean: next-hop sets. A set is all routes to one destination, by rising
 * metric and, within a metric, in the order in which they came. Equal sets are one (interned), however many
 * destinations have them: a table of a million routes by ten neighbours has a few tens of sets, which stay
 * in the caches, and a route costs nothing beside its place in fib.c.
 *
 * A set does not say whether its links are up: each route points to its port, the one place where a link's
 * state stands. So a link that goes up or down is one store, whatever leads over it.
 *
 * Sets are never changed: another set takes their place. One writer, readers without a lock, as in fib.h:
 * what nobody refers to any more stays readable until nexthops_reclaim().
 */
#ifndef ROUTE_NEXTHOPS_H
#define ROUTE_NEXTHOPS_H

#include "route/route.h"

#define NEXTHOPS_NONE	      UINT32_MAX
#define NEXTHOPS_CHUNK	      1024u /* numbers a chunk: chunks never move, and a small table has one */
#define NEXTHOPS_CHUNKS_MAX   4096u /* more sets than routes and than a change in flight retires */
#define NEXTHOPS_BUCKETS_MIN  64u   /* of the hash table over the sets */
#define NEXTHOPS_SEGMENTS_MAX 24u   /* each as large as all before it */
#define NEXTHOPS_PORT_BUCKETS 64u   /* links are few: ROUTE_LINKS_MAX that are known */

/* Next hops that health checks have found dead behind links that are up (route.h). */
struct nexthops_dead {
	struct route_dead list[ROUTE_DEAD_MAX];
	uint32_t n;
};

/* A link as routes see it; it may be that only routes know it. */
struct nexthops_port {
	struct nexthops_port *next; /* in its bucket */
	uint32_t index, mtu;	    /* the kernel's index; mtu 0 while the link is not known */
	uint32_t users;		    /* routes in sets */
	bool up, known;
	bool gone; /* the link was deleted: its number may be another's now */
	const struct nexthops_dead *dead;
};

struct nexthop {
	struct nexthops_port *port; /* NULL: none, it is unreachable */
	struct ip_addr gateway;	    /* ADDR_NONE: the destination itself */
	uint32_t metric, mtu, kind; /* as in struct route_entry */
	uint32_t weight;	    /* of it among those of its path; 0: it stands alone */
	uint32_t path; /* of a metric's hops, those with the same number are one route; 0: alone */
};

struct nexthop_set {
	struct nexthop_set *next; /* in its bucket, then of those that are retired */
	uint32_t number, refs, hash, n;
	struct nexthop hop[];
};

struct nexthops {
	union nexthops_place {
		struct nexthop_set *set;
		uint32_t free; /* the next free number */
	} *chunk[NEXTHOPS_CHUNKS_MAX];
	uint32_t places_n, free; /* numbers given out ever; the first that is free again */
	/* Linear hashing (Litwin 1980): grows by a bucket for each set, so that no set pays for all of
	 * them. */
	struct nexthop_set **segment[NEXTHOPS_SEGMENTS_MAX];
	uint32_t buckets_n, sets_n;
	struct nexthop_set *retired;
	struct nexthops_port *port[NEXTHOPS_PORT_BUCKETS];
	const struct nexthops_dead *dead; /* of the routing core: the same for all of its tables */
};

bool nexthops_init(struct nexthops *h, const struct nexthops_dead *dead); /* false: out of memory */
/* Before nexthops_done(), which then has less to do: so many buckets' sets are freed. Nothing else is called any more.
 * True: those were the last. */
bool nexthops_release(struct nexthops *h, uint32_t budget);
void nexthops_done(struct nexthops *h);

/* The port of a link; NULL: there is none, or out of memory. */
struct nexthops_port *nexthops_port_find(const struct nexthops *h, uint32_t index);
struct nexthops_port *nexthops_port_get(struct nexthops *h, uint32_t index);
/* Nothing is known of its link and no set has it: it goes. port may be NULL. */
void nexthops_port_trim(struct nexthops *h, struct nexthops_port *port);
/* Its link was deleted. Routes that still have it are never usable again. */
void nexthops_port_gone(struct nexthops *h, struct nexthops_port *port);

/* A set to be filled, with room for n; NULL: out of memory. Given to nexthops_intern(), or to free(). */
struct nexthop_set *nexthop_set_new(uint32_t n);
/* The one set with these routes, referred to once more; fresh belongs to it. NULL: out of memory, fresh is
 * freed. */
struct nexthop_set *nexthops_intern(struct nexthops *h, struct nexthop_set *fresh);
void nexthops_unref(struct nexthops *h, struct nexthop_set *set);
void nexthops_reclaim(struct nexthops *h); /* every reader has passed a quiet point */

static inline struct nexthop_set *nexthops_at(const struct nexthops *h, uint32_t number)
{
	return number == NEXTHOPS_NONE ? NULL
				       : h->chunk[number / NEXTHOPS_CHUNK][number % NEXTHOPS_CHUNK].set;
}

#endif
