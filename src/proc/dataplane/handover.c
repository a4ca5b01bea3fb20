/*
 * Trains that another worker goes on with. A flow belongs to one worker in both directions, its home; by which
 * socket its packets arrive is only a matter of speed. Tunnels belong to the worker that owns their SAs.
 *
 * The other worker gets the train with all that is known about it. It is counted as received where it
 * arrived, and everything after that, drops too, where it is handed over to.
 */
#include "proc/dataplane/stages.h"

static bool hand_over(struct pipeline *p, uint32_t worker, enum handover_kind kind, const struct train *t)
{
	struct train copy = *t;

	copy.flags = (t->flags & ~(uint32_t)TRAIN_TRACED) | TRAIN_HANDED_OVER;
	p->trains_handed_over++;
	return p->io.hand_over(p->io.context, worker, kind, &copy);
}

bool handover_at_home(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;

	if (p->workers == 1)
		return true;
	uint32_t home = p->io.home(p->io.context, t);
	if (home == p->worker)
		return true;
	if (train_is_traced(t))
		trace_say(p, t, "worker", "handed over to worker %u", home);
	t->tunnel = ctx->in_tunnel; /* as it arrived */
	ctx->counted = hand_over(p, home, HANDOVER_ARRIVED, t);
	t->tunnel = TRAIN_NONE;
	t->drop = ctx->counted ? DROP_NONE : DROP_WORKER_QUEUE_FULL;
	return false;
}

void handover_to_tunnel(struct pipeline *p, struct train *t)
{
	if (!hand_over(p, TUNNEL_WORKER, HANDOVER_TUNNEL, t))
		t->drop = DROP_WORKER_QUEUE_FULL;
}
