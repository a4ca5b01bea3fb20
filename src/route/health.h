/*
 * Health of uplinks: which of their targets answer, and from that which uplinks are down. Pure: rounds and answers come in
 * with the time, states go out; the shell sends the probes and says what has answered.
 *
 * Each uplink has rounds, one an interval. At the end of a round a target has answered its probe or not; so many rounds in
 * a row that contradict a target's state change it (fall, rise), and the targets' states are the uplink's. An uplink is up until it
 * has failed, or as it was when a process before this one ended; a commit that keeps an uplink or a target keeps what is known.
 *
 * Written by one thread. Others may call health_answered() at any time between two changes of the uplinks themselves.
 */
#ifndef ROUTE_HEALTH_H
#define ROUTE_HEALTH_H

#include "base/clock.h"
#include "model/snapshot.h"

#define HEALTH_WHY_BYTES 120

struct health_target {
	struct snap_probe of;
	bool down;
	uint32_t streak; /* of rounds that contradict the state */
	uint64_t probes, lost;
	/* atomic, for answers that another thread receives */
	uint32_t round;	   /* whose answer is awaited; 0: none has been sent */
	uint32_t answered; /* the last one that was answered */
	mono_ns sent_at;
	uint32_t rtt_us; /* of the last answer */
};

struct health_uplink {
	struct snap_uplink of;
	bool down;
	bool follows; /* down because a process before said so: until a round has ended */
	mono_ns since, next;
	uint32_t targets_n;
	uint64_t changes;
	const char *obstacle; /* why the last round was not sent; NULL: it was */
	struct health_target target[UPLINK_PROBES_MAX];
};

struct uplinks_health {
	uint8_t key
		[16]; /* random: what probes say is made of it, so that nobody can answer who has not seen them */
	uint32_t n;
	struct health_uplink list[UPLINKS_MAX];
};

/* The uplinks of a configuration. New ones are asked at once. */
void health_load(struct uplinks_health *h, const struct snapshot *s, mono_ns now);
/* What a process before has found out; before the first round of that uplink has ended. True: that has changed it. */
bool health_follow(struct uplinks_health *h, const char *uplink, mono_ns now);

/*
 * The next uplink whose round is over, and whose next one begins: the caller sends its probes, which have
 * target[].round now, or says why it cannot (obstacle). *ret_changed: it has gone down or come up. ROUTE_NONE: none is due.
 */
uint32_t health_round(struct uplinks_health *h, mono_ns now, bool *ret_changed);
mono_ns health_next(
	const struct uplinks_health *h); /* when the next round is over; UINT64_MAX: there are no uplinks */

/* The answer to a target's probe of this round has come. Any thread. */
void health_answered(struct health_target *t, uint32_t round, mono_ns now);

/* Why it is down. */
void health_why(const struct health_uplink *u, char ret_text[HEALTH_WHY_BYTES]);

#endif
