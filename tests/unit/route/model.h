/*
 * A plain model of the routing core's routes: a list in the order in which they came, searched as the words
 * of route.h say. The unit tests and the fuzzer hold the core to it, event by event.
 */
#ifndef TESTS_ROUTE_MODEL_H
#define TESTS_ROUTE_MODEL_H

#include "route/route.h"

#define MODEL_ROUTES_MAX 400
#define MODEL_LINKS_MAX	 8 /* indices from 1 */

struct model {
	struct route_entry routes[MODEL_ROUTES_MAX];
	uint32_t path[MODEL_ROUTES_MAX]; /* of several next hops: which route's they are; 0: alone */
	uint32_t n, paths;
	struct route_link links[MODEL_LINKS_MAX + 1]; /* index 0: not known */
};

void model_set(struct model *m, const struct route_entry *e, uint32_t n, enum route_place place);
void model_gone(struct model *m, const struct route_entry *e, uint32_t n);
void model_destination_gone(struct model *m, const struct ip_prefix *dst);
void model_link_gone(struct model *m, uint32_t index);

/* As route_next_hops(), among prefixes of at most bits_max bits. */
uint32_t model_next_hops(const struct model *m, const struct ip_addr *dst, uint32_t bits_max,
	struct route_answer *ret_answers, uint32_t room);
/* Whether the core says the same: by route_lookup() and route_next_hops(). */
bool model_answers(const struct model *m, const struct route_table *t, const struct ip_addr *dst);
/* Whether the core's table has just these routes. */
bool model_lists(const struct model *m, const struct route_table *t);
bool model_answers_equal(
	const struct route_answer *a, uint32_t a_n, const struct route_answer *b, uint32_t b_n);

#endif
