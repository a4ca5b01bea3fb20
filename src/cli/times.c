#include "cli/times.h"

#include <stdio.h>
#include <string.h>

/* Days of the month, for the years that a clock can show. */
static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static int two(const char *at)
{
	return (at[0] - '0') * 10 + (at[1] - '0');
}

static bool in_range(const char *t)
{
	int year = two(t) * 100 + two(t + 2), month = two(t + 5), day = two(t + 8);

	return month >= 1 && month <= 12 && day >= 1 && day <= days_in(year, month) && two(t + 11) <= 23 &&
	       two(t + 14) <= 59 && two(t + 17) <= 59;
}

enum rc time_parse(char ret_text[UTC_TEXT_MAX], const char *text, bool end, struct err *e)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddd";
	static const char first[] = "0000-01-01T00:00:00.000000", last[] = "9999-12-31T23:59:59.999999";
	char made[sizeof shape];
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == 'Z')
		n--;
	/* Where it may end: behind the day, the minute, the second, any digit of the fraction. */
	bool whole = n == 10 || n == 16 || n == 19 || (n > 20 && n < sizeof shape);
	for (size_t i = 0; whole && i < n; i++)
		whole = shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
	memcpy(made, end ? last : first, sizeof made);
	if (whole)
		memcpy(made, text, n);
	if (!whole || !in_range(made))
		return err_add(e, RC_MALFORMED,
			"'%.40s' is no time: expected 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00 "
			"(UTC)",
			text);
	snprintf(ret_text, UTC_TEXT_MAX, "%sZ", made);
	return RC_OK;
}
