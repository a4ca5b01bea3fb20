#include "proc/keeper/leaves.h"

#include "base/log.h"
#include "ledger/types.h"
#include "merkle/attest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define HASHES_PER_FIELD 16 /* fields of 512 octets, which the ledger takes as a whole */
#define SHARES_PER_FIELD 8
#define FIELDS		 4 /* in one entry: hashes_0 … hashes_3, shares_0 … shares_3 */
#define FIELD_OCTETS	 512
_Static_assert(HASHES_PER_FIELD *SHA256_SIZE == FIELD_OCTETS &&
		       SHARES_PER_FIELD * sizeof(struct leaf_shares) == FIELD_OCTETS &&
		       BASE64_SIZE(FIELD_OCTETS) - 1 <= LEDGER_BODY_TEXT_MAX / 4,
	"fields are full");
_Static_assert(COSIGNED_TEXT_MAX == ATTEST_TEXT_MAX && COSIGNED_TEXT_MAX <= LEDGER_BODY_TEXT_MAX / 4,
	"what was cosigned fits its field");
_Static_assert(
	LEAVES_N % (FIELDS * HASHES_PER_FIELD) == 0 && LEAVES_OPENED % (FIELDS * SHARES_PER_FIELD) == 0,
	"entries are full");

static void on_make(struct loop *loop, struct timer *t);
static void on_retry(struct loop *loop, struct timer *t);
static void on_cosigned_late(struct loop *loop, struct timer *t);

enum rc leaves_init(struct leaves *l, struct child *child, struct shares *source,
	ledger_receipt_fn *on_receipt, void (*progress)(struct leaves *l))
{
	*l = (struct leaves){
		.child = child, .source = source, .on_receipt = on_receipt, .progress = progress
	};
	l->make = (struct timer){ .fn = on_make, .context = l };
	l->retry = (struct timer){ .fn = on_retry, .context = l };
	l->cosigned = (struct timer){ .fn = on_cosigned_late, .context = l };
	l->batch = calloc(LEAVES_BATCHES, sizeof *l->batch);
	return l->batch ? RC_OK : RC_LIMIT;
}

static struct leaf_shares *shares_of(struct leaves *l, const struct leaf_batch *b)
{
	return l->shares[b->serial % LEAVES_BATCHES];
}

/* ---- entries ---- */

static bool entry_append(
	struct leaves *l, struct leaf_batch *b, enum ledger_mode mode, struct ledger_body *body)
{
	size_t n = ledger_body_done(body);
	bool gate = mode == LEDGER_GATE;

	if (n == 0 || child_append(l->child, mode, (uint16_t)body->type, body->text, n,
			      gate ? l->on_receipt : NULL, b->serial) != RC_OK)
		return false;
	b->awaited += gate;
	assert(b->awaited <= LEAVES_N / (FIELDS * HASHES_PER_FIELD)); /* those of one state */
	return true;
}

static void field_put(struct ledger_body *body, const char *key, const void *octets)
{
	char text[BASE64_SIZE(FIELD_OCTETS)];

	base64_from_bytes(text, octets, FIELD_OCTETS);
	ledger_body_str(body, key, text);
	bytes_wipe(text, sizeof text);
}

static const char *root_text(char ret_text[2 * SHA256_SIZE + 1], const struct leaf_batch *b)
{
	return hex_from_bytes(ret_text, b->tree[1].b, SHA256_SIZE);
}

static bool enter_hashes(struct leaves *l, struct leaf_batch *b, uint32_t first)
{
	static const char *const keys[FIELDS] = { "hashes_0", "hashes_1", "hashes_2", "hashes_3" };
	char root[2 * SHA256_SIZE + 1];
	struct ledger_body body;

	ledger_body_begin(&body, LEDGER_LEAF_HASHES);
	ledger_body_str(&body, "batch", root_text(root, b));
	ledger_body_u64(&body, "first", first);
	for (uint32_t i = 0; i < FIELDS; i++)
		field_put(&body, keys[i], b->tree[LEAVES_N + first + i * HASHES_PER_FIELD].b);
	return entry_append(l, b, LEDGER_GATE, &body);
}

static bool enter_batch(struct leaves *l, struct leaf_batch *b)
{
	char root[2 * SHA256_SIZE + 1], previous[2 * SHA256_SIZE + 1] = "", groups[LEAF_GROUPS_TEXT];
	struct ledger_body body;

	if (l->any_entered)
		hex_from_bytes(previous, l->last_root, sizeof l->last_root);
	ledger_body_begin(&body, LEDGER_LEAF_BATCH);
	ledger_body_str(&body, "groups", leaf_groups_text(groups, b->groups));
	ledger_body_u64(&body, "leaves", LEAVES_N);
	ledger_body_u64(&body, "opens", LEAVES_OPENED);
	ledger_body_str(&body, "previous", previous);
	ledger_body_str(&body, "root", root_text(root, b));
	return entry_append(l, b, LEDGER_GATE, &body);
}

static bool cosigned_ask(struct leaves *l, struct leaf_batch *b)
{
	const struct msg_cosigned_ask ask = { .index = b->entered };

	if (ipc_send_COSIGNED_ASK(child_link(l->child, PROC_LEDGER), b->serial, &ask) != RC_OK)
		return false;
	loop_arm(&l->child->loop, &l->cosigned, LEAVES_COSIGNED_NS, 0);
	return true;
}

static void challenge_pick(struct leaf_batch *b)
{
	leaf_challenge(b->tree[1].b, b->later, strlen(b->later), LEAVES_N, LEAVES_OPENED, b->picked);
	for (uint32_t i = 0; i < LEAVES_OPENED; i++)
		b->opened[b->picked[i]] = true;
}

static bool enter_challenge(struct leaves *l, struct leaf_batch *b)
{
	char root[2 * SHA256_SIZE + 1];
	struct ledger_body body;

	challenge_pick(b);
	ledger_body_begin(&body, LEDGER_LEAF_CHALLENGE);
	ledger_body_str(&body, "attestation", b->later);
	ledger_body_str(&body, "batch", root_text(root, b));
	return entry_append(l, b, LEDGER_GATE, &body);
}

static bool enter_opened(struct leaves *l, struct leaf_batch *b, uint32_t first)
{
	static const char *const keys[FIELDS] = { "shares_0", "shares_1", "shares_2", "shares_3" };
	struct leaf_shares shares[SHARES_PER_FIELD];
	char root[2 * SHA256_SIZE + 1];
	struct ledger_body body;
	bool good;

	ledger_body_begin(&body, LEDGER_LEAVES_OPENED);
	ledger_body_str(&body, "batch", root_text(root, b));
	ledger_body_u64(&body, "first", first);
	for (uint32_t i = 0; i < FIELDS; i++) {
		for (uint32_t k = 0; k < SHARES_PER_FIELD; k++)
			shares[k] = shares_of(l, b)[b->picked[first + i * SHARES_PER_FIELD + k]];
		field_put(&body, keys[i], shares);
	}
	good = entry_append(l, b, LEDGER_GATE, &body);
	bytes_wipe(shares, sizeof shares);
	bytes_wipe(&body, sizeof body);
	return good;
}

static void enter_end(struct leaves *l, struct leaf_batch *b)
{
	char root[2 * SHA256_SIZE + 1];
	struct ledger_body body;

	ledger_body_begin(&body, LEDGER_LEAF_BATCH_END);
	ledger_body_str(&body, "batch", root_text(root, b));
	ledger_body_u64(&body, "unused", LEAVES_N - LEAVES_OPENED - b->used);
	ledger_body_u64(&body, "used", b->used);
	if (!entry_append(l, b, LEDGER_ASYNC, &body))
		log_warn("could not enter the end of a batch of ephemeral keys");
}

/* ---- life of a batch ---- */

static void batch_stuck(struct leaves *l, struct leaf_batch *b)
{
	b->stuck = true;
	if (!l->retry.armed)
		loop_arm(&l->child->loop, &l->retry, LEAVES_RETRY_NS, 0);
	if (b->awaited == 0)
		l->progress(l);
}

/* The entries of this state. False: the ledger refused one, or is down. */
static bool stage_enter(struct leaves *l, struct leaf_batch *b)
{
	bool good = true;

	switch (b->state) {
	case BATCH_COMMITTING:
		return enter_batch(l, b);
	case BATCH_LISTING:
		for (uint32_t first = 0; good && first < LEAVES_N; first += FIELDS * HASHES_PER_FIELD)
			good = enter_hashes(l, b, first);
		return good;
	case BATCH_ASKING:
		return cosigned_ask(l, b);
	case BATCH_CHALLENGING:
		return enter_challenge(l, b);
	case BATCH_OPENING:
		for (uint32_t first = 0; good && first < LEAVES_OPENED; first += FIELDS * SHARES_PER_FIELD)
			good = enter_opened(l, b, first);
		return good;
	default:
		return true;
	}
}

static void stage_run(struct leaves *l, struct leaf_batch *b)
{
	b->stuck = false;
	b->refused = !stage_enter(l, b);
	if (b->refused)
		batch_stuck(l, b);
}

static void batch_over(struct leaves *l, struct leaf_batch *b)
{
	if (b->state == BATCH_READY)
		enter_end(l, b);
	bytes_wipe(shares_of(l, b), sizeof l->shares[0]);
	b->state = BATCH_OVER;
}

static void batch_ready(struct leaves *l, struct leaf_batch *b)
{
	assert(b->state == BATCH_OPENING && b->awaited == 0);
	b->state = BATCH_READY;
	b->stuck = false;
	for (uint32_t i = 0; i < LEAVES_OPENED; i++) /* published now */
		bytes_wipe(&shares_of(l, b)[b->picked[i]], sizeof(struct leaf_shares));
}

/* The leaf that is used next; false: none is left. */
static bool leaf_next(struct leaf_batch *b)
{
	while (b->next < LEAVES_N && b->opened[b->next])
		b->next++;
	return b->next < LEAVES_N;
}

/* Whether one more batch may be begun; if not, the timer asks again. */
static bool batch_allowed(struct leaves *l)
{
	mono_ns now = l->child->loop.now, earned;

	if (l->allowance_at == 0) {
		l->allowance = LEAVES_BURST;
		l->allowance_at = now;
	}
	earned = (now - l->allowance_at) / LEAVES_EVERY_NS;
	l->allowance = (uint32_t)MIN_OF((mono_ns)LEAVES_BURST, l->allowance + earned);
	l->allowance_at += earned * LEAVES_EVERY_NS;
	if (l->allowance > 0) {
		l->allowance--;
		return true;
	}
	if (!l->retry.armed)
		loop_arm(&l->child->loop, &l->retry, LEAVES_EVERY_NS, 0);
	return false;
}

/* A batch for `following`, in the place of the oldest one, which is over. */
static void batch_begin(struct leaves *l)
{
	struct leaf_batch *b = &l->batch[++l->last_serial % LEAVES_BATCHES];

	assert(b != l->current && (b->state == BATCH_NONE || b->state == BATCH_OVER));
	*b = (struct leaf_batch){ .state = BATCH_NONE };
	b->serial = l->last_serial;
	b->groups = l->groups;
	b->state = BATCH_MAKING;
	l->following = b;
}

/* The next batch comes into use, and another one is begun. */
static void batches_advance(struct leaves *l)
{
	if (l->current && l->current->state == BATCH_READY && !leaf_next(l->current))
		batch_over(l, l->current);
	if (l->current && l->current->state == BATCH_OVER)
		l->current = NULL;
	if (!l->current && l->following && l->following->state == BATCH_READY) {
		l->current = l->following;
		l->following = NULL;
	}
	if (!l->following && l->groups != 0 && batch_allowed(l))
		batch_begin(l);
}

/* After the last receipt of a state, or the ledger's answer. */
static void stage_next(struct leaves *l, struct leaf_batch *b)
{
	assert(b->state >= BATCH_COMMITTING && b->state < BATCH_OPENING);
	b->state++;
	stage_run(l, b);
}

void leaves_cosigned(struct leaves *l, uint64_t tag, const struct msg_cosigned *m)
{
	struct leaf_batch *b = &l->batch[tag % LEAVES_BATCHES];
	uint64_t size;
	size_t n;

	if (b->serial != tag || b->state != BATCH_ASKING)
		return; /* too late */
	loop_disarm(&l->child->loop, &l->cosigned);
	/* The verifier checks the cosignatures; here only that it is a checkpoint that covers the batch. */
	if (m->n <= sizeof m->text && attest_read(m->text, m->n, &size, &n) && size > b->entered)
		memcpy(b->later, m->text, m->n);
	stage_next(l, b);
}

static void on_cosigned_late(struct loop *loop, struct timer *t)
{
	struct leaves *l = t->context;

	if (!l->following || l->following->state != BATCH_ASKING)
		return;
	log_warn("no answer from the ledger about cosignatures; the challenge is derived from the "
		 "root alone");
	stage_next(l, l->following);
}

void leaves_receipt(struct leaves *l, uint64_t tag, const struct msg_ledger_receipt *r)
{
	struct leaf_batch *b = &l->batch[tag % LEAVES_BATCHES];

	if (b->serial != tag || b->awaited == 0)
		return;
	b->awaited--;
	b->refused |= r->rc != RC_OK;
	if (r->rc == RC_OK)
		b->entered = MAX_OF(b->entered, r->index);
	if (b->awaited > 0 || b->state < BATCH_COMMITTING || b->state > BATCH_OPENING)
		return;
	if (b->refused) {
		batch_stuck(l, b);
		return;
	}
	if (b->state == BATCH_COMMITTING) {
		memcpy(l->last_root, b->tree[1].b, sizeof l->last_root);
		l->any_entered = true;
	}
	if (b->state < BATCH_OPENING) {
		stage_next(l, b);
		return;
	}
	batch_ready(l, b);
	batches_advance(l);
	l->progress(l);
	leaves_resume(l);
}

/* ---- making ---- */

static bool leaf_make(struct leaves *l, struct leaf_batch *b)
{
	struct leaf_shares *h = &shares_of(l, b)[b->made];

	assert(b->state == BATCH_MAKING && b->made < LEAVES_N);
	if (shares_draw(l->source, h->a, h->b, NULL) != RC_OK)
		return false;
	if (leaf_data(h->a, h->b, b->groups, b->data[b->made]) != RC_OK) {
		bytes_wipe(h, sizeof *h);
		log_error("could not make a leaf of a batch of ephemeral keys");
		return false;
	}
	b->tree[LEAVES_N + b->made] = merkle_leaf(b->data[b->made], leaf_data_size(b->groups));
	b->made++;
	return true;
}

void leaves_resume(struct leaves *l)
{
	batches_advance(l);
	if (l->following && l->following->state == BATCH_MAKING && !l->make.armed &&
		shares_ready(l->source, SHARES_RESERVE + 1, NULL) == RC_OK)
		loop_arm(&l->child->loop, &l->make, 0, 0);
}

static void on_make(struct loop *loop, struct timer *t)
{
	struct leaves *l = t->context;
	struct leaf_batch *b = l->following;

	if (!b || b->state != BATCH_MAKING || shares_ready(l->source, SHARES_RESERVE + 1, NULL) != RC_OK)
		return;
	if (!leaf_make(l, b)) {
		l->progress(l); /* exchanges that wait are refused with the reason */
		return;
	}
	if (b->made == LEAVES_N) {
		for (uint32_t i = LEAVES_N - 1; i > 0; i--)
			b->tree[i] = merkle_node(&b->tree[2 * i], &b->tree[2 * i + 1]);
		b->state = BATCH_COMMITTING;
		stage_run(l, b);
	}
	leaves_resume(l);
}

void leaves_retry(struct leaves *l)
{
	struct leaf_batch *b = l->following;

	if (b && b->stuck && b->awaited == 0)
		stage_run(l, b);
}

static void on_retry(struct loop *loop, struct timer *t)
{
	leaves_retry(t->context);
	leaves_resume(t->context);
}

void leaves_discard(struct leaves *l)
{
	for (size_t i = 0; i < LEAVES_BATCHES; i++)
		if (l->batch[i].state != BATCH_NONE)
			batch_over(l, &l->batch[i]);
	l->current = l->following = NULL;
}

void leaves_configure(struct leaves *l, uint32_t groups)
{
	const struct leaf_batch *b = l->following;

	l->groups = groups;
	/* A batch with more groups than needed is kept. */
	if ((b && groups & ~b->groups) || (l->current && groups & ~l->current->groups))
		leaves_discard(l);
	leaves_resume(l);
	l->progress(l);
}

/* ---- use ---- */

enum rc leaves_ready(const struct leaves *l, uint16_t group)
{
	uint32_t bit = leaf_group_bit(group);
	const struct leaf_batch *b = l->following;

	if (l->current && l->current->groups & bit)
		return RC_OK;
	if (!(l->groups & bit))
		return RC_AGAIN;
	if (!b || !(b->groups & bit) || b->stuck ||
		(b->state == BATCH_MAKING && !ipc_link_up(child_link(l->child, PROC_ENTROPY))))
		return RC_NOT_FOUND;
	return RC_AGAIN;
}

enum rc leaves_take(struct leaves *l, uint16_t group, uint8_t ret_secret[DH_SEED_SIZE],
	uint8_t ret_additional[LEAF_SEED_SIZE], struct leaf_name *ret_name)
{
	uint8_t seed[LEAF_SEED_SIZE];
	enum rc rc = leaves_ready(l, group);
	struct leaf_batch *b = l->current;

	if (rc != RC_OK)
		return rc;
	/* batches_advance() leaves no batch in use that has none */
	if (!leaf_next(b))
		return RC_INTERNAL;
	assert(b->state == BATCH_READY && !b->opened[b->next]);
	*ret_name = (struct leaf_name){ .batch = b->serial, .index = b->next };
	struct leaf_shares *h = &shares_of(l, b)[b->next++];
	rc = leaf_seed(h->a, h->b, seed);
	if (rc == RC_OK)
		rc = leaf_secret(seed, group, ret_secret);
	if (rc == RC_OK)
		rc = leaf_additional(seed, ret_additional);
	bytes_wipe(seed, sizeof seed);
	bytes_wipe(h, sizeof *h);
	b->used++;
	assert(b->used <= LEAVES_N - LEAVES_OPENED);
	leaves_resume(l);
	return rc;
}

static const struct leaf_batch *batch_named(const struct leaves *l, const struct leaf_name *name)
{
	const struct leaf_batch *b = &l->batch[name->batch % LEAVES_BATCHES];

	return name->batch != 0 && b->serial == name->batch && name->index < LEAVES_N ? b : NULL;
}

const uint8_t *leaves_public(const struct leaves *l, const struct leaf_name *name, uint16_t group)
{
	const struct leaf_batch *b = batch_named(l, name);

	/* Of longer values the leaf has the digest alone. */
	return b && dh_public_size(group) <= LEAF_VALUE_MAX
		       ? leaf_public(b->data[name->index], b->groups, group)
		       : NULL;
}

void leaves_prove(const struct leaves *l, const struct leaf_name *name, struct leaf_proof *ret_proof)
{
	const struct leaf_batch *b = batch_named(l, name);

	*ret_proof = (struct leaf_proof){ .index = name->index };
	if (!b)
		return;
	ret_proof->groups = b->groups;
	memcpy(ret_proof->root, b->tree[1].b, sizeof ret_proof->root);
	memcpy(ret_proof->data, b->data[name->index], leaf_data_size(b->groups));
	for (uint32_t depth = 0, at = LEAVES_N + name->index; depth < LEAVES_DEPTH; depth++, at /= 2)
		memcpy(ret_proof->path[depth], b->tree[at ^ 1].b, SHA256_SIZE);
}

const uint8_t *leaves_root(const struct leaves *l, uint32_t serial)
{
	const struct leaf_batch *b = &l->batch[serial % LEAVES_BATCHES];

	return serial != 0 && b->serial == serial ? b->tree[1].b : NULL;
}

void leaves_done(struct leaves *l)
{
	loop_disarm(&l->child->loop, &l->make);
	loop_disarm(&l->child->loop, &l->retry);
	loop_disarm(&l->child->loop, &l->cosigned);
	leaves_discard(l);
}

void leaves_free(struct leaves *l)
{
	free(l->batch);
	l->batch = NULL;
}
