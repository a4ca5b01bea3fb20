/*
 * Opens and closes TCP connections, many at once, in one thread (epoll). IPv4. Used by bench/firewall; one JSON object a line.
 *
 *   conngen server PORT PORTS SECONDS
 *       listens on PORTS ports, sends an octet on each connection, and one more for each that comes; SECONDS at most.
 *   conngen rate ADDRESS PORT PORTS SECONDS AT_ONCE reset|close
 *       opens connections, AT_ONCE at a time, and ends each when its octet is there: by a reset, or by FIN as a client does.
 *   conngen hold ADDRESS PORT PORTS COUNT SECONDS AT_ONCE
 *       opens COUNT connections and keeps them; stops early after SECONDS, or when AT_ONCE of them failed. Then, for each line that
 *       is read: counts those on which an octet goes there and back; at the end of input it resets all.
 *
 * An attempt without its octet after FAIL_S has failed; one that took LATE_S had a segment repeated. "waited": which part of the time
 * the program had nothing to do. If it is near 0 at an end, and the processors are not all busy, the generator is the limit.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS	    256
#define ACCEPTS	    64 /* of one port, before others have their turn */
#define BACKLOG	    4096
#define AT_ONCE_MAX 4096
#define COUNT_MAX   1000000
#define FAIL_S	    3.0
#define LATE_S	    0.9
#define TICK_S	    0.2
#define ALIVE_S	    15.0
#define SILENCE_S   1.0 /* without an answer: the connections that were asked are dead */

static volatile sig_atomic_t ended;

static void on_term(int number)
{
	ended = number;
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* As many files as this user may have. More processes hold more connections than that. */
static void files_allow(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int fail(const char *what)
{
	fprintf(stderr, "conngen: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Time from the first event to the last, and which part of it was spent in epoll_wait(). */
struct turns {
	int epoll;
	double first, last, waited;
};

static int turn(struct turns *t, struct epoll_event *events, double at_most_s)
{
	double before = seconds_now(), after;
	int n = epoll_wait(t->epoll, events, EVENTS, (int)(at_most_s * 1e3));

	after = seconds_now();
	if (n <= 0)
		return 0;
	if (t->first == 0)
		t->first = after;
	else
		t->waited += after - before;
	t->last = after;
	return n;
}

static double waited_part(const struct turns *t)
{
	return t->last > t->first ? t->waited / (t->last - t->first) : 1;
}

static bool watch(int epoll, int fd, uint64_t data)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = data };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static void reset_on_close(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* --- the server --- */

#define LISTENS (1ull << 32) /* in an event's data: the socket is one that listens */

static bool listeners_open(int epoll, unsigned first, unsigned ports)
{
	int yes = 1;

	for (unsigned i = 0; i < ports; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(first + i)) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
			bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0 ||
			!watch(epoll, fd, LISTENS | (unsigned)fd))
			return false;
	}
	return true;
}

static unsigned connections_accept(int epoll, int listener)
{
	unsigned n = 0;

	while (n < ACCEPTS) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd < 0)
			break;
		n++;
		reset_on_close(fd); /* at our end; a client's FIN is answered by FIN before */
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || !watch(epoll, fd, (unsigned)fd))
			close(fd);
	}
	return n;
}

/* An octet is answered. After FIN our FIN goes out; after a reset nothing. Returns whether the connection has ended. */
static bool connection_serve(int fd)
{
	char octets[64];
	ssize_t n = recv(fd, octets, sizeof octets, 0);
	struct linger off = { 0, 0 };

	if (n > 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		return false;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	close(fd);
	return true;
}

static int server(unsigned port, unsigned ports, double seconds)
{
	struct turns t = { .epoll = epoll_create1(0) };
	struct epoll_event events[EVENTS];
	unsigned long long accepted = 0, over = 0;
	double end = seconds_now() + seconds;

	signal(SIGTERM, on_term);
	if (t.epoll < 0 || !listeners_open(t.epoll, port, ports))
		return fail("cannot listen");
	printf("{\"listens\": %u}\n", ports);
	fflush(stdout);
	while (!ended && seconds_now() < end) {
		int n = turn(&t, events, TICK_S);
		for (int i = 0; i < n; i++) {
			int fd = (int)(uint32_t)events[i].data.u64;
			if (events[i].data.u64 & LISTENS)
				accepted += connections_accept(t.epoll, fd);
			else
				over += connection_serve(fd);
		}
	}
	printf("{\"accepted\": %llu, \"ended\": %llu, \"waited\": %.3f, \"cpu\": %.3f}\n", accepted, over,
		waited_part(&t), cpu_seconds());
	return 0;
}

/* --- the client --- */

enum state {
	UNUSED,
	OPENING,
	OPEN,
};

struct connection {
	double began;
	int fd;
	enum state state;
};

struct client {
	struct turns turns;
	struct sockaddr_in to;
	unsigned port, ports, next_port;
	struct connection *connections; /* an event's data is the place in here */
	unsigned count;
	unsigned long long done, failed, late;
	double took; /* of all that are done, together */
	bool by_reset;
};

static void connection_begin(struct client *c, unsigned i)
{
	struct connection *one = &c->connections[i];

	c->to.sin_port = htons((uint16_t)(c->port + c->next_port++ % c->ports));
	one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (one->fd < 0) {
		c->failed++;
		return;
	}
	if (c->by_reset)
		reset_on_close(one->fd);
	one->began = seconds_now();
	one->state = OPENING;
	if ((connect(one->fd, (struct sockaddr *)&c->to, sizeof c->to) != 0 && errno != EINPROGRESS) ||
		!watch(c->turns.epoll, one->fd, i)) {
		c->failed++;
		close(one->fd);
		one->state = UNUSED;
	}
}

static void connection_end(struct client *c, unsigned i)
{
	close(c->connections[i].fd);
	c->connections[i].state = UNUSED;
}

/* An octet, or an error, is there. Returns whether it was the octet. */
static bool connection_read(struct client *c, unsigned i)
{
	struct connection *one = &c->connections[i];
	double took = seconds_now() - one->began;
	char octet;

	if (recv(one->fd, &octet, 1, 0) != 1) {
		if (errno == EAGAIN)
			return false;
		c->failed++;
		connection_end(c, i);
		return false;
	}
	c->done++;
	c->late += took > LATE_S;
	c->took += took;
	one->state = OPEN;
	return true;
}

static void attempts_expire(struct client *c, unsigned begun)
{
	double now = seconds_now();

	for (unsigned i = 0; i < begun; i++) {
		if (c->connections[i].state == OPENING && now - c->connections[i].began > FAIL_S) {
			c->failed++;
			connection_end(c, i);
		}
	}
}

static void print_opened(const struct client *c, double seconds)
{
	printf("{\"connections\": %llu, \"failed\": %llu, \"late\": %llu, \"seconds\": %.3f, \"mean_us\": %.1f, "
	       "\"waited\": %.3f, \"cpu\": %.3f}\n",
		c->done, c->failed, c->late, seconds, c->done ? c->took / (double)c->done * 1e6 : 0,
		waited_part(&c->turns), cpu_seconds());
	fflush(stdout);
}

static int rate(struct client *c, double seconds)
{
	struct epoll_event events[EVENTS];
	double start = seconds_now(), end = start + seconds, tick = start + TICK_S, now;

	for (unsigned i = 0; i < c->count; i++)
		connection_begin(c, i);
	while ((now = seconds_now()) < end) {
		int n = turn(&c->turns, events, TICK_S);
		for (int k = 0; k < n; k++) {
			unsigned i = (unsigned)events[k].data.u64;
			if (connection_read(c, i))
				connection_end(c, i);
			if (c->connections[i].state == UNUSED)
				connection_begin(c, i);
		}
		if (now < tick)
			continue;
		tick = now + TICK_S;
		attempts_expire(c, c->count);
		for (unsigned i = 0; i < c->count; i++)
			if (c->connections[i].state == UNUSED)
				connection_begin(c, i);
	}
	print_opened(c, seconds_now() - start);
	return 0;
}

static unsigned answers_take(struct client *c)
{
	struct epoll_event events[EVENTS];
	int n = turn(&c->turns, events, SILENCE_S);
	unsigned alive = 0;
	char octet;

	for (int k = 0; k < n; k++) {
		int fd = c->connections[events[k].data.u64].fd;
		if (recv(fd, &octet, 1, 0) == 1)
			alive++;
		else
			epoll_ctl(c->turns.epoll, EPOLL_CTL_DEL, fd, NULL);
	}
	return alive;
}

/* Asks at_once connections at a time, so that no queue on the way is too short for them. */
static unsigned long long alive_count(struct client *c, unsigned at_once)
{
	unsigned long long asked = 0, alive = 0, lost = 0;
	double end = seconds_now() + ALIVE_S;

	for (unsigned i = 0; i < c->count && seconds_now() < end; i++) {
		if (c->connections[i].state == OPEN)
			asked += send(c->connections[i].fd, "x", 1, MSG_NOSIGNAL) == 1;
		while (asked - alive - lost >= (i + 1 < c->count ? at_once : 1)) {
			unsigned answers = answers_take(c);
			alive += answers;
			if (answers == 0 || alive + lost > asked) /* they are dead, or answered late */
				lost = asked - alive;
		}
	}
	return alive;
}

static int hold(struct client *c, double seconds, unsigned at_once)
{
	struct epoll_event events[EVENTS];
	double start = seconds_now(), end = start + seconds, tick = start + TICK_S, now;
	unsigned begun = 0;
	char line[64];

	while ((now = seconds_now()) < end && c->done + c->failed < c->count && c->failed < at_once) {
		while (begun < c->count && begun - c->done - c->failed < at_once)
			connection_begin(c, begun++);
		int n = turn(&c->turns, events, TICK_S);
		for (int k = 0; k < n; k++)
			if (c->connections[events[k].data.u64].state == OPENING)
				connection_read(c, (unsigned)events[k].data.u64);
		if (now >= tick) {
			tick = now + TICK_S;
			attempts_expire(c, begun);
		}
	}
	print_opened(c, seconds_now() - start);
	while (fgets(line, sizeof line, stdin)) {
		printf("{\"alive\": %llu}\n", alive_count(c, at_once));
		fflush(stdout);
	}
	return 0; /* and with the process all connections are reset */
}

static int usage(void)
{
	fprintf(stderr, "usage: conngen server PORT PORTS SECONDS\n"
			"       conngen rate ADDRESS PORT PORTS SECONDS AT_ONCE reset|close\n"
			"       conngen hold ADDRESS PORT PORTS COUNT SECONDS AT_ONCE\n");
	return 2;
}

static int client(char **argv, bool holds, unsigned count, double seconds, unsigned at_once)
{
	struct client c = { .to.sin_family = AF_INET, .count = count };

	c.port = (unsigned)atoi(argv[3]);
	c.ports = (unsigned)atoi(argv[4]);
	c.by_reset = holds || strcmp(argv[7], "reset") == 0;
	if (inet_pton(AF_INET, argv[2], &c.to.sin_addr) != 1 || c.ports < 1 || count < 1 ||
		count > COUNT_MAX || at_once < 1 || at_once > AT_ONCE_MAX)
		return usage();
	c.turns.epoll = epoll_create1(0);
	c.connections = calloc(count, sizeof *c.connections);
	if (c.turns.epoll < 0 || !c.connections)
		return fail("cannot begin");
	return holds ? hold(&c, seconds, at_once) : rate(&c, seconds);
}

int main(int argc, char **argv)
{
	files_allow();
	if (argc == 5 && strcmp(argv[1], "server") == 0)
		return server((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), atof(argv[4]));
	if (argc == 8 && strcmp(argv[1], "rate") == 0)
		return client(argv, false, (unsigned)atoi(argv[6]), atof(argv[5]), (unsigned)atoi(argv[6]));
	if (argc == 8 && strcmp(argv[1], "hold") == 0)
		return client(argv, true, (unsigned)atoi(argv[5]), atof(argv[6]), (unsigned)atoi(argv[7]));
	return usage();
}
