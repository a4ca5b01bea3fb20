/* The report as text: what report.c and checks.c share. Private to src/verify. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include "base/json.h"
#include "verify/verify.h"

struct report_text {
	char *base, *at, *end;
	bool bad; /* did not fit */
};

struct report_text report_text_over(char *text, size_t size);
void report_say(struct report_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The length; 0: did not fit. */
size_t report_text_done(const struct report_text *t);
/* "0 to 2560, 4096 to 5120" and how many more. */
void report_holes(struct report_text *t, const struct verify_report *r);

/* checks.c: "checks":[…] and "not_proved":[…]; both empty when something is wrong. */
void report_checks_json(struct jw *w, const struct verify_report *r);
void report_not_proved_json(struct jw *w, const struct verify_report *r);

#endif
