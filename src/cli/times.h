/* Moments that an administrator writes: "2026-11-23", "2026-11-23T08:00", "…:30", "…:30.5", each with or
 * without Z. All are UTC. */
#ifndef CLI_TIMES_H
#define CLI_TIMES_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>

/*
 * As in entries, "2026-11-23T08:00:00.000000Z". What was left out is taken as its beginning, or
 * with `end` as its end: the day's last microsecond. RC_MALFORMED.
 */
enum rc time_parse(char ret_text[UTC_TEXT_MAX], const char *text, bool end, struct err *e);

#endif
