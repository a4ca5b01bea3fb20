/*
 * The limits of the firewall core, each with its reason. What somebody outside can make grow is listed with
 * its tests in docs/architecture.md.
 */
#ifndef FIREWALL_LIMITS_H
#define FIREWALL_LIMITS_H

#include "base/clock.h"

#define FW_TCP_SCALE_MAX       14 /* RFC 7323 section 2.3 */
/* octets that an acknowledgement may be behind, whatever the window */
#define FW_TCP_ACK_BACKLOG_MIN 66000u

/* ---- sessions ---- */

/* Of a link in the index: 1 + 2 * record + direction. The other bits are of the hash. */
#define FW_LINK_BITS   24
#define FW_RECORDS_MAX ((1u << (FW_LINK_BITS - 1)) - 1)

/* Of the present process and of those that died before all of their sessions were adopted. */
#define FW_INDEXES     3
/* Links of a former process's index that a lookup reads: a bucket has two on average, and one of 64 is none that it made. */
#define FW_OLD_STEPS   64
/* Of an index that is not needed any more so much is given back in one piece; of a new one, cleared. */
#define FW_CLEAN_BYTES (1u << 20)
/* Records that are looked at for a free place in a full table, of one first packet. */
#define FW_ADOPT_ROOM  64

#define FW_HALF_OPEN_MAX 100000 /* half-open-limit before a policy sets it: its default */
#define FW_WHEEL_SLOTS	 512	/* seconds; a longer timeout goes round the wheel more than once */
#define FW_EXPIRE_FETCH                                                                                      \
	16 /* sessions that are fetched before they are ended: as many as a core waits for at once */

/* A zone may hold so many times what is still free: at most eight ninths of the table. */
#define FW_ZONE_SHARE	8
/* One part in so many of the table is for sessions that wait for a first answer, of sources below their
 * share. */
#define FW_WAITING_PART 64
/* Counters of sources, found by hash: two sources may share one. 256 KB. */
#define FW_SOURCES	65536

/* A new session evicts at most so many: while a lowered session-limit does not hold yet, the table shrinks with
 * each of them, and none costs more. */
#define FW_EVICT_EACH	    2
#define FW_EVICT_CARRIED    8	 /* of which the kernel's numbers are read before one is evicted */
#define FW_SILENT_INTERVALS 4096 /* five passes find a nanosecond of a month */
/* Policies under which sessions may stand at once; a commit that is one too many evaluates them all first. */
#define FW_EPOCHS	    4

/* Between two passes of early ageing over all records. */
#define FW_AGING_EVERY (2 * NS_PER_S)

/* Counters of sources, and of destinations, with a limit: two of each, the smaller one counts. 512 KB each, in a
 * policy that has such limits. */
#define FW_LIMIT_SLOTS 65536

/* A session that was taken back for a packet that opens or breaks a connection is not carried for so long: forged ones make
 * no more work than that. */
#define FW_CARRIED_HOLD_MS 100

/* ---- several workers ---- */

/* To other workers, of one train or one piece of work: the shell takes them after each. A piece ends 512 sessions, with
 * two notes each, and half of the room is for other notes. */
#define FW_NOTES_MAX	    2048
#define FW_REDIRECT_SPARE_S 10 /* a redirect ends so long after its session, and half of its timeout */
#define FW_REFUSED_S	    8 /* a key that another worker has is not chosen again: three repetitions of a SYN */
/* Redirects that have ended are found so many, and one part in so many, a second. */
#define FW_REDIRECTS_EACH   64
#define FW_REDIRECTS_PARTS  128

/* ---- source NAT ---- */

#define FW_NAT_TRIES                                                                                         \
	256 /* ports that are tried for one session: with nine of ten in use, one search in 10^11 fails */
#define FW_NAT_POOL_ADDRESSES 4 /* addresses of a pool that are tried for one session */

/* Of a host, where a port is looked for: the newest block and some of the others. */
#define FW_NAT_BLOCKS_TRIED 4
/* Addresses of a pool where a block is looked for: the host's place and the next ones, then where the last search ended. */
#define FW_BLOCK_PLACES	    4
#define FW_BLOCK_PLACES_ALL 32
/* Addresses that have, or had, dynamic blocks: 2 KB each, once used. */
#define FW_CLAIM_ROWS	    8192

/* ---- expectations of application layer gateways ---- */

#define FW_EXPECT_MAX 512 /* one for each FTP transfer or TFTP request that has not begun yet */
#define FW_EXPECT_PARENT_SIP                                                                                 \
	32 /* calls of one telephone system that begin at the same time, four ports each */
#define FW_EXPECT_SOURCES 4096 /* counters of sources, found by hash: two sources may share one */
#define FW_EXPECT_PARENT  4    /* a dialogue asks for one after the other; the oldest gives way */

/* ---- policy ---- */

#define FW_RANGES_LINEAR_MAX  16 /* ranges of one rule; a longer span is searched by halves */
#define FW_MATCHER_LINEAR_MAX 12 /* rules; a shorter list is searched from its beginning */
#define FW_FETCH_RULES_MIN                                                                                   \
	1000 /* of a longer list what is read for a burst's first packets is fetched before */
#define FW_MATCHER_WORDS_MAX                                                                                 \
	(1u << 22) /* 32 MB of sets for each dimension; beyond that intervals are joined */
#define FW_LEVELS_MIN                                                                                        \
	1024 /* intervals of IPv4; of more every 16th stands in a level of its own (matcher.h) */
/* And so often a rule is entered in a set of a dimension: half a second. */
#define FW_MATCHER_WORK_MAX (1u << 27)

/* A policy is prepared in pieces (prepare.c): octets of the snapshot and words of a set that cost as much as an edge of
 * a rule, and what is as much as several: to hash or compare a rule's names, and to begin a list, which may be of one
 * rule. */
#define FW_PREPARE_COPY_BYTES  64
#define FW_PREPARE_WORDS       16
#define FW_PREPARE_NAMES_UNITS 8
#define FW_PREPARE_LIST_UNITS  16
#define FW_SETTLE_RULES	       8 /* rules whose hit counts are taken over */

/* ---- reassembly ---- */

#define FW_FRAGMENTS_PER_DATAGRAM                                                                            \
	64 /* 64 KB in fragments of 1 KB; more gaps than that no honest path makes */
#define FW_FRAGMENT_HEADER_MAX                                                                               \
	128 /* IP header and, for IPv6, the extension headers in front of the fragment header */
#define FW_FRAGMENT_TIMEOUT_S	  30  /* as Linux; RFC 8200 section 4.5 allows 60 */
#define FW_FRAGMENT_FIRST_TCP_MIN 16  /* RFC 1858 section 3: the flags stand in the first fragment */
#define FW_FRAGMENT_FIRST_MIN	  8   /* of other protocols: their ports */
#define FW_FRAGMENT_SOURCES	  256 /* counters of sources, found by hash: two may share one */

/* ---- log records of rules and zones ---- */

#define FW_LOG_RING 1024 /* records until the shell takes them; a power of two */
_Static_assert((FW_LOG_RING & (FW_LOG_RING - 1)) == 0, "head and tail may wrap");
/* Of each rule and each zone, and of all together. What is beyond is counted and reported. */
#define FW_LOG_PER_SECOND	100
#define FW_LOG_BURST		1024
#define FW_LOG_ALL_PER_SECOND	1000
#define FW_LOG_ALL_BURST	4096
#define FW_LOG_SUPPRESSED_EVERY (10 * NS_PER_S)
/* A rule of source NAT without a free address and port: one record says how many packets it was. */
#define FW_LOG_EXHAUSTED_EVERY	(10 * NS_PER_S)

#endif
