/*
 * The private keys, pre-shared keys and PPKs of this gateway, by name and kind.
 */
#include "keys/internal.h"

#include <assert.h>

static bool name_is_valid(const char *name)
{
	size_t n = strnlen(name, NAME_MAX_BYTES);

	return n > 0 && n < NAME_MAX_BYTES;
}

const struct keys_identity *identity_find(const struct keys *k, const char *name, enum identity_kind kind)
{
	return identity_by_name(k, name, kind);
}

/* The place of a key: its own if it is loaded already, else the next one. */
static enum rc identity_place(
	struct keys *k, const char *name, enum identity_kind kind, struct keys_identity **ret, struct err *e)
{
	struct keys_identity *own;
	uint32_t at = k->identities_n;

	if (!name_is_valid(name))
		return err_add(
			e, RC_RANGE, "the name of a key must have 1 to %d characters", NAME_MAX_BYTES - 1);
	if ((own = identity_by_name(k, name, kind)) != NULL) {
		*ret = own;
		return RC_OK;
	}
	if (at == KEYS_IDENTITIES_MAX)
		return err_add(
			e, RC_LIMIT, "there are too many keys; at most %d are allowed", KEYS_IDENTITIES_MAX);
	if (!identity_lock(k, at))
		return err_add(e, RC_LIMIT, "no more memory may be locked for keys: raise LimitMEMLOCK");
	k->identities_n = at + 1;
	*ret = &k->identities[at];
	(*ret)->kind = (uint32_t)kind;
	text_copy((*ret)->name, sizeof(*ret)->name, name);
	identity_index(k, at);
	return RC_OK;
}

/* A PRF keyed by the secret: it reveals nothing without the secret, and does not leave this process. */
static enum rc psk_digest(const void *psk, size_t n, uint8_t ret_digest[SHA256_SIZE])
{
	static const char label[] = "plaingate/identity/v1";
	const struct prf_part part = { label, sizeof label - 1 };

	return prf_run(PRF_HMAC_SHA2_256, psk, n, &part, 1, ret_digest);
}

static void identity_set(struct keys_identity *id, const char *name, enum identity_kind kind)
{
	bytes_wipe(id, sizeof *id);
	id->kind = (uint32_t)kind;
	text_copy(id->name, sizeof id->name, name);
}

void keys_identities_clear(struct keys *k)
{
	bytes_wipe(k->identities, k->identities_n * sizeof k->identities[0]);
	bytes_wipe(k->rsa, k->rsa_n * sizeof k->rsa[0]);
	identities_unindex(k);
	k->identities_n = k->rsa_n = 0;
}

static enum rc secret_set(struct keys *k, const char *name, enum identity_kind kind, const void *secret,
	size_t n, struct err *e)
{
	struct keys_identity *id;
	enum rc rc = identity_place(k, name, kind, &id, e);

	assert(n <= sizeof id->u.psk);
	if (rc != RC_OK)
		return rc;
	identity_set(id, name, kind);
	id->psk_n = (uint32_t)n;
	memcpy(id->u.psk, secret, n);
	return psk_digest(secret, n, id->digest);
}

enum rc keys_identity_psk(struct keys *k, const char *name, const void *psk, size_t n, struct err *e)
{
	if (n < KEYS_PSK_MIN || n > KEYS_PSK_MAX)
		return err_add(e, RC_RANGE, "the pre-shared key has %zu octets; %d to %d are allowed", n,
			KEYS_PSK_MIN, KEYS_PSK_MAX);
	return secret_set(k, name, IDENTITY_PSK, psk, n, e);
}

enum rc keys_identity_ppk(struct keys *k, const char *name, const void *ppk, size_t n, struct err *e)
{
	if (n < KEYS_PPK_MIN || n > KEYS_PSK_MAX)
		return err_add(e, RC_RANGE,
			"the post-quantum pre-shared key has %zu octets; %d to %d are allowed", n,
			KEYS_PPK_MIN, KEYS_PSK_MAX);
	return secret_set(k, name, IDENTITY_PPK, ppk, n, e);
}

const struct rsa_key *identity_rsa(const struct keys *k, const struct keys_identity *id)
{
	assert(id->kind == IDENTITY_PRIVATE && id->psk_n <= k->rsa_n);
	return id->psk_n > 0 ? &k->rsa[id->psk_n - 1] : NULL;
}

size_t identity_spki(const struct keys *k, const struct keys_identity *id, uint8_t *ret_spki)
{
	const struct rsa_key *rsa = identity_rsa(k, id);

	_Static_assert(RSA_OWN_SPKI_MAX <= KEYS_SPKI_MAX && SIGN_SPKI_MAX <= KEYS_SPKI_MAX, "any of ours");
	if (!rsa)
		return verify_key_spki(&id->u.sign.public_part, ret_spki);
	memcpy(ret_spki, rsa->spki, rsa->spki_n);
	return rsa->spki_n;
}

/* A key of this name takes the place that it had. */
static enum rc rsa_set(struct keys *k, const struct rsa_key *key, const char *name,
	struct keys_identity **ret_id, struct err *e)
{
	const struct keys_identity *before = identity_find(k, name, IDENTITY_PRIVATE);
	uint32_t at = before && before->psk_n > 0 ? before->psk_n - 1 : k->rsa_n;
	enum rc rc;

	if (at == KEYS_RSA_MAX)
		return err_add(
			e, RC_LIMIT, "there are too many RSA keys; at most %d are allowed", KEYS_RSA_MAX);
	rc = identity_place(k, name, IDENTITY_PRIVATE, ret_id, e);
	if (rc != RC_OK)
		return rc;
	identity_set(*ret_id, name, IDENTITY_PRIVATE);
	k->rsa[at] = *key;
	k->rsa_n = MAX_OF(k->rsa_n, at + 1);
	(*ret_id)->psk_n = at + 1;
	return RC_OK;
}

static enum rc sign_set(struct keys *k, const struct sign_key *key, const char *name,
	struct keys_identity **ret_id, struct err *e)
{
	enum rc rc = identity_place(k, name, IDENTITY_PRIVATE, ret_id, e);

	if (rc != RC_OK)
		return rc;
	identity_set(*ret_id, name, IDENTITY_PRIVATE);
	(*ret_id)->u.sign = *key;
	return RC_OK;
}

enum rc keys_identity_pem(struct keys *k, const char *name, const void *pem, size_t n, struct err *e)
{
	struct keys_identity *id = NULL;
	uint8_t spki[KEYS_SPKI_MAX];
	struct rsa_key rsa;
	struct sign_key key = { 0 };
	enum rc rc = rsa_key_from_pem(&rsa, pem, n, e);

	if (rc == RC_OK)
		rc = rsa_set(k, &rsa, name, &id, e);
	else if (rc == RC_NOT_FOUND && (rc = sign_key_from_pem(&key, pem, n, e)) == RC_OK)
		rc = sign_set(k, &key, name, &id, e);
	if (rc == RC_OK)
		sha256(id->digest, spki, identity_spki(k, id, spki));
	rsa_key_done(&rsa);
	sign_key_done(&key);
	return rc;
}

bool keys_identity_at(const struct keys *k, size_t i, struct keys_identity_view *ret_view)
{
	const struct keys_identity *id = i < k->identities_n ? &k->identities[i] : NULL;

	memset(ret_view, 0, sizeof *ret_view);
	if (!id)
		return false;
	text_copy(ret_view->name, sizeof ret_view->name, id->name);
	ret_view->kind = id->kind == IDENTITY_PPK ? "post-quantum" : "pre-shared";
	ret_view->ending = id->kind == IDENTITY_PPK ? "ppk" : "psk";
	ret_view->is_short = id->kind == IDENTITY_PSK && id->psk_n < KEYS_PSK_ADVISED;
	if (id->kind == IDENTITY_PRIVATE) {
		ret_view->kind = identity_rsa(k, id) ? "rsa" : sign_kind_text(id->u.sign.kind);
		ret_view->ending = "pem";
		ret_view->spki_n = identity_spki(k, id, ret_view->spki);
	}
	return true;
}
