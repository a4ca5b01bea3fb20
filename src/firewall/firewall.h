/*
 * The firewall core: sessions, zone policy, source NAT, TCP state, reassembly. Pure: trains and the time come
 * in, changed headers and drop reasons go out. It works on bursts; it allocates nothing and takes no lock per
 * packet.
 *
 * The stages, in the order in which the data plane calls them on a burst:
 *
 *	train_parse         headers (wire/train.h)
 *	fw_reassemble       fragments only: policy sees whole datagrams
 *	fw_lookup_burst     t->session, and TRAIN_REPLY for the direction
 *	then for each train in turn
 *	  fw_lookup_again   where earlier trains of the burst have changed what a lookup finds
 *	  fw_dnat           the destination of one without a session
 *	  [the shell's forwarding decision for it, by the translated destination]
 *	  fw_admit          policy, NAT, new session
 *	  [the shell's cached decision, or a new one and fw_reroute(); the size against the MTU]
 *	  fw_apply          TCP state, hop limit, translation, MSS, counters
 *	fw_reassemble_done  after the burst has been sent
 *
 * So a burst gets the same verdicts and leaves the same sessions as its trains one by one.
 *
 * A train with a drop reason is skipped by every stage and stays as it arrived: an ICMP error may quote it.
 * What the shell refuses for its size it must refuse before fw_apply(); otherwise the error would quote
 * translated addresses.
 *
 * Checksums: the IPv4 header's is always verified. An L4 checksum that is not yet verified
 * (TRAIN_CSUM_UNKNOWN) is verified where the packet changes state here: the first of a session, TCP with SYN,
 * FIN or RST, ICMP errors, reassembled datagrams. For other packets the field is only updated by the
 * difference, so a wrong checksum stays wrong for the receiver to see.
 *
 * Sessions live in memory that the caller hands in and that may outlive the process: a header, then records
 * of a fixed size, each of them valid or not by one word that is written last. Index, timers and NAT bindings
 * are derived by fw_attach(). A process killed at any instruction leaves complete sessions or none.
 *
 * One struct firewall belongs to one worker thread, which alone writes to it; counters of limits are read by the others
 * (fw_join()). With several workers a flow belongs to one of
 * them in both directions (fw_home(), wire/flow.h). Where NAT moves the replies of a session to another one's flows, their
 * firewalls write notes to each other, which the shells carry: fw_take_note() after each train's admission and after
 * fw_expire(), fw_sweep() and fw_note(), and before what was admitted is sent; fw_note() at the worker that it is for. A
 * worker reads notes before trains: then no reply comes before the note about it.
 *
 *	admit.c       the first packet of a session
 *	apply.c       lookup, and every later packet
 *	carried.c     sessions whose packets the kernel forwards
 *	session.c     the session table: records, timers
 *	index.c       the index of the session table
 *	key.c         keys of sessions and fragments
 *	shares.c      how many sessions each source and zone holds
 *	limit.c       session limits of rules, zones and addresses
 *	evict.c       who is evicted from a full table
 *	aging.c       who ends early while the table is nearly full
 *	tcp.c         TCP state
 *	timeout.c     when an idle session ends
 *	nat.c         source NAT: choice of a translated address and port
 *	pool.c        addresses of a pool
 *	claims.c      which ports of pools are in dynamic blocks, of all workers
 *	blocks.c      dynamic blocks of ports by inside host
 *	binding.c     bindings of persistent NAT
 *	permit.c      remote addresses that each binding talks to
 *	inward.c      sessions that others begin to a mapped address and port
 *	servers.c     servers of destination NAT that do not answer
 *	dnat.c        destination and static NAT
 *	expected.c    the table of expected sessions, and what other workers know of it
 *	expect_nat.c  translation of expected sessions
 *	expect.c      sessions that application layer gateways expect
 *	translate.c   rewriting of headers and of quoted packets
 *	sctp.c        SCTP associations
 *	state.c       what states of protocols are called
 *	policy.c      rules and host-inbound services
 *	matcher.c     the search in long lists of rules
 *	reassemble.c  fragments
 *	log.c         log records of rules and zones
 *	judge.c       sessions under a newer policy
 *	load.c        a new configuration
 *	prepare.c     its policy, in pieces
 *	build.c       matchers, in pieces
 *	attach.c      memory that a former process left
 *	adopt.c       its sessions, which become this one's
 *	sound.c       what is required of a record that it left
 *	away.c        sessions of which a direction arrives at another worker; notes to the others
 *	note.c        notes of the others; which worker a packet belongs to
 *	select.c      filters of sessions, and sums over them
 *	talkers.c     the largest sums over sessions by address
 *	explain.c     decisions in plain text, for `trace`
 *	internal.h    what these share, with adopt.h, nat.h and states.h; limits.h: their limits
 */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/packet_facts.h"
#include "model/session_filter.h"
#include "model/session_record.h"
#include "model/snapshot.h"
#include "wire/expectation.h"
#include "wire/ip.h"
#include "wire/tcp_join.h"
#include "wire/train.h"

#include <stddef.h>

/* Of an ICMP key: which side sends the queries, with the query's type in the low octet. Two hosts may ping
 * each other with the same identifier. */
enum fw_key_kind {
	FW_KEY_PLAIN,
	FW_KEY_QUERY = 0x100,
	FW_KEY_ANSWER = 0x200,
	FW_KEY_BINDING = 0x400,
	FW_KEY_EXPECTED = 0x800,
	FW_KEY_BLOCK = 0x1000
};

/* The addresses of one direction as its packets arrive, and the VRF that they arrive in: networks of two may have the same
 * addresses. No padding: hashed and compared as bytes. */
struct fw_key {
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port; /* ICMP queries: the identifier in both; 0 without ports */
	uint8_t proto, vrf;	     /* 0: in none, and of what is no packet's */
	uint16_t kind : 13;	     /* enum fw_key_kind */
	uint16_t family : 3;
};

/* What a state is for the table of sessions. */
enum fw_phase {
	FW_PHASE_STATELESS, /* of protocols without a handshake: answered or not */
	FW_PHASE_HALF_OPEN,
	FW_PHASE_OPEN,
	FW_PHASE_CLOSED, /* kept for what may still come; its addresses and ports may be used again */
};

/* States of sessions whose protocol has any, their idle times where the rule and the application have no say (COUNT: where they
 * have), and why a session in this state ends by itself. */
/* clang-format off */
#define FW_PROTOCOL_STATES(S)	/* id, protocol, name, phase, timeout, end */ \
	S(STATELESS,              0,       "none",              STATELESS, COUNT,              TIMEOUT) \
	S(TCP_SYN_SENT,           IP_TCP,  "syn-sent",          HALF_OPEN, TCP_SYN_SENT,       TIMEOUT) \
	S(TCP_SYN_RECEIVED,       IP_TCP,  "syn-received",      HALF_OPEN, TCP_SYN_RECEIVED,   TIMEOUT) \
	S(TCP_ESTABLISHED,        IP_TCP,  "established",       OPEN,      COUNT,              TIMEOUT) \
	/* one FIN or more seen, not all acknowledged */ \
	S(TCP_CLOSING,            IP_TCP,  "closing",           OPEN,      TCP_HALF_CLOSED,    TIMEOUT) \
	S(TCP_TIME_WAIT,          IP_TCP,  "time-wait",         CLOSED,    TCP_TIME_WAIT,      FIN) \
	S(TCP_CLOSED,             IP_TCP,  "closed",            CLOSED,    TCP_CLOSED,         RESET) \
	/* RFC 9260 section 4; of both ends the one that is further */ \
	S(SCTP_COOKIE_WAIT,       IP_SCTP, "cookie-wait",       HALF_OPEN, SCTP_COOKIE_WAIT,   TIMEOUT) \
	S(SCTP_COOKIE_ECHOED,     IP_SCTP, "cookie-echoed",     HALF_OPEN, SCTP_COOKIE_ECHOED, TIMEOUT) \
	S(SCTP_ESTABLISHED,       IP_SCTP, "established",       OPEN,      COUNT,              TIMEOUT) \
	S(SCTP_SHUTDOWN_SENT,     IP_SCTP, "shutdown-sent",     OPEN,      SCTP_SHUTDOWN,      TIMEOUT) \
	S(SCTP_SHUTDOWN_ACK_SENT, IP_SCTP, "shutdown-ack-sent", OPEN,      SCTP_SHUTDOWN,      TIMEOUT) \
	S(SCTP_SHUTDOWN_COMPLETE, IP_SCTP, "shutdown-complete", CLOSED,    SCTP_CLOSED,        SCTP_SHUTDOWN) \
	S(SCTP_ABORTED,           IP_SCTP, "aborted",           CLOSED,    SCTP_CLOSED,        SCTP_ABORT)
/* clang-format on */

enum fw_protocol_state {
#define E(id, proto, name, phase, timeout, end) FW_##id,
	FW_PROTOCOL_STATES(E) FW_PROTOCOL_STATE_COUNT
#undef E
};

/* "established"; for `show`. */
const char *fw_protocol_state_name(uint8_t state);

struct fw_tcp_side {
	uint32_t end;	     /* highest sequence number sent, +1 */
	uint32_t max_end;    /* highest that the other side allowed */
	uint32_t max_window; /* largest that this side announced, scaled */
	uint32_t ack;	     /* highest acknowledgement that this side sent */
	uint8_t scale;
	uint8_t flags; /* FW_SIDE_…, tcp.c */
	int16_t shift; /* octets that the receiver counts more than this side: an application layer gateway changed the text */
};

/* A handshake of SCTP that is under way. */
struct fw_sctp_handshake {
	uint32_t tag[2]; /* the verification tag that each side has announced, by direction; 0: none yet */
	uint8_t from;	 /* who sent the INIT */
	uint8_t stage;	 /* sctp.c; 0: this place is free */
	uint16_t zero;
};

#define FW_SCTP_HANDSHAKES 4

/* sctp.c. tag: of the association; 0: it is not established yet. */
struct fw_sctp {
	uint32_t tag[2];
	struct fw_sctp_handshake handshake[FW_SCTP_HANDSHAKES];
};

/* The shell's cached forwarding decision, one for each direction; the core only stores it with the
 * session. */
struct fw_forwarding {
	uint64_t generation; /* of the routes it was made from; 0: none. fw_load() and fw_attach() set it to 0
			      */
	uint32_t out_interface, tunnel;
	struct ip_addr next_hop;
	/* largest TCP segment on this path, 0: no clamp; SYNs get the smaller one of both directions */
	uint32_t mss;
};

/* The gateway itself, in the place of a session's zone. */
#define FW_ZONE_HOST ZONE_SELF

/* Where packets of each direction come in: indices in the snapshot, as they were in that epoch. One atomic
 * word. */
struct fw_zones {
	uint16_t zone[2]; /* or FW_ZONE_HOST */
	uint32_t epoch;	  /* counts fw_load() */
};

/* One session, in memory that outlives the process. key[0]: as the first packet came; key[1]: as replies
 * come. */
struct fw_session {
	_Alignas(64) uint32_t live; /* whole cache lines. FW_SESSION_LIVE when the record is valid: written
				       last, cleared first */
	uint32_t id;		    /* counts sessions since the memory was made */
	uint32_t rule, nat_rule;    /* TRAIN_NONE: none */
	uint8_t state, flags;	    /* enum fw_protocol_state, enum fw_session_flags */
	uint16_t dnat_rule;	    /* of destination or static NAT, either way; FW_DNAT_NONE: none */
	uint32_t timeout_s;	    /* of the rule's service, 0: the protocol's */
	struct fw_key key[2];
	_Alignas(8) struct fw_zones zones;
	mono_ns expires, last_seen, created;
	uint64_t packets[2], bytes[2];
	union { /* by the protocol */
		struct {
			struct fw_tcp_side tcp[2];
			union {
				/* a SYN of the caller within a living connection, until it is answered */
				struct fw_tcp_side noted;
				struct tcp_join join; /* fw_is_joined(): in its place */
			};
		};
		struct fw_sctp sctp;
		struct {
			uint8_t code; /* of the query that began it */
		} icmp;
		struct {		  /* FW_SESSION_BLOCK */
			uint32_t numbers; /* of a host's first block: a bit for each that it may have */
			uint32_t logged;  /* FW_BLOCK_... */
		} block;
	};
	/* index + 1 of the session that let expect this one (expect.c), 0: none; and what has read it there (enum
	 * expectation_alg) */
	uint32_t parent : 24, alg : 8;
	struct fw_forwarding forwarding[2];
	uint16_t interface[2]; /* last seen; for show. (uint16_t)TRAIN_NONE: none */
	uint32_t carried;      /* carried.c; 0: it is not */
};

/* Are its packets translated between IPv6 and IPv4? */
static inline bool fw_is_nat64(const struct fw_session *s)
{
	return s->key[0].family != s->key[1].family;
}

_Static_assert(sizeof(struct tcp_join) == sizeof(struct fw_tcp_side) &&
		       offsetof(struct tcp_join, flags) == offsetof(struct fw_tcp_side, flags) &&
		       offsetof(struct tcp_join, scale) == offsetof(struct fw_tcp_side, scale),
	"they share a place, and the flags tell them apart");

/* Did the gateway answer its SYN, so that the client counts what the server sends otherwise than the server? */
static inline bool fw_is_joined(const struct fw_session *s)
{
	return s->key[0].proto == IP_TCP && s->join.flags & TCP_JOIN_ON;
}

/* Of `carried`: it is not, and is not to be before that time. Otherwise the shell's link. */
#define FW_CARRIED_HELD 0x80000000u

/* Do packets of it pass without the firewall? */
static inline bool fw_is_carried(const struct fw_session *s)
{
	return s->carried != 0 && !(s->carried & FW_CARRIED_HELD);
}

#define FW_DNAT_NONE	UINT16_MAX
#define FW_SESSION_LIVE 0x53455353u
enum fw_session_flags {
	FW_SESSION_TRANSLATED = 1 << 0,
	FW_SESSION_CONFIRMED = 1 << 1,	   /* a reply came */
	FW_SESSION_HALF_OPEN = 1 << 2,	   /* counts against half_open_max */
	FW_SESSION_NAT_INTERFACE = 1 << 3, /* translated to an address of its outgoing interface */
	FW_SESSION_BINDING = 1 << 4,	   /* no session, but a binding of persistent NAT: binding.c */
	FW_SESSION_LOOSE = 1 << 5,	   /* TCP out of a zone with tcp-loose: its numbers are not checked */
	FW_SESSION_BLOCK = 1 << 7, /* with FW_SESSION_BINDING: a block of ports of an inside host: blocks.c */
	FW_SESSION_INWARD = 1 << 6, /* begun by a host outside, to a mapped address and port: inward.c */
};

struct fw_limits {
	uint32_t sessions_max;	 /* records in the memory */
	uint32_t reassembly_max; /* datagrams being put together: 64 KB each once used. More than
				    TRAIN_BURST_MAX */
	uint8_t hash_key[16];	 /* random, fresh at each start; the same for all workers */
	/* 0 and 1: there is one. The flow key is random and the same for all; it stays what it was while sessions of an
	 * earlier process stand in the memory, else most of them are away until they end. */
	uint32_t worker, workers;
	uint8_t flow_key[16];
	/* Makes octets of the memory zero, and may give their pages back. NULL: memset(). */
	void (*zero)(void *at, size_t n);
	/* Zeroed octets for large tables, of which nothing is touched before it is used, in small pages: calloc() clears what
	 * was freed before, and the first touch of a large page takes milliseconds. NULL: calloc() and free(). */
	void *(*table_new)(size_t n);
	void (*table_free)(void *p, size_t n);
};

/* Octets of memory that so many sessions need. */
size_t fw_state_bytes(uint32_t sessions_max);

struct firewall;

/*
 * Takes over the memory (64-byte aligned). fresh: it is zero. Otherwise its valid records are the session table, each
 * of them from when it is first asked for; fw_sweep() goes through all, and clears others. Memory of another version is
 * cleared as a whole. NULL and e: out of memory, or the memory does not fit the limits.
 */
struct firewall *fw_attach(
	void *memory, size_t bytes, bool fresh, const struct fw_limits *limits, mono_ns now, struct err *e);
/* Frees what belongs to this process; the sessions stay in the memory. */
void fw_detach(struct firewall *fw);

/*
 * Of several workers, when all are attached and none runs: all[i] is that of worker i. Limits are counted over all of them
 * from then on; policies change only while none runs. When one is detached each counts alone.
 */
void fw_join(struct firewall *const *all, uint32_t n);

/*
 * A new policy (which has passed snapshot_check(); copied). Sessions follow their zones by name and are
 * evaluated again, each before its next packet passes, or by fw_sweep(): what the new policy does not permit
 * ends. Their translation does not change. Hit counts follow rules by their identifiers, sessions a
 * renamed zone by what is in it.
 *
 * It is prepared in pieces between bursts, while the loaded one decides alone. The snapshot stays as it is until then;
 * no other policy is loaded meanwhile. NULL: out of memory.
 */
struct fw_prepared;
struct fw_prepared *fw_prepare(const struct firewall *fw, const struct snapshot *s, struct err *e);
/* Goes on; budget: in edges of rules, some ten nanoseconds each. After an error it is freed by the caller. */
enum rc fw_prepare_go(struct fw_prepared *x, uint32_t budget, bool *ret_ready, struct err *e);
void fw_prepared_free(struct fw_prepared *x); /* unless it was loaded */
/* Is there room for one more policy under which sessions stand? Otherwise the next load evaluates all of them. */
bool fw_load_has_room(const struct firewall *fw);
void fw_load_prepared(struct firewall *fw, struct fw_prepared *x, mono_ns now); /* frees x */
/* Before a policy is loaded: which of its schedules are not on (snap_schedules_off()); for those that follow, too. */
void fw_schedules_set(struct firewall *fw, uint64_t off);
/* for tests: all of that in one call. */
enum rc fw_load(struct firewall *fw, const struct snapshot *s, mono_ns now, struct err *e);
/*
 * Goes on with what fw_attach() left to be done, the sessions of a former process, and then with what a new policy did:
 * sessions that have not been evaluated, evictions under a lower session-limit; at most `budget` records. True: nothing
 * is left.
 */
bool fw_sweep(struct firewall *fw, mono_ns now, uint32_t budget);

/*
 * One piece of early ageing, between bursts: `budget` records are looked at. True: nothing is to be done now.
 */
bool fw_age(struct firewall *fw, mono_ns now, uint32_t budget);

/*
 * t is a fragment (TRAIN_FRAGMENT) whose in_zone is set, and tunnel the one that it came by, TRAIN_NONE: none; of the
 * host's, that by whose interface it was sent. One for a group is of a datagram that the caller lets pass. True: t is now the whole datagram, parsed,
 * TRAIN_REASSEMBLED; its buffer is the firewall's and valid until fw_reassemble_done(). False: the fragment
 * was kept (DROP_NONE), or t->drop says why not.
 */
bool fw_reassemble(struct firewall *fw, struct train *t, uint32_t tunnel, mono_ns now);
/* The burst has been sent: buffers of its whole datagrams are free again. Cheap when there are none. */
void fw_reassemble_done(struct firewall *fw);

/*
 * Sets t->session (TRAIN_NONE: no session) and TRAIN_REPLY. ICMP errors find the session that they are about.
 * A train from another zone than its session's gets DROP_SESSION_ZONE_MISMATCH. in_zone is set; trains from
 * the host have TRAIN_FROM_HOST.
 */
void fw_lookup_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now);
/*
 * Of at most TRAIN_BURST_MAX trains: what fw_admit() will read of a large policy for those without a session is fetched into the cache,
 * for all at a time. Decides nothing.
 */
void fw_policy_fetch(struct firewall *fw, struct train *const *trains, uint32_t n);
/* One train of that burst again, if sessions have begun, ended or changed zones since. */
void fw_lookup_again(struct firewall *fw, struct train *t, mono_ns now);

/* What destination NAT makes of a first packet. */
struct fw_dnat {
	struct ip_addr
		dst; /* ADDR_NONE: the destination stays; also where a rule says `off`. NAT64: IPv4 of IPv6 */
	uint16_t port;	/* of TCP and UDP */
	bool no_server; /* all servers of the rule are down: no session begins */
	bool expected;	/* by fw_expected_dnat(): no rule */
	/* Why no session begins, although a rule takes it: DROP_NAT_NO_MAPPING, DROP_NAT64_ADDRESS, DROP_NAT_PROTOCOL */
	enum drop_reason refused;
	bool by_binding;   /* of persistent NAT; `rule` is one of source NAT then */
	bool by_interface; /* and the mapped address is that of an interface */
	uint32_t rule;
};

static inline bool fw_dnat_translates(const struct fw_dnat *d)
{
	return d->dst.family != ADDR_NONE;
}

/*
 * The destination of a train without a session that came from a link, before the forwarding decision: that, policy
 * and source NAT are about the translated one. interfaces: those of the snapshot that have t->dst as their address;
 * fw_dnat_wants_interfaces(): does any rule ask for it?
 */
struct fw_dnat fw_dnat(const struct firewall *fw, const struct train *t, uint64_t interfaces);
/* The same of a first packet that is expected at an address and port which an application layer gateway has told. */
struct fw_dnat fw_expected_dnat(struct firewall *fw, const struct train *t, mono_ns now);
bool fw_dnat_wants_interfaces(const struct firewall *fw);
/* t is of the first direction of a session: would its destination be translated as it is, now that these
 * interfaces have it? True where the session's destination is not translated: that never changes. */
bool fw_dnat_holds(const struct firewall *fw, const struct train *t, uint64_t interfaces);
/*
 * A first packet from a link that destination NAT leaves alone: is its destination a mapped address and port of persistent NAT?
 * local: it is an address of the gateway itself. DROP_NONE: *ret_dnat is the inside address and port, or nothing.
 * DROP_NAT_FILTERED: it is one, and the rule's filtering does not let the sender begin a session.
 */
enum drop_reason fw_inward(
	struct firewall *fw, const struct train *t, bool local, mono_ns now, struct fw_dnat *ret_dnat);
/* Is it another worker that has the binding, if there is one, and so decides? */
bool fw_inward_elsewhere(const struct firewall *fw, const struct train *t, bool local, uint32_t *ret_worker);
/* A server answers at this port, or does not any more; it is up before the first call. */
void fw_server_set(struct firewall *fw, const struct endpoint *server, bool up);
uint32_t fw_dnat_rule_down(
	const struct firewall *fw, uint32_t rule); /* how many of the rule's servers are down */
/* May a rule translate packets of a protocol to this port that come from this zone? */
bool fw_dnat_may_take(const struct firewall *fw, uint32_t zone, uint8_t proto, uint16_t port);

/* What the shell knows about the egress when a session begins. */
struct fw_egress {
	struct fw_dnat dnat;
	struct ip_addr
		nat_addr; /* the outgoing interface's own address of t's family; ADDR_NONE: there is none */
	bool to_host;	  /* t->dst is the gateway itself: rules to self and host-inbound decide */
	uint8_t vrf;	  /* of the outgoing interface: replies arrive in it */
	enum drop_reason
		drop; /* why the shell cannot send the packet: if policy permits it, it is dropped for this
				  reason and begins no session */
	bool same_interface; /* it leaves by the interface that it came by: with its destination translated, the
				server would answer the client directly, so its source is translated, too */
};

/*
 * Decides about a train without a session: policy by in_zone and out_zone, source NAT, session. t->session is
 * set, or t->drop and t->rule. Trains from the host itself need no policy. Sessionless packets to the host
 * (ICMPv6 neighbour discovery, ICMP errors) pass with t->session TRAIN_NONE. A packet whose hop limit is
 * reached begins no session either.
 */
void fw_admit(struct firewall *fw, struct train *t, const struct fw_egress *egress, mono_ns now);
/* What fw_admit() would say. */
struct fw_verdict {
	enum drop_reason drop;
	bool begins;   /* a session begins, or `session` goes on; false: t->drop, or it passes without one */
	uint32_t rule; /* of policy; TRAIN_NONE: none */
	uint32_t nat_rule, dnat_rule; /* as a session has them */
	uint32_t exhausted_rule;      /* of source NAT, where it is why there is no session; TRAIN_NONE */
	uint32_t session;	      /* that the packet belongs to already; TRAIN_NONE: none */
	uint32_t timeout_s;	      /* 0: the protocol's */
	uint32_t log;		      /* RULE_LOG_INIT: it is logged; RULE_LOG_CLOSE: when its session ends */
	bool inward;   /* nat_rule is that of the binding by which the destination is translated */
	bool expected; /* an application layer gateway has let expect it: the rule is its parent's */
	struct fw_key key[2];
};
/*
 * The same decisions about a train without a session, for `test policy`: by the functions of fw_admit(), but no session
 * begins or is evicted, and nothing is counted or logged. (Sessions that are looked at are evaluated by the loaded policy,
 * as fw_sweep() would.) Not known from it: whether the table has room, or evicts for it; of several workers, whether another
 * one has a session with the same translated ends. No worker may run meanwhile.
 */
/* The session that has the train's addresses and ports; TRAIN_NONE: none. Nothing is counted. */
uint32_t fw_session_of(struct firewall *fw, const struct train *t, mono_ns now);
void fw_consider(struct firewall *fw, const struct train *t, const struct fw_egress *egress, mono_ns now,
	struct fw_verdict *ret_verdict);
/* DROP_NONE where fw_admit() would go on to NAT and begin a session: policy and limits permit it, and it can be sent. Nothing
 * changes, and nothing is counted. */
enum drop_reason fw_would_admit(
	struct firewall *fw, const struct train *t, const struct fw_egress *egress, mono_ns now);
/* Is another worker to admit a train without a session: who has the binding of its source? What is expected here is
 * admitted here. */
bool fw_admit_elsewhere(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	mono_ns now, uint32_t *ret_worker);

/*
 * Session `parent` lets expect another one, which its rule permits then. *ret_told: where its first packet will be sent to.
 * That is e's destination, unless the parent's end there is translated: then its translated address, and a port that
 * is free there, among nat-ports, where no program of the gateway listens. False: there is no room or no port.
 */
bool fw_expect(struct firewall *fw, uint32_t parent, const struct expectation *e, mono_ns now,
	struct endpoint *ret_told);
/* What a dialogue of this session let expect is not expected any more. */
void fw_expect_end(struct firewall *fw, uint32_t parent, uint32_t call);
/* The session stands for so many seconds without a packet, whatever its rule says; 0: as it says. */
void fw_session_keep(struct firewall *fw, uint32_t index, uint32_t seconds, mono_ns now);
/* Is the end on this side of a session (0: who began it) another one for the other side? As which address? */
bool fw_session_end_translated(const struct fw_session *s, uint32_t side);
struct ip_addr fw_session_end_seen(const struct fw_session *s, uint32_t side);
/* Text of direction d was replaced: its receiver counts so many octets more than its sender. */
void fw_session_shift(struct firewall *fw, uint32_t index, uint32_t d, int16_t shift);
/*
 * A datagram without a session that the responder of a parent was expected to send: its session begins, as one of
 * the initiator whose first datagram is an answer. t->session and TRAIN_REPLY are set; nothing otherwise.
 */
void fw_expected_answer(struct firewall *fw, struct train *t, mono_ns now);

/*
 * A packet from a link for the gateway itself, of which the kernel has a copy and its filter decides by the same rules:
 * t->rule is set to the rule to self that decides, and t->drop to the reason why it does not come in. Unless `dry`, hits and
 * log are those of the rule, or of the zone.
 */
void fw_host_packet(struct firewall *fw, struct train *t, bool dry, mono_ns now);
/* Do all packets of the protocol to this port come in from the zone, whoever sends them? */
bool fw_host_open_to_all(const struct firewall *fw, uint32_t zone, uint8_t proto, uint16_t port);

/*
 * A new forwarding decision was made for t's session: if it leads to another zone (t->out_zone), policy is
 * evaluated again. Not for ICMP errors: only its own packets change a session. Sets t->drop when the packet
 * may not go there: policy's reason (the session ends), or DROP_SESSION_ZONE_MISMATCH for replies. So also in the same zone
 * from a link into a tunnel, or back, where the source is translated by the one and not by the other (the session ends).
 */
void fw_reroute(struct firewall *fw, struct train *t, bool to_host, mono_ns now);

/*
 * TCP state, hop limit, translation, MSS clamp and counters for a train with a session that was looked up
 * just now; t->src, dst and ports become the translated ones. Drops: DROP_TCP_STATE, DROP_TTL,
 * DROP_L4_CHECKSUM, DROP_ICMP_UNRELATED.
 */
void fw_apply(struct firewall *fw, struct train *t, mono_ns now);

/* Has the address as many sessions out of the zone as this, as source or as destination? The zone counts them. */
bool fw_sessions_reach(
	const struct firewall *fw, uint32_t zone, const struct ip_addr *a, bool destination, uint32_t limit);

/* A session of TCP whose SYN the gateway has answered; the numbers of its packets are the shell's matter. It notes no SYN of
 * its caller within the connection: the server's challenge is what answers one (RFC 5961 section 4). */
void fw_session_join(struct firewall *fw, uint32_t index, const struct tcp_join *j);

/* The cached forwarding decision of the session for t's direction; t->session is set. */
struct fw_forwarding *fw_session_forwarding(struct firewall *fw, const struct train *t);

/* Into the cache; any index. */
void fw_session_fetch(const struct firewall *fw, uint32_t index);

/* ---- sessions whose packets the kernel forwards ---- */

/*
 * The shell's. sync: what has passed since is entered (fw_session_passed()), and what the firewall knows is made known to
 * whoever forwards. The firewall asks for it before it decides anything by the session: an end, a packet that has come
 * here. end: that, and from now on every packet comes here. Both may find that the link means nothing, and remove it.
 */
struct fw_carrier {
	void *context;
	void (*sync)(void *context, uint32_t index);
	void (*end)(void *context, uint32_t index);
};
/* Before the first packet; NULL: nobody. It stays the caller's. */
void fw_set_carrier(struct firewall *fw, const struct fw_carrier *carrier);
/* May every packet of it that is in order pass without the firewall? What the shell's own stages do with its packets is not
 * known here. */
bool fw_session_may_be_carried(const struct firewall *fw, uint32_t index, mono_ns now);
int fw_session_dscp(
	const struct firewall *fw, const struct fw_session *s); /* its rule's code point; -1: none */
/* Of a session of TCP: has the SYN of side d a window scale? And the largest segment size that a SYN may announce there without
 * being changed. */
bool fw_session_scales(const struct fw_session *s, uint32_t d);
bool fw_session_fin(const struct fw_session *s, uint32_t d); /* has side d sent its FIN? */
uint32_t fw_session_mss(const struct firewall *fw, const struct fw_session *s);
void fw_session_link(struct firewall *fw, uint32_t index, uint32_t link); /* 0: it is not carried any more */

/* By direction; last: of the latest packet, 0: none; tcp: numbers as they were then, of TCP. */
struct fw_passed {
	uint64_t packets[2], bytes[2];
	mono_ns last;
	/* of TCP; state: which it has come to, FW_TCP_SYN_SENT: it is not answered. Without `flags` of the sides, but for what
	 * `scales` and `fin` say. */
	struct fw_tcp_side tcp[2];
	uint8_t state;
	bool scales[2], fin[2];
	/* the session's numbers are those from which the kernel went on: they have moved on, by more than half of their range perhaps */
	bool follows;
};
void fw_session_passed(struct firewall *fw, uint32_t index, const struct fw_passed *passed);

/* ---- several workers ---- */

enum fw_note_kind {
	FW_NOTE_REDIRECT, /* packets with this key go to its owner, until then */
	FW_NOTE_END,	  /* no longer */
	FW_NOTE_REFUSED,  /* to an owner: somebody else has a session with this key, or there is no room */
	FW_NOTE_EXPECT /* the first packet with this key (FW_KEY_EXPECTED, of any source port) goes to its owner */
};
/* No padding. */
struct fw_note {
	uint32_t kind;
	uint32_t owner;	    /* the worker that has the session */
	uint32_t until_s;   /* of the monotonic clock */
	uint32_t direction; /* FW_NOTE_REDIRECT: of the session's keys */
	struct fw_key key;
};
_Static_assert(sizeof(struct fw_note) <= 64, "carried between workers in one record");

/* The worker that goes on with a parsed train: its flow's home, or where a redirect leads from there. */
uint32_t fw_home(const struct firewall *fw, const struct train *t);
/* Is this worker where its flow is at home? What fw_home() sends on from here needs TRAIN_REDIRECTED: whoever gets it
 * keeps it. */
bool fw_is_home(const struct firewall *fw, const struct train *t);
/* The next note to another worker; false: there is none. */
bool fw_take_note(struct firewall *fw, uint32_t *ret_worker, struct fw_note *ret_note);
/* It could not be handed over: it is written again, with the session's next packet, or of an expectation by
 * fw_expire(). */
void fw_note_lost(struct firewall *fw, const struct fw_note *note);
/* A note from another worker. */
void fw_note(struct firewall *fw, const struct fw_note *note, mono_ns now);

/* Ends sessions and reassemblies that have timed out, at most `budget` of them. Returns when to call
 * again. */
mono_ns fw_expire(struct firewall *fw, mono_ns now, uint32_t budget);

/* Why a session ended; as enum session_end. */
enum fw_end {
#define E(id, name, flow_end, text) FW_END_##id,
	SESSION_ENDS(E) FW_END_COUNT
#undef E
};
const char *fw_end_name(enum fw_end e);

/*
 * Log records of rules with `log` and zones with `host-inbound-log`, in a ring that the shell drains. At most
 * FW_LOG_PER_SECOND of each rule and zone.
 */
enum fw_log_kind {
	FW_LOG_DENY,
	FW_LOG_INIT,
	FW_LOG_SUPPRESSED, /* `suppressed` records of this rule or zone were left out */
	FW_LOG_EXHAUSTED, /* a rule of source NAT had no free address and port for this packet, the last of `suppressed` */
	FW_LOG_CLOSE,
	/* An inside host, key[0].src, has the ports nat_first to nat_last of the address key[1].dst; and has them no
	 * longer. Not limited by rates: whoever asks for them afterwards relies on all of them. */
	FW_LOG_BLOCK_TAKEN,
	FW_LOG_BLOCK_GIVEN,
	FW_LOG_BLOCKS_LOST, /* `suppressed` records of blocks found no room before this one */
	FW_LOG_SCREEN /* `suppressed` packets met a screen (drop) of rule_name since the last record; permits: they passed */
};
struct fw_log {
	enum fw_log_kind kind;
	enum drop_reason drop; /* FW_LOG_DENY: the rule's action, or why else the packet did not pass */
	enum fw_end end;       /* FW_LOG_CLOSE, FW_LOG_BLOCK_GIVEN */
	uint64_t suppressed;
	bool permits;	  /* FW_LOG_DENY: the rule permits it; it was dropped for another reason */
	uint32_t rule;	  /* in the policy that decided, as the names. TRAIN_NONE: host-inbound */
	uint64_t rule_id; /* 0: no rule */
	char rule_name[NAME_MAX_BYTES], zone_name[2][NAME_MAX_BYTES]; /* empty: none, or any */
	char tunnel_name[NAME_MAX_BYTES];			      /* of sessions */
	char nat_rule_name[NAME_MAX_BYTES];			      /* FW_LOG_EXHAUSTED, and of blocks */
	uint16_t nat_first, nat_last;				      /* of blocks */
	uint32_t record;					      /* of FW_LOG_BLOCK_TAKEN */
	struct ip_range nat_pool; /* the first range of its pool; nat_pools_more: how many follow */
	uint32_t nat_pools_more;
	uint32_t session_id;
	uint16_t zone[2];     /* or FW_ZONE_HOST */
	struct fw_key key[2]; /* FW_LOG_DENY: the first only */
	bool source_translated, destination_translated;
	mono_ns begun, at;
	uint64_t packets[2], bytes[2];
};
bool fw_log_next(struct firewall *fw, struct fw_log *ret_log);
/* A screen of t's zone was met; at what rate it may be said is the caller's matter. False: the ring is full. */
bool fw_log_screen(struct firewall *fw, const struct train *t, enum drop_reason which, const char *screen,
	bool passed, uint64_t packets, mono_ns now);

/* ---- inspection ---- */

struct fw_counters {
	uint64_t sessions_created, sessions_ended, half_open_now;
	uint64_t ended_by[FW_END_COUNT]; /* sessions_ended, by why */
	/* sessions_now: places in use, those of bindings and of blocks of ports among them */
	uint64_t sessions_now, bindings_now, blocks_now;
	uint64_t blocks_taken, block_records_lost;
	/* evicted to make room, by their class */
	uint64_t half_open_evicted, unanswered_evicted, over_share_evicted, limit_evicted;
	/* aging.c: 1 between the watermarks; times that the high one was reached; sessions ended by it */
	uint64_t aging_now, aging_begun, aged_early;
	uint64_t lookups, hits, log_records_suppressed;
	uint64_t reassembled;
	/* Fragments that were kept and later discarded: the shell adds them to the drops of these reasons. */
	uint64_t fragments_timeout, fragments_limit, fragments_overlap;
	uint64_t redirects_now; /* keys of sessions that other workers have */
	uint64_t expectations_now, expectations_made, expectations_refused; /* refused: for want of room */
	uint64_t expectations_elsewhere; /* that other workers have announced */
	uint64_t
		adoption_left; /* records of a former process that are not looked at yet: at most so many sessions */
	uint64_t records_discarded; /* of a former process: incomplete or inconsistent */
};
const struct fw_counters *fw_counters(const struct firewall *fw);
uint32_t fw_sessions_limit(const struct firewall *fw); /* as configured, or what fits the memory */

struct fw_rule_hits {
	uint64_t hits;		 /* sessions admitted or packets refused by the rule */
	uint64_t packets, bytes; /* of its sessions */
	uint64_t exhausted;	 /* of source NAT: packets for which no address and port was free */
	mono_ns last;		 /* last hit, 0: never */
	mono_ns since;		 /* counted since */
	uint64_t turn;		 /* hits.c */
	uint64_t zero;		 /* so that each has a cache line */
};
/* The counts of all rules of policy begin again, now. */
void fw_rule_hits_clear(struct firewall *fw, mono_ns now);
const struct fw_rule_hits *fw_rule_hits(const struct firewall *fw, uint32_t rule);
const struct fw_rule_hits *fw_nat_rule_hits(const struct firewall *fw, uint32_t nat_rule);
/* Translated sessions and bindings of a rule now; those that the loaded policy has evaluated. */
uint32_t fw_nat_rule_sessions(const struct firewall *fw, uint32_t nat_rule);
uint32_t fw_nat_rule_bindings(const struct firewall *fw, uint32_t nat_rule);
uint32_t fw_nat_rule_blocks(const struct firewall *fw, uint32_t nat_rule);
/* Addresses of a rule with a pool. */
uint64_t fw_pool_size(const struct snapshot *s, const struct snap_nat_rule *rule);
const struct fw_rule_hits *fw_dnat_rule_hits(const struct firewall *fw, uint32_t dnat_rule);
const struct snapshot *fw_policy(const struct firewall *fw); /* the loaded one, or NULL */

/* for tests: the next live session at or after *cursor, which is advanced past it; NULL: no more. Translated ones:
 * FW_SESSION_TRANSLATED. Bindings of persistent NAT are not among them. */
const struct fw_session *fw_session_next(const struct firewall *fw, uint32_t *cursor);
/* By index, evaluated by the loaded policy, whose numbers its zones and rules have; NULL: there is none, or it
 * ended. */
const struct fw_session *fw_session_current(struct firewall *fw, uint32_t index, mono_ns now);
/* By index, as it is; NULL where there is none. All live ones have indices below fw_sessions_used(). */
const struct fw_session *fw_session(const struct firewall *fw, uint32_t index);
uint32_t fw_sessions_used(const struct firewall *fw);
/* for tests: the same for bindings of persistent NAT, whose records stand between those of sessions. key[0].src is the
 * inside address and port, key[1].dst what it is translated to, nat_rule the rule (TRAIN_NONE: none any more). */
const struct fw_session *fw_binding_next(const struct firewall *fw, uint32_t *cursor);
/* for tests: how many sessions use it. */
uint32_t fw_binding_sessions(const struct firewall *fw, uint32_t index);
/* A block of ports: whose it is, and of what. */
struct fw_block {
	struct ip_range host; /* an address, or with NAT64 a prefix of IPv6 */
	struct ip_addr addr;
	uint16_t first, last;
	uint32_t id;		 /* of a dynamic one, among sessions */
	uint32_t nat_rule, from; /* TRAIN_NONE: no rule gives its ports any more. from: zone */
	uint32_t users; /* sessions and bindings of persistent NAT, and of a host's first block its others */
	mono_ns since, ends; /* of dynamic ones; ends 0: it is in use */
};
/* The dynamic block of this record; false: it is none. All records have indices below fw_sessions_used(). */
bool fw_block_view(struct firewall *fw, uint32_t index, mono_ns now, struct fw_block *ret_block);
/* The block of host number n of a rule with deterministic blocks; false: the rule has no so many hosts. */
bool fw_block_of_number(const struct snapshot *s, uint32_t nat_rule, uint64_t n, struct fw_block *ret_block);
/* Ends a session as FW_END_CLEARED (`clear sessions`), with its log record. */
void fw_session_end(struct firewall *fw, uint32_t index, mono_ns now);
/* The shell ends t's session, with its log record; t->session becomes TRAIN_NONE. */
void fw_session_end_of(struct firewall *fw, struct train *t, enum fw_end why, mono_ns now);

/* ---- sessions that a filter selects; s: of fw_session_current() ---- */

#define FW_HOST_NAME "host" /* the gateway itself, among names of zones */

/* What a session's state is called: those of its protocol, or answered or not. Two of the same name are one. */
enum fw_session_states {
	FW_STATE_UNANSWERED,
	FW_STATE_ANSWERED,
	FW_STATE_OF_PROTOCOL, /* and enum fw_protocol_state */
	FW_STATE_COUNT = FW_STATE_OF_PROTOCOL + FW_PROTOCOL_STATE_COUNT
};
uint32_t fw_session_state(const struct fw_session *s);
const char *fw_session_state_name(uint32_t state);
/* Empty where there is none, or none is known since the last commit. */
const char *fw_zone_name(const struct firewall *fw, uint32_t zone);
const char *fw_interface_name(const struct firewall *fw, uint32_t interface);
const char *fw_session_rule_name(const struct firewall *fw, const struct fw_session *s);
uint64_t fw_session_rule_id(const struct firewall *fw, const struct fw_session *s); /* 0: no rule */
const char *fw_session_tunnel_name(const struct firewall *fw, const struct fw_session *s);
/* What the source, or the destination, is translated to; false: it is not. */
bool fw_session_nat_src(const struct fw_session *s, struct ip_addr *ret_addr, uint16_t *ret_port);
bool fw_session_nat_dst(const struct fw_session *s, struct ip_addr *ret_addr, uint16_t *ret_port);
uint64_t fw_session_idle_s(const struct fw_session *s, mono_ns now);
uint64_t fw_session_age_s(const struct fw_session *s, mono_ns now);

/* Is the filter sound, and does the loaded policy, which there is, have its names? e: what was found and expected. */
enum rc fw_filter_check(const struct firewall *fw, const struct session_filter *f, struct err *e);
bool fw_session_selected(
	const struct firewall *fw, const struct fw_session *s, const struct session_filter *f, mono_ns now);

struct fw_tally_count {
	uint64_t sessions, packets, bytes;
};

/* Sums over sessions. The last zone: the gateway itself. */
struct fw_tally {
	struct fw_tally_count all, proto[256], state[FW_STATE_COUNT];
	struct fw_tally_count from_zone[ZONES_MAX + 1], to_zone[ZONES_MAX + 1];
};
void fw_tally_add(struct fw_tally *t, const struct fw_session *s);

#define FW_TALKERS_MAX 2048 /* counted at once; 300 KB */

/* ends: source, destination; family ADDR_NONE where sums are not by it. counted: since it has this place; all of it
 * where over is 0. */
struct fw_talker {
	struct ip_addr ends[2];
	uint64_t sum, over; /* of the measure; at most so much of it is not this one's */
	struct fw_tally_count counted;
};

struct fw_talkers {
	enum talker_by by;
	enum talker_order order;
	uint8_t hash_key[16];
	uint32_t n;
	struct fw_talker talker[FW_TALKERS_MAX];
	uint32_t heap[FW_TALKERS_MAX], place[FW_TALKERS_MAX], chain[FW_TALKERS_MAX];
	uint32_t bucket[2 * FW_TALKERS_MAX];
};
void fw_talkers_begin(
	struct fw_talkers *t, const struct firewall *fw, enum talker_by by, enum talker_order order);
void fw_talkers_add(struct fw_talkers *t, const struct fw_session *s);
void fw_talkers_end(
	struct fw_talkers *t); /* the first n of t->talker, the largest first; nothing is added then */

struct ip_addr fw_key_src(const struct fw_key *k);
struct ip_addr fw_key_dst(const struct fw_key *k);

/* for tests: the rule that would decide, by the code of fw_admit(). *ret_rule TRAIN_NONE: denied by
 * default. */
enum rule_action fw_policy_match(const struct firewall *fw, uint32_t from_zone, uint32_t to_zone,
	const struct train *t, uint32_t *ret_rule);

/* One line about what has been decided about t, for `trace`: session, rule, translation, drop. Returns
 * ret_text. */
#define FW_EXPLAIN_MAX 640
char *fw_explain(const struct firewall *fw, const struct train *t, char ret_text[FW_EXPLAIN_MAX]);
/* The same for programs: session, rule, zones, translations and drop of *ret_facts. */
void fw_explain_facts(const struct firewall *fw, const struct train *t, struct packet_facts *ret_facts);

#endif
