/*
 * The export process over real links, with this test as supervisor, data plane, ledger and control: records become lines that
 * are chained over files, restarts and torn ends; the ledger gets their hash; what is lost is counted and said.
 */
#include "proc/export/shell.h"

#include "base/bytes.h"
#include "ledger/types.h"
#include "proc/export/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct export export;
static struct child child;
static struct ipc_link others[PROC_COUNT]; /* our ends */
static struct ipc_frame frame;
static const char *executable; /* NULL: the shell in here */
static pid_t pid;
static char directory[] = "/tmp/plaingate-export-XXXXXX";
static utc_us now_us;

#define ANSWER_MS 20000

static utc_us clock_here(void)
{
	return now_us;
}

static void turn(int ms)
{
	for (int i = 0; i < PROC_COUNT; i++)
		if (ipc_link_up(&others[i]))
			ipc_flush(&others[i]);
	if (executable)
		poll(NULL, 0, ms);
	else
		assert_int_equal(loop_once(&child.loop, (mono_ns)ms * NS_PER_MS, NULL), RC_OK);
}

static void next(enum proc as, enum ipc_id id)
{
	enum rc rc = RC_AGAIN;

	for (int ms = 0; rc == RC_AGAIN && ms < ANSWER_MS; ms += 2) {
		rc = ipc_recv(&others[as], &frame, NULL);
		if (rc == RC_AGAIN)
			turn(2);
	}
	assert_int_equal(rc, RC_OK);
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
}

static void link_to(enum proc peer)
{
	struct msg_link m = { .peer = (uint32_t)peer };
	int fds[2];

	ipc_link_close(&others[peer]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[peer], fds[0], peer, PROC_EXPORT);
	assert_int_equal(ipc_send_LINK(&others[PROC_SUPERVISOR], 0, &m, fds[1]), RC_OK);
	close(fds[1]);
}

static void execute(int link_fd)
{
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(link_fd);
		return;
	}
	if (dup2(link_fd, CHILD_SUPERVISOR_FD) < 0)
		_exit(126);
	closefrom(CHILD_SUPERVISOR_FD + 1);
	execl(executable, executable, (char *)NULL);
	_exit(127);
}

static void begin(void)
{
	const struct msg_resource r = { .kind = RESOURCE_LOG_DIR };
	struct msg_start m = { 0 };
	int fds[2], dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < PROC_COUNT; i++)
		others[i] = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[PROC_SUPERVISOR], fds[0], PROC_SUPERVISOR, PROC_EXPORT);
	if (executable) {
		execute(fds[1]);
	} else {
		export_init(&export, &child, fds[1]);
		export.clock = clock_here;
		export.local.file_bytes_max = 4096;
	}
	link_to(PROC_LEDGER);
	link_to(PROC_DATAPLANE);
	link_to(PROC_CONTROL);
	assert_true(dir >= 0);
	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &r, dir), RC_OK);
	close(dir);
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	next(PROC_SUPERVISOR, IPC_READY);
}

static void finish(void)
{
	struct msg_empty m = { 0 };
	int status = 0;

	assert_int_equal(ipc_send_STOP(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	if (executable) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("it ended with status %#x", (unsigned)status);
	} else {
		assert_int_equal(child_run(&child), 0);
	}
}

static void links_close(void)
{
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&others[i]);
}

/* The entry that comes next; its fields. */
static char *entered(void)
{
	struct msg_ledger_receipt m = { .rc = RC_OK };

	next(PROC_LEDGER, IPC_LEDGER_APPEND);
	assert_int_equal(frame.u.LEDGER_APPEND.type, LEDGER_SESSION_LOG);
	assert_int_equal(ledger_body_check(LEDGER_SESSION_LOG, frame.u.LEDGER_APPEND.body,
				 frame.u.LEDGER_APPEND.body_n, NULL),
		RC_OK);
	ipc_send_LEDGER_RECEIPT(&others[PROC_LEDGER], frame.head.tag, &m); /* it may have ended */
	frame.u.LEDGER_APPEND.body[frame.u.LEDGER_APPEND.body_n] = '\0';
	return frame.u.LEDGER_APPEND.body;
}

static uint64_t number(const char *body, const char *key)
{
	const char *at = strstr(body, key);

	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

static void record(uint32_t session, uint64_t lost)
{
	struct msg_session_record m = { .lost = lost,
		.record = { .at = 1000000ull * session,
			.event = SESSION_EVENT_CLOSE,
			.session = session,
			.proto = 6,
			.rule = "out" } };

	assert_int_equal(ipc_send_SESSION_RECORD(&others[PROC_DATAPLANE], 0, &m), RC_OK);
}

static char *shown(void)
{
	const struct msg_show q = { .table = SHOW_EXPORT };
	static char row[ROW_MAX + 1];

	assert_int_equal(ipc_send_SHOW(&others[PROC_CONTROL], 1, &q), RC_OK);
	next(PROC_CONTROL, IPC_SHOW_ROW);
	memcpy(row, frame.u.SHOW_ROW.json, frame.u.SHOW_ROW.n);
	row[frame.u.SHOW_ROW.n] = '\0';
	next(PROC_CONTROL, IPC_SHOW_END);
	assert_int_equal(frame.u.SHOW_END.rc, RC_OK);
	return row;
}

/* All files as one text; their chain holds, and ends with this hash. *ret_n: lines. */
static char *log_text(uint64_t *ret_n, char ret_hash[2 * SHA256_SIZE + 1])
{
	static char text[1 << 20];
	struct export_chain chain = { 0 }, seen;
	char log[2 * SESSION_LOG_ID_BYTES + 1], prev[2 * SHA256_SIZE + 16], hex[2 * SHA256_SIZE + 1];
	int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t first, last;
	size_t n = 0;

	assert_int_equal(log_files_list(dir, &first, &last, NULL), RC_OK);
	for (uint32_t i = first; i <= last && i > 0; i++) {
		int fd = log_file_open(dir, i, false);
		assert_true(fd >= 0);
		n += (size_t)read(fd, text + n, sizeof text - 1 - n);
		close(fd);
	}
	close(dir);
	text[n] = '\0';
	for (char *at = text, *line_end; (line_end = strchr(at, '\n')); at = line_end + 1) {
		assert_true(export_line_read(at, (size_t)(line_end - at), &seen, log));
		assert_int_equal(seen.n, chain.n + 1);
		snprintf(prev, sizeof prev, "\"prev\":\"%s\"",
			hex_from_bytes(hex, chain.last, sizeof chain.last));
		assert_non_null(memmem(at, (size_t)(line_end - at), prev, strlen(prev)));
		chain = seen;
	}
	*ret_n = chain.n;
	hex_from_bytes(ret_hash, chain.last, sizeof chain.last);
	return text;
}

static int scene(void **state)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	assert_non_null(mkdtemp(directory));
	if (executable) {
		struct passwd *pw = getpwnam(proc_user(PROC_EXPORT));
		assert_int_equal(chown(directory, pw->pw_uid, pw->pw_gid), 0);
	}
	now_us = 1000 * 3600000000ull;
	return 0;
}

static int scene_end(void **state)
{
	DIR *d = opendir(directory);
	char path[PATH_MAX];

	links_close();
	for (struct dirent *f; d && (f = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", directory, f->d_name);
		unlink(path);
	}
	closedir(d);
	return rmdir(directory);
}

static void records_become_lines(void **state)
{
	char hash[2 * SHA256_SIZE + 1];
	uint64_t lines;

	begin();
	assert_int_equal(number(entered(), "\"last\":"), 1); /* of the file's first line */
	for (uint32_t i = 1; i <= 5; i++)
		record(i, 0);
	char *row = shown();
	assert_int_equal(number(row, "\"records\":"), 5);
	assert_non_null(strstr(row, "\"state\":\"writing\""));
	finish();
	char *body = entered();
	assert_int_equal(number(body, "\"last\":"), 6);
	assert_int_equal(number(body, "\"count\":"), 5);
	assert_int_equal(number(body, "\"oldest\":"), 1);
	char *text = log_text(&lines, hash);
	assert_int_equal(lines, 6);
	assert_non_null(strstr(text, "\"session\":5,"));
	assert_non_null(strstr(body, hash));
}

/* The next start goes on where the lines end, whatever a death left behind them. */
static void goes_on(void **state)
{
	char hash[2 * SHA256_SIZE + 1], path[PATH_MAX];
	uint64_t lines;

	begin();
	entered();
	record(1, 0);
	finish();
	entered();
	links_close();
	snprintf(path, sizeof path, "%s/sessions-0000000001.log", directory);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{\"bytes_forward\":5", 18), 18);
	close(fd);
	begin();
	assert_int_equal(number(entered(), "\"last\":"), 2);
	record(2, 3);
	finish();
	char *body = entered();
	assert_int_equal(number(body, "\"lost\":"), 3);
	assert_int_equal(number(body, "\"last\":"), 4);
	char *text = log_text(&lines, hash);
	assert_int_equal(lines, 4);
	assert_non_null(strstr(text, "\"count\":3,\"event\":\"records-lost\""));
	assert_non_null(strstr(body, hash));
}

/* What is in its place is not ours: another log begins beside it, and nothing of it is overwritten. */
static void another_log(void **state)
{
	char path[PATH_MAX], text[16] = "";

	snprintf(path, sizeof path, "%s/sessions-0000000007.log", directory);
	int fd = open(path, O_WRONLY | O_CREAT, 0666);
	assert_int_equal(write(fd, "nonsense\n", 9), 9);
	assert_int_equal(fchmod(fd, 0666), 0);
	close(fd);
	begin();
	assert_int_equal(number(entered(), "\"last\":"), 1);
	assert_non_null(strstr(shown(), "sessions-0000000008.log"));
	finish();
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof text), 9);
	close(fd);
	assert_string_equal(text, "nonsense\n");
}

static void an_hour(void **state)
{
	if (executable)
		skip();
	begin();
	entered();
	record(1, 0);
	shown();
	now_us += 3600000000ull;
	char *body = entered();
	assert_int_equal(number(body, "\"count\":"), 1);
	now_us += 3600000000ull; /* without a line: no entry */
	for (int i = 0; i < 3; i++)
		export.tick.fn(&child.loop, &export.tick);
	assert_int_equal(ipc_recv(&others[PROC_LEDGER], &frame, NULL), RC_AGAIN);
	finish();
}

/* Files follow each other, the oldest goes, and the ledger knows which line is the oldest that is kept. */
static void files_follow(void **state)
{
	uint64_t oldest = 0;
	uint32_t first, last;

	if (executable)
		skip();
	begin();
	entered();
	for (uint32_t i = 1; i <= 200; i++)
		record(i, 0);
	while (number(shown(), "\"records\":") < 200) {
	}
	finish();
	while (ipc_recv(&others[PROC_LEDGER], &frame, NULL) == RC_OK)
		if (frame.head.id == IPC_LEDGER_APPEND) {
			frame.u.LEDGER_APPEND.body[frame.u.LEDGER_APPEND.body_n] = '\0';
			oldest = number(frame.u.LEDGER_APPEND.body, "\"oldest\":");
		}
	int dir = open(directory, O_RDONLY | O_DIRECTORY);
	assert_int_equal(log_files_list(dir, &first, &last, NULL), RC_OK);
	assert_int_equal(last - first + 1, SESSION_FILES_MAX);
	uint64_t line;
	char log[2 * SESSION_LOG_ID_BYTES + 1];
	assert_int_equal(log_file_begin(dir, first, &line, log, NULL), RC_OK);
	assert_true(line > 1);
	assert_int_equal(oldest, line);
	close(dir);
}

static void malformed_records(void **state)
{
	struct msg_session_record m = { .record = { .event = 999 } };

	begin();
	entered();
	assert_int_equal(ipc_send_SESSION_RECORD(&others[PROC_DATAPLANE], 0, &m), RC_OK);
	record(1, 0);
	char *row = shown();
	assert_int_equal(number(row, "\"records\":"), 2); /* one says what was lost */
	assert_int_equal(number(row, "\"lost\":"), 1);
	finish();
}

/* No directory: nothing is written, all is counted, and it lives. */
static void no_room(void **state)
{
	if (executable)
		skip();
	begin();
	entered();
	close(export.local.fd);
	export.local.fd = open("/dev/full", O_RDWR | O_APPEND);
	record(1, 0);
	record(2, 0);
	char *row = shown();
	assert_int_equal(number(row, "\"lost\":"), 2);
	assert_non_null(strstr(row, "\"state\":\"failed\""));
	assert_non_null(strstr(row, "No space left"));
	close(export.local.fd);
	export.local.fd = -1; /* another file follows */
	record(3, 0);
	row = shown();
	assert_non_null(strstr(row, "\"state\":\"writing\""));
	finish();
}

/* ---- measurements ---- */

static struct sockaddr_in metrics_at;

static void metrics_begin_at(uint32_t rules)
{
	const struct msg_resource r = { .kind = RESOURCE_METRICS_SOCKET };
	struct snap_metrics m = {
		.on = 1, .rules = rules, .listen = { .addr = addr_v4("\x7f\0\0\1"), .port = 9105 }
	};
	socklen_t n = sizeof metrics_at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	metrics_at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)&metrics_at, sizeof metrics_at), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&metrics_at, &n), 0);
	assert_int_equal(ipc_send_METRICS(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &r, fd), RC_OK);
	close(fd);
}

/* host: the last octet of an address of the loopback network. */
static int client_from(uint8_t host, const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000000u | host) };

	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&metrics_at, sizeof metrics_at), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	return fd;
}

static int client(const char *request)
{
	return client_from(1, request);
}

/* All of the answer until the connection ends. */
static char *answered(int fd)
{
	static char text[1 << 16];
	size_t n = 0;

	for (int ms = 0; ms < ANSWER_MS; ms += 2) {
		ssize_t part = recv(fd, text + n, sizeof text - 1 - n, MSG_DONTWAIT);
		if (part == 0 || (part < 0 && errno == ECONNRESET))
			break;
		n += part > 0 ? (size_t)part : 0;
		if (part < 0)
			turn(2);
	}
	close(fd);
	text[n] = '\0';
	return text;
}

static void rows_of_policy(const struct msg_show *q, uint64_t tag)
{
	static const char json[] = "{\"from\":\"a\",\"to\":\"b\",\"rule\":\"r\",\"id\":\"1\",\"hits\":5}\n"
				   "{\"from\":\"a\",\"to\":\"b\",\"rule\":\"s\",\"id\":\"2\",\"hits\":6}";
	struct msg_row row = { .n = sizeof json - 1 };
	struct msg_result end = { .rc = RC_OK, .count = 2, .next = q->from + 2 };

	assert_int_equal(q->limit, 3 - q->from);
	memcpy(row.json, json, row.n);
	assert_int_equal(ipc_send_METRICS_ROW(&others[PROC_CONTROL], tag, &row), RC_OK);
	assert_int_equal(ipc_send_METRICS_END(&others[PROC_CONTROL], tag, &end), RC_OK);
}

/* As control: all tables are empty, but for the policy's; the ledger's owner is not there. */
static void tables_answer(void)
{
	uint32_t asked = 0;

	while (asked != METRICS_TABLES) {
		next(PROC_CONTROL, IPC_METRICS_ASK);
		const struct msg_show q = frame.u.METRICS_ASK;
		struct msg_result end = { .rc = q.table == SHOW_LEDGER ? RC_AGAIN : RC_OK };
		assert_true(METRICS_TABLES >> q.table & 1);
		asked |= 1u << q.table;
		if (q.table == SHOW_POLICY)
			rows_of_policy(&q, frame.head.tag);
		else
			assert_int_equal(
				ipc_send_METRICS_END(&others[PROC_CONTROL], frame.head.tag, &end), RC_OK);
	}
}

static void measurements_are_served(void **state)
{
	begin();
	entered();
	metrics_begin_at(3);
	int fd = client("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	tables_answer();
	char *text = answered(fd);
	assert_int_equal(strncmp(text, "HTTP/1.1 200 ", 13), 0);
	assert_non_null(strstr(text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_non_null(
		strstr(text, "\nplaingate_rule_sessions_total{from=\"a\",to=\"b\",rule=\"s\",id=\"2\"} 6\n"));
	assert_non_null(strstr(text, "\nplaingate_table_up{table=\"ledger\"} 0\n"));
	assert_non_null(strstr(text, "\nplaingate_table_up{table=\"policy\"} 1\n"));
	assert_non_null(strstr(text, "\nplaingate_build_info{version=\""));
	/* The same page within the second, and what is not one. */
	text = answered(client("GET /metrics HTTP/1.0\r\n\r\n"));
	assert_non_null(strstr(text, "plaingate_table_up"));
	text = answered(client("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_non_null(strstr(text, " 200 "));
	assert_null(strstr(text, "plaingate_"));
	assert_non_null(strstr(answered(client("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), " 404 "));
	assert_non_null(strstr(answered(client("DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n")), " 405 "));
	answered(client("\x16\x03\x01 nonsense\r\n\r\n"));
	record(1, 0); /* it lives */
	assert_int_equal(number(shown(), "\"records\":"), 1);
	finish();
}

/* Clients that say nothing, or never end what they say, and one with a head without end: the next one is served. */
static void slow_clients_make_room(void **state)
{
	int slow[3 * HTTP_CLIENTS_MAX];
	char head[2 * HTTP_CLIENT_BYTES];

	begin();
	entered();
	metrics_begin_at(3);
	for (size_t i = 0; i < COUNT_OF(slow); i++) {
		slow[i] = client(i % 2 ? "" : "GET /metrics HTTP/1.1\r\nHost: a\r\nX: ");
		turn(1);
	}
	int fd = client("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	tables_answer();
	assert_non_null(strstr(answered(fd), "plaingate_rule_sessions_total"));
	memset(head, 'x', sizeof head - 1);
	head[sizeof head - 1] = '\0';
	memcpy(head, "GET /", 5);
	assert_null(strstr(answered(client(head)), " 200 "));
	for (size_t i = 0; i < COUNT_OF(slow); i++)
		close(slow[i]);
	/* What goes while it waits for the page, and whoever comes when nothing is served any more. */
	if (!executable)
		export.http.made_at = 0;
	close(client("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_int_equal(ipc_send_RESOURCE_GONE(&others[PROC_SUPERVISOR], 0,
				 &(struct msg_resource){ .kind = RESOURCE_METRICS_SOCKET }),
		RC_OK);
	for (int i = 0; i < 20; i++)
		turn(1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_not_equal(connect(fd, (struct sockaddr *)&metrics_at, sizeof metrics_at), 0);
	close(fd);
	finish();
}

/*
 * A hundred clients at once that ask twice in one breath and read nothing, then one whose request comes octet by octet while they are
 * there: it gets the page. No more files are open than clients may be there, and the clock may say what it likes.
 */
static void a_crowd(void **state)
{
	static const char request[] =
		"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	int crowd[100];

	if (executable)
		skip(); /* what it has made is not to be seen from outside */
	begin();
	entered();
	metrics_begin_at(3);
	int first = client("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	tables_answer();
	assert_non_null(strstr(answered(first), " 200 "));
	for (size_t i = 0; i < COUNT_OF(crowd); i++) {
		export.http.made_at = child.loop.now; /* no other page is due */
		crowd[i] = client(request);
		turn(0);
	}
	now_us = 1; /* 1970 */
	int fd = client("");
	for (const char *at = request; at < request + strlen(request) / 2; at++) {
		export.http.made_at = child.loop.now;
		assert_int_equal(send(fd, at, 1, MSG_NOSIGNAL), 1);
		turn(0);
	}
	assert_non_null(strstr(answered(fd), " 200 "));
	size_t held = 0;
	for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++)
		held += export.http.client[i].connection != NULL;
	assert_true(held <= HTTP_CLIENTS_MAX);
	for (size_t i = 0; i < COUNT_OF(crowd); i++)
		close(crowd[i]);
	record(1, 0);
	assert_int_equal(number(shown(), "\"records\":"), 1);
	finish();
}

/* Who connects again and again takes the places of its own, not that of another one whose request is under way. */
static void one_source_among_others(void **state)
{
	int many[5 * HTTP_CLIENTS_MAX];

	begin();
	entered();
	metrics_begin_at(3);
	int fd = client_from(3, "GET /metrics HTTP/1.1\r\nHost: a\r\n");
	turn(1);
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		many[i] = client_from(2, i % 2 ? "" : "GET /metrics HTTP/1.1\r\n");
		turn(1);
	}
	assert_int_equal(send(fd, "\r\n", 2, MSG_NOSIGNAL), 2);
	tables_answer();
	assert_non_null(strstr(answered(fd), "plaingate_rule_sessions_total"));
	for (size_t i = 0; i < COUNT_OF(many); i++)
		close(many[i]);
	finish();
}

/* The page comes without those who do not answer. */
static void an_owner_that_is_silent(void **state)
{
	if (executable)
		skip();
	begin();
	entered();
	metrics_begin_at(3);
	int fd = client("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	next(PROC_CONTROL, IPC_METRICS_ASK);
	const struct msg_result late = { .rc = RC_OK };
	uint64_t tag = frame.head.tag;
	export.http.scrape.late.fn(&child.loop, &export.http.scrape.late);
	assert_int_equal(ipc_send_METRICS_END(&others[PROC_CONTROL], tag, &late), RC_OK);
	char *text = answered(fd);
	assert_non_null(strstr(text, "plaingate_table_up{table=\"status\"} 0\n"));
	assert_non_null(strstr(text, "plaingate_table_up{table=\"keys\"} 0\n"));
	finish();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_become_lines, scene, scene_end),
		cmocka_unit_test_setup_teardown(goes_on, scene, scene_end),
		cmocka_unit_test_setup_teardown(another_log, scene, scene_end),
		cmocka_unit_test_setup_teardown(an_hour, scene, scene_end),
		cmocka_unit_test_setup_teardown(files_follow, scene, scene_end),
		cmocka_unit_test_setup_teardown(malformed_records, scene, scene_end),
		cmocka_unit_test_setup_teardown(no_room, scene, scene_end),
		cmocka_unit_test_setup_teardown(measurements_are_served, scene, scene_end),
		cmocka_unit_test_setup_teardown(slow_clients_make_room, scene, scene_end),
		cmocka_unit_test_setup_teardown(a_crowd, scene, scene_end),
		cmocka_unit_test_setup_teardown(one_source_among_others, scene, scene_end),
		cmocka_unit_test_setup_teardown(an_owner_that_is_silent, scene, scene_end),
	};

	executable = argc > 1 ? argv[1] : NULL;
	if (executable && (geteuid() != 0 || !getpwnam(proc_user(PROC_EXPORT)))) {
		fprintf(stderr, "skipped: needs root and the users that tools/make-users creates\n");
		return 77;
	}
	alarm(200); /* longer than a busy machine takes */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
