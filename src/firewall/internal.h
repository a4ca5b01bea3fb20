/* What the files of the firewall core share. Nobody outside src/firewall includes this. */
#ifndef FIREWALL_INTERNAL_H
#define FIREWALL_INTERNAL_H

#include "base/icmp.h"
#include "base/lines.h"
#include "base/siphash.h"
#include "firewall/adopt.h"
#include "firewall/firewall.h"
#include "firewall/hits.h"
#include "firewall/limits.h"
#include "firewall/matcher.h"
#include "firewall/nat.h"
#include "firewall/states.h"
#include "wire/flow.h"
#include "wire/ip.h"

#include <assert.h>

#define FW_NONE UINT32_MAX

/*
 * The beginning of the memory that outlives the process. Zone indices of a session mean the names in table
 * zone_names[its epoch % FW_EPOCHS]; the tables of all epochs from `oldest` to `epoch` stand, and no session
 * has another epoch.
 */
struct fw_state {
	uint64_t magic; /* written last when the memory is made */
	uint32_t record_bytes, sessions_max, epoch, oldest;
	uint32_t zones_n[FW_EPOCHS];
	char zone_names[FW_EPOCHS][ZONES_MAX][NAME_MAX_BYTES];
	uint32_t used; /* records from this index on were never written: their pages need not be touched */
	uint32_t next_id;
	uint32_t block_ports_max; /* of the largest block of ports that this memory has seen; 0: none */
	uint32_t zero;
	/* Behind the records there is room for so many indexes (index.c). used: 0, or which one in time it is of those. */
	struct {
		uint32_t used;
		uint8_t hash_key[16];
	} index[FW_INDEXES];
};

#define FW_STATE_MAGIC 0x4231574647504c50ull
#define FW_STATE_BYTES 32768 /* the records begin here */

/*
 * May a session be evicted when the table is full (shares.c)? Those of the first three classes stand in the
 * list of their class, in the order in which they entered it.
 */
enum fw_evict_class {
	FW_EVICT_HALF_OPEN,  /* TCP and SCTP before the handshake is complete */
	FW_EVICT_UNANSWERED, /* other protocols before a first answer; TCP and SCTP once closed */
	FW_EVICT_OVER_SHARE, /* answered, but its source or zone holds its share already */
	FW_EVICT_COUNT,
	FW_EVICT_PROTECTED = FW_EVICT_COUNT, /* not evicted */
	FW_EVICT_HELD			     /* a binding in use: not evicted, and nobody's share */
};

/* Where a session stands in the timer wheel and in the list of its class; private to the process, rebuilt
 * by fw_attach(). A free record is linked by `next`. */
struct fw_place {
	uint32_t next, prev, slot; /* slot FW_NONE: not armed */
	uint32_t evict_next, evict_prev;
	uint16_t evict_class, expects; /* expects: expectations of which it is the parent */
	uint32_t binding;	       /* that the session uses; FW_NONE: none */
	uint32_t uses;		       /* of a binding: sessions that use it */
	uint32_t away_until_s;	       /* so long another worker sends on what arrives there; 0: none */
};

#define FW_AWAY_UNANNOUNCED 1 /* in the past: announced with the next packet */

/* Packets with this key go to their session's owner. */
struct fw_redirect {
	struct fw_key key;
	uint32_t owner; /* FW_NONE: free */
	uint32_t until_s, next;
};

struct fw_away {
	struct fw_redirect *redirect;  /* redirects_max; NULL with one worker */
	uint32_t *bucket, bucket_mask; /* numbers of redirects, from 1 */
	uint32_t redirects_max, used, free_first, hand;
	uint64_t swept_s;
	uint32_t notes_first, notes_n;
	struct {
		uint32_t worker;
		struct fw_note note;
	} notes[FW_NOTES_MAX];
};

struct fw_evict_list {
	uint32_t first, last, n;
};

/* permit.c: a binding of persistent NAT has sessions with this remote address. */
struct fw_permit {
	uint8_t remote[16];
	uint32_t binding, sessions, next;
};

struct fw_permits {
	struct fw_permit *permit;      /* sessions_max */
	uint32_t *bucket, bucket_mask; /* numbers of permits, from 1 */
	uint32_t used, free_first;
};

/* What rules are matched against. */
struct fw_tuple {
	struct ip_addr src, dst;
	uint32_t from, to;		 /* zones */
	uint16_t src_port, service_port; /* service_port: destination port, or ICMP type */
	uint8_t proto, icmp_code;
	uint8_t fetched; /* of struct train */
};

/* What fw_matcher_fetch() has found: the first candidate for what goes from src to dst by this service, FW_NONE: there is none. It
 * is so for any packet like this until another policy is loaded. */
struct fw_fetched {
	const struct fw_matcher *matcher;
	struct ip_addr src, dst;
	uint32_t service; /* protocol and port */
	uint32_t rule;
};

/* What rules, and zones for their host-inbound drops, may still log, and all of them together; and sessions of rules
 * with session-rate. By their numbers: after a commit
 * another rule goes on with what this one has left. */
struct fw_log_rates {
	mono_ns all, rule[RULES_MAX], zone[ZONES_MAX], session[RULES_MAX];
};

/* Packets that a rule of source NAT had no address and port for since the last record, and when the next is written. */
struct fw_log_exhausted {
	uint64_t packets;
	mono_ns next;
};

/* A zone that a later policy does not have. */
#define FW_ZONE_GONE (UINT16_MAX - 1)

/* What a commit leaves to be done in pieces, in this order (load.c). */
enum fw_sweep_phase {
	FW_SWEEP_NONE,
	FW_SWEEP_JUDGE,	 /* sessions are evaluated by the new policy */
	FW_SWEEP_HITS,	 /* hit counts of its rules are taken over from the former one */
	FW_SWEEP_EVICT,	 /* until session-limit holds */
	FW_SWEEP_RECOUNT /* protected sessions are counted again, by the shares of another session-limit */
};
struct fw_sweep {
	enum fw_sweep_phase phase;
	uint32_t cursor; /* the next record, or rule */
	bool other_limit;
	uint32_t list; /* of rules: enum fw_list */
};

/* Early ageing (aging.c). */
struct fw_aging {
	struct snap_aging configured;
	bool active;		    /* since the high watermark, until the low one */
	uint32_t cursor, pass_left; /* the next record; records that this pass has yet to look at */
	mono_ns next_pass;
};

/* The search for the sessions that were idle longest (evict.c): their last packets, counted in ever smaller
 * intervals of time. */
struct fw_silent {
	enum { FW_SILENT_IDLE, FW_SILENT_COUNT, FW_SILENT_END } step;
	mono_ns first, width; /* of the first interval; of each */
	uint32_t ended;
	uint32_t cursor, before; /* before: sessions older than `first` */
	uint32_t count[FW_SILENT_INTERVALS];
};

/* servers.c: servers that have failed their health checks. */
struct fw_servers {
	struct endpoint down[HEALTH_SERVERS_MAX];
	uint32_t n;
	uint32_t sweep; /* the next record whose session may be with one of them; FW_NONE: all are seen */
};

/* A compiled policy; replaced whole. */
struct fw_policy {
	struct snapshot *snapshot;
	struct fw_matcher **pair; /* fw_pair_index(), NULL: no rules */
	struct fw_matcher *global, *nat, *dnat;
	const struct fw_matcher
		*large[ZONES_MAX]; /* of those from a zone the largest, if it is worth fetching */
	uint32_t statics_n;	   /* the first of the rules of destination NAT */
	bool persistent;	   /* some rule of source NAT has persistent-nat, or dynamic blocks */
	bool dnat_interfaces;	   /* one of those is by the addresses of interfaces */
	struct fw_hits hits[FW_LISTS];
	uint32_t *rule_sessions, *limit_slots; /* limit.c; limit_slots: NULL where no zone limits addresses */
	struct fw_log_exhausted
		*nat_exhausted; /* of each NAT rule: without a port, and beyond blocks of a host */
	/* of each NAT rule: translated sessions, bindings, and blocks of ports */
	uint32_t *nat_sessions, *nat_bindings, *nat_blocks;
	/* NAT rules that let hosts outside begin sessions by their bindings. */
	uint32_t *wide, wide_n;
	/* By rule, then by zone: records not written since the last report; then how many of these are not zero. */
	uint64_t *log_suppressed;
	uint64_t *servers_down; /* of each rule of destination NAT, a bit for each of its servers */
	/* Not on the lines by which other workers find these counters. */
	_Alignas(64) uint32_t zone_sessions[ZONES_MAX];
};

/* A policy that is being prepared (prepare.c). */
struct fw_prepared {
	struct fw_policy *policy;
	const struct snapshot *source;		 /* the caller's */
	const struct fw_policy *loaded, *before; /* before: that hit counts come from; NULL: none */
	enum {
		FW_PREPARE_COPY,
		FW_PREPARE_MATCHERS,
		FW_PREPARE_NAMES, /* the former rules by the hash of their names */
		FW_PREPARE_RULES, /* which former rule is the same */
		FW_PREPARE_NAT,
		FW_PREPARE_DNAT,
		FW_PREPARE_READY
	} step;
	size_t copied;
	uint32_t next; /* rule of this step */
	uint32_t found, looked;
	enum fw_list list;
	struct fw_matcher **place; /* of the one that is being made; NULL: none is */
	struct fw_build build;
	uint32_t *bucket, buckets;    /* and their chains: 1 + the former rule, 0: none */
	uint32_t zone_was[ZONES_MAX]; /* of each zone: snap_zone_was() */
};

struct fw_range {
	uint32_t first, end;
};

/* expected.c: a session that is about to begin, as its first packet will come. */
struct fw_expected {
	bool used, announced; /* announced: to all other workers */
	bool answers;	      /* a datagram to the parent's own port: expected_answer() */
	uint8_t proto, from, alg;
	uint16_t src_port, dst_port; /* src_port 0: any */
	uint16_t to_port;
	uint32_t parent, next, call;
	uint32_t told_next;		 /* of those with this `to` */
	uint32_t own_next;		 /* of those of this parent; of free ones */
	uint16_t zone, source_slot;	 /* where it is counted */
	struct ip_addr src, dst, source; /* src: ADDR_NONE for any; source: whose share it is */
	struct ip_addr to;		 /* with to_port: what its destination becomes; ADDR_NONE: stays */
	struct ip_addr as;		 /* what its source becomes; ADDR_NONE: by the rules */
	mono_ns until;
};

enum fw_datagram_state {
	FW_DATAGRAM_FREE,
	FW_DATAGRAM_FILLING,
	FW_DATAGRAM_WHOLE /* until the burst has left */
};

/* A datagram being put together. */
struct fw_datagram {
	enum fw_datagram_state state;
	struct fw_key key; /* ports: the identification; proto 0 for IPv6 */
	struct fw_origin {
		uint32_t zone;	 /* and whether out of a tunnel */
		uint32_t tunnel; /* TRAIN_NONE: none */
		uint32_t epoch;	 /* of the policy by which these are numbered */
	} origin;
	uint32_t host, source; /* hashes of its source's address and of what addr_source() makes of it */
	mono_ns deadline;
	uint32_t fragments;
	uint32_t total;		      /* payload bytes, 0: the last fragment is not here */
	uint32_t header_n;	      /* 0: the first fragment is not here */
	uint16_t largest, largest_df; /* packets, from the IP header on; of those with don't-fragment */
	uint32_t next_at; /* IPv6: offset of the next-header octet that announces the fragment header */
	uint32_t ranges_n;
	struct fw_range ranges[FW_FRAGMENTS_PER_DATAGRAM]; /* sorted, disjoint, not adjacent */
	bool congested; /* a fragment carried the mark (RFC 3168 section 5.3) */
	uint8_t header[FW_FRAGMENT_HEADER_MAX];
	uint8_t *bytes; /* head room, header, payload, tail room */
};

struct firewall {
	struct fw_limits limits;
	/* the memory that outlives the process */
	struct fw_state *state;
	struct fw_session *sessions;
	uint32_t *bucket, *chain, bucket_mask; /* index.c */
	uint32_t free_first;		       /* of the records below state->used; FW_NONE: none */
	struct fw_place *place;
	uint32_t wheel[FW_WHEEL_SLOTS];
	uint64_t wheel_at_s; /* the next second to look at */
	struct fw_adopt adopt;
	/* shares.c */
	struct fw_evict_list evict_list[FW_EVICT_COUNT];
	uint32_t protected_n;
	uint32_t protected_by_zone[ZONES_MAX + 2]; /* the last: the host itself, zones that are gone */
	uint32_t *protected_by_source;		   /* FW_SOURCES */
	uint32_t *bindings_by_source;		   /* FW_SOURCES; binding.c */
	/* of all workers those of the first are used: fw->all[0] */
	struct fw_claims *claims;
	uint64_t block_place; /* in the pool, where the next search for a block goes on */

	struct fw_policy *policy, *retired; /* retired: until its suppressed log records are reported */
	struct fw_policy *past[FW_EPOCHS];  /* of earlier epochs, while sessions stand under them */
	uint16_t zone_map[FW_EPOCHS]
			 [ZONES_MAX]; /* zones of those epochs: their numbers now, or FW_ZONE_GONE */
	/* zones of those epochs whose name the next one does not have: their number in it, or FW_ZONE_GONE */
	uint16_t zone_renamed[FW_EPOCHS][ZONES_MAX];
	uint64_t schedules_off;			    /* of the next policy */
	struct fw_fetched fetched[TRAIN_BURST_MAX]; /* matcher NULL: not in use */
	struct shed shed; /* of policies that nothing stands under any more; fw_sweep() */
	struct fw_sweep sweep;
	struct fw_servers servers;
	struct fw_silent silent;
	struct fw_aging aging;
	/* of the policy, or the defaults */
	uint32_t timeout_s[TIMEOUT_COUNT], half_open_max;
	uint64_t changes;	 /* of what a lookup finds; see fw_lookup_again() */
	uint64_t looked_up;	 /* `changes` as the last burst's lookup saw it */
	uint32_t sessions_limit; /* at most limits.sessions_max */
	struct fw_counters counters;
	uint32_t nat64_ids, /* counts identifications of IPv4 packets that NAT64 makes */
		nat_exhausted; /* the rule that the last packet with DROP_NAT_EXHAUSTED fell under; TRAIN_NONE: none */
	/* reassembly */
	struct fw_datagram *datagram;
	uint64_t *datagram_tag; /* hash of each datagram's key, 0: free */
	uint32_t datagrams_used;
	bool datagrams_whole;
	/* several workers */
	struct flow_key flow;
	struct fw_away away;
	const struct fw_carrier *carrier;  /* NULL: none */
	struct firewall *all[WORKERS_MAX]; /* this one too, all_n of them; fw_join() */
	uint32_t all_n;
	struct fw_permits permits;
	/* expected.c */
	struct fw_expected expected[FW_EXPECT_MAX];
	uint32_t expect_bucket[FW_EXPECT_MAX]; /* by the destination of the first packet */
	uint32_t told_bucket[FW_EXPECT_MAX];   /* by what that destination becomes */
	uint32_t own_bucket[FW_EXPECT_MAX];    /* by the parent */
	uint32_t expect_free;
	uint16_t expect_of_source[FW_EXPECT_SOURCES], expect_of_zone[ZONES_MAX + 1];
	uint16_t expect_zone[FW_EXPECT_MAX]; /* with what follows, for who looks through all */
	mono_ns expect_until[FW_EXPECT_MAX]; /* of a free one the end of time */
	mono_ns expect_soonest;		     /* none ends before */
	bool expect_unannounced;	     /* some of them */
	uint64_t expect_told_s;
	/* log ring */
	struct fw_log *log;
	uint32_t log_head, log_tail;
	mono_ns log_report_at;		/* 0: nothing to report */
	uint64_t blocks_unlogged;	/* records of blocks that found no room since the last that did */
	struct fw_log_rates *log_rates; /* of all workers those of the first are used: fw->all[0] */
};
/* session.c */
uint32_t fw_session_new(struct firewall *fw, const struct fw_key key[2], mono_ns now); /* FW_NONE: full */
void fw_session_begin(struct firewall *fw, uint32_t index); /* the record is complete: makes it valid */
void fw_session_end_by(struct firewall *fw, uint32_t index, enum fw_end why, mono_ns now);
typedef void fw_end_fn(struct firewall *fw, uint32_t index, enum fw_end why, mono_ns now);
/* Ends by `end` whose time is over; returns when to call again, as fw_expire(). */
mono_ns fw_wheel_turn(struct firewall *fw, mono_ns now, uint32_t budget, fw_end_fn *end);
/* A new connection takes over the record, with its own number, counters and log records. */
void fw_session_reopen(struct firewall *fw, uint32_t index, mono_ns now);
void fw_session_arm(struct firewall *fw, uint32_t index, mono_ns now, uint32_t seconds);
void fw_session_rearm(struct firewall *fw, uint32_t index); /* after attach */
/* The session uses the binding; and one that used it ends, or does not begin. */
void fw_session_hold(struct firewall *fw, uint32_t binding);
void fw_session_release(struct firewall *fw, uint32_t binding, mono_ns now);
void fw_session_free(struct firewall *fw, uint32_t index); /* a record below state->used that is not live */

/* carried.c: of a carried session; every packet of it comes here, for a while, or until its handshake has gone on */
void fw_carried_hold(struct firewall *fw, uint32_t index, mono_ns now);

/* timeout.c */
void fw_timeouts_default(struct firewall *fw); /* until a policy is loaded */
uint32_t fw_session_timeout(const struct firewall *fw, const struct fw_session *s);

/* away.c */
bool fw_away_attach(struct firewall *fw); /* false: out of memory */
void fw_away_detach(struct firewall *fw);
void fw_away_begin(struct firewall *fw, uint32_t index); /* a session has begun */
void fw_away_end(struct firewall *fw, uint32_t index);
/* The others learn until when the session stands at least. */
void fw_away_announce(struct firewall *fw, uint32_t index);
bool fw_note_put(struct firewall *fw, uint32_t worker, const struct fw_note *note); /* false: no room */
/* Who has the session of this key, which is at home here; FW_NONE: no other worker. */
uint32_t fw_redirect_find(const struct firewall *fw, const struct fw_key *k);
/* False: another worker has one already, or there is no room. */
bool fw_redirect_set(struct firewall *fw, const struct fw_key *k, uint32_t owner, uint32_t until_s);
void fw_redirect_end(struct firewall *fw, const struct fw_key *k, uint32_t owner);
void fw_redirects_expire(struct firewall *fw, mono_ns now);

/* apply.c */
/* The key that t's session would have; false: it belongs to none. */
bool fw_key_wanted(const struct train *t, struct fw_key *ret_key);

/* shares.c */
void fw_shares_init(struct firewall *fw);
void fw_shares_add(struct firewall *fw, uint32_t index);    /* a session has begun, or was taken over */
void fw_shares_remove(struct firewall *fw, uint32_t index); /* it ends */
void fw_shares_update(struct firewall *fw, uint32_t index); /* its state, so its class, may be another */
/* May whoever sends by this key, from this zone, hold one more answered session? */
bool fw_shares_left(struct firewall *fw, const struct fw_key *k, uint32_t zone);
/* Zones have other numbers now: to[number until now]. */
void fw_shares_renumber(struct firewall *fw, const uint16_t to[ZONES_MAX]);
/* The limit changed: a protected session is counted again, by the shares of the new one. A new process has
 * taken over what stood in the memory without a limit. */
void fw_shares_recount(struct firewall *fw, uint32_t index);

/* limit.c */
void fw_leave(struct firewall *fw); /* it ends: each of them counts alone until the next fw_join() */
bool fw_limits_new(struct fw_policy *p,
	const struct snapshot *s); /* its counters; false: out of memory. The policy frees them */
/* A session begins (1) or no longer stands (-1) under this policy. p: NULL counts nothing. */
void fw_limit_count(const struct firewall *fw, struct fw_policy *p, const struct fw_session *s, int by);
/* May the rule, the zone and both addresses have one session more? The destination: the real one, after NAT. */
enum drop_reason fw_limit_check(
	const struct firewall *fw, const struct train *t, const struct ip_addr *destination, uint32_t from);
/* May one session more of the rule begin in this second? It is asked last, as it counts. */
bool fw_rate_take(struct firewall *fw, uint32_t rule, mono_ns now);
bool fw_rate_left(const struct firewall *fw, uint32_t rule, mono_ns now); /* and takes nothing */

/* evict.c */
/* Makes room for one more session of this key and zone. False: nobody may be evicted for it. */
bool fw_evict_for(struct firewall *fw, const struct fw_key *k, uint32_t zone, mono_ns now);
void fw_evict_session(struct firewall *fw, uint32_t index, mono_ns now); /* this one, and counts it */
/* One piece of making the limit hold. True: it holds. */
bool fw_evict_over_limit(struct firewall *fw, mono_ns now, uint32_t budget);

/* aging.c */
void fw_aging_set(struct firewall *fw, const struct snap_aging *configured); /* of a new policy */

/* matcher.c; more of it in matcher.h */
/* Is the address in one of the ranges, which are sorted (compile_objects.c)? None are given: any. */
bool fw_ranges_hold(const struct snapshot *s, struct span ranges, const struct ip_addr *a);
/* Is it one of the rule's pool? */
bool fw_nat_pool_holds(
	const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *addr);
/* The first at or after `from`, of the whole array; interfaces: those that have t's destination as their address.
 * *ret_by_interface: it matches by that alone. */
uint32_t fw_matcher_dnat(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint64_t interfaces, uint32_t from, bool *ret_by_interface);

/* policy.c */
enum rule_action fw_policy_lookup(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s);
uint32_t fw_nat_lookup(const struct firewall *fw, const struct fw_tuple *t);
struct fw_tuple fw_tuple_of_train(const struct train *t, uint32_t from, uint32_t to);
/* Of a session's first packet, with its translated destination: what policy and source NAT decide about. */
struct fw_tuple fw_tuple_of_session(const struct fw_session *s, uint32_t from, uint32_t to);
bool fw_zone_is_loose(const struct firewall *fw, uint32_t zone); /* tcp-loose */
uint32_t fw_pair_index(
	const struct snapshot *s, uint32_t from, uint32_t to); /* into struct fw_policy's pair */
/*
 * To the gateway itself: rules to self, then host-inbound (DROP_HOST_INBOUND). What it begins: rules from self, if the pair
 * has any. *ret_rule TRAIN_NONE: no rule decides.
 */
enum drop_reason fw_host_decide(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s);
enum drop_reason fw_own_decide(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s);
bool fw_host_opens(const struct firewall *fw, const struct train *t);
/* No rule and no service lets it in: logged where the zone asks for it. */
void fw_host_refused(struct firewall *fw, const struct train *t, mono_ns now);
void fw_rule_hit(struct firewall *fw, uint32_t rule, mono_ns now); /* counts it; TRAIN_NONE: nothing */
uint32_t fw_rule_flags(const struct fw_policy *p, uint32_t rule);  /* enum rule_flags; 0 for no rule */
/* Its counters, and room for its snapshot, of which the head is copied. NULL: no memory. */
struct fw_policy *fw_policy_new(const struct snapshot *s);
void fw_policy_free(struct fw_policy *p);
/* The same in pieces, which fw_sweep() does. */
void fw_policy_discard(struct firewall *fw, struct fw_policy *p);

void fw_nat_bound(struct fw_policy *p, const struct fw_session *s, int by); /* p: NULL counts nothing */

/* prepare.c */
struct fw_policy *fw_prepared_take(
	struct firewall *fw, struct fw_prepared *x, mono_ns now); /* with the hit counts of now */

/* expire.c */
fw_end_fn fw_session_end_over; /* of one that may not have been evaluated yet */

/* judge.c */
/*
 * Evaluates a live session by the loaded policy, if it stands under an earlier one. False: it has ended, or
 * no policy is loaded that could say.
 */
bool fw_session_judge(struct firewall *fw, uint32_t index, mono_ns now);
/*
 * One of a former process that ends before it was evaluated (adopt.c): the rule that permits it by the loaded policy, if there is
 * one, is in the log of its end. Ends nothing; the caller does.
 */
void fw_session_judge_ending(struct firewall *fw, uint32_t index, mono_ns now);
/* Before the next policy is loaded: which zones it has under another name. */
void fw_zones_renamed(struct firewall *fw, const struct snapshot *next);
void fw_zone_maps_make(struct firewall *fw); /* from the names in the memory */

/* servers.c */
void fw_servers_apply(struct firewall *fw, struct fw_policy *p); /* what is known, to a new policy */
/* The server of a rule for this client; false: none of them answers, *ret_server is one of them. */
bool fw_server_choose(
	const struct firewall *fw, uint32_t rule, const struct ip_addr *client, struct ip_addr *ret_server);
/* Its server is down, and its rule ends such sessions; it stands under the present policy. */
bool fw_server_ends_session(const struct firewall *fw, const struct fw_session *s);

/* dnat.c */
/* The key of replies to a first packet with this key, whose destination becomes that of d. */
struct fw_key fw_dnat_reply_key(const struct fw_key *forward, const struct fw_dnat *d);
/* A session whose destination is translated: do the rules still say the same? What an interface's address is, is not
 * known here: fw_dnat_holds() finds out when its route is looked up. *ret_rule: the rule. */
bool fw_dnat_session_stays(
	const struct firewall *fw, const struct fw_session *s, uint32_t from_zone, uint32_t *ret_rule);
/* The published address of t's source towards t's zone of egress. False: it has none. *ret_rule: the rule.
 * ADDR_NONE: a rule of NPTv6 takes it, and has no mapping for it. */
bool fw_static_source(
	const struct firewall *fw, const struct fw_tuple *t, struct ip_addr *ret_addr, uint32_t *ret_rule);
/* The same for a host that reaches one of its own prefix by this rule of NPTv6, on their own link: RFC 6296 wants it to
 * be known by its published address there, too. False: it is not such a rule, or not such a host. */
bool fw_nptv6_hairpin(
	const struct firewall *fw, uint32_t rule, const struct ip_addr *source, struct ip_addr *ret_addr);
/* The IPv6 address that an IPv4 one has for the hosts of the session's rule of NAT64; unchanged where none is known. */
void fw_nat64_address(const struct firewall *fw, const struct fw_session *s, const struct ip_addr *v4,
	struct ip_addr *ret_addr);
void fw_dnat_hit(struct firewall *fw, uint32_t rule, mono_ns now); /* counts it; TRAIN_NONE: nothing */

/* expected.c */
void fw_expected_init(struct firewall *fw);
/* How many one session may have. */
static inline uint32_t fw_expected_of_parent(const struct fw_expected *x)
{
	return x->alg == EXPECTATION_SIP ? FW_EXPECT_PARENT_SIP : FW_EXPECT_PARENT;
}
/* The first of those to this destination; the others by their `next`. */
uint32_t fw_expected_first(
	const struct firewall *fw, const struct ip_addr *dst, uint16_t port, uint8_t proto);
/* The first of those of which another address and port was told for this one; the others by their `told_next`. */
uint32_t fw_expected_told_first(
	const struct firewall *fw, const struct ip_addr *to, uint16_t port, uint8_t proto);
/* The first of its parent's; the others, and some of others' parents, by their `own_next`. */
uint32_t fw_expected_own_first(const struct firewall *fw, uint32_t parent);
uint32_t fw_expected_of_source(const struct firewall *fw, const struct fw_expected *x); /* or a few more */
void fw_expected_renumber(struct firewall *fw);				  /* zones have other numbers */
void fw_expected_begin(struct firewall *fw, const struct fw_expected *x); /* there is a free one */
void fw_expected_end(struct firewall *fw, uint32_t index);
void fw_expected_end_of(struct firewall *fw, uint32_t parent); /* all of a session's */
/* May t be the first packet of an expected session? */
bool fw_expected_may_begin(const struct train *t);
/* Who expects a session that t, with this key, may begin; FW_NONE: no other worker, or it has a session here. */
uint32_t fw_expected_owner(const struct firewall *fw, const struct train *t, const struct fw_key *k);
/* A note about this key was lost: fw_expected_announce() writes it again. */
void fw_expected_lost(struct firewall *fw, const struct fw_key *k);
void fw_expected_announce(struct firewall *fw, mono_ns now);

/* expect_nat.c */
/* x, of this parent, has the addresses that the ends themselves use: makes them those with which the first packet will
 * come. False: no port is free, or the address is not the end's own. */
bool fw_expected_translate(struct firewall *fw, const struct fw_session *parent, struct fw_expected *x);

/* expect.c */
/* What was told of the UDP port that t, which begins a session to this zone, is sent from: its source becomes that. FW_NONE:
 * nothing. */
uint32_t fw_expect_told(struct firewall *fw, const struct train *t, uint32_t to, mono_ns now);
/* The expectation that t fulfils, or FW_NONE. */
uint32_t fw_expect_find(struct firewall *fw, const struct train *t, mono_ns now);

/* tcp.c */
enum drop_reason fw_tcp_begin(struct fw_session *s, const struct train *t);
/* The same of a session with FW_SESSION_LOOSE, which any segment but a reset may begin. */
void fw_tcp_begin_loose(struct fw_session *s);
enum drop_reason fw_tcp_track(
	struct fw_session *s, const struct train *t, uint32_t direction, enum fw_step *ret_step);
/* Can side d have a segment with this number in flight? What an ICMP error quotes is checked by it. */
bool fw_tcp_sent(const struct fw_session *s, uint32_t d, uint32_t seq);
void fw_tcp_clamp(struct train *t, uint32_t mss);

/* translate.c */
void fw_translate(const struct fw_session *s, struct train *t, uint32_t direction);
/* The same of a session of NAT64. */
enum drop_reason fw_translate_nat64(
	struct firewall *fw, const struct fw_session *s, struct train *t, uint32_t direction);
enum drop_reason fw_translate_error(
	const struct firewall *fw, const struct fw_session *s, struct train *t, uint32_t direction);
/* The key of the session whose packet the error quotes; false: it quotes no packet of ours. */
bool fw_error_key(const struct train *t, struct fw_key *ret_key);

/* log.c */
/* Records where the rule's flags ask for them, in the policy that decided. */
void fw_log_begin(struct firewall *fw, const struct fw_session *s, mono_ns now);
void fw_log_close(struct firewall *fw, const struct fw_policy *p, const struct fw_session *s, enum fw_end why,
	mono_ns now);
void fw_log_deny(struct firewall *fw, const struct train *t, mono_ns now);
/* The kernel has the connection that t begins: its record has no session. Of TCP alone, where a packet says that it begins. */
void fw_log_host_begin(struct firewall *fw, const struct train *t, mono_ns now);
/* No address and port is free for t, or its host has no further block of ports. nat_addr: of the egress interface. */
void fw_log_exhausted(struct firewall *fw, uint32_t nat_rule, const struct train *t,
	const struct ip_addr *nat_addr, enum drop_reason why, mono_ns now);
/* Is there room for the record of a block? */
bool fw_log_has_room(const struct firewall *fw);
/* FW_LOG_BLOCK_TAKEN or FW_LOG_BLOCK_GIVEN of this block; p: of whose rules it is. A record without room is counted. */
void fw_log_block(struct firewall *fw, const struct fw_policy *p, uint32_t index, enum fw_log_kind kind,
	enum fw_end why, mono_ns now);
void fw_log_report_due(struct firewall *fw, mono_ns now); /* reports suppressed records when that is due */
void fw_log_report_suppressed(struct firewall *fw, mono_ns now);
/* The policy is replaced; it is freed when its suppressed records are reported. */
void fw_log_policy_retire(struct firewall *fw, struct fw_policy *p, mono_ns now);

/* reassemble.c */
bool fw_reassembly_attach(struct firewall *fw);
void fw_reassembly_detach(struct firewall *fw);
void fw_reassembly_expire(struct firewall *fw, mono_ns now);

static inline bool fw_is_icmp(uint8_t proto)
{
	return proto == IP_ICMP || proto == IP_ICMPV6;
}

static inline uint16_t fw_icmp_kind(uint8_t proto, uint8_t icmp_type)
{
	uint8_t query = 0;

	if (!fw_is_icmp(proto))
		return FW_KEY_PLAIN;
	switch (icmp_role(proto == IP_ICMP, icmp_type, &query)) {
	case ICMP_ROLE_QUERY:
		return FW_KEY_QUERY | query;
	case ICMP_ROLE_ANSWER:
		return FW_KEY_ANSWER | query;
	case ICMP_ROLE_OTHER:
		break;
	}
	return FW_KEY_PLAIN;
}

/* Of a carried session: what has passed is entered; and it is not carried any more. Without a carrier the link is of a
 * process before this one. */
static inline void fw_carried_sync(struct firewall *fw, uint32_t index)
{
	if (fw->carrier)
		fw->carrier->sync(fw->carrier->context, index);
}

static inline void fw_carried_end(struct firewall *fw, uint32_t index)
{
	if (fw->carrier)
		fw->carrier->end(fw->carrier->context, index);
	fw->sessions[index].carried = 0;
}

/* Has the protocol, or the ICMP message, a port or an identifier that NAT can change? */
static inline bool fw_has_port(uint8_t proto, uint8_t icmp_type)
{
	return proto == IP_TCP || proto == IP_UDP ||
	       (fw_is_icmp(proto) && icmp_identifier_at(proto == IP_ICMP, icmp_type) == ICMP_AT_IDENTIFIER);
}

/* The same of a key, whose kind has the type of the query. */
static inline bool fw_key_has_port(const struct fw_key *k)
{
	return fw_has_port(k->proto, (uint8_t)k->kind);
}

static inline fw_point fw_point_of(const struct ip_addr *a)
{
	if (a->family == ADDR_V4)
		return load_be32(a->b);
	return (fw_point)load_be64(a->b) << 64 | load_be64(a->b + 8);
}

/* Queries are the only ICMP that has sessions. */
static inline bool fw_is_icmp_query(const struct train *t)
{
	return fw_icmp_kind(t->proto, t->icmp_type) & FW_KEY_QUERY;
}

static inline struct fw_key fw_key_of(const struct train *t)
{
	struct fw_key k = { .src_port = t->src_port,
		.dst_port = t->dst_port,
		.family = t->src.family,
		.proto = t->proto,
		.vrf = t->vrf,
		.kind = fw_icmp_kind(t->proto, t->icmp_type) };
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
	r.kind = k->kind ? k->kind ^ (FW_KEY_QUERY | FW_KEY_ANSWER) : FW_KEY_PLAIN;
	return r;
}

/* In each session's beginning, end and lookup: inline, it is worth some nanoseconds. */
static inline uint64_t fw_key_hash(const struct firewall *fw, const struct fw_key *k)
{
	return siphash13(fw->limits.hash_key, k, sizeof *k);
}

static inline bool fw_key_equal(const struct fw_key *a, const struct fw_key *b)
{
	uint64_t x[5], y[5];

	memcpy(x, a, sizeof x);
	memcpy(y, b, sizeof y);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
}

/* A link of the index: 1 + 2 * record + direction, and above that the highest bits of the key's hash; 0: none. */
static inline uint32_t fw_link(uint32_t entry, uint64_t hash)
{
	return (uint32_t)(hash >> 56) << FW_LINK_BITS | (entry + 1);
}

static inline uint32_t fw_link_entry(uint32_t link)
{
	return (link & ((1u << FW_LINK_BITS) - 1)) - 1;
}

static inline bool fw_link_fits(uint32_t link, uint64_t hash)
{
	return link >> FW_LINK_BITS == hash >> 56;
}

/* Counters that each worker writes for itself, and others read. */
static inline void fw_count(uint32_t *counter, int by)
{
	assert(by > 0 || *counter > 0);
	__atomic_store_n(counter, *counter + (uint32_t)by, __ATOMIC_RELAXED);
}

static inline uint32_t fw_counted(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The counter of bindings of the source that sends by this key. */
static inline uint32_t fw_bindings_slot(const struct firewall *fw, const struct fw_key *k)
{
	struct ip_addr source = addr_source(fw_key_src(k));

	return siphash13(fw->limits.hash_key, source.b, sizeof source.b) % FW_SOURCES;
}

/* ICMP queries and protocols without ports have none. */
static inline bool fw_has_bindings(uint8_t proto)
{
	return proto == IP_TCP || proto == IP_UDP;
}

static inline bool fw_nat_is_persistent(const struct snap_nat_rule *rule, uint8_t proto)
{
	return rule->filtering != NAT_NOT_PERSISTENT && fw_has_bindings(proto);
}

/* A binding of persistent NAT or a block of ports: no session. */
static inline bool fw_is_binding(const struct fw_session *s)
{
	return s->flags & FW_SESSION_BINDING;
}

/* The second key of the binding with this translated address and port. */
static inline struct fw_key fw_mapped_key(const struct ip_addr *addr, uint16_t port, uint8_t proto)
{
	struct fw_key k = {
		.dst_port = port, .family = addr->family, .proto = proto, .kind = FW_KEY_BINDING
	};

	memcpy(k.dst, addr->b, 16);
	return k;
}

/* Has the record been looked at? Of others nothing is used, and their places are not free. */
static inline bool fw_is_known(const struct firewall *fw, uint32_t index)
{
	const struct fw_adopt *a = &fw->adopt;

	return index >= a->end || index < a->cursor || a->known[index / 64] >> index % 64 & 1;
}

/* Do other workers have records that they do not know? */
static inline bool fw_others_adopt(const struct firewall *fw)
{
	for (uint32_t i = 0; i < fw->all_n; i++)
		if (fw->all[i] != fw && __atomic_load_n(&fw->all[i]->adopt.hinted, __ATOMIC_RELAXED) > 0)
			return true;
	return false;
}

/* A session that is not known may use any binding. */
static inline bool fw_bindings_held(const struct firewall *fw)
{
	return fw->adopt.phase == FW_ADOPT_RECORDS || fw->adopt.phase == FW_ADOPT_BINDINGS;
}

/* The worker where packets with this key are at home; 0 with one. */
static inline uint32_t fw_key_home(const struct firewall *fw, const struct fw_key *k)
{
	struct ip_addr src = { .family = k->family }, dst = src;

	memcpy(src.b, k->src, sizeof src.b);
	memcpy(dst.b, k->dst, sizeof dst.b);
	return fw->limits.workers == 1
		       ? 0
		       : flow_home(flow_hash(&fw->flow, &src, k->src_port, &dst, k->dst_port, k->proto),
				 fw->limits.workers);
}

/* The same for one end alone. */
static inline uint32_t fw_end_home(const struct firewall *fw, const struct ip_addr *a, uint16_t port)
{
	return fw->limits.workers == 1 ? 0 : flow_home(flow_end_hash(&fw->flow, a, port), fw->limits.workers);
}

/* Keys whose packets other workers get. */
static inline uint64_t fw_redirects_n(const struct firewall *fw)
{
	return fw->counters.redirects_now + fw->counters.expectations_elsewhere;
}

/* A record that nobody uses yet, or any more. */
static inline struct fw_place fw_place_empty(void)
{
	return (struct fw_place){ .slot = FW_NONE, .evict_class = FW_EVICT_PROTECTED, .binding = FW_NONE };
}

/* Is the client's address or port another one for the server? */
static inline bool fw_source_translated(const struct fw_session *s)
{
	const struct fw_key *a = &s->key[0], *b = &s->key[1];

	return memcmp(a->src, b->dst, sizeof a->src) != 0 || a->src_port != b->dst_port;
}

/* Is the server's address or port another one than the client asked for? Of ICMP both ports are the identifier, which
 * source NAT changes. */
static inline bool fw_destination_translated(const struct fw_session *s)
{
	const struct fw_key *a = &s->key[0], *b = &s->key[1];

	return memcmp(a->dst, b->src, sizeof a->dst) != 0 ||
	       (!fw_is_icmp(a->proto) && a->dst_port != b->src_port);
}

/* The direction of a train with a session. */
static inline uint32_t fw_direction(const struct train *t)
{
	return t->flags & TRAIN_REPLY ? 1 : 0;
}

static inline uint32_t fw_zone_in(const struct train *t)
{
	return t->flags & TRAIN_FROM_HOST ? FW_ZONE_HOST : t->in_zone;
}

/* The number that the session's zone of direction d has now. */
static inline uint32_t fw_zone_now(const struct firewall *fw, const struct fw_session *s, uint32_t d)
{
	uint32_t zone = s->zones.zone[d];

	return zone == FW_ZONE_HOST || s->zones.epoch == fw->state->epoch
		       ? zone
		       : fw->zone_map[s->zones.epoch % FW_EPOCHS][zone % ZONES_MAX];
}

/* The policy that the session's zones and rules are numbered by. */
static inline struct fw_policy *fw_policy_of(const struct firewall *fw, const struct fw_session *s)
{
	return s->zones.epoch == fw->state->epoch ? fw->policy : fw->past[s->zones.epoch % FW_EPOCHS];
}

/* One store of one word, so that a kill leaves no mixture. */
static inline void fw_zones_store(struct fw_session *s, struct fw_zones z)
{
	uint64_t word;

	memcpy(&word, &z, sizeof word);
	__atomic_store_n((uint64_t *)(void *)&s->zones, word, __ATOMIC_RELEASE);
}

#endif
