#include "proc/export/streams.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool connect_ask(struct stream *s)
{
	struct streams *x = s->context;
	const struct msg_stream m = { .stream = (uint32_t)(s - x->list) };

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
		stream_put(&x->list[i], r);
}

static void configure(struct streams *x, struct msg_log_streams *m)
{
	struct err e = { 0 };

	m->host_name[sizeof m->host_name - 1] = '\0';
	if (snapshot_log_check(&m->log, &e) != RC_OK) {
		log_error("the supervisor's list of log streams is invalid: %s", e.text);
		return;
	}
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++) {
		struct stream *s = &x->list[i];
		if (i >= m->log.count)
			stream_end(s);
		else if (!stream_begin(s, &m->log.stream[i], m->host_name))
			log_error("log stream '%s' cannot begin: out of memory", m->log.stream[i].name);
	}
	x->n = m->log.count;
}

static struct stream *awaiting(struct streams *x, uint64_t tag)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->list[i].state == STREAM_ASKED && x->list[i].awaited == tag)
			return &x->list[i];
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
	enum rc rc = RC_OK;

	if (index >= x->n)
		return RC_OK; /* of a list that was refused */
	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > AUTHORITIES_MAX) {
		log_error(
			"the authorities of log stream '%s' are not read: the file is longer than %u octets",
			x->list[index].config.name, AUTHORITIES_MAX);
		return RC_OK;
	}
	char *pem = malloc((size_t)st.st_size + 1);
	ssize_t n = pem ? pread(fd, pem, (size_t)st.st_size, 0) : -1;
	rc = n < 0 ? err_errno(e, RC_IO, "read the authorities of a log stream")
		   : stream_trust(&x->list[index], pem, (size_t)n, e);
	free(pem);
	return rc;
}

void streams_end(struct streams *x)
{
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++)
		stream_end(&x->list[i]);
	x->n = 0;
}
