/*
 * Every limit and every time of the IKE core and its process. Limits of the message syntax:
 * wire/ike_limits.h.
 */
#ifndef IKE_LIMITS_H
#define IKE_LIMITS_H

/*
 * What grows, who fills it, and what happens to one more. tests/unit/ike/test_limits.c fills each and checks
 * that the others are not affected. What has no row here is bounded by something that has: an IKE SA has one
 * request and one response in each direction, the parts of one message on each side (seal.c), one request to
 * the keeper under way and after it those for its children, and one ledger message of each kind.
 */
/* clang-format off */
#define IKE_LIMITS(L)	/* name, number, who fills it, what one more costs, why so many */							\
	L(SAS_MAX,               4096,  "everybody",  "no answer to its IKE_SA_INIT",       "the three below, and those whose keys the keeper has not dropped yet")	\
	L(HALF_OPEN_MAX,         1024,  "strangers",  "the oldest",                         "a second's worth of handshakes; the keeper has a place for each")		\
	L(FAILED_MAX,            256,   "strangers",  "the oldest",                         "they only repeat their last answer")					\
	L(LIVE_MAX,              2048,  "all peers",  "its own peer's oldest, or a refusal", "two for each of PEERS_MAX; the keeper has a place for each")		\
	L(SAS_SURE,              2,     "one peer",   "what is left of LIVE_MAX",           "one, and the one that a rekey makes of it")				\
	L(SAS_PER_PEER_MAX,      16,    "one peer",   "its own oldest",                     "those that are established, and as many that are being made, replaced or closed")	\
	L(SAS_UP_PER_PEER_MAX,   8,     "one peer",   "its own oldest is closed",           "both begin at once, restarts without INITIAL_CONTACT")			\
	L(CHILDREN_MAX,          8192,  "all tunnels", "NO_ADDITIONAL_SAS",                 "two for each of TUNNELS_MAX; the keeper has a place for each")		\
	L(CHILDREN_SURE,         2,     "one tunnel", "what is left of CHILDREN_MAX",       "one, and the one that a rekey makes of it")				\
	L(CHILDREN_PER_TUNNEL_MAX, 8,   "one tunnel", "NO_ADDITIONAL_SAS, but not to a rekey", "with one more for each further pair of networks, of at most PAIRS_PER_TUNNEL_MAX: policy-based peers make a child for each")	\
	L(LINGER_PER_TUNNEL_MAX, 8,     "one tunnel", "the oldest",                         "they only wait for packets on their way")				\
	L(DEAD_SPIS_MAX,         8,     "one peer",   "is forgotten",                       "deletes that came before the response that made their SPIs; one is usual")	\
	L(ACTIONS_MAX,           65536, "one event",  "its datagrams and log lines are lost", "the shell takes them after each event")				\
	L(REFUSALS_BURST,        20,    "strangers",  "is counted in the next entry",       "entries of refused handshakes in the ledger; one more in each REFUSAL_EVERY_S")	\
	L(REFUSALS_KEPT,         64,    "strangers",  "takes the oldest one's place",       "the last refused handshake of each of so many peers, for `show ike`")	\
	L(PEER_MESSAGE_MAX,      4096,  "one peer",   "is dropped",                         "octets of one message between the gateways' ledgers")			\
	L(EXPECTED_MAX,          16,    "strangers",  "the oldest is forgotten",            "peers that were answered with the proposal of another one, and are preferred at their next attempt")	\
	L(RESTARTS_MAX,          4,     "strangers",  "the handshake ends",                 "times that one IKE_SA_INIT is repeated for a cookie or another group")

enum ike_limit_number {
#define E(name, number, who, costs, why) IKE_##name = number,
	IKE_LIMITS(E)
#undef E
};
/* clang-format on */

/* Pairs of networks of one tunnel for which a child SA each has a place. */
#define IKE_PAIRS_PER_TUNNEL_MAX 256

/* Retransmission: RFC 7296 section 2.4 asks for "at least a dozen times over a period of at least several
 * minutes" before a working peer is considered dead; a gateway with a second path has to know sooner. 0.5 s,
 * doubled up to 8 s, each a little more or less, so that many do not retransmit at once (thousandths). */
#define IKE_RETRANSMIT_FIRST_MS	   500
#define IKE_RETRANSMIT_MAX_MS	   8000
#define IKE_RETRANSMITS		   7  /* then the peer is dead: after about 40 seconds */
#define IKE_ALIVE_S		   40 /* alive: heard since the request was sent, less than this ago */
/* while the peer shows that it is alive: about four minutes */
#define IKE_RETRANSMITS_ALIVE	   30
#define IKE_RETRANSMIT_JITTER_FROM 900
#define IKE_RETRANSMIT_JITTER_TO   1100
#define IKE_RETRANSMITS_DOUBTED	   3 /* the peer has made another IKE SA: about 7.5 seconds */
/* an unauthenticated refusal of IKE_SA_INIT is believed after this, unless a better response comes */
#define IKE_SETUP_GRACE_MS	   2000

/* half-open IKE SAs above which an initiator has to return a cookie (RFC 7296 2.6) */
#define IKE_COOKIES_ABOVE     64
#define IKE_COOKIE_SECRET_S   60 /* a cookie is valid for one to two of these */
#define IKE_DATAGRAMS_AT_ONCE 64 /* read from one socket before the other one and the links are served */

#define IKE_KEEPER_AGAIN_MS 200 /* until a request is repeated that the keeper's full queue did not take */

#define IKE_HALF_OPEN_S	      30 /* responder waits for IKE_AUTH */
#define IKE_FAILED_S	      20 /* how long a refused IKE SA answers retransmissions */
#define IKE_REPLACED_S	      60 /* how long a replaced IKE or child SA waits for the peer's delete */
/* a child SA of the peer's request counts as confirmed after this at the latest */
#define IKE_CONFIRM_S	      45
#define IKE_ACTIVATE_MS	      1000  /* by then the peer of an INITIAL_CONTACT has installed the new pair */
#define IKE_LINGER_S	      5	    /* how long an inbound SA stays for packets in flight */
#define IKE_LIFETIME_S	      14400 /* of an IKE SA until its rekey, unless configured */
#define IKE_CHILD_LIFETIME_S  3600  /* the same of a child SA */
/* Of a lifetime, in thousandths: when we rekey what we began and what the peer began; the hard end of a
 * child. */
#define IKE_REKEY_OURS_FROM   850
#define IKE_REKEY_OURS_TO     910
#define IKE_REKEY_THEIRS_FROM 920
#define IKE_REKEY_THEIRS_TO   980
#define IKE_CHILD_EXPIRE      1200
#define IKE_SA_EXPIRE	      1200 /* and of an IKE SA */
#define IKE_STALE_MS	      100  /* until the keeper is asked again, when it has another configuration */
#define IKE_DPD_S	      30   /* of silence until a liveness check, unless configured */
/* of one IKE SA: how often unprotected messages can cause a liveness check */
#define IKE_HINT_EVERY_S      10
/* how long our address must be gone: DHCP may remove it and add it again at once */
#define IKE_LOCAL_GONE_MS     400
#define IKE_KEEPALIVE_S	      20 /* RFC 3948 section 4: default */
/* a second IKE SA with one peer is closed when it has had no child SA for this time */
#define IKE_CHILDLESS_S	      10
#define IKE_SHORT_LIVED_S     10 /* a tunnel's last child SA that lived less counts as a failed attempt */
/* two redundant child SAs of one lineage exist, and the peer should have deleted one of them */
#define IKE_DOUBT_MS_MIN      15000
#define IKE_DOUBT_MS_MAX      30000
/* refused rekeys, and the last part of the lifetime (one in so many), after which a new IKE SA is made */
#define IKE_MOVE_REFUSALS     3
#define IKE_MOVE_PART	      8
#define IKE_BACKOFF_FIRST_MS  1000
#define IKE_BACKOFF_MAX_MS    60000
#define IKE_LOST_MS_MIN	      100 /* after the loss of an IKE SA, so that not all tunnels begin at once */
#define IKE_LOST_MS_MAX	      500
#define IKE_TEMPORARY_MS      1000 /* after TEMPORARY_FAILURE: once to three times this, at random */
#define IKE_REKEY_RETRY_S     30   /* after another refusal of a rekey */
#define IKE_ORPHAN_S	      7200 /* how long a child SA from before a restart is remembered */

#define IKE_REFUSAL_EVERY_S 5 /* see REFUSALS_BURST */

/* Different suites of one IKE_SA_INIT that are compared with the proposals of all peers at its address:
 * anybody can cause that work. */
#define IKE_SUITES_TRIED_MAX 8

/* Octets of a ledger message in one IKE message: encrypted, in UDP and IPv6 with the non-ESP marker it
 * fits the smallest MTU of IPv6, 1280. */
#define IKE_PEER_MESSAGE_PART_MAX 1100
/* Ledger messages of each kind in a second, and so many at once; what comes faster from one peer is
 * dropped. A ledger asks at most ten times a second (witness/poll.h), and at once when an act waits. */
#define IKE_PEER_MESSAGE_PER_S	  20

/* Octets of an IP datagram with a part of an IKE message, unless configured. RFC 7383 2.5.1 recommends 1280 for IPv6,
 * and 576 for IPv4, of which a path in use today carries twice as much. */
#define IKE_FRAGMENT_SIZE 1280

#define IKE_REASON_MAX 256 /* octets of the text that says why something ended or was refused */

/* Buckets of the tables by SPI: about one for each entry at the limits above. */
#define IKE_SA_BUCKETS	  4096
#define IKE_CHILD_BUCKETS 8192

#endif
