/*
 * Additional key exchanges (RFC 9370): ADDITIONAL_BEGIN and ADDITIONAL_FINISH. The chosen proposal names them, and the keeper
 * counts them.
 *
 * A new IKE SA has them in IKE_INTERMEDIATE (RFC 9242), between IKE_SA_INIT and AUTH, and the keeper takes no AUTH before the
 * last. Each replaces SK_d, SK_p and SK_e.
 *
 * The rekey of an IKE SA has them in IKE_FOLLOWUP_KE (section 2.2.4), under the keys of the one that is rekeyed. There are no keys
 * before the last; what each gives is kept until then. Nothing but the values is stated: the messages are authenticated by
 * the keys that they go under.
 *
 * SK_p never leaves, so IntAuth is made here: by the keys that protect the exchange, those before its result. A value
 * is taken from, or compared with, the octets that are authenticated: a compromised ike cannot have one value
 * authenticated and another one used.
 */
#include "keys/internal.h"

#include <assert.h>

enum { OF_INITIATOR, OF_RESPONDER };

static size_t count_of(const uint16_t method[ADDITIONAL_MAX])
{
	size_t n = 0;

	while (n < ADDITIONAL_MAX && method[n] != 0)
		n++;
	return n;
}

enum rc additional_check(const uint16_t method[ADDITIONAL_MAX], struct err *e)
{
	size_t n = count_of(method);

	for (size_t i = 0; i < ADDITIONAL_MAX; i++) {
		if (i >= n ? method[i] != 0 : mlkem_key_size(method[i]) == 0)
			return err_add(e, RC_UNSUPPORTED,
				"additional key exchange %u is not supported; ML-KEM-768 (%d) and ML-KEM-1024 (%d) are",
				method[i], MLKEM_768, MLKEM_1024);
		for (size_t k = 0; k < i; k++)
			if (method[i] != 0 && method[i] == method[k])
				return err_add(e, RC_UNSUPPORTED,
					"additional key exchange %s is named twice; once is allowed",
					kem_word(method[i]));
	}
	return RC_OK;
}

/* The value in a message, of the size that it has to have; NULL: it is not inside. */
static const uint8_t *value_in(const uint8_t *message, size_t message_n, size_t at, size_t n, struct err *e)
{
	if (message_n <= KEEPER_INTERMEDIATE_MAX && at <= message_n && n <= message_n - at)
		return message + at;
	err_add(e, RC_RANGE,
		"the IKE_INTERMEDIATE message has %zu octets; %zu of a public value from octet %zu on are "
		"not inside, or it is longer than %d",
		message_n, n, at, KEEPER_INTERMEDIATE_MAX);
	return NULL;
}

static bool is_rekey(const struct keeper_ike_sa *sa)
{
	return sa->parent != 0;
}

/* The message is of this IKE SA. */
static enum rc message_check(const struct keeper_ike_sa *sa, const uint8_t *message, size_t n, struct err *e)
{
	enum { HEADERS = 32 }; /* of IKE and of the SK payload */

	if (is_rekey(sa)) /* the value alone */
		return RC_OK;
	if (n >= HEADERS && memcmp(message, sa->spi_i, 8) == 0 && memcmp(message + 8, sa->spi_r, 8) == 0)
		return RC_OK;
	return err_add(e, RC_DENIED,
		"the IKE_INTERMEDIATE message to be authenticated is not of this exchange: its SPIs differ");
}

static enum rc int_auth_add(
	const struct keeper_ike_sa *sa, int direction, const uint8_t *message, size_t n, uint8_t *ret)
{
	const uint8_t *before = sa->additional.int_auth[direction];

	if (is_rekey(sa)) /* its messages are authenticated by the keys that they go under */
		return RC_OK;
	return derive_int_auth(sa->prf,
		direction == OF_INITIATOR ? sa->secret->sk.sk_pi : sa->secret->sk.sk_pr,
		(struct octets){ before, sa->additional.done > 0 ? sa->secret->sk.prf_n : 0 },
		(struct octets){ message, n }, ret);
}

enum rc additional_offer(const uint8_t parent[LEAF_SEED_SIZE], uint16_t method,
	struct keeper_additional_begun *a, struct err *e)
{
	uint8_t seed[MLKEM_SEED_SIZE];
	struct mlkem_secret secret;
	enum rc rc = leaf_key_pair(parent, method, seed);

	if (rc == RC_OK)
		rc = mlkem_generate(&secret, a->ke, method, seed, e);
	if (rc == RC_OK)
		mlkem_done(&secret);
	bytes_wipe(seed, sizeof seed);
	a->ke_n = (uint16_t)mlkem_key_size(method);
	return rc;
}

/* Our ciphertext to the peer's key, and IntAuth of its request. */
static enum rc begin_responder(struct keeper_ike_sa *sa, const struct keeper_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e)
{
	uint8_t random[MLKEM_RANDOM_SIZE], shared[MLKEM_SHARED_SIZE], int_auth[PRF_SIZE_MAX] = { 0 };
	size_t key_n = mlkem_key_size(q->method);
	const uint8_t *key = value_in(q->message, q->message_n, q->ke_at, key_n, e);
	enum rc rc = key ? message_check(sa, q->message, q->message_n, e) : RC_RANGE;

	if (rc == RC_OK)
		rc = leaf_encapsulation(sa->secret->seed, q->method, random);
	if (rc == RC_OK)
		rc = mlkem_encapsulate(q->method, key, key_n, random, a->ke, shared, e);
	if (rc == RC_OK)
		rc = int_auth_add(sa, OF_INITIATOR, q->message, q->message_n, int_auth);
	if (rc == RC_OK) {
		memcpy(sa->secret->shared, shared, sizeof sa->secret->shared);
		if (!is_rekey(sa))
			memcpy(sa->additional.int_auth[OF_INITIATOR], int_auth, sa->secret->sk.prf_n);
	}
	bytes_wipe(random, sizeof random);
	bytes_wipe(shared, sizeof shared);
	a->ke_n = (uint16_t)mlkem_ciphertext_size(q->method);
	return rc;
}

enum rc additional_begin(struct keys *k, const struct keeper_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	bool responds = sa->role == KEEPER_RESPONDER;
	enum rc rc;

	assert(sa->state == IKE_ADDITIONAL && !sa->additional.begun);
	assert(sa->additional.done < count_of(sa->additional.method));
	if (q->method != sa->additional.method[sa->additional.done])
		return err_add(e, RC_DENIED, "the next additional key exchange is %s (%u), not %u",
			kem_word(sa->additional.method[sa->additional.done]),
			sa->additional.method[sa->additional.done], q->method);
	if (!responds && q->message_n != 0)
		return err_add(e, RC_MALFORMED, "a message is stated; only a responder states the peer's");
	rc = responds ? begin_responder(sa, q, a, e) : additional_offer(sa->secret->seed, q->method, a, e);
	if (rc != RC_OK) {
		memset(a, 0, sizeof *a);
		return err_add(e, rc, "additional key exchange %s", kem_word(q->method));
	}
	sha256(sa->additional.our_value, a->ke, a->ke_n);
	sa->additional.begun = true;
	return RC_OK;
}

/* What of the two messages a side has to have: our value, and an initiator the peer's. */
static enum rc finish_check(const struct keeper_ike_sa *sa, const struct keeper_additional_finish *q,
	uint16_t method, struct err *e)
{
	bool responds = sa->role == KEEPER_RESPONDER;
	const uint8_t *of_response =
		value_in(q->response, q->response_n, q->response_ke_at, mlkem_ciphertext_size(method), e);
	const uint8_t *ours = of_response;
	size_t n = responds ? mlkem_ciphertext_size(method) : mlkem_key_size(method);
	uint8_t digest[SHA256_SIZE];
	enum rc rc = of_response ? message_check(sa, q->response, q->response_n, e) : RC_RANGE;

	if (rc == RC_OK && responds && q->request_n != 0)
		return err_add(e, RC_MALFORMED, "the request is stated; ADDITIONAL_BEGIN had it");
	if (rc == RC_OK && !responds) {
		ours = value_in(q->request, q->request_n, q->request_ke_at, n, e);
		rc = ours ? message_check(sa, q->request, q->request_n, e) : RC_RANGE;
	}
	if (rc != RC_OK)
		return rc;
	sha256(digest, ours, n);
	if (memcmp(digest, sa->additional.our_value, sizeof digest) != 0)
		return err_add(e, RC_DENIED,
			"the message to be authenticated does not hold our public value of the additional key "
			"exchange");
	return RC_OK;
}

static enum rc shared_of(const struct keeper_ike_sa *sa, const struct keeper_additional_finish *q,
	uint16_t method, uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e)
{
	struct mlkem_secret secret = { .set = method };
	enum rc rc;

	if (sa->role == KEEPER_RESPONDER) {
		memcpy(ret_shared, sa->secret->shared, MLKEM_SHARED_SIZE);
		return RC_OK;
	}
	rc = leaf_key_pair(sa->secret->seed, method, secret.seed);
	if (rc == RC_OK)
		rc = mlkem_decapsulate(&secret, q->response + q->response_ke_at,
			mlkem_ciphertext_size(method), ret_shared, e);
	mlkem_done(&secret);
	return rc;
}

/* RFC 9370 section 2.2.2: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), and the keys of it as of the first one. */
static enum rc keys_next(
	const struct keeper_ike_sa *sa, const uint8_t *shared, struct ike_keys_all *ret_keys, struct err *e)
{
	struct octets ours = { sa->nonce, sa->nonce_n }, theirs = { sa->peer_nonce, sa->peer_nonce_n };
	struct octets ni = sa->role == KEEPER_INITIATOR ? ours : theirs;
	struct octets nr = sa->role == KEEPER_INITIATOR ? theirs : ours;
	uint8_t skeyseed[PRF_SIZE_MAX];
	enum rc rc =
		derive_skeyseed_rekey(sa->prf, (struct octets){ sa->secret->sk.sk_d, sa->secret->sk.prf_n },
			ni, nr, (struct octets){ shared, MLKEM_SHARED_SIZE }, skeyseed);

	if (rc == RC_OK)
		rc = derive_ike_keys(sa->prf, (struct octets){ skeyseed, sa->secret->sk.prf_n }, ni, nr,
			sa->spi_i, sa->spi_r, aead_material_size(sa->encr, sa->encr_bits),
			aead_integ_size(sa->encr), ret_keys);
	bytes_wipe(skeyseed, sizeof skeyseed);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "deriving the keys of an additional key exchange");
}

static bool is_last(const struct keeper_ike_sa *sa)
{
	return sa->additional.done + 1u == count_of(sa->additional.method);
}

static void finish_commit(struct keys *k, struct keeper_ike_sa *sa)
{
	bytes_wipe(sa->secret->shared, sizeof sa->secret->shared);
	sa->hybrid = true;
	sa->additional.begun = false;
	if (is_last(sa)) {
		bytes_wipe(sa->secret->seed, sizeof sa->secret->seed);
		ike_sa_enter(k, sa, IKE_KEYED);
	}
	sa->additional.done++;
}

/* In IKE_INTERMEDIATE: new keys after each. */
static enum rc finish_new(struct keys *k, struct keeper_ike_sa *sa, const struct keeper_additional_finish *q,
	const uint8_t *shared, struct keeper_sk_e *ret_sk_e, struct err *e)
{
	uint8_t int_auth[2][PRF_SIZE_MAX];
	struct ike_keys_all keys;
	enum rc rc = RC_OK;

	memcpy(int_auth, sa->additional.int_auth, sizeof int_auth);
	if (sa->role == KEEPER_INITIATOR)
		rc = int_auth_add(sa, OF_INITIATOR, q->request, q->request_n, int_auth[OF_INITIATOR]);
	if (rc == RC_OK)
		rc = int_auth_add(sa, OF_RESPONDER, q->response, q->response_n, int_auth[OF_RESPONDER]);
	if (rc == RC_OK)
		rc = keys_next(sa, shared, &keys, e);
	if (rc != RC_OK)
		return rc;
	memcpy(sa->additional.int_auth, int_auth, sizeof sa->additional.int_auth);
	ike_keys_take(sa, &keys, ret_sk_e);
	finish_commit(k, sa);
	return RC_OK;
}

/* In IKE_FOLLOWUP_KE: keys after the last one, and then it is the peer's as the one before it. */
static enum rc finish_rekey(struct keys *k, struct keeper_ike_sa *sa, const uint8_t *shared,
	struct keeper_sk_e *ret_sk_e, struct err *e)
{
	const struct keeper_ike_sa *parent = ike_sa_find(k, sa->parent);
	struct shared_chain chain = sa->secret->chain;
	struct ike_keys_all keys;
	bool last = is_last(sa);
	enum rc rc = RC_OK;

	assert(parent && parent->state == IKE_AUTHENTICATED);
	assert(chain.n <= sizeof chain.at - MLKEM_SHARED_SIZE);
	memcpy(chain.at + chain.n, shared, MLKEM_SHARED_SIZE);
	chain.n += MLKEM_SHARED_SIZE;
	if (last && (rc = rekey_is_allowed(k, sa, parent, e)) == RC_OK)
		rc = rekey_keys(sa, parent, &chain, &keys, e);
	if (rc == RC_OK) {
		sa->secret->chain = chain;
		if (last) {
			bytes_wipe(&sa->secret->chain, sizeof sa->secret->chain);
			ike_keys_take(sa, &keys, ret_sk_e);
		}
		finish_commit(k, sa);
	}
	bytes_wipe(&chain, sizeof chain);
	if (rc == RC_OK && last)
		rekey_inherit(k, sa, parent);
	return rc;
}

enum rc additional_finish(struct keys *k, const struct keeper_additional_finish *q,
	struct keeper_additional_finished *a, struct err *e)
{
	struct keeper_ike_sa *sa = ike_sa_find(k, q->handle);
	uint16_t method = sa->additional.method[sa->additional.done];
	uint8_t shared[MLKEM_SHARED_SIZE];
	enum rc rc = finish_check(sa, q, method, e);

	assert(sa->state == IKE_ADDITIONAL && sa->additional.begun);
	if (rc == RC_DENIED)
		journal_refused(k, sa, NULL, e->text);
	if (rc == RC_OK)
		rc = shared_of(sa, q, method, shared, e);
	if (rc == RC_OK)
		rc = is_rekey(sa) ? finish_rekey(k, sa, shared, &a->sk_e, e)
				  : finish_new(k, sa, q, shared, &a->sk_e, e);
	bytes_wipe(shared, sizeof shared);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "additional key exchange %s", kem_word(method));
}
