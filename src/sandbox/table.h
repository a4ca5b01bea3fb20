/*
 * The confinement table: what each process may still do, in one place. table.c holds the rows, enter.c and
 * filter.c carry them out, tests/unit/sandbox does what they forbid.
 */
#ifndef SANDBOX_TABLE_H
#define SANDBOX_TABLE_H

#include "base/err.h"
#include "base/procs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

struct confinement {
	int unshare;	    /* CLONE_NEW… */
	bool empty_root;    /* the root directory becomes an empty read-only file system */
	rlim_t files_max;   /* RLIMIT_NOFILE */
	rlim_t threads_max; /* RLIMIT_NPROC, counted by the kernel for the user; 0: no new thread or process
			       at all */
	rlim_t file_bytes_max;	 /* RLIMIT_FSIZE */
	rlim_t locked_bytes_max; /* RLIMIT_MEMLOCK */
	rlim_t data_bytes_max; /* RLIMIT_DATA; without effect under sanitizers, which map much more than they use */
};

/* How the arguments of an allowed system call are checked. */
enum call_check {
	CALL_ANY,	     /* no check */
	CALL_NO_EXEC,	     /* third argument without PROT_EXEC */
	CALL_SELF,	     /* first argument is this process's id */
	CALL_SELF_OR_ZERO,   /* the same or 0 */
	CALL_FCNTL,	     /* flags, duplicates and seals; no signals, leases, locks */
	CALL_PRCTL,	     /* names of threads and of memory */
	CALL_SOCKET_OPTIONS, /* setsockopt that gives a socket or its group a filter or says whether it may cut
				what it sends, and no other */
	CALL_THREAD,	     /* clone of a thread of this process, as the C library makes it */
	CALL_ABSENT,	     /* not allowed, but answered with ENOSYS: libraries have another way */
	CALL_CONNECTED,	     /* sendto without an address: what send() is */
	CALL_NO_LIMIT,	     /* prlimit64 that only reads its own */
	CALL_REFUSED,	     /* not allowed, but answered with EACCES: libraries try it and can do without */
	CALL_OPEN_FILE,	     /* newfstatat of a file that is open: what fstat() is since glibc 2.33; by name:
				refused */
};

struct call {
	int number; /* libseccomp's: negative when this machine does not have it */
	const char *name;
	uint32_t who; /* bit per enum proc */
	enum call_check check;
};

extern const struct confinement confinements[PROC_COUNT];
extern const struct call calls[];
extern const size_t calls_n;

/* The supervisor starts the others and is not held to a list of what it may; these it never does. */
extern const struct call supervisor_never[];
extern const size_t supervisor_never_n;

/* Of bpf() it may ask for these. */
extern const uint8_t supervisor_bpf[];
extern const size_t supervisor_bpf_n;

/* The second half of sandbox_enter(). Needs no_new_privs. */
enum rc filter_load(enum proc self, struct err *e);

/*
 * What the process `ssh` and all below it (login.h) are left of root, and what they are refused. Memory is that of file systems that vanish with it:
 * a full one is nobody else's disk.
 */
#define LOGIN_ROOT_MEMORY "size=128m,nr_inodes=1024,mode=0755" /* with the administrator's program */
/* Each home: fewer directories below each other than files that may be open (proc/ssh/accounts.c empties it). */
#define LOGIN_HOME_MEMORY "size=8m,nr_inodes=128,mode=0700"
#define LOGIN_HOMES	  64u
/* Sessions write nothing here (sandbox_session()), sshd does as their users: a directory, a socket and a file of two pages for each session;
 * LOGIN_PROCESSES sessions of as many users as there are fit. */
#define LOGIN_TMP_MEMORY  "size=64m,nr_inodes=16384,mode=1777"
#define LOGIN_PROCESSES	  64u /* of one user */
#define LOGIN_FILES	  256u
#define LOGIN_FILE_BYTES  (64ull << 20)
#define LOGIN_DATA	  (256ull << 20) /* memory of one process; without effect under sanitizers */

extern const unsigned login_capabilities[];
extern const size_t login_capabilities_n;
extern const struct call login_never[];
extern const size_t login_never_n;
enum rc filter_load_login(struct err *e);

/* Limits, capabilities, system calls of login.c's processes, in enter.c; and the user of sshd's unprivileged part. */
struct login_user;
enum rc login_give_up(struct err *e);
enum rc login_user_find(struct login_user *ret_user, struct err *e);

/* What is left to sandbox_offline(). */
extern const struct call offline_calls[];
extern const size_t offline_calls_n;
enum rc filter_load_offline(struct err *e);

#endif
