/*
 * The typed snapshot of one configuration: what control compiles out of the text and gives to every other
 * process.
 *
 * One flat block of memory without pointers: a header, then arrays of fixed records; spans name parts of
 * arrays by first index and count. It travels in a sealed memfd; the receiver maps it read-only and calls
 * snapshot_check() before it uses a byte. It holds no secrets: keys are named, and only the keeper has
 * them. Indices into its arrays (peer 3, tunnel 0, …) are how processes name things to each other within one
 * generation.
 */
#ifndef MODEL_SNAPSHOT_H
#define MODEL_SNAPSHOT_H

#include "base/screens.h"
#include "base/selector.h"
#include "model/algorithms.h"
#include "model/keeper_api.h"

#define SNAPSHOT_MAGIC	     0x31474e50u /* "PNG1" */
#define SNAPSHOT_BYTES_MAX   (256u << 20)
#define NAME_MAX_BYTES	     64 /* every configured name, with its terminator */
#define INTERFACE_NAME_BYTES 16

#define ZONES_MAX	      64
#define INTERFACES_MAX	      64
#define SCREENS_MAX	      64
#define PEERS_MAX	      10240
#define SESSIONS_MAX	      (1u << 22) /* the greatest session-limit */
#define WORKERS_MAX	      16	 /* of the data plane; a power of two */
#define TUNNELS_MAX	      10240
#define TUNNEL_INTERFACES_MAX 64 /* tunnels with an interface: each is a device that the data plane reads */
#define TUNNEL_DEVICES_MAX                                                                                   \
	(2 * TUNNEL_INTERFACES_MAX)	 /* with those of a configuration that is being replaced */
#define SELECTOR_PAIRS_MAX    (1u << 18) /* a local and a remote network of one tunnel, of all tunnels */
#define RULES_MAX	      (1u << 17)
#define NAT_RULES_MAX	      4096
#define DNAT_RULES_MAX	      5184 /* destination and static NAT, NAT64 */
#define HEALTH_SERVERS_MAX    256  /* whose health is checked, of all rules together */
#define HEALTH_RANGE_MAX      64   /* of one rule */
#define HEALTH_INTERVAL_S_MAX 3600
#define HEALTH_TIMEOUT_S_MAX  60
#define HEALTH_COUNT_MAX      100
#define NPTV6_BITS_MAX	      64 /* of a prefix: words of the interface identifier are not in it */
#define UPLINKS_MAX	      16
#define UPLINK_PROBES_MAX     8	  /* of one uplink */
#define UPLINK_COUNT_MAX      100 /* probes in a row */
#define UPLINK_MS_MIN	      100 /* between two rounds of them */
#define UPLINK_MS_MAX	      60000
#define PROBE_NAME_BYTES      128	 /* of a DNS query, with its terminator */
#define PROXIES_MAX	      4096	 /* ranges of proxy-arp and proxy-ndp */
#define RANGES_MAX	      (1u << 21) /* of all rules together */
#define SERVICES_MAX	      (1u << 19)
#define SESSIONS_RATE_MAX     1000000
#define SCHEDULES_MAX	      64	 /* a set of them is one uint64_t */
#define TEXTS_MAX	      (1u << 21) /* pieces of 8 octets, of all descriptions together */
#define HOST_FROM_MAX	      4096	 /* ranges of addresses that these are open to, together */
#define HOST_SERVICES_MAX     1024	 /* of all zones together */
#define SELF_RULES_MAX	      1024 /* to and from the gateway itself, each of these two limits for both together */
#define SELF_SERVICES_MAX     4096
#define PROPOSALS_MAX	      (1u << 18) /* of all peers, or of all tunnels, together */
#define PROPOSALS_EACH_MAX    16	 /* of one peer or tunnel */
#define REPLAY_WINDOW_MAX     4096
#define WITNESSES_MAX	      8
#define WITNESS_URL_BYTES     256 /* a URL's text, with its terminator */
#define WITNESS_KEY_BYTES     192 /* a verifier key's text, with its terminator */

#define CA_PROFILES_MAX	       64
#define TRUSTED_MAX	       65536 /* authorities of all peers together */
#define CERTIFICATE_FILES_MAX  (PEERS_MAX + CA_PROFILES_MAX)
#define CERTIFICATES_MAX       4096	   /* of all files together */
#define CERTIFICATE_ANCHORS    64	   /* certificates of the authorities of one peer */
#define CERTIFICATE_CHAIN_MAX  8	   /* our own, and those on its way */
#define CERTIFICATE_BYTES_MAX  (64u << 10) /* of one file */
#define CERTIFICATE_PIECES_MAX (1u << 19)  /* of 8 octets, of all files together */

#define DYNAMICS_MAX	     1024 /* address objects' domain names, feeds and countries, and IKE peers by name */
#define DYNAMIC_RANGES_MAX   (1u << 20) /* addresses, prefixes and ranges of all of them together */
#define DYNAMIC_URL_BYTES    256
#define CRL_INTERVAL_S	     3600 /* between two readings of crl-url, where none is given */
#define DYNAMIC_MEMBERS_MAX  4
#define DYNAMIC_MEMBER_BYTES 32
#define DYNAMIC_NAME_BYTES   256 /* RFC 1035 section 2.3.4: 253 octets of a name */

#define ZONE_ANY   0xffffffffu /* in global rules */
#define ZONE_SELF  0xffffu     /* the gateway itself, as one end of a rule of policy */
#define INDEX_NONE 0xffffffffu

_Static_assert(ZONES_MAX <= 64, "a set of zones is one uint64_t");

struct span {
	uint32_t first, count;
};

/* Services of the gateway itself that a zone may open, by their words, and what each consists of. */
/* clang-format off */
#define HOST_SERVICES(S)	/* word, IP protocol, first and last port (ICMP: type) */	\
	S("ike",              17, 500,   500)							\
	S("ike",              17, 4500,  4500)							\
	S("ike",              50, 0,     0)							\
	S("ping",             1,  8,     8)							\
	S("ping",             58, 128,   128)							\
	S("ssh",              6,  22,    22)							\
	S("https",            6,  443,   443)							\
	S("snmp",             17, 161,   161)							\
	S("dns",              17, 53,    53)							\
	S("dns",              6,  53,    53)							\
	S("dhcp",             17, 67,    68)							\
	S("dhcpv6",           17, 546,   547)							\
	S("router-discovery", 58, 133,   133)							\
	S("router-advertisement", 58, 134, 134)							\
	S("ntp",              17, 123,   123)							\
	S("bgp",              6,  179,   179)							\
	S("ospf",             89, 0,     0)							\
	S("vrrp",             112, 0,    0)							\
	S("igmp",             2,  0,     0)							\
	S("mld",              58, 131,   132)							\
	S("mld",              58, 143,   143)							\
	S("traceroute",       17, 33434, 33534)
/* clang-format on */

/* What a zone opens: an IP protocol, ports (ICMP: types) where it has them, and to whom. */
struct snap_host_service {
	uint8_t proto, zero;
	uint16_t first, last, zero2;
	struct span from; /* into ranges; count 0: everyone in the zone */
};

struct snap_zone {
	char name[NAME_MAX_BYTES];
	struct span host_services; /* into host_services */
	uint32_t flags;		   /* enum zone_flags */
	/* sessions out of the zone: of all, of one source, to one destination; 0: as many as the table holds */
	uint32_t sessions_max, source_sessions_max, destination_sessions_max;
	uint32_t
		half_open_s; /* after which a handshake of TCP is given up, if that is earlier; 0: it is not */
	uint32_t screen;     /* 1 + its index in screens; 0: none */
};

enum screen_flags {
	SCREEN_ALARM_ONLY = 1 << 0 /* what is recognised passes */
};

/* What is recognised in packets from the zones that name it: base/screens.h. */
struct snap_screen {
	char name[NAME_MAX_BYTES];
	struct screen_set on;
	uint32_t flags;		      /* enum screen_flags */
	uint32_t spoofing;	      /* enum screen_spoofing */
	uint32_t limit[SCREEN_COUNT]; /* of those with a threshold that are on; else 0 */
	uint32_t syn_timeout_s;	      /* age of a half-open session, with limits of SYNs; else 0 */
	uint32_t zero;
};

/*
 * Idle times after which a session ends, by protocol and state: the word of `system { timeouts }`, and the
 * default in seconds, which the firewall core uses until a policy says otherwise. yang/plaingate.yang has the
 * same words and defaults for the parser and the reference; tests/unit/model/test_compile.c compares them.
 */
/* clang-format off */
#define SESSION_TIMEOUTS(T)	/* id, word, default */	\
	T(TCP_SYN_SENT,     "tcp-syn-sent",     240)	\
	T(TCP_SYN_RECEIVED, "tcp-syn-received", 240)	\
	T(TCP,              "tcp",              7440)	\
	T(TCP_HALF_CLOSED,  "tcp-half-closed",  240)	\
	T(TCP_TIME_WAIT,    "tcp-time-wait",    20)	\
	T(TCP_CLOSED,       "tcp-closed",       5)	\
	T(UDP_UNANSWERED,   "udp-unanswered",   120)	\
	T(UDP,              "udp",              120)	\
	T(ICMP,             "icmp",             60)	\
	T(GRE,              "gre",              180)	\
	T(ESP,              "esp",              180)	\
	T(SCTP_COOKIE_WAIT,   "sctp-cookie-wait",   60)	\
	T(SCTP_COOKIE_ECHOED, "sctp-cookie-echoed", 60)	\
	T(SCTP,             "sctp",             300)	\
	T(SCTP_SHUTDOWN,    "sctp-shutdown",    300)	\
	T(SCTP_CLOSED,      "sctp-closed",      10)	\
	T(OTHER,            "other",            60)
/* clang-format on */

enum session_timeout {
#define E(id, word, s) TIMEOUT_##id,
	SESSION_TIMEOUTS(E) TIMEOUT_COUNT
#undef E
};

enum zone_flags {
	ZONE_TCP_RST = 1 << 0,		/* answer denied TCP with a reset */
	ZONE_LOG_HOST_INBOUND = 1 << 1, /* log what host-inbound drops */
	ZONE_TCP_LOOSE = 1 << 2, /* TCP from it may begin in its middle, and its numbers are not checked */
	ZONE_COUNTS_SOURCES =
		1 << 3, /* sessions of each source, and to each destination: its screen limits them */
	ZONE_COUNTS_DESTINATIONS = 1 << 4,
	ZONE_FLAGS = (1 << 5) - 1
};

struct snap_interface {
	char name[INTERFACE_NAME_BYTES];
	uint32_t zone;
	uint32_t flags; /* enum interface_flags */
};

enum interface_flags { INTERFACE_ANTI_SPOOF = 1 << 0 };

/* What a rule matches: IP protocol, port ranges; for ICMP the type is in dst_first..dst_last. proto 0:
 * any. */
struct snap_service {
	uint8_t proto;
	uint8_t zero[3];
	/* Ports; of ICMP codes in place of source ports, types in place of destination ports. */
	uint16_t src_first, src_last, dst_first, dst_last;
	uint32_t timeout_s; /* 0: the protocol's default */
};

/* A piece of a text. */
struct snap_text {
	char at[8];
};

enum rule_action { RULE_DENY, RULE_PERMIT, RULE_REJECT };
enum rule_flags {
	RULE_LOG_INIT = 1 << 0,
	RULE_LOG_CLOSE = 1 << 1,
	RULE_COUNT = 1 << 2,
	RULE_DSCP = 1 << 3, /* its sessions' packets get the code point in these bits, which are else 0: */
	RULE_DSCP_MASK = 63 << 16
};
#define RULE_DSCP_SHIFT 16

/*
 * Ordered: within a zone pair the first match decides; pairs stand together, global rules (ZONE_ANY) last. One end of a pair
 * may be ZONE_SELF; the rules to it are at most SELF_RULES_MAX, and name no address under a wildcard mask.
 */
struct snap_rule {
	uint64_t id; /* the text's, or of the names (snap_rule_id_of()); never 0 */
	char name[NAME_MAX_BYTES];
	uint32_t from_zone, to_zone;
	uint32_t action, flags;
	struct span src, dst;	 /* into ranges; count 0: any */
	struct span services;	 /* into services; count 0: any */
	struct span description; /* into texts, terminated; count 0: none */
	uint32_t timeout_s;	 /* idle time of its sessions, 0: the application's or the protocol's */
	uint32_t sessions_max;	 /* 0: as many as the table holds */
	uint32_t sessions_rate;	 /* new ones a second, 0: any number */
	uint32_t schedule;	 /* INDEX_NONE: always in force */
};

/*
 * Part of an address object whose addresses change without a commit. In ranges it stands for itself, as a wildcard of no family
 * whose first octets are its index here: it matches nothing until control has put the addresses in its place (model/dynamic.h).
 * Only rules of policy and of source NAT have it.
 */
enum dynamic_kind {
	DYNAMIC_FQDN,
	DYNAMIC_FEED,
	DYNAMIC_COUNTRY,
	DYNAMIC_PEER,
	DYNAMIC_CRL,  /* no addresses: an authority's CRL, which the certifiers read */
	DYNAMIC_OCSP, /* nor here: its OCSP responder, which the resolver asks for them */
	DYNAMIC_KIND_COUNT
};
enum dynamic_format { DYNAMIC_LIST, DYNAMIC_JSON };
enum dynamic_flags { DYNAMIC_REFUSE_PRIVATE = 1 << 0 /* addresses in answers */ };

struct snap_dynamic {
	char object[NAME_MAX_BYTES]; /* the address of address-book; the IKE peer; the authority */
	char name
		[DYNAMIC_NAME_BYTES]; /* of DNS, in lower case, without the last dot; of the feed; a country's code; the authority */
	uint32_t kind, flags; /* enum dynamic_kind, enum dynamic_flags */
	uint32_t ttl_min_s, ttl_max_s, hold_s;
	/* Of a feed; of a country interval and file, which are those of the database. */
	uint32_t format;     /* enum dynamic_format */
	uint32_t interval_s; /* between two readings */
	/* One of both: in the directory `feeds` beside `keys`; https (base/url.h), of a CRL also http, of OCSP only. The rest belongs to the latter. */
	char file[NAME_MAX_BYTES], url[DYNAMIC_URL_BYTES];
	char authorities[NAME_MAX_BYTES]; /* empty: the system's list */
	uint8_t server_key
		[32]; /* SHA-256 of the server's public key; zeros: any that the URL's name proves */
	char member[DYNAMIC_MEMBERS_MAX][DYNAMIC_MEMBER_BYTES]; /* of JSON; empty ones behind the others */
	uint32_t zero;
};

static inline bool range_is_dynamic(const struct ip_range *r)
{
	return range_is_wildcard(r) && r->first.family == ADDR_NONE;
}

static inline uint32_t range_dynamic(const struct ip_range *r)
{
	return load_be32(r->first.b);
}

static inline struct ip_range range_of_dynamic(uint32_t index)
{
	struct ip_range r = { .last.zero = { RANGE_WILDCARD } };

	store_be32(r.first.b, index);
	return r;
}

#define DAY_S 86400u

/* Times at which rules are in force, of the gateway's local clock. */
struct snap_schedule {
	char name[NAME_MAX_BYTES];
	uint32_t from_minute, until_minute; /* since 1970-01-01 00:00; until 0: without an end */
	struct {
		uint32_t first,
			end; /* seconds of the day; end is at most a day behind first. Both 0: not on this day */
	} day[7];	     /* from Monday on */
};

/* A local date and time as it is on the wall. */
struct local_time {
	uint32_t day, second; /* days since 1970-01-01; of the day */
};

/*
 * The identifier of a rule whose text gives none: FNV-1a of the names of its zones ("any" in global rules) and its own. Its
 * highest bit is set, which no text's has.
 */
#define RULE_ID_OF_NAMES (1ull << 63)
#define RULE_ID_TEXT_MAX 24
uint64_t snap_rule_id_of(const char *from, const char *to, const char *name);
char *snap_rule_id_text(char ret_text[RULE_ID_TEXT_MAX], uint64_t id); /* "101", "c3a4f0e1d2b59687" */

enum nat_action {
	NAT_OFF,
	NAT_INTERFACE, /* the outgoing interface's address, for IPv4 */
	NAT_POOL,
	NAT_INTERFACE6 /* the same for IPv6, where a rule asks for it */
};

/* Who may reach an inside host by a binding of persistent NAT: RFC 4787 section 5. */
enum nat_filtering {
	NAT_NOT_PERSISTENT,
	NAT_FILTER_ENDPOINT_INDEPENDENT,
	NAT_FILTER_ADDRESS_DEPENDENT,
	NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT
};
enum nat_flags {
	NAT_KEEP_PORT = 1 << 0,	  /* a pool's addresses, and the port or identifier as it is */
	NAT_MAP_PREFIX = 1 << 1,  /* with it: the pool's address at the place that the source has in base */
	NAT_KEEP_PARITY = 1 << 2, /* UDP: RFC 4787 section 4.2.2 */
};
#define NAT_POOLS_MAX		  16  /* ranges of one pool: max-elements in yang/plaingate.yang */
#define NAT_BINDING_TIMEOUT_S_MIN 120 /* RFC 4787 REQ-5 */
#define NAT_BINDING_TIMEOUT_S_MAX 86400

/* Ordered source NAT rules; the first match decides. */
struct snap_nat_rule {
	char name[NAME_MAX_BYTES];
	uint32_t from_zone, to_zone;
	struct span src, dst;  /* into ranges; count 0: any */
	uint32_t action;       /* enum nat_action */
	struct ip_range pool;  /* NAT_POOL: the first of its ranges */
	struct span pool_more; /* into ranges: the others, of the same family; NAT_POOLS_MAX at most in all */
	uint32_t filtering;    /* enum nat_filtering; the other two are 0 when it is NAT_NOT_PERSISTENT */
	uint32_t binding_timeout_s;
	uint32_t bindings_max;		/* of one inside host */
	uint16_t port_first, port_last; /* within nat_port_first..nat_port_last; NAT_OFF: 0 */
	struct ip_range base; /* of NAT_MAP_PREFIX: as large a prefix as the pool is; of blocks: the hosts */
	uint32_t block_size;  /* ports of each block, all IPv4; 0: there are no blocks */
	uint32_t blocks_max;  /* of a host, as it needs them; 0: one each, for the hosts of base */
	uint32_t block_active_s, block_recycle_s; /* of those; block_active_s 0: until it is used up */
	uint32_t flags;				  /* enum nat_flags */
};

#define NAT_BLOCK_MIN		64 /* ports: several for each worker. Dynamic blocks begin at its multiples */
#define NAT_BLOCKS_OF_HOST	16 /* yang/plaingate.yang */
#define NAT_BLOCK_TIMEOUT_S_MAX 86400
#define NAT_BLOCK_ADDRESSES	4096 /* of all pools with dynamic blocks: 2 KB each (firewall/claims.c) */

/* Blocks that hosts get when they need them. */
static inline bool snap_nat_has_dynamic_blocks(const struct snap_nat_rule *r)
{
	return r->block_size > 0 && r->blocks_max > 0;
}

/* The first port of the first of them. */
static inline uint32_t snap_nat_block_first(const struct snap_nat_rule *r)
{
	return (r->port_first + NAT_BLOCK_MIN - 1u) / NAT_BLOCK_MIN * NAT_BLOCK_MIN;
}

enum dnat_action {
	DNAT_OFF,
	DNAT_SERVERS, /* to one of a range, by the client's address */
	DNAT_STATIC,  /* one to one, and back */
	DNAT_NPTV6,   /* the same, and no checksum changes: wire/nptv6.h */
	DNAT_NAT64    /* to the IPv4 address that the IPv6 one embeds: wire/nat64.h */
};

/*
 * Ordered rules of destination NAT, static ones first; the first match decides. A destination matches when it is
 * in dst, or an address of one of the interfaces; one of both is given. Static, which NPTv6 is, too: dst is one range as
 * large as `to`; from_zone is the zone towards which its hosts have these addresses, and limits nothing that comes in.
 */
struct snap_dnat_rule {
	char name[NAME_MAX_BYTES];
	uint32_t from_zone;
	uint32_t action;		/* enum dnat_action */
	struct span src, dst;		/* into ranges; src.count 0: any */
	struct span services;		/* into services; count 0: any */
	uint64_t interfaces;		/* set of indices into interfaces */
	struct ip_range to;		/* not for DNAT_OFF */
	uint16_t port_first, port_last; /* 0: kept. A range is as large as that of each service */
	/* Health of the servers, by connections to this TCP port; 0: not checked, and the others are 0. */
	uint16_t check_port, check_interval_s, check_timeout_s;
	uint16_t check_rise, check_fall; /* so many answers, or none, in a row make a server up, or down */
	uint16_t check_flags;		 /* enum health_flags */
};

/* Of NAT64: RFC 6052 section 2.2. */
static inline bool snap_nat64_bits_ok(uint32_t bits)
{
	return bits == 96 || (bits >= 32 && bits <= 64 && bits % 8 == 0);
}

/* The length of the prefix that the range is; of IPv6. */
static inline uint32_t snap_prefix_bits(const struct ip_range *r)
{
	uint32_t host = 0;

	for (size_t i = 0; i < sizeof r->first.b; i++)
		host += (uint32_t)__builtin_popcount(r->first.b[i] ^ r->last.b[i]);
	return 128 - host;
}

/* Its addresses are translated both ways, whoever begins. */
static inline bool snap_dnat_is_static(const struct snap_dnat_rule *r)
{
	return r->action == DNAT_STATIC || r->action == DNAT_NPTV6;
}

enum health_flags { HEALTH_END_SESSIONS = 1 << 0 /* of a server that is down */ };

_Static_assert(INTERFACES_MAX <= 64, "a set of interfaces is one uint64_t");

/*
 * Addresses whose link address neighbours on the interface are told to be the gateway's (proxy-arp, proxy-ndp).
 * Sorted by interface, then by address, IPv4 first; disjoint on each interface.
 */
struct snap_proxy {
	uint32_t interface, zero;
	struct ip_range addrs;
};

enum uplink_flags { UPLINK_DOWN_WHEN_ANY = 1 << 0 /* target fails; else when all do */ };

/* An uplink whose health is checked. Of one family: that of its targets. */
struct snap_uplink {
	char name[NAME_MAX_BYTES];
	uint32_t interface;
	uint32_t flags;		 /* enum uplink_flags */
	struct ip_addr next_hop; /* ADDR_NONE: that of the default route by the interface */
	struct span probes;	 /* 1 to UPLINK_PROBES_MAX */
	uint16_t interval_ms;
	uint16_t fall, rise; /* so many probes in a row */
	uint16_t zero;
};

enum probe_kind { PROBE_PING, PROBE_TCP, PROBE_DNS };

struct snap_probe {
	struct ip_addr target;
	uint16_t kind; /* enum probe_kind */
	uint16_t port; /* PROBE_TCP; else 0 */
	char name
		[PROBE_NAME_BYTES]; /* PROBE_DNS: with dots, without the last one unless it is the root; else empty */
};

struct snap_ike_proposal {
	char name[NAME_MAX_BYTES];
	uint16_t encr, encr_bits, prf, dh;   /* IANA numbers */
	uint16_t additional[ADDITIONAL_MAX]; /* additional key exchanges, in their order; 0: none */
};

struct snap_esp_proposal {
	char name[NAME_MAX_BYTES];
	uint16_t encr, encr_bits, dh /* PFS group or DH_NONE */, esn /* 0 no, 1 yes, 2 either */;
	uint16_t additional[ADDITIONAL_MAX]; /* beside that group, as of struct snap_ike_proposal */
};

enum id_type {
	ID_NONE = 0,
	ID_IPV4 = 1,
	ID_FQDN = 2,
	ID_RFC822 = 3,
	ID_IPV6 = 5,
	ID_DN = 9, /* configured: a pattern in text (certify/match.h); as sent: DER */
	ID_KEY_ID = 11
}; /* RFC 7296 3.5 */

struct snap_id {
	uint8_t type; /* enum id_type */
	uint8_t len;
	uint8_t zero[2];
	uint8_t data[128];
};

enum peer_auth { PEER_AUTH_PSK, PEER_AUTH_PUBLIC_KEY, PEER_AUTH_CERTIFICATE };
enum peer_start { PEER_START_NEVER, PEER_START_ALWAYS, PEER_START_ON_TRAFFIC };
enum peer_flags {
	PEER_FORCE_ENCAP = 1 << 0,
	PEER_REMOTE_ANY = 1 << 1, /* any address; found by its id */
	PEER_REQUIRE_PQ = 1 << 2, /* no IKE SA without the PPK or an additional key exchange */
	PEER_ID_PATTERN = 1 << 3, /* remote_id is what its identity ends with: peer_id.h */
	PEER_RSA_PKCS1 = 1 << 4,  /* RSA signatures of PKCS#1 v1.5 are accepted as well */
	PEER_PSK_OF_ID = 1 << 5,  /* with PEER_ID_PATTERN: each identity has a key of its own, IDENTITY.psk */
	PEER_REMOTE_NAME = 1 << 6,     /* the addresses of a name of DNS: `dynamic` */
	PEER_REDIRECT_ACCEPT = 1 << 7, /* it may send us to another gateway (RFC 5685) */
};

/*
 * Certificates are public, so they travel with the configuration: all processes see the same ones in one generation. The compiler
 * makes the files' names; who has the directory adds what they hold (model/certificates.h).
 */
struct snap_octets {
	uint8_t at[8];
};

/* One certificate, DER. */
struct snap_certificate {
	uint32_t first; /* into certificate_octets */
	uint32_t n;	/* octets; never 0 */
};

struct snap_certificate_file {
	char name[NAME_MAX_BYTES]; /* in the directory of certificates */
	struct span certificates;  /* in the file's order; count 0: nobody has read the file */
};

enum revocation_check { REVOCATION_SOFT, REVOCATION_HARD };

/* A certificate authority. */
struct snap_authority {
	char name[NAME_MAX_BYTES];
	uint32_t file;	     /* in certificate_files; all its certificates are anchors */
	uint32_t revocation; /* enum revocation_check */
	uint32_t dynamic;    /* in dynamics, from 1 on: where its CRL is fetched; 0: nowhere */
	uint32_t responder;  /* likewise: its OCSP responder; 0: none */
};

/* Is this kind one of objects of rules? Peers' names are ike's, CRLs and OCSP the certifiers'. */
static inline bool dynamic_has_ranges(uint32_t kind)
{
	return kind == DYNAMIC_FQDN || kind == DYNAMIC_FEED || kind == DYNAMIC_COUNTRY;
}

/* One that a peer trusts. */
struct snap_trusted {
	uint32_t authority;
};

#define CONNECTIONS_MAX                                                                                      \
	512 /* identities that use one template; the tables of ike and the keeper hold twice as many */

#define FRAGMENT_SIZE_MIN 576 /* what every path of IPv4 has to carry */
#define FRAGMENT_SIZE_MAX 9000

struct snap_peer {
	char name[NAME_MAX_BYTES];
	struct ip_addr local, remote; /* ADDR_NONE: chosen by the route; any, or by name */
	struct snap_id local_id, remote_id;
	struct snap_id
		redirect_to; /* ID_IPV4, ID_IPV6 or ID_FQDN: it is sent to that gateway; ID_NONE: it is not */
	uint32_t auth, start, flags;
	char key_name[NAME_MAX_BYTES]; /* keeper's file: NAME.psk, or NAME.pem of our private key */
	struct span trusted;	       /* of PEER_AUTH_CERTIFICATE: whom its certificate may lead to */
	uint32_t certificate;	       /* likewise: 1 + ours in certificate_files, else 0 */
	char ppk_name[NAME_MAX_BYTES]; /* NAME.ppk, and the PPK_ID (RFC 8784); empty: none */
	uint16_t public_key_n;
	uint16_t connections_max; /* PEER_ID_PATTERN: identities that use it at a time; otherwise 0 */
	uint8_t public_key[160];  /* the peer's pinned SubjectPublicKeyInfo, DER */
	struct span proposals;	  /* into ike_proposals */
	uint32_t rekey_s;	  /* IKE SA lifetime until rekey, 0: default */
	uint32_t reauth_s;	  /* lifetime of an authentication, 0: for ever */
	uint32_t dpd_s;		  /* silence before a liveness check, 0: default */
	uint32_t fragment_size;	  /* octets of an IP datagram with a part of an IKE message, 0: none is cut */
	uint32_t dynamic;	  /* PEER_REMOTE_NAME: 1 + its record in dynamics, else 0 */
};

enum tunnel_flags {
	TUNNEL_PFS = 1 << 0,
	TUNNEL_PER_WORKER = 1 << 1, /* a child SA for each worker beside the first one (RFC 9611) */
};

struct snap_tunnel {
	char name[NAME_MAX_BYTES];
	uint32_t peer, zone;
	struct span proposals;	   /* into esp_proposals */
	struct span local, remote; /* into selectors */
	uint32_t rekey_s;
	uint32_t flags;
	uint64_t rekey_bytes, rekey_packets; /* 0: any number */
	uint32_t mtu;			     /* inner MTU, 0: from the path */
	uint32_t replay_window;
	/* Empty: selectors choose what is sent through it. Else routes by this interface, whatever the selectors. */
	char interface[INTERFACE_NAME_BYTES];
};

static inline bool snap_tunnel_is_routed(const struct snap_tunnel *t)
{
	return t->interface[0] != 0;
}

/* What waits for the witnesses' cosignatures. */
enum required_act { REQUIRED_COMMIT = 1 << 0, REQUIRED_WITNESSES = 1 << 1, REQUIRED_ACT = 1 << 2 };

struct snap_witness {
	char name[NAME_MAX_BYTES];
	struct endpoint at;	     /* family ADDR_NONE: by peer or by URL */
	char peer[NAME_MAX_BYTES];   /* of the IKE peer then, else empty */
	char url[WITNESS_URL_BYTES]; /* by the courier, else empty (base/url.h) */
	uint8_t server_key[32];	     /* SHA-256 of the TLS server's public key; zeros: any that the URL's name
					proves */
	char key[WITNESS_KEY_BYTES]; /* "name+key id+key", C2SP signed-note */
	uint32_t interval_s;	     /* between questions, at least; 0: none */
};

/* A witness with a longer interval than this is not waited for: neither an action nor a heartbeat asks it
 * early. */
#define WITNESS_SLOW_S 30

/* A peer's ledger that is cosigned here. */
struct snap_cosign {
	char name[NAME_MAX_BYTES];
	char peer[NAME_MAX_BYTES];
	char key[WITNESS_KEY_BYTES];
};

/* Early ageing of sessions between two watermarks, percent of session-limit; high_percent 0: none. */
struct snap_aging {
	uint16_t high_percent, low_percent;
	uint32_t early_s;
};

/* The ledger's witnesses. Of a fixed size, because the supervisor keeps it for the next start and hands it to
 * the ledger by itself. */
struct snap_evidence {
	uint32_t count;
	uint32_t quorum;   /* of them; 0 when there are none */
	uint32_t required; /* enum required_act */
	uint32_t heartbeat_s;
	uint32_t cosign_count;
	uint32_t zero;
	struct snap_witness witness[WITNESSES_MAX]; /* after count: zeros */
	struct snap_cosign cosign[WITNESSES_MAX];   /* likewise */
};

#define LOG_STREAMS_MAX	  8
#define SERVER_NAME_BYTES 256 /* RFC 1035 section 2.3.4: 253 octets of a name */

/* JOURNAL: systemd's, on this machine, in its own format; no address. */
enum stream_transport { STREAM_TLS, STREAM_TCP, STREAM_UDP, STREAM_JOURNAL, STREAM_TRANSPORT_COUNT };
enum stream_format { STREAM_RFC5424, STREAM_IPFIX, STREAM_FORMAT_COUNT };

/* A collector of session records. */
struct snap_log_stream {
	char name[NAME_MAX_BYTES];
	struct endpoint to;
	uint32_t transport, format;	     /* enum stream_transport, enum stream_format */
	char server_name[SERVER_NAME_BYTES]; /* of TLS; empty: the address */
	uint8_t server_key[32]; /* SHA-256 of the TLS server's public key; zeros: any that the name proves */
	char authorities[NAME_MAX_BYTES]; /* empty: the system's list */
};

/* Of a fixed size, because the supervisor hands it to export by itself. */
struct snap_log {
	uint32_t count, zero;
	struct snap_log_stream stream[LOG_STREAMS_MAX]; /* after count: zeros */
};

#define METRICS_RULES_MAX 10000

/* Measurements for Prometheus. Off: zeros. */
struct snap_metrics {
	struct endpoint listen;
	uint32_t on, rules; /* rules: of the policy, at most */
};

/* Application layer gateways that are on. */
enum snap_alg { ALG_FTP = 1 << 0, ALG_TFTP = 1 << 1, ALG_SIP = 1 << 2 };

struct snapshot {
	uint32_t magic, bytes;	 /* bytes of the whole block */
	uint64_t generation;	 /* counts commits */
	uint8_t text_sha256[32]; /* of the configuration text it came from */
	char host_name[NAME_MAX_BYTES];
	uint16_t nat_port_first, nat_port_last;	  /* source NAT's */
	uint16_t host_port_first, host_port_last; /* the kernel's own, disjoint */
	uint32_t sessions_max;
	uint32_t tcp_mss;		   /* 0: only by the path's MTU */
	uint32_t timeout_s[TIMEOUT_COUNT]; /* by enum session_timeout */
	uint32_t half_open_max;
	uint32_t workers; /* of the data plane */
	uint32_t algs;	  /* enum snap_alg */
	uint32_t offload; /* 1: the kernel may carry sessions */
	uint32_t zero;
	struct snap_aging aging;
	struct snap_evidence evidence;
	struct snap_log log;
	struct snap_metrics metrics;
	/* byte offset from the block's start, and count of records */
	/* 0; in a loaded policy, a bit for each schedule whose rules are not in force now */
	uint64_t schedules_off;
	struct span zones, host_services, interfaces, ranges, services, texts, schedules, rules, nat_rules,
		dnat_rules, proxies, uplinks, probes, ike_proposals, esp_proposals, peers, selectors, tunnels,
		screens, dynamics, certificate_files, authorities, trusted, certificates, certificate_octets;
};

/* compile_screens.c: what is wrong with a screen; NULL: nothing. */
const char *snap_screen_fault(const struct snap_screen *x);

/* Are both prefixes of one family and length? */
bool snap_prefixes_fit(const struct ip_range *a, const struct ip_range *b);
/* Of a rule with block_size: blocks of each address of its pool, of all of them, and hosts of its base. */
uint32_t snap_nat_blocks_each(const struct snap_nat_rule *r);
uint64_t snap_nat_blocks(
	const struct ip_range *more, const struct snap_nat_rule *r); /* more: its pool_more */
uint64_t snap_nat_hosts(const struct snap_nat_rule *r);
/* Addresses of the pools of all rules with dynamic blocks. */
uint64_t snap_nat_block_addresses(const struct ip_range *ranges, const struct snap_nat_rule *r, uint32_t n);

/*
 * The number that a zone of `next` had in `now`: that of the zone of its name, or, where there was none, that of a zone whose
 * name `next` does not have, if it had the same interfaces and tunnels, and any: it was renamed. INDEX_NONE: it is new.
 */
uint32_t snap_zone_was(const struct snapshot *now, const struct snapshot *next, uint32_t zone);

/* Typed access: the array and its count. `SNAP(s, zones, struct snap_zone)[i]`. */
#define SNAP(s, field, type) ((const type *)(const void *)((const uint8_t *)(s) + (s)->field.first))

#define snap_zones(s)	      SNAP(s, zones, struct snap_zone)
#define snap_host_services(s) SNAP(s, host_services, struct snap_host_service)
#define snap_interfaces(s)    SNAP(s, interfaces, struct snap_interface)
#define snap_ranges(s)	      SNAP(s, ranges, struct ip_range)
#define snap_services(s)      SNAP(s, services, struct snap_service)
#define snap_texts(s)	      SNAP(s, texts, struct snap_text)
#define snap_schedules(s)     SNAP(s, schedules, struct snap_schedule)
#define snap_rules(s)	      SNAP(s, rules, struct snap_rule)
#define snap_nat_rules(s)     SNAP(s, nat_rules, struct snap_nat_rule)
#define snap_dnat_rules(s)    SNAP(s, dnat_rules, struct snap_dnat_rule)
#define snap_proxies(s)	      SNAP(s, proxies, struct snap_proxy)
#define snap_uplinks(s)	      SNAP(s, uplinks, struct snap_uplink)
#define snap_probes(s)	      SNAP(s, probes, struct snap_probe)
#define snap_ike_proposals(s) SNAP(s, ike_proposals, struct snap_ike_proposal)
#define snap_esp_proposals(s) SNAP(s, esp_proposals, struct snap_esp_proposal)
#define snap_peers(s)	      SNAP(s, peers, struct snap_peer)
#define snap_selectors(s)     SNAP(s, selectors, struct selector)
#define snap_tunnels(s)	      SNAP(s, tunnels, struct snap_tunnel)
#define snap_screens(s)	      SNAP(s, screens, struct snap_screen)
#define snap_dynamics(s)      SNAP(s, dynamics, struct snap_dynamic)

#define snap_certificate_files(s)  SNAP(s, certificate_files, struct snap_certificate_file)
#define snap_authorities(s)	   SNAP(s, authorities, struct snap_authority)
#define snap_trusted(s)		   SNAP(s, trusted, struct snap_trusted)
#define snap_certificates(s)	   SNAP(s, certificates, struct snap_certificate)
#define snap_certificate_octets(s) SNAP(s, certificate_octets, struct snap_octets)

/* The octets of one certificate. */
static inline const uint8_t *snap_certificate_der(const struct snapshot *s, const struct snap_certificate *c)
{
	return snap_certificate_octets(s)[c->first].at;
}

/* The anchors of a peer: certificates of the authorities that it trusts. Returns how many. */
static inline uint32_t snap_anchors(const struct snapshot *s, const struct snap_peer *p,
	const struct snap_certificate *ret_anchors[CERTIFICATE_ANCHORS])
{
	uint32_t n = 0;

	for (uint32_t i = p->trusted.first; i < p->trusted.first + p->trusted.count; i++) {
		const struct snap_authority *a = &snap_authorities(s)[snap_trusted(s)[i].authority];
		const struct span *in = &snap_certificate_files(s)[a->file].certificates;
		for (uint32_t k = in->first; k < in->first + in->count && n < CERTIFICATE_ANCHORS; k++)
			ret_anchors[n++] = &snap_certificates(s)[k];
	}
	return n;
}

/* The screen of a zone's packets; NULL: none. */
static inline const struct snap_screen *snap_screen_of(const struct snapshot *s, uint32_t zone)
{
	uint32_t i = zone < s->zones.count ? snap_zones(s)[zone].screen : 0;

	return i > 0 ? &snap_screens(s)[i - 1] : 0;
}

static inline bool snap_rule_in_force(const struct snapshot *s, const struct snap_rule *r)
{
	return r->schedule >= SCHEDULES_MAX || !(s->schedules_off >> r->schedule & 1);
}

/* A bit for each schedule that is not on: what `schedules_off` of a policy is. */
uint64_t snap_schedules_off(const struct snapshot *s, struct local_time t);

/* Of a span into texts; empty where there is none. */
static inline const char *snap_text(const struct snapshot *s, struct span text)
{
	return text.count ? snap_texts(s)[text.first].at : "";
}

/*
 * Checks a received block: magic, every array inside the block and aligned to 8, every count under its
 * maximum, every span and index in range, every name terminated, enums known, families of ranges consistent.
 * Until it returns RC_OK nothing in the block may be used.
 */
enum rc snapshot_check(const void *block, size_t n, struct err *e);

/* The same in pieces, for who has other work beside: begun, then so many rows of the long arrays at a time, until *ret_ready. */
struct snapshot_checking {
	const struct snapshot *snapshot; /* NULL: none */
	uint32_t step, next;
	/* of the rules before: to and from the gateway itself, and their services; pairs of zones by the first end, and to
	 * the gateway itself */
	uint32_t self_rules, self_services;
	uint64_t seen[ZONES_MAX + 1], seen_self;
};

enum rc snapshot_check_begin(struct snapshot_checking *ret_c, const void *block, size_t n, struct err *e);
enum rc snapshot_check_some(struct snapshot_checking *c, uint32_t rows, bool *ret_ready, struct err *e);

/* The same for this part alone, which travels by itself as well. Keys are texts here; their form is
 * checked by whoever uses them. */
enum rc snapshot_evidence_check(const struct snap_evidence *v, struct err *e);
enum rc snapshot_log_check(const struct snap_log *v, struct err *e); /* likewise */
enum rc snapshot_metrics_check(const struct snap_metrics *v, struct err *e);

/*
 * Does all of `what` stand on the tunnel's own side, seen from this part of its remote side? It does when it
 * is in a part of local that lies inside that part, as with a tunnel to everywhere.
 */
static inline bool snap_tunnel_keeps(const struct snapshot *s, const struct snap_tunnel *t,
	const struct ip_range *remote, const struct ip_range *what)
{
	for (uint32_t i = t->local.first; i < t->local.first + t->local.count; i++) {
		const struct ip_range *local = &snap_selectors(s)[i].addrs;
		if (range_holds(local, &what->first) && range_holds(local, &what->last) &&
			range_inside(local, remote))
			return true;
	}
	return false;
}

/* How many servers of a rule have their health checked; 0: none. */
uint32_t snap_checked_servers(const struct snap_dnat_rule *r);

/*
 * May packets from the zone to this port (ICMP: type) come to the gateway itself, by rules to self and host-inbound together?
 * from NULL: whoever sends them. SELF_MAYBE: some of them, or at times. Slow: each rule is looked at.
 */
enum self_access { SELF_CLOSED, SELF_MAYBE, SELF_OPEN };
enum self_access snap_self_access(
	const struct snapshot *s, uint32_t zone, uint8_t proto, uint16_t port, const struct ip_addr *from);
/* The end of a pair of zones as rules call it: the zone's name, "self", or "any" of global rules. */
const char *snap_rule_zone(const struct snapshot *s, uint32_t zone);

/* Does host-inbound of the zone open this port (ICMP: type) of the gateway itself to this address? */
bool snap_zone_opens(
	const struct snapshot *s, uint32_t zone, uint8_t proto, uint16_t port, const struct ip_addr *from);

#endif
