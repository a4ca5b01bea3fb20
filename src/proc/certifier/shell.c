#include "proc/certifier/shell.h"

#include "base/log.h"
#include "base/rate.h"
#include "ledger/types.h"

#include <stdio.h>
#include <unistd.h>

/* ---- questions ---- */

static void tell(struct certifier *x, const struct certify_ask *a, const struct certify_verdict *v)
{
	struct certify_told told = { .generation = a->generation,
		.ike_sa = a->ike_sa,
		.peer = a->peer,
		.id_n = a->id_n,
		.verdict = *v };

	memcpy(told.id, a->id, sizeof told.id);
	if (!x->engine->digest(told.question, a, sizeof *a)) {
		told.verdict = (struct certify_verdict){ .reason = CERTIFY_INTERNAL };
		memset(told.question, 0, sizeof told.question);
	}
	if (ipc_send_CERTIFY_VERDICT(child_link(x->child, PROC_KEEPER), 0, &told) == RC_LIMIT)
		log_warn("the keeper does not take verdicts: one is lost");
}

static void refuse(struct certifier *x, const struct certify_ask *a, uint32_t reason)
{
	const struct certify_verdict v = { .reason = reason };

	tell(x, a, &v);
}

static void verdict_tell(struct certifier *x, const struct certify_ask *a, const struct certify_verdict *v)
{
	if (v->reason == CERTIFY_OK) {
		again_keep(x, a, v);
		ocsp_keep(x);
	}
	tell(x, a, v);
}

static void answer(struct certifier *x, const struct certify_ask *a)
{
	struct certify_verdict v;

	certifier_judge(x, a, &v);
	verdict_tell(x, a, &v);
}

static void question_answer(struct certifier *x, const struct certify_ask *a)
{
	struct certify_verdict v;

	certifier_judge(x, a, &v);
	switch (ocsp_wait(x, a, v.reason)) {
	case OCSP_JUDGED:
		verdict_tell(x, a, &v);
		break;
	case OCSP_BUSY:
		refuse(x, a, CERTIFY_BUSY);
		break;
	case OCSP_WAITS:
		break;
	}
}

/* Long before the bound of the sandbox, at which every question would be refused. */
static void memory_watch(struct certifier *x)
{
	size_t in_use = x->engine->in_use(), kept = x->crls.octets_n + x->accepted.octets_n,
	       now = in_use - MIN_OF(in_use, kept);

	if (x->base == 0) {
		x->base = MAX_OF(now, (size_t)1);
	} else if (now > x->base && now - x->base > CERTIFIER_GROWTH_MAX) {
		log_warn("%s has %zu octets in use, %zu more than at first: it ends, and is restarted",
			proc_name(x->engine->self), now, now - x->base);
		child_stop(x->child, 1);
	}
}

/* One question in each round of the loop, so that those that arrive meanwhile take their turn. */
static void on_work(struct loop *l, struct timer *t)
{
	static struct certify_ask a;
	struct certifier *x = t->context;
	uint64_t generation = x->snapshot.snapshot ? x->snapshot.snapshot->generation : 0;

	x->too_late +=
		questions_expire(&x->questions, l->now > CERTIFIER_WAIT_NS ? l->now - CERTIFIER_WAIT_NS : 0);
	if (!questions_take(&x->questions, generation, &a)) {
		again_judge(x);
		if (x->again > 0)
			loop_arm(l, t, 0, 0);
		return; /* what still waits is about a configuration that comes */
	}
	if (a.generation < generation) {
		x->stale++; /* the keeper has refused what it was asked for, or does so with the configuration that it gets */
	} else {
		question_answer(x, &a);
		memory_watch(x);
		/* Whoever asks without end keeps nobody in whose certificate is revoked. */
		if (++x->answered % CERTIFIER_QUESTIONS_EACH == 0)
			again_judge(x);
	}
	if (x->questions.n > 0 || x->again > 0)
		loop_arm(l, t, 0, 0);
}

static void question_take(struct certifier *x, const struct certify_ask *a)
{
	static struct certify_ask refused;

	if (!questions_add(&x->questions, a, x->child->loop.now, &refused))
		refuse(x, &refused, CERTIFY_BUSY);
	loop_arm(&x->child->loop, &x->work, 0, 0);
}

/* ---- the configuration ---- */

static void snapshot_take(struct certifier *x, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct snapshot_file taken;
	struct err e = { 0 };

	result.rc = (uint32_t)snapshot_file_take(&taken, ipc_frame_take(f), f->u.SNAPSHOT.bytes, &e);
	if (result.rc == RC_OK) {
		snapshot_file_done(&x->snapshot);
		x->snapshot = taken;
		crls_keep(&x->crls, taken.snapshot);
		fetched_keep(&x->crls, taken.snapshot);
		again_configure(x);
		ocsp_configure(x);
		loop_arm(&x->child->loop, &x->daily, 0, INVENTORY_EACH_NS);
		loop_arm(&x->child->loop, &x->work, 0, 0);
	} else {
		log_error("configuration %llu: %s", (unsigned long long)f->u.SNAPSHOT.generation, e.text);
		memcpy(result.text, e.text, sizeof result.text);
	}
	ipc_send_SNAPSHOT_TAKEN(child_link(x->child, PROC_CONTROL), f->head.tag, &result);
}

/* Of one that may never be committed: nothing of it is kept. */
static void check_take(struct certifier *x, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct snapshot_file taken = { 0 };
	struct err e = { 0 };
	enum rc rc = snapshot_file_take(&taken, ipc_frame_take(f), f->u.CERTIFY_CHECK.bytes, &e);

	if (rc == RC_OK) {
		rc = certifier_check(x, taken.snapshot, &e);
		snapshot_file_done(&taken);
	}
	result.rc = (uint32_t)rc;
	memcpy(result.text, e.text, sizeof result.text);
	ipc_send_CERTIFY_CHECKED(child_link(x->child, PROC_CONTROL), f->head.tag, &result);
}

/* ---- CRLs that the resolver has fetched ---- */

static void offer_take(struct certifier *x, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct msg_crl *m = &f->u.CRL_OFFER;
	struct err e = { 0 };

	m->name[sizeof m->name - 1] = '\0';
	/* Questions wait meanwhile, and what offers may be taken over. */
	bool taken =
		rate_take(&x->offers, CERTIFIER_OFFERS_PER_S, CERTIFIER_OFFERS_BURST, x->child->loop.now);
	result.rc = (uint32_t)(taken ? fetched_judge(&x->crls, x->snapshot.snapshot, m->name,
					       (int64_t)(clock_utc() / 1000000), &e)
				     : err_add(&e, RC_AGAIN,
					       "more CRLs are offered than %u a second: ask again later",
					       (unsigned)CERTIFIER_OFFERS_PER_S));
	if (result.rc != RC_OK)
		snprintf(result.text, sizeof result.text, "%s: %.*s", proc_name(x->engine->self),
			(int)sizeof result.text - 32, e.text);
	ipc_send_CRL_JUDGED(child_link(x->child, PROC_RESOLVER), f->head.tag, &result);
}

static void state_take(struct certifier *x, struct msg_crl *m)
{
	m->name[sizeof m->name - 1] = '\0';
	m->why[sizeof m->why - 1] = '\0';
	fetched_state(&x->crls, m->name, m->why);
}

static void on_day(struct loop *l, struct timer *t)
{
	struct certifier *x = t->context;

	inventory_warn(x, (int64_t)(clock_utc() / 1000000));
	/* Certificates that no accepted chain has any more are not asked about for ever. */
	ocsp_forget(x);
	x->again = x->accepted.n;
	if (x->again > 0)
		loop_arm(l, &x->work, 0, 0);
}

/* ---- callbacks ---- */

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct certifier *x = c->context;

	switch (f->head.id) {
	case IPC_CERTIFY_ASK:
		question_take(x, &f->u.CERTIFY_ASK);
		break;
	case IPC_SNAPSHOT:
		snapshot_take(x, f);
		break;
	case IPC_SHOW:
		inventory_show(x, f->head.tag, &f->u.SHOW);
		break;
	case IPC_CERTIFY_CHECK:
		check_take(x, f);
		break;
	case IPC_CRL_OFFER:
		offer_take(x, f);
		break;
	case IPC_OCSP_ANSWER:
		ocsp_told(x, f);
		break;
	case IPC_CRL_STATE:
		state_take(x, &f->u.CRL_STATE);
		break;
	default:
		log_warn("unexpected message %s from %s, ignored", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
	}
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct certifier *x = c->context;
	int *place = r->kind == (uint32_t)x->engine->directory ? &x->directory
		     : r->kind == (uint32_t)x->engine->fetched ? &x->crls.fetched_dir
							       : NULL;

	if (!place) {
		close(fd);
		return err_add(e, RC_DENIED, "resource %s is not for %s",
			resource_name((enum resource)r->kind), proc_name(x->engine->self));
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
	return RC_OK;
}

static void on_stop(struct child *c)
{
	struct certifier *x = c->context;

	snapshot_file_done(&x->snapshot);
	crls_done(&x->crls);
	fetched_done(&x->crls);
	accepted_done(&x->accepted);
	ocsp_done(x);
	if (x->directory >= 0)
		close(x->directory);
	if (x->crls.fetched_dir >= 0)
		close(x->crls.fetched_dir);
	x->directory = x->crls.fetched_dir = -1;
}

static const struct child_ops certifier_ops = {
	.on_resource = on_resource,
	.on_message = on_message,
	.on_stop = on_stop,
};

void certifier_init(
	struct certifier *x, struct child *child, const struct certifier_engine *engine, int supervisor_fd)
{
	*x = (struct certifier){ .child = child, .engine = engine, .directory = -1 };
	x->crls.input = engine->input;
	x->crls.crl = engine->crl;
	x->crls.fetched_dir = -1;
	x->daily = (struct timer){ .fn = on_day, .context = x };
	x->work = (struct timer){ .fn = on_work, .context = x };
	again_init(x);
	ocsp_init(x, answer);
	child_init(child, engine->self, &certifier_ops, x, LEDGER_LEDGER_OUTAGE, supervisor_fd);
}
