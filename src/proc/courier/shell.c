#include "proc/courier/shell.h"

#include "base/log.h"
#include "ledger/types.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- towards the ledger ---- */

static void answer_send(struct courier *s, uint64_t tag, const struct http_answer *a, const char *why)
{
	static struct msg_witness_answer m;

	memset(&m, 0, sizeof m);
	if (a && a->body_n > sizeof m.body) {
		snprintf(m.why, sizeof m.why, "the answer is too long: %zu octets, at most %zu", a->body_n,
			sizeof m.body);
	} else if (a) {
		m.status = (uint32_t)a->status;
		m.retry_after_s = a->retry_after_s;
		m.body_n = (uint32_t)a->body_n;
		memcpy(m.body, a->body, a->body_n);
	} else {
		snprintf(m.why, sizeof m.why, "%.*s", (int)sizeof m.why - 1, why);
	}
	ipc_send_WITNESS_ANSWER(child_link(s->child, PROC_LEDGER), tag, &m);
}

static void errand_done(struct errand *x, const struct http_answer *a, const char *why)
{
	answer_send(x->context, x->tag, a, why);
}

/* It comes from our own ledger; what is in it goes into the head of a request all the same. */
static bool is_path(const char *at, size_t size)
{
	size_t n = strnlen(at, size);

	for (size_t i = 0; i < n; i++)
		if (!((at[i] >= 'a' && at[i] <= 'z') || (at[i] >= '0' && at[i] <= '9') || at[i] == '-' ||
			    at[i] == '/'))
			return false;
	return n < size && at[0] == '/';
}

static struct errand *errand_of(
	struct courier *s, const char *witness, const struct snap_witness **ret_witness)
{
	for (uint32_t i = 0; i < s->config.count; i++) {
		*ret_witness = &s->config.witness[i];
		if ((*ret_witness)->url[0] && strcmp((*ret_witness)->name, witness) == 0)
			return &s->errands[i];
	}
	return NULL;
}

static void ask(struct courier *s, uint64_t tag, struct msg_witness_ask *m)
{
	static const uint8_t any[sizeof((struct snap_witness *)0)->server_key];
	const struct snap_witness *w;

	m->witness[sizeof m->witness - 1] = '\0';
	struct errand *x = errand_of(s, m->witness, &w);
	if (!x || !is_path(m->at, sizeof m->at) || m->body_n > sizeof m->body ||
		(!m->post && m->body_n > 0)) {
		answer_send(s, tag, NULL, x ? "malformed request" : "the configuration has just changed");
		return;
	}
	errand_stop(x);
	x->tag = tag;
	if (url_parse(&x->url, w->url, NULL) != RC_OK) { /* snapshot_evidence_check() has seen to it */
		answer_send(s, tag, NULL, "malformed URL");
		return;
	}
	x->has_key = memcmp(w->server_key, any, sizeof any) != 0;
	memcpy(x->key, w->server_key, sizeof x->key);
	if (x->url.tls && !x->has_key && s->authorities == 0)
		answer_send(s, tag, NULL,
			"TLS: the system has no list of certificate authorities; install ca-certificates or set "
			"server-key");
	else
		errand_begin(x, s->trust, m->at, m->post ? m->body : NULL, m->body_n);
}

/* ---- towards the supervisor ---- */

static bool names_ask(struct errand *x)
{
	struct courier *s = x->context;

	x->awaited = ++s->last_tag;
	return ipc_send_NAMES_ASK(
		       child_link(s->child, PROC_SUPERVISOR), x->awaited, &(struct msg_empty){ 0 }) == RC_OK;
}

static bool connect_ask(struct errand *x, const struct endpoint *to)
{
	struct courier *s = x->context;

	x->awaited = ++s->last_tag;
	return ipc_send_WITNESS_CONNECT(child_link(s->child, PROC_SUPERVISOR), x->awaited, to) == RC_OK;
}

static struct errand *errand_awaiting(struct courier *s, uint64_t tag)
{
	for (size_t i = 0; i < COUNT_OF(s->errands); i++)
		if (s->errands[i].state != ERRAND_IDLE && s->errands[i].awaited == tag)
			return &s->errands[i];
	return NULL;
}

static const struct errand_ops errand_ops = { names_ask, connect_ask, errand_done };

static void configure(struct courier *s, const struct snap_evidence *config)
{
	struct err e = { 0 };

	if (snapshot_evidence_check(config, &e) != RC_OK) {
		log_error("the supervisor's list of witnesses is invalid: %s", e.text);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(s->errands); i++) {
		struct errand *x = &s->errands[i];
		bool under_way = x->state != ERRAND_IDLE;
		errand_stop(x);
		if (under_way)
			answer_send(s, x->tag, NULL, "the configuration has just changed");
	}
	s->config = *config;
}

static void supervisor_says(struct courier *s, struct ipc_frame *f)
{
	struct errand *x = errand_awaiting(s, f->head.tag);

	switch (f->head.id) {
	case IPC_WITNESSES:
		configure(s, &f->u.WITNESSES);
		break;
	case IPC_NAMES_SOCKET:
		if (x)
			errand_names_socket(x, ipc_frame_take(f));
		break;
	case IPC_NAMES_END:
		f->u.NAMES_END.text[sizeof f->u.NAMES_END.text - 1] = '\0';
		if (x)
			errand_names_end(x, f->u.NAMES_END.count > 0, f->u.NAMES_END.text);
		break;
	case IPC_WITNESS_SOCKET:
		if (x)
			errand_connected(x, ipc_frame_take(f));
		break;
	case IPC_WITNESS_REFUSED:
		f->u.WITNESS_REFUSED.text[sizeof f->u.WITNESS_REFUSED.text - 1] = '\0';
		if (x)
			errand_refused(x, f->u.WITNESS_REFUSED.text);
		break;
	default:
		log_warn("ignored an unexpected message %s of supervisor", ipc_name((enum ipc_id)f->head.id));
	}
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct courier *s = c->context;

	if (peer == PROC_SUPERVISOR)
		supervisor_says(s, f);
	else if (peer == PROC_LEDGER && f->head.id == IPC_WITNESS_ASK)
		ask(s, f->head.tag, &f->u.WITNESS_ASK);
	else
		log_warn("ignored an unexpected message %s of %s", ipc_name((enum ipc_id)f->head.id),
			proc_name(peer));
}

/* Nobody waits for the answers any more. */
static void on_link_lost(struct child *c, enum proc peer)
{
	struct courier *s = c->context;

	for (size_t i = 0; i < COUNT_OF(s->errands) && peer == PROC_LEDGER; i++)
		errand_stop(&s->errands[i]);
}

/* What is under way keeps what it began with: an SSL holds its SSL_CTX. */
static enum rc trust_replace(struct courier *s, const char *pem, size_t n, struct err *e)
{
	SSL_CTX *next;
	enum rc rc = trust_make(&next, pem, n, &s->authorities, e);

	if (rc != RC_OK)
		return rc;
	SSL_CTX_free(s->trust);
	s->trust = next;
	for (size_t i = 0; i < COUNT_OF(s->errands); i++)
		s->errands[i].trust = next;
	return RC_OK;
}

static enum rc authorities_read(struct courier *s, int fd, struct err *e)
{
	struct stat st;
	enum rc rc = RC_OK;

	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > AUTHORITIES_MAX)
		return err_add(e, RC_LIMIT,
			"the list of certificate authorities is too long, at most %u octets",
			AUTHORITIES_MAX);
	char *pem = malloc((size_t)st.st_size + 1);
	ssize_t n = pem ? pread(fd, pem, (size_t)st.st_size, 0) : -1;
	rc = n < 0 ? err_errno(e, RC_IO, "read the list of certificate authorities")
		   : trust_replace(s, pem, (size_t)n, e);
	free(pem);
	return rc;
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct courier *s = c->context;
	enum rc rc = r->kind == RESOURCE_AUTHORITIES
			     ? authorities_read(s, fd, e)
			     : err_add(e, RC_DENIED, "resource %s is not for the courier",
				       resource_name((enum resource)r->kind));

	close(fd);
	return rc;
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct courier *s = c->context;

	(void)m;
	return s->trust ? RC_OK : trust_replace(s, NULL, 0, e);
}

static void on_stop(struct child *c)
{
	struct courier *s = c->context;

	for (size_t i = 0; i < COUNT_OF(s->errands); i++)
		errand_stop(&s->errands[i]);
	SSL_CTX_free(s->trust);
	s->trust = NULL;
}

static const struct child_ops courier_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link_lost = on_link_lost,
	.on_message = on_message,
	.on_stop = on_stop,
};

void courier_init(struct courier *s, struct child *child, int supervisor_fd)
{
	/* No file may change what libssl does in here. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		abort();
	signal(SIGPIPE, SIG_IGN); /* libssl writes to a connection that may have ended */
	*s = (struct courier){ .child = child };
	child_init(child, PROC_COURIER, &courier_ops, s, LEDGER_LEDGER_OUTAGE, supervisor_fd);
	for (size_t i = 0; i < COUNT_OF(s->errands); i++)
		errand_init(&s->errands[i], &child->loop, &errand_ops, s);
}
