/* A question, with what the configuration and CRLs say now, and the answer of this library. */
#include "proc/certifier/shell.h"

/* What a question consists of, beside what was asked. */
struct lists {
	struct certify_der bag[CERTIFY_BAG_MAX], anchors[CERTIFICATE_ANCHORS], crls[CERTIFY_CRLS_MAX];
};

/* An anchor that two authorities have is asked about at the first one with a responder. */
static void responders_apply(struct certifier *x, const struct snap_peer *peer,
	const struct snap_certificate *const *anchors, struct certify_question *q)
{
	const struct snapshot *s = x->snapshot.snapshot;
	struct ocsp *o = x->ocsp;

	for (size_t i = 0; i < q->anchors_n; i++)
		o->authority[i] = NULL;
	for (uint32_t i = 0; i < peer->trusted.count; i++) {
		const struct snap_authority *a =
			&snap_authorities(s)[snap_trusted(s)[peer->trusted.first + i].authority];
		const struct span *own = &snap_certificate_files(s)[a->file].certificates;
		for (size_t k = 0; a->responder && k < q->anchors_n; k++) {
			uint32_t at = (uint32_t)(anchors[k] - snap_certificates(s));
			if (!o->authority[k] && at >= own->first && at - own->first < own->count)
				o->authority[k] = a->name;
			q->ocsp = &o->question;
		}
	}
	o->question.table = &o->table;
	o->question.authority = o->authority;
}

/* What the configuration says of the peer: where its chain may end, what may revoke it, and whose it has to be. */
static uint32_t peer_apply(
	struct certifier *x, uint32_t index, struct lists *lists, struct certify_question *q)
{
	const struct snap_certificate *anchors[CERTIFICATE_ANCHORS];
	const struct snapshot *s = x->snapshot.snapshot;
	const struct snap_peer *peer = index < s->peers.count ? &snap_peers(s)[index] : NULL;
	uint32_t reason = CERTIFY_OK;

	_Static_assert(CERTIFICATE_ANCHORS <= CERTIFY_ANCHORS_MAX, "the engines take all anchors of a peer");
	if (!peer || peer->auth != PEER_AUTH_CERTIFICATE)
		return CERTIFY_NO_PATH;
	q->anchors = lists->anchors;
	q->crls = lists->crls;
	q->anchors_n = snap_anchors(s, peer, anchors);
	for (size_t i = 0; i < q->anchors_n; i++)
		lists->anchors[i] =
			(struct certify_der){ snap_certificate_der(s, anchors[i]), anchors[i]->n };
	responders_apply(x, peer, anchors, q);
	for (uint32_t i = 0; reason == CERTIFY_OK && i < peer->trusted.count; i++) {
		const struct snap_authority *a =
			&snap_authorities(s)[snap_trusted(s)[peer->trusted.first + i].authority];
		if (a->revocation == REVOCATION_HARD)
			q->revocation = CERTIFY_CRL_HARD;
		reason = crls_of(&x->crls, x->directory, snap_certificate_files(s)[a->file].name, lists->crls,
			&q->crls_n);
		if (reason == CERTIFY_OK)
			reason = fetched_of(&x->crls, s, a, lists->crls, &q->crls_n);
	}
	if (reason != CERTIFY_OK || peer->remote_id.type != ID_DN)
		return reason;
	if (q->id_kind != CERTIFY_ID_DN)
		return CERTIFY_IDENTITY;
	q->id_kind = CERTIFY_ID_DN_TEXT;
	q->id = (struct certify_der){ peer->remote_id.data, peer->remote_id.len };
	return CERTIFY_OK;
}

void certifier_judge(struct certifier *x, const struct certify_ask *a, struct certify_verdict *ret_verdict)
{
	struct certify_verdict v = { 0 };
	struct certify_question q = { 0 };
	struct lists lists;
	uint32_t reason = certify_ask_read(&q, lists.bag, a);
	struct certify_der asked = q.id;

	x->ocsp->question.n = x->ocsp->question.kept_n = 0;
	if (reason == CERTIFY_OK)
		reason = peer_apply(x, a->peer, &lists, &q);
	if (reason != CERTIFY_OK) {
		*ret_verdict = (struct certify_verdict){ .reason = reason };
		return;
	}
	q.now_s = (int64_t)(clock_utc() / 1000000);
	x->engine->verify(&v, &q);
	/* Of a pattern many subjects are: this one has to be the one that the peer stated. */
	if (v.reason == CERTIFY_OK && q.id_kind == CERTIFY_ID_DN_TEXT &&
		(v.identity_n != asked.n || memcmp(v.identity, asked.b, asked.n) != 0))
		v = (struct certify_verdict){ .reason = CERTIFY_IDENTITY };
	*ret_verdict = v;
}
