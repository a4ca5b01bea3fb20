/*
 * A pause: the main thread changes what all workers read, while none of them does.
 *
 * A worker asks pause_wanted() between two bursts, which costs the load of one word, and parks when it is. The
 * main thread is worker 0, between two bursts itself when it calls pause_begin(). Between pause_begin() and
 * pause_end() it may read and write everything that belongs to the others. Every pause is a quiet point of
 * every worker.
 *
 * Pauses nest. Only pause_begin() and pause_park() wait: for a burst, and for the change.
 */
#ifndef DATAPLANE_PAUSE_H
#define DATAPLANE_PAUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pause {
	uint32_t wanted;	 /* atomic: how many nested pauses the main thread has begun */
	uint32_t others, parked; /* workers beside the main thread; under the lock */
	pthread_mutex_t lock;
	pthread_cond_t is_parked, is_over;
	void (*wake)(void *context); /* all workers that sleep, so that they park */
	void *context;
};

/* wake may be NULL where nobody sleeps. */
void pause_init(struct pause *p, void (*wake)(void *context), void *context);
void pause_done(struct pause *p);
/* main thread */
void pause_begin(struct pause *p);
void pause_end(struct pause *p);
/* other workers, each at its start and at its end, and between two bursts */
void pause_join(struct pause *p);
void pause_leave(struct pause *p);
void pause_park(struct pause *p);

static inline bool pause_wanted(const struct pause *p)
{
	return __atomic_load_n(&p->wanted, __ATOMIC_RELAXED) != 0;
}

#endif
