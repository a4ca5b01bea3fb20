/*
 * Sessions of which a direction is at home at another worker than the one that has them ("away"): by destination or
 * static NAT, and wherever no port can be chosen. The worker where that direction's packets arrive holds a redirect: a
 * key and who owns its session. This file has both sides' tables, and the notes that workers write to each other;
 * note.c reads them.
 *
 * The owner announces a session when it begins, again when its end has moved beyond what was announced (half a
 * timeout at a time, so seldom), and takes the redirect back when it ends. A note that is lost does no lasting harm: a redirect that
 * was not taken back ends by itself, and until then its packets go to a worker that decides about them as about any
 * first packet.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

/* What the others may announce. */
static uint32_t expected_max(const struct firewall *fw)
{
	return FW_EXPECT_MAX * (fw->limits.workers - 1);
}

bool fw_away_attach(struct firewall *fw)
{
	struct fw_away *a = &fw->away;
	uint32_t buckets = 1024, n = fw->limits.sessions_max + expected_max(fw);

	fw->flow = flow_key_make(fw->limits.flow_key);
	a->free_first = FW_NONE;
	if (fw->limits.workers == 1)
		return true;
	while (buckets < n)
		buckets *= 2;
	a->redirects_max = n;
	/* What is not used is not touched and costs nothing. */
	a->redirect = fw_table_new(fw, n * sizeof *a->redirect);
	a->bucket = fw_table_new(fw, buckets * sizeof *a->bucket);
	a->bucket_mask = buckets - 1;
	return a->redirect && a->bucket;
}

void fw_away_detach(struct firewall *fw)
{
	struct fw_away *a = &fw->away;

	fw_table_free(fw, a->redirect, a->redirects_max * sizeof *a->redirect);
	fw_table_free(fw, a->bucket, (a->bucket_mask + 1ull) * sizeof *a->bucket);
}

/* ---- redirects ---- */

/* Redirects of sessions, and of what is expected, have room of their own. */
static uint64_t *count_of(struct fw_counters *c, const struct fw_key *k)
{
	return k->kind & FW_KEY_EXPECTED ? &c->expectations_elsewhere : &c->redirects_now;
}

static bool is_full(struct firewall *fw, const struct fw_key *k)
{
	return *count_of(&fw->counters, k) >=
	       (k->kind & FW_KEY_EXPECTED ? expected_max(fw) : fw->limits.sessions_max);
}

static bool is_over(const struct firewall *fw, const struct fw_redirect *r)
{
	return r->until_s < fw->wheel_at_s;
}

/* The place of its number in the chain. */
static uint32_t *redirect_at(const struct firewall *fw, const struct fw_key *k)
{
	uint32_t *at = &fw->away.bucket[fw_key_hash(fw, k) & fw->away.bucket_mask];

	while (*at != 0 && !fw_key_equal(&fw->away.redirect[*at - 1].key, k))
		at = &fw->away.redirect[*at - 1].next;
	return at;
}

uint32_t fw_redirect_find(const struct firewall *fw, const struct fw_key *k)
{
	if (fw_redirects_n(fw) == 0)
		return FW_NONE;
	uint32_t number = *redirect_at(fw, k);
	return number == 0 || is_over(fw, &fw->away.redirect[number - 1])
		       ? FW_NONE
		       : fw->away.redirect[number - 1].owner;
}

static void redirect_remove(struct firewall *fw, uint32_t *at)
{
	struct fw_away *a = &fw->away;
	uint32_t index = *at - 1;
	uint64_t *count = count_of(&fw->counters, &a->redirect[index].key);

	assert(*at != 0 && *count > 0);
	*at = a->redirect[index].next;
	a->redirect[index] = (struct fw_redirect){ .owner = FW_NONE, .next = a->free_first };
	a->free_first = index;
	--*count;
}

/* Looks at the next `n` of them. */
static void redirects_sweep(struct firewall *fw, uint32_t n)
{
	struct fw_away *a = &fw->away;

	for (n = MIN_OF(n, a->used); n > 0; n--) {
		a->hand = a->hand + 1 < a->used ? a->hand + 1 : 0;
		const struct fw_redirect *r = &a->redirect[a->hand];
		if (r->owner != FW_NONE && is_over(fw, r))
			redirect_remove(fw, redirect_at(fw, &r->key));
	}
}

void fw_redirects_expire(struct firewall *fw, mono_ns now)
{
	struct fw_away *a = &fw->away;

	if (fw_redirects_n(fw) == 0 || a->swept_s == now / NS_PER_S)
		return;
	a->swept_s = now / NS_PER_S;
	redirects_sweep(fw, FW_REDIRECTS_EACH + a->used / FW_REDIRECTS_PARTS);
}

bool fw_redirect_set(struct firewall *fw, const struct fw_key *k, uint32_t owner, uint32_t until_s)
{
	struct fw_away *a = &fw->away;
	uint32_t *at = redirect_at(fw, k), index = *at - 1;

	if (*at != 0) {
		struct fw_redirect *r = &a->redirect[index];
		if (r->owner != owner && !is_over(fw, r) && !(k->kind & FW_KEY_EXPECTED))
			return false;
		r->owner = owner;
		r->until_s = until_s;
		return true;
	}
	if (is_full(fw, k))
		redirects_sweep(fw, FW_REDIRECTS_EACH);
	if (is_full(fw, k))
		return false;
	if (a->free_first != FW_NONE) {
		index = a->free_first;
		a->free_first = a->redirect[index].next;
	} else {
		assert(a->used < a->redirects_max);
		index = a->used++;
	}
	at = &a->bucket[fw_key_hash(fw, k) & a->bucket_mask];
	a->redirect[index] = (struct fw_redirect){ *k, owner, until_s, *at };
	*at = index + 1;
	++*count_of(&fw->counters, k);
	return true;
}

void fw_redirect_end(struct firewall *fw, const struct fw_key *k, uint32_t owner)
{
	uint32_t *at = fw_redirects_n(fw) > 0 ? redirect_at(fw, k) : NULL;

	if (at && *at != 0 && fw->away.redirect[*at - 1].owner == owner)
		redirect_remove(fw, at);
}

/* ---- notes to others ---- */

bool fw_note_put(struct firewall *fw, uint32_t worker, const struct fw_note *note)
{
	struct fw_away *a = &fw->away;
	/* Half of the room is for those that must arrive. */
	uint32_t room = note->kind == FW_NOTE_END ? FW_NOTES_MAX / 2 : FW_NOTES_MAX;

	assert(worker < fw->limits.workers && worker != fw->limits.worker);
	if (a->notes_n >= room)
		return false;
	uint32_t at = (a->notes_first + a->notes_n++) % FW_NOTES_MAX;
	a->notes[at].worker = worker;
	a->notes[at].note = *note;
	return true;
}

bool fw_take_note(struct firewall *fw, uint32_t *ret_worker, struct fw_note *ret_note)
{
	struct fw_away *a = &fw->away;

	if (a->notes_n == 0)
		return false;
	*ret_worker = a->notes[a->notes_first].worker;
	*ret_note = a->notes[a->notes_first].note;
	a->notes_first = (a->notes_first + 1) % FW_NOTES_MAX;
	a->notes_n--;
	return true;
}

/* ---- this worker's sessions ---- */

static struct fw_note note_of(const struct firewall *fw, uint32_t index, uint32_t direction)
{
	const struct fw_session *s = &fw->sessions[index];
	uint32_t spare = fw_session_timeout(fw, s) / 2 + FW_REDIRECT_SPARE_S;

	return (struct fw_note){ .kind = FW_NOTE_REDIRECT,
		.owner = fw->limits.worker,
		.direction = direction,
		.until_s = (uint32_t)(s->expires / NS_PER_S) + spare,
		.key = s->key[direction] };
}

void fw_away_announce(struct firewall *fw, uint32_t index)
{
	const struct fw_session *s = &fw->sessions[index];
	struct fw_place *p = &fw->place[index];
	bool lost = false;

	for (uint32_t d = 0; d < 2; d++) {
		uint32_t home = fw_key_home(fw, &s->key[d]);
		struct fw_note note;
		if (home == fw->limits.worker)
			continue;
		note = note_of(fw, index, d);
		lost |= !fw_note_put(fw, home, &note);
		/* If not, with the next packet. */
		p->away_until_s = lost ? FW_AWAY_UNANNOUNCED : note.until_s;
	}
}

void fw_away_begin(struct firewall *fw, uint32_t index)
{
	if (fw->limits.workers > 1 && !fw_is_binding(&fw->sessions[index]))
		fw_away_announce(fw, index);
}

void fw_away_end(struct firewall *fw, uint32_t index)
{
	const struct fw_session *s = &fw->sessions[index];

	for (uint32_t d = 0; d < 2 && fw->place[index].away_until_s; d++) {
		uint32_t home = fw_key_home(fw, &s->key[d]);
		const struct fw_note note = {
			.kind = FW_NOTE_END, .owner = fw->limits.worker, .key = s->key[d]
		};
		if (home != fw->limits.worker)
			fw_note_put(fw, home, &note);
	}
}
