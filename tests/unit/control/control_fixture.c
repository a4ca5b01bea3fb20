#include "control_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct child child;
struct control control;
struct ipc_link peers[PROC_COUNT]; /* our ends */
char dir[64], sock[100];
static struct ipc_frame frame; /* the last one taken */

const char *executable; /* NULL: control runs in this process */
static pid_t pid;

bool executable_from(int argc, char **argv)
{
	executable = argc > 1 ? argv[1] : NULL;
	if (!executable || (geteuid() == 0 && getpwnam("plaingate-control")))
		return true;
	fprintf(stderr, "skipped: needs root and the users of tools/make-users\n");
	return false;
}

/* What is waited for comes after few of them, but the process may get no processor for long: a minute at least. */
#define PUMPS_MAX 6000

void pump(void)
{
	if (executable) {
		usleep(10000);
		return;
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(loop_once(&child.loop, NS_PER_MS, NULL), RC_OK);
}

void give_link(enum proc peer)
{
	struct msg_link m = { .peer = peer };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ipc_link_close(&peers[peer]);
	ipc_link_open(&peers[peer], pair[0], peer, PROC_CONTROL);
	assert_int_equal(ipc_send_LINK(&peers[PROC_SUPERVISOR], 0, &m, pair[1]), RC_OK);
	close(pair[1]);
}

static int listening(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sock, sizeof sock, "%s/sock", dir);
	unlink(sock);
	memcpy(at.sun_path, sock, strlen(sock) + 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* As the supervisor does it: fd 3 is the link, all else is closed. */
static void run_executable(int link)
{
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(link, 3);
		close_range(4, ~0u, 0);
		execl(executable, executable, (char *)NULL);
		_exit(127);
	}
	close(link);
}

/* Its end; a death by signal is the sandbox's. */
static void wait_executable(void)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("plaingate-control ended with status 0x%x", (unsigned)status);
}

bool look_inside(void)
{
	return executable == NULL;
}

/* control is started with all links; everything that the start sends is still unread. */
void start(void)
{
	static const enum proc all[] = { PROC_LEDGER, PROC_KEEPER, PROC_IKE, PROC_DATAPLANE };
	struct msg_resource config = { .kind = RESOURCE_CONFIG_DIR }, cli = { .kind = RESOURCE_CLI_SOCKET };
	struct msg_start s = { 0 };
	int pair[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ipc_link_open(&peers[PROC_SUPERVISOR], pair[0], PROC_SUPERVISOR, PROC_CONTROL);
	if (executable) {
		run_executable(pair[1]);
	} else {
		child_init(&child, PROC_CONTROL, &control_ops, &control, LEDGER_LEDGER_OUTAGE, pair[1]);
		control_init(&control, &child);
	}
	for (size_t i = 0; i < COUNT_OF(all); i++)
		give_link(all[i]);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ipc_send_RESOURCE(&peers[PROC_SUPERVISOR], 0, &config, fd), RC_OK);
	config.kind = RESOURCE_CERTIFICATE_DIR; /* the same one in these tests */
	assert_int_equal(ipc_send_RESOURCE(&peers[PROC_SUPERVISOR], 0, &config, fd), RC_OK);
	close(fd);
	fd = listening();
	assert_int_equal(ipc_send_RESOURCE(&peers[PROC_SUPERVISOR], 0, &cli, fd), RC_OK);
	close(fd);
	assert_int_equal(ipc_send_START(&peers[PROC_SUPERVISOR], 0, &s), RC_OK);
	pump();
}

void stop(void)
{
	if (!executable) {
		loop_stop(&child.loop);
		child_run(&child);
	}
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&peers[i]);
	if (executable)
		wait_executable();
}

/* The next frame from control at that end, which must be of the id. */
struct ipc_frame *expect(struct ipc_link *l, enum ipc_id id)
{
	struct err e = { 0 };

	ipc_frame_done(&frame);
	for (int i = 0; i < PUMPS_MAX; i++) {
		enum rc rc;
		pump();
		rc = ipc_recv(l, &frame, &e);
		if (rc == RC_AGAIN)
			continue;
		if (rc != RC_OK)
			fail_msg("%s expected: %s", ipc_name(id), e.text);
		if (frame.head.id == IPC_CLI_MEMORY && id == IPC_CLI_END) {
			ipc_frame_done(&frame); /* of a capture, which the test does not read */
			continue;
		}
		if (frame.head.id != id)
			fail_msg("%s expected, not %s", ipc_name(id), ipc_name((enum ipc_id)frame.head.id));
		return &frame;
	}
	fail_msg("%s did not come", ipc_name(id));
	return NULL;
}

void expect_nothing(struct ipc_link *l)
{
	struct ipc_frame f;

	pump();
	if (ipc_recv(l, &f, NULL) == RC_OK)
		fail_msg("nothing expected, not %s", ipc_name((enum ipc_id)f.head.id));
}

/* An entry of the type arrives whose body is what the ledger will take; answers with rc. */
void enter(enum ledger_type type, enum rc rc, const char *holds)
{
	struct ipc_frame *f = expect(&peers[PROC_LEDGER], IPC_LEDGER_APPEND);
	struct msg_ledger_receipt r = { .rc = rc, .text = "the disk is full" };
	struct err e = { 0 };

	assert_string_equal(
		ledger_type_name((enum ledger_type)f->u.LEDGER_APPEND.type), ledger_type_name(type));
	if (ledger_body_check(type, f->u.LEDGER_APPEND.body, f->u.LEDGER_APPEND.body_n, &e) != RC_OK)
		fail_msg("%s", e.text);
	if (!memmem(f->u.LEDGER_APPEND.body, f->u.LEDGER_APPEND.body_n, holds, strlen(holds)))
		fail_msg("'%s' is not in: %.*s", holds, (int)f->u.LEDGER_APPEND.body_n,
			f->u.LEDGER_APPEND.body);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&peers[PROC_LEDGER], f->head.tag, &r), RC_OK);
	pump();
}

const enum proc receivers[RECEIVERS] = { PROC_SUPERVISOR, PROC_KEEPER, PROC_IKE, PROC_DATAPLANE };

/* The peer gets a snapshot of that generation, sealed and sound; it answers unless told not to. */
void take_snapshot(enum proc peer, uint64_t generation, bool answer, enum rc rc)
{
	struct ipc_frame *f = expect(&peers[peer], IPC_SNAPSHOT);
	struct msg_result r = { .rc = rc, .text = "no room" };
	int fd = ipc_frame_take(f);
	void *block = mmap(NULL, f->u.SNAPSHOT.bytes, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(block, MAP_FAILED);
	assert_int_equal(f->u.SNAPSHOT.generation, generation);
	assert_int_equal(snapshot_check(block, f->u.SNAPSHOT.bytes, NULL), RC_OK);
	assert_int_equal(((const struct snapshot *)block)->generation, generation);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	munmap(block, f->u.SNAPSHOT.bytes);
	close(fd);
	if (answer)
		assert_int_equal(ipc_send_SNAPSHOT_TAKEN(&peers[peer], f->head.tag, &r), RC_OK);
}

void take_all(uint64_t generation)
{
	for (size_t i = 0; i < COUNT_OF(receivers); i++)
		take_snapshot(receivers[i], generation, true, RC_OK);
}

/* Started, and all that a start sends taken. */
void started(uint64_t generation)
{
	start();
	take_snapshot(PROC_SUPERVISOR, generation, true, RC_OK);
	expect(&peers[PROC_SUPERVISOR], IPC_READY);
	for (size_t i = 1; i < COUNT_OF(receivers); i++)
		take_snapshot(receivers[i], generation, true, RC_OK);
	enter(LEDGER_CONFIG_LOAD, RC_OK, "\"sha256\":\"");
}

int memory_of(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

struct ipc_link reach(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ipc_link l;

	memcpy(at.sun_path, sock, strlen(sock) + 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
	ipc_link_open(&l, fd, PROC_CLI, PROC_CONTROL);
	return l;
}

static void copy(int to, int from)
{
	char text[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(from, text, sizeof text, at)) > 0; at += n)
		assert_int_equal(pwrite(to, text, (size_t)n, at), n);
}

/* Which message comes next, without taking it; IPC_ID_COUNT: the connection is over. */
static enum ipc_id comes_next(struct ipc_link *l)
{
	struct ipc_head h;

	for (int i = 0; i < PUMPS_MAX; i++) {
		ssize_t n = recv(l->fd, &h, sizeof h, MSG_PEEK | MSG_DONTWAIT);
		if (n >= 0)
			return n == sizeof h ? (enum ipc_id)h.id : IPC_ID_COUNT;
		pump();
	}
	return IPC_ID_COUNT;
}

void ask_on(struct ipc_link *l, struct msg_cli_request q, int file)
{
	bool has_text = q.command == CLI_CHECK || q.command == CLI_COMMIT || q.command == CLI_SIGN;
	bool has_memory = has_text || q.command == CLI_CONFIG || q.command == CLI_PROPOSAL;
	struct stat st = { 0 };

	if (has_text && file >= 0)
		assert_int_equal(fstat(file, &st), 0);
	q.bytes = (uint64_t)st.st_size;
	assert_int_equal(ipc_send_CLI_REQUEST(l, 1, &q), RC_OK);
	if (!has_memory || comes_next(l) != IPC_CLI_MEMORY)
		return;
	int memory = ipc_frame_take(expect(l, IPC_CLI_MEMORY));
	if (file >= 0)
		copy(has_text ? memory : file, has_text ? file : memory);
	close(memory);
	if (has_text)
		assert_int_equal(ipc_send_CLI_FILLED(l, 1, &(struct msg_empty){ 0 }), RC_OK);
}

struct ipc_link ask(struct msg_cli_request q, int file)
{
	struct ipc_link l = reach();

	ask_on(&l, q, file);
	return l;
}

bool ask_in_vain(struct msg_cli_request q, enum proc owner)
{
	struct ipc_link l = reach();
	struct ipc_frame f;
	enum rc rc = ipc_send_CLI_REQUEST(&l, 1, &q), asked = RC_AGAIN; /* the end may come before */

	for (int i = 0; i < PUMPS_MAX && rc != RC_IO && asked == RC_AGAIN; i++) {
		pump();
		rc = ipc_recv(&l, &f, NULL);
		asked = ipc_recv(&peers[owner], &f, NULL);
	}
	ipc_link_close(&l);
	assert_true((rc == RC_IO) != (asked == RC_OK));
	return rc == RC_IO;
}

struct ipc_link commit(const char *text)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .comment = "because" };
	int fd = memory_of(text);
	struct ipc_link l = ask(q, fd);

	close(fd);
	pump();
	return l;
}

void ends(struct ipc_link *l, enum rc rc, const char *says)
{
	struct ipc_frame *f = expect(l, IPC_CLI_END);

	if (f->u.CLI_END.rc != rc || !strstr(f->u.CLI_END.text, says))
		fail_msg("%s expected, '%s'; not %s, '%s'", rc_text(rc), says,
			rc_text((enum rc)f->u.CLI_END.rc), f->u.CLI_END.text);
	ipc_link_close(l);
	pump();
}

static bool file_holds(const char *path, const char *text)
{
	char found[1000] = "";
	FILE *f = fopen(path, "r");

	if (!f)
		return !text;
	found[fread(found, 1, sizeof found - 1, f)] = '\0';
	fclose(f);
	return text && strcmp(found, text) == 0;
}

/* What is there is there soon: the other process needs its time. That nothing is there is looked at as it is
 * now. */
void file_is(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	for (int i = 0; i < PUMPS_MAX && text && !file_holds(path, text); i++)
		pump();
	if (!file_holds(path, text))
		fail_msg("'%s' is not what it should be", name);
}

int fresh(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/control-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	if (executable) {
		const struct passwd *user = getpwnam("plaingate-control");
		assert_non_null(user);
		assert_int_equal(chown(dir, user->pw_uid, user->pw_gid), 0);
	}
	for (int i = 0; i < PROC_COUNT; i++)
		peers[i] = IPC_LINK_NONE;
	frame.file = -1;
	started(0);
	return 0;
}

int cleared(void **state)
{
	struct dirent *d;
	DIR *at;

	stop();
	ipc_frame_done(&frame);
	at = opendir(dir);
	while ((d = readdir(at))) {
		if (d->d_name[0] != '.')
			unlinkat(dirfd(at), d->d_name, 0);
	}
	closedir(at);
	rmdir(dir);
	return 0;
}

void commit_good(const char *text, uint64_t generation)
{
	struct ipc_link l = commit(text);

	enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"comment\":\"because\"");
	take_all(generation);
	ends(&l, RC_OK, "is running (loaded by supervisor, keeper, ike, dataplane)");
}
