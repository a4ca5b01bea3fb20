/*
 * Signatures over the octets of AUTH: with our key, and with the peer's, whether that is pinned or of its certificate (RFC 7427, RFC 4754,
 * RFC 8420).
 */
#include "keys/internal.h"

/*
 * The hash algorithm for our key among those that the peer announced: that of the curve's size first. 0:
 * none.
 */
static uint16_t hash_choose(uint32_t kind, uint32_t announced)
{
	static const uint16_t order[3][3] = {
		{ HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 },
		{ HASH_SHA2_384, HASH_SHA2_512, HASH_SHA2_256 },
		{ HASH_SHA2_512, HASH_SHA2_384, HASH_SHA2_256 },
	};
	size_t row = kind == SIGN_ECDSA_P384 ? 1 : kind == SIGN_ECDSA_P521 ? 2 : 0;

	if (kind == SIGN_ED25519)
		return announced & 1u << HASH_IDENTITY ? HASH_IDENTITY : 0;
	for (size_t i = 0; i < 3; i++) {
		uint16_t hash = order[row][i];
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
	if (key->kind == SIGN_ECDSA_P521)
		return err_add(e, RC_UNSUPPORTED,
			"our key is ECDSA P-521, but the peer announced no signature hash algorithms (RFC 7427); use a key of "
			"P-256 or P-384");
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

/* RSASSA-PSS, which RFC 7427 has and the methods before it have not. */
static enum rc sign_rsa(const struct rsa_key *key, uint32_t announced, const uint8_t *octets, size_t n,
	struct keeper_auth_signed *a, size_t *ret_n, struct err *e)
{
	uint16_t hash = announced ? hash_choose(SIGN_ECDSA_P256, announced) : 0;
	size_t algorithm_n = rsa_algorithm(hash, a->auth + 1), signature_n;
	enum rc rc;

	if (algorithm_n == 0)
		return err_add(e, RC_UNSUPPORTED,
			"our key is RSA, but the peer announced no signature hash algorithm that fits it (RFC 7427; bit mask "
			"%#x); use an ECDSA key",
			announced);
	a->method = AUTH_DIGITAL_SIGNATURE;
	a->auth[0] = (uint8_t)algorithm_n;
	rc = rsa_sign(key, hash, octets, n, a->auth + 1 + algorithm_n, &signature_n);
	*ret_n = 1 + algorithm_n + signature_n;
	return rc;
}

enum rc signature_make(const struct keys *k, const struct keys_identity *key, uint32_t announced,
	const uint8_t *octets, size_t n, struct keeper_auth_signed *a, size_t *ret_n, struct err *e)
{
	const struct rsa_key *rsa = identity_rsa(k, key);

	_Static_assert(1 + 12 + SIGN_SIGNATURE_MAX <= KEEPER_AUTH_OWN_MAX &&
			       1 + RSA_ALGORITHM_MAX + RSA_OWN_SIGNATURE_MAX <= KEEPER_AUTH_OWN_MAX,
		"any signature of ours fits");
	if (rsa)
		return sign_rsa(rsa, announced, octets, n, a, ret_n, e);
	return announced == 0 ? sign_classic(&key->u.sign, octets, n, a, ret_n, e)
			      : sign_rfc7427(&key->u.sign, announced, octets, n, a, ret_n, e);
}

/*
 * The peer verifies our signature with the key in our certificate. No certificate is read here: DER has one form for a key, so that of ours
 * must be part of the octets.
 */
enum rc certificate_is_of_key(
	const struct keys *k, const struct snap_peer *peer, const struct keys_identity *key, struct err *e)
{
	const struct snap_certificate_file *f = &snap_certificate_files(k->snapshot)[peer->certificate - 1];
	const struct snap_certificate *ours = &snap_certificates(k->snapshot)[f->certificates.first];
	uint8_t spki[KEYS_SPKI_MAX];
	size_t n = identity_spki(k, key, spki);

	if (f->certificates.count > 0 && memmem(snap_certificate_der(k->snapshot, ours), ours->n, spki, n))
		return RC_OK;
	return err_add(e, RC_NOT_FOUND,
		"the first certificate of '%s' is not that of our key %s.pem: expected our own certificate first, then those of "
		"authorities",
		f->name, key->name);
}

/* A key that the keeper cannot use is the peer's, who is told that it is not authenticated, and not left without an answer. */
static enum rc of_certificate(enum rc rc)
{
	return rc == RC_MALFORMED || rc == RC_UNSUPPORTED ? RC_AUTH : rc;
}

static enum rc rsa_signature_check(const struct snap_peer *peer, struct octets spki,
	const struct keeper_auth_verify *q, struct octets octets, struct err *e)
{
	struct rd r = rd_over(q->auth, q->auth_n);
	struct rd algorithm = rd_sub(&r, rd_u8(&r));
	enum rsa_padding padding = RSA_PSS;
	struct err why = { 0 };
	uint16_t hash = q->method == AUTH_DIGITAL_SIGNATURE && !algorithm.bad
				? rsa_algorithm_find(algorithm.at, rd_left(&algorithm), &padding)
				: 0;
	enum rc rc;

	if (hash == 0)
		return err_add(e, RC_AUTH,
			"the peer used authentication method %u or a signature algorithm that does not fit the RSA key of peer '%s': "
			"expected RSASSA-PSS with SHA2-256, SHA2-384 or SHA2-512 and a salt of the hash's size (RFC 7427)",
			q->method, peer->name);
	if (padding == RSA_PKCS1 && !(peer->flags & PEER_RSA_PKCS1))
		return err_add(e, RC_AUTH,
			"the peer signed by PKCS#1 v1.5: have it sign by RSASSA-PSS, or accept it by rsa-pkcs1 of peer '%s'",
			peer->name);
	if (r.bad)
		return err_add(
			e, RC_AUTH, "the authentication data of peer '%s' has no signature", peer->name);
	rc = of_certificate(
		rsa_check(spki.b, spki.n, padding, hash, octets.b, octets.n, r.at, rd_left(&r), &why));
	if (rc == RC_AUTH && why.text[0])
		return err_add(e, rc, "the key in the certificate of peer '%s': %s", peer->name, why.text);
	if (rc == RC_AUTH)
		return err_add(e, rc,
			"the peer's signature does not verify with the key in the certificate of peer '%s'",
			peer->name);
	return rc == RC_OK ? rc
			   : err_add(e, rc, "the public key of peer '%s': it could not be used", peer->name);
}

enum rc signature_check(const struct snap_peer *peer, struct octets spki, const struct keeper_auth_verify *q,
	struct octets octets, struct err *e)
{
	enum sign_format format = SIGN_PLAIN;
	struct rd r = rd_over(q->auth, q->auth_n);
	struct verify_key key;
	uint16_t hash = 0;
	enum rc rc;

	if (peer->auth == PEER_AUTH_CERTIFICATE && rsa_is_spki(spki.b, spki.n))
		return rsa_signature_check(peer, spki, q, octets, e);
	rc = verify_key_from_spki(&key, spki.b, spki.n, e);
	if (rc != RC_OK)
		return err_add(e, peer->auth == PEER_AUTH_CERTIFICATE ? of_certificate(rc) : rc,
			"the public key of peer '%s'", peer->name);
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
			"fit the %s key of peer '%s'",
			q->method, sign_kind_text(key.kind), peer->name);
	if (r.bad || sign_check(&key, hash, format, octets.b, octets.n, r.at, rd_left(&r)) != RC_OK)
		return err_add(e, RC_AUTH, "the peer's signature does not verify with the %s of peer '%s'",
			peer->auth == PEER_AUTH_CERTIFICATE ? "key in the certificate"
							    : "configured public key",
			peer->name);
	return RC_OK;
}
