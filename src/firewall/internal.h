/* What the files of the firewall core share. Nobody outside src/firewall includes this. */
#ifndef FIREWALL_INTERNAL_H
#define FIREWALL_INTERNAL_H

#include "firewall/firewall.h"

#define FW_NONE UINT32_MAX
#define FW_WHEEL_SLOTS 512 /* seconds; longer times go round */
#define FW_LOG_RING 1024
#define FW_FRAGMENTS_PER_DATAGRAM 64
#define FW_FRAGMENT_TIMEOUT_NS (30 * NS_PER_S)
#define FW_NAT_TRIES 256

/* Timeouts in seconds where the configuration gives none or has no word for the state. */
#define FW_TCP_TIMEOUT_S 3600
#define FW_UDP_TIMEOUT_S 60
#define FW_ICMP_TIMEOUT_S 20
#define FW_OTHER_TIMEOUT_S 60
#define FW_HALF_OPEN_TIMEOUT_S 20
#define FW_TCP_CLOSING_TIMEOUT_S 120
#define FW_TCP_TIME_WAIT_TIMEOUT_S 20
#define FW_TCP_CLOSED_TIMEOUT_S 5
#define FW_ICMP_REPLY_TIMEOUT_S 5

/* Timer links of a session; private to the process, rebuilt at attach. */
struct fw_timer {
	uint32_t next, prev, slot; /* slot FW_NONE: not armed */
};

struct fw_hole_range {
	uint32_t first, end;
};

struct fw_datagram {
	bool used;
	struct ip_addr src, dst;
	uint32_t id, in_zone;
	uint8_t proto;
	mono_ns deadline;
	uint32_t total; /* payload bytes, 0: the last fragment is not here */
	uint32_t header_n, have, ranges_n;
	struct fw_hole_range ranges[FW_FRAGMENTS_PER_DATAGRAM]; /* sorted, disjoint */
	uint8_t header[60];
	uint8_t *bytes; /* head room, header, payload, tail room */
};

struct firewall {
	struct fw_limits limits;
	/* the memory that outlives us */
	struct fw_session *sessions;
	/* index: entry 2 * session + direction */
	uint32_t *bucket, *chain, bucket_mask;
	uint32_t *free_stack, free_n;
	struct fw_timer *timer;
	uint32_t wheel[FW_WHEEL_SLOTS];
	uint64_t wheel_at_s; /* the next second to look at */
	uint32_t next_id;
	/* policy */
	struct snapshot *policy;
	struct span *pair; /* [from * zones + to]: rules */
	struct span global;
	struct fw_rule_hits *rule_hits, *nat_hits;
	struct fw_counters counters;
	/* reassembly */
	struct fw_datagram *datagrams;
	uint32_t datagram_next;
	/* log ring */
	struct fw_log *log;
	uint32_t log_head, log_tail;
};

/* session.c */
uint64_t fw_hash(const struct firewall *fw, const struct fw_key *k);
uint32_t fw_find(const struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction);
uint32_t fw_session_new(struct firewall *fw, const struct fw_key key[2], mono_ns now); /* FW_NONE: full */
void fw_session_arm(struct firewall *fw, uint32_t index, mono_ns now, uint32_t seconds);
bool fw_session_remove(struct firewall *fw, uint32_t index);

/* policy.c */
enum rule_action fw_match(const struct firewall *fw, uint32_t from, uint32_t to, const struct ip_addr *src,
	const struct ip_addr *dst, uint8_t proto, uint16_t src_port, uint16_t dst_port, uint32_t *ret_rule,
	uint32_t *ret_timeout_s);
uint32_t fw_nat_match(const struct firewall *fw, uint32_t from, uint32_t to, const struct ip_addr *src,
	const struct ip_addr *dst);
uint16_t fw_service_port(const struct train *t);

/* nat.c */
enum drop_reason fw_nat_allocate(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_egress *egress,
	const struct fw_key *forward, struct fw_key *reply);

/* tcp.c */
enum drop_reason fw_tcp_track(struct fw_session *s, const struct train *t, uint32_t direction, uint32_t *ret_timeout_s);
void fw_tcp_clamp(struct train *t, uint32_t mss);

/* translate.c */
void fw_translate(struct fw_session *s, struct train *t, uint32_t direction);
enum drop_reason fw_translate_error(struct fw_session *s, struct train *t, uint32_t direction);
bool fw_error_key(const struct train *t, struct fw_key *ret_key);

/* log */
void fw_log_add(struct firewall *fw, enum fw_log_kind kind, enum drop_reason drop, uint32_t rule, const struct fw_key *k0,
	const struct fw_session *s);

static inline struct fw_key fw_key_of(const struct train *t)
{
	struct fw_key k = { .src_port = t->src_port, .dst_port = t->dst_port, .family = t->src.family,
		.proto = t->proto };
	memcpy(k.src, t->src.b, 16);
	memcpy(k.dst, t->dst.b, 16);
	return k;
}

static inline struct fw_key fw_key_reverse(const struct fw_key *k)
{
	struct fw_key r = *k;
	memcpy(r.src, k->dst, 16);
	memcpy(r.dst, k->src, 16);
	r.src_port = k->dst_port;
	r.dst_port = k->src_port;
	return r;
}

#endif
