#include "process_fixture.h"

#include "base/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE_BYTES (96 << 20)
static struct gate g; /* its routes and its configuration; its pipeline is not used */
struct dataplane *d;
static pthread_t process;
static bool is_stopped;
static int supervisor_fd, memory;
struct ipc_link supervisor, control, keeper, ike;
uint32_t workers, tags;
int outer[2][WORKERS_MAX];
struct ipc_frame frame;
const char *more_text = "";
void (*more_resources)(void);

/* ---- the other processes ---- */

static int other_end(int *ret_fd)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*ret_fd = fds[1];
	return fds[0];
}

void resource_send(enum resource kind, const char *name, uint32_t index, uint32_t worker, int fd)
{
	struct msg_resource m = { .kind = kind, .index = index, .worker = worker };

	snprintf(m.name, sizeof m.name, "%s", name);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &m, fd), RC_OK);
}

static void link_send_fds(const char *name, uint32_t index, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int fd;
		outer[index - GATE_LAN][i] = other_end(&fd);
		resource_send(RESOURCE_INTERFACE, name, index, i, fd);
		close(fd);
	}
}

const struct ipc_frame *wait_for(struct ipc_link *link, enum ipc_id id)
{
	struct err e = { 0 };

	for (;;) {
		struct pollfd p = { .fd = link->fd, .events = POLLIN };
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		enum rc rc = ipc_recv(link, &frame, &e);
		if (rc == RC_AGAIN)
			continue;
		if (rc != RC_OK)
			fail_msg("%s", e.text);
		if (frame.head.id == id)
			return &frame;
	}
}

void snapshot_send(const struct snapshot *s)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct msg_snapshot m = { .generation = s->generation, .bytes = s->bytes };

	assert_int_equal(write(fd, s, s->bytes), s->bytes);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&control, ++tags, &m, fd), RC_OK);
	close(fd);
}

void configure(uint32_t n)
{
	struct snapshot *s = gate_compile(gate_text, more_text);

	s->workers = n;
	snapshot_send(s);
	free(s);
	if (wait_for(&control, IPC_SNAPSHOT_TAKEN)->u.SNAPSHOT_TAKEN.rc != RC_OK)
		fail_msg("%s", frame.u.SNAPSHOT_TAKEN.text);
}

uint64_t show(enum show_table table, const char *counter)
{
	struct msg_show m = { .table = table };
	uint64_t n = 0, value = 0;
	char key[80];

	snprintf(key, sizeof key, "\"counter\":\"%s\",\"value\":", counter ? counter : "");
	do {
		assert_int_equal(ipc_send_SHOW(&control, ++tags, &m), RC_OK);
		for (;;) {
			struct pollfd p = { .fd = control.fd, .events = POLLIN };
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
			if (ipc_recv(&control, &frame, NULL) != RC_OK)
				continue;
			if (frame.head.id != IPC_SHOW_ROW)
				break;
			const char *at = strstr(frame.u.SHOW_ROW.json, key);
			if (counter && at)
				value = strtoull(at + strlen(key), NULL, 10);
		}
		assert_int_equal(frame.head.id, IPC_SHOW_END);
		n += frame.u.SHOW_END.count;
		m.from = frame.u.SHOW_END.next;
	} while (m.from);
	return counter ? value : n;
}

/* ---- the process ---- */

void keeper_link(void)
{
	struct msg_link to_keeper = { .peer = PROC_KEEPER };
	int fd, ours = other_end(&fd);

	assert_int_equal(ipc_send_LINK(&supervisor, 0, &to_keeper, fd), RC_OK);
	close(fd);
	if (keeper.fd > 0)
		ipc_link_close(&keeper);
	ipc_link_open(&keeper, ours, PROC_KEEPER, PROC_DATAPLANE);
}

static void *process_run(void *context)
{
	(void)context;
	assert_int_equal(dataplane_run(d), 0);
	return NULL;
}

void process_begin(uint32_t n)
{
	struct msg_link to_control = { .peer = PROC_CONTROL }, to_ike = { .peer = PROC_IKE };
	struct msg_start start = { 0 };
	int fd;

	workers = n;
	is_stopped = false;
	gate_init(&g, gate_text, "", 64);
	assert_non_null(d = lines_new(1, sizeof *d));
	supervisor_fd = other_end(&fd);
	assert_true(dataplane_init(d, fd));
	d->routes = g.routes;
	ipc_link_open(&supervisor, supervisor_fd, PROC_SUPERVISOR, PROC_DATAPLANE);
	ipc_link_open(&control, other_end(&fd), PROC_CONTROL, PROC_DATAPLANE);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &to_control, fd), RC_OK);
	close(fd);
	keeper_link();
	ipc_link_open(&ike, other_end(&fd), PROC_IKE, PROC_DATAPLANE);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &to_ike, fd), RC_OK);
	close(fd);
	resource_send(RESOURCE_STATE, "state", 0, 0, memory);
	link_send_fds("lan0", GATE_LAN, n);
	link_send_fds("wan0", GATE_WAN, n);
	if (more_resources)
		more_resources();
	assert_int_equal(ipc_send_START(&supervisor, 0, &start), RC_OK);
	assert_int_equal(pthread_create(&process, NULL, process_run, NULL), 0);
	configure(n);
	assert_int_equal(show(SHOW_COUNTERS, "packets-in"), 0); /* the number has changed by then */
}

void process_stop(void)
{
	if (is_stopped)
		return;
	ipc_link_close(&supervisor);
	assert_int_equal(pthread_join(process, NULL), 0);
	is_stopped = true;
}

void process_end(void)
{
	process_stop();
	d->routes = NULL;
	dataplane_done(d);
	free(d);
	ipc_link_close(&control);
	ipc_link_close(&keeper);
	keeper = (struct ipc_link){ 0 };
	ipc_link_close(&ike);
	for (uint32_t i = 0; i < workers; i++) {
		close(outer[0][i]);
		close(outer[1][i]);
	}
	gate_done(&g);
}

int memory_setup(void **state)
{
	(void)state;
	memory = memfd_create("state", MFD_CLOEXEC);
	return ftruncate(memory, STATE_BYTES);
}

int memory_teardown(void **state)
{
	(void)state;
	return close(memory);
}
