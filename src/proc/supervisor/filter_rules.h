/* Rules of policy to and from the gateway itself in the kernel's filter; filter_rules.c says what they become. */
#ifndef SUPERVISOR_FILTER_RULES_H
#define SUPERVISOR_FILTER_RULES_H

#include "base/tw.h"
#include "model/snapshot.h"

/* Those that are in force, in their order. */
struct self_rules {
	uint32_t at[SELF_RULES_MAX], n;
	uint64_t from_self; /* zones that have rules from the gateway itself, in force or not */
	uint64_t schedules; /* that some of them have */
};

enum self_use { SELF_IN, SELF_NOTRACK_IN, SELF_NOTRACK_OUT, SELF_OUT };

void self_rules_find(struct self_rules *ret, const struct snapshot *snap, uint64_t schedules_off);
/* Sets of addresses of host-inbound and of the rules. */
void filter_sets(struct tw *t, const struct snapshot *snap, const struct self_rules *self);
bool filter_set_has(const struct snapshot *snap, const struct span *span, uint8_t family);
/* The lines of a zone's rules to the gateway itself; before those of its host-inbound. */
void filter_rules_to(struct tw *t, const struct snapshot *snap, const struct self_rules *self, uint32_t zone,
	enum self_use use);
/* The chains of rules that limit sessions, before they are named. */
void filter_rules_limits(struct tw *t, const struct snapshot *snap, const struct self_rules *self);
/* The chains of zones with rules from the gateway itself, and what stands before the jumps to them: what is not asked. */
void filter_rules_from(struct tw *t, const struct snapshot *snap, const struct self_rules *self);
void filter_rules_output(struct tw *t, const struct self_rules *self);
/* Types of ICMP or ICMPv6 that begin sessions, with commas between them. */
void filter_queries(struct tw *t, bool v4);

#endif
