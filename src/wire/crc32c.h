/* The checksum of SCTP: CRC32c, RFC 9260 appendix A. Made of what a sender's kernel left to its NIC, and checked of packets that
 * change the state of an association: it covers no addresses, so NAT of them leaves it as it is. */
#ifndef WIRE_CRC32C_H
#define WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The field of the checksum is zero. It goes into the packet with its least octet first. */
uint32_t crc32c(const uint8_t *bytes, size_t n);

/* In pieces: begins with CRC32C_BEGIN, and the result is inverted at the end. */
#define CRC32C_BEGIN UINT32_MAX
uint32_t crc32c_add(uint32_t crc, const uint8_t *bytes, size_t n);

#endif
