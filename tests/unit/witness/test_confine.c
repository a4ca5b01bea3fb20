/* The witness's confinement: each child does one thing; what is forbidden ends it or fails, what it needs
 * works. */
#include "proc/witness/confine.h"
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/plaingate-confine-XXXXXX", database[64], outside[64];

#define FINE	0
#define REFUSED 3 /* the call failed for want of rights */
#define STRANGE 4

static int of_errno(int result)
{
	return result >= 0 ? FINE : errno == EACCES || errno == EPERM ? REFUSED : STRANGE;
}

static int do_read_beside(void)
{
	return of_errno(open(database, O_RDWR | O_CLOEXEC));
}

static int do_make_beside(void)
{
	char path[80];

	snprintf(path, sizeof path, "%s-wal", database);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? of_errno(fd)
		      : of_errno(write(fd, "x", 1) == 1 && fdatasync(fd) == 0 ? unlink(path) : -1);
}

static int do_read_outside(void)
{
	return of_errno(open(outside, O_RDONLY | O_CLOEXEC));
}

static int do_read_passwd(void)
{
	return of_errno(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int do_remove_outside(void)
{
	return of_errno(unlink(outside));
}

static int do_make_outside(void)
{
	return of_errno(open("/tmp/plaingate-confine-made", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int do_socket(void)
{
	return of_errno(socket(AF_INET, SOCK_STREAM, 0));
}

static int do_unix_socket(void)
{
	return of_errno(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int do_connect(void)
{
	return of_errno(connect(0, NULL, 0));
}

static int do_exec(void)
{
	char *argv[] = { NULL };

	return of_errno(execve("/bin/true", argv, argv));
}

static int do_fork(void)
{
	return of_errno((int)syscall(SYS_fork));
}

static int do_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? STRANGE
		       : FINE;
}

static int do_code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return of_errno(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int do_kill_parent(void)
{
	return of_errno(kill(getppid(), 0));
}

static int do_trace(void)
{
	return of_errno((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int do_chmod(void)
{
	return of_errno(chmod(outside, 0777));
}

static int do_core_limit(void)
{
	return of_errno(setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 }));
}

static void each(void **state)
{
	static const struct {
		const char *name;
		int (*act)(void);
		int want; /* exit status, or SIGSYS: killed */
		bool landlock;
	} rows[] = {
		{ "open the database", do_read_beside, FINE, false },
		{ "make, write, sync, remove a file beside it", do_make_beside, FINE, false },
		{ "open a file elsewhere", do_read_outside, REFUSED, true },
		{ "open /etc/passwd", do_read_passwd, REFUSED, true },
		{ "remove a file elsewhere", do_remove_outside, REFUSED, true },
		{ "make a file elsewhere", do_make_outside, REFUSED, true },
		{ "a socket", do_socket, SIGSYS, false },
		{ "a local socket", do_unix_socket, SIGSYS, false },
		{ "connect", do_connect, SIGSYS, false },
		{ "execve", do_exec, SIGSYS, false },
		{ "fork", do_fork, SIGSYS, false },
		{ "memory that is code", do_code, SIGSYS, false },
		{ "memory that becomes code", do_code_later, SIGSYS, false },
		{ "a signal to the parent", do_kill_parent, SIGSYS, false },
		{ "ptrace", do_trace, SIGSYS, false },
		{ "chmod", do_chmod, SIGSYS, false },
		{ "a limit", do_core_limit, SIGSYS, false },
	};
	bool everything_before = true;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int status, landlock_missing = 77;
		/* Without confinement each of the files can be reached: it is the confinement that refuses.
		 */
		if (rows[i].landlock && rows[i].act == do_read_outside)
			everything_before &= rows[i].act() == FINE;
		pid_t child = fork();
		if (child == 0) {
			bool landlock;
			setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
			if (witness_confine(database, &landlock, NULL) != RC_OK)
				_exit(99);
			_exit(rows[i].landlock && !landlock ? landlock_missing : rows[i].act());
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == landlock_missing) {
			printf("%s: no Landlock here\n", rows[i].name);
			continue;
		}
		bool good = rows[i].want == SIGSYS ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
						   : WIFEXITED(status) && WEXITSTATUS(status) == rows[i].want;
		if (!good)
			fail_msg("%s: status %x", rows[i].name, (unsigned)status);
	}
	assert_true(everything_before);
}

/* No right of root is left, whoever started it. */
static void capabilities(void **state)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		char text[4096];
		bool landlock;
		int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		if (fd < 0 || witness_confine(database, &landlock, NULL) != RC_OK)
			_exit(99);
		ssize_t n = read(fd, text, sizeof text - 1);
		if (n <= 0)
			_exit(98);
		text[n] = '\0';
		_exit(!strstr(text, "CapEff:\t0000000000000000") ||
			!strstr(text, "CapPrm:\t0000000000000000") || !strstr(text, "NoNewPrivs:\t1") ||
			!strstr(text, "Seccomp:\t2"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int begin(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(outside, sizeof outside, "%s/outside", directory);
	snprintf(database, sizeof database, "%s/state", directory);
	if (mkdir(database, 0700) != 0)
		return -1;
	snprintf(database, sizeof database, "%s/state/db", directory);
	int a = open(outside, O_RDWR | O_CREAT | O_CLOEXEC, 0600),
	    b = open(database, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	close(a);
	close(b);
	return a < 0 || b < 0;
}

static int end(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each), cmocka_unit_test(capabilities) };
	return cmocka_run_group_tests(tests, begin, end);
}
