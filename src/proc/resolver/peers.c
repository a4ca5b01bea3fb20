/*
 * IKE peers by name. Each answer is told to ike, and each failure with its reason; what is known stays known there. What the link to
 * ike does not take now is told with the next tick. IKE may ask again when nobody answers at an address: DNS is asked then, unless
 * that was done a short time ago.
 */
#include "proc/resolver/shell.h"

#include "base/bytes.h"

#include <stdio.h>

_Static_assert(PEER_NAME_WHY_BYTES >= NAME_WHY_BYTES, "each reason has room");

void peers_changed(struct entry *e)
{
	e->untold |= e->of.kind == DYNAMIC_PEER;
}

void peers_again(struct resolver *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		peers_changed(x->entry[i]);
}

/* Those that the last good answer has (held false), or had. Where there are too many, half of the room is for each family, and more if
 * the other one does not fill its half. */
static void addresses_add(struct peer_name_told *m, const struct name *name, bool held)
{
	uint32_t room = PEER_ADDRESSES_MAX - m->n, there[2] = { 0 }, taken[2] = { 0 };

	for (uint32_t i = 0; i < name->n; i++)
		there[name->at[i].addr.family == ADDR_V4] += (name->at[i].until != 0) == held;
	for (uint32_t i = 0; i < name->n && m->n < PEER_ADDRESSES_MAX; i++) {
		const struct name_address *a = &name->at[i];
		bool v4 = a->addr.family == ADDR_V4;

		if ((a->until != 0) != held ||
			taken[v4] >= MAX_OF((room + 1) / 2, room - MIN_OF(room, there[!v4])))
			continue;
		taken[v4]++;
		m->at[m->n++] = a->addr;
	}
}

static bool tell(struct resolver *x, const struct entry *e)
{
	struct peer_name_told m = { .known = e->name.answered != 0 };

	snprintf(m.peer, sizeof m.peer, "%s", e->of.object);
	snprintf(m.name, sizeof m.name, "%s", e->of.name);
	snprintf(m.why, sizeof m.why, "%s", e->name.why);
	if (m.known) {
		m.age_s = (uint32_t)((x->child->loop.now - e->name.answered) / NS_PER_S);
		addresses_add(&m, &e->name, false);
		m.current = m.n;
		addresses_add(&m, &e->name, true);
	}
	return ipc_send_PEER_NAME(child_link(x->child, PROC_IKE), 0, &m) == RC_OK;
}

/* Nothing was asked yet, and nothing is known: there is nothing to tell. */
static bool is_silent(const struct entry *e)
{
	return e->name.answered == 0 && e->name.failures == 0;
}

void peers_tell(struct resolver *x)
{
	if (!ipc_link_up(child_link(x->child, PROC_IKE)))
		return;
	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[i];
		if (!e->untold || is_silent(e))
			continue;
		if (!tell(x, e))
			return;
		e->untold = false;
	}
}

void peers_asked(struct resolver *x, struct peer_name_ask *m)
{
	mono_ns now = x->child->loop.now;

	m->peer[sizeof m->peer - 1] = '\0';
	for (uint32_t i = 0; i < x->n; i++) {
		struct entry *e = x->entry[i];
		if (e->of.kind != DYNAMIC_PEER || strcmp(e->of.object, m->peer) != 0)
			continue;
		e->untold = true;
		if (!e->asked && (e->asked_at == 0 || e->asked_at + RESOLVER_ASKED_NS <= now))
			e->name.next = now;
	}
	peers_tell(x);
}
