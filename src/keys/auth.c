/*
 * Authentication: AUTH_SIGN and AUTH_VERIFY (RFC 7296 section 2.15, RFC 7427, RFC 4754, RFC 8420).
 *
 * Beyond the RFC the keeper checks that the signed message is the one of this exchange: it contains our own
 * (or the peer's) SPI, nonce and public value. So a compromised ike cannot have other octets signed.
 */
#include "keys/internal.h"

#include <assert.h>
#include <stdio.h>

#define IKE_HEADER_SIZE 28
#define ID_HEADER_SIZE	4 /* type and three reserved octets of the identification payload's body */
#define OCTETS_MAX	(KEEPER_MESSAGE_MAX + KEEPER_NONCE_MAX + PRF_SIZE_MAX)

static bool holds(const uint8_t *in, size_t in_n, const uint8_t *what, size_t n)
{
	for (size_t at = 0; n > 0 && at + n <= in_n; at++)
		if (memcmp(in + at, what, n) == 0)
			return true;
	return false;
}

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
		!holds(message + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, nonce, nonce_n) ||
		!holds(message + IKE_HEADER_SIZE, n - IKE_HEADER_SIZE, ke, ke_n))
		return err_add(e, RC_DENIED,
			"the message to be %s is not the IKE_SA_INIT %s of this exchange: SPI, nonce or "
			"public value differ",
			mine ? "signed" : "checked", of_initiator ? "request" : "response");
	return RC_OK;
}

/*
 * 2.15: message | nonce of the other side | prf(SK_p, identity), with the SK_p of the side that sent the
 * message. Returns the length; 0 on failure.
 */
static size_t octets_make(const struct keeper_ike_sa *sa, const struct ike_keys *sk, bool mine,
	const uint8_t *message, size_t message_n, const uint8_t *id, size_t id_n, uint8_t *ret_octets)
{
	bool of_initiator = mine == (sa->role == KEEPER_INITIATOR);
	const uint8_t *nonce = mine ? sa->peer_nonce : sa->nonce;
	size_t nonce_n = mine ? sa->peer_nonce_n : sa->nonce_n;
	const struct prf_part part = { id, id_n };

	/* message_check(), id_check() */
	assert(message_n <= KEEPER_MESSAGE_MAX && nonce_n <= KEEPER_NONCE_MAX && id_n <= KEEPER_ID_MAX);
	memcpy(ret_octets, message, message_n);
	memcpy(ret_octets + message_n, nonce, nonce_n);
	if (prf_run(sa->prf, of_initiator ? sk->sk_pi : sk->sk_pr, sk->prf_n, &part, 1,
		    ret_octets + message_n + nonce_n) != RC_OK)
		return 0;
	return message_n + nonce_n + sk->prf_n;
}

/*
 * The IKE SA's keys, with the peer's PPK when `ppk` (RFC 8784 section 3). They are with it once: after its AUTH was
 * verified by them they are the IKE SA's own.
 */
static enum rc keys_choose(const struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	bool ppk, struct ike_keys *ret_sk, struct err *e)
{
	const struct keys_identity *key = identity_find(k, peer->ppk_name, IDENTITY_PPK);

	*ret_sk = sa->sk;
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

/* "fqdn 'b.example'", "address 192.0.2.1"; octets that are not printable become dots. */
static const char *id_text(char *ret_text, uint8_t type, const uint8_t *data, size_t n)
{
	char address[ADDR_TEXT_MAX], plain[129];
	struct ip_addr a;

	if ((type == ID_IPV4 && n == 4) || (type == ID_IPV6 && n == 16)) {
		a = type == ID_IPV4 ? addr_v4(data) : addr_v6(data);
		snprintf(ret_text, KEYS_ID_TEXT_MAX, "address %s", addr_text(address, &a));
		return ret_text;
	}
	n = MIN_OF(n, sizeof plain - 1);
	for (size_t i = 0; i < n; i++)
		plain[i] = data[i] >= ' ' && data[i] < 127 ? (char)data[i] : '.';
	plain[n] = '\0';
	snprintf(ret_text, KEYS_ID_TEXT_MAX, "%s '%s'",
		type == ID_FQDN	    ? "fqdn"
		: type == ID_RFC822 ? "email"
		: type == ID_KEY_ID ? "key-id"
				    : "identity of another type",
		plain);
	return ret_text;
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

/*
 * The hash algorithm for our key among those that the peer announced: that of the curve's size first. 0:
 * none.
 */
static uint16_t hash_choose(uint32_t kind, uint32_t announced)
{
	static const uint16_t order[2][3] = {
		{ HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 },
		{ HASH_SHA2_384, HASH_SHA2_512, HASH_SHA2_256 },
	};

	if (kind == SIGN_ED25519)
		return announced & 1u << HASH_IDENTITY ? HASH_IDENTITY : 0;
	for (size_t i = 0; i < 3; i++) {
		uint16_t hash = order[kind == SIGN_ECDSA_P384][i];
		if (announced & 1u << hash)
			return hash;
	}
	return 0;
}

static enum rc sign_classic(const struct sign_key *key, const uint8_t *octets, size_t n,
	struct keeper_auth_signed *a, size_t *ret_n, struct err *e)
{
	if (key->kind == SIGN_ED25519)
		return err_add(e, RC_UNSUPPORTED,
			"our key is Ed25519, but the peer announced no signature hash algorithms (RFC "
			"7427) and so cannot verify it; use an ECDSA key");
	a->method = key->kind == SIGN_ECDSA_P256 ? AUTH_ECDSA_SHA256_P256 : AUTH_ECDSA_SHA384_P384;
	return sign_message(key, key->kind == SIGN_ECDSA_P256 ? HASH_SHA2_256 : HASH_SHA2_384, SIGN_PLAIN,
		octets, n, a->auth, ret_n);
}

/* RFC 7427 section 3: one octet of length, the AlgorithmIdentifier, the signature. */
static enum rc sign_rfc7427(const struct sign_key *key, uint32_t announced, const uint8_t *octets, size_t n,
	struct keeper_auth_signed *a, size_t *ret_n, struct err *e)
{
	uint16_t hash = hash_choose(key->kind, announced);
	size_t algorithm_n, signature_n;
	const uint8_t *algorithm = sign_algorithm(key->kind, hash, &algorithm_n);
	enum rc rc;

	if (!algorithm)
		return err_add(e, RC_UNSUPPORTED,
			"our key is %s, but the peer announced no signature hash algorithm that fits it "
			"(bit mask %#x)",
			sign_kind_text(key->kind), announced);
	a->method = AUTH_DIGITAL_SIGNATURE;
	a->auth[0] = (uint8_t)algorithm_n;
	memcpy(a->auth + 1, algorithm, algorithm_n);
	rc = sign_message(key, hash, SIGN_DER, octets, n, a->auth + 1 + algorithm_n, &signature_n);
	*ret_n = 1 + algorithm_n + signature_n;
	return rc;
}

static enum rc auth_make(const struct keys *k, const struct keeper_ike_sa *sa, const struct ike_keys *sk,
	const struct snap_peer *peer, const struct keeper_auth_sign *q, struct keeper_auth_signed *a,
	struct err *e)
{
	uint8_t octets[OCTETS_MAX];
	size_t n = octets_make(sa, sk, true, q->message, q->message_n, q->id, q->id_n, octets), auth_n = 0;
	enum identity_kind kind = peer->auth == PEER_AUTH_PSK ? IDENTITY_PSK : IDENTITY_PRIVATE;
	const struct keys_identity *key = identity_find(k, peer->key_name, kind);
	enum rc rc;

	if (!key)
		return err_add(e, RC_NOT_FOUND,
			"no %s '%s' for peer '%s': the key directory has no usable %s.%s",
			kind == IDENTITY_PSK ? "pre-shared key" : "private key", peer->key_name, peer->name,
			peer->key_name, kind == IDENTITY_PSK ? "psk" : "pem");
	_Static_assert(1 + 12 + SIGN_SIGNATURE_MAX <= KEEPER_AUTH_MAX, "any signature fits");
	if (n == 0)
		return err_add(e, RC_INTERNAL, "computing the signed octets failed");
	if (kind == IDENTITY_PSK) {
		a->method = AUTH_SHARED_KEY;
		auth_n = prf_size(sa->prf);
		rc = psk_auth(sa->prf, key, octets, n, a->auth);
	} else if (q->hashes == 0) {
		rc = sign_classic(&key->u.sign, octets, n, a, &auth_n, e);
	} else {
		rc = sign_rfc7427(&key->u.sign, q->hashes, octets, n, a, &auth_n, e);
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

	if (rc == RC_OK && offered && !(peer->flags & PEER_REQUIRE_PQ)) {
		rc = auth_make(k, sa, &sa->sk, peer, q, a, e);
		memcpy(a->no_ppk, a->auth, sizeof a->no_ppk);
		a->no_ppk_n = a->auth_n;
	}
	if (rc == RC_OK)
		rc = auth_make(k, sa, &sk, peer, q, a, e);
	bytes_wipe(&sk, sizeof sk);
	return rc;
}

/* What the configuration says of the PPK: whether the keys may be without it, or with it. */
static enum rc ppk_allowed(const struct snap_peer *peer, bool ppk, struct err *e)
{
	if (!ppk && peer->flags & PEER_REQUIRE_PQ)
		return err_add(e, RC_AUTH,
			"peer '%s' is configured with require-post-quantum, and the other side does not use the PPK '%s'",
			peer->name, peer->ppk_name);
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
	if (sa->state == IKE_KEYED && (rc = ppk_allowed(peer, q->ppk != 0, e)) != RC_OK)
		return rc;
	if ((rc = peer_allows_proposal(k, peer, sa, e)) != RC_OK ||
		(rc = id_check("our", true, &peer->local_id, &peer->local, q->id, q->id_n, e)) != RC_OK)
		return rc;
	return message_check(sa, true, q->message, q->message_n, e);
}

/*
 * An initiator uses its key before the peer is authenticated: that is entered first. A responder has
 * authenticated it.
 */
static enum rc sign_gate(struct keys *k, const struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_signed *a, uint64_t tag, struct err *e)
{
	struct pending *p = pending_new(k, KEEPER_AUTH_SIGN, tag, peer->name, e);
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
	const struct keys_identity *key = identity_find(k, peer->key_name, IDENTITY_PSK);
	uint8_t want[PRF_SIZE_MAX];
	enum rc rc;

	if (q->method != AUTH_SHARED_KEY)
		return err_add(e, RC_AUTH,
			"the peer used authentication method %u; peer '%s' is configured with a "
			"pre-shared key (method 2)",
			q->method, peer->name);
	if (!key)
		return err_add(e, RC_NOT_FOUND,
			"no pre-shared key '%s' for peer '%s': the key directory has no usable %s.psk",
			peer->key_name, peer->name, peer->key_name);
	rc = psk_auth(sa->prf, key, octets, n, want);
	if (rc == RC_OK && (q->auth_n != prf_size(sa->prf) || !bytes_equal_secret(want, q->auth, q->auth_n)))
		rc = err_add(e, RC_AUTH,
			"the peer's AUTH does not match the pre-shared key '%s': the two sides have "
			"different keys, or the messages were changed in transit",
			peer->key_name);
	bytes_wipe(want, sizeof want);
	return rc;
}

static enum rc check_signature(const struct snap_peer *peer, const struct keeper_auth_verify *q,
	const uint8_t *octets, size_t n, struct err *e)
{
	enum sign_format format = SIGN_PLAIN;
	struct rd r = rd_over(q->auth, q->auth_n);
	struct verify_key key;
	uint16_t hash = 0;
	enum rc rc = verify_key_from_spki(&key, peer->public_key, peer->public_key_n, e);

	if (rc != RC_OK)
		return err_add(e, rc, "the public key of peer '%s'", peer->name);
	if (q->method == AUTH_ECDSA_SHA256_P256 && key.kind == SIGN_ECDSA_P256) {
		hash = HASH_SHA2_256;
	} else if (q->method == AUTH_ECDSA_SHA384_P384 && key.kind == SIGN_ECDSA_P384) {
		hash = HASH_SHA2_384;
	} else if (q->method == AUTH_DIGITAL_SIGNATURE) {
		struct rd algorithm = rd_sub(&r, rd_u8(&r));
		hash = algorithm.bad ? 0 : sign_algorithm_find(key.kind, algorithm.at, rd_left(&algorithm));
		format = SIGN_DER;
	}
	if (hash == 0)
		return err_add(e, RC_AUTH,
			"the peer used authentication method %u or a signature algorithm that does not "
			"fit the configured %s key of peer '%s'",
			q->method, sign_kind_text(key.kind), peer->name);
	if (r.bad || sign_check(&key, hash, format, octets, n, r.at, rd_left(&r)) != RC_OK)
		return err_add(e, RC_AUTH,
			"the peer's signature does not verify with the configured public key of peer '%s'",
			peer->name);
	return RC_OK;
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
	if ((rc = ppk_allowed(peer, q->ppk != 0, e)) != RC_OK ||
		(rc = peer_allows_proposal(k, peer, sa, e)) != RC_OK ||
		(rc = message_check(sa, false, q->message, q->message_n, e)) != RC_OK ||
		(rc = endpoint_check(peer, "peer's", &peer->remote, &q->remote, e)) != RC_OK ||
		(rc = endpoint_check(peer, "local", &peer->local, &q->local, e)) != RC_OK)
		return rc;
	return id_check("the peer's", false, &peer->remote_id, &peer->remote, q->id, q->id_n, e);
}

/* sk: those with the PPK, if the peer's AUTH says so. */
static enum rc verify_proof(const struct keys *k, const struct keeper_ike_sa *sa, const struct ike_keys *sk,
	const struct snap_peer *peer, const struct keeper_auth_verify *q, struct err *e)
{
	uint8_t octets[OCTETS_MAX];
	size_t n = octets_make(sa, sk, false, q->message, q->message_n, q->id, q->id_n, octets);
	enum rc rc;

	if (n == 0)
		return err_add(e, RC_INTERNAL, "computing the octets that the peer signed failed");
	rc = peer->auth == PEER_AUTH_PSK ? check_psk(k, sa, peer, q, octets, n, e)
					 : check_signature(peer, q, octets, n, e);
	bytes_wipe(octets, sizeof octets);
	return rc;
}

/* Method, identity and addresses for the entry, as ike states them. */
static void said_by(struct keeper_ike_sa *sa, const struct keeper_auth_verify *q)
{
	size_t id_n =
		q->id_n > ID_HEADER_SIZE && q->id_n <= KEEPER_ID_MAX ? q->id_n - (size_t)ID_HEADER_SIZE : 0;

	sa->method = q->method;
	sa->local = q->local;
	sa->remote = q->remote;
	sa->id_type = q->id[0];
	sa->id_n = (uint8_t)MIN_OF(id_n, sizeof sa->id);
	memcpy(sa->id, q->id + ID_HEADER_SIZE, sa->id_n);
}

/* The peer has proved itself: its entry is on its way, and the IKE SA waits for the receipt. */
static enum rc verified_enter(struct keys *k, struct keeper_ike_sa *sa, const struct snap_peer *peer,
	const struct keeper_auth_verify *q, const struct ike_keys *sk, uint64_t tag, struct err *e)
{
	struct pending *p = pending_new(k, KEEPER_AUTH_VERIFY, tag, peer->name, e);
	struct keys_entry entry;
	enum rc rc;

	if (!p)
		return RC_AGAIN;
	p->handle = sa->handle;
	p->values = (struct keys_unused){ sa->proof.count, sa->proof.epoch, sa->leaf };
	sa->sk = *sk;
	sa->ppk = q->ppk != 0;
	peer_proof_of(k, &sa->peer, peer, sa->ppk);
	said_by(sa, q);
	entry_from_ike_sa(&entry, KEYS_ENTRY_IKE_SA_UP, sa, NULL);
	rc = journal_gate(k, &entry, p, e);
	if (rc != RC_OK)
		pending_free(p);
	else
		sa->verifying = p->entry_tag;
	return rc;
}

enum rc auth_verify(struct keys *k, const struct keeper_auth_verify *q, uint64_t tag,
	enum outcome *ret_outcome, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	const struct snap_peer *peer = peer_by_index(k, q->peer);
	enum rc rc = verify_admit(k, sa, peer, q, e);
	struct ike_keys sk = { 0 };

	if (rc == RC_OK)
		rc = keys_choose(k, sa, peer, q->ppk != 0, &sk, e);
	if (rc == RC_DENIED)
		journal_refused(k, sa, NULL, e->text);
	if (rc == RC_OK)
		rc = verify_proof(k, sa, &sk, peer, q, e);
	/* One attempt for each exchange: guessing a pre-shared key takes a key exchange for each guess, and
	 * each is entered. */
	if (rc == RC_AUTH) {
		said_by(sa, q);
		journal_auth_failed(k, sa, peer->name, e->text);
		ike_sa_free(k, sa);
	}
	if (rc == RC_OK)
		rc = peer_has_room(k, peer->name, e);
	if (rc == RC_OK)
		rc = verified_enter(k, sa, peer, q, &sk, tag, e);
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
		sa->state = IKE_AUTHENTICATED;
	pending_reply(k, p, rc, text);
}
