/* Who cosigned the heads of the log, whether they are a quorum of the policy, and how old it is. */
#include "base/bytes.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* A cosignature from later was made by a wrong clock: its time is unknown. */
static uint64_t latest_time(const struct walk *w)
{
	return w->options->now_s ? w->options->now_s + VERIFY_CLOCK_ERROR_S : UINT64_MAX;
}

/* Notes who cosigned this head. RC_AUTH: a cosignature of a witness of the policy is wrong. */
static enum rc witnesses_of(struct walk *w, const struct signed_head *h, const char *name)
{
	const struct policy *p = w->options->policy;

	for (size_t i = 0; i < p->witnesses_n; i++) {
		struct verify_witness *seen = &w->report->witness[i];
		uint64_t time_s;
		if (!policy_counts(&p->witness[i]))
			continue;
		enum rc rc = cosign_verify(&h->note, &p->witness[i].key, &time_s, NULL);
		if (rc == RC_AUTH)
			return report_finding(&w->cosignature, VERIFY_COSIGNATURE,
				"%s: invalid cosignature of witness '%s'", name, p->witness[i].name);
		if (rc != RC_OK)
			continue;
		w->report->made[VERIFY_CHECK_COSIGNATURES]++;
		bool future = time_s > latest_time(w);
		bool better = !seen->cosigned || h->c.size > seen->size ||
			      (h->c.size == seen->size && time_s > seen->time_s);
		if (future ? seen->cosigned && !seen->future : seen->cosigned && !seen->future && !better)
			continue;
		*seen = (struct verify_witness){ .counts = true,
			.cosigned = true,
			.future = future,
			.size = h->c.size,
			.time_s = time_s };
		snprintf(seen->name, sizeof seen->name, "%s", p->witness[i].name);
	}
	return RC_OK;
}

static const char *quorum_name(const struct policy *p)
{
	return p->quorum.kind == POLICY_WITNESS ? p->witness[p->quorum.index].name
	       : p->quorum.kind == POLICY_GROUP ? p->group[p->quorum.index].name
						: "none";
}

static void policy_report(struct verify_report *r, const struct policy *p)
{
	assert(p->witnesses_n <= POLICY_WITNESSES_MAX);
	r->policy_given = true;
	snprintf(r->quorum_name, sizeof r->quorum_name, "%s", quorum_name(p));
	r->witnesses_n = p->witnesses_n;
	for (size_t i = 0; i < p->witnesses_n; i++) {
		r->witness[i].counts = policy_counts(&p->witness[i]);
		snprintf(r->witness[i].name, sizeof r->witness[i].name, "%s", p->witness[i].name);
	}
}

static void report_stale(struct verify_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void report_stale(struct verify_report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->staleness, sizeof r->staleness, fmt, ap);
	va_end(ap);
	r->stale = true;
}

/*
 * Whoever has the ledger's key may keep an old head with its cosignatures and rewrite what follows it: how
 * much that can be, and since when, is what the limits say. A bundle is of the past: what counts is that its
 * range was cosigned, and its age only when somebody asks.
 */
static void freshness_check(struct walk *w)
{
	const struct verify_options *o = w->options;
	struct verify_report *r = w->report;
	/* Of a bundle with the entry after its range: if that is another one, the range may end elsewhere. */
	uint64_t end = r->bundle ? MIN_OF(r->range.end + 1, w->edge.size) : w->edge.size;
	char time[UTC_TEXT_MAX];

	uint64_t age_max = o->max_age_s != VERIFY_DEFAULT ? o->max_age_s
			   : r->bundle			  ? VERIFY_ANY
							  : VERIFY_MAX_AGE_S;
	uint64_t uncosigned_max = o->max_uncosigned != VERIFY_DEFAULT ? o->max_uncosigned
				  : r->bundle			      ? 0
								      : VERIFY_MAX_UNCOSIGNED;

	r->uncosigned = end > r->cosigned ? end - r->cosigned : 0;
	if (o->policy->quorum.kind == POLICY_NONE)
		return;
	if (r->uncosigned > uncosigned_max)
		report_stale(r, "the quorum has not cosigned the last %llu entries, at most %llu are allowed",
			(unsigned long long)r->uncosigned, (unsigned long long)uncosigned_max);
	else if (o->now_s && o->now_s > r->cosigned_time_s && o->now_s - r->cosigned_time_s > age_max)
		report_stale(r, "the quorum's cosignatures are of %s, %llu s ago; at most %llu s are allowed",
			utc_text(time, r->cosigned_time_s * 1000000),
			(unsigned long long)(o->now_s - r->cosigned_time_s), (unsigned long long)age_max);
	else if (r->recoveries > 0 && !r->recovery_witnessed)
		report_stale(r,
			"the log began in a recovery, and no cosignature by a witness of the policy shows "
			"the log before it");
}

void cosignatures_check(struct walk *w)
{
	const struct policy *p = w->options->policy;
	struct verify_report *r = w->report;
	struct policy_verdict verdict;
	struct err why = { 0 };
	bool future = false;

	if (!p)
		return;
	policy_report(r, p);
	for (int i = 0; i < HEADS; i++) {
		const struct signed_head *h = &w->heads[i];
		if (!h->any || !h->confirmed)
			continue;
		if (witnesses_of(w, h, head_name(i)) != RC_OK)
			return;
		enum rc rc =
			policy_evaluate_at(p, &h->note, latest_time(w), &verdict, why.text[0] ? NULL : &why);
		if (rc != RC_OK && verdict.future_mask)
			future = future || policy_evaluate(p, &h->note, &verdict, NULL) == RC_OK;
		if (rc == RC_OK &&
			(!r->quorum || h->c.size > r->cosigned ||
				(h->c.size == r->cosigned && verdict.quorum_time_s > r->cosigned_time_s))) {
			r->quorum = true;
			r->cosigned = h->c.size;
			r->cosigned_time_s = verdict.quorum_time_s;
		}
	}
	if (w->options->ended)
		return; /* it may have ended before it had one */
	if (r->quorum)
		freshness_check(w);
	else if (future)
		report_stale(r,
			"the quorum's cosignatures are dated in the future: the clock of this machine or of "
			"a witness is wrong");
	else
		report_finding(&w->cosignature, VERIFY_COSIGNATURE, "%s",
			why.text[0] ? why.text
				    : "no checkpoint has been published yet for witnesses to cosign");
}
