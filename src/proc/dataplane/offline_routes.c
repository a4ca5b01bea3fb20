#include "proc/dataplane/offline_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_ROOM 64

struct reader {
	struct route_table *t;
	struct offline_routes *read;
	unsigned line;
	char links[ROUTE_LINKS_MAX][ROUTE_LINK_NAME_BYTES]; /* by number, from OFFLINE_LINK_FIRST */
	uint32_t links_n;
	/* a route whose next hops follow in lines of their own */
	struct route_entry paths[ROUTE_PATHS_MAX];
	uint32_t paths_n;
	bool waits;
};

/* A route as its line says. */
struct line {
	char type[WORD_ROOM], dst[WORD_ROOM], via[WORD_ROOM], dev[WORD_ROOM], src[WORD_ROOM],
		table[WORD_ROOM];
	uint32_t metric, weight;
	bool v6;
};

static bool word_next(const char **at, const char *end, char ret_word[WORD_ROOM])
{
	size_t n = 0;

	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	for (; *at < end && **at != ' ' && **at != '\t' && **at != '\r'; (*at)++)
		if (n + 1 < WORD_ROOM)
			ret_word[n++] = **at;
	while (*at < end && **at == '\r')
		(*at)++;
	ret_word[n] = '\0';
	return n > 0;
}

static enum rc link_add(struct reader *r, const char *name, uint32_t *ret_link, struct err *e)
{
	for (uint32_t i = 0; i < r->links_n; i++)
		if (strcmp(r->links[i], name) == 0) {
			*ret_link = OFFLINE_LINK_FIRST + i;
			return RC_OK;
		}
	struct route_link l = {
		.index = OFFLINE_LINK_FIRST + r->links_n, .up = true, .bare = true, .mtu = OFFLINE_MTU
	};
	if (r->links_n == ROUTE_LINKS_MAX)
		return err_add(e, RC_LIMIT, "more than %d interfaces", ROUTE_LINKS_MAX);
	snprintf(l.name, sizeof l.name, "%s", name);
	snprintf(r->links[r->links_n++], ROUTE_LINK_NAME_BYTES, "%s", name);
	*ret_link = l.index;
	return route_link_set(r->t, &l);
}

static bool is_type(const char *word)
{
	static const char *const types[] = { "unicast", "local", "broadcast", "multicast", "anycast",
		"unreachable", "blackhole", "prohibit", "throw", "nexthop" };

	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (strcmp(types[i], word) == 0)
			return true;
	return false;
}

static void line_read(const char *at, const char *end, struct line *ret)
{
	char word[WORD_ROOM], value[WORD_ROOM];

	*ret = (struct line){ .type = "unicast" };
	if (!word_next(&at, end, word))
		return;
	if (is_type(word)) {
		memcpy(ret->type, word, sizeof word);
		if (strcmp(word, "nexthop") != 0)
			word_next(&at, end, ret->dst);
	} else {
		memcpy(ret->dst, word, sizeof word);
	}
	while (word_next(&at, end, word)) {
		bool via = strcmp(word, "via") == 0;
		char *to = via				 ? ret->via
			   : strcmp(word, "dev") == 0	 ? ret->dev
			   : strcmp(word, "src") == 0	 ? ret->src
			   : strcmp(word, "table") == 0	 ? ret->table
			   : strcmp(word, "metric") == 0 ? value
			   : strcmp(word, "weight") == 0 ? value
							 : NULL;
		ret->v6 |= strcmp(word, "pref") == 0; /* only `ip -6` says it */
		if (!to || !word_next(&at, end, to))
			continue;
		if (via && (strcmp(to, "inet6") == 0 || strcmp(to, "inet") == 0))
			word_next(&at, end, to);
		if (strcmp(word, "metric") == 0)
			ret->metric = (uint32_t)strtoul(value, NULL, 10);
		if (strcmp(word, "weight") == 0)
			ret->weight = (uint32_t)strtoul(value, NULL, 10);
	}
}

static enum rc wrong(const struct reader *r, const char *what, const char *found, struct err *e)
{
	return err_add(e, RC_MALFORMED,
		"line %u of the routes: %s '%.60s' found, expected what `ip route show table all` prints",
		r->line, what, found);
}

static enum rc entry_make(struct reader *r, const struct line *l, struct route_entry *ret, struct err *e)
{
	*ret = (struct route_entry){ .metric = l->metric, .link = ROUTE_NONE, .weight = l->weight };
	bool v6 = l->v6 || strchr(l->via, ':');
	const char *dst = strcmp(l->dst, "default") != 0 ? l->dst : v6 ? "::/0" : "0.0.0.0/0";

	ret->kind = strcmp(l->type, "local") == 0					 ? ROUTE_LOCAL
		    : strcmp(l->type, "broadcast") == 0					 ? ROUTE_BROADCAST
		    : strcmp(l->type, "multicast") == 0					 ? ROUTE_MULTICAST
		    : strcmp(l->type, "throw") == 0					 ? ROUTE_THROW
		    : strcmp(l->type, "unicast") == 0 || strcmp(l->type, "nexthop") == 0 ? ROUTE_UNICAST
											 : ROUTE_UNREACHABLE;
	if (l->dst[0] && prefix_parse(&ret->dst, dst) != RC_OK)
		return wrong(r, "destination", l->dst, e);
	if (l->via[0] && addr_parse(&ret->gateway, l->via) != RC_OK)
		return wrong(r, "next hop", l->via, e);
	if (l->dev[0] && ret->kind != ROUTE_UNREACHABLE)
		return link_add(r, l->dev, &ret->link, e);
	return RC_OK;
}

/* An address of the gateway, with the length of its network where a line says it. */
static enum rc local_set(struct reader *r, uint32_t link, const char *text, uint32_t bits, struct err *e)
{
	struct route_local l = { .link = link, .bits = bits };

	if (addr_parse(&l.addr, text) != RC_OK)
		return wrong(r, "address", text, e);
	r->read->addresses += !route_is_local_on(r->t, link, &l.addr);
	return route_local_set(r->t, &l);
}

static enum rc paths_end(struct reader *r)
{
	enum rc rc = r->paths_n ? route_paths_set(r->t, r->paths, r->paths_n, ROUTE_APPEND) : RC_OK;

	r->read->routes += r->paths_n > 0;
	r->paths_n = 0;
	r->waits = false;
	return rc;
}

static enum rc next_hop(struct reader *r, const struct line *l, struct err *e)
{
	struct route_entry one;
	enum rc rc = entry_make(r, l, &one, e);

	if (rc != RC_OK || !r->waits || r->paths_n == ROUTE_PATHS_MAX)
		return rc;
	struct route_entry *to = &r->paths[r->paths_n];
	struct ip_prefix dst = r->paths[0].dst;
	/* The family of a default route is that of its next hops. */
	if (dst.bits == 0 && one.gateway.family != ADDR_NONE)
		dst.addr.family = one.gateway.family;
	uint32_t metric = r->paths[0].metric;
	*to = one;
	to->dst = dst;
	to->metric = metric;
	to->weight = l->weight ? l->weight : 1;
	r->paths_n++;
	return RC_OK;
}

static enum rc route_line(struct reader *r, const struct line *l, struct err *e)
{
	struct route_entry one;
	bool other = l->table[0] && strcmp(l->table, "local") != 0 && strcmp(l->table, "main") != 0 &&
		     strcmp(l->table, "default") != 0;
	enum rc rc;

	if (strcmp(l->type, "nexthop") == 0)
		return next_hop(r, l, e);
	if ((rc = paths_end(r)) != RC_OK)
		return rc;
	if (other || strcmp(l->type, "anycast") == 0) {
		r->read->skipped++;
		return RC_OK;
	}
	if ((rc = entry_make(r, l, &one, e)) != RC_OK)
		return rc;
	if (one.kind == ROUTE_LOCAL && one.link != ROUTE_NONE) {
		char addr[ADDR_TEXT_MAX];
		uint32_t all = one.dst.addr.family == ADDR_V4 ? 32 : 128;
		if (one.dst.bits == all && !route_is_local_on(r->t, one.link, &one.dst.addr))
			rc = local_set(r, one.link, addr_text(addr, &one.dst.addr), all, e);
	} else if (one.kind == ROUTE_UNICAST && one.link != ROUTE_NONE && l->src[0] && !l->via[0]) {
		rc = local_set(r, one.link, l->src, one.dst.bits, e);
	}
	if (rc != RC_OK)
		return rc;
	if (one.kind == ROUTE_UNICAST && one.link == ROUTE_NONE) { /* its next hops follow */
		r->paths[0] = one;
		r->waits = true;
		return RC_OK;
	}
	r->read->routes++;
	return route_paths_set(r->t, &one, 1, ROUTE_APPEND);
}

static enum rc lines_read(struct reader *r, const char *text, size_t n, struct err *e)
{
	const char *end = text + n;
	enum rc rc = RC_OK;

	for (const char *at = text; at < end && rc == RC_OK;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct line l;
		stop = stop ? stop : end;
		r->line++;
		line_read(at, stop, &l);
		if (l.dst[0] || strcmp(l.type, "nexthop") == 0)
			rc = route_line(r, &l, e);
		at = stop + (stop < end);
	}
	if (rc == RC_OK)
		rc = paths_end(r);
	return rc == RC_OK || (e && e->text[0])
		       ? rc
		       : err_add(e, rc, "line %u of the routes is not taken: %s", r->line, rc_text(rc));
}

enum rc offline_routes_read(struct route_table *t, const struct snapshot *s, const char *text, size_t n,
	struct offline_routes *ret_read, struct err *e)
{
	struct reader *r = calloc(1, sizeof *r);
	enum rc rc = r ? RC_OK : err_add(e, RC_LIMIT, "out of memory");
	uint32_t link;

	*ret_read = (struct offline_routes){ 0 };
	if (!r)
		return rc;
	r->t = t;
	r->read = ret_read;
	for (uint32_t i = 0; rc == RC_OK && i < s->interfaces.count; i++)
		rc = link_add(r, snap_interfaces(s)[i].name, &link, e);
	if (rc == RC_OK)
		rc = lines_read(r, text, n, e);
	free(r);
	return rc;
}
