/*
 * The firewall core: sessions, zone policy, source NAT, TCP state, reassembly. Pure: trains and the time come in, changed
 * headers and drop reasons go out. Works on bursts; allocates nothing and takes no lock per packet.
 *
 * The stages, in the order in which the data plane calls them on a burst:
 *   train_parse          headers (wire/train.h)
 *   fw_reassemble        fragments only: policy sees whole datagrams
 *   fw_lookup_burst      t->session, and TRAIN_REPLY for the direction
 *   [the shell's route lookup for those without a session: out_interface, out_zone, tunnel, next_hop]
 *   fw_admit             policy, NAT, new session
 *   fw_apply_burst       TCP state, hop limit, translation, MSS, counters
 *
 * Sessions live in memory that the caller hands in and that may outlive the process: fixed-size records, each valid or
 * not by one word that is written last. Index, timers and NAT bindings are derived from them at fw_attach().
 * One struct firewall belongs to one worker thread.
 */
#ifndef FIREWALL_FIREWALL_H
#define FIREWALL_FIREWALL_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/snapshot.h"
#include "wire/train.h"

/* One direction's addresses as they arrive. No padding: hashed and compared as bytes. */
struct fw_key {
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
	uint8_t family, proto;
	uint16_t zero;
};

enum fw_tcp_state {
	FW_TCP_NONE, /* not TCP */
	FW_TCP_SYN_SENT,
	FW_TCP_SYN_RECEIVED,
	FW_TCP_ESTABLISHED,
	FW_TCP_CLOSING, /* one FIN or more seen, not all acknowledged */
	FW_TCP_TIME_WAIT,
	FW_TCP_CLOSED, /* reset */
};

struct fw_tcp_side {
	uint32_t end;	  /* highest sequence number sent, +1 */
	uint32_t max_end; /* highest that the other side allowed */
	uint32_t max_window;
	uint8_t scale;
	uint8_t flags; /* FW_SIDE_… */
	uint16_t zero;
};

/* The shell's cached way out, one for each direction; the core only keeps it with the session. */
struct fw_way {
	uint64_t generation; /* of the routes it was made from; 0: none */
	uint32_t out_interface, tunnel;
	struct ip_addr next_hop;
	uint32_t mss; /* clamp for SYNs in this direction, 0: none */
};

/* One session, in memory that outlives the process. key[0]: as the first packet came; key[1]: as replies come. */
struct fw_session {
	uint32_t live; /* FW_SESSION_LIVE when the record is valid: written last, cleared first */
	uint32_t rule, nat_rule;
	uint32_t timeout_s; /* of the rule's service, 0: the protocol's */
	struct fw_key key[2];
	uint32_t zone[2];      /* where packets of each direction come in */
	uint32_t interface[2]; /* last seen, for `show` */
	struct fw_way way[2];
	struct fw_tcp_side tcp[2];
	uint8_t tcp_state, flags;
	uint16_t zero;
	uint32_t id; /* counts sessions since the memory was made */
	mono_ns created, last_seen, expires;
	uint64_t packets[2], bytes[2];
};

#define FW_SESSION_LIVE 0x53455353u
enum fw_session_flags { FW_SESSION_TRANSLATED = 1 << 0, FW_SESSION_CONFIRMED = 1 << 1 /* a reply came */ };

struct fw_limits {
	uint32_t sessions_max;	  /* records in the memory */
	uint32_t reassembly_max;  /* datagrams being put together */
	uint8_t hash_key[16];	  /* random, fresh at each start */
};

/* Bytes of memory for so many sessions. */
size_t fw_state_bytes(uint32_t sessions_max);

struct firewall;

/*
 * Takes the memory over. fresh: it is zero. Else its valid records become the session table again, others are cleared.
 * NULL and e: no memory, or it does not fit the limits.
 */
struct firewall *fw_attach(void *memory, size_t bytes, bool fresh, const struct fw_limits *limits, mono_ns now,
	struct err *e);
void fw_detach(struct firewall *fw);

/*
 * A new policy (snapshot_check() has passed; copied). Sessions are decided anew: what it does not permit ends here.
 * zone_of_old maps zone indices of sessions to new ones (ZONE_ANY: gone); NULL: unchanged or the first load.
 */
enum rc fw_load(struct firewall *fw, const struct snapshot *s, const uint32_t *zone_of_old, mono_ns now, struct err *e);

/*
 * t is a fragment. DROP_NONE and true: t is the whole datagram now (its buffer is the firewall's, good until as many further datagrams are whole as limits allow at once).
 * False: it was kept, or t->drop says why not.
 */
bool fw_reassemble(struct firewall *fw, struct train *t, mono_ns now);

/* Sets t->session (TRAIN_NONE: a miss) and TRAIN_REPLY. Trains with a drop reason are skipped. ICMP errors find the session they are about. */
void fw_lookup_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now);

/* What the shell knows about the way out when a session begins. */
struct fw_egress {
	struct ip_addr nat_addr; /* the outgoing interface's own address of t's family; ADDR_NONE: there is none */
	bool to_host;		 /* t->dst is the gateway itself */
};

/*
 * Decides a train without a session: policy, source NAT, session. t->session is set, or t->drop and t->rule.
 */
void fw_admit(struct firewall *fw, struct train *t, const struct fw_egress *egress, mono_ns now);

/* May the zone's hosts reach this service of the gateway itself? DROP_NONE or DROP_HOST_INBOUND. */
enum drop_reason fw_host_inbound(const struct firewall *fw, const struct train *t);

/* TCP state, hop limit, translation, MSS clamp, counters for trains with a session; t->src, dst and ports become the new ones. */
void fw_apply_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now);

/* The session's cached way out for t's direction. */
struct fw_way *fw_way(struct firewall *fw, const struct train *t);

/* Ends sessions whose time is over, at most `budget` of them. Returns when to call again. */
mono_ns fw_expire(struct firewall *fw, mono_ns now, uint32_t budget);

/* Log records of rules with `log`, in a ring: the shell drains it. False: none. */
enum fw_log_kind { FW_LOG_DENY, FW_LOG_INIT, FW_LOG_CLOSE };
struct fw_log {
	enum fw_log_kind kind;
	enum drop_reason drop;
	uint32_t rule;
	struct fw_key key[2];
	uint64_t packets[2], bytes[2];
};
bool fw_log_next(struct firewall *fw, struct fw_log *ret_log);

/* ---- looking in ---- */

struct fw_counters {
	uint64_t sessions_created, sessions_ended, sessions_now, half_open_now;
	uint64_t lookups, hits, logs_lost, reassembled;
};
const struct fw_counters *fw_counters(const struct firewall *fw);

struct fw_rule_hits {
	uint64_t hits;	/* sessions admitted or packets refused by the rule */
	mono_ns last;	/* 0: never */
};
const struct fw_rule_hits *fw_rule_hits(const struct firewall *fw, uint32_t rule);
const struct fw_rule_hits *fw_nat_rule_hits(const struct firewall *fw, uint32_t nat_rule);
const struct snapshot *fw_policy(const struct firewall *fw); /* the loaded one, or NULL */

/* The next live session at or after *cursor, which moves behind it; NULL: no more. */
const struct fw_session *fw_session_next(const struct firewall *fw, uint32_t *cursor);
const struct fw_session *fw_session(const struct firewall *fw, uint32_t index);
void fw_session_end(struct firewall *fw, uint32_t index);

struct ip_addr fw_key_src(const struct fw_key *k);
struct ip_addr fw_key_dst(const struct fw_key *k);

/* Which rule would decide: the same code as fw_admit(), without a session. *ret_rule TRAIN_NONE: the default denies. */
enum rule_action fw_policy_match(const struct firewall *fw, uint32_t from_zone, uint32_t to_zone, const struct train *t,
	uint32_t *ret_rule);

#endif
