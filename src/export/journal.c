#include "export/journal.h"

#include "base/tw.h"
#include "export/syslog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A value ends with its line: what names of the configuration cannot have is no value either. */
static void value_say(struct tw *w, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tw_say(w, "%c", (unsigned char)text[i] < ' ' ? '?' : text[i]);
	tw_say(w, "\n");
}

static void key_say(struct tw *w, const char *key, size_t n)
{
	tw_say(w, "PLAINGATE_");
	for (size_t i = 0; i < n; i++)
		tw_say(w, "%c", toupper((unsigned char)key[i]));
	tw_say(w, "=");
}

/* The line is our own: {"key":"text","key":number,...}, in which only texts have quotes, escaped within. */
static void fields_say(struct tw *w, const char *line)
{
	for (const char *at = line + 1; *at == '"';) {
		size_t key_n = strcspn(at + 1, "\"");
		const char *value = at + 1 + key_n + 2; /* behind the quote and the colon */
		bool text = *value == '"';
		size_t n = 0;

		value += text;
		while (value[n] && (text ? value[n] != '"' : value[n] != ',' && value[n] != '}'))
			n += value[n] == '\\' && value[n + 1] ? 2 : 1;
		if (n > 0) {
			key_say(w, at + 1, key_n);
			value_say(w, value, n);
		}
		at = value + n + text;
		at += *at == ',';
	}
}

size_t export_journal(char ret_text[JOURNAL_ENTRY_MAX], const struct session_record *r)
{
	struct tw w = tw_over(ret_text, JOURNAL_ENTRY_MAX);
	const char *event = session_event_name((enum session_event)r->event);
	char line[SESSION_LINE_MAX], src[ENDPOINT_TEXT_MAX], dst[ENDPOINT_TEXT_MAX];

	if (export_line(line, r, NULL, NULL) == 0)
		return 0;
	tw_say(&w, "PRIORITY=%u\nSYSLOG_FACILITY=%u\nSYSLOG_IDENTIFIER=plaingate\nMESSAGE=%s",
		export_severity(r), SYSLOG_FACILITY, event);
	if (r->src.addr.family != ADDR_NONE && r->dst.addr.family != ADDR_NONE)
		tw_say(&w, " %s -> %s", endpoint_text(src, &r->src), endpoint_text(dst, &r->dst));
	tw_say(&w, "\n");
	fields_say(&w, line);
	return tw_done(&w);
}
