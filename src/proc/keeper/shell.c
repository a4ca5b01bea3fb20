#include "proc/keeper/shell.h"

#include "base/log.h"
#include "proc/keeper/entry.h"
#include "proc/keeper/known_answers.h"
#include "proc/keeper/show.h"

#include <openssl/crypto.h>
#include <sodium/core.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static enum rc reply_send(struct ipc_link *l, const struct keeper_reply *r)
{
	switch (r->op) {
	case KEEPER_EXCHANGE_BEGIN:
		return ipc_send_EXCHANGE_BEGUN(l, r->tag, &r->u.EXCHANGE_BEGIN);
	case KEEPER_EXCHANGE_FINISH:
		return ipc_send_EXCHANGE_FINISHED(l, r->tag, &r->u.EXCHANGE_FINISH);
	case KEEPER_EXCHANGE_ANSWER:
		return ipc_send_EXCHANGE_ANSWERED(l, r->tag, &r->u.EXCHANGE_ANSWER);
	case KEEPER_ADDITIONAL_BEGIN:
		return ipc_send_ADDITIONAL_BEGUN(l, r->tag, &r->u.ADDITIONAL_BEGIN);
	case KEEPER_ADDITIONAL_FINISH:
		return ipc_send_ADDITIONAL_FINISHED(l, r->tag, &r->u.ADDITIONAL_FINISH);
	case KEEPER_AUTH_SIGN:
		return ipc_send_AUTH_SIGNED(l, r->tag, &r->u.AUTH_SIGN);
	case KEEPER_AUTH_VERIFY:
		return ipc_send_AUTH_VERIFIED(l, r->tag, &r->u.AUTH_VERIFY);
	case KEEPER_CHILD_BEGIN:
		return ipc_send_CHILD_BEGUN(l, r->tag, &r->u.CHILD_BEGIN);
	case KEEPER_CHILD_ADDITIONAL_BEGIN:
		return ipc_send_CHILD_ADDITIONAL_BEGUN(l, r->tag, &r->u.CHILD_ADDITIONAL_BEGIN);
	case KEEPER_CHILD_ADDITIONAL_FINISH:
		return ipc_send_CHILD_ADDITIONAL_FINISHED(l, r->tag, &r->u.CHILD_ADDITIONAL_FINISH);
	case KEEPER_CHILD_INSTALL:
		return ipc_send_CHILD_INSTALLED(l, r->tag, &r->u.CHILD_INSTALL);
	case KEEPER_CHILD_REMOVE:
		return ipc_send_CHILD_REMOVED(l, r->tag, &r->u.CHILD_REMOVE);
	case KEEPER_DROP:
		return ipc_send_DROPPED(l, r->tag, &r->u.DROP);
	case KEEPER_OP_COUNT:
		break;
	}
	return RC_INTERNAL;
}

static void on_receipt(void *context, uint64_t tag, const struct msg_ledger_receipt *r)
{
	struct keeper *k = ((struct child *)context)->context;

	if (tag != 0)
		keys_receipt(k->keys, tag, (enum rc)r->rc, r->text);
}

/*
 * Refused requests and failed authentication: strangers and a compromised ike can cause any number of them.
 * False: this one is left out, and counted in the next one that is entered.
 */
static bool refusal_allowed(struct keeper *k, struct keys_entry *entry)
{
	struct refusals *r = &k->refusals;
	mono_ns now = k->child->loop.now, earned;

	if (entry->kind != KEYS_ENTRY_REFUSED && entry->kind != KEYS_ENTRY_AUTH_FAILED)
		return true;
	if (r->at == 0) {
		r->left = REFUSALS_BURST;
		r->at = now;
	}
	earned = (now - r->at) / REFUSALS_EVERY_NS;
	r->left = (uint32_t)MIN_OF((mono_ns)REFUSALS_BURST, r->left + earned);
	r->at += earned * REFUSALS_EVERY_NS;
	if (r->left == 0) {
		r->left_out++;
		return false;
	}
	r->left--;
	entry->count = r->left_out;
	r->left_out = 0;
	return true;
}

static enum rc entry_append(struct keeper *k, struct keys_action *a)
{
	struct leaf_proof leaf;
	struct ledger_body body;
	size_t n;

	if (!refusal_allowed(k, &a->u.entry))
		return RC_LIMIT;
	leaves_prove(&k->leaves, &a->u.entry.leaf, &leaf);
	if (!entry_body_make(&body, &n, &a->u.entry, &leaf)) {
		log_error("an entry is too long for its body");
		return RC_INTERNAL;
	}
	return child_append(k->child, a->gate ? LEDGER_GATE : LEDGER_ASYNC, (uint16_t)body.type, body.text, n,
		on_receipt, a->tag);
}

/* Actions of the core. */
static enum rc action_run(void *context, struct keys_action *a)
{
	struct keeper *k = context;
	enum rc rc = RC_INTERNAL;

	switch (a->kind) {
	case KEYS_REPLY:
		rc = reply_send(child_link(k->child, PROC_IKE), &a->u.reply);
		break;
	case KEYS_APPEND:
		return entry_append(k, a);
	case KEYS_SA_INSTALL:
		rc = ipc_send_SA_INSTALL(child_link(k->child, PROC_DATAPLANE), 0, &a->u.install);
		break;
	case KEYS_SA_REMOVE:
		rc = ipc_send_SA_REMOVE(child_link(k->child, PROC_DATAPLANE), 0, &a->u.remove);
		break;
	case KEYS_ENDED:
		log_warn("ending an IKE SA: %s", a->u.ended.text);
		rc = ipc_send_IKE_SA_ENDED(child_link(k->child, PROC_IKE), 0, &a->u.ended);
		break;
	case KEYS_UNUSED:
		failed_add(&k->failed, &a->u.unused);
		return RC_OK;
	}
	if (rc != RC_OK && rc != RC_IO)
		log_error("could not send a message: %s", rc_text(rc));
	return rc;
}

/* A new exchange without public values or a secret is refused; ike tries again. */
static void request_refuse(struct keeper *k, const struct keeper_request *q, const char *text)
{
	struct keeper_reply a = { .op = q->op, .tag = q->tag };

	if (q->op == KEEPER_EXCHANGE_BEGIN) {
		a.u.EXCHANGE_BEGIN.rc = RC_AGAIN;
		snprintf(a.u.EXCHANGE_BEGIN.text, sizeof a.u.EXCHANGE_BEGIN.text, "%s", text);
	} else if (q->op == KEEPER_EXCHANGE_ANSWER) {
		a.u.EXCHANGE_ANSWER.rc = RC_AGAIN;
		snprintf(a.u.EXCHANGE_ANSWER.text, sizeof a.u.EXCHANGE_ANSWER.text, "%s", text);
	} else {
		a.u.CHILD_BEGIN.rc = RC_AGAIN;
		snprintf(a.u.CHILD_BEGIN.text, sizeof a.u.CHILD_BEGIN.text, "%s", text);
	}
	reply_send(child_link(k->child, PROC_IKE), &a);
}

/* The group of a new exchange; DH_NONE: none, or one that the core will refuse. */
static uint16_t group_of(const struct keeper_request *q)
{
	uint16_t group = q->op == KEEPER_EXCHANGE_BEGIN	   ? q->u.EXCHANGE_BEGIN.dh_group
			 : q->op == KEEPER_EXCHANGE_ANSWER ? q->u.EXCHANGE_ANSWER.dh_group
							   : q->u.CHILD_BEGIN.dh_group;

	return leaf_group_bit(group) ? group : (uint16_t)DH_NONE;
}

/* A secret without a leaf: of a pair of shares, which is wiped. */
static enum rc secret_direct(struct keeper *k, uint16_t group, struct keys_entropy *ret_fresh, struct err *e)
{
	uint8_t a[LEAF_SHARE_SIZE], b[LEAF_SHARE_SIZE], seed[LEAF_SEED_SIZE];
	enum rc rc = shares_draw(&k->shares, a, b, e);

	ret_fresh->leaf = (struct leaf_name){ 0 };
	if (rc == RC_OK)
		rc = leaf_seed(a, b, seed);
	if (rc == RC_OK)
		rc = leaf_secret(seed, group, ret_fresh->secret);
	if (rc == RC_OK)
		rc = leaf_additional(seed, ret_fresh->additional);
	bytes_wipe(a, sizeof a);
	bytes_wipe(b, sizeof b);
	bytes_wipe(seed, sizeof seed);
	return rc;
}

/* RC_OK: secret_draw() will succeed. RC_AGAIN: the exchange waits. RC_DENIED: a source has failed. */
static enum rc secret_ready(struct keeper *k, uint16_t group, struct err *e)
{
	enum rc rc = shares_ready(&k->shares, 0, e);

	if (rc != RC_OK) {
		leaves_discard(&k->leaves); /* nor is what was made of that source */
		return rc;
	}
	rc = leaves_ready(&k->leaves, group);
	if (rc == RC_OK || (rc == RC_AGAIN && k->public_values.waiting_n < PUBLIC_WAITING_MAX / 2))
		return rc;
	/* No batch to wait for, or too many wait: see leaves.h. */
	return shares_ready(&k->shares, 1, e);
}

static enum rc secret_draw(struct keeper *k, uint16_t group, struct keys_entropy *ret_fresh, struct err *e)
{
	enum rc rc =
		leaves_take(&k->leaves, group, ret_fresh->secret, ret_fresh->additional, &ret_fresh->leaf);
	const uint8_t *known;

	if (rc == RC_AGAIN || rc == RC_NOT_FOUND)
		return secret_direct(k, group, ret_fresh, e);
	/* What the batch commits to, which is what verifiers compare with what was sent. */
	if (rc == RC_OK && (known = leaves_public(&k->leaves, &ret_fresh->leaf, group)) != NULL) {
		memcpy(ret_fresh->dh_public, known, dh_public_size(group));
		ret_fresh->dh_group = group;
	}
	return rc;
}

/* Public values and a secret for a new exchange. False: it waits, is refused, or this process ends. */
static bool entropy_take(struct keeper *k, const struct keeper_request *q, struct keys_entropy *ret_fresh)
{
	struct err e = { 0 };
	uint16_t group = group_of(q);
	enum rc rc = group == DH_NONE ? RC_OK : secret_ready(k, group, &e);

	if (rc == RC_OK)
		rc = public_draw(&k->public_values, ret_fresh->public_bytes, &ret_fresh->proof, &e);
	if (rc == RC_OK && group != DH_NONE && (rc = secret_draw(k, group, ret_fresh, &e)) != RC_OK)
		failed_add(&k->failed, &(struct keys_unused){ ret_fresh->proof.count, ret_fresh->proof.epoch,
					       ret_fresh->leaf });
	if (rc == RC_OK)
		return true;
	if (rc == RC_AGAIN && public_wait(&k->public_values, q))
		return false;
	if (rc == RC_AGAIN || rc == RC_DENIED) {
		request_refuse(k, q,
			rc == RC_DENIED ? e.text
					: "too many exchanges wait for the ledger or for entropy shares");
		return false;
	}
	/* Without randomness there are no keys; the supervisor restarts us. */
	log_error("%s", e.text);
	child_stop(k->child, 1);
	return false;
}

static void request_take(struct keeper *k, struct keeper_request *q)
{
	struct keys_entropy fresh = { 0 };
	bool begins = q->op == KEEPER_EXCHANGE_BEGIN || q->op == KEEPER_EXCHANGE_ANSWER ||
		      q->op == KEEPER_CHILD_BEGIN;

	if (!begins || entropy_take(k, q, &fresh))
		keys_request(k->keys, q, &fresh);
	bytes_wipe(&fresh, sizeof fresh);
	bytes_wipe(q, sizeof *q);
}

/* A request that is taken up may wait again, at the end of an epoch: each that waits now is taken up once. */
static void waiting_resume(struct keeper *k, const char *refusal)
{
	struct public_source *p = &k->public_values;
	struct keeper_request q;

	for (size_t n = p->waiting_n; n > 0 && public_wait_next(p, &q); n--) {
		if (!refusal)
			request_take(k, &q);
		else
			request_refuse(k, &q, refusal);
	}
}

/* A batch is ready, or stuck. */
static void leaves_progress(struct leaves *l)
{
	waiting_resume(l->child->context, NULL);
}

static void on_leaves_receipt(void *context, uint64_t tag, const struct msg_ledger_receipt *r)
{
	struct keeper *k = ((struct child *)context)->context;

	leaves_receipt(&k->leaves, tag, r);
}

/* The groups of all proposals of a configuration, but those that cannot be computed here. */
static uint32_t groups_of(const struct snapshot *s)
{
	uint32_t groups = 0;

	for (uint32_t i = 0; i < s->ike_proposals.count; i++) {
		groups |= leaf_group_bit(snap_ike_proposals(s)[i].dh);
		for (size_t x = 0; x < ADDITIONAL_MAX; x++)
			groups |= leaf_group_bit(snap_ike_proposals(s)[i].additional[x]);
	}
	for (uint32_t i = 0; i < s->esp_proposals.count; i++) {
		groups |= leaf_group_bit(snap_esp_proposals(s)[i].dh);
		for (size_t x = 0; x < ADDITIONAL_MAX; x++)
			groups |= leaf_group_bit(snap_esp_proposals(s)[i].additional[x]);
	}
	return groups & leaf_groups_available();
}

static void on_public_receipt(void *context, uint64_t tag, const struct msg_ledger_receipt *r)
{
	struct keeper *k = ((struct child *)context)->context;

	if (public_receipt(&k->public_values, tag, (enum rc)r->rc))
		waiting_resume(k, r->rc == RC_OK ? NULL : "the ledger did not enter the VRF key");
}

static void keys_reload(struct keeper *k)
{
	struct err e = { 0 };

	if (k->key_dir < 0)
		return;
	if (keydir_load(&k->keydir, k->key_dir, k->keys, &e) != RC_OK) {
		log_error("%s; keeping the keys that are loaded", e.text);
		return;
	}
	for (size_t i = 0; i < MIN_OF(k->keydir.errors_n, (size_t)KEYDIR_ERRORS_MAX); i++)
		log_error(
			"key file '%s' is not used: %s", k->keydir.errors[i].file, k->keydir.errors[i].text);
	log_info("keys loaded: %zu, files refused: %zu", k->keydir.loaded, k->keydir.errors_n);
	show_warn_short_keys(k->keys);
}

static void snapshot_take(struct keeper *k, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct snapshot_file taken;
	struct err e = { 0 };

	result.rc = (uint32_t)snapshot_file_take(&taken, ipc_frame_take(f), f->u.SNAPSHOT.bytes, &e);
	if (result.rc == RC_OK) {
		keys_configure(k->keys, taken.snapshot);
		snapshot_file_done(&k->snapshot);
		k->snapshot = taken;
		keys_reload(k);
		keys_recheck(k->keys);
		show_warn_missing_keys(k->keys, taken.snapshot);
		leaves_configure(&k->leaves, groups_of(taken.snapshot));
	} else {
		log_error("configuration %llu: %s", (unsigned long long)f->u.SNAPSHOT.generation, e.text);
		memcpy(result.text, e.text, sizeof result.text);
	}
	ipc_send_SNAPSHOT_TAKEN(child_link(k->child, PROC_CONTROL), f->head.tag, &result);
}

/* ---- certifiers ---- */

static enum keys_certifier certifier_of(enum proc p)
{
	return p == PROC_CERTIFIER_OPENSSL  ? KEYS_CERTIFIER_OPENSSL
	       : p == PROC_CERTIFIER_GNUTLS ? KEYS_CERTIFIER_GNUTLS
					    : KEYS_CERTIFIERS;
}

/* ike has dropped an IKE SA meanwhile, or a commit came; in numbers it is a certifier that lies. Said at each power of two. */
static void verdict_dropped(struct keeper *k, enum proc from)
{
	uint64_t n = ++k->verdicts_dropped;

	if ((n & (n - 1)) == 0)
		log_warn("%s sent a verdict that no request waits for: %llu were dropped", proc_name(from),
			(unsigned long long)n);
}

static void on_second(struct loop *l, struct timer *t)
{
	struct keeper *k = t->context;

	keys_second(k->keys);
	if (!keys_waits_for_verdicts(k->keys))
		loop_disarm(l, t);
}

static void verdicts_watch(struct keeper *k)
{
	if (!k->second.armed && keys_waits_for_verdicts(k->keys))
		loop_arm(&k->child->loop, &k->second, NS_PER_S, NS_PER_S);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct keeper *k = c->context;
	struct keeper_request q = { .tag = f->head.tag };

	switch (f->head.id) {
#define E(name, request_, reply_, ike, child)                                                                \
	case IPC_##name:                                                                                     \
		q.op = KEEPER_##name;                                                                        \
		q.u.name = f->u.name;                                                                        \
		request_take(k, &q);                                                                         \
		break;
		KEEPER_OPS(E)
#undef E
	case IPC_CERTIFY_VERDICT:
		if (!keys_verdict(k->keys, certifier_of(peer), &f->u.CERTIFY_VERDICT))
			verdict_dropped(k, peer);
		break;
	case IPC_CERTIFY_REVOKED:
		keys_revoked(k->keys, certifier_of(peer), &f->u.CERTIFY_REVOKED);
		break;
	case IPC_SA_INSTALLED:
		keys_sa_installed(k->keys, &f->u.SA_INSTALLED);
		break;
	case IPC_SA_REMOVED:
		keys_sa_removed(k->keys, &f->u.SA_REMOVED);
		break;
	case IPC_SNAPSHOT:
		snapshot_take(k, f);
		break;
	case IPC_SHOW:
		show_keys_answer(child_link(c, PROC_CONTROL), f->head.tag, &f->u.SHOW, k->keys, &k->keydir);
		break;
	case IPC_COSIGNED:
		leaves_cosigned(&k->leaves, f->head.tag, &f->u.COSIGNED);
		break;
	case IPC_ENTROPY_SHARE:
		shares_take(&k->shares, &f->u.ENTROPY_SHARE);
		leaves_resume(&k->leaves);
		waiting_resume(k, NULL);
		break;
	case IPC_ENTROPY_END:
		f->u.ENTROPY_END.text[sizeof f->u.ENTROPY_END.text - 1] = '\0';
		shares_end(&k->shares, f->u.ENTROPY_END.text);
		leaves_discard(&k->leaves);
		waiting_resume(k, NULL); /* they are refused, with the reason */
		break;
	default:
		log_warn("message %s from %s is not for the keeper", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
	}
	verdicts_watch(k);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct keeper *k = c->context;
	int *into = r->kind == RESOURCE_KEY_DIR ? &k->key_dir : &k->answers;

	if (r->kind != RESOURCE_KEY_DIR && r->kind != RESOURCE_KNOWN_ANSWERS) {
		close(fd);
		return err_add(e, RC_DENIED,
			"the keeper accepts a key directory and known answers only (got %s)",
			resource_name((enum resource)r->kind));
	}
	if (*into >= 0)
		close(*into);
	*into = fd;
	return RC_OK;
}

static void on_link(struct child *c, enum proc peer)
{
	struct keeper *k = c->context;

	if (peer == PROC_DATAPLANE)
		keys_dataplane_up(k->keys);
	if (certifier_of(peer) != KEYS_CERTIFIERS)
		keys_certifier_up(k->keys, certifier_of(peer));
	if (peer == PROC_LEDGER && k->started) {
		public_begin(&k->public_values, NULL);
		leaves_retry(&k->leaves);
	}
	if (peer == PROC_ENTROPY && k->started)
		shares_link(&k->shares);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	struct keeper *k = c->context;

	if (peer == PROC_DATAPLANE)
		keys_dataplane_down(k->keys);
	if (certifier_of(peer) != KEYS_CERTIFIERS)
		keys_certifier_down(k->keys, certifier_of(peer));
	if (peer == PROC_IKE)
		keys_ike_lost(k->keys);
	if (peer == PROC_ENTROPY)
		shares_link_lost(&k->shares);
}

static bool memory_lock(void *context, void *memory, size_t n)
{
	return mlock(memory, n) == 0;
}

/* Keeps the stack pages that the deepest calls use out of swap. */
static __attribute__((noinline)) bool stack_lock(void)
{
	volatile uint8_t pages[STACK_LOCKED];

	for (size_t i = 0; i < sizeof pages; i += 4096)
		pages[i] = 0;
	return mlock((const void *)(uintptr_t)pages, sizeof pages) == 0;
}

static enum rc on_start(struct child *c, const struct msg_start *s, struct err *e)
{
	struct keeper *k = c->context;
	size_t n = keys_memory_fixed(), all;
	enum rc rc = known_answers_check_file(k->answers, e);

	if (rc != RC_OK)
		return rc;
	if (k->key_dir < 0)
		return err_add(e, RC_NOT_FOUND, "the key directory was not handed over");
	if (mlock(keys_memory(k->keys, &all), n) < 0 || mlock(k, sizeof *k) < 0 || !stack_lock())
		return err_errno(e, RC_IO, "lock %zu octets of memory", n + sizeof *k + STACK_LOCKED);
	rc = shares_start(&k->shares, e);
	if (rc != RC_OK)
		return rc;
	keys_reload(k);
	k->started = true;
	shares_link(&k->shares);
	public_begin(&k->public_values,
		NULL); /* if the ledger is down: when its link comes up, or with the first request */
	return RC_OK;
}

static void on_stop(struct child *c)
{
	struct keeper *k = c->context;

	keys_stop(k->keys);
	failed_done(&k->failed); /* before its batch and epoch end */
	keys_free(k->keys);
	leaves_done(&k->leaves);
	leaves_free(&k->leaves);
	shares_done(&k->shares);
	public_end(&k->public_values);
	public_free(&k->public_values);
	generator_done(&k->public_values.generator);
	snapshot_file_done(&k->snapshot);
}

static const struct child_ops keeper_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

enum rc keeper_init(struct keeper *k, struct child *child, int supervisor_fd, struct err *e)
{
	/* No file may change what libcrypto does in here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0)
		return err_add(e, RC_INTERNAL, "libcrypto or libsodium failed to start");
	*k = (struct keeper){ .child = child, .key_dir = -1, .answers = -1 };
	k->second = (struct timer){ .fn = on_second, .context = k };
	shares_init(&k->shares, child);
	k->keys = keys_new((struct keys_sink){ action_run, k, memory_lock });
	if (!k->keys || public_init(&k->public_values, child, on_public_receipt) != RC_OK ||
		failed_init(&k->failed, child, &k->public_values, &k->leaves) != RC_OK ||
		leaves_init(&k->leaves, child, &k->shares, on_leaves_receipt, leaves_progress) != RC_OK)
		return err_add(e, RC_INTERNAL, "out of memory");
	child_init(child, PROC_KEEPER, &keeper_ops, k, ENTRY_GAP_TYPE, supervisor_fd);
	return RC_OK;
}
