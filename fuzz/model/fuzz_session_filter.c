/*
 * Filters of sessions: the first octet chooses the option, the rest is its text, or a filter as a client may send it. What
 * is accepted is sound, and is written and read again to the same filter; what is refused leaves no trace.
 */
#include "model/session_filter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void read_again(const struct session_filter *f)
{
	char text[SESSION_FILTER_TEXT_MAX], *at = text;
	struct session_filter again = { .zero = f->zero };

	session_filter_text(text, f);
	if (strcmp(text, "all") == 0)
		return;
	while (*at) {
		static const char *const options[] = {
#define E(id, option, value, text) option,
			SESSION_FILTERS(E)
#undef E
		};
		char *value = strchr(at, ' '), *end;
		unsigned i = 0;
		must(value);
		*value++ = '\0';
		while (i < SESSION_FILTER_COUNT && strcmp(options[i], at) != 0)
			i++;
		must(i < SESSION_FILTER_COUNT);
		end = strchr(value, ' ');
		if (end)
			*end = '\0';
		must(session_filter_set(&again, (enum session_filter_id)i, value, NULL) == RC_OK);
		at = end ? end + 1 : value + strlen(value);
	}
	must(session_filter_text(text, &again) && session_filter_check(&again, NULL) == RC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct session_filter f = { 0 }, empty = { 0 };
	char text[256] = "";

	if (n == 0)
		return 0;
	if (data[0] < SESSION_FILTER_COUNT) {
		memcpy(text, data + 1, n - 1 < sizeof text - 1 ? n - 1 : sizeof text - 1);
		if (session_filter_set(&f, (enum session_filter_id)data[0], text, NULL) == RC_OK) {
			must(session_filter_check(&f, NULL) == RC_OK);
			read_again(&f);
		} else {
			must(memcmp(&f, &empty, sizeof f) == 0);
		}
		return 0;
	}
	memcpy(&f, data + 1, n - 1 < sizeof f ? n - 1 : sizeof f);
	if (session_filter_check(&f, NULL) == RC_OK) {
		f.zero = 0;
		if (f.bytes_min < 1000000000000000000ull)
			read_again(&f);
	}
	return 0;
}
