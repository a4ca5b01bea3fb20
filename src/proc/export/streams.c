#include "proc/export/streams.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool connect_ask(struct stream *s)
{
	struct streams *x = s->context;
	const struct msg_stream m = { .stream = s->index };

	s->awaited = ++x->last_tag;
	return ipc_send_STREAM_CONNECT(child_link(x->child, PROC_SUPERVISOR), s->awaited, &m) == RC_OK;
}

void streams_init(struct streams *x, struct child *child)
{
	*x = (struct streams){ .child = child };
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++)
		stream_init(&x->list[i], &child->loop, connect_ask, x);
}

void streams_put(struct streams *x, const struct session_record *r)
{
	for (uint32_t i = 0; i < x->n; i++)
		stream_put(x->at[i], r);
}

/* The place of the stream of that name. */
static struct stream *place_of(struct streams *x, const char *name)
{
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++)
		if (x->list[i].state != STREAM_OFF && strcmp(x->list[i].config.name, name) == 0)
			return &x->list[i];
	return NULL;
}

static struct stream *place_free(struct streams *x)
{
	uint32_t i = 0;

	while (x->list[i].state != STREAM_OFF) /* there are as many places as streams may be configured */
		i++;
	return &x->list[i];
}

static bool is_configured(const struct snap_log *log, const char *name)
{
	for (uint32_t i = 0; i < log->count; i++)
		if (strcmp(log->stream[i].name, name) == 0)
			return true;
	return false;
}

static void configure(struct streams *x, struct msg_log_streams *m)
{
	struct err e = { 0 };

	m->host_name[sizeof m->host_name - 1] = '\0';
	if (snapshot_log_check(&m->log, &e) != RC_OK) {
		log_error("the supervisor's list of log streams is invalid: %s", e.text);
		return;
	}
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++)
		if (x->list[i].state != STREAM_OFF && !is_configured(&m->log, x->list[i].config.name))
			stream_end(&x->list[i]);
	x->n = 0;
	for (uint32_t i = 0; i < m->log.count; i++) {
		const struct snap_log_stream *config = &m->log.stream[i];
		struct stream *s = place_of(x, config->name);
		if (!s)
			s = place_free(x);
		if (stream_begin(s, config, i, m->host_name))
			x->at[x->n++] = s;
		else
			log_error("log stream '%s' cannot begin: out of memory", config->name);
	}
}

static struct stream *awaiting(struct streams *x, uint64_t tag)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->at[i]->state == STREAM_ASKED && x->at[i]->awaited == tag)
			return x->at[i];
	return NULL;
}

bool streams_told(struct streams *x, struct ipc_frame *f)
{
	struct stream *s = awaiting(x, f->head.tag);

	switch (f->head.id) {
	case IPC_LOG_STREAMS:
		configure(x, &f->u.LOG_STREAMS);
		return true;
	case IPC_STREAM_SOCKET:
		if (s)
			stream_connected(s, ipc_frame_take(f));
		return true;
	case IPC_STREAM_REFUSED:
		f->u.STREAM_REFUSED.text[sizeof f->u.STREAM_REFUSED.text - 1] = '\0';
		if (s)
			stream_refused(s, f->u.STREAM_REFUSED.text);
		return true;
	default:
		return false;
	}
}

enum rc streams_authorities(struct streams *x, uint32_t index, int fd, struct err *e)
{
	struct stat st;
	uint32_t i = 0;
	enum rc rc = RC_OK;

	while (i < x->n && x->at[i]->index != index)
		i++;
	if (i == x->n)
		return RC_OK; /* of a list that was refused */
	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > AUTHORITIES_MAX) {
		log_error(
			"the authorities of log stream '%s' are not read: the file is longer than %u octets",
			x->at[i]->config.name, AUTHORITIES_MAX);
		return RC_OK;
	}
	char *pem = malloc((size_t)st.st_size + 1);
	ssize_t n = pem ? pread(fd, pem, (size_t)st.st_size, 0) : -1;
	rc = n < 0 ? err_errno(e, RC_IO, "read the authorities of a log stream")
		   : stream_trust(x->at[i], pem, (size_t)n, e);
	free(pem);
	return rc;
}

void streams_end(struct streams *x)
{
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++)
		stream_end(&x->list[i]);
	x->n = 0;
}
