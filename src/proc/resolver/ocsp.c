/*
 * OCSP: what a certifier asks goes to the responder that the configuration has for the authority, over HTTP, and the octets that come go to
 * whoever asked, and to nobody else. Neither question nor answer is read here. RFC 5019 section 5: "OCSP requests ... less than or equal
 * to 255 bytes in total (after encoding) ... MUST use the GET method", so that caches on the way may answer; longer ones are posted.
 */
#include "proc/resolver/shell.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

static struct entry *responder_of(struct resolver *x, const char *name)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->entry[i]->of.kind == DYNAMIC_OCSP && strcmp(x->entry[i]->of.name, name) == 0)
			return x->entry[i];
	return NULL;
}

static void answer_send(
	struct resolver *x, uint32_t to, uint64_t tag, const uint8_t *octets, size_t n, const char *why)
{
	static struct msg_ocsp_answer m;

	m = (struct msg_ocsp_answer){ .n = (uint32_t)n };
	if (n > 0)
		memcpy(m.octets, octets, n);
	snprintf(m.why, sizeof m.why, "%.*s", (int)sizeof m.why - 1, why);
	/* A certifier that does not take it waits in vain, and asks again. */
	ipc_send_OCSP_ANSWER(child_link(x->child, (enum proc)to), tag, &m);
}

/* n 0: there is no answer, and why. */
static void question_end(struct ocsp_question *q, size_t n, const char *why)
{
	struct resolver *x = q->resolver;
	struct entry *e = responder_of(x, q->name);
	char text[NAME_WHY_BYTES];

	snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, why);
	if (e && n > 0) {
		e->answers++;
		e->answered = x->child->loop.now;
	}
	if (e)
		snprintf(e->unanswered, sizeof e->unanswered, "%s", text);
	errand_stop(&q->errand);
	answer_send(x, q->asker, q->tag, q->body, n, text);
	q->asker = 0;
}

static bool names_ask(struct errand *o)
{
	struct ocsp_question *q = o->context;
	struct resolver *x = q->resolver;

	o->awaited = ++x->last_tag;
	return ipc_send_NAMES_ASK(
		       child_link(x->child, PROC_SUPERVISOR), o->awaited, &(struct msg_empty){ 0 }) == RC_OK;
}

static bool connect_ask(struct errand *o, const struct endpoint *to)
{
	struct ocsp_question *q = o->context;
	struct resolver *x = q->resolver;
	struct msg_feed m = { .to = *to, .kind = DYNAMIC_OCSP };

	memcpy(m.name, q->name, sizeof m.name);
	o->awaited = ++x->last_tag;
	return ipc_send_FEED_CONNECT(child_link(x->child, PROC_SUPERVISOR), o->awaited, &m) == RC_OK;
}

static void errand_over(struct errand *o, const struct http_answer *a, const char *why)
{
	struct ocsp_question *q = o->context;
	char text[64];

	if (!a) {
		question_end(q, 0, why);
	} else if (a->status != 200) {
		snprintf(text, sizeof text, "the responder answered with status %d, expected 200", a->status);
		question_end(q, 0, text);
	} else {
		question_end(q, a->body_n, a->body_n ? "" : "the responder's answer is empty");
	}
}

static const struct errand_ops errand_ops = { names_ask, connect_ask, errand_over };

/* RFC 5019 section 5: "{url}/{url-encoding of base-64 encoding of the DER encoding of the OCSPRequest}". */
static void path_write(struct ocsp_question *q)
{
	char text[BASE64_SIZE(OCSP_REQUEST_MAX)], *to = q->path;
	size_t n = base64_from_bytes(text, q->request, q->n);

	_Static_assert(sizeof q->path > 3 * BASE64_SIZE(OCSP_REQUEST_MAX), "a path of escapes alone");
	*to++ = '/';
	for (size_t i = 0; i < n; i++) {
		const char *escaped = text[i] == '+'   ? "%2B"
				      : text[i] == '/' ? "%2F"
				      : text[i] == '=' ? "%3D"
						       : NULL;
		size_t length = escaped ? 3 : 1;
		memcpy(to, escaped ? escaped : &text[i], length);
		to += length;
	}
	*to = '\0';
}

static void question_begin(struct ocsp_question *q)
{
	struct resolver *x = q->resolver;
	const struct entry *e = responder_of(x, q->name);
	mono_ns now = x->child->loop.now;

	q->begun = true;
	if (!e || url_parse(&q->errand.url, e->of.url, NULL) != RC_OK || q->errand.url.tls) {
		question_end(q, 0, "the resolver's configuration has no OCSP responder of this authority");
		return;
	}
	path_write(q);
	q->errand.to = q->body;
	q->errand.to_max = sizeof q->body;
	q->errand.type = "application/ocsp-request";
	q->errand.wait = MAX_OF(q->deadline - MIN_OF(now, q->deadline), (mono_ns)NS_PER_MS);
	if (strlen(e->of.url) + strlen(q->path) <= OCSP_GET_MAX)
		errand_begin(&q->errand, NULL, q->path, NULL, 0);
	else
		errand_begin(&q->errand, NULL, q->errand.url.prefix[0] ? "" : "/", q->request, q->n);
}

void ocsp_begin(struct resolver *x)
{
	x->ocsp_left = MIN_OF(x->ocsp_left + OCSP_EACH_TICK, (uint32_t)OCSP_BURST);
	for (size_t i = 0; i < OCSP_QUESTIONS_MAX; i++) {
		struct ocsp_question *q = &x->ocsp[i];
		if (!q->asker || q->begun)
			continue;
		if (x->child->loop.now >= q->deadline) {
			question_end(q, 0, "too many questions wait for OCSP responders");
		} else if (x->ocsp_left > 0) {
			x->ocsp_left--;
			question_begin(q);
		}
	}
}

void ocsp_asked(struct resolver *x, enum proc certifier, struct ipc_frame *f)
{
	const struct msg_ocsp_ask *m = &f->u.OCSP_ASK;
	struct ocsp_question *q = NULL;
	struct entry *e;
	uint32_t n = 0;

	for (size_t i = 0; i < OCSP_QUESTIONS_MAX; i++) {
		n += x->ocsp[i].asker == (uint32_t)certifier;
		if (!x->ocsp[i].asker)
			q = &x->ocsp[i];
	}
	if (!q || n >= OCSP_ASKED_MAX || m->n == 0 || m->n > sizeof m->request) {
		answer_send(x, (uint32_t)certifier, f->head.tag, NULL, 0,
			"more questions at the same time than the resolver takes, or one that is too long");
		return;
	}
	q->asker = (uint32_t)certifier;
	q->begun = false;
	q->tag = f->head.tag;
	q->deadline = x->child->loop.now + OCSP_ASKED_NS;
	q->n = m->n;
	snprintf(q->name, sizeof q->name, "%.*s", (int)sizeof q->name - 1, m->name);
	memcpy(q->request, m->request, m->n);
	if ((e = responder_of(x, q->name)))
		e->questions++;
	if (x->ocsp_left > 0) {
		x->ocsp_left--;
		question_begin(q);
	}
}

bool ocsp_told(struct resolver *x, struct ipc_frame *f)
{
	for (size_t i = 0; i < OCSP_QUESTIONS_MAX; i++)
		if (x->ocsp[i].asker && x->ocsp[i].begun && x->ocsp[i].errand.awaited == f->head.tag)
			return errand_told(&x->ocsp[i].errand, f);
	return false;
}

void ocsp_init(struct resolver *x)
{
	x->ocsp = calloc(OCSP_QUESTIONS_MAX, sizeof *x->ocsp);
	if (!x->ocsp)
		abort(); /* at the start of the process: nothing is lost */
	for (size_t i = 0; i < OCSP_QUESTIONS_MAX; i++) {
		x->ocsp[i].resolver = x;
		errand_init(&x->ocsp[i].errand, &x->child->loop, &errand_ops, &x->ocsp[i]);
	}
	x->ocsp_left = OCSP_BURST;
}

void ocsp_done(struct resolver *x)
{
	for (size_t i = 0; i < OCSP_QUESTIONS_MAX; i++)
		errand_stop(&x->ocsp[i].errand);
	free(x->ocsp);
	x->ocsp = NULL;
}
