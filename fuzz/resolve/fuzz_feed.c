/*
 * Lists of addresses: whatever comes, a list is sorted, disjoint and of plain ranges, or there is none and a reason; and what is
 * written of it as a plain list is the same list again.
 */
#include "resolve/feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct snap_dynamic list = { .format = DYNAMIC_LIST };
	struct snap_dynamic d = { .format = n > 0 && data[0] < 3 ? DYNAMIC_JSON : DYNAMIC_LIST };
	struct feed f, again;
	struct err e = { 0 };

	if (n > 0 && data[0] == 1)
		snprintf(d.member[0], sizeof d.member[0], "cidr");
	if (n > 0 && data[0] < 3) {
		data++;
		n--;
	}
	enum rc rc = feed_parse(&f, (const char *)data, n, &d, &e);
	assert((rc == RC_OK) == (f.n > 0) && (rc == RC_OK) == (e.text[0] == '\0'));
	if (rc != RC_OK)
		return 0;
	char *text = malloc((size_t)f.n * RANGE_TEXT_MAX), *at = text;
	assert(text);
	for (uint32_t i = 0; i < f.n; i++) {
		char one[RANGE_TEXT_MAX];
		assert(!range_is_wildcard(&f.range[i]) &&
			addr_compare(&f.range[i].first, &f.range[i].last) <= 0);
		assert(i == 0 || addr_compare(&f.range[i - 1].last, &f.range[i].first) < 0);
		at += snprintf(at, RANGE_TEXT_MAX, "%s\n", range_text(one, &f.range[i]));
	}
	assert(feed_parse(&again, text, (size_t)(at - text), &list, NULL) == RC_OK);
	assert(again.n == f.n && memcmp(again.range, f.range, f.n * sizeof f.range[0]) == 0);
	feed_done(&again);
	feed_done(&f);
	free(text);
	return 0;
}
