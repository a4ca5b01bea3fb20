/*
 * Every sandbox, tried from inside: a forked process enters the real confinement of a process of ours and
 * does one deed. What is forbidden must kill it (SIGSYS) or be refused; what its work needs must succeed.
 * Needs root and the system users.
 */
#include "base/bytes.h"
#include "ipc/link.h"
#include "sandbox/sandbox.h"
#include "sandbox/table.h"

#include "memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a deed returns: 0 done; else the errno with which it was refused. */
typedef int deed_fn(void);

static pid_t outside;		    /* the test itself */
static struct sockaddr_in udp_addr; /* of udp_fd */
static int udp_fd, connected_fd, packet_fd, directory_fd, file_fd, listen_fd, pipe_fds[2];

#define RESULT(expression) ((expression) < 0 ? errno : 0)

static int open_passwd(void)
{
	return RESULT(open("/etc/passwd", O_RDONLY));
}

static int open_proc(void)
{
	return RESULT(open("/proc/self/maps", O_RDONLY));
}

static int create_file(void)
{
	return RESULT(open("/x", O_CREAT | O_WRONLY, 0600));
}

static int make_udp(void)
{
	return RESULT(socket(AF_INET, SOCK_DGRAM, 0));
}

static int make_unix_pair(void)
{
	int fds[2];

	return RESULT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static int make_netlink(void)
{
	return RESULT(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int do_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };

	return RESULT(connect(udp_fd, (struct sockaddr *)&to, sizeof to));
}

static int do_bind(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	return RESULT(bind(udp_fd, (struct sockaddr *)&to, sizeof to));
}

static int do_setsockopt(void)
{
	int one = 1;

	return RESULT(setsockopt(udp_fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one));
}

static int do_socket_filter(void)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, UINT32_MAX) };
	struct sock_fprog program = { .len = 1, .filter = all };

	return RESULT(setsockopt(udp_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

/* The tap of carried sessions, by a descriptor that was handed over; there is none here. */
static int do_socket_program(void)
{
	int none = -1;

	return setsockopt(udp_fd, SOL_SOCKET, SO_ATTACH_BPF, &none, sizeof none) < 0 && errno == EBADF ? 0
												       : 1;
}

static int do_cut_allowed(void)
{
	int discover = IP_PMTUDISC_DONT;

	return RESULT(setsockopt(udp_fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover));
}

static int do_exec(void)
{
	char *const argv[] = { (char *)(uintptr_t)"true", NULL };

	return RESULT(execve("/bin/true", argv, argv + 1));
}

static int do_exec_fd(void)
{
	char *const argv[] = { (char *)(uintptr_t)"true", NULL };

	return RESULT(fexecve(file_fd, argv, argv + 1));
}

static int do_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return RESULT(pid);
}

/* All that a thread shares, but a process of its own. */
static int do_process_like_a_thread(void)
{
	pid_t pid = (pid_t)syscall(
		SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return RESULT(pid);
}

static int do_vfork(void)
{
	return RESULT(syscall(SYS_vfork));
}

static int do_ptrace(void)
{
	return RESULT(ptrace(PTRACE_ATTACH, outside, NULL, NULL));
}

static int do_kill(void)
{
	return RESULT(kill(outside, SIGTERM));
}

static int do_tgkill_other(void)
{
	return RESULT(syscall(SYS_tgkill, outside, outside, SIGTERM));
}

static int do_setuid(void)
{
	return RESULT(setuid(0));
}

static int do_chroot(void)
{
	return RESULT(chroot("/"));
}

static int do_mount(void)
{
	return RESULT(mount("none", "/", "tmpfs", 0, NULL));
}

static int do_unshare(void)
{
	return RESULT(unshare(CLONE_NEWUSER));
}

static int do_setns(void)
{
	return RESULT(setns(file_fd, 0));
}

static int map_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 0; /* counts as done: the test fails */
	return RESULT(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int read_other_memory(void)
{
	char c;
	struct iovec here = { &c, 1 }, there = { &outside, 1 };

	return RESULT(syscall(SYS_process_vm_readv, outside, &here, 1, &there, 1, 0));
}

static int do_io_uring(void)
{
	return RESULT(syscall(SYS_io_uring_setup, 1, NULL));
}

static int do_bpf(void)
{
	return RESULT(syscall(SYS_bpf, 0, NULL, 0));
}

/* What pins programs to interfaces and cgroups: refused, libbpf may try it. */
static int do_bpf_link(void)
{
	bool refused = syscall(SYS_bpf, 28, NULL, 0) < 0 && errno == EPERM;

	return refused && syscall(SYS_bpf, 64, NULL, 0) < 0 && errno == EPERM ? 0 : 1;
}

static int do_keyctl(void)
{
	return RESULT(syscall(SYS_keyctl, 0, 0));
}

static int do_prctl_dumpable(void)
{
	return RESULT(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int raise_limit(void)
{
	struct rlimit r = { 4096, 4096 };

	return RESULT(setrlimit(RLIMIT_NOFILE, &r));
}

static int do_ioctl(void)
{
	struct ifreq r = { 0 };

	return RESULT(ioctl(udp_fd, 0x8910 /* SIOCGIFNAME */, &r));
}

static int set_owner(void)
{
	return RESULT(fcntl(udp_fd, F_SETOWN, outside)); /* signals to others through the back door */
}

static int receive(void)
{
	char c;

	return RESULT(recvfrom(udp_fd, &c, 1, MSG_DONTWAIT, NULL, NULL));
}

static int receive_many(void)
{
	struct mmsghdr m = { 0 };

	return RESULT(syscall(SYS_recvmmsg, udp_fd, &m, 1, MSG_DONTWAIT, NULL));
}

static int do_accept(void)
{
	return RESULT(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
}

static void *thread(void *argument)
{
	return argument;
}

static int make_thread(void)
{
	pthread_t t;
	int r = pthread_create(&t, NULL, thread, NULL);

	return r ? r : pthread_join(t, NULL);
}

static int open_in_directory(void)
{
	return RESULT(openat(directory_fd, "known", O_RDONLY));
}

static int enter_directory(void)
{
	return fchdir(directory_fd) < 0 ? errno : RESULT(openat(AT_FDCWD, "known", O_RDONLY));
}

static int enter_directory_by_name(void)
{
	return chdir("/") < 0 ? errno : 0;
}

static int write_in_directory(void)
{
	int fd = openat(directory_fd, "made", O_CREAT | O_WRONLY | O_TRUNC, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || fchmod(fd, 0644) || fsync(fd) || fsync(directory_fd))
		return errno;
	return RESULT(renameat(directory_fd, "made", directory_fd, "made2"));
}

static int append_in_directory(void)
{
	int fd = openat(directory_fd, "made", O_CREAT | O_WRONLY | O_APPEND, 0600);

	return fd < 0 || write(fd, "x", 1) != 1 || fdatasync(fd) < 0 ? errno : RESULT(ftruncate(fd, 0));
}

static int delete_in_directory(void)
{
	return RESULT(unlinkat(directory_fd, "known", 0));
}

static int make_memory_file(void)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return errno;
	return RESULT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
}

static int lock_memory(void)
{
	static char secret[4096] __attribute__((aligned(4096)));

	return RESULT(syscall(SYS_mlock, secret, sizeof secret)); /* sanitizers make mlock() do nothing */
}

/* What every process does all day. */
static int ordinary_life(void)
{
	struct pollfd p = { .fd = pipe_fds[0], .events = POLLIN };
	char *m = malloc(1 << 20), c;

	if (!m || write(pipe_fds[1], "x", 1) != 1 || poll(&p, 1, 20000) != 1 || read(pipe_fds[0], &c, 1) != 1)
		return EIO;
	memset(m, 1, 1 << 20);
	m = realloc(m, 8 << 20);
	free(m);
	return 0;
}

/* The data plane sleeps in poll() alone. */
static int do_sleep(void)
{
	struct timespec t = { 0, 1000 };

	return RESULT(nanosleep(&t, NULL));
}

static int ask_the_kernel_for_chance(void)
{
	uint8_t random[32];

	return RESULT(syscall(SYS_getrandom, random, sizeof random, 0));
}

/* qsort() asks for the memory's size, gmtime() for the time zone, printf() for a terminal. */
static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 4096);
}

static int library_life(void)
{
	char *many = calloc(16, 4096), text[64];
	time_t now = 0;
	struct tm tm;

	if (!many)
		return ENOMEM;
	qsort(many, 16, 4096, compare);
	free(many);
	FILE *f = fdopen(pipe_fds[1], "w");
	if (!f || fprintf(f, "%s", "x") != 1 || fclose(f) != 0)
		return EIO;
	if (!gmtime_r(&now, &tm) || !localtime_r(&now, &tm) || strftime(text, sizeof text, "%Z", &tm) == 0)
		return EIO;
	return 0;
}

static int abort_dies_of_its_own(void)
{
	abort();
}

/* Sockets keep the network they were made in: sent in the empty namespace, heard outside. */
static int send_outside(void)
{
	char c = 0;

	if (sendto(udp_fd, "y", 1, 0, (struct sockaddr *)&udp_addr, sizeof udp_addr) != 1)
		return errno;
	struct pollfd p = { .fd = udp_fd, .events = POLLIN };
	if (poll(&p, 1, 20000) != 1 || recvfrom(udp_fd, &c, 1, 0, NULL, NULL) != 1)
		return errno ? errno : EIO;
	if (c != 'y')
		return EIO;
	p.fd = packet_fd; /* the same datagram was seen on the loopback link */
	return poll(&p, 1, 20000) == 1 && p.revents & POLLIN ? 0 : EIO;
}

/* Over a socket that is connected to where it may lead: to there, and to another place. */
static int send_there(void)
{
	return send(connected_fd, "y", 1, MSG_DONTWAIT) == 1 ? 0 : errno;
}

static int send_elsewhere(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002), .sin_port = htons(9)
	};

	return sendto(connected_fd, "y", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) == 1 ? 0 : errno;
}

static int message_elsewhere(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002), .sin_port = htons(9)
	};
	char y = 'y';
	struct iovec part = { &y, 1 };
	struct msghdr m = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1 };

	return sendmsg(connected_fd, &m, MSG_DONTWAIT) == 1 ? 0 : errno;
}

static int no_interfaces(void)
{
	struct ifreq r = { .ifr_ifindex = 1 };

	/* the raw call, by number, without the table's verdict: before the filter this would name `lo` */
	return RESULT(ioctl(udp_fd, 0x8910, &r));
}

#define K	(1u << PROC_KEEPER)
#define I	(1u << PROC_IKE)
#define D	(1u << PROC_DATAPLANE)
#define L	(1u << PROC_LEDGER)
#define C	(1u << PROC_CONTROL)
#define N	(1u << PROC_ENTROPY)
#define U	(1u << PROC_COURIER)
#define X	(1u << PROC_EXPORT)
#define R	(1u << PROC_RESOLVER)
#define F	(1u << PROC_CERTIFIER_OPENSSL | 1u << PROC_CERTIFIER_GNUTLS)
#define ALL	(K | I | D | L | C | N | U | X | R | F)
#define NOBODY	0u
#define BOUNDED (MEMORY_IS_BOUNDED ? F : NOBODY)

/* clang-format off */
/* may: who can do it. The others are killed, but for those in `refused`, who get an error. */
static const struct {
	const char *name;
	deed_fn *deed;
	uint32_t may, refused;
} deeds[] = {
	{ "ordinary life",               ordinary_life,       ALL,       0 },
	{ "what libraries do",           library_life,        ALL,       0 },
	{ "sleep",                       do_sleep,            ALL & ~D,  0 },
	{ "take much memory",            take_much_memory,    ALL & ~BOUNDED, BOUNDED },
	{ "ask the kernel for chance",   ask_the_kernel_for_chance, ALL & ~N, N },
	{ "open /etc/passwd",            open_passwd,         NOBODY,    ALL },
	{ "open /proc/self/maps",        open_proc,           NOBODY,    ALL },
	{ "create a file in /",          create_file,         NOBODY,    ALL },
	{ "make a UDP socket",           make_udp,            NOBODY,    0 },
	{ "make a Unix socket",          make_unix_pair,      NOBODY,    0 },
	{ "make a netlink socket",       make_netlink,        NOBODY,    0 },
	{ "connect",                     do_connect,          NOBODY,    0 },
	{ "bind",                        do_bind,             NOBODY,    0 },
	{ "setsockopt",                  do_setsockopt,       NOBODY,    X },
	{ "give a socket a filter",      do_socket_filter,    1u << PROC_DATAPLANE, X },
	{ "give a socket a program",     do_socket_program,   1u << PROC_DATAPLANE, X },
	{ "let a socket cut its packets", do_cut_allowed,     1u << PROC_DATAPLANE, X },
	{ "execve",                      do_exec,             NOBODY,    0 },
	{ "execveat",                    do_exec_fd,          NOBODY,    0 },
	{ "fork",                        do_fork,             NOBODY,    0 },
	{ "vfork",                       do_vfork,            NOBODY,    0 },
	{ "a process in shared memory",  do_process_like_a_thread, NOBODY, 0 },
	{ "ptrace",                      do_ptrace,           NOBODY,    0 },
	{ "kill the supervisor",         do_kill,             NOBODY,    0 },
	{ "tgkill another process",      do_tgkill_other,     NOBODY,    0 },
	{ "setuid(0)",                   do_setuid,           NOBODY,    0 },
	{ "chroot",                      do_chroot,           NOBODY,    0 },
	{ "mount",                       do_mount,            NOBODY,    0 },
	{ "unshare",                     do_unshare,          NOBODY,    0 },
	{ "setns",                       do_setns,            NOBODY,    0 },
	{ "map writable code",           map_code,            NOBODY,    0 },
	{ "turn data into code",         make_code,           NOBODY,    0 },
	{ "process_vm_readv",            read_other_memory,   NOBODY,    0 },
	{ "io_uring_setup",              do_io_uring,         NOBODY,    0 },
	{ "bpf",                         do_bpf,              NOBODY,    0 },
	{ "keyctl",                      do_keyctl,           NOBODY,    0 },
	{ "become dumpable",             do_prctl_dumpable,   NOBODY,    0 },
	{ "raise a limit",               raise_limit,         NOBODY,    0 },
	{ "ioctl",                       do_ioctl,            NOBODY,    ALL },
	{ "F_SETOWN",                    set_owner,           NOBODY,    0 },
	{ "receive a datagram",          receive,             I | D | X, 0 },
	{ "receive many datagrams",      receive_many,        I | D,     0 },
	{ "sockets keep their network",  send_outside,        I | D,     0 },
	{ "send on a connected socket",  send_there,          ALL,       0 },
	{ "send it elsewhere",           send_elsewhere,      I | D,     0 },
	{ "a message elsewhere",         message_elsewhere,   I | D | C, X }, /* C has no socket of a network */
	{ "accept a connection",         do_accept,           C | X,     0 },
	{ "make a thread",               make_thread,         1u << PROC_DATAPLANE, 0 },
	{ "enter a directory given",     enter_directory,     R,         0 },
	{ "enter a directory by name",   enter_directory_by_name, NOBODY, 0 },
	{ "open in a directory given",   open_in_directory,   K | L | C | X | R | F, I | D | N | U },
	{ "write in a directory given",  write_in_directory,  L | C | R, K | I | D | N | U | F },
	{ "append in a directory given", append_in_directory, L | C | X | R, K | I | D | N | U | F },
	{ "delete in a directory given", delete_in_directory, L | C | X | R, 0 },
	{ "make a memory file",          make_memory_file,    C,         0 },
	{ "lock memory",                 lock_memory,         K | L | N, 0 },
};
/* clang-format on */

/* The wait status of a process that entered `self`'s sandbox and did it. Status 99: it could not enter. */
static int confined(enum proc self, deed_fn *deed)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = { 0 };
		alarm(20);
		if (sandbox_enter(self, &e) != RC_OK) {
			fprintf(stderr, "%s\n", e.text);
			_exit(99);
		}
		errno = 0;
		_exit(deed());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool killed_by_filter(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void scene_set(void)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_ll lo = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo") };
	char directory[] = "/tmp/plaingate-sandbox-XXXXXX";

	outside = getpid();
	udp_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(udp_fd, (struct sockaddr *)&self, sizeof self), 0);
	socklen_t n = sizeof udp_addr;
	assert_int_equal(getsockname(udp_fd, (struct sockaddr *)&udp_addr, &n), 0);
	connected_fd = socket(AF_INET, SOCK_DGRAM, 0);
	self.sin_port = htons(9);
	assert_int_equal(connect(connected_fd, (struct sockaddr *)&self, sizeof self), 0);
	packet_fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	assert_int_equal(bind(packet_fd, (struct sockaddr *)&lo, sizeof lo), 0);
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(listen(listen_fd, 1), -1); /* not bound: accept says EINVAL, which is no kill */
	file_fd = open("/bin/true", O_RDONLY);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_non_null(mkdtemp(directory));
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	assert_true(directory_fd >= 0 && file_fd >= 0);
	assert_int_equal(fchmod(directory_fd, 0777), 0);
	int fd = openat(directory_fd, "known", O_CREAT | O_WRONLY, 0644);
	fchmod(fd, 0644);
	close(fd);
	assert_int_equal(unlink("/nonexistent-plaingate"), -1);
	/* found by name again when the scene is struck */
	setenv("PLAINGATE_SANDBOX_DIR", directory, 1);
}

static void scene_strike(void)
{
	unlinkat(directory_fd, "known", 0);
	unlinkat(directory_fd, "made", 0);
	unlinkat(directory_fd, "made2", 0);
	rmdir(getenv("PLAINGATE_SANDBOX_DIR"));
	close(directory_fd);
	close(file_fd);
	close(udp_fd);
	close(connected_fd);
	close(packet_fd);
	close(listen_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static const enum proc children[] = { PROC_KEEPER, PROC_IKE, PROC_DATAPLANE, PROC_LEDGER, PROC_CONTROL,
	PROC_ENTROPY, PROC_COURIER, PROC_EXPORT, PROC_RESOLVER, PROC_CERTIFIER_OPENSSL,
	PROC_CERTIFIER_GNUTLS };

/* Whoever sends a message with a file may do it the only way there is. */
static void test_who_hands_files_over(void **state)
{
	static const struct {
		const char *name;
		uint32_t from, files;
	} rows[] = {
#define E(id, from, to, body, files) { #id, from, files },
		IPC_MESSAGES(E)
#undef E
	};
	uint32_t may = 0;

	for (size_t i = 0; i < calls_n; i++)
		if (strcmp(calls[i].name, "sendmsg") == 0)
			may |= calls[i].who;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].files && rows[i].from & ALL & ~may)
			fail_msg(
				"%s has a file: its sender needs sendmsg() in sandbox/table.c", rows[i].name);
}

static void test_deeds(void **state)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < COUNT_OF(deeds); i++)
		for (size_t k = 0; k < COUNT_OF(children); k++) {
			enum proc p = children[k];
			scene_set();
			int status = confined(p, deeds[i].deed);
			scene_strike();
			bool may = deeds[i].may >> p & 1, refused = deeds[i].refused >> p & 1;
			bool exited = WIFEXITED(status);
			int code = exited ? WEXITSTATUS(status) : -1;
			/* an errno of a socket with nothing to read or accept is the kernel's answer to an
			 * allowed call */
			bool done = exited &&
				    (code == 0 || code == EAGAIN ||
					    (code == EINVAL && (p == PROC_CONTROL || p == PROC_EXPORT)));
			bool right = may       ? done
				     : refused ? exited && code != 0 && code != 99
					       : killed_by_filter(status);
			if (!right) {
				print_error("%s: %s: should be %s, but %s %d\n", proc_name(p), deeds[i].name,
					may	  ? "done"
					: refused ? "refused"
						  : "killed",
					exited ? "exit" : "signal", exited ? code : WTERMSIG(status));
				wrong++;
			}
		}
	assert_int_equal(wrong, 0);
}

/* Without the sandbox the same deeds succeed: so it is the sandbox that stops them. */
static void test_deeds_succeed_outside(void **state)
{
	static deed_fn *const possible[] = { open_passwd, open_proc, make_udp, make_unix_pair, make_netlink,
		do_setsockopt, do_fork, map_code, make_code, set_owner, no_interfaces, do_setuid,
		do_prctl_dumpable, make_memory_file, lock_memory, make_thread, do_kill };

	for (size_t i = 0; i < COUNT_OF(possible); i++) {
		int status;
		scene_set();
		fflush(NULL);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			outside = getpid(); /* kill(): its own */
			signal(SIGTERM, SIG_IGN);
			_exit(possible[i]());
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		scene_strike();
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("deed %zu fails without a sandbox: status %x", i, (unsigned)status);
	}
}

static int root_is_empty(void)
{
	DIR *d = opendir("/");
	int n = 0;

	if (!d)
		return 90;
	while (readdir(d))
		n++;
	closedir(d);
	return n == 2 ? 0 : 91; /* . and .. */
}

static int parent_is_empty(void)
{
	return RESULT(openat(AT_FDCWD, "../../../etc/passwd", O_RDONLY));
}

/* Those that may open: there is nothing to open. */
static void test_root_is_empty(void **state)
{
	static const enum proc openers[] = { PROC_KEEPER, PROC_LEDGER, PROC_CONTROL, PROC_EXPORT,
		PROC_RESOLVER };

	for (size_t k = 0; k < COUNT_OF(openers); k++) {
		int status = confined(openers[k], root_is_empty);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		status = confined(openers[k], parent_is_empty);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), ENOENT);
	}
}

/* What the kernel says about a process inside: user, groups, capabilities, no_new_privs, filter, limits. */
static void test_status(void **state)
{
	for (size_t k = 0; k < COUNT_OF(children); k++) {
		int go[2], told[2];
		char path[64], line[256];
		unsigned seen = 0;
		struct passwd *pw = getpwnam(proc_user(children[k]));

		assert_non_null(pw);
		assert_int_equal(pipe(go) | pipe(told), 0);
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			char c;
			alarm(20);
			if (sandbox_enter(children[k], NULL) != RC_OK)
				_exit(99);
			if (write(told[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
				_exit(98);
			_exit(0);
		}
		close(told[1]);
		close(go[0]);
		assert_int_equal(read(told[0], line, 1), 1);
		snprintf(path, sizeof path, "/proc/%d/status", pid);
		FILE *f = fopen(path, "r");
		assert_non_null(f);
		while (fgets(line, sizeof line, f)) {
			unsigned long long v = 1;
			unsigned a, b, c, d;
			if (sscanf(line, "Uid: %u %u %u %u", &a, &b, &c, &d) == 4) {
				assert_true(a == pw->pw_uid && b == a && c == a && d == a);
				seen++;
			} else if (sscanf(line, "Gid: %u %u %u %u", &a, &b, &c, &d) == 4) {
				assert_true(a == pw->pw_gid && b == a && c == a && d == a);
				seen++;
			} else if (sscanf(line, "Groups: %u", &a) == 1) {
				fail_msg("%s is in group %u", pw->pw_name, a);
			} else if (sscanf(line, "CapInh: %llx", &v) == 1 ||
				   sscanf(line, "CapPrm: %llx", &v) == 1 ||
				   sscanf(line, "CapEff: %llx", &v) == 1 ||
				   sscanf(line, "CapBnd: %llx", &v) == 1 ||
				   sscanf(line, "CapAmb: %llx", &v) == 1) {
				assert_int_equal(v, 0);
				seen++;
			} else if (sscanf(line, "NoNewPrivs: %u", &a) == 1) {
				assert_int_equal(a, 1);
				seen++;
			} else if (sscanf(line, "Seccomp: %u", &a) == 1) {
				assert_int_equal(a, 2);
				seen++;
			}
		}
		fclose(f);
		assert_int_equal(seen, 9);
		/* every namespace of the table is another one than ours */
		static const char *const spaces[] = { "mnt", "net", "ipc", "uts", "cgroup" };
		for (size_t i = 0; i < COUNT_OF(spaces); i++) {
			char ours[64], theirs[64], where[64];
			snprintf(where, sizeof where, "/proc/%d/ns/%s", pid, spaces[i]);
			ssize_t n = readlink(where, theirs, sizeof theirs);
			snprintf(where, sizeof where, "/proc/self/ns/%s", spaces[i]);
			assert_int_equal(readlink(where, ours, sizeof ours), n);
			assert_true(memcmp(ours, theirs, (size_t)n) != 0);
		}
		assert_int_equal(write(go[1], "x", 1), 1);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(go[1]);
		close(told[0]);
	}
}

static void test_abort_is_not_a_violation(void **state)
{
	for (size_t k = 0; k < COUNT_OF(children); k++) {
		int status = confined(children[k], abort_dies_of_its_own);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

static int supervisor_work(void)
{
	int fds[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0 || socket(AF_PACKET, SOCK_RAW, 0) < 0)
		return 90;
	pid_t pid = fork();
	if (pid == 0)
		_exit(sandbox_enter(PROC_IKE, NULL) == RC_OK ? 7 : 8); /* children can still be confined */
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 91;
	return WEXITSTATUS(status) == 7 ? 0 : 92;
}

static int load_module(void)
{
	return RESULT(syscall(SYS_finit_module, file_fd, "", 0));
}

static int trace_child(void)
{
	return RESULT(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static void test_supervisor(void **state)
{
	static deed_fn *const never[] = { load_module, trace_child, do_io_uring, do_keyctl,
		read_other_memory };

	assert_int_equal(confined(PROC_SUPERVISOR, supervisor_work), 0);
	assert_int_equal(confined(PROC_SUPERVISOR, do_bpf_link), 0);
	for (size_t i = 0; i < COUNT_OF(never); i++)
		assert_true(killed_by_filter(confined(PROC_SUPERVISOR, never[i])));
}

/* One fact, one row: no call twice for one process, none that this machine's library does not know. */
static void test_table(void **state)
{
	for (size_t i = 0; i < calls_n; i++) {
		if (calls[i].number < 0)
			fail_msg("%s is no system call here", calls[i].name);
		assert_true((calls[i].who & ~ALL) == 0);
		for (size_t j = 0; j < i; j++)
			if (calls[j].number == calls[i].number && calls[j].who & calls[i].who)
				fail_msg("%s stands twice", calls[i].name);
	}
	assert_int_equal(sandbox_enter(PROC_CLI, NULL), RC_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_deeds_succeed_outside),
		cmocka_unit_test(test_who_hands_files_over),
		cmocka_unit_test(test_deeds),
		cmocka_unit_test(test_root_is_empty),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_abort_is_not_a_violation),
		cmocka_unit_test(test_supervisor),
	};

	if (geteuid() != 0 || !getpwnam("plaingate-keeper")) {
		fprintf(stderr, "skipped: needs root and the users that tools/make-users creates\n");
		return 77;
	}
	alarm(110); /* never a hanging run */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
