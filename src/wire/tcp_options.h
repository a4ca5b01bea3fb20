/*
 * Options of TCP that are agreed on in the handshake (RFC 9293, RFC 7323, RFC 2018), and segments of the gateway's own that carry
 * them. Called by the data plane, which answers and sends SYNs in the place of others.
 */
#ifndef WIRE_TCP_OPTIONS_H
#define WIRE_TCP_OPTIONS_H

#include "wire/train.h"

#define TCP_SCALE_MAX 14 /* RFC 7323 section 2.3 */

struct tcp_options {
	uint16_t mss;  /* 0: not said */
	uint8_t scale; /* of windows, at most 14 */
	bool scales, sack, stamps;
	uint32_t ts, ts_echo; /* with stamps */
};

/* Of t, parsed, TCP. What follows a malformed option is not read. */
void tcp_options_read(const struct train *t, struct tcp_options *ret_options);

/* The option at *at in n octets, which is advanced past it: it has ret_n octets, all of them there. NULL: no more. Fillers are
 * passed over. */
uint8_t *tcp_option_next(uint8_t *options, size_t n, size_t *at, size_t *ret_n);

struct tcp_made {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port, window;
	uint32_t seq, ack; /* ack 0 without the flag */
	uint8_t flags, hop_limit;
	struct tcp_options options;
};

#define TCP_MADE_MAX 96 /* IPv6, and all of these options */

/* Writes a whole packet without payload, as short as its options allow. Returns its length. */
size_t tcp_make(uint8_t packet[TCP_MADE_MAX], const struct tcp_made *m);

/* ---- fields of a parsed segment ---- */

static inline uint32_t tcp_seq(const struct train *t)
{
	return load_be32(t->ip + t->l4_offset + 4);
}

static inline uint32_t tcp_ack(const struct train *t)
{
	return load_be32(t->ip + t->l4_offset + 8);
}

static inline uint16_t tcp_window(const struct train *t)
{
	return load_be16(t->ip + t->l4_offset + 14);
}

#endif
