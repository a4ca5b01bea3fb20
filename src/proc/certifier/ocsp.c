/*
 * OCSP: an engine says about which certificates of a chain it would have an answer (certify.h); they are asked for through the resolver, the
 * responder being the one that the configuration has for the authority, and the chain waits, while others are judged. What comes is judged
 * by the engine of this process, and kept until its time is over (certify/ocsp.h). Chains that were accepted are asked about again then, a few
 * at a time, and never before those that somebody waits for. Each certifier asks for itself.
 */
#include "proc/certifier/shell.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t now_of(void)
{
	return (int64_t)(clock_utc() / 1000000);
}

static const struct snap_authority *authority_of(const struct certifier *x, const char *name)
{
	const struct snapshot *s = x->snapshot.snapshot;

	for (uint32_t i = 0; s && i < s->authorities.count; i++)
		if (strcmp(snap_authorities(s)[i].name, name) == 0)
			return &snap_authorities(s)[i];
	return NULL;
}

/* ---- questions ---- */

static uint32_t out_count(const struct ocsp *o, const char *authority, bool again)
{
	uint32_t n = 0;

	for (size_t i = 0; i < OCSP_OUT_MAX; i++)
		n += o->out[i].entry && (authority ? strcmp(o->out[i].entry->authority, authority) == 0
						   : o->out[i].again == again);
	return n;
}

static struct ocsp_out *out_free(struct ocsp *o)
{
	for (size_t i = 0; i < OCSP_OUT_MAX; i++)
		if (!o->out[i].entry)
			return &o->out[i];
	return NULL;
}

/* What becomes of a certificate that no answer is there about. */
static const char *without_text(const struct certifier *x, const char *authority)
{
	const struct snap_authority *a = authority_of(x, authority);

	return a && a->revocation == REVOCATION_HARD ? "without a CRL it is refused (revocation-check hard)"
						     : "it is accepted without (revocation-check soft)";
}

/* Said once, as long as it is the same. */
static void failed(struct certifier *x, struct ocsp_entry *e, const char *why)
{
	char serial[2 * CERTIFY_SERIAL_MAX + 1];

	x->ocsp->failures++;
	e->asked = false;
	if (strncmp(e->why, why, sizeof e->why - 1) != 0)
		log_warn(
			"ca-profile '%s': no OCSP answer about the certificate with serial number %s: %s; %s",
			e->authority, hex_from_bytes(serial, e->serial, e->serial_n), why,
			e->said.state == OCSP_REVOKED ? "it stays revoked" : without_text(x, e->authority));
	ocsp_fail(e, why, now_of());
}

/* False: there is no room among those that are under way. */
static bool question_send(struct certifier *x, struct ocsp_entry *e, bool again)
{
	struct ipc_link *l = child_link(x->child, PROC_RESOLVER);
	struct ocsp_out *out = out_free(x->ocsp);
	struct msg_ocsp_ask m = { .n = e->request_n };

	if (!out || out_count(x->ocsp, e->authority, false) >= OCSP_OUT_EACH_MAX)
		return false;
	memcpy(m.name, e->authority, sizeof m.name);
	memcpy(m.request, e->request, e->request_n);
	e->asked = true;
	e->asked_s = now_of();
	if (!ipc_link_up(l) || ipc_send_OCSP_ASK(l, ++x->ocsp->last_tag, &m) != RC_OK)
		failed(x, e, "the resolver, which would ask for it, does not run");
	else
		*out = (struct ocsp_out){ e, x->ocsp->last_tag, x->child->loop.now + OCSP_WAIT_NS, again };
	return true;
}

static void due_send(struct certifier *x)
{
	struct ocsp *o = x->ocsp;
	uint32_t left = 0;

	for (uint32_t i = 0; i < o->due_n; i++)
		if (!question_send(x, o->due[i], false))
			o->due[left++] = o->due[i];
	o->due_n = left;
}

void ocsp_again(struct certifier *x)
{
	struct ocsp *o = x->ocsp;
	int64_t now_s = now_of();

	for (uint32_t i = 0; o->due_n == 0 && i < o->table.n; i++) {
		struct ocsp_entry *e = &o->table.at[o->next++ % o->table.n];
		if (out_count(o, NULL, true) >= OCSP_OUT_AGAIN_MAX)
			break;
		bool soon = now_s >= e->asked_s && now_s - e->asked_s < OCSP_LEAST_S;
		if (e->kept && !soon && ocsp_is_due(e, now_s))
			question_send(x, e, true);
	}
	if (out_count(o, NULL, true) > 0)
		loop_arm(&x->child->loop, &o->tick, OCSP_TICK_NS, OCSP_TICK_NS);
}

/* ---- chains that wait ---- */

static bool is_open(const struct ocsp_waiting *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->entry[i]->asked)
			return true;
	return false;
}

static void waiting_answer(struct certifier *x)
{
	static struct certify_ask a;
	const struct snapshot *s = x->snapshot.snapshot;

	for (size_t i = 0; i < OCSP_WAITING_MAX; i++) {
		struct ocsp_waiting *w = &x->ocsp->waiting[i];
		if (w->until == 0 || (is_open(w) && x->child->loop.now < w->until))
			continue;
		a = w->ask;
		w->until = 0;
		if (s && a.generation == s->generation)
			x->ocsp->answer(x, &a);
		else
			x->stale++;
	}
}

static struct ocsp_waiting *waiting_place(struct ocsp *o, const struct certify_ask *a)
{
	struct ocsp_waiting *found = NULL;
	uint32_t n = 0, of_source = 0;

	for (size_t i = 0; i < OCSP_WAITING_MAX; i++) {
		struct ocsp_waiting *w = &o->waiting[i];
		bool same = w->until != 0 && w->ask.peer == a->peer;
		n += same;
		of_source += same && w->ask.source == a->source;
		if (w->until == 0)
			found = w;
	}
	return n < OCSP_WAITING_PEER_MAX && of_source < OCSP_WAITING_SOURCE_MAX ? found : NULL;
}

/* Another one of the same IKE SA is replaced without a word, as it is while it waits to be judged. */
static void waiting_drop(struct ocsp *o, uint32_t ike_sa)
{
	for (size_t i = 0; i < OCSP_WAITING_MAX; i++)
		if (o->waiting[i].until != 0 && o->waiting[i].ask.ike_sa == ike_sa)
			o->waiting[i].until = 0;
}

/* NULL: it cannot be asked about, which is said; or there is no room now. */
static struct ocsp_entry *enter(struct certifier *x, const struct certify_want *w)
{
	struct ocsp *o = x->ocsp;
	struct ocsp_entry *e = ocsp_enter(&o->table, w);
	char serial[2 * CERTIFY_SERIAL_MAX + 1];

	if (!ocsp_is_askable(w))
		log_warn(
			"ca-profile '%s': OCSP is not asked about the certificate with serial number %s: its issuer's certificate has more than %u octets; %s",
			w->authority, hex_from_bytes(serial, w->serial, w->serial_n),
			(unsigned)CERTIFY_ISSUER_MAX, without_text(x, w->authority));
	if (o->table.unkept != o->unkept)
		log_warn(
			"OCSP is not asked again about %llu certificates of chains that were accepted: there are more than %u certificates, or %u issuers",
			(unsigned long long)(o->table.unkept - o->unkept), (unsigned)OCSP_ENTRIES_MAX,
			(unsigned)OCSP_ISSUERS_MAX);
	o->unkept = o->table.unkept;
	return e;
}

enum ocsp_wait ocsp_wait(struct certifier *x, const struct certify_ask *a, uint32_t reason)
{
	struct ocsp *o = x->ocsp;
	struct ocsp_entry *open[CERTIFY_WANTS_MAX];
	int64_t now_s = now_of();
	uint32_t n = 0;

	waiting_drop(o, a->ike_sa);
	if (reason != CERTIFY_OK && reason != CERTIFY_NO_OCSP)
		return OCSP_JUDGED; /* no answer makes that better */
	for (uint32_t i = 0; i < o->question.n; i++) {
		const struct certify_want *w = &o->question.want[i];
		if (w->known)
			continue;
		struct ocsp_entry *e = enter(x, w);
		if (!e && ocsp_is_askable(w))
			return OCSP_BUSY; /* what is under way ends within OCSP_WAIT_NS */
		if (e && (e->asked || ocsp_is_due(e, now_s)))
			open[n++] = e;
	}
	for (uint32_t i = 0; i < n; i++)
		if (open[i]->request_n == 0)
			return OCSP_BUSY; /* it made room for another of them */
	if (n == 0)
		return OCSP_JUDGED;
	struct ocsp_waiting *w = waiting_place(o, a);
	if (!w)
		return OCSP_BUSY;
	w->until = x->child->loop.now + OCSP_WAIT_NS;
	w->ask = *a;
	w->n = n;
	memcpy(w->entry, open, n * sizeof open[0]);
	for (uint32_t i = 0; i < n && o->due_n < COUNT_OF(o->due); i++)
		if (!open[i]->asked) {
			open[i]->asked = true;
			o->due[o->due_n++] = open[i];
		}
	due_send(x);
	loop_arm(&x->child->loop, &o->tick, OCSP_TICK_NS, OCSP_TICK_NS);
	return OCSP_WAITS;
}

static void on_tick(struct loop *l, struct timer *t)
{
	struct certifier *x = t->context;
	struct ocsp *o = x->ocsp;
	bool busy = o->due_n > 0;

	for (size_t i = 0; i < OCSP_OUT_MAX; i++) {
		struct ocsp_out *out = &o->out[i];
		if (out->entry && l->now >= out->until) {
			failed(x, out->entry, "the resolver has not answered in time");
			out->entry = NULL;
		}
		busy |= out->entry != NULL;
	}
	due_send(x);
	waiting_answer(x);
	for (size_t i = 0; i < OCSP_WAITING_MAX; i++)
		busy |= o->waiting[i].until != 0;
	if (!busy)
		loop_disarm(l, t);
}

/* ---- answers ---- */

static void answer_take(struct certifier *x, struct ocsp_entry *e, struct certify_der answer)
{
	const struct ocsp_issuer *issuer = &x->ocsp->table.issuers[e->issuer];
	struct certify_ocsp_said said;
	char serial[2 * CERTIFY_SERIAL_MAX + 1];
	bool revoked = e->said.state == OCSP_REVOKED;
	uint32_t fault = x->engine->ocsp(&said, answer, (struct certify_der){ e->request, e->request_n },
		(struct certify_der){ issuer->der, issuer->n }, now_of());

	if (fault == CERTIFY_OCSP_OK)
		fault = ocsp_take(e, &said, now_of());
	if (fault != CERTIFY_OCSP_OK) {
		failed(x, e, certify_ocsp_fault_text(fault));
		return;
	}
	e->asked = false;
	x->ocsp->answers++;
	if (said.state == OCSP_REVOKED && !revoked) {
		log_warn("ca-profile '%s': by OCSP the certificate with serial number %s is revoked",
			e->authority, hex_from_bytes(serial, e->serial, e->serial_n));
		x->seen = 0; /* chains that were accepted are judged again */
	}
}

void ocsp_told(struct certifier *x, struct ipc_frame *f)
{
	struct msg_ocsp_answer *m = &f->u.OCSP_ANSWER;
	struct ocsp_out *out = NULL;

	for (size_t i = 0; i < OCSP_OUT_MAX && !out; i++)
		if (x->ocsp->out[i].entry && x->ocsp->out[i].tag == f->head.tag)
			out = &x->ocsp->out[i];
	if (!out)
		return; /* too late */
	struct ocsp_entry *e = out->entry;
	out->entry = NULL;
	m->why[sizeof m->why - 1] = '\0';
	if (m->n == 0 || m->n > sizeof m->octets)
		failed(x, e, m->why[0] ? m->why : "the resolver gave no answer and no reason");
	else
		answer_take(x, e, (struct certify_der){ m->octets, m->n });
	due_send(x);
	waiting_answer(x);
}

/* ---- what is kept ---- */

void ocsp_keep(struct certifier *x)
{
	struct ocsp *o = x->ocsp;

	for (uint32_t i = 0; i < o->question.n; i++) {
		const struct certify_want *w = &o->question.want[i];
		struct ocsp_entry *e = ocsp_is_askable(w) ? enter(x, w) : NULL;
		if (e)
			e->kept = true;
	}
}

void ocsp_forget(struct certifier *x)
{
	for (uint32_t i = 0; i < x->ocsp->table.n; i++)
		x->ocsp->table.at[i].kept = false;
}

void ocsp_configure(struct certifier *x)
{
	for (uint32_t i = 0; i < x->ocsp->table.n; i++) {
		struct ocsp_entry *e = &x->ocsp->table.at[i];
		const struct snap_authority *a = authority_of(x, e->authority);
		e->kept &= a && a->responder;
	}
}

const char *ocsp_state_text(const struct ocsp_entry *e, int64_t now_s)
{
	static const char *const texts[] = { [OCSP_NONE] = "none",
		[OCSP_GOOD] = "good",
		[OCSP_REVOKED] = "revoked",
		[OCSP_UNKNOWN] = "unknown" };

	return e->said.state == OCSP_GOOD && !ocsp_is_current(e, now_s) ? "out of date"
									: texts[e->said.state];
}

void ocsp_init(struct certifier *x, void (*answer)(struct certifier *x, const struct certify_ask *a))
{
	x->ocsp = calloc(1, sizeof *x->ocsp);
	if (!x->ocsp)
		abort(); /* at the start of the process: nothing is lost */
	x->ocsp->answer = answer;
	x->ocsp->tick = (struct timer){ .fn = on_tick, .context = x };
}

void ocsp_done(struct certifier *x)
{
	loop_disarm(&x->child->loop, &x->ocsp->tick);
	free(x->ocsp);
	x->ocsp = NULL;
}
