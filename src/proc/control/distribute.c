/*
 * The snapshot in a sealed memfd: supervisor, keeper, ike, certifiers and data plane get the same one and answer
 * SNAPSHOT_TAKEN. A process that starts later gets it with its link.
 */
#include "base/log.h"
#include "proc/control/control.h"

#include <stdio.h>

static const enum proc receivers[] = { PROC_SUPERVISOR, PROC_KEEPER, PROC_CERTIFIER_OPENSSL,
	PROC_CERTIFIER_GNUTLS, PROC_IKE, PROC_DATAPLANE };

static bool is_receiver(enum proc peer)
{
	for (size_t i = 0; i < COUNT_OF(receivers); i++) {
		if (receivers[i] == peer)
			return true;
	}
	return false;
}

/* The tag is the generation, so that an answer to an older one is not taken for this one's. */
static bool give(struct control *k, enum proc peer)
{
	struct msg_snapshot m = { .generation = k->running.generation, .bytes = k->running.bytes };
	struct ipc_link *l = child_link(k->child, peer);
	int memory = k->running.memory;
	enum rc rc;

	if (!ipc_link_up(l) || k->running.memory < 0 ||
		(peer == PROC_DATAPLANE && !dynamic_snapshot(k, &memory, &m.bytes)))
		return false;
	rc = ipc_send_SNAPSHOT(l, k->running.generation, &m, memory);
	if (rc)
		log_error("configuration generation %llu cannot be sent to %s: %s",
			(unsigned long long)m.generation, proc_name(peer), rc_text(rc));
	return rc == RC_OK;
}

void distribute_all(struct control *k, mono_ns wait)
{
	k->asked = k->taken = 0;
	k->refusal[0] = '\0';
	/* loop.now is from before the text was written, which may have taken longer. */
	k->taken_deadline = clock_mono() + wait;
	dynamic_configure(k);
	sessions_configure(k);
	for (size_t i = 0; i < COUNT_OF(receivers); i++) {
		if (give(k, receivers[i]))
			k->asked |= 1u << receivers[i];
	}
	if (sessions_give(k))
		k->asked |= 1u << PROC_SSH;
}

void distribute_to(struct control *k, enum proc peer)
{
	if (is_receiver(peer))
		give(k, peer);
	if (peer == PROC_SSH)
		sessions_give(k);
}

void distribute_taken(struct control *k, enum proc peer, const struct ipc_frame *f)
{
	const struct msg_result *r = peer == PROC_SSH ? &f->u.SSH_TAKEN : &f->u.SNAPSHOT_TAKEN;

	if (r->rc != RC_OK)
		log_error("%s refused configuration generation %llu: %.*s", proc_name(peer),
			(unsigned long long)f->head.tag, (int)sizeof r->text, r->text);
	if (f->head.tag != k->running.generation || !(k->asked & 1u << peer) || (k->taken & 1u << peer))
		return;
	k->taken |= 1u << peer;
	if (r->rc != RC_OK && !k->refusal[0])
		snprintf(k->refusal, sizeof k->refusal, "%s: %.200s", proc_name(peer), r->text);
}

void distribute_lost(struct control *k, enum proc peer)
{
	/* It gets the snapshot again with its next link. */
	k->asked &= ~(1u << peer);
}

bool distribute_complete(const struct control *k)
{
	return (k->asked & ~k->taken) == 0;
}
