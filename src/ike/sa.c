/*
 * An IKE SA as a value: made, changed in state, its keys, freed. The state changes in sa_enter() alone.
 * How it ends: end.c.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdlib.h>

#define TO(s) (1u << ST_##s)

/* Which state may follow which. */
static const uint32_t legal[ST_COUNT] = {
	[ST_NONE] = TO(KEYS_OWN) | TO(KEYS_PEER) | TO(LARVAL),
	[ST_KEYS_OWN] = TO(INIT_SENT) | TO(DEAD),
	[ST_INIT_SENT] = TO(KEYS_OWN) | TO(ADDITIONAL_SENT) | TO(AUTH_SENT) | TO(DEAD),
	[ST_ADDITIONAL_SENT] = TO(AUTH_SENT) | TO(DEAD),
	[ST_AUTH_SENT] = TO(UP) | TO(CLOSING) | TO(DEAD),
	[ST_KEYS_PEER] = TO(AUTH_WAIT) | TO(DEAD),
	[ST_AUTH_WAIT] = TO(UP) | TO(FAILED) | TO(DEAD),
	[ST_LARVAL] = TO(UP) | TO(DEAD),
	[ST_UP] = TO(REPLACED) | TO(CLOSING) | TO(FAILED) | TO(DEAD),
	[ST_REPLACED] = TO(CLOSING) | TO(FAILED) | TO(DEAD),
	[ST_CLOSING] = TO(FAILED) | TO(DEAD),
	[ST_FAILED] = TO(DEAD),
	[ST_DEAD] = 0,
};

struct ike_sa *sa_new(struct ike *c, bool initiator)
{
	struct ike_sa *sa;

	if (c->free_n == 0)
		return NULL;
	sa = ike_alloc(sizeof *sa);
	sa->slot = c->free_slots[--c->free_n];
	assert(sa->slot < IKE_SAS_MAX && !c->slots[sa->slot]);
	c->slots[sa->slot] = sa;
	sa->serial = ++c->serials;
	sa->initiator = initiator;
	sa->peer = sa->first_tunnel = INDEX_NONE;
	sa->asks_end = &sa->asks;
	sa->steps[SIDE_PEER].side = SIDE_PEER;
	sa->since = sa->heard_at = c->now;
	sa->due.kind = DUE_IKE_SA;
	list_init(&sa->children);
	list_init(&sa->wanting);
	list_init(&sa->unsure);
	link_last(&c->sas, &sa->of_all);
	sa_touch(c, sa);
	return sa;
}

static bool half_open(enum ike_state s)
{
	return s == ST_KEYS_PEER || s == ST_AUTH_WAIT;
}

/* ---- those that we begin: so many at once ---- */

bool sa_may_begin(const struct ike *c)
{
	return c->beginning_n < IKE_BEGINNING_MAX && c->begun_n < IKE_BEGUN_MAX;
}

void sa_next_turn(struct ike *c)
{
	struct tunnel *t = LIST_FIRST(&c->turns, struct tunnel, of_turn);

	if (!t || !sa_may_begin(c))
		return;
	link_out(&t->of_turn);
	t->has_turn = true;
	tunnel_touch(c, (uint32_t)(t - c->tunnels));
}

void sa_begin(struct ike *c, struct ike_sa *sa)
{
	assert(sa_may_begin(c) && !sa->begun);
	sa->begun = sa->beginning = true;
	c->begun_n++;
	c->beginning_n++;
}

void sa_unanswered(struct ike *c, struct ike_sa *sa)
{
	if (!sa->beginning)
		return;
	sa->beginning = false;
	c->beginning_n--;
	sa_next_turn(c);
}

static void sa_begun_over(struct ike *c, struct ike_sa *sa)
{
	if (!sa->begun)
		return;
	sa->begun = false;
	c->begun_n--;
	sa_unanswered(c, sa);
	sa_next_turn(c);
}

void sa_enter(struct ike *c, struct ike_sa *sa, enum ike_state state)
{
	assert(legal[sa->state] >> state & 1);
	if (half_open(state) && !half_open(sa->state)) {
		sa->source = source_slot(c, &sa->remote.addr);
		c->half_open_at[sa->source]++;
	} else if (half_open(sa->state) && !half_open(state)) {
		assert(c->half_open_at[sa->source] > 0);
		c->half_open_at[sa->source]--;
		/* one whose time was over has counted for all of it */
		if (state != ST_UP && c->now < sa->since + IKE_HALF_OPEN_S * NS_PER_S)
			init_burn(c, sa->source);
	}
	if (state != ST_INIT_SENT)
		solve_drop(sa);
	c->half_open += half_open(state);
	c->half_open -= half_open(sa->state);
	c->failed_n += state == ST_FAILED;
	c->failed_n -= sa->state == ST_FAILED;
	link_out(&sa->of_state);
	if (state == ST_AUTH_WAIT || state == ST_FAILED)
		link_last(state == ST_FAILED ? &c->failed : &c->waiting, &sa->of_state);
	if (!half_open(state))
		link_out(&sa->of_peer_spi);
	if (state == ST_FAILED || state == ST_DEAD)
		sa_leave_peer(c, sa);
	if (state == ST_DEAD)
		link_out(&sa->of_spi);
	sa->state = state;
	if (state >= ST_UP)
		sa_begun_over(c, sa);
	sa_touch(c, sa);
}

/* Both sides have a timer; different random intervals keep them from rekeying at the same moment. */
static mono_ns rekey_time(struct ike *c, bool ours, uint32_t lifetime_s)
{
	uint64_t lo = ours ? IKE_REKEY_OURS_FROM : IKE_REKEY_THEIRS_FROM,
		 hi = ours ? IKE_REKEY_OURS_TO : IKE_REKEY_THEIRS_TO;

	return c->now + lifetime_s * NS_PER_S / 1000 * ike_jitter(c, lo, hi);
}

/* It could have been: on this machine, by one of the peer's proposals. */
static bool wants_additional(const struct ike *c, const struct snap_peer *p)
{
	for (uint32_t i = 0; i < p->proposals.count; i++) {
		const struct snap_ike_proposal *ours = &snap_ike_proposals(c->snap)[p->proposals.first + i];

		if (ours->additional[0] != 0 && proposal_is_usable(c, p, ours))
			return true;
	}
	return false;
}

void sa_established(struct ike *c, struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	assert(sa->state == ST_UP);
	sa->since = sa->heard_at = c->now;
	if (!sa->want_delete)		 /* which its reason is for */
		text_clear(&sa->reason); /* of an earlier attempt with this SA */
	sa->rekey_at = rekey_time(c, sa->initiator, p && p->rekey_s ? p->rekey_s : IKE_LIFETIME_S);
	sa->expire_at =
		c->now + (p && p->rekey_s ? p->rekey_s : IKE_LIFETIME_S) * NS_PER_S / 1000 * IKE_SA_EXPIRE;
	if (sa->we_natted && sa->encap)
		sa->keepalive_at = c->now + IKE_KEEPALIVE_S * NS_PER_S;
	nonce_set_lower(&sa->lowest, &sa->nonce_i, sa->nonce_r.at, sa->nonce_r.n);
	blob_free(&sa->nonce_i);
	blob_free(&sa->nonce_r);
	blob_free(&sa->init_ours);
	blob_free(&sa->init_theirs);
	if (p && sa->additional[0] == 0 && wants_additional(c, p))
		ike_log(c, true,
			"peer %s: the IKE SA has no additional key exchange (ML-KEM), which is configured as "
			"well: the peer cannot do it, or prefers none",
			p->name);
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		sa_touch(c, other); /* one without children is redundant now (settle.c) */
}

void hold_drop(struct ike_sa *sa)
{
	if (sa->hold)
		link_out(&sa->hold->of_held);
	free(sa->hold);
	sa->hold = NULL;
}

void sa_memory_free(struct ike_sa *sa)
{
	struct link *links[] = { &sa->of_all, &sa->of_dirty, &sa->of_spi, &sa->of_peer_spi, &sa->of_peer,
		&sa->of_state };

	assert(list_empty(&sa->children) && !sa->asks && sa->due.place == 0);
	for (size_t i = 0; i < COUNT_OF(links); i++)
		link_out(links[i]);
	blob_free(&sa->init_ours);
	blob_free(&sa->init_theirs);
	blob_free(&sa->nonce_i);
	blob_free(&sa->nonce_r);
	blob_free(&sa->lowest);
	blob_free(&sa->user);
	blob_free(&sa->intermediate);
	blob_free(&sa->crash_token);
	blob_free(&sa->send_to);
	blob_free(&sa->request);
	blob_free(&sa->peer_request);
	blob_free(&sa->response);
	gathered_free(&sa->gathered[SIDE_OWN]);
	gathered_free(&sa->gathered[SIDE_PEER]);
	peer_messages_free(sa);
	step_values_free(&sa->steps[SIDE_OWN]);
	step_values_free(&sa->steps[SIDE_PEER]);
	solve_drop(sa);
	followup_free(sa);
	hold_drop(sa);
	free(sa->reason);
	free(sa->redirect_name);
	free(sa->redirected_from);
	bytes_wipe(sa, sizeof *sa);
	free(sa);
}

void sa_free_dead(struct ike *c, struct ike_sa *sa)
{
	assert(sa->state == ST_DEAD && c->slots[sa->slot] == sa && c->free_n < IKE_SAS_MAX);
	due_set(c, &sa->due, 0);
	c->slots[sa->slot] = NULL;
	c->free_slots[c->free_n++] = sa->slot;
	sa_memory_free(sa);
}

void sa_fill_answer(struct keeper_exchange_answer *q, const struct ike_sa *sa, uint32_t parent,
	const struct ike_payloads *theirs)
{
	assert(!sa->initiator && theirs->nonce.n <= sizeof q->peer_nonce &&
		theirs->ke.n <= sizeof q->peer_ke);
	q->parent = parent;
	q->dh_group = sa->dh;
	q->prf = sa->prf;
	q->encr = sa->encr;
	q->encr_bits = sa->encr_bits;
	if (additional_is_due(sa)) /* else what it names is in its keys already */
		memcpy(q->additional, sa->additional, sizeof q->additional);
	memcpy(q->spi_i, sa->spi_i, 8);
	q->peer_nonce_n = (uint16_t)theirs->nonce.n;
	memcpy(q->peer_nonce, theirs->nonce.at, theirs->nonce.n);
	q->peer_ke_n = (uint16_t)theirs->ke.n;
	memcpy(q->peer_ke, theirs->ke.at, theirs->ke.n);
}

void sa_take_choice(struct ike_sa *sa, const struct choice *choice)
{
	sa->encr = choice->encr;
	sa->encr_bits = choice->encr_bits;
	sa->prf = choice->prf;
	sa->dh = choice->dh;
	memcpy(sa->additional, choice->additional, sizeof sa->additional);
}

bool sa_take_keys(struct ike_sa *sa, const struct keeper_sk_e *sk_e)
{
	const uint8_t *out = sa->initiator ? sk_e->ei : sk_e->er, *in = sa->initiator ? sk_e->er : sk_e->ei;

	return sk_e->n <= KEYMAT_MAX &&
	       aead_key_init(&sa->key_out, sa->encr, sa->encr_bits, out, sk_e->n) == RC_OK &&
	       aead_key_init(&sa->key_in, sa->encr, sa->encr_bits, in, sk_e->n) == RC_OK;
}

const char *ike_state_text(enum ike_state s)
{
	static const char *const texts[] = {
#define E(id, text) text,
		IKE_STATES(E)
#undef E
	};

	return s < ST_COUNT ? texts[s] : "?";
}

void step_done(struct ike *c, struct ike_sa *sa, struct step *st)
{
	const struct ike_row *row = st->row;

	if (!row || row->next == ST_COUNT) /* ST_COUNT: the handler decides, the state stays */
		return;
	if (sa->state != row->next)
		sa_enter(c, sa, row->next);
	sa->timer_at = row->timer_s ? c->now + row->timer_s * NS_PER_S : 0;
}
