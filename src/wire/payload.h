/*
 * A train whose payload was replaced by one of another length: an application layer gateway has written into it. The
 * lengths of IP and UDP and the checksums follow. Called by the data plane, for a train with room after it.
 */
#ifndef WIRE_PAYLOAD_H
#define WIRE_PAYLOAD_H

#include "wire/train.h"

/*
 * The payload of t, parsed, TCP or UDP, in front of which stand its old headers, is n octets now, together with its headers
 * at most TRAIN_BYTES_MAX - 1. The old checksum was right (train_verify_l4()); the new one is complete, or PARTIAL where t
 * is still a train.
 */
void train_payload_replaced(struct train *t, uint32_t n);

/*
 * The TCP header of t was changed: `was` is what it was before, from l4_offset to payload_offset. The checksum
 * follows by the difference, so a wrong one stays wrong.
 */
void train_tcp_header_changed(struct train *t, const uint8_t *was);

#endif
