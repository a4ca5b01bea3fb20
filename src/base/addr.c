#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

int addr_compare(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return (int)a->family - (int)b->family;
	return memcmp(a->b, b->b, sizeof a->b);
}

char *addr_text(char *ret_text, const struct ip_addr *a)
{
	int family = a->family == ADDR_V4 ? AF_INET : AF_INET6;

	if (a->family == ADDR_NONE || !inet_ntop(family, a->b, ret_text, ADDR_TEXT_MAX))
		snprintf(ret_text, ADDR_TEXT_MAX, "any");
	return ret_text;
}

char *prefix_text(char *ret_text, const struct ip_prefix *p)
{
	char a[ADDR_TEXT_MAX];

	snprintf(ret_text, PREFIX_TEXT_MAX, "%s/%u", addr_text(a, &p->addr), (unsigned)p->bits % 1000);
	return ret_text;
}

char *range_text(char *ret_text, const struct ip_range *r)
{
	char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
	size_t size = addr_size(&r->first);

	if (range_is_wildcard(r)) {
		struct ip_addr mask = { .family = r->first.family };
		for (size_t i = 0; i < size; i++)
			mask.b[i] = (uint8_t)~(r->first.b[i] ^ r->last.b[i]);
		snprintf(ret_text, RANGE_TEXT_MAX, "%s/%s", addr_text(first, &r->first),
			addr_text(last, &mask));
		return ret_text;
	}
	for (uint32_t bits = 0; bits <= 8 * size && size > 0; bits++) {
		struct ip_prefix p = { .addr = r->first, .bits = bits };
		struct ip_range whole = range_from_prefix(&p);
		if (addr_equal(&whole.first, &r->first) && addr_equal(&whole.last, &r->last)) {
			snprintf(ret_text, RANGE_TEXT_MAX, "%s/%u", addr_text(first, &r->first), bits);
			return ret_text;
		}
	}
	snprintf(ret_text, RANGE_TEXT_MAX, "%s-%s", addr_text(first, &r->first), addr_text(last, &r->last));
	return ret_text;
}

char *endpoint_text(char *ret_text, const struct endpoint *e)
{
	char a[ADDR_TEXT_MAX];

	snprintf(ret_text, ENDPOINT_TEXT_MAX, e->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u",
		addr_text(a, &e->addr), (unsigned)e->port);
	return ret_text;
}

enum rc addr_parse(struct ip_addr *ret_addr, const char *text)
{
	struct ip_addr a = { .family = strchr(text, ':') ? ADDR_V6 : ADDR_V4 };

	if (inet_pton(a.family == ADDR_V6 ? AF_INET6 : AF_INET, text, a.b) != 1)
		return RC_MALFORMED;
	*ret_addr = a;
	return RC_OK;
}

enum rc prefix_parse(struct ip_prefix *ret_prefix, const char *text)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t host_n = slash ? (size_t)(slash - text) : strlen(text);
	struct ip_prefix p = { 0 };

	if (host_n >= sizeof host)
		return RC_MALFORMED;
	memcpy(host, text, host_n);
	host[host_n] = '\0';
	if (addr_parse(&p.addr, host) != RC_OK)
		return RC_MALFORMED;
	p.bits = 8 * (uint32_t)addr_size(&p.addr);
	if (slash) {
		char *end;
		unsigned long bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end != '\0')
			return RC_MALFORMED;
		if (bits > p.bits)
			return RC_RANGE;
		p.bits = (uint32_t)bits;
	}
	struct ip_range whole = range_from_prefix(&p);
	if (!addr_equal(&whole.first, &p.addr))
		return RC_RANGE;
	*ret_prefix = p;
	return RC_OK;
}

struct ip_range range_from_prefix(const struct ip_prefix *p)
{
	struct ip_range r = { p->addr, p->addr };
	size_t size = addr_size(&p->addr);

	for (size_t i = 0; i < size; i++) {
		uint32_t fixed = p->bits > 8 * i ? MIN_OF(p->bits - 8 * i, 8u) : 0;
		uint8_t host = (uint8_t)(0xff >> fixed);
		r.first.b[i] &= (uint8_t)~host;
		r.last.b[i] |= host;
	}
	return r;
}

bool range_holds(const struct ip_range *r, const struct ip_addr *a)
{
	uint8_t other = 0;

	if (range_is_wildcard(r)) {
		for (size_t i = 0; i < sizeof a->b; i++)
			other |= (uint8_t)((a->b[i] ^ r->first.b[i]) & ~(r->first.b[i] ^ r->last.b[i]));
		return a->family == r->first.family && other == 0;
	}
	return a->family == r->first.family && addr_compare(&r->first, a) <= 0 &&
	       addr_compare(a, &r->last) <= 0;
}

/* Ones, then zeros. */
static bool mask_is_prefix(uint32_t mask)
{
	return (~mask & (~mask + 1)) == 0;
}

enum rc wildcard_parse(struct ip_range *ret_range, const char *text)
{
	const char *slash = strchr(text, '/');
	char address[ADDR_TEXT_MAX];
	struct ip_addr a, m;

	if (!slash || (size_t)(slash - text) >= sizeof address)
		return RC_MALFORMED;
	snprintf(address, sizeof address, "%.*s", (int)(slash - text), text);
	if (addr_parse(&a, address) || addr_parse(&m, slash + 1) || a.family != ADDR_V4 ||
		m.family != ADDR_V4)
		return RC_MALFORMED;
	ret_range->first = ret_range->last = a;
	for (size_t i = 0; i < 4; i++) {
		if (a.b[i] & ~m.b[i])
			return RC_RANGE;
		ret_range->last.b[i] = (uint8_t)(a.b[i] | ~m.b[i]);
	}
	if (!mask_is_prefix(load_be32(m.b)))
		ret_range->last.zero[0] = RANGE_WILDCARD;
	return RC_OK;
}

bool ranges_meet(const struct ip_range *a, const struct ip_range *b)
{
	return a->first.family == b->first.family && addr_compare(&a->first, &b->last) <= 0 &&
	       addr_compare(&b->first, &a->last) <= 0;
}

bool range_inside(const struct ip_range *inner, const struct ip_range *outer)
{
	return range_holds(outer, &inner->first) && range_holds(outer, &inner->last) &&
	       !(addr_equal(&inner->first, &outer->first) && addr_equal(&inner->last, &outer->last));
}

bool prefix_holds(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_range r = range_from_prefix(p);
	return range_holds(&r, a);
}
