#include "proc/dataplane/pause.h"

#include <assert.h>

void pause_init(struct pause *p, void (*wake)(void *context), void *context)
{
	*p = (struct pause){ .wake = wake, .context = context };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->is_parked, NULL);
	pthread_cond_init(&p->is_over, NULL);
}

void pause_done(struct pause *p)
{
	assert(p->others == 0 && p->wanted == 0);
	pthread_cond_destroy(&p->is_over);
	pthread_cond_destroy(&p->is_parked);
	pthread_mutex_destroy(&p->lock);
}

void pause_begin(struct pause *p)
{
	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&p->wanted, p->wanted + 1, __ATOMIC_RELAXED);
	bool outermost = p->wanted == 1;
	pthread_mutex_unlock(&p->lock);
	if (!outermost)
		return;
	if (p->wake)
		p->wake(p->context);
	pthread_mutex_lock(&p->lock);
	while (p->parked < p->others)
		pthread_cond_wait(&p->is_parked, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void pause_end(struct pause *p)
{
	pthread_mutex_lock(&p->lock);
	assert(p->wanted > 0);
	__atomic_store_n(&p->wanted, p->wanted - 1, __ATOMIC_RELAXED);
	if (p->wanted == 0)
		pthread_cond_broadcast(&p->is_over);
	pthread_mutex_unlock(&p->lock);
}

/* With the lock. Who has not left yet when the next pause begins is parked in that one too. */
static void wait_while_wanted(struct pause *p)
{
	if (p->wanted == 0)
		return;
	p->parked++;
	assert(p->parked <= p->others);
	pthread_cond_signal(&p->is_parked);
	while (p->wanted != 0)
		pthread_cond_wait(&p->is_over, &p->lock);
	p->parked--;
}

void pause_park(struct pause *p)
{
	pthread_mutex_lock(&p->lock);
	wait_while_wanted(p);
	pthread_mutex_unlock(&p->lock);
}

/* One that begins during a pause waits for its end. */
void pause_join(struct pause *p)
{
	pthread_mutex_lock(&p->lock);
	p->others++;
	wait_while_wanted(p);
	pthread_mutex_unlock(&p->lock);
}

void pause_leave(struct pause *p)
{
	pthread_mutex_lock(&p->lock);
	assert(p->others > 0);
	p->others--;
	pthread_cond_signal(&p->is_parked);
	pthread_mutex_unlock(&p->lock);
}
