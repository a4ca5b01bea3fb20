/* What the pipeline's files share; see pipeline.h for who does what. */
#ifndef DATAPLANE_STAGES_H
#define DATAPLANE_STAGES_H

#include "proc/dataplane/pipeline.h"

/* A train's way through one burst. */
struct packet_context {
	struct train *t;
	uint32_t in_tunnel; /* or TRAIN_NONE */
	uint32_t mtu;	    /* of the way out */
	bool to_host;
	bool counted; /* a drop has been counted already */
};

/* way.c: sets the way out of trains without a drop; misses are admitted. */
void forward_decide(struct pipeline *p, struct packet_context *ctx);
uint64_t pipeline_generation(const struct pipeline *p);

/* leave.c */
void egress_send(struct pipeline *p, struct packet_context *ctx);
void egress_flush(struct pipeline *p);
/* The pair of t's tunnel that sends it; else DROP_TUNNEL_DOWN, or DROP_ESP_SELECTOR when there are pairs for other packets only. */
enum drop_reason tunnel_pair(const struct pipeline *p, const struct train *t, uint32_t *ret_pair);
/* t was lost to one of these two: ike is asked, once in a while, for a pair by the packet's own selectors (RFC 7296 section 2.9). */
void tunnel_wanted(struct pipeline *p, const struct train *t);
/* Puts a whole packet of ours on its way without the firewall: t parsed, tunnel or interface and next hop
 * set; mtu: of the link. */
void egress_send_own(struct pipeline *p, struct train *t, uint32_t mtu);
/*
 * Room for n octets, with head and tail room around, until the flush. When there is not enough left, what lies in the scratch is sent
 * and written over from its beginning: of what is still at work only an answer may lie there, near the end then, where its few pieces
 * do not come.
 */
uint8_t *egress_scratch_take(struct pipeline *p, uint32_t n);

/* answer.c: counts ctx->t->drop and tells the sender. */
void drop_reply(struct pipeline *p, struct packet_context *ctx);

/* queue_packet.c: the frame's destination; NULL: t is held or dropped (t->drop). */
const uint8_t *neighbour_resolve(struct pipeline *p, struct train *t, uint32_t mtu);

/* Before other numbers of interfaces: what is held is dropped. */
void neighbour_queue_drop_all(struct pipeline *p);

/* asks.c: asks the kernel for t's next hop on this link, unless it was asked lately or there are too many. */
enum solicit_result { SOLICIT_SENT, SOLICIT_RECENT, SOLICIT_LIMITED };
enum solicit_result neighbour_solicit(struct pipeline *p, uint32_t link, const struct train *t);
void neighbour_remember(struct pipeline *p, uint32_t link, const struct ip_addr *addr); /* it is there */

/* trace.c */
void trace_begin(struct pipeline *p, struct train *t);
void trace_flush(struct pipeline *p); /* the burst is over */
void trace_say(struct pipeline *p, const struct train *t, const char *stage, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static inline bool traced(const struct train *t)
{
	return t->flags & TRAIN_TRACED;
}

#endif
