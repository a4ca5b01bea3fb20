/*
 * A pair of ESP SAs as the keeper hands it to the data plane, and what the data plane tells about it.
 * The only bodies with keys in use; they go from keeper to dataplane and nowhere else.
 */
#ifndef MODEL_SA_H
#define MODEL_SA_H

#include "model/keeper_api.h"
#include "model/snapshot.h"

#define SPI_MIN 256 /* RFC 4303 section 2.1: 1 to 255 are reserved */

/*
 * The hard end of a lifetime (RFC 4301 section 4.4.2.1), in thousandths of the configured one, which is soft: by then the SA was to be replaced.
 * The data plane ends a pair by time only SA_HARD_GRACE_S later, so that ike, which tells the peer, comes first. Of octets and packets
 * there are at least so many more: a rekey begins with the report of the next second, and takes its time, while a fast link goes on.
 */
#define CHILD_LIFETIME_S    3600 /* soft, unless configured */
#define SA_HARD_THOUSANDTHS 1200
#define SA_HARD_GRACE_S	    10
#define SA_HARD_OCTETS	    (4ull << 30) /* three seconds of ten gigabits */
#define SA_HARD_PACKETS	    (4ull << 20)

struct sa_install {
	uint32_t tunnel; /* index in the tunnels of the snapshot with `generation` */
	uint32_t spi_in, spi_out;
	uint32_t rekeys_spi_in;
	uint32_t flags; /* enum child_flags */
	uint16_t encr, encr_bits;
	uint16_t key_n; /* octets of keying material, as aead_material_size() has it */
	uint16_t local_n, remote_n;
	uint16_t resource; /* RFC 9611: for worker resource - 1; 0: for all */
	uint64_t group;	   /* the same of all that were made on one IKE SA and those that rekeyed it */
	struct endpoint local, remote;
	uint8_t key_in[KEYMAT_MAX], key_out[KEYMAT_MAX];
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
	uint64_t generation;
	char tunnel_name[NAME_MAX_BYTES]; /* ends with a zero octet */
};

struct sa_ref {
	uint32_t tunnel, spi_in;
};

/* Traffic for a tunnel that has no SA for it: of the packet, single addresses. */
struct sa_acquire {
	uint32_t tunnel, zero;
	struct selector src, dst;
};

struct sa_result {
	uint32_t rc, spi_in;
	char text[KEEPER_TEXT_MAX];
};

/* The peer's endpoint moved (NAT mapping changed, RFC 7296 section 2.23), as authenticated by ike. */
struct sa_endpoint {
	uint32_t tunnel, spi_in;
	struct endpoint remote;
};

/* Once a second for each pair, for DPD, lifetimes and `show ipsec`. */
struct sa_usage {
	uint32_t tunnel, spi_in, spi_out;
	uint32_t idle_in_ms;  /* since the last authenticated inbound packet; UINT32_MAX: none yet */
	uint32_t idle_out_ms; /* since the last outbound packet */
	uint32_t flags;	      /* SA_OUTBOUND_ACTIVE … */
	uint64_t bytes_in, bytes_out, packets_in, packets_out;
	uint64_t seq_out;     /* the next to be used */
	struct endpoint seen; /* SA_MOVED: where the newest authentic packet came from */
};

enum sa_usage_flags {
	SA_OUTBOUND_ACTIVE = 1 << 0,
	SA_SEQUENCE_LOW = 1 << 1, /* rekey soon */
	SA_LOCAL_GONE = 1 << 2,	  /* the pair's own address is on none of our interfaces, or on one
				     that is down while another leads to the peer */
	SA_MOVED = 1 << 3,	  /* what comes in comes from elsewhere than what goes out goes to */
	SA_LIFE_LOW = 1 << 4,	  /* rekey: as many octets or packets as configured when it was installed */
	SA_LIFE_OVER = 1 << 5,	  /* its hard lifetime has ended, or its sequence numbers: it is removed */
};

#endif
