#include "proc/resolver/shell.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void fetch_free(struct fetch *o)
{
	errand_stop(&o->errand);
	free(o->errand.to);
	SSL_CTX_free(o->trust);
	o->errand.to = NULL;
	o->trust = NULL;
	if (o->entry)
		o->entry->feed.awaited = 0;
	o->entry = NULL;
}

static void fail(struct fetch *o, const char *why)
{
	struct entry *e = o->entry;
	char text[NAME_WHY_BYTES];

	snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, why);
	fetch_free(o);
	o->resolver->fetched(o->resolver, e, NULL, 0, text);
}

static bool names_ask(struct errand *x)
{
	struct fetch *o = x->context;
	struct resolver *r = o->resolver;

	x->awaited = ++r->last_tag;
	return ipc_send_NAMES_ASK(
		       child_link(r->child, PROC_SUPERVISOR), x->awaited, &(struct msg_empty){ 0 }) == RC_OK;
}

static bool connect_ask(struct errand *x, const struct endpoint *to)
{
	struct fetch *o = x->context;
	struct resolver *r = o->resolver;
	struct msg_feed m = { .to = *to, .kind = o->entry->of.kind };

	snprintf(m.name, sizeof m.name, "%.*s", (int)sizeof m.name - 1, o->entry->of.name);
	x->awaited = ++r->last_tag;
	return ipc_send_FEED_CONNECT(child_link(r->child, PROC_SUPERVISOR), x->awaited, &m) == RC_OK;
}

static void done(struct errand *x, const struct http_answer *a, const char *why)
{
	struct fetch *o = x->context;
	struct entry *e = o->entry;
	char text[NAME_WHY_BYTES];

	if (!a) {
		fail(o, why);
	} else if (a->status != 200) {
		snprintf(text, sizeof text, "the server answered with status %d, expected 200", a->status);
		fail(o, text);
	} else {
		char *body = (char *)x->to;
		size_t n = a->body_n;
		x->to = NULL;
		fetch_free(o);
		o->resolver->fetched(o->resolver, e, body, n, NULL);
		free(body);
	}
}

static const struct errand_ops errand_ops = { names_ask, connect_ask, done };

void fetch_init(struct resolver *x, fetched_fn *fetched)
{
	x->fetched = fetched;
	for (size_t i = 0; i < COUNT_OF(x->fetches); i++) {
		x->fetches[i].resolver = x;
		errand_init(&x->fetches[i].errand, &x->child->loop, &errand_ops, &x->fetches[i]);
	}
}

static struct fetch *fetch_idle(struct resolver *x)
{
	for (size_t i = 0; i < COUNT_OF(x->fetches); i++)
		if (!x->fetches[i].entry)
			return &x->fetches[i];
	return NULL;
}

bool fetch_busy(const struct resolver *x)
{
	for (size_t i = 0; i < COUNT_OF(x->fetches); i++)
		if (!x->fetches[i].entry)
			return false;
	return true;
}

void fetch_stop(struct resolver *x)
{
	for (size_t i = 0; i < COUNT_OF(x->fetches); i++)
		fetch_free(&x->fetches[i]);
}

/* The list of authorities; without one only a key can be trusted. */
static enum rc trust_read(struct fetch *o, int fd, struct err *e)
{
	unsigned count = 0;
	struct stat st = { 0 };
	char *pem = NULL;
	ssize_t n = 0;

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size > AUTHORITIES_MAX))
		return err_add(e, RC_LIMIT, "the list of authorities is too long, at most %u octets",
			AUTHORITIES_MAX);
	if (fd >= 0 && (!(pem = malloc((size_t)st.st_size + 1)) ||
			       (n = pread(fd, pem, (size_t)st.st_size, 0)) < 0)) {
		free(pem);
		return err_errno(e, RC_IO, "read the list of authorities");
	}
	enum rc rc = trust_make(&o->trust, pem, (size_t)n, &count, e);
	free(pem);
	if (rc == RC_OK && fd >= 0 && count == 0)
		rc = err_add(e, RC_NOT_FOUND, "the list of authorities has no certificate");
	return rc;
}

/* The errand's own time counts from here on. */
void fetch_begin(struct resolver *x, struct entry *e, int authorities)
{
	struct fetch *o = fetch_idle(x);
	struct err err = { 0 };

	if (!o) {
		if (authorities >= 0)
			close(authorities);
		x->fetched(x, e, NULL, 0, "too many feeds are fetched at the same time");
		return;
	}
	o->entry = e;
	e->feed.awaited = ++x->last_tag;
	e->feed.deadline = x->child->loop.now + RESOLVER_FETCH_NS + RESOLVER_SOCKETS_NS;
	enum rc rc = trust_read(o, authorities, &err);
	if (authorities >= 0)
		close(authorities);
	if (rc == RC_OK)
		rc = url_parse(&o->errand.url, e->of.url, &err);
	if (rc == RC_OK && !(o->errand.to = malloc(fetched_max(e))))
		rc = err_add(&err, RC_LIMIT, "out of memory for a list of %zu octets", fetched_max(e));
	if (rc != RC_OK) {
		fail(o, err.text);
		return;
	}
	o->errand.to_max = fetched_max(e);
	o->errand.wait = RESOLVER_FETCH_NS;
	o->errand.has_key = authorities < 0;
	memcpy(o->errand.key, e->of.server_key, sizeof o->errand.key);
	errand_begin(&o->errand, o->trust, o->errand.url.prefix[0] ? "" : "/", NULL, 0);
}

static struct errand *awaiting(struct resolver *x, uint64_t tag)
{
	for (size_t i = 0; i < COUNT_OF(x->fetches); i++)
		if (x->fetches[i].entry && x->fetches[i].errand.awaited == tag)
			return &x->fetches[i].errand;
	return NULL;
}

bool fetch_told(struct resolver *x, struct ipc_frame *f)
{
	struct errand *o = awaiting(x, f->head.tag);

	return o && errand_told(o, f);
}

bool errand_told(struct errand *o, struct ipc_frame *f)
{
	switch (f->head.id) {
	case IPC_NAMES_SOCKET:
		errand_names_socket(o, ipc_frame_take(f));
		return true;
	case IPC_NAMES_END:
		f->u.NAMES_END.text[sizeof f->u.NAMES_END.text - 1] = '\0';
		errand_names_end(o, f->u.NAMES_END.count > 0, f->u.NAMES_END.text);
		return true;
	case IPC_FEED_SOCKET:
		errand_connected(o, ipc_frame_take(f));
		return true;
	case IPC_FEED_REFUSED:
		f->u.FEED_REFUSED.text[sizeof f->u.FEED_REFUSED.text - 1] = '\0';
		errand_refused(o, f->u.FEED_REFUSED.text);
		return true;
	default:
		return false;
	}
}
