/* What a report amounts to: the class of its finding, the exit status, and what of the log was seen. */
#include "base/bytes.h"
#include "verify/report.h"

typedef unsigned long long ull;

static const char *const names[VERIFY_CLASS_COUNT] = {
#define E(id, name) [VERIFY_##id] = name,
	VERIFY_CLASSES(E)
#undef E
};

const char *verify_class_name(enum verify_class c)
{
	return (unsigned)c < VERIFY_CLASS_COUNT ? names[c] : "none";
}

enum verify_status verify_status(enum rc rc, const struct verify_report *r)
{
	if (rc != RC_OK)
		return rc == RC_AUTH ? VERIFY_STATUS_FOUND : VERIFY_STATUS_UNKNOWN;
	return r->stale ? VERIFY_STATUS_STALE : verify_complete(r) ? VERIFY_STATUS_GOOD : VERIFY_STATUS_PART;
}

bool verify_complete(const struct verify_report *r)
{
	return r->bundle || r->entries_unseen == 0;
}

void report_holes(struct tw *t, const struct verify_report *r)
{
	size_t shown = MIN_OF(r->holes_n, (size_t)VERIFY_HOLES_MAX);

	for (size_t i = 0; i < shown; i++)
		tw_say(t, "%s%llu to %llu", i ? ", " : "", (ull)r->hole[i].first, (ull)r->hole[i].end - 1);
	if (r->holes_n > shown)
		tw_say(t, " and %zu stretches more", r->holes_n - shown);
}
