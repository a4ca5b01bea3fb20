/* What is proved and what is not, in plain words: each sentence belongs to a check that was made, or was not.
 */
#include "base/bytes.h"
#include "verify/report.h"

#include <string.h>

static const struct {
	const char *name, *unit, *proves, *missing;
} checks[VERIFY_CHECK_COUNT] = {
#define E(id, name, unit, proves, missing) [VERIFY_CHECK_##id] = { name, unit, proves, missing },
	VERIFY_CHECKS(E)
#undef E
};

/* What no check of files can prove. */
static const char *const never[] = {
	"that what an entry says is true: who has the machine can have it enter lies from then on",
	"that nothing was kept from being entered since the machine was taken",
	"that the key of the log was used on that machine only",
};

/* Sentences that depend on numbers of this report. */
static void say_cosigned(struct tw *t, const struct verify_report *r)
{
	char time[UTC_TEXT_MAX];

	if (!r->policy_given || !r->quorum)
		return;
	if (strcmp(r->quorum_name, "none") == 0)
		tw_say(t, "    your policy asks for no witness: this says nothing about others\n");
	else if (r->cosigned < r->size)
		tw_say(t,
			"    a quorum ('%s') stands behind the first %llu entries, as of %s; the %llu behind "
			"them "
			"are signed by the log's key alone\n",
			r->quorum_name, (unsigned long long)r->cosigned,
			utc_text(time, r->cosigned_time_s * 1000000),
			(unsigned long long)(r->size - r->cosigned));
	else
		tw_say(t, "    a quorum ('%s') stands behind all of it, as of %s\n", r->quorum_name,
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
	typedef unsigned long long ull;

	if (c == VERIFY_CHECK_COSIGNATURES) {
		say_cosigned(t, r);
		say_uncounted(t, r);
	}
	if (c == VERIFY_CHECK_KEPT)
		tw_say(t, "    up to entry %llu, which that head covers\n",
			(ull)MAX_OF(r->kept_size, r->since));
	if (r->since > 0 && (c == VERIFY_CHECK_TILES || c == VERIFY_CHECK_COUNTERS || c == VERIFY_CHECK_TIME))
		tw_say(t, "    from entry %llu on; how it stood there is what your file says\n",
			(ull)r->since);
	if (c == VERIFY_CHECK_SEALS && r->sealed < r->size)
		tw_say(t, "    the last seal covers %llu entries; the %llu behind it have none\n",
			(ull)r->sealed, (ull)(r->size - r->sealed));
	if (c == VERIFY_CHECK_RANGE)
		tw_say(t, "    from %s to %s: entries %llu to %llu (not counted in)\n", r->range.from,
			r->range.to, (ull)r->range.first, (ull)r->range.end);
	if ((c == VERIFY_CHECK_COUNTERS || c == VERIFY_CHECK_TIME) && r->unseen)
		tw_say(t, "    within each stretch that was seen; what lies between is not seen\n");
	if (c == VERIFY_CHECK_COUNTERS && r->gaps)
		tw_say(t, "    %llu entries say that others were left out\n", (ull)r->gaps);
	if (c == VERIFY_CHECK_TIME && r->clock_steps)
		tw_say(t,
			"    the clock (UTC) was set %llu times meanwhile: the dates of entries are what the "
			"machine believed\n",
			(ull)r->clock_steps);
}

/* What this report in particular leaves open. */
enum open {
	OPEN_STALE,
	OPEN_SINCE,
	OPEN_UNSEEN,
	OPEN_OUTSIDE,
	OPEN_BEHIND,
	OPEN_SEALS,
	OPEN_HEADS,
	OPEN_EARLIER,
	OPEN_RECOVERY,
	OPENS
};
#define OPEN_TEXT_MAX 1536

/* False: there is nothing to say of it. */
static bool open_text(const struct verify_report *r, enum open o, const char **ret_name, char *ret_text)
{
	struct tw t = tw_over(ret_text, OPEN_TEXT_MAX);
	typedef unsigned long long ull;

	switch (o) {
	case OPEN_STALE:
		*ret_name = "stale";
		if (!r->policy_given || (!r->stale && r->uncosigned == 0))
			return false;
		if (r->stale)
			tw_say(&t, "that the witnesses stand behind what they should: %s", r->staleness);
		else
			tw_say(&t, "that others saw the last %llu entries: no quorum cosigned them yet",
				(ull)r->uncosigned);
		break;
	case OPEN_SINCE:
		*ret_name = "since";
		if (r->since == 0)
			return false;
		tw_say(&t,
			"that the first %llu entries, their tiles and seals are still there, and what they "
			"say: "
			"none of it was read. That they were good is the word of your file, which nobody has "
			"signed, as plaingate %s judged: what that version did not find is not found now",
			(ull)r->since, r->since_version);
		break;
	case OPEN_UNSEEN:
		*ret_name = "unseen";
		if (r->unseen == 0)
			return false;
		tw_say(&t,
			"what %llu entries say, which are %s; only their hashes are here: ", (ull)r->unseen,
			r->bundle ? "not in the bundle" : "in an archive, says the directory");
		report_holes(&t, r);
		break;
	case OPEN_OUTSIDE:
		*ret_name = "outside";
		if (!r->bundle || r->unseen == 0)
			return false;
		tw_say(&t,
			"that none of these is dated within the bundle's time: the clock may have been set "
			"where nobody sees it%s",
			r->clock_steps ? ", and it was set where it is seen" : "");
		break;
	case OPEN_BEHIND:
		*ret_name = "behind";
		if (!r->bundle || r->range.end < r->size)
			return false;
		tw_say(&t,
			"that nothing of the bundle's time came behind the %llu entries of its head: the "
			"range "
			"goes up to its last one",
			(ull)r->size);
		break;
	case OPEN_SEALS:
		*ret_name = "seals_unseen";
		if (r->unseen == 0 || r->seals_unseen == 0)
			return false;
		tw_say(&t, "%llu seals over sizes within these", (ull)r->seals_unseen);
		break;
	case OPEN_HEADS:
		*ret_name = "heads_unseen";
		if (r->heads_unseen == 0)
			return false;
		tw_say(&t, "that %llu heads of the journal over sizes within these are of this history",
			(ull)r->heads_unseen);
		break;
	case OPEN_EARLIER:
		*ret_name = "earlier";
		if (r->earlier <= r->ended_read)
			return false;
		tw_say(&t, "anything about %llu more logs in the folder `%s`: verify each by itself",
			(ull)(r->earlier - r->ended_read), LEDGER_PATH_BEFORE);
		break;
	default:
		*ret_name = "recovery";
		if (!r->recovery_due)
			return false;
		tw_say(&t, "what the log before this one held behind the place where its disk was put back");
		if (r->recoveries == 0)
			tw_say(&t, "; the entry about it (ledger_recovery) is not here");
		else if (r->made[VERIFY_CHECK_RECOVERY] == 0)
			tw_say(&t,
				"; nor that a witness saw it: there is no note of one, neither in "
				"ledger_recovery nor in "
				"`%s`",
				LEDGER_PATH_BEFORE);
		else if (!r->recovery_witnessed)
			tw_say(&t, "; nor that a witness saw it: that the note is cosigned was not checked "
				   "by your policy");
		if (r->ended_read == 0)
			tw_say(&t, "; and nothing about what was left of it, which is not here, or not all "
				   "of it, or "
				   "was not read");
	}
	return tw_done(&t) > 0;
}

static bool missing_matters(const struct verify_report *r, size_t c)
{
	/* "quorum none" is met without any cosignature. */
	return r->made[c] == 0 && checks[c].missing;
}

size_t verify_explain_text(const struct verify_report *r, char *ret_text, size_t size)
{
	struct tw t = tw_over(ret_text, size);
	char open[OPEN_TEXT_MAX];
	const char *name;

	if (!r->good) {
		tw_say(&t,
			"Nothing is proved: what was found (%s) makes the rest worth nothing until somebody "
			"has "
			"looked at it.\n",
			verify_class_name(r->found));
		return tw_done(&t);
	}
	tw_say(&t, "What is proved, if nobody but the log has the private half of its key:\n");
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
	for (enum open o = OPEN_STALE; o < OPENS; o++)
		if (open_text(r, o, &name, open))
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
	char open[OPEN_TEXT_MAX];
	const char *name;

	jw_array(w, "not_proved");
	for (size_t c = 0; r->good && c < VERIFY_CHECK_COUNT; c++) {
		if (!missing_matters(r, c))
			continue;
		jw_object(w, NULL);
		jw_str(w, "name", checks[c].name);
		jw_str(w, "text", checks[c].missing);
		jw_end(w);
	}
	for (enum open o = OPEN_STALE; r->good && o < OPENS; o++) {
		if (!open_text(r, o, &name, open))
			continue;
		jw_object(w, NULL);
		jw_str(w, "name", name);
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
