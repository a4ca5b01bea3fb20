#include "proc/witness/silence.h"

#include <stdlib.h>
#include <string.h>

bool silence_init(struct silence *s, const struct note_key *logs, size_t n, unsigned after_s)
{
	*s = (struct silence){ .after = after_s * NS_PER_S, .log = logs, .n = n };
	s->at = calloc(n ? n : 1, sizeof *s->at);
	return s->at != NULL;
}

void silence_done(struct silence *s)
{
	free(s->at);
	*s = (struct silence){ 0 };
}

bool silence_heard(struct silence *s, const char *origin, mono_ns now, mono_ns *ret_silent)
{
	for (size_t i = 0; i < s->n; i++) {
		struct silence_log *l = &s->at[i];
		if (strcmp(s->log[i].name, origin) != 0)
			continue;
		bool told = l->told;
		*ret_silent = now - l->heard;
		*l = (struct silence_log){ .heard = now };
		return told;
	}
	return false;
}

const char *silence_next(struct silence *s, mono_ns now, mono_ns *ret_silent)
{
	for (size_t i = 0; s->after > 0 && i < s->n; i++) {
		struct silence_log *l = &s->at[i];
		if (l->heard == 0 || l->told || now - l->heard < s->after)
			continue;
		l->told = true;
		*ret_silent = now - l->heard;
		return s->log[i].name;
	}
	return NULL;
}
