/*
 * Entries: each by itself, in the order of its source's counter and of time. Behind a hole, where entries are
 * elsewhere, counting begins with the first entry of each source that is seen again.
 */
#include "base/bytes.h"
#include "verify/internal.h"
#include "verify/limits.h"

#include <assert.h>
#include <stdio.h>

static void step_note(struct walk *w, uint64_t index, uint64_t us, bool back)
{
	struct verify_report *r = w->report;

	assert(index > 0); /* the first entry has nothing before it to differ from */
	if (r->clock_steps < VERIFY_STEPS_MAX)
		r->clock_step[r->clock_steps] = (struct verify_step){ index, us, back };
	r->clock_steps++;
}

static int64_t clock_offset(const struct ledger_entry *entry)
{
	return (int64_t)(entry->utc_us - entry->mono_us);
}

/*
 * The kernel slews both clocks alike, so within a boot their difference changes only when UTC is set (or the
 * machine slept, which the monotonic clock does not count). Against where it stood when it was last set, so
 * that many small steps are seen as well.
 */
static void clock_check(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	int64_t offset = clock_offset(entry), by = offset - w->clock_offset;
	uint64_t far = by < 0 ? (uint64_t)-by : (uint64_t)by;

	if (far >= VERIFY_CLOCK_STEP_US_MIN) {
		step_note(w, index, far, by < 0);
		w->clock_offset = offset;
	}
	w->last_utc = entry->utc_us;
}

static void boot_begins(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	memset(&w->counters, 0, sizeof w->counters);
	memcpy(w->boot, entry->boot, sizeof w->boot);
	/* How long the machine was off is unknown: only that its clock went back can be seen. */
	if (index > 0 && entry->utc_us < w->last_utc)
		step_note(w, index, w->last_utc - entry->utc_us, true);
	w->clock_offset = clock_offset(entry);
	w->last_mono = 0;
	w->report->boots++;
	/* It may have begun within a hole. */
	w->resuming = w->hole;
	if (entry->type != LEDGER_LEDGER_START && !w->hole)
		report_finding_at(
			&w->entry, VERIFY_ENTRY, index, "a new boot begins without a ledger_start entry");
}

/* The counter of a source that was not seen since the hole: it goes on from here. */
static void counter_resume(struct ledger_counters *c, const char *source, uint32_t run, uint64_t next)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->source[i].name, source) == 0)
			return;
	if (c->n == LEDGER_SOURCES_MAX || next == 0)
		return;
	struct ledger_source *s = &c->source[c->n++];
	*s = (struct ledger_source){ .any = true, .run = run, .last = next - 1 };
	snprintf(s->name, sizeof s->name, "%s", source);
}

static void counters_resume(struct walk *w, const struct ledger_entry *entry)
{
	struct ledger_counters stated;
	char name[LEDGER_SOURCE_MAX];
	size_t n = 0;

	counter_resume(&w->counters, entry->source, entry->run, entry->n);
	if (entry->type == LEDGER_COUNTERS && ledger_counters_stated(entry, &stated))
		for (size_t i = 0; i < stated.n; i++)
			counter_resume(&w->counters, stated.source[i].name, stated.source[i].run,
				stated.source[i].last + 1);
	if (entry->type != LEDGER_COUNTER_GAP)
		return;
	const char *source = ledger_entry_field(entry, "source", &n);
	uint64_t run = ledger_entry_number(entry, "run");
	if (!source || n >= sizeof name || run > UINT32_MAX)
		return;
	memcpy(name, source, n);
	name[n] = '\0';
	counter_resume(&w->counters, name, (uint32_t)run, ledger_entry_number(entry, "first"));
}

/* Entries before this one were not seen. */
static void hole_end(struct walk *w)
{
	memset(&w->counters, 0, sizeof w->counters);
	w->resuming = true;
	w->start_open = false;
}

static void order_check(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	uint64_t due;

	if (w->hole)
		hole_end(w);
	if (index == 0 || memcmp(entry->boot, w->boot, sizeof w->boot) != 0)
		boot_begins(w, entry, index);
	if (w->resuming)
		counters_resume(w, entry);
	if (!ledger_counters_follow(&w->counters, entry, &due)) {
		if (entry->n == due)
			report_finding_at(&w->entry, VERIFY_COUNTER, index,
				"its counters differ from those of the entries before it");
		else
			report_finding_at(&w->entry, VERIFY_COUNTER, index,
				"counter %llu of %s, run %u: expected %llu: entries are missing or duplicated",
				(unsigned long long)entry->n, entry->source, (unsigned)entry->run,
				(unsigned long long)due);
	}
	if (entry->mono_us < w->last_mono)
		report_finding_at(&w->entry, VERIFY_TIME, index,
			"its monotonic time precedes that of the entry before it");
	clock_check(w, entry, index);
	w->last_mono = entry->mono_us;
	w->report->recoveries += entry->type == LEDGER_LEDGER_RECOVERY;
	w->report->gaps += entry->type == LEDGER_COUNTER_GAP || entry->type == LEDGER_LEDGER_OUTAGE;
	if (!w->report->first_utc[0])
		memcpy(w->report->first_utc, entry->utc, sizeof entry->utc);
	memcpy(w->report->last_utc, entry->utc, sizeof entry->utc);
	w->report->made[VERIFY_CHECK_COUNTERS]++;
	w->report->made[VERIFY_CHECK_TIME]++;
	w->hole = false;
}

void entry_check(struct walk *w, const uint8_t *bytes, size_t n)
{
	uint64_t index = w->edge.size;
	struct ledger_entry entry;
	struct err e = { 0 };

	if (w->entry.class != VERIFY_NONE)
		return;
	enum rc rc = ledger_entry_parse(&entry, (const char *)bytes, n, &e);
	if (rc == RC_UNSUPPORTED)
		report_finding_at(&w->newer, VERIFY_ENTRY, index, "%s", e.text);
	else if (rc != RC_OK)
		report_finding_at(&w->entry, VERIFY_ENTRY, index, "%s", e.text);
	if (w->entry.class != VERIFY_NONE)
		return;
	order_check(w, &entry, index);
	seals_check_announced(w, &entry, index);
	/* What an entry of a newer version says is for that version to judge. */
	if (w->entry.class != VERIFY_NONE || rc == RC_UNSUPPORTED)
		return;
	recovery_entry(w, &entry, index, bytes, n);
	w->report->entries++;
	w->report->made[VERIFY_CHECK_FORM]++;
	if (entry.type == LEDGER_SEAL_EPOCH)
		seals_epoch_begin(w, &entry, index);
	if (w->report->bundle)
		bundled_entry(w, &entry, index);
	if (w->options->entry)
		w->options->entry(w->options->context, &entry, index);
}
