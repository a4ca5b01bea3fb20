#include "sandbox/table.h"
#include "base/bytes.h"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>

/*
 * An own network namespace is empty: no interface, no address, no route. Sockets that were handed over keep the one they
 * were made in, so ike and the data plane can do without their own as well.
 */
#define APART (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#define MB (1024ull * 1024)

/* Its workers: so many that those of other gateways on the same machine, whom the kernel counts for the same user, find room as
 * well. That they are threads and no processes is CALL_THREAD's to see. */
#define DATAPLANE_THREADS 1024

/* The last bound: long before it a certifier whose memory has grown ends by itself (proc/certifier/shell.h). Beyond it nothing is verified. */
#define CERTIFIER_DATA (1024 * MB)

/* clang-format off */
const struct confinement confinements[PROC_COUNT] = {
	/*                   namespaces root   files threads file size      locked   all memory */
	[PROC_KEEPER]    = { APART,     true,    64,   0,    0,             16 * MB, RLIM_INFINITY },
	[PROC_IKE]       = { APART,     true,    64,   0,    0,             0, RLIM_INFINITY },
	[PROC_DATAPLANE] = { APART,     true,  2048, DATAPLANE_THREADS, 0,  0, RLIM_INFINITY },
	[PROC_LEDGER]    = { APART,     true,   128,   0,    RLIM_INFINITY, 1 * MB, RLIM_INFINITY },
	[PROC_CONTROL]   = { APART,     true,   256,   0,    256 * MB,      0, RLIM_INFINITY },
	[PROC_ENTROPY]   = { APART,     true,    16,   0,    0,             1 * MB, RLIM_INFINITY },
	[PROC_COURIER]   = { APART,     true,    64,   0,    0,             0, RLIM_INFINITY },
	[PROC_EXPORT]    = { APART,     true,    64,   0,    RLIM_INFINITY, 0, RLIM_INFINITY },
	[PROC_CERTIFIER_OPENSSL] = { APART, true, 32,  0,    0,             0, CERTIFIER_DATA },
	[PROC_CERTIFIER_GNUTLS]  = { APART, true, 32,  0,    0,             0, CERTIFIER_DATA },
	[PROC_RESOLVER]  = { APART,     true,   128,   0,    256 * MB,      0, RLIM_INFINITY },
	[PROC_SSH]       = { 0 },	/* another confinement: login.h */
};

#define K (1u << PROC_KEEPER)
#define I (1u << PROC_IKE)
#define D (1u << PROC_DATAPLANE)
#define L (1u << PROC_LEDGER)
#define C (1u << PROC_CONTROL)
#define N (1u << PROC_ENTROPY) /* noise */
#define U (1u << PROC_COURIER)
#define X (1u << PROC_EXPORT)
#define R (1u << PROC_RESOLVER)
#define F (1u << PROC_CERTIFIER_OPENSSL | 1u << PROC_CERTIFIER_GNUTLS)
#define ALL (K | I | D | L | C | N | U | X | R | F)

/* A call without a row here kills the process (SIGSYS). */
#define CALLS(S)	/* call, who, check */									\
	/* memory: nothing writable ever becomes code */							\
	S(mmap, ALL, CALL_NO_EXEC) S(mprotect, ALL, CALL_NO_EXEC) S(munmap, ALL, CALL_ANY)			\
	S(mremap, ALL, CALL_ANY) S(madvise, ALL, CALL_ANY) S(brk, ALL, CALL_ANY)				\
	S(mlock, K | L | N, CALL_ANY) S(mlock2, K | L | N, CALL_ANY) S(munlock, K | L | N, CALL_ANY)		\
	/* files that are open already, links */								\
	S(read, ALL, CALL_ANY) S(readv, ALL & ~D, CALL_ANY) S(write, ALL, CALL_ANY) S(writev, ALL, CALL_ANY)	\
	S(close, ALL, CALL_ANY) S(lseek, ALL, CALL_ANY) S(fstat, ALL, CALL_ANY) S(fcntl, ALL, CALL_FCNTL)	\
	S(dup, ALL & ~D, CALL_ANY) S(recvmsg, ALL, CALL_ANY)							\
	/* sendmsg() can name an address, which the filter does not see: for datagrams, and to hand files	\
	 * over; without an address a connected socket leads to its peer alone */				\
	S(sendmsg, I | D | C, CALL_ANY) S(sendto, ALL & ~(I | D), CALL_CONNECTED)				\
	S(poll, ALL, CALL_ANY) S(ppoll, ALL, CALL_ANY)								\
	/* time, chance, ends */										\
	S(clock_gettime, ALL, CALL_ANY) S(clock_getres, ALL & ~D, CALL_ANY) S(clock_nanosleep, ALL & ~D, CALL_ANY) \
	S(nanosleep, ALL & ~D, CALL_ANY) S(gettimeofday, ALL & ~D, CALL_ANY) S(time, ALL & ~D, CALL_ANY)	\
	/* the entropy process has no use of the kernel's generator; at its start it shows that no code of	\
	 * the vDSO gives it any either (proc/entropy/shell.h) */						\
	S(getrandom, ALL & ~N, CALL_ANY) S(getrandom, N, CALL_REFUSED)						\
	S(futex, ALL, CALL_ANY) S(restart_syscall, ALL, CALL_ANY)						\
	S(getpid, ALL, CALL_ANY) S(gettid, ALL, CALL_ANY) S(getuid, ALL, CALL_ANY) S(geteuid, ALL, CALL_ANY)	\
	S(getgid, ALL, CALL_ANY) S(getegid, ALL, CALL_ANY) S(getppid, ALL & ~D, CALL_ANY)			\
	S(getrusage, ALL & ~D, CALL_ANY) S(sysinfo, ALL, CALL_ANY) S(uname, ALL & ~D, CALL_ANY)			\
	S(sched_yield, ALL, CALL_ANY) S(sched_getaffinity, ALL, CALL_ANY) S(getcpu, ALL & ~D, CALL_ANY)	\
	S(prlimit64, ALL, CALL_NO_LIMIT) S(prctl, ALL, CALL_PRCTL)						\
	S(rt_sigaction, ALL, CALL_ANY) S(rt_sigprocmask, ALL, CALL_ANY) S(rt_sigreturn, ALL, CALL_ANY)		\
	S(sigaltstack, ALL, CALL_ANY) S(tgkill, ALL, CALL_SELF)	/* abort() */					\
	S(exit, ALL, CALL_ANY) S(exit_group, ALL, CALL_ANY)							\
	/* threads: the data plane's workers. The C library tries clone3() first, whose flags no filter sees */	\
	S(clone, D, CALL_THREAD) S(clone3, D, CALL_ABSENT) S(set_robust_list, D, CALL_ANY)			\
	S(rseq, D, CALL_ANY) S(eventfd2, D | X, CALL_ANY)								\
	/* datagrams of strangers: only through sockets that were handed over */				\
	S(sendto, I | D, CALL_ANY) S(recvfrom, I | D, CALL_ANY)							\
	S(sendmmsg, I | D, CALL_ANY) S(recvmmsg, I | D, CALL_ANY)						\
	S(setsockopt, D, CALL_SOCKET_OPTIONS)	/* filters of its links and tunnels; IPv6 of 1280 octets in narrow tunnels */	\
	S(getsockname, I | C | X, CALL_ANY) S(getsockopt, I | D | C | X, CALL_ANY)	/* D: drops of its sockets */	\
	/* the command line's listening socket, and that of measurements, which libmicrohttpd serves */		\
	S(accept4, C | X, CALL_ANY) S(accept, C, CALL_ANY) S(shutdown, C | X, CALL_ANY)				\
	S(epoll_create1, X, CALL_ANY) S(epoll_ctl, X, CALL_ANY) S(epoll_wait, X, CALL_ANY) S(epoll_pwait, X, CALL_ANY)	\
	S(recvfrom, X, CALL_ANY) S(setsockopt, X, CALL_REFUSED) S(sendmsg, X, CALL_REFUSED) /* TCP_NODELAY; its own answers to what is no request, which it then leaves out */ \
	/* directories that were handed over: they are mounts of their own, so `..` does not leave them */	\
	S(openat, K | L | C | X | R | F, CALL_ANY) S(newfstatat, K | L | C | X | R | F, CALL_ANY) S(statx, K | L | C | X | R, CALL_ANY)	\
	/* the working directory of a library that opens by name only: no more than openat() may already */	\
	S(fchdir, R, CALL_ANY)											\
	S(getdents64, K | L | C | X | R, CALL_ANY) S(pread64, ALL & ~D, CALL_ANY)					\
	S(pwrite64, L | C, CALL_ANY) S(fsync, L | C | X | R, CALL_ANY) S(fdatasync, L | C | X | R, CALL_ANY)		\
	S(ftruncate, L | C | X | R, CALL_ANY) S(fallocate, L | C, CALL_ANY) S(flock, L | C, CALL_ANY)			\
	S(mkdirat, L | C, CALL_ANY) S(renameat, L | C | R, CALL_ANY) S(renameat2, L | C | R, CALL_ANY)			\
	S(unlinkat, L | C | X | R, CALL_ANY) S(linkat, L | C, CALL_ANY) S(faccessat, L | C, CALL_ANY)			\
	S(faccessat2, L | C, CALL_ANY) S(fchmod, L | C | R, CALL_ANY) S(statfs, L, CALL_ANY) S(fstatfs, L, CALL_ANY) \
	S(memfd_create, C, CALL_ANY)	/* the snapshot */							\
	/* libraries look for their configuration and for terminals; the answer is no */			\
	S(open, ALL, CALL_REFUSED) S(openat, I | D | N | U, CALL_REFUSED) S(newfstatat, I | D | N | U, CALL_OPEN_FILE) \
	S(stat, ALL, CALL_REFUSED) S(lstat, ALL, CALL_REFUSED) S(access, ALL, CALL_REFUSED)			\
	S(readlink, ALL, CALL_REFUSED) S(readlinkat, ALL, CALL_REFUSED) S(getcwd, ALL, CALL_REFUSED)		\
	S(ioctl, ALL, CALL_REFUSED)

const struct call calls[] = {
#define E(call, who, check) { SCMP_SYS(call), #call, who, check },
	CALLS(E)
#undef E
};
const size_t calls_n = COUNT_OF(calls);

/* A program on a file: memory, what is open, its end. */
#define OFFLINE(S)												\
	S(mmap, CALL_NO_EXEC) S(mprotect, CALL_NO_EXEC) S(munmap, CALL_ANY) S(mremap, CALL_ANY) S(madvise, CALL_ANY) S(brk, CALL_ANY)	\
	S(read, CALL_ANY) S(pread64, CALL_ANY) S(write, CALL_ANY) S(writev, CALL_ANY) S(close, CALL_ANY) S(lseek, CALL_ANY)	\
	S(fstat, CALL_ANY) S(newfstatat, CALL_OPEN_FILE) S(clock_gettime, CALL_ANY) S(getrandom, CALL_ANY) S(futex, CALL_ANY)	\
	S(getpid, CALL_ANY) S(gettid, CALL_ANY) S(sched_yield, CALL_ANY) S(prctl, CALL_PRCTL) S(prlimit64, CALL_NO_LIMIT)	\
	S(rt_sigaction, CALL_ANY) S(rt_sigprocmask, CALL_ANY) S(rt_sigreturn, CALL_ANY) S(sigaltstack, CALL_ANY)		\
	S(tgkill, CALL_SELF) S(exit, CALL_ANY) S(exit_group, CALL_ANY)								\
	S(open, CALL_REFUSED) S(openat, CALL_REFUSED) S(stat, CALL_REFUSED) S(access, CALL_REFUSED) S(readlink, CALL_REFUSED)	\
	S(ioctl, CALL_REFUSED)

const struct call offline_calls[] = {
#define E(call, check) { SCMP_SYS(call), #call, 0, check },
	OFFLINE(E)
#undef E
};
const size_t offline_calls_n = COUNT_OF(offline_calls);

/* Ways into the kernel or into other processes that starting, measuring and restarting never needs. */
#define NEVER(S)											\
	S(ptrace) S(process_vm_readv) S(process_vm_writev) S(pidfd_getfd) S(kcmp)			\
	S(perf_event_open) S(userfaultfd) S(io_uring_setup) S(io_uring_enter) S(io_uring_register) \
	S(init_module) S(finit_module) S(delete_module) S(kexec_load) S(kexec_file_load)		\
	S(add_key) S(request_key) S(keyctl) S(open_by_handle_at) S(name_to_handle_at)			\
	S(reboot) S(swapon) S(swapoff) S(acct) S(quotactl) S(iopl) S(ioperm) S(modify_ldt)		\
	S(settimeofday) S(clock_settime) S(clock_adjtime) S(adjtimex) S(syslog) S(personality)		\
	S(sethostname) S(setdomainname) S(mknod) S(mknodat) S(vmsplice) S(move_pages) S(migrate_pages)

/* What it may do with BPF: make maps and load programs, which the sessions that the kernel carries need (proc/supervisor/carry.c).
 * The kernel's numbers: BPF_MAP_CREATE, lookup, update and delete of an element, next key, BPF_PROG_LOAD, information about what is
 * open, BPF_BTF_LOAD, freezing and binding of a map. */
const uint8_t supervisor_bpf[] = { 0, 1, 2, 3, 4, 5, 15, 18, 22, 35 };
const size_t supervisor_bpf_n = COUNT_OF(supervisor_bpf);

const struct call supervisor_never[] = {
#define E(call) { SCMP_SYS(call), #call, 1u << PROC_SUPERVISOR, CALL_ANY },
	NEVER(E)
#undef E
};
const size_t supervisor_never_n = COUNT_OF(supervisor_never);

/*
 * Of root, to sshd: to become an administrator's user, to put its unprivileged part into an empty directory, to give terminals away, to bind
 * its port, and to end sessions. Not to read what is others' (CAP_DAC_OVERRIDE), not to mount, not to configure a network.
 */
const unsigned login_capabilities[] = { CAP_SETUID, CAP_SETGID, CAP_SYS_CHROOT, CAP_CHOWN, CAP_FOWNER, CAP_NET_BIND_SERVICE, CAP_KILL };
const size_t login_capabilities_n = COUNT_OF(login_capabilities);

/* Answered with an error, so that a program which tries them goes on without. Sockets: filter.c. */
#define LOGIN_NEVER(S)										\
	S(mount) S(umount2) S(pivot_root) S(open_tree) S(move_mount) S(fsopen) S(fsconfig) S(fsmount) S(fspick) S(mount_setattr)	\
	S(unshare) S(setns) S(bpf) S(process_madvise) S(memfd_secret)

const struct call login_never[] = {
#define E(call) { SCMP_SYS(call), #call, 1u << PROC_SSH, CALL_ANY },
	LOGIN_NEVER(E)
#undef E
};
const size_t login_never_n = COUNT_OF(login_never);
/* clang-format on */
