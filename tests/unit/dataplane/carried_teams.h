/*
 * Two gateways that get the same traffic, of test_carried.c: one whose packets meet the kernel's programs first, and one without
 * them. What their tables say must be the same.
 */
#ifndef TESTS_CARRIED_TEAMS_H
#define TESTS_CARRIED_TEAMS_H

#include "firewall/internal.h"
#include "gate.h"

#define WORKERS 4

/* carries: the one with programs; plain: without. */
struct team {
	struct gate gate[WORKERS];
	struct gate_queue queues[WORKERS];
	uint32_t on_the_way, n;
};
extern struct team carries, plain;
/* What counters of rules count: not what had not been entered when a process died, or a policy ended the session. */
extern bool rules_differ;

mono_ns now(void);
/* By its first key; NULL: there is none. */
const struct fw_session *find(struct team *t, const struct fw_key *k);
void tables_equal(void);

#endif
