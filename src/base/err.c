#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[RC_COUNT] = {
#define RC_TEXT(id, text) [RC_##id] = text,
	RCS(RC_TEXT)
#undef RC_TEXT
};

const char *rc_text(enum rc rc)
{
	return (unsigned)rc < RC_COUNT ? texts[rc] : "unknown result";
}

__attribute__((format(printf, 4, 0))) static void err_vadd(
	struct err *e, enum rc rc, const char *suffix, const char *fmt, va_list ap)
{
	size_t used = strnlen(e->text, sizeof e->text - 1);

	if (used == 0)
		e->rc = rc;
	else
		used += (size_t)snprintf(e->text + used, sizeof e->text - used, "; ");
	if (used < sizeof e->text - 1) {
		int n = vsnprintf(e->text + used, sizeof e->text - used, fmt, ap);
		used += n > 0 ? (size_t)n : 0;
	}
	if (suffix && used < sizeof e->text - 1)
		snprintf(e->text + used, sizeof e->text - used, ": %s", suffix);
}

enum rc err_add(struct err *e, enum rc rc, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		err_vadd(e, rc, NULL, fmt, ap);
		va_end(ap);
	}
	return rc;
}

enum rc err_errno(struct err *e, enum rc rc, const char *fmt, ...)
{
	int saved = errno;

	if (e) {
		va_list ap;
		va_start(ap, fmt);
		err_vadd(e, rc, strerror(saved), fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return rc;
}

void err_clear(struct err *e)
{
	if (e) {
		e->rc = RC_OK;
		e->text[0] = '\0';
	}
}
