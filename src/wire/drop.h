/*
 * Why a packet was dropped: one table for the counter, the trace text and the documentation.
 * Every drop in the data plane names exactly one of these.
 */
#ifndef WIRE_DROP_H
#define WIRE_DROP_H

#include "base/screens.h"

/* A screen is one reason. */
#define DROP_OF_SCREEN(D, id, name, path, kind, preset, text)                                                \
	D(SCREEN_##id, "screen-" name, "a screen of the zone: " text)

/* clang-format off */
#define DROP_REASONS(D)	/* id, name as shown and counted, text */ \
	D(NONE,                  "none",                  "not dropped") \
	/* link and header checks */	\
	D(OTHER_HOST,            "other-host",            "the frame is addressed to another station's MAC address") \
	D(ETHERTYPE,             "ethertype",             "neither IPv4 nor IPv6; ARP is handled by the kernel") \
	D(TRUNCATED,             "truncated",             "a header, or the length that it states, exceeds the frame") \
	D(RX_OVERFLOW,           "rx-overflow",           "dropped by the kernel: the receive queue was full, or the outer checksum was wrong") \
	D(UNSUPPORTED_OFFLOAD,   "unsupported-offload",   "the kernel could not describe the frame's offloads, so it cannot be forwarded") \
	D(MALFORMED,             "malformed",             "a header field has an impossible value") \
	D(SEGMENT_LIMIT,         "segment-limit",         "one frame would be cut into more packets than an honest sender's offload ever leaves to be cut") \
	D(IP_CHECKSUM,           "ip-checksum",           "the IPv4 header checksum is wrong") \
	D(L4_CHECKSUM,           "l4-checksum",           "the TCP, UDP, SCTP or ICMP checksum is wrong") \
	D(MARTIAN_SOURCE,        "martian-source",        "the source address is multicast, broadcast, loopback, unspecified or link-local") \
	D(MARTIAN_DESTINATION,   "martian-destination",   "the destination address is loopback, unspecified, reserved or link-local") \
	D(MULTICAST,             "multicast",             "multicast and broadcast are not forwarded") \
	D(LAND,                  "land",                  "source and destination address are the same") \
	D(SPOOFED,               "spoofed",               "the source address is not routed to the zone, or not in the tunnel, that the packet came from") \
	D(TCP_FLAGS,             "tcp-flags",             "impossible TCP flags: none, SYN+FIN, SYN+RST, FIN without ACK") \
	D(SOURCE_ROUTE,          "source-route",          "loose or strict source routing, or an IPv6 routing header type 0") \
	D(IP_OPTIONS,            "ip-options",            "an IPv4 option or IPv6 extension header that is not forwarded") \
	SCREENS(DROP_OF_SCREEN, D) \
	/* reassembly */	\
	D(FRAGMENT_OVERLAP,      "fragment-overlap",      "fragments overlap") \
	D(FRAGMENT_INVALID,      "fragment-invalid",      "a fragment with an impossible offset or size, or a first fragment without the transport header") \
	D(FRAGMENT_TIMEOUT,      "fragment-timeout",      "the other fragments did not arrive in time") \
	D(FRAGMENT_LIMIT,        "fragment-limit",        "too many datagrams are being reassembled, or one has too many gaps") \
	/* to the worker whose flow it is */	\
	D(WORKER_QUEUE_FULL,     "worker-queue-full",     "the queue to the worker that its flow or its SA belongs to is full") \
	/* zones, sessions and policy */	\
	D(NO_ZONE,               "no-zone",               "the interface belongs to no zone") \
	D(POLICY_DENY,           "policy-deny",           "a policy rule denies it") \
	D(POLICY_REJECT,         "policy-reject",         "a policy rule rejects it; the sender was told") \
	D(DEFAULT_DENY,          "default-deny",          "no policy rule permits it") \
	D(NO_SESSION,            "no-session",            "not the start of a connection, and no session exists") \
	D(SESSION_ZONE_MISMATCH, "session-zone-mismatch", "the packet belongs to a session, but its ingress or egress zone is not the session's") \
	D(TCP_STATE,             "tcp-state",             "does not fit the TCP session's state or window") \
	D(SYN_PROXY_OPENING,     "syn-proxy-opening",     "of a connection that began by a SYN cookie, and whose server has not answered yet: the sender repeats it") \
	D(SCTP_STATE,            "sctp-state",            "does not fit the SCTP association's state or verification tags") \
	D(SESSION_LIMIT,         "session-limit",         "the session table is full") \
	D(RULE_SESSION_LIMIT,    "rule-session-limit",    "the rule has as many sessions as its session-limit") \
	D(RULE_SESSION_RATE,     "rule-session-rate",     "more sessions of the rule began in this second than its session-rate") \
	D(ZONE_SESSION_LIMIT,    "zone-session-limit",    "the zone has as many sessions as its session-limit total") \
	D(SOURCE_SESSION_LIMIT,  "source-session-limit",  "the source has as many sessions as its zone's session-limit source") \
	D(DESTINATION_SESSION_LIMIT, "destination-session-limit", "the destination has as many sessions as the zone's session-limit destination") \
	D(SESSION_COLLISION,     "session-collision",     "another session already has the same addresses and ports for its replies") \
	D(ICMP_UNRELATED,        "icmp-unrelated",        "an ICMP error about no known session, or about a packet that its session did not send") \
	D(NAT_EXHAUSTED,         "nat-exhausted",         "no free address and port for source NAT") \
	D(NAT_BLOCK_LIMIT,       "nat-block-limit",       "the inside host has no free port in its blocks of ports, and as many of them as its rule allows") \
	D(NAT_BLOCK_UNLOGGED,    "nat-block-unlogged",    "the inside host gets no block of ports, because the record of it would be lost: the log takes no more at the moment") \
	D(NAT_BINDING_LIMIT,     "nat-binding-limit",     "the inside host has as many bindings of persistent NAT as its rule allows") \
	D(NAT_FILTERED,          "nat-filtered",          "the destination is mapped by persistent NAT, and the filtering of its rule does not let this sender begin a session") \
	D(NAT_NO_ADDRESS,        "nat-no-address",        "the egress interface has no address to translate to: none of the packet's family, or only a link-local one; or the source is outside its rule's host-address-base; or no rule of source NAT gives a NAT64 connection an IPv4 address, or it would enter a tunnel") \
	D(NAT_PROTOCOL,          "nat-protocol",          "source NAT of a protocol without ports, or of an SCTP port, which is never translated, while another inside host uses it towards this peer; or NAT of AH; or of ESP that the gateway itself receives; or NAT64 of anything but TCP, UDP and echo") \
	D(NAT_PAST_TUNNEL,       "nat-past-tunnel",       "with its translated addresses it would belong to a tunnel, into which nothing is translated: it does not leave in clear text") \
	D(NAT_TO_GATEWAY,        "nat-to-gateway",        "destination NAT leads to an address of the gateway itself, whose kernel would not know of the translation") \
	D(NAT_NO_SERVER,         "nat-no-server",         "every server of the rule of destination NAT fails its health check") \
	D(NAT_NO_MAPPING,        "nat-no-mapping",        "NPTv6 has no mapping for an address whose subnet number, or whole interface identifier, is all ones; the sender was told") \
	D(NAT64_ADDRESS,         "nat64-address",         "a destination within a prefix of NAT64 that embeds no host's IPv4 address, or under the well-known prefix one that is not global") \
	D(NAT64_UNTRANSLATABLE,  "nat64-untranslatable",  "a packet of a NAT64 session that has no counterpart in the other family: an ICMP error of such a kind, or UDP over IPv6 without a checksum") \
	D(NAT_ADDRESS_CHANGED,   "nat-address-changed",   "the session was translated to an address that the egress interface no longer has") \
	D(HOST_INBOUND,          "host-inbound",          "the zone does not permit this service of the gateway itself") \
	D(ALG_REFUSED,           "alg-refused",           "FTP names an address that is not the client's own, a port below 1024, or an address where none is due, or one that must be translated while no port is free; so SIP its media; or TFTP a port below 1024") \
	D(ALG_ORDER,             "alg-order",             "a segment of an FTP control connection arrived before the one in front of it; it is read in order, and the sender repeats it; so a train of several messages of SIP") \
	/* routing and output */	\
	D(TTL,                   "ttl-exceeded",          "the hop limit was reached; the sender was told") \
	D(NO_ROUTE,              "no-route",              "no route to the destination; the sender was told") \
	D(ROUTE_LIMIT,           "route-limit",           "a route for its destination, into a tunnel or to nowhere, found no room in the mirror of the kernel's routes: it does not leave by a less specific one; the log names the route") \
	D(NEIGHBOUR,             "neighbour-unresolved",  "the next hop's link address did not become known in time, or newer packets for it took the place") \
	D(NEIGHBOUR_LIMIT,       "neighbour-limit",       "too many link addresses to resolve, or too many packets that wait for one") \
	D(TOO_BIG,               "too-big",               "larger than the path's MTU and must not be fragmented; the sender was told") \
	D(LINK_SEND_FAILED,      "link-send-failed",      "the link is down or did not take the frame") \
	D(HOST_SEND_FAILED,      "host-send-failed",      "the host's TUN device did not take the packet") \
	D(IKE_LIMIT,             "ike-limit",             "more IKE messages to port 4500 than are passed on, from one source or in total") \
	D(QUEUE_FULL,            "queue-full",            "the queue of messages to ike is full") \
	/* tunnels */	\
	D(TUNNEL_DOWN,           "tunnel-down",           "the tunnel has no SA to send by; one was requested") \
	D(TUNNEL_REQUIRED,       "tunnel-required",       "received in clear text, but its addresses belong to a tunnel") \
	D(TUNNEL_RECURSION,      "tunnel-recursion",      "an IKE or ESP packet of the gateway's own, which a route leads into the tunnel that it would carry; the log names the tunnel: its peer needs a route past it") \
	D(ESP_TRUNCATED,         "esp-truncated",         "shorter than an ESP packet can be, or not of whole blocks") \
	D(ESP_UNKNOWN_SPI,       "esp-unknown-spi",       "no SA has this SPI") \
	D(ESP_REPLAY,            "esp-replay",            "the sequence number was received before, or is left of the replay window") \
	D(ESP_AUTH,              "esp-auth",              "the integrity check failed") \
	D(ESP_PADDING,           "esp-padding",           "the padding is not 1, 2, 3 and so on, or is longer than the packet") \
	D(ESP_NEXT_HEADER,       "esp-next-header",       "the inner packet is neither IPv4 nor IPv6") \
	D(ESP_SELECTOR,          "esp-selector",          "outside the selectors of the SA that it came by, or of every SA of its tunnel; for the latter one was requested") \
	D(ESP_SEQUENCE_OVERFLOW, "esp-sequence-overflow", "the SA's sequence numbers are used up") \
	D(ESP_LIFETIME,          "esp-lifetime",          "the SA's hard lifetime has ended, in time, octets or packets, and nothing replaced it") \
	D(ESP_LENGTH,            "esp-length",            "the inner packet's length does not fit the decrypted octets") \
	D(ESP_DUMMY,             "esp-dummy",             "a dummy packet, sent to hide the amount of traffic (RFC 4303 section 2.6)") \
	D(ESP_ECN,               "esp-ecn",               "marked as congested in transit, and the inner packet is not ECN-capable (RFC 6040 section 4.2)") \
	D(TUNNEL_SEND_FAILED,    "tunnel-send-failed",    "the tunnel's socket did not take the packet")
/* clang-format on */

enum drop_reason {
#define E(id, name, text) DROP_##id,
	DROP_REASONS(E) DROP_COUNT
#undef E
};

#define DROP_SCREEN_FIRST ((enum drop_reason)(DROP_IP_OPTIONS + 1)) /* of SCREEN_COUNT rows */

static inline enum drop_reason drop_of_screen(enum screen i)
{
	return (enum drop_reason)((uint32_t)DROP_SCREEN_FIRST + (uint32_t)i);
}

const char *drop_name(enum drop_reason r);
const char *drop_text(enum drop_reason r);

#endif
