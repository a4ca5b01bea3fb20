/*
 * The kernel's routing tables beside `main`: each is a struct routes of its own (routes.h), found by its number.
 * `local` is one of them for rules that name it, though its routes are in `main`'s as well, so that who has no
 * further rules needs one lookup.
 */
#ifndef ROUTE_TABLES_H
#define ROUTE_TABLES_H

#include "route/routes.h"

struct tables {
	const struct nexthops_dead *dead; /* for each */
	struct routes *list[ROUTE_TABLES_MAX];
	uint32_t n;
};

void tables_done(struct tables *t);
bool tables_release(struct tables *t); /* as routes_release() */

/* NULL: there has been no route in it. */
struct routes *tables_find(const struct tables *t, uint32_t id);
/* One with all links known to it; NULL: out of memory, or ROUTE_TABLES_MAX. */
struct routes *tables_get(struct tables *t, uint32_t id, const struct route_link *links, uint32_t links_n);
/* Of all. */
enum rc tables_link_set(struct tables *t, const struct route_link *link);
void tables_link_gone(struct tables *t, uint32_t index);
uint32_t tables_routes(const struct tables *t); /* how many routes there are */

#endif
