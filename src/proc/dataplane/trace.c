/*
 * Tracing packets through the stages: the lines come from the code that decides, not from a second
 * evaluation.
 */
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* "10.1.0.2 port 443". For ICMP the field holds the identifier of a query, which is not a port. */
static const char *end_words(
	char *ret_text, size_t size, const struct ip_addr *a, uint16_t port, uint8_t proto)
{
	char text[ADDR_TEXT_MAX];

	if (ip_has_ports(proto))
		snprintf(ret_text, size, "%s port %u", addr_text(text, a), port);
	else
		snprintf(ret_text, size, "%s", addr_text(text, a));
	return ret_text;
}

static const char *proto_words(char *ret_text, size_t size, const struct train *t)
{
	if (t->proto == IP_TCP || t->proto == IP_UDP)
		snprintf(ret_text, size, "%s", t->proto == IP_TCP ? "tcp" : "udp");
	else if (t->proto == IP_SCTP)
		snprintf(ret_text, size, "sctp");
	else if (t->proto == IP_ICMP || t->proto == IP_ICMPV6)
		snprintf(ret_text, size, "%s id %u", t->proto == IP_ICMP ? "icmp" : "icmp6", t->src_port);
	else
		snprintf(ret_text, size, "protocol %u", t->proto);
	return ret_text;
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

void trace_begin(struct pipeline *p, struct train *t, uint32_t in_tunnel)
{
	char src[ADDR_TEXT_MAX + 16], dst[ADDR_TEXT_MAX + 16], proto[32];

	if (p->trace.left == 0 ||
		!packet_filters_hold(&p->trace.filters, &t->src, &t->dst, t->proto, t->src_port, t->dst_port))
		return;
	assert(p->trace.n < TRAIN_BURST_MAX);
	p->trace.left--;
	p->trace.list[p->trace.n].train = t;
	p->trace.list[p->trace.n].in_tunnel = in_tunnel;
	p->trace.list[p->trace.n++].packet = ++p->trace.begun;
	t->flags |= TRAIN_TRACED;
	trace_say(p, t, "ingress", PACKET_NONE, "from %s (zone %s): %s to %s, %s, %u octets in %u packet%s",
		where_from(p, t),
		t->in_zone != TRAIN_NONE && p->snapshot ? snap_zones(p->snapshot)[t->in_zone].name : "none",
		end_words(src, sizeof src, &t->src, t->src_port, t->proto),
		end_words(dst, sizeof dst, &t->dst, t->dst_port, t->proto),
		proto_words(proto, sizeof proto, t), t->len, train_packets(t),
		train_packets(t) == 1 ? "" : "s");
}

void trace_say(struct pipeline *p, const struct train *t, const char *stage, enum packet_verdict verdict,
	const char *fmt, ...)
{
	struct packet_facts facts;
	char text[TRACE_TEXT_MAX];
	va_list args;

	if (p->capture.ring && verdict != PACKET_NONE)
		capture_ended(p, t, verdict);
	for (uint32_t i = 0; i < p->trace.n; i++) {
		if (p->trace.list[i].train != t)
			continue;
		va_start(args, fmt);
		vsnprintf(text, sizeof text, fmt, args);
		va_end(args);
		packet_facts_of(p, t, p->trace.list[i].in_tunnel, verdict, &facts);
		p->io.trace_line(p->io.context, p->trace.list[i].packet, stage, text, &facts);
	}
}

void trace_flush(struct pipeline *p)
{
	p->trace.n = 0;
	if (p->trace.left > 0 || !p->trace.on)
		return;
	p->trace.on = false;
	p->io.trace_line(p->io.context, p->trace.begun, NULL, NULL, NULL);
}

void pipeline_trace(struct pipeline *p, const struct packet_filters *filters)
{
	p->trace.filters = *filters;
	p->trace.left = filters->count;
	p->trace.on = filters->count > 0;
	p->trace.begun = 0;
}
