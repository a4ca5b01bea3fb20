/*
 * The timeline of an evidence bundle: its entries as a page of HTML that needs nothing but a browser. No
 * script, nothing is loaded; untrusted text (names, identities, reasons) is escaped, and characters that hide
 * text or change its direction are shown by their numbers. The same entries make the same page, so whoever
 * verifies a bundle makes it again and compares.
 *
 * Pure. Callers: src/verify, tests. One thread for each.
 */
#ifndef VERIFY_TIMELINE_H
#define VERIFY_TIMELINE_H

#include "ledger/entry.h"
#include "verify/verify.h"

struct timeline;

/* NULL: out of memory. */
struct timeline *timeline_new(void);
void timeline_free(struct timeline *t);

/* The next entry. context: it precedes the range, and is shown because it explains it. */
void timeline_entry(struct timeline *t, const struct ledger_entry *entry, uint64_t index, bool context);

/* The whole page, allocated with malloc(). From the report: log, key, size, root and range. NULL: out of
 * memory. */
char *timeline_page(const struct timeline *t, const struct verify_report *r, size_t *ret_n);

#endif
