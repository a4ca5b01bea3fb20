/*
 * Arbitrary entries, a line each, for the checker of randomness: its counts are consistent, whatever is in
 * the entries, and its reports fit their buffers.
 */
#include "must.h"
#include "verify/randomness.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static char text[RANDOMNESS_TEXT_MAX];
	struct randomness_report report;
	struct randomness *r = randomness_new(&report);
	const char *at = (const char *)bytes, *end = at + n;
	uint64_t failures = 0, index = 0;

	MUST(r);
	for (const char *line_end; at < end && (line_end = memchr(at, '\n', (size_t)(end - at)));
		at = line_end + 1) {
		struct ledger_entry entry;

		if (ledger_entry_parse(&entry, at, (size_t)(line_end - at), NULL) != RC_OK)
			continue;
		enum rc rc = randomness_entry(r, &entry, index++);
		MUST((rc == RC_OK) == (report.failures == failures));
		failures = report.failures;
	}
	randomness_end(r);
	const struct leaves_report *l = &report.leaves;
	MUST((report.failures > 0) == (report.finding[0] != '\0'));
	MUST(l->unopened + l->abandoned <= l->batches);
	MUST(l->weak <= l->batches - l->unopened - l->abandoned);
	MUST(l->opened <= l->batches * LEAF_COUNT_MAX && l->named <= l->batches * LEAF_COUNT_MAX);
	MUST((l->leaves == 0) == (l->batches == l->unopened + l->abandoned));
	MUST(l->leaves <= LEAF_COUNT_MAX && l->opens <= l->leaves);
	MUST(l->failed <= l->skipped && l->skipped <= l->batches * LEAF_COUNT_MAX &&
		l->unaccounted <= l->batches * LEAF_COUNT_MAX);
	MUST(report.order.late <= report.order.named && report.order.distance < report.order.named + 1);
	MUST(report.values_failed + report.values_unaccounted <= report.values_unnamed);
	MUST(randomness_report_text(&report, (struct randomness_asked){ 0 }, text, sizeof text) > 0);
	MUST(randomness_report_json(&report, (struct randomness_asked){ .policy = true }, text, sizeof text) >
		0);
	randomness_free(r);
	return 0;
}
