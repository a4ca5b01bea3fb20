/*
 * Lists of addresses as others publish them: a plain list, with comments, or JSON. A list is good as a whole or not at all: what
 * is wrong is told with its line.
 *
 * Plain: one address, prefix or range (first-last) a line, then white space and anything; '#' and ';' begin comments. JSON: one value
 * or several, one after the other (as lines with an object each). Without members an array of texts, else the texts that
 * stand under one of these members, at any depth, alone or in an array.
 *
 * Pure. The text is a stranger's. Callers: proc/resolver/feeds.c, tests, fuzz/resolve.
 */
#ifndef RESOLVE_FEED_H
#define RESOLVE_FEED_H

#include "model/dynamic.h"

#define FEED_BYTES_MAX	(64u << 20)
#define FEED_DEPTH_MAX	32 /* of JSON */
#define FEED_FAULT_TEXT 40 /* octets of what was found, in an error */

struct feed {
	struct ip_range *range; /* sorted and joined */
	uint32_t n;
};

/* RC_MALFORMED: names line and text. RC_NOT_FOUND: it has no address. RC_LIMIT: more than DYNAMIC_RANGES_MAX, or no memory. */
enum rc feed_parse(struct feed *ret, const char *text, size_t n, const struct snap_dynamic *d, struct err *e);
void feed_done(struct feed *f);

#endif
