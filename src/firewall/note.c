/*
 * Which worker a packet belongs to, and what other workers write about sessions that they have (away.c).
 */
#include "firewall/internal.h"

#include <assert.h>

bool fw_is_home(const struct firewall *fw, const struct train *t)
{
	return fw->limits.workers == 1 ||
	       flow_home(flow_hash_train(&fw->flow, t), fw->limits.workers) == fw->limits.worker;
}

static bool is_here(const struct firewall *fw, const struct fw_key *k)
{
	uint32_t direction;

	return fw_index_find(fw, k, fw_key_hash(fw, k), &direction) != FW_NONE ||
	       fw_index_find_old(fw, k) != FW_NONE;
}

/* While others adopt sessions they have not announced which are away: what may be one of those goes to them, and they
 * decide about it. */
uint32_t fw_home(const struct firewall *fw, const struct train *t)
{
	struct fw_key key;

	if (fw->limits.workers == 1 || t->flags & TRAIN_REDIRECTED)
		return fw->limits.worker;
	uint32_t home = flow_home(flow_hash_train(&fw->flow, t), fw->limits.workers);
	if (home != fw->limits.worker || (fw_redirects_n(fw) == 0 && !fw->adopt.others) ||
		t->flags & TRAIN_FRAGMENT || !fw_key_wanted(t, &key))
		return home;
	uint32_t owner = fw_redirect_find(fw, &key);
	if (owner == FW_NONE && fw->adopt.others) {
		if (is_here(fw, &key))
			return home;
		owner = fw_adopted_elsewhere(fw, &key);
	}
	if (owner == FW_NONE)
		owner = fw_expected_owner(fw, t, &key);
	return owner == FW_NONE ? home : owner;
}

/* One with this key that stands here: the second one would get the first one's packets. A new connection that begins
 * with it may use the ports of one that is closed. */
static bool taken(struct firewall *fw, const struct fw_note *note, mono_ns now)
{
	const struct fw_key *k = &note->key;
	uint32_t direction, index = fw_session_find(fw, k, fw_key_hash(fw, k), &direction);

	if (index != FW_NONE && note->direction == 0 && fw_is_closed(&fw->sessions[index])) {
		fw_session_end_by(fw, index, FW_END_REUSED, now);
		return false;
	}
	return index != FW_NONE && (!fw->policy || fw_session_judge(fw, index, now));
}

/* Its replies are another session's. Who tries again finds the key taken: another address of a pool is chosen, or the
 * exhaustion has its name. The key's own packets never come to this redirect, as their home is not here. */
static void refused(struct firewall *fw, const struct fw_key *k, mono_ns now)
{
	uint32_t direction, index = fw_session_find(fw, k, fw_key_hash(fw, k), &direction);

	if (index == FW_NONE || !fw->place[index].away_until_s)
		return;
	fw_session_end_by(fw, index, FW_END_COLLISION, now);
	if (direction == 1)
		fw_redirect_set(fw, k, fw_key_home(fw, k), (uint32_t)(now / NS_PER_S) + FW_REFUSED_S);
}

void fw_note(struct firewall *fw, const struct fw_note *note, mono_ns now)
{
	assert(fw->limits.workers > 1);
	switch ((enum fw_note_kind)note->kind) {
	case FW_NOTE_REDIRECT: {
		const struct fw_note answer = {
			.kind = FW_NOTE_REFUSED, .owner = note->owner, .key = note->key
		};
		assert(note->owner < fw->limits.workers && note->owner != fw->limits.worker);
		if (taken(fw, note, now) || !fw_redirect_set(fw, &note->key, note->owner, note->until_s))
			fw_note_put(fw, note->owner, &answer);
		break;
	}
	case FW_NOTE_END:
		fw_redirect_end(fw, &note->key, note->owner);
		break;
	case FW_NOTE_REFUSED:
		assert(note->owner == fw->limits.worker);
		refused(fw, &note->key, now);
		break;
	case FW_NOTE_EXPECT:
		assert(note->owner < fw->limits.workers && note->owner != fw->limits.worker);
		assert(note->key.kind == FW_KEY_EXPECTED && note->key.src_port == 0);
		if (!fw_redirect_set(fw, &note->key, note->owner, note->until_s))
			fw->counters.expectations_refused++;
		break;
	}
}

void fw_note_lost(struct firewall *fw, const struct fw_note *note)
{
	uint32_t direction, index;

	if (note->kind == FW_NOTE_EXPECT)
		fw_expected_lost(fw, &note->key);
	if (note->kind != FW_NOTE_REDIRECT)
		return;
	index = fw_session_find(fw, &note->key, fw_key_hash(fw, &note->key), &direction);
	if (index != FW_NONE && fw->place[index].away_until_s)
		fw->place[index].away_until_s = FW_AWAY_UNANNOUNCED;
}
