/*
 * Words between the ledgers of two gateways, in INFORMATIONAL exchanges of their IKE SA: private notifies
 * (RFC 7296 section 3.10.1) that both offered by a vendor id (3.12) in IKE_AUTH. What they say is not our
 * affair: a request for a cosignature or its answer (witness/witness.h). Each is a request with an empty
 * answer, so no exchange stays open while a ledger thinks.
 *
 * A peer that is authenticated may still be taken over: words that come too fast or are too long are dropped.
 */
#include "ike/internal.h"

#include <stdio.h>

static const char vendor[] = "plaingate words between ledgers 1"; /* without its terminator */

static const uint16_t notify_of[IKE_WORD_COUNT] = {
	[IKE_WORD_ASK] = NTF_PLAINGATE_WITNESS_ASK,
	[IKE_WORD_ANSWER] = NTF_PLAINGATE_WITNESS_ANSWER,
};

void words_offer(struct ike_out *o)
{
	ike_out_payload(o, PL_VENDOR, vendor, sizeof vendor - 1);
}

void words_offered(struct ike_sa *sa, const struct ike_payloads *p)
{
	for (unsigned i = 0; i < p->vendors_n; i++)
		if (p->vendors[i].n == sizeof vendor - 1 &&
			memcmp(p->vendors[i].at, vendor, sizeof vendor - 1) == 0)
			sa->speaks_words = true;
}

bool words_wait(const struct ike_sa *sa)
{
	for (unsigned k = 0; k < IKE_WORD_COUNT; k++)
		if (sa->words[k].n > 0)
			return true;
	return false;
}

void words_out(struct ike_sa *sa, struct ike_out *o)
{
	for (unsigned k = 0; k < IKE_WORD_COUNT; k++) {
		if (sa->words[k].n == 0)
			continue;
		ike_out_notify(o, notify_of[k], sa->words[k].at, sa->words[k].n);
		blob_free(&sa->words[k]);
		return;
	}
}

void words_in(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct snap_peer *peer = sa_peer(c, sa);

	for (unsigned k = 0; sa->speaks_words && peer && k < IKE_WORD_COUNT; k++) {
		const struct ike_notify *v = ike_notify_find(p, notify_of[k]);

		if (!v || v->data.n == 0 || v->data.n > IKE_WORD_MAX)
			continue;
		/* By whatever IKE SA of the peer the last one came. */
		mono_ns *at = &peer_entry(c, sa->peer)->word_at[k];
		if (*at != 0 && c->now < *at + IKE_WORD_EVERY_MS * NS_PER_MS)
			continue;
		*at = c->now;
		struct ike_action *a = ike_act(c, IKE_WORD);
		a->word.kind = (enum ike_word)k;
		snprintf(a->word.peer, sizeof a->word.peer, "%s", peer->name);
		a->n = v->data.n;
		a->bytes = ike_alloc(a->n);
		memcpy(a->bytes, v->data.at, a->n);
	}
}

void words_move(struct ike_sa *from, struct ike_sa *to)
{
	for (unsigned k = 0; k < IKE_WORD_COUNT; k++) {
		if (to->words[k].n > 0)
			continue;
		to->words[k] = from->words[k];
		from->words[k] = (struct blob){ 0 };
	}
}

void words_free(struct ike_sa *sa)
{
	for (unsigned k = 0; k < IKE_WORD_COUNT; k++)
		blob_free(&sa->words[k]);
}

enum rc ike_input_word(struct ike *c, mono_ns now, const char *peer, enum ike_word kind, const void *bytes,
	size_t n, struct err *e)
{
	uint32_t index = 0, peers = c->snap ? c->snap->peers.count : 0;
	bool up = false;

	c->now = now;
	if (n == 0 || n > IKE_WORD_MAX || (unsigned)kind >= IKE_WORD_COUNT)
		return err_add(e, RC_RANGE, "a word of %zu octets; 1 to %d fit", n, IKE_WORD_MAX);
	while (index < peers && strcmp(snap_peers(c->snap)[index].name, peer) != 0)
		index++;
	if (index == peers)
		return err_add(e, RC_NOT_FOUND, "no peer is named '%.63s'", peer);
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, index)->sas, of_peer) {
		if (sa->state != ST_UP || sa->want_delete)
			continue;
		up = true;
		if (!sa->speaks_words)
			continue;
		blob_set(&sa->words[kind], bytes, n);
		sa_touch(c, sa);
		sa_settle_all(c);
		return RC_OK;
	}
	return up ? err_add(e, RC_UNSUPPORTED, "the peer '%.63s' does not witness through IKE", peer)
		  : err_add(e, RC_AGAIN, "there is no IKE SA with '%.63s' now", peer);
}
