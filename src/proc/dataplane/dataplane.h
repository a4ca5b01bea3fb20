/*
 * The data plane's process: what joins the pipeline to sockets and to the other processes. One worker thread.
 *
 *	main.c       the sandbox, then the loop
 *	start.c      the start, once all resources are here
 *	loop.c       bursts, timers, messages
 *	rule_log.c   log records of rules as text
 *	io_link.c    AF_PACKET sockets: trains from and to the links
 *	io_filter.c  socket filters: packets that those sockets need not deliver
 *	io_gather.c  UDP packets that leave through them as trains
 *	io_tunnel.c  UDP 4500 and raw ESP sockets: packets opened and joined, batches sent
 *	io_host.c    the TUN device
 *	io_routes.c  rtnetlink: the mirror of the kernel's tables
 *	io_rules.c   rtnetlink: routing rules that the mirror does not follow
 *	memory.c     the state that outlives the process
 *	control.c    messages of the other processes
 *	show.c       tables for `show`
 *
 * pipeline.h lists the files of the pipeline; limits.h has the limits of both.
 */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include "ipc/child.h"
#include "ipc/snapshot_file.h"
#include "proc/dataplane/limits.h"
#include "proc/dataplane/pipeline.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct link_io {
	int fd;
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
	uint32_t filter_n;     /* of the filter that is attached */
	struct sock_filter filter[LINK_FILTER_MAX];
};

struct nlmsghdr;

/* A routing rule of the kernel (`ip rule`) that the mirror does not follow. */
struct ip_rule {
	uint32_t priority;
	char text[160];
};

struct dataplane {
	struct child child;
	struct pipeline pipeline;
	struct firewall *fw;
	struct esp *esp;
	struct route_table *routes;

	/* memory.c */
	int state_fd;
	void *state;
	size_t state_n;
	void *esp_tables;
	size_t esp_tables_n;
	uint32_t pairs_max, sessions_max;
	bool resumed;

	/* the snapshot in use, mapped */
	struct snapshot_file snapshot;

	/* io_link.c, io_filter.c, io_gather.c */
	struct link_io *links[LINKS_MAX];
	uint32_t links_n;
	uint8_t *rx; /* RX_BURST * RX_BYTES */
	struct segment_joiner gatherer;
	uint8_t *gather;
	uint64_t filters_generation; /* of the tables that the filters were made from */

	/* io_tunnel.c */
	int udp4, udp6, esp4, esp6;
	struct segment_joiner joiner;
	uint8_t *join;
	uint64_t datagrams_in, keepalives, tunnel_too_big;
	uint32_t kernel_drops[4]; /* of the four sockets, as seen last */
	mono_ns ike_source[IKE_SOURCES], ike_all;

	/* io_host.c */
	int tun;

	/* io_routes.c */
	int route_fd;
	struct route_table *routes_next; /* being filled by a dump; NULL: none under way */
	uint32_t dump_step, sequence;
	bool dump_wanted;
	struct path {
		struct ip_addr remote;
		uint32_t sequence; /* of the question under way, 0: none */
		mono_ns asked;
	} paths[PATHS_MAX]; /* remote endpoints whose path MTU is below the link's, or is being asked for */

	/* io_rules.c */
	struct ip_rule rules[RULES_SHOWN_MAX];
	uint32_t rules_n, rules_logged;

	/* control.c */
	uint64_t trace_tag;
	struct {
		int fd; /* -1: none */
		uint64_t bytes, generation, tag;
	} pending; /* a snapshot that came before the start */

	/* loop.c */
	bool started;
	mono_ns next_second, next_expiry;
	struct train trains[RX_BURST];
};

static inline bool dataplane_ready(const struct dataplane *d)
{
	return d->started && d->fw && d->routes;
}

/* start.c */
enum rc dataplane_start(struct dataplane *d, struct err *e);

/* memory.c */
enum rc memory_attach(struct dataplane *d, int fd, struct err *e);
void memory_detach(struct dataplane *d);
/* n zeroed octets in large pages where the machine has some: trains are copied through them. Not in core
 * dumps, never freed. NULL: out of memory. */
void *memory_buffers(size_t n);

/* io_link.c: each *_receive() runs one burst and returns how many trains or datagrams there were */
enum rc link_add(struct dataplane *d, const char *name, uint32_t link, int fd, struct err *e);
void link_remove(struct dataplane *d, uint32_t link);
void links_bind(struct dataplane *d); /* after a snapshot */
uint32_t link_receive(struct dataplane *d, struct link_io *l);
void link_send(void *context, uint32_t interface, uint8_t *frame, uint32_t n);
void links_flush(void *context);

/* io_filter.c: attaches what has changed; cheap when nothing has */
void filters_refresh(struct dataplane *d);

/* io_gather.c */
/* Joins n frames into fewer, in place; returns how many there are then. */
uint32_t frames_gather(struct dataplane *d, struct iovec *frame, uint32_t n);
/* The address that states the protocol of a packet without a link header; NULL where there is a link
 * header. */
const struct sockaddr_ll *link_destination(const struct link_io *l, const uint8_t *ip);
/* Sends a UDP train packet by packet, which consumes it. False: not all could be sent. */
bool link_send_segmented(const struct link_io *l, uint8_t *frame, uint32_t n);

/* io_tunnel.c */
uint32_t tunnel_receive_udp(struct dataplane *d, int fd);
uint32_t tunnel_receive_esp(struct dataplane *d, int fd, uint8_t family);
enum drop_reason tunnel_send(void *context, const struct esp_view *pair, const struct esp_batch *batch);

/* io_host.c */
uint32_t host_receive(struct dataplane *d);
enum drop_reason host_send(void *context, uint8_t *packet, uint32_t n);

/* io_routes.c */
enum rc routes_open(struct dataplane *d, int fd, struct err *e);
uint32_t routes_receive(struct dataplane *d);
void routes_ask_path(struct dataplane *d, const struct ip_addr *remote);
void routes_second(struct dataplane *d);

/* io_rules.c: around a dump of the rules, and for each of them */
void ip_rules_begin(struct dataplane *d);
void ip_rule_read(struct dataplane *d, const struct nlmsghdr *h);
void ip_rules_end(struct dataplane *d);

/* control.c */
extern const struct child_ops dataplane_ops;
void control_solicit(void *context, uint32_t link, const struct ip_addr *addr);
void control_acquire(void *context, const struct sa_acquire *asked);
void control_trace_line(void *context, uint32_t packet, const char *stage, const char *text);
void control_ike_datagram(struct dataplane *d, const struct endpoint *local, const struct endpoint *remote,
	const uint8_t *bytes, uint32_t n);
void control_report_usage(struct dataplane *d); /* of SAs, to ike; once a second */

/* show.c */
void show_table(struct dataplane *d, uint64_t tag, const struct msg_show *show);
uint32_t show_clear_sessions(struct dataplane *d, const struct msg_filter *filter);

/* loop.c */
bool dataplane_init(struct dataplane *d, int supervisor_fd); /* *d is zero; false: out of memory */
int dataplane_run(struct dataplane *d); /* until the supervisor ends it; returns main()'s status */
void dataplane_done(struct dataplane *d);

#endif
