#include "base/tw.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct tw tw_over(char *text, size_t size)
{
	return (struct tw){ text, text, text + size, size == 0 };
}

void tw_say(struct tw *w, const char *fmt, ...)
{
	va_list ap;

	if (w->bad)
		return;
	assert(w->at < w->end);
	va_start(ap, fmt);
	int n = vsnprintf(w->at, (size_t)(w->end - w->at), fmt, ap);
	va_end(ap);
	w->bad = n < 0 || n >= w->end - w->at;
	w->at += w->bad ? 0 : n;
}

size_t tw_done(const struct tw *w)
{
	return w->bad ? 0 : (size_t)(w->at - w->base);
}
