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
	L(SAS_MAX,               32768,  "everybody",  "no answer to its IKE_SA_INIT",       "the three below, and those whose keys the keeper has not dropped yet")	\
	L(HALF_OPEN_MAX,         1024,  "strangers",  "the oldest",                         "a second's worth of handshakes; the keeper has a place for each")		\
	L(BEGINNING_MAX,         64,    "our tunnels", "waits for its turn",               "handshakes that we begin and that have not shown to be unanswered: 10,000 tunnels at a start do not fill the keeper's queue")	\
	L(BEGUN_MAX,             896,   "our tunnels", "waits for its turn",               "the same with those that nobody answers; strangers keep their places in the keeper")	\
	L(FAILED_MAX,            256,   "strangers",  "the oldest",                         "they only repeat their last answer")					\
	L(LIVE_MAX,              20480,  "all peers",  "its own peer's oldest, or a refusal", "two for each of PEERS_MAX; the keeper has a place for each")		\
	L(SAS_SURE,              2,     "one peer, or identity of a template", "what is left of LIVE_MAX", "one, and the one that a rekey makes of it")				\
	L(SAS_PER_PEER_MAX,      16,    "one peer",   "its own oldest",                     "those that are established, and as many that are being made, replaced or closed")	\
	L(SAS_UP_PER_PEER_MAX,   8,     "one peer",   "its own oldest is closed",           "both begin at once, restarts without INITIAL_CONTACT")			\
	L(CHILDREN_MAX,          20480,  "all tunnels", "NO_ADDITIONAL_SAS",                 "two for each of TUNNELS_MAX; the keeper has a place for each")		\
	L(CHILDREN_SURE,         2,     "one tunnel, or identity in it", "what is left of CHILDREN_MAX", "one, and the one that a rekey makes of it")			\
	L(CHILDREN_PER_TUNNEL_MAX, 8,   "one tunnel", "NO_ADDITIONAL_SAS, but not to a rekey", "with one more for each further pair of networks, of at most PAIRS_PER_TUNNEL_MAX: policy-based peers make a child for each")	\
	L(RESOURCES_MAX,         32,    "one tunnel", "TS_MAX_QUEUE",                       "child SAs for one worker each: twice WORKERS_MAX, as RFC 9611 section 5 wants at least; beside CHILDREN_PER_TUNNEL_MAX")	\
	L(LINGER_PER_TUNNEL_MAX, 40,    "one tunnel", "the oldest",                         "they only wait for packets on their way; all that an IKE SA leaves behind when a newer one takes its place")	\
	L(DEAD_SPIS_MAX,         8,     "one peer",   "is forgotten",                       "deletes that came before the response that made their SPIs; one is usual")	\
	L(ACTIONS_MAX,           65536, "one event",  "its datagrams and log lines are lost", "the shell takes them after each event")				\
	L(REFUSALS_BURST,        20,    "strangers",  "is counted in the next entry",       "entries of refused handshakes in the ledger; one more in each REFUSAL_EVERY_S")	\
	L(REFUSALS_KEPT,         64,    "strangers",  "takes the oldest one's place",       "the last refused handshake of each of so many peers, for `show ike`")	\
	L(PEER_MESSAGE_MAX,      4096,  "one peer",   "is dropped",                         "octets of one message between the gateways' ledgers")			\
	L(EXPECTED_MAX,          16,    "strangers",  "the oldest is forgotten",            "peers that were answered with the proposal of another one, and are preferred at their next attempt")	\
	L(RESTARTS_MAX,          4,     "strangers",  "the handshake ends",                 "times that one IKE_SA_INIT is repeated for a cookie, a puzzle or another group")

enum ike_limit_number {
#define E(name, number, who, costs, why) IKE_##name = number,
	IKE_LIMITS(E)
#undef E
};
/* clang-format on */

/* Pairs of networks of one tunnel that the peer has refused, and which wait each by itself; more of them wait together. */
#define IKE_PAIRS_PUT_OFF_MAX 8

/* Pairs of networks of one tunnel for which a child SA each has a place. */
#define IKE_PAIRS_PER_TUNNEL_MAX 256

/* Retransmission: RFC 7296 section 2.4 asks for "at least a dozen times over a period of at least several
 * minutes" before a working peer is considered dead; a gateway with a second path has to know sooner. 0.5 s,
 * doubled up to 8 s, each a little more or less, so that many do not retransmit at once (thousandths). */
#define IKE_RETRANSMIT_FIRST_MS	   500
#define IKE_RETRANSMIT_MAX_MS	   8000
#define IKE_UNANSWERED_TRIES	   2  /* then others may begin beside it: after 1.5 seconds */
#define IKE_RETRANSMITS		   7  /* then the peer is dead: after about 40 seconds */
#define IKE_ALIVE_S		   40 /* alive: heard since the request was sent, less than this ago */
/* while the peer shows that it is alive: about four minutes */
#define IKE_RETRANSMITS_ALIVE	   30
#define IKE_RETRANSMIT_JITTER_FROM 900
#define IKE_RETRANSMIT_JITTER_TO   1100
#define IKE_RETRANSMITS_DOUBTED                                                                              \
	3 /* the peer has made another IKE SA, or its name has other addresses: about 7.5 seconds */
/* an unauthenticated refusal of IKE_SA_INIT is believed after this, unless a better response comes */
#define IKE_SETUP_GRACE_MS 2000

/* half-open IKE SAs above which an initiator has to return a cookie (RFC 7296 2.6) */
#define IKE_COOKIES_ABOVE	  64
#define IKE_COOKIE_SECRET_S	  60 /* a cookie is valid for one to two of these */
/*
 * Puzzles (RFC 8019): above this number an initiator has to find keys whose results end with so many zero bits, from the lower
 * number at the threshold to the higher one when all places are taken. Each bit doubles the work: 10 are some milliseconds of a
 * processor, 18 about two seconds. Where cookies are demanded, also of an address that has so many half-open IKE SAs itself.
 */
#define IKE_PUZZLES_ABOVE	  256
#define IKE_PUZZLE_MIN		  10
#define IKE_PUZZLE_MAX		  18
#define IKE_SOURCE_ABOVE	  16
#define IKE_SOURCE_MOST		  128 /* from there on its puzzles are the hardest */
/*
 * Of those who return the cookie alone, because they know no puzzles, at least so many of a thousand are served when all places are
 * taken; and of one address that has taken its part itself.
 */
#define IKE_UNSOLVED_SHARE	  125
#define IKE_UNSOLVED_SHARE_SOURCE 15
/* A solution may have so many zero bits fewer than are demanded when it comes: the load grows while it is looked for. */
#define IKE_PUZZLE_SLACK	  2
/* Bits for cookies that were served, of each secret: with 60,000 of a minute one of 17 fresh ones is taken for one of them. */
#define IKE_COOKIES_SPENT	  (1u << 20)
/*
 * A half-open IKE SA that fails leaves its place at once, but goes on counting as if it had kept it: as many of them are forgotten in
 * a second as full places run out.
 */
#define IKE_BURNT_PER_S		  (IKE_HALF_OPEN_MAX / IKE_HALF_OPEN_S)
#define IKE_BURNT_SOURCE_PER_S	  (IKE_SOURCE_MOST / IKE_HALF_OPEN_S)
/*
 * As initiator: the hardest that is tried, and the one that we choose where the peer leaves it to us (difficulty 0). From the beginning
 * of a piece of the search to that of the next one it is so long; a piece takes about 0.9 ms of a processor, so others are served for more than
 * half of the time, and on a processor that is half as fast still for some. All searches together take one piece at a time: so few are under
 * way at once, in turn, that each comes to its end; the others wait.
 */
#define IKE_PUZZLE_HARDEST	  20
#define IKE_PUZZLE_FREE		  14
#define IKE_PUZZLE_PIECE	  512
#define IKE_PUZZLE_PAUSE_MS	  2
#define IKE_PUZZLES_AT_ONCE	  2
#define IKE_PUZZLE_S                                                                                         \
	20 /* of waiting, and of one search; then the request is repeated with the cookie alone */
#define IKE_ALARM_EVERY_S     60 /* between two lines of the log about cookies, or puzzles */
#define IKE_DATAGRAMS_AT_ONCE 64 /* read from one socket before the other one and the links are served */

#define IKE_KEEPER_AGAIN_MS                                                                                  \
	200 /* until a request is repeated that the keeper's full queue, or no keeper, did not take */

#define IKE_HALF_OPEN_S	      30 /* responder waits for IKE_AUTH */
/* how long a responder waits for the next IKE_FOLLOWUP_KE: RFC 9370 section 2.2.4 has 5 to 20 */
#define IKE_FOLLOWUP_S	      20
/* and how long nothing of ours begins because of such waits, one after the other */
#define IKE_FOLLOWUPS_S	      60
#define IKE_FOLLOWUP_LINK_MAX 256 /* octets of the peer's notify that names what our next one continues */
#define IKE_FAILED_S	      20  /* how long a refused IKE SA answers retransmissions */
#define IKE_REPLACED_S	      60  /* how long a replaced IKE or child SA waits for the peer's delete */
/* a child SA of the peer's request counts as confirmed after this at the latest */
#define IKE_CONFIRM_S	      45
#define IKE_ACTIVATE_MS	      1000  /* by then the peer of an INITIAL_CONTACT has installed the new pair */
#define IKE_LINGER_S	      5	    /* how long an inbound SA stays for packets in flight */
#define IKE_LIFETIME_S	      14400 /* of an IKE SA until its rekey, unless configured */
#define IKE_CHILD_LIFETIME_S  CHILD_LIFETIME_S /* the same of a child SA */
/* Of a lifetime, in thousandths: when we rekey what we began and what the peer began; the hard end of a
 * child. */
#define IKE_REKEY_OURS_FROM   850
#define IKE_REKEY_OURS_TO     910
#define IKE_REKEY_THEIRS_FROM 920
#define IKE_REKEY_THEIRS_TO   980
#define IKE_CHILD_EXPIRE      SA_HARD_THOUSANDTHS
#define IKE_SA_EXPIRE	      1200 /* and of an IKE SA */
#define IKE_STALE_MS	      100  /* until the keeper is asked again, when it has another configuration */
#define IKE_DPD_S	      30   /* of silence until a liveness check, unless configured */
/* of one IKE SA: how often unprotected messages can cause a liveness check */
#define IKE_HINT_EVERY_S      10
/* of a message that waits until the data plane sends by other child SAs: its answer is a matter of milliseconds */
#define IKE_HOLD_MS	      500
#define IKE_FLIGHT_MS	      50 /* for what was sent before, on the path and in the peer's queues */
/*
 * Reauthentication. A peer that announces less is left to end its IKE SA itself; one whose lifetime a commit shortens has this time to come; and
 * as responder we end it so much after what was announced.
 */
#define IKE_REAUTH_MIN_S      20
#define IKE_REAUTH_NOTICE_S   60
#define IKE_REAUTH_GRACE_S    10
/*
 * Redirect (RFC 5685): how often one peer may send us elsewhere, in which time (section 9 has these numbers as an example); and how long one
 * that was sent away may stay.
 */
#define IKE_REDIRECTS_MAX     5
#define IKE_REDIRECTS_S	      300
#define IKE_REDIRECTED_S      30
#define IKE_GATEWAY_TEXT_MAX  256
/* Two handshakes that are so far apart were not begun at once: one that is not answered is given up sooner. */
#define IKE_APART_S	      50
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
/*
 * Child SAs for one worker each: how long whoever did not begin the first one leaves it to the other side to make them, and, at random, until one
 * that the peer has deleted, or did not make, is tried again.
 */
#define IKE_BESIDE_WAIT_MS    5000
#define IKE_BESIDE_MS_MIN     30000
#define IKE_BESIDE_MS_MAX     60000
#define IKE_ORPHAN_S	      7200 /* how long a child SA from before a restart is remembered */
/* and how long one of a template stays, of which nobody knows whose it is, while nothing comes in on it */
#define IKE_ORPHAN_IDLE_S     300

/*
 * Quick crash detection (RFC 6290). Tokens of ours have as many octets as they must, so that the answer which shows one has three more than
 * the shortest message that it answers. As many answers in a second as ten thousand peers send liveness checks after a boot,
 * and as many at once.
 */
#define IKE_TOKEN_SIZE	 16
#define IKE_TOKEN_MIN	 16
#define IKE_TOKEN_MAX	 128
#define IKE_TOKENS_PER_S 500
#define IKE_TOKENS_BURST 500
#define IKE_SEALED_MIN	 57 /* octets of a message with an empty SK payload */

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
#define IKE_SA_BUCKETS	  8192
#define IKE_CHILD_BUCKETS 16384
#define IKE_PEER_BUCKETS  4096
#define IKE_SOURCE_SLOTS                                                                                     \
	4096 /* counts of half-open IKE SAs by address; those that share one are counted together */

#endif
