/*
 * Verdicts of the certifiers, and requests that wait for them. Neither is secret, so they do not take locked memory.
 *
 * A verdict counts for one IKE SA that is not authenticated, of one configuration, and is the first of its certifier. Whoever lies in one
 * certifier gains nothing: both must accept, with the same key, about the same question, for the identity that AUTH is over.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdio.h>

static const char *const names[KEYS_CERTIFIERS] = {
	[KEYS_CERTIFIER_OPENSSL] = "certifier-openssl",
	[KEYS_CERTIFIER_GNUTLS] = "certifier-gnutls",
};

const char *certifier_name(enum keys_certifier c)
{
	return names[c];
}

struct waiting_verdicts *verdicts_find(struct keys *k, uint32_t ike_sa)
{
	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++)
		if (ike_sa != 0 && k->verdicts[i].ike_sa == ike_sa)
			return &k->verdicts[i];
	return NULL;
}

/* A place of this IKE SA: its own, a free one, or that of the oldest verdicts that nobody waits for. NULL: all are waited for. */
static struct waiting_verdicts *place_for(struct keys *k, uint32_t ike_sa)
{
	struct waiting_verdicts *own = verdicts_find(k, ike_sa), *found = NULL;

	if (own)
		return own;
	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++) {
		struct waiting_verdicts *v = &k->verdicts[i];
		if (v->ike_sa == 0) {
			found = v;
			break;
		}
		if (!v->parked && (!found || v->number < found->number))
			found = v;
	}
	if (found)
		*found = (struct waiting_verdicts){ .ike_sa = ike_sa, .number = ++k->verdicts_last };
	return found;
}

void verdicts_forget(struct keys *k, uint32_t ike_sa)
{
	struct waiting_verdicts *v = verdicts_find(k, ike_sa);

	if (!v)
		return;
	bool parked = v->parked;
	uint64_t tag = v->tag;
	*v = (struct waiting_verdicts){ 0 };
	if (parked)
		sink_reply(k, KEEPER_AUTH_VERIFY, tag, RC_NOT_FOUND,
			"the IKE SA was dropped before its certificates were verified");
}

struct waiting_verdicts *verdict_take(struct keys *k, enum keys_certifier from,
	const struct certify_told *told, const struct keeper_ike_sa *sa, const struct snap_peer *peer)
{
	struct waiting_verdicts *v;

	if (!peer || peer->auth != PEER_AUTH_CERTIFICATE || told->generation != k->snapshot->generation ||
		!sa || sa->state != IKE_KEYED || sa->verifying || told->id_n > KEEPER_ID_MAX ||
		(v = place_for(k, told->ike_sa)) == NULL || (v->has >> from & 1)) {
		k->verdicts_dropped++;
		return NULL;
	}
	v->told[from] = *told;
	v->has |= 1u << from;
	return v;
}

static bool same_network(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, a->family == ADDR_V4 ? 4 : 8) == 0;
}

/*
 * Nobody has proved anything yet, so what waits in the name of an identity is not its share but that of strangers, by the peer and by the
 * address that they are seen at. They do not take the places of those who have proved before who is at that address.
 */
static bool has_room(
	const struct keys *k, const struct keeper_auth_verify *q, const struct snap_peer *peer, bool known)
{
	uint32_t of_identity = 0, of_peer = 0, of_address = 0, all = 0;
	uint32_t of_peer_max =
		peer->flags & PEER_ID_PATTERN ? KEYS_PARKED_PER_TEMPLATE_MAX : KEYS_PARKED_PER_PEER_MAX;

	for (size_t i = 0; i < KEYS_VERDICTS_MAX; i++) {
		const struct keeper_auth_verify *other = &k->verdicts[i].request;

		if (!k->verdicts[i].parked || k->verdicts[i].known != known)
			continue;
		all++;
		of_address += same_network(&other->remote.addr, &q->remote.addr); /* whomever it names */
		if (other->peer != q->peer)
			continue;
		of_peer++;
		of_identity += other->id_n == q->id_n && memcmp(other->id, q->id, q->id_n) == 0;
	}
	return known ? of_identity < KEYS_PARKED_PER_IDENTITY_MAX
		     : all < KEYS_PARKED_MAX && of_peer < of_peer_max &&
			       of_address < KEYS_PARKED_PER_ADDRESS_MAX;
}

enum rc verdict_park(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	const struct snap_peer *peer, bool known, struct err *e)
{
	struct waiting_verdicts *v;

	for (uint32_t c = 0; c < KEYS_CERTIFIERS; c++)
		if ((k->certifiers_down >> c & 1) && !((v = verdicts_find(k, q->handle)) && v->has >> c & 1))
			return err_add(e, RC_DENIED,
				"%s is not running, so certificates are not verified; the supervisor restarts it",
				names[c]);
	assert(q->id_n <= KEEPER_ID_MAX); /* verify_admit() */
	v = has_room(k, q, peer, known) ? place_for(k, q->handle) : NULL;
	if (!v)
		return err_add(e, RC_AGAIN,
			"too many certificates of peer '%s', from its address, or of all, are being verified; ask again",
			peer->name);
	assert(!v->parked);
	v->parked = true;
	v->known = known;
	v->seconds = 0;
	v->tag = tag;
	v->request = *q;
	return RC_OK;
}

const char *verdict_missing(const struct waiting_verdicts *v)
{
	for (uint32_t c = 0; c < KEYS_CERTIFIERS; c++)
		if (!(v->has >> c & 1))
			return names[c];
	return NULL;
}

/*
 * The name in the certificate is that of the identification payload, whose octets AUTH is over. exact: as it is written there; names
 * that differ in upper and lower case alone would otherwise be several identities of a template, with one certificate.
 */
static bool identity_is(const struct certify_verdict *v, const uint8_t *id, size_t id_n, bool exact)
{
	size_t n = id_n - 4;

	if (id_n <= 4 || v->identity_n != n)
		return false;
	if (exact || (id[0] != ID_FQDN && id[0] != ID_RFC822))
		return memcmp(v->identity, id + 4, n) == 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t a = v->identity[i], b = id[4 + i];
		a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
		b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
		if (a != b)
			return false;
	}
	return true;
}

/* What is no fault of the peer's is not told to it as AUTHENTICATION_FAILED: it may ask again. */
static enum rc rc_of(uint32_t reason)
{
	switch (reason) {
	case CERTIFY_BUSY:
	case CERTIFY_INTERNAL:
		return RC_AGAIN;
	case CERTIFY_NO_CRL:
	case CERTIFY_NO_OCSP:
	case CERTIFY_CRL_FILE:
	case CERTIFY_ANCHOR:
		return RC_DENIED;
	default:
		return RC_AUTH;
	}
}

enum rc verdict_decide(const struct waiting_verdicts *v, const struct keeper_auth_verify *q,
	const struct snap_peer *peer, struct certify_verdict *ret_certified, struct err *e)
{
	const struct certify_told *a = &v->told[0], *b = &v->told[1];
	uint32_t reason;

	assert(v->has == (1u << KEYS_CERTIFIERS) - 1);
	for (uint32_t c = 0; c < KEYS_CERTIFIERS; c++) {
		const struct certify_told *t = &v->told[c];
		if (t->peer != q->peer || t->id_n != q->id_n || q->id_n > KEEPER_ID_MAX ||
			memcmp(t->id, q->id, q->id_n) != 0)
			return err_add(e, RC_DENIED,
				"%s was asked about another peer or identity than the keeper", names[c]);
		if (t->verdict.reason != CERTIFY_OK)
			return err_add(e, rc_of(t->verdict.reason), "%s: %s", names[c],
				certify_reason_text(t->verdict.reason));
	}
	if (memcmp(a->question, b->question, sizeof a->question) != 0)
		return err_add(e, RC_DENIED, "the two certifiers were asked about different certificates");
	reason = certify_agree(ret_certified, &a->verdict, &b->verdict);
	if (reason != CERTIFY_OK)
		return err_add(e, RC_AUTH, "%s", certify_reason_text(reason));
	return identity_is(ret_certified, q->id, q->id_n, peer->flags & PEER_ID_PATTERN)
		       ? RC_OK
		       : err_add(e, RC_AUTH, "the certificate is not of the identity that the peer stated");
}
