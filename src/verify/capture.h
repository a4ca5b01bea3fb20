/*
 * The messages of IKE_SA_INIT in a capture of the wire, the one exchange whose nonces and public values are
 * in clear: for a comparison with the values that a ledger derives (verify/randomness.h). Files of the formats
 * of wire/pcapng.h, links of wire/link_header.h; UDP ports 500 and 4500. Other packets, fragments and
 * packets that the capture truncated are counted and skipped; so are links of other types in pcapng, whose
 * files may have several.
 *
 * The file is untrusted. Pure. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_CAPTURE_H
#define VERIFY_CAPTURE_H

#include "base/addr.h"
#include "crypto/dh.h"
#include "wire/ike_codec.h"

/* A message of IKE_SA_INIT; its retransmissions are not counted. */
struct capture_init {
	struct ip_addr from;
	uint64_t frame;		   /* from 1: of its first copy */
	uint64_t value;		   /* randomness.c: epoch << 32 | count that it belongs to; 0: not known */
	uint8_t spi[IKE_SPI_SIZE]; /* the sender's */
	bool response;
	bool named; /* an entry of the ledger, or a disclosed key, has this SPI */
	uint16_t nonce_n, group, ke_n;
	uint8_t nonce[IKE_NONCE_MAX];
	uint8_t ke[DH_PUBLIC_MAX]; /* the key exchange's public value; ke_n 0: of an unsupported group */
};

struct capture {
	uint64_t frames, other; /* of these, not IKE, or incomplete */
	size_t n, room;
	struct capture_init *init; /* in order of SPI */
};

/* RC_OK; RC_MALFORMED: not a capture, or truncated within a frame; RC_UNSUPPORTED: a link of another type;
 * RC_LIMIT: out of memory. To be freed with capture_done() in any case. */
enum rc capture_read(struct capture *ret_capture, const void *bytes, size_t n, struct err *e);
void capture_done(struct capture *c);

/* The next message with this SPI, from `from` on, which starts at 0; NULL: none. One SPI has several when a
 * message was sent again with other contents. */
struct capture_init *capture_find(
	struct capture *c, const uint8_t spi[IKE_SPI_SIZE], bool response, size_t *from);

#endif
