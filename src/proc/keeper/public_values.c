#include "proc/keeper/public_values.h"

#include "base/log.h"
#include "ledger/types.h"

#include <assert.h>
#include <stdlib.h>

enum rc public_init(struct public_source *p, struct child *child, ledger_receipt_fn *on_receipt)
{
	*p = (struct public_source){ .child = child, .on_receipt = on_receipt };
	generator_init(&p->generator, "public");
	p->waiting = calloc(PUBLIC_WAITING_MAX, sizeof *p->waiting);
	return p->waiting ? RC_OK : RC_LIMIT;
}

void public_free(struct public_source *p)
{
	free(p->waiting);
	p->waiting = NULL;
	p->waiting_n = 0;
}

static enum rc key_new(struct public_source *p, struct vrf_key *ret_key, struct err *e)
{
	uint8_t seed[VRF_SEED_SIZE];
	enum rc rc = generator_fresh(&p->generator, seed, sizeof seed, e);

	if (rc == RC_OK && (rc = vrf_key_make(ret_key, seed)) != RC_OK)
		err_add(e, rc, "making the VRF key");
	bytes_wipe(seed, sizeof seed);
	return rc;
}

static enum rc key_enter(struct public_source *p, const struct vrf_key *key, struct err *e)
{
	char hex[2 * VRF_PUBLIC_SIZE + 1];
	struct ledger_body body;
	size_t n;

	ledger_body_begin(&body, LEDGER_VRF_EPOCH);
	ledger_body_str(&body, "key", hex_from_bytes(hex, key->public_key, sizeof key->public_key));
	n = ledger_body_done(&body);
	if (n == 0)
		return err_add(e, RC_INTERNAL, "the entry of the VRF key is too long");
	p->entry_tag++;
	if (child_append(p->child, LEDGER_GATE, LEDGER_VRF_EPOCH, body.text, n, p->on_receipt,
		    p->entry_tag) != RC_OK)
		return err_add(e, RC_DENIED, "the ledger is not running: the VRF key cannot be entered");
	return RC_OK;
}

/* The present key stays in use until the receipt; what fails is tried again some values later. */
static void change_begin(struct public_source *p)
{
	if (p->changing || (p->count - PUBLIC_EPOCH_COUNT) % PUBLIC_CHANGE_EVERY != 0 ||
		key_new(p, &p->next, NULL) != RC_OK)
		return;
	p->changing = key_enter(p, &p->next, NULL) == RC_OK;
	if (!p->changing)
		vrf_key_done(&p->next);
}

enum rc public_begin(struct public_source *p, struct err *e)
{
	enum rc rc;

	if (p->state == PUBLIC_ENTERED && p->count >= PUBLIC_EPOCH_COUNT)
		change_begin(p);
	if (p->state != PUBLIC_NONE)
		return RC_OK;
	/* Whether an entry without a receipt is in the ledger is unknown: its key is not used. */
	p->count = 0;
	rc = key_new(p, &p->key, e);
	rc = rc == RC_OK ? key_enter(p, &p->key, e) : rc;
	if (rc == RC_OK)
		p->state = PUBLIC_ASKED;
	return rc;
}

enum rc public_draw(struct public_source *p, uint8_t ret_octets[PUBLIC_SIZE], struct public_proof *ret_proof,
	struct err *e)
{
	uint8_t alpha[PUBLIC_ALPHA_SIZE];
	enum rc rc = public_begin(p, e);

	if (rc != RC_OK)
		return rc;
	if (p->state != PUBLIC_ENTERED)
		return RC_AGAIN;
	assert(p->epoch > 0);
	ret_proof->count = ++p->count;
	ret_proof->epoch = p->epoch;
	public_alpha(alpha, p->key.public_key, p->count);
	rc = vrf_prove(&p->key, alpha, sizeof alpha, ret_proof->proof);
	if (rc == RC_OK)
		rc = vrf_proof_hash(ret_proof->proof, ret_octets);
	return rc == RC_OK ? RC_OK : err_add(e, RC_INTERNAL, "deriving public values (VRF) failed");
}

bool public_wait(struct public_source *p, const struct keeper_request *q)
{
	if (p->waiting_n == PUBLIC_WAITING_MAX)
		return false;
	assert(q->op == KEEPER_EXCHANGE_BEGIN || q->op == KEEPER_EXCHANGE_ANSWER ||
		q->op == KEEPER_CHILD_BEGIN);
	struct public_waiting *w = &p->waiting[p->waiting_n++];
	*w = (struct public_waiting){ .op = q->op, .tag = q->tag };
	if (q->op == KEEPER_EXCHANGE_BEGIN)
		w->u.exchange = q->u.EXCHANGE_BEGIN;
	else if (q->op == KEEPER_EXCHANGE_ANSWER)
		w->u.answer = q->u.EXCHANGE_ANSWER;
	else
		w->u.child = q->u.CHILD_BEGIN;
	return true;
}

bool public_wait_next(struct public_source *p, struct keeper_request *ret_request)
{
	if (p->waiting_n == 0)
		return false;
	struct public_waiting *w = &p->waiting[0];
	*ret_request = (struct keeper_request){ .op = w->op, .tag = w->tag };
	if (w->op == KEEPER_EXCHANGE_BEGIN)
		ret_request->u.EXCHANGE_BEGIN = w->u.exchange;
	else if (w->op == KEEPER_EXCHANGE_ANSWER)
		ret_request->u.EXCHANGE_ANSWER = w->u.answer;
	else
		ret_request->u.CHILD_BEGIN = w->u.child;
	memmove(w, w + 1, --p->waiting_n * sizeof *w);
	return true;
}

static void key_disclose(struct public_source *p)
{
	char key[2 * VRF_PUBLIC_SIZE + 1], scalar[2 * VRF_SCALAR_SIZE + 1];
	struct ledger_body body;
	size_t n;

	ledger_body_begin(&body, LEDGER_VRF_EPOCH_END);
	ledger_body_u64(&body, "count", p->count);
	ledger_body_str(&body, "key", hex_from_bytes(key, p->key.public_key, sizeof p->key.public_key));
	ledger_body_str(&body, "scalar", hex_from_bytes(scalar, p->key.scalar, sizeof p->key.scalar));
	n = ledger_body_done(&body);
	if (n == 0 ||
		child_append(p->child, LEDGER_ASYNC, LEDGER_VRF_EPOCH_END, body.text, n, NULL, 0) != RC_OK)
		log_warn("could not disclose the VRF key of %u public values", p->count);
}

bool public_receipt(struct public_source *p, uint64_t tag, enum rc rc)
{
	if (tag != p->entry_tag)
		return false;
	if (p->changing) {
		p->changing = false;
		if (rc == RC_OK) {
			key_disclose(p);
			memcpy(p->key_before, p->key.public_key, sizeof p->key_before);
			vrf_key_done(&p->key);
			p->key = p->next;
			p->count = 0;
			p->epoch++;
		}
		vrf_key_done(&p->next);
		return false; /* no request waited */
	}
	if (p->state != PUBLIC_ASKED)
		return false;
	p->state = rc == RC_OK ? PUBLIC_ENTERED : PUBLIC_NONE;
	p->epoch += rc == RC_OK;
	return true;
}

const uint8_t *public_epoch_key(const struct public_source *p, uint32_t epoch)
{
	if (epoch == 0 || epoch + 1 < p->epoch || epoch > p->epoch)
		return NULL;
	return epoch == p->epoch ? p->key.public_key : p->key_before;
}

void public_end(struct public_source *p)
{
	if (p->state == PUBLIC_ENTERED)
		key_disclose(p);
	vrf_key_done(&p->key);
	vrf_key_done(&p->next);
	p->changing = false;
	p->state = PUBLIC_NONE;
}
