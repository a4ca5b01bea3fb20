/*
 * Time as numbers. Cores get it as an argument; only shells (proc/, cli/) call the functions.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t mono_ns; /* CLOCK_MONOTONIC; 0 is "never" */
typedef uint64_t utc_us;  /* microseconds since 1970-01-01 UTC */

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

mono_ns clock_mono(void);
utc_us clock_utc(void);

/* "2015-12-17T18:00:00.000000Z"; ret_text holds UTC_TEXT_MAX. */
#define UTC_TEXT_MAX 32
char *utc_text(char *ret_text, utc_us t);
/* The way back, strict: exactly what utc_text() makes of some time before the year 10000. */
bool utc_read(utc_us *ret_t, const char *text);

#endif
