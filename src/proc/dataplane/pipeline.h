/*
 * The pipeline: a burst of trains from anywhere (links, tunnels, the host) goes through parsing, reassembly,
 * sessions, policy, routes and NAT, and leaves by a link, a tunnel or to the host. It joins the cores
 * (firewall, route, esp); all input and output is behind struct pipeline_io, so that tests and the bench run
 * it without a socket.
 *
 * One thread. Nothing is allocated per packet. Every train ends in an output or in exactly one counted drop
 * reason.
 *
 *	offloads.c what kernels leave undone
 *	pipeline.c headers, zone, fragments; the burst
 *	way.c      where to: host, tunnel, route; cached in the session
 *	leave.c    out: sizes and fragments, frames, sealing
 *	answer.c   drops, and what their senders are told
 *	queue_packet.c     packets that wait for a link address
 *	asks.c     which link addresses are asked for
 *	trace.c    the stages in words
 */
#ifndef DATAPLANE_PIPELINE_H
#define DATAPLANE_PIPELINE_H

#include "esp/esp.h"
#include "firewall/firewall.h"
#include "route/route.h"
#include "route/selectors.h"
#include "wire/icmp_make.h"

#include <linux/virtio_net.h>

#define VIRTIO_SIZE   sizeof(struct virtio_net_hdr) /* 10 */
#define ETHERNET_SIZE 14
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* the headers of Debian 12 do not have it */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define SCRATCH_SIZE		 (512u << 10)
/* 64 KB in segments of 32 octets: Linux's TCP makes none below 48, options included, whatever its peer asks for. */
#define TRAIN_PACKETS_MAX	 2048
#define BATCH_ROOM		 65000 /* below what one datagram with UDP_SEGMENT may have */
#define BATCH_PACKETS		 64    /* UDP_MAX_SEGMENTS of older kernels */
#define NEIGHBOUR_QUEUE_MAX	 128
#define NEIGHBOUR_QUEUE_EACH_MAX 4
#define NEIGHBOUR_QUEUE_BYTES	 (TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM)
#define NEIGHBOUR_QUEUE_TIMEOUT	 (3 * NS_PER_S)
#define TUNNEL_MTU_UNKNOWN	 1400 /* while a tunnel has no SA that tells */
#define SOLICIT_INTERVAL	 NS_PER_S
#define ACQUIRE_EVERY		 (2 * NS_PER_S)
#define ANSWERED_HOSTS		 1024 /* counted by hash */

struct pipeline;

/* What the pipeline wants done. Frames and packets are good until the call of `flush` at the end of the
 * burst. */
struct pipeline_io {
	void *context;
	/* A frame behind its virtio header, n octets of both, out of the interface (index in the snapshot).
	 */
	void (*link_send)(void *context, uint32_t interface, uint8_t *frame, uint32_t n);
	/* Sealed packets; they are used when the call returns. DROP_NONE, or DROP_TUNNEL_SEND. */
	enum drop_reason (*tunnel_send)(
		void *context, const struct esp_view *pair, const struct esp_batch *batch);
	/* An IP packet behind its virtio header for the host's TUN device. */
	enum drop_reason (*host_send)(void *context, uint8_t *packet, uint32_t n);
	void (*flush)(void *context);
	void (*solicit)(void *context, uint32_t link, const struct ip_addr *addr);
	void (*acquire)(void *context, const struct sa_acquire *asked);
	/* One stage of a packet that is followed; text NULL: all that were wanted have been. */
	void (*trace_line)(void *context, uint32_t packet, const char *stage, const char *text);
};

/* By index in the snapshot's interfaces. */
struct pipeline_interface {
	uint32_t link; /* the kernel's index; ROUTE_NONE: not handed over */
	uint32_t zone;
	uint8_t mac[6];
	bool up;
	bool bare; /* no link header, and no neighbours to ask for */
	uint32_t mtu;
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
};

/* By index in the snapshot's tunnels. */
struct pipeline_tunnel {
	uint32_t zone;
	uint64_t mtu_generation; /* of routes and SAs that `mtu` was made from */
	uint32_t mtu;		 /* inner */
	uint32_t path_mtu;	 /* outer, as learned; 0: the link's */
	mono_ns acquired;	 /* when ike was asked last */
	uint64_t drops_down;
};

struct queued_packet {
	struct train train; /* its ip stands in `bytes` */
	uint32_t mtu;
	mono_ns since; /* 0: free */
	uint8_t *bytes;
};

/* asks.c */
#define SOLICIT_RECENT_MAX 1024
#define SOLICIT_KNOWN_MAX  4096
#define SOLICIT_SOURCES	   4096

struct solicitation {
	uint64_t tag; /* a keyed hash of link and address; 0: empty */
	mono_ns at;
};

struct solicitations {
	struct solicitation recent[SOLICIT_RECENT_MAX];
	uint64_t known[SOLICIT_KNOWN_MAX]; /* tags of neighbours that have had a link address */
	mono_ns source[SOLICIT_SOURCES], zone[ZONES_MAX + 1], all, all_known;
};

/* Unset fields match all. */
struct trace_filter {
	uint32_t proto;
	struct ip_range src, dst;
	uint16_t src_port, dst_port;
};

struct trace {
	struct trace_filter filter;
	uint32_t left;	/* packets still wanted */
	bool on;	/* the last of them may still be on its way */
	uint32_t begun; /* how many have been followed */
	/* those of the present burst */
	uint32_t n;
	struct {
		const struct train *train;
		uint32_t packet;
	} list[TRAIN_BURST_MAX];
};

struct pipeline {
	struct pipeline_io io;
	struct firewall *fw;
	struct esp *esp;
	struct route_table *routes;
	const struct snapshot *snapshot; /* the caller's mapping; NULL before the first */
	struct selectors *selectors;
	uint64_t changes; /* of snapshot, interfaces, SAs; with the routes' generation it dates cached ways */

	struct pipeline_interface interfaces[INTERFACES_MAX];
	struct pipeline_tunnel *tunnels;  /* TUNNELS_MAX */
	bool zone_has_tunnels[ZONES_MAX]; /* if a link is in it too, addresses alone tell tunnel from clear */

	struct esp_batch batch;
	uint32_t egress_pair; /* the pair of the train that is being cut and sealed */
	uint8_t *scratch;     /* fragments and answers until the burst is flushed */
	uint32_t scratch_n;
	struct queued_packet neighbour_queue[NEIGHBOUR_QUEUE_MAX];
	struct solicitations solicitations;
	mono_ns error_rate_host[ANSWERED_HOSTS], error_rate_zone[ZONES_MAX + 1]; /* the last zone: the host */
	uint8_t hash_key[16]; /* of all that is counted by a hash of what strangers choose */
	uint32_t fragment_id;
	struct trace trace;

	mono_ns now;
	uint64_t drops[DROP_COUNT]; /* packets */
	uint64_t packets_in, packets_out, bytes_in, bytes_out, trains_in, error_replies_sent,
		error_replies_limited, neighbour_queue_n;
};

/*
 * fw, esp and routes are the caller's; the key is random. False: no memory. The pipeline forwards nothing
 * until pipeline_load().
 */
bool pipeline_init(struct pipeline *p, const struct pipeline_io *io, struct firewall *fw, struct esp *esp,
	struct route_table *routes, const uint8_t hash_key[16]);
void pipeline_done(struct pipeline *p);

/* A checked snapshot, which stays mapped until the next. Loads the firewall, binds SAs, interfaces,
 * selectors. */
enum rc pipeline_load(struct pipeline *p, const struct snapshot *s, mono_ns now, struct err *e);

/* A link was handed over (by its name in the snapshot), or taken away. Returns the interface's index or
 * TRAIN_NONE. */
uint32_t pipeline_bind(struct pipeline *p, const char *name, uint32_t link);
void pipeline_unbind(struct pipeline *p, uint32_t link);
/* Another mirror of the kernel's tables took over; the caller frees the old one. */
void pipeline_routes(struct pipeline *p, struct route_table *routes);
/* Links changed (MAC, MTU, up) or SAs did: cached ways are made anew. */
void pipeline_changed(struct pipeline *p);

/* Sets every field of a train that just came in, but for its bytes. */
void pipeline_train_from_link(const struct pipeline *p, struct train *t, uint32_t interface);
void pipeline_train_from_tunnel(const struct pipeline *p, struct train *t, uint32_t tunnel);
void pipeline_train_from_host(struct train *t);
/* Fills offload fields from a virtio header; false: nothing that is forwarded. The bytes are set; head_n: of
 * the link. */
bool pipeline_train_offloads(struct train *t, const struct virtio_net_hdr *h, uint32_t head_n);

/* n at most TRAIN_BURST_MAX. The bytes are used when it returns. */
void pipeline_burst(struct pipeline *p, struct train *trains, uint32_t n, mono_ns now);

/* The neighbour's state changed: what waited for it leaves, or is dropped when it failed. */
void pipeline_neighbour(struct pipeline *p, uint32_t link, const struct ip_addr *addr, mono_ns now);
/* Once in a while: what waited too long. */
void pipeline_tick(struct pipeline *p, mono_ns now);
/* A path MTU towards a tunnel's remote endpoint was learned; 0: forget. */
void pipeline_path_mtu(struct pipeline *p, uint32_t tunnel, uint32_t mtu);

void pipeline_count_drop(struct pipeline *p, enum drop_reason reason, uint32_t packets);
/* Inner MTU of a tunnel as it stands now. */
uint32_t pipeline_tunnel_mtu(struct pipeline *p, uint32_t tunnel);

/* Follows the next `count` packets that match; 0: no more. */
void pipeline_trace(struct pipeline *p, const struct trace_filter *filter, uint32_t count);

#endif
