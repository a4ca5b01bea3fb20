/*
 * What a receipt of the ledger costs on this machine's disk: the ledger's process as it is (loop, links,
 * checks, signatures, journal, tiles, seals), fed by another process over a link; beside it the same entries
 * with a plain fsync each, and in an SQLite table (WAL, synchronous=FULL) with a commit each, which is the
 * same guarantee without any evidence.
 *
 *	bench_ledger DIRECTORY SECONDS    one JSON object a line
 */
#include "ledger/types.h"
#include "proc/ledger/shell.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW	 768 /* entries on their way: below what a source may have waiting */
#define LOW_LOAD 200 /* a second */
#define SAMPLES	 4096

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static size_t body_make(char *ret_text, uint64_t i)
{
	static struct ledger_body b;

	ledger_body_begin(&b, LEDGER_HANDSHAKE_REFUSED);
	ledger_body_str(&b, "configured", "AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE25519");
	ledger_body_str(&b, "id", "branch.example.net");
	ledger_body_u64(&b, "left_out", 0);
	ledger_body_str(&b, "local", "198.51.100.2:500");
	ledger_body_str(&b, "offered", "AES_GCM_16-128/PRF_HMAC_SHA2_256/ECP_256");
	ledger_body_str(&b, "peer", "branch");
	ledger_body_strf(&b, "reason", "no proposal chosen, number %llu", (unsigned long long)i);
	ledger_body_str(&b, "remote", "203.0.113.2:500");
	size_t n = ledger_body_done(&b);
	memcpy(ret_text, b.text, n);
	return n;
}

/* ---- the ledger ---- */

static int process_start(const char *path, struct ipc_link *supervisor)
{
	static struct ledger_shell shell;
	static struct child child;
	struct msg_resource r = { .kind = RESOURCE_LEDGER_DIR };
	struct msg_start start = { .boot_id = { 1 } };
	struct msg_link link = { .peer = PROC_IKE };
	int above[2], ours[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, above) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours) < 0)
		die("socketpair");
	int room = 1 << 20; /* as the supervisor has it */
	for (int i = 0; i < 2; i++)
		setsockopt(ours[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(above[0]);
		close(ours[0]);
		ledger_shell_init(&shell, &child);
		child_init(&child, PROC_LEDGER, &ledger_shell_ops, &shell, LEDGER_LEDGER_OUTAGE, above[1]);
		exit(child_run(&child));
	}
	close(above[1]);
	ipc_link_open(supervisor, above[0], PROC_SUPERVISOR, PROC_LEDGER);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ipc_send_RESOURCE(supervisor, 0, &r, fd) != RC_OK)
		die(path);
	close(fd);
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "0123456789abcdef0123456789abcdef", 32) != 32)
		die("the key");
	r.kind = RESOURCE_LEDGER_KEY;
	if (ipc_send_RESOURCE(supervisor, 0, &r, fd) != RC_OK ||
		ipc_send_LINK(supervisor, 0, &link, ours[1]) != RC_OK ||
		ipc_send_START(supervisor, 0, &start) != RC_OK)
		die("start");
	close(fd);
	close(ours[1]);
	return ours[0];
}

struct load {
	struct ipc_link link;
	uint64_t sent, received;
	struct msg_ledger_append m;
};

static bool send_one(struct load *l)
{
	l->m.type = LEDGER_HANDSHAKE_REFUSED;
	l->m.n = l->sent + 1;
	l->m.body_n = (uint16_t)body_make(l->m.body, l->sent);
	if (ipc_send_LEDGER_APPEND(&l->link, l->sent, &l->m) != RC_OK)
		return false;
	l->sent++;
	return true;
}

static void receive_all(struct load *l, int wait_ms)
{
	static struct ipc_frame f;
	bool waits = ipc_link_waiting(&l->link);
	struct pollfd p = { .fd = l->link.fd, .events = (short)(waits ? POLLIN | POLLOUT : POLLIN) };

	poll(&p, 1, wait_ms);
	if (waits)
		ipc_flush(&l->link);
	while (ipc_recv(&l->link, &f, NULL) == RC_OK) {
		if (f.head.id != IPC_LEDGER_RECEIPT || f.u.LEDGER_RECEIPT.rc != RC_OK) {
			fprintf(stderr, "refused: %s\n", f.u.LEDGER_RECEIPT.text);
			exit(1);
		}
		l->received++;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void line(const char *name, double value, const char *unit)
{
	printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
	fflush(stdout);
}

static double ledger_rate(struct load *l, double seconds)
{
	mono_ns begin = clock_mono(), end = begin + (mono_ns)(seconds * 1e9);
	uint64_t before = l->received;

	while (clock_mono() < end) {
		while (l->sent - l->received < WINDOW && send_one(l))
			;
		receive_all(l, 10);
	}
	for (mono_ns give_up = clock_mono() + 10 * NS_PER_S; l->received < l->sent; receive_all(l, 100))
		if (clock_mono() > give_up) {
			fprintf(stderr, "%llu entries sent, %llu receipts came\n",
				(unsigned long long)l->sent, (unsigned long long)l->received);
			exit(1);
		}
	return (double)(l->received - before) / ((double)(clock_mono() - begin) / 1e9);
}

static void ledger_latency(struct load *l, double seconds)
{
	static uint64_t samples[SAMPLES];
	size_t n = 0;

	for (mono_ns end = clock_mono() + (mono_ns)(seconds * 1e9); clock_mono() < end && n < SAMPLES;) {
		mono_ns begin = clock_mono();
		send_one(l);
		while (l->received < l->sent)
			receive_all(l, 100);
		samples[n++] = (uint64_t)(clock_mono() - begin);
		usleep(1000000 / LOW_LOAD);
	}
	qsort(samples, n, sizeof samples[0], compare);
	line("ledger.latency.p50", (double)samples[n / 2] / 1e6, "ms");
	line("ledger.latency.p99", (double)samples[n * 99 / 100] / 1e6, "ms");
}

/* ---- the others ---- */

static double fsync_rate(const char *path, double seconds)
{
	char name[4096], body[LEDGER_BODY_TEXT_MAX];
	mono_ns begin = clock_mono();
	uint64_t n = 0;

	snprintf(name, sizeof name, "%s/plain", path);
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die(name);
	for (; (double)(clock_mono() - begin) < seconds * 1e9; n++) {
		size_t size = body_make(body, n);
		if (write(fd, body, size) != (ssize_t)size || fdatasync(fd) != 0)
			die(name);
	}
	close(fd);
	return (double)n / ((double)(clock_mono() - begin) / 1e9);
}

static void sql(sqlite3 *db, const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, why);
		exit(1);
	}
}

static double sqlite_rate(const char *path, double seconds)
{
	char name[4096], body[LEDGER_BODY_TEXT_MAX];
	sqlite3_stmt *insert;
	sqlite3 *db;
	uint64_t n = 0;

	snprintf(name, sizeof name, "%s/table.sqlite", path);
	if (sqlite3_open(name, &db) != SQLITE_OK)
		die(name);
	sql(db, "PRAGMA journal_mode=WAL");
	sql(db, "PRAGMA synchronous=FULL");
	sql(db, "CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
	if (sqlite3_prepare_v2(db, "INSERT INTO entry (text) VALUES (?)", -1, &insert, NULL) != SQLITE_OK)
		die("sqlite");
	mono_ns begin = clock_mono();
	for (; (double)(clock_mono() - begin) < seconds * 1e9; n++) {
		size_t size = body_make(body, n);
		sqlite3_bind_text(insert, 1, body, (int)size, SQLITE_STATIC);
		if (sqlite3_step(insert) != SQLITE_DONE)
			die("sqlite");
		sqlite3_reset(insert);
	}
	double rate = (double)n / ((double)(clock_mono() - begin) / 1e9);
	sqlite3_finalize(insert);
	sqlite3_close(db);
	return rate;
}

int main(int argc, char **argv)
{
	static struct load l;
	struct ipc_link supervisor;
	char path[4000];
	double seconds = argc > 2 ? atof(argv[2]) : 3;

	if (argc < 2) {
		fputs("usage: bench_ledger DIRECTORY SECONDS\n", stderr);
		return 2;
	}
	snprintf(path, sizeof path, "%s/plaingate-bench-XXXXXX", argv[1]);
	if (!mkdtemp(path))
		die(path);
	fprintf(stderr, "bench_ledger: files in %s\n", path);
	ipc_link_open(&l.link, process_start(path, &supervisor), PROC_IKE, PROC_LEDGER);
	double rate = ledger_rate(&l, seconds);
	ledger_latency(&l, seconds);
	struct msg_empty none = { 0 };
	ipc_send_STOP(&supervisor, 0, &none);
	wait(NULL);
	double plain = fsync_rate(path, seconds), table = sqlite_rate(path, seconds);
	line("ledger.receipts", rate, "1/s");
	line("fsync-each.receipts", plain, "1/s");
	line("sqlite-wal.receipts", table, "1/s");
	line("ledger.entries", (double)l.received, "entries");
	printf("%s\n", path);
	return 0;
}
