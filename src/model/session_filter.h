/*
 * Which sessions, or which packets, an administrator asks for: the options of `show sessions`, `clear sessions`, and
 * of packets (packet_filter.h), what control enters in the ledger, and what the data plane compares. One table names the options; all
 * that are given must hold. Pure; callers: cli (text to filter), control (checks it, writes it), the data plane.
 */
#ifndef MODEL_SESSION_FILTER_H
#define MODEL_SESSION_FILTER_H

#include "base/addr.h"
#include "base/err.h"
#include "model/snapshot.h"

/* clang-format off */
#define SESSION_FILTERS(F)	/* id, option, value, text; the first five are of packets, too */	\
	F(SRC,       "--src",       "ADDRESS", "only this source: an address, a prefix, or first-last")	\
	F(DST,       "--dst",       "ADDRESS", "only this destination: an address, a prefix, or first-last")	\
	F(PROTO,     "--proto",     "NAME",    "only this protocol: tcp, udp, sctp, icmp, icmp6, or a number")	\
	F(SPORT,     "--sport",     "PORTS",   "only this source port, or first-last")	\
	F(DPORT,     "--dport",     "PORTS",   "only this destination port, or first-last")	\
	F(NAT_SRC,   "--nat-src",   "ADDRESS", "only sessions whose source is translated to it")	\
	F(NAT_PORT,  "--nat-port",  "PORTS",   "only sessions whose source is translated to this port, or first-last")	\
	F(NAT_DST,   "--nat-dst",   "ADDRESS", "only sessions whose destination is translated to it")	\
	F(FROM_ZONE, "--from-zone", "ZONE",    "only sessions that began in this zone; host: by the gateway itself")	\
	F(TO_ZONE,   "--to-zone",   "ZONE",    "only sessions to this zone; host: to the gateway itself")	\
	F(RULE,      "--rule",      "NAME",    "only sessions that a rule of this name permits")	\
	F(INTERFACE, "--interface", "NAME",    "only sessions whose last packets, in either direction, came by this interface")	\
	F(TUNNEL,    "--tunnel",    "NAME",    "only sessions through this tunnel")	\
	F(STATE,     "--state",     "STATE",   "only sessions in this state")	\
	F(ID,        "--id",        "N",       "only the session with this number")	\
	F(IDLE_MIN,  "--idle-min",  "TIME",    "only sessions without a packet for at least so long: seconds, or 90m, 12h, 7d")	\
	F(IDLE_MAX,  "--idle-max",  "TIME",    "only sessions with a packet within that time")	\
	F(AGE_MIN,   "--age-min",   "TIME",    "only sessions that began at least so long ago")	\
	F(AGE_MAX,   "--age-max",   "TIME",    "only sessions that began within that time")	\
	F(BYTES_MIN, "--bytes-min", "N",       "only sessions with at least so many octets, of both directions together")
/* clang-format on */

enum session_filter_id {
#define E(id, option, value, text) SESSION_FILTER_##id,
	SESSION_FILTERS(E) SESSION_FILTER_COUNT
#undef E
};

/* What `show talkers` adds up: by whom, and in which order. */
#define TALKERS_BY(T)	  T(SOURCE, "source") T(DESTINATION, "destination") T(PAIR, "pair")
#define TALKERS_ORDER(T)  T(BYTES, "bytes") T(PACKETS, "packets") T(SESSIONS, "sessions")
#define TALKERS_SHOWN	  10 /* without a limit */
#define TALKERS_SHOWN_MAX 64 /* in one answer */

enum talker_by {
#define E(id, word) TALKER_BY_##id,
	TALKERS_BY(E) TALKER_BY_COUNT
#undef E
};

enum talker_order {
#define E(id, word) TALKER_ORDER_##id,
	TALKERS_ORDER(E) TALKER_ORDER_COUNT
#undef E
};

struct port_range {
	uint16_t first, last; /* first 0: any */
};

/* Travels in messages: no padding. What is zero matches all. */
struct session_filter {
	uint32_t proto;
	uint32_t zero;
	struct ip_range src, dst, nat_src, nat_dst; /* family ADDR_NONE: any */
	struct port_range sport, dport, nat_port;
	uint32_t id;
	char from_zone[NAME_MAX_BYTES], to_zone[NAME_MAX_BYTES], rule[NAME_MAX_BYTES];
	char interface[NAME_MAX_BYTES], tunnel[NAME_MAX_BYTES], state[NAME_MAX_BYTES];
	uint64_t idle_min_s, idle_max_s, age_min_s, age_max_s, bytes_min;
};

#define SESSION_FILTER_TEXT_MAX 1536 /* all options at their longest, with a terminator */

#define FILTER_SECONDS_MAX (10ull * 366 * 86400) /* ten years: no session is older */

/* The option's value from text. RC_MALFORMED: e has the option, what was found, and what is expected. */
enum rc session_filter_set(
	struct session_filter *f, enum session_filter_id id, const char *text, struct err *e);
/* What came from a client: as session_filter_set() makes it, or RC_MALFORMED. */
enum rc session_filter_check(const struct session_filter *f, struct err *e);
/* The options as they may be typed, "--src 10.1.0.0/24 --proto 6"; "all" of an empty one. Returns ret_text. */
const char *session_filter_text(char ret_text[SESSION_FILTER_TEXT_MAX], const struct session_filter *f);

static inline bool port_range_holds(const struct port_range *r, uint16_t port)
{
	return r->first == 0 || (port >= r->first && port <= r->last);
}

static inline bool filter_range_holds(const struct ip_range *r, const struct ip_addr *a)
{
	return r->first.family == ADDR_NONE || range_holds(r, a);
}

#endif
