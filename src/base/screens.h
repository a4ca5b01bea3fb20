/*
 * The screens: attacks and oddities that a zone may have recognised in what it sends. One row each: from it come the drop
 * reason and counter (wire/drop.h), the row of `show screens`, the number in the snapshot; yang/plaingate.yang has the
 * statement, description and default of each, and tests/unit/model/test_screens.c compares them.
 *
 * Columns: id; name in counters and logs; path of its statement within `screen NAME`; kind; default threshold; text. X goes
 * through to each row, so that another table may be made of these rows.
 *
 *	ON      a statement without a value
 *	LIMIT   a threshold; its leaf has a default where the container around it is there, or has none
 *
 * Numbers and words follow what SRX offers under `security screen ids-option`.
 */
#ifndef BASE_SCREENS_H
#define BASE_SCREENS_H

#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
#define SCREENS(S, X)	/* X, id, name, path, kind, default, text */ \
	/* what the headers of one packet say: of several the first drops it, so the particular ones stand first (an option before its header) */ \
	S(X, ICMP_PING_DEATH,  "icmp-ping-death",  "icmp/ping-death",  ON, 0, "a fragment of ICMP that ends beyond 65,535 octets") \
	S(X, TCP_LAND,         "tcp-land",         "tcp/land",         ON, 0, "source and destination address are the same") \
	S(X, TCP_WINNUKE,      "tcp-winnuke",      "tcp/winnuke",      ON, 0, "TCP to port 139 with urgent data") \
	S(X, TCP_SYN_FRAG,     "tcp-syn-frag",     "tcp/syn-frag",     ON, 0, "a SYN in fragments") \
	S(X, TCP_NO_FLAG,      "tcp-no-flag",      "tcp/tcp-no-flag",  ON, 0, "TCP without any flag") \
	S(X, TCP_SYN_FIN,      "tcp-syn-fin",      "tcp/syn-fin",      ON, 0, "TCP with SYN and FIN") \
	S(X, TCP_FIN_NO_ACK,   "tcp-fin-no-ack",   "tcp/fin-no-ack",   ON, 0, "TCP with FIN and without ACK") \
	S(X, TUNNEL_BAD_INNER, "tunnel-bad-inner-header", "ip/tunnel/bad-inner-header", ON, 0, "a packet in a tunnel whose own header is malformed, or whose addresses no host has") \
	S(X, TUNNEL_NESTED,    "tunnel-nested",    "ip/tunnel/nested",    ON, 0, "a tunnel within a tunnel") \
	S(X, TUNNEL_6TO4,      "tunnel-6to4",      "ip/tunnel/ipip-6to4", ON, 0, "IPv6 in IPv4 with an address of 6to4, within or outside") \
	S(X, TUNNEL_ISATAP,    "tunnel-isatap",    "ip/tunnel/isatap",    ON, 0, "IPv6 in IPv4 with an interface identifier of ISATAP") \
	S(X, TUNNEL_DS_LITE,   "tunnel-ds-lite",   "ip/tunnel/ds-lite",   ON, 0, "IPv4 in IPv6 with an address of DS-Lite within") \
	S(X, TUNNEL_TEREDO,    "tunnel-teredo",    "ip/tunnel/teredo",    ON, 0, "IPv6 in UDP to or from port 3544") \
	S(X, ICMP_FRAGMENT,    "icmp-fragment",    "icmp/fragment",    ON, 0, "ICMP in fragments") \
	S(X, ICMP_LARGE,       "icmp-large",       "icmp/large",       ON, 0, "an ICMP packet of more than 1024 octets") \
	S(X, ICMPV6_MALFORMED, "icmpv6-malformed", "icmp/icmpv6-malformed", ON, 0, "ICMPv6 whose header is cut short, of type 0, or neighbour discovery that has passed a router") \
	S(X, IP_BAD_OPTION,    "ip-bad-option",    "ip/bad-option",    ON, 0, "an IPv4 option whose length does not fit the header") \
	S(X, IP_RECORD_ROUTE,  "ip-record-route",  "ip/record-route-option", ON, 0, "IPv4 option record route") \
	S(X, IP_TIMESTAMP,     "ip-timestamp",     "ip/timestamp-option", ON, 0, "IPv4 option timestamp") \
	S(X, IP_SECURITY,      "ip-security",      "ip/security-option", ON, 0, "IPv4 option security, basic or extended (RFC 1108), or commercial security") \
	S(X, IP_STREAM,        "ip-stream",        "ip/stream-option", ON, 0, "IPv4 option stream identifier") \
	S(X, IP_LOOSE_ROUTE,   "ip-loose-source-route",  "ip/loose-source-route-option",  ON, 0, "IPv4 option loose source route") \
	S(X, IP_STRICT_ROUTE,  "ip-strict-source-route", "ip/strict-source-route-option", ON, 0, "IPv4 option strict source route") \
	S(X, IP_SOURCE_ROUTE,  "ip-source-route",  "ip/source-route-option", ON, 0, "IPv4 option loose or strict source route, or IPv6 routing header type 0") \
	S(X, IP_BLOCK_FRAG,    "ip-block-frag",    "ip/block-frag",    ON, 0, "an IP fragment") \
	S(X, IP_TEAR_DROP,     "ip-tear-drop",     "ip/tear-drop",     ON, 0, "fragments that overlap") \
	S(X, IP_SPOOFING,      "ip-spoofing",      "ip/spoofing",      ON, 0, "a source address that the routes do not place where the packet came from") \
	S(X, IP_UNKNOWN_PROTOCOL, "ip-unknown-protocol", "ip/unknown-protocol", ON, 0, "IP protocol number 137 or above") \
	S(X, IP6_MALFORMED,    "ipv6-malformed-header", "ip/ipv6-malformed-header", ON, 0, "IPv6 whose lengths or extension headers contradict each other") \
	S(X, IP6_HEADER_LIMIT, "ipv6-extension-header-limit", "ip/ipv6-extension-header-limit", LIMIT, 0, "more IPv6 extension headers than the limit") \
	S(X, IP6_JUMBO,        "ipv6-jumbo-payload", "ip/ipv6-option/jumbo-payload",            ON, 0, "IPv6 option jumbo payload") \
	S(X, IP6_ROUTER_ALERT, "ipv6-router-alert", "ip/ipv6-option/router-alert",              ON, 0, "IPv6 option router alert") \
	S(X, IP6_QUICK_START,  "ipv6-quick-start", "ip/ipv6-option/quick-start",                ON, 0, "IPv6 option quick start") \
	S(X, IP6_CALIPSO,      "ipv6-calipso",     "ip/ipv6-option/calipso",                    ON, 0, "IPv6 option CALIPSO") \
	S(X, IP6_SMF_DPD,      "ipv6-smf-dpd",     "ip/ipv6-option/smf-dpd",                    ON, 0, "IPv6 option SMF_DPD") \
	S(X, IP6_TUNNEL_LIMIT, "ipv6-tunnel-encapsulation-limit", "ip/ipv6-option/tunnel-encapsulation-limit", ON, 0, "IPv6 option tunnel encapsulation limit") \
	S(X, IP6_HOME_ADDRESS, "ipv6-home-address", "ip/ipv6-option/home-address",              ON, 0, "IPv6 option home address") \
	S(X, IP6_ILNP_NONCE,   "ipv6-ilnp-nonce",  "ip/ipv6-option/ilnp-nonce",                 ON, 0, "IPv6 option ILNP nonce") \
	S(X, IP6_LINE_ID,      "ipv6-line-identification", "ip/ipv6-option/line-identification", ON, 0, "IPv6 option line identification") \
	S(X, IP6_HOP_BY_HOP,   "ipv6-hop-by-hop",  "ip/ipv6-extension-header/hop-by-hop-header",  ON, 0, "IPv6 hop-by-hop options") \
	S(X, IP6_ROUTING,      "ipv6-routing",     "ip/ipv6-extension-header/routing-header",     ON, 0, "IPv6 routing header of any type") \
	S(X, IP6_FRAGMENT,     "ipv6-fragment",    "ip/ipv6-extension-header/fragment-header",    ON, 0, "IPv6 fragment header, of a whole packet too") \
	S(X, IP6_DESTINATION,  "ipv6-destination", "ip/ipv6-extension-header/destination-header", ON, 0, "IPv6 destination options") \
	S(X, IP6_AH,           "ipv6-ah",          "ip/ipv6-extension-header/ah-header",          ON, 0, "IPv6 authentication header") \
	S(X, IP6_ESP,          "ipv6-esp",         "ip/ipv6-extension-header/esp-header",         ON, 0, "IPv6 encapsulating security payload") \
	S(X, IP6_MOBILITY,     "ipv6-mobility",    "ip/ipv6-extension-header/mobility-header",    ON, 0, "IPv6 mobility header") \
	S(X, IP6_HIP,          "ipv6-hip",         "ip/ipv6-extension-header/hip-header",         ON, 0, "IPv6 header of the host identity protocol") \
	S(X, IP6_SHIM6,        "ipv6-shim6",       "ip/ipv6-extension-header/shim6-header",       ON, 0, "IPv6 shim6 header") \
	S(X, IP6_NO_NEXT,      "ipv6-no-next",     "ip/ipv6-extension-header/no-next-header",     ON, 0, "IPv6 without a next header") \
	S(X, TUNNEL_GRE_4IN4,  "tunnel-gre-4in4",  "ip/tunnel/gre-4in4",  ON, 0, "IPv4 in GRE over IPv4") \
	S(X, TUNNEL_GRE_4IN6,  "tunnel-gre-4in6",  "ip/tunnel/gre-4in6",  ON, 0, "IPv4 in GRE over IPv6") \
	S(X, TUNNEL_GRE_6IN4,  "tunnel-gre-6in4",  "ip/tunnel/gre-6in4",  ON, 0, "IPv6 in GRE over IPv4") \
	S(X, TUNNEL_GRE_6IN6,  "tunnel-gre-6in6",  "ip/tunnel/gre-6in6",  ON, 0, "IPv6 in GRE over IPv6") \
	S(X, TUNNEL_4IN4,      "tunnel-ipip-4in4", "ip/tunnel/ipip-4in4", ON, 0, "IPv4 in IPv4") \
	S(X, TUNNEL_4IN6,      "tunnel-ipip-4in6", "ip/tunnel/ipip-4in6", ON, 0, "IPv4 in IPv6") \
	S(X, TUNNEL_6IN4,      "tunnel-ipip-6in4", "ip/tunnel/ipip-6in4", ON, 0, "IPv6 in IPv4") \
	S(X, TUNNEL_6IN6,      "tunnel-ipip-6in6", "ip/tunnel/ipip-6in6", ON, 0, "IPv6 in IPv6") \
	/* by how many of them come */ \
	S(X, ICMP_FLOOD,       "icmp-flood",       "icmp/flood/threshold",    LIMIT, 1000, "more ICMP queries a second to one destination than the threshold") \
	S(X, ICMP_SWEEP,       "icmp-ip-sweep",    "icmp/ip-sweep/threshold", LIMIT, 5000, "ICMP queries of one source to ten destinations within the threshold, in microseconds") \
	S(X, UDP_FLOOD,        "udp-flood",        "udp/flood/threshold",     LIMIT, 1000, "more datagrams of UDP a second to one destination that has not answered than the threshold") \
	S(X, UDP_PORT_SCAN,    "udp-port-scan",    "udp/port-scan/threshold", LIMIT, 5000, "UDP of one source to ten ports of one destination within the threshold, in microseconds") \
	S(X, UDP_SWEEP,        "udp-sweep",        "udp/udp-sweep/threshold", LIMIT, 5000, "UDP of one source to ten destinations within the threshold, in microseconds") \
	S(X, TCP_PORT_SCAN,    "tcp-port-scan",    "tcp/port-scan/threshold", LIMIT, 5000, "SYNs of one source to ten ports of one destination within the threshold, in microseconds") \
	S(X, TCP_SWEEP,        "tcp-sweep",        "tcp/tcp-sweep/threshold", LIMIT, 5000, "SYNs of one source to ten destinations within the threshold, in microseconds") \
	S(X, SYN_FLOOD_SOURCE, "tcp-syn-flood-source", "tcp/syn-flood/source-threshold", LIMIT, 4000, "more SYNs a second of one source than the threshold") \
	S(X, SYN_FLOOD_DESTINATION, "tcp-syn-flood-destination", "tcp/syn-flood/destination-threshold", LIMIT, 2048, "more SYNs a second to one destination than the threshold") \
	S(X, SYN_FLOOD_ALARM,  "tcp-syn-flood-alarm", "tcp/syn-flood/alarm-threshold", LIMIT, 512, "more SYNs a second to one destination address and port than the threshold; they pass") \
	S(X, SYN_FLOOD_ATTACK, "tcp-syn-flood-attack", "tcp/syn-flood/attack-threshold", LIMIT, 1000, "more SYNs a second to one destination address and port than the threshold; they are answered by SYN cookies") \
	S(X, SYN_ACK_ACK,      "tcp-syn-ack-ack-proxy", "tcp/syn-ack-ack-proxy/threshold", LIMIT, 512, "the source has completed a handshake by a SYN cookie and has as many sessions as the threshold") \
	S(X, SOURCE_SESSIONS,  "source-sessions",  "limit-session/source-ip-based",      LIMIT, 0, "the source has as many sessions as the limit") \
	S(X, DESTINATION_SESSIONS, "destination-sessions", "limit-session/destination-ip-based", LIMIT, 0, "the destination has as many sessions as the limit") \
	S(X, SOURCE_RATE,      "source-session-rate", "limit-session/source-session-rate", LIMIT, 0, "the source begins more sessions a second than the limit")
/* clang-format on */

enum screen {
#define SCREEN_ID(x, id, name, path, kind, preset, text) SCREEN_##id,
	SCREENS(SCREEN_ID, ) SCREEN_COUNT
#undef SCREEN_ID
};

enum screen_kind { SCREEN_KIND_ON, SCREEN_KIND_LIMIT };

/* Of `ip { spoofing … }`: where the route back to a source must lead. */
enum screen_spoofing {
	SPOOFING_ZONE,	 /* into the zone that the packet came from: what holds without a screen as well */
	SPOOFING_STRICT, /* out of the interface that it came by (RFC 3704 section 2.2) */
	SPOOFING_LOOSE	 /* anywhere, by a default route too (RFC 3704 section 2.4) */
};

#define ICMP_ORDINARY_MAX      1024 /* octets; what is more is large */
#define PROTOCOL_UNKNOWN_FIRST 137
#define SCAN_COUNT	       10 /* ports or addresses of a scan */

#define SCREEN_WORD_MAX 64 /* octets of a word of a path, with its end */

struct screen_set {
	uint64_t w[2];
};
_Static_assert(SCREEN_COUNT <= 128, "a set of screens is two words");

static inline bool screen_in(const struct screen_set *s, enum screen i)
{
	return s->w[i / 64] >> i % 64 & 1;
}

static inline void screen_add(struct screen_set *s, enum screen i)
{
	s->w[i / 64] |= 1ull << i % 64;
}

static inline bool screens_none(const struct screen_set *s)
{
	return (s->w[0] | s->w[1]) == 0;
}

struct screen_row {
	const char *name, *path, *text;
	enum screen_kind kind;
	uint32_t preset;
};

/* i < SCREEN_COUNT. */
const struct screen_row *screen_row(enum screen i);

#endif
