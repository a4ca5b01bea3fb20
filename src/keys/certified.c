/*
 * Peers with certificates: verdicts arrive, or do not, and requests that waited for them go on.
 */
#include "keys/internal.h"

#include <stdio.h>

/* The request is taken up again, with both verdicts. */
static void go_on(struct keys *k, struct waiting_verdicts *v)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, v->ike_sa);
	const struct keeper_auth_verify q = v->request;
	enum outcome outcome = ANSWERED;
	uint64_t tag = v->tag;
	struct err e = { 0 };
	enum rc rc;

	v->parked = false;
	if (!sa)
		return;
	sa->certifying = false;
	rc = auth_verify(k, &q, tag, &outcome, &e);
	if (rc != RC_OK)
		sink_reply(k, KEEPER_AUTH_VERIFY, tag, rc, e.text);
}

/* Nobody is let in, and nobody is found to be at fault: a certifier is missing. */
static void give_up(struct keys *k, struct waiting_verdicts *v, const char *text)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, v->ike_sa);
	uint64_t tag = v->tag;

	if (sa) {
		sa->certifying = false;
		auth_unverified(k, sa, &v->request, text);
	}
	*v = (struct waiting_verdicts){ 0 };
	sink_reply(k, KEEPER_AUTH_VERIFY, tag, RC_DENIED, text);
}

bool keys_verdict(struct keys *k, enum keys_certifier from, const struct certify_told *told)
{
	struct waiting_verdicts *v =
		verdict_take(k, from, told, ike_sa_find(k, told->ike_sa), peer_by_index(k, told->peer));

	if (v && v->parked && !verdict_missing(v))
		go_on(k, v);
	return v != NULL;
}

/* What it has accepted and nobody has used yet: a request that comes now is answered as if it had not. */
static void verdicts_revoke(struct keys *k, const struct certify_revoked *revoked)
{
	uint8_t key[SHA256_SIZE];

	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++)
		for (uint32_t c = 0; c < KEYS_CERTIFIERS; c++) {
			struct certify_told *t = &k->verdicts[i].told[c];
			const struct snap_peer *peer = peer_by_index(k, t->peer);
			if (!(k->verdicts[i].has >> c & 1) || t->verdict.reason != CERTIFY_OK ||
				t->verdict.spki_n > sizeof t->verdict.spki || !peer ||
				strncmp(peer->name, revoked->peer, sizeof revoked->peer) != 0)
				continue;
			sha256(key, t->verdict.spki, t->verdict.spki_n);
			if (memcmp(key, revoked->key, sizeof key) == 0)
				t->verdict = (struct certify_verdict){ .reason = CERTIFY_REVOKED };
		}
}

size_t keys_revoked(struct keys *k, enum keys_certifier from, const struct certify_revoked *revoked)
{
	static const uint8_t none[SHA256_SIZE];
	size_t n = 0;

	if (memcmp(revoked->key, none, sizeof none) == 0)
		return 0; /* those without a certificate have it */
	verdicts_revoke(k, revoked);
	for (size_t i = 0; i < k->ike_n; i++) {
		struct keeper_ike_sa *sa = &k->ike[i];
		struct keys_action a = { .kind = KEYS_ENDED };
		if (sa->state == IKE_FREE || sa->revoked ||
			memcmp(sa->certified, revoked->key, sizeof sa->certified) != 0 ||
			strncmp(sa->peer.name, revoked->peer, sizeof revoked->peer) != 0)
			continue;
		sa->revoked = true;
		sa->ended = true;
		a.u.ended.handle = sa->handle;
		snprintf(a.u.ended.text, sizeof a.u.ended.text, "%s: a certificate of peer '%s' is revoked",
			certifier_name(from), sa->peer.name);
		n++;
		children_revoke(k, sa);
		sink_emit(k, &a);
	}
	return n;
}

void keys_certifier_up(struct keys *k, enum keys_certifier c)
{
	k->certifiers_down &= ~(1u << c);
}

void keys_certifier_down(struct keys *k, enum keys_certifier c)
{
	char text[KEEPER_TEXT_MAX];

	k->certifiers_down |= 1u << c;
	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++) {
		struct waiting_verdicts *v = &k->verdicts[i];
		if (!v->parked || v->has >> c & 1)
			continue;
		snprintf(text, sizeof text, "%s ended before it had verified the certificates",
			certifier_name(c));
		give_up(k, v, text);
	}
}

bool keys_waits_for_verdicts(const struct keys *k)
{
	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++)
		if (k->verdicts[i].parked)
			return true;
	return false;
}

void keys_second(struct keys *k)
{
	char text[KEEPER_TEXT_MAX];

	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++) {
		struct waiting_verdicts *v = &k->verdicts[i];
		if (!v->parked || ++v->seconds <= KEYS_VERDICT_S)
			continue;
		snprintf(text, sizeof text, "%s did not answer within %u seconds", verdict_missing(v),
			KEYS_VERDICT_S);
		give_up(k, v, text);
	}
}

void certified_restart(struct keys *k, bool reply)
{
	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++) {
		struct waiting_verdicts *v = &k->verdicts[i];
		struct keeper_ike_sa *sa = ike_sa_find(k, v->ike_sa);
		bool parked = v->parked;
		uint64_t tag = v->tag;
		if (v->ike_sa == 0)
			continue;
		*v = (struct waiting_verdicts){ 0 };
		if (sa)
			sa->certifying = false;
		if (parked && reply)
			sink_reply(k, KEEPER_AUTH_VERIFY, tag, RC_STALE,
				"another configuration came while the certificates were verified");
	}
}
