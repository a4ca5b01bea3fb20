/*
 * plaingated: opens what needs privilege, measures executables, starts them, hands resources over, restarts
 * processes that end, and keeps the kernel from forwarding past the data plane. It parses nothing that comes
 * from a network. One thread, ipc/loop.h.
 *
 *   options.h     the options of its command line
 *   limits.h      limits: waiting, restarts, what it reads
 *   main.c        options, the lock, signals, the end
 *   notify.c      tells the service manager that the filter stands
 *   answers.c     the file of known answers, measured and sealed for the keeper
 *   children.c    the life of each process: measured, entered, started, ready, ended, restarted
 *   entered.c     executables whose start the ledger has, kept for the next start
 *   launch.c      executables measured once; one start: fork, execute
 *   carry.c       the programs that carry sessions in the kernel (carry.h)
 *   handover.c    links between processes and resources for them
 *   directories.c directories, keys and the memory that outlives the data plane
 *   sockets.c     UDP, raw ESP, TUN, rtnetlink, AF_PACKET
 *   devices.c     interfaces of tunnels
 *   interfaces.c  the zones' interfaces as they come and go; multicast for proxy-ndp
 *   links.c       sub-interfaces and their parents
 *   kernel.c      sysctls
 *   filter.c      nftables: the ingress filter
 *   filter_text.c its text
 *   filter_rules.c that of rules to and from the gateway itself
 *   routes.c      the host's own routes into tunnels; neighbours
 *   host_routes.c which routes these are
 *   netlink.c     requests to the kernel
 *   health.c      health of servers behind destination NAT (health.h)
 *   uplinks.c     states of uplinks, and the host's own default route while one is down
 *   snapshot.c    a configuration arrives
 *   witnesses.c   connections to the ledger's witnesses, and their list for the next start
 *   names.c       sockets to the machine's name servers, for the courier
 *   streams.c     connections to collectors of session records
 *   show.c        `show status`
 */
#ifndef PROC_SUPERVISOR_SUPERVISOR_H
#define PROC_SUPERVISOR_SUPERVISOR_H

#include "crypto/hash.h"
#include "ipc/ledger_client.h"
#include "ipc/port.h"
#include "ipc/snapshot_file.h"
#include "proc/supervisor/carry.h"
#include "proc/supervisor/health.h"

#include <limits.h>
#include <sys/types.h>

#define TUN_MTU		1400u	/* leaves room for ESP in UDP over 1500 */
#define OWN_MARK	0x5047u /* on packets of IKE and ESP: they do not go into tunnels */
#define TUNNEL_PROTOCOL 180u	/* who made the route: shown by `ip route` */

#define RESOURCES_MAX (30 + (INTERFACES_MAX + 4) * WORKERS_MAX + TUNNEL_DEVICES_MAX)
#define STATE_BYTES   (4ull << 30) /* sparse: what is not touched costs nothing */

#define READY_WAIT_NS (15 * NS_PER_S)
#define STOP_WAIT_NS  (2 * NS_PER_S)

enum life {
	LIFE_DOWN,     /* not to be started (any more) */
	LIFE_ENTERING, /* measured; the ledger's receipt for its start is awaited */
	LIFE_STARTING, /* executed; READY is awaited */
	LIFE_READY,
	LIFE_BACKOFF, /* it ended; the timer restarts it */
};

struct measured {
	int fd; /* a sealed copy of the executable; -1: not measured yet */
	uint8_t sha256[SHA256_SIZE];
};

struct supervisor;

struct child_process {
	struct supervisor *supervisor;
	enum proc id;
	enum life life;
	pid_t pid; /* 0: none */
	struct port port;
	struct watch log;   /* its standard error */
	struct timer timer; /* back-off, or the wait for READY */
	struct measured measured;
	bool was_entered; /* the ledger has its start, or will have it: a restart need not wait */
	uint64_t starts;
	mono_ns since;	 /* start, or death */
	mono_ns delay;	 /* the last back-off */
	unsigned deaths; /* in a row, of the data plane */
	bool killed;	 /* by us: a broken link, or no READY */
	char why[200];	 /* why it is not ready, for `show status` */
	/* connections that were opened for it in this second, and questions for name servers */
	mono_ns connects_since;
	unsigned connects;
};

/* Something opened here that a process may hold. */
struct open_resource {
	enum proc holder;
	int fd; /* -1: free */
	struct msg_resource m;
	uint64_t
		unused_in; /* of a tunnel's interface: the data plane has said that this configuration does not use it */
};

/* An interface of the configuration, present or not. */
struct zone_interface {
	char name[INTERFACE_NAME_BYTES];
	uint32_t index;	 /* the kernel's; 0: it does not exist */
	uint32_t parent; /* the link under this one, 0: none that frames come by first */
	uint16_t vlan;	 /* its number there; 0: a macvlan, told by mac */
	uint8_t mac[6];
	bool is_vrf; /* it is the device of a VRF */
};

#define OPTION_PATH_MAX 240 /* with "/ledger" it fits msg_start.state_path */

struct options {
	char config[OPTION_PATH_MAX], state[OPTION_PATH_MAX], run[OPTION_PATH_MAX], libexec[OPTION_PATH_MAX],
		share[OPTION_PATH_MAX], log[OPTION_PATH_MAX];
	bool background, flush;
};

struct supervisor {
	struct options options;
	struct loop loop;
	struct child_process children[PROC_COUNT]; /* by enum proc; services only */
	struct open_resource resources[RESOURCES_MAX];
	struct ledger_client ledger;
	struct timer tick;
	struct watch signals, links, keys;
	char ssh_keys[OPTION_PATH_MAX + 8], ssh_socket[OPTION_PATH_MAX + 20];
	uint8_t boot_id[16];
	uint8_t own_sha256[SHA256_SIZE], answers_sha256[SHA256_SIZE];
	bool own_entered;
	uint8_t entered_before[PROC_COUNT][SHA256_SIZE];
	mono_ns started;
	int log_fd, null_fd, lock_fd, key_dir, neighbour_fd;
	int multicast_fd; /* holds the memberships of links with proxy-ndp; -1 */
	int trees[8];	  /* keep the mounts of handed directories alive */
	size_t trees_n;
	int parent_pipe; /* the starter waits here for "ready"; -1 */
	/* the configuration that applies; NULL before the first */
	struct snapshot_file file;
	const struct snapshot *snapshot; /* in file */
	struct snap_evidence evidence;	 /* of the configuration, or of the last start's until there is one */
	uint64_t schedules_off;		 /* by which the rule set was made (snap_schedules_off()) */
	uint32_t filter_generation; /* the kernel's count of rule sets' changes when ours was set; 0: unknown
				     */
	mono_ns filter_look_at;
	struct zone_interface interfaces[INTERFACES_MAX];
	size_t interfaces_n;
	uint32_t workers;	 /* for so many the interfaces are opened */
	uint32_t tunnel_workers; /* the most for which sockets of tunnels were */
	bool addresses_changed;	 /* since routes_follow() looked */
	struct servers_health health;
	struct carry_programs carry;
	struct uplink_state {
		char name[NAME_MAX_BYTES];
	} uplinks[UPLINKS_MAX]; /* those that are down */
	uint32_t uplinks_n;
	bool stopping, stop_told; /* told: the one whose turn it is */
	unsigned stop_step;
	mono_ns stop_at;
};

static inline struct child_process *child_of(struct supervisor *s, enum proc id)
{
	return &s->children[id];
}

static inline bool proc_is_service(enum proc id)
{
	return FROM_ALL_SERVICES >> id & 1;
}

/* notify.c */
/* Tells systemd that what is ordered after this service may begin; nothing without a service manager. */
void service_ready(void);

/* answers.c */
/* The first time the file is read and measured; the keeper gets a sealed copy of that, always the same.
 * Enters it. */
enum rc answers_give(struct supervisor *s, struct err *e);

/* children.c */
void children_init(struct supervisor *s);
void children_start(struct supervisor *s);
void children_reap(struct supervisor *s);
bool children_all(const struct supervisor *s, enum life life);
void child_kill(struct child_process *c, const char *why);

/* entered.c */
void entered_load(struct supervisor *s);
bool entered_before(const struct child_process *c);
void entered_keep(struct child_process *c);

/* launch.c */
/* Copies and hashes the file; ret_measured->fd stays -1 on an error. */
enum rc measured_read(const char *path, struct measured *ret_measured, struct err *e);
void measured_done(struct measured *m);
/* Forks and executes; on RC_OK c->pid stands and its port is open. */
enum rc child_launch(struct child_process *c, struct err *e);

/* handover.c */
void child_give_all(struct child_process *c);
/* Takes fd over, also on failure (-1). Gives it to its holder when that runs. */
int resource_add(
	struct supervisor *s, enum proc holder, enum resource kind, uint32_t index, const char *name, int fd);
struct open_resource *resource_find(struct supervisor *s, enum resource kind, uint32_t index);
void resource_give(struct supervisor *s, struct open_resource *r);
void resource_remove(struct supervisor *s, struct open_resource *r);

/* directories.c */
enum rc directories_open(struct supervisor *s, struct err *e);

/* sockets.c */
enum rc sockets_open(struct supervisor *s, struct err *e);
/* Sockets of tunnels for so many workers of the data plane; those that there are stay open when it has fewer. */
void sockets_for_workers(struct supervisor *s, uint32_t n);
/* n AF_PACKET sockets for an interface, among which the kernel divides what arrives, with mac and mtu for their
 * holder. */
enum rc packet_sockets(const char *name, uint32_t index, uint32_t n, int ret_fds[WORKERS_MAX],
	uint8_t ret_mac[6], uint16_t *ret_mtu, struct err *e);

/* A TUN device that is up, with its MTU. -1: error. */
int tun_open(const char *name, uint32_t mtu, struct err *e);
/* Sets the MTU of an interface. */
enum rc mtu_set(const char *name, uint32_t mtu, struct err *e);

/* devices.c */
/* Can plaingated make those that a configuration names and the present one does not? */
enum rc devices_check(const struct supervisor *s, const struct snapshot *next, struct err *e);
enum rc devices_apply(
	struct supervisor *s, struct err *e); /* makes them, and ends those of tunnels that are gone */
void carrier_take(struct supervisor *s, const struct msg_carrier *m);

/* interfaces.c */
/* Looks which interfaces exist now. True: something changed since the last look. */
bool interfaces_look(struct supervisor *s);
void interfaces_open(struct supervisor *s);
void interfaces_follow(struct supervisor *s); /* both, and the filter in between */
enum rc interfaces_watch(struct supervisor *s, struct err *e);

/* links.c */
/* Fills parent, vlan and mac of the interfaces that exist. */
void links_describe(struct supervisor *s, struct zone_interface *list, size_t n);
void links_show(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m);

/* kernel.c */
enum rc kernel_no_forwarding(struct err *e);
enum rc kernel_tracking(struct err *e); /* after filter_begin() */
void kernel_settings(struct supervisor *s);

/* filter.c, filter_text.c */
bool interface_name_ok(const char *name);
/* The whole rule set as nft's text; snap NULL: no service at all. interfaces: those of the zones, as they
 * exist now. Returns its length, 0: it does not fit. */
size_t filter_text(char *ret_text, size_t size, const struct snapshot *snap, uint64_t schedules_off,
	const struct zone_interface *interfaces, size_t n);
enum rc filter_apply(struct supervisor *s, struct err *e);
/* Sets it again when another program changed rule sets; checked once a second. */
void filter_keep(struct supervisor *s);
/* Before the first configuration: closed. The rule set of a previous supervisor stays until then. */
enum rc filter_begin(struct supervisor *s, struct err *e);
enum rc filter_flush(struct err *e);

/* routes.c */
enum rc routes_apply(struct supervisor *s, struct err *e);
void routes_follow(struct supervisor *s); /* once a second: the host's addresses, when they have changed */
enum rc routes_flush(struct err *e);
void neighbour_ask(struct supervisor *s, const struct msg_neighbour *m);
enum rc neighbour_open(struct supervisor *s, struct err *e);

/* snapshot.c */
void snapshot_take(struct supervisor *s, struct child_process *from, struct ipc_frame *f);

/* connects.c */
/* Connections and questions about names are few: RC_LIMIT beyond. */
enum rc connects_limit(struct child_process *from, struct err *e);
/* A socket of this type whose connection is in progress: its holder finds out how that ends. -1: error. */
int connect_begin(const struct endpoint *to, int type, struct err *e);
struct msg_result connect_refused(const struct err *e); /* the answer to who asked for one */

/* witnesses.c */
void witnesses_load(struct supervisor *s);
void witnesses_take(struct supervisor *s, const struct snap_evidence *evidence);
/* The list; to the courier also the system's authorities. */
void witnesses_give(struct supervisor *s, struct child_process *to);
void witness_connect(struct supervisor *s, struct child_process *from, const struct ipc_frame *f);

/* streams.c */
#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt" /* ca-certificates keeps it */
bool address_is_elsewhere(
	const struct ip_addr *a); /* witnesses.c: neither ours nor of one link, and of one host */
void feed_open(struct supervisor *s, struct child_process *from, const struct ipc_frame *f); /* feeds.c */
void streams_give(struct supervisor *s); /* to export: the collectors of the configuration */
void stream_connect(struct supervisor *s, struct child_process *from, const struct ipc_frame *f);
void metrics_give(struct supervisor *s); /* to export: what the configuration says of measurements */

/* metrics.c */
void metrics_apply(struct supervisor *s); /* the listening socket of a new snapshot, for export */

/* names.c */
void names_ask(struct supervisor *s, struct child_process *from, uint64_t tag);

/* health.c */
void health_apply(struct supervisor *s); /* the servers of a new snapshot */
void health_give(struct supervisor *s);	 /* to a data plane that is ready: those that are down */
void health_show(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m);

/* uplinks.c */
void uplink_take(struct supervisor *s, const struct msg_uplink *m);
void uplinks_apply(struct supervisor *s); /* of a new snapshot */
void uplinks_give(struct supervisor *s);  /* to a data plane that is ready */
void detour_take(struct supervisor *s, const struct msg_detour *m);
void detours_flush(void);

/* show.c */
void show_status(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m);

#endif
