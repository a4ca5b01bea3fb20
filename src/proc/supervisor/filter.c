/*
 * The rule set into the kernel, by nft(8): whole and in one transaction, so that there is no moment without a
 * filter. It stands before anything else is opened, closed until the first configuration comes, and stays
 * when the supervisor ends. Only `plaingated --flush` removes it. While the supervisor runs it is
 * set again when another program has changed rule sets: its "flush ruleset" opens the host for a second at the
 * most.
 */
#include "base/log.h"
#include "proc/supervisor/filter_rules.h"
#include "proc/supervisor/netlink.h"
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACKING "/proc/sys/net/netfilter/nf_conntrack_max"
#define NFT_PATH "/usr/sbin/nft"

static void become_nft(int input, int output)
{
	char *argv[] = { (char *)(uintptr_t)"nft", (char *)(uintptr_t)"-f", (char *)(uintptr_t)"-", NULL };
	char *env[] = { (char *)(uintptr_t)"PATH=/usr/sbin:/usr/bin", (char *)(uintptr_t)"LC_ALL=C", NULL };
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
static enum rc nft_wait(pid_t pid, int output, int left, struct err *e)
{
	char said[300], rest[300];
	size_t n = 0;
	int status;

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
	if (access(TRACKING, F_OK) < 0)
		return err_add(e, RC_IO,
			"nft: %s: this kernel has no connection tracking (nf_conntrack, nft_ct)", said);
	return err_add(e, RC_IO, "nft: %s", said);
}

static enum rc nft_run(const char *text, size_t n, int wait_ms, struct err *e)
{
	int pipes[2], memory = memfd_create("nft", MFD_CLOEXEC);
	enum rc rc = RC_IO;

	/* A file, not a pipe: however long, writing it never blocks. */
	if (memory < 0 || write(memory, text, n) != (ssize_t)n || lseek(memory, 0, SEEK_SET) < 0) {
		err_errno(e, RC_IO, "out of memory for the rule set");
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
	rc = pid > 0 ? nft_wait(pid, pipes[0], wait_ms, e) : err_errno(e, RC_IO, "fork");
	close(pipes[0]);
out:
	if (memory >= 0)
		close(memory);
	return rc == RC_OK ? rc : err_add(e, rc, "while setting the ingress filter");
}

/*
 * The kernel counts changes of all rule sets of this network namespace (NFT_MSG_GETGEN). 0: it does not say.
 */
static uint32_t rules_generation(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct timeval wait = { .tv_sec = 1 };
	char room[256], answer[4096];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct nlmsghdr *h = netlink_begin(room, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0);
	struct nfgenmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	struct nlattr *a; /* not const: the macros of netlink's headers */
	uint32_t generation = 0;
	ssize_t n = -1;

	m->nfgen_family = AF_UNSPEC;
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
		sendto(fd, h, h->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) >= 0)
		n = recv(fd, answer, sizeof answer, 0);
	if (fd >= 0)
		close(fd);
	h = (struct nlmsghdr *)(void *)answer;
	if (n < 0 || !mnl_nlmsg_ok(h, (int)n) ||
		h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		return 0;
	mnl_attr_for_each(a, h, sizeof *m)
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID && mnl_attr_get_payload_len(a) == 4)
			generation = load_be32(mnl_attr_get_payload(a));
	}
	return generation;
}

/* As the data plane has it (proc/dataplane/wall.c). */
static struct local_time wall_now(void)
{
	time_t now = time(NULL), wall;
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return (struct local_time){ 0 };
	wall = now + tm.tm_gmtoff;
	return (struct local_time){ (uint32_t)(wall / DAY_S), (uint32_t)(wall % DAY_S) };
}

/* Rules to and from the gateway itself that come and go by the clock. */
static bool schedules_have_changed(const struct supervisor *s)
{
	struct self_rules self;

	if (!s->snapshot || s->snapshot->schedules.count == 0)
		return false;
	self_rules_find(&self, s->snapshot, 0);
	return ((snap_schedules_off(s->snapshot, wall_now()) ^ s->schedules_off) & self.schedules) != 0;
}

static enum rc apply(struct supervisor *s, int wait_ms, struct err *e)
{
	char *text = malloc(FILTER_TEXT_MAX);

	if (!text)
		return err_add(e, RC_LIMIT, "out of memory for the rule set");
	s->schedules_off = s->snapshot ? snap_schedules_off(s->snapshot, wall_now()) : 0;
	size_t n = filter_text(
		text, FILTER_TEXT_MAX, s->snapshot, s->schedules_off, s->interfaces, s->interfaces_n);
	enum rc rc = n > 0 ? nft_run(text, n, wait_ms, e) : err_add(e, RC_LIMIT, "the rule set is too long");
	free(text);
	if (rc == RC_OK) /* else the previous rule set stands, and is still checked */
		s->filter_generation = rules_generation();
	return rc;
}

enum rc filter_apply(struct supervisor *s, struct err *e)
{
	return apply(s, NFT_WAIT_MS, e);
}

void filter_keep(struct supervisor *s)
{
	struct err e = { 0 };

	if (s->loop.now < s->filter_look_at)
		return;
	s->filter_look_at = s->loop.now + NS_PER_S;
	uint32_t now = rules_generation();
	bool changed = now != 0 && s->filter_generation != 0 && now != s->filter_generation;
	if (!changed && !schedules_have_changed(s))
		return;
	if (changed)
		log_warn("nftables ruleset was changed by another program; restoring ours");
	if (filter_apply(s, &e) != RC_OK)
		log_error("%s", e.text); /* again in a second */
}

enum rc filter_begin(struct supervisor *s, struct err *e)
{
	static const char ask[] = "list chain inet plaingate input\n"; /* the chain that closes the host */
	struct err none = { 0 };

	if (nft_run(ask, sizeof ask - 1, NFT_FIRST_MS, &none) != RC_OK)
		return apply(s, NFT_FIRST_MS, e);
	s->filter_generation = rules_generation();
	return RC_OK;
}

enum rc filter_flush(struct err *e)
{
	static const char text[] = "add table inet plaingate\ndelete table inet plaingate\n"
				   "add table netdev plaingate\ndelete table netdev plaingate\n";

	return nft_run(text, sizeof text - 1, NFT_WAIT_MS, e);
}
