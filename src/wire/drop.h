/*
 * Why a packet was dropped: one table for the counter, the trace text and the documentation.
 * Every drop in the data plane names exactly one of these.
 */
#ifndef WIRE_DROP_H
#define WIRE_DROP_H

/* clang-format off */
#define DROP_REASONS(D)	/* id, name as shown and counted, text */									\
	D(NONE,                 "none",                  "not dropped")									\
	/* link and header checks */													\
	D(NOT_FOR_US,           "not-for-us",            "the frame's destination is another station")					\
	D(ETHERTYPE,            "ethertype",             "neither IPv4 nor IPv6; the kernel handles ARP itself")			\
	D(TRUNCATED,            "truncated",             "a header or the length it states goes beyond the frame")			\
	D(RX_OVERFLOW,          "rx-overflow",           "the kernel had to drop it: packets came faster than they were taken, or with a wrong outer checksum")	\
	D(RX_REFUSED,           "rx-refused",            "the kernel cannot describe this frame's offloads, so it cannot be forwarded whole")	\
	D(MALFORMED,            "malformed",             "a header field has an impossible value")					\
	D(SEGMENT_LIMIT,        "segment-limit",         "one frame would be cut into more packets than any honest sender's offload leaves to be cut")	\
	D(IP_CHECKSUM,          "ip-checksum",           "the IPv4 header checksum is wrong")						\
	D(L4_CHECKSUM,          "l4-checksum",           "the TCP, UDP or ICMP checksum is wrong")					\
	D(SOURCE_ADDRESS,       "source-address",        "the source is multicast, broadcast, loopback or unspecified")			\
	D(DESTINATION_ADDRESS,  "destination-address",   "the destination is loopback, unspecified or reserved")			\
	D(MULTICAST,            "multicast",             "multicast and broadcast are not forwarded")					\
	D(LAND,                 "land",                  "source and destination are the same")						\
	D(SPOOFED,              "spoofed",               "the source does not belong behind the interface it came from")		\
	D(TCP_FLAGS,            "tcp-flags",             "impossible TCP flags: none, SYN+FIN, SYN+RST, FIN without ACK")		\
	D(SOURCE_ROUTE,         "source-route",          "loose or strict source routing, or an IPv6 routing header type 0")		\
	D(IP_OPTIONS,           "ip-options",            "an IPv4 option or IPv6 extension header that is not forwarded")		\
	/* reassembly */														\
	D(FRAGMENT_OVERLAP,     "fragment-overlap",      "fragments overlap")								\
	D(FRAGMENT_INVALID,     "fragment-invalid",      "a fragment with an impossible offset or size, or a tiny first one")		\
	D(FRAGMENT_TIMEOUT,     "fragment-timeout",      "the other fragments did not come in time")					\
	D(FRAGMENT_LIMIT,       "fragment-limit",        "too many datagrams are being reassembled")					\
	/* zones, sessions and policy */												\
	D(NO_ZONE,              "no-zone",               "the interface belongs to no zone")						\
	D(POLICY_DENY,          "policy-deny",           "a policy rule denies it")							\
	D(POLICY_REJECT,        "policy-reject",         "a policy rule rejects it; the sender was told")				\
	D(DEFAULT_DENY,         "default-deny",          "no rule permits it")								\
	D(NO_SESSION,           "no-session",            "not the start of a connection, and there is no session")			\
	D(SESSION_ZONE,         "session-zone",          "belongs to a session, but comes from or goes to another zone than that")	\
	D(TCP_STATE,            "tcp-state",             "does not fit the TCP session's state or window")				\
	D(SESSION_LIMIT,        "session-limit",         "the session table is full")							\
	D(SESSION_COLLISION,    "session-collision",     "another session has the same translated addresses")				\
	D(ICMP_UNRELATED,       "icmp-unrelated",        "an ICMP error about no session of ours, or nothing that its session sent")	\
	D(NAT_EXHAUSTED,        "nat-exhausted",         "no free address and port for source NAT")					\
	D(NAT_NO_ADDRESS,       "nat-no-address",        "nothing to translate to: the interface on its way out has no address of its family, or a link-local one alone")	\
	D(NAT_PROTOCOL,         "nat-protocol",          "no ports to translate, and another host inside holds this peer (or AH, or own ESP)")\
	D(NAT_ADDRESS,          "nat-address",           "translated to an address that the gateway no longer has on its way out")	\
	D(HOST_INBOUND,         "host-inbound",          "the zone does not allow this service to the gateway itself")			\
	/* routing and output */													\
	D(TTL,                  "ttl-exceeded",          "the hop limit ended here; the sender was told")				\
	D(NO_ROUTE,             "no-route",              "no route to the destination; the sender was told")				\
	D(NEIGHBOUR,            "neighbour-unresolved",  "the next hop's link address is not known; it was asked for")			\
	D(NEIGHBOUR_LIMIT,      "neighbour-limit",       "too many link addresses were asked for, or too many packets wait for one")	\
	D(TOO_BIG,              "too-big",               "larger than the path's MTU with don't-fragment; the sender was told")		\
	D(LINK_SEND,            "link-send",             "the link did not take the frame")						\
	D(HOST_SEND,            "host-send",             "the host's TUN device did not take the packet")				\
	D(IKE_LIMIT,            "ike-limit",             "more IKE messages came to port 4500, from one source or all together, than are handed on")	\
	D(QUEUE_FULL,           "queue-full",            "an internal queue is full")							\
	/* tunnels */															\
	D(TUNNEL_DOWN,          "tunnel-down",           "the tunnel for this traffic has no SA; it was asked for")			\
	D(TUNNEL_REQUIRED,      "tunnel-required",       "came in clear, but its addresses belong to a tunnel")				\
	D(ESP_TRUNCATED,        "esp-truncated",         "shorter than an ESP packet can be")						\
	D(ESP_UNKNOWN_SPI,      "esp-unknown-spi",       "no SA has this SPI")								\
	D(ESP_REPLAY,           "esp-replay",            "sequence number seen already, or left of the window")				\
	D(ESP_AUTH,             "esp-auth",              "integrity check failed")							\
	D(ESP_PADDING,          "esp-padding",           "padding is not 1, 2, 3 and so on, or longer than the packet")			\
	D(ESP_NEXT_HEADER,      "esp-next-header",       "what is inside is neither IPv4 nor IPv6")					\
	D(ESP_SELECTOR,         "esp-selector",          "no SA of the tunnel has selectors for this packet; one was asked for")				\
	D(ESP_SEQUENCE,         "esp-sequence-end",      "the SA's sequence numbers are used up")					\
	D(ESP_LENGTH,           "esp-length",            "the inner length does not fit the decrypted packet")				\
	D(ESP_DUMMY,            "esp-dummy",             "a dummy packet that hides how much traffic there is (RFC 4303 2.6)")		\
	D(ESP_CONGESTION,       "esp-congestion",        "marked congested on the way, and the inner packet cannot carry the mark")	\
	D(TUNNEL_SEND,          "tunnel-send",           "the tunnel's socket did not take the packet")
/* clang-format on */

enum drop_reason {
#define E(id, name, text) DROP_##id,
	DROP_REASONS(E) DROP_COUNT
#undef E
};

const char *drop_name(enum drop_reason r);
const char *drop_text(enum drop_reason r);

#endif
