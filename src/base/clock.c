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

/* Two digits at `at`. */
static unsigned two_digits(const char *at)
{
	return (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
}

/* Days of the proleptic Gregorian calendar from 1970-01-01; a year begins in March, so that a leap day is its
 * last. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1, from_march = (month + 9) % 12;

	return (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (from_march * 153 + 2) / 5 + day - 1 - 719468;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool utc_read(utc_us *ret_t, const char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";

	for (size_t i = 0; i < sizeof shape; i++)
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	unsigned year = two_digits(text) * 100 + two_digits(text + 2), month = two_digits(text + 5);
	unsigned day = two_digits(text + 8), hour = two_digits(text + 11), minute = two_digits(text + 14);
	unsigned second = two_digits(text + 17);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) ||
		hour > 23 || minute > 59 || second > 59)
		return false;
	uint64_t s = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
	*ret_t = s * 1000000 + two_digits(text + 20) * 10000u + two_digits(text + 22) * 100u +
		 two_digits(text + 24);
	return true;
}
