/* What is proved and what is not, in plain words: each sentence belongs to a check that was made, or was
 * not. */
#include "base/bytes.h"
#include "verify/report.h"

#include <assert.h>
#include <string.h>

typedef unsigned long long ull;

static const struct {
	const char *name, *unit, *proves, *missing;
} checks[VERIFY_CHECK_COUNT] = {
#define E(id, name, unit, proves, missing) [VERIFY_CHECK_##id] = { name, unit, proves, missing },
	VERIFY_CHECKS(E)
#undef E
};

/* What no check of files can prove. */
static const char *const never[] = {
	"that the statements of entries are true: whoever controls the machine can have it enter false ones",
	"that every event was entered since the machine was compromised",
	"that the log's key was used on that machine only",
};

/* ---- details of a check that was made ---- */

static void say_cosigned(struct tw *t, const struct verify_report *r)
{
	char time[UTC_TEXT_MAX];

	if (!r->policy_given || !r->quorum)
		return;
	if (strcmp(r->quorum_name, "none") == 0)
		tw_say(t, "    your policy requires no witness: this says nothing about what others saw\n");
	else if (r->cosigned < r->size)
		tw_say(t,
			"    the quorum '%s' has cosigned the first %llu entries, as of %s; the %llu after "
			"them are signed by the log's key alone\n",
			r->quorum_name, (ull)r->cosigned, utc_text(time, r->cosigned_time_s * 1000000),
			(ull)(r->size - r->cosigned));
	else
		tw_say(t, "    the quorum '%s' has cosigned all of it, as of %s\n", r->quorum_name,
			utc_text(time, r->cosigned_time_s * 1000000));
}

static void say_uncounted(struct tw *t, const struct verify_report *r)
{
	for (size_t i = 0; i < r->witnesses_n; i++)
		if (!r->witness[i].counts)
			tw_say(t,
				"    witness '%s' signs with ML-DSA-44, which this program cannot verify: "
				"not counted\n",
				r->witness[i].name);
}

static void say_details(struct tw *t, const struct verify_report *r, enum verify_check c)
{
	if (c == VERIFY_CHECK_COSIGNATURES) {
		say_cosigned(t, r);
		say_uncounted(t, r);
	}
	if (c == VERIFY_CHECK_KEPT)
		tw_say(t, "    up to entry %llu, which that head covers\n",
			(ull)MAX_OF(r->kept_size, r->since));
	if (r->since > 0 && (c == VERIFY_CHECK_TILES || c == VERIFY_CHECK_COUNTERS || c == VERIFY_CHECK_TIME))
		tw_say(t, "    from entry %llu on; the state before it is taken from your file\n",
			(ull)r->since);
	if (c == VERIFY_CHECK_SEALS && r->sealed < r->size)
		tw_say(t, "    the last seal covers %llu entries; the %llu after it have none\n",
			(ull)r->sealed, (ull)(r->size - r->sealed));
	if (c == VERIFY_CHECK_RANGE)
		tw_say(t, "    from %s to %s: from entry %llu up to, but without, entry %llu\n",
			r->range.from, r->range.to, (ull)r->range.first, (ull)r->range.end);
	if ((c == VERIFY_CHECK_COUNTERS || c == VERIFY_CHECK_TIME) && r->entries_unseen)
		tw_say(t,
			"    within each range of entries that was read, not across the gaps between them\n");
	if (c == VERIFY_CHECK_COUNTERS && r->gaps)
		tw_say(t, "    %llu entries state that others are missing\n", (ull)r->gaps);
	if (c == VERIFY_CHECK_TIME && r->clock_steps)
		tw_say(t,
			"    the clock (UTC) was set %llu times: the dates of entries are those of the "
			"machine's clock\n",
			(ull)r->clock_steps);
}

/* ---- what this report leaves open ----
 *
 * Each writes its sentence; false: it does not apply.
 */

static bool open_stale(const struct verify_report *r, struct tw *t)
{
	if (!r->policy_given || (!r->stale && r->uncosigned == 0))
		return false;
	if (r->stale)
		tw_say(t, "that the witnesses have cosigned as much as required: %s", r->staleness);
	else
		tw_say(t, "that others saw the last %llu entries: the quorum has not cosigned them yet",
			(ull)r->uncosigned);
	return true;
}

static bool open_since(const struct verify_report *r, struct tw *t)
{
	if (r->since == 0)
		return false;
	tw_say(t,
		"that the first %llu entries, their tiles and seals still exist, and what they state: none "
		"of it was read. That they were good is the statement of your file, which nobody has signed, "
		"by the checks of plaingate %s: what that version did not find is not found now",
		(ull)r->since, r->since_version);
	return true;
}

static bool open_unseen(const struct verify_report *r, struct tw *t)
{
	if (r->entries_unseen == 0)
		return false;
	tw_say(t,
		"what %llu entries state, which are %s; only their hashes are here: ", (ull)r->entries_unseen,
		r->bundle ? "not in the bundle" : "in an archive, according to the directory");
	report_holes(t, r);
	return true;
}

static bool open_outside(const struct verify_report *r, struct tw *t)
{
	if (!r->bundle || r->entries_unseen == 0)
		return false;
	tw_say(t,
		"that none of these is dated within the bundle's time: the clock may have been set among "
		"entries that were not read%s",
		r->clock_steps ? ", and it was set among those that were" : "");
	return true;
}

static bool open_range_end(const struct verify_report *r, struct tw *t)
{
	if (!r->bundle || r->range.end < r->size)
		return false;
	tw_say(t,
		"that no later entry than the %llu of the bundle's head is of the bundle's time: the range "
		"ends with the last one",
		(ull)r->size);
	return true;
}

static bool open_seals(const struct verify_report *r, struct tw *t)
{
	if (r->entries_unseen == 0 || r->seals_unseen == 0)
		return false;
	tw_say(t, "%llu seals over sizes within these", (ull)r->seals_unseen);
	return true;
}

static bool open_heads(const struct verify_report *r, struct tw *t)
{
	if (r->heads_unseen == 0)
		return false;
	tw_say(t, "that %llu heads of the journal over sizes within these are of this history",
		(ull)r->heads_unseen);
	return true;
}

static bool open_ended_logs(const struct verify_report *r, struct tw *t)
{
	if (r->ended_logs <= r->ended_logs_verified)
		return false;
	tw_say(t, "anything about %llu more logs in the directory `%s`: verify each by itself",
		(ull)(r->ended_logs - r->ended_logs_verified), LEDGER_PATH_BEFORE);
	return true;
}

static bool open_recovery(const struct verify_report *r, struct tw *t)
{
	if (!r->recovery_expected)
		return false;
	tw_say(t, "what the log before this one contained after the point to which its disk was set back");
	if (r->recoveries == 0)
		tw_say(t, "; the entry about it (ledger_recovery) is not here");
	else if (r->made[VERIFY_CHECK_RECOVERY] == 0)
		tw_say(t,
			"; nor that a witness saw it: there is no note of a witness, neither in "
			"ledger_recovery nor in `%s`",
			LEDGER_PATH_BEFORE);
	else if (!r->recovery_witnessed)
		tw_say(t,
			"; nor that a witness saw it: no policy of yours has checked the note's cosignature");
	if (r->ended_logs_verified == 0)
		tw_say(t, "; and nothing about the entries that were left of it, which are not here, are "
			  "incomplete or were not read");
	return true;
}

static const struct {
	const char *name;
	bool (*text)(const struct verify_report *r, struct tw *t);
} opens[] = {
	{ "stale", open_stale },
	{ "since", open_since },
	{ "entries_unseen", open_unseen },
	{ "range_outside", open_outside },
	{ "range_end", open_range_end },
	{ "seals_unseen", open_seals },
	{ "heads_unseen", open_heads },
	{ "ended_logs", open_ended_logs },
	{ "recovery", open_recovery },
};
#define OPEN_TEXT_SIZE 1536

/* The sentence that opens[o] has to say of this report; false: none. */
static bool open_text(const struct verify_report *r, size_t o, char ret_text[OPEN_TEXT_SIZE])
{
	struct tw t = tw_over(ret_text, OPEN_TEXT_SIZE);

	assert(o < COUNT_OF(opens));
	return opens[o].text(r, &t) && tw_done(&t) > 0;
}

static bool missing_matters(const struct verify_report *r, size_t c)
{
	/* "quorum none" is met without any cosignature. */
	return r->made[c] == 0 && checks[c].missing;
}

size_t verify_explain_text(const struct verify_report *r, char *ret_text, size_t size)
{
	struct tw t = tw_over(ret_text, size);
	char open[OPEN_TEXT_SIZE];

	if (!r->good) {
		tw_say(&t,
			"Nothing is proved: while the finding (%s) is not explained, the other checks prove "
			"nothing.\n",
			verify_class_name(r->found));
		return tw_done(&t);
	}
	tw_say(&t, "What is proved, provided that nobody but the log has its private key:\n");
	for (size_t c = 0; c < VERIFY_CHECK_COUNT; c++) {
		if (r->made[c] == 0)
			continue;
		tw_say(&t, "  - %s (%s: %llu)\n", checks[c].proves, checks[c].unit,
			(unsigned long long)r->made[c]);
		say_details(&t, r, (enum verify_check)c);
	}
	tw_say(&t, "What is not proved:\n");
	for (size_t c = 0; c < VERIFY_CHECK_COUNT; c++)
		if (missing_matters(r, c))
			tw_say(&t, "  - %s\n", checks[c].missing);
	for (size_t o = 0; o < COUNT_OF(opens); o++)
		if (open_text(r, o, open))
			tw_say(&t, "  - %s\n", open);
	for (size_t i = 0; i < COUNT_OF(never); i++)
		tw_say(&t, "  - %s\n", never[i]);
	return tw_done(&t);
}

void report_checks_json(struct jw *w, const struct verify_report *r)
{
	jw_array(w, "checks");
	for (size_t c = 0; r->good && c < VERIFY_CHECK_COUNT; c++) {
		if (r->made[c] == 0)
			continue;
		jw_object(w, NULL);
		jw_u64(w, "count", r->made[c]);
		jw_str(w, "name", checks[c].name);
		jw_str(w, "proves", checks[c].proves);
		jw_str(w, "unit", checks[c].unit);
		jw_end(w);
	}
	jw_end(w);
}

void report_not_proved_json(struct jw *w, const struct verify_report *r)
{
	char open[OPEN_TEXT_SIZE];

	jw_array(w, "not_proved");
	for (size_t c = 0; r->good && c < VERIFY_CHECK_COUNT; c++) {
		if (!missing_matters(r, c))
			continue;
		jw_object(w, NULL);
		jw_str(w, "name", checks[c].name);
		jw_str(w, "text", checks[c].missing);
		jw_end(w);
	}
	for (size_t o = 0; r->good && o < COUNT_OF(opens); o++) {
		if (!open_text(r, o, open))
			continue;
		jw_object(w, NULL);
		jw_str(w, "name", opens[o].name);
		jw_str(w, "text", open);
		jw_end(w);
	}
	for (size_t i = 0; r->good && i < COUNT_OF(never); i++) {
		jw_object(w, NULL);
		jw_str(w, "name", "never");
		jw_str(w, "text", never[i]);
		jw_end(w);
	}
	jw_end(w);
}
