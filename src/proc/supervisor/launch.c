/*
 * One start of a process. Its executable is measured once, at its first start: copied into sealed memory, and
 * the copy is hashed and executed, now and at each later start. So what runs is what the ledger has, whatever
 * happens to the file meanwhile, and an upgrade of the package does not put processes of two versions beside
 * each other. Between fork and exec only what is safe there.
 */
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u /* Linux 6.3 */
#endif

static int memory_for(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

/* What is written is what is hashed. */
static enum rc copy_hashed(int from, int to, uint8_t ret_sha256[SHA256_SIZE], struct err *e)
{
	struct sha256_state state = sha256_begin();
	static uint8_t piece[1 << 16];
	enum rc rc = RC_OK;
	ssize_t n;

	while (rc == RC_OK && (n = read(from, piece, sizeof piece)) != 0) {
		if (n < 0)
			rc = err_errno(e, RC_IO, "read it");
		else if (write(to, piece, (size_t)n) != n)
			rc = err_errno(e, RC_IO, "copy it into memory");
		else
			sha256_more(&state, piece, (size_t)n);
	}
	sha256_done(&state, ret_sha256);
	return rc;
}

/* The same memory for reading only: what is open for writing is not executed. -1: error. */
static int seal(int fd)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0
		       ? -1
		       : open(path, O_RDONLY | O_CLOEXEC);
}

enum rc measured_read(const char *path, struct measured *ret_measured, struct err *e)
{
	const char *name = strrchr(path, '/');
	struct stat st;
	int memory = -1, fd = open(path, O_RDONLY | O_CLOEXEC);
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_add(e, RC_MALFORMED, "'%s' is not a regular file", path);
	else if ((memory = memory_for(name ? name + 1 : path)) < 0)
		rc = err_errno(e, RC_IO, "make executable memory for '%s'%s", path,
			errno == EACCES ? " (vm.memfd_noexec forbids it: 1 at the most)" : "");
	else if ((rc = copy_hashed(fd, memory, ret_measured->sha256, e)))
		err_add(e, rc, "while measuring '%s'", path);
	else if ((ret_measured->fd = seal(memory)) < 0)
		rc = err_errno(e, RC_IO, "seal the copy of '%s'", path);
	if (memory >= 0)
		close(memory);
	close(fd);
	return rc;
}

void measured_done(struct measured *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

/* Of ours only what the sanitizers' runtimes read; in an installed build there is none. GnuTLS, which reads a file before main() begins, reads
 * none, and is started in the sandbox (proc/certifier/main_gnutls.c). */
static void environment(char *ret_env[ENVIRONMENT_MAX])
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", zone[] = "TZ=UTC";
	static char late[] = "GNUTLS_NO_IMPLICIT_INIT=1", none[] = "GNUTLS_SYSTEM_PRIORITY_FILE=/dev/null";
	size_t n = 0;

	ret_env[n++] = late;
	ret_env[n++] = none;

	ret_env[n++] = path;
	ret_env[n++] = zone;
	for (char **v = environ; *v && n < ENVIRONMENT_MAX - 1; v++)
		if (strncmp(*v, "ASAN_OPTIONS=", 13) == 0 || strncmp(*v, "UBSAN_OPTIONS=", 14) == 0 ||
			strncmp(*v, "TSAN_OPTIONS=", 13) == 0)
			ret_env[n++] = *v;
	ret_env[n] = NULL;
}

/* In the new process: files 0 to 3 and no other, default signals, then the measured file. */
static void become(const struct child_process *c, int link, int log)
{
	/* of ssh: where the host key and control's socket are (proc/ssh/main.c) */
	char *argv[] = { (char *)(uintptr_t)proc_executable(c->id),
		c->id == PROC_SSH ? c->supervisor->ssh_keys : NULL, c->supervisor->ssh_socket, NULL };
	char *env[ENVIRONMENT_MAX];
	sigset_t none;

	environment(env);
	/* First out of the way of 0..3, then into place; dup2() clears close-on-exec. */
	int high_link = fcntl(link, F_DUPFD_CLOEXEC, 16), high_log = fcntl(log, F_DUPFD_CLOEXEC, 16);
	int exe = fcntl(c->measured.fd, F_DUPFD_CLOEXEC, 16);
	int null = fcntl(c->supervisor->null_fd, F_DUPFD_CLOEXEC, 16);
	if (high_link < 0 || high_log < 0 || exe < 0 || null < 0)
		_exit(126);
	if (dup2(null, 0) < 0 || dup2(high_log, 1) < 0 || dup2(high_log, 2) < 0 || dup2(high_link, 3) < 0)
		_exit(126);
	close_range(4, ~0u, CLOSE_RANGE_CLOEXEC);
	setsid(); /* a signal to the terminal's whole group, Control-C, goes to the supervisor alone */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fexecve(exe, argv, env);
	_exit(127);
}

/* Its standard error goes to the log as it is, a piece at a time. */
static void log_ready(struct loop *l, struct watch *w, short revents)
{
	struct child_process *c = (struct child_process *)w->context;
	char text[4096];
	ssize_t n = read(w->fd, text, sizeof text);

	if (n > 0) {
		if (write(c->supervisor->log_fd, text, (size_t)n) < 0)
			return; /* a full disk or a closed terminal: the lines are lost */
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_remove(l, w);
	close(w->fd);
	w->fd = -1;
}

static void log_follow(struct child_process *c, int fd)
{
	struct loop *l = &c->supervisor->loop;

	if (c->log.added) { /* the last lines of the previous process */
		log_ready(l, &c->log, POLLIN);
		if (c->log.added) {
			loop_remove(l, &c->log);
			close(c->log.fd);
		}
	}
	c->log = (struct watch){ .fd = fd, .events = POLLIN, .fn = log_ready, .context = c };
	loop_add(l, &c->log);
}

enum rc child_launch(struct child_process *c, struct err *e)
{
	int links[2], logs[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, links) < 0)
		return err_errno(e, RC_IO, "make a link");
	if (pipe2(logs, O_CLOEXEC | O_NONBLOCK) < 0) {
		err_errno(e, RC_IO, "make a pipe");
		close(links[0]);
		close(links[1]);
		return RC_IO;
	}
	pid_t pid = fork();
	if (pid == 0)
		become(c, links[1], logs[1]);
	close(links[1]);
	close(logs[1]);
	if (pid < 0) {
		err_errno(e, RC_IO, "fork");
		close(links[0]);
		close(logs[0]);
		return RC_IO;
	}
	c->pid = pid;
	log_follow(c, logs[0]);
	port_open(&c->port, &c->supervisor->loop, links[0], PROC_SUPERVISOR, c->id);
	return RC_OK;
}
