/* Numbers of the Internet protocols, by their RFCs' names. */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off: numbers by kind, several in a line */
enum {
	/* IANA protocol numbers */
	IP_ICMP = 1,
	IP_IPIP = 4,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_DCCP = 33,
	IP_IPV6 = 41,
	IP_GRE = 47,
	IP_ESP = 50,
	IP_AH = 51,
	IP_ICMPV6 = 58,
	IP_SCTP = 132,
	IP_UDP_LITE = 136,
	IP6_HOP_BY_HOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_NO_NEXT = 59,
	IP6_DESTINATION = 60,
	/* sizes and offsets, bytes */
	IP6_MTU_MIN = 1280, /* RFC 8200 section 5: every link that carries IPv6 takes so much */
	IP4_HEADER_SIZE = 20,
	IP6_HEADER_SIZE = 40,
	TCP_HEADER_SIZE = 20,
	UDP_HEADER_SIZE = 8,
	ICMP_HEADER_SIZE = 8,
	SCTP_HEADER_SIZE = 12,
	SCTP_CHUNK_HEADER_SIZE = 4,
	IP6_FRAGMENT_SIZE = 8,
	IP4_TTL = 8,
	IP4_CSUM = 10,
	IP4_SRC = 12,
	IP4_DST = 16,
	IP6_HOPS = 7,
	IP6_SRC = 8,
	IP6_DST = 24,
	TCP_CSUM = 16,
	UDP_CSUM = 6,
	ICMP_CSUM = 2,
	SCTP_TAG = 4,
	SCTP_CSUM = 8, /* four octets, CRC32c */
	/* RFC 791 fragment field; RFC 8200 section 4.5 */
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
	IP4_OFFSET_MASK = 0x1fff,
	IP6_OFFSET_MASK = 0xfff8,
	IP6_MF = 1,
	IP4_OPTION_LSRR = 131,
	IP4_OPTION_SSRR = 137,
	IP4_OPTION_ROUTER_ALERT = 148,
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128,
	/* RFC 9260 section 3.2: chunk types */
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_COOKIE_ECHO = 10,
	SCTP_COOKIE_ACK = 11,
	SCTP_SHUTDOWN_COMPLETE = 14,
	SCTP_FLAG_T = 1, /* of ABORT and SHUTDOWN COMPLETE: the tag is the one that the sender was sent */
	TCP_OPTION_MSS = 2,
	TCP_OPTION_WINDOW_SCALE = 3,
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_SOURCE_QUENCH = 4,
	ICMP4_REDIRECT = 5,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
};
/* clang-format on */

/* The protocols that begin with two ports and whose ports are read: RFC 4301 section 4.4.1.1, RFC 9260 section 3.1. */
static inline bool ip_has_ports(uint8_t proto)
{
	return proto == IP_TCP || proto == IP_UDP || proto == IP_SCTP;
}

#endif
