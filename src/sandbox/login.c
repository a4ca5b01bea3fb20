/* Mounts first, while they may still be made; then the first process of the namespace, and both give up the rest. */
#include "sandbox/login.h"
#include "base/bytes.h"
#include "sandbox/table.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOGIN_FIRST_FD 32 /* above all that are open here */
#define PLACE                                                                                                \
	"/tmp" /* where the new root is put together: any directory, these mounts are this process's own */

static enum rc make_directory(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(e, RC_IO, "make directory '%s'", path);
	return RC_OK;
}

static enum rc mount_new(
	const char *kind, const char *at, unsigned long flags, const char *options, struct err *e)
{
	return mount(kind, at, kind, flags, options) < 0 ? err_errno(e, RC_IO, "mount %s on '%s'", kind, at)
							 : RC_OK;
}

/* fd: opened with O_PATH before anything was mounted over its name. */
static enum rc mount_open(int fd, const char *at, unsigned long flags, struct err *e)
{
	char from[40];

	snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	if (mount(from, at, NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
		return err_errno(e, RC_IO, "mount '%s'", at);
	return RC_OK;
}

static enum rc mount_path(const char *path, const char *at, unsigned long flags, struct err *e)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	enum rc rc = mount_open(fd, at, flags, e);
	close(fd);
	return rc;
}

static enum rc file_empty(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_errno(e, RC_IO, "make '%s'", path);
	close(fd);
	return RC_OK;
}

#define READ_ONLY (MS_RDONLY | MS_NOSUID | MS_NODEV)

/* One directory, or one program, of the machine under the same name; one that the machine does not have is left out. */
static enum rc system_part(const char *path, struct err *e)
{
	char at[PATH_MAX];
	struct stat st;

	snprintf(at, sizeof at, PLACE "%s", path);
	if (stat(path, &st) < 0)
		return RC_OK;
	for (char *c = at + sizeof PLACE; (c = strchr(c, '/')); *c++ = '/') {
		*c = '\0';
		if (make_directory(at, 0755, e) != RC_OK)
			return RC_IO;
	}
	enum rc rc = S_ISDIR(st.st_mode) ? make_directory(at, 0755, e) : file_empty(at, e);
	return rc == RC_OK ? mount_path(path, at, READ_ONLY, e) : rc;
}

/*
 * What sshd and the administrator's program load and execute, and nothing that would take a command from its user: neither a shell
 * nor an interpreter, an
 * editor or a pager is in here, whatever a program could be talked into executing.
 */
static enum rc system_mount(struct err *e)
{
	static const char *const parts[] = { "/usr/sbin/sshd", "/usr/sbin/nologin",
		"/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth", "/usr/bin/ssh-keygen",
		"/usr/bin/ssh-add", "/usr/bin/ping", "/usr/bin/traceroute", "/usr/share/terminfo",
		"/usr/lib/terminfo", "/usr/lib64", "/etc/ld.so.cache" };
	static const char *const links[] = { "lib", "lib64", "bin", "sbin" };
	char target[16], at[32];
	enum rc rc = RC_OK;
	glob_t found;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(links); i++) {
		snprintf(target, sizeof target, "usr/%s", links[i]);
		snprintf(at, sizeof at, PLACE "/%s", links[i]);
		rc = symlink(target, at) < 0 ? err_errno(e, RC_IO, "link '%s'", at) : RC_OK;
	}
	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(parts); i++)
		rc = system_part(parts[i], e);
	if (rc != RC_OK)
		return rc;
	if (glob("/usr/lib/*-linux-gnu*", 0, NULL, &found) == 0) {
		for (size_t i = 0; rc == RC_OK && i < found.gl_pathc; i++)
			rc = system_part(found.gl_pathv[i], e);
		globfree(&found);
	}
	return rc;
}

static enum rc devices_mount(struct err *e)
{
	static const char *const names[] = { "null", "zero", "full", "random", "urandom", "tty" };
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(names); i++) {
		char path[24], at[40];
		snprintf(path, sizeof path, "/dev/%s", names[i]);
		snprintf(at, sizeof at, PLACE "/dev/%s", names[i]);
		rc = file_empty(at, e);
		if (rc == RC_OK)
			rc = mount_path(path, at, MS_NOSUID | MS_NOEXEC, e);
	}
	if (rc == RC_OK)
		rc = make_directory(PLACE "/dev/pts", 0755, e);
	if (rc == RC_OK)
		rc = mount_new("devpts", PLACE "/dev/pts", MS_NOSUID | MS_NOEXEC,
			"newinstance,ptmxmode=0666,mode=0620,gid=5", e);
	if (rc == RC_OK && symlink("pts/ptmx", PLACE "/dev/ptmx") < 0)
		rc = err_errno(e, RC_IO, "link '/dev/ptmx'");
	return rc;
}

static enum rc own_mount(int keys, int socket, struct err *e)
{
	enum rc rc = file_empty(PLACE "/run/plaingate/control.sock", e);

	if (rc == RC_OK)
		rc = mount_open(
			socket, PLACE "/run/plaingate/control.sock", MS_NOSUID | MS_NODEV | MS_NOEXEC, e);
	if (rc == RC_OK)
		rc = mount_open(keys, PLACE "/keys", MS_NOSUID | MS_NODEV | MS_NOEXEC, e);
	for (unsigned i = 0; rc == RC_OK && i < LOGIN_HOMES; i++) {
		char at[32];
		snprintf(at, sizeof at, PLACE LOGIN_HOME_FORMAT, i);
		rc = make_directory(at, 0700, e);
		if (rc == RC_OK)
			rc = mount_new("tmpfs", at, MS_NOSUID | MS_NODEV | MS_NOEXEC, LOGIN_HOME_MEMORY, e);
	}
	return rc == RC_OK ? mount_new("tmpfs", PLACE "/tmp", MS_NOSUID | MS_NODEV | MS_NOEXEC,
				     LOGIN_TMP_MEMORY, e)
			   : rc;
}

static enum rc root_fill(int keys, int socket, struct err *e)
{
	static const struct {
		const char *path;
		mode_t mode;
	} directories[] = { { "/etc", 0755 }, { "/etc/ssh", 0755 }, { "/etc/ssh/keys", 0755 },
		{ "/dev", 0755 }, { "/proc", 0555 }, { "/run", 0755 }, { "/run/sshd", 0755 },
		{ "/run/plaingate", 0755 }, { "/shell", 0755 }, { "/keys", 0700 }, { "/home", 0755 },
		{ "/homes", 0755 }, { "/tmp", 0755 }, { "/var", 0755 } };
	enum rc rc = mount_new("tmpfs", PLACE, MS_NOSUID, LOGIN_ROOT_MEMORY, e);

	for (size_t i = 0; rc == RC_OK && i < COUNT_OF(directories); i++) {
		char at[64];
		snprintf(at, sizeof at, PLACE "%s", directories[i].path);
		rc = make_directory(at, directories[i].mode, e);
	}
	if (rc == RC_OK)
		rc = system_mount(e);
	if (rc == RC_OK)
		rc = devices_mount(e);
	return rc == RC_OK ? own_mount(keys, socket, e) : rc;
}

static enum rc root_make(const struct login_places *places, struct err *e)
{
	int keys = open(places->keys, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    socket = open(places->socket, O_PATH | O_CLOEXEC);
	enum rc rc = RC_OK;

	if (keys < 0 || socket < 0)
		rc = err_errno(e, RC_IO, "open '%s'", keys < 0 ? places->keys : places->socket);
	else if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		rc = err_errno(e, RC_IO, "make mounts private");
	else
		rc = root_fill(keys, socket, e);
	if (keys >= 0)
		close(keys);
	if (socket >= 0)
		close(socket);
	if (rc != RC_OK)
		return rc;
	if (chdir(PLACE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
		chdir("/") < 0)
		return err_errno(e, RC_IO, "pivot_root");
	return RC_OK;
}

/* In the first process, which says what came of it by one octet, and then waits. */
static void first_run(int said, int go)
{
	static char program[] = "/usr/sbin/sshd", stay[] = "-D", to_stderr[] = "-e", file_is[] = "-f",
		    file[] = "/etc/ssh/sshd_config";
	static char *const argv[] = { program, stay, to_stderr, file_is, file, NULL };
	static char path[] = "PATH=/usr/sbin:/usr/bin", zone[] = "TZ=UTC";
	char *env[] = { path, zone, NULL, NULL, NULL };
	struct err e = { 0 };
	size_t n = 2;
	char octet;

	for (char **v = environ; *v && n < COUNT_OF(env) - 1; v++)
		if (strncmp(*v, "ASAN_OPTIONS=", 13) == 0 || strncmp(*v, "UBSAN_OPTIONS=", 14) == 0)
			env[n++] = *v;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
		mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"hidepid=invisible,subset=pid") < 0 ||
		login_give_up(&e) != RC_OK || write(said, "r", 1) != 1)
		_exit(1);
	close(said);
	if (read(go, &octet, 1) != 1)
		_exit(0);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(1);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	execve(program, argv, env);
	static const char why[] = "sshd cannot be executed: is openssh-server installed?\n";
	if (write(2, why, sizeof why - 1) < 0)
		_exit(1);
	_exit(127);
}

/* A pipe whose ends close at an exec. */
static enum rc pipe_make(int ends[2], struct err *e)
{
	return pipe2(ends, O_CLOEXEC) < 0 ? err_errno(e, RC_IO, "make a pipe") : RC_OK;
}

static enum rc first_start(pid_t *ret_first, int *ret_go, int *ret_log, struct err *e)
{
	int said[2], go[2], log[2];
	char octet = 0;

	if (pipe_make(said, e) != RC_OK || pipe_make(go, e) != RC_OK || pipe_make(log, e) != RC_OK)
		return RC_IO;
	if (unshare(CLONE_NEWPID) < 0)
		return err_errno(e, RC_IO, "unshare the PID namespace");
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(e, RC_IO, "fork");
	if (pid == 0) {
		int say = fcntl(said[1], F_DUPFD, LOGIN_FIRST_FD),
		    hear = fcntl(go[0], F_DUPFD, LOGIN_FIRST_FD);
		if (say < 0 || hear < 0 || dup2(log[1], 2) < 0)
			_exit(1);
		close_range(3, LOGIN_FIRST_FD - 1, 0); /* the link to the supervisor among them */
		first_run(say, hear);
	}
	close(said[1]);
	close(go[0]);
	close(log[1]);
	ssize_t n = read(said[0], &octet, 1);
	close(said[0]);
	*ret_first = pid;
	*ret_go = go[1];
	*ret_log = log[0];
	return n == 1 ? RC_OK
		      : err_add(e, RC_IO,
				"the first process of its PID namespace ended: it could not be confined");
}

enum rc sandbox_login(const struct login_places *places, pid_t *ret_first, int *ret_go, int *ret_log,
	struct login_user *ret_privsep, struct err *e)
{
	enum rc rc = login_user_find(ret_privsep, e);

	umask(022);
	if (rc == RC_OK && unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0)
		rc = err_errno(e, RC_IO, "unshare namespaces");
	if (rc == RC_OK)
		rc = root_make(places, e);
	if (rc == RC_OK &&
		(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		rc = err_errno(e, RC_IO, "prctl");
	if (rc == RC_OK)
		rc = first_start(ret_first, ret_go, ret_log, e);
	if (rc == RC_OK)
		rc = login_give_up(e);
	return rc == RC_OK ? rc : err_add(e, rc, "while confining ssh");
}
