/*
 * Token bucket in one word: the moment until which it has been emptied. `burst` tokens at the most are in it,
 * `per_second` come back, in one step for all the time that has passed: no timer.
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

#endif
