/* The first finding of each kind, as the walk meets it; ledger.c chooses among them. */
#include "verify/internal.h"

#include <stdarg.h>
#include <stdio.h>

static void finding_set(struct finding *f, enum verify_class class, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void finding_set(struct finding *f, enum verify_class class, const char *fmt, va_list ap)
{
	if (f->class != VERIFY_NONE)
		return;
	f->class = class;
	vsnprintf(f->text, sizeof f->text, fmt, ap);
}

enum rc report_finding(struct finding *f, enum verify_class class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finding_set(f, class, fmt, ap);
	va_end(ap);
	return RC_AUTH;
}

enum rc report_finding_at(struct finding *f, enum verify_class class, uint64_t entry, const char *fmt, ...)
{
	bool first = f->class == VERIFY_NONE;
	va_list ap;

	va_start(ap, fmt);
	finding_set(f, class, fmt, ap);
	va_end(ap);
	if (first) {
		f->at_entry = true;
		f->entry = entry;
	}
	return RC_AUTH;
}

enum rc report_unread(struct walk *w, const char *path)
{
	report_finding(&w->unread, VERIFY_FILE, "%s cannot be read", path);
	return RC_IO;
}
