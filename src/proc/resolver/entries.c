/* What an object of the list is known to hold, whatever kind it is of (shell.h). */
#include "proc/resolver/shell.h"

bool entry_known(const struct resolver *x, const struct entry *e)
{
	switch (e->of.kind) {
	case DYNAMIC_FEED:
	case DYNAMIC_CRL: /* the certifiers have one */
		return e->feed.known;
	case DYNAMIC_COUNTRY:
		return country_known(x, e);
	default:
		return e->name.answered != 0;
	}
}

const struct feed *entry_list(const struct resolver *x, const struct entry *e)
{
	return e->of.kind == DYNAMIC_COUNTRY ? country_list(x, e) : &e->feed.list;
}
