/*
 * Additional key exchanges of a child SA, in IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): CHILD_ADDITIONAL_BEGIN and CHILD_ADDITIONAL_FINISH,
 * between CHILD_BEGIN and CHILD_INSTALL. What each gives is kept until the installation, whose proposal has to name exactly these. A
 * responder's is over with its beginning; an initiator's secret is made of the seed again when the peer's value is there.
 */
#include "keys/internal.h"

#include <assert.h>

/* The child SA may have this one next. */
static enum rc next_check(const struct child_sa *c, uint16_t method, struct err *e)
{
	if (!c->followed)
		return err_add(e, RC_DENIED, "child SA %#x was begun as one without additional key exchanges",
			c->handle);
	if (mlkem_key_size(method) == 0)
		return err_add(e, RC_UNSUPPORTED, "additional key exchange %u is not supported", method);
	if (c->additional_n >= ADDITIONAL_MAX)
		return err_add(e, RC_LIMIT,
			"child SA %#x has %d additional key exchanges; no more are allowed", c->handle,
			ADDITIONAL_MAX);
	for (size_t i = 0; i < c->additional_n; i++)
		if (c->additional[i] == method)
			return err_add(e, RC_DENIED,
				"additional key exchange %s was made already; once is allowed",
				kem_word(method));
	return RC_OK;
}

static uint8_t *next_of(struct child_sa *c)
{
	assert(c->additional_n < ADDITIONAL_MAX);
	return c->secret->followed + c->additional_n * (size_t)MLKEM_SHARED_SIZE;
}

/* Our ciphertext to the peer's key. */
static enum rc begin_responder(struct child_sa *c, const struct keeper_child_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e)
{
	uint8_t random[MLKEM_RANDOM_SIZE], shared[MLKEM_SHARED_SIZE];
	enum rc rc = leaf_encapsulation(c->secret->seed, q->method, random);

	if (rc == RC_OK)
		rc = mlkem_encapsulate(q->method, q->peer_ke, q->peer_ke_n, random, a->ke, shared, e);
	if (rc == RC_OK)
		memcpy(next_of(c), shared, sizeof shared);
	bytes_wipe(random, sizeof random);
	bytes_wipe(shared, sizeof shared);
	a->ke_n = (uint16_t)mlkem_ciphertext_size(q->method);
	return rc;
}

enum rc child_additional_begin(struct keys *k, const struct keeper_child_additional_begin *q,
	struct keeper_additional_begun *a, struct err *e)
{
	struct child_sa *c = child_sa_find(k, q->child);
	bool responds = c->role == KEEPER_RESPONDER;
	enum rc rc = next_check(c, q->method, e);

	assert(c->state == CHILD_BEGUN && !c->additional_begun);
	if (rc == RC_DENIED)
		journal_refused(k, ike_sa_find(k, q->handle), c->tunnel, e->text);
	if (rc != RC_OK)
		return rc;
	if (q->peer_ke_n != (responds ? mlkem_key_size(q->method) : 0))
		return err_add(e, RC_MALFORMED, "the peer's value has %u octets; %zu are allowed",
			q->peer_ke_n, responds ? mlkem_key_size(q->method) : 0);
	rc = responds ? begin_responder(c, q, a, e) : additional_offer(c->secret->seed, q->method, a, e);
	if (rc != RC_OK) {
		memset(a, 0, sizeof *a);
		return err_add(e, rc, "additional key exchange %s", kem_word(q->method));
	}
	c->additional[c->additional_n] = q->method;
	c->additional_n += responds;
	c->additional_begun = !responds;
	return RC_OK;
}

enum rc child_additional_finish(struct keys *k, const struct keeper_child_additional_finish *q, struct err *e)
{
	struct child_sa *c = child_sa_find(k, q->child);
	struct mlkem_secret secret = { 0 };
	uint8_t shared[MLKEM_SHARED_SIZE];
	uint16_t method;
	enum rc rc;

	assert(c->state == CHILD_BEGUN && c->additional_begun && c->role == KEEPER_INITIATOR);
	method = c->additional[c->additional_n];
	secret.set = method;
	if (q->peer_ke_n != mlkem_ciphertext_size(method))
		return err_add(e, RC_MALFORMED, "the peer's value has %u octets; %zu are allowed",
			q->peer_ke_n, mlkem_ciphertext_size(method));
	rc = leaf_key_pair(c->secret->seed, method, secret.seed);
	if (rc == RC_OK)
		rc = mlkem_decapsulate(&secret, q->peer_ke, q->peer_ke_n, shared, e);
	mlkem_done(&secret);
	if (rc == RC_OK) {
		memcpy(next_of(c), shared, sizeof shared);
		c->additional_n++;
		c->additional_begun = false;
	}
	bytes_wipe(shared, sizeof shared);
	return rc == RC_OK ? RC_OK : err_add(e, rc, "additional key exchange %s", kem_word(method));
}
