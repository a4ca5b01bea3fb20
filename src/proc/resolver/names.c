#include "proc/resolver/shell.h"

#include "base/log.h"

#include <stdio.h>
#include <sys/random.h>

static void lookup_free(struct lookup_of *o)
{
	lookup_stop(&o->lookup);
	if (o->entry)
		o->entry->asked = NULL;
	o->entry = NULL;
	o->awaited = 0;
}

static void fail(struct lookup_of *o, const char *why)
{
	struct entry *e = o->entry;

	name_failed(&e->name, why, o->resolver->child->loop.now);
	peers_changed(e);
	lookup_free(o);
}

static void on_lookup(struct lookup *l, const struct ip_addr *addrs, size_t n, const char *why)
{
	struct lookup_of *o = l->context;
	struct resolver *x = o->resolver;
	struct name_answer a = { .ttl_s = NAMES_TTL_MAX_S };
	char text[NAME_WHY_BYTES];

	(void)addrs;
	snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, why);
	if (n == 0) {
		fail(o, text);
		return;
	}
	for (int k = 0; k < 2; k++) {
		const struct names_found *f = &l->found[k];
		a.answered[k] = l->answered[k];
		a.addr[k] = f->addr;
		a.n[k] = f->n;
		a.cut |= f->cut;
		if (f->n > 0 && f->ttl_s < a.ttl_s)
			a.ttl_s = f->ttl_s;
	}
	bool other = name_answer_take(&o->entry->name, &o->entry->of, &a, x->child->loop.now);
	x->changed |= other && o->entry->of.kind != DYNAMIC_PEER;
	peers_changed(o->entry);
	lookup_free(o);
}

void names_init(struct resolver *x)
{
	for (size_t i = 0; i < COUNT_OF(x->lookups); i++) {
		struct lookup_of *o = &x->lookups[i];
		o->resolver = x;
		lookup_init(&o->lookup, &x->child->loop, on_lookup, o);
	}
}

void names_stop(struct resolver *x)
{
	for (size_t i = 0; i < COUNT_OF(x->lookups); i++)
		lookup_free(&x->lookups[i]);
}

static void begin(struct resolver *x, struct lookup_of *o, struct entry *e)
{
	uint16_t ids[2];

	o->entry = e;
	e->asked = o;
	o->awaited = ++x->last_tag;
	o->deadline = x->child->loop.now + RESOLVER_SOCKETS_NS;
	e->asked_at = x->child->loop.now;
	if (getrandom(ids, sizeof ids, GRND_NONBLOCK) != sizeof ids) {
		fail(o, "the kernel has no random numbers yet");
		return;
	}
	lookup_begin(&o->lookup, e->of.name, ids, true);
	if (ipc_send_NAMES_ASK(child_link(x->child, PROC_SUPERVISOR), o->awaited, &(struct msg_empty){ 0 }) !=
		RC_OK)
		fail(o, "the request could not be sent to the supervisor");
}

static struct entry *most_due(struct resolver *x)
{
	struct entry *due = NULL;

	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[i];
		if (entry_is_name(e) && !e->asked && e->name.next <= x->child->loop.now &&
			(!due || e->name.next < due->name.next))
			due = e;
	}
	return due;
}

void names_begin(struct resolver *x)
{
	uint32_t begun = 0;

	for (size_t i = 0; i < COUNT_OF(x->lookups) && begun < RESOLVER_BEGUN_MAX; i++) {
		struct lookup_of *o = &x->lookups[i];
		if (o->entry && o->deadline <= x->child->loop.now)
			fail(o, o->lookup.why[0] ? o->lookup.why : "no answer from the name servers");
		if (o->entry)
			continue;
		struct entry *e = most_due(x);
		if (!e)
			continue; /* the others may be over their time */
		begin(x, o, e);
		begun++;
	}
}

static struct lookup_of *awaiting(struct resolver *x, uint64_t tag)
{
	for (size_t i = 0; i < COUNT_OF(x->lookups); i++)
		if (x->lookups[i].entry && x->lookups[i].awaited == tag)
			return &x->lookups[i];
	return NULL;
}

bool names_told(struct resolver *x, struct ipc_frame *f)
{
	struct lookup_of *o = awaiting(x, f->head.tag);

	switch (f->head.id) {
	case IPC_NAMES_SOCKET:
		if (o)
			lookup_server(&o->lookup, ipc_frame_take(f));
		return true;
	case IPC_NAMES_END:
		f->u.NAMES_END.text[sizeof f->u.NAMES_END.text - 1] = '\0';
		if (o && f->u.NAMES_END.count > 0)
			lookup_ask(&o->lookup);
		else if (o)
			fail(o, f->u.NAMES_END.text);
		return true;
	default:
		return false;
	}
}
