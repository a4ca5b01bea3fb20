/*
 * The timeline of an evidence bundle: its entries as a page of HTML that needs nothing but a browser. No
 * script, nothing is loaded; what strangers chose (names, identities, reasons) is escaped, and characters
 * that turn or hide text are shown by their numbers. The same entries make the same page, so whoever checks a
 * bundle makes it again and compares. Pure.
 * Callers: src/verify, tests. One thread for each.
 */
#ifndef VERIFY_TIMELINE_H
#define VERIFY_TIMELINE_H

#include "ledger/entry.h"
#include "verify/verify.h"

struct timeline;

/* NULL: no memory. */
struct timeline *timeline_new(void);
void timeline_free(struct timeline *t);

/* The next entry. context: it stands before the range, and is shown because it explains it. */
void timeline_entry(struct timeline *t, const struct ledger_entry *entry, uint64_t index, bool context);

/* The whole page, allocated with malloc(). From the report: log, key, size, root and range. NULL: no memory.
 */
char *timeline_page(const struct timeline *t, const struct verify_report *r, size_t *ret_n);

#endif
