/* The report as text for people and as one JSON object. */
#include "verify/report.h"
#include "base/bytes.h"

typedef unsigned long long ull;

static void step_say(struct tw *t, const struct verify_step *s)
{
	tw_say(t, "%s by %llu.%06llu s before entry %llu", s->back ? "back" : "ahead", (ull)(s->us / 1000000),
		(ull)(s->us % 1000000), (ull)s->entry);
}

static void say_verdict(struct tw *t, const struct verify_report *r)
{
	if (!r->good)
		tw_say(t, "The %s is NOT good: %s.\n", r->bundle ? "bundle" : "ledger", r->finding);
	else if (r->stale)
		tw_say(t, "The %s is good, but its cosignatures do not meet your policy: %s.\n",
			r->bundle ? "bundle" : "ledger", r->staleness);
	else if (r->bundle)
		tw_say(t, "The bundle is good: %llu entries from %s to %s, each as it was signed.\n",
			(ull)(r->range.end - r->range.first), r->range.from, r->range.to);
	else if (r->entries_unseen)
		tw_say(t,
			"The part of the ledger that is here is good: %llu of %llu entries, each as it was "
			"signed. %llu are in an archive and were NOT READ.\n",
			(ull)r->entries, (ull)(r->size - r->since), (ull)r->entries_unseen);
	else if (r->since)
		tw_say(t,
			"The entries since the head that you kept are good: %llu entries, each as it was "
			"signed. The %llu before them were NOT READ; the log still has them.\n",
			(ull)(r->size - r->since), (ull)r->since);
	else
		tw_say(t, "The ledger is good: %llu entries, each as it was signed.\n", (ull)r->size);
}

static void say_witnesses(struct tw *t, const struct verify_report *r)
{
	char time[UTC_TEXT_MAX];

	if (!r->policy_given)
		return;
	if (r->stale)
		tw_say(t, "  STALE        %s\n", r->staleness);
	if (!r->quorum)
		tw_say(t, "  quorum       '%s' is NOT met\n", r->quorum_name);
	else if (r->cosigned_time_s == 0)
		tw_say(t, "  quorum       none required by the policy\n");
	else
		tw_say(t, "  quorum       '%s' is met for %llu of %llu entries, as of %s\n", r->quorum_name,
			(ull)r->cosigned, (ull)r->size, utc_text(time, r->cosigned_time_s * 1000000));
	for (size_t i = 0; i < r->witnesses_n; i++) {
		const struct verify_witness *w = &r->witness[i];
		if (!w->counts)
			tw_say(t, "  witness      %s: not counted, this program cannot verify ML-DSA-44\n",
				w->name);
		else if (w->cosigned)
			tw_say(t, "  witness      %s: %llu entries, %s%s\n", w->name, (ull)w->size,
				utc_text(time, w->time_s * 1000000),
				w->future ? ": in the future, not counted" : "");
		else
			tw_say(t, "  witness      %s: no cosignature\n", w->name);
	}
}

static const char *key_origin(const struct verify_report *r)
{
	return r->vkey_by_policy ? "of a log in the policy"
	       : r->vkey_given	 ? "as given"
	       : r->bundle	 ? "from the bundle itself: compare it with the one that you noted"
				 : "from the directory itself: compare it with the one that you noted";
}

static void say_count(struct tw *t, uint64_t n, const char *what)
{
	tw_say(t, "%llu %s%s", (ull)n, what, n == 1 ? "" : "s");
}

/* Each of the clock's steps that is kept: it may be wide, and then dates mislead. */
static void say_steps(struct tw *t, const struct verify_report *r)
{
	size_t shown = MIN_OF(r->clock_steps, (uint64_t)VERIFY_STEPS_MAX);

	for (size_t i = 0; i < shown; i++) {
		tw_say(t, "  clock set    ");
		step_say(t, &r->clock_step[i]);
		tw_say(t, "\n");
	}
	if (r->clock_steps > shown)
		tw_say(t, "  clock set    %llu times more\n", (ull)r->clock_steps - shown);
}

static void say_good(struct tw *t, const struct verify_report *r)
{
	char hex[65];

	tw_say(t, "  root         %s\n", hex_from_bytes(hex, r->root, sizeof r->root));
	tw_say(t, "  published    %llu of them by the checkpoint%s\n", (ull)r->published,
		r->published < r->size ? ", the rest is in the journal" : "");
	tw_say(t, "  sealed       %llu of them under ", (ull)r->sealed);
	say_count(t, r->seals, "one-time key");
	tw_say(t, " of ");
	say_count(t, r->seal_epochs, "epoch");
	if (r->first_utc[0]) {
		tw_say(t, "\n  time         %s to %s, ", r->first_utc, r->last_utc);
		say_count(t, r->boots, "boot");
	}
	tw_say(t, "\n");
	if (r->since)
		tw_say(t,
			"  not read     %llu entries that plaingate %s verified earlier, according to your "
			"file\n",
			(ull)r->since, r->since_version);
	say_steps(t, r);
	tw_say(t, "  checked      ");
	say_count(t, r->entry_bundles, "bundle");
	tw_say(t, ", ");
	say_count(t, r->tiles, "tile");
	tw_say(t, ", %llu older partial %s\n", (ull)r->old_partial_tiles,
		r->old_partial_tiles == 1 ? "one" : "ones");
	if (r->kept_size)
		tw_say(t, "  kept head    %llu entries, all still present\n", (ull)r->kept_size);
	if (r->entries_unseen) {
		tw_say(t, "  not read     %llu entries: ", (ull)r->entries_unseen);
		report_holes(t, r);
		tw_say(t, "\n");
	}
}

size_t verify_ledger_text(const struct verify_report *r, char *ret_text, size_t size)
{
	struct tw t = tw_over(ret_text, size);

	say_verdict(&t, r);
	tw_say(&t, "  log          %s\n", r->origin[0] ? r->origin : "unknown");
	tw_say(&t, "  key          %s (%s)\n", r->vkey[0] ? r->vkey : "unknown", key_origin(r));
	if (r->good)
		say_good(&t, r);
	say_witnesses(&t, r);
	if (r->gaps)
		tw_say(&t, "  gaps         %llu entries state that others are missing\n", (ull)r->gaps);
	if (r->recoveries)
		tw_say(&t,
			"  recovery     this log began because the disk did not have all of the %llu entries "
			"that a witness had seen of the log before it\n",
			(ull)r->recovery_seen_size);
	if (r->ended_logs_verified)
		tw_say(&t,
			"  ended logs   %llu logs that ended in a recovery were verified as well, in "
			"`%s`\n",
			(ull)r->ended_logs_verified, LEDGER_PATH_BEFORE);
	if (r->ended_logs > r->ended_logs_verified)
		tw_say(&t, "  not read     %llu earlier logs in the directory `%s`: verify each by itself\n",
			(ull)(r->ended_logs - r->ended_logs_verified), LEDGER_PATH_BEFORE);
	if (r->stray_files)
		tw_say(&t, "  not read     %llu files that are not part of what the checkpoint covers\n",
			(ull)r->stray_files);
	return tw_done(&t);
}

/* ---- JSON ---- */

static void witnesses_json(struct jw *w, const struct verify_report *r)
{
	jw_array(w, "witnesses");
	for (size_t i = 0; i < r->witnesses_n; i++) {
		const struct verify_witness *v = &r->witness[i];
		jw_object(w, NULL);
		jw_bool(w, "cosigned", v->cosigned);
		jw_u64(w, "cosigned_size", v->size);
		jw_u64(w, "cosigned_time_s", v->time_s);
		jw_bool(w, "counted", v->counts);
		jw_bool(w, "future", v->future);
		jw_str(w, "name", v->name);
		jw_end(w);
	}
	jw_end(w);
}

static void range_json(struct jw *w, const struct verify_range *r)
{
	jw_object(w, "range");
	jw_u64(w, "end", r->end);
	jw_u64(w, "first", r->first);
	jw_str(w, "from", r->from);
	jw_str(w, "made", r->made);
	jw_str(w, "to", r->to);
	jw_str(w, "version", r->version);
	jw_end(w);
}

static void holes_json(struct jw *w, const struct verify_report *r)
{
	jw_array(w, "holes");
	for (size_t i = 0; i < MIN_OF(r->holes_n, (size_t)VERIFY_HOLES_MAX); i++) {
		jw_object(w, NULL);
		jw_u64(w, "end", r->hole[i].end);
		jw_u64(w, "first", r->hole[i].first);
		jw_end(w);
	}
	jw_end(w);
}

static void steps_json(struct jw *w, const struct verify_report *r)
{
	jw_array(w, "clock_step");
	for (size_t i = 0; i < MIN_OF(r->clock_steps, (uint64_t)VERIFY_STEPS_MAX); i++) {
		jw_object(w, NULL);
		jw_bool(w, "back", r->clock_step[i].back);
		jw_u64(w, "entry", r->clock_step[i].entry);
		jw_u64(w, "us", r->clock_step[i].us);
		jw_end(w);
	}
	jw_end(w);
}

size_t verify_ledger_json(const struct verify_report *r, char *ret_text, size_t size)
{
	struct jw w = jw_over(ret_text, size, true);

	jw_object(&w, NULL);
	jw_u64(&w, "archived", r->archived);
	jw_u64(&w, "boots", r->boots);
	report_checks_json(&w, r);
	jw_str(&w, "class", verify_class_name(r->found));
	steps_json(&w, r);
	jw_u64(&w, "clock_steps", r->clock_steps);
	jw_bool(&w, "complete", verify_complete(r) && r->since == 0);
	jw_u64(&w, "cosigned_size", r->cosigned);
	jw_u64(&w, "cosigned_time_s", r->cosigned_time_s);
	jw_u64(&w, "ended_logs", r->ended_logs);
	jw_u64(&w, "ended_logs_verified", r->ended_logs_verified);
	jw_u64(&w, "entries", r->entries);
	jw_u64(&w, "entries_unseen", r->entries_unseen);
	if (r->at_entry)
		jw_u64(&w, "entry", r->entry);
	jw_u64(&w, "entry_bundles", r->entry_bundles);
	jw_bool(&w, "evidence_bundle", r->bundle);
	jw_str(&w, "finding", r->finding);
	jw_str(&w, "first_utc", r->first_utc);
	jw_u64(&w, "gaps", r->gaps);
	jw_bool(&w, "good", r->good);
	jw_u64(&w, "heads_unseen", r->heads_unseen);
	holes_json(&w, r);
	jw_u64(&w, "kept_size", r->kept_size);
	jw_str(&w, "last_utc", r->last_utc);
	report_not_proved_json(&w, r);
	jw_u64(&w, "old_partial_tiles", r->old_partial_tiles);
	jw_str(&w, "origin", r->origin);
	jw_bool(&w, "policy_given", r->policy_given);
	jw_u64(&w, "published_size", r->published);
	jw_bool(&w, "quorum", r->quorum);
	jw_str(&w, "quorum_name", r->quorum_name);
	if (r->bundle)
		range_json(&w, &r->range);
	jw_u64(&w, "recoveries", r->recoveries);
	jw_bool(&w, "recovery_expected", r->recovery_expected);
	jw_u64(&w, "recovery_seen_size", r->recovery_seen_size);
	jw_bool(&w, "recovery_witnessed", r->recovery_witnessed);
	jw_hex(&w, "root", r->root, sizeof r->root);
	jw_u64(&w, "seal_epochs", r->seal_epochs);
	jw_u64(&w, "sealed_size", r->sealed);
	jw_u64(&w, "seals", r->seals);
	jw_u64(&w, "seals_unseen", r->seals_unseen);
	jw_u64(&w, "since_size", r->since);
	jw_u64(&w, "size", r->size);
	jw_bool(&w, "stale", r->stale);
	jw_str(&w, "staleness", r->staleness);
	jw_u64(&w, "stray_files", r->stray_files);
	jw_u64(&w, "tiles", r->tiles);
	jw_u64(&w, "uncosigned", r->uncosigned);
	jw_str(&w, "vkey", r->vkey);
	jw_bool(&w, "vkey_by_policy", r->vkey_by_policy);
	jw_bool(&w, "vkey_given", r->vkey_given);
	witnesses_json(&w, r);
	jw_end(&w);
	return jw_done(&w);
}
