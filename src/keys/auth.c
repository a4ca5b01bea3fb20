/*
 * Authentication: AUTH_SIGN and AUTH_VERIFY (RFC 7296 section 2.15, RFC 7427, RFC 4754, RFC 8420).
 *
 * Beyond the RFC the keeper checks that the signed message is the one of this exchange: it contains our own
 * (or the peer's) SPI, nonce and public value. So a compromised ike cannot have other octets signed.
 */
#include "keys/internal.h"

#include "model/peer_id.h"

#include <assert.h>
#include <stdio.h>

#define IKE_HEADER_SIZE 28
#define ID_HEADER_SIZE	4 /* type and three reserved octets of the identification payload's body */
#define INT_AUTH_SIZE                                                                                        \
	(2 * PRF_SIZE_MAX + 4) /* RFC 9242 section 3.3.2: of both directions, and a message ID */
#define TRANSCRIPT_PREFIX                                                                                    \
	8 /* zeros before both messages: no IKE SPI of an initiator is zero, so these are never the octets of one */
#define OCTETS_MAX (TRANSCRIPT_PREFIX + KEEPER_MESSAGE_MAX + KEEPER_NONCE_MAX + PRF_SIZE_MAX + INT_AUTH_SIZE)

/* The message is an IKE_SA_INIT message of this exchange; `mine`: ours. */
static enum rc message_check(
	const struct keeper_ike_sa *sa, bool mine, const uint8_t *message, size_t n, struct err *e)
{
	bool of_initiator = mine == (sa->role == KEEPER_INITIATOR);
	const uint8_t *nonce = mine ? sa->nonce : sa->peer_nonce, *ke = mine ? sa->ke : sa->peer_ke;
	size_t nonce_n = mine ? sa->nonce_n : sa->peer_nonce_n, ke_n = mine ? sa->ke_n : sa->peer_ke_n;

	if (n < IKE_HEADER_SIZE || n > KEEPER_MESSAGE_MAX)
		return err_add(e, RC_RANGE, "the IKE_SA_INIT message has %zu octets; %d to %d are allowed", n,
			IKE_HEADER_SIZE, KEEPER_MESSAGE_MAX);
	if (memcmp(message, sa->spi_i, 8) != 0 || (!of_initiator && memcmp(message + 8, sa->spi_r, 8) != 0) ||
		!memmem(message + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, nonce, nonce_n) ||
		!ke_is_in(message + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, ke, ke_n))
		return err_add(e, RC_DENIED,
			"the message to be %s is not the IKE_SA_INIT %s of this exchange: SPI, nonce or "
			"public value differ",
			mine ? "signed" : "checked", of_initiator ? "request" : "response");
	return RC_OK;
}

/*
 * Both messages, where both sides authenticate both (IKE_SA_INIT_FULL_TRANSCRIPT_AUTH): that of the side that makes AUTH, and behind it
 * the other one. The second AUTH is of the same kind as the first, which is the initiator's.
 */
static enum rc messages_check(const struct keeper_ike_sa *sa, bool mine, const uint8_t *message,
	size_t message_n, size_t other_n, struct err *e)
{
	enum rc rc = message_check(sa, mine, message, message_n, e);

	if (rc != RC_OK)
		return rc;
	if (mine != (sa->role == KEEPER_INITIATOR) && sa->transcript != (other_n > 0))
		return err_add(e, RC_DENIED,
			"the initiator's AUTH is over %s, the responder's over %s: it is over both messages of "
			"IKE_SA_INIT on both sides or on neither",
			sa->transcript ? "both messages" : "its own message",
			other_n > 0 ? "both" : "its own");
	if (other_n == 0)
		return RC_OK;
	if (other_n > KEEPER_MESSAGE_MAX - message_n)
		return err_add(e, RC_RANGE,
			"the two IKE_SA_INIT messages have %zu octets; at most %d are allowed",
			message_n + other_n, KEEPER_MESSAGE_MAX);
	return message_check(sa, !mine, message + message_n, other_n, e);
}

/*
 * What stands first in what is signed: the message, or 8 zeros | that of the other side | the message
 * (draft-ietf-ipsecme-ikev2-downgrade-prevention-08 section 6). Returns the length.
 */
static size_t transcript_make(const uint8_t *message, size_t message_n, size_t other_n, uint8_t *ret_octets)
{
	size_t at = 0;

	if (other_n > 0) {
		memset(ret_octets, 0, TRANSCRIPT_PREFIX);
		memcpy(ret_octets + TRANSCRIPT_PREFIX, message + message_n, other_n);
		at = TRANSCRIPT_PREFIX + other_n;
	}
	memcpy(ret_octets + at, message, message_n);
	return at + message_n;
}

/*
 * 2.15: message | nonce of the other side | prf(SK_p, identity), with the SK_p of the side that sent the
 * message; after IKE_INTERMEDIATE IntAuth of both directions and the message ID of IKE_AUTH. Returns the length; 0 on failure.
 */
static size_t octets_make(const struct keeper_ike_sa *sa, const struct ike_keys *sk, bool mine,
	const uint8_t *message, size_t message_n, size_t other_n, const uint8_t *id, size_t id_n,
	uint8_t *ret_octets)
{
	bool of_initiator = mine == (sa->role == KEEPER_INITIATOR);
	const uint8_t *nonce = mine ? sa->peer_nonce : sa->nonce;
	size_t nonce_n = mine ? sa->peer_nonce_n : sa->nonce_n, n;
	const struct prf_part part = { id, id_n };

	/* messages_check(), id_check() */
	assert(message_n + other_n <= KEEPER_MESSAGE_MAX && nonce_n <= KEEPER_NONCE_MAX &&
		id_n <= KEEPER_ID_MAX);
	n = transcript_make(message, message_n, other_n, ret_octets);
	memcpy(ret_octets + n, nonce, nonce_n);
	n += nonce_n;
	if (prf_run(sa->prf, of_initiator ? sk->sk_pi : sk->sk_pr, sk->prf_n, &part, 1, ret_octets + n) !=
		RC_OK)
		return 0;
	n += sk->prf_n;
	for (size_t i = 0; i < 2 && sa->additional.done > 0; i++, n += sk->prf_n)
		memcpy(ret_octets + n, sa->additional.int_auth[i], sk->prf_n);
	if (sa->additional.done == 0)
		return n;
	store_be32(ret_octets + n, 1u + sa->additional.done);
	return n + 4;
}

/*
 * The IKE SA's keys, with the peer's PPK when `ppk` (RFC 8784 section 3). They are with it once: after its AUTH was
 * verified by them they are the IKE SA's own.
 */
static enum rc keys_choose(const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	bool ppk, struct ike_keys *ret_sk, struct err *e)
{
	const struct keys_identity *key = identity_find(k, peer->ppk_name, IDENTITY_PPK);

	*ret_sk = sa->secret->sk;
	if (ppk == sa->ppk)
		return RC_OK;
	if (!ppk)
		return err_add(e, RC_DENIED, "the keys of the IKE SA are with the PPK already");
	if (!key)
		return err_add(e, RC_NOT_FOUND,
			"no post-quantum pre-shared key '%s' for peer '%s': the key directory has no usable %s.ppk",
			peer->ppk_name, peer->name, peer->ppk_name);
	return derive_with_ppk(sa->prf, (struct octets){ key->u.psk, key->psk_n }, ret_sk);
}

/* 2.15: prf( prf(Shared Secret, "Key Pad for IKEv2"), octets ). */
static enum rc psk_auth(
	uint16_t prf, const struct keys_identity *key, const uint8_t *octets, size_t n, uint8_t *ret_auth)
{
	static const char pad[] = "Key Pad for IKEv2"; /* 17 octets, without terminator */
	const struct prf_part padding = { pad, sizeof pad - 1 }, part = { octets, n };
	uint8_t padded[PRF_SIZE_MAX];
	enum rc rc = prf_run(prf, key->u.psk, key->psk_n, &padding, 1, padded);

	if (rc == RC_OK)
		rc = prf_run(prf, padded, prf_size(prf), &part, 1, ret_auth);
	bytes_wipe(padded, sizeof padded);
	return rc;
}

/* Without a configured identity: the configured address. */
static struct snap_id id_wanted(const struct snap_id *id, const struct ip_addr *addr)
{
	struct snap_id wanted = *id;

	if (id->type == ID_NONE && addr->family != ADDR_NONE) {
		wanted.type = addr->family == ADDR_V4 ? ID_IPV4 : ID_IPV6;
		wanted.len = (uint8_t)addr_size(addr);
		memcpy(wanted.data, addr->b, wanted.len);
	}
	return wanted;
}

/*
 * `whose`: "our" or "the peer's". When neither an identity nor an address is configured, ours may be any
 * address; the peer's must be configured (the model requires it for peers at any address).
 */
static enum rc id_check(const char *whose, bool ours, const struct snap_id *configured,
	const struct ip_addr *addr, const uint8_t *id, size_t id_n, struct err *e)
{
	struct snap_id want = id_wanted(configured, addr);
	char got[KEYS_ID_TEXT_MAX], wanted[KEYS_ID_TEXT_MAX];
	size_t n;

	if (id_n <= ID_HEADER_SIZE || id_n > KEEPER_ID_MAX)
		return err_add(e, RC_MALFORMED,
			"%s identification payload has %zu octets; %d to %d are allowed", whose, id_n,
			ID_HEADER_SIZE + 1, KEEPER_ID_MAX);
	n = id_n - ID_HEADER_SIZE;
	if (want.type == ID_NONE && ours && (id[0] == ID_IPV4 || id[0] == ID_IPV6))
		return RC_OK;
	if (want.type != ID_NONE && id[0] == want.type && n == want.len &&
		memcmp(id + ID_HEADER_SIZE, want.data, n) == 0)
		return RC_OK;
	id_text(got, id[0], id + ID_HEADER_SIZE, n);
	return err_add(e, ours ? RC_DENIED : RC_AUTH, "%s identity is %s, configured is %s", whose, got,
		want.type == ID_NONE ? "none" : id_text(wanted, want.type, want.data, want.len));
}

static enum rc auth_make(const struct keys *k, const struct keeper_ike_sa *sa, const struct ike_keys *sk,
	const struct snap_peer *peer, const struct keeper_auth_sign *q, struct keeper_auth_signed *a,
	struct err *e)
{
	uint8_t octets[OCTETS_MAX];
	size_t n = octets_make(sa, sk, true, q->message, q->message_n, q->other_n, q->id, q->id_n, octets),
	       auth_n = 0;
	enum identity_kind kind = peer->auth == PEER_AUTH_PSK ? IDENTITY_PSK : IDENTITY_PRIVATE;
	char text[NAME_MAX_BYTES];
	const char *name = peer_key_name(text, peer, sa);
	const struct keys_identity *key = identity_find(k, name, kind);
	enum rc rc;

	if (!key)
		return err_add(e, RC_NOT_FOUND,
			"no %s '%s' for peer '%s': the key directory has no usable %s.%s",
			kind == IDENTITY_PSK ? "pre-shared key" : "private key", name, peer->name, name,
			kind == IDENTITY_PSK ? "psk" : "pem");
	if (n == 0)
		return err_add(e, RC_INTERNAL, "computing the signed octets failed");
	if (peer->auth == PEER_AUTH_CERTIFICATE && (rc = certificate_is_of_key(k, peer, key, e)) != RC_OK)
		return rc;
	if (kind == IDENTITY_PSK) {
		a->method = AUTH_SHARED_KEY;
		auth_n = prf_size(sa->prf);
		rc = psk_auth(sa->prf, key, octets, n, a->auth);
	} else {
		rc = signature_make(k, key, q->hashes, octets, n, a, &auth_n, e);
	}
	a->auth_n = (uint16_t)auth_n;
	bytes_wipe(octets, sizeof octets);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "computing AUTH for peer '%s'", peer->name);
}

/*
 * Our AUTH by the keys with the PPK, if we offer it, and where it is not required another one by the keys without it
 * (NO_PPK_AUTH): the peer takes one of them.
 */
static enum rc auth_make_all(const struct keys *k, const struct keeper_ike_sa *sa,
	const struct snap_peer *peer, const struct keeper_auth_sign *q, struct keeper_auth_signed *a,
	struct err *e)
{
	bool offered = q->ppk != 0 && sa->role == KEEPER_INITIATOR && sa->state == IKE_KEYED;
	struct ike_keys sk;
	enum rc rc = keys_choose(k, sa, peer, offered || sa->ppk, &sk, e);

	if (rc == RC_OK && offered && (!(peer->flags & PEER_REQUIRE_PQ) || sa->hybrid)) {
		rc = auth_make(k, sa, &sa->secret->sk, peer, q, a, e);
		memcpy(a->no_ppk, a->auth, sizeof a->no_ppk);
		a->no_ppk_n = a->auth_n;
	}
	if (rc == RC_OK)
		rc = auth_make(k, sa, &sk, peer, q, a, e);
	bytes_wipe(&sk, sizeof sk);
	return rc;
}

/* What the configuration says of the PPK: whether the keys may be without it, or with it. */
static enum rc ppk_allowed(
	const struct snap_peer *peer, const struct keeper_ike_sa *sa, bool ppk, struct err *e)
{
	if (!ppk && peer->flags & PEER_REQUIRE_PQ && !sa->hybrid && peer->ppk_name[0])
		return err_add(e, RC_AUTH,
			"peer '%s' is configured with require-post-quantum, and the other side does not use the PPK '%s'",
			peer->name, peer->ppk_name);
	if (!ppk && peer->flags & PEER_REQUIRE_PQ && !sa->hybrid)
		return err_add(e, RC_AUTH,
			"peer '%s' is configured with require-post-quantum, and the chosen proposal has no "
			"additional-key-exchange",
			peer->name);
	if (ppk && !peer->ppk_name[0])
		return err_add(e, RC_DENIED, "peer '%s' is configured without a PPK", peer->name);
	return RC_OK;
}

static enum rc sign_admit(struct keys *k, struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_sign *q, struct err *e)
{
	enum rc rc;

	if (!peer)
		return err_add(e, RC_NOT_FOUND,
			"peer index %u is not in the configuration, which has %u peers", q->peer,
			k->snapshot ? k->snapshot->peers.count : 0);
	assert(sa->state == IKE_AUTHENTICATED || (sa->state == IKE_KEYED && sa->role == KEEPER_INITIATOR));
	if (sa->state == IKE_AUTHENTICATED && (rc = peer_is_unchanged(k, sa, peer, e)) != RC_OK)
		return rc;
	if (sa->state == IKE_KEYED && (rc = ppk_allowed(peer, sa, q->ppk != 0, e)) != RC_OK)
		return rc;
	if ((rc = peer_allows_proposal(k, peer, sa, e)) != RC_OK ||
		(rc = id_check("our", true, &peer->local_id, &peer->local, q->id, q->id_n, e)) != RC_OK)
		return rc;
	return messages_check(sa, true, q->message, q->message_n, q->other_n, e);
}

/*
 * An initiator uses its key before the peer is authenticated: that is entered first. A responder has
 * authenticated it.
 */
static enum rc sign_gate(struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_signed *a, uint64_t tag, struct err *e)
{
	struct pending *p = pending_new(k, KEEPER_AUTH_SIGN, tag, peer->name, instance_who(peer, NULL), e);
	struct keys_entry entry;
	enum rc rc;

	if (!p)
		return RC_AGAIN;
	p->handle = sa->handle;
	p->signature = *a;
	entry_from_ike_sa(&entry, KEYS_ENTRY_KEY_USED, sa, NULL);
	text_copy(entry.peer, sizeof entry.peer, peer->name);
	entry.method = a->method;
	rc = journal_gate(k, &entry, p, e);
	if (rc != RC_OK)
		pending_free(p);
	return rc;
}

enum rc auth_sign(struct keys *k, const struct keeper_auth_sign *q, uint64_t tag,
	struct keeper_auth_signed *a, enum outcome *ret_outcome, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	const struct snap_peer *peer = peer_by_index(k, q->peer);
	enum rc rc = sign_admit(k, sa, peer, q, e);

	if (rc == RC_DENIED)
		journal_refused(k, sa, NULL, e->text);
	if (rc == RC_OK)
		rc = auth_make_all(k, sa, peer, q, a, e);
	if (rc != RC_OK || sa->state == IKE_AUTHENTICATED)
		return rc;
	text_copy(sa->signed_for, sizeof sa->signed_for, peer->name);
	sa->transcript = q->other_n > 0;
	rc = sign_gate(k, sa, peer, a, tag, e);
	if (rc == RC_OK)
		*ret_outcome = WAITING;
	return rc;
}

void auth_sign_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text)
{
	struct keys_action action = { .kind = KEYS_REPLY };

	assert(p->op == KEEPER_AUTH_SIGN && p->stage == PENDING_RECEIPT);
	if (rc != RC_OK || p->orphan) {
		pending_reply(k, p, rc, text);
		return;
	}
	action.u.reply.op = p->op;
	action.u.reply.tag = p->tag;
	action.u.reply.u.AUTH_SIGN = p->signature;
	sink_emit(k, &action);
}

static enum rc check_psk(const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_verify *q, const uint8_t *octets, size_t n, struct err *e)
{
	char text[NAME_MAX_BYTES], id[KEYS_ID_TEXT_MAX];
	const char *name = peer_key_name(text, peer, sa);
	const struct keys_identity *key = identity_find(k, name, IDENTITY_PSK);
	uint8_t want[PRF_SIZE_MAX];
	enum rc rc;

	if (q->method != AUTH_SHARED_KEY)
		return err_add(e, RC_AUTH,
			"the peer used authentication method %u; peer '%s' is configured with a "
			"pre-shared key (method 2)",
			q->method, peer->name);
	/* Whoever asks learns nothing of which identities there are: the answer is that to a wrong key. */
	if (!key && peer->flags & PEER_PSK_OF_ID)
		return err_add(e, RC_AUTH, "%s has no key: the key directory has no usable %s.psk",
			id_text(id, sa->id_type, sa->id, sa->id_n), name[0] ? name : "file of that name as");
	if (!key)
		return err_add(e, RC_NOT_FOUND,
			"no pre-shared key '%s' for peer '%s': the key directory has no usable %s.psk", name,
			peer->name, name);
	rc = psk_auth(sa->prf, key, octets, n, want);
	if (rc == RC_OK && (q->auth_n != prf_size(sa->prf) || !bytes_equal_secret(want, q->auth, q->auth_n)))
		rc = err_add(e, RC_AUTH,
			"the peer's AUTH does not match the pre-shared key '%s': the two sides have "
			"different keys, or the messages were changed in transit",
			name);
	bytes_wipe(want, sizeof want);
	return rc;
}

/* The addresses are as ike states them; those that are configured for the peer must match. */
static enum rc endpoint_check(const struct snap_peer *peer, const char *what,
	const struct ip_addr *configured, const struct endpoint *at, struct err *e)
{
	char got[ADDR_TEXT_MAX], want[ADDR_TEXT_MAX];

	if (configured->family == ADDR_NONE || addr_equal(configured, &at->addr))
		return RC_OK;
	return err_add(e, RC_AUTH, "the %s address is %s; peer '%s' is configured with %s", what,
		addr_text(got, &at->addr), peer->name, addr_text(want, configured));
}

/* The peer's identity is one that the pattern means. */
static enum rc pattern_check(const struct snap_id *pattern, const uint8_t *id, size_t id_n, struct err *e)
{
	char got[KEYS_ID_TEXT_MAX], wanted[KEYS_ID_TEXT_MAX];
	struct snap_id starred = { .type = pattern->type, .len = (uint8_t)(pattern->len + 1u), .data = "*" };

	if (id_n <= ID_HEADER_SIZE || id_n > KEEPER_ID_MAX)
		return err_add(e, RC_MALFORMED,
			"the peer's identification payload has %zu octets; %d to %d are allowed", id_n,
			ID_HEADER_SIZE + 1, KEEPER_ID_MAX);
	if (peer_id_fits_pattern(pattern, id[0], id + ID_HEADER_SIZE, id_n - ID_HEADER_SIZE))
		return RC_OK;
	assert(pattern->len < sizeof starred.data);
	memcpy(starred.data + 1, pattern->data, pattern->len);
	return err_add(e, RC_AUTH, "the peer's identity is %s, configured is %s",
		id_text(got, id[0], id + ID_HEADER_SIZE, id_n - ID_HEADER_SIZE),
		id_text(wanted, starred.type, starred.data, starred.len));
}

static enum rc verify_admit(struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_verify *q, struct err *e)
{
	enum rc rc;

	assert(sa->state == IKE_KEYED && !sa->verifying);
	if (!peer)
		return err_add(e, RC_NOT_FOUND,
			"peer index %u is not in the configuration, which has %u peers", q->peer,
			k->snapshot ? k->snapshot->peers.count : 0);
	if (q->auth_n == 0 || q->auth_n > KEEPER_AUTH_MAX)
		return err_add(e, RC_AUTH, "the authentication data has %u octets; 1 to %d are allowed",
			q->auth_n, KEEPER_AUTH_MAX);
	if (sa->role == KEEPER_INITIATOR && strcmp(sa->signed_for, peer->name) != 0)
		return err_add(e, RC_DENIED, "our AUTH was made for peer '%s', not for '%s'", sa->signed_for,
			peer->name);
	if ((rc = ppk_allowed(peer, sa, q->ppk != 0, e)) != RC_OK ||
		(rc = peer_allows_proposal(k, peer, sa, e)) != RC_OK ||
		(rc = messages_check(sa, false, q->message, q->message_n, q->other_n, e)) != RC_OK ||
		(!(sa->role == KEEPER_INITIATOR && peer->flags & PEER_REDIRECT_ACCEPT) &&
			(rc = endpoint_check(peer, "peer's", &peer->remote, &q->remote, e)) != RC_OK) ||
		(rc = endpoint_check(peer, "local", &peer->local, &q->local, e)) != RC_OK)
		return rc;
	/* A pattern of a distinguished name is matched by the certifiers, who read DER. */
	if (peer->auth == PEER_AUTH_CERTIFICATE && peer->remote_id.type == ID_DN &&
		q->id_n > ID_HEADER_SIZE && q->id_n <= KEEPER_ID_MAX && q->id[0] == ID_DN)
		return RC_OK;
	return peer->flags & PEER_ID_PATTERN
		       ? pattern_check(&peer->remote_id, q->id, q->id_n, e)
		       : id_check("the peer's", false, &peer->remote_id, &peer->remote, q->id, q->id_n, e);
}

/* sk: those with the PPK, if the peer's AUTH says so. spki: the peer's public key, if it has one. */
static enum rc verify_proof(const struct keys *k, const struct keeper_ike_sa *sa, const struct ike_keys *sk,
	const struct snap_peer *peer, const struct keeper_auth_verify *q, struct octets spki, struct err *e)
{
	uint8_t octets[OCTETS_MAX];
	size_t n = octets_make(sa, sk, false, q->message, q->message_n, q->other_n, q->id, q->id_n, octets);
	enum rc rc;

	if (n == 0)
		return err_add(e, RC_INTERNAL, "computing the octets that the peer signed failed");
	rc = peer->auth == PEER_AUTH_PSK ? check_psk(k, sa, peer, q, octets, n, e)
					 : signature_check(peer, spki, q, (struct octets){ octets, n }, e);
	bytes_wipe(octets, sizeof octets);
	return rc;
}

/* Method, identity and addresses for the entry, as ike states them. */
static void said_by(struct keeper_ike_sa *sa, const struct keeper_auth_verify *q)
{
	size_t id_n =
		q->id_n > ID_HEADER_SIZE && q->id_n <= KEEPER_ID_MAX ? q->id_n - (size_t)ID_HEADER_SIZE : 0;

	if (sa->role == KEEPER_RESPONDER)
		sa->transcript = q->other_n > 0;
	sa->method = q->method;
	sa->local = q->local;
	sa->remote = q->remote;
	sa->id_type = q->id[0];
	sa->id_n = (uint8_t)MIN_OF(id_n, sizeof sa->id);
	memcpy(sa->id, q->id + ID_HEADER_SIZE, sa->id_n);
}

void auth_unverified(
	struct keys *k, struct keeper_ike_sa *sa, const struct keeper_auth_verify *q, const char *text)
{
	const struct snap_peer *peer = peer_by_index(k, q->peer);

	said_by(sa, q);
	journal_auth_failed(k, sa, peer ? peer->name : "", text);
}

/* The peer has proved itself: its entry is on its way, and the IKE SA waits for the receipt. */
static enum rc verified_enter(struct keys *k, struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_verify *q, const struct ike_keys *sk, struct octets spki, uint64_t tag,
	struct err *e)
{
	struct pending *p = pending_new(k, KEEPER_AUTH_VERIFY, tag, peer->name, instance_who(peer, sa), e);
	struct peer_proof proof;
	struct keys_entry entry;
	enum rc rc;

	if (!p)
		return RC_AGAIN;
	p->handle = sa->handle;
	p->values = (struct keys_unused){ sa->proof.count, sa->proof.epoch, sa->leaf };
	sa->secret->sk = *sk;
	sa->ppk = q->ppk != 0;
	peer_proof_of(k, &proof, peer, sa, sa->ppk);
	ike_sa_set_peer(k, sa, &proof);
	entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_UP, sa, NULL);
	entry.has_key = peer->auth != PEER_AUTH_PSK;
	if (entry.has_key)
		sha256(entry.key, spki.b, spki.n);
	if (peer->auth == PEER_AUTH_CERTIFICATE)
		memcpy(sa->certified, entry.key, sizeof sa->certified);
	rc = journal_gate(k, &entry, p, e);
	if (rc != RC_OK)
		pending_free(p);
	else
		sa->verifying = p->entry_tag;
	return rc;
}

/* The certifiers have not said what they think of the peer's certificates: it waits for them (certified.c). */
static enum rc verify_later(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_auth_verify *q,
	uint64_t tag, const struct snap_peer *peer, enum outcome *ret_outcome, struct err *e)
{
	enum rc rc = verdict_park(k, q, tag, peer, instance_is_known(k, peer, sa), e);

	if (rc == RC_DENIED)
		auth_unverified(k, sa, q, e->text);
	if (rc != RC_OK)
		return rc;
	sa->certifying = true;
	*ret_outcome = WAITING;
	return RC_OK;
}

enum rc auth_verify(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	const struct snap_peer *peer = peer_by_index(k, q->peer);
	enum rc rc = verify_admit(k, sa, peer, q, e);
	struct certify_verdict certified = { 0 };
	struct ike_keys sk = { 0 };
	struct octets spki = { NULL, 0 };

	if (rc == RC_OK) {
		said_by(sa, q); /* the key may be that of the identity */
		rc = keys_choose(k, sa, peer, q->ppk != 0, &sk, e);
	}
	if (rc == RC_OK && peer->auth == PEER_AUTH_CERTIFICATE) {
		struct waiting_verdicts *v = verdicts_find(k, q->handle);
		if (!v || verdict_missing(v)) {
			bytes_wipe(&sk, sizeof sk);
			return verify_later(k, sa, q, tag, peer, ret_outcome, e);
		}
		rc = verdict_decide(v, q, peer, &certified, e);
		*v = (struct waiting_verdicts){ 0 };
	}
	if (rc == RC_DENIED)
		journal_refused(k, sa, NULL, e->text);
	if (rc == RC_OK) {
		spki = peer->auth == PEER_AUTH_CERTIFICATE
			       ? (struct octets){ certified.spki, certified.spki_n }
			       : (struct octets){ peer->public_key, peer->public_key_n };
		rc = verify_proof(k, sa, &sk, peer, q, spki, e);
	}
	/* One attempt for each exchange: guessing a pre-shared key takes a key exchange for each guess, and
	 * each is entered. */
	if (rc == RC_AUTH) {
		said_by(sa, q);
		journal_auth_failed(k, sa, peer->name, e->text);
		ike_sa_free(k, sa);
	}
	if (rc == RC_OK)
		rc = peer_has_room(k, peer->name, sa, e);
	if (rc == RC_OK)
		rc = instance_admit(k, peer, sa, e);
	if (rc == RC_OK)
		rc = verified_enter(k, sa, peer, q, &sk, spki, tag, e);
	bytes_wipe(&sk, sizeof sk);
	if (rc == RC_OK)
		*ret_outcome = WAITING;
	return rc;
}

/* The IKE SA may have been dropped: then the entry is followed by its end. */
void auth_verify_receipt(struct keys *k, struct pending *p, enum rc rc, const char *text)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, p->handle);
	struct keys_entry entry;

	/* Handles are used again after 2^18 others: only the IKE SA that waits for this entry is meant. */
	if (sa && sa->verifying != p->entry_tag)
		sa = NULL;
	if (sa) {
		assert(sa->state == IKE_KEYED && !sa->named);
		sa->verifying = 0;
		sa->named = rc == RC_OK;
	} else if (rc != RC_OK) {
		journal_unused(k,
			&(struct public_proof){ .count = p->values.count, .epoch = p->values.epoch },
			&p->values.leaf);
	}
	if (rc == RC_OK && !sa) {
		entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_DOWN, NULL, "ended before its receipt");
		journal_report(k, &entry);
		rc = RC_NOT_FOUND;
		text = "the IKE SA was dropped before the receipt came";
	}
	if (rc == RC_OK)
		ike_sa_enter(k, sa, IKE_AUTHENTICATED);
	pending_reply(k, p, rc, text);
}
