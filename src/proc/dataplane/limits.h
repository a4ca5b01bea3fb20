/*
 * The limits of the data plane's process, each with its reason. What somebody outside can make grow is listed
 * with its tests in docs/architecture.md; the cores have limits of their own (firewall/limits.h, esp/esp.h,
 * route/route.h).
 */
#ifndef DATAPLANE_LIMITS_H
#define DATAPLANE_LIMITS_H

#include "base/clock.h"
#include "model/snapshot.h"
#include "wire/train.h"

/* addresses of each family; further ones are only not spared the copy */
#define FILTER_LOCALS_MAX    32
#define GATHER_RUN_MIN	     4 /* packets; shorter runs are not worth the joining */
/* of ancillary data: an address, a traffic class and a segment size */
#define TUNNEL_CONTROL_BYTES 128
#define CLEARS_MAX	     16 /* as many clients as control has; each has one request at a time */
#define SURVEYS_MAX	     16 /* the same */
#define FINISH_TRAINS                                                                                        \
	2048 /* of all rings, in the pause in which a policy is replaced, and a burst more of each */
#define USAGE_PIECE	 64		   /* pairs of SAs whose usage is read in one pause */
#define TRACE_STAGE_MAX	 32		   /* with the zero */
#define TRACE_TEXT_MAX	 768		   /* of a line, with the zero */
#define LOOP_WAIT_MS_MAX 200		   /* of a sleep, when no timer is due */
#define MESSAGES_EVERY	 (100 * NS_PER_MS) /* the timers of the child's loop, whose periods are a second */

/* ---- trains and batches ---- */

/* 64 KB in segments of 32 octets: Linux's TCP makes none below 48, options included, whatever its peer
 * asks for. */
#define TRAIN_PACKETS_MAX 2048
#define SCRATCH_SIZE	  (512u << 10) /* fragments and ICMP errors of one burst; more is sent in parts */
#define BATCH_ROOM	  65000	       /* below what one datagram with UDP_SEGMENT may have */
#define BATCH_PACKETS	  64	       /* UDP_MAX_SEGMENTS of older kernels */
#define SEND_WAIT_MS	  2	       /* for a full socket, once: it empties in no time or not soon */

/* ---- what senders are told ---- */

/* RFC 4443 section 2.4 (f): ICMP errors and resets to one host, and to all hosts of a zone. */
#define ERROR_HOST_PER_SECOND 100
#define ERROR_HOST_BURST      20
#define ERROR_ZONE_PER_SECOND 1000
#define ERROR_ZONE_BURST      50
#define ERROR_HOSTS	      1024 /* rates by a hash of the host: two may share one */

/* ---- neighbours ---- */

/* RFC 1122 section 2.3.2.2: at least the latest packet for each unresolved address; for as long as the
 * kernel tries. */
#define NEIGHBOUR_QUEUE_MAX	 128
#define NEIGHBOUR_QUEUE_EACH_MAX 4
#define NEIGHBOUR_QUEUE_BYTES	 (TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM)
#define NEIGHBOUR_QUEUE_TIMEOUT	 (3 * NS_PER_S)

/*
 * Solicitations, fewer than the kernel gives up on in the time that it takes to (three seconds; gc_thresh3 is
 * 1024): for one neighbour, of one source, of one zone, all together; and those for neighbours that have
 * answered before.
 */
#define SOLICIT_INTERVAL	  NS_PER_S
#define SOLICIT_CONFIRM_INTERVAL  (5 * NS_PER_S) /* the kernel probes after five seconds itself */
#define SOLICIT_SOURCE_PER_SECOND 32
#define SOLICIT_SOURCE_BURST	  64
#define SOLICIT_ZONE_PER_SECOND	  100
#define SOLICIT_ZONE_BURST	  200
#define SOLICIT_ALL_PER_SECOND	  200
#define SOLICIT_ALL_BURST	  300
#define SOLICIT_KNOWN_PER_SECOND  1000
#define SOLICIT_KNOWN_BURST	  1000
/* Places found by hash: a newer entry replaces the one in its place. */
#define SOLICIT_RECENT_MAX	  1024
#define SOLICIT_KNOWN_MAX	  4096
#define SOLICIT_SOURCES		  4096

/* ---- translated addresses that neighbours ask for ---- */

/* Answers of one interface: to one neighbour, by a hash of its link address (two may share a rate), and to all. */
#define PROXY_SOURCE_PER_SECOND	  100
#define PROXY_SOURCE_BURST	  100
#define PROXY_LINK_PER_SECOND	  1000
#define PROXY_LINK_BURST	  1000
#define PROXY_SOURCES		  256
/* RFC 5227 section 1.1: one probe, and ANNOUNCE_NUM announcements, two seconds apart at least. */
#define PROXY_ANNOUNCE_ROUNDS	  3
#define PROXY_ANNOUNCE_PER_SECOND TRAIN_BURST_MAX
#define PROXY_ANNOUNCE_MAX	  1024 /* addresses of an interface; the others are only answered for */

/* ---- packets that are only asked about ---- */

#define QUESTION_HOPS  64
#define QUESTION_BYTES 128 /* headers that begin a session, of any protocol */

/* ---- tunnels ---- */

/* Between two times that the kernel is told which SPI is whose: until then the packets of a new SA take a step more. */
#define TUNNELS_STEER_INTERVAL (100 * NS_PER_MS)
#define TUNNEL_MTU_UNKNOWN     1400 /* inner MTU while a tunnel has no SA to compute it from */
#define TUNNEL_MTU_MIN	       576  /* whatever a path claims: RFC 791's least datagram */
#define SHOW_SELECTORS_MAX     1400 /* octets of the selectors of one side in a row of show; both have to fit */
#define RECURSION_INTERVAL     (60 * NS_PER_S) /* between two lines of the log about a tunnel */
#define ACQUIRE_INTERVAL       (2 * NS_PER_S)  /* between two requests to ike for one tunnel */
#define PATHS_MAX	       PEERS_MAX       /* remote endpoints with a path MTU below the link's */

/*
 * IKE messages to port 4500 that are passed on. Anybody can send them: bounded for each source, so that a
 * flood from one place does not keep out others, and for all together, so that it does not cost what is meant
 * for packets.
 */
#define IKE_SOURCE_PER_SECOND 500
#define IKE_SOURCE_BURST      1000
#define IKE_ALL_PER_SECOND    40000
#define IKE_ALL_BURST	      4000
#define IKE_SOURCES	      4096 /* rates by a hash of the source: two may share one */

/* ---- uplinks ---- */

/* After an uplink has changed, until ike hears for the second time which SAs have to move: it acts when an address has been
 * gone for IKE_LOCAL_GONE_MS. */
#define UPLINK_REPORT_AGAIN (450 * NS_PER_MS)

/* ---- records ---- */

/* Of session records that export has not taken yet: more than a thousand; the rule log makes no more in a second. */
#define RECORDS_WAITING_BYTES_MAX (1u << 20)

/* ---- sockets ---- */

#define RX_BURST	    TRAIN_BURST_MAX
#define RX_FEW		    2 /* after so many of a link another one is seldom there at once */
/* Of the ring from one worker to another; what does not fit it is dropped. All of them together have RING_BYTES_ALL if
 * each then has room for some trains. */
#define RING_BYTES_MIN	    (512u << 10)
#define RING_BYTES_MAX	    (8u << 20)
#define RING_BYTES_ALL	    (64u << 20)
#define RING_NOTE_BYTES_MAX 2048	 /* a line of a trace has 1,500 */
#define RING_NOTES_BYTES    (256u << 10) /* of the ring of notes beside each of them */
#define RX_BYTES	    (TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM) /* a multiple of 64 */
#define TUNNEL_RX_BURST	    16	       /* datagrams of up to 64 KB, each of many packets */
#define TX_QUEUE	    256	       /* frames of one link before they are sent */
#define JOIN_BYTES	    (1u << 20) /* opened packets of one receive */
#define GATHER_BYTES	    (1u << 20) /* frames of one link while they are joined */
#define LINKS_MAX	    INTERFACES_MAX
#define SA_HOLD_NS	    (8 * NS_PER_S) /* an SA waits so long for its configuration */
#define LINK_FILTER_MAX	    512		   /* instructions; BPF_MAXINSNS is 4096 */
/* Of memory: so much is a mapping of its own, zero without being touched, and given back alone. */
#define LARGE_BYTES	    (1 << 20)
/* No read of rtnetlink begins later in a pause of all workers: one of a dump has some hundred routes. */
#define ROUTES_PAUSE_NS	    (NS_PER_MS / 2)
#define ROUTES_READ	    65536 /* octets of one read of rtnetlink; dumps come in 32 KB at most */
#define RULES_SHOWN_MAX	    64 /* routing rules that `show routes` lists, those that are not followed first */

/* ---- the state that outlives the process ---- */

#define USAGE_ROUNDS	   8	 /* seconds in which a pair is reported that says nothing */
#define STATE_PAIRS	   20480 /* of SAs, in a file that has room for them */
#define STATE_PAIRS_MIN	   64
#define STATE_SESSIONS_MIN 1024
#define REASSEMBLY_MAX	   256 /* datagrams that wait for fragments: 16 MB of buffers */

/* FTP control connections that are read, in 350 KB; a source has half of them. Others pass unread. */
/* Sessions of SIP that a registration or a call keeps; a source has half of them. Others end by their timeout. */
#define ALG_SIP_MAX 1024

#define ALG_TEXT_PACKET_MAX                                                                                  \
	9216 /* octets of a packet whose text is replaced; a message of SIP has at most 8192 */
#define ALG_FTP_MAX 256

/* ---- sessions carried by the kernel ---- */

/* Packets of both directions before a session of UDP is carried: a question and its answer are over before it pays. TCP is from its
 * SYN on: each packet of a connection that comes here costs some microseconds. */
#define CARRIED_AFTER	       3
/* Of a worker's records one of so many may be of sessions that are not established, or rest after one, so that who opens them
 * leaves room. */
#define CARRIED_OPENING	       4
/* Neighbours that carried sessions are sent to: sets, and places in each. Where a set is full, any change of a neighbour ends what
 * is carried in this epoch: of 500, which the kernel's table may have (operating.md), in one of twenty epochs. */
#define CARRIED_NEIGHBOUR_SETS 256
#define CARRIED_NEIGHBOUR_WAYS 8
#define CARRIED_FETCH	       16  /* notes whose records and sessions are fetched at once */
#define CARRIED_BUDGET	       512 /* records of each round between bursts */
/* With seven of eight records used, those idle for so long are taken back. */
#define CARRIED_IDLE	       (10 * NS_PER_S)

/* Connections that began by a SYN cookie and whose server has not answered; 100 KB. For the others the client's probes repeat the
 * SYN, and no reset is sent. */
#define SYN_WAITING_MAX 1024
#define SYN_WAITING_S	15 /* until the client is reset, after four SYNs */

/* One line of the log for each zone and screen, of each worker. */
#define SCREEN_SAY_EVERY (10 * NS_PER_S)

#endif
