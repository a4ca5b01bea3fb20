#include "witnessed.h"

#include <stdlib.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_SEED "0123456789abcdef0123456789abcdef"

struct ledger_shell shell;
struct child child;
struct ipc_link supervisor, control, courier = { .fd = -1 };
char dir[] = "/tmp/plaingate-witnessed-XXXXXX";
static struct ipc_frame frame;

/* ---- the witness ---- */

struct kept kept[4];

enum mood mood;
struct witness witness;
static struct note_key logs[4];
unsigned asked, connects, receipts;
struct endpoint asked_at;
static int conns[8];
static char bytes[8][EXCHANGE_REQUEST_MAX];
static size_t bytes_n[8];

struct kept *kept_of(const char *origin)
{
	for (size_t i = 0; i < COUNT_OF(kept); i++)
		if (strcmp(kept[i].origin, origin) == 0)
			return &kept[i];
	return NULL;
}

static enum rc store_get(void *context, const char *origin, struct witness_head *ret_head, struct err *e)
{
	const struct kept *k = kept_of(origin);

	(void)context;
	if (!k)
		return err_add(e, RC_NOT_FOUND, "nothing of it");
	*ret_head = k->head;
	return RC_OK;
}

static enum rc store_put(void *context, const char *origin, const struct witness_head *was,
	const struct witness_head *now, const char *note, size_t note_n, struct err *e)
{
	struct kept *k = was ? kept_of(origin) : kept_of("");

	(void)context;
	(void)e;
	if (!k)
		return err_add(e, RC_LIMIT, "no room");
	snprintf(k->origin, sizeof k->origin, "%s", origin);
	k->head = *now;
	memcpy(k->note, note, note_n);
	k->note_n = note_n;
	return RC_OK;
}

static void witness_init(void)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = { 5 };
	uint8_t public_key[ED25519_PUBLIC_SIZE];

	memset(kept, 0, sizeof kept);
	for (size_t i = 0; i < COUNT_OF(conns); i++)
		conns[i] = -1;
	asked = connects = receipts = 0;
	mood = WITNESS_WELL;
	ed25519_public(public_key, seed);
	witness = (struct witness){ .log = logs, .store = { NULL, store_get, store_put } };
	memcpy(witness.seed, seed, sizeof witness.seed);
	assert_int_equal(
		note_key_make(&witness.key, "w.example", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
}

/* It trusts the log that the shell has now. */
void witness_told(void)
{
	logs[witness.logs_n++] = shell.key;
}

static void answer(size_t i, int status, const char *body, size_t n)
{
	char head[128];
	int head_n = snprintf(head, sizeof head, "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n", status, n);

	if (mood == WITNESS_GARBLED)
		memcpy(head, "HTTQ", 4);
	assert_int_equal(send(conns[i], head, (size_t)head_n, MSG_NOSIGNAL), head_n);
	assert_int_equal(send(conns[i], body, n, MSG_NOSIGNAL), n);
}

static void request_answer(size_t i)
{
	char *body = strstr(bytes[i], "\r\n\r\n") + 4;
	static struct witness_answer a;
	char path[WITNESS_PATH_MAX];

	asked++;
	if (strncmp(bytes[i], "GET ", 4) == 0) {
		const struct kept *k = NULL;
		for (size_t l = 0; l < witness.logs_n && !k; l++) {
			witness_monitor_path(path, logs[l].name);
			if (strncmp(bytes[i] + 4, path, strlen(path)) == 0)
				k = kept_of(logs[l].name);
		}
		answer(i, k ? 200 : 404, k ? k->note : "", k ? k->note_n : 0);
		return;
	}
	assert_int_equal(strncmp(bytes[i], "POST /add-checkpoint HTTP/1.1\r\n", 31), 0);
	if (mood == WITNESS_LIAR) {
		answer(i, 409, "1000000\n", 8);
		return;
	}
	witness_add_checkpoint(
		&witness, body, (size_t)(bytes[i] + bytes_n[i] - body), clock_utc() / 1000000, &a);
	answer(i, a.status, a.body, a.body_n);
}

static bool request_whole(size_t i)
{
	const char *body = strstr(bytes[i], "\r\n\r\n"), *length = strstr(bytes[i], "Content-Length: ");

	if (!body)
		return false;
	size_t want = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
	return (size_t)(bytes[i] + bytes_n[i] - body - 4) == want;
}

static void conn_serve(size_t i)
{
	ssize_t n = recv(conns[i], bytes[i] + bytes_n[i], sizeof bytes[i] - 1 - bytes_n[i], MSG_DONTWAIT);

	if (n > 0) {
		bytes_n[i] += (size_t)n;
		bytes[i][bytes_n[i]] = '\0';
	}
	if (n > 0 && mood != WITNESS_MUTE && request_whole(i)) {
		request_answer(i);
		n = 0;
	}
	if (n == 0) {
		close(conns[i]);
		conns[i] = -1;
	}
}

/* ---- the courier and the supervisor ---- */

struct msg_witness_answer reply;
uint64_t question_tag;
bool courier_mute;

static void courier_asked(uint64_t tag, const struct msg_witness_ask *m)
{
	static struct witness_answer a;

	asked++;
	question_tag = tag;
	assert_true(m->post == 1 && strcmp(m->at, "/add-checkpoint") == 0 && strcmp(m->witness, "one") == 0);
	if (courier_mute)
		return;
	witness_add_checkpoint(&witness, (const char *)m->body, m->body_n, clock_utc() / 1000000, &a);
	reply = (struct msg_witness_answer){ .status = (uint32_t)a.status, .body_n = (uint32_t)a.body_n };
	memcpy(reply.body, a.body, a.body_n);
	assert_int_equal(ipc_send_WITNESS_ANSWER(&courier, tag, &reply), RC_OK);
}

void courier_join(void)
{
	const struct msg_link link = { .peer = PROC_COURIER };
	int fds[2];

	ipc_link_close(&courier);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&courier, fds[0], PROC_COURIER, PROC_LEDGER);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &link, fds[1]), RC_OK);
	close(fds[1]);
}

static void connection(uint64_t tag, const struct endpoint *at)
{
	struct msg_result refused = { .rc = RC_IO, .text = "connect: Connection refused" };
	int fds[2];

	connects++;
	asked_at = *at;
	if (mood == WITNESS_DEAD) {
		assert_int_equal(ipc_send_WITNESS_REFUSED(&supervisor, tag, &refused), RC_OK);
		return;
	}
	size_t i = 0;
	while (conns[i] >= 0)
		i++;
	assert_true(i < COUNT_OF(conns));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	conns[i] = fds[0];
	bytes_n[i] = 0;
	assert_int_equal(ipc_send_WITNESS_SOCKET(&supervisor, tag, at, fds[1]), RC_OK);
	close(fds[1]);
}

struct msg_ledger_receipt receipt;
static bool have_receipt;

static void link_hear(struct ipc_link *l)
{
	while (l->fd >= 0 && ipc_recv(l, &frame, NULL) == RC_OK) {
		if (frame.head.id == IPC_WITNESS_CONNECT) {
			connection(frame.head.tag, &frame.u.WITNESS_CONNECT);
		} else if (frame.head.id == IPC_WITNESS_ASK) {
			courier_asked(frame.head.tag, &frame.u.WITNESS_ASK);
		} else if (frame.head.id == IPC_LEDGER_RECEIPT) {
			receipt = frame.u.LEDGER_RECEIPT;
			have_receipt = true;
			receipts++;
		}
		ipc_frame_done(&frame);
	}
}

/* Until a receipt came, or so many milliseconds are over. */
bool serve(unsigned ms)
{
	mono_ns until = clock_mono() + ms * NS_PER_MS;

	have_receipt = false;
	while (!have_receipt && clock_mono() < until) {
		assert_int_equal(loop_once(&child.loop, NS_PER_MS, NULL), RC_OK);
		link_hear(&supervisor);
		link_hear(&control);
		link_hear(&courier);
		for (size_t i = 0; i < COUNT_OF(conns); i++)
			if (conns[i] >= 0)
				conn_serve(i);
	}
	return have_receipt;
}

struct snap_evidence evidence(uint32_t required)
{
	struct snap_evidence v = { .count = 1, .quorum = 1, .required = required, .heartbeat_s = 1 };
	uint8_t four[4] = { 192, 0, 2, 7 };

	snprintf(v.witness[0].name, sizeof v.witness[0].name, "one");
	v.witness[0].at = (struct endpoint){ .addr = addr_v4(four), .port = 7380 };
	note_key_text(v.witness[0].key, &witness.key);
	return v;
}

static void give(struct ipc_link *l, enum resource kind, int fd)
{
	struct msg_resource r = { .kind = kind };

	assert_int_equal(ipc_send_RESOURCE(l, 0, &r, fd), RC_OK);
	close(fd);
}

bool starting = true;

void start(const struct snap_evidence *v)
{
	struct msg_link link = { .peer = PROC_CONTROL };
	struct msg_start m = { .boot_id = { 1 } };
	int fds[2], fd;

	m.boot_id[1] = (uint8_t)connects; /* another boot each time */
	control = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&supervisor, fds[0], PROC_SUPERVISOR, PROC_LEDGER);
	ledger_shell_init(&shell, &child);
	child_init(&child, PROC_LEDGER, &ledger_shell_ops, &shell, LEDGER_LEDGER_OUTAGE, fds[1]);
	give(&supervisor, RESOURCE_LEDGER_DIR, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, KEY_SEED, 32), 32);
	give(&supervisor, RESOURCE_LEDGER_KEY, fd);
	assert_int_equal(ipc_send_WITNESSES(&supervisor, 0, v), RC_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&control, fds[0], PROC_CONTROL, PROC_LEDGER);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &link, fds[1]), RC_OK);
	close(fds[1]);
	assert_int_equal(ipc_send_START(&supervisor, 0, &m), RC_OK);
	for (int i = 0; i < 4 && starting; i++)
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
	assert_true(child.started || !starting);
}

void stop(void)
{
	loop_stop(&child.loop);
	assert_int_equal(child_run(&child), 0);
	ipc_link_close(&supervisor);
	ipc_link_close(&control);
	ipc_link_close(&courier);
	for (size_t i = 0; i < COUNT_OF(conns); i++) {
		if (conns[i] >= 0)
			close(conns[i]);
		conns[i] = -1;
	}
}

int setup(void **state)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	witness_init();
	return 0;
}

int teardown(void **state)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* ---- what control and the supervisor enter ---- */

void commit_send(uint64_t n)
{
	struct msg_ledger_append m = { .n = n, .type = LEDGER_CONFIG_COMMIT };
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_CONFIG_COMMIT);
	ledger_body_str(&b, "admin", "uid 0");
	ledger_body_str(&b, "comment", "");
	ledger_body_str(&b, "confirm_within", "0");
	ledger_body_u64(&b, "generation", n);
	ledger_body_str(&b, "previous", "");
	ledger_body_str(&b, "sha256", "");
	m.body_n = (uint16_t)ledger_body_done(&b);
	memcpy(m.body, b.text, m.body_n);
	assert_int_equal(ipc_send_LEDGER_APPEND(&control, n, &m), RC_OK);
}

void exit_send(uint64_t n)
{
	struct msg_ledger_append m = { .n = n, .type = LEDGER_PROCESS_EXIT };
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
	ledger_body_u64(&b, "pid", n);
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", "exit status 0");
	m.body_n = (uint16_t)ledger_body_done(&b);
	memcpy(m.body, b.text, m.body_n);
	assert_int_equal(ipc_send_LEDGER_APPEND(&supervisor, n, &m), RC_OK);
}

bool file_holds(const char *name, const char *what)
{
	char path[200];
	static char text[1 << 18];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
	if (fd >= 0)
		close(fd);
	return n > 0 && memmem(text, (size_t)n, what, strlen(what)) != NULL;
}

bool entered(const char *type)
{
	char command[200];

	snprintf(command, sizeof command, "grep -rqF '\"type\":\"%s\"' %s", type, dir);
	return system(command) == 0;
}

uint64_t seen_size(void)
{
	const struct kept *k = kept_of(shell.key.name);

	return k ? k->head.size : 0;
}

/* Until the witness has seen all that there is. */
void wait_seen(void)
{
	for (int i = 0; i < 400; i++) {
		serve(20);
		if (shell.log && !shell.opening && seen_size() == ledger_size(shell.log) && seen_size() > 0)
			return;
	}
	fail_msg("not cosigned: %s", shell.witnesses.peer[0].poll.error);
}
