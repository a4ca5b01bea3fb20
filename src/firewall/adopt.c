/*
 * Adoption: the sessions of a former process become this one's, each at its first packet or when something else asks
 * for it, and the others in pieces between bursts (fw_adopt(), which fw_sweep() calls). So the first packet does not
 * wait for all of them, and no call takes longer the more there are.
 *
 * A record that has not been looked at is in no list, timer or counter and occupies its place. What does not stand in
 * the index is looked for in those of the former processes (index.c): each process that dies before it has adopted all
 * leaves one more. Where the memory has no room for another one, the oldest is given up, and what only that one names is
 * found by the walk alone.
 *
 * Nothing ends meanwhile that is not known: limits count what has been adopted, the evaluation by a new policy and what
 * follows it (load.c) come after adoption, and bindings are held until all of their sessions are known.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

enum verdict {
	ADOPTED,
	OVER,	/* sound, and its zone is gone */
	UNSOUND /* or another one has its key */
};

static void known_set(struct firewall *fw, uint32_t i)
{
	fw->adopt.known[i / 64] |= 1ull << i % 64;
}

/* Before a policy is loaded sessions stand under that of the header's epoch: what they may is decided when one is loaded.
 * False: a zone is gone. */
static bool zones_adopt(struct firewall *fw, struct fw_session *s)
{
	struct fw_zones z = { { (uint16_t)fw_zone_now(fw, s, 0), (uint16_t)fw_zone_now(fw, s, 1) },
		fw->state->epoch };
	bool gone = z.zone[0] == FW_ZONE_GONE || z.zone[1] == FW_ZONE_GONE;

	if (gone && !fw_is_binding(s))
		return false;
	if (gone) /* it may be in use */
		z.zone[0] = z.zone[1] = FW_ZONE_HOST;
	if (fw->policy) { /* evaluated by it before anything else is done with the session */
		z.epoch = s->zones.epoch;
		if (!gone)
			return true;
	}
	fw_zones_store(s, z);
	return true;
}

uint32_t fw_binding_of_session(struct firewall *fw, const struct fw_session *s)
{
	bool inward = s->flags & FW_SESSION_INWARD;
	const struct fw_key *inside = &s->key[inward], *outside = &s->key[!inward];
	struct ip_addr to = fw_key_dst(outside);
	struct fw_key k = fw_mapped_key(&to, outside->dst_port, outside->proto);
	uint32_t direction, index = fw_session_find(fw, &k, fw_key_hash(fw, &k), &direction);
	const struct fw_key *b = index == FW_NONE ? NULL : &fw->sessions[index].key[0];

	return b && memcmp(b->src, inside->src, sizeof b->src) == 0 && b->src_port == inside->src_port
		       ? index
		       : FW_NONE;
}

uint32_t fw_block_at(struct firewall *fw, const struct ip_addr *addr, uint16_t port)
{
	uint32_t direction;
	uint16_t first;

	if (fw->counters.blocks_now == 0 || addr->family != ADDR_V4 ||
		!fw_claim_begins(fw->all[0]->claims, addr, port, &first))
		return FW_NONE;
	struct fw_key k = fw_block_key(addr, first);
	return fw_index_find(fw, &k, fw_key_hash(fw, &k), &direction);
}

uint32_t fw_block_of_keys(struct firewall *fw, const struct fw_key key[2])
{
	struct ip_addr ends[2] = { fw_key_src(&key[0]), fw_key_src(&key[1]) },
		       seen[2] = { fw_key_dst(&key[1]), fw_key_dst(&key[0]) };
	uint16_t port[2] = { key[1].dst_port, key[0].dst_port };
	uint32_t block = FW_NONE;

	for (uint32_t side = 0; side < 2 && block == FW_NONE && fw->counters.blocks_now > 0; side++)
		if (!addr_equal(&ends[side], &seen[side]))
			block = fw_block_at(fw, &seen[side], port[side]);
	return block;
}

/* What a session uses. One that the inside host has not answered uses none yet. Blocks are all known, and claim their
 * ports, when all records are. */
static uint32_t use_of_session(struct firewall *fw, const struct fw_session *s)
{
	uint32_t binding = FW_NONE;

	if (!(s->flags & FW_SESSION_TRANSLATED) ||
		(s->flags & FW_SESSION_INWARD && !(s->flags & FW_SESSION_CONFIRMED)))
		return FW_NONE;
	if (fw_has_bindings(s->key[0].proto))
		binding = fw_binding_of_session(fw, s);
	return binding == FW_NONE && fw->adopt.phase == FW_ADOPT_BINDINGS ? fw_block_of_keys(fw, s->key)
									  : binding;
}

/* What a binding uses, its block; and a block, its host's first one. */
static uint32_t use_of_binding(struct firewall *fw, const struct fw_session *b)
{
	struct ip_addr as = fw_key_dst(&b->key[1]);
	struct fw_key first = b->key[0];
	uint32_t direction;

	if (!fw_is_block(b))
		return fw_block_at(fw, &as, b->key[1].dst_port);
	first.src_port = 0;
	return b->key[0].src_port == 0 ? FW_NONE
				       : fw_session_find(fw, &first, fw_key_hash(fw, &first), &direction);
}

static void binding_hold(struct firewall *fw, uint32_t i)
{
	const struct fw_session *s = &fw->sessions[i];
	uint32_t binding = fw_is_binding(s) ? use_of_binding(fw, s) : use_of_session(fw, s);

	if (binding == FW_NONE)
		return;
	fw->place[i].binding = binding;
	fw_session_hold(fw, binding);
	fw_permit_count(fw, binding, s, 1);
}

/* False: another one has its ports. */
static bool block_claim(struct firewall *fw, struct fw_session *b)
{
	struct ip_addr addr = fw_key_dst(&b->key[1]);

	if (!fw_claim_take(fw->all[0]->claims, &addr, b->key[1].dst_port, fw_block_size(b)))
		return false;
	b->block.logged = b->block.logged == FW_BLOCK_LOGGED ? FW_BLOCK_LOGGED : FW_BLOCK_UNLOGGED;
	return true;
}

static enum verdict adopt(struct firewall *fw, uint32_t i)
{
	struct fw_session *s = &fw->sessions[i];
	mono_ns far = fw->adopt.now + (uint64_t)UINT32_MAX * NS_PER_S;
	uint32_t d;

	assert(!fw_is_known(fw, i));
	if (!fw_record_sound(fw, s) ||
		fw_index_find(fw, &s->key[0], fw_key_hash(fw, &s->key[0]), &d) != FW_NONE ||
		fw_index_find(fw, &s->key[1], fw_key_hash(fw, &s->key[1]), &d) != FW_NONE)
		return UNSOUND;
	if (!zones_adopt(fw, s))
		return OVER;
	if (fw_is_block(s) && !block_claim(fw, s))
		return UNSOUND;
	known_set(fw, i);
	s->forwarding[0].generation = s->forwarding[1].generation =
		0; /* generations of routes are counted from the start of this process */
	/* A renewal is one store, so a time far ahead cannot be valid; and rules are numbered by a policy
	 * that is not loaded any more. */
	if (s->expires > far)
		s->expires = fw->adopt.now;
	s->rule = s->nat_rule = TRAIN_NONE;
	s->dnat_rule = FW_DNAT_NONE;
	s->interface[0] = s->interface[1] = (uint16_t)TRAIN_NONE;
	if (!fw_is_carried(s))
		s->carried = 0;
	fw->place[i] = fw_place_empty();
	fw_index_add(fw, i);
	fw_session_rearm(fw, i);
	s->flags &= (uint8_t)~FW_SESSION_HALF_OPEN;
	fw_shares_add(fw, i);
	fw->counters.sessions_now++;
	fw->counters.blocks_now += fw_is_block(s);
	fw->counters.bindings_now += fw_is_binding(s) && !fw_is_block(s);
	if (fw_is_binding(s) && !fw_is_block(s))
		fw_count(&fw->bindings_by_source[fw_bindings_slot(fw, &s->key[0])], 1);
	binding_hold(fw, i);
	fw_away_begin(fw, i);
	return ADOPTED;
}

uint32_t fw_session_find(struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction)
{
	uint32_t index = fw_index_find(fw, k, hash, ret_direction);

	if (index != FW_NONE || fw->adopt.end == 0)
		return index;
	index = fw_index_find_old(fw, k);
	if (index == FW_NONE || adopt(fw, index) != ADOPTED)
		return FW_NONE; /* the walk decides about it */
	return fw_index_find(fw, k, hash, ret_direction);
}

void fw_adopt_at(struct firewall *fw, uint32_t index)
{
	if (!fw_is_known(fw, index))
		adopt(fw, index);
}

/* ---- the walk ---- */

static void record_look(struct firewall *fw, uint32_t i)
{
	struct fw_session *s = &fw->sessions[i];
	enum verdict v = UNSOUND;

	if (fw_is_known(fw, i))
		return;
	if (s->live)
		v = adopt(fw, i);
	if (v == ADOPTED)
		return;
	fw->counters.records_discarded += s->live && v == UNSOUND;
	s->live = 0;
	fw_session_free(fw, i);
}

/* True: all records are known. */
static bool records_walk(struct firewall *fw, uint32_t *budget)
{
	struct fw_adopt *a = &fw->adopt;

	for (; a->cursor < a->end && *budget > 0; --*budget) {
		record_look(fw, a->cursor);
		a->cursor++;
	}
	fw->counters.adoption_left = a->end - a->cursor;
	if (a->cursor < a->end)
		return false;
	a->passed = a->end;
	a->end = 0;
	a->cursor = 0;
	return true;
}

/* Sessions whose binding was not found when they were adopted; and when all are known, bindings that none uses may
 * end. True: that was the last. */
static bool bindings_walk(struct firewall *fw, uint32_t *budget)
{
	struct fw_adopt *a = &fw->adopt;

	for (; a->cursor < a->passed && *budget > 0; a->cursor++, --*budget) {
		uint32_t i = a->cursor;
		if (!fw->sessions[i].live)
			continue;
		const struct fw_session *s = &fw->sessions[i];
		bool unlogged = fw_is_block(s) && s->block.logged == FW_BLOCK_UNLOGGED;
		if (a->phase == FW_ADOPT_BINDINGS && fw->place[i].binding == FW_NONE)
			binding_hold(fw, i);
		if (a->phase != FW_ADOPT_RELEASE || !fw_is_binding(s))
			continue;
		if (unlogged)
			fw_log_block(fw, fw_policy_of(fw, s), i, FW_LOG_BLOCK_TAKEN, FW_END_COUNT, a->now);
		fw_shares_update(fw, i);
	}
	if (a->cursor < a->passed)
		return false;
	a->cursor = 0;
	return true;
}

bool fw_adopt(struct firewall *fw, mono_ns now, uint32_t *budget)
{
	struct fw_adopt *a = &fw->adopt;

	if (a->others)
		a->others = fw_others_adopt(fw);
	if (a->phase == FW_ADOPT_NONE)
		return true;
	a->now = now;
	/* Notes about the last ones have gone since the last piece: now others find all by their redirects. */
	if (a->phase != FW_ADOPT_RECORDS)
		__atomic_store_n(&a->hinted, 0, __ATOMIC_RELAXED);
	if (a->phase == FW_ADOPT_RECORDS && records_walk(fw, budget))
		a->phase = fw->counters.bindings_now + fw->counters.blocks_now > 0 ? FW_ADOPT_BINDINGS
										   : FW_ADOPT_CLEAN;
	if (a->phase == FW_ADOPT_BINDINGS && bindings_walk(fw, budget))
		a->phase = FW_ADOPT_RELEASE;
	if (a->phase == FW_ADOPT_RELEASE && bindings_walk(fw, budget))
		a->phase = FW_ADOPT_CLEAN;
	if (a->phase == FW_ADOPT_CLEAN && a->hinted == 0 && *budget > 0) {
		*budget = 0; /* a piece of the memory costs as much as a piece of the walk */
		if (fw_index_clean(fw))
			a->phase = FW_ADOPT_NONE;
	}
	return a->phase == FW_ADOPT_NONE || a->phase == FW_ADOPT_CLEAN;
}

void fw_adopt_all(struct firewall *fw)
{
	uint32_t budget;

	do
		budget = UINT32_MAX;
	while (!fw_adopt(fw, fw->adopt.now, &budget));
}

/* ---- of other workers ---- */

uint32_t fw_adopted_elsewhere(const struct firewall *fw, const struct fw_key *k)
{
	for (uint32_t i = 0; fw->adopt.others && i < fw->all_n; i++)
		if (fw->all[i] != fw && fw_index_hint(fw->all[i], k))
			return i;
	return FW_NONE;
}

/* ---- new records, and the beginning ---- */

uint32_t fw_record_new(struct firewall *fw, const struct fw_key key[2], mono_ns now)
{
	uint32_t some = FW_ADOPT_ROOM;

	if (fw->adopt.end > 0 && fw->free_first == FW_NONE && fw->state->used == fw->limits.sessions_max) {
		fw->changes++;
		fw_adopt(fw, now, &some);
	}
	return fw_session_new(fw, key, now);
}

bool fw_adopt_begin(struct firewall *fw, bool zero, mono_ns now)
{
	struct fw_adopt *a = &fw->adopt;
	uint32_t n = MIN_OF(fw->state->used, fw->limits.sessions_max);

	fw->state->used = n;
	if (!fw_index_begin(fw, zero))
		return false;
	a->epoch = fw->state->epoch;
	a->now = now;
	a->known = calloc(n / 64 + 1, sizeof *a->known);
	a->end = a->hinted = n;
	fw->counters.adoption_left = n;
	a->phase = n > 0 ? FW_ADOPT_RECORDS : a->olds_n > 0 ? FW_ADOPT_CLEAN : FW_ADOPT_NONE;
	return a->known != NULL;
}
