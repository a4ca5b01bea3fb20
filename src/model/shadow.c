/*
 * A rule is a product of three sets: sources, destinations, services. What a rule before it leaves of it is at most three
 * such products: the sources that the other does not have; of the others, the destinations that it does not have; of those,
 * the services. So sets are kept whole, and are not cut into the boxes of their elements.
 *
 * Most rules are decided by one packet of theirs: if no rule before them matches it, they are reached. Only where one does,
 * the sets are subtracted.
 */
#include "model/shadow.h"

#include "model/dynamic.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one family, or of both: IPv4 first, as spans are sorted. */
struct addrs {
	struct ip_range *at;
	uint32_t n, room;
};

/* A box: of protocols without ports the ports are all. */
struct service {
	uint32_t first[3], last[3]; /* protocol, source port, destination port or ICMP type */
};
enum { PROTO, SPORT, DPORT };

struct services {
	struct service *at;
	uint32_t n, room;
};

struct part {
	struct addrs src, dst;
	struct services services;
};

struct work {
	const struct snapshot *s;
	uint64_t steps; /* left */
	bool failed;	/* out of memory, or of parts */
	struct part *part;
	uint32_t n;
};

/* ---- sets ---- */

static bool step(struct work *w, uint64_t n)
{
	w->steps -= MIN_OF(w->steps, n);
	return w->steps > 0 && !w->failed;
}

static void addrs_add(
	struct work *w, struct addrs *a, const struct ip_addr *first, const struct ip_addr *last)
{
	if (a->n == a->room) {
		uint32_t room = 2 * a->room + 4;
		struct ip_range *at = reallocarray(a->at, room, sizeof *at);
		if (!at) {
			w->failed = true;
			return;
		}
		a->at = at;
		a->room = room;
	}
	a->at[a->n++] = (struct ip_range){ *first, *last };
}

static void services_add(struct work *w, struct services *v, const struct service *x)
{
	if (v->n == v->room) {
		uint32_t room = 2 * v->room + 4;
		struct service *at = reallocarray(v->at, room, sizeof *at);
		if (!at) {
			w->failed = true;
			return;
		}
		v->at = at;
		v->room = room;
	}
	v->at[v->n++] = *x;
}

static void part_done(struct part *p)
{
	free(p->src.at);
	free(p->dst.at);
	free(p->services.at);
	*p = (struct part){ 0 };
}

static struct ip_addr addr_least(uint8_t family)
{
	return (struct ip_addr){ .family = family };
}

static struct ip_addr addr_greatest(uint8_t family)
{
	struct ip_addr a = { .family = family };

	memset(a.b, 0xff, family == ADDR_V4 ? 4 : 16);
	return a;
}

/* By one up or down; there is such an address. */
static struct ip_addr addr_beside(struct ip_addr a, int by)
{
	for (size_t i = addr_size(&a); i-- > 0;) {
		a.b[i] = (uint8_t)(a.b[i] + by);
		if (a.b[i] != (by > 0 ? 0 : 0xff))
			break;
	}
	return a;
}

/* What of `of` is in the span, and what is not; both sorted. Any addresses: all is. */
static void addrs_split(
	struct work *w, const struct addrs *of, struct span by, struct addrs *ret_in, struct addrs *ret_out)
{
	const struct ip_range *r = snap_ranges(w->s) + by.first;
	uint32_t k = 0;

	*ret_in = *ret_out = (struct addrs){ 0 };
	for (uint32_t i = 0; i < of->n && step(w, 1); i++) {
		struct ip_addr first = of->at[i].first;
		const struct ip_addr *last = &of->at[i].last;
		bool left = true;
		while (k < by.count && addr_compare(&r[k].last, &first) < 0 && step(w, 1))
			k++;
		for (uint32_t j = k; left && j < by.count && addr_compare(&r[j].first, last) <= 0; j++) {
			const struct ip_addr *from =
				addr_compare(&r[j].first, &first) > 0 ? &r[j].first : &first;
			const struct ip_addr *to = addr_compare(&r[j].last, last) < 0 ? &r[j].last : last;
			if (!step(w, 1))
				return;
			if (addr_compare(from, &first) > 0) {
				struct ip_addr before = addr_beside(*from, -1);
				addrs_add(w, ret_out, &first, &before);
			}
			addrs_add(w, ret_in, from, to);
			left = addr_compare(to, last) < 0;
			if (left)
				first = addr_beside(*to, 1);
		}
		if (left)
			addrs_add(w, by.count == 0 ? ret_in : ret_out, &first, last);
	}
}

static struct service service_of(const struct snap_service *v)
{
	bool ports = v->proto == 6 || v->proto == 17 || v->proto == 132;
	bool typed = v->proto == 1 || v->proto == 58;
	struct service x = { { v->proto, 0, 0 }, { v->proto, UINT16_MAX, UINT16_MAX } };

	if (v->proto == 0)
		x.last[PROTO] = UINT8_MAX;
	if (ports || typed) { /* of ICMP: code and type */
		x.first[SPORT] = v->src_first;
		x.last[SPORT] = v->src_last;
		x.first[DPORT] = v->dst_first;
		x.last[DPORT] = v->dst_last;
	}
	return x;
}

static bool boxes_meet(const struct service *a, const struct service *b)
{
	for (int d = 0; d < 3; d++)
		if (a->first[d] > b->last[d] || b->first[d] > a->last[d])
			return false;
	return true;
}

/* What of `of` is in none of the span's, piece by piece; none are given: nothing. */
static void services_without(
	struct work *w, const struct services *of, struct span by, struct services *ret_out)
{
	const struct snap_service *all = snap_services(w->s) + by.first;
	struct services now = { 0 };

	*ret_out = (struct services){ 0 };
	for (uint32_t i = 0; by.count > 0 && i < of->n; i++)
		services_add(w, &now, &of->at[i]);
	for (uint32_t k = 0; k < by.count && now.n > 0; k++) {
		const struct service cut = service_of(&all[k]);
		struct services next = { 0 };
		for (uint32_t i = 0; i < now.n && step(w, 1); i++) {
			struct service left = now.at[i];
			if (!boxes_meet(&left, &cut)) {
				services_add(w, &next, &left);
				continue;
			}
			for (int d = 0; d < 3; d++) {
				struct service piece = left;
				if (left.first[d] < cut.first[d]) {
					piece.last[d] = cut.first[d] - 1;
					services_add(w, &next, &piece);
					left.first[d] = cut.first[d];
				}
				piece = left;
				if (left.last[d] > cut.last[d]) {
					piece.first[d] = cut.last[d] + 1;
					services_add(w, &next, &piece);
					left.last[d] = cut.last[d];
				}
			}
		}
		free(now.at);
		now = next;
		w->failed |= now.n > SHADOW_PARTS_MAX * 8;
	}
	*ret_out = now;
}

/* ---- one rule ---- */

static void addrs_of(struct work *w, struct span span, uint8_t family, struct addrs *ret)
{
	const struct ip_range *r = snap_ranges(w->s) + span.first;
	const struct ip_addr least = addr_least(family), greatest = addr_greatest(family);
	bool any = span.count == 0 || dynamic_in(w->s, span);

	*ret = (struct addrs){ 0 };
	if (any)
		addrs_add(w, ret, &least, &greatest);
	for (uint32_t i = 0; !any && i < span.count && step(w, 1); i++)
		if (r[i].first.family == family)
			addrs_add(w, ret, &r[i].first, &r[i].last);
}

static void services_of(struct work *w, struct span span, struct services *ret)
{
	const struct service any = { { 0, 0, 0 }, { UINT8_MAX, UINT16_MAX, UINT16_MAX } };

	*ret = (struct services){ 0 };
	if (span.count == 0)
		services_add(w, ret, &any);
	for (uint32_t i = 0; i < span.count; i++) {
		const struct service x = service_of(&snap_services(w->s)[span.first + i]);
		services_add(w, ret, &x);
	}
}

static void part_push(struct work *w, const struct part *p)
{
	if (w->n == SHADOW_PARTS_MAX || w->failed || p->src.n == 0 || p->dst.n == 0 || p->services.n == 0) {
		w->failed |= w->n == SHADOW_PARTS_MAX;
		struct part gone = *p;
		part_done(&gone);
		return;
	}
	w->part[w->n++] = *p;
}

/* A packet is of one family, or by NAT64 from IPv6 to IPv4. */
static void parts_of(struct work *w, const struct snap_rule *r)
{
	static const uint8_t families[][2] = { { ADDR_V4, ADDR_V4 }, { ADDR_V6, ADDR_V6 },
		{ ADDR_V6, ADDR_V4 } };

	for (size_t i = 0; i < COUNT_OF(families); i++) {
		struct part p;
		addrs_of(w, r->src, families[i][0], &p.src);
		addrs_of(w, r->dst, families[i][1], &p.dst);
		services_of(w, r->services, &p.services);
		part_push(w, &p);
	}
}

static struct addrs addrs_copy(struct work *w, const struct addrs *a)
{
	struct addrs copy = { 0 };

	for (uint32_t i = 0; i < a->n && step(w, 1); i++)
		addrs_add(w, &copy, &a->at[i].first, &a->at[i].last);
	return copy;
}

static struct services services_copy(struct work *w, const struct services *v)
{
	struct services copy = { 0 };

	for (uint32_t i = 0; i < v->n && step(w, 1); i++)
		services_add(w, &copy, &v->at[i]);
	return copy;
}

static bool services_meet(struct work *w, const struct services *of, struct span by)
{
	const struct snap_service *all = snap_services(w->s) + by.first;

	for (uint32_t k = 0; k < by.count; k++) {
		const struct service x = service_of(&all[k]);
		for (uint32_t i = 0; i < of->n && step(w, 1); i++)
			if (boxes_meet(&x, &of->at[i]))
				return true;
	}
	return by.count == 0;
}

/* What the rule leaves of part i takes its place, and more is added. True: it has taken something. */
static bool part_cut(struct work *w, uint32_t i, const struct snap_rule *r)
{
	struct part *p = &w->part[i], was, piece;
	struct addrs src_in, src_out, dst_in, dst_out;

	if (!services_meet(w, &p->services, r->services))
		return false;
	addrs_split(w, &p->src, r->src, &src_in, &src_out);
	if (src_in.n == 0) {
		free(src_in.at);
		free(src_out.at);
		return false;
	}
	addrs_split(w, &p->dst, r->dst, &dst_in, &dst_out);
	if (dst_in.n == 0) {
		free(src_in.at);
		free(src_out.at);
		free(dst_in.at);
		free(dst_out.at);
		return false;
	}
	was = *p;
	w->part[i] = w->part[--w->n];
	piece = (struct part){ src_out, addrs_copy(w, &was.dst), services_copy(w, &was.services) };
	part_push(w, &piece);
	piece = (struct part){ addrs_copy(w, &src_in), dst_out, services_copy(w, &was.services) };
	part_push(w, &piece);
	piece = (struct part){ src_in, dst_in, { 0 } };
	services_without(w, &was.services, r->services, &piece.services);
	part_push(w, &piece);
	part_done(&was);
	return true;
}

static void by_add(struct shadow *x, uint32_t rule)
{
	if (x->by_n < SHADOW_BY_MAX)
		x->by[x->by_n] = rule;
	x->by_n++;
}

static bool has_wildcard(const struct snapshot *s, struct span span)
{
	return span.count > 0 &&
	       range_is_wildcard(&snap_ranges(s)[span.first + span.count - 1]); /* they come last */
}

/* Always, and not at times only; and all that its ranges span, not some of it by a wildcard mask. */
static bool always(const struct snapshot *s, const struct snap_rule *r)
{
	return r->schedule == INDEX_NONE && !has_wildcard(s, r->src) && !has_wildcard(s, r->dst);
}

/* The rule takes all parts away: it alone is named then. */
static bool takes_all(struct work *w, uint32_t rule, uint32_t other)
{
	const struct snap_rule *r = &snap_rules(w->s)[other];
	bool left = false;

	parts_of(w, &snap_rules(w->s)[rule]);
	for (uint32_t n = w->n; n > 0 && !left && !w->failed && w->steps > 0; n--) {
		uint32_t before = w->n;
		left = !part_cut(w, n - 1, r) || w->n >= before;
	}
	left |= w->n > 0;
	while (w->n > 0)
		part_done(&w->part[--w->n]);
	return !left && !w->failed;
}

/* True: *ret_shadow says by which rules it is never reached. */
static bool rule_is_shadowed(struct work *w, uint32_t rule, uint32_t from, struct shadow *ret_shadow)
{
	const struct snap_rule *all = snap_rules(w->s);
	struct shadow x = { .rule = rule };

	parts_of(w, &all[rule]);
	for (uint32_t k = from; k < rule && w->n > 0 && step(w, 1); k++) {
		bool took = false;
		for (uint32_t i = w->n; always(w->s, &all[k]) && i-- > 0 && !w->failed;)
			took |= part_cut(w, i, &all[k]);
		if (took)
			by_add(&x, k);
	}
	bool shadowed = w->n == 0 && !w->failed && w->steps > 0;
	while (w->n > 0)
		part_done(&w->part[--w->n]);
	*ret_shadow = x;
	for (uint32_t i = 0; shadowed && x.by_n > 1 && i < MIN_OF(x.by_n, (uint32_t)SHADOW_BY_MAX); i++)
		if (takes_all(w, rule, x.by[i]))
			*ret_shadow = (struct shadow){ rule, { x.by[i] }, 1 };
	return shadowed;
}

/* ---- one packet of a rule ---- */

struct probe {
	struct ip_addr src, dst;
	struct service at; /* of which the first corner counts */
	bool none;	   /* no packet can match it: families differ */
};

static const struct ip_addr *first_of(const struct snapshot *s, struct span span, uint8_t family)
{
	const struct ip_range *r = snap_ranges(s) + span.first;
	static const struct ip_addr any[] = {
		[ADDR_V4] = { .family = ADDR_V4 }, [ADDR_V6] = { .family = ADDR_V6 }
	};

	if (span.count == 0 || dynamic_in(s, span))
		return &any[family];
	for (uint32_t i = 0; i < span.count; i++)
		if (r[i].first.family == family)
			return &r[i].first;
	return NULL;
}

static struct probe probe_of(const struct snapshot *s, const struct snap_rule *r)
{
	struct probe p = { .none = true };
	static const uint8_t families[] = { ADDR_V4, ADDR_V6 };

	for (size_t i = 0; i < COUNT_OF(families) && p.none; i++) {
		const struct ip_addr *src = first_of(s, r->src, families[i]),
				     *dst = first_of(s, r->dst, families[i]);
		if (!src || !dst)
			continue;
		p = (struct probe){ .src = *src, .dst = *dst };
	}
	if (r->services.count > 0)
		p.at = service_of(&snap_services(s)[r->services.first]);
	return p;
}

/* Sorted, as spans are. */
static bool span_holds(struct work *w, struct span span, const struct ip_addr *a)
{
	const struct ip_range *r = snap_ranges(w->s) + span.first;
	uint32_t low = 0, n = span.count;

	while (n > 1) {
		uint32_t half = n / 2;
		low = addr_compare(&r[low + half].first, a) <= 0 ? low + half : low;
		n -= half;
		step(w, 1);
	}
	return span.count == 0 ||
	       (addr_compare(&r[low].first, a) <= 0 && addr_compare(a, &r[low].last) <= 0 &&
		       r[low].first.family == a->family);
}

static bool probe_matches(struct work *w, const struct probe *p, const struct snap_rule *r)
{
	const struct snap_service *all = snap_services(w->s) + r->services.first;
	bool service = r->services.count == 0;

	if (!span_holds(w, r->dst, &p->dst) || !span_holds(w, r->src, &p->src))
		return false;
	for (uint32_t i = 0; i < r->services.count && !service; i++) {
		const struct service x = service_of(&all[i]);
		service = true;
		for (int d = 0; d < 3; d++)
			service &= x.first[d] <= p->at.first[d] && p->at.first[d] <= x.last[d];
	}
	return service;
}

static bool probe_is_taken(struct work *w, uint32_t rule, uint32_t from)
{
	const struct snap_rule *all = snap_rules(w->s);
	const struct probe p = probe_of(w->s, &all[rule]);

	for (uint32_t k = from; k < rule && !p.none && step(w, 1); k++)
		if (always(w->s, &all[k]) && probe_matches(w, &p, &all[k]))
			return true;
	return p.none;
}

/* ---- all ---- */

uint32_t snapshot_shadowed(const struct snapshot *s, shadow_fn *fn, void *context)
{
	struct work w = {
		.s = s, .steps = SHADOW_STEPS_MAX, .part = calloc(SHADOW_PARTS_MAX, sizeof *w.part)
	};
	const struct snap_rule *r = snap_rules(s);
	uint32_t from = 0, undecided = 0;

	for (uint32_t i = 0; w.part && i < s->rules.count; i++) {
		struct shadow x;
		if (r[from].from_zone != r[i].from_zone || r[from].to_zone != r[i].to_zone)
			from = i;
		w.failed = false;
		if (w.steps > 0 && !probe_is_taken(&w, i, from) && w.steps > 0)
			continue;
		bool shadowed = w.steps > 0 && rule_is_shadowed(&w, i, from, &x);
		if (shadowed)
			fn(context, s, &x);
		else if (w.failed || w.steps == 0)
			undecided++;
	}
	uint32_t all = w.part ? undecided : s->rules.count;
	free(w.part);
	return all;
}

const char *shadow_text(char ret_text[SHADOW_TEXT_MAX], const struct snapshot *s, const struct shadow *x)
{
	const struct snap_rule *all = snap_rules(s), *r = &all[x->rule];
	const char *from = r->from_zone == ZONE_ANY ? "any zone" : snap_rule_zone(s, r->from_zone);
	const char *to = r->to_zone == ZONE_ANY ? "any zone" : snap_rule_zone(s, r->to_zone);
	size_t n = (size_t)snprintf(
		ret_text, SHADOW_TEXT_MAX, "rule '%s' from %s to %s is never reached: ", r->name, from, to);
	uint32_t named = MIN_OF(x->by_n, (uint32_t)SHADOW_BY_MAX);

	if (x->by_n == 0)
		snprintf(ret_text + n, SHADOW_TEXT_MAX - n,
			"no packet has a source of one family and a destination of the other");
	for (uint32_t i = 0; i < named && n < SHADOW_TEXT_MAX; i++)
		n += (size_t)snprintf(ret_text + n, SHADOW_TEXT_MAX - n, "%s'%s'",
			i == 0 ? (x->by_n == 1 ? "rule " : "rules ") : ", ", all[x->by[i]].name);
	if (x->by_n > named && n < SHADOW_TEXT_MAX)
		n += (size_t)snprintf(ret_text + n, SHADOW_TEXT_MAX - n, " and %u more", x->by_n - named);
	if (x->by_n == 1 && n < SHADOW_TEXT_MAX) {
		const struct snap_rule *by = &all[x->by[0]];
		bool everything = by->src.count == 0 && by->dst.count == 0 && by->services.count == 0;
		snprintf(ret_text + n, SHADOW_TEXT_MAX - n, " before it matches %s",
			everything ? "everything" : "all that it could");
	} else if (x->by_n > 1 && n < SHADOW_TEXT_MAX) {
		snprintf(ret_text + n, SHADOW_TEXT_MAX - n, " before it together match all that it could");
	}
	return ret_text;
}
