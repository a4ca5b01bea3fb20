/* What the parts of bench_policy share: the text of a large policy, and packets for its rules. */
#ifndef BENCH_POLICY_H
#define BENCH_POLICY_H

#include "gate.h"

mono_ns bench_clock(clockid_t clock);
/* A line of the result: policy.NAME.rulesN PART. */
void bench_print(const char *name, uint32_t rules, const char *part, double value, const char *unit);
/* The snapshot of so many rules and ten times as many addresses; free() it. */
void *bench_snapshot(uint32_t rules);
/* Packets of these flows, each of another session, spread over all rules, through the gateway. */
void bench_sessions_begin(struct gate *g, uint32_t rules, uint32_t flow);

/* bench_switch.c */
void measure_switch(bool teams); /* of two, four and eight workers, too */

#endif
