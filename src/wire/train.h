/*
 * A train: one buffer with headers once, a long payload and a segment size; what virtio_net_hdr carries.
 * Every stage of the data plane works on bursts of trains, so that a lookup, a check or a rewrite costs once
 * for up to 64 KB. A single packet is a train with segment_size 0.
 *
 * The buffer belongs to the shell that read it, for one burst. Stages change headers in place; Head room in
 * front of `ip` and tail room after the payload let the link layer and ESP add their octets without copying.
 * train_parse() fills the parsed fields; a stage that moves bytes keeps them true.
 */
#ifndef WIRE_TRAIN_H
#define WIRE_TRAIN_H

#include "base/addr.h"
#include "base/clock.h"
#include "wire/drop.h"

#define IP6_EXTENSION_HEADERS_MAX 8 /* more than any honest packet has */

#define TRAIN_BURST_MAX 64
#define TRAIN_BYTES_MAX 65536 /* IP header to the end of the payload */
#define TRAIN_HEAD_ROOM 128   /* in front of the IP header: link header, virtio header, outer IP, UDP, ESP */
#define TRAIN_TAIL_ROOM 64    /* after the payload: ESP trailer and ICV */

enum train_csum {
	TRAIN_CSUM_UNKNOWN, /* must be checked before it is believed */
	TRAIN_CSUM_VALID,   /* checked by the link or by us; the field is complete */
	TRAIN_CSUM_PARTIAL, /* the field holds the folded pseudo-header sum: the sender's kernel left it to
			       the NIC */
};

enum train_flags {
	TRAIN_FRAGMENT = 1 << 0,       /* an IP fragment: no L4 fields */
	TRAIN_FIRST_FRAGMENT = 1 << 1, /* offset 0 of several */
	TRAIN_ICMP_ERROR = 1 << 2,     /* carries a quoted packet */
	TRAIN_FROM_TUNNEL = 1 << 3,    /* came out of ESP: tunnel says which */
	TRAIN_FROM_HOST = 1 << 4,      /* came from the TUN device */
	TRAIN_TRACED = 1 << 5,	       /* a trace filter matched: stages report what they decide */
	TRAIN_TCP_CWR = 1 << 6,	       /* virtio ECN bit: only the first segment carries CWR */
	TRAIN_TRANSLATED = 1 << 7,     /* NAT changed it */
	TRAIN_REPLY = 1 << 8,	       /* goes against the direction in which its session began */
	TRAIN_MORE_FRAGMENTS = 1 << 9, /* of a fragment */
	TRAIN_REASSEMBLED = 1 << 10,   /* came in fragments: may leave in fragments, IPv6 too */
	TRAIN_HANDED_OVER = 1 << 11,   /* by the worker that it arrived at, which has parsed and counted it */
	TRAIN_REDIRECTED = 1 << 12,    /* by the home of its flow, to the worker that has its session */
};

/* Index "none" for zones, interfaces, tunnels, rules, sessions. */
#define TRAIN_NONE UINT32_MAX

struct train {
	/* bytes */
	uint8_t *ip;	       /* first byte of the IP header */
	uint32_t len;	       /* from there to the end of the payload */
	uint16_t segment_size; /* payload bytes of each packet but the last; 0: one packet */
	/* of a train inside a foreign tunnel (GRE, IP in IP, VXLAN): offset of its TCP or UDP header from ip;
	 * 0: it is l4_offset. It must be cut before it is sent. */
	uint16_t inner_l4;
	uint8_t csum;	 /* enum train_csum */
	uint8_t fetched; /* 1 + its place in what fw_policy_fetch() has found for the burst; 0: none */
	uint32_t flags;	 /* enum train_flags */

	/* parsed by train_parse() */
	struct ip_addr src, dst;
	uint16_t src_port, dst_port; /* TCP, UDP, SCTP; ICMP queries: identifier in both; else 0 */
	uint16_t l4_offset;	     /* from ip; after all extension headers */
	/* from ip; after the L4 header (after IP when there is none), the inner one with inner_l4 */
	uint16_t payload_offset;
	uint8_t proto; /* 6, 17, 1, 58, 132, … */
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint8_t hop_limit, traffic_class;
	bool dont_fragment;    /* true for IPv6 */
	uint16_t fragment_max; /* TRAIN_REASSEMBLED: of its fragments the largest, which none may exceed that
				  leaves */

	/* where it is from and where it goes */
	uint32_t in_interface, out_interface; /* index in the snapshot's interfaces, or TRAIN_NONE */
	uint32_t in_zone, out_zone;
	uint8_t vrf; /* that it arrived in, by the data plane's numbers; 0: none */
	uint32_t
		tunnel; /* index in the snapshot's tunnels: by which it arrived, then into which it is sent */
	uint32_t session; /* index in the session table */
	struct ip_addr next_hop;
	enum drop_reason drop; /* DROP_NONE while it lives */
	uint32_t rule;	       /* the policy rule that decided, for names in drops and traces */
};

/*
 * Reads the headers of t->ip[0..len) into the parsed fields; t->csum, t->segment_size, t->inner_l4 and
 * t->flags (where it is from) are the caller's. Cuts link padding off len. DROP_NONE, or why it cannot be
 * forwarded; t->drop is set to the same. The IPv4 header checksum is always checked; L4 checksums by
 * train_verify_l4(), only where somebody needs to believe them.
 */
enum drop_reason train_parse(struct train *t);

/* Checks the L4 checksum where it is TRAIN_CSUM_UNKNOWN and the whole packet is here; makes it VALID or gives
 * DROP_L4_CHECKSUM. */
enum drop_reason train_verify_l4(struct train *t);

/* Is the checksum of TCP or UDP as a sender's kernel leaves it to the link, in a packet of which nobody says so (a captured one)? */
bool train_l4_is_partial(const struct train *t);

/* Fills the checksum that a sender's kernel left PARTIAL, for packets that leave without virtio headers. One
 * packet only. */
void train_complete_l4(struct train *t);

/* Packets in the train, 1 for a single one. */
static inline uint32_t train_packets(const struct train *t)
{
	uint32_t payload = t->len - t->payload_offset;
	return t->segment_size == 0 || payload == 0 ? 1 : (payload + t->segment_size - 1) / t->segment_size;
}

/* Octets of its packets, each with its headers. */
static inline uint32_t train_bytes(const struct train *t)
{
	return t->len + (train_packets(t) - 1) * t->payload_offset;
}

#endif
