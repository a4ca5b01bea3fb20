#include "base/log.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *process_name = "plaingate";
static enum log_level lowest_level = LOG_INFO;

void log_init(const char *process, enum log_level lowest)
{
	process_name = process;
	lowest_level = lowest;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	char text[1024], line[4 * sizeof text + 128], when[UTC_TEXT_MAX];
	va_list ap;

	if (level < lowest_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t n = (size_t)snprintf(line, sizeof line, "%s %s %s: ", utc_text(when, clock_utc()), process_name,
		names[level]);
	for (const char *c = text; *c && n < sizeof line - 8; c++) {
		unsigned char u = (unsigned char)*c;
		if (u < 0x20 || u == 0x7f)
			n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", u);
		else
			line[n++] = *c;
	}
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. A full pipe loses the line, never the process. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
