#include "export/syslog.h"

#include "base/tw.h"

#include <string.h>

#define SEVERITY_WARNING 4
#define SEVERITY_INFO	 6
#define COUNT_ROOM	 8 /* "65535 " */

unsigned export_severity(const struct session_record *r)
{
	enum session_event e = (enum session_event)r->event;

	return e == SESSION_EVENT_INIT || e == SESSION_EVENT_CLOSE || e == SESSION_EVENT_NAT_BLOCK_TAKEN ||
			       e == SESSION_EVENT_NAT_BLOCK_GIVEN || e == SESSION_EVENT_LOG_FILE
		       ? SEVERITY_INFO
		       : SEVERITY_WARNING;
}

size_t export_syslog(char ret_text[SYSLOG_MESSAGE_MAX], const struct session_record *r, const char *host_name,
	bool counted)
{
	char line[SESSION_LINE_MAX], utc[UTC_TEXT_MAX];
	struct tw w = tw_over(ret_text + COUNT_ROOM, SYSLOG_MESSAGE_MAX - COUNT_ROOM);
	struct tw count = tw_over(ret_text, COUNT_ROOM);
	size_t line_n = export_line(line, r, NULL, NULL);

	tw_say(&w, "<%u>1 %s %s plaingate - %s - ", SYSLOG_FACILITY * 8 + export_severity(r),
		utc_text(utc, r->at), host_name[0] ? host_name : "-",
		session_event_name((enum session_event)r->event));
	size_t head_n = tw_done(&w);
	if (line_n == 0 || head_n == 0 || COUNT_ROOM + head_n + line_n > SYSLOG_MESSAGE_MAX)
		return 0;
	memcpy(ret_text + COUNT_ROOM + head_n, line, line_n);
	if (counted)
		tw_say(&count, "%zu ", head_n + line_n);
	size_t count_n = tw_done(&count);
	memmove(ret_text + count_n, ret_text + COUNT_ROOM, head_n + line_n);
	return count_n + head_n + line_n;
}
