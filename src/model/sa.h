/*
 * A pair of ESP SAs as the keeper hands it to the data plane, and what the data plane tells about it.
 * The only bodies with keys in use; they go from keeper to dataplane and nowhere else.
 */
#ifndef MODEL_SA_H
#define MODEL_SA_H

#include "model/keeper_api.h"

#define SPI_MIN 256 /* RFC 4303 section 2.1: 1 to 255 are reserved */

struct sa_install {
	uint32_t tunnel; /* index in the snapshot's tunnels */
	uint32_t spi_in, spi_out;
	uint32_t rekeys_spi_in;
	uint32_t flags; /* enum child_flags */
	uint16_t encr, encr_bits;
	uint16_t key_n; /* key and salt, bytes: encr_bits / 8 + 4 */
	uint16_t local_n, remote_n, zero;
	struct endpoint local, remote;
	uint8_t key_in[AEAD_KEY_MAX], key_out[AEAD_KEY_MAX];
	struct selector local_ts[SELECTORS_MAX], remote_ts[SELECTORS_MAX];
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
};

#endif
