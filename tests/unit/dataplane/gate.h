/*
 * A whole gateway's data plane in the test's own process: the pipeline with the real cores behind it, a
 * configuration compiled from text, routes and neighbours as the kernel would tell them, and outputs that are
 * kept for the test to look at (or only counted, for the bench). No socket.
 *
 *	host 10.1.0.2 -- lan0 10.1.0.1 [gate] wan0 198.51.100.2 -- 198.51.100.1 -- everything else
 *	                                         tunnel `branch` to 198.51.100.3: 10.1.0.0/24 <-> 10.2.0.0/24
 * The same in IPv6: 2001:db8:1::/64, 2001:db8:ff::/64, 2001:db8:2::/64.
 */
#ifndef TESTS_DATAPLANE_GATE_H
#define TESTS_DATAPLANE_GATE_H

#include "packets.h"
#include "proc/dataplane/pipeline.h"

#include <pthread.h>

#define GATE_LAN	1 /* the kernel's index of the link */
#define GATE_WAN	2
#define GATE_PAIRS	64
#define GATE_SPI_IN	0x1001u
#define GATE_SPI_OUT	0x2002u
#define GATE_FRAME_HEAD (VIRTIO_SIZE + ETHERNET_SIZE)

enum gate_out_kind { GATE_OUT_LINK, GATE_OUT_TUNNEL, GATE_OUT_HOST };

struct gate_out {
	enum gate_out_kind kind;
	uint32_t interface; /* GATE_OUT_LINK */
	uint32_t tunnel;    /* GATE_OUT_HOST: by whose interface; TRAIN_NONE: by pg0 */
	uint8_t mac[6];
	struct virtio_net_hdr offload;
	uint8_t *bytes; /* from the IP header; of a tunnel: one sealed packet from its SPI */
	uint32_t n;
};

#define GATE_QUEUE_MAX 512 /* trains */

/* What the workers of one gateway hand over to one of them. */
struct gate_queue {
	pthread_mutex_t lock;
	uint32_t n;
	struct gate_handed {
		enum handover_kind kind; /* HANDOVER_KINDS: a note */
		struct fw_note note;
		struct train train;
		uint8_t *bytes; /* with room around the train */
	} list[GATE_QUEUE_MAX];
};

struct gate {
	/* Those of a team stand side by side: none writes what is fetched with another one's lines. */
	_Alignas(128) struct pipeline p;
	struct firewall *fw;
	struct esp *esp;
	struct route_table *routes;
	void *snapshot, *memory, *state, *tables;
	size_t memory_n, tables_n;
	mono_ns now;
	bool counts_only;
	struct gate_out *out; /* since gate_clear() */
	uint32_t out_n, out_room;
	uint64_t sent_link, sent_tunnel, sent_host;
	uint32_t asked, acquired, may_fragment;	     /* the last: batches that may be cut outside */
	struct sa_acquire acquired_for;		     /* the last */
	enum drop_reason refuse_host, refuse_tunnel; /* what the outputs answer */
	struct gate_queue *queues;		     /* to each worker; NULL: it is the only one */
	uint32_t *on_the_way;			     /* atomic: trains in these queues */
	char traced[4096];			     /* lines of a trace: stage, space, text */
	struct packet_facts facts;		     /* of the last of them */
	bool beside;				     /* another gate has its snapshot, routes and SAs */
};

/* The configuration that most tests use; %s stands for more statements (NAT, rules). */
extern const char gate_text[];

/* text: a configuration; `more` is put in its place for %s. Ends the program when it does not compile. */
void gate_init(struct gate *g, const char *text, const char *more, uint32_t sessions);
void gate_done(struct gate *g);
/* The parts of it, for who begins often: without a configuration; a compiled one (the caller frees it); one
 * of those. */
void gate_init_bare(struct gate *g, uint32_t sessions);
void *gate_compile(const char *text, const char *more);
void gate_load_block(struct gate *g, const void *block);
/* A firewall, a pipeline and outputs of its own; snapshot, routes and SAs of the first. */
void gate_init_beside(struct gate *g, const struct gate *first, uint32_t sessions);
/* Runs what is in the queue to this worker; how many trains there were. Without run: forgets them. */
uint32_t gate_queue_run(struct gate *g, bool run);
/* The n workers of one gateway. Sessions: of each. */
void gate_init_team(struct gate *team, uint32_t n, const char *text, const char *more, uint32_t sessions);
/* They hand over to each other by these n queues. */
void gate_link_team(struct gate *team, uint32_t n, struct gate_queue *queues, uint32_t *on_the_way);
/* Runs the queues of all until nothing is on its way. */
void gate_run_team(struct gate *team, uint32_t n);
/* Their firewalls have been attached anew. */
void gate_join_team(struct gate *team, uint32_t n);
/* A commit: all take it, and share it. */
void gate_load_team(struct gate *team, uint32_t n, const char *text, const char *more);
/* By which flows are shared out among the workers of a team. */
extern uint8_t gate_flow_key[16];
/* Commits another text. */
void gate_load(struct gate *g, const char *text, const char *more);
/* Installs the SA pair of the tunnel; `mirrored`: the other end's, so that two gates read each other. */
void gate_sa(struct gate *g, bool mirrored);
/* The same with n pairs, each for a part of the other end's IPv4 network. */
void gate_sas(struct gate *g, bool mirrored, uint32_t n);
/* Forgets what has come out. */
void gate_clear(struct gate *g);

/* One train from a link through the pipeline; t->ip, len, csum and segment_size are set. Returns its drop
 * reason as counted, DROP_NONE when none was. */
enum drop_reason gate_from_link(struct gate *g, uint32_t link, struct train t);
enum drop_reason gate_from_tunnel(struct gate *g, struct train t);
enum drop_reason gate_from_host(struct gate *g, struct train t);
/* The index of a link's interface in the snapshot. */
uint32_t gate_interface(const struct gate *g, uint32_t link);

#endif
