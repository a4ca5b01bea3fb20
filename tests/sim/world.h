/*
 * A world in one process, for tests of IKE: two gateways, or several that begin and one that answers, each with the
 * real IKE core, the real keeper core and a model of the data plane, joined by a seeded network. Everything is an event in one
 * queue; equal seeds give equal runs, to the byte.
 *
 * The data plane's model holds SAs as the keeper hands them over and moves test packets, so that a rekey that
 * loses one is seen. Used by sim_ike.c and tests/unit/ike.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "ike/ike.h"
#include "crypto/sign.h"
#include "keys/keys.h"

#define SIM_NODES_MAX	  4 /* the second one answers all others */
#define SIM_TUNNELS_MAX	  4
#define SIM_SAS_MAX	  128
#define SIM_EVENTS_MAX	  16384
#define SIM_SECOND_PUBLIC "203.0.113.200"
#define SIM_NAME_TTL_S	  20

/* What one gateway is configured with. */
struct sim_side {
	struct ip_addr address, other; /* other: ADDR_NONE: any */
	const char *local_id, *remote_id;
	enum peer_start start;
	bool by_name;  /* the other one's address is a name (struct sim_dns) */
	bool by_route; /* its own address is what the route selects */
	uint32_t peer_flags;
	uint32_t ike_n, esp_n;
	struct snap_ike_proposal ike[3];
	struct snap_esp_proposal esp[3];
	uint32_t reauth_s; /* 0: never */
	uint32_t rekey_s, dpd_s, child_rekey_s, fragment_size;
	uint32_t tunnels;
	uint32_t workers; /* of its data plane; 0: one */
	bool per_worker;  /* child SAs for each of them, in all tunnels */
	/* Of the network on the first side: the last octets that are this one's; both 0: all. */
	uint8_t behind_first, behind_last;
	uint16_t connections; /* of a template, 0: 64 */
	bool v6_inside;
	const char *psk;
	const char *ppk, *ppk_name; /* NULL: none; the name that is configured, "ppk" unless given */
	const char *pem;	    /* our private key; then their_key is the peer's */
	uint16_t their_key_n;
	uint8_t their_key[160];
	uint32_t cookie_above;
	bool puzzles;	/* beside each cookie */
	bool no_tokens; /* of RFC 6290 */
	bool no_mlkem;	/* libcrypto of this machine lacks it */
};

/* Chances in 1/1000, times in milliseconds. */
struct sim_network {
	uint32_t lose, repeat, flip, delay_min, delay_max;
	bool nat;      /* the first gateway is behind one */
	bool nat_both; /* and the second behind one that never changes (SIM_SECOND_PUBLIC) */
	uint32_t copy; /* with a NAT: test packets that are sent again, later and from another endpoint */
	bool cut;      /* nothing passes */
};

struct sim_sa {
	bool used, active, seen; /* seen: something came in on it */
	struct sa_install sa;
	uint64_t order;	    /* of two active ones the later sends */
	uint64_t sent, top; /* numbers of packets: the last sent, the highest that came */
	mono_ns last_in;
	bool moved; /* as in src/esp: the newest came from there */
	struct endpoint seen_at;
};

/* What DNS says to a gateway of the other one's name. */
struct sim_dns {
	bool silent; /* nobody answers */
	uint32_t n;  /* 0: the name has no address */
	struct ip_addr at[3];
};

struct world;

struct node {
	struct world *w;
	int index;
	struct ike *ike;
	struct keys *keys;
	uint32_t values; /* that its keeper took, over its restarts */
	struct snapshot *snap;
	struct sim_side side;
	struct sim_dns dns;
	struct peer_name_told told; /* by its resolver, last */
	struct sim_sa sas[SIM_SAS_MAX];
	uint64_t orders;
	bool ledger_down;
	mono_ns keeper_back_at; /* until then nothing is taken from its ike */
	uint64_t life;		/* counts restarts of ike: answers to an earlier life are not delivered */
	uint64_t refused, sent, asked, refused_by_core;
	uint64_t packets_sent, packets_got, packets_lost, packets_no_sa;
	uint64_t packets_astray; /* by an SA of another gateway than the one that the address belongs to */
	uint64_t packets_misled; /* to a mapping of the NAT that is gone for longer than it takes to follow */
	uint64_t peer_messages_got;
	uint64_t redirected;
	mono_ns redirected_at[IKE_REDIRECTS_MAX]; /* the last ones, */
	uint64_t redirected_life;		  /* of this life */
	char last_refusal[IKE_REASON_MAX];
};

struct world {
	uint64_t seed, random;
	mono_ns now;
	struct sim_network net;
	struct node nodes[SIM_NODES_MAX];
	int nodes_n;
	struct event *heap[SIM_EVENTS_MAX];
	uint32_t heap_n;
	uint64_t order;
	bool trace;
	bool packets; /* test packets every 100 ms in each direction of each tunnel */
	mono_ns usage_at, packets_at, names_at;
	/* The NAT's mapping of the first gateway's ports 500 and 4500. */
	struct ip_addr nat_address;
	uint16_t nat_port[2];
	mono_ns nat_followed_at; /* until then packets may go to the old one */
	uint64_t digest;	 /* of every event so far: two runs of one seed must have the same */
	void (*on_datagram)(
		struct world *w, int from, const uint8_t *bytes, size_t n); /* a look at what is sent */
	/* What goes on instead, to be freed; NULL, as the hook may be: it goes on as it is. */
	uint8_t *(*change)(struct world *w, const uint8_t *bytes, size_t n, size_t *ret_n);
	const char *wrong; /* something that must not happen has; NULL: nothing has */
	void (*on_log)(struct world *w, int node, bool warning, const char *text); /* NULL: nobody listens */
};

void world_init(struct world *w, uint64_t seed, const struct sim_side sides[2]);
void world_init_star(struct world *w, uint64_t seed, const struct sim_side *sides, int n);
void world_done(struct world *w);
uint64_t world_chance(struct world *w, uint64_t lo, uint64_t hi);
bool world_happens(struct world *w, uint32_t per_mille);
/* Runs until that time; everything that is due happens. */
void world_run(struct world *w, mono_ns until);
void world_say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes the actions of a core after a call into it. */
void world_settle(struct world *w, struct node *n);
/* The NAT is rebooted, gets another address, or both: the old mapping is gone. */
enum sim_nat_change { SIM_NAT_PORT, SIM_NAT_ADDRESS, SIM_NAT_BOTH, SIM_NAT_CHANGES };
void world_nat_change(struct world *w, enum sim_nat_change how);
/* The gateway has another address now, without a word to anybody; DNS is the caller's. */
void world_move(struct world *w, int node, const struct ip_addr *address);
void world_order(struct world *w, int node, enum ike_order order, const char *name);
void world_restart_ike(struct world *w, int node);
/* The next one comes after `away`. */
void world_restart_keeper(struct world *w, int node, mono_ns away);
void world_reconfigure(struct world *w, int node, const struct sim_side *side);
/* A datagram straight into a core, as if it came from that address. */
void world_inject(
	struct world *w, int to, const struct endpoint *from, uint16_t to_port, const void *bytes, size_t n);

/* The same, as late as by the network. */
void world_deliver(struct world *w, int to, const struct endpoint *local, const struct endpoint *remote,
	const void *bytes, size_t n);

/* What must not happen: too many redirects in a time; a message to an address that no peer can have. */
void world_redirected(struct node *n);
void world_judge(struct world *w, const struct ip_addr *from, const struct ip_addr *to);

struct sim_sa *world_sa(struct node *n, uint32_t spi_in); /* of its data plane; NULL: it has none */

/* NULL when both sides have the same SAs and the data planes hold just these; else what is wrong. */
const char *world_mismatch(struct world *w, char *ret_text, size_t size);
/* Tunnels with exactly one child on both sides; counts IKE SAs too. */
uint32_t world_tunnels_up(struct world *w, uint32_t *ret_ike_sas);
/* Tunnels, of either side, that lack the child SA of a worker, where both sides have such. */
uint32_t world_workers_without(struct world *w);
/* IKE SAs that carry nothing. */
uint32_t world_childless(struct world *w);

struct ip_addr sim_address(const char *text);
void sim_side_default(struct sim_side *s, int index);
struct snapshot *sim_snapshot(const struct sim_side *s, int index, uint64_t generation); /* to be freed */

#endif
