/*
 * The data plane's process: what joins the pipeline to sockets and to the other processes.
 *
 *	main.c       the sandbox, then the loop
 *	start.c      the start, once all resources are here
 *	loop.c       bursts, timers, messages
 *	pause.c      what all workers read changes while none of them does
 *	rings.c      trains and notes from one worker to another
 *	worker.c     a worker (worker.h): what the packet path writes
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
#include "proc/dataplane/worker.h"

struct nlmsghdr;

/* A routing rule of the kernel (`ip rule`) that the mirror does not follow. */
struct ip_rule {
	uint32_t priority;
	char text[160];
};

struct dataplane {
	struct child child;
	struct worker *workers[WORKERS_MAX]; /* workers_n of them; 0 is the main thread's */
	uint32_t workers_n;
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
	struct clear {
		uint64_t tag;
		struct session_filter filter;
		uint32_t cursor, count; /* the next record; sessions ended */
	} clears[CLEARS_MAX];		/* under way: the first one now, the others after it */
	uint32_t clears_n;
	/* show_sessions.c */
	struct survey {
		uint64_t tag;
		struct msg_show show;
		uint64_t generation; /* of the policy that it began under */
		uint32_t cursor;     /* the next record */
		bool begun;
	} surveys[SURVEYS_MAX]; /* the first one is under way */
	uint32_t surveys_n;
	union {
		struct fw_tally tally;
		struct fw_talkers talkers;
	} survey; /* what the first one has found */
	mono_ns ike_source[IKE_SOURCES], ike_all;
	struct {
		int fd; /* -1: none */
		uint64_t bytes, generation, tag;
	} pending; /* a snapshot that came before the start */

	/* loop.c */
	bool started;
	mono_ns next_second;
};

static inline bool dataplane_ready(const struct dataplane *d)
{
	return d->started && d->workers_n > 0 && d->workers[0]->fw && d->routes;
}

/* start.c */
enum rc dataplane_start(struct dataplane *d, struct err *e);

/* memory.c */
enum rc memory_attach(struct dataplane *d, int fd, struct err *e);
void memory_detach(struct dataplane *d);
/* n zeroed octets in large pages where the machine has some: trains are copied through them. Not in core
 * dumps, never freed. NULL: out of memory. */
void *memory_buffers(size_t n);

/* io_routes.c */
enum rc routes_open(struct dataplane *d, int fd, struct err *e);
uint32_t routes_receive(struct dataplane *d);
void routes_ask_path(struct dataplane *d, const struct ip_addr *remote);
void routes_second(struct dataplane *d);

/* io_rules.c: around a dump of the rules, and for each of them */
void ip_rules_begin(struct dataplane *d);
void ip_rule_read(struct dataplane *d, const struct nlmsghdr *h);
void ip_rules_end(struct dataplane *d);

/* control.c; the context of the three that the pipeline calls is a worker */
extern const struct child_ops dataplane_ops;
void control_solicit(void *context, uint32_t link, const struct ip_addr *addr);
void control_acquire(void *context, const struct sa_acquire *asked);
void control_trace_line(void *context, uint32_t packet, const char *stage, const char *text);
void control_ike_datagram(struct worker *w, const struct endpoint *local, const struct endpoint *remote,
	const uint8_t *bytes, uint32_t n);
bool control_clear(struct dataplane *d, uint32_t budget); /* a piece of `clear sessions`; true: no more */
void control_report_usage(struct dataplane *d);		  /* of SAs, to ike; once a second */

/* show.c */
void show_table(struct dataplane *d, uint64_t tag, const struct msg_show *show);

/* show_sessions.c */
struct rows_piece;
void show_sessions(struct dataplane *d, struct rows_piece *piece, const struct msg_show *show);
/* Ends the sessions among the next `budget` records from *cursor that the filter selects. True: that was the last
 * record. */
bool show_clear_sessions(struct dataplane *d, const struct session_filter *filter, uint32_t *cursor,
	uint32_t *count, uint32_t budget);
/* Sums over sessions: taken up now, answered when all have been looked at. */
void show_survey(struct dataplane *d, uint64_t tag, const struct msg_show *show);
bool show_survey_piece(struct dataplane *d, uint32_t budget); /* true: none is under way */

/* loop.c */
bool dataplane_init(struct dataplane *d, int supervisor_fd); /* *d is zero; false: out of memory */
int dataplane_run(struct dataplane *d); /* until the supervisor ends it; returns main()'s status */
void dataplane_done(struct dataplane *d);

#endif
