/*
 * From one worker to another: where a flow is at home, trains and notes over the rings, and the wake of who sleeps.
 * A worker is woken once for all that it has got in a round, and only if it sleeps.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

uint32_t worker_home(void *context, const struct train *t)
{
	return fw_home(((struct worker *)context)->fw, t);
}

bool worker_hand_over(void *context, uint32_t to, enum handover_kind kind, const struct train *t)
{
	struct worker *w = context;

	w->given |= 1u << to;
	return rings_put(&w->dataplane->rings, w->index, to, kind, t);
}

bool worker_firewall_note(void *context, uint32_t to, const struct fw_note *note)
{
	struct worker *w = context;

	w->given |= 1u << to;
	return rings_put_note(&w->dataplane->rings, w->index, to, RING_NOTE_FIREWALL, note, sizeof *note);
}

bool worker_note(struct worker *w, enum ring_note kind, const void *bytes, uint32_t n)
{
	w->given |= 1u;
	return rings_put_note(&w->dataplane->rings, w->index, 0, kind, bytes, n);
}

void worker_wake(struct worker *w)
{
	struct dataplane *d = w->dataplane;
	const uint64_t one = 1;

	if (ring_sleep_ends(&d->sleepers[w->index]) &&
		write(d->wake_fds[w->index], &one, sizeof one) != sizeof one && errno != EAGAIN)
		log_error("wake worker %u of the data plane: %m", w->index);
}

void worker_wake_given(struct worker *w)
{
	uint32_t given = w->given;

	w->given = 0;
	for (; given; given &= given - 1)
		worker_wake(w->dataplane->workers[__builtin_ctz(given)]);
}

struct rings_reader worker_reader(struct worker *w)
{
	return (struct rings_reader){ &w->pipeline, w->dataplane->note, w->dataplane->sealed, w };
}

void worker_notes_run(struct worker *w)
{
	const struct rings_reader reader = worker_reader(w);

	if (w->dataplane->rings.workers > 1)
		rings_notes_run(&w->dataplane->rings, w->index, &reader);
}

uint32_t worker_rings_run(struct worker *w)
{
	const struct rings_reader reader = worker_reader(w);

	return rings_run(&w->dataplane->rings, w->index, &reader, clock_mono());
}
