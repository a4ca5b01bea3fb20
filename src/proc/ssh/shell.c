#include "proc/ssh/shell.h"

#include "base/log.h"
#include "ipc/rows.h"
#include "ledger/types.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* A copy, so that nothing changes under what was checked. */
static enum rc setup_read(struct ssh_setup *ret_setup, int fd, uint64_t bytes, struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS ||
		bytes != sizeof *ret_setup || (uint64_t)st.st_size != bytes)
		return err_add(e, RC_MALFORMED,
			"control's list of administrators is not in a sealed file of its size");
	if (pread(fd, ret_setup, sizeof *ret_setup, 0) != (ssize_t)sizeof *ret_setup)
		return err_errno(e, RC_IO, "read control's list of administrators");
	return ssh_setup_check(ret_setup, e);
}

static enum rc setup_apply(struct ssh *s, struct err *e)
{
	static struct ssh_setup was;

	was = s->setup;
	s->setup = s->next;
	enum rc rc = ssh_accounts_write(s, &was, e);
	if (!s->setup.is_on)
		ssh_server_end(s);
	else if (rc == RC_OK)
		rc = ssh_server_apply(s, e);
	else
		ssh_server_apply(s, NULL); /* for those whose files could be written; the tick repairs */
	return rc;
}

static void setup_take(struct ssh *s, struct ipc_frame *f)
{
	struct msg_result r = { 0 };
	struct err e = { 0 };
	int fd = ipc_frame_take(f);
	uint64_t tag = f->head.tag;
	enum rc rc = setup_read(&s->next, fd, f->u.SSH_SETUP.bytes, &e);

	if (fd >= 0)
		close(fd);
	if (rc == RC_OK)
		rc = setup_apply(s, &e);
	if (rc != RC_OK) {
		snprintf(s->last, sizeof s->last, "%.*s", (int)sizeof s->last - 1, e.text);
		log_error("%s", e.text);
	}
	r.rc = (uint32_t)rc;
	snprintf(r.text, sizeof r.text, "%s", e.text);
	ipc_send_SSH_TAKEN(child_link(s->child, PROC_CONTROL), tag, &r);
}

static void show(struct ssh *s, uint64_t tag, const struct msg_show *q)
{
	static const char *const states[] = {
		[SSH_OFF] = "off", [SSH_ENTERING] = "waits for the ledger", [SSH_RUNS] = "running"
	};
	static struct rows_piece p;
	struct ipc_link *control = child_link(s->child, PROC_CONTROL);

	if (q->table != SHOW_SSH) {
		rows_refuse(control, tag, RC_UNSUPPORTED, "ssh has no such table");
		return;
	}
	rows_begin(&p, control, tag, q);
	if (rows_first(&p, 0) == 0 && rows_look(&p, 0, 0)) {
		struct jw *w = rows_row(&p);
		jw_str(w, "state", states[s->state]);
		jw_u64(w, "port", s->setup.port);
		jw_str(w, "host_key", s->fingerprint);
		jw_u64(w, "administrators", s->setup.accounts_n);
		jw_u64(w, "authorities", s->setup.authorities_n);
		jw_u64(w, "failed", s->failures.total);
		jw_str(w, "last_error", s->last);
		rows_add(&p);
	}
	rows_end(&p);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct ssh *s = c->context;

	switch (f->head.id) {
	case IPC_SSH_SETUP:
		setup_take(s, f);
		break;
	case IPC_SHOW:
		show(s, f->head.tag, &f->u.SHOW);
		break;
	default:
		log_warn("unexpected message %s from %s, ignored", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
	}
}

/* What did not start begins once its reason is gone: the ledger has room again, the port is free, or a file can be written. */
static void on_tick(struct loop *l, struct timer *t)
{
	struct ssh *s = t->context;
	struct err e = { 0 };

	(void)l;
	ssh_failures_enter(s);
	if (s->accounts_due && ssh_accounts_write(s, &s->setup, &e) != RC_OK) {
		snprintf(s->last, sizeof s->last, "%.*s", (int)sizeof s->last - 1, e.text);
		err_clear(&e);
	}
	if (s->setup.is_on && s->state == SSH_OFF && ssh_server_apply(s, &e) != RC_OK)
		snprintf(s->last, sizeof s->last, "%.*s", (int)sizeof s->last - 1, e.text);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct ssh *s = c->context;
	enum rc rc = r->kind == RESOURCE_SHELL_PROGRAM ? ssh_program_take(s, fd, e)
						       : err_add(e, RC_DENIED, "resource %s is not for ssh",
								 resource_name((enum resource)r->kind));

	close(fd);
	return rc;
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct ssh *s = c->context;

	(void)m;
	(void)e;
	loop_arm(&c->loop, &s->tick, SSH_TICK_NS, SSH_TICK_NS);
	return RC_OK;
}

static void on_stop(struct child *c)
{
	struct ssh *s = c->context;

	kill(s->first, SIGKILL);
}

static const struct child_ops ssh_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_message = on_message,
	.on_stop = on_stop,
};

void ssh_init(struct ssh *s, struct child *child, int supervisor_fd)
{
	signal(SIGPIPE, SIG_IGN);
	s->child = child;
	s->tick = (struct timer){ .fn = on_tick, .context = s };
	child_init(child, PROC_SSH, &ssh_ops, s, LEDGER_LEDGER_OUTAGE, supervisor_fd);
	ssh_log_follow(s);
}
