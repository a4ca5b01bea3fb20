#include "base/clock.h"

#include <stdio.h>
#include <string.h>
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

bool utc_read(utc_us *ret_t, const char *text)
{
	char again[UTC_TEXT_MAX];
	struct tm tm = { 0 };
	unsigned us;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		    &tm.tm_min, &tm.tm_sec, &us) != 7)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	time_t s = timegm(&tm);
	if (s < 0)
		return false;
	*ret_t = (utc_us)s * 1000000 + us;
	return strcmp(utc_text(again, *ret_t), text) == 0;
}
