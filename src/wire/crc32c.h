/* The checksum of SCTP: CRC32c, RFC 9260 appendix A. Of what a sender's kernel left to its NIC; nothing else
 * needs it. */
#ifndef WIRE_CRC32C_H
#define WIRE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The field of the checksum is zero. It goes into the packet with its least octet first. */
uint32_t crc32c(const uint8_t *bytes, size_t n);

#endif
