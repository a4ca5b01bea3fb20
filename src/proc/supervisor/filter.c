/*
 * The rule set into the kernel, by nft(8): whole and in one transaction, so that there is no moment without a
 * filter. It stays when the supervisor ends or dies: closed. Only `plaingated --flush` takes it away.
 */
#include "proc/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NFT_PATH	"/usr/sbin/nft"
#define NFT_WAIT_MS	10000
#define FILTER_TEXT_MAX (256 << 10)

static void become_nft(int input, int output)
{
	char *argv[] = { (char *)(uintptr_t) "nft", (char *)(uintptr_t) "-f", (char *)(uintptr_t) "-", NULL };
	char *env[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin", (char *)(uintptr_t) "LC_ALL=C", NULL };
	sigset_t none;

	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
		_exit(126);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(NFT_PATH, argv, env);
	_exit(127);
}

/* Its first words, for the error. Bounded in time: the children's messages wait meanwhile. */
static enum rc nft_wait(pid_t pid, int output, struct err *e)
{
	char said[300], rest[300];
	size_t n = 0;
	int status, left = NFT_WAIT_MS;

	while (left > 0) {
		struct pollfd p = { .fd = output, .events = POLLIN };
		mono_ns before = clock_mono();
		int ready = poll(&p, 1, left);
		left -= (int)((clock_mono() - before) / NS_PER_MS);
		if (ready <= 0)
			continue;
		ssize_t got = n < sizeof said - 1 ? read(output, said + n, sizeof said - 1 - n)
						  : read(output, rest, sizeof rest);
		if (got <= 0)
			break;
		n += n < sizeof said - 1 ? (size_t)got : 0;
	}
	if (left <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	said[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (said[i] == '\n')
			said[i] = ' ';
	if (left <= 0)
		return err_add(e, RC_IO, "nft did not end in time");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return RC_OK;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_add(e, RC_IO, "%s cannot be executed (package nftables)", NFT_PATH);
	return err_add(e, RC_IO, "nft: %s", said);
}

enum rc nft_run(const char *text, size_t n, struct err *e)
{
	int pipes[2], memory = memfd_create("nft", MFD_CLOEXEC);
	enum rc rc = RC_IO;

	/* A file, not a pipe: however long, writing it never blocks. */
	if (memory < 0 || write(memory, text, n) != (ssize_t)n || lseek(memory, 0, SEEK_SET) < 0) {
		err_errno(e, RC_IO, "memory for the rule set");
		goto out;
	}
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		err_errno(e, RC_IO, "make a pipe");
		goto out;
	}
	pid_t pid = fork();
	if (pid == 0)
		become_nft(memory, pipes[1]);
	close(pipes[1]);
	rc = pid > 0 ? nft_wait(pid, pipes[0], e) : err_errno(e, RC_IO, "fork");
	close(pipes[0]);
out:
	if (memory >= 0)
		close(memory);
	return rc == RC_OK ? rc : err_add(e, rc, "while setting the ingress filter");
}

enum rc filter_apply(struct supervisor *s, struct err *e)
{
	char *text = malloc(FILTER_TEXT_MAX);

	if (!text)
		return err_add(e, RC_LIMIT, "memory for the rule set");
	size_t n = filter_text(text, FILTER_TEXT_MAX, s->snapshot, s->interfaces, s->interfaces_n);
	enum rc rc = n > 0 ? nft_run(text, n, e) : err_add(e, RC_LIMIT, "the rule set is too long");
	free(text);
	return rc;
}

/* Adds, never takes away: a rule set of a supervisor before stays until a configuration replaces it. */
enum rc filter_close(struct err *e)
{
	static const char text[] =
		"table inet plaingate {\n"
		"\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n";

	return nft_run(text, sizeof text - 1, e);
}

enum rc filter_flush(struct err *e)
{
	static const char text[] = "add table inet plaingate\ndelete table inet plaingate\n"
				   "add table netdev plaingate\ndelete table netdev plaingate\n";

	return nft_run(text, sizeof text - 1, e);
}
