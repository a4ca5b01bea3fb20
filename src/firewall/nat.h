/* Translation of sources: pools, blocks of ports, bindings of persistent NAT and who may use them; a part of internal.h. */
#ifndef FIREWALL_NAT_H
#define FIREWALL_NAT_H

#include "firewall/firewall.h"

struct fw_tuple;

static inline bool fw_is_block(const struct fw_session *s)
{
	return s->flags & FW_SESSION_BLOCK;
}

/* The second key of the block that begins at this port. */
static inline struct fw_key fw_block_key(const struct ip_addr *addr, uint16_t first)
{
	struct fw_key k = { .dst_port = first, .family = addr->family, .kind = FW_KEY_BLOCK };

	memcpy(k.dst, addr->b, 16);
	return k;
}

/* Of a block's record: whether the shell has the record of the log, or this process's ring. */
enum { FW_BLOCK_UNLOGGED, FW_BLOCK_LOGGED, FW_BLOCK_IN_RING };

static inline uint32_t fw_block_size(const struct fw_session *b)
{
	return (uint32_t)b->key[0].dst_port * NAT_BLOCK_MIN;
}

/* What a rule of source NAT is asked for. */
struct fw_nat_ask {
	const struct snap_nat_rule *rule;
	uint32_t index;			 /* TRAIN_NONE: of none that is configured */
	uint32_t zone;			 /* where the packet came in */
	const struct ip_addr *interface; /* its own address */
	bool dry; /* for fw_consider(): no session is evicted, and no block of ports is taken */
};

/* claims.c: ports in units of NAT_BLOCK_MIN; addr: of IPv4 */
struct fw_claims;
struct fw_claims *fw_claims_new(const struct firewall *fw); /* NULL: out of memory */
void fw_claims_free(const struct firewall *fw, struct fw_claims *c);
/* False: some of them are taken, or there is no room for the address. */
bool fw_claim_take(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports);
void fw_claim_give(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports);
/* The first that is free of so many blocks, which follow each other from this port on; the search goes round from `begin`. */
bool fw_claim_search(struct fw_claims *c, const struct ip_addr *addr, uint32_t port, uint32_t ports,
	uint32_t blocks, uint32_t begin, uint16_t *ret_first);
/* The first port of the block that has this port; false: none has. */
bool fw_claim_begins(struct fw_claims *c, const struct ip_addr *addr, uint16_t port, uint16_t *ret_first);
/* Rows of addresses without blocks go, when few are free. While one thread alone runs. */
void fw_claims_purge(struct firewall *fw);

/* pool.c */
uint32_t fw_addr_low(const struct ip_addr *a); /* its last 32 bits */
/* Where a source begins in a pool or range. */
uint64_t fw_source_place(const struct firewall *fw, const struct ip_addr *addr);
/* The address of the range that the source's own address chooses. */
struct ip_addr fw_range_addr(
	const struct firewall *fw, const struct ip_range *range, const struct ip_addr *source);
struct ip_addr fw_pool_addr(const struct snapshot *s, const struct snap_nat_rule *rule, uint64_t place);

/* Both included. */
struct fw_nat_ports {
	uint16_t first, last;
};
struct fw_nat_place {
	struct ip_addr addr;
	struct fw_nat_ports ports;
};

/* blocks.c */
/* The host's blocks of which new sessions by the rule may have ports, the newest first. */
uint32_t fw_blocks_find(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_key *forward,
	mono_ns now, uint32_t ret_blocks[NAT_BLOCKS_OF_HOST]);
/* Older than active-block-timeout: another one is preferred. */
bool fw_block_is_aged(
	const struct firewall *fw, const struct snap_nat_rule *rule, uint32_t block, mono_ns now);
/* A further block for the host, at this address; addr NULL: at any of the pool. has: how many it has. With ask->dry it is
 * given back at once, *ret_block is FW_NONE, and no worker may run meanwhile. */
enum drop_reason fw_block_new(struct firewall *fw, const struct fw_nat_ask *ask, const struct fw_key *forward,
	uint32_t has, const struct ip_addr *addr, mono_ns now, struct fw_nat_place *ret_place,
	uint32_t *ret_block);
struct fw_nat_ports fw_block_ports(const struct fw_session *block);
/* By the newest policy, a block or a binding; rule_of_it: the rule that serves it now, or TRAIN_NONE. One that is in use
 * stays without a zone and a rule until it is not. */
typedef uint32_t fw_bound_rule(const struct firewall *fw, const struct fw_session *b, uint32_t zone);
bool fw_bound_judge(struct firewall *fw, uint32_t index, fw_bound_rule *rule_of_it, mono_ns now);
/* A block under an earlier policy finds its rule. False: it has none, is not in use and has ended. */
bool fw_block_judge(struct firewall *fw, uint32_t index, mono_ns now);

/* nat.c */
/* The ports that the client of a session, which the rule has translated, may have; false: it has none. */
bool fw_nat_ports(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_session *s,
	struct fw_nat_ports *ret_ports);
/* *ret_block: of a rule with dynamic blocks, the one that it is in; FW_NONE: none, or with ask->dry one that would be
 * taken. */
enum drop_reason fw_nat_allocate(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key *forward, struct fw_key *reply, mono_ns now, uint32_t *ret_block);

/* binding.c */
/* The binding of the inside address and port that a rule with persistent-nat translates; FW_NONE: none yet. */
uint32_t fw_binding_find(struct firewall *fw, const struct snap_nat_rule *rule,
	const struct ip_addr *interface, const struct fw_key *forward, mono_ns now);
/* May the inside host of this key have one binding more by the rule? */
bool fw_binding_has_room(
	const struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_key *forward);
/* The one that has this translated address and port; FW_NONE: none. */
uint32_t fw_binding_at(struct firewall *fw, const struct ip_addr *addr, uint16_t port, uint8_t proto);
/* The binding for a session with these keys, made where there is none; one more session uses it. block: that its port
 * is in. */
enum drop_reason fw_binding_take(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key key[2], uint32_t block, mono_ns now, uint32_t *ret_binding);
/* A binding under an earlier policy finds its rule. False: it has none, is not in use and has ended. */
bool fw_binding_judge(struct firewall *fw, uint32_t index, mono_ns now);

/* permit.c */
bool fw_permits_attach(struct firewall *fw); /* false: out of memory */
void fw_permits_detach(struct firewall *fw);
/* One more session by the binding with its remote address (1), or one less (-1). */
void fw_permit_count(struct firewall *fw, uint32_t binding, const struct fw_session *s, int by);
bool fw_permit_holds(const struct firewall *fw, uint32_t binding, const struct ip_addr *remote);

/* inward.c */
/* What policy says of a session that the other side begins by a binding; t: with the inside address and port. */
enum rule_action fw_inward_policy(const struct firewall *fw, const struct fw_tuple *t, uint16_t remote_port,
	uint32_t *ret_rule, uint32_t *ret_timeout_s);
/* Does its binding stand under the loaded policy, and its filtering still permit the session? */
bool fw_inward_stays(
	struct firewall *fw, uint32_t index, uint32_t from_zone, mono_ns now, uint32_t *ret_nat_rule);
/* The inside host has sent a packet of it: it holds its binding from now on. False: there is none any more. */
bool fw_inward_answered(struct firewall *fw, uint32_t index);

#endif
