/*
 * What a capture of the wire holds of IKE_SA_INIT, the one exchange whose nonces and public values are seen:
 * for a comparison with what a ledger says was forced (verify/randomness.h). Files of libpcap's classic
 * format, as tcpdump writes them, and pcapng, in either byte order; Ethernet with or without VLAN tags,
 * Linux's cooked formats, BSD's loopback, raw IP; UDP ports 500 and 4500. What is something else, a fragment,
 * or cut by the capture, is counted and passed over; so are links of other types in pcapng, whose files may
 * have several.
 *
 * The file is a stranger's: nothing of it is believed. Pure. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_CAPTURE_H
#define VERIFY_CAPTURE_H

#include "base/addr.h"
#include "crypto/dh.h"
#include "wire/ike_codec.h"

/* A message of IKE_SA_INIT; one that was sent again is the same. */
struct capture_init {
	struct ip_addr from;
	uint64_t frame;		   /* from 1: of its first copy */
	uint64_t value;		   /* randomness.c: epoch << 32 | count that it belongs to; 0: not known */
	uint8_t spi[IKE_SPI_SIZE]; /* of who sent it */
	bool response;
	bool named; /* an entry of the ledger, or a key that was disclosed, knows this SPI */
	uint16_t nonce_n, group, ke_n;
	uint8_t nonce[IKE_NONCE_MAX];
	uint8_t ke[DH_PUBLIC_MAX]; /* the key exchange's public value; ke_n 0: of a group that is not ours */
};

struct capture {
	uint64_t frames, other; /* of these, none of IKE's, or not whole */
	size_t n, room;
	struct capture_init *init; /* in order of SPI */
};

/* RC_OK; RC_MALFORMED: no such file, or broken off in the midst of a frame; RC_UNSUPPORTED: another kind of
 * link; RC_LIMIT: memory. To be freed with capture_done() in any case. */
enum rc capture_read(struct capture *ret_capture, const void *bytes, size_t n, struct err *e);
void capture_done(struct capture *c);

/* The next message under this SPI, from `from` on, which begins with 0; NULL: there is none. Several stand
 * under one SPI when a message was repeated with other contents. */
struct capture_init *capture_find(
	struct capture *c, const uint8_t spi[IKE_SPI_SIZE], bool response, size_t *from);

#endif
