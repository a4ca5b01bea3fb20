/*
 * Following packets through the stages: the lines come from the places that decide, not from a second
 * opinion.
 */
#include "proc/dataplane/stages.h"

#include <stdarg.h>
#include <stdio.h>

static bool side_holds(const struct ip_range *r, const struct ip_addr *a)
{
	return r->first.family == ADDR_NONE || range_holds(r, a);
}

static bool filter_holds(const struct trace_filter *f, const struct train *t)
{
	return (f->proto == 0 || f->proto == t->proto) && side_holds(&f->src, &t->src) &&
	       side_holds(&f->dst, &t->dst) && (f->src_port == 0 || f->src_port == t->src_port) &&
	       (f->dst_port == 0 || f->dst_port == t->dst_port);
}

static const char *where_from(const struct pipeline *p, const struct train *t)
{
	if (t->flags & TRAIN_FROM_TUNNEL)
		return "a tunnel";
	if (t->flags & TRAIN_FROM_HOST)
		return "the gateway itself";
	return t->in_interface != TRAIN_NONE && p->snapshot
		       ? snap_interfaces(p->snapshot)[t->in_interface].name
		       : "an unknown link";
}

void trace_begin(struct pipeline *p, struct train *t)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	if (p->trace.left == 0 || !filter_holds(&p->trace.filter, t))
		return;
	p->trace.left--;
	p->trace.list[p->trace.n].train = t;
	p->trace.list[p->trace.n++].packet = ++p->trace.begun;
	t->flags |= TRAIN_TRACED;
	trace_say(p, t, "in",
		"from %s (zone %s): %s port %u to %s port %u, protocol %u, %u octets in %u packets",
		where_from(p, t),
		t->in_zone != TRAIN_NONE && p->snapshot ? snap_zones(p->snapshot)[t->in_zone].name : "none",
		addr_text(src, &t->src), t->src_port, addr_text(dst, &t->dst), t->dst_port, t->proto, t->len,
		train_packets(t));
}

void trace_say(struct pipeline *p, const struct train *t, const char *stage, const char *fmt, ...)
{
	char text[768];
	va_list args;

	for (uint32_t i = 0; i < p->trace.n; i++) {
		if (p->trace.list[i].train != t)
			continue;
		va_start(args, fmt);
		vsnprintf(text, sizeof text, fmt, args);
		va_end(args);
		p->io.trace_line(p->io.context, p->trace.list[i].packet, stage, text);
	}
}

void trace_flush(struct pipeline *p)
{
	p->trace.n = 0;
	if (p->trace.left > 0 || !p->trace.on)
		return;
	p->trace.on = false;
	p->io.trace_line(p->io.context, p->trace.begun, NULL, NULL);
}

void pipeline_trace(struct pipeline *p, const struct trace_filter *filter, uint32_t count)
{
	p->trace.filter = *filter;
	p->trace.left = count;
	p->trace.on = count > 0;
	p->trace.begun = 0;
}
