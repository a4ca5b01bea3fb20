/*
 * Certificates in IKE_AUTH and IKE_SA_INIT (RFC 7296 sections 1.2, 3.6, 3.7; RFC 4945). What the peer sends goes to the certifiers as it
 * is: no certificate of a stranger is read here. X.509 alone, encoding 4; what a peer sends as a hash and a URL is never fetched.
 */
#include "ike/internal.h"

#include "crypto/sha1.h"
#include "wire/x509.h"

#include <assert.h>
#include <stdlib.h>

enum { CERT_X509 = 4, CERT_HASH_URL = 12, CERT_HASH_URL_BUNDLE = 13 };

_Static_assert(sizeof *((struct ike *)NULL)->anchor_hashes == SHA1_SIZE, "a hash of CERTREQ");

static bool by_certificate(const struct snap_peer *p)
{
	return p->auth == PEER_AUTH_CERTIFICATE;
}

static const struct span *own_chain(const struct ike *c, const struct snap_peer *p)
{
	return &snap_certificate_files(c->snap)[p->certificate - 1].certificates;
}

/* A payload of one certificate; the first has our key. */
void certs_write(const struct ike *c, struct ike_out *o, const struct snap_peer *p)
{
	uint8_t body[1 + IKE_MESSAGE_MAX];

	if (!by_certificate(p))
		return;
	for (uint32_t i = own_chain(c, p)->first; i < own_chain(c, p)->first + own_chain(c, p)->count; i++) {
		const struct snap_certificate *of = &snap_certificates(c->snap)[i];
		size_t n = MIN_OF(of->n,
			(size_t)IKE_MESSAGE_MAX); /* one that is longer never fits: the message is too long then */

		body[0] = CERT_X509;
		memcpy(body + 1, snap_certificate_der(c->snap, of), n);
		ike_out_payload(o, PL_CERT, body, 1 + n);
	}
}

/* A set of hashes, each once. */
struct authorities {
	uint32_t n;
	uint8_t body[1 + IKE_CERTREQ_MAX * SHA1_SIZE];
};

static void authorities_add(struct authorities *a, const struct ike *c, const struct snap_peer *p)
{
	static const uint8_t none[SHA1_SIZE];
	const struct snap_certificate *anchors[CERTIFICATE_ANCHORS];
	uint32_t n = snap_anchors(c->snap, p, anchors);

	for (uint32_t i = 0; i < n && a->n < IKE_CERTREQ_MAX; i++) {
		const uint8_t *hash = c->anchor_hashes[anchors[i] - snap_certificates(c->snap)];
		bool there = memcmp(hash, none, SHA1_SIZE) == 0;

		for (uint32_t k = 0; k < a->n && !there; k++)
			there = memcmp(a->body + 1 + k * SHA1_SIZE, hash, SHA1_SIZE) == 0;
		if (!there)
			memcpy(a->body + 1 + a->n++ * SHA1_SIZE, hash, SHA1_SIZE);
	}
}

/* Those of all peers, once for each configuration: any stranger's first message is answered with them. */
static void all_authorities_make(struct ike *c)
{
	struct authorities a = { .body = { CERT_X509 } };

	for (uint32_t i = 0; i < c->snap->peers.count && a.n < IKE_CERTREQ_MAX && c->anchor_hashes; i++)
		if (by_certificate(&snap_peers(c->snap)[i]))
			authorities_add(&a, c, &snap_peers(c->snap)[i]);
	_Static_assert(sizeof a.body == sizeof c->all_authorities, "all of them");
	memcpy(c->all_authorities, a.body, sizeof a.body);
	c->all_authorities_n = a.n > 0 ? 1 + a.n * SHA1_SIZE : 0;
}

/* Of a certificate that has not the form of one the hash is zero, and is not sent. */
void anchor_hashes_make(struct ike *c)
{
	const struct snapshot *s = c->snap;

	free(c->anchor_hashes);
	c->anchor_hashes =
		s->certificates.count ? ike_alloc(s->certificates.count * sizeof *c->anchor_hashes) : NULL;
	for (uint32_t i = 0; i < s->certificates.count; i++) {
		const struct snap_certificate *of = &snap_certificates(s)[i];
		const uint8_t *spki;
		size_t n;

		if (!x509_public_key(snap_certificate_der(s, of), of->n, &spki, &n))
			continue;
		sha1_run(&(struct prf_part){ spki, n }, 1, c->anchor_hashes[i]);
	}
	all_authorities_make(c);
}

static void authorities_write(struct ike_out *o, struct authorities *a)
{
	a->body[0] = CERT_X509;
	if (a->n > 0)
		ike_out_payload(o, PL_CERTREQ, a->body, 1 + a->n * SHA1_SIZE);
}

void certreq_write(const struct ike *c, struct ike_out *o, const struct snap_peer *p)
{
	struct authorities a = { 0 };

	if (by_certificate(p))
		authorities_add(&a, c, p);
	authorities_write(o, &a);
}

void certreq_write_all(const struct ike *c, struct ike_out *o)
{
	if (c->all_authorities_n > 0)
		ike_out_payload(o, PL_CERTREQ, c->all_authorities, c->all_authorities_n);
}

const char *certs_obstacle(const struct ike *c, const struct snap_peer *p, const struct ike_payloads *in)
{
	struct ike_walk at = ike_walk_over(in);
	struct ike_view certificate;
	size_t bytes = 0;
	uint8_t encoding;
	bool url = false;

	if (!by_certificate(p))
		return NULL;
	if (own_chain(c, p)->count == 0)
		return "our own certificate could not be read when the configuration was loaded: commit it again";
	while (ike_cert_next(&at, &encoding, &certificate)) {
		url |= encoding == CERT_HASH_URL || encoding == CERT_HASH_URL_BUNDLE;
		if (encoding == CERT_X509)
			bytes += 4 + certificate.n;
	}
	if (bytes > CERTIFY_ASK_MAX)
		return "the peer's certificates have more octets than are judged";
	if (bytes > 0)
		return NULL;
	return url ? "the peer sent the hash and URL of its certificate, which is not fetched: have it send the certificate"
		   : "the peer sent no X.509 certificate (CERT payload of encoding 4)";
}

void certify_ask_emit(struct ike *c, const struct keeper_auth_verify *q, const struct message *m)
{
	struct ike_walk at = ike_walk_over(&m->p);
	struct ike_view certificate;
	struct certify_ask *ask;
	uint8_t encoding;

	if (q->peer >= c->snap->peers.count || !by_certificate(&snap_peers(c->snap)[q->peer]))
		return;
	ask = ike_action_add(c, IKE_CERTIFY)->certify = ike_alloc(sizeof *ask);
	ask->generation = q->generation;
	ask->ike_sa = q->handle;
	ask->peer = q->peer;
	ask->source = source_slot(c, &m->remote.addr);
	ask->id_n = q->id_n;
	memcpy(ask->id, q->id, sizeof ask->id);
	struct wr w = wr_over(ask->bag, sizeof ask->bag);
	while (ike_cert_next(&at, &encoding, &certificate)) {
		if (encoding != CERT_X509)
			continue;
		wr_u32(&w, (uint32_t)certificate.n);
		wr_bytes(&w, certificate.at, certificate.n);
	}
	assert(!w.bad); /* certs_obstacle() */
	ask->bag_n = (uint16_t)wr_len(&w);
}
