/*
 * Session records as messages of syslog (RFC 5424). The text of a message is the record as JSON (export/line.h, without number
 * and hash), its MSGID the event. There is no structured data: its names need an enterprise number, and we have none. Pure.
 */
#ifndef EXPORT_SYSLOG_H
#define EXPORT_SYSLOG_H

#include "export/line.h"

#define SYSLOG_HEAD_MAX	   192u
#define SYSLOG_FACILITY	   20 /* local4, RFC 5424 section 6.2.1 */
#define SYSLOG_MESSAGE_MAX (SYSLOG_HEAD_MAX + SESSION_LINE_MAX)

/* RFC 5424 section 6.2.1: 6 for what begins and ends, 4 for all else. */
unsigned export_severity(const struct session_record *r);

/* counted: with its length in front (RFC 6587 section 3.4.1, RFC 5425 section 4.3). Returns the length, 0: it does not fit. */
size_t export_syslog(char ret_text[SYSLOG_MESSAGE_MAX], const struct session_record *r, const char *host_name,
	bool counted);

#endif
