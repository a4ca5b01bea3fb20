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
	       addr_equal(&a->gateway, &b->gateway);
}

static void remove_at(struct model *m, uint32_t i)
{
	memmove(&m->routes[i], &m->routes[i + 1], (--m->n - i) * sizeof m->routes[0]);
}

void model_set(struct model *m, const struct route_entry *e, bool replace)
{
	for (uint32_t i = m->n; replace && i-- > 0;)
		if (same_destination(&m->routes[i].dst, &e->dst) && m->routes[i].metric == e->metric &&
			!same_way(&m->routes[i], e))
			remove_at(m, i);
	for (uint32_t i = 0; i < m->n; i++)
		if (same_way(&m->routes[i], e)) {
			m->routes[i] = *e;
			return;
		}
	m->routes[m->n++] = *e;
}

void model_gone(struct model *m, const struct route_entry *e)
{
	for (uint32_t i = m->n; i-- > 0;)
		if (same_way(&m->routes[i], e))
			remove_at(m, i);
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
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		const struct route_entry *e = &m->routes[i];
		if (!prefix_holds(&e->dst, dst) || e->dst.bits > bits_max || !usable(m, e))
			continue;
		if (!best || e->dst.bits > best->dst.bits ||
			(e->dst.bits == best->dst.bits && e->metric < best->metric))
			best = e;
	}
	for (uint32_t i = 0; best && i < m->n && n < room; i++) {
		const struct route_entry *e = &m->routes[i];
		if (!same_destination(&e->dst, &best->dst) || e->metric != best->metric || !usable(m, e))
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
	uint32_t want_n = model_next_hops(m, dst, 128, want, HOPS_MAX),
		 have_n = route_next_hops(t, dst, have, HOPS_MAX);

	route_lookup(t, dst, &one);
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
		while (i < m->n && !(same_way(&m->routes[i], e) && m->routes[i].mtu == e->mtu &&
					   m->routes[i].kind == e->kind))
			i++;
		if (i == m->n || seen[i])
			return false;
		seen[i] = true;
	}
	return n == m->n;
}
