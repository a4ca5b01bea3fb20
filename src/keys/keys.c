/*
 * The core's entry points: requests and their replies, receipts, and the loss of a link.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdlib.h>

struct keys *keys_new(struct keys_sink sink)
{
	struct keys *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->secrets = calloc(1, sizeof *k->secrets);
	k->ike = calloc(KEYS_IKE_MAX, sizeof *k->ike);
	k->children = calloc(KEYS_CHILDREN_MAX, sizeof *k->children);
	k->selectors = calloc(KEYS_PENDING_MAX, sizeof *k->selectors);
	k->instances = calloc(KEYS_CHILDREN_MAX, sizeof *k->instances);
	k->verdicts = calloc(KEYS_VERDICTS_MAX, sizeof *k->verdicts);
	if (!index_new(k) || !k->secrets || !k->ike || !k->children || !k->selectors || !k->instances ||
		!k->verdicts) {
		keys_free(k);
		return NULL;
	}
	k->pending = k->secrets->pending;
	k->rsa = k->secrets->rsa;
	k->identities = k->secrets->identities;
	k->sink = sink;
	k->next_entry_tag = 1;
	k->certifiers_down = (1u << KEYS_CERTIFIERS) - 1;
	return k;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	if (k->secrets) {
		bytes_wipe(k->secrets->ike, k->ike_n * sizeof k->secrets->ike[0]);
		bytes_wipe(k->secrets->children, k->children_n * sizeof k->secrets->children[0]);
		bytes_wipe(k->secrets->pending, k->pending_n * sizeof k->secrets->pending[0]);
		bytes_wipe(k->secrets->rsa, k->rsa_n * sizeof k->secrets->rsa[0]);
		bytes_wipe(k->secrets->identities, k->identities_n * sizeof k->secrets->identities[0]);
	}
	free(k->secrets);
	free(k->ike);
	for (size_t i = 0; k->children && i < k->children_n; i++)
		free(k->children[i].peer_ke);
	free(k->children);
	free(k->peers.slot);
	free(k->tunnels.slot);
	free(k->selectors);
	for (size_t i = 0; k->instances && i < k->children_n; i++)
		free(k->instances[i]);
	free(k->instances);
	free(k->verdicts);
	index_free(k);
	free(k);
}

void *keys_memory(struct keys *k, size_t *ret_n)
{
	*ret_n = sizeof *k->secrets;
	return k->secrets;
}

size_t keys_memory_fixed(void)
{
	return offsetof(struct keys_secrets, identities);
}

static void names_replace(struct names *t, const void *array, size_t each, uint32_t n)
{
	uint32_t slots_n = names_slots(n), *slot = calloc(slots_n, sizeof *slot);

	if (!slot)
		abort(); /* without it no peer would be found */
	free(t->slot);
	names_make(t, slot, slots_n, array, each, n);
}

void keys_configure(struct keys *k, const struct snapshot *snapshot)
{
	k->snapshot = snapshot;
	names_replace(&k->peers, snapshot ? snap_peers(snapshot) : NULL, sizeof(struct snap_peer),
		snapshot ? snapshot->peers.count : 0);
	names_replace(&k->tunnels, snapshot ? snap_tunnels(snapshot) : NULL, sizeof(struct snap_tunnel),
		snapshot ? snapshot->tunnels.count : 0);
	certified_restart(k, true);
}

/* An admissible request to its handler. */
static enum rc request_dispatch(struct keys *k, const struct keeper_request *q,
	const struct keys_entropy *fresh, struct keeper_reply *a, enum outcome *ret_outcome, struct err *e)
{
	switch (q->op) {
	case KEEPER_EXCHANGE_BEGIN:
		return exchange_begin(k, &q->u.EXCHANGE_BEGIN, fresh, &a->u.EXCHANGE_BEGIN, e);
	case KEEPER_EXCHANGE_FINISH:
		return exchange_finish(k, &q->u.EXCHANGE_FINISH, &a->u.EXCHANGE_FINISH, e);
	case KEEPER_EXCHANGE_ANSWER:
		return exchange_answer(k, &q->u.EXCHANGE_ANSWER, fresh, &a->u.EXCHANGE_ANSWER, e);
	case KEEPER_ADDITIONAL_BEGIN:
		return additional_begin(k, &q->u.ADDITIONAL_BEGIN, &a->u.ADDITIONAL_BEGIN, e);
	case KEEPER_ADDITIONAL_FINISH:
		return additional_finish(k, &q->u.ADDITIONAL_FINISH, &a->u.ADDITIONAL_FINISH, e);
	case KEEPER_AUTH_SIGN:
		return auth_sign(k, &q->u.AUTH_SIGN, q->tag, &a->u.AUTH_SIGN, ret_outcome, e);
	case KEEPER_AUTH_VERIFY:
		return auth_verify(k, &q->u.AUTH_VERIFY, q->tag, ret_outcome, e);
	case KEEPER_CHILD_BEGIN:
		return child_begin(k, &q->u.CHILD_BEGIN, fresh, &a->u.CHILD_BEGIN, e);
	case KEEPER_CHILD_ADDITIONAL_BEGIN:
		return child_additional_begin(
			k, &q->u.CHILD_ADDITIONAL_BEGIN, &a->u.CHILD_ADDITIONAL_BEGIN, e);
	case KEEPER_CHILD_ADDITIONAL_FINISH:
		return child_additional_finish(k, &q->u.CHILD_ADDITIONAL_FINISH, e);
	case KEEPER_CHILD_INSTALL:
		return child_install(k, &q->u.CHILD_INSTALL, q->tag, ret_outcome, e);
	case KEEPER_CHILD_REMOVE:
		return child_remove(k, &q->u.CHILD_REMOVE, q->tag, ret_outcome, e);
	case KEEPER_DROP:
		return exchange_drop(k, &q->u.DROP, e);
	case KEEPER_OP_COUNT:
		break;
	}
	return err_add(e, RC_INTERNAL, "request %u has no handler", (unsigned)q->op);
}

void keys_request(struct keys *k, const struct keeper_request *request, struct keys_entropy *fresh)
{
	struct keys_action a = { .kind = KEYS_REPLY };
	enum outcome outcome = ANSWERED;
	struct err e = { 0 };
	enum rc rc = request_admit(k, request, &e);

	if (rc == RC_OK)
		rc = request_dispatch(k, request, fresh, &a.u.reply, &outcome, &e);
	if (rc != RC_OK)
		journal_unused(k, &fresh->proof, &fresh->leaf);
	else if (fresh->proof.count % KEYS_EXPIRE_EVERY == 0 && fresh->proof.count > 0)
		exchanges_expire(k, &(struct public_proof){ .count = fresh->proof.count + KEYS_EXPIRE_EVERY,
					    .epoch = fresh->proof.epoch });
	bytes_wipe(fresh, sizeof *fresh);
	assert(rc == RC_OK || outcome == ANSWERED);
	if (rc != RC_OK) {
		sink_reply(k, request->op, request->tag, rc, e.text);
	} else if (outcome == ANSWERED) {
		a.u.reply.op = request->op;
		a.u.reply.tag = request->tag; /* rc is RC_OK, which is zero, and text is empty */
		sink_emit(k, &a);
	}
	bytes_wipe(&a, sizeof a);
}

/* The receipt came (RC_OK), or will not come: do what was asked, or refuse. */
static void pending_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text)
{
	switch (p->op) {
	case KEEPER_AUTH_SIGN:
		auth_sign_receipt(k, p, rc, text);
		break;
	case KEEPER_AUTH_VERIFY:
		auth_verify_receipt(k, p, rc, text);
		break;
	case KEEPER_CHILD_INSTALL:
		child_install_receipt(k, p, rc, text); /* hands it to the data plane, or frees it */
		return;
	default:
		break;
	}
	pending_free(p);
}

void keys_receipt(struct keys *k, uint64_t tag, enum rc rc, const char *text)
{
	struct err e = { 0 };

	journal_refused_receipt(k, tag);
	for (size_t i = 0; i < k->pending_n; i++) {
		struct pending *p = &k->pending[i];

		assert(p->stage != PENDING_RECEIPT || p->entry_tag != 0);
		if (p->stage != PENDING_RECEIPT || p->entry_tag != tag)
			continue;
		if (rc != RC_OK)
			err_add(&e, RC_DENIED, "no receipt from the ledger: %s",
				text && text[0] ? text : rc_text(rc));
		pending_receipt(k, p, rc == RC_OK ? RC_OK : RC_DENIED, e.text);
		return;
	}
}

void keys_ike_lost(struct keys *k)
{
	struct keys_entry entry = { .kind = KEYS_ENTRY_IKE_LOST };
	bool any = false;

	for (size_t i = 0; i < k->pending_n; i++)
		k->pending[i].orphan = k->pending[i].stage != PENDING_FREE;
	certified_restart(k, false);
	for (size_t i = 0; i < k->ike_n; i++) {
		any |= k->ike[i].state != IKE_FREE;
		entry.count += k->ike[i].state == IKE_AUTHENTICATED;
		if (k->ike[i].state != IKE_FREE)
			ike_sa_free(k, &k->ike[i]);
	}
	if (any)
		journal_report(k, &entry);
}

void keys_recheck(struct keys *k)
{
	for (size_t i = 0; i < k->ike_n; i++) {
		struct keeper_ike_sa *sa = &k->ike[i];
		struct keys_action a = { .kind = KEYS_ENDED };
		struct err e = { 0 };

		if (sa->state != IKE_AUTHENTICATED || sa->ended ||
			peer_is_unchanged(k, sa, peer_by_name(k, sa->peer.name), &e) == RC_OK)
			continue;
		sa->ended = true;
		a.u.ended.handle = sa->handle;
		text_copy(a.u.ended.text, sizeof a.u.ended.text, e.text);
		sink_emit(k, &a);
	}
}

void keys_stop(struct keys *k)
{
	for (size_t i = 0; i < k->ike_n; i++)
		if (k->ike[i].state != IKE_FREE)
			ike_sa_free(k, &k->ike[i]);
}
