/*
 * A worker: one run of the data plane's packet path, with everything that it writes. struct dataplane has what
 * the process has once.
 *
 * Worker 0 runs in the main thread, which also handles messages, rtnetlink and the timers of the process; it
 * owns the host's TUN device, and messages of IKE to port 4500 are its own. The others run in threads of their own (threads.c). What
 * they read beside their own the main thread changes in pauses only (pause.h); what they have for it they put into
 * the ring to worker 0 (rings.h).
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include "model/snapshot.h"
#include "proc/dataplane/limits.h"
#include "proc/dataplane/pipeline.h"
#include "proc/dataplane/rings.h"
#include "wire/segment.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct dataplane;

/* A worker's socket of one link. */
struct link_io {
	int fd;	       /* links.c owns it */
	bool reads;    /* it is this worker's own; else it is another one's, and only to send by */
	uint32_t link; /* the kernel's index */
	char name[INTERFACE_NAME_BYTES];
	uint32_t interface; /* in the snapshot, or TRAIN_NONE */
	uint32_t queued;
	bool no_udp_gso; /* this kernel takes no UDP trains (before 6.2) */
	bool bare;	 /* of what is queued: no link header; the protocol is passed in the address */
	struct sockaddr_ll to[2]; /* for that: IPv4, IPv6 */
	struct mmsghdr tx[TX_QUEUE];
	struct iovec tx_at[TX_QUEUE];
	uint32_t kernel_drops; /* of its socket, as seen last */
	bool tapped;	       /* the tap of carried sessions is attached instead of the filter */
	uint32_t filter_n;     /* of the filter that is attached */
	struct sock_filter filter[LINK_FILTER_MAX];
};

/* A worker's socket of tunnels; tunnels.c owns it. */
enum tunnel_input { TUNNEL_UDP4, TUNNEL_UDP6, TUNNEL_ESP4, TUNNEL_ESP6, TUNNEL_INPUTS };
struct tunnel_io {
	int fd;	    /* -1: none */
	bool reads; /* it is this worker's own; else the first one's, and only to send by */
};

struct worker {
	struct dataplane *dataplane;
	uint32_t index;
	struct pipeline pipeline;
	struct firewall *fw;
	struct train trains[RX_BURST];
	mono_ns next_expiry, next_second;
	mono_ns woke_at, longest_round; /* its last look at its inputs; the longest time to the next one */
	uint32_t given; /* a bit for each worker that has got something from this one and may sleep */
	bool log_waits; /* for room in the ring */
	struct fw_log log;

	/* io_link.c, io_filter.c, io_gather.c */
	struct link_io *links[LINKS_MAX];
	uint32_t links_n;
	bool links_changed; /* they have other numbers now, or sockets of tunnels are others */
	uint8_t *rx;	    /* RX_BURST * RX_BYTES */
	struct segment_joiner gatherer;
	uint8_t *gather;
	uint64_t filters_generation; /* of the tables that the filters were made from */
	bool filters_tapped;	     /* they are the tap of carried sessions */

	/* io_tunnel.c */
	struct tunnel_io tunnel[TUNNEL_INPUTS];
	struct segment_joiner joiner;
	uint8_t *join;
	uint64_t datagrams_in, keepalives, tunnel_too_big;
	uint32_t kernel_drops[TUNNEL_INPUTS]; /* of these sockets, as seen last */

	/* io_host.c */
	int tun;
};

/* The socket that it receives by; -1: none. */
static inline int tunnel_fd(const struct worker *w, enum tunnel_input i)
{
	return w->tunnel[i].reads ? w->tunnel[i].fd : -1;
}

/* worker.c. NULL: out of memory. */
struct worker *worker_new(struct dataplane *d, uint32_t index);
void worker_free(struct worker *w);
/* Between bursts, what each worker does for itself: log records, filters, what a commit left, timeouts, waiting
 * packets. Returns when to call again. */
mono_ns worker_timers(struct worker *w, mono_ns now);

/* It has looked at its inputs, or is about to. */
static inline void worker_woke(struct worker *w)
{
	w->woke_at = clock_mono();
}

static inline void worker_round_ends(struct worker *w, mono_ns now)
{
	if (w->woke_at != 0 && now - w->woke_at > w->longest_round)
		w->longest_round = now - w->woke_at;
}

/* handoff.c: the pipeline's ways to other workers; the context is a worker */
uint32_t worker_home(void *context, const struct train *t);
bool worker_hand_over(void *context, uint32_t to, enum handover_kind kind, const struct train *t);
bool worker_firewall_note(void *context, uint32_t to, const struct fw_note *note);
/* To the main thread, in whose place only it can act. False: the ring is full. */
bool worker_note(struct worker *w, enum ring_note kind, const void *bytes, uint32_t n);
/* Wakes those that have got something since the last call. */
void worker_wake_given(struct worker *w);
/* Wakes this one if it sleeps. */
void worker_wake(struct worker *w);
/* Between a burst's receipt and its run: notes about what was answered by it. */
void worker_notes_run(struct worker *w);
/* What the others have given to it; returns how many records. */
uint32_t worker_rings_run(struct worker *w);
struct rings_reader worker_reader(struct worker *w); /* who reads them */

/* io_link.c: each *_receive() runs one burst and returns how many trains or datagrams there were */
enum rc link_add(struct worker *w, const char *name, uint32_t link, int fd, bool reads, struct err *e);
void link_remove(struct worker *w, uint32_t link);
void links_bind(struct worker *w); /* after a snapshot */
uint32_t link_receive(struct worker *w, struct link_io *l);
void link_send(void *context, uint32_t interface, uint8_t *frame, uint32_t n);
void links_flush(void *context);

/* io_filter.c: attaches what has changed; cheap when nothing has */
void filters_refresh(struct worker *w);

/* io_gather.c */
/* Joins n frames into fewer, in place; returns how many there are then. */
uint32_t frames_gather(struct worker *w, struct iovec *frame, uint32_t n);
/* The address that states the protocol of a packet without a link header; NULL where there is a link
 * header. */
const struct sockaddr_ll *link_destination(const struct link_io *l, const uint8_t *ip);
/* Sends a UDP train packet by packet, which consumes it. False: not all could be sent. */
bool link_send_segmented(const struct link_io *l, uint8_t *frame, uint32_t n);

/* io_tunnel.c */
uint32_t tunnel_receive(struct worker *w, enum tunnel_input i);
/* What another worker has received and is this one's: of HANDOVER_SEALED. */
void tunnel_handed(void *context, const struct train *trains, uint32_t n, mono_ns now);
enum drop_reason tunnel_send(void *context, const struct esp_view *pair, const struct esp_batch *batch);

/* io_host.c */
uint32_t host_receive(struct worker *w);
struct tunnel_device;
uint32_t device_receive(struct worker *w, const struct tunnel_device *device);
enum drop_reason host_send(void *context, uint32_t tunnel, uint8_t *packet, uint32_t n);

#endif
