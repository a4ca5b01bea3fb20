/*
 * Probes of an uplink's health as IP packets, and their answers: ICMP echo (RFC 792, RFC 4443), the first segment of a TCP
 * connection (RFC 9293), a DNS query over UDP (RFC 1035). Pure.
 *
 * An answer is recognised by numbers that nobody knows who has not seen the probe: of an echo 64 bits of its data, of TCP its
 * initial sequence number and port, of DNS its identifier and port.
 */
#ifndef WIRE_PROBE_H
#define WIRE_PROBE_H

#include "base/addr.h"

#define PROBE_PACKET_MAX 256 /* IPv6, UDP, and a query for the longest name */
#define PROBE_ECHO_DATA	 16

enum probe_by { PROBE_BY_ECHO, PROBE_BY_TCP, PROBE_BY_DNS };

struct probe {
	struct ip_addr src, dst;
	enum probe_by by;
	uint16_t dst_port; /* TCP */
	uint16_t src_port; /* TCP, UDP; of an echo its identifier */
	uint16_t sequence; /* of an echo */
	uint64_t number;   /* not to be guessed */
	const char *
		name; /* DNS: labels of at most 63 octets with dots between them, 127 in all; "." is the root */
};

/* The packet from its IP header on, with its checksums; returns its length. */
size_t probe_make(uint8_t ret_ip[PROBE_PACKET_MAX], const struct probe *p);
/* The reset that ends a connection whose answer has come. */
size_t probe_reset_make(uint8_t ret_ip[PROBE_PACKET_MAX], const struct probe *p);

/* Is the packet, from its IP header on, the answer to this probe? Checksums are not looked at: the numbers above are more. */
bool probe_is_answer(const struct probe *p, const uint8_t *ip, size_t n);

#endif
