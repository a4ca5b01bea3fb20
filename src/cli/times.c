#include "cli/times.h"

#include <stdio.h>
#include <string.h>

enum rc time_parse(char ret_text[UTC_TEXT_MAX], const char *text, bool end, struct err *e)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddd";
	static const char first[] = "1970-01-01T00:00:00.000000", last[] = "9999-12-31T23:59:59.999999";
	char made[sizeof shape];
	size_t n = strlen(text);
	utc_us time;

	if (n > 0 && text[n - 1] == 'Z')
		n--;
	/* Where it may end: after the day, the minute, the second, or any digit of the fraction. */
	bool whole = n == 10 || n == 16 || n == 19 || (n > 20 && n < sizeof shape);
	for (size_t i = 0; whole && i < n; i++)
		whole = shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
	memcpy(made, end ? last : first, sizeof made);
	if (whole)
		memcpy(made, text, n);
	snprintf(ret_text, UTC_TEXT_MAX, "%sZ", made);
	if (!whole || !utc_read(&time, ret_text))
		return err_add(e, RC_MALFORMED,
			"'%.40s' is not a time: expected 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00 "
			"(UTC)",
			text);
	return RC_OK;
}
