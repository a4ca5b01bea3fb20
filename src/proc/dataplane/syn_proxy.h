/*
 * Connections that begin by a SYN cookie (screen/cookie.h). While SYNs to one address and port come faster than a screen's
 * attack-threshold, the gateway answers them itself and keeps nothing. Who returns the cookie gets a session: the segment becomes
 * the client's SYN, with its own first number and the options that the cookie kept, and goes the way of any first packet. The
 * server's answer is acknowledged for the client, and from then on the numbers of both sides are translated (wire/tcp_join.h), for
 * which the session has the difference.
 *
 * Until the server has answered the client sees a closed window, so that it sends nothing that somebody would have to keep (as
 * Linux's synproxy does). The answer opens it. A SYN that is lost behind the gateway nobody else would repeat: so those that wait
 * are kept in a table of a fixed size, are sent again after 1, 3 and 7 seconds, and the client is reset when no answer has
 * come. Where there is no room in it the client's own probes of the window repeat the SYN.
 *
 *	syn_cookies.c   which segments return a cookie, and what they become; for forward.c
 *	syn_proxy.c     the answers, and the life of joined sessions; over forward.c, for pipeline.c
 *
 * Secrets are the same for all workers, which share hash_key; a cookie is checked by whichever worker gets it.
 */
#ifndef DATAPLANE_SYN_PROXY_H
#define DATAPLANE_SYN_PROXY_H

#include "proc/dataplane/stages.h"

/* A connection whose server has not answered. */
struct syn_waiting {
	uint32_t session, id;
	mono_ns at, until; /* of the next SYN; of the reset */
	uint32_t tries;
	uint32_t in_tunnel;
	struct syn_joining joining;
};

struct syn_proxy {
	/* of the train that was decided about last, by its ctx->syn */
	uint32_t answer_mss;
	struct syn_joining refused;
	uint32_t waiting_n;
	struct syn_waiting waiting[SYN_WAITING_MAX];
	uint32_t packets_n; /* of this burst: trains that are packets of ours now */
	uint8_t packet[TRAIN_BURST_MAX][TRAIN_HEAD_ROOM + TCP_MADE_MAX + TRAIN_TAIL_ROOM];
};

/* t is this packet from now on, until the end of the burst. */
void syn_become(struct pipeline *p, struct train *t, const struct tcp_made *m);
/* What t, a segment of a client, returns; false: no cookie. */
bool syn_cookie_read(const struct pipeline *p, const struct train *t, struct syn_joining *ret_joining);
/* For the SYN to the server. */
struct tcp_options syn_joining_options(const struct syn_joining *j);
void syn_cookie_sent(struct pipeline *p);

#endif
