/*
 * A world in one process, for tests of IKE: two gateways, each with the real IKE core, the real keeper core
 * and a model of the data plane, joined by a seeded network. Everything that happens is an event in one
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

#define SIM_TUNNELS_MAX	  4
#define SIM_SAS_MAX	  64
#define SIM_EVENTS_MAX	  16384
#define SIM_SECOND_PUBLIC "203.0.113.200"

/* What one gateway is configured with. */
struct sim_side {
	struct ip_addr address, other; /* other: ADDR_NONE: any */
	const char *local_id, *remote_id;
	enum peer_start start;
	uint32_t peer_flags;
	uint32_t ike_n, esp_n;
	struct snap_ike_proposal ike[3];
	struct snap_esp_proposal esp[3];
	uint32_t rekey_s, dpd_s, child_rekey_s, fragment_size;
	uint32_t tunnels;
	bool v6_inside;
	const char *psk;
	const char *ppk, *ppk_name; /* NULL: none; the name that is configured, "ppk" unless given */
	const char *pem;	    /* our private key; then their_key is the peer's */
	uint16_t their_key_n;
	uint8_t their_key[160];
	uint32_t cookie_above;
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

struct world;

struct node {
	struct world *w;
	int index;
	struct ike *ike;
	struct keys *keys;
	uint32_t values; /* that its keeper took, over its restarts */
	struct snapshot *snap;
	struct sim_side side;
	struct sim_sa sas[SIM_SAS_MAX];
	uint64_t orders;
	bool ledger_down;
	uint64_t life; /* counts restarts of ike: answers to an earlier life are not delivered */
	uint64_t refused, sent, asked, refused_by_core;
	uint64_t packets_sent, packets_got, packets_lost, packets_no_sa;
	uint64_t packets_misled; /* to a mapping of the NAT that is gone for longer than it takes to follow */
	uint64_t peer_messages_got;
	char last_refusal[IKE_REASON_MAX];
};

struct world {
	uint64_t seed, random;
	mono_ns now;
	struct sim_network net;
	struct node nodes[2];
	struct event *heap[SIM_EVENTS_MAX];
	uint32_t heap_n;
	uint64_t order;
	bool trace;
	bool packets; /* test packets every 100 ms in each direction of each tunnel */
	mono_ns usage_at, packets_at;
	/* The NAT's mapping of the first gateway's ports 500 and 4500. */
	struct ip_addr nat_address;
	uint16_t nat_port[2];
	mono_ns nat_followed_at; /* until then packets may go to the old one */
	uint64_t digest;	 /* of every event so far: two runs of one seed must have the same */
	void (*on_datagram)(
		struct world *w, int from, const uint8_t *bytes, size_t n); /* a look at what is sent */
};

void world_init(struct world *w, uint64_t seed, const struct sim_side sides[2]);
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
void world_order(struct world *w, int node, enum ike_order order, const char *name);
void world_restart_ike(struct world *w, int node);
void world_restart_keeper(struct world *w, int node);
void world_reconfigure(struct world *w, int node, const struct sim_side *side);
/* A datagram straight into a core, as if it came from that address. */
void world_inject(
	struct world *w, int to, const struct endpoint *from, uint16_t to_port, const void *bytes, size_t n);

/* NULL when both sides have the same SAs and the data planes hold just these; else what is wrong. */
const char *world_mismatch(struct world *w, char *ret_text, size_t size);
/* Tunnels with exactly one child on both sides; counts IKE SAs too. */
uint32_t world_tunnels_up(struct world *w, uint32_t *ret_ike_sas);
/* IKE SAs that carry nothing. */
uint32_t world_childless(struct world *w);

struct ip_addr sim_address(const char *text);
void sim_side_default(struct sim_side *s, int index);
struct snapshot *sim_snapshot(const struct sim_side *s, int index, uint64_t generation); /* to be freed */

#endif
