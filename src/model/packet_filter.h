/*
 * Which packets an administrator asks for by `trace` and `capture`: several filters of which one must hold, each of options that must all
 * hold, as in session_filter.h, whose first five they are. Travels in messages: no padding. Pure; callers as there.
 */
#ifndef MODEL_PACKET_FILTER_H
#define MODEL_PACKET_FILTER_H

#include "model/session_filter.h"

#define PACKET_FILTERS_MAX 8 /* compared with each packet while something is traced or captured */
#define PACKET_FILTERS_TEXT_MAX                                                                              \
	2048 /* eight of 223 octets, and the words between; an entry of the ledger has 3,072 */

struct packet_filter {
	uint32_t proto; /* 0: any */
	struct ip_range src, dst;
	struct port_range sport, dport;
};

struct packet_filters {
	uint32_t count; /* packets after which it stops */
	uint32_t n;	/* 0: every packet */
	struct packet_filter list[PACKET_FILTERS_MAX];
};

/* What a filter of sessions says of packets. */
struct packet_filter packet_filter_from(const struct session_filter *f);
/* What came from a client: as packet_filter_from() makes it, or RC_MALFORMED. */
enum rc packet_filters_check(const struct packet_filters *f, struct err *e);
/* "--src 10.1.0.0/24 --or --proto 6"; "all" of none. Returns ret_text. */
const char *packet_filters_text(char ret_text[PACKET_FILTERS_TEXT_MAX], const struct packet_filters *f);

/* Ports: of ICMP queries the identifier in both. */
bool packet_filters_hold(const struct packet_filters *f, const struct ip_addr *src, const struct ip_addr *dst,
	uint8_t proto, uint16_t sport, uint16_t dport);

#endif
