#include "base/selector.h"

#include <stdio.h>
#include <string.h>

/* "10.1.7.7/32 protocol 6 ports 443-443"; ret_text holds SELECTOR_TEXT_MAX. */
static char *selector_text(char *ret_text, const struct selector *s)
{
	char range[RANGE_TEXT_MAX], proto[24] = "", ports[24] = "";

	if (s->proto != 0)
		snprintf(proto, sizeof proto, " protocol %u", s->proto);
	if (s->port_first != 0 || s->port_last != UINT16_MAX)
		snprintf(ports, sizeof ports, " ports %u-%u", s->port_first, s->port_last);
	snprintf(ret_text, SELECTOR_TEXT_MAX, "%s%s%s", range_text(range, &s->addrs), proto, ports);
	return ret_text;
}

char *selector_list_text(char *ret_text, size_t size, const struct selector *list, size_t n, const char *rest)
{
	char one[SELECTOR_TEXT_MAX], more[SELECTOR_REST_MAX + 32] = "";
	size_t at = 0, kept = 0, kept_at = 0, i;

	/* kept: so many leave room for the text of those that are left out. */
	ret_text[0] = '\0';
	for (i = 0; i < n; i++) {
		size_t len = strlen(selector_text(one, &list[i])) + (i > 0 ? 2 : 0);
		if (at + len >= size)
			break;
		at += (size_t)snprintf(ret_text + at, size - at, "%s%s", i > 0 ? ", " : "", one);
		if (at + sizeof more < size) {
			kept = i + 1;
			kept_at = at;
		}
	}
	if (i == n)
		return ret_text;
	snprintf(more, sizeof more, "%s%zu more%.*s", kept > 0 ? ", and " : "", n - kept, SELECTOR_REST_MAX,
		rest);
	snprintf(ret_text + kept_at, size - kept_at, "%s", more);
	return ret_text;
}
