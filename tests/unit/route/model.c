#include "model.h"

#include <stdlib.h>

#define HOPS_MAX 64

static bool same_destination(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

static bool same_way(const struct route_entry *a, const struct route_entry *b)
{
	return same_destination(&a->dst, &b->dst) && a->metric == b->metric && a->link == b->link &&
	       (a->weight == 0) == (b->weight == 0) && (a->link != ROUTE_NONE || a->kind == b->kind) &&
	       addr_equal(&a->gateway, &b->gateway);
}

static void remove_at(struct model *m, uint32_t i)
{
	m->n--;
	memmove(&m->routes[i], &m->routes[i + 1], (m->n - i) * sizeof m->routes[0]);
	memmove(&m->path[i], &m->path[i + 1], (m->n - i) * sizeof m->path[0]);
}

static void insert_at(struct model *m, uint32_t i, const struct route_entry *e, uint32_t path)
{
	memmove(&m->routes[i + 1], &m->routes[i], (m->n - i) * sizeof m->routes[0]);
	memmove(&m->path[i + 1], &m->path[i], (m->n - i) * sizeof m->path[0]);
	m->routes[i] = *e;
	m->path[i] = path;
	m->n++;
}

/* A route of the model as one of the kernel's: its hops have the same path, or it is alone. */
static bool is_of(const struct model *m, uint32_t i, uint32_t k)
{
	return i == k || (m->path[i] != 0 && m->path[i] == m->path[k] &&
				 same_destination(&m->routes[i].dst, &m->routes[k].dst) &&
				 m->routes[i].metric == m->routes[k].metric);
}

static bool holds(const struct route_entry *e, uint32_t n, const struct route_entry *one)
{
	for (uint32_t i = 0; i < n; i++)
		if (same_way(&e[i], one))
			return true;
	return false;
}

/* The first hop of an IPv4 route with just these next hops, or of those of them whose links are there. */
static uint32_t find_whole(const struct model *m, const struct route_entry *e, uint32_t n)
{
	for (uint32_t i = 0; i < m->n; i++) {
		bool all = true;
		for (uint32_t k = 0; k < m->n; k++)
			all &= !is_of(m, i, k) || holds(e, n, &m->routes[k]);
		if (all)
			return i;
	}
	return m->n;
}

static uint32_t find_one(const struct model *m, const struct route_entry *e)
{
	uint32_t i = 0;

	while (i < m->n && !same_way(&m->routes[i], e))
		i++;
	return i;
}

/* Takes the route out that has a hop at i. */
static void remove_route(struct model *m, uint32_t at)
{
	uint32_t path = m->path[at];
	struct route_entry e = m->routes[at];

	if (path == 0) {
		remove_at(m, at);
		return;
	}
	for (uint32_t i = m->n; i-- > 0;)
		if (m->path[i] == path && same_destination(&m->routes[i].dst, &e.dst) &&
			m->routes[i].metric == e.metric)
			remove_at(m, i);
}

static bool beside(const struct model *m, uint32_t i, const struct route_entry *e)
{
	return same_destination(&m->routes[i].dst, &e->dst) && m->routes[i].metric == e->metric;
}

/* What ROUTE_REPLACE puts e in the place of. */
static uint32_t find_replaced(const struct model *m, const struct route_entry *e)
{
	uint32_t first = m->n;

	for (uint32_t i = m->n; i-- > 0;)
		if (beside(m, i, e))
			first = i;
	for (uint32_t i = 0; i < m->n && e->dst.addr.family == ADDR_V6; i++)
		if (beside(m, i, e) && (m->routes[i].weight == 0) == (e->weight == 0))
			return i;
	return first;
}

void model_set(struct model *m, const struct route_entry *e, uint32_t n, enum route_place place)
{
	bool v6 = e->dst.addr.family == ADDR_V6, whole = !v6 && e->weight > 0;
	uint32_t path = e->weight == 0 ? 0 : v6 ? 1 : 2 + m->paths++, at;

	if (v6 && n > 1 && place != ROUTE_REPLACE) {
		for (uint32_t i = 0; i < n; i++)
			model_set(m, &e[i], 1, place);
		return;
	}
	at = whole ? find_whole(m, e, n) : v6 && place == ROUTE_REPLACE ? m->n : find_one(m, e);
	if (at < m->n && path == 1) { /* that sibling only */
		m->routes[at] = *e;
		return;
	}
	if (at == m->n && place == ROUTE_REPLACE)
		at = find_replaced(m, e);
	if (at < m->n)
		remove_route(m, at);
	else if (place == ROUTE_PREPEND && !v6)
		for (uint32_t i = m->n; i-- > 0;)
			at = beside(m, i, e) ? i : at;
	for (uint32_t i = 0; i < n; i++)
		insert_at(m, at + i, &e[i], path);
}

void model_gone(struct model *m, const struct route_entry *e, uint32_t n)
{
	bool whole = e->dst.addr.family == ADDR_V4 && e->weight > 0;

	for (uint32_t i = 0; i < (whole ? 1 : n); i++) {
		uint32_t at = whole ? find_whole(m, e, n) : find_one(m, &e[i]);
		if (at < m->n && whole)
			remove_route(m, at);
		else if (at < m->n)
			remove_at(m, at);
	}
}

void model_destination_gone(struct model *m, const struct ip_prefix *dst)
{
	for (uint32_t i = m->n; i-- > 0;)
		if (same_destination(&m->routes[i].dst, dst))
			remove_at(m, i);
}

void model_link_gone(struct model *m, uint32_t index)
{
	if (m->links[index].index == 0)
		return;
	m->links[index].index = 0;
	for (uint32_t i = m->n; i-- > 0;)
		if (m->routes[i].link == index)
			remove_at(m, i);
}

static const struct route_link *link_of(const struct model *m, uint32_t index)
{
	return index <= MODEL_LINKS_MAX && m->links[index].index != 0 ? &m->links[index] : NULL;
}

static bool usable(const struct model *m, const struct route_entry *e)
{
	return e->kind == ROUTE_UNREACHABLE || (link_of(m, e->link) && link_of(m, e->link)->up);
}

uint32_t model_next_hops(const struct model *m, const struct ip_addr *dst, uint32_t bits_max,
	struct route_answer *ret_answers, uint32_t room)
{
	const struct route_entry *best = NULL;
	uint32_t n = 0, first = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		const struct route_entry *e = &m->routes[i];
		if (!prefix_holds(&e->dst, dst) || e->dst.bits > bits_max || !usable(m, e))
			continue;
		if (!best || e->dst.bits > best->dst.bits ||
			(e->dst.bits == best->dst.bits && e->metric < best->metric)) {
			best = e;
			first = i;
		}
	}
	for (uint32_t i = first; best && i < m->n && n < room; i++) {
		const struct route_entry *e = &m->routes[i];
		if (!is_of(m, first, i) || !usable(m, e))
			continue;
		uint32_t mtu = link_of(m, e->link) ? link_of(m, e->link)->mtu : 0;
		ret_answers[n++] = (struct route_answer){ .kind = e->kind,
			.link = e->link,
			.mtu = e->mtu && (mtu == 0 || e->mtu < mtu) ? e->mtu : mtu,
			.next_hop = e->gateway.family == ADDR_NONE ? *dst : e->gateway };
	}
	return n;
}

static bool answer_equal(const struct route_answer *a, const struct route_answer *b)
{
	return a->kind == b->kind && a->link == b->link && a->mtu == b->mtu &&
	       addr_equal(&a->next_hop, &b->next_hop);
}

bool model_answers_equal(
	const struct route_answer *a, uint32_t a_n, const struct route_answer *b, uint32_t b_n)
{
	for (uint32_t i = 0; i < a_n && a_n == b_n; i++)
		if (!answer_equal(&a[i], &b[i]))
			return false;
	return a_n == b_n;
}

bool model_answers(const struct model *m, const struct route_table *t, const struct ip_addr *dst)
{
	struct route_answer want[HOPS_MAX], have[HOPS_MAX], one;
	const struct route_flow flow = { .dst = *dst, .in_link = ROUTE_NONE };
	uint32_t want_n = model_next_hops(m, dst, 128, want, HOPS_MAX),
		 have_n = route_next_hops(t, &flow, have, HOPS_MAX);

	route_lookup(t, 0, dst, &one);
	if (want_n == 0 && (one.kind != ROUTE_UNREACHABLE || one.link != ROUTE_NONE))
		return false;
	return model_answers_equal(want, want_n, have, have_n) &&
	       (want_n == 0 || answer_equal(&one, &want[0]));
}

bool model_lists(const struct model *m, const struct route_table *t)
{
	bool seen[MODEL_ROUTES_MAX] = { false };
	const struct route_entry *e;
	uint32_t n = 0;

	for (; (e = route_at(t, n)); n++) {
		uint32_t i = 0;
		while (i < m->n && !(!seen[i] && same_way(&m->routes[i], e) && m->routes[i].mtu == e->mtu &&
					   m->routes[i].weight == e->weight && m->routes[i].kind == e->kind))
			i++;
		if (i == m->n)
			return false;
		seen[i] = true;
	}
	return n == m->n;
}
