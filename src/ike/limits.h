/*
 * Every limit and every time of the IKE core and its process in one place. Limits of the message syntax:
 * wire/ike_limits.h.
 */
#ifndef IKE_LIMITS_H
#define IKE_LIMITS_H

/*
 * What grows, who fills it, and what happens to one more. tests/unit/ike/test_limits.c fills each and looks
 * whether the others go on. What has no line here has as many as something that has: an IKE SA one message
 * and one answer in each direction, one request to the keeper under way and behind it those for its children;
 * a word of each kind.
 */
/* clang-format off */
#define IKE_LIMITS(L)	/* name, number, who fills it, what one more costs, why so many */							\
	L(SAS_MAX,               4096,  "everybody",  "no answer to its IKE_SA_INIT",       "the three below, and those that wait for the keeper to forget them")	\
	L(HALF_OPEN_MAX,         1024,  "strangers",  "the oldest",                         "a second's worth of handshakes; the keeper has a place for each")		\
	L(FAILED_MAX,            256,   "strangers",  "the oldest",                         "they only repeat their last answer")					\
	L(LIVE_MAX,              2048,  "all peers",  "its own peer's oldest, or a refusal", "two for each of PEERS_MAX; the keeper has a place for each")		\
	L(SAS_SURE,              2,     "one peer",   "what is left of LIVE_MAX",           "one, and the one that a rekey makes of it")				\
	L(SAS_PER_PEER_MAX,      16,    "one peer",   "its own oldest",                     "those that stand, and as many that are being made, replaced or closed")	\
	L(SAS_UP_PER_PEER_MAX,   8,     "one peer",   "its own oldest is closed",           "both begin at once, restarts without INITIAL_CONTACT")			\
	L(CHILDREN_MAX,          8192,  "all tunnels", "NO_ADDITIONAL_SAS",                 "two for each of TUNNELS_MAX; the keeper has a place for each")		\
	L(CHILDREN_SURE,         2,     "one tunnel", "what is left of CHILDREN_MAX",       "one, and the one that a rekey makes of it")				\
	L(CHILDREN_PER_TUNNEL_MAX, 8,   "one tunnel", "NO_ADDITIONAL_SAS, but not to a rekey", "with one more for each further pair of networks: policy-based peers make a child for each")	\
	L(LINGER_PER_TUNNEL_MAX, 8,     "one tunnel", "the oldest",                         "they only wait for packets on their way")				\
	L(DEAD_SPIS_MAX,         8,     "one peer",   "is forgotten",                       "deletes that came before the answer that made their SPIs; one is usual")	\
	L(ACTIONS_MAX,           65536, "one event",  "its datagrams and log lines are lost", "the shell takes them behind each event")				\
	L(REFUSALS_BURST,        20,    "strangers",  "is counted in the next entry",       "entries of refused handshakes in the ledger; one more in each REFUSAL_EVERY_S")	\
	L(PEER_MESSAGE_MAX,      4096,  "one peer",   "is dropped",                         "octets of one message between the gateways' ledgers")			\
	L(EXPECTED_MAX,          16,    "strangers",  "the oldest is forgotten",            "peers that came with the proposal of another one, and are tried first when they come again")	\
	L(RESTARTS_MAX,          4,     "strangers",  "the handshake ends",                 "times that one IKE_SA_INIT is repeated for a cookie or another group")

enum ike_limit_number {
#define E(name, number, who, costs, why) IKE_##name = number,
	IKE_LIMITS(E)
#undef E
};
/* clang-format on */

/* Retransmission: RFC 7296 section 2.4 asks for "at least a dozen times over a period of at least several
 * minutes" before giving a working peer up; a gateway with a second path wants to know sooner. 0.5 s, doubled
 * up to 8 s, each a little more or less, so that many do not repeat at once (thousandths). */
#define IKE_RETRANSMIT_FIRST_MS	   500
#define IKE_RETRANSMIT_MAX_MS	   8000
#define IKE_RETRANSMITS		   7  /* given up after about 40 seconds */
#define IKE_ALIVE_S		   40 /* the peer was heard since it was asked, and not longer ago */
/* or after some four minutes, as long as the peer shows that it lives */
#define IKE_RETRANSMITS_ALIVE	   30
#define IKE_RETRANSMIT_JITTER_FROM 900
#define IKE_RETRANSMIT_JITTER_TO   1100
#define IKE_RETRANSMITS_DOUBTED	   3 /* given up after about 7.5 seconds: the peer has made another IKE SA */
#define IKE_SETUP_GRACE_MS                                                                                   \
	2000 /* an unauthenticated refusal is believed after this, unless an answer comes */

#define IKE_COOKIES_ABOVE     64 /* half-open IKE SAs above which a stranger has to show that he receives */
#define IKE_COOKIE_SECRET_S   60 /* a cookie is good for one to two of these */
#define IKE_DATAGRAMS_AT_ONCE 64 /* read from one socket before the other and the links have their turn */

#define IKE_KEEPER_AGAIN_MS 200 /* a request that the keeper's full queue did not take */

#define IKE_HALF_OPEN_S 30 /* responder waits for IKE_AUTH */
#define IKE_FAILED_S	20 /* a refused IKE SA answers repetitions so long */
#define IKE_REPLACED_S	60 /* a replaced IKE or child SA waits for the other side's delete */
#define IKE_CONFIRM_S                                                                                        \
	45 /* a child that we answered for counts as known to the peer after this at the latest */
#define IKE_ACTIVATE_MS	      1000  /* the peer of an INITIAL_CONTACT has installed the new pair by then */
#define IKE_LINGER_S	      5	    /* an inbound SA stays for packets on their way */
#define IKE_LIFETIME_S	      14400 /* IKE SA until rekey, when the configuration says nothing */
#define IKE_CHILD_LIFETIME_S  3600
/* Of a lifetime, in thousandths: when we rekey what we began and what the peer began; the hard end of a
 * child. */
#define IKE_REKEY_OURS_FROM   850
#define IKE_REKEY_OURS_TO     910
#define IKE_REKEY_THEIRS_FROM 920
#define IKE_REKEY_THEIRS_TO   980
#define IKE_CHILD_EXPIRE      1200
#define IKE_SA_EXPIRE	      1200 /* and of an IKE SA: a proof of the peer is no older, but for rekeys */
#define IKE_STALE_MS	      100  /* until the keeper is asked again, when it has another configuration */
#define IKE_DPD_S	      30
/* of one IKE SA: messages without protection that make us ask whether the peer lives */
#define IKE_HINT_EVERY_S      10
/* our address is gone for so long: DHCP may take it and give it back at once */
#define IKE_LOCAL_GONE_MS     400
#define IKE_KEEPALIVE_S	      20 /* RFC 3948 section 4: default */
/* a second IKE SA to one peer is closed when it has had no child for so long */
#define IKE_CHILDLESS_S	      10
#define IKE_SHORT_LIVED_S     10 /* a tunnel's last child that lived less counts as a try that failed */
/* two children of one line stand, and the peer was to delete one of them */
#define IKE_DOUBT_MS_MIN      15000
#define IKE_DOUBT_MS_MAX      30000
/* rekeys refused, and less than one part in so many of the lifetime left: a new IKE SA */
#define IKE_MOVE_REFUSALS     3
#define IKE_MOVE_PART	      8
#define IKE_BACKOFF_FIRST_MS  1000
#define IKE_BACKOFF_MAX_MS    60000
#define IKE_LOST_MS_MIN	      100 /* after the loss of an IKE SA, so that not all tunnels begin at once */
#define IKE_LOST_MS_MAX	      500
#define IKE_TEMPORARY_MS      1000 /* after TEMPORARY_FAILURE: once to thrice this, by chance */
#define IKE_REKEY_RETRY_S     30   /* after another refusal of a rekey */
#define IKE_ORPHAN_S	      7200 /* what an earlier life left, if nobody takes the tunnel up again */

#define IKE_REFUSAL_EVERY_S 5 /* see REFUSALS_BURST */

/* Of a word in one message: sealed, in UDP and IPv6 with the non-ESP marker it fits the smallest MTU of IPv6, 1280. */
#define IKE_PEER_MESSAGE_PART_MAX 1100
/* Words of each kind in a second, and so many at once; what comes faster from one peer is dropped. A ledger asks ten
 * times in a second at the most (witness/poll.h), and at once when an act waits. */
#define IKE_PEER_MESSAGE_PER_S	  20

#define IKE_REASON_MAX 256

#endif
