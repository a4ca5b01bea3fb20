/*
 * Trains into packets and packets into trains, as a NIC's segmentation and receive offload do it: TCP, and
 * UDP datagrams of one size, over IPv4 and IPv6 without options or extension headers. Cutting also works
 * inside foreign tunnels (GRE, IP in IP, VXLAN); joining does not.
 *
 * Cutting happens in place: a packet's headers are written over the end of the packet before it, which the
 * caller has used by then (encrypted, sent, copied). So cutting copies headers only. It consumes the train.
 *
 * Joining happens at the end of one buffer: the next packet is placed so that its payload directly follows
 * the train's, with its headers over the train's last octets (which are saved); when it continues the train
 * nothing has to be moved. Runs of packets of one flow become trains; that is what the far end's segmentation
 * makes.
 *
 * Law, held by the tests: joining what was cut gives the train again.
 */
#ifndef WIRE_SEGMENT_H
#define WIRE_SEGMENT_H

#include "wire/train.h"

#define SEGMENT_HEADERS_MAX 12 /* of tunnels and their payload, one in another */

#define SEGMENT_HEAD_MAX   200 /* the longest TCP header in IPv6 in Ethernet in GRE or UDP over IPv6 */
#define SEGMENT_LAYERS_MAX 6

/* A header that states the length of what follows it, or has a checksum over it. */
enum segment_layer_kind { SEGMENT_IP, SEGMENT_UDP, SEGMENT_GRE };

struct segment_layer {
	uint8_t kind; /* enum segment_layer_kind */
	uint16_t at;
};

/* The headers of a train, offsets from its first octet. */
struct segment_layers {
	struct segment_layer layer[SEGMENT_LAYERS_MAX]; /* from the outer to the inner; the last is the IP
							   header of what is cut */
	uint32_t n;
	uint8_t proto;		    /* TCP or UDP: the header in front of the payload */
	uint16_t l4_offset, head_n; /* where that begins and ends */
};

/*
 * Reads the headers of ip[0..n), through tunnels inside it, as far as the TCP or UDP header at l4; 0: not
 * stated, the first one. False: other headers than these, fragments, lengths that do not agree, a wrong IPv4
 * checksum.
 */
bool segment_layers_read(struct segment_layers *ret_layers, const uint8_t *ip, uint32_t n, uint32_t l4);

struct segment_cutter {
	struct train *train;
	uint8_t *payload;
	uint32_t payload_n, done; /* octets of payload; how many of them are cut */
	uint32_t segment_size;	  /* 0: one packet, given as it is */
	struct segment_layers layers;
	uint64_t address_sum; /* checksum over addresses and protocol */
	uint32_t sequence;
	uint16_t index;
	uint8_t tcp_flags;
	bool no_checksum; /* UDP over IPv4 whose sender made none */
	uint8_t head[SEGMENT_HEAD_MAX];
};

/*
 * t: parsed. size: payload octets for each packet; 0 takes the train's own segment_size (also 0: one packet,
 * whose checksum is completed when it was left to the NIC). False: cannot be cut (no TCP or UDP, or headers
 * too long); the train is untouched.
 */
bool segment_cut_begin(struct segment_cutter *c, struct train *t, uint16_t size);
/* The length of the next packet; 0 after the last one. */
uint32_t segment_cut_peek(const struct segment_cutter *c);
/* The next packet and its length; NULL after the last one. It is valid until the next call. */
uint8_t *segment_cut_next(struct segment_cutter *c, uint32_t *ret_n);

#define SEGMENT_TRAINS_MAX  TRAIN_BURST_MAX
#define SEGMENT_PACKETS_MAX 64 /* in a train: more UDP segments the kernel does not take */

/* A run of packets that became one train, or a single packet (segment_size 0). */
struct segment_joined {
	uint8_t *ip;
	uint32_t len;
	uint16_t segment_size;
	uint8_t csum; /* enum train_csum: PARTIAL for a train, VALID or UNKNOWN for a single packet */
	uint32_t key;
	uint32_t flags; /* TRAIN_TCP_CWR */
};

/* What of a packet's headers decides whether it continues a train. */
struct segment_shape {
	uint8_t version, proto, tcp_flags;
	bool dont_fragment;
	uint16_t id;
	uint32_t l4_offset, head_n, payload_n, sequence;
};

struct segment_joiner {
	uint8_t *at, *end; /* free room in the buffer */
	struct segment_joined list[SEGMENT_TRAINS_MAX];
	uint32_t n;

	/* the last of the list, while it may still grow */
	bool open;
	struct segment_shape shape; /* of its latest packet */
	uint32_t packets;
	uint8_t head[SEGMENT_HEAD_MAX]; /* the headers of its first */
	uint8_t kept[SEGMENT_HEAD_MAX]; /* the train's last octets, which the next packet's headers lie over
					 */
};

/* Begins an empty list over a buffer; TRAIN_HEAD_ROOM is kept free in front of each train. */
void segment_join_begin(struct segment_joiner *j, uint8_t *buffer, size_t n);
/*
 * Where to put the next packet, of at most n octets; NULL: no room or the list is full, take what is there
 * and begin again. Each spot is followed by segment_join_take() or segment_join_leave().
 */
uint8_t *segment_join_spot(struct segment_joiner *j, uint32_t n);
/* A packet of n octets is at the spot. key: packets of different keys are not joined. */
void segment_join_take(struct segment_joiner *j, uint8_t *spot, uint32_t n, uint32_t key);
/* There is no packet (the octets at the spot may have been overwritten). */
void segment_join_leave(struct segment_joiner *j, uint8_t *spot);
/* Completes the open train: headers, lengths, checksums. To be called before the list is read. */
void segment_join_end(struct segment_joiner *j);

#endif
