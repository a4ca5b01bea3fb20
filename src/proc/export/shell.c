#include "proc/export/shell.h"

#include "base/log.h"
#include "ipc/rows.h"
#include "ledger/types.h"
#include "proc/export/files.h"
#include "wire/drop.h"

#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define TICK_NS NS_PER_S

static void record_take(struct export *x, struct msg_session_record *m)
{
	if (!session_record_sound(&m->record, DROP_COUNT)) {
		if (x->malformed++ == 0)
			log_error(
				"the data plane sent a malformed session record; such records are counted as lost");
		local_lost(&x->local, 1);
		return;
	}
	x->received++;
	if (m->lost > 0)
		local_lost(&x->local, m->lost);
	local_write(&x->local, &m->record);
	streams_put(&x->streams, &m->record);
}

/* ---- show export ---- */

static void local_row(struct jw *w, const struct local_log *l)
{
	char name[SESSION_FILE_NAME_MAX];

	jw_str(w, "name", "session-log");
	jw_str(w, "state", l->fd >= 0 && !l->why[0] ? "writing" : "failed");
	jw_str(w, "to", l->last > 0 ? log_file_name(name, l->last) : "");
	jw_u64(w, "records", l->written);
	jw_u64(w, "lost", l->lost);
	jw_u64(w, "lines", l->chain.n);
	jw_str(w, "reason", l->why);
}

static void stream_row(struct jw *w, const struct stream *s)
{
	static const char *const transports[] = {
		[STREAM_TLS] = "tls", [STREAM_TCP] = "tcp", [STREAM_UDP] = "udp", [STREAM_JOURNAL] = "journal"
	};
	char to[ENDPOINT_TEXT_MAX];

	jw_str(w, "name", s->config.name);
	jw_str(w, "state", stream_state_text(s));
	jw_strf(w, "to", "%s %s", transports[s->config.transport],
		s->config.transport == STREAM_JOURNAL ? "of this machine" : endpoint_text(to, &s->config.to));
	jw_u64(w, "records", s->sent);
	jw_u64(w, "lost", s->lost);
	jw_u64(w, "queued", s->queued);
	if (stream_stalled(s))
		jw_strf(w, "reason", "the collector has taken nothing for %u s",
			(unsigned)(stream_stalled(s) / NS_PER_S));
	else
		jw_str(w, "reason", s->why);
}

static void show(struct export *x, uint64_t tag, const struct msg_show *q)
{
	static struct rows_piece piece;
	struct ipc_link *control = child_link(x->child, PROC_CONTROL);

	if (q->table != SHOW_EXPORT) {
		rows_refuse(control, tag, RC_UNSUPPORTED, "the export process has no such table");
		return;
	}
	rows_begin(&piece, control, tag, q);
	if (rows_first(&piece, 0) == 0 && rows_look(&piece, 0, 0)) {
		local_row(rows_row(&piece), &x->local);
		rows_add(&piece);
	}
	for (uint32_t i = rows_first(&piece, 1); i < x->streams.n && rows_look(&piece, 1, i); i++) {
		stream_row(rows_row(&piece), x->streams.at[i]);
		rows_add(&piece);
	}
	rows_end(&piece);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct export *x = c->context;

	if (peer == PROC_SUPERVISOR && streams_told(&x->streams, f))
		return;
	if (peer == PROC_CONTROL && scrape_told(&x->http.scrape, f))
		return;
	switch (f->head.id) {
	case IPC_SESSION_RECORD:
		record_take(x, &f->u.SESSION_RECORD);
		break;
	case IPC_METRICS:
		http_configure(&x->http, &f->u.METRICS);
		break;
	case IPC_SHOW:
		show(x, f->head.tag, &f->u.SHOW);
		break;
	default:
		log_warn("unexpected message %s from %s, ignored", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
	}
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct export *x = c->context;

	if (r->kind == RESOURCE_LOG_DIR) {
		local_open(&x->local, fd, x->clock());
		return RC_OK;
	}
	if (r->kind == RESOURCE_METRICS_SOCKET) {
		http_listen(&x->http, fd);
		return RC_OK;
	}
	enum rc rc = r->kind == RESOURCE_STREAM_AUTHORITIES
			     ? streams_authorities(&x->streams, r->index, fd, e)
			     : err_add(e, RC_DENIED, "resource %s is not for the export process",
				       resource_name((enum resource)r->kind));
	close(fd);
	return rc;
}

static void on_resource_gone(struct child *c, const struct msg_resource *r)
{
	struct export *x = c->context;

	if (r->kind == RESOURCE_METRICS_SOCKET)
		http_end(&x->http);
}

static void on_tick(struct loop *l, struct timer *t)
{
	struct export *x = t->context;

	(void)l;
	if (x->local.unsaid > 0)
		local_say_lost(&x->local, x->clock());
	digest_enter(&x->digest, x->child, &x->local, x->clock(), false);
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct export *x = c->context;

	(void)m;
	(void)e;
	digest_enter(&x->digest, c, &x->local, x->clock(), true);
	loop_arm(&c->loop, &x->tick, TICK_NS, TICK_NS);
	return RC_OK;
}

/* What the data plane has sent before it ended, which it did before this process, is in the link. */
static void link_empty(struct export *x)
{
	static struct ipc_frame f;
	struct ipc_link *l = child_link(x->child, PROC_DATAPLANE);

	for (int i = 0; i < CHILD_LAST_FRAMES_MAX && l->fd >= 0 && ipc_recv(l, &f, NULL) == RC_OK; i++) {
		on_message(x->child, PROC_DATAPLANE, &f);
		ipc_frame_done(&f);
	}
}

static void on_stop(struct child *c)
{
	struct export *x = c->context;

	link_empty(x);
	local_say_lost(&x->local, x->clock());
	digest_enter(&x->digest, c, &x->local, x->clock(), true);
	local_close(&x->local);
	http_end(&x->http);
	streams_end(&x->streams);
}

static const struct child_ops export_ops = {
	.on_resource = on_resource,
	.on_resource_gone = on_resource_gone,
	.on_start = on_start,
	.on_message = on_message,
	.on_stop = on_stop,
};

void export_init(struct export *x, struct child *child, int supervisor_fd)
{
	/* No file may change what libssl does in here. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		abort();
	signal(SIGPIPE, SIG_IGN); /* libssl writes to a connection that may have ended */
	*x = (struct export){ .child = child, .clock = clock_utc };
	x->tick.fn = on_tick;
	x->tick.context = x;
	local_init(&x->local);
	child_init(child, PROC_EXPORT, &export_ops, x, LEDGER_LEDGER_OUTAGE, supervisor_fd);
	streams_init(&x->streams, child);
	http_init(&x->http, child);
}
