#include "model/packet_filter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct packet_filter packet_filter_from(const struct session_filter *f)
{
	return (struct packet_filter){ f->proto, f->src, f->dst, f->sport, f->dport };
}

static struct session_filter session_filter_from(const struct packet_filter *f)
{
	return (struct session_filter){
		.proto = f->proto, .src = f->src, .dst = f->dst, .sport = f->sport, .dport = f->dport
	};
}

enum rc packet_filters_check(const struct packet_filters *f, struct err *e)
{
	if (f->n > PACKET_FILTERS_MAX)
		return err_add(e, RC_MALFORMED, "%u filters of packets found, expected at most %d", f->n,
			PACKET_FILTERS_MAX);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct session_filter one = session_filter_from(&f->list[i]);
		enum rc rc = session_filter_check(&one, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

const char *packet_filters_text(char ret_text[PACKET_FILTERS_TEXT_MAX], const struct packet_filters *f)
{
	char text[SESSION_FILTER_TEXT_MAX];
	size_t n = 0;

	snprintf(ret_text, PACKET_FILTERS_TEXT_MAX, "all");
	for (uint32_t i = 0; i < f->n && i < PACKET_FILTERS_MAX; i++) {
		const struct session_filter one = session_filter_from(&f->list[i]);
		n += (size_t)snprintf(ret_text + n, PACKET_FILTERS_TEXT_MAX - n, "%s%s", n ? " --or " : "",
			session_filter_text(text, &one));
		assert(n < PACKET_FILTERS_TEXT_MAX);
	}
	return ret_text;
}

bool packet_filters_hold(const struct packet_filters *f, const struct ip_addr *src, const struct ip_addr *dst,
	uint8_t proto, uint16_t sport, uint16_t dport)
{
	for (uint32_t i = 0; i < f->n; i++) {
		const struct packet_filter *one = &f->list[i];
		if ((one->proto == 0 || one->proto == proto) && filter_range_holds(&one->src, src) &&
			filter_range_holds(&one->dst, dst) && port_range_holds(&one->sport, sport) &&
			port_range_holds(&one->dport, dport))
			return true;
	}
	return f->n == 0;
}
