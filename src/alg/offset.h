/*
 * Sequence numbers of one direction of a TCP stream in which text was replaced by text of another length: what
 * the sender counts and what the receiver counts differ from there on (RFC 3022 section 4.4). One replacement
 * stands at a time: the next one in a direction follows only after the peer has answered the last, so whatever
 * lies before it has been received.
 */
#ifndef ALG_OFFSET_H
#define ALG_OFFSET_H

#include "base/bytes.h"

struct alg_offset {
	uint32_t start, end;	/* the last replaced text, as its sender counts */
	uint32_t before, after; /* what the receiver counts more, modulo 2^32 */
	bool used;
};

static inline bool alg_seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Text from start to end is now n octets long. */
void alg_offset_add(struct alg_offset *o, uint32_t start, uint32_t end, uint32_t n);
/* The sequence number of a segment of the sender, as the receiver counts. */
uint32_t alg_offset_seq(const struct alg_offset *o, uint32_t seq);
/* An acknowledgement of the receiver, as the sender counts. One from within the new text becomes that of its
 * beginning. */
uint32_t alg_offset_ack(const struct alg_offset *o, uint32_t ack);
/*
 * The edges of SACK blocks among TCP options (RFC 2018) of the receiver, as the sender counts. An option with an edge
 * within the new text, of which no octet is one of the sender's, becomes no-operations.
 */
void alg_offset_sack(const struct alg_offset *o, uint8_t *options, size_t n);

#endif
