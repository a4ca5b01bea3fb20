/*
 * Gives up, in an order in which each step still may do what it needs: namespaces and root directory (need
 * privileges), limits, capabilities and user, no_new_privs, system calls last.
 */
#include "sandbox/sandbox.h"
#include "base/bytes.h"
#include "sandbox/login.h"
#include "sandbox/table.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
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

struct user {
	uid_t uid;
	gid_t gid;
};

/* Read from the file itself: the name service would load libraries and may talk to a network. */
static enum rc user_find(const char *name, struct user *ret_user, struct err *e)
{
	FILE *f = fopen("/etc/passwd", "re");

	if (!f)
		return err_errno(e, RC_IO, "open '/etc/passwd'");
	for (struct passwd *p; (p = fgetpwent(f));)
		if (strcmp(p->pw_name, name) == 0) {
			*ret_user = (struct user){ p->pw_uid, p->pw_gid };
			fclose(f);
			return p->pw_uid != 0 ? RC_OK : err_add(e, RC_DENIED, "user '%s' is root", name);
		}
	fclose(f);
	return err_add(e, RC_NOT_FOUND, "user '%s' does not exist (tools/make-users creates it)", name);
}

/* An empty file system becomes the root; the old tree is detached, so nothing of it is left to name. */
static enum rc root_empty(struct err *e)
{
	static const char place[] = "/tmp"; /* any directory: this process's mounts are its own by now */

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, RC_IO, "make mounts private");
	if (mount("none", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=1,mode=0555") <
		0)
		return err_errno(e, RC_IO, "mount the empty root");
	if (chdir(place) < 0)
		return err_errno(e, RC_IO, "enter the empty root");
	/* pivot_root(2): with both names the same the old root is stacked on the new one and can be taken
	 * off. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(e, RC_IO, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(e, RC_IO, "detach the old root");
	if (chdir("/") < 0 ||
		mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			NULL) < 0)
		return err_errno(e, RC_IO, "make the empty root read-only");
	return RC_OK;
}

static enum rc limit(int what, rlim_t max, const char *name, struct err *e)
{
	struct rlimit old, r = { .rlim_cur = max, .rlim_max = max };

	/* Never up: a lower limit of the machine stands. */
	if (getrlimit(what, &old) == 0 && old.rlim_max < max)
		r.rlim_cur = r.rlim_max = old.rlim_max;
	return setrlimit(what, &r) < 0 ? err_errno(e, RC_IO, "limit %s", name) : RC_OK;
}

/* A write beyond it fails with EFBIG, as on a full disk: a log that is a file ends no process. */
static enum rc limit_files(rlim_t octets, struct err *e)
{
	signal(SIGXFSZ, SIG_IGN);
	return limit(RLIMIT_FSIZE, octets, "file size", e);
}

static enum rc limits(const struct confinement *c, struct err *e)
{
	enum rc rc = limit(RLIMIT_CORE, 0, "core", e);

	if (rc == RC_OK)
		rc = limit(RLIMIT_NOFILE, c->files_max, "files", e);
	if (rc == RC_OK)
		rc = limit(RLIMIT_NPROC, c->threads_max, "threads", e);
	if (rc == RC_OK)
		rc = limit_files(c->file_bytes_max, e);
	if (rc == RC_OK)
		rc = limit(RLIMIT_MEMLOCK, c->locked_bytes_max, "locked memory", e);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	if (rc == RC_OK)
		rc = limit(RLIMIT_DATA, c->data_bytes_max, "memory", e);
#endif
	return rc;
}

/* Out of every set that an execve() or a bug could take them from. */
static enum rc capabilities_drop(struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "clear ambient capabilities");
	if (syscall(SYS_capset, &header, none) < 0)
		return err_errno(e, RC_IO, "drop capabilities");
	return RC_OK;
}

static enum rc bounding_drop(uint64_t keep, struct err *e)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(cap < 64 && keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(e, RC_IO, "drop capability %lu from the bounding set", cap);
	return RC_OK;
}

static enum rc user_become(const struct user *u, struct err *e)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
				   SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
				   SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	enum rc rc = bounding_drop(0, e);

	if (rc != RC_OK)
		return rc;
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "set securebits");
	if (setgroups(0, NULL) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
		setresuid(u->uid, u->uid, u->uid) < 0)
		return err_errno(e, RC_IO, "become user %u", (unsigned)u->uid);
	rc = capabilities_drop(e);
	/* Checked again: this is the step whose silent failure would be worst. */
	if (rc == RC_OK && (setresuid(0, 0, 0) == 0 || getuid() != u->uid || geteuid() != u->uid))
		rc = err_add(e, RC_INTERNAL, "user %u could become root again", (unsigned)u->uid);
	return rc;
}

/* What libraries would read later, when nothing can be read any more. */
static void warm_up(void)
{
	tzset();
}

static enum rc enter_child(enum proc self, const struct confinement *c, struct err *e)
{
	struct user u = { 0 };
	enum rc rc = user_find(proc_user(self), &u, e);

	if (rc != RC_OK)
		return rc;
	warm_up();
	umask(077);
	if (unshare(c->unshare) < 0)
		return err_errno(e, RC_IO, "unshare namespaces");
	if (c->empty_root)
		rc = root_empty(e);
	if (rc == RC_OK)
		rc = limits(c, e);
	if (rc == RC_OK)
		rc = user_become(&u, e);
	if (rc != RC_OK)
		return rc;
	/* No core, no ptrace, no /proc/PID/mem for others of the same user; and no life without the
	 * supervisor. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "prctl");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "set no_new_privs");
	return filter_load(self, e);
}

/* Of root it keeps these, effective and for what it executes; a user that it becomes has none of them. */
static enum rc capabilities_keep(const unsigned *keep, size_t n, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	uint64_t mask = 0;

	for (size_t i = 0; i < n; i++)
		mask |= 1ull << keep[i];
	enum rc rc = bounding_drop(mask, e);
	if (rc != RC_OK)
		return rc;
	if (syscall(SYS_capget, &header, caps) < 0)
		return err_errno(e, RC_IO, "read capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(mask >> (32 * i));
		caps[i].effective &= half;
		caps[i].permitted &= half;
		caps[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, caps) < 0 ? err_errno(e, RC_IO, "drop capabilities") : RC_OK;
}

/* It stays root, to start the others, without most of root's capabilities. */
static enum rc enter_supervisor(struct err *e)
{
	static const unsigned keep[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL,
		CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE,
		CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_IPC_LOCK, CAP_SYS_CHROOT };
	enum rc rc = capabilities_keep(keep, COUNT_OF(keep), e);

	if (rc != RC_OK)
		return rc;
	/* No process below gains anything by executing a file. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "set no_new_privs");
	return filter_load(PROC_SUPERVISOR, e);
}

enum rc login_user_find(struct login_user *ret_user, struct err *e)
{
	struct user u = { 0 };
	enum rc rc = user_find(proc_user(PROC_SSH), &u, e);

	*ret_user = (struct login_user){ u.uid, u.gid };
	return rc;
}

enum rc login_give_up(struct err *e)
{
	enum rc rc = limit(RLIMIT_CORE, 0, "core", e);

	if (rc == RC_OK)
		rc = limit(RLIMIT_NOFILE, LOGIN_FILES, "files", e);
	if (rc == RC_OK)
		rc = limit(RLIMIT_NPROC, LOGIN_PROCESSES, "processes", e);
	if (rc == RC_OK)
		rc = limit_files(LOGIN_FILE_BYTES, e);
	if (rc == RC_OK)
		rc = limit(RLIMIT_MEMLOCK, 0, "locked memory", e);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	if (rc == RC_OK)
		rc = limit(RLIMIT_DATA, LOGIN_DATA, "memory", e);
#endif
	if (rc == RC_OK && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		rc = err_errno(e, RC_IO, "clear ambient capabilities");
	if (rc == RC_OK && prctl(PR_SET_SECUREBITS,
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED |
					   SECBIT_KEEP_CAPS_LOCKED,
				   0, 0, 0) < 0)
		rc = err_errno(e, RC_IO, "set securebits");
	if (rc == RC_OK)
		rc = capabilities_keep(login_capabilities, login_capabilities_n, e);
	if (rc == RC_OK &&
		(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		rc = err_errno(e, RC_IO, "set no_new_privs");
	return rc == RC_OK ? filter_load_login(e) : rc;
}

enum rc sandbox_enter(enum proc self, struct err *e)
{
	enum rc rc;

	if (self == PROC_SUPERVISOR)
		rc = enter_supervisor(e);
	else if (proc_user(self) && self != PROC_SSH) /* that one: sandbox_login() */
		rc = enter_child(self, &confinements[self], e);
	else
		rc = err_add(e, RC_INTERNAL, "the table has no confinement for it");
	return rc == RC_OK ? rc : err_add(e, rc, "while confining %s", proc_name(self));
}

enum rc sandbox_offline(struct err *e)
{
	static const struct user nobody = { 65534, 65534 };
	enum rc rc = RC_OK;

	warm_up();
	if (limit(RLIMIT_CORE, 0, "core", e) != RC_OK || limit(RLIMIT_NPROC, 0, "processes", e) != RC_OK)
		return RC_IO;
	if (geteuid() == 0)
		rc = user_become(&nobody, e);
	else
		rc = capabilities_drop(e);
	if (rc != RC_OK)
		return rc;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, RC_IO, "set no_new_privs");
	return filter_load_offline(e);
}
