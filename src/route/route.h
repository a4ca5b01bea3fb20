/*
 * The routing core: a mirror of the kernel's links, addresses, routes and neighbours, and the lookups the
 * data plane makes in it. Linux stays the host: iproute2, FRR and the kernel write these tables, this core
 * only repeats them.
 *
 * Pure: parsed events in (the shell reads rtnetlink), answers out. One thread. Lookups do not allocate;
 * events may. Each event changes the forwarding table in place and takes microseconds in a table of a
 * million routes, that of a link as well; nothing is left for the next lookup to build.
 *
 *   blocks.c     memory of the forwarding table: blocks of a few sizes, free again after a quiet point
 *   fib.c        prefixes to numbers by longest prefix match: a tree bitmap for each family
 *   nexthops.c   what the numbers mean: next-hop sets, equal ones once, and the links' states that they point to
 *   route.c      links, addresses, neighbours; events and answers
 *   routes.c     the routes to all destinations: which of them counts, what goes with a link
 *   tables.c     the kernel's other tables
 *   rules.c      which of the tables a packet is looked up in
 *   spread.c     the choice among the next hops of one route, by flow
 *   selectors.c  tunnels' traffic selectors, which are asked before the routes
 *   health.c     which uplinks are down, by what has answered
 *
 * Invariant: route_generation() grows with every change that alters the answer of route_lookup(),
 * route_next_hops() or route_is_local() for any address, so a session may keep an answer together with the
 * generation it is from. Routes that change nothing for any address (one that another of a lower metric
 * hides, a more specific one by the same next hop) do not count. Neighbours are looked up per train and do
 * not count.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/addr.h"

#define ROUTE_NEIGHBOUR_SLOTS_MIN 256u /* of the table of neighbours, which grows */

#define ROUTE_LINK_NAME_BYTES 16
#define ROUTE_LINKS_MAX	      256
#define ROUTE_LOCALS_MAX      1024
#define ROUTE_ROUTES_MAX      (1u << 21) /* of both families: 1,000,000 and 250,000, and as many more */
#define ROUTE_NEIGHBOURS_MAX  65536
#define ROUTE_PATHS_MAX	      256 /* next hops of one route; more of them are not used */
#define ROUTE_TABLES_MAX      256 /* beside main */
#define ROUTE_RULES_MAX	      1024 /* of both families: a walk of microseconds, for the first packet of a session */
#define ROUTE_DEAD_MAX	      32 /* next hops that health checks have found dead */
#define ROUTE_BURST	      64 /* destinations whose lookups are prepared at once */
#define ROUTE_VRF_STEPS	      4	 /* devices of VRFs by which routes may lead, one after the other */
#define ROUTE_WITHHELD_MAX    64 /* prefixes of routes that found no room; more of them are joined */
#define ROUTE_NONE	      UINT32_MAX

#define ROUTE_TABLE_MAIN  254u /* the kernel's numbers */
#define ROUTE_TABLE_LOCAL 255u

enum route_kind {
	ROUTE_UNICAST,
	ROUTE_LOCAL,	 /* an address of this host */
	ROUTE_BROADCAST, /* a broadcast address of a link */
	ROUTE_MULTICAST,
	ROUTE_UNREACHABLE, /* unreachable, blackhole, prohibit */
	ROUTE_THROW,	   /* not by this table: on to the next rule, or unreachable */
};

struct route_link {
	uint32_t index; /* the kernel's */
	char name[ROUTE_LINK_NAME_BYTES];
	uint8_t mac[6];
	bool up, has_mac;
	bool bare; /* frames without a link header: ppp, TUN, WireGuard, GRE */
	uint32_t mtu;
	uint32_t master; /* the link that it is enslaved to: a bridge, a bond, a VRF device; 0: none */
	uint32_t vrf;	 /* of a VRF device: its table; 0: it is none */
};

struct route_local {
	uint32_t link; /* the kernel's index */
	struct ip_addr addr;
	uint32_t bits;	/* of the link's prefix */
	bool temporary; /* not for answers of ours: deprecated or tentative */
};

struct route_entry {
	struct ip_prefix dst;
	uint32_t metric;
	uint32_t link; /* outgoing, the kernel's index; ROUTE_NONE for unreachable */
	struct ip_addr
		gateway; /* ADDR_NONE: the destination itself is on the link; may be of the other family */
	uint32_t mtu;	 /* 0: the link's */
	uint32_t kind;	 /* enum route_kind */
	uint32_t weight; /* of a next hop among several; 0: a route that shares its flows with no other */
	uint32_t table;	 /* 0: main */
};

enum route_rule_action {
	ROUTE_RULE_LOOKUP,
	ROUTE_RULE_UNREACHABLE, /* unreachable, blackhole, prohibit */
	ROUTE_RULE_GOTO,
	ROUTE_RULE_NOTHING,
};

/* A rule by which a table is chosen (`ip rule`). A condition that is zero holds for every packet. */
struct route_rule {
	uint32_t priority;
	uint32_t action;       /* enum route_rule_action */
	uint32_t table;	       /* LOOKUP */
	uint32_t target;       /* GOTO: a priority */
	int32_t suppress_bits; /* routes to a destination of at most this length do not count; -1: all do */
	struct ip_prefix src, dst;
	char in[ROUTE_LINK_NAME_BYTES]; /* the incoming interface */
	struct route_port_range {
		uint16_t first, last;
	} src_ports, dst_ports;
	uint8_t family, proto;
	bool vrf;    /* l3mdev: LOOKUP in the table of the VRF that the packet is in; for no packet of main */
	bool invert; /* for packets that do not fit */
	bool never;  /* has a condition that no forwarded packet fulfils: a mark, an outgoing interface */
};

/* The packets of one direction of a session, as a lookup by rules sees them. */
struct route_flow {
	struct ip_addr src, dst;
	uint32_t in_link; /* ROUTE_NONE: from a tunnel */
	uint32_t vrf;	  /* the table of the VRF that it is in; 0: none */
	uint16_t src_port, dst_port;
	uint8_t proto;
	bool ports;
	uint64_t hash; /* by which one of several next hops is chosen: the same for each packet */
	/* Links that count as up though they are down: whoever asks wants to know what would go by them. */
	const uint32_t *held;
	uint32_t held_n;
};

/* Where a route goes among those to its destination with its metric. */
enum route_place {
	ROUTE_APPEND,
	ROUTE_REPLACE, /* in the place of the first one; of IPv6, of the first of its sort: with a weight or without */
	ROUTE_PREPEND,
};

enum route_neighbour_state {
	ROUTE_NEIGHBOUR_NONE,
	ROUTE_NEIGHBOUR_WAITING, /* the kernel is asking for it */
	ROUTE_NEIGHBOUR_STALE,	 /* usable; to be confirmed */
	ROUTE_NEIGHBOUR_VALID,
	ROUTE_NEIGHBOUR_FAILED,
};

struct route_neighbour {
	struct ip_addr addr;
	uint32_t link;
	uint8_t mac[6];
	uint8_t state; /* enum route_neighbour_state */
	uint8_t zero;
};

/* A next hop behind which nothing is reached, though its link is up. */
struct route_dead {
	uint32_t link;
	struct ip_addr
		gateway; /* as in the routes; ADDR_NONE: of a link without link addresses, those that name none */
};

struct route_answer {
	uint32_t kind; /* enum route_kind; ROUTE_UNREACHABLE also when nothing matches */
	uint32_t link; /* ROUTE_NONE when unreachable */
	uint32_t mtu;
	struct ip_addr next_hop;
};

struct route_table;

struct route_table *route_new(void); /* NULL: no memory */
void route_free(struct route_table *t);
/* The same in pieces of some tens of microseconds; no lookup and no event comes after the first. True: that was the
 * last, t is gone. */
bool route_free_piece(struct route_table *t);
/* Called with memory of 2 MB, aligned, that lookups in a large table read everywhere: for large pages. */
void route_advise(struct route_table *t, void (*advise)(void *bytes, size_t n));
/* The writer's, whenever it is convenient: memory that coming routes will need. Lookups may go on. */
void route_prepare(struct route_table *t);

uint64_t route_generation(const struct route_table *t);
/* A fresh table that takes over from an older one continues its count. */
void route_generation_continue(struct route_table *t, const struct route_table *older);

/* Events. RC_LIMIT: the table is full, the entry is not mirrored. Setting again replaces. */
enum rc route_link_set(struct route_table *t, const struct route_link *link);
void route_link_gone(struct route_table *t, uint32_t index);
enum rc route_local_set(struct route_table *t, const struct route_local *local);
void route_local_gone(struct route_table *t, uint32_t link, const struct ip_addr *addr);
/*
 * A route with one or several next hops, 1 to ROUTE_PATHS_MAX entries that differ in link, gateway and weight
 * only. IPv4: the next hops of a route with weights are one route, which comes and goes as a whole, beside
 * others of its metric. IPv6: all next hops with weights of a destination and metric are one route, however
 * they came (RFC 2991 calls it one; the kernel, siblings). RC_RANGE: no prefix.
 */
enum rc route_paths_set(
	struct route_table *t, const struct route_entry *entries, uint32_t n, enum route_place place);
void route_paths_gone(struct route_table *t, const struct route_entry *entries, uint32_t n);
/*
 * A route to this destination found no room, and must not be passed by: nobody knows where it leads until a fresh table, which
 * begins without any. Of too many, one is joined with that which it has most in common with, to a prefix that holds both.
 */
void route_withhold(struct route_table *t, const struct ip_prefix *dst);
bool route_is_withheld(const struct route_table *t, const struct ip_addr *addr);
uint32_t route_withheld(const struct route_table *t); /* how many there are */
/* (for tests) One with one next hop. */
enum rc route_set(struct route_table *t, const struct route_entry *entry, enum route_place place);
/* (for tests) */
void route_gone(struct route_table *t, const struct route_entry *entry);
enum rc route_neighbour_set(struct route_table *t, const struct route_neighbour *n);
void route_neighbour_gone(struct route_table *t, uint32_t link, const struct ip_addr *addr);

/* Adds one behind those of its priority. Rules are not taken out: a fresh table has the present ones. With none,
 * local and main are looked up. RC_LIMIT: it is not followed. */
enum rc route_rule_add(struct route_table *t, const struct route_rule *rule);

/*
 * These next hops, and no others, are dead: no route goes by them, as if their link were down. n is at most
 * ROUTE_DEAD_MAX. A fresh table has none.
 */
void route_dead_set(struct route_table *t, const struct route_dead *list, uint32_t n);
bool route_is_dead(const struct route_table *t, uint32_t link, const struct ip_addr *gateway);

/* Answers. */

/* Of the tables local and main, or of a VRF's (0: none), whatever rules there are. */
void route_lookup(const struct route_table *t, uint32_t vrf, const struct ip_addr *dst,
	struct route_answer *ret_answer);
/* Lookups of these destinations follow, of n, at most ROUTE_BURST: what they read of main comes into the caches, so that
 * they wait for the memory together and not one after the other. Changes nothing. */
void route_prefetch(const struct route_table *t, const struct ip_addr *const *dsts, uint32_t n);
/*
 * For a flow, by the rules. Of a route's usable next hops the one that the flow's hash falls to, by their
 * weights. One that goes moves its own flows and no other's; one that comes takes its share of each. `before`: a
 * flow's earlier answer, or NULL; it keeps its link and next hop while they are among those of the route, or
 * has one by the link if before->next_hop is ADDR_NONE.
 */
void route_lookup_flow(const struct route_table *t, const struct route_flow *flow,
	const struct route_answer *before, struct route_answer *ret_answer);
/*
 * Every next hop that route_lookup_flow() could give: the first one is what it gives to who has no choice. Returns
 * how many, at most room; 0 when nothing matches or the address is one of this host.
 */
uint32_t route_next_hops(const struct route_table *t, const struct route_flow *flow,
	struct route_answer *ret_answers, uint32_t room);
/* vrf: of this VRF's links, by its table; 0: of those in none. */
bool route_is_local(const struct route_table *t, uint32_t vrf, const struct ip_addr *addr);
/* The table of the VRF that a link is in; 0: in none, or there is no such link. */
uint32_t route_count(const struct route_table *t); /* of the main table and local */
uint32_t route_vrf_of(const struct route_table *t, uint32_t link);
const struct route_link *route_link_find(const struct route_table *t, uint32_t index);
/* NULL: never heard of. The pointer is good until the next event. */
const struct route_neighbour *route_neighbour_find(
	const struct route_table *t, uint32_t link, const struct ip_addr *addr);
/* An address of ours on the link, of the family; one in the prefix of `near` first, then the one that can be
 * answered from furthest: no link-local or unique local one beside another. False: there is none. */
bool route_local_on(const struct route_table *t, uint32_t link, uint8_t family, const struct ip_addr *near,
	struct ip_addr *ret_addr);

/* The gateway of the family's default route by this link (ADDR_NONE: it names none), in main, else in another table.
 * False: there is no such route. */
bool route_default_gateway(
	const struct route_table *t, uint32_t link, uint8_t family, struct ip_addr *ret_gateway);
/* Where the default route of main goes because a next hop of it is dead; false: it goes as the kernel has it. */
bool route_default_detour(
	const struct route_table *t, uint8_t family, uint32_t *ret_link, struct ip_addr *ret_gateway);

/* Of an address of ours: every link that it is on is down, and another one, which is up, leads to `to`. */
bool route_leads_elsewhere(struct route_table *t, const struct ip_addr *local, const struct ip_addr *to);

bool route_is_local_on(const struct route_table *t, uint32_t link, const struct ip_addr *addr);

/* Whole tables, in no particular order, for `show`. i counts from 0 until NULL comes back. */
const struct route_local *route_local_at(const struct route_table *t, uint32_t i);
const struct route_entry *route_at(const struct route_table *t, uint32_t i);
/* The same of the table of this place, but `local`, whose routes are in the first. False: there is no such place. */
bool route_at_table(
	const struct route_table *t, uint32_t place, uint32_t i, const struct route_entry **ret_entry);
/* Slots: entries with state ROUTE_NEIGHBOUR_NONE are empty. */
const struct route_neighbour *route_neighbour_at(const struct route_table *t, uint32_t i);

#endif
