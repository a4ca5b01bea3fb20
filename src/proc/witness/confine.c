#include "proc/witness/confine.h"
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as GCC does */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
/* The leak checker at the end starts a process that traces this one: not from in here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

/* clang-format off */
#define CALLS(S)	/* by what they are for; those with arguments to check stand in filter_fill() */		\
	/* memory */													\
	S(brk) S(munmap) S(mremap) S(madvise)										\
	/* the loop and its connections */										\
	S(poll) S(ppoll) S(epoll_wait) S(epoll_pwait) S(epoll_ctl) S(accept) S(accept4) S(recvfrom) S(recvmsg)		\
	S(sendto) S(sendmsg) S(sendfile) S(writev) S(readv) S(shutdown) S(setsockopt) S(getsockopt) S(getsockname)	\
	S(read) S(write) S(close) S(fcntl)										\
	/* the database; Landlock says which files */									\
	S(open) S(openat) S(pread64) S(pwrite64) S(pwritev) S(preadv) S(fsync) S(fdatasync) S(ftruncate) S(fallocate)	\
	S(lseek) S(fstat) S(stat) S(lstat) S(newfstatat) S(statx) S(access) S(faccessat) S(faccessat2) S(unlink)	\
	S(unlinkat) S(readlink) S(readlinkat) S(getcwd) S(fchmod) S(fchown) S(statfs) S(fstatfs) S(getdents64)		\
	/* time, chance, signals, the end */										\
	S(clock_gettime) S(clock_getres) S(clock_nanosleep) S(nanosleep) S(gettimeofday) S(time) S(getrandom)		\
	S(futex) S(restart_syscall) S(sched_yield) S(rt_sigaction) S(rt_sigprocmask) S(rt_sigreturn) S(sigaltstack)	\
	S(getpid) S(gettid) S(getuid) S(geteuid) S(getgid) S(getegid) S(getrusage) S(sysinfo) S(uname)			\
	S(exit) S(exit_group)
/* clang-format on */

static const struct {
	int number;
	const char *name;
} calls[] = {
#define E(call) { SCMP_SYS(call), #call },
	CALLS(E)
#undef E
};

static enum rc capabilities_drop(struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, RC_INTERNAL, "set no_new_privs");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		syscall(SYS_capset, &head, none) < 0)
		return err_errno(e, RC_INTERNAL, "drop capabilities");
	/* No core with a key in it. */
	if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
		return err_errno(e, RC_INTERNAL, "set resource limits");
	return RC_OK;
}

/* Files of the database's directory may be read, written, made and removed; no other file can be opened. */
static enum rc files_confine(const char *database, bool *ret_landlock, struct err *e)
{
	const uint64_t beside = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				LANDLOCK_ACCESS_FS_REMOVE_FILE;
	/* All rights of the first version: what is not granted below is denied. */
	struct landlock_ruleset_attr all = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1 };
	struct landlock_path_beneath_attr rule = { .allowed_access = beside };
	char copy[PATH_MAX];
	enum rc rc = RC_OK;

	int set = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	*ret_landlock = set >= 0;
	if (set < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP
			       ? RC_OK
			       : err_errno(e, RC_INTERNAL, "create a Landlock ruleset");
	if ((size_t)snprintf(copy, sizeof copy, "%s", database) >= sizeof copy)
		rc = err_add(e, RC_LIMIT, "the path '%s' is too long", database);
	rule.parent_fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rc == RC_OK &&
		(rule.parent_fd < 0 ||
			syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ||
			syscall(SYS_landlock_restrict_self, set, 0) < 0))
		rc = err_errno(e, RC_INTERNAL, "confine files to those beside '%s'", database);
	if (rule.parent_fd >= 0)
		close(rule.parent_fd);
	close(set);
	return rc;
}

static int filter_fill(scmp_filter_ctx f, const char **ret_call)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT_OF(calls); i++) {
		*ret_call = calls[i].name;
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i].number, 0);
	}
	*ret_call = "mmap, mprotect, prctl, tgkill, prlimit64, ioctl";
	if (r == 0) /* no memory that is code */
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0) /* abort() */
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_CMP64(0, SCMP_CMP_EQ, (uint64_t)getpid()));
	if (r == 0) /* limits may be read */
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_CMP64(0, SCMP_CMP_EQ, 0),
			SCMP_CMP64(2, SCMP_CMP_EQ, 0));
	if (r == 0) /* the C library asks whether its output is a terminal */
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0);
	if (r == 0) /* and names its memory */
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_CMP64(0, SCMP_CMP_EQ, 0x53564d41 /* PR_SET_VMA */));
	return r;
}

static enum rc calls_confine(struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	const char *call = "";
	enum rc rc = RC_OK;

	if (!f)
		return err_add(e, RC_INTERNAL, "out of memory for the seccomp filter");
	int r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = filter_fill(f, &call);
	if (r == 0)
		r = seccomp_load(f);
	if (r < 0) {
		errno = -r;
		rc = err_errno(e, RC_INTERNAL, "seccomp filter %s", call);
	}
	seccomp_release(f);
	return rc;
}

enum rc witness_confine(const char *database, bool *ret_landlock, struct err *e)
{
	enum rc rc = capabilities_drop(e);

	if (rc == RC_OK)
		rc = files_confine(database, ret_landlock, e);
	return rc == RC_OK ? calls_confine(e) : rc;
}
