/*
 * SYN cookies: what a SYN asked for, in the numbers of the answer to it, under a secret, so that nothing has to be kept until the
 * sender shows that it has received the answer (RFC 4987 section 3.6). Pure.
 *
 * The sequence number of the answer is
 *
 *	H(secret, flow, client's number) + (options in 8 bits, MAC of all of these and of the options in 24 bits)
 *
 * modulo 2^32, so the options are not to be seen in it. Where the client sends timestamps, the timestamp of the answer is 32
 * further bits of the same MAC: the client has to return both. A secret is made of the key of the process for each
 * SYN_COOKIE_S seconds; a cookie of the present and of the last one is good, and a segment without text may stand at two places.
 * So one forged acknowledgement in 4 million is taken for a cookie, and with timestamps none.
 */
#ifndef SCREEN_COOKIE_H
#define SCREEN_COOKIE_H

#include "base/clock.h"
#include "wire/tcp_options.h"

#define SYN_COOKIE_S 32 /* the least time that a cookie is good; the most is twice of it */

struct syn_cookie {
	uint32_t seq, ts;
};

/* t: a SYN with these options. */
struct syn_cookie syn_cookie_make(
	const uint8_t key[16], const struct train *t, const struct tcp_options *o, mono_ns now);
/*
 * Is t, an ACK, the answer to a cookie? It may have text, which follows the client's first number, or be a probe of a window that
 * was announced as 0, with the number before. *ret_options: of the SYN, with a segment size that is no larger (one below 216
 * octets no host has) and the timestamps of t; *ret_seq: the SYN's number.
 */
bool syn_cookie_check(const uint8_t key[16], const struct train *t, mono_ns now,
	struct tcp_options *ret_options, uint32_t *ret_seq);
#endif
