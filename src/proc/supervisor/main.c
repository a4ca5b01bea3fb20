/*
 * plaingated: options, one instance per run directory, signals, the orderly end. The rest is listed in
 * supervisor.h.
 *
 * Order at the start: the lock, no forwarding, the filter (after it the network may come up), resources, own
 * sandbox, then the processes. At the end: all but the ledger, the ledger when the last entries have their
 * receipts. The ingress filter stays: closed.
 */
#include "base/bytes.h"
#include "base/log.h"
#include "base/options.h"
#include "proc/supervisor/options.h"
#include "proc/supervisor/supervisor.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option_row options[] = {
#define E(letter, word, value, text) { letter, word, value, text },
	SUPERVISOR_OPTIONS(E)
#undef E
};

static void usage(FILE *out)
{
	char text[OPTIONS_USAGE_MAX];

	fprintf(out, "usage: plaingated [OPTION]...\n%s", options_usage(text, options, COUNT_OF(options)));
}

static enum rc option_path(char *ret_path, size_t size, const char *value, struct err *e)
{
	if (value[0] != '/')
		return err_add(e, RC_MALFORMED, "'%s' is not an absolute path", value);
	if ((size_t)snprintf(ret_path, size, "%s", value) >= size)
		return err_add(e, RC_LIMIT, "'%s' is too long", value);
	return RC_OK;
}

static enum rc options_read(struct options *o, int argc, char **argv, struct err *e)
{
	struct option names[OPTIONS_MAX];
	enum rc rc = RC_OK;

	*o = (struct options){
		.config = "/etc/plaingate",
		.state = "/var/lib/plaingate",
		.run = "/run/plaingate",
		.libexec = "/usr/libexec/plaingate",
		.share = "/usr/share/plaingate",
	};
	options_list(names, options, COUNT_OF(options));
	for (int c; rc == RC_OK && (c = getopt_long(argc, argv, "", names, NULL)) >= 0;) {
		switch (c) {
		case 'c':
			rc = option_path(o->config, sizeof o->config, optarg, e);
			break;
		case 's':
			rc = option_path(o->state, sizeof o->state, optarg, e);
			break;
		case 'r':
			rc = option_path(o->run, sizeof o->run, optarg, e);
			break;
		case 'x':
			rc = option_path(o->libexec, sizeof o->libexec, optarg, e);
			break;
		case 'd':
			rc = option_path(o->share, sizeof o->share, optarg, e);
			break;
		case 'l':
			rc = option_path(o->log, sizeof o->log, optarg, e);
			break;
		case 'f':
			o->background = false;
			break;
		case 'b':
			o->background = true;
			break;
		case 'F':
			o->flush = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			rc = RC_MALFORMED;
		}
	}
	if (rc == RC_OK && optind < argc)
		rc = err_add(e, RC_MALFORMED, "unexpected argument '%s'", argv[optind]);
	return rc;
}

/* The lock is the PID file itself; the kernel releases it however this process ends. */
static enum rc instance_lock(struct supervisor *s, struct err *e)
{
	char path[PATH_MAX], text[16];

	if (mkdir(s->options.run, 0755) < 0 && errno != EEXIST)
		return err_errno(e, RC_IO, "make directory '%s'", s->options.run);
	snprintf(path, sizeof path, "%s/plaingated.pid", s->options.run);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (s->lock_fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? err_add(e, RC_EXISTS, "plaingated is already running with '%s'",
						      s->options.run)
					    : err_errno(e, RC_IO, "lock '%s'", path);
	int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, text, (size_t)n, 0) != n)
		return err_errno(e, RC_IO, "write '%s'", path);
	return RC_OK;
}

static enum rc files_open(struct supervisor *s, struct err *e)
{
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	s->log_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (s->null_fd < 0 || s->log_fd < 0)
		return err_errno(e, RC_IO, "open '/dev/null'");
	if (!s->options.log[0])
		return RC_OK;
	int fd = open(s->options.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", s->options.log);
	close(s->log_fd);
	s->log_fd = fd;
	return dup2(fd, STDERR_FILENO) < 0 ? err_errno(e, RC_IO, "open '%s'", s->options.log) : RC_OK;
}

/* The starter waits for one byte, which says that all processes are ready; without it, it fails. */
static enum rc go_background(struct supervisor *s, struct err *e)
{
	int pipes[2], status;
	char said = 0;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(e, RC_IO, "make a pipe");
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(e, RC_IO, "fork");
	if (pid > 0) {
		close(pipes[1]);
		if (read(pipes[0], &said, 1) == 1 && said == 'r')
			_exit(0);
		_exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status)
				? WEXITSTATUS(status)
				: 1);
	}
	close(pipes[0]);
	s->parent_pipe = pipes[1];
	setsid();
	return chdir("/") == 0 ? RC_OK : err_errno(e, RC_IO, "chdir /");
}

/* The starter may end; without a log file nothing is logged from now on. */
static void tell_ready(struct supervisor *s)
{
	if (s->parent_pipe < 0)
		return;
	if (write(s->parent_pipe, "r", 1) < 0)
		log_warn("the process that started plaingated has ended");
	close(s->parent_pipe);
	s->parent_pipe = -1;
	dup2(s->null_fd, 0);
	dup2(s->null_fd, 1);
	if (!s->options.log[0]) {
		dup2(s->null_fd, 2);
		dup2(s->null_fd, s->log_fd);
	}
}

/* In the order of base/procs.h; the ledger when the others' last entries are in it. Bounded: a process that does
 * not end in its time is killed. */
static void stop_next(struct supervisor *s)
{
	enum proc p;

	for (; (p = proc_at(PROC_ORDER_END, s->stop_step + 1)) != PROC_COUNT;
		s->stop_step++, s->stop_told = false) {
		struct child_process *c = child_of(s, p);
		bool late = s->loop.now >= s->stop_at;
		bool entered = s->ledger.pending_n == 0 || !ipc_link_up(s->ledger.link);
		if (c->pid <= 0) {
			s->stop_at = s->loop.now + STOP_WAIT_NS;
		} else if (s->stop_told) {
			if (late)
				child_kill(c, "did not end in time");
			return;
		} else if (c->id != PROC_LEDGER || entered || late) {
			s->stop_told = true;
			s->stop_at = s->loop.now + STOP_WAIT_NS;
			ipc_send_STOP(&c->port.link, 0, &(struct msg_empty){ 0 });
			return;
		} else {
			return;
		}
	}
	loop_stop(&s->loop);
}

static void stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->stop_at = s->loop.now + STOP_WAIT_NS;
	for (int i = 0; i < PROC_COUNT; i++)
		loop_disarm(&s->loop, &s->children[i].timer);
	loop_arm(&s->loop, &s->tick, 20 * NS_PER_MS, 20 * NS_PER_MS);
}

static void on_signal(struct loop *l, struct watch *w, short revents)
{
	struct supervisor *s = (struct supervisor *)w->context;
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof info) == sizeof info)
		if (info.ssi_signo != SIGCHLD) {
			log_info("signal %u: ending", info.ssi_signo);
			stop(s);
		}
	children_reap(s);
	if (s->stopping)
		stop_next(s);
}

static void on_tick(struct loop *l, struct timer *t)
{
	struct supervisor *s = (struct supervisor *)t->context;

	ledger_client_expire(&s->ledger, l->now);
	if (s->stopping) {
		stop_next(s);
		return;
	}
	interfaces_follow(s);
	routes_follow(s);
	filter_keep(s);
	carry_follow(s);
	if (s->parent_pipe >= 0 && children_all(s, LIFE_READY))
		tell_ready(s);
}

static enum rc signals_open(struct supervisor *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_errno(e, RC_IO, "signalfd");
	s->signals = (struct watch){ .fd = fd, .events = POLLIN, .fn = on_signal, .context = s };
	loop_add(&s->loop, &s->signals);
	return RC_OK;
}

static enum rc measure_own(struct supervisor *s, struct err *e)
{
	struct measured m = { .fd = -1 };
	enum rc rc = measured_read("/proc/self/exe", &m, e);

	memcpy(s->own_sha256, m.sha256, sizeof s->own_sha256);
	measured_done(&m);
	return rc;
}

static enum rc prepare(struct supervisor *s, struct err *e)
{
	enum rc rc = instance_lock(s, e);

	if (rc == RC_OK)
		rc = kernel_no_forwarding(e);
	if (rc == RC_OK)
		rc = filter_begin(s, e);
	if (rc == RC_OK)
		rc = kernel_tracking(e);
	if (rc == RC_OK)
		service_ready();
	if (rc == RC_OK)
		rc = measure_own(s, e);
	if (rc == RC_OK)
		rc = signals_open(s, e);
	if (rc == RC_OK)
		rc = directories_open(s, e);
	if (rc == RC_OK)
		rc = sockets_open(s, e);
	if (rc == RC_OK)
		rc = interfaces_watch(s, e);
	if (rc == RC_OK)
		rc = neighbour_open(s, e);
	if (rc == RC_OK) {
		detours_flush(); /* of a supervisor before */
		witnesses_load(s);
		entered_load(s);
	}
	return rc == RC_OK ? sandbox_enter(PROC_SUPERVISOR, e) : rc;
}

static void init(struct supervisor *s)
{
	loop_init(&s->loop);
	s->started = s->loop.now;
	s->parent_pipe = s->key_dir = s->neighbour_fd = s->multicast_fd = -1;
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		s->resources[i].fd = -1;
	if (getrandom(s->boot_id, sizeof s->boot_id, 0) != sizeof s->boot_id)
		abort();
	children_init(s);
	carry_init(s);
	s->tick.fn = on_tick;
	s->tick.context = s;
}

static int run(struct supervisor *s)
{
	struct err e = { 0 };

	if (files_open(s, &e) != RC_OK || (s->options.background && go_background(s, &e) != RC_OK) ||
		prepare(s, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	s->loop.now =
		clock_mono(); /* the first rule set may have taken longer than a process may to be ready */
	loop_arm(&s->loop, &s->tick, NS_PER_S / 4, NS_PER_S / 4);
	children_start(s);
	if (loop_run(&s->loop, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	carry_end(s);
	log_info("ended; the ingress filter stays (plaingated --flush removes it)");
	return 0;
}

int main(int argc, char **argv)
{
	static struct supervisor s;
	struct err e = { 0 };

	log_init(proc_name(PROC_SUPERVISOR), LOG_INFO);
	if (options_read(&s.options, argc, argv, &e) != RC_OK) {
		if (e.text[0])
			fprintf(stderr, "plaingated: %s\n", e.text);
		usage(stderr);
		return 2;
	}
	if (geteuid() != 0) {
		fputs("plaingated: needs root to open sockets and devices and to start its processes as "
		      "other users\n",
			stderr);
		return 1;
	}
	umask(022);
	if (s.options.flush) {
		carry_flush();
		if (filter_flush(&e) == RC_OK && routes_flush(&e) == RC_OK)
			return 0;
		fprintf(stderr, "plaingated: %s\n", e.text);
		return 1;
	}
	init(&s);
	return run(&s);
}
