/*
 * Trains that another worker goes on with. A flow belongs to one worker in both directions, its home; by which
 * socket its packets arrive is only a matter of speed. A pair of SAs belongs to one worker too, its owner (esp/esp.h).
 *
 * So does a first packet that persistent NAT translates, to the worker that has its source's binding.
 * A session of which a direction is at home elsewhere (firewall/away.c) costs its packets of that direction a second step,
 * from their home to the worker that has the session.
 *
 * The other worker gets the train with all that is known about it. It is counted as received where it
 * arrived, and everything after that, drops too, where it is handed over to.
 */
#include "proc/dataplane/stages.h"

#include <assert.h>

static bool hand_over(struct pipeline *p, uint32_t worker, enum handover_kind kind, const struct train *t)
{
	struct train copy = *t;

	copy.flags = (t->flags & ~(uint32_t)TRAIN_TRACED) | TRAIN_HANDED_OVER;
	/* From its home, where it would be sent back to. */
	if (kind == HANDOVER_ARRIVED && fw_is_home(p->fw, t))
		copy.flags |= TRAIN_REDIRECTED;
	p->trains_handed_over++;
	return p->io.hand_over(p->io.context, worker, kind, &copy);
}

static void hand_over_arrival(struct pipeline *p, struct packet_context *ctx, uint32_t worker)
{
	struct train *t = ctx->t;

	if (train_is_traced(t))
		trace_say(p, t, "worker", PACKET_HANDED, "handed over to worker %u", worker);
	/* as it arrived */
	t->tunnel = t->flags & TRAIN_FROM_HOST ? ctx->by_device - 1 : ctx->in_tunnel;
	t->out_interface = t->out_zone = TRAIN_NONE;
	ctx->counted = hand_over(p, worker, HANDOVER_ARRIVED, t);
	t->tunnel = TRAIN_NONE;
	t->drop = ctx->counted ? DROP_NONE : DROP_WORKER_QUEUE_FULL;
}

bool handover_at_home(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;

	if (p->workers == 1)
		return true;
	uint32_t home = p->io.home(p->io.context, t);
	if (home == p->worker)
		return true;
	hand_over_arrival(p, ctx, home);
	return false;
}

void handover_to_owner(struct pipeline *p, struct packet_context *ctx, uint32_t owner)
{
	assert(owner != p->worker);
	hand_over_arrival(p, ctx, owner);
}

void pipeline_notes(struct pipeline *p)
{
	struct fw_note note;
	uint32_t worker;

	while (fw_take_note(p->fw, &worker, &note))
		if (!p->io.note(p->io.context, worker, &note)) {
			p->notes_lost++;
			fw_note_lost(p->fw, &note);
		}
}

void handover_to_tunnel(struct pipeline *p, struct train *t, uint32_t owner)
{
	assert(owner != p->worker);
	if (!hand_over(p, owner, HANDOVER_TUNNEL, t))
		t->drop = DROP_WORKER_QUEUE_FULL;
	else if (train_is_traced(t))
		trace_say(p, t, "worker", PACKET_PASS, "handed over to worker %u, which seals it", owner);
}
