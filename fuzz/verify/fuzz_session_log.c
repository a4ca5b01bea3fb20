/* An arbitrary session log, line by line: what is not exactly a chain that the (empty) ledger knows is never good. */
#include "verify/session_log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct session_log_check *c = session_log_check_new();
	struct session_log_report r;
	char text[SESSION_LOG_TEXT_MAX];
	const char *at = (const char *)bytes, *end = at + n;

	if (!c)
		abort();
	session_log_check_file(c, "sessions-0000000001.log");
	while (at < end) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((feed ? feed : end) - at);
		if (length <= SESSION_LINE_MAX)
			session_log_check_line(c, at, length, feed != NULL);
		at += length + 1;
	}
	session_log_check_end(c, &r);
	session_log_check_free(c);
	if (r.good != (r.findings == 0) || r.good != (r.finding[0] == '\0') || (r.good && r.lines > 0) ||
		session_log_report_text(&r, text, sizeof text) == 0 ||
		session_log_report_json(&r, text, sizeof text) == 0)
		abort();
	return 0;
}
