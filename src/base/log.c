#include "base/log.h"
#include "base/rate.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *process_name = "plaingate";
static enum log_level lowest_level = LOG_INFO;

#define KINDS 1024
/* By format text. Two that meet in one place share what they may say. */
static struct {
	mono_ns empty_until;
	unsigned long long more;
} kinds[KINDS];
static pthread_mutex_t kinds_lock = PTHREAD_MUTEX_INITIALIZER; /* workers of the data plane are threads */

void log_init(const char *process, enum log_level lowest)
{
	process_name = process;
	lowest_level = lowest;
}

/* False: it is lost. */
static bool line_write(enum log_level level, const char *text)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	char line[4 * LOG_TEXT_MAX + 128], when[UTC_TEXT_MAX];
	size_t n = (size_t)snprintf(
		line, sizeof line, "%s %s %s: ", utc_text(when, clock_utc()), process_name, names[level]);

	for (const char *c = text; *c && n < sizeof line - 8; c++) {
		unsigned char u = (unsigned char)*c;
		if (u < 0x20 || u == 0x7f)
			n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", u);
		else
			line[n++] = *c;
	}
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. A full pipe loses the line, never the
	 * process. */
	return write(STDERR_FILENO, line, n) == (ssize_t)n;
}

/* What is left to say of that kind, with how many were left out before it. False: nothing now. */
static bool __attribute__((format(printf, 3, 0))) kind_text(
	char text[LOG_TEXT_MAX], size_t kind, const char *fmt, va_list ap)
{
	if (!rate_take(&kinds[kind].empty_until, LOG_KIND_PER_SECOND, LOG_KIND_BURST, clock_mono())) {
		kinds[kind].more++;
		return false;
	}
	int n = vsnprintf(text, LOG_TEXT_MAX, fmt, ap);
	if (kinds[kind].more && n >= 0 && n < LOG_TEXT_MAX)
		snprintf(text + n, (size_t)(LOG_TEXT_MAX - n), " (and %llu lines like it before, left out)",
			kinds[kind].more);
	kinds[kind].more = 0;
	return true;
}

static void __attribute__((format(printf, 3, 0))) kind_line(
	enum log_level level, const char *of, const char *fmt, va_list ap)
{
	char text[LOG_TEXT_MAX];

	if (level < lowest_level)
		return;
	pthread_mutex_lock(&kinds_lock);
	bool wanted = kind_text(text, ((uintptr_t)of >> 3) % KINDS, fmt, ap);
	pthread_mutex_unlock(&kinds_lock);
	if (wanted)
		line_write(level, text);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kind_line(level, fmt, fmt, ap);
	va_end(ap);
}

void log_kind(enum log_level level, const char *kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kind_line(level, kind, fmt, ap);
	va_end(ap);
}

bool log_record(const char *text)
{
	return lowest_level > LOG_INFO || line_write(LOG_INFO, text);
}
