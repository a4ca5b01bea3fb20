#include "base/clock.h"

#include <stdio.h>
#include <time.h>

mono_ns clock_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

utc_us clock_utc(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

char *utc_text(char *ret_text, utc_us t)
{
	time_t s = (time_t)(t / 1000000);
	struct tm tm;
	char date[24];

	gmtime_r(&s, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text, UTC_TEXT_MAX, "%s.%06uZ", date, (unsigned)(t % 1000000));
	return ret_text;
}
