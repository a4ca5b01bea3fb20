/*
 * The pipeline: a burst of trains from anywhere (links, tunnels, the host) goes through parsing, reassembly,
 * sessions, policy, routes and NAT, and leaves by a link, by a tunnel or to the host. It joins the cores
 * (firewall, route, esp); all input and output is behind struct pipeline_io, so that tests and the bench run
 * it without a socket.
 *
 * A pipeline is one worker's and runs in one thread. Nothing is allocated per packet. Every train ends in an
 * output, with another worker, or in exactly one counted drop reason.
 *
 *	offloads.c         checksums and segments that a kernel left to a NIC
 *	ingress.c          trains that have just arrived
 *	pipeline.c         headers, zone, fragments; the stages of a burst; configuration and interfaces
 *	screens.c          screens of zones, and their alarms
 *	handover.c         trains whose flow, or whose pair of SAs, belongs to another worker
 *	forward_destination.c  the real destination of a first packet, and whether it may come from there
 *	forward.c          where to: host, tunnel, link; cached in the session
 *	forward_device.c   interfaces of tunnels as links of the host
 *	forward_source.c   where its source is routed to
 *	tunnel.c           MTU and SAs of tunnels, requests for SAs
 *	egress.c           out: sizes and fragments, frames, sealing
 *	drop_reply.c       drops, and the ICMP errors and resets for them
 *	neighbour.c        link addresses of next hops; packets that wait for one
 *	neighbour_event.c  those packets, once the neighbour answers or does not
 *	solicit.c          which link addresses the kernel is asked to resolve
 *	proxy.c            answers to neighbours that ask for translated addresses
 *	alg.c              which sessions application layer gateways read (alg.h)
 *	alg_ftp.c          control connections of FTP
 *	alg_sip.c          messages of SIP
 *	alg_text.c         text of another length, and what it announces
 *	uplink_probe.c     probes of uplinks, and their answers
 *	carried.c          sessions carried by the kernel (carried.h)
 *	trace.c            the stages in plain text
 *	question.c         what they would do with a packet that does not exist
 *	facts.c            what both know of a packet, by name
 *	capture.c          packets for `capture`
 *	offline.c          all of it without sockets, for `replay` (offline.h)
 *	offline_routes.c   what it knows of routes: a text
 *
 * stages.h is what these share, limits.h their limits.
 */
#ifndef DATAPLANE_PIPELINE_H
#define DATAPLANE_PIPELINE_H

#include "esp/esp.h"
#include "firewall/firewall.h"
#include "ipc/capture_ring.h"
#include "ipc/messages.h"
#include "model/packet_facts.h"
#include "model/packet_filter.h"
#include "proc/dataplane/carried.h"
#include "proc/dataplane/limits.h"
#include "route/health.h"
#include "route/route.h"
#include "route/selectors.h"
#include "screen/screen.h"
#include "wire/icmp_make.h"
#include "wire/resolution.h"

#include <assert.h>
#include <linux/virtio_net.h>

#define VIRTIO_SIZE   sizeof(struct virtio_net_hdr) /* 10 */
#define ETHERNET_SIZE 14
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* the headers of Debian 12 do not have it */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct pipeline;

/* Why another worker gets a train. */
enum handover_kind {
	HANDOVER_ARRIVED, /* its flow is at home there */
	HANDOVER_TUNNEL,  /* the firewall has passed it: to be sealed by that worker */
	HANDOVER_SEALED, /* ESP packets of its SAs, or for worker 0 messages of IKE: no train of the pipeline's yet */
	HANDOVER_KINDS
};

/* Output. Frames and packets are valid until the call of `flush` at the end of the burst. */
struct pipeline_io {
	void *context;
	/* A frame after its virtio header, n octets together, out of the interface (index in the
	 * snapshot). */
	void (*link_send)(void *context, uint32_t interface, uint8_t *frame, uint32_t n);
	/* Sealed packets, which are no longer needed when the call returns. DROP_NONE, or
	 * DROP_TUNNEL_SEND_FAILED. */
	enum drop_reason (*tunnel_send)(
		void *context, const struct esp_view *pair, const struct esp_batch *batch);
	/* An IP packet after its virtio header, for the host: by the interface of this tunnel, TRAIN_NONE: by pg0. */
	enum drop_reason (*host_send)(void *context, uint32_t tunnel, uint8_t *packet, uint32_t n);
	void (*flush)(void *context);
	void (*solicit)(void *context, uint32_t link, const struct ip_addr *addr);
	void (*acquire)(void *context, const struct sa_acquire *asked);
	/* One stage of a traced packet; text NULL: the trace is complete. */
	void (*trace_line)(void *context, uint32_t packet, const char *stage, const char *text,
		const struct packet_facts *facts);
	/* The next three are not called with one worker. The worker that a flow belongs to: the same wherever
	 * it is asked, in both directions, and for an ICMP error that of the packet which it quotes. */
	uint32_t (*home)(void *context, const struct train *t);
	/* Another worker gets a copy of the train. False: its queue is full. */
	bool (*hand_over)(void *context, uint32_t worker, enum handover_kind kind, const struct train *t);
	/* The firewall of another worker gets a note, before any train that leaves after this call. False: its queue is
	 * full. */
	bool (*note)(void *context, uint32_t worker, const struct fw_note *note);
};

/* By index in the snapshot's interfaces. */
/* Of a VRF whose table has the number of another's here: nothing is forwarded from it and into it. */
#define PIPELINE_VRF_UNUSED UINT8_MAX

struct pipeline_interface {
	uint32_t link; /* the kernel's index; ROUTE_NONE: not handed over */
	uint32_t zone;
	uint8_t mac[6];
	bool up;
	bool bare;   /* no link header and no neighbours to resolve */
	uint8_t vrf; /* by which its packets are told from those of other VRFs; 0: it is in none */
	uint32_t mtu;
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
};

/* By index in the snapshot's tunnels. */
struct pipeline_tunnel {
	uint32_t zone;
	bool routed;	 /* it has an interface: routes choose it, and no selectors */
	uint32_t device; /* that interface, the kernel's index; ROUTE_NONE: none, or not handed over */
	uint64_t mtu_generation; /* of routes and SAs that `mtu` was made from */
	uint32_t mtu;		 /* inner */
	uint32_t path_mtu;	 /* outer, as learned; 0: the link's */
	uint64_t drops_down;
	mono_ns recursion_said; /* when the log was told last that its own packets are routed into it; 0: never */
};

/* A packet that waits for its next hop's link address; neighbour.c. */
struct queued_packet {
	struct train train; /* its ip points into `bytes` */
	uint32_t mtu;
	mono_ns since; /* 0: free */
	uint8_t *bytes;
};

/*
 * What bounds the messages that packets cause, one for all workers of a gateway: so their number does not change how
 * many may leave. It is written with each message that may (rate_shared_take()), and only read for the others.
 */
struct pipeline_rates {
	mono_ns error_host[ERROR_HOSTS], error_zone[ZONES_MAX + 1]; /* the last zone: the host */
	/* solicit.c; recent: half a tag, and the millisecond of the last request; 0: empty */
	uint64_t solicit_recent[SOLICIT_RECENT_MAX];
	mono_ns solicit_source[SOLICIT_SOURCES], solicit_zone[ZONES_MAX + 1], solicit_all, solicit_known;
	struct {
		mono_ns all, source[PROXY_SOURCES];
	} proxy[INTERFACES_MAX];
	mono_ns acquire[TUNNELS_MAX]; /* when ike was last asked for an SA */
};

/* solicit.c */
struct solicitations {
	uint64_t known[SOLICIT_KNOWN_MAX]; /* tags of neighbours that have had a link address */
};

/* proxy.c */
struct proxies {
	struct proxy_interface {
		uint32_t first, count; /* in the snapshot's proxies */
		uint64_t tag;	       /* of what was announced last, 0: nothing */
		uint32_t round;	       /* PROXY_ANNOUNCE_ROUNDS: all is announced */
		uint32_t range, done;  /* the next: of the range, after so many addresses of the round */
		uint64_t offset;
		mono_ns round_begun;
	} interfaces[INTERFACES_MAX];
	uint64_t changes; /* pipeline's, that the tags were made from */
	uint64_t answers, suppressed, conflicts;
	uint32_t frames_n; /* until the flush */
	uint8_t frames[TRAIN_BURST_MAX][VIRTIO_SIZE + RESOLUTION_FRAME_MAX];
};

/* screens.c; floods and scans are one table each for all workers, that of the first. */
struct screens {
	const struct snap_screen *of[ZONES_MAX]; /* by zone; NULL: none */
	bool any;
	bool dry; /* a question: nothing is counted */
	struct {
		uint64_t packets; /* met */
		uint64_t unsaid;  /* of these, in no line of the log yet */
		mono_ns say_at;
	} met[ZONES_MAX][SCREEN_COUNT];
	struct floods *floods, *floods_own;
	struct scans *scans, *scans_own;
};

/* What syn_proxy.c counts. */
#define SYN_COUNTS(C) /* id, name in `show counters`, text */                                                 \
	C(COOKIES, "syn-cookies-sent",                                                                        \
		"SYNs that were answered with a SYN cookie in the place of their destination")                \
	C(UNSENT, "syn-cookies-unsent",                                                                       \
		"SYNs without an answer: no way leads back to their source, or nobody there has its address") \
	C(ACCEPTED, "syn-cookies-returned", "connections whose client has returned its SYN cookie")           \
	C(STALE, "syn-cookies-wrong",                                                                         \
		"segments without a session, up to a minute after the last SYN cookie, that return none")     \
	C(OPENED, "syn-proxy-opened",                                                                         \
		"of the connections whose SYN cookie came back, answered by their server")                    \
	C(AGAIN, "syn-proxy-repeated", "SYNs that were sent to a server again for its client")                \
	C(RESET, "syn-proxy-reset",                                                                           \
		"clients that were sent a reset, for the connection was refused or its server did not answer")
enum syn_count {
#define E(id, name, text) SYN_COUNT_##id,
	SYN_COUNTS(E) SYN_COUNT_N
#undef E
};

struct trace {
	struct packet_filters filters;
	uint32_t left;	/* packets still wanted */
	bool on;	/* the last of them may still be in the burst */
	uint32_t begun; /* packets traced so far */
	/* those of the present burst */
	uint32_t n;
	struct {
		const struct train *train;
		uint32_t packet, in_tunnel;
	} list[TRAIN_BURST_MAX];
};

/* capture.c */
struct capture_state {
	struct capture_ring *ring; /* NULL: nothing is captured */
	uint64_t head;		   /* what is written to it, seen by the reader at the burst's end */
	struct packet_filters filters;
	uint32_t stages;
	/* those of the present burst */
	uint32_t n;
	struct {
		const struct train *train;
		struct capture_record *record; /* as it came; NULL: not wanted, or lost */
		uint32_t in_tunnel;
	} list[TRAIN_BURST_MAX];
};

/* alg.c: what application layer gateways know of their sessions. */
struct alg_state;
struct alg_state *alg_new(void); /* NULL: out of memory; free() ends it */

struct pipeline {
	struct pipeline_io io;
	struct firewall *fw;
	struct esp *esp;
	struct route_table *routes;
	const struct snapshot *snapshot; /* the caller's mapping; NULL before the first */
	struct selectors *selectors;
	struct {
		const struct snapshot *snapshot; /* NULL: none */
		struct selectors *selectors;
		struct fw_prepared *policy;
	} preparing;		       /* the next one */
	struct uplinks_health *health; /* of uplinks, one for all workers; NULL: none are checked */
	uint64_t changes;	       /* of snapshot, interfaces, SAs; see pipeline_generation() */

	struct pipeline_interface interfaces[INTERFACES_MAX];
	uint32_t vrf_table[UINT8_MAX + 1]; /* by an interface's `vrf` */
	struct pipeline_tunnel *tunnels;   /* TUNNELS_MAX */
	bool zone_has_tunnels
		[ZONES_MAX]; /* where links are in it too, only addresses tell tunnelled from clear text */
	bool zone_has_selectors[ZONES_MAX]; /* of these, tunnels that selectors choose */
	/* The interfaces of tunnels. */
	struct {
		uint32_t n;
		uint32_t link[TUNNEL_INTERFACES_MAX], tunnel[TUNNEL_INTERFACES_MAX];
		bool any_down;
	} devices;

	struct esp_batch batch;
	uint32_t egress_pair; /* of the train that is being cut and sealed */
	uint8_t *scratch;     /* fragments and ICMP errors until the burst is flushed */
	uint32_t scratch_n;
	struct queued_packet neighbour_queue[NEIGHBOUR_QUEUE_MAX];
	struct solicitations solicitations;
	struct proxies proxies;
	struct screens *screens;
	struct syn_proxy *syn; /* syn_proxy.c */
	uint64_t syn_counts[SYN_COUNT_N];
	struct pipeline_rates *rates, *rates_own; /* rates: those of worker 0 */
	uint8_t hash_key[16]; /* for every hash over values that strangers choose; the same for all workers */
	uint32_t worker, workers;
	uint32_t fragment_id;
	struct trace trace;
	struct capture_state capture;
	struct alg_state *alg; /* alg.c */
	struct carried carried;

	mono_ns now;
	uint64_t drops[DROP_COUNT]; /* packets */
	uint64_t packets_in, packets_out, bytes_in, bytes_out, trains_in, error_replies_sent,
		error_replies_suppressed, neighbour_queue_n, trains_handed_over, notes_lost, alg_full;
};

/*
 * fw, esp and routes stay the caller's; the key is random. False: out of memory. The pipeline forwards
 * nothing until a configuration is loaded.
 */
bool pipeline_init(struct pipeline *p, const struct pipeline_io *io, struct firewall *fw, struct esp *esp,
	struct route_table *routes, const uint8_t hash_key[16]);
void pipeline_done(struct pipeline *p);
/* all[i] is that of worker i, when none runs. Each has a firewall of its own; all have the same esp, routes and
 * snapshot, and the rates of the first, which outlives the others. */
void pipeline_join(struct pipeline *const *all, uint32_t n);

/*
 * A checked snapshot, which stays mapped until the next one. It is prepared in pieces (firewall.h: fw_prepare_go()),
 * while the loaded one decides alone; an error ends that. Loading it binds SAs, interfaces and selectors.
 */
enum rc pipeline_prepare(struct pipeline *p, const struct snapshot *s, struct err *e);
enum rc pipeline_prepare_go(struct pipeline *p, uint32_t budget, bool *ret_ready, struct err *e);
void pipeline_prepare_end(struct pipeline *p); /* another one comes in its place */
void pipeline_load_prepared(struct pipeline *p, mono_ns now);
/* for tests: all of that in one call. */
enum rc pipeline_load(struct pipeline *p, const struct snapshot *s, mono_ns now, struct err *e);

/* A link was handed over (by its name in the snapshot), or taken away. Returns the interface's index, or
 * TRAIN_NONE. */
uint32_t pipeline_bind(struct pipeline *p, const char *name, uint32_t link);
void pipeline_unbind(struct pipeline *p, uint32_t link);
/* The same of a tunnel's interface. Returns the tunnel, or TRAIN_NONE. */
uint32_t pipeline_device_bind(struct pipeline *p, const char *name, uint32_t link);
void pipeline_device_unbind(struct pipeline *p, uint32_t link);
/* The tunnel whose interface it is, or TRAIN_NONE. */
uint32_t pipeline_tunnel_of_link(const struct pipeline *p, uint32_t link);
/* A new mirror of the kernel's tables replaces the old one, which the caller frees. */
void pipeline_routes(struct pipeline *p, struct route_table *routes);
/* Links (MAC, MTU, up) or SAs changed: cached forwarding decisions are made again. */
void pipeline_changed(struct pipeline *p);

/* Sets every field of a train that has just arrived, except for its bytes. */
/* The table of the VRF that an interface is in; 0: none. */
uint32_t pipeline_vrf_of(const struct pipeline *p, uint32_t interface);
void pipeline_train_from_link(const struct pipeline *p, struct train *t, uint32_t interface);
void pipeline_train_from_tunnel(const struct pipeline *p, struct train *t, uint32_t tunnel);
void pipeline_train_from_host(struct train *t);
/* It sent it by the interface of this tunnel. */
void pipeline_train_from_device(struct train *t, uint32_t tunnel);
/* Fills the offload fields from a virtio header; false: it describes nothing that is forwarded. The bytes
 * are set; head_n: octets of the link header. */
bool pipeline_train_offloads(struct train *t, const struct virtio_net_hdr *h, uint32_t head_n);

/* n is at most TRAIN_BURST_MAX. The bytes are no longer needed when it returns. */
void pipeline_burst(struct pipeline *p, struct train *trains, uint32_t n, mono_ns now);

/*
 * The same for trains of HANDOVER_TUNNEL, at the worker that owns their pair of SAs; if another pair has been activated
 * since, its owner gets them.
 */
void pipeline_burst_tunnel(struct pipeline *p, struct train *trains, uint32_t n, mono_ns now);

/* What the firewall has to say to other workers goes to them: after fw_expire(), fw_sweep() and fw_note(); bursts do it
 * themselves. */
void pipeline_notes(struct pipeline *p);

/* The neighbour's state changed: packets that wait for it are sent, or dropped when it failed. */
void pipeline_neighbour(struct pipeline *p, uint32_t link, const struct ip_addr *addr, mono_ns now);
/* About once a second: packets that have waited too long; announcements of translated addresses. */
void pipeline_tick(struct pipeline *p, mono_ns now);
void pipeline_announce(struct pipeline *p, mono_ns now);
/* As often: connections that a SYN cookie began, and whose server has not answered (syn_proxy.c). */
void pipeline_joins_tick(struct pipeline *p, mono_ns now);

/*
 * A frame of an interface with link addresses, from the link header on: is it address resolution that concerns a
 * translated address? Then it is done with. At most TRAIN_BURST_MAX of them between two calls of
 * pipeline_proxies_flush().
 */
bool pipeline_proxies(struct pipeline *p, uint32_t interface, const uint8_t *frame, uint32_t n, mono_ns now);
void pipeline_proxies_flush(struct pipeline *p);
/*
 * uplink_probe.c: the probes of a round to all targets of an uplink, through this next hop. NULL, or why there are none. Not
 * in a burst.
 */
const char *pipeline_probe_send(
	struct pipeline *p, const struct health_uplink *u, const struct ip_addr *next_hop, mono_ns now);
/* A train that has come from a link, not parsed yet: is it the answer to a probe? Then it is done with. */
bool pipeline_probe_answer(struct pipeline *p, const struct train *t, mono_ns now);
/* A path MTU towards a tunnel's remote endpoint was learned; 0: forget. */
void pipeline_path_mtu(struct pipeline *p, uint32_t tunnel, uint32_t mtu);

/*
 * Sessions carried by the kernel, when the pipeline has its firewall and its number among the workers; tables NULL: none. False:
 * out of memory. The programs beside, carry_tables_begin() is the caller's.
 */
bool pipeline_carry(struct pipeline *p, const struct carry_tables *tables);
/* Has anything changed that decisions are made of? Then what is carried passes here once. After each change, of each worker. */
void pipeline_carry_check(struct pipeline *p);
void pipeline_carry_pass(struct pipeline *p); /* it does, whether or not */
/* Between bursts: the beat, and in pieces what has passed. Returns when to call again. */
mono_ns pipeline_carry_timers(struct pipeline *p, mono_ns now);
/* Is the session at this index carried now? */
bool pipeline_carries(const struct pipeline *p, uint32_t index, const struct fw_session *s);

/*
 * question.c: what the data plane would do with the first packet of a session, for `test policy`. Nothing changes and nothing
 * is counted.
 */
struct policy_question {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port;	     /* of protocols that have them */
	uint8_t proto, icmp_type, icmp_code; /* icmp_type: 0 for an echo request */
	uint32_t zone, interface, tunnel; /* where it comes in, TRAIN_NONE: not said; one of them at most */
	bool redirected; /* asked again, of the worker that an answer names: as that answer says */
};
struct policy_answer {
	struct train train; /* as it was decided about; its bytes are gone */
	struct fw_dnat dnat;
	struct fw_verdict verdict; /* where `decided` */
	bool decided, to_host;
	uint32_t in_tunnel;
	uint32_t
		session; /* that has these addresses and ports already: its packets go by it. TRAIN_NONE: none */
	uint32_t
		worker; /* that decides; another one than p's: it is to be asked, and nothing else here holds */
	bool redirected;
	uint32_t mtu; /* of the way, for a packet as it arrives */
};
/* RC_NOT_FOUND: where it comes in was not said, and does not follow from its source. */
enum rc pipeline_ask(struct pipeline *p, const struct policy_question *q, mono_ns now,
	struct policy_answer *ret_answer, struct err *e);

/* For what never became a train; drop_reply() counts trains. */
static inline void pipeline_count_drop(struct pipeline *p, enum drop_reason reason, uint32_t packets)
{
	assert(reason > DROP_NONE && reason < DROP_COUNT);
	p->drops[reason] += packets;
}

/* The present inner MTU of a tunnel. */
uint32_t pipeline_tunnel_mtu(struct pipeline *p, uint32_t tunnel);

/* Captures into this ring from now on; NULL: ends it. */
void pipeline_capture(struct pipeline *p, struct capture_ring *ring, const struct msg_capture *what);
/* Traces the next `count` packets that match one of the filters; count 0: ends the trace. */
void pipeline_trace(struct pipeline *p, const struct packet_filters *filters);

#endif
