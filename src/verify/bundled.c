/*
 * Which parts of a ledger are elsewhere, by the files of its source, and what an evidence bundle has beside
 * the log: the range that it is about, configurations, the timeline.
 */
#include "base/bytes.h"
#include "merkle/lines.h"
#include "verify/evidence.h"
#include "verify/internal.h"

#include <stdio.h>
#include <stdlib.h>

static enum rc archived_load(struct walk *w)
{
	const char *at, *line;
	uint8_t *bytes;
	size_t n, line_n;
	enum rc rc = walk_file_read(w, VERIFY_PATH_ARCHIVED, &bytes, &n);

	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	at = (const char *)bytes;
	if (!line_take(&at, (const char *)bytes + n, &line, &line_n) || at != (const char *)bytes + n ||
		!line_decimal(line, line_n, &w->report->archived))
		rc = report_finding(&w->stop, VERIFY_FILE,
			"%s is malformed: expected a number of entries and a line feed",
			VERIFY_PATH_ARCHIVED);
	free(bytes);
	return rc;
}

enum rc scope_load(struct walk *w)
{
	struct err why = { 0 };
	uint8_t *bytes;
	size_t n;
	enum rc rc = walk_file_read(w, EVIDENCE_PATH_RANGE, &bytes, &n);

	if (rc == RC_NOT_FOUND)
		return archived_load(w);
	if (rc != RC_OK)
		return rc;
	rc = evidence_range_parse(&w->report->range, (const char *)bytes, n, &why);
	free(bytes);
	if (rc != RC_OK)
		return report_finding(
			&w->stop, VERIFY_EVIDENCE_BUNDLE, "%s: %s", EVIDENCE_PATH_RANGE, why.text);
	w->report->bundle = true;
	w->gathered.timeline = timeline_new();
	w->gathered.out_of_memory = !w->gathered.timeline;
	return RC_OK;
}

bool scope_excludes(const struct walk *w, uint64_t bundle)
{
	const struct verify_range *r = &w->report->range;
	uint64_t first = bundle * TILE_WIDTH, end = first + TILE_WIDTH;

	if (!w->report->bundle)
		return end <= w->report->archived;
	/* The last one may be partial; what follows it is in the journal. */
	end = first < w->report->published ? MIN_OF(end, w->report->published) : end;
	/* The entries before and after the range show where it ends. */
	return end < r->first || first > r->end;
}

/* ---- entries of a bundle ---- */

/* Makes room for one more after n. NULL, and no change: out of memory. */
static void *array_grow(void *array, size_t n, size_t *room, size_t size)
{
	if (n < *room)
		return array;
	size_t more = MAX_OF(2 * *room, (size_t)16);
	void *grown = realloc(array, more * size);
	if (grown)
		*room = more;
	return grown;
}

static bool config_named(const struct gathered *g, const uint8_t hash[SHA256_SIZE])
{
	uint64_t at;

	return digests_get(&g->configs, hash, &at) && memcmp(g->config[at], hash, SHA256_SIZE) == 0;
}

static void config_note(struct gathered *g, const struct ledger_entry *entry)
{
	uint8_t hash[SHA256_SIZE];

	if (!ledger_entry_hex(entry, "sha256", hash, sizeof hash) || config_named(g, hash))
		return;
	void *grown = array_grow(g->config, g->config_n, &g->config_room, sizeof *g->config);
	if (grown)
		g->config = grown;
	if (!grown || !digests_put(&g->configs, hash, g->config_n)) {
		g->out_of_memory = true;
		return;
	}
	memcpy(g->config[g->config_n++], hash, sizeof hash);
}

static void epoch_note(struct gathered *g, const struct ledger_entry *entry)
{
	struct merkle_hash *grown = array_grow(g->epoch, g->epochs_n, &g->epochs_room, sizeof *g->epoch);

	if (!grown) {
		g->out_of_memory = true;
		return;
	}
	g->epoch = grown;
	g->epochs_n += seal_epoch_root(entry, &grown[g->epochs_n]);
}

/*
 * The range begins where the dates come to its time, and ends where they pass it: so where the clock ran on,
 * no entry of that time is outside. Where it was set, there are more such places than one; then what was read
 * outside must not be of its time either.
 */
static void range_check(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	const struct verify_range *r = &w->report->range;
	bool early = strcmp(entry->utc, r->from) < 0, late = strcmp(entry->utc, r->to) > 0;
	bool within = index >= r->first && index < r->end;

	w->report->made[VERIFY_CHECK_RANGE] += index + 1 == r->first || index == r->end;
	if (!within && !early && !late)
		report_finding_at(&w->bundled, VERIFY_EVIDENCE_BUNDLE, index,
			"it is dated within the bundle's time, but lies outside its range");
	else if (index + 1 == r->first && !early)
		report_finding_at(&w->bundled, VERIFY_EVIDENCE_BUNDLE, index,
			"it precedes the bundle's range, but is not dated before its time");
	else if (index == r->end && !late)
		report_finding_at(&w->bundled, VERIFY_EVIDENCE_BUNDLE, index,
			"it follows the bundle's range, but is not dated after its time");
	else if (within && ((index == r->first && early) || (index + 1 == r->end && late)))
		report_finding_at(&w->bundled, VERIFY_EVIDENCE_BUNDLE, index,
			"the bundle's range begins or ends with it, but it is not dated within its time");
}

void bundled_entry(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	const struct verify_range *r = &w->report->range;
	struct gathered *g = &w->gathered;
	bool config = entry->type == LEDGER_CONFIG_LOAD || entry->type == LEDGER_CONFIG_COMMIT;

	range_check(w, entry, index);
	if (config && index < r->end)
		config_note(g, entry);
	if (entry->type == LEDGER_SEAL_EPOCH)
		epoch_note(g, entry);
	if (g->timeline && ((index >= r->first && index < r->end) || (config && index < r->first)))
		timeline_entry(g->timeline, entry, index, index < r->first);
}

/* ---- files beside the log ---- */

static bool seals_named(const struct walk *w, const char *path)
{
	char keys[SEAL_PATH_MAX], records[SEAL_PATH_MAX];

	for (size_t i = 0; i < w->gathered.epochs_n; i++)
		if (strcmp(path, seal_path_keys(keys, &w->gathered.epoch[i])) == 0 ||
			strcmp(path, seal_path_seals(records, &w->gathered.epoch[i])) == 0)
			return true;
	return false;
}

bool bundled_path(const struct walk *w, const char *path)
{
	uint8_t hash[SHA256_SIZE];

	if (!w->report->bundle)
		return false;
	return strcmp(path, EVIDENCE_PATH_RANGE) == 0 || strcmp(path, EVIDENCE_PATH_TIMELINE) == 0 ||
	       strcmp(path, EVIDENCE_PATH_README) == 0 || seals_named(w, path) ||
	       (evidence_config_path_parse(path, hash) && config_named(&w->gathered, hash));
}

static void configs_check(struct walk *w)
{
	for (size_t i = 0; i < w->gathered.config_n; i++) {
		char path[EVIDENCE_PATH_MAX];
		uint8_t hash[SHA256_SIZE], *bytes;
		size_t n;
		evidence_config_path(path, w->gathered.config[i]);
		if (walk_file_read(w, path, &bytes, &n) != RC_OK)
			continue; /* it was not at hand */
		sha256(hash, bytes, n);
		if (memcmp(hash, w->gathered.config[i], sizeof hash) != 0)
			report_finding(&w->bundled, VERIFY_EVIDENCE_BUNDLE,
				"%s does not have the SHA-256 that the entry names", path);
		w->report->made[VERIFY_CHECK_CONFIGURATIONS]++;
		free(bytes);
	}
}

static void page_compare(struct walk *w, const char *page, size_t page_n)
{
	uint8_t *bytes;
	size_t n;

	enum rc rc = walk_file_read(w, EVIDENCE_PATH_TIMELINE, &bytes, &n);
	if (rc == RC_NOT_FOUND)
		report_finding(&w->bundled, VERIFY_EVIDENCE_BUNDLE, "%s is missing", EVIDENCE_PATH_TIMELINE);
	if (rc != RC_OK)
		return;
	if (n != page_n || memcmp(bytes, page, n) != 0)
		report_finding(&w->bundled, VERIFY_EVIDENCE_BUNDLE,
			"%s is not the page made from these entries: it was altered, or made by another "
			"version of Plaingate (the bundle names %s)",
			EVIDENCE_PATH_TIMELINE, w->report->range.version);
	w->report->made[VERIFY_CHECK_TIMELINE]++;
	free(bytes);
}

/* What it tells its reader to do: not another key, nor another program. */
static void readme_check(struct walk *w)
{
	char text[EVIDENCE_README_MAX];
	size_t text_n = evidence_readme_text(&w->report->range, text, sizeof text), n = 0;
	uint8_t *bytes;

	enum rc rc = walk_file_read(w, EVIDENCE_PATH_README, &bytes, &n);
	if (rc == RC_NOT_FOUND || (rc == RC_OK && (n != text_n || memcmp(bytes, text, n) != 0)))
		report_finding(&w->bundled, VERIFY_EVIDENCE_BUNDLE,
			"%s is missing or does not match the bundle's range: it was altered, or made by "
			"another version of Plaingate (the bundle names %s)",
			EVIDENCE_PATH_README, w->report->range.version);
	free(bytes);
}

/* The report's size and root are those of the page. */
static void timeline_check(struct walk *w)
{
	struct verify_report *r = w->report;
	struct merkle_hash root = merkle_edge_root(&w->edge);
	size_t n = 0;

	r->size = w->edge.size;
	memcpy(r->root, root.b, sizeof r->root);
	char *page = timeline_page(w->gathered.timeline, r, &n);
	if (!page) {
		w->gathered.out_of_memory = true;
		return;
	}
	if (w->options->timeline)
		w->options->timeline(w->options->context, page, n);
	if (!w->options->making)
		page_compare(w, page, n);
	free(page);
}

enum rc bundled_end(struct walk *w)
{
	const struct verify_range *r = &w->report->range;

	if (r->end > w->edge.size)
		return report_finding(&w->stop, VERIFY_EVIDENCE_BUNDLE,
			"the bundle's range ends at entry %llu, but its ledger has only %llu entries",
			(unsigned long long)r->end, (unsigned long long)w->edge.size);
	/* Nothing can precede the first entry or follow the last. */
	w->report->made[VERIFY_CHECK_RANGE] += (r->first == 0) + (r->end == w->edge.size);
	if (w->report->stray_files > 0)
		report_finding(&w->bundled, VERIFY_EVIDENCE_BUNDLE,
			"%llu files do not belong in an evidence "
			"bundle",
			(unsigned long long)w->report->stray_files);
	configs_check(w);
	readme_check(w);
	if (!w->gathered.out_of_memory)
		timeline_check(w);
	return w->gathered.out_of_memory ? RC_LIMIT : RC_OK;
}

void bundled_free(struct walk *w)
{
	timeline_free(w->gathered.timeline);
	free(w->gathered.config);
	digests_free(&w->gathered.configs);
	free(w->gathered.epoch);
}
