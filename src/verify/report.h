/* The report as text: what report.c and checks.c share. Private to src/verify. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "base/json.h"
#include "base/tw.h"
#include "verify/verify.h"

/* "0 to 2560, 4096 to 5120" and how many more. */
void report_holes(struct tw *t, const struct verify_report *r);

/* checks.c: "checks":[…] and "not_proved":[…]; both empty when something is wrong. */
void report_checks_json(struct jw *w, const struct verify_report *r);
void report_not_proved_json(struct jw *w, const struct verify_report *r);

#endif
