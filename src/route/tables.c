#include "route/tables.h"

#include <assert.h>
#include <stdlib.h>

void tables_done(struct tables *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		routes_done(t->list[i]);
		free(t->list[i]);
	}
	t->n = 0;
}

bool tables_release(struct tables *t)
{
	if (t->n > 0 && routes_release(t->list[t->n - 1])) {
		routes_done(t->list[--t->n]);
		free(t->list[t->n]);
	}
	return t->n == 0;
}

struct routes *tables_find(const struct tables *t, uint32_t id)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->list[i]->table == id)
			return t->list[i];
	return NULL;
}

struct routes *tables_get(struct tables *t, uint32_t id, const struct route_link *links, uint32_t links_n)
{
	struct routes *have = tables_find(t, id);
	struct routes *fresh = !have && t->n < ROUTE_TABLES_MAX ? calloc(1, sizeof *fresh) : NULL;

	if (have || !fresh)
		return have;
	bool ready = routes_init(fresh, t->dead);
	for (uint32_t i = 0; ready && i < links_n; i++)
		ready = routes_link_set(fresh, links[i].index, links[i].up, links[i].mtu) == RC_OK;
	if (!ready) {
		routes_done(fresh); /* once more does no harm */
		free(fresh);
		return NULL;
	}
	fresh->table = id;
	t->list[t->n++] = fresh;
	return fresh;
}

enum rc tables_link_set(struct tables *t, const struct route_link *link)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (routes_link_set(t->list[i], link->index, link->up, link->mtu) != RC_OK)
			return RC_LIMIT;
	return RC_OK;
}

void tables_link_gone(struct tables *t, uint32_t index)
{
	for (uint32_t i = 0; i < t->n; i++)
		routes_link_gone(t->list[i], index);
}

uint32_t tables_routes(const struct tables *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += t->list[i]->n;
	return n;
}
