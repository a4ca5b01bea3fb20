/*
 * A session record: what the data plane tells the export process about a session or a refused packet, as a typed message.
 * Events and reasons are one table each; the log of rules (proc/dataplane/rule_log.c), the session log (export/line.h) and
 * what leaves for collectors are made from them.
 */
#ifndef MODEL_SESSION_RECORD_H
#define MODEL_SESSION_RECORD_H

#include "base/addr.h"
#include "base/clock.h"
#include "model/snapshot.h"

/* clang-format off */
#define SESSION_EVENTS(E)	/* id, name, text */										\
	E(INIT,            "session-init",           "a session was created")						\
	E(CLOSE,           "session-close",          "a session ended")							\
	E(DENY,            "session-deny",           "a packet was refused by policy, or by host-inbound")			\
	E(DROP,            "session-drop",           "a packet that policy permits was dropped for another reason")		\
	E(SUPPRESSED,      "log-suppressed",         "`count` records of this rule or zone were left out: there were too many")	\
	E(NAT_EXHAUSTED,   "nat-exhausted",          "a rule of source NAT had no free address and port; `count` packets since the last such record")	\
	E(NAT_BLOCK_LIMIT, "nat-block-limit",        "an inside host has as many blocks of ports as its rule allows")		\
	E(NAT_BLOCK_TAKEN, "nat-block-allocated",    "an inside host has a block of ports from now on")				\
	E(NAT_BLOCK_GIVEN, "nat-block-released",     "an inside host has a block of ports no longer")				\
	E(SCREEN_DROP,     "screen-drop",            "`count` packets met a screen of the zone since the last such record, and were dropped")	\
	E(SCREEN_ALARM,    "screen-alarm",           "`count` packets met a screen of the zone since the last such record, and passed: it is one of alarms")	\
	E(NAT_BLOCKS_LOST, "nat-block-records-lost", "`count` records of blocks found no room")					\
	E(LOST,            "records-lost",           "`count` records did not reach the session log: a queue was full, or a process was not running")	\
	E(LOG_FILE,        "log-file",               "a file of the session log begins; `log` is the log's identifier")

/* Why a session or a block of ports ended. flow_end: flowEndReason of IPFIX (RFC 5102 section 5.11.3): 1 idle, 3 end detected,
 * 4 forced, 5 lack of resources. */
#define SESSION_ENDS(E)	/* id, name, flow_end, text */ \
	E(FIN,                 "tcp-fin",             3, "both sides closed the connection") \
	E(RESET,               "tcp-reset",           3, "one side reset the connection") \
	E(SCTP_SHUTDOWN,       "sctp-shutdown",       3, "both sides closed the association") \
	E(SCTP_ABORT,          "sctp-abort",          3, "one side aborted the association") \
	E(TIMEOUT,             "timeout",             1, "idle for longer than its timeout") \
	E(EVICTED,             "evicted",             5, "evicted from a full table, or under a lower session-limit") \
	E(AGED,                "aged-early",          5, "idle for early-ageout, while the table was above a watermark of aging") \
	E(REUSED,              "reused",              3, "a new connection uses its addresses and ports") \
	E(POLICY_CHANGED,      "policy-changed",      4, "a new configuration does not permit it, or its zone is gone") \
	E(ROUTE_CHANGED,       "route-changed",       4, "its route now leads where policy or NAT would decide otherwise") \
	E(NAT_ADDRESS_CHANGED, "nat-address-changed", 4, "the address that it was translated to is no longer the gateway's, or no longer on its egress interface") \
	E(COLLISION,           "collision",           5, "another worker has a session with its translated addresses and ports, or no room to redirect its replies") \
	E(SERVER_DOWN,         "server-down",         4, "its server fails the health check of its rule") \
	E(CLEARED,             "cleared",             4, "an administrator ended it")
/* clang-format on */

enum session_event {
#define E(id, name, text) SESSION_EVENT_##id,
	SESSION_EVENTS(E) SESSION_EVENT_COUNT
#undef E
};

enum session_end {
#define E(id, name, flow_end, text) SESSION_END_##id,
	SESSION_ENDS(E) SESSION_END_COUNT
#undef E
};

#define SESSION_RULE_ID_BYTES 40

/* Which fields an event has: docs/operating.md, "The session log". No padding. */
struct session_record {
	utc_us at;
	uint64_t duration_ms;
	uint64_t packets[2], bytes[2]; /* forward, reply */
	uint64_t count;
	struct endpoint src, dst, nat_src, nat_dst; /* of no family: none, or not translated */
	uint32_t session;
	uint16_t event;	 /* enum session_event */
	uint16_t reason; /* enum drop_reason of DENY, DROP and screens; else enum session_end */
	uint16_t nat_first, nat_last;
	uint8_t proto, src_bits; /* src_bits: of a block's inside host, where it is a prefix */
	uint8_t zero[2];
	/* Terminated; empty: none, or any. rule_id: the rule's lasting identifier. */
	char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES], rule[NAME_MAX_BYTES], rule_id[SESSION_RULE_ID_BYTES],
		nat_rule[NAME_MAX_BYTES], tunnel[NAME_MAX_BYTES], user[NAME_MAX_BYTES];
};
_Static_assert(
	sizeof(struct session_record) == 168 + SESSION_RULE_ID_BYTES + 6 * NAME_MAX_BYTES, "no padding");

const char *session_event_name(enum session_event e);
const char *session_end_name(enum session_end e);
uint8_t session_end_flow_end(enum session_end e);

/* Of another process: terminates its texts. False: a number in it is none of the tables', families do not fit. reasons: how
 * many reasons of drops there are. */
bool session_record_sound(struct session_record *r, uint32_t reasons);

#endif
