/* An administrator's session: its home is its own, and nowhere else does it leave or change anything. */
#include "base/bytes.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define CONFINEMENT_FAILED 250
#define NO_LANDLOCK	   251

static char top[] = "/tmp/plaingate-session-XXXXXX", home[64], shared[64];

static int result(long bad)
{
	return bad < 0 ? errno : 0;
}

static const char *in(const char *directory, const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static int makes(const char *directory)
{
	return result(open(in(directory, "new"), O_WRONLY | O_CREAT, 0600));
}

static int writes(const char *directory)
{
	return result(open(in(directory, "there"), O_WRONLY));
}

static int makes_directory(const char *directory)
{
	return result(mkdir(in(directory, "directory"), 0700));
}

static int makes_link(const char *directory)
{
	return result(symlink("/etc", in(directory, "link")));
}

static int makes_fifo(const char *directory)
{
	return result(mkfifo(in(directory, "fifo"), 0600));
}

static int removes(const char *directory)
{
	return result(unlink(in(directory, "there")));
}

static int renames(const char *directory)
{
	char to[128];

	snprintf(to, sizeof to, "%s/renamed", directory);
	return result(rename(in(directory, "there"), to));
}

static int reads(const char *directory)
{
	(void)directory;
	return result(open("/etc/passwd", O_RDONLY));
}

static int speaks(const char *directory)
{
	(void)directory;
	return result(open("/dev/null", O_WRONLY));
}

static const struct {
	const char *name;
	int (*deed)(const char *directory);
	bool anywhere;
} deeds[] = { { "make a file", makes, false }, { "write to a file", writes, false },
	{ "make a directory", makes_directory, false }, { "make a link", makes_link, false },
	{ "make a pipe", makes_fifo, false }, { "rename", renames, false }, { "remove", removes, false },
	{ "read", reads, true }, { "write to a device", speaks, true } };

static void file_make(const char *directory)
{
	int fd = open(in(directory, "there"), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int status_of(size_t i, const char *directory)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		enum rc rc = sandbox_session(home, NULL);
		_exit(rc == RC_UNSUPPORTED ? NO_LANDLOCK
			: rc != RC_OK	   ? CONFINEMENT_FAILED
					   : deeds[i].deed(directory));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void home_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(deeds); i++) {
		file_make(home);
		file_make(shared);
		int at_home = status_of(i, home), elsewhere = status_of(i, shared);
		if (at_home == NO_LANDLOCK)
			skip();
		if (at_home != 0 || elsewhere != (deeds[i].anywhere ? 0 : EACCES))
			fail_msg("%s: %s at home, %s elsewhere", deeds[i].name, strerror(at_home),
				strerror(elsewhere));
	}
}

static void a_home_that_is_not_there(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();
	if (child == 0) {
		enum rc rc = sandbox_session("/nonexistent", NULL);
		_exit(rc == RC_IO || rc == RC_UNSUPPORTED ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(home, sizeof home, "%s/home", top);
	snprintf(shared, sizeof shared, "%s/shared", top);
	return mkdir(home, 0700) || mkdir(shared, 0700);
}

static int end(void **state)
{
	static const char *const left[] = { "new", "there", "renamed", "link", "fifo" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(left); i++) {
		unlink(in(home, left[i]));
		unlink(in(shared, left[i]));
	}
	rmdir(in(home, "directory"));
	rmdir(home);
	rmdir(shared);
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(home_alone),
		cmocka_unit_test(a_home_that_is_not_there),
	};

	return cmocka_run_group_tests_name("sandbox/session", tests, begin, end);
}
