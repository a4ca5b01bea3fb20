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
	for (size_t i = 0; i < k->identities_n; i++)
		if (k->identities[i].kind == (uint32_t)kind && strcmp(k->identities[i].name, name) == 0)
			return &k->identities[i];
	return NULL;
}

/* The place of a key: its own if it is loaded already, else the next one. */
static enum rc identity_place(
	struct keys *k, const char *name, enum identity_kind kind, struct keys_identity **ret, struct err *e)
{
	uint32_t at = 0;

	if (!name_is_valid(name))
		return err_add(
			e, RC_RANGE, "the name of a key must have 1 to %d characters", NAME_MAX_BYTES - 1);
	while (at < k->identities_n &&
		(k->identities[at].kind != (uint32_t)kind || strcmp(k->identities[at].name, name) != 0))
		at++;
	if (at == KEYS_IDENTITIES_MAX)
		return err_add(
			e, RC_LIMIT, "there are too many keys; at most %d are allowed", KEYS_IDENTITIES_MAX);
	k->identities_n = MAX_OF(k->identities_n, at + 1);
	*ret = &k->identities[at];
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
	k->identities_n = 0;
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

enum rc keys_identity_pem(struct keys *k, const char *name, const void *pem, size_t n, struct err *e)
{
	struct keys_identity *id;
	struct sign_key key;
	enum rc rc = sign_key_from_pem(&key, pem, n, e);

	if (rc == RC_OK)
		rc = identity_place(k, name, IDENTITY_PRIVATE, &id, e);
	if (rc == RC_OK) {
		identity_set(id, name, IDENTITY_PRIVATE);
		id->u.sign = key;
		uint8_t spki[128];
		sha256(id->digest, spki, verify_key_spki(&key.public_part, spki));
	}
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
		ret_view->kind = sign_kind_text(id->u.sign.kind);
		ret_view->ending = "pem";
		ret_view->spki_n = verify_key_spki(&id->u.sign.public_part, ret_view->spki);
	}
	return true;
}
