/*
 * Token bucket in one word: the moment until which it has been emptied. `burst` tokens at the most are in it,
 * `per_second` come back, in one step for all the time that has passed: no timer.
 *
 * Several threads may share a bucket by rate_shared_take(). They write it when they take a token and at no other time, so
 * at most as often as its rate allows: an empty bucket is only read, however many packets there are.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include "base/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes one; false: there is none now. Zero at the beginning is a full bucket. */
static inline bool rate_take(mono_ns *empty_until, uint32_t per_second, uint32_t burst, mono_ns now)
{
	assert(per_second > 0 && burst > 0);
	uint64_t room_ns = (uint64_t)burst * NS_PER_S / per_second, cost_ns = NS_PER_S / per_second;

	if (*empty_until + room_ns < now)
		*empty_until = now - room_ns; /* full */
	if (*empty_until + cost_ns > now)
		return false;
	*empty_until += cost_ns;
	return true;
}

/* Is there one? Of two buckets that must both give one, the outer one is asked first: a flood that has emptied it then takes
 * nothing from the other. */
static inline bool rate_shared_left(
	const mono_ns *empty_until, uint32_t per_second, uint32_t burst, mono_ns now)
{
	mono_ns at = __atomic_load_n(empty_until, __ATOMIC_RELAXED);

	return rate_take(&at, per_second, burst, now);
}

static inline bool rate_shared_take(mono_ns *empty_until, uint32_t per_second, uint32_t burst, mono_ns now)
{
	mono_ns was = __atomic_load_n(empty_until, __ATOMIC_RELAXED), is;

	do {
		is = was;
		if (!rate_take(&is, per_second, burst, now))
			return false;
	} while (!__atomic_compare_exchange_n(
		empty_until, &was, is, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

#endif
