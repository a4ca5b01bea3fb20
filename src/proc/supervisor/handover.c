/* What processes are given: links to each other, made whenever one of them starts, and what was opened for
 * them. */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"
#include "proc/supervisor/limits.h"

#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether the message table has a row between the two; the supervisor's own link is there from the start. */
static bool procs_speak(enum proc a, enum proc b)
{
	static const struct {
		uint32_t from, to;
	} rows[] = {
#define E(id, from, to, body, files) { from, to },
		IPC_MESSAGES(E)
#undef E
	};

	if (!proc_is_service(a) || !proc_is_service(b) || a == b)
		return false;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if ((rows[i].from >> a & 1 && rows[i].to >> b & 1) ||
			(rows[i].from >> b & 1 && rows[i].to >> a & 1))
			return true;
	return false;
}

static bool runs(const struct child_process *c)
{
	return ipc_link_up(&c->port.link);
}

static uint32_t run_of(const struct child_process *c)
{
	return (uint32_t)(c->starts > 0 ? c->starts - 1 : 0);
}

static void widen(const int fds[2])
{
	for (int i = 0, bytes = LEDGER_LINK_BYTES; i < 2; i++)
		if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
			log_warn("raise SO_SNDBUF of the ledger link: %m");
}

static void join(struct child_process *a, struct child_process *b)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		log_error("make a link between %s and %s: %m", proc_name(a->id), proc_name(b->id));
		return;
	}
	if (a->id == PROC_LEDGER || b->id == PROC_LEDGER)
		widen(fds);
	const struct msg_link to_b = { .peer = b->id, .run = run_of(b) },
			      to_a = { .peer = a->id, .run = run_of(a) };
	if (ipc_send_LINK(&a->port.link, 0, &to_b, fds[0]) != RC_OK ||
		ipc_send_LINK(&b->port.link, 0, &to_a, fds[1]) != RC_OK)
		log_warn(
			"the link between %s and %s was not handed over", proc_name(a->id), proc_name(b->id));
	close(fds[0]);
	close(fds[1]);
}

void child_give_all(struct child_process *c)
{
	struct supervisor *s = c->supervisor;
	struct msg_start start = { .restarts = run_of(c) };

	for (int i = 0; i < PROC_COUNT; i++)
		if (procs_speak(c->id, (enum proc)i) && runs(&s->children[i]))
			join(c, &s->children[i]);
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		if (s->resources[i].fd >= 0 && s->resources[i].holder == c->id)
			ipc_send_RESOURCE(&c->port.link, 0, &s->resources[i].m, s->resources[i].fd);
	if (c->id == PROC_LEDGER || c->id == PROC_COURIER)
		witnesses_give(s, c);
	if (c->id == PROC_EXPORT) {
		streams_give(s);
		metrics_give(s);
	}
	memcpy(start.boot_id, s->boot_id, sizeof start.boot_id);
	snprintf(start.state_path, sizeof start.state_path, "%s/ledger", s->options.state);
	ipc_send_START(&c->port.link, 0, &start);
}

int resource_add(
	struct supervisor *s, enum proc holder, enum resource kind, uint32_t index, const char *name, int fd)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++) {
		struct open_resource *r = &s->resources[i];
		if (r->fd >= 0)
			continue;
		*r = (struct open_resource){
			.holder = holder, .fd = fd, .m = { .kind = kind, .index = index }
		};
		snprintf(r->m.name, sizeof r->m.name, "%s", name);
		return (int)i;
	}
	close(fd);
	return -1;
}

struct open_resource *resource_find(struct supervisor *s, enum resource kind, uint32_t index)
{
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		if (s->resources[i].fd >= 0 && s->resources[i].m.kind == (uint32_t)kind &&
			s->resources[i].m.index == index)
			return &s->resources[i];
	return NULL;
}

void resource_give(struct supervisor *s, struct open_resource *r)
{
	struct child_process *c = child_of(s, r->holder);

	if (runs(c) && ipc_send_RESOURCE(&c->port.link, 0, &r->m, r->fd) != RC_OK)
		log_warn("%s was not handed over to %s", r->m.name, proc_name(c->id));
}

void resource_remove(struct supervisor *s, struct open_resource *r)
{
	struct child_process *c = child_of(s, r->holder);

	assert(r->fd >= 0);
	if (runs(c))
		ipc_send_RESOURCE_GONE(&c->port.link, 0, &r->m);
	close(r->fd);
	r->fd = -1;
}
