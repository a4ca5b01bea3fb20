/* What the pipeline's files share; pipeline.h lists them. */
#ifndef DATAPLANE_STAGES_H
#define DATAPLANE_STAGES_H

#include "alg/offset.h"
#include "proc/dataplane/pipeline.h"
#include "wire/tcp_options.h"

/* What the stages of one burst know about a train beside the train itself. */
struct packet_context {
	struct train *t;
	uint32_t in_tunnel; /* the tunnel that it arrived by, or TRAIN_NONE */
	uint32_t
		by_device; /* the tunnel by whose interface the host sent it, and 1; 0: none (TRAIN_NONE and 1 is 0) */
	uint32_t mtu,
		mtu_out; /* of the path out, for a packet as it arrived and as it leaves: NAT64 changes its size */
	bool to_host;
	bool counted; /* its fate is counted already, or it is the kernel's: no drop of ours */
	uint8_t syn;  /* enum syn_due */
	struct forward_answer *asked; /* NULL: a packet. Else one that does not exist: question.c */
};

/* What forward_decide() would do with a first packet. */
struct forward_answer {
	struct fw_dnat dnat;
	struct fw_verdict verdict; /* only where it is decided */
	bool decided;		   /* by policy; else t->drop, or the kernel gets it */
	bool to_host;
	uint32_t owner; /* worker that decides instead; TRAIN_NONE: none */
};

/* Of all that a forwarding decision is made from: a decision with another generation is made again. */
static inline uint64_t pipeline_generation(const struct pipeline *p)
{
	return p->changes + route_generation(p->routes);
}

/* handover.c */
/* False: its flow belongs to another worker, which has it now (counted), or could not take it (drop). */
bool handover_at_home(struct pipeline *p, struct packet_context *ctx);
/* The firewall of another worker is to admit it. */
void handover_to_owner(struct pipeline *p, struct packet_context *ctx, uint32_t owner);
/* Past the firewall, to the worker that seals it, the owner of its pair of SAs. */
void handover_to_tunnel(struct pipeline *p, struct train *t, uint32_t owner);

/* screens.c: each of them sets t->drop where a screen of the zone drops it. */
bool screens_new(struct pipeline *p); /* false: out of memory */
void screens_free(struct pipeline *p);
void screens_load(struct pipeline *p, const struct snapshot *old); /* a new snapshot is in use */
/* What the headers of a train say that has arrived, and been parsed. */
void screen_arrived(struct pipeline *p, struct train *t, uint32_t in_tunnel);
void screen_reassembled(struct pipeline *p, struct train *t);
/* A train that begins a session, if policy permits it; or one to somebody who has not answered yet. */
/* True: a SYN that is to be answered with a cookie. */
bool screen_begins(struct pipeline *p, struct train *t);
void screen_joins(struct pipeline *p, struct train *t); /* a cookie has come back, and would begin one */
void screen_unanswered(struct pipeline *p, struct train *t);
/* server: to whom the session will be. */
void screen_sessions(struct pipeline *p, struct train *t, const struct ip_addr *server);
/* The zone's rule about where the source of t must be routed to. */
enum screen_spoofing screen_spoofing(const struct pipeline *p, const struct train *t);
void screen_spoofed(struct pipeline *p, struct train *t);
/* May packets of an established session meet a screen, so that the kernel must not carry it? */
bool screen_watches(const struct pipeline *p, const struct fw_session *s);

static inline bool screens_apply(const struct pipeline *p, const struct train *t)
{
	return p->screens->any && t->in_zone < ZONES_MAX && p->screens->of[t->in_zone];
}

struct syn_joining {		    /* a connection that a cookie has shown to be wanted */
	uint32_t seq, cookie;	    /* the client's first number, and the gateway's */
	uint16_t window;	    /* of the client, as its SYN would announce it */
	struct tcp_options options; /* the client's, with its timestamp and its echo of the gateway's */
};
/* Of a train. SYN_OURS: it is a packet of ours in the place of a session's client. */
enum syn_due { SYN_NOTHING, SYN_ANSWERED, SYN_REFUSED, SYN_OURS };

/* syn_cookies.c */
bool syn_proxy_new(struct pipeline *p); /* false: out of memory */
void syn_proxy_free(struct pipeline *p);
void syn_proxy_burst(struct pipeline *p);  /* a burst begins */
void syn_proxy_forget(struct pipeline *p); /* interfaces are numbered differently */
/* Does t, which has no session, return a cookie? */
bool syn_accepts(struct pipeline *p, struct train *t, struct syn_joining *ret_joining);
/* The same of one with a closed session, whose ports the client uses again. */
bool syn_reopens(struct pipeline *p, const struct train *t);
/* t becomes the SYN of its sender; and has a session. */
void syn_open(struct pipeline *p, struct train *t, const struct syn_joining *j);
void syn_opened(struct pipeline *p, const struct packet_context *ctx, const struct syn_joining *j);
/* What is due when it is decided: the SYN of ctx is answered, mss is what its way takes; or its client is reset. */
void syn_answer(struct pipeline *p, struct packet_context *ctx, uint32_t mss);
void syn_refuse(struct pipeline *p, struct packet_context *ctx, const struct syn_joining *j);

/* syn_proxy.c */
void syn_proxy_settle(struct pipeline *p, const struct packet_context *ctx); /* what is due */
/* A train that was decided about is applied: its numbers, what is read of it, the firewall. */
void syn_proxy_apply(struct pipeline *p, struct train *t);

/* forward.c: decides where a train without a drop goes; what has no session is admitted. */
void forward_decide(struct pipeline *p, struct packet_context *ctx);
/* The same of a train that does not exist, without a session: ctx->asked is filled, t->drop set, and nothing changes. */
void forward_consider(struct pipeline *p, struct packet_context *ctx);

/* forward_source.c */
/* The interface with this index of the kernel's, or TRAIN_NONE. */
uint32_t pipeline_interface_of_link(const struct pipeline *p, uint32_t link);
/* in_link: the link that it comes by, or ROUTE_NONE. vrf: where it is looked up. */
struct route_flow forward_flow(
	const struct pipeline *p, const struct selectors_packet *packet, uint32_t in_link, uint8_t vrf);
/* Of an interface, or of a tunnel that has one; ROUTE_NONE: of neither. */
uint32_t forward_link_of(const struct pipeline *p, uint32_t interface, uint32_t tunnel);
/* Of a first packet, which leaves by this link: where must its source be routed to? A screen of the zone may ask for more than
 * its zone, or for less; one of alarms lets pass what only it would drop. */
void forward_source_check(struct pipeline *p, const struct packet_context *ctx,
	const struct selectors_packet *packet, uint32_t leaves);
/* Of one that belongs to a session, or of an error about it: DROP_TUNNEL_REQUIRED if it came in clear text, and what goes
 * back to its source enters a tunnel that routes choose. packet: the session's, as it arrives. */
enum drop_reason forward_clear_text_check(const struct pipeline *p, const struct packet_context *ctx,
	const struct fw_session *s, const struct selectors_packet *packet, uint32_t leaves);
/* The interface or the tunnel by which the kernel's routes lead back to where t is from; TRAIN_NONE: by none. */
void forward_way_of_source(
	const struct pipeline *p, const struct train *t, uint32_t *ret_interface, uint32_t *ret_tunnel);

/* forward_device.c: packets of the host by the interface of a tunnel */
/* Is it for a group of the link that such a tunnel is? */
bool forward_hears_group(const struct pipeline *p, const struct packet_context *ctx);
void forward_by_device(struct pipeline *p, struct packet_context *ctx);

/* RFC 1812 section 4.2.2.9, RFC 8200 section 5. A train's packets have the size of its segments. */
static inline enum drop_reason forward_size_check(const struct packet_context *ctx)
{
	const struct train *t = ctx->t;
	uint32_t n = t->segment_size ? t->payload_offset + t->segment_size : t->len;

	if (t->flags & TRAIN_REASSEMBLED) /* sent in fragments no larger than those received */
		n = MIN_OF(n, (uint32_t)t->fragment_max);
	return n > ctx->mtu && t->dont_fragment ? DROP_TOO_BIG : DROP_NONE;
}

/* It arrived by a tunnel with an interface. */
static inline bool forward_comes_routed(const struct pipeline *p, const struct packet_context *ctx)
{
	return ctx->t->flags & TRAIN_FROM_TUNNEL && p->tunnels[ctx->in_tunnel].routed;
}

/* forward_destination.c */
struct selectors_packet forward_packet_of(const struct train *t); /* as it came */
/* Of ctx->t, which has no session: what translates its destination, and the packet with the addresses of its real ends. Returns why
 * it must not pass. Where another worker is to decide it has the packet then, and ctx->counted is set. */
enum drop_reason forward_destination(struct pipeline *p, struct packet_context *ctx, struct fw_dnat *ret_dnat,
	struct selectors_packet *ret_packet);
/* t as it will leave, but for source NAT: for what is decided by the real destination. */
struct train forward_with_destination(const struct train *t, const struct fw_dnat *d);
/* The interfaces whose address is the one that t was sent to, where a rule of destination NAT asks for them. */
uint64_t forward_interfaces_of(const struct pipeline *p, const struct train *t);
bool forward_is_nat64(const struct train *t, const struct fw_dnat *d); /* d makes it another family's */

/* pipeline.c: what no packet is, wherever it goes; DROP_NONE otherwise. Headers are read, and its zone is known. */
enum drop_reason pipeline_arrival_check(const struct train *t);

/* alg.c: what is known of a train before it is applied. */
struct alg_pass {
	bool opens;	 /* it completes the handshake of a connection that may be read */
	bool shifted;	 /* its connection's text has changed in length; offset: of each direction */
	struct ftp *ftp; /* if so, and it is known */
	struct alg_offset offset[2];
};
void alg_burst(struct pipeline *p); /* a burst begins */
/* Before t is applied: the numbers of TCP as its firewall counts. */
void alg_before(struct pipeline *p, struct train *t, struct alg_pass *pass);
/* Reads the text of a train that passes; what must not pass gets a drop reason. */
void alg_read(struct pipeline *p, struct train *t, const struct alg_pass *pass);

/* tunnel.c */
/* The pair of SAs that sends t into its tunnel; else DROP_TUNNEL_DOWN, or DROP_ESP_SELECTOR when there are
 * pairs for other packets only. */
uint32_t tunnel_mtu_for(
	struct pipeline *p, const struct train *t); /* of t->tunnel, for packets of t's family */
enum drop_reason tunnel_pair(const struct pipeline *p, const struct train *t, uint32_t *ret_pair);
/* t was dropped for one of these two: ike is asked, at most every ACQUIRE_INTERVAL, for a pair by the
 * packet's own selectors (RFC 7296 section 2.9). */
void tunnel_acquire(struct pipeline *p, const struct train *t);

/* egress.c */
void egress_send(struct pipeline *p, struct packet_context *ctx);
/* Sends what is sealed and waits in the batch. */
void egress_flush(struct pipeline *p);
/* Sends a whole packet of ours, without the firewall: t is parsed, its tunnel or its interface and next
 * hop are set; mtu: of the link. */
void egress_send_own(struct pipeline *p, struct train *t, uint32_t mtu);
/*
 * Room for n octets, with head and tail room around, until the flush. When there is not enough left, the
 * frames that lie in the scratch are sent and overwritten from its beginning: of what is still in use only an
 * ICMP error may lie there, near the end then, which its few fragments do not reach.
 */
uint8_t *egress_scratch_take(struct pipeline *p, uint32_t n);

/* drop_reply.c: counts ctx->t->drop and sends the error that the sender is owed. */
void drop_reply(struct pipeline *p, struct packet_context *ctx);

/* neighbour.c */
/* The frame's destination; NULL: t is queued until the neighbour answers, or dropped (t->drop). */
const uint8_t *neighbour_resolve(struct pipeline *p, struct train *t, uint32_t mtu);
bool neighbour_queued_for(
	const struct pipeline *p, const struct queued_packet *q, uint32_t link, const struct ip_addr *addr);
void neighbour_queued_free(struct pipeline *p, struct queued_packet *q);
/* Before interfaces are numbered differently: what is queued is dropped. */
void neighbour_queue_drop_all(struct pipeline *p);

/* solicit.c: has the kernel resolve t's next hop on this link, unless that was done lately or there are
 * too many. */
enum solicit_result { SOLICIT_SENT, SOLICIT_RECENT, SOLICIT_LIMITED };
enum solicit_result neighbour_solicit(struct pipeline *p, uint32_t link, const struct train *t);
/* A known link address is to be confirmed; the kernel is asked unless that was done lately. */
void neighbour_confirm(struct pipeline *p, uint32_t link, const struct ip_addr *addr);
void neighbour_remember(struct pipeline *p, uint32_t link, const struct ip_addr *addr); /* it has answered */

/* proxy.c: after a new snapshot is in use; `old` is the one before, or NULL */
void proxies_load(struct pipeline *p, const struct snapshot *old);

/* forward.c: what the way of a cached decision out of a link takes of a packet that leaves with this family. */
uint32_t forward_link_mtu(const struct pipeline *p, const struct fw_forwarding *cached, uint8_t family);
/* Decides the way of the answers to a session that has none yet, as its first answer would; by the session's index. False: it
 * takes that packet. */
bool forward_answers(struct pipeline *p, uint32_t index);

/* alg.c: is the text of its packets read, or may it be? */
bool alg_may_read(const struct pipeline *p, const struct fw_session *s);

/* carried.c */
void carried_offer(
	struct pipeline *p, const struct train *t); /* t leaves by a link: its session may be carried */
/* Before the burst is sent, and after it. */
void carried_burst(struct pipeline *p, bool is_sent);
void carried_notes(
	struct pipeline *p, mono_ns now); /* what the programs have noted, before sessions are looked up */
void carried_neighbour(
	struct pipeline *p, uint32_t link, const struct ip_addr *addr); /* its state may be another */

/* trace.c */
void trace_begin(struct pipeline *p, struct train *t, uint32_t in_tunnel);
void trace_flush(struct pipeline *p); /* the burst is over */
/* capture.c */
void capture_arrived(struct pipeline *p, struct train *t, uint32_t in_tunnel);
void capture_ended(struct pipeline *p, const struct train *t, enum packet_verdict verdict);
void capture_flush(struct pipeline *p); /* the burst is over */
/* facts.c; in_tunnel: by which it arrived, or TRAIN_NONE. */
void packet_facts_of(const struct pipeline *p, const struct train *t, uint32_t in_tunnel,
	enum packet_verdict verdict, struct packet_facts *ret_facts);

/* verdict: PACKET_NONE unless the packet's way ends with this stage. */
void trace_say(struct pipeline *p, const struct train *t, const char *stage, enum packet_verdict verdict,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static inline bool train_is_traced(const struct train *t)
{
	return t->flags & TRAIN_TRACED;
}

#endif
