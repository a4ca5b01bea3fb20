/* A program on a file of strangers: what it still may, and that everything else ends it or is refused; as root and as somebody else. */
#include "base/bytes.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define FAILED 100 /* the confinement itself */

static int file;

static int reads(void)
{
	char c;
	void *p = malloc(1 << 20);

	return p && read(file, &c, 1) == 1 && write(file, &c, 1) < 0 ? 0 : 1;
}

static int opens(void)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int connects(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int listens(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int executes(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int forks(void)
{
	return fork();
}

static int becomes_root(void)
{
	return setuid(0);
}

static int makes_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int removes(void)
{
	return unlink("/tmp/plaingate-nothing");
}

static int signals(void)
{
	return kill(getppid(), 0);
}

static const struct {
	int (*deed)(void);
	int signal, status;
} deeds[] = { { reads, 0, 0 }, { opens, 0, EACCES }, { connects, SIGSYS, 0 }, { listens, SIGSYS, 0 },
	{ executes, SIGSYS, 0 }, { forks, SIGSYS, 0 }, { becomes_root, SIGSYS, 0 }, { makes_code, SIGSYS, 0 },
	{ removes, SIGSYS, 0 }, { signals, SIGSYS, 0 } };

static void each(bool as_root)
{
	for (size_t i = 0; i < COUNT_OF(deeds); i++) {
		int status;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct err e = { 0 };
			if (!as_root && setresuid(65533, 65533, 65533) < 0)
				_exit(FAILED);
			if (sandbox_offline(&e) != RC_OK)
				_exit(FAILED);
			_exit(deeds[i].deed());
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (deeds[i].signal ? !WIFSIGNALED(status) || WTERMSIG(status) != deeds[i].signal
				    : !WIFEXITED(status) || WEXITSTATUS(status) != deeds[i].status)
			fail_msg("deed %zu: status %x", i, (unsigned)status);
	}
}

static void as_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	each(true);
}

static void as_somebody(void **state)
{
	(void)state;
	each(geteuid() != 0);
}

/* Of root nothing is left: /proc says so of a child that waits. */
static void nobody_without_capabilities(void **state)
{
	int ready[2], never[2];
	char path[64], text[4096] = "", c;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(pipe(ready) == 0 && pipe(never) == 0);
	pid_t child = fork();
	if (child == 0) {
		if (sandbox_offline(NULL) == RC_OK)
			c = (char)write(ready[1], "x", 1);
		for (;;)
			c = (char)read(never[0], &c, 1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	snprintf(path, sizeof path, "/proc/%d/status", child);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_non_null(strstr(text, "Uid:\t65534\t65534\t65534\t65534\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapBnd:\t0000000000000000\n"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "Seccomp:\t2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_root),
		cmocka_unit_test(as_somebody),
		cmocka_unit_test(nobody_without_capabilities),
	};

	file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return cmocka_run_group_tests_name("sandbox/offline", tests, NULL, NULL);
}
