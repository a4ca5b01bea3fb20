/*
 * Cutting a datagram into fragments (RFC 791 section 2.3, RFC 8200 section 4.5). Used where a packet without
 * don't-fragment exceeds an MTU, and for datagrams that were received in fragments and reassembled for
 * policy.
 */
#ifndef WIRE_FRAGMENT_H
#define WIRE_FRAGMENT_H

#include "wire/train.h"

/*
 * Writes fragment number `index` of the packet in t, none larger than mtu, into ret_packet (mtu bytes, at
 * least eight more than the headers of each). `id` is the IPv6 fragment identification; IPv4 keeps the
 * packet's own, and its don't-fragment. Returns the fragment's length, 0 after the last one. The packet must
 * be one (no segment size) with a complete L4 checksum.
 */
size_t fragment_cut(uint8_t *ret_packet, const struct train *t, uint32_t mtu, uint32_t index, uint32_t id);

#endif
