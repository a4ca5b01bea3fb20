/*
 * The data plane's process: what joins the pipeline to sockets and to the other processes.
 *
 *	main.c       the sandbox, then the loop
 *	start.c      the start, once all resources are here
 *	loop.c       bursts, timers, messages
 *	pause.c      what all workers read changes while none of them does
 *	rings.c      trains and notes from one worker to another
 *	handoff.c    from one worker to another
 *	worker.c     a worker (worker.h): what the packet path writes
 *	threads.c    the threads of workers
 *	uplinks.c    health of uplinks: rounds of probes, and what follows from them
 *	workers.c    all workers together: their number, and what changes for all
 *	rule_log.c   log records of rules as text
 *	carry_maps.c what sessions that the kernel carries stand in
 *	record.c     the same to the export process
 *	links.c      the links' sockets, shared out to workers
 *	tunnels.c    those of tunnels
 *	steer.c      which of these the kernel delivers an ESP packet to
 *	io_link.c    AF_PACKET sockets: trains from and to the links
 *	io_filter.c  socket filters: packets that those sockets need not deliver
 *	io_gather.c  UDP packets that leave through them as trains
 *	io_tunnel.c  UDP 4500 and raw ESP sockets: packets opened and joined, batches sent
 *	io_host.c    the TUN devices
 *	devices.c    those that are interfaces of tunnels
 *	io_routes.c  rtnetlink: the mirror of the kernel's tables
 *	io_rules.c   rtnetlink: routing rules that the mirror does not follow
 *	memory.c     the state that outlives the process
 *	control.c    messages of the other processes
 *	control_snapshot.c  of these: a new configuration
 *	control_sas.c  of these: SAs
 *	show.c       tables for `show`
 *	show_counters.c  `show counters`
 *	show_question.c  the answer of `test policy`
 *
 * pipeline.h lists the files of the pipeline; limits.h has the limits of both.
 */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include "ipc/child.h"
#include "base/ring.h"
#include "ipc/snapshot_file.h"
#include "proc/dataplane/carry_maps.h"
#include "proc/dataplane/limits.h"
#include "proc/dataplane/pause.h"
#include "proc/dataplane/worker.h"

struct nlmsghdr;

/* A routing rule of the kernel (`ip rule`) beside those that every host has. */
struct ip_rule {
	uint32_t priority;
	bool followed;
	char text[160];
};

/* A link, as the supervisor has handed it over. */
struct link_files {
	uint32_t link; /* the kernel's index */
	char name[INTERFACE_NAME_BYTES];
	int fd[WORKERS_MAX]; /* one for each worker, at most; -1: none */
};

/* One that traces: packets of all workers, numbered in the order in which their first lines come. */
struct traces {
	uint64_t tag;
	uint32_t wanted, begun;
	/* of those packets that may still have lines */
	struct {
		uint32_t packet; /* the worker's number; 0: none */
		uint32_t number; /* ours; 0: one too many */
	} list[WORKERS_MAX][TRAIN_BURST_MAX];
};

struct dataplane {
	struct child child;
	const struct pipeline_io *io; /* of each worker, with the worker as its context */
	/* What a worker reads from its rings beside trains, with it as the context. */
	void (*note)(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n);
	void (*sealed)(void *context, const struct train *trains, uint32_t n, mono_ns now);
	uint32_t (*tunnel_receive)(struct worker *w, enum tunnel_input i);
	struct worker *workers[WORKERS_MAX]; /* workers_n of them; 0 is the main thread's */
	uint32_t workers_n;
	struct esp *esp;
	struct route_table *routes;

	/* handoff.c, threads.c, workers.c */
	struct rings rings;
	struct pause pause;
	struct ring_sleeper sleepers[WORKERS_MAX];
	int wake_fds[WORKERS_MAX]; /* eventfds; -1: none, there are no threads */
	pthread_t threads[WORKERS_MAX];
	bool threads_run;
	uint32_t threads_stop;	 /* atomic */
	uint32_t workers_wanted; /* by the configuration */

	/* links.c */
	struct link_files links[LINKS_MAX];
	uint32_t links_n;
	bool carries; /* the workers have `carry` */

	struct carry_maps carry;

	/* devices.c */
	struct tunnel_device {
		char name[INTERFACE_NAME_BYTES];
		uint32_t link; /* the kernel's index */
		int fd;
		bool told; /* else nothing since it was handed over, or since the present configuration */
		uint8_t carrier; /* enum carrier: as the supervisor was told last */
		bool gone;	 /* somebody removed it: there is nothing to wait for */
	} devices[TUNNEL_DEVICES_MAX];
	uint32_t devices_n;

	/* tunnels.c */
	int tunnel_fds[TUNNEL_INPUTS][WORKERS_MAX]; /* -1: none */
	mono_ns steer_at,
		steered; /* steer_at: when the kernel is told whose SPIs are whose; 0: it has been */

	/* memory.c */
	int state_fd;
	void *state;
	size_t state_n;
	void *esp_tables;
	size_t esp_tables_n;
	uint64_t *usage_reported; /* by pair: what ike was told last, as usage_mark() */
	uint32_t usage_round;	  /* of USAGE_ROUNDS seconds */
	uint32_t pairs_max, sessions_max;
	bool resumed;
	uint8_t flow_key[16]; /* which flow is at home where; lives as long as the sessions */

	/* the snapshot in use, mapped */
	struct snapshot_file snapshot, snapshot_next; /* next: being prepared */
	struct snapshot_file unchecked;		      /* the one that comes before that */
	struct snapshot_checking checking;
	uint64_t schedules_off; /* of the loaded one */
	bool schedules_reload; /* the loaded one is being prepared again, because the clock has changed that */

	/* workers.c: of destination NAT; what each firewall knows, for those that come later */
	struct endpoint servers_down[HEALTH_SERVERS_MAX];
	uint32_t servers_down_n;
	/* records of blocks of ports that standard error did not take; and since the last line that says so */
	uint64_t block_lines_lost, block_lines_unsaid;
	/* records for which there was no room in the link to export; and since the last one that it got */
	uint64_t records_lost, records_untold;

	/* uplinks.c */
	struct uplinks_health health;
	struct ip_addr next_hops[UPLINKS_MAX]; /* of the uplinks, as last known */
	struct msg_detour detours[2];	       /* as the supervisor has it; IPv4, IPv6 */
	mono_ns report_at, report_again;       /* the usage of SAs, to ike; 0: with the next second */
	char down_before[UPLINKS_MAX][NAME_MAX_BYTES];
	uint32_t down_before_n;

	/* io_routes.c */
	int route_fd;
	struct route_table *routes_next; /* being filled by a dump; NULL: none under way */
	struct route_table *routes_gone; /* is freed in pieces; NULL: none */
	uint32_t dump_step, sequence;
	bool dump_wanted, withheld_again; /* withheld_again: a route that found no room may find some now */
	mono_ns dumped;			  /* when the last dump began */
	struct path {
		struct ip_addr remote;
		uint32_t sequence; /* of the question under way, 0: none */
		mono_ns asked;
	} paths[PATHS_MAX]; /* remote endpoints whose path MTU is below the link's, or is being asked for */

	/* io_rules.c */
	struct ip_rule rules[RULES_SHOWN_MAX];
	uint32_t rules_n, rules_unfollowed, rules_logged;

	/* control.c */
	struct traces trace;
	struct capture_memory *capture; /* NULL: nothing is captured */
	struct msg_capture capture_what;
	struct clear {
		uint64_t tag;
		struct session_filter filter;
		uint32_t worker, cursor, count; /* the next record; sessions ended */
	} clears[CLEARS_MAX];			/* under way: the first one now, the others after it */
	uint32_t clears_n;
	/* show_sessions.c */
	struct survey {
		uint64_t tag;
		struct msg_show show;
		uint64_t generation;	 /* of the policy that it began under */
		uint32_t worker, cursor; /* the next record */
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
	} pending; /* the newest snapshot; fd: while it waits for the start */
	struct {
		bool waits;
		uint64_t tag;
		struct msg_result result;
	} taken; /* the answer about one, which waits for the number of workers to change */
	/* control_sas.c: an SA of a configuration to come; the keeper's link is not read meanwhile */
	struct {
		bool waits;
		uint64_t tag;
		mono_ns until;
		struct sa_install sa;
	} held;
	uint64_t sas_held; /* so many have waited */

	/* loop.c */
	bool started, aging_logged, adoption_logged;
	mono_ns next_second, messages_at; /* when the child's loop is run again, messages or not */
};

static inline bool dataplane_ready(const struct dataplane *d)
{
	return d->started && d->workers_n > 0 && d->workers[0]->fw && d->routes;
}

/* links.c: a socket for a worker; the link goes. Outside of bursts (pause.h). */
void links_take(struct dataplane *d, const char *name, uint32_t link, uint32_t worker, int fd);
void links_take_back(struct dataplane *d, uint32_t link);
void links_share_out(struct dataplane *d); /* to other workers than before */
void links_close(struct dataplane *d);

/* tunnels.c: a socket for a worker. Outside of bursts. */
void tunnels_take(struct dataplane *d, enum tunnel_input i, uint32_t worker, int fd);
void tunnels_share_out(struct dataplane *d); /* to other workers than before */
void tunnels_close(struct dataplane *d);
void tunnels_changed(struct dataplane *d);		 /* SAs, their owners, or sockets */
mono_ns tunnels_steer(struct dataplane *d, mono_ns now); /* tells the kernel; returns when to call again */

/* threads.c: threads for all workers but the first, which is the caller's */
/* A thread for one thing that takes long and that nobody waits for. False: there is none to be had. */
bool thread_run_once(void *(*run)(void *context), void *context);
enum rc threads_start(struct dataplane *d, struct err *e);
void threads_stop(struct dataplane *d);
void threads_wake_all(void *context); /* the dataplane: for pauses */

/* workers.c: all but the first and the last call in a pause, or before there are threads */
/* So many workers, which get everything that the first one has. Not in a pause: it ends the threads and makes new
 * ones. After an error the process cannot go on. */
enum rc workers_set(struct dataplane *d, uint32_t n, struct err *e);
/* A server of destination NAT is up again, or down. */
void workers_server(struct dataplane *d, const struct endpoint *server, bool up);
/* A snapshot is prepared for all of them, in pieces, while they go on by the loaded one; then loaded in a pause. */
enum rc workers_prepare(struct dataplane *d, const struct snapshot *s, struct err *e);
enum rc workers_prepare_go(struct dataplane *d, uint32_t budget, bool *ret_ready, struct err *e);
void workers_prepare_end(struct dataplane *d); /* it is given up */
void workers_load_prepared(struct dataplane *d);
void workers_sweep(struct dataplane *d); /* in a pause: what commits have left to be done, to its end */
/* What sessions are carried by may have come: of all workers from now on. */
enum rc workers_carry(struct dataplane *d, struct err *e);
void workers_carry_check(struct dataplane *d); /* pipeline_carry_check(); not only in a pause */
void workers_carry_pass(struct dataplane *d);
void workers_changed(struct dataplane *d); /* links or SAs: pipeline_changed() */
void workers_routes(struct dataplane *d);  /* d->routes is another one */
void workers_path_mtu(struct dataplane *d, uint32_t tunnel, uint32_t mtu);
void workers_neighbour(struct dataplane *d, uint32_t link, const struct ip_addr *addr, mono_ns now);
void workers_done(struct dataplane *d);

/* uplinks.c */
bool uplinks_init(struct dataplane *d);	  /* false: no random numbers */
mono_ns uplinks_run(struct dataplane *d); /* rounds that are due; returns when the next one is */
void uplinks_load(struct dataplane *d);	  /* of a new configuration; in a pause */
void uplinks_second(struct dataplane *d); /* next hops and routes may have changed; in a pause */
void uplinks_mirror(struct dataplane *d, struct route_table *t); /* a fresh mirror knows what is dead */
void uplinks_told(struct dataplane *d,
	const struct msg_uplink *m); /* what a process before has found out; in a pause */
/* An SA's own address is on an uplink, and packets to the peer go by another one now. */
bool uplinks_moved(const struct dataplane *d, const struct ip_addr *local, const struct ip_addr *remote);

struct rows_piece;
void show_uplinks(struct dataplane *d, struct rows_piece *piece);
/* show_workers.c */
void show_workers(struct dataplane *d, struct rows_piece *piece);

/* show_tunnels.c */
void show_tunnels(struct dataplane *d, struct rows_piece *piece);

/* show_screens.c */
void show_screens(struct dataplane *d, struct rows_piece *piece);
/* show_counters.c */
void show_counters(const struct dataplane *d, struct rows_piece *piece);
/* show_blocks.c */
void show_blocks(struct dataplane *d, struct rows_piece *piece, const struct msg_show *show);

/* show_question.c: the whole answer, or a refusal */
void show_question(struct dataplane *d, struct rows_piece *piece, uint64_t tag, const struct msg_show *show);

/* start.c */
enum rc dataplane_start(struct dataplane *d, struct err *e);

/* memory.c */
/* How many workers the sessions in this memory are divided among; 1 when there are none. */
uint32_t memory_workers(int fd);
/* For d->workers_n workers. */
enum rc memory_attach(struct dataplane *d, int fd, struct err *e);
/* For as many as there are now, which are others than before: SAs stay, the sessions end. */
enum rc memory_divide(struct dataplane *d, struct err *e);
void memory_detach(struct dataplane *d);
/* n zeroed octets in large pages where the machine has some: trains are copied through them. Not in core
 * dumps. NULL: out of memory. */
void *memory_buffers(size_t n);
void memory_buffers_free(void *p, size_t n);

/* devices.c */
void devices_take(struct dataplane *d, const char *name, uint32_t link, int fd);
void devices_take_back(struct dataplane *d, uint32_t link);
void devices_bind(struct worker *w);	      /* after a snapshot */
void devices_tell_again(struct dataplane *d); /* the same, once for all workers */
void devices_close(struct dataplane *d);
void device_gone(struct tunnel_device *device);
void devices_carry(
	struct dataplane *d); /* the supervisor hears which of them have carrier, and which are not used */
/* May what a route said, or one that it hides, matter though it leads into a tunnel that is down? */
bool devices_hold(const struct dataplane *d, const struct route_entry *e);
int device_fd(const struct dataplane *d, uint32_t link); /* -1: none */

/* io_routes.c */
enum rc routes_open(struct dataplane *d, int fd, struct err *e);
uint32_t routes_receive(struct dataplane *d);
void routes_ask_path(struct dataplane *d, const struct ip_addr *remote);
void routes_second(struct dataplane *d);
void routes_ahead(struct dataplane *d);	    /* memory for coming routes, outside of pauses */
bool routes_free_some(struct dataplane *d); /* a piece of a former mirror. True: there is none */

/* io_rules.c: around a dump of the rules, and for each of them */
void ip_rules_begin(struct dataplane *d);
void ip_rule_read(struct dataplane *d, struct route_table *t, const struct nlmsghdr *h);
void ip_rules_end(struct dataplane *d);

/* control.c; the context of the three that the pipeline calls is a worker */
extern const struct child_ops dataplane_ops;
void control_solicit(void *context, uint32_t link, const struct ip_addr *addr);
void control_acquire(void *context, const struct sa_acquire *asked);
void control_trace_line(void *context, uint32_t packet, const char *stage, const char *text,
	const struct packet_facts *facts);
/* The same of another worker, and what else its notes ask the main thread for. */
void control_note(void *context, uint32_t from, enum ring_note kind, const void *bytes, uint32_t n);
void control_trace_end(struct dataplane *d); /* once all that is wanted has been traced */
void control_ike_datagram(struct worker *w, const struct endpoint *local, const struct endpoint *remote,
	const uint8_t *bytes, uint32_t n);
bool control_clear(struct dataplane *d, uint32_t budget); /* a piece of `clear sessions`; true: no more */
void control_report_usage(struct dataplane *d);		  /* of SAs, to ike; once a second */

/* wall.c */
struct local_time wall_now(void);
void schedules_tell(struct dataplane *d, const struct snapshot *s); /* before it is loaded, in a pause */

/* schedules.c */
void schedules_second(struct dataplane *d);
bool schedules_load(struct dataplane *d, uint32_t budget); /* a piece of it; true: no more */

/* control_sas.c: in a pause, but control_sas_go() */
void control_sa(struct dataplane *d, struct ipc_frame *f);
void control_sas_go(struct dataplane *d, mono_ns now); /* one that waited, if that is over */
void control_sas_forget(struct dataplane *d);	       /* the keeper's link is gone */

/* control_snapshot.c */
void control_snapshot(struct dataplane *d, struct ipc_frame *f);
void control_snapshot_begin(struct dataplane *d);	 /* what has come is checked, and prepared */
bool control_load(struct dataplane *d, uint32_t budget); /* a piece of that; true: no more */
/* In a pause, all that is left of it. */
void control_load_now(struct dataplane *d);
void control_snapshot_taken(struct dataplane *d); /* the number of workers is the configured one */

/* show.c */
void show_table(struct dataplane *d, uint64_t tag, const struct msg_show *show);

/* show_sessions.c */
struct rows_piece;
void show_sessions(struct dataplane *d, struct rows_piece *piece, const struct msg_show *show);
/* Ends the sessions of a worker among the next `budget` records from *cursor that the filter selects. True: that was
 * its last record. */
bool show_clear_sessions(struct worker *w, const struct session_filter *filter, uint32_t *cursor,
	uint32_t *count, uint32_t budget);
/* Sums over sessions: taken up now, answered when all have been looked at. */
void show_survey(struct dataplane *d, uint64_t tag, const struct msg_show *show);
bool show_survey_piece(struct dataplane *d, uint32_t budget); /* true: none is under way */

/* loop.c */
bool dataplane_init(struct dataplane *d, int supervisor_fd); /* *d is zero; false: out of memory */
int dataplane_run(struct dataplane *d); /* until the supervisor ends it; returns main()'s status */
void dataplane_done(struct dataplane *d);

#endif
