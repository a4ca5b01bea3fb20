/*
 * control's callbacks: what the supervisor hands over, links that come and go, messages, the tick. See
 * control.h.
 */
#include "base/log.h"
#include "proc/control/control.h"

#include <unistd.h>

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct control *k = c->context;

	switch (r->kind) {
	case RESOURCE_CONFIG_DIR:
		if (k->config_dir >= 0)
			close(k->config_dir);
		k->config_dir = fd;
		return RC_OK;
	case RESOURCE_CERTIFICATE_DIR:
		if (k->certificate_dir >= 0)
			close(k->certificate_dir);
		k->certificate_dir = fd;
		return RC_OK;
	case RESOURCE_CLI_SOCKET:
		return clients_listen(k, r->index, fd, e);
	default:
		close(fd);
		return err_add(e, RC_DENIED, "control takes no such resource");
	}
}

static void on_link(struct child *c, enum proc peer)
{
	/* Before the start there is nothing to give; on_start gives it to all. */
	if (c->started && peer == PROC_RESOLVER)
		dynamic_list(c->context);
	else if (c->started)
		distribute_to(c->context, peer);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	struct control *k = c->context;

	relay_owner_lost(k, peer);
	if (peer == PROC_SSH)
		sessions_lost(k);
	certifiers_lost(k, peer);
	distribute_lost(k, peer);
	dynamic_lost(k, peer);
	if (distribute_complete(k))
		commit_finish(k);
	dynamic_go(k);
}

static void tick(struct loop *l, struct timer *t)
{
	struct control *k = t->context;

	relay_tick(k);
	certifiers_tick(k);
	commit_tick(k);
	clients_tick(k);
	if (!k->commit.under_way && clients_none(k))
		loop_disarm(l, t);
}

static enum rc on_start(struct child *c, const struct msg_start *s, struct err *e)
{
	struct control *k = c->context;
	enum rc rc;

	if (k->config_dir < 0 || k->listener[LISTENER_LOCAL] < 0)
		return err_add(e, RC_INTERNAL,
			"the configuration directory or the command line's socket was not handed over");
	sessions_load(k);
	rc = running_load(k, e);
	if (rc)
		return rc;
	log_info(
		"generation %llu of the configuration is running", (unsigned long long)k->running.generation);
	dynamic_begin(k);
	distribute_all(k, TAKEN_WAIT_NS);
	unconfirmed_load(k);
	proposals_load(k);
	return RC_OK;
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct control *k = c->context;

	if (f->head.id == IPC_DYNAMICS_FOUND) {
		dynamic_found(k, f);
		return;
	}
	if (f->head.id == IPC_CERTIFY_CHECKED) {
		certifiers_answer(k, peer, f);
		return;
	}
	if (f->head.id != IPC_SNAPSHOT_TAKEN && f->head.id != IPC_SSH_TAKEN) {
		relay_message(k, peer, f);
		return;
	}
	if (peer != PROC_DATAPLANE || !dynamic_taken(k, f))
		distribute_taken(k, peer, f);
	if (distribute_complete(k))
		commit_finish(k);
	dynamic_go(k);
}

static void control_done(struct control *k)
{
	clients_done(k);
	loop_disarm(&k->child->loop, &k->tick);
	loop_disarm(&k->child->loop, &k->confirm_timer);
	running_done(&k->running);
	running_done(&k->commit.next);
	dynamic_done(k);
	if (k->config_dir >= 0)
		close(k->config_dir);
	if (k->certificate_dir >= 0)
		close(k->certificate_dir);
	k->config_dir = k->certificate_dir = -1;
	model_done();
}

static void on_stop(struct child *c)
{
	control_done(c->context);
}

const struct child_ops control_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

void control_init(struct control *k, struct child *c)
{
	*k = (struct control){
		.child = c, .config_dir = -1, .certificate_dir = -1, .listener = { -1, -1 }, .next_tag = 1
	};
	k->running.memory = k->commit.next.memory = -1;
	dynamic_init(k);
	k->tick = (struct timer){ .fn = tick, .context = k };
	k->confirm_timer = (struct timer){ .fn = confirm_expire, .context = k };
}
