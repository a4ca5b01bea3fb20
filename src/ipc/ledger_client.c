#include "ipc/ledger_client.h"
#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct ledger_pending {
	struct ledger_pending *next;
	enum ledger_mode mode;
	uint64_t n; /* 0: never sent */
	uint64_t tag;
	mono_ns since;
	ledger_receipt_fn *fn;
	void *context;
	uint64_t cookie;
	bool sent; /* over the present link */
	bool late; /* counted in ledger_client.late */
	uint16_t type, body_n;
	char body[];
};

void ledger_client_init(struct ledger_client *c, struct ipc_link *link, uint16_t gap_type)
{
	*c = (struct ledger_client){ .link = link, .gap_type = gap_type, .next_n = 1, .next_tag = 1 };
}

static struct ledger_pending *unlink_at(struct ledger_client *c, struct ledger_pending **at)
{
	struct ledger_pending *p = *at;

	assert(p && c->pending_n > 0);
	*at = p->next;
	if (c->last == p) {
		c->last = NULL;
		for (struct ledger_pending *q = c->first; q; q = q->next)
			c->last = q;
	}
	c->pending_n--;
	return p;
}

void ledger_client_done(struct ledger_client *c)
{
	while (c->first)
		free(unlink_at(c, &c->first));
}

static enum rc send_entry(struct ledger_client *c, struct ledger_pending *p)
{
	struct msg_ledger_append m = { .type = p->type, .body_n = p->body_n, .run = c->run };

	assert(p->n < c->next_n && p->body_n <= sizeof m.body);
	m.n = p->n ? p->n : c->next_n;
	memcpy(m.body, p->body, p->body_n);
	enum rc rc = ipc_send_LEDGER_APPEND(c->link, p->tag, &m);
	if (rc != RC_OK)
		return rc;
	if (!p->n)
		p->n = c->next_n++;
	p->sent = true;
	return RC_OK;
}

static struct ledger_pending *pending_new(struct ledger_client *c, enum ledger_mode mode, uint16_t type,
	const char *body, size_t body_n, mono_ns now)
{
	struct ledger_pending *p = calloc(1, sizeof *p + body_n);

	if (!p)
		return NULL;
	p->mode = mode;
	p->type = type;
	p->tag = c->next_tag++;
	p->since = now;
	p->body_n = (uint16_t)body_n;
	memcpy(p->body, body, body_n);
	return p;
}

static void pending_append(struct ledger_client *c, struct ledger_pending *p)
{
	if (c->last)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
	c->pending_n++;
}

enum rc ledger_append(struct ledger_client *c, enum ledger_mode mode, uint16_t type, const char *body,
	size_t body_n, ledger_receipt_fn *fn, void *context, uint64_t cookie, mono_ns now)
{
	if (body_n > LEDGER_BODY_MAX)
		return RC_LIMIT;
	bool up = ipc_link_up(c->link) && !c->broken && !c->resend;
	struct ledger_pending *p =
		c->pending_n < LEDGER_PENDING_MAX ? pending_new(c, mode, type, body, body_n, now) : NULL;

	if (mode == LEDGER_GATE && (!up || !p || send_entry(c, p) != RC_OK)) {
		free(p);
		c->refused++;
		return RC_DENIED;
	}
	if (!p) {
		c->lost++;
		c->broken = c->broken || !up;
		return RC_LIMIT;
	}
	p->fn = fn;
	p->context = context;
	p->cookie = cookie;
	if (mode == LEDGER_ASYNC && (!up || c->full || send_entry(c, p) != RC_OK)) {
		c->late++;
		p->late = true;
	}
	pending_append(c, p);
	return RC_OK;
}

/* The entry that tells auditors what is not where it should be. Sent like any other, when the
 * link is back, after what is sent again. */
static bool state_gap(struct ledger_client *c, mono_ns now)
{
	char body[256];
	struct jw w = jw_over(body, sizeof body, true);

	jw_object(&w, NULL);
	jw_u64(&w, "late", c->late);
	jw_u64(&w, "lost", c->lost);
	jw_u64(&w, "refused", c->refused);
	jw_u64(&w, "unknown", c->unknown);
	jw_end(&w);
	struct ledger_pending *p = pending_new(c, LEDGER_ASYNC, c->gap_type, body, jw_done(&w), now);
	if (!p || send_entry(c, p) != RC_OK) {
		free(p);
		return false; /* the counts stay and are stated with the next link */
	}
	pending_append(c, p);
	c->late = c->lost = c->refused = c->unknown = 0;
	for (p = c->first; p; p = p->next)
		p->late = false;
	return true;
}

/* Of those that were sent over an older link: the one with the smallest number. */
static struct ledger_pending *oldest_unsent(struct ledger_client *c)
{
	struct ledger_pending *oldest = NULL;

	for (struct ledger_pending *p = c->first; p; p = p->next)
		if (!p->sent && p->n && (!oldest || p->n < oldest->n))
			oldest = p;
	return oldest;
}

/*
 * Numbers of one source reach the ledger in ascending order: first what goes out again under its old number,
 * then the gap, then what was never sent. False: the link does not take more now.
 */
static bool send_unsent(struct ledger_client *c, mono_ns now)
{
	for (struct ledger_pending *p; c->resend && (p = oldest_unsent(c)) != NULL;)
		if (send_entry(c, p) != RC_OK)
			return false;
	c->resend = false;
	if (c->full)
		return true; /* ledger_client_expire() tries one of them */
	if (c->broken && (c->late || c->lost || c->refused || c->unknown) && !state_gap(c, now))
		return false;
	c->broken = false;
	for (struct ledger_pending *p = c->first; p; p = p->next)
		if (!p->sent && send_entry(c, p) != RC_OK)
			return false;
	return true;
}

void ledger_client_up(struct ledger_client *c, mono_ns now)
{
	c->broken = true;
	c->full = false; /* it may have room now; else it says so again */
	send_unsent(c, now);
}

static void pending_finish(struct ledger_pending *p, const struct msg_ledger_receipt *r)
{
	if (p->fn)
		p->fn(p->context, p->cookie, r);
	free(p);
}

/* Gates that `refuse` picks are taken out first and told afterwards: a callback may append again. */
static void refuse_gates(struct ledger_client *c, mono_ns sent_before, const char *why)
{
	struct msg_ledger_receipt r = { .rc = RC_DENIED };
	struct ledger_pending *out = NULL, **out_end = &out;

	snprintf(r.text, sizeof r.text, "%s", why);
	for (struct ledger_pending **at = &c->first; *at;) {
		if ((*at)->mode != LEDGER_GATE || (*at)->since > sent_before) {
			at = &(*at)->next;
			continue;
		}
		struct ledger_pending *p = unlink_at(c, at);
		c->unknown++;
		p->next = NULL;
		*out_end = p;
		out_end = &p->next;
	}
	while (out) {
		struct ledger_pending *p = out;
		out = p->next;
		pending_finish(p, &r);
	}
}

void ledger_client_down(struct ledger_client *c)
{
	c->broken = true;
	for (struct ledger_pending *p = c->first; p; p = p->next)
		if (p->mode == LEDGER_ASYNC && p->sent) {
			p->sent = false;
			c->resend = true;
			c->late += !p->late;
			p->late = true;
		}
	refuse_gates(c, UINT64_MAX, "the ledger is down");
}

/* While the ledger is full: is there room again? */
static void probe(struct ledger_client *c)
{
	for (struct ledger_pending *p = c->first; p; p = p->next)
		if (p->mode == LEDGER_ASYNC && p->sent)
			return; /* one is on its way */
	for (struct ledger_pending *p = c->first; p; p = p->next)
		if (p->mode == LEDGER_ASYNC) {
			send_entry(c, p);
			return;
		}
	c->full = false;
}

void ledger_client_expire(struct ledger_client *c, mono_ns now)
{
	if (ipc_link_up(c->link))
		send_unsent(c, now); /* the link's queue was full */
	if (ipc_link_up(c->link) && c->full && now >= c->probe_at) {
		c->probe_at = now + LEDGER_PROBE_NS;
		probe(c);
	}
	if (now > LEDGER_GATE_WAIT_NS)
		refuse_gates(c, now - LEDGER_GATE_WAIT_NS, "the ledger does not answer");
}

/* The ledger has no room now: the entry waits, and its number is used up. */
static bool put_off(struct ledger_client *c, struct ledger_pending *p, const struct msg_ledger_receipt *r)
{
	if (p->mode != LEDGER_ASYNC || (r->rc != RC_IO && r->rc != RC_LIMIT && r->rc != RC_AGAIN))
		return false;
	if (!c->full)
		snprintf(c->why, sizeof c->why, "%.*s", (int)sizeof c->why - 1, r->text);
	c->late += !p->late;
	p->late = true;
	p->n = 0;
	p->sent = false;
	c->full = true;
	return true;
}

/* The first that was taken again: what waits follows, after the number of entries that are late. */
static void room_again(struct ledger_client *c, const struct ledger_pending *taken)
{
	c->full = false;
	c->late -= taken->late && c->late > 0;
	if (c->late > 0 && !state_gap(c, taken->since))
		c->broken = true;
	send_unsent(c, taken->since);
}

bool ledger_client_receipt(struct ledger_client *c, uint64_t tag, const struct msg_ledger_receipt *r)
{
	for (struct ledger_pending **at = &c->first; *at; at = &(*at)->next) {
		if ((*at)->tag != tag || !(*at)->sent)
			continue;
		struct msg_ledger_receipt copy = *r;
		copy.text[sizeof copy.text - 1] = '\0';
		if (copy.rc == RC_EXISTS)
			copy.rc = RC_OK;
		if (put_off(c, *at, &copy))
			return true;
		struct ledger_pending *p = unlink_at(c, at);
		if (copy.rc == RC_OK && c->full)
			room_again(c, p);
		pending_finish(p, &copy);
		return true;
	}
	return false;
}
